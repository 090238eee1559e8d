# SPDX-License-Identifier: Apache-2.0
"""Reads AirTwin's YAML missions. Pure: text in, ``Mission`` out. Schema: ``MissionFile``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airtwin_core.types import Origin
from airtwin_mission import plan
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
    NedPlace,
    Place,
    Return,
    Speed,
    Step,
    TakeOff,
)

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 8
PLAIN_TAGS = ("str", "int", "float", "bool", "null", "timestamp", "value")
LOCAL_LIMIT_M = 100_000.0

_Latitude = Annotated[float, Field(ge=-90.0, le=90.0)]
_Longitude = Annotated[float, Field(ge=-180.0, le=180.0)]
_Height = Annotated[float, Field(ge=-plan.MAX_ALTITUDE_M, le=plan.MAX_ALTITUDE_M)]
_Local = Annotated[float, Field(ge=-LOCAL_LIMIT_M, le=LOCAL_LIMIT_M)]
_Speed = Annotated[float, Field(ge=0.1, le=plan.MAX_SPEED_M_S)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class OriginField(_Strict):
    """Zero of the mission's NED places."""

    latitude_deg: _Latitude
    longitude_deg: _Longitude
    altitude_amsl_m: _Height


class TakeOffField(_Strict):
    """Climb straight up; height above the ground where the aircraft stands."""

    height_m: Annotated[float, Field(ge=0.5, le=1000.0)]


class NedField(_Strict):
    """A place around the mission's origin, north, east, down."""

    ned_m: Annotated[list[_Local], Field(min_length=3, max_length=3)]


class GeoField(_Strict):
    """A place on Earth; ``datum`` says what the altitude is measured from."""

    latitude_deg: _Latitude
    longitude_deg: _Longitude
    altitude_m: _Height
    datum: Literal["amsl", "home", "agl"]


class HoldField(_Strict):
    """Stay."""

    seconds: Annotated[float, Field(gt=0.0, le=plan.MAX_HOLD_S)]


class SpeedField(_Strict):
    """Speed over ground of the following legs."""

    m_s: _Speed


class NothingField(_Strict):
    """``{}``."""


class StepField(_Strict):
    """One step: exactly one of the keys."""

    take_off: TakeOffField | None = None
    go_to: NedField | GeoField | None = None
    hold: HoldField | None = None
    speed: SpeedField | None = None
    land: NothingField | NedField | GeoField | None = None
    return_: Annotated[NothingField | None, Field(alias="return")] = None


class MissionFile(_Strict):
    """A mission of AirTwin, version 1."""

    mission: Literal[1]
    name: Annotated[str, Field(max_length=100)] = ""
    origin: OriginField | None = None
    speed_m_s: _Speed | None = None
    steps: Annotated[list[StepField], Field(min_length=1, max_length=plan.MAX_STEPS)]


