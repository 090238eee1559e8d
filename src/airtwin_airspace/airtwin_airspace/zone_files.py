# SPDX-License-Identifier: Apache-2.0
"""Reads zones from ED-269, ED-318 and GeoJSON documents. Pure: bytes in, zones and remarks out.

A document that cannot be understood is refused with one sentence (``BadZoneFile``); so is one
with a single zone that cannot, unless the caller takes the rest (``partial=True``): a zone
dropped in silence would be a hole in the airspace. What a document leaves open is read the
restrictive way and said in ``ZoneFile.remarks``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airtwin_airspace.altitude import FOOT_M, Altitude, Datum
from airtwin_airspace.zones import (
    ALL_DAYS,
    Circle,
    DailyPeriod,
    Day,
    Outline,
    Period,
    Restriction,
    Ring,
    Volume,
    Zone,
)

_CLOCK = re.compile(
    r"(?P<h>\d\d):(?P<m>\d\d)(:(?P<s>\d\d([.,]\d{1,9})?))?(?P<zone>Z|[+-]\d\d:?\d\d)", re.ASCII
)
_MOMENT = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>.{6,32})", re.ASCII)
"""RFC 3339 with the seconds left out where the files do; Python 3.10 reads neither itself."""
NO_LIMIT = 99999.0
"""What national ED-269 files write, in metres or feet, for "no upper limit"."""
CIRCLE_RADIUS_MAX_M = 500e3

Remark = Callable[[str], None]
Json = dict[str, Any]


class BadZoneFile(ValueError):
    """The document, or one zone of it, cannot be used; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """``remarks``: what was read the restrictive way. ``refused``: why zones are missing."""

    zones: tuple[Zone, ...]
    remarks: tuple[str, ...]
    refused: tuple[str, ...] = ()


def parse(document: bytes, *, partial: bool = False) -> ZoneFile:
    """Return the zones of an ED-269, ED-318 or GeoJSON document.

    Raises:
        BadZoneFile: it is none, or holds a zone that cannot be used (with ``partial``: holds no
            zone that can).
    """
    features = _features(_load(document))
    zones: list[Zone] = []
    remarks: list[str] = []
    refused: list[str] = []
    for number, feature in enumerate(features, start=1):
        try:
            zone = _zone(feature, number, remarks.append)
            if any(zone.identifier == other.identifier for other in zones):
                remarks.append(f"zone {zone.identifier} is there twice: both count")
            zones.append(zone)
        except BadZoneFile as error:
            if not partial:
                raise
            refused.append(str(error))
    if not zones:
        raise BadZoneFile(refused[0] if refused else "the document holds no zone")
    return ZoneFile(tuple(zones), tuple(remarks), tuple(refused))


# --- the document --------------------------------------------------------------------------------


