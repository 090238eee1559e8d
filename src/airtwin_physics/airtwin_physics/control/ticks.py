# SPDX-License-Identifier: Apache-2.0
"""The pace of the virtual aircraft: PX4's rate loop at 250 Hz, and durations as whole ticks."""

from __future__ import annotations

TICK_S = 0.004  # [s] of attitude and rate loop, as in the simulator
SUBSTEPS = 2  # of the Runge-Kutta integration in one tick: the ground's springs ask for it


class Ticks:
    """Turns the durations of successive calls into ticks; what fills none is kept for the next."""

    def __init__(self) -> None:
        self._left_s = 0.0

    def start_over(self) -> None:
        """Forget what was kept: another flight begins."""
        self._left_s = 0.0

    def due(self, duration_s: float) -> int:
        """Return how many ticks end within ``duration_s`` [s] and what was kept before it."""
        self._left_s += duration_s
        ticks = int(self._left_s / TICK_S + 1e-6)
        self._left_s = max(self._left_s - ticks * TICK_S, 0.0)
        return ticks
