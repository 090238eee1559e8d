# SPDX-License-Identifier: Apache-2.0
"""The one module that reads PX4's messages: frame, unit and range checked, then AirTwin's types.

Each function takes any object with the attributes of the PX4 v1.18 message (a message of rclpy,
a row of a log) and the time of arrival, and raises ``BadMessage`` with the cause. Fields that
releases before 1.18 lack are read with a default. No middleware is imported here: replay uses
the same functions as the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.types import (
    Airspeed,
    Array,
    Attitude,
    Barometer,
    Battery,
    CommandAck,
    EstimatorFlags,
    GnssFix,
    HomePosition,
    Imu,
    LandDetected,
    LocalPosition,
    Magnetometer,
    MotorCommands,
    Odometry,
    Origin,
    Sample,
    Timesync,
    VehicleStatus,
    VtolState,
)

POSE_FRAME_NED = 1
ARMING_STATE_ARMED = 2
FIX_2D = 2

# Beyond these a value is a broken message, not a manoeuvre.
RATE_MAX_RAD_S = 100.0  # consumer gyroscopes saturate at 35 rad/s
SPECIFIC_FORCE_MAX_M_S2 = 1000.0  # and accelerometers at 314 m/s^2
SPEED_MAX_M_S = 1000.0
POSITION_MAX_M = 1.0e7
FIELD_MAX_GAUSS = 50.0
ALTITUDE_MAX_M = 1.0e5
VOLTAGE_MAX_V = 2000.0
ANGLE_MAX_RAD = 7.0  # a full turn, and some


class BadMessage(ValueError):
    """A message that the twin must not use. ``cause`` is constant per kind: it is counted."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause


def _vector(value: Any, limit: float, what: str) -> Array:
    array = np.array(value, dtype=np.float64)
    size = float(array @ array)
    if not size <= limit * limit:  # NaN fails too
        _refuse(array, what)
    return array


def _scalar(value: Any, limit: float, what: str) -> float:
    number = float(value)
    if not abs(number) <= limit:
        _refuse(number, what)
    return number


def _refuse(value: Any, what: str) -> None:
    if not np.all(np.isfinite(value)):
        raise BadMessage(f"{what} is not finite", str(value))
    raise BadMessage(f"{what} is impossible", str(value))


def _quaternion(value: Any) -> Array:
    q = np.array(value, dtype=np.float64)
    length2 = float(q @ q)
    if not np.isfinite(length2):
        raise BadMessage("attitude is not finite", str(q))
    if abs(length2 - 1.0) > 0.02:
        raise BadMessage("attitude is not a unit quaternion", str(q))
    return frames.quat_normalise(q)


def _stamp_ns(msg: Any) -> int:
    sample_us = int(getattr(msg, "timestamp_sample", 0))
    stamp_us = sample_us or int(msg.timestamp)
    if stamp_us <= 0:
        raise BadMessage("time stamp is zero")
    if stamp_us > 2**62 // 1000:
        raise BadMessage("time stamp is impossible", str(stamp_us))
    return stamp_us * 1000


def _positive_or_nan(value: Any) -> float:
    """Return a claimed accuracy: infinite is a claim ("I know nothing"), zero or less is none."""
    number = float(value)
    return number if number > 0.0 else float("nan")


def imu(msg: Any, received_ns: int) -> Imu:
    """SensorCombined: one averaged sample of the primary IMU."""
    clipping = int(getattr(msg, "accelerometer_clipping", 0)) | int(
        getattr(msg, "gyro_clipping", 0)
    )
    dt_s = float(msg.gyro_integral_dt) * 1e-6
    if not 0.0 < dt_s < 1.0:
        raise BadMessage("integration time is impossible", f"{dt_s} s")
    return Imu(
        _stamp_ns(msg),
        received_ns,
        _vector(msg.gyro_rad, RATE_MAX_RAD_S, "angular rate"),
        _vector(msg.accelerometer_m_s2, SPECIFIC_FORCE_MAX_M_S2, "specific force"),
        dt_s,
        clipping != 0,
    )