def parse(text: str, name: str) -> Mission:
    """Return the mission in the YAML ``text``; ``name`` is used where the file gives none.

    Raises:
        MissionError: refused, with the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise MissionError(f"longer than {MAX_CHARACTERS} characters, no YAML mission is")
    data, lines = _read(text)
    if not isinstance(data, dict) or "mission" not in data:
        raise MissionError('not an AirTwin mission: the first line of one is "mission: 1"')
    try:
        file = MissionFile.model_validate(data)
    except ValidationError as error:
        raise MissionError(_first(error, lines)) from None
    steps = []
    for index, field in enumerate(file.steps):
        try:
            steps.append(_step(field))
        except MissionError as error:
            line = lines.get(("steps", index), 0)
            raise MissionError(f"line {line}, step {index + 1}: {error}") from None
    return Mission(
        name=file.name or name,
        craft=Craft.MULTIROTOR,
        steps=tuple(steps),
        cruise_m_s=file.speed_m_s,
        origin=None
        if file.origin is None
        else Origin(
            file.origin.latitude_deg, file.origin.longitude_deg, file.origin.altitude_amsl_m
        ),
    )


def _step(field: StepField) -> Step:
    given = field.model_fields_set
    if len(given) != 1:
        names = ", ".join(sorted(given)).replace("return_", "return") or "none"
        raise MissionError(f"a step has exactly one action, this one has: {names}")
    if field.take_off is not None:
        return TakeOff(Altitude(field.take_off.height_m, Datum.HOME))
    if field.go_to is not None:
        return GoTo(_place(field.go_to))
    if field.hold is not None:
        return Hold(field.hold.seconds)
    if field.speed is not None:
        return Speed(field.speed.m_s)
    if field.land is not None:
        return Land(None if isinstance(field.land, NothingField) else _place(field.land))
    if field.return_ is not None:
        return Return()
    raise MissionError('an action without settings is written with "{}", as in "land: {}"')


def _place(field: NedField | GeoField) -> Place:
    if isinstance(field, NedField):
        return NedPlace(*field.ned_m)
    altitude = Altitude(field.altitude_m, Datum(field.datum))
    return GeoPlace(field.latitude_deg, field.longitude_deg, altitude)


# --- YAML with line numbers ----------------------------------------------------------------------

_Path = tuple[str | int, ...]


def _read(text: str) -> tuple[Any, dict[_Path, int]]:
    """Return plain data and the line of each path. Aliases, tags and doubled keys are refused."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            # An alias makes one line grow to gigabytes; missions have no use for one.
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise MissionError(f"line {line}: aliases (*) are not used in missions")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise MissionError(f"line {line} is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise MissionError(f"is not YAML: {str(error).splitlines()[0]}") from None
    lines: dict[_Path, int] = {}
    return _plain(root, (), lines), lines


def _plain(node: yaml.Node | None, path: _Path, lines: dict[_Path, int]) -> Any:
    if node is None:
        return None
    line = node.start_mark.line + 1
    lines[path] = line
    if len(path) > MAX_DEPTH:
        raise MissionError(f"line {line}: nested deeper than any mission is")
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise MissionError(f"line {line}: a key is not a word")
            if key in result:
                raise MissionError(f"line {key_node.start_mark.line + 1}: {key!r} stands twice")
            inner = (*path, key)
            result[key] = _plain(value_node, inner, lines)
            lines[inner] = key_node.start_mark.line + 1
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines) for i, item in enumerate(node.value)]
    return _scalar(node, line)


def _scalar(node: yaml.Node, line: int) -> Any:
    tag, word = node.tag.removeprefix("tag:yaml.org,2002:"), node.value
    if tag not in PLAIN_TAGS:
        raise MissionError(f"line {line}: tags (!) are not used in missions")
    try:
        if tag == "int":
            return int(word.replace("_", ""))
        if tag == "float":
            plain = word.replace("_", "").lower()
            return float(plain.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise MissionError(f"line {line}: {word[:30]!r} is not a plain number") from None
    if tag == "bool":
        return word.lower() in ("yes", "true", "on")
    if tag == "null":
        return None
    return word


def _first(error: ValidationError, lines: dict[_Path, int]) -> str:
    """Return the most useful of pydantic's errors as "line 7, steps 2 hold seconds: ..."."""
    known = set(lines)
    # Of a union (NED or geographic) pydantic reports both; what is wrong with a value tells more
    # than that the other kind has no such setting.
    best = max(
        error.errors(),
        key=lambda e: (len(_known_path(e["loc"], known)), e["type"] != "extra_forbidden"),
    )
    path = _known_path(best["loc"], known)
    words = " ".join(str(p + 1) if isinstance(p, int) else p for p in path)
    message = best["msg"][0].lower() + best["msg"][1:]
    if best["type"] == "missing":
        message = f"{best['loc'][-1]!r} is missing"
    if best["type"] == "extra_forbidden":
        message = "no such setting"
    line = lines.get(path, 0)
    return f"line {line}, {words or 'the file'}: {message}"


def _known_path(loc: tuple[int | str, ...], known: set[_Path]) -> _Path:
    """Return the part of pydantic's location that is in the file (it adds names of models)."""
    path: _Path = ()
    for part in loc:
        if (*path, part) in known:
            path = (*path, part)
    return path
