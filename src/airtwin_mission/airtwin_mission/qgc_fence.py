# SPDX-License-Identifier: Apache-2.0
"""Reads home, fences and rally points of QGroundControl's .plan. Pure."""

from __future__ import annotations

from typing import Any

from airtwin_core.types import Origin
from airtwin_mission import plan
from airtwin_mission.json_numbers import real_number, shown
from airtwin_mission.plan import Altitude, Datum, Fence, GeoPlace, MissionError


def _corner(value: Any, what: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise MissionError(f"{what} is not [latitude, longitude]")
    return (
        real_number(value[0], f"latitude of {what}", -90.0, 90.0),
        real_number(value[1], f"longitude of {what}", -180.0, 180.0),
    )


def home(value: Any) -> Origin | None:
    """Return the planned home, None if the plan has none."""
    if value is None:
        return None
    what = '"plannedHomePosition"'
    lat, lon = _corner(value, what)
    if len(value) != 3:
        raise MissionError(f"{what} has no altitude")
    if value == [0, 0, 0]:  # QGroundControl without a home writes zeros
        return None
    limit = plan.MAX_ALTITUDE_M
    return Origin(lat, lon, real_number(value[2], f"altitude of {what}", -limit, limit))


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MissionError(f"{what} is not a list")
    return value


def fences(value: Any) -> tuple[Fence, ...]:
    """Return the polygons and circles of "geoFence"."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise MissionError('"geoFence" is not an object')
    fences: list[Fence] = []
    if value.get("version") == 1:  # one polygon to stay in
        corners = _list(value.get("polygon"), 'the fence\'s "polygon"')
        return (_polygon(corners, inside=True),) if corners else ()
    if value.get("version") != 2:
        raise MissionError(f"fence version {shown(value.get('version'))}; 1 and 2 are read")
    for shape in _list(value.get("polygons"), 'the fence\'s "polygons"'):
        inside = _inclusion(shape)
        fences.append(_polygon(_list(shape.get("polygon"), "a fence's polygon"), inside=inside))
    for shape in _list(value.get("circles"), 'the fence\'s "circles"'):
        inside = _inclusion(shape)
        circle = shape.get("circle")
        if not isinstance(circle, dict):
            raise MissionError("a fence's circle is not an object")
        fences.append(
            Fence(
                inside,
                centre_deg=_corner(circle.get("center"), "a fence's centre"),
                radius_m=real_number(circle.get("radius"), "a fence's radius", 0.1, 1e6),
            )
        )
    return tuple(fences)


def _inclusion(shape: Any) -> bool:
    if not isinstance(shape, dict) or not isinstance(shape.get("inclusion"), bool):
        raise MissionError("a fence does not say whether it is to stay in or out of")
    return bool(shape["inclusion"])


def _polygon(corners: list[Any], *, inside: bool) -> Fence:
    if len(corners) < 3:
        raise MissionError("a fence's polygon has fewer than 3 corners")
    return Fence(inside, corners_deg=tuple(_corner(c, "a fence's corner") for c in corners))


def rally(value: Any) -> tuple[GeoPlace, ...]:
    """Return the rally points; their altitude is above home."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise MissionError('"rallyPoints" is not an object')
    places = []
    for point in _list(value.get("points"), 'the "points" of "rallyPoints"'):
        lat, lon = _corner(point, "a rally point")
        if len(point) != 3:
            raise MissionError("a rally point has no altitude")
        limit = plan.MAX_ALTITUDE_M
        height = real_number(point[2], "altitude of a rally point", -limit, limit)
        places.append(GeoPlace(lat, lon, Altitude(height, Datum.HOME)))
    return tuple(places)
