# SPDX-License-Identifier: Apache-2.0
"""Poses that something outside the aircraft's sensors sees, as they are sent to PX4's EKF2."""

from __future__ import annotations

from typing import Any

import numpy as np

from airtwin_core.types import Array, ExternalPose
from airtwin_ros.px4.border import (
    POSITION_MAX_M,
    SPEED_MAX_M_S,
    BadMessage,
    quaternion,
    stamp_ns,
    variance,
    vector,
)

NED, FRD, BODY_FRD = 1, 2, 3  # VehicleOdometry.POSE_FRAME_*, VELOCITY_FRAME_*


def vision(msg: Any, received_ns: int) -> ExternalPose:
    """VehicleOdometry of ``vehicle_visual_odometry``."""
    return _external(msg, received_ns, "vision")


def mocap(msg: Any, received_ns: int) -> ExternalPose:
    """VehicleOdometry of ``vehicle_mocap_odometry``."""
    return _external(msg, received_ns, "mocap")


def _external(msg: Any, received_ns: int, source: str) -> ExternalPose:
    """Take what is there; NaN in a vector's first element is PX4's word for: none."""
    if int(getattr(msg, "quality", 0)) < 0:
        raise BadMessage("the source of the pose says that it failed")
    position = _there(msg.position, POSITION_MAX_M, "position")
    velocity = _there(msg.velocity, SPEED_MAX_M_S, "velocity")
    q = None if np.isnan(float(msg.q[0])) else quaternion(msg.q)
    if position is None and velocity is None and q is None:
        raise BadMessage("nothing in the external pose")
    pose_frame, velocity_frame = int(msg.pose_frame), int(msg.velocity_frame)
    frames = set()
    if position is not None or q is not None:
        if pose_frame not in (NED, FRD):
            raise BadMessage("pose frame is neither NED nor FRD", f"pose_frame {pose_frame}")
        frames.add(pose_frame)
    velocity_frd = None
    if velocity is not None and velocity_frame == BODY_FRD:
        velocity, velocity_frd = None, velocity
    elif velocity is not None:
        if velocity_frame not in (NED, FRD):
            raise BadMessage("velocity frame is unknown", f"velocity_frame {velocity_frame}")
        frames.add(velocity_frame)
    if len(frames) > 1:
        raise BadMessage("pose and velocity are in different frames")
    return ExternalPose(
        stamp_ns(msg),
        received_ns,
        position,
        velocity,
        q,
        _claimed(msg, "position_variance"),
        _claimed(msg, "velocity_variance"),
        _claimed(msg, "orientation_variance"),
        FRD in frames,
        int(msg.reset_counter),
        velocity_frd,
        source,
    )


def _there(value: Any, limit: float, what: str) -> Array | None:
    return None if np.isnan(float(value[0])) else vector(value, limit, what)


def _claimed(msg: Any, field: str) -> Array:
    """Return the variances (3,); PX4's 0 says no more than NaN."""
    found = variance(msg, field)
    return np.where(found > 0.0, found, np.nan)
