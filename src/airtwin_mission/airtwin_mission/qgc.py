# SPDX-License-Identifier: Apache-2.0
"""Reads QGroundControl's .plan (JSON). Pure: text in, ``Mission`` out.

Format: https://docs.qgroundcontrol.com/master/en/qgc-dev-guide/file_formats/plan.html; commands,
their parameters and frames are MAVLink's (MAV_CMD, MAV_FRAME in common.xml). The altitude's datum
follows from ``frame`` alone; ``AltitudeMode`` is QGroundControl's note to itself, and its numbers
changed between versions.
"""

from __future__ import annotations

import json
import math
from typing import Any

from airtwin_core.types import Origin
from airtwin_mission import plan
from airtwin_mission.plan import (
    Altitude,
    Craft,
    Datum,
    Fence,
    GeoPlace,
    GoTo,
    Hold,
    Land,
    Mission,
    MissionError,
    Return,
    Speed,
    Step,
    TakeOff,
)

DATUM_OF_FRAME = {
    0: Datum.AMSL,  # MAV_FRAME_GLOBAL
    5: Datum.AMSL,  # MAV_FRAME_GLOBAL_INT
    3: Datum.HOME,  # MAV_FRAME_GLOBAL_RELATIVE_ALT
    6: Datum.HOME,  # MAV_FRAME_GLOBAL_RELATIVE_ALT_INT
    10: Datum.AGL,  # MAV_FRAME_GLOBAL_TERRAIN_ALT
    11: Datum.AGL,  # MAV_FRAME_GLOBAL_TERRAIN_ALT_INT
}
CRAFT_OF_TYPE = {
    **dict.fromkeys((2, 3, 4, 13, 14, 15, 29), Craft.MULTIROTOR),  # MAV_TYPE quad, coax, heli ...
    **dict.fromkeys((19, 20, 21, 22, 23, 24, 25), Craft.VTOL),
    1: Craft.FIXED_WING,
    10: Craft.ROVER,
}
WAYPOINT, LOITER_UNLIMITED, LOITER_TURNS, LOITER_TIME, LOITER_TO_ALT = 16, 17, 18, 19, 31
RETURN, LAND, TAKE_OFF, VTOL_TAKE_OFF, VTOL_LAND = 20, 21, 22, 84, 85
DELAY, JUMP, CHANGE_SPEED = 93, 177, 178
DEFAULT_CRUISE_M_S = 5.0
"""MPC_XY_CRUISE of PX4."""
LEFT_OUT = {
    115: "yaw",
    181: "relay",
    183: "servo",
    187: "actuator",
    189: "start of the landing sequence",
    195: "region of interest",
    197: "region of interest",
    200: "video",
    201: "region of interest",
    203: "camera",
    204: "camera mount",
    205: "camera mount",
    206: "camera trigger",
    211: "gripper",
    214: "camera trigger",
    220: "camera mount",
    530: "camera mode",
    531: "camera zoom",
    532: "camera focus",
    1000: "gimbal",
    1001: "gimbal",
    2000: "camera",
    2001: "camera",
    2500: "video",
    2501: "video",
    3000: "VTOL transition",
}
"""Commands that do not move a multirotor: kept as a note."""
SURVEYS = {"survey": range(3, 6), "CorridorScan": range(2, 4)}
"""Complex items that carry their flight items, and the versions of them that are known."""


