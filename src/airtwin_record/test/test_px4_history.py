# SPDX-License-Identifier: Apache-2.0
"""Old names and units against what the same quantity is today."""

from __future__ import annotations

import numpy as np
import px4_msgs.msg
import pytest

from airtwin_record import px4_history
from airtwin_ros import px4


def test_every_source_of_px4_has_a_place_in_a_log() -> None:
    assert [place.source for place in px4_history.TOPICS] == [r.source for r in px4.READERS]


def test_places_are_todays_topics() -> None:
    for place in px4_history.TOPICS:
        assert px4.reader(place.source).topic == f"fmu/out/{place.topic}"
        assert place.topic in (*place.names, "vehicle_gps_position")


def test_new_names_are_those_of_todays_messages() -> None:
    """Or those that ``px4`` reads for an older release (cs_gps)."""
    kinds = {place.topic: px4.reader(place.source).message for place in px4_history.TOPICS}
    for field in px4_history.FIELDS:
        message = getattr(px4_msgs.msg, kinds[field.topic])
        assert field.new in {*message.get_fields_and_field_types(), "cs_gps"}, field


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
