# SPDX-License-Identifier: Apache-2.0
"""What is drawn in RViz, as plain values; ``airtwin_ros.markers`` makes messages of them.

Marks live in ENU, the frame of RViz; whoever makes one has turned NED round already.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from airtwin_core.types import Array


class MarkKind(enum.IntEnum):
    """The numbers of ``visualization_msgs/Marker``."""

    ARROW = 0
    CUBE = 1
    SPHERE = 2
    CYLINDER = 3
    LINE_STRIP = 4
    LINE_LIST = 5
    TEXT = 9
    TRIANGLES = 11


Colour = tuple[float, float, float, float]
"""Red, green, blue, opacity; 0 to 1."""


def _nowhere() -> Array:
    return np.zeros(3)


def _unturned() -> Array:
    return np.array([1.0, 0.0, 0.0, 0.0])


def _no_points() -> Array:
    return np.zeros((0, 3))


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing to draw; ``group`` and ``id`` name it, so that the next one replaces it.

    ``position_enu_m`` (3,), ``q_enu_flu`` (4,) w first, ``scale_m`` (3,) (line width or text
    height in the first place), ``points_enu_m`` (n, 3) relative to the position;
    ``lifetime_s`` 0: until replaced.
    """

    group: str
    id: int
    kind: MarkKind
    frame: str
    colour: Colour
    scale_m: tuple[float, float, float]
    position_enu_m: Array = field(default_factory=_nowhere)
    q_enu_flu: Array = field(default_factory=_unturned)
    points_enu_m: Array = field(default_factory=_no_points)
    text: str = ""
    lifetime_s: float = 0.0
