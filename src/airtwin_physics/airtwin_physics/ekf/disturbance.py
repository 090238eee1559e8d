# SPDX-License-Identifier: Apache-2.0
"""How far the magnetic field may turn a compass, told by the part of it that turns nothing.

Iron and currents move the field in all directions. Across its level part they turn the heading,
unseen; along it they change its strength, and downwards its dip: both are seen at any heading.
Iron carried along shows so as soon as the aircraft turns, as much along as across; currents show
in all three directions alike. So what varies along, or along and down, tells what varies across.
"""

from __future__ import annotations

import math


class Disturbance:
    """Mean and scatter of the level [any unit] and downward part of the field; forgets by time."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self.start_over()

    def start_over(self) -> None:
        """Forget the field."""
        self._count = 0.0
        self._level = self._down = 0.0
        self._along2 = self._down2 = 0.0
        self._now2 = 0.0

    def see(self, level: float, down: float) -> None:
        """Take one field into the means; ``memory`` samples are remembered."""
        self._count = min(self._count + 1.0, self._memory)
        share = 1.0 / self._count
        along, below = level - self._level, down - self._down
        self._level += share * along
        self._down += share * below
        # Welford's update, forgetting: what differs from the old mean times from the new
        self._along2 += share * (along * along * (1.0 - share) - self._along2)
        self._down2 += share * (below * below * (1.0 - share) - self._down2)
        self._now2 = _across2(along * along, below * below) * (1.0 - share) ** 2

    @property
    def lasting2(self) -> float:
        """Variance [rad^2] of the heading shown, by what has varied so far."""
        return _angle2(_across2(self._along2, self._down2), self._level)

    @property
    def now2(self) -> float:
        """The same [rad^2] by the last field alone, as far as it differs from the mean."""
        return _angle2(self._now2, self._level)


def _across2(along2: float, down2: float) -> float:
    return max(along2, 0.5 * (along2 + down2))


def _angle2(across2: float, level: float) -> float:
    return across2 / (level * level) if level > 0.0 else math.inf
