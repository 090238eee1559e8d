# SPDX-License-Identifier: Apache-2.0
"""The one module that writes PX4's messages to ``fmu/in``: commands, setpoints, odometry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from px4_msgs.msg import (
    OffboardControlMode,
    TrajectorySetpoint,
    VehicleCommand,
    VehicleOdometry,
)

from airtwin_core.types import Array, ExternalPose

COMPONENT_AUTOPILOT = 1
SOURCE_SYSTEM = 255  # as a ground station
SOURCE_COMPONENT = 190  # MAV_COMP_ID_MISSIONPLANNER


def command_msg(
    command: int,
    params: tuple[float, float, float, float, float, float, float],
    *,
    system_id: int,
    stamp_us: int,
) -> VehicleCommand:
    """Return a command; NaN in ``params`` lets PX4 choose. ``system_id`` of /px4_N is N + 1."""
    msg = VehicleCommand()
    msg.timestamp = stamp_us
    msg.param1, msg.param2, msg.param3, msg.param4 = params[:4]
    msg.param5, msg.param6, msg.param7 = params[4:]
    msg.command = command
    msg.target_system = system_id
    msg.target_component = COMPONENT_AUTOPILOT
    msg.source_system = SOURCE_SYSTEM
    msg.source_component = SOURCE_COMPONENT
    msg.from_external = True
    return msg


def offboard_mode_msg(*, position: bool, velocity: bool, stamp_us: int) -> OffboardControlMode:
    """Return the heartbeat that tells PX4 which part of the setpoint to follow."""
    msg = OffboardControlMode()
    msg.timestamp = stamp_us
    msg.position = position
    msg.velocity = velocity
    return msg


def setpoint_msg(
    position_ned_m: Array, velocity_ned_m_s: Array, *, yaw_ned_rad: float, stamp_us: int
) -> TrajectorySetpoint:
    """Return a setpoint; NaN is not controlled."""
    msg = TrajectorySetpoint()
    msg.timestamp = stamp_us
    msg.position = np.asarray(position_ned_m, dtype=np.float32)
    msg.velocity = np.asarray(velocity_ned_m_s, dtype=np.float32)
    msg.acceleration = np.full(3, np.nan, dtype=np.float32)
    msg.jerk = np.full(3, np.nan, dtype=np.float32)
    msg.yaw = float(yaw_ned_rad)
    msg.yawspeed = float("nan")
    return msg


def odometry_msg(pose: ExternalPose, *, quality: int, stamp_us: int) -> VehicleOdometry:
    """Return external odometry for ``fmu/in/vehicle_visual_odometry``; None travels as NaN.

    ``timestamp_sample`` goes back as it came: PX4's uXRCE-DDS client adds its clock offset to
    what it sends and takes it off what it gets, so EKF2 finds the IMU sample that the state
    belongs to (generated ``ucdr_deserialize_vehicle_odometry``; with UXRCE_DDS_SYNCT=0 both are
    boot time). Variances: of the attitude about FRD axes, as VehicleOdometry.msg says.
    """
    msg = VehicleOdometry()
    msg.timestamp = stamp_us
    msg.timestamp_sample = pose.stamp_ns // 1000
    local = pose.local_frame
    msg.pose_frame = msg.POSE_FRAME_FRD if local else msg.POSE_FRAME_NED
    msg.velocity_frame = msg.VELOCITY_FRAME_FRD if local else msg.VELOCITY_FRAME_NED
    msg.position = _floats(pose.position_ned_m, 3)
    msg.velocity = _floats(pose.velocity_ned_m_s, 3)
    msg.q = _floats(pose.q_ned_frd, 4)
    msg.angular_velocity = _floats(None, 3)
    msg.position_variance = _floats(pose.position_variance_m2, 3)
    msg.velocity_variance = _floats(pose.velocity_variance_m2_s2, 3)
    msg.orientation_variance = _floats(pose.orientation_variance_rad2, 3)
    msg.reset_counter = pose.reset_counter
    msg.quality = quality
    return msg


def _floats(values: Array | None, size: int) -> npt.NDArray[np.float32]:
    if values is None:
        return np.full(size, np.nan, dtype=np.float32)
    return np.asarray(values, dtype=np.float32)