def gnss(msg: Any, received_ns: int) -> GnssFix:
    """SensorGps. Without a fix the coordinates are NaN whatever the receiver put there."""
    stamp_ns = _stamp_ns(msg)
    fix_type = int(msg.fix_type)
    latitude, longitude = float(msg.latitude_deg), float(msg.longitude_deg)
    altitude = float(msg.altitude_msl_m)
    velocity: Array | None = None
    if fix_type < FIX_2D:
        latitude = longitude = altitude = float("nan")
    else:
        _scalar(latitude, 90.0, "latitude")
        _scalar(longitude, 180.0, "longitude")
        _scalar(altitude, ALTITUDE_MAX_M, "altitude")
        if latitude == 0.0 and longitude == 0.0:
            raise BadMessage("coordinates are zero although the receiver claims a fix")
        if msg.vel_ned_valid:
            velocity = _vector(
                (msg.vel_n_m_s, msg.vel_e_m_s, msg.vel_d_m_s), SPEED_MAX_M_S, "GNSS velocity"
            )
    return GnssFix(
        stamp_ns,
        received_ns,
        latitude,
        longitude,
        altitude,
        velocity,
        _positive_or_nan(msg.eph),
        _positive_or_nan(msg.epv),
        _positive_or_nan(msg.s_variance_m_s),
        fix_type,
        int(msg.satellites_used),
    )


def barometer(msg: Any, received_ns: int) -> Barometer:
    """VehicleAirData."""
    altitude = _scalar(msg.baro_alt_meter, ALTITUDE_MAX_M, "pressure altitude")
    return Barometer(_stamp_ns(msg), received_ns, altitude)


def magnetometer(msg: Any, received_ns: int) -> Magnetometer:
    """VehicleMagnetometer."""
    field = _vector(msg.magnetometer_ga, FIELD_MAX_GAUSS, "magnetic field")
    if not field.any():
        raise BadMessage("magnetic field is zero")
    return Magnetometer(_stamp_ns(msg), received_ns, field)


def airspeed(msg: Any, received_ns: int) -> Airspeed:
    """AirspeedValidated; NaN is PX4's way to say that there is none."""
    speed = float(msg.true_airspeed_m_s)
    if abs(speed) > SPEED_MAX_M_S:
        raise BadMessage("airspeed is impossible", str(speed))
    return Airspeed(_stamp_ns(msg), received_ns, speed)


def motors(msg: Any, received_ns: int) -> MotorCommands:
    """ActuatorMotors; NaN marks a motor that does not exist or is stopped."""
    control = np.array(msg.control, dtype=np.float64)
    if np.any(np.abs(control) > 1.001):
        raise BadMessage("motor command is impossible", str(control))
    return MotorCommands(_stamp_ns(msg), received_ns, control)


def attitude(msg: Any, received_ns: int) -> Attitude:
    """VehicleAttitude."""
    resets = int(getattr(msg, "quat_reset_counter", 0))
    return Attitude(_stamp_ns(msg), received_ns, _quaternion(msg.q), resets)


def local_position(msg: Any, received_ns: int) -> LocalPosition:
    """VehicleLocalPosition; what PX4 calls invalid may be NaN, what it calls valid may not."""
    position = np.array((msg.x, msg.y, msg.z), dtype=np.float64)
    velocity = np.array((msg.vx, msg.vy, msg.vz), dtype=np.float64)
    xy_valid, z_valid = bool(msg.xy_valid), bool(msg.z_valid)
    v_xy_valid, v_z_valid = bool(msg.v_xy_valid), bool(msg.v_z_valid)
    if xy_valid:
        _vector(position[:2], POSITION_MAX_M, "position")
    if z_valid:
        _scalar(position[2], POSITION_MAX_M, "height")
    if v_xy_valid:
        _vector(velocity[:2], SPEED_MAX_M_S, "velocity")
    if v_z_valid:
        _scalar(velocity[2], SPEED_MAX_M_S, "vertical velocity")
    delta_xy = np.array(getattr(msg, "delta_xy", (0.0, 0.0)), dtype=np.float64)
    delta_z = float(getattr(msg, "delta_z", 0.0))
    delta_heading = float(getattr(msg, "delta_heading", 0.0))
    _vector(delta_xy, POSITION_MAX_M, "position reset")
    _scalar(delta_z, POSITION_MAX_M, "height reset")
    _scalar(delta_heading, ANGLE_MAX_RAD, "heading reset")
    return LocalPosition(
        _stamp_ns(msg),
        received_ns,
        position,
        velocity,
        float(msg.heading),
        xy_valid,
        z_valid,
        v_xy_valid,
        v_z_valid,
        _origin(msg),
        _positive_or_nan(getattr(msg, "eph", np.nan)),
        _positive_or_nan(getattr(msg, "epv", np.nan)),
        _positive_or_nan(getattr(msg, "evh", np.nan)),
        _positive_or_nan(getattr(msg, "evv", np.nan)),
        bool(getattr(msg, "dead_reckoning", False)),
        int(getattr(msg, "xy_reset_counter", 0)),
        int(getattr(msg, "z_reset_counter", 0)),
        int(getattr(msg, "vxy_reset_counter", 0)),
        int(getattr(msg, "vz_reset_counter", 0)),
        int(getattr(msg, "heading_reset_counter", 0)),
        delta_xy,
        delta_z,
        delta_heading,
    )


