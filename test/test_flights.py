# SPDX-License-Identifier: Apache-2.0
"""Real flights, judged by metrics. Skipped where the logs are not at hand.

Position errors against truth on all logs: test/test_bench_flights.py, by the bench's measure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.aircraft import load
from airtwin_core.types import Attitude, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_record import errors
from bench import physics_flights, physics_logs

try:
    SHARED = physics_flights.shared()
except physics_flights.NoData:
    pytest.skip("no logs at ../shared", allow_module_level=True)
LOGS = SHARED / "data" / "ulog"
SIH = SHARED / "px4" / "recordings" / "px4_1.18_sih_quad_offboard_square.ulg"


def _fly(path: Path) -> tuple[physics_flights.Flight, Estimator, list[TwinState]]:
    """Fly one log, read as replay and bench read it."""
    if not path.exists():
        pytest.skip(f"no log {path.name}")
    (flight,) = physics_flights.load(path)
    estimator = Estimator()
    return flight, estimator, physics_flights.states(estimator, flight.samples)


def test_twin_beats_px4_on_its_own_simulator_and_knows_how_good_it_is() -> None:
    flight, _, states = _fly(SIH)
    row = physics_logs.against_truth(flight)
    assert row is not None
    assert row["rmse_twin_m"] < 0.8 * row["rmse_px4_m"], row
    truth = flight.truth
    assert truth is not None
    late = states[200:]
    stamps = np.array([state.stamp_ns for state in late])
    ends = np.stack([stamps - 20_000_000, stamps + 20_000_000])
    between = errors.bridged(truth.stamp_ns, ends.ravel()).reshape(ends.shape).all(axis=0)
    before, after = (errors.truth_at(truth, end, late[-1].origin) for end in ends)
    missed = (after - before) / 0.04 - np.array([state.velocity_ned_m_s for state in late])
    nees = [
        float(error @ np.linalg.solve(state.covariance[3:6, 3:6], error))
        for state, error, known in zip(late, missed, between, strict=True)
        if known
    ]
    assert len(nees) > 1000
    # velocity, 3 degrees of freedom; SIH's Doppler claims 0.4 m/s and errs by 0.03
    assert 0.5 < np.mean(nees) < 4.5, np.mean(nees)


def test_a_height_of_the_wrong_sign_is_turned_in_the_truth_of_1_7() -> None:
    """PX4 1.7's simulators log height where down belongs; both would seem 1.2 m off."""
    flight, _, _ = _fly(LOGS / "px4_v1.7_sitl_takeoff_rtl_groundtruth.ulg")
    row = physics_logs.against_truth(flight)
    assert row is not None
    assert row["rmse_twin_m"] <= row["rmse_px4_m"] < 0.2


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
    flight, estimator, states = _fly(LOGS / name)
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
    _, _, states = _fly(LOGS / "px4_v1.16_quad_nogps_lowbatt_failsafe.ulg")
    assert not any(s.horizontal_valid for s in states)
    assert states[-1].covariance[0, 0] > 1e5
    assert max(np.linalg.norm(s.position_ned_m) for s in states) < 120.0
    assert max(np.linalg.norm(s.velocity_ned_m_s) for s in states) < 6.0


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.ulg")), ids=lambda p: p.stem)
def test_every_log_keeps_a_usable_state(path: Path) -> None:
    _, _, states = _fly(path)
    assert len(states) > 200
    for state in states[::50]:
        assert np.all(np.isfinite(state.position_ned_m))
        assert np.all(np.isfinite(state.covariance))
        scale = 1.0 / np.sqrt(state.covariance.diagonal())
        assert np.linalg.eigvalsh(state.covariance * np.outer(scale, scale)).min() > -1e-9


def test_the_file_of_sih_s_quad_gives_the_wind_of_sih_at_once() -> None:
    """SIH_WIND_N 6, SIH_WIND_E -3: the air goes to south and west by as much."""
    path = SIH.with_name("px4_1.18_sih_two_quads_wind_n6_e-3.mcap")
    if not path.exists():
        pytest.skip(f"no recording {path.name}")
    flight = physics_flights.load(path)[0]
    estimator = Estimator(aircraft=load("sihsim_quadx"))
    winds = [
        (state.stamp_ns, state.wind)
        for state in physics_flights.states(estimator, flight.samples)
        if state.wind is not None
    ]
    assert sum(wind.valid for _, wind in winds) > 0.9 * len(winds)
    errors_m_s = [
        float(np.linalg.norm(wind.velocity_ne_m_s - [-6.0, 3.0]))
        for stamp_ns, wind in winds
        if wind.valid and stamp_ns > winds[0][0] + 5_000_000_000
    ]
    assert np.median(errors_m_s) < 0.7, np.median(errors_m_s)
