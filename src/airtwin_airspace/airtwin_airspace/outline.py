# SPDX-License-Identifier: Apache-2.0
"""A zone's shapes on the airspace's local plane. Pure: shapely and pyproj.

Files draw straight lines in longitude and latitude; aircraft fly on the tangent plane of
``LocalFrame``. Far from its origin that plane is no map any more (the other side of the Earth
falls onto this one), so every shape is first cut to the surroundings of the origin in
longitude and latitude, then cut into short edges, then projected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from airtwin_airspace.zones import Circle, Outline, Ring, Zone
from airtwin_core.geodesy import LocalFrame

REACH_M = 50e3
"""Half the side [m] of the surroundings that are looked at."""
EDGE_MAX_DEG = 0.005
"""Longer edges are divided; the sagitta of what is left is below 0.1 m up to 80 degrees north."""
_CORNERS = 72
_METRES_PER_DEGREE = 111_132.0
_WGS84 = Geod(ellps="WGS84")

Say = Callable[[str], None]


class BadOutline(ValueError):
    """The shape encloses nothing, or not one thing; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The part of the Earth around a local frame's origin that zones are cut to."""

    frame: LocalFrame

    def project(self, shape: Circle | Outline, say: Say) -> BaseGeometry:
        """Return the part of the shape within reach, (north, east) [m]; empty if there is none.

        Raises:
            BadOutline: it encloses nothing, or winds about a pole.
        """
        geographic = _disc(shape) if isinstance(shape, Circle) else _polygon(shape, say)
        near = self._cut(geographic)
        if near.is_empty:
            return near
        short = shapely.segmentize(near, EDGE_MAX_DEG)
        local = shapely.transform(short, self._to_local)
        if not local.is_valid:
            # rounding can make two edges touch; the hull holds both
            local = local.convex_hull
        return local

    def _cut(self, geographic: BaseGeometry) -> BaseGeometry:
        """Return what lies in the box around the origin, longitude counted from the origin."""
        origin = self.frame.origin
        half_lat = REACH_M / _METRES_PER_DEGREE
        south, north = origin.latitude_deg - half_lat, origin.latitude_deg + half_lat
        widest = max(abs(south), abs(north))
        shrink = math.cos(math.radians(min(widest, 89.0)))
        half_lon = min(180.0, half_lat / shrink)
        pieces = []
        for turn in (-720.0, -360.0, 0.0, 360.0, 720.0):
            centre = origin.longitude_deg + turn
            box = shapely.box(centre - half_lon, south, centre + half_lon, north)
            pieces.append(
                shapely.transform(
                    shapely.intersection(geographic, box), lambda xy, turn=turn: xy - [turn, 0.0]
                )
            )
        return shapely.union_all([piece for piece in pieces if piece.area > 0.0])

    def _to_local(self, lon_lat_deg: np.ndarray) -> np.ndarray:
        altitude = self.frame.origin.altitude_amsl_m
        return np.array(
            [
                self.frame.to_ned(lat, (lon + 180.0) % 360.0 - 180.0, altitude)[:2]
                for lon, lat in lon_lat_deg
            ]
        )


def _disc(circle: Circle) -> BaseGeometry:
    """Return a polygon around the circle: its edges touch the circle, so it is never smaller."""
    azimuth = np.linspace(0.0, 360.0, _CORNERS, endpoint=False)
    reach = circle.radius_m / math.cos(math.pi / _CORNERS)
    lon, lat, _ = _WGS84.fwd(
        np.full(_CORNERS, circle.longitude_deg),
        np.full(_CORNERS, circle.latitude_deg),
        azimuth,
        np.full(_CORNERS, reach),
    )
    ring = [(float(x), float(y)) for x, y in zip(lon, lat, strict=True)]
    return shapely.Polygon(_unwrapped((*ring, ring[0])))


def _polygon(outline: Outline, say: Say) -> BaseGeometry:
    shell = _unwrapped(outline.shell)
    if shell != outline.shell:
        say("it crosses the antimeridian: taken the short way round")
    holes = [_beside(_unwrapped(hole), shell) for hole in outline.holes]
    polygon = shapely.Polygon(shell, holes)
    if not polygon.is_valid:
        say(f"its outline is not simple ({shapely.is_valid_reason(polygon)}): its hull counts")
        polygon = shapely.Polygon(shell).convex_hull
    if polygon.area <= 0.0 or polygon.geom_type != "Polygon":
        raise BadOutline("its polygon encloses nothing")
    return polygon


def _unwrapped(ring: Ring) -> Ring:
    """Return the ring with longitudes that run on over +-180.

    A step of more than half a turn is taken the short way round, except a full turn from one
    edge of the map to the other, which is a zone around the whole Earth.

    Raises:
        BadOutline: the ring does not close: it goes round a pole.
    """
    turn = 0.0
    points = [ring[0]]
    for (before, _), (lon, lat) in pairwise(ring):
        step = lon - before
        if 180.0 < abs(step) < 360.0:
            turn -= math.copysign(360.0, step)
        points.append((lon + turn, lat))
    if turn != 0.0:
        raise BadOutline("its outline goes round a pole")
    return tuple(points)


def _beside(hole: Ring, shell: Ring) -> Ring:
    """Return the hole, by whole turns, where its shell is (a shell may run beyond +-180)."""
    shift = round((_middle(shell) - _middle(hole)) / 360.0) * 360.0
    return tuple((lon + shift, lat) for lon, lat in hole)


def _middle(ring: Ring) -> float:
    longitudes = [lon for lon, _ in ring]
    return 0.5 * (min(longitudes) + max(longitudes))


def check(zones: Iterable[Zone]) -> None:
    """Refuse zones whose shapes cannot be used, wherever they are.

    Raises:
        BadOutline: names the zone.
    """
    for zone in zones:
        for volume in zone.volumes:
            for shape in volume.shapes:
                try:
                    if isinstance(shape, Circle):
                        _disc(shape)
                    else:
                        _polygon(shape, _unheard)
                except BadOutline as error:
                    raise BadOutline(f"zone {zone.identifier}: {error}") from None


def _unheard(sentence: str) -> None:
    """Remarks are made once, when the shape is projected."""
