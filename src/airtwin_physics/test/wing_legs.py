# SPDX-License-Identifier: Apache-2.0
"""A leg on the wing as a person says it."""

from __future__ import annotations

import numpy as np


def leg(
    north: float, east: float, up: float, radius: float = 0.0, hold: float = 0.0
) -> list[float]:
    """Return one of ``wing_path``: [m], [m], [m] up, radius [m] (0: a waypoint), hold [s]."""
    return [north, east, -up, np.nan, radius, hold]
