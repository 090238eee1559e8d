# SPDX-License-Identifier: Apache-2.0
"""A point that moves to the target at flying speed, for PX4 to follow. Pure: floats and arrays.

PX4 flies to a bare position setpoint as fast as MPC_XY_VEL_MAX lets it (12 m/s). So the setpoint
itself moves, within speed and acceleration, and waits when the aircraft falls behind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core.frames import wrap_pi
from airtwin_core.types import Array
from airtwin_mission.limits import Limits

BRAKING_SHARE = 0.7
"""Share of the acceleration that braking is planned with; the rest is for the corner."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Position (3,) [m], velocity (3,) [m/s], NED, and heading [rad] of the setpoint."""

    position_ned_m: Array
    velocity_ned_m_s: Array
    yaw_ned_rad: float


def advance(
    point: Moving,
    target_ned_m: Array,
    aircraft_ned_m: Array,
    *,
    speed_m_s: float,
    dt_s: float,
    limits: Limits,
    acceleration_m_s2: float,
) -> Moving:
    """Return the setpoint ``dt_s`` later.

    Args:
        point: the setpoint now.
        target_ned_m: (3,) [m], where it goes and stops.
        aircraft_ned_m: (3,) [m], where the aircraft is.
        speed_m_s: largest speed; climb and descent are limited besides.
        dt_s: step [s].
        limits: climb, descent, lead, turn.
        acceleration_m_s2: largest change of its velocity.
    """
    way = target_ned_m - point.position_ned_m
    distance = float(np.linalg.norm(way))
    step = acceleration_m_s2 * dt_s
    if distance < 0.02 and float(np.linalg.norm(point.velocity_ned_m_s)) <= step:
        return Moving(target_ned_m, np.zeros(3), point.yaw_ned_rad)
    direction = way / max(distance, 1e-9)
    vertical = limits.descend_m_s if direction[2] > 0.0 else limits.climb_m_s
    speed = min(
        speed_m_s,
        vertical / max(abs(float(direction[2])), 1e-9),
        math.sqrt(2.0 * BRAKING_SHARE * acceleration_m_s2 * distance),
        distance / dt_s,
    )
    speed *= _patience(point.position_ned_m - aircraft_ned_m, limits.lead_m)
    change = direction * speed - point.velocity_ned_m_s
    size = float(np.linalg.norm(change))
    velocity = point.velocity_ned_m_s + change * min(1.0, step / max(size, 1e-9))
    return Moving(
        point.position_ned_m + velocity * dt_s,
        velocity,
        _turn(point.yaw_ned_rad, way, limits.yaw_rate_rad_s * dt_s),
    )


def stopping_place(point: Moving, limits: Limits) -> Array:
    """Return where the setpoint comes to rest (3,) [m] if it brakes now, as for a hold."""
    speed = float(np.linalg.norm(point.velocity_ned_m_s))
    braking = BRAKING_SHARE * limits.brake_m_s2
    return point.position_ned_m + point.velocity_ned_m_s * (0.5 * speed / braking)


def _patience(lead_ned_m: Array, lead_max_m: float) -> float:
    """Return 1 near the aircraft, 0 at the largest lead; height counts double."""
    lead = math.hypot(lead_ned_m[0], lead_ned_m[1], 2.0 * lead_ned_m[2])
    return min(1.0, max(0.0, 2.0 * (1.0 - lead / lead_max_m)))


def _turn(yaw_rad: float, way_ned_m: Array, step_rad: float) -> float:
    """Return the heading turned towards the way; kept where the way is too short to have one."""
    if math.hypot(way_ned_m[0], way_ned_m[1]) < 3.0:
        return yaw_rad
    error = float(wrap_pi(math.atan2(way_ned_m[1], way_ned_m[0]) - yaw_rad))
    return float(wrap_pi(yaw_rad + min(step_rad, max(-step_rad, error))))
