# SPDX-License-Identifier: Apache-2.0
"""PX4's messages at the border: what is right goes through, what is broken is named."""

import dataclasses
import math
import random
from collections import Counter

import numpy as np
import px4_msgs.msg
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from airtwin_core import types as t
from airtwin_core.intake import Intake
from airtwin_ros import px4, px4_commands

NAN3 = (np.nan, np.nan, np.nan)
NOW_NS = 1_700_000_000_000_000_000
SAMPLE_US = NOW_NS // 1000 - 5000

GOOD = {
    "VehicleOdometry": {"pose_frame": 1, "velocity_frame": 1, "q": (1.0, 0.0, 0.0, 0.0)},
    "DistanceSensor": {
        "orientation": 25,
        "current_distance": 4.5,
        "min_distance": 0.1,
        "max_distance": 40.0,
        "signal_quality": -1,
    },
    "VehicleOpticalFlow": {
        "pixel_flow": (0.01, -0.02),
        "delta_angle": (0.001, 0.002, np.nan),
        "integration_timespan_us": 20_000,
        "quality": 204,
        "distance_m": np.nan,
    },
    "EscStatus": {
        "esc_count": 4,
        "esc_online_flags": 0b1101,
        "esc": [
            px4_msgs.msg.EscReport(esc_rpm=6000 + i, actuator_function=function)
            for i, function in enumerate((102, 101, 104, 103, *[0] * 8))
        ],
    },
    "AirspeedValidated": {"airspeed_source": 1, "true_airspeed_m_s": 14.0},
    "VehicleAttitude": {"q": (0.5, 0.5, -0.5, 0.5)},
    "VehicleLocalPosition": {
        "xy_valid": True,
        "z_valid": True,
        "v_xy_valid": True,
        "v_z_valid": True,
        "xy_global": True,
        "z_global": True,
        "x": 1.0,
        "y": 2.0,
        "z": -3.0,
        "ref_lat": 47.4,
        "ref_lon": 8.5,
        "ref_alt": 488.0,
    },
    "SensorCombined": {
        "gyro_integral_dt": 4000,
        "gyro_rad": (0.1, 0.2, 0.3),
        "accelerometer_m_s2": (0.0, 0.0, -9.8),
    },
    "SensorGps": {
        "fix_type": 3,
        "latitude_deg": 47.4,
        "longitude_deg": 8.5,
        "altitude_msl_m": 488.0,
        "vel_ned_valid": True,
        "vel_n_m_s": 1.0,
        "eph": 0.9,
    },
    "VehicleMagnetometer": {"magnetometer_ga": (0.2, 0.0, 0.4)},
    "VehicleAirData": {"baro_alt_meter": 490.0},
    "BatteryStatus": {"voltage_v": 15.9, "current_a": -1.0, "remaining": 0.8},
    "VehicleStatus": {"arming_state": 2, "nav_state": 14},
}


def message(name, **fields):
    msg = getattr(px4_msgs.msg, name)()
    msg.timestamp = SAMPLE_US
    if hasattr(msg, "timestamp_sample"):
        msg.timestamp_sample = SAMPLE_US
    for field, value in (GOOD.get(name, {}) | fields).items():
        setattr(msg, field, value)
    return msg


def read(source, **fields):
    reader = px4.reader(source)
    return reader.convert(message(reader.message, **fields), NOW_NS)


@pytest.mark.parametrize("source", [r.source for r in px4.READERS])
def test_a_good_message_goes_through_with_both_times(source):
    sample = read(source)
    assert sample.stamp_ns == SAMPLE_US * 1000
    assert sample.received_ns == NOW_NS


def test_values_arrive_in_si_and_ned():
    body = (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))  # looks east
    odometry = read("odometry", q=body, velocity_frame=3, velocity=(2.0, 0.0, 0.0))
    np.testing.assert_allclose(odometry.velocity_ned_m_s, [0.0, 2.0, 0.0], atol=1e-6)
    assert math.isnan(read("battery").current_a)
    assert read("gnss", fix_type=1, latitude_deg=0.0).velocity_ned_m_s is None
    assert read("position").origin.altitude_amsl_m == pytest.approx(488.0)
    assert read("position", z_global=False).origin is None
    assert read("status").armed
    assert read("battery").temperature_c != read("battery").temperature_c  # 0: not measured
    assert read("battery", temperature=21.5).temperature_c == 21.5


