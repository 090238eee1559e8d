# SPDX-License-Identifier: Apache-2.0
"""The error that moving air makes at a barometer: its size is learnt, the filter lives with it."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Array, GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.wash import Sample, Wash
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

EVERY_S, LASTS_S = 0.2, 1.5


def _coloured(rng: np.random.Generator, n: int, size_m: float) -> Array:
    """Return an Ornstein-Uhlenbeck process (n,) [m]."""
    keep = np.exp(-EVERY_S / LASTS_S)
    out = np.empty(n)
    out[0] = size_m * rng.normal()
    for k in range(1, n):
        out[k] = keep * out[k - 1] + size_m * np.sqrt(1.0 - keep**2) * rng.normal()
    return out


def _learnt(
    seed: int,
    seconds: float,
    size_m: float,
    white_m: float,
    *,
    imu_m_s: float = 0.0,
    claimed: bool = True,
    flying: bool = True,
) -> float:
    """Return what is learnt in an up and down of 3 m; imu_m_s: random walk of the IMU's speed."""
    rng = np.random.default_rng(seed)
    at = np.arange(0.0, seconds, EVERY_S)
    height = 3.0 * np.sin(0.8 * at)
    speed = np.cumsum(rng.normal(size=len(at))) * imu_m_s * np.sqrt(EVERY_S)
    altitude = height + _coloured(rng, len(at), size_m) + white_m * rng.normal(size=len(at))
    wash = Wash(0.5, LASTS_S)
    for t, shown, erred in zip(at.tolist(), altitude.tolist(), speed.tolist(), strict=True):
        sinks = -3.0 * 0.8 * float(np.cos(0.8 * t)) + 7.0 + erred  # 7 m/s wrong all along
        shaken = imu_m_s**2 * t if claimed else 0.0
        wash.take(Sample(t, shown, sinks, shaken), 0.0, flying=flying)
    return wash.size_m


@pytest.mark.parametrize("size_m", [0.5, 0.9, 1.3])
def test_size_of_the_wash_is_learnt_whatever_the_height_and_speed(size_m: float) -> None:
    learnt = [_learnt(seed, 60.0, size_m, 0.2) for seed in range(12)]
    assert np.mean(learnt) == pytest.approx(size_m, rel=0.15)
    assert np.std(learnt) < 0.25 * size_m


def test_a_barometer_without_wash_is_soon_believed() -> None:
    learnt = [_learnt(seed, 15.0, 0.0, 0.09) for seed in range(12)]
    assert max(learnt) < 0.15
    # on the ground only the white noise shows, and with it what to expect
    assert _learnt(0, 15.0, 0.0, 0.09, flying=False) == pytest.approx(0.064, rel=0.4)


def test_white_noise_is_not_taken_for_wash() -> None:
    learnt = [_learnt(seed, 60.0, 0.0, 1.0) for seed in range(12)]
    assert np.mean(learnt) < 0.75  # at most the guess of 0.71: so much white noise hides the rest


def test_what_the_imu_says_it_errs_is_not_wash() -> None:
    erred = [_learnt(seed, 60.0, 0.2, 0.2, imu_m_s=1.0) for seed in range(12)]
    silent = [_learnt(seed, 60.0, 0.2, 0.2, imu_m_s=1.0, claimed=False) for seed in range(12)]
    assert np.mean(silent) > 0.5
    assert np.mean(erred) < 0.5 * np.mean(silent)


def test_holes_and_uneven_samples_teach_nothing_false() -> None:
    rng = np.random.default_rng(3)
    wash, at = Wash(0.5, LASTS_S), 0.0
    for k in range(400):
        at += 2.0 if k % 40 == 0 else 0.2 * (1 + k % 2)
        wash.take(Sample(at, 0.3 * rng.normal(), 0.0, 0.0), 0.0, flying=True)
    assert wash.size_m < 0.35


@pytest.mark.parametrize("gaps_s", [(0.1, 0.55), (0.55,), (0.1, 0.1, 0.1, 0.59), (0.18, 0.45)])
def test_spans_as_short_as_the_shortest_tell_nothing(gaps_s: tuple[float, ...]) -> None:
    rng = np.random.default_rng(4)
    wash, at = Wash(0.5, LASTS_S), 0.0
    for k in range(400):
        at += gaps_s[k % len(gaps_s)]
        wash.take(Sample(at, 0.3 * rng.normal(), 0.0, 0.0), 0.0, flying=True)
    assert wash.size_m < 0.35