def _origin(msg: Any) -> Origin | None:
    """PX4's origin, None until it has one in all three axes."""
    if not (msg.xy_global and msg.z_global):
        return None
    latitude, longitude, altitude = float(msg.ref_lat), float(msg.ref_lon), float(msg.ref_alt)
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0 and abs(altitude) <= ALTITUDE_MAX_M):
        raise BadMessage("origin is no place on Earth", f"{latitude} {longitude} {altitude}")
    return Origin(latitude, longitude, altitude)


def odometry(msg: Any, received_ns: int) -> Odometry:
    """VehicleOdometry: pose in NED, velocity in NED or body FRD (turned to NED)."""
    if int(msg.pose_frame) != POSE_FRAME_NED:
        raise BadMessage("pose frame is not NED", f"pose_frame {int(msg.pose_frame)}")
    q = _quaternion(msg.q)
    velocity = _vector(msg.velocity, SPEED_MAX_M_S, "velocity")
    velocity_frame = int(msg.velocity_frame)
    if velocity_frame == 3:
        velocity = frames.rotation_from_quat(q) @ velocity
    elif velocity_frame != 1:
        raise BadMessage(
            "velocity frame is neither NED nor body", f"velocity_frame {velocity_frame}"
        )
    position_variance = _variance(msg, "position_variance")
    velocity_variance = _variance(msg, "velocity_variance")
    orientation_variance = _variance(msg, "orientation_variance")
    return Odometry(
        _stamp_ns(msg),
        received_ns,
        _vector(msg.position, POSITION_MAX_M, "position"),
        velocity,
        q,
        _vector(msg.angular_velocity, RATE_MAX_RAD_S, "angular rate"),
        position_variance,
        velocity_variance,
        orientation_variance,
        int(msg.reset_counter),
    )


def _variance(msg: Any, field: str) -> Array:
    variance = np.array(getattr(msg, field, (np.nan,) * 3), dtype=np.float64)
    if (variance < 0.0).any():
        raise BadMessage("variance is negative", f"{field} {variance}")
    return variance


def status(msg: Any, received_ns: int) -> VehicleStatus:
    """VehicleStatus."""
    return VehicleStatus(
        _stamp_ns(msg),
        received_ns,
        int(msg.arming_state) == ARMING_STATE_ARMED,
        int(msg.nav_state),
        bool(msg.failsafe),
        int(getattr(msg, "vehicle_type", 0)),
        bool(getattr(msg, "is_vtol", False)),
        bool(getattr(msg, "in_transition_mode", False)),
        int(getattr(msg, "system_id", 0)),
        bool(getattr(msg, "pre_flight_checks_pass", False)),
    )


def vtol(msg: Any, received_ns: int) -> VtolState:
    """VtolVehicleStatus."""
    return VtolState(
        _stamp_ns(msg),
        received_ns,
        int(msg.vehicle_vtol_state),
        bool(getattr(msg, "fixed_wing_system_failure", False)),
    )


def land_detected(msg: Any, received_ns: int) -> LandDetected:
    """VehicleLandDetected."""
    return LandDetected(
        _stamp_ns(msg),
        received_ns,
        bool(msg.landed),
        bool(getattr(msg, "maybe_landed", msg.landed)),
        bool(getattr(msg, "ground_contact", msg.landed)),
        bool(getattr(msg, "freefall", False)),
    )


def battery(msg: Any, received_ns: int) -> Battery:
    """BatteryStatus; PX4's -1 for a current that is not measured becomes NaN."""
    voltage = float(msg.voltage_v)
    if abs(voltage) > VOLTAGE_MAX_V:
        raise BadMessage("battery voltage is impossible", str(voltage))
    current = float(msg.current_a)
    remaining = float(msg.remaining)
    return Battery(
        _stamp_ns(msg),
        received_ns,
        voltage if voltage > 0.0 else float("nan"),
        current if current >= 0.0 else float("nan"),
        remaining if 0.0 <= remaining <= 1.0 else float("nan"),
        int(getattr(msg, "warning", 0)),
    )


