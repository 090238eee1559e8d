# SPDX-License-Identifier: Apache-2.0
"""The first attitude: from gravity at rest, from PX4's attitude in flight, else a wide guess."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array

TILT_SIGMA_STILL_RAD = 0.01  # beside what the accelerometer bias does
TILT_SIGMA_PX4_RAD = 0.05
TILT_SIGMA_MOVING_RAD = 0.35
YAW_SIGMA_UNKNOWN_RAD = 1.5
STEEP_MAX = 10.0  # tangent of the dip beyond which a compass shows nothing


@dataclass(frozen=True, slots=True)
class FirstAttitude:
    """q_ned_frd (4,), covariance of its error (3, 3) [rad^2] FRD with the heading still free.

    ``heading_by``: what the heading was taken from, magnetometer or heading (PX4's); "" nothing.
    """

    q_ned_frd: Array
    covariance: Array
    heading_by: str


def level(mean_force_frd: Array) -> Array:
    """Return q_ned_frd (4,) with heading zero whose down axis is that of gravity.

    mean_force_frd: (3,) [m/s^2], the mean specific force; it points up at rest.

    Raises:
        ValueError: there is no force to go by.
    """
    up = np.asarray(mean_force_frd, dtype=np.float64)
    size = float(np.linalg.norm(up))
    if not size > 1.0:
        raise ValueError(f"mean specific force is {size} m/s^2: free fall has no down")
    down = -up / size
    roll = float(np.arctan2(down[1], down[2]))
    pitch = float(np.arctan2(-down[0], np.hypot(down[1], down[2])))
    return frames.quat_from_euler(roll, pitch, 0.0)


def field_heading(q_ned_frd: Array, field_frd: Array, declination_rad: float) -> float:
    """Return by how much [rad] to turn the attitude about down so that the field fits."""
    field_ned = frames.rotation_from_quat(q_ned_frd) @ field_frd
    return frames.wrap_pi(declination_rad - float(np.arctan2(field_ned[1], field_ned[0])))


def _is_steep(q_ned_frd: Array, field_frd: Array) -> bool:
    """Return whether the field is too near the vertical for its level part to show north."""
    north, east, down = (frames.rotation_from_quat(q_ned_frd) @ field_frd).tolist()
    return not abs(down) < STEEP_MAX * math.hypot(north, east)


def turned(q_ned_frd: Array, angle_rad: float) -> Array:
    """Return the attitude turned about down."""
    half = 0.5 * angle_rad
    about_down = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
    return frames.quat_normalise(frames.quat_multiply(about_down, q_ned_frd))


def first_attitude(
    mean_force_frd: Array,
    *,
    still: bool,
    field_frd: Array | None,
    declination_rad: float,
    q_px4: Array | None,
) -> FirstAttitude:
    """Return the best attitude that the data allow, with an honest covariance of the tilt.

    mean_force_frd: (3,) [m/s^2]; field_frd: (3,) any unit; q_px4: PX4's q_ned_frd (4,).

    Raises:
        ValueError: the aircraft moves, PX4 says nothing and the mean force is nearly zero.
    """
    if still:
        q, tilt_sigma = level(mean_force_frd), TILT_SIGMA_STILL_RAD
    elif q_px4 is not None:
        q, tilt_sigma = q_px4, TILT_SIGMA_PX4_RAD
    else:
        q, tilt_sigma = level(mean_force_frd), TILT_SIGMA_MOVING_RAD
    heading_by = ""
    if field_frd is not None and not _is_steep(q, field_frd):
        q = turned(q, field_heading(q, field_frd, declination_rad))
        heading_by = "magnetometer"
    elif q_px4 is not None:
        twist = frames.quat_multiply(q_px4, frames.quat_conjugate(q))
        q = turned(q, 2.0 * float(np.arctan2(twist[3], twist[0])))
        heading_by = "heading"
    r = frames.rotation_from_quat(q)
    about_ned = np.diag([tilt_sigma**2, tilt_sigma**2, YAW_SIGMA_UNKNOWN_RAD**2])
    return FirstAttitude(q, r.T @ about_ned @ r, heading_by)
