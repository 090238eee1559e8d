# SPDX-License-Identifier: Apache-2.0
"""Old names and units against what the same quantity is today."""

from __future__ import annotations

from typing import Any

import numpy as np
import px4_msgs.msg
import pytest
from made_logs import LOGS

from airtwin_core.intake import Intake
from airtwin_record import cdr_schema, px4_history, samples, ulog
from airtwin_record.flight import Table
from airtwin_ros import cdr, px4, schemas


def test_every_source_of_px4_has_a_place_in_a_log() -> None:
    assert [place.source for place in px4_history.TOPICS] == [r.source for r in px4.READERS]


def test_places_are_todays_topics() -> None:
    for place in px4_history.TOPICS:
        assert px4.reader(place.source).topic.rpartition("/")[2] == place.topic
        assert place.topic in (*place.names, "vehicle_gps_position")


def test_new_names_are_those_of_todays_messages() -> None:
    """Or those that ``px4`` reads for an older release (cs_gps) or of a flattened message."""
    beside = ("cs_gps", "esc_rpm", "esc_function")
    kinds = {place.topic: px4.reader(place.source).message for place in px4_history.TOPICS}
    for field in px4_history.FIELDS:
        message = getattr(px4_msgs.msg, kinds[field.topic])
        assert field.new in {*message.get_fields_and_field_types(), *beside}, field


def test_gnss_of_1_14_and_before() -> None:
    old = {"lat": np.array([473977419]), "lon": np.array([-85455938]), "alt": np.array([488001])}
    new = px4_history.modern("vehicle_gps_position", old)
    assert new["latitude_deg"] == pytest.approx([47.3977419], abs=1e-12)
    assert new["longitude_deg"] == pytest.approx([-8.5455938], abs=1e-12)
    assert new["altitude_msl_m"] == pytest.approx([488.001])


def test_names_of_today_stay_as_they_are() -> None:
    now = {"latitude_deg": np.array([1.0]), "lat": np.array([5])}
    assert px4_history.modern("vehicle_gps_position", now)["latitude_deg"].tolist() == [1.0]


def test_integration_time_in_seconds_becomes_microseconds() -> None:
    old = px4_history.modern("sensor_combined", {"gyro_integral_dt": np.float32([0.004])})
    assert old["gyro_integral_dt"] == pytest.approx([4000.0])
    new = px4_history.modern("sensor_combined", {"gyro_integral_dt": np.array([4000], np.uint32)})
    assert new["gyro_integral_dt"].tolist() == [4000]


def test_control_mode_flags_of_1_8() -> None:
    """0x2a5: tilt, gps, mag 3D, in air, baro height (filter_control_status_u of EKF2)."""
    flags = px4_history.modern("estimator_status_flags", {"control_mode_flags": np.array([0x2A5])})
    assert flags["cs_gps"].tolist() == [1]
    assert flags["cs_in_air"].tolist() == [1]
    assert flags["cs_baro_hgt"].tolist() == [1]
    assert flags["cs_gps_hgt"].tolist() == [0]
    assert flags["cs_mag_fault"].tolist() == [0]


