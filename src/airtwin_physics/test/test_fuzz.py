# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, the state stays finite and its covariance symmetric positive definite."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core.types import Attitude, Barometer, GnssFix, Imu, Magnetometer, Sample, TwinState
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

RUBBISH = (
    float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-300, 1e6, -1e12, 1e30, 1e308, 3.4e38,
)  # fmt: skip
JUMPS_NS = (0, -1, 1, -4_000_000, 200_000_000, -200_000_000, 5_000_000_000, -(10**15), 10**18)


@pytest.fixture(scope="module")
def flight() -> simulate.Flight:
    return simulate.fly(np.random.default_rng(0), 8.0)


def check(state: TwinState) -> None:
    """Fail unless the state can be used."""
    for name, value in state._asdict().items():
        if isinstance(value, np.ndarray):
            assert np.all(np.isfinite(value)), name
    p = state.covariance
    np.testing.assert_array_equal(p, p.T)
    scale = 1.0 / np.sqrt(p.diagonal())
    assert np.all(np.isfinite(scale))
    assert np.linalg.eigvalsh(p * np.outer(scale, scale)).min() > -1e-9
    assert abs(float(state.q_ned_frd @ state.q_ned_frd) - 1.0) < 1e-9


def _mutate(sample: Sample, rng: np.random.Generator) -> Sample:
    """Return the sample with one field spoilt."""
    names = [spec.name for spec in fields(sample) if spec.name != "fix_type"]
    name = str(rng.choice(names))
    value: Any = getattr(sample, name)
    if name.endswith("_ns"):
        return replace(sample, **{name: max(0, value + int(rng.choice(JUMPS_NS)))})
    if isinstance(value, np.ndarray):
        spoilt = value.copy()
        spoilt[rng.integers(len(spoilt))] = rng.choice(RUBBISH)
        return replace(sample, **{name: spoilt})
    if isinstance(value, float):
        return replace(sample, **{name: float(rng.choice(RUBBISH))})
    return sample


def _attack(samples: list[Sample], rng: np.random.Generator, share: float) -> list[Sample]:
    """Return the samples mutated, doubled, dropped and swapped."""
    out: list[Sample] = []
    for sample in samples:
        dice = rng.random()
        if dice < share:
            out.append(_mutate(sample, rng))
        elif dice < 1.3 * share:
            out += [sample, sample]
        elif dice < 1.6 * share:
            continue
        elif dice < 1.9 * share and out:
            out.insert(-1, sample)
        else:
            out.append(sample)
    return out


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_attacked_flight_keeps_a_usable_state(
    seed: int, share: float, flight: simulate.Flight
) -> None:
    rng = np.random.default_rng(seed)
    estimator = Estimator()
    seen = 0
    for sample in _attack(flight.samples, rng, share):
        state = estimator.on(sample)
        if state is not None:
            seen += 1
            if seen % 5 == 0:
                check(state)
    assert sum(estimator.imu_refused.values()) > 0
    final = estimator.state()
    assert seen > 20 or final is None
    if final is not None:
        check(final)


imus = st.builds(
    lambda rate, force, dt, clip: ("imu", rate, force, dt, clip),
    st.lists(st.floats(width=64), min_size=3, max_size=3),
    st.lists(st.floats(width=64), min_size=3, max_size=3),
    st.sampled_from([0.004, 0.001, 0.1, 0.0, -1.0, float("nan")]),
    st.booleans(),
)
others = st.tuples(
    st.sampled_from(["gnss", "barometer", "magnetometer", "attitude"]),
    st.lists(st.floats(width=64), min_size=10, max_size=10),
)


def _sample(kind: str, at: int, v: list[float]) -> Sample:
    if kind == "gnss":
        speed = None if v[9] < 0.0 else np.array(v[3:6])
        fix = int(3 + (v[9] > 1.0))
        return GnssFix(at, at, v[0], v[1], v[2], speed, v[6], v[7], v[8], fix, 9)
    if kind == "barometer":
        return Barometer(at, at, v[0])
    if kind == "magnetometer":
        return Magnetometer(at, at, np.array(v[:3]))
    return Attitude(at, at, np.array(v[:4]), 0)


@pytest.fixture(scope="module")
def warmed(flight: simulate.Flight) -> tuple[Estimator, int]:
    """Return an estimator after three good seconds, and the last stamp."""
    estimator = Estimator()
    good = [s for s in flight.samples if s.stamp_ns < simulate.START_NS + 3_000_000_000]
    for sample in good:
        estimator.on(sample)
    return estimator, good[-1].stamp_ns


@settings(max_examples=150, deadline=None, derandomize=True)
@given(items=st.lists(imus | others, max_size=30), gap=st.sampled_from([0.004, 0.3, 2.0]))
def test_any_numbers_after_a_good_start(
    items: list[Any], gap: float, warmed: tuple[Estimator, int]
) -> None:
    estimator, at = copy.deepcopy(warmed[0]), warmed[1]
    for item in items:
        at += int(gap * 1e9)
        if item[0] == "imu":
            _, rate, force, dt, clip = item
            state = estimator.on(Imu(at, at, np.array(rate), np.array(force), dt, clip))
        else:
            state = estimator.on(_sample(item[0], at, item[1]))
        if state is not None:
            check(state)


@pytest.mark.parametrize("force", [0.0, 140.0, 900.0])
def test_saturated_and_frozen_imu(force: float) -> None:
    """Thirty seconds of one and the same extreme sample."""
    estimator = Estimator()
    state = None
    for i in range(1, 7500):
        at = i * 4_000_000
        stuck = Imu(at, at, np.full(3, 34.9), np.array([force, -force, force]), 0.004, True)
        state = estimator.on(stuck) or state
    if force == 0.0:
        assert state is None  # free fall has no down to align with
    else:
        assert state is not None
        check(state)


def test_half_an_hour_without_any_aid_stay_finite() -> None:
    estimator = Estimator()
    rng = np.random.default_rng(0)
    state = None
    for i in range(1, 18_000):
        at = i * 100_000_000  # 10 Hz for half an hour
        rate, force = rng.normal(size=3) * 0.2, np.array([0.3, 0.0, -9.7]) + rng.normal(size=3)
        state = estimator.on(Imu(at, at, rate, force, 0.1)) or state
    assert state is not None
    check(state)
    assert not state.horizontal_valid