def parse(text: str, name: str) -> Mission:
    """Return the mission in the JSON ``text``; ``name`` becomes its name.

    Raises:
        MissionError: refused, with the item's number.
    """
    document = _decode(text)
    if not isinstance(document, dict) or document.get("fileType") != "Plan":
        raise MissionError('not a QGroundControl plan ("fileType" is not "Plan")')
    if document.get("version") != 1:
        raise MissionError(f"plan version {_shown(document.get('version'))}; version 1 is read")
    body = document.get("mission")
    if not isinstance(body, dict):
        raise MissionError('holds no mission (no "mission" object)')
    if body.get("version") != 2:
        raise MissionError(f"mission version {_shown(body.get('version'))}; version 2 is read")
    items = body.get("items")
    if not isinstance(items, list):
        raise MissionError('"items" of the mission is not a list')
    craft = _craft(body)
    cruise = _cruise(body, craft)
    notes: list[str] = []
    steps: list[Step] = []
    for number, item in _in_flying_order(_flat(items)):
        try:
            steps += _steps(item, number, cruise or DEFAULT_CRUISE_M_S, notes)
        except MissionError as error:
            raise MissionError(f"item {number}: {error}") from None
        if len(steps) > plan.MAX_STEPS:
            raise MissionError(f"more than {plan.MAX_STEPS} steps: split the mission")
    if not any(isinstance(step, TakeOff | GoTo) for step in steps):
        raise MissionError("has no item that is flown: add a take-off and waypoints")
    return Mission(
        name=name,
        craft=craft,
        steps=tuple(steps),
        cruise_m_s=cruise,
        planned_home=_home(body.get("plannedHomePosition")),
        fences=_fences(document.get("geoFence")),
        rally=_rally(document.get("rallyPoints")),
        notes=tuple(dict.fromkeys(notes)),
    )


