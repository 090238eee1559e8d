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

from airtwin_mission import plan, qgc_fence
from airtwin_mission.json_numbers import real_number, shown, whole_number
from airtwin_mission.plan import (
    Altitude,
    Craft,
    Datum,
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
        raise MissionError(f"plan version {shown(document.get('version'))}; version 1 is read")
    body = document.get("mission")
    if not isinstance(body, dict):
        raise MissionError('holds no mission (no "mission" object)')
    if body.get("version") != 2:
        raise MissionError(f"mission version {shown(body.get('version'))}; version 2 is read")
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
        planned_home=qgc_fence.home(body.get("plannedHomePosition")),
        fences=qgc_fence.fences(document.get("geoFence")),
        rally=qgc_fence.rally(document.get("rallyPoints")),
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


def _craft(body: dict[str, Any]) -> Craft:
    kind = body.get("vehicleType")
    return (
        Craft.OTHER
        if kind is None
        else CRAFT_OF_TYPE.get(whole_number(kind, '"vehicleType"'), Craft.OTHER)
    )


def _cruise(body: dict[str, Any], craft: Craft) -> float | None:
    key = "cruiseSpeed" if craft is Craft.FIXED_WING else "hoverSpeed"
    if body.get(key) is None:
        return None
    return real_number(body[key], f'"{key}"', 0.1, plan.MAX_SPEED_M_S)


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
            raise MissionError(f"item {position} has the unknown type {shown(item.get('type'))}")
        if len(flat) > plan.MAX_STEPS:
            raise MissionError(f"more than {plan.MAX_STEPS} items: split the mission")
    return flat


def _inner(item: dict[str, Any], position: int) -> list[dict[str, Any]]:
    kind = item.get("complexItemType")
    label = f"item {position} ({shown(kind)})"
    if not isinstance(kind, str) or kind not in SURVEYS:
        raise MissionError(
            f"{label} is a pattern without flight items: replace it by waypoints in QGroundControl"
        )
    if item.get("version") not in SURVEYS[kind] or isinstance(item.get("version"), bool):
        known = SURVEYS[kind]
        raise MissionError(
            f"{label} has version {shown(item.get('version'))}; "
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
            target = whole_number(params[0], "the jump's target")
            repeat = whole_number(params[1], "the jump's count")
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
            real_number(value, f"parameter {index}", -1e9, 1e9)
    return params


# --- one item ----------------------------------------------------------------------------------


def _steps(item: dict[str, Any], number: int, cruise_m_s: float, notes: list[str]) -> list[Step]:
    command = whole_number(item.get("command"), '"command"')
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
    return [Speed(real_number(params[1], "the speed", 0.1, plan.MAX_SPEED_M_S))]


def _hold(seconds: float | None) -> list[Step]:
    if seconds is None or seconds == 0:
        return []
    return [Hold(real_number(seconds, "the holding time", 0.0, plan.MAX_HOLD_S))]


def _circling_s(params: list[Any], speed_m_s: float) -> float:
    """Return how long ``param1`` circles of radius ``param3`` take [s]."""
    turns = real_number(params[0], "the count of circles", 0.0, 1000.0)
    radius_m = abs(real_number(params[2] or 0.0, "the radius", -10_000.0, 10_000.0))
    return turns * 2.0 * math.pi * radius_m / speed_m_s


def _altitude(item: dict[str, Any], params: list[Any]) -> Altitude:
    frame = whole_number(item.get("frame"), '"frame"')
    if frame not in DATUM_OF_FRAME:
        raise MissionError(f"frame {frame} does not say what the altitude is measured from")
    limit = plan.MAX_ALTITUDE_M
    return Altitude(real_number(params[6], "the altitude", -limit, limit), DATUM_OF_FRAME[frame])


def _place(item: dict[str, Any], params: list[Any]) -> GeoPlace:
    return GeoPlace(
        real_number(params[4], "the latitude", -90.0, 90.0),
        real_number(params[5], "the longitude", -180.0, 180.0),
        _altitude(item, params),
    )


def _place_or_here(item: dict[str, Any], params: list[Any]) -> GeoPlace | None:
    """Return the place; None where the file says "here": no coordinates, or (0, 0)."""
    if params[4] in (None, 0) and params[5] in (None, 0):
        return None
    return _place(item, params)
