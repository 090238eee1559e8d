# SPDX-License-Identifier: Apache-2.0
"""The one module that writes PX4's messages: commands and offboard setpoints to ``fmu/in``."""

from __future__ import annotations

import numpy as np
from px4_msgs.msg import OffboardControlMode, TrajectorySetpoint, VehicleCommand

from airtwin_core.types import Array

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
