# SPDX-License-Identifier: Apache-2.0
"""How far the magnetic field may turn a compass, told by how it moves where Earth's does not.

Iron and currents move the field in all directions. Across its level part they turn the heading,
along it they change its strength, downwards its dip: the last two are seen at any heading. Iron
carried along shows so as soon as the aircraft turns, as much along as across; currents show in
all three directions alike. So what varies along, or along and down, tells what varies across. And
the gyro tells it too: in a frame that it holds Earth's field stands still, and what moves across
faster than the heading can be wrong is neither Earth's nor a turn. Motors of a small quad have
turned a field by 170 deg at take-off, at nearly the same strength and dip.
"""

from __future__ import annotations

import math

_BY_CHANCE = 3.0  # sigmas


class Disturbance:
    """Mean and scatter of the field [any unit] NED by the attitude believed; forgets by time."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self.start_over()

    def start_over(self) -> None:
        """Forget the field."""
        self._count = 0.0
        self._level, self._size, self._down = 0j, 0.0, 0.0  # north + i east; its size
        self._along2 = self._across2 = self._down2 = 0.0
        self._now2 = 0.0

    def turn(self, angle_rad: float) -> None:
        """Turn what was seen about down: north was elsewhere than believed."""
        self._level *= complex(math.cos(angle_rad), math.sin(angle_rad))

    def see(self, north: float, east: float, down: float, unsure2: float, noise2: float) -> None:
        """Take one field into the means; ``memory`` samples are remembered.

        unsure2: variance [rad^2] of the heading believed: a turn up to that is no disturbance.
        noise2: of one sample, tilt and all. What lies across by chance is an innovation like any
        other, not to be excused: of a single field it counts beyond three sigmas only.
        """
        self._count = min(self._count + 1.0, self._memory)
        share = 1.0 / self._count
        seen = complex(north, east)
        off, longer, below = seen - self._level, abs(seen) - self._size, down - self._down
        along2, down2 = longer * longer, below * below
        across2 = abs(off) ** 2 - along2 - unsure2 * self._size**2
        # Welford's update, forgetting: what differs from the old mean times from the new
        left = 1.0 - share
        self._along2 += share * (along2 * left - self._along2)
        self._across2 += share * (across2 * left - self._across2)
        self._down2 += share * (down2 * left - self._down2)
        self._level += share * off
        self._size += share * longer
        self._down += share * below
        chance2 = _BY_CHANCE**2 * (unsure2 + noise2) * self._size**2
        self._now2 = _turning2(along2, across2 if across2 > chance2 else 0.0, down2) * left * left

    @property
    def lasting2(self) -> float:
        """Variance [rad^2] of the heading shown, by what has varied so far."""
        return self._angle2(_turning2(self._along2, self._across2, self._down2))

    @property
    def now2(self) -> float:
        """The same [rad^2] by the last field alone, as far as it differs from the mean."""
        return self._angle2(self._now2)

    def _angle2(self, turning2: float) -> float:
        return turning2 / self._size**2 if self._size > 0.0 else math.inf


def _turning2(along2: float, across2: float, down2: float) -> float:
    return max(along2, 0.5 * (along2 + down2), across2)