def test_a_gnss_heading_is_the_bodys_and_says_where_its_antennas_are():
    fix = read("gnss", heading=1.0, heading_offset=0.5, heading_accuracy=0.02)
    assert (fix.heading_rad, fix.antenna_yaw_frd_rad) == pytest.approx((1.0, 0.5))
    assert fix.heading_accuracy_rad == pytest.approx(0.02)
    for none in (np.nan, 0.0, -0.0):
        one = read("gnss", heading=none, heading_offset=none)
        assert math.isnan(one.heading_rad)
        assert one.antenna_yaw_frd_rad == 0.0
    assert read("gnss", heading=1e-6).heading_rad == pytest.approx(1e-6)


def test_an_imu_says_that_it_was_calibrated_anew():
    counts = {"accel_calibration_count": 3, "gyro_calibration_count": 2}
    numbers = {read("imu", **{name: n}).calibration for name, n in counts.items()}
    assert len(numbers | {read("imu").calibration}) == 3


def test_a_fix_says_where_its_antenna_is():
    arm = read("gnss", antenna_offset_x=0.3, antenna_offset_z=-0.2).antenna_frd_m
    np.testing.assert_allclose(arm, [0.3, 0.0, -0.2])
    assert read("gnss").antenna_frd_m is None
    with pytest.raises(px4.BadMessage):
        read("gnss", antenna_offset_y=300.0)
    with pytest.raises(px4.BadMessage):
        read("gnss", antenna_offset_x=0.3, antenna_offset_y=np.nan)


@pytest.mark.parametrize("source", [-1, 0, 4])
def test_an_airspeed_that_no_sensor_measured_is_none(source):
    assert math.isnan(read("airspeed", airspeed_source=source).true_airspeed_m_s)
    assert read("airspeed", airspeed_source=2).true_airspeed_m_s == 14.0


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({}, True),
        ({"current_distance": 0.05}, False),
        ({"current_distance": 41.0}, False),
        ({"current_distance": -0.1, "min_distance": 0.0, "max_distance": 0.0}, False),
        ({"signal_quality": 0}, False),
        ({"signal_quality": 40}, True),
        ({"mode": 2}, False),
        ({"min_distance": 0.0, "max_distance": 0.0}, True),
    ],
)
def test_a_rangefinder_says_itself_whether_its_echo_counts(fields, valid):
    sample = read("rangefinder", **fields)
    assert sample.valid is valid
    assert math.isnan(sample.variance_m2)
    assert read("rangefinder", variance=0.04).variance_m2 == pytest.approx(0.04)


def test_optical_flow_keeps_px4s_angles_and_its_limits():
    flow = read("flow", min_ground_distance=0.08, max_ground_distance=30.0)
    np.testing.assert_allclose(flow.flow_rad, [0.01, -0.02], atol=1e-7)
    np.testing.assert_allclose(flow.turn_frd_rad[:2], [0.001, 0.002], atol=1e-7)
    assert (flow.dt_s, flow.quality) == pytest.approx((0.02, 0.8))
    assert (flow.nearest_m, flow.farthest_m) == pytest.approx((0.08, 30.0))
    assert math.isnan(flow.distance_m)
    assert read("flow").farthest_m == math.inf


def test_rotor_speeds_come_in_the_order_of_the_motors_and_nan_where_an_esc_is_silent():
    rotors = read("rotor_speeds").speed_rad_s * 60.0 / (2.0 * np.pi)
    np.testing.assert_allclose(rotors, [np.nan, 6000.0, 6003.0, 6002.0])
    assert read("servos", control=[0.5, -1.0] + [np.nan] * 13).control[1] == -1.0


def test_an_external_pose_is_what_of_it_is_there():
    pose = read("vision", pose_frame=2, velocity_frame=3, velocity=(1.0, 0.0, 0.0))
    assert pose.local_frame
    assert pose.velocity_ned_m_s is None
    np.testing.assert_allclose(pose.velocity_frd_m_s, [1.0, 0.0, 0.0])
    assert np.isnan(pose.position_variance_m2).all()  # 0 says nothing
    speed = read(
        "mocap",
        pose_frame=0,
        position=NAN3,
        q=(np.nan, 0.0, 0.0, 0.0),
        velocity_variance=(0.01, 0.01, 0.04),
    )
    assert (speed.position_ned_m, speed.q_ned_frd, speed.source) == (None, None, "mocap")
    np.testing.assert_allclose(speed.velocity_variance_m2_s2, [0.01, 0.01, 0.04], rtol=1e-6)
    assert not speed.local_frame


