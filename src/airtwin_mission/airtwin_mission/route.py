# SPDX-License-Identifier: Apache-2.0
"""The mission as legs: where each begins and ends, how long it is, how much is left. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core.types import Array, Origin, Phase
from airtwin_mission import places
from airtwin_mission.limits import Limits
from airtwin_mission.plan import (
    Altitude,
    GoTo,
    Hold,
    Land,
    Mission,
    MissionError,
    Place,
    Return,
    Speed,
    TakeOff,
)

CORNER_S, SETTLE_S = 1.5, 3.0
"""What braking and speeding up cost at a waypoint, and standing still over a pad [s]."""
LAND_M_S = 0.7
"""MPC_LAND_SPEED of PX4 [m/s]: below ``LAND_SLOW_M``."""
LAND_SLOW_M = 5.0
"""MPC_LAND_ALT2 of PX4 [m]."""
LAND_BEGIN_S, LAND_END_S = 2.5, 3.0
"""From command to full descent, and from touch-down to motors off [s]: a PX4 v1.18 took 3.1."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the flight. TAKEOFF climbs to ``altitude``, ENROUTE goes to ``place``.

    ENROUTE without altitude of its own (``level``) keeps the height: the way to a landing place.
    ``within_m``: how near the end has to be reached.
    """

    phase: Phase
    speed_m_s: float
    place: Place | None = None
    altitude: Altitude | None = None
    level: bool = False
    seconds: float = 0.0
    within_m: float = 1.5


def legs(mission: Mission, limits: Limits) -> tuple[Leg, ...]:
    """Return the flight's parts; a mission that does not land ends in an endless hold."""
    speed = mission.cruise_m_s or limits.cruise_m_s
    near, pad = limits.acceptance_m, limits.acceptance_pad_m
    found: list[Leg] = []
    for step in mission.steps:
        match step:
            case Speed(speed_m_s=new):
                speed = new
            case TakeOff(altitude=altitude, to=to):
                climb = limits.climb_m_s
                found.append(Leg(Phase.TAKEOFF, climb, altitude=altitude, within_m=near))
                if to is not None:
                    found.append(Leg(Phase.ENROUTE, speed, place=to, within_m=near))
            case GoTo(place=place):
                found.append(Leg(Phase.ENROUTE, speed, place=place, within_m=near))
            case Hold(seconds=seconds):
                found.append(Leg(Phase.HOLD, speed, seconds=seconds, within_m=near))
            case Land(place=place):
                if place is not None:
                    found.append(Leg(Phase.ENROUTE, speed, place=place, level=True, within_m=pad))
                found.append(Leg(Phase.LAND, speed))
            case Return():
                found.append(Leg(Phase.RETURN, speed))
    if found[-1].phase not in (Phase.LAND, Phase.RETURN, Phase.HOLD):
        found.append(Leg(Phase.HOLD, speed, seconds=math.inf, within_m=near))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Flown:
    """A leg in the vehicle's local NED: ends (3,) [m], length [m], expected time [s]."""

    leg: Leg
    start_ned_m: Array
    end_ned_m: Array
    length_m: float
    time_s: float


@dataclass(frozen=True, slots=True)
class Route:
    """All legs of a flight, resolved for one origin and one home."""

    flown: tuple[Flown, ...]

    @property
    def total_m(self) -> float:
        """Length of the whole way [m]."""
        return sum(f.length_m for f in self.flown)

    def progress(self, leg: int, position_ned_m: Array) -> float:
        """Return the share of the way that is behind, 0 to 1."""
        total = self.total_m
        if total <= 0.0:
            return 0.0
        behind = sum(f.length_m for f in self.flown[:leg])
        now = self.flown[leg]
        return min(1.0, (behind + now.length_m * (1.0 - self._left(now, position_ned_m))) / total)

    def eta_s(self, leg: int, position_ned_m: Array, *, held_s: float) -> float:
        """Return the time to the end [s], NaN if the mission ends in an endless hold."""
        now = self.flown[leg]
        rest = now.time_s * self._left(now, position_ned_m)
        if now.leg.phase is Phase.HOLD:
            rest = max(0.0, now.leg.seconds - held_s)
        if now.leg.phase is Phase.LAND:
            rest = landing_s(abs(float(now.end_ned_m[2] - position_ned_m[2]))) - LAND_BEGIN_S
        whole = rest + sum(f.time_s for f in self.flown[leg + 1 :])
        return whole if math.isfinite(whole) else math.nan

    @staticmethod
    def _left(flown: Flown, position_ned_m: Array) -> float:
        """Return the share of the leg that is ahead, 0 to 1."""
        if flown.length_m < 0.1:
            return 0.0
        miss = flown.end_ned_m - position_ned_m
        if flown.leg.phase is Phase.RETURN:
            left = math.hypot(miss[0], miss[1]) + abs(float(miss[2]))
        elif flown.leg.phase in (Phase.TAKEOFF, Phase.LAND):
            left = abs(float(miss[2]))
        else:
            left = float(np.linalg.norm(miss))
        return min(1.0, left / flown.length_m)


def resolve(
    parts: tuple[Leg, ...], mission: Mission, *, origin: Origin | None, home_ned_m: Array
) -> Route:
    """Return the legs in local NED around ``origin``; ``home_ned_m`` (3,) [m] is the start.

    Raises:
        MissionError: a place cannot be tied to the vehicle's local NED.
    """
    here = np.array(home_ned_m, dtype=np.float64)
    flown: list[Flown] = []
    for number, leg in enumerate(parts, start=1):
        end = here
        try:
            if leg.phase is Phase.TAKEOFF and leg.altitude is not None:
                down = places.down_m(leg.altitude, origin=origin, home_ned_m=home_ned_m)
                end = np.array([here[0], here[1], down])
            elif leg.place is not None:
                end = places.to_ned(
                    leg.place,
                    mission_origin=mission.origin,
                    origin=origin,
                    home_ned_m=home_ned_m,
                )
                if leg.level:
                    end = np.array([end[0], end[1], here[2]])
            elif leg.phase is Phase.LAND:
                end = np.array([here[0], here[1], home_ned_m[2]])
            elif leg.phase is Phase.RETURN:
                end = np.array(home_ned_m)
        except MissionError as error:
            raise MissionError(f"leg {number}: {error}") from None
        flown.append(_flown(leg, here, end))
        here = end
    return Route(tuple(flown))


def _flown(leg: Leg, start: Array, end: Array) -> Flown:
    way = end - start
    level, height = math.hypot(way[0], way[1]), abs(float(way[2]))
    length = float(np.linalg.norm(way))
    if leg.phase is Phase.HOLD:
        return Flown(leg, start, end, 0.0, leg.seconds)
    if leg.phase is Phase.LAND:
        return Flown(leg, start, end, height, landing_s(height))
    if leg.phase is Phase.RETURN:
        time = level / leg.speed_m_s + landing_s(height)
        return Flown(leg, start, end, level + height, time)
    corner_s = CORNER_S if length > leg.within_m else 0.0
    settle_s = SETTLE_S if leg.level else 0.0
    return Flown(leg, start, end, length, length / leg.speed_m_s + corner_s + settle_s)


def landing_s(height_m: float) -> float:
    """Return how long PX4 takes to land from ``height_m`` until the motors stop [s]."""
    slow = min(height_m, LAND_SLOW_M)
    return slow / LAND_M_S + (height_m - slow) / 1.0 + LAND_BEGIN_S + LAND_END_S