def estimator_flags(msg: Any, received_ns: int) -> EstimatorFlags:
    """EstimatorStatusFlags of 1.12 to 1.18; ``cs_gps`` became ``cs_gnss_pos``, ``cs_gnss_vel``."""
    position = bool(getattr(msg, "cs_gnss_pos", getattr(msg, "cs_gps", False)))
    return EstimatorFlags(
        _stamp_ns(msg),
        received_ns,
        position,
        bool(getattr(msg, "cs_gnss_vel", position)),
        bool(msg.cs_baro_hgt),
        bool(msg.cs_gps_hgt),
        bool(getattr(msg, "cs_baro_fault", False)),
        bool(getattr(msg, "cs_gnss_fault", False)),
        bool(getattr(msg, "cs_mag_fault", False)),
        bool(msg.cs_in_air),
        bool(getattr(msg, "cs_inertial_dead_reckoning", False)),
    )


def timesync(msg: Any, received_ns: int) -> Timesync:
    """TimesyncStatus."""
    return Timesync(
        _stamp_ns(msg),
        received_ns,
        int(msg.estimated_offset) * 1000,
        float(msg.round_trip_time) * 1e-6,
    )


def home(msg: Any, received_ns: int) -> HomePosition:
    """HomePosition."""
    return HomePosition(
        _stamp_ns(msg),
        received_ns,
        _scalar(msg.lat, 90.0, "latitude"),
        _scalar(msg.lon, 180.0, "longitude"),
        _scalar(msg.alt, ALTITUDE_MAX_M, "altitude"),
    )


def ack(msg: Any, received_ns: int) -> CommandAck:
    """VehicleCommandAck."""
    return CommandAck(_stamp_ns(msg), received_ns, int(msg.command), int(msg.result))


@dataclass(frozen=True, slots=True)
class Reader:
    """One PX4 topic: what it is called, its message, what it becomes."""

    source: str
    topic: str
    message: str
    convert: Callable[[Any, int], Sample]


READERS: tuple[Reader, ...] = (
    Reader("imu", "fmu/out/sensor_combined", "SensorCombined", imu),
    Reader("gnss", "fmu/out/vehicle_gps_position", "SensorGps", gnss),
    Reader("barometer", "fmu/out/vehicle_air_data", "VehicleAirData", barometer),
    Reader("magnetometer", "fmu/out/vehicle_magnetometer", "VehicleMagnetometer", magnetometer),
    Reader("airspeed", "fmu/out/airspeed_validated", "AirspeedValidated", airspeed),
    Reader("motors", "fmu/out/actuator_motors", "ActuatorMotors", motors),
    Reader("attitude", "fmu/out/vehicle_attitude", "VehicleAttitude", attitude),
    Reader("position", "fmu/out/vehicle_local_position", "VehicleLocalPosition", local_position),
    Reader("odometry", "fmu/out/vehicle_odometry", "VehicleOdometry", odometry),
    Reader("status", "fmu/out/vehicle_status", "VehicleStatus", status),
    Reader("vtol", "fmu/out/vtol_vehicle_status", "VtolVehicleStatus", vtol),
    Reader("land_detected", "fmu/out/vehicle_land_detected", "VehicleLandDetected", land_detected),
    Reader("battery", "fmu/out/battery_status", "BatteryStatus", battery),
    Reader("flags", "fmu/out/estimator_status_flags", "EstimatorStatusFlags", estimator_flags),
    Reader("timesync", "fmu/out/timesync_status", "TimesyncStatus", timesync),
    Reader("home", "fmu/out/home_position", "HomePosition", home),
    Reader("ack", "fmu/out/vehicle_command_ack", "VehicleCommandAck", ack),
)
"""Every PX4 topic that AirTwin reads, once: nodes, replay of MCAP and replay of ULog share it."""


def reader(source: str) -> Reader:
    """Return the reader of one source.

    Raises:
        KeyError: no such source.
    """
    for candidate in READERS:
        if candidate.source == source:
            return candidate
    raise KeyError(f"no PX4 reader for {source!r}; there are {[r.source for r in READERS]}")


def topic(name: str, message: type) -> str:
    """Return the topic as PX4 names it: versioned messages carry ``_v<MESSAGE_VERSION>``."""
    version = int(getattr(message, "MESSAGE_VERSION", 0))
    return f"{name}_v{version}" if version else name
