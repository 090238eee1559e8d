# SPDX-License-Identifier: Apache-2.0
"""Parameters of the console node."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """Whom to draw and how often.

    Raises:
        ValueError: a rate or a length is not positive.
    """

    vehicles: tuple[str, ...] = ("px4_1",)  # names of the vehicles; px4_0 has no namespace
    tf_hz: float = 20.0  # [Hz] transforms
    marker_hz: float = 5.0  # [Hz] markers
    path_hz: float = 1.0  # [Hz] paths
    path_step_m: float = 0.5  # [m] between two points of a path
    path_points: int = 1000  # [-] older points are forgotten
    origin_wait_s: float = 3.0  # [s] without /airspace/origin the first track's origin is taken

    def __post_init__(self) -> None:
        for name in ("tf_hz", "marker_hz", "path_hz", "path_step_m", "path_points"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, expected a number > 0")
        if not (math.isfinite(self.origin_wait_s) and self.origin_wait_s >= 0.0):
            raise ValueError(f"origin_wait_s is {self.origin_wait_s}, expected a number >= 0")