def _load(document: bytes) -> Json:
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadZoneFile(f"not UTF-8 text (byte {error.start})") from None
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise BadZoneFile("not a zone file: nested too deeply") from None
    except BadZoneFile:
        raise
    except ValueError as error:
        raise BadZoneFile(f"not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise BadZoneFile("not a zone file: the document is no JSON object")
    return value


def _no_constant(name: str) -> float:
    raise BadZoneFile(f"not JSON: the number {name}")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadZoneFile(f"not a zone file: the key {twice[:40]!r} is there twice in one object")
    return value


def _features(document: Json) -> list[Any]:
    if document.get("type") == "Feature":
        return [document]
    for key in ("UASZoneList", "features"):
        if key in document:
            if not isinstance(document[key], list):
                raise BadZoneFile(f"not a zone file: {key!r} is no list")
            if not document[key]:
                raise BadZoneFile(f"the document holds no zone: {key!r} is empty")
            return list(document[key])
    raise BadZoneFile("not a zone file: neither 'UASZoneList' (ED-269) nor 'features' (GeoJSON)")


# --- one zone ------------------------------------------------------------------------------------


def _zone(feature: Any, number: int, remark: Remark) -> Zone:
    if not isinstance(feature, dict):
        raise BadZoneFile(f"zone {number} is no JSON object")
    properties = feature
    if "properties" in feature or feature.get("type") == "Feature":
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise BadZoneFile(f"zone {number}: 'properties' is no object")
    identifier = _text(properties.get("identifier")) or f"#{number}"
    where = f"zone {identifier}"

    def say(sentence: str) -> None:
        remark(f"{where}: {sentence}")

    try:
        return Zone(
            identifier=identifier,
            name=_text(properties.get("name")) or _text(properties.get("title")),
            restriction=_restriction(properties, say),
            volumes=tuple(_volumes(feature, properties, say)),
            applicability=_applicability(properties, say),
        )
    except BadZoneFile as error:
        raise BadZoneFile(f"{where}: {error}") from None


def _text(value: Any) -> str:
    """Return plain text, or the first (or English) text of ED-318's list of languages."""
    if isinstance(value, list):
        texts = [item for item in value if isinstance(item, dict) and _text(item.get("text"))]
        english = [item for item in texts if str(item.get("lang", "")).startswith("en")]
        chosen = (english or texts)[:1]
        return _text(chosen[0]["text"]) if chosen else ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return " ".join("".join(c for c in str(value) if c.isprintable() or c == " ").split())[:80]


def _restriction(properties: Json, say: Remark) -> Restriction:
    # ED-269 has "restriction" beside a "type" of COMMON; ED-318 has it in "type".
    for key in ("restriction", "type"):
        word = properties.get(key)
        if not isinstance(word, str) or word in ("COMMON", "CUSTOMIZED"):
            continue
        word = word.strip().upper().replace("AUTHORIZATION", "AUTHORISATION")
        if word in Restriction.__members__:
            return Restriction[word]
        if word == "USPACE":
            say("U-space airspace: taken as REQ_AUTHORISATION")
            return Restriction.REQ_AUTHORISATION
        say(f"restriction {word[:40]!r} is not known: taken as PROHIBITED")
        return Restriction.PROHIBITED
    say("no restriction is stated: taken as PROHIBITED")
    return Restriction.PROHIBITED


# --- where ---------------------------------------------------------------------------------------


def _volumes(feature: Json, properties: Json, say: Remark) -> Iterator[Volume]:
    geometry = feature.get("geometry")
    parts = geometry if isinstance(geometry, list) else [geometry]
    if not parts:
        raise BadZoneFile("it has no geometry")
    for part in parts:
        if not isinstance(part, dict):
            raise BadZoneFile("it has no geometry")
        if "horizontalProjection" in part:
            shape = part["horizontalProjection"]
            if not isinstance(shape, dict):
                raise BadZoneFile("'horizontalProjection' is no object")
            lower, upper = _ed269_limits(part, say)
            yield Volume(tuple(_shapes(shape, say)), lower, upper)
        elif part.get("type") == "GeometryCollection":
            members = part.get("geometries")
            if not isinstance(members, list) or not members:
                raise BadZoneFile("its GeometryCollection is empty")
            for member in members:
                if not isinstance(member, dict):
                    raise BadZoneFile("a member of its GeometryCollection is no object")
                yield _layered(member, properties, say)
        else:
            yield _layered(part, properties, say)


def _layered(shape: Json, properties: Json, say: Remark) -> Volume:
    """Return the volume of a GeoJSON geometry: heights in ED-318's layer, or Estonia's way."""
    layer, beside = shape.get("layer"), properties.get("geometry")
    if isinstance(layer, dict):
        unit = layer.get("uom", "m")
        lower = _limit(layer, "lower", "lowerReference", unit, say)
        upper = _limit(layer, "upper", "upperReference", unit, say)
        lower, upper = _ordered(lower, upper, say)
    elif isinstance(beside, dict):
        lower, upper = _ed269_limits(beside, say)
    else:
        say("no heights are stated: it counts at every height")
        lower = upper = None
    return Volume(tuple(_shapes(shape, say)), lower, upper)


def _ed269_limits(part: Json, say: Remark) -> tuple[Altitude | None, Altitude | None]:
    unit = part.get("uomDimensions", "M")
    lower = _limit(part, "lowerLimit", "lowerVerticalReference", unit, say)
    upper = _limit(part, "upperLimit", "upperVerticalReference", unit, say)
    return _ordered(lower, upper, say)


def _limit(part: Json, key: str, datum_key: str, unit: Any, say: Remark) -> Altitude | None:
    raw = part.get(key)
    if raw is None:
        say(f"'{key}' is not stated: no limit")
        return None
    value = _number(raw, key)
    if value >= NO_LIMIT:
        return None
    scale = {"M": 1.0, "FT": FOOT_M}.get(str(unit).upper())
    datum = part.get(datum_key)
    if scale is None:
        say(f"unit {str(unit)[:20]!r} of '{key}' is not known: no limit")
        return None
    if not isinstance(datum, str) or datum.strip().upper() not in Datum.__members__:
        say(f"datum {str(datum)[:20]!r} of '{key}' is not known: no limit")
        return None
    return Altitude(value * scale, Datum[datum.strip().upper()])


def _ordered(
    lower: Altitude | None, upper: Altitude | None, say: Remark
) -> tuple[Altitude | None, Altitude | None]:
    if lower and upper and lower.datum is upper.datum and upper < lower:
        say(f"upper limit {upper} is below lower limit {lower}: it counts at every height")
        return None, None
    return lower, upper


def _shapes(shape: Json, say: Remark) -> Iterator[Circle | Outline]:
    kind = shape.get("type")
    if kind == "Circle":
        yield _circle(shape.get("center"), shape.get("radius"))
    elif kind == "Point":
        extent = shape.get("extent")
        if not isinstance(extent, dict) or "radius" not in extent:
            raise BadZoneFile("a point without a radius encloses nothing")
        yield _circle(shape.get("coordinates"), extent["radius"])
    elif kind == "Polygon":
        yield _outline(shape.get("coordinates"), say)
    elif kind == "MultiPolygon":
        polygons = shape.get("coordinates")
        if not isinstance(polygons, list) or not polygons:
            raise BadZoneFile("its MultiPolygon is empty")
        for polygon in polygons:
            yield _outline(polygon, say)
    else:
        raise BadZoneFile(f"geometry {str(kind)[:40]!r} encloses nothing that is known")


def _circle(centre: Any, radius: Any) -> Circle:
    radius_m = _number(radius, "radius")
    if not 0.0 < radius_m <= CIRCLE_RADIUS_MAX_M:
        raise BadZoneFile(f"radius {radius_m:g} m is outside 0 to 500 km")
    longitude_deg, latitude_deg = _position(centre)
    return Circle(latitude_deg, longitude_deg, radius_m)


def _outline(rings: Any, say: Remark) -> Outline:
    if not isinstance(rings, list) or not rings:
        raise BadZoneFile("its polygon is empty")
    shell, *holes = (_ring(ring, say) for ring in rings)
    return Outline(shell, tuple(holes))


def _ring(points: Any, say: Remark) -> Ring:
    if not isinstance(points, list):
        raise BadZoneFile("a ring of its polygon is no list")
    ring = tuple(_position(point) for point in points)
    if len(set(ring)) < 3:
        raise BadZoneFile("a ring of its polygon has fewer than three different points")
    if ring[0] != ring[-1]:
        say("a ring is not closed: closed")
        ring = (*ring, ring[0])
    return ring


def _position(point: Any) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) < 2:
        raise BadZoneFile("a position is not [longitude, latitude]")
    longitude_deg, latitude_deg = _number(point[0], "longitude"), _number(point[1], "latitude")
    if abs(latitude_deg) > 90.0:
        raise BadZoneFile(f"latitude {latitude_deg:g} is outside -90 to 90")
    # some files write the far side of the antimeridian as 181 rather than -179
    if abs(longitude_deg) > 360.0:
        raise BadZoneFile(f"longitude {longitude_deg:g} is outside -360 to 360")
    return longitude_deg, latitude_deg


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadZoneFile(f"{name} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise BadZoneFile(f"{name} {str(value)[:20]!r} is no number") from None
    if not math.isfinite(number):
        raise BadZoneFile(f"{name} is not finite")
    return number


# --- when ----------------------------------------------------------------------------------------


def _applicability(properties: Json, say: Remark) -> tuple[Period, ...]:
    lines = properties.get("applicability", properties.get("limitedApplicability"))
    if not lines:
        return ()
    if not isinstance(lines, list):
        say("its applicability is no list: it always counts")
        return ()
    periods: list[Period] = []
    for line in lines:
        if not isinstance(line, dict):
            say("a line of its applicability is no object: it always counts")
            return ()
        if str(line.get("permanent", "NO")).strip().upper() in ("YES", "TRUE"):
            return ()
        try:
            period = Period(
                _moment(line.get("startDateTime")),
                _moment(line.get("endDateTime")),
                _schedule(line.get("schedule") or line.get("dailyPeriod") or [], say),
            )
        except ValueError as error:
            say(f"its applicability cannot be read ({error}): it always counts")
            return ()
        if period.start and period.end and period.end < period.start:
            say("its applicability ends before it starts: it always counts")
            return ()
        periods.append(period)
    return tuple(periods)


def _moment(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("a time that is no text")
    match = _MOMENT.fullmatch(value)
    if match is None:
        raise ValueError(f"time {value[:40]!r}")
    try:
        day = datetime.strptime(match["day"], "%Y-%m-%d").replace(tzinfo=timezone.utc)
        return day + timedelta(seconds=_second_of_day(match["clock"], 0.0))
    except (ValueError, OverflowError):
        raise ValueError(f"time {value[:40]!r}") from None


def _schedule(lines: Any, say: Remark) -> tuple[DailyPeriod, ...]:
    if not isinstance(lines, list):
        raise ValueError("a schedule that is no list")
    parts: list[DailyPeriod] = []
    for line in lines:
        if not isinstance(line, dict):
            raise ValueError("a line of the schedule that is no object")
        words = line.get("day") or ["ANY"]
        if not isinstance(words, list):
            raise ValueError("days that are no list")
        if any(word != "ANY" and word not in Day.__members__ for word in words):
            raise ValueError(f"days {str(words)[:40]}")
        days = ALL_DAYS if "ANY" in words else frozenset(Day[word] for word in words)
        if line.get("startEvent") or line.get("endEvent"):
            say("its schedule follows the sun: it counts all day")
            parts.append(DailyPeriod(days, 0.0, 86400.0))
            continue
        start_s = _second_of_day(line.get("startTime"), 0.0)
        end_s = _second_of_day(line.get("endTime"), 86400.0)
        parts.append(DailyPeriod(days, start_s, end_s))
    return tuple(parts)


def _second_of_day(value: Any, otherwise: float) -> float:
    if value is None or value == "":
        return otherwise
    if not isinstance(value, str):
        raise ValueError("a time of day that is no text")
    match = _CLOCK.fullmatch(value)
    if match is None:
        raise ValueError(f"time of day {value[:20]!r}")
    hour, minute, second = (
        int(match["h"]),
        int(match["m"]),
        float((match["s"] or "0").replace(",", ".")),
    )
    if hour > 24 or minute > 59 or second > 60.0:
        raise ValueError(f"time of day {value[:20]!r}")
    return hour * 3600.0 + minute * 60.0 + second - _zone_offset_s(match["zone"])


def _zone_offset_s(zone: str) -> float:
    if zone == "Z":
        return 0.0
    seconds = int(zone[1:3]) * 3600.0 + int(zone[-2:]) * 60.0
    return -seconds if zone[0] == "-" else seconds
