# SPDX-License-Identifier: Apache-2.0
"""Real flights, judged by metrics. Skipped where the logs are not at hand.

Position errors against truth on all logs: test/test_bench_flights.py, by the bench's measure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, LocalPosition, TwinState
from airtwin_physics.estimator import Estimator

import flights  # isort: skip

SIH = flights.SHARED / "px4" / "recordings" / "px4_1.18_sih_quad_offboard_square.ulg"
pytestmark = pytest.mark.skipif(not flights.LOGS.is_dir(), reason="no logs at ../shared/data/ulog")


def _fly(path: Path) -> tuple[flights.Flight, Estimator, list[TwinState]]:
    if not path.exists():
        pytest.skip(f"no log {path.name}")
    flight = flights.load(path)
    estimator = Estimator()
    states = [s for sample in flight.samples if (s := estimator.on(sample)) is not None]
    return flight, estimator, states


def _at(times: Array, values: Array, when: Array) -> Array:
    return np.stack([np.interp(when, times, column) for column in values.T], axis=1)


def _rmse_m(flight: flights.Flight, states: list[TwinState]) -> tuple[float, float]:
    """Return the position RMSE of the twin and of PX4, at PX4's times, in PX4's frame."""
    own = [s for s in flight.samples if isinstance(s, LocalPosition)]
    when = np.array([s.stamp_ns * 1e-9 for s in own])
    px4 = np.array([s.position_ned_m for s in own])
    times = np.array([s.stamp_ns * 1e-9 for s in states])
    inside = (when > max(times[0], flight.truth[0, 0])) & (when < times[-1])
    inside &= when < flight.truth[-1, 0]
    truth = _at(flight.truth[:, 0], flight.truth[:, 1:], when[inside])
    twin = _at(times, np.array([s.position_ned_m for s in states]), when[inside])
    rms = [float(np.sqrt(((x - truth) ** 2).sum(1).mean())) for x in (twin, px4[inside])]
    return rms[0], rms[1]


def test_twin_beats_px4_on_its_own_simulator_and_knows_how_good_it_is() -> None:
    flight, _, states = _fly(SIH)
    twin, px4 = _rmse_m(flight, states)
    assert twin < 0.8 * px4, f"twin {twin:.3f} m, PX4 {px4:.3f} m"
    nees = []
    truth = flight.truth
    for state in states[200:]:
        when = np.array([state.stamp_ns * 1e-9])
        speed = (_at(truth[:, 0], truth[:, 1:], when + 0.02) - _at(
            truth[:, 0], truth[:, 1:], when - 0.02
        ))[0] / 0.04  # fmt: skip
        error = speed - state.velocity_ned_m_s
        nees.append(float(error @ np.linalg.solve(state.covariance[3:6, 3:6], error)))
    assert 1.0 < np.mean(nees) < 4.5  # velocity, 3 degrees of freedom


TILT_MAX_RAD = {
    "px4_2016_bench_no_baro_dropouts.ulg": 0.02,
    "px4_v1.6_bench_appended_sections.ulg": 0.03,
    "px4_v1.7_sitl_takeoff_rtl_groundtruth.ulg": 0.01,
    "px4_v1.8_octo_baro_failure_in_flight.ulg": 0.025,
    "px4_v1.8_octo_poor_gps_manual.ulg": 0.03,
    "px4_v1.8_sitl_accel_timeout.ulg": 0.04,
    "px4_v1.11_fixedwing_takeoff_rtkgps_airspeed.ulg": 0.02,
    "px4_v1.11_vtol_quadplane_hop.ulg": 0.01,
    "px4_v1.12_quad_ekf_filter_fault_hops.ulg": 0.03,
    "px4_v1.13_sitl_multi_ekf_groundtruth.ulg": 0.01,
    "px4_v1.14_fixedwing_short_hop_dual_ekf.ulg": 0.04,
    "px4_v1.15_sitl_takeoff_rtl_land_events.ulg": 0.01,
    "px4_v1.16_quad_nogps_lowbatt_failsafe.ulg": 0.06,
    "px4_v1.17_quad_mission_rtk_failsafe_blindland_corrupt.ulg": 0.025,
}


@pytest.mark.parametrize("name", list(TILT_MAX_RAD))
def test_attitude_agrees_with_px4s(name: str) -> None:
    """Root mean square tilt between twin and PX4, which share only the IMU."""
    flight, estimator, states = _fly(flights.LOGS / name)
    times = np.array([s.stamp_ns for s in states])
    tilt = []
    for sample in flight.samples:
        if isinstance(sample, Attitude) and times[0] <= sample.stamp_ns <= times[-1]:
            twin = states[min(int(np.searchsorted(times, sample.stamp_ns)), len(states) - 1)]
            turn = frames.quat_multiply(twin.q_ned_frd, frames.quat_conjugate(sample.q_ned_frd))
            tilt.append(np.linalg.norm(frames.rotation_vector_from_quat(turn)[:2]))
    assert np.sqrt(np.mean(np.square(tilt))) < TILT_MAX_RAD[name]
    assert not estimator.resets


def test_flight_without_gnss_stays_honest_and_near() -> None:
    """PX4 drifts to 740 m here; the quad stays within a garden."""
    _, _, states = _fly(flights.LOGS / "px4_v1.16_quad_nogps_lowbatt_failsafe.ulg")
    assert not any(s.horizontal_valid for s in states)
    assert states[-1].covariance[0, 0] > 1e5
    assert max(np.linalg.norm(s.position_ned_m) for s in states) < 120.0
    assert max(np.linalg.norm(s.velocity_ned_m_s) for s in states) < 6.0


@pytest.mark.parametrize("path", sorted(flights.LOGS.glob("*.ulg")), ids=lambda p: p.stem)
def test_every_log_keeps_a_usable_state(path: Path) -> None:
    _, _, states = _fly(path)
    assert len(states) > 200
    for state in states[::50]:
        assert np.all(np.isfinite(state.position_ned_m))
        assert np.all(np.isfinite(state.covariance))
        scale = 1.0 / np.sqrt(state.covariance.diagonal())
        assert np.linalg.eigvalsh(state.covariance * np.outer(scale, scale)).min() > -1e-9
