# SPDX-License-Identifier: Apache-2.0
"""What one recorded flight gives to the identification."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airtwin_core.types import Array, Parameter
from airtwin_physics.battery import Drain


@dataclass(frozen=True, slots=True)
class FlightBlocks:
    """Judged blocks (n, width) of one flight, and what was not judged by cause.

    ``battery``: what the flight tells of its battery; empty without a battery's samples.
    ``drain``: its discharge, where the current was measured. ``esc_ratio``: how fast the ESCs say
    that rotors turn, by commands and file; NaN: they say nothing. ``thrust_factor``: PX4's
    THR_MDL_FAC, of the log where it tells, else the file's.
    """

    name: str
    date: str
    blocks: Array
    refused: dict[str, int]
    battery: tuple[Parameter, ...] = ()
    drain: Drain | None = None
    esc_ratio: float = math.nan
    thrust_factor: float = 0.0
