# SPDX-License-Identifier: Apache-2.0
"""When will an aircraft enter a zone? Straight flight against prisms on the local plane. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from airtwin_airspace.altitude import Altitude, Datum, DatumMismatch, Reference
from airtwin_airspace.outline import BadOutline, Surroundings
from airtwin_airspace.zones import Volume, Zone
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Array

BEYOND = "beyond the known zones"
"""Stands for the zones that may be where nobody has looked."""


class Where(enum.Enum):
    """An aircraft and a zone. UNKNOWN is not OUTSIDE."""

    UNKNOWN = "unknown"
    OUTSIDE = "outside"
    ENTERING = "entering"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class Breach:
    """``time_to_s`` [s] to entry (0 inside, NaN unknown or outside)."""

    where: Where
    time_to_s: float


@dataclass(frozen=True, slots=True)
class Prism:
    """One volume of a zone: ``area`` in (north, east) [m], heights [m] AMSL, +-inf: no limit."""

    zone: Zone
    area: BaseGeometry
    bottom_amsl_m: float
    top_amsl_m: float


def prisms(
    zones: Sequence[Zone], frame: LocalFrame, reference: Reference, say: Callable[[str], None]
) -> tuple[Prism, ...]:
    """Return the zones' volumes around the frame's origin; ``say`` gets what was widened.

    Raises:
        BadOutline: a shape cannot be used; names the zone.
    """
    surroundings = Surroundings(frame)
    made: list[Prism] = []
    for zone in zones:

        def about(sentence: str, zone: Zone = zone) -> None:
            say(f"zone {zone.identifier}: {sentence}")

        for volume in zone.volumes:
            try:
                areas = [surroundings.project(shape, about) for shape in volume.shapes]
            except BadOutline as error:
                raise BadOutline(f"zone {zone.identifier}: {error}") from None
            area = shapely.union_all(areas)
            if area.is_empty:
                continue
            bottom, top = _heights(volume, reference, about)
            shapely.prepare(area)
            made.append(Prism(zone, area, bottom, top))
    return tuple(made)


def _heights(
    volume: Volume, reference: Reference, say: Callable[[str], None]
) -> tuple[float, float]:
    def amsl(limit: Altitude | None, unlimited: float) -> float:
        if limit is None:
            return unlimited
        try:
            return reference.amsl_m(limit)
        except DatumMismatch as error:
            # from the ground up needs no height of the ground: nobody flies below it
            if limit.datum is not Datum.AGL or limit.metres > 0.0 or unlimited > 0.0:
                say(f"{error}: no limit")
            return unlimited

    bottom, top = amsl(volume.lower, -math.inf), amsl(volume.upper, math.inf)
    if top < bottom:
        say("its upper limit is below its lower one: it counts at every height")
        return -math.inf, math.inf
    return bottom, top


def entry(
    prism: Prism,
    position_ned_m: Array,
    velocity_ned_m_s: Array,
    *,
    origin_amsl_m: float,
    horizontal_m: float,
    vertical_m: float,
    look_ahead_s: float,
) -> Breach:
    """Return when straight flight comes within the margins of the prism.

    ``position_ned_m``, ``velocity_ned_m_s``: (3,), the frame of the prism; ``origin_amsl_m``: the
    altitude of its origin. Anything not finite gives UNKNOWN.
    """
    numbers = (*position_ned_m, *velocity_ned_m_s, horizontal_m, vertical_m, look_ahead_s)
    if not all(math.isfinite(number) for number in numbers):
        return Breach(Where.UNKNOWN, math.nan)
    altitude = origin_amsl_m - float(position_ned_m[2])
    climb = -float(velocity_ned_m_s[2])
    start_s, end_s = _time_between(
        altitude,
        climb,
        prism.bottom_amsl_m - vertical_m,
        prism.top_amsl_m + vertical_m,
        look_ahead_s,
    )
    if start_s > end_s:
        return Breach(Where.OUTSIDE, math.nan)
    first = position_ned_m[:2] + velocity_ned_m_s[:2] * start_s
    last = position_ned_m[:2] + velocity_ned_m_s[:2] * end_s
    here = shapely.Point(first)
    if prism.area.distance(here) <= horizontal_m:
        return Breach(Where.INSIDE if start_s == 0.0 else Where.ENTERING, start_s)
    path = shapely.LineString([first, last])
    if path.length == 0.0 or prism.area.distance(path) > horizontal_m:
        return Breach(Where.OUTSIDE, math.nan)
    # the buffer's round corners are chords and lie a little inside: widen it by what they lack
    wide = prism.area.buffer(horizontal_m * _ROUND + 1e-6, quad_segs=16)
    inside = path.intersection(wide)
    if inside.is_empty:
        return Breach(Where.ENTERING, end_s)
    speed = float(np.hypot(*velocity_ned_m_s[:2]))
    way = min(float(np.hypot(*(point - first))) for point in shapely.get_coordinates(inside))
    return Breach(Where.ENTERING, min(end_s, start_s + way / speed))


_ROUND = 1.0 / math.cos(math.pi / 64.0)


def _time_between(
    value: float, rate: float, low: float, high: float, look_ahead_s: float
) -> tuple[float, float]:
    """Return the part of 0 to ``look_ahead_s`` in which value + rate t is within low to high.

    An empty part has its start after its end.
    """
    if rate == 0.0:
        return (0.0, look_ahead_s) if low <= value <= high else (1.0, 0.0)
    at_low, at_high = (low - value) / rate, (high - value) / rate
    return max(0.0, min(at_low, at_high)), min(look_ahead_s, max(at_low, at_high))


@dataclass(slots=True)
class ZoneIndex:
    """Finds the prisms near a path among many; ``origin_amsl_m``: altitude of the plane's zero.

    ``reach_m``: so far from the plane's zero the prisms are known; beyond it nothing is OUTSIDE.
    """

    prisms: tuple[Prism, ...]
    origin_amsl_m: float
    reach_m: float = math.inf
    _tree: shapely.STRtree = field(init=False)

    def __post_init__(self) -> None:
        self._tree = shapely.STRtree([prism.area for prism in self.prisms])

    def breaches(
        self,
        position_ned_m: Array,
        velocity_ned_m_s: Array,
        *,
        horizontal_m: float,
        vertical_m: float,
        look_ahead_s: float,
        now_ns: int,
    ) -> tuple[tuple[str, Breach], ...]:
        """Return (zone, breach) of all zones that are not left OUTSIDE, soonest first."""
        end = position_ned_m[:2] + velocity_ned_m_s[:2] * look_ahead_s
        # written so that NaN is beyond reach
        if not float(np.abs([position_ned_m[:2], end]).max()) + horizontal_m <= self.reach_m:
            return ((BEYOND, Breach(Where.UNKNOWN, math.nan)),)
        low = np.minimum(position_ned_m[:2], end) - horizontal_m
        high = np.maximum(position_ned_m[:2], end) + horizontal_m
        found: list[tuple[str, Breach]] = []
        for index in self._tree.query(shapely.box(*low, *high)):
            prism = self.prisms[int(index)]
            if not prism.zone.active(now_ns, now_ns + int(look_ahead_s * 1e9)):
                continue
            breach = entry(
                prism,
                position_ned_m,
                velocity_ned_m_s,
                origin_amsl_m=self.origin_amsl_m,
                horizontal_m=horizontal_m,
                vertical_m=vertical_m,
                look_ahead_s=look_ahead_s,
            )
            if breach.where is not Where.OUTSIDE:
                found.append((prism.zone.identifier, breach))
        return tuple(sorted(found, key=lambda item: item[1].time_to_s))
