# SPDX-License-Identifier: Apache-2.0
"""Recorded flights through estimator and monitor: real faults are found, clean flights stay clean.

These flights were at hand while the monitor was written, and some limits were set until they came
out right (``TUNED_WITH``). So they guard against regressions; they do not measure how the monitor
does on flights it has not seen. No recorded flight is held out: all were replayed before the
limits stood. Only the simulation's seeds (test_in_simulation.py) are drawn apart from them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airtwin_core.types import Deviation

SHARED = Path(__file__).resolve().parents[4] / "shared"
LOGS, RECORDINGS = SHARED / "data" / "ulog", SHARED / "px4" / "recordings"

TUNED_WITH = {
    "stamp_error_s": "stamps of the PX4 1.18 recordings",
    "velocity_step_m_s, velocity_delay_s": "SIH flights of PX4 1.18, and the simulation",
    "trim_slack, trim_limit_s, collective_share, saturated_s": "quads and octos that hover",
    "accel_bias_step_m_s2, settle before the bias reference": "all flights with GNSS",
    "5 s for slow topics": "ULogs in which status comes on change",
    "HELD_OUT": "none",
}
"""Which constants were set with which flights in view, as far as their history shows."""

pytestmark = pytest.mark.skipif(not LOGS.is_dir(), reason="no recorded flights in ../shared")


def events(path: Path) -> dict[str, list[tuple[float, Deviation]]]:
    """Return for each vehicle its deviations with their starts [s] from the first sample."""
    follow = pytest.importorskip("airtwin_record.follow")
    if path.suffix == ".mcap":
        pytest.importorskip("px4_msgs")
        from airtwin_record import mcap as reader
    else:
        from airtwin_record import ulog as reader
    found = {}
    for log in reader.read(path.read_bytes()).vehicles:
        history, _ = follow.follow(log)
        found[log.name] = sorted(
            ((history.log_s(d.start_ns), d) for d in history.deviations.values()),
            key=lambda row: row[0],
        )
    return found


@pytest.mark.parametrize(
    "path",
    [
        LOGS / "px4_v1.15_sitl_takeoff_rtl_land_events.ulg",
        RECORDINGS / "px4_1.18_sih_quad_offboard_square.mcap",
        RECORDINGS / "px4_1.18_gazebo_two_x500_offboard_square.mcap",
        RECORDINGS / "px4_1.18_sih_two_quads_wind_n6_e-3.mcap",
        RECORDINGS / "px4_1.18_sih_quad_4x_boot_time_stamps.mcap",
        LOGS / "px4_v1.11_fixedwing_takeoff_rtkgps_airspeed.ulg",
        LOGS / "px4_v1.9_quad_esc_status_loiter_rtl_decimated.ulg",
    ],
    ids=lambda path: path.stem,
)
def test_a_clean_flight_has_no_event(path):
    for vehicle, found in events(path).items():
        assert [(vehicle, s, d.cause, d.evidence) for s, d in found] == []


def test_the_barometer_stops_and_px4_resets_its_height():
    found = events(LOGS / "px4_v1.8_octo_baro_failure_in_flight.ulg")["px4_0"]
    stopped = [s for s, d in found if d.cause == "barometer stopped"]
    reset = [s for s, d in found if d.cause == "PX4 height reset"]
    assert stopped == [pytest.approx(14.4, abs=0.2)]
    assert reset == [pytest.approx(19.5, abs=0.2)]


def test_a_valid_position_without_source_is_inconsistent():
    path = LOGS / "px4_v1.17_fixedwing_ground_nogps_drift_corrupt.ulg"
    found = events(path)["px4_0"]
    assert "no absolute position source" in {d.cause for _, d in found}


def test_the_tailsitters_incident_is_found_and_its_neighbour_is_clean():
    found = events(RECORDINGS / "px4_1.18_sih_tailsitter_quadplane.mcap")
    incident = [(s, d.requirement) for s, d in found["px4_1"] if "VTOL" in d.cause]
    assert (pytest.approx(84.0, abs=0.2), "CON-MOD-1") in incident
    assert "CON-ATT-3" in {requirement for _, requirement in incident}
    assert found["px4_2"] == []


def test_lost_gnss_comes_before_the_blind_landing_that_follows_from_it():
    path = LOGS / "px4_v1.17_quad_mission_rtk_failsafe_blindland_corrupt.ulg"
    found = {d.cause: s for s, d in events(path)["px4_0"]}
    assert found["GNSS lost"] < found["autopilot failsafe"] == pytest.approx(65.4, abs=0.3)


def test_the_low_battery_of_a_quad_without_gnss():
    path = LOGS / "px4_v1.16_quad_nogps_lowbatt_failsafe.ulg"
    assert [(d.cause, s) for s, d in events(path)["px4_0"]] == [
        ("battery low", pytest.approx(77.0, abs=0.3))
    ]
