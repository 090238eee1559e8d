# SPDX-License-Identifier: Apache-2.0
"""Is the filter as good as it says? NEES and NIS over simulated flights with assumed errors.

Source of the test: Bar-Shalom, Li, Kirubarajan, "Estimation with applications to tracking and
navigation" (2001), section 5.4.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from airtwin_core import frames
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, TwinState
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

FLIGHTS = 12
SECONDS = 25.0
# The simulator's IMU noise is white and shows in the samples, so nothing is assumed beside it.
CONFIG = EstimatorConfig(gyro_noise=1e-6, accel_noise=1e-6, gyro_bias_sigma=3e-4)
BLOCKS = {
    "position": slice(0, 3),
    "velocity": slice(3, 6),
    "attitude": slice(6, 9),
    "gyro bias": slice(9, 12),
    "accelerometer bias": slice(12, 15),
    "all": slice(0, 15),
}


def _error(flight: simulate.Flight, state: TwinState) -> Array:
    k = flight.index(state.stamp_ns)
    assert state.origin is not None
    xy = px4_to_ned(simulate.ORIGIN, state.origin.latitude_deg, state.origin.longitude_deg)
    z = simulate.ORIGIN.altitude_amsl_m - state.origin.altitude_amsl_m
    turn = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), flight.attitude[k])
    return np.concatenate(
        [
            flight.position[k] - [xy[0], xy[1], z] - state.position_ned_m,
            flight.velocity[k] - state.velocity_ned_m_s,
            frames.rotation_vector_from_quat(turn),
            flight.gyro_bias[k] - state.gyro_bias_frd_rad_s,
            flight.accel_bias[k] - state.accel_bias_frd_m_s2,
        ]
    )


@pytest.fixture(scope="module")
def flown() -> tuple[dict[str, Array], dict[str, list[float]], list[float]]:
    """Return NEES by block (flights, times), NIS by source, and errors of the GNSS delay [s]."""
    nees: dict[str, list[list[float]]] = {name: [] for name in BLOCKS}
    nis: dict[str, list[float]] = {}
    delays = []
    for seed in range(FLIGHTS):
        suction = CONFIG.barometer_suction_sigma * np.random.default_rng(200 + seed).normal()
        errors = simulate.Errors(barometer_suction=float(suction))
        flight = simulate.fly(np.random.default_rng(100 + seed), SECONDS, errors)
        estimator = Estimator(CONFIG)
        used: dict[str, int] = {}
        rows: dict[str, list[float]] = {name: [] for name in BLOCKS}
        for sample in flight.samples:
            state = estimator.on(sample)
            if state is None:
                continue
            elapsed_s = (state.stamp_ns - simulate.START_NS) * 1e-9
            for fusion in state.fusions:
                if fusion.used != used.get(fusion.source, 0) and elapsed_s > 4.0:
                    nis.setdefault(fusion.source, []).append(fusion.nis)
                used[fusion.source] = fusion.used
            if elapsed_s > 3.0 and round(elapsed_s * 50) % 40 == 0:
                error = _error(flight, state)
                for name, block in BLOCKS.items():
                    e, p = error[block], state.covariance[block, block]
                    rows[name].append(float(e @ np.linalg.solve(p, e)))
        for name in BLOCKS:
            nees[name].append(rows[name][:30])
        found = CONFIG.gnss_delay_s + float(estimator._belief.x[21])
        delays.append(found - flight.delay_s)
    return {name: np.array(v) for name, v in nees.items()}, nis, delays


@pytest.mark.parametrize("name", list(BLOCKS))
def test_nees_is_inside_its_95_percent_band(
    name: str, flown: tuple[dict[str, Array], dict[str, list[float]], list[float]]
) -> None:
    values = flown[0][name]
    dof = 15 if name == "all" else 3
    low, high = stats.chi2.ppf([0.025, 0.975], dof * FLIGHTS) / FLIGHTS
    over_flights = values.mean(axis=0)
    inside = np.mean((over_flights > low) & (over_flights < high))
    # neighbouring times are correlated, so the share scatters about 0.95 more than a binomial
    assert inside >= 0.75, f"{name}: {over_flights.round(2)} outside {low:.2f} to {high:.2f}"
    assert low < values.mean() < high


@pytest.mark.parametrize("source", ["gnss_position", "gnss_velocity", "barometer", "magnetometer"])
def test_nis_is_that_of_white_innovations(
    source: str, flown: tuple[dict[str, Array], dict[str, list[float]], list[float]]
) -> None:
    values = np.array(flown[1][source])
    dof = 3 if source.startswith("gnss") else 1
    assert len(values) > 1000
    # the compass takes the tilt's doubt as noise of its own, the barometer that of the wind, which
    # nothing shows here: on the safe side
    safe = source in ("magnetometer", "barometer")
    assert values.mean() == pytest.approx(dof, rel=0.25 if safe else 0.05)
    assert np.mean(values > stats.chi2.ppf(0.99, dof)) < 0.02


def test_gnss_delay_is_found(
    flown: tuple[dict[str, Array], dict[str, list[float]], list[float]],
) -> None:
    assert np.abs(flown[2]).max() < 0.03
    assert np.sqrt(np.mean(np.square(flown[2]))) < 0.012


def test_an_optimistic_filter_would_be_caught() -> None:
    """The test above can fail: with the errors doubled, NEES leaves its band."""
    twice = simulate.Errors(speed_m_s=0.9)
    flight = simulate.fly(np.random.default_rng(1), 15.0, twice)
    lied = [
        sample
        if not isinstance(sample, simulate.GnssFix)
        else simulate.replace(sample, speed_accuracy_m_s=0.3)
        for sample in flight.samples
    ]
    estimator = Estimator(CONFIG)
    nis = []
    for sample in lied:
        state = estimator.on(sample)
        if state is not None:
            nis.append(state.fusions[1].nis)
    assert np.nanmean(nis) > 6.0
