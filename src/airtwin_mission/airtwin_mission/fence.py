# SPDX-License-Identifier: Apache-2.0
"""Does the planned way keep to the mission's own fences? Pure; horizontal only, as PX4's fence is.

The way begins where the aircraft takes off. PX4 refuses a mission whose waypoints break its fence;
AirTwin flies straight legs itself, so it looks at the legs too. The way home of a return is PX4's
and is not looked at.
"""

from __future__ import annotations

import shapely

from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Origin
from airtwin_mission.plan import (
    Fence,
    GoTo,
    Land,
    Mission,
    MissionError,
    NedPlace,
    Place,
    Step,
    TakeOff,
    reference,
)


def breach(mission: Mission, home_deg: tuple[float, float] | None = None) -> str:
    """Return the first step that leaves the fences, in words; empty if none does.

    Args:
        mission: what is to be flown.
        home_deg: (latitude, longitude) of the take-off; None: as planned, if that is known.

    Raises:
        MissionError: a fence whose edges cross, or a place too far away to judge.
    """
    origin = reference(mission)
    if not mission.fences:
        return ""
    if origin is None:
        return "the fences cannot be judged: no place of the mission says where on Earth it is"
    frame = LocalFrame(Origin(origin.latitude_deg, origin.longitude_deg, 0.0))
    allowed, forbidden = _areas(mission.fences, frame)
    before = _home(mission, home_deg, frame)
    if before is not None:
        place_of = shapely.Point(before)
        if (allowed is not None and not allowed.covers(place_of)) or forbidden.intersects(
            place_of
        ):
            return "the place of take-off is not where the fences allow to be"
    for number, step in enumerate(mission.steps, start=1):
        place = _place(step)
        if place is None:
            continue
        here = _level(place, frame)
        way = shapely.Point(here) if before is None else shapely.LineString([before, here])
        if allowed is not None and not allowed.covers(way):
            return f"step {number} leaves the fence that the mission is to stay in"
        if forbidden.intersects(way):
            return f"step {number} flies into a fence that the mission is to stay out of"
        before = here
    return ""


def _home(
    mission: Mission, home_deg: tuple[float, float] | None, frame: LocalFrame
) -> tuple[float, float] | None:
    planned = mission.planned_home
    if home_deg is None and planned is not None:
        home_deg = (planned.latitude_deg, planned.longitude_deg)
    if home_deg is None:
        return None
    north, east, _ = frame.to_ned(*home_deg, 0.0)
    return float(north), float(east)


def _areas(
    fences: tuple[Fence, ...], frame: LocalFrame
) -> tuple[shapely.Geometry | None, shapely.Geometry]:
    """Return where to stay (None: anywhere) and where not to be, in metres north and east."""
    inside = [_shape(fence, frame) for fence in fences if fence.inside]
    outside = [_shape(fence, frame) for fence in fences if not fence.inside]
    return (shapely.union_all(inside) if inside else None), shapely.union_all(outside)


def _shape(fence: Fence, frame: LocalFrame) -> shapely.Geometry:
    if fence.centre_deg is not None:
        north, east = frame.to_ned(*fence.centre_deg, 0.0)[:2]
        return shapely.Point(north, east).buffer(fence.radius_m, quad_segs=32)
    polygon = shapely.Polygon([frame.to_ned(*c, 0.0)[:2] for c in fence.corners_deg])
    if not polygon.is_valid:
        raise MissionError("a fence has edges that cross: draw it anew")
    return polygon


def _place(step: Step) -> Place | None:
    if isinstance(step, TakeOff):
        return step.to
    return step.place if isinstance(step, GoTo | Land) else None


def _level(place: Place, frame: LocalFrame) -> tuple[float, float]:
    """Return north and east [m]. NED places are around the mission's origin, as ``frame`` is."""
    if isinstance(place, NedPlace):
        return place.north_m, place.east_m
    north, east, _ = frame.to_ned(place.latitude_deg, place.longitude_deg, 0.0)
    return float(north), float(east)