@pytest.mark.parametrize(
    ("source", "fields", "cause"),
    [
        ("odometry", {"pose_frame": 2}, "pose frame is not NED"),
        ("odometry", {"velocity_frame": 2}, "velocity frame is neither NED nor body"),
        ("odometry", {"q": (0.0, 0.0, 0.0, 0.0)}, "attitude is not a unit quaternion"),
        ("odometry", {"position": (np.nan, 0.0, 0.0)}, "position is not finite"),
        ("odometry", {"position_variance": (-1.0, 0.0, 0.0)}, "variance is negative"),
        ("attitude", {"q": (np.inf, 0.0, 0.0, 0.0)}, "attitude is not finite"),
        ("imu", {"gyro_rad": (0.0, np.nan, 0.0)}, "angular rate is not finite"),
        ("imu", {"accelerometer_m_s2": (1e9, 0.0, 0.0)}, "specific force is impossible"),
        ("imu", {"gyro_integral_dt": 0}, "integration time is impossible"),
        ("gnss", {"latitude_deg": 91.0}, "latitude is impossible"),
        ("gnss", {"longitude_deg": np.nan}, "longitude is not finite"),
        ("position", {"x": np.nan}, "position is not finite"),
        ("position", {"delta_z": np.inf}, "height reset is not finite"),
        ("position", {"delta_xy": (1e9, 0.0)}, "position reset is impossible"),
        ("position", {"ref_lat": np.nan}, "origin is no place on Earth"),
        ("barometer", {"baro_alt_meter": np.inf}, "pressure altitude is not finite"),
        ("magnetometer", {"magnetometer_ga": (0.0, 0.0, 0.0)}, "magnetic field is zero"),
        ("battery", {"voltage_v": 1e30}, "battery voltage is impossible"),
        ("battery", {"current_a": np.inf}, "battery current is impossible"),
        ("position", {"heading": 1e9}, "heading is impossible"),
        ("flow", {"delta_angle": (np.nan, 1e9, 0.0)}, "turn of the flow sensor is impossible"),
        ("imu", {"timestamp": 0}, "time stamp is zero"),
        ("imu", {"timestamp": 2**62}, "time stamp is impossible"),
        ("timesync", {"estimated_offset": 2**62}, "offset between the clocks is impossible"),
        ("timesync", {"estimated_offset": -(2**62)}, "offset between the clocks is impossible"),
        ("rangefinder", {"orientation": 0}, "rangefinder does not face down"),
        ("rangefinder", {"current_distance": np.nan}, "distance is not finite"),
        ("flow", {"integration_timespan_us": 0}, "integration time is impossible"),
        ("flow", {"pixel_flow": (np.nan, 0.0)}, "optical flow is not finite"),
        ("flow", {"pixel_flow": (3.0, 0.0)}, "optical flow is impossible"),
        ("flow", {"max_flow_rate": 0.5}, "optical flow is faster than its sensor can tell"),
        ("flow", {"delta_angle": (9.0, 0.0, 0.0)}, "turn of the flow sensor is impossible"),
        ("gnss", {"heading": 9.0}, "GNSS heading is impossible"),
        ("servos", {"control": [2.0] * 15}, "servo command is impossible"),
        ("rotor_speeds", {"esc_count": 0}, "no ESC reports its speed"),
        ("vision", {"pose_frame": 0}, "pose frame is neither NED nor FRD"),
        ("vision", {"velocity_frame": 0}, "velocity frame is unknown"),
        ("vision", {"velocity_frame": 2}, "pose and velocity are in different frames"),
        ("vision", {"position": (0.0, np.nan, 0.0)}, "position is not finite"),
        ("vision", {"q": (0.0, 0.0, 0.0, 0.0)}, "attitude is not a unit quaternion"),
        ("vision", {"position_variance": (-1.0, 1.0, 1.0)}, "variance is negative"),
        ("mocap", {"quality": -1}, "the source of the pose says that it failed"),
        (
            "mocap",
            {"position": NAN3, "velocity": NAN3, "q": (np.nan, 0.0, 0.0, 0.0)},
            "nothing in the external pose",
        ),
    ],
)
def test_a_broken_message_is_refused_with_its_cause(source, fields, cause):
    with pytest.raises(px4.BadMessage) as refusal:
        read(source, **fields)
    assert refusal.value.cause == cause


def test_an_accuracy_of_infinity_is_a_claim_and_zero_is_none():
    assert read("position", eph=np.inf).eph_m == np.inf
    assert np.isnan(read("position", eph=0.0).eph_m)


def test_position_that_px4_calls_invalid_may_be_nan():
    assert not read("position", xy_valid=False, x=np.nan).xy_valid