def _decode(text: str) -> Any:
    def refuse_constant(word: str) -> float:
        raise MissionError(f"{word} is not a number of JSON")

    try:
        return json.loads(text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise MissionError(f"line {error.lineno} is not JSON: {error.msg}") from None
    except ValueError as error:
        if isinstance(error, MissionError):
            raise
        raise MissionError("holds a number with too many digits") from None


def _shown(value: Any) -> str:
    """Return ``value`` short enough for a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = type(value).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MissionError(f"{what} is {_shown(value)}, not a number")
    if not low <= value <= high:  # also refuses NaN and infinity
        raise MissionError(f"{what} is {_shown(value)}, outside {low:g} to {high:g}")
    return float(value)


def _whole(value: Any, what: str) -> int:
    number = _number(value, what, -1e9, 1e9)
    if number != int(number):
        raise MissionError(f"{what} is {_shown(value)}, not a whole number")
    return int(number)


def _craft(body: dict[str, Any]) -> Craft:
    kind = body.get("vehicleType")
    return (
        Craft.OTHER
        if kind is None
        else CRAFT_OF_TYPE.get(_whole(kind, '"vehicleType"'), Craft.OTHER)
    )


def _cruise(body: dict[str, Any], craft: Craft) -> float | None:
    key = "cruiseSpeed" if craft is Craft.FIXED_WING else "hoverSpeed"
    if body.get(key) is None:
        return None
    return _number(body[key], f'"{key}"', 0.1, plan.MAX_SPEED_M_S)


# --- items in order ----------------------------------------------------------------------------


def _flat(items: list[Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return (number, simple item) with surveys expanded; numbers are QGroundControl's."""
    flat: list[tuple[int, dict[str, Any]]] = []
    for position, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise MissionError(f"item {position} is not an object")
        if item.get("type") == "SimpleItem":
            flat.append((position, item))
        elif item.get("type") == "ComplexItem":
            flat += [(position, inner) for inner in _inner(item, position)]
        else:
            raise MissionError(f"item {position} has the unknown type {_shown(item.get('type'))}")
        if len(flat) > plan.MAX_STEPS:
            raise MissionError(f"more than {plan.MAX_STEPS} items: split the mission")
    return flat


def _inner(item: dict[str, Any], position: int) -> list[dict[str, Any]]:
    kind = item.get("complexItemType")
    label = f"item {position} ({_shown(kind)})"
    if not isinstance(kind, str) or kind not in SURVEYS:
        raise MissionError(
            f"{label} is a pattern without flight items: replace it by waypoints in QGroundControl"
        )
    if item.get("version") not in SURVEYS[kind] or isinstance(item.get("version"), bool):
        known = SURVEYS[kind]
        raise MissionError(
            f"{label} has version {_shown(item.get('version'))}; "
            f"{known.start} to {known.stop - 1} are read"
        )
    transects = item.get("TransectStyleComplexItem")
    inner = transects.get("Items") if isinstance(transects, dict) else None
    if not isinstance(inner, list):
        raise MissionError(f'{label} has no "Items": open and save it in QGroundControl')
    for each in inner:
        if not isinstance(each, dict) or each.get("type") != "SimpleItem":
            raise MissionError(f"{label} holds something that is no simple item")
    return inner


def _in_flying_order(
    flat: list[tuple[int, dict[str, Any]]],
) -> list[tuple[int, dict[str, Any]]]:
    """Unroll jumps: MAV_CMD_DO_JUMP goes back ``param2`` times to the item ``param1``."""
    place_of = {
        item["doJumpId"]: index
        for index, (_, item) in reversed(list(enumerate(flat)))
        if isinstance(item.get("doJumpId"), int)
    }
    left: dict[int, int] = {}
    order: list[tuple[int, dict[str, Any]]] = []
    index = 0
    turns = 0
    while index < len(flat):
        number, item = flat[index]
        turns += 1
        if turns > 4 * plan.MAX_STEPS:
            raise MissionError(f"item {number}: the jumps never end")
        if item.get("command") != JUMP:
            order.append((number, item))
            if len(order) > plan.MAX_STEPS:
                raise MissionError(
                    f"item {number}: jumps unroll to more than {plan.MAX_STEPS} items"
                )
            index += 1
            continue
        try:
            params = _params(item)
            target = _whole(params[0], "the jump's target")
            repeat = _whole(params[1], "the jump's count")
        except MissionError as error:
            raise MissionError(f"item {number}: {error}") from None
        if repeat < 0:
            raise MissionError(f"item {number} jumps for ever: give it a count")
        if target not in place_of:
            raise MissionError(f"item {number} jumps to item {target}, which does not exist")
        left.setdefault(index, repeat)
        if left[index] > 0:
            left[index] -= 1
            index = place_of[target]
        else:
            index += 1
    return order


def _params(item: dict[str, Any]) -> list[Any]:
    params = item.get("params")
    if not isinstance(params, list) or len(params) != 7:
        raise MissionError('"params" is not a list of 7 numbers')
    for index, value in enumerate(params, start=1):
        if value is not None:
            _number(value, f"parameter {index}", -1e9, 1e9)
    return params


# --- one item ----------------------------------------------------------------------------------


def _steps(item: dict[str, Any], number: int, cruise_m_s: float, notes: list[str]) -> list[Step]:
    command = _whole(item.get("command"), '"command"')
    if command in LEFT_OUT:
        notes.append(f"item {number}: {LEFT_OUT[command]} (command {command}) is left out")
        return []
    params = _params(item)
    if command in (DELAY, CHANGE_SPEED):
        return _without_place(command, params, number, notes)
    if command in (TAKE_OFF, VTOL_TAKE_OFF):
        return [TakeOff(_altitude(item, params), _place_or_here(item, params))]
    if command in (WAYPOINT, LOITER_TO_ALT):
        stay = params[0] if command == WAYPOINT else None
        return [GoTo(_place(item, params)), *_hold(stay)]
    if command == LOITER_UNLIMITED:
        return [GoTo(_place(item, params)), Hold(math.inf)]
    if command == LOITER_TIME:
        return [GoTo(_place(item, params)), *_hold(params[0])]
    if command == LOITER_TURNS:
        seconds = _circling_s(params, cruise_m_s)
        notes.append(f"item {number}: circles are flown as a hold of {seconds:.0f} s")
        return [GoTo(_place(item, params)), *_hold(seconds)]
    if command == RETURN:
        return [Return()]
    if command in (LAND, VTOL_LAND):
        return [Land(_place_or_here(item, params))]
    raise MissionError(f"command {command} is not one that AirTwin flies")


def _without_place(command: int, params: list[Any], number: int, notes: list[str]) -> list[Step]:
    if command == DELAY:
        if params[0] is None or params[0] < 0:
            raise MissionError("a delay until a time of day is not flown: give seconds")
        return _hold(params[0])
    if params[1] is None or params[1] < 0:  # -1: only the throttle changes
        notes.append(f"item {number}: change of throttle (command 178) is left out")
        return []
    return [Speed(_number(params[1], "the speed", 0.1, plan.MAX_SPEED_M_S))]


def _hold(seconds: float | None) -> list[Step]:
    if seconds is None or seconds == 0:
        return []
    return [Hold(_number(seconds, "the holding time", 0.0, plan.MAX_HOLD_S))]


def _circling_s(params: list[Any], speed_m_s: float) -> float:
    """Return how long ``param1`` circles of radius ``param3`` take [s]."""
    turns = _number(params[0], "the count of circles", 0.0, 1000.0)
    radius_m = abs(_number(params[2] or 0.0, "the radius", -10_000.0, 10_000.0))
    return turns * 2.0 * math.pi * radius_m / speed_m_s


def _altitude(item: dict[str, Any], params: list[Any]) -> Altitude:
    frame = _whole(item.get("frame"), '"frame"')
    if frame not in DATUM_OF_FRAME:
        raise MissionError(f"frame {frame} does not say what the altitude is measured from")
    limit = plan.MAX_ALTITUDE_M
    return Altitude(_number(params[6], "the altitude", -limit, limit), DATUM_OF_FRAME[frame])


def _place(item: dict[str, Any], params: list[Any]) -> GeoPlace:
    return GeoPlace(
        _number(params[4], "the latitude", -90.0, 90.0),
        _number(params[5], "the longitude", -180.0, 180.0),
        _altitude(item, params),
    )


def _place_or_here(item: dict[str, Any], params: list[Any]) -> GeoPlace | None:
    """Return the place; None where the file says "here": no coordinates, or (0, 0)."""
    if params[4] in (None, 0) and params[5] in (None, 0):
        return None
    return _place(item, params)


# --- what is around the items -------------------------------------------------------------------


def _corner(value: Any, what: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise MissionError(f"{what} is not [latitude, longitude]")
    return (
        _number(value[0], f"latitude of {what}", -90.0, 90.0),
        _number(value[1], f"longitude of {what}", -180.0, 180.0),
    )


def _home(value: Any) -> Origin | None:
    if value is None:
        return None
    what = '"plannedHomePosition"'
    lat, lon = _corner(value, what)
    if len(value) != 3:
        raise MissionError(f"{what} has no altitude")
    if value == [0, 0, 0]:  # QGroundControl without a home writes zeros
        return None
    limit = plan.MAX_ALTITUDE_M
    return Origin(lat, lon, _number(value[2], f"altitude of {what}", -limit, limit))


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MissionError(f"{what} is not a list")
    return value


def _fences(value: Any) -> tuple[Fence, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise MissionError('"geoFence" is not an object')
    fences: list[Fence] = []
    if value.get("version") == 1:  # one polygon to stay in
        corners = _list(value.get("polygon"), 'the fence\'s "polygon"')
        return (_polygon(corners, inside=True),) if corners else ()
    if value.get("version") != 2:
        raise MissionError(f"fence version {_shown(value.get('version'))}; 1 and 2 are read")
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
                radius_m=_number(circle.get("radius"), "a fence's radius", 0.1, 1e6),
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


def _rally(value: Any) -> tuple[GeoPlace, ...]:
    """Rally points; their altitude is above home."""
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
        height = _number(point[2], "altitude of a rally point", -limit, limit)
        places.append(GeoPlace(lat, lon, Altitude(height, Datum.HOME)))
    return tuple(places)