def test_the_tied_barometer_knows_no_wash() -> None:
    belief = Belief(EstimatorConfig())
    rng = np.random.default_rng(0)
    a = rng.normal(size=(kernel.N, kernel.N))
    belief.p[:] = a @ a.T
    belief.sigma[6] = 0.9
    belief.x[kernel.X_WASH] = 0.4
    belief.tie_barometer(2.0)
    assert belief.x[kernel.X_BARO] == pytest.approx(2.4)
    assert belief.x[kernel.X_WASH] == 0.0
    p, h = belief.p, np.zeros(kernel.N)
    assert np.array_equal(p, p.T)
    h[[kernel.POS + 2, kernel.BARO, kernel.WASH]] = -1.0, 1.0, 1.0
    # what it shows next differs from this reading by its own noise alone, once for each
    assert h @ p @ h == pytest.approx(0.5**2)


@pytest.mark.parametrize(("wash_m", "least_m", "most_m"), [(0.0, 0.0, 0.2), (1.0, 0.6, 1.4)])
def test_speed_down_is_as_good_as_claimed(wash_m: float, least_m: float, most_m: float) -> None:
    errors = simulate.Errors(barometer_m=0.2, barometer_wash_m=wash_m)
    off, nees = [], []
    for seed in range(3):
        flight = simulate.fly(np.random.default_rng(seed), 50.0, errors, gnss_hz=1.0)
        estimator = Estimator()
        for sample in flight.samples:
            state = estimator.on(sample)
            if state is not None and flight.index(state.stamp_ns) > 20 * simulate.RATE_HZ:
                truth = flight.velocity[flight.index(state.stamp_ns), 2]
                off.append(state.velocity_ned_m_s[2] - truth)
                nees.append(off[-1] ** 2 / state.covariance[5, 5])
        assert least_m < estimator._sensors.height.wash.size_m < most_m
    assert np.sqrt(np.mean(np.square(off))) < 0.15
    assert np.mean(nees) < 1.5


def test_without_doppler_the_barometer_is_believed_at_least_as_claimed() -> None:
    errors = simulate.Errors(barometer_m=0.2, barometer_wash_m=1.2)
    flight = simulate.fly(np.random.default_rng(3), 50.0, errors)
    estimator, sizes = Estimator(), []
    for sample in flight.samples:
        at_s = (sample.stamp_ns - simulate.START_NS) * 1e-9
        if not (isinstance(sample, GnssFix) and at_s > 40.0):
            estimator.on(sample)
        sizes.append((at_s, float(estimator._belief.sigma[6])))
    assert min(size for at_s, size in sizes if 35.0 < at_s < 44.0) > 0.6
    assert {size for at_s, size in sizes if at_s > 46.0} == {EstimatorConfig().barometer_noise_m}


def _fast(
    suction: float, config: EstimatorConfig, until_s: float = 1e3
) -> tuple[Estimator, Array]:
    """Return the errors down [m] of a weave at up to 18 m/s in still air; GNSS ends there."""
    errors = simulate.Errors(barometer_m=0.2, barometer_suction=suction)
    flight = simulate.fly(np.random.default_rng(5), 60.0, errors, gnss_hz=1.0, size=3.0)
    estimator, off = Estimator(config), []
    for sample in flight.samples:
        at_s = (sample.stamp_ns - simulate.START_NS) * 1e-9
        if isinstance(sample, GnssFix) and at_s > until_s:
            continue
        state = estimator.on(sample)
        if state is not None and at_s > 15.0:
            k = flight.index(state.stamp_ns)
            down_m = flight.position[k, 2] - state.position_ned_m[2]
            off.append((at_s, down_m, flight.velocity[k, 2] - state.velocity_ned_m_s[2]))
    return estimator, np.array(off)


@pytest.mark.parametrize("suction", [-0.4, 0.0, 0.4])
def test_what_the_speed_takes_from_the_static_port_is_learnt(suction: float) -> None:
    estimator, off = _fast(suction, EstimatorConfig())
    assert estimator._belief.x[kernel.X_SUCTION] == pytest.approx(suction, abs=0.1)
    assert np.sqrt(np.mean(off[:, 2] ** 2)) < 0.2


@pytest.mark.parametrize(("known", "least_m", "most_m"), [(True, 0.0, 1.5), (False, 2.5, 9.0)])
def test_learnt_suction_holds_the_height_when_gnss_is_gone(
    known: bool, least_m: float, most_m: float
) -> None:
    """At 18 m/s it is 6.6 m; without the state the height would go along."""
    none = EstimatorConfig(barometer_suction_sigma=1e-6, barometer_suction_walk=1e-9)
    _, off = _fast(0.4, EstimatorConfig() if known else none, until_s=45.0)
    usual_m = off[off[:, 0] < 45.0, 1].mean()
    assert least_m < np.abs(off[off[:, 0] > 45.0, 1] - usual_m).max() < most_m