def test_topic_carries_the_version_of_its_message():
    assert px4.topic("fmu/out/vehicle_status", px4_msgs.msg.VehicleStatus).endswith("_v4")
    assert px4.topic("fmu/out/sensor_combined", px4_msgs.msg.SensorCombined).endswith("combined")


INTEGER_LIMIT = {f"{sign}int{bits}": bits for bits in (8, 16, 32, 64) for sign in ("", "u")}


def mutate(msg, rng):
    """Set one field to something that a broken vehicle might send."""
    field, kind = rng.choice(list(msg.get_fields_and_field_types().items()))
    base = kind.split("[")[0]
    if base in ("float", "double"):
        largest = 3e38 if base == "float" else 1e300
        value = rng.choice([math.nan, math.inf, -math.inf, largest, -largest, 1e9, -1.0, 0.0])
    elif base == "boolean":
        value = rng.random() < 0.5
    elif base not in INTEGER_LIMIT:  # a message inside
        mutate(rng.choice(getattr(msg, field)), rng)
        return
    else:
        bits = INTEGER_LIMIT[base]
        low, high = (
            (0, 2**bits - 1) if base[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        value = rng.choice([low, high, rng.randint(low, high), min(high, 1)])
    if "[" in kind:
        array = getattr(msg, field)
        array[rng.randrange(len(array))] = value
    else:
        setattr(msg, field, value)


def test_ten_thousand_mutated_messages_crash_nothing_and_each_refusal_is_counted():
    rng = random.Random(7)
    intake = Intake()
    refused: Counter[str] = Counter()
    for i in range(10_000):
        reader = rng.choice(px4.READERS)
        msg = message(reader.message)
        msg.timestamp = SAMPLE_US + 100 * i
        if hasattr(msg, "timestamp_sample"):
            msg.timestamp_sample = msg.timestamp
        for _ in range(rng.randint(1, 3)):
            mutate(msg, rng)
        try:
            sample = reader.convert(msg, NOW_NS + 100_000 * i)
        except px4.BadMessage as error:
            intake.reject(reader.source, error.cause)
            refused[error.cause] += 1
        else:
            intake.admit(reader.source, sample)
    counted: Counter[str] = Counter()
    for by_cause in intake.counts.values():
        counted.update(by_cause)
    assert sum(counted.values()) == 10_000
    assert all(counted[cause] == n for cause, n in refused.items())
    assert counted["used"] > 5_000  # most fields are none of the twin's business
    assert len(refused) > 12


def test_external_odometry_is_what_px4_reads():
    """The reader of odometry reads the same message when PX4 sends it: frames and order agree."""
    pose = t.ExternalPose(
        5_000_000,
        6_000_000,
        np.array([1.0, -2.0, 3.0]),
        np.array([0.5, 0.25, -0.125]),
        np.array([0.5, 0.5, 0.5, 0.5]),
        np.array([0.25, 0.5, 1.0]),
        np.array([0.0625, 0.125, 0.5]),
        np.array([0.25, 0.25, 0.5]),
        local_frame=False,
        reset_counter=7,
    )
    msg = px4_commands.odometry_msg(pose, quality=80, stamp_us=9_000)
    assert np.isnan(msg.angular_velocity).all()
    msg.angular_velocity = np.zeros(3, dtype=np.float32)  # PX4's own odometry has one
    back = px4.reader("odometry").convert(
        deserialize_message(serialize_message(msg), type(msg)), 6_000_000
    )
    assert back.stamp_ns == pose.stamp_ns
    assert np.array_equal(back.position_ned_m, pose.position_ned_m)
    assert np.array_equal(back.velocity_ned_m_s, pose.velocity_ned_m_s)
    assert np.array_equal(back.q_ned_frd, pose.q_ned_frd)
    assert np.array_equal(back.position_variance_m2, pose.position_variance_m2)
    assert np.array_equal(back.velocity_variance_m2_s2, pose.velocity_variance_m2_s2)
    assert np.array_equal(back.orientation_variance_rad2, pose.orientation_variance_rad2)
    assert (back.reset_counter, msg.quality, msg.timestamp) == (7, 80, 9_000)
    without = dataclasses.replace(pose, position_ned_m=None, q_ned_frd=None, local_frame=True)
    msg = px4_commands.odometry_msg(without, quality=1, stamp_us=0)
    assert np.isnan(msg.position).all()
    assert np.isnan(msg.q).all()
    assert (msg.pose_frame, msg.velocity_frame) == (msg.POSE_FRAME_FRD, msg.VELOCITY_FRAME_FRD)
