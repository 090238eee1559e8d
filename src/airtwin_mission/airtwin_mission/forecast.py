# SPDX-License-Identifier: Apache-2.0
"""A mission as the plan of a rollout: what the aircraft will do, step by step. Pure.

Local NED has its zero at home, where the aircraft stands; the ground is level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airtwin_core.types import Array, Phase
from airtwin_mission import plan as missions
from airtwin_mission import route
from airtwin_mission.limits import Limits
from airtwin_mission.plan import Mission, MissionError
from airtwin_mission.route import LAND_M_S
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.rollout.plan import Act, Plan, Waypoint

CORNER_S, SPARE, SPARE_S = 6.0, 1.3, 30.0
"""What a corner costs at most, and how much later than expected a flight is still watched."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A plan, a name for each of its waypoints, for how long to watch [s], where it begins.

    ``start_ned_m``: the pad, or, for what cannot take off, a place in the air. ``notes``: what of
    the mission is flown in another way.
    """

    plan: Plan
    names: tuple[str, ...]
    longest_s: float
    start_ned_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()


def on_wings(whole: Flight, airspeed_m_s: float, wind_m_s: float, *, hovers: bool) -> Flight:
    """Return the flight of an aircraft with wings: cruise between waypoints, as PX4 plans it.

    One that does not hover begins in the air at the height of its take-off, and ends in circles
    around its last waypoint.

    Raises:
        MissionError: nothing is left to fly, or the wind is faster than the aircraft.
    """
    if wind_m_s > 0.8 * airspeed_m_s:
        raise MissionError(f"{wind_m_s:g} m/s of wind, {airspeed_m_s:g} m/s of airspeed: no way")
    kept = [
        (replace(point, speed_m_s=None), name)
        for point, name in zip(whole.plan.waypoints, whole.names, strict=True)
        if hovers or point.act is Act.FLY
    ]
    notes = ["the speeds of the plan are left out: it cruises at its airspeed"]
    start = whole.start_ned_m
    if not hovers:
        notes.append("take-off and landing are left out: it begins and ends in the air")
        start = whole.plan.waypoints[0].position_ned_m
        near = [
            k for k, (point, _) in enumerate(kept) if math.dist(point.position_ned_m, start) > 1.0
        ]
        kept = kept[near[0] :] if near else []
    if not any(point.act is Act.FLY for point, _ in kept):
        raise MissionError("has no waypoint that is flown on the wing")
    slowest = (airspeed_m_s - wind_m_s) / airspeed_m_s
    here, total = np.array(start), SPARE_S
    for point, _ in kept:
        way = np.array(point.position_ned_m) - here
        total += float(np.hypot(way[0], way[1])) / (airspeed_m_s * slowest) + CORNER_S
        total += abs(float(way[2])) / (LAND_M_S if point.act is Act.LAND else 1.0) + point.hold_s
        here = here + way
    points, names = zip(*kept, strict=True)
    return Flight(Plan(tuple(points)), tuple(names), SPARE * total + SPARE_S, start, tuple(notes))


def flight(mission: Mission, params: Px4Params) -> Flight:
    """Return what is flown of ``mission`` from home on; the last hold, if endless, lasts 0 s.

    A mission that does not begin with a take-off begins with one to its first waypoint's height.

    Raises:
        MissionError: a place that cannot be tied to home, or a height above terrain.
    """
    limits = replace(Limits(), cruise_m_s=params.mpc_xy_cruise)
    home = np.zeros(3)
    legs = route.resolve(
        route.legs(mission, limits), mission, origin=missions.reference(mission), home_ned_m=home
    ).flown
    points: list[Waypoint] = []
    names: list[str] = []

    def add(name: str, place: Array, speed: float | None = None, act: Act = Act.FLY) -> None:
        names.append(name)
        north, east, down = (float(v) for v in place)
        points.append(Waypoint((north, east, down), speed, 0.0, act))

    if legs[0].leg.phase is not Phase.TAKEOFF:
        first = next((f.end_ned_m for f in legs if f.leg.phase is Phase.ENROUTE), None)
        height = -float(first[2]) if first is not None else 0.0
        add(
            "take-off",
            np.array([0.0, 0.0, -max(height, params.mis_takeoff_alt)]),
            None,
            Act.TAKE_OFF,
        )
    count = 0
    for flown in legs:
        leg, end = flown.leg, flown.end_ned_m
        if leg.phase is Phase.TAKEOFF:
            add("take-off", end, None, Act.TAKE_OFF)
        elif leg.phase is Phase.ENROUTE:
            count += 1
            add("landing place" if leg.level else f"waypoint {count}", end, leg.speed_m_s)
        elif leg.phase is Phase.HOLD and points:
            seconds = leg.seconds if math.isfinite(leg.seconds) else 0.0
            points[-1] = replace(points[-1], hold_s=points[-1].hold_s + seconds)
        elif leg.phase is Phase.RETURN:
            for name, place in _way_home(flown.start_ned_m, params):
                add(name, place, leg.speed_m_s)
        if leg.phase in (Phase.LAND, Phase.RETURN):
            add("landing", np.array([end[0], end[1], 0.0]), None, Act.LAND)
    if len(points) < 2:
        raise MissionError("has nothing that is flown after the take-off")
    return Flight(Plan(tuple(points)), tuple(names), _longest_s(points, params))


def _way_home(start_ned_m: Array, p: Px4Params) -> list[tuple[str, Array]]:
    """Return PX4's return: climb to RTL_RETURN_ALT within its cone, home, down, [m NED]."""
    away = math.hypot(float(start_ned_m[0]), float(start_ned_m[1]))
    height = p.rtl_return_alt
    if p.rtl_cone_ang > 0.0:
        slope = math.tan(math.radians(min(p.rtl_cone_ang, 89.0)))
        height = min(height, max(away, p.rtl_min_dist / 2.0) / slope)
    down = min(float(start_ned_m[2]), -height)
    lower = max(down, -p.rtl_descend_alt)
    way = [
        ("return: climbed", np.array([start_ned_m[0], start_ned_m[1], down])),
        ("return: home", np.array([0.0, 0.0, down])),
    ]
    if lower > down + 0.1:
        way.append(("return: descended", np.array([0.0, 0.0, lower])))
    return way


def _longest_s(points: list[Waypoint], p: Px4Params) -> float:
    """Return after which time [s] who has not arrived is not waited for any more."""
    total, here = 0.0, np.zeros(3)
    for point in points:
        end = np.array(point.position_ned_m)
        way = end - here
        speed = p.mpc_xy_cruise if point.speed_m_s is None else point.speed_m_s
        rate = p.mpc_z_v_auto_dn if way[2] > 0.0 else p.mpc_z_v_auto_up
        if point.act is Act.TAKE_OFF:
            rate, total = p.mpc_tko_speed, total + p.com_spoolup_time + p.mpc_tko_ramp_t
        if point.act is Act.LAND:
            rate, total = p.mpc_land_speed, total + p.com_disarm_land
        level = float(np.hypot(way[0], way[1]))
        total += max(level / max(speed, 0.1), abs(float(way[2])) / rate) + CORNER_S + point.hold_s
        here = end
    return SPARE * total + SPARE_S
