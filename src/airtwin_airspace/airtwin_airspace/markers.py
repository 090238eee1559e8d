# SPDX-License-Identifier: Apache-2.0
"""Zones as translucent prisms for RViz, in ``map``: ENU around the airspace's origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import shapely

from airtwin_airspace.breach import Prism
from airtwin_airspace.zones import Restriction
from airtwin_core.marks import Colour, Mark, MarkKind
from airtwin_core.types import Array

FRAME = "map"
_TALLEST_M = 120.0
"""Zones without an upper limit are drawn up to here above the origin."""
_COLOURS: dict[Restriction, tuple[float, float, float]] = {
    Restriction.PROHIBITED: (0.86, 0.16, 0.16),
    Restriction.REQ_AUTHORISATION: (0.95, 0.60, 0.10),
    Restriction.CONDITIONAL: (0.95, 0.85, 0.15),
    Restriction.NO_RESTRICTION: (0.30, 0.65, 0.30),
}


def zone_marks(prisms: Sequence[Prism], origin_amsl_m: float) -> tuple[Mark, ...]:
    """Return walls, edges and name of each prism."""
    marks: list[Mark] = []
    for number, prism in enumerate(prisms):
        red, green, blue = _COLOURS[prism.zone.restriction]
        bottom = max(prism.bottom_amsl_m - origin_amsl_m, 0.0)
        top = min(prism.top_amsl_m - origin_amsl_m, _TALLEST_M)
        if top <= bottom:
            continue
        rings = [
            np.array([[east, north] for north, east in ring.coords])
            for part in shapely.get_parts(prism.area)
            for ring in (part.exterior, *part.interiors)
        ]
        walls: Colour = (red, green, blue, 0.22)
        edges: Colour = (red, green, blue, 0.9)
        faces = np.concatenate([_walls(ring, bottom, top) for ring in rings])
        lines = np.concatenate([_edges(ring, bottom, top) for ring in rings])
        ones, line = (1.0, 1.0, 1.0), (0.4, 0.0, 0.0)
        group = "zone"
        marks.append(
            Mark(group, 3 * number, MarkKind.TRIANGLES, FRAME, walls, ones, points_enu_m=faces)
        )
        marks.append(
            Mark(group, 3 * number + 1, MarkKind.LINE_LIST, FRAME, edges, line, points_enu_m=lines)
        )
        centre = prism.area.representative_point()
        place = np.array([centre.y, centre.x, top + 3.0])
        text = f"{prism.zone.identifier} {prism.zone.restriction.value.replace('_', ' ')}"
        marks.append(
            Mark(
                group,
                3 * number + 2,
                MarkKind.TEXT,
                FRAME,
                (red, green, blue, 1.0),
                (4.0, 0.0, 0.0),
                position_enu_m=place,
                text=text,
            )
        )
    return tuple(marks)


def _walls(ring_en_m: Array, bottom_m: float, top_m: float) -> Array:
    """Return (6 n, 3) corners of two triangles for each of the n edges."""
    return np.array(
        [
            corner
            for a, b in _sides(ring_en_m)
            for corner in (
                (*a, bottom_m),
                (*b, bottom_m),
                (*b, top_m),
                (*a, bottom_m),
                (*b, top_m),
                (*a, top_m),
            )
        ]
    )


def _edges(ring_en_m: Array, bottom_m: float, top_m: float) -> Array:
    """Return (4 n, 3) ends of the lines around bottom and top."""
    return np.array(
        [
            end
            for a, b in _sides(ring_en_m)
            for end in ((*a, bottom_m), (*b, bottom_m), (*a, top_m), (*b, top_m))
        ]
    )


def _sides(ring_en_m: Array) -> Iterator[tuple[Array, Array]]:
    yield from pairwise(ring_en_m)
