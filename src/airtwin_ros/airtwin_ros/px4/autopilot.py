# SPDX-License-Identifier: Apache-2.0
"""PX4's own state as AirTwin's types: attitude, position, modes, flags, answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.types import (
    Attitude,
    CommandAck,
    EstimatorFlags,
    HomePosition,
    LandDetected,
    LocalPosition,
    Odometry,
    Origin,
    Timesync,
    VehicleStatus,
    VtolState,
)
from airtwin_ros.px4.border import (
    ALTITUDE_MAX_M,
    ANGLE_MAX_RAD,
    CLOCK_MAX_US,
    POSITION_MAX_M,
    RATE_MAX_RAD_S,
    SPEED_MAX_M_S,
    BadMessage,
    angle,
    positive_or_nan,
    quaternion,
    scalar,
    stamp_ns,
    variance,
    vector,
)

FRAME_NED = 1
FRAME_BODY_FRD = 3  # of velocities only
ARMING_STATE_ARMED = 2


def attitude(msg: Any, received_ns: int) -> Attitude:
    """VehicleAttitude."""
    resets = int(getattr(msg, "quat_reset_counter", 0))
    return Attitude(stamp_ns(msg), received_ns, quaternion(msg.q), resets)


def local_position(msg: Any, received_ns: int) -> LocalPosition:
    """VehicleLocalPosition; what PX4 calls invalid may be NaN, what it calls valid may not."""
    position = np.array((msg.x, msg.y, msg.z), dtype=np.float64)
    velocity = np.array((msg.vx, msg.vy, msg.vz), dtype=np.float64)
    xy_valid, z_valid = bool(msg.xy_valid), bool(msg.z_valid)
    v_xy_valid, v_z_valid = bool(msg.v_xy_valid), bool(msg.v_z_valid)
    if xy_valid:
        vector(position[:2], POSITION_MAX_M, "position")
    if z_valid:
        scalar(position[2], POSITION_MAX_M, "height")
    if v_xy_valid:
        vector(velocity[:2], SPEED_MAX_M_S, "velocity")
    if v_z_valid:
        scalar(velocity[2], SPEED_MAX_M_S, "vertical velocity")
    delta_xy = np.array(getattr(msg, "delta_xy", (0.0, 0.0)), dtype=np.float64)
    delta_z = float(getattr(msg, "delta_z", 0.0))
    delta_heading = float(getattr(msg, "delta_heading", 0.0))
    vector(delta_xy, POSITION_MAX_M, "position reset")
    scalar(delta_z, POSITION_MAX_M, "height reset")
    scalar(delta_heading, ANGLE_MAX_RAD, "heading reset")
    heading = angle(msg.heading, "heading")
    return LocalPosition(
        stamp_ns(msg),
        received_ns,
        position,
        velocity,
        heading,
        xy_valid,
        z_valid,
        v_xy_valid,
        v_z_valid,
        _origin(msg),
        positive_or_nan(getattr(msg, "eph", np.nan)),
        positive_or_nan(getattr(msg, "epv", np.nan)),
        positive_or_nan(getattr(msg, "evh", np.nan)),
        positive_or_nan(getattr(msg, "evv", np.nan)),
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
    if int(msg.pose_frame) != FRAME_NED:
        raise BadMessage("pose frame is not NED", f"pose_frame {int(msg.pose_frame)}")
    q = quaternion(msg.q)
    velocity = vector(msg.velocity, SPEED_MAX_M_S, "velocity")
    velocity_frame = int(msg.velocity_frame)
    if velocity_frame == FRAME_BODY_FRD:
        velocity = frames.rotation_from_quat(q) @ velocity
    elif velocity_frame != FRAME_NED:
        raise BadMessage(
            "velocity frame is neither NED nor body", f"velocity_frame {velocity_frame}"
        )
    position_variance = variance(msg, "position_variance")
    velocity_variance = variance(msg, "velocity_variance")
    orientation_variance = variance(msg, "orientation_variance")
    return Odometry(
        stamp_ns(msg),
        received_ns,
        vector(msg.position, POSITION_MAX_M, "position"),
        velocity,
        q,
        vector(msg.angular_velocity, RATE_MAX_RAD_S, "angular rate"),
        position_variance,
        velocity_variance,
        orientation_variance,
        int(msg.reset_counter),
    )


def status(msg: Any, received_ns: int) -> VehicleStatus:
    """VehicleStatus."""
    return VehicleStatus(
        stamp_ns(msg),
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
        stamp_ns(msg),
        received_ns,
        int(msg.vehicle_vtol_state),
        bool(getattr(msg, "fixed_wing_system_failure", False)),
    )


def land_detected(msg: Any, received_ns: int) -> LandDetected:
    """VehicleLandDetected."""
    return LandDetected(
        stamp_ns(msg),
        received_ns,
        bool(msg.landed),
        bool(getattr(msg, "maybe_landed", msg.landed)),
        bool(getattr(msg, "ground_contact", msg.landed)),
        bool(getattr(msg, "freefall", False)),
    )


def estimator_flags(msg: Any, received_ns: int) -> EstimatorFlags:
    """EstimatorStatusFlags of 1.12 to 1.18; ``cs_gps`` became ``cs_gnss_pos``, ``cs_gnss_vel``."""
    position = bool(getattr(msg, "cs_gnss_pos", getattr(msg, "cs_gps", False)))
    return EstimatorFlags(
        stamp_ns(msg),
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
    scalar(msg.estimated_offset, CLOCK_MAX_US, "offset between the clocks")
    return Timesync(
        stamp_ns(msg),
        received_ns,
        int(msg.estimated_offset) * 1000,
        float(msg.round_trip_time) * 1e-6,
    )


def home(msg: Any, received_ns: int) -> HomePosition:
    """HomePosition."""
    return HomePosition(
        stamp_ns(msg),
        received_ns,
        scalar(msg.lat, 90.0, "latitude"),
        scalar(msg.lon, 180.0, "longitude"),
        scalar(msg.alt, ALTITUDE_MAX_M, "altitude"),
    )


def ack(msg: Any, received_ns: int) -> CommandAck:
    """VehicleCommandAck."""
    return CommandAck(stamp_ns(msg), received_ns, int(msg.command), int(msg.result))
