# SPDX-License-Identifier: Apache-2.0
"""What a rollout flies: waypoints with speeds and holds; and what it must stay within."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control import sortie, track
from airtwin_physics.control.px4_params import Px4Params


class Act(enum.Enum):
    """What is done on the way to a waypoint; the values are ``control.track``'s kinds of legs."""

    FLY = track.FLY
    TAKE_OFF = track.TAKE_OFF  # from standing, straight up to the waypoint's height
    LAND = track.LAND  # over the waypoint, whatever its height; motors off at the end


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A place [m NED] to fly to at ``speed_m_s`` (None: MPC_XY_CRUISE) and to hold ``hold_s``."""

    position_ned_m: tuple[float, float, float]
    speed_m_s: float | None = None
    hold_s: float = 0.0
    act: Act = Act.FLY


@dataclass(frozen=True, slots=True)
class Plan:
    """Waypoints in order; at the last one the aircraft holds. None at all: hold where it is.

    A take-off can only be the first, a landing only the last.
    """

    waypoints: tuple[Waypoint, ...] = ()

    def legs(self, start_ned_m: Array, params: Px4Params) -> Array:
        """Return (k, 7) as ``control.track.guide`` takes them; the nose points along each leg.

        Raises:
            ValueError: a number that is not finite, a speed or hold below zero, or a take-off or
                landing in the middle.
        """
        if not self.waypoints:
            return np.array([[*start_ned_m, params.mpc_xy_cruise, np.nan, 0.0, track.FLY]])
        late = any(point.act is Act.TAKE_OFF for point in self.waypoints[1:])
        if late or any(point.act is Act.LAND for point in self.waypoints[:-1]):
            raise ValueError("one flight: a take-off at most first, a landing at most last")
        rows = np.zeros((len(self.waypoints), track.N_LEG))
        before = np.asarray(start_ned_m, dtype=np.float64)
        for row, point in zip(rows, self.waypoints, strict=True):
            speed = params.mpc_xy_cruise if point.speed_m_s is None else point.speed_m_s
            row[track.L_GOAL] = point.position_ned_m
            row[track.L_SPEED] = min(speed, params.mpc_xy_vel_max)
            row[track.L_HOLD] = point.hold_s
            row[track.L_KIND] = point.act.value
            if not np.all(np.isfinite(row)) or not (speed >= 0.0 and point.hold_s >= 0.0):
                raise ValueError(f"no waypoint that can be flown: {point}")
            north, east = row[:2] - before[:2]
            # PX4 keeps the heading on short legs
            far = np.hypot(north, east) > track.NEAR_M
            row[track.L_YAW] = np.arctan2(east, north) if far else np.nan
            before = row[track.L_GOAL].copy()
            if point.act is Act.LAND:
                row[2] = sortie.BOTTOM_M
        return rows


@dataclass(frozen=True, slots=True)
class Corridor:
    """Within ``half_width_m`` of the plan's line on the ground and between two downs [m]."""

    half_width_m: float = np.inf
    top_down_m: float = -np.inf
    bottom_down_m: float = np.inf

    def outside(self, position_ned_m: Array, line_ne_m: Array) -> Array:
        """Return (...) true where (..., 3) [m NED] is outside; ``line_ne_m``: (k, 2) corners.

        What is not finite is outside.
        """
        place = position_ned_m[..., :2]
        nearest = np.linalg.norm(place - line_ne_m[0], axis=-1)
        for a, b in itertools.pairwise(line_ne_m):
            way = b - a
            share = np.clip((place - a) @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
            apart = np.linalg.norm(place - a - share[..., None] * way, axis=-1)
            nearest = np.minimum(nearest, apart)
        down = position_ned_m[..., 2]
        inside = (nearest <= self.half_width_m) & (down >= self.top_down_m)
        return np.asarray(~(inside & (down <= self.bottom_down_m)))