def test_pwm_becomes_a_share_and_nan_where_there_is_no_motor() -> None:
    output = np.zeros((2, 16), dtype=np.float32)
    output[:, :5] = [[900, 1000, 1500, 2000, 1700], [1000, 1250, 0.3, 5000, 1700]]
    motors = px4_history.modern(
        "actuator_motors", {"output": output, "noutputs": np.array([4, 4])}
    )
    np.testing.assert_allclose(motors["control"][0, :4], [0.0, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(motors["control"][1, :2], [0.0, 0.25])
    assert np.isnan(motors["control"][1, 2:]).all()
    assert np.isnan(motors["control"][0, 4:]).all()


def test_vtol_state_of_1_12() -> None:
    old = {
        "vtol_in_rw_mode": np.array([True, False, False, False]),
        "vtol_in_trans_mode": np.array([False, True, True, False]),
        "in_transition_to_fw": np.array([False, True, False, False]),
    }
    state = px4_history.modern("vtol_vehicle_status", old)["vehicle_vtol_state"]
    assert state.tolist() == [3, 1, 2, 4]


def test_a_barometer_that_sensor_combined_repeats_counts_once() -> None:
    columns = {
        "timestamp": np.array([4000, 8000, 12000, 16000], dtype=np.uint64),
        "baro_timestamp_relative": np.array([-100, -4100, -50, 2**31 - 1], dtype=np.int32),
    }
    fresh = px4_history.fresh_rows("vehicle_air_data", columns)
    assert fresh.tolist() == [True, False, True, False]


def test_optical_flow_of_1_13_becomes_todays() -> None:
    old = {
        "timestamp": np.array([1000]),
        "pixel_flow_x_integral": np.float32([0.1]),
        "pixel_flow_y_integral": np.float32([-0.2]),
        "gyro_x_rate_integral": np.float32([0.01]),
        "gyro_y_rate_integral": np.float32([0.02]),
        "gyro_z_rate_integral": np.float32([0.03]),
        "integration_timespan": np.array([20000], np.uint32),
        "ground_distance_m": np.float32([2.5]),
        "quality": np.array([255], np.uint8),
    }
    new = px4_history.modern("vehicle_optical_flow", old)
    flow = px4.reader("flow").convert(_row(new), 5)
    np.testing.assert_allclose(flow.flow_rad, [0.1, -0.2], rtol=1e-6)
    np.testing.assert_allclose(flow.turn_frd_rad, [0.01, 0.02, 0.03], rtol=1e-6)
    assert (flow.dt_s, flow.distance_m, flow.quality) == (0.02, 2.5, 1.0)


@pytest.mark.parametrize(("old_frame", "local"), [(0, False), (1, True)])
def test_external_pose_of_1_10_becomes_todays(old_frame: int, local: bool) -> None:
    covariance = np.arange(21, dtype=np.float32)[None] + 1.0
    old = {
        "timestamp": np.array([1000]),
        "local_frame": np.array([old_frame], np.uint8),
        **{axis: np.float32([i]) for i, axis in enumerate("xyz")},
        **{axis: np.float32([i]) for i, axis in enumerate(("vx", "vy", "vz"))},
        "q": np.float32([[1, 0, 0, 0]]),
        "pose_covariance": covariance,
        "velocity_covariance": covariance,
    }
    pose = px4.reader("vision").convert(_row(px4_history.modern(_VISION, old)), 5)
    assert pose.local_frame is local
    np.testing.assert_allclose(pose.position_ned_m, [0, 1, 2])
    np.testing.assert_allclose(pose.velocity_ned_m_s, [0, 1, 2])
    np.testing.assert_allclose(pose.position_variance_m2, [1, 7, 12])
    np.testing.assert_allclose(pose.orientation_variance_rad2, [16, 19, 21])
    body = {**old, "velocity_frame": np.array([3], np.uint8)}  # 1.11 to 1.13
    pose = px4.reader("vision").convert(_row(px4_history.modern(_VISION, body)), 5)
    np.testing.assert_allclose(pose.velocity_frd_m_s, [0, 1, 2])


def test_a_pose_of_today_keeps_its_frames() -> None:
    now = {
        "timestamp": np.array([1000]),
        "pose_frame": np.array([2], np.uint8),
        "velocity_frame": np.array([3], np.uint8),
        "reset_counter": np.array([4], np.uint8),
    }
    new = px4_history.modern(_VISION, now)
    assert (new["pose_frame"][0], new["velocity_frame"][0], new["reset_counter"][0]) == (2, 3, 4)


_VISION = "vehicle_visual_odometry"


def _row(columns):
    return next(samples.rows(Table("", "", columns, np.zeros(1, np.int64))))


@pytest.mark.parametrize("kind", ["EscStatus", "VehicleOdometry", "DistanceSensor"])
def test_a_files_own_definition_lays_a_message_out_as_the_workspaces(kind: str) -> None:
    message = getattr(px4_msgs.msg, kind)
    text = schemas.text(message)
    assert cdr.layout(cdr_schema.parse(kind, text)) == cdr.layout(message)


LOGGED = {
    "px4_v1.9_quad_esc_status_loiter_rtl_decimated": {"rangefinder": 300, "rotor_speeds": 120},
    "px4_v1.11_fixedwing_takeoff_rtkgps_airspeed": {"airspeed": 50},
    "px4_v1.14_fixedwing_short_hop_dual_ekf": {"servos": 60, "airspeed": 30},
    "px4_v1.15_sitl_takeoff_rtl_land_events": {"rotor_speeds": 120},
    "px4_v1.17_fixedwing_ground_nogps_drift_corrupt": {"servos": 500, "airspeed": 300},
}


@pytest.mark.parametrize("stem", LOGGED)
def test_logs_give_the_samples_of_their_sensors(stem: str) -> None:
    path = LOGS / f"{stem}.ulg"
    if not path.exists():
        pytest.skip(f"no logs in {LOGS}")
    log = ulog.read(path.read_bytes()).vehicles[0]
    intake = Intake()
    found: dict[str, list[Any]] = {}
    for _, source, sample in samples.samples(log, intake):
        found.setdefault(source, []).append(sample)
    for source, least in LOGGED[stem].items():
        assert len(found[source]) >= least, intake.counts[source]
    for rotors in found.get("rotor_speeds", []):
        assert np.nanmax(rotors.speed_rad_s) < 1000.0
        assert len(rotors.speed_rad_s) == 4  # the simulator's fifth and sixth ESC drive no motor
    heights = [echo.distance_m for echo in found.get("rangefinder", []) if echo.valid]
    if heights:
        assert 9.0 < max(heights) < 13.0  # the flight was 10 m high
