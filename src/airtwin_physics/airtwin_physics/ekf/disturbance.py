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

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.alignment import STEEP_MAX
from airtwin_physics.ekf.correction import spread
from airtwin_physics.ekf.kernel import ATT, HEADING, X_Q, N, rotation
from airtwin_physics.ekf.models import magnetic_declination

_BY_CHANCE = 3.0  # sigmas
N_SEEN = 9  # of ``seen``, means over the fields remembered [any unit] NED; places in it:
COUNT, NORTH, EAST, SIZE, DOWN = 0, 1, 2, 3, 4  # how many; the field; size of its level part
ALONG2, ACROSS2, DOWN2, NOW2 = 5, 6, 7, 8  # variances; how far the newest field is off
N_LOOK = 5  # of what ``look`` writes: SHOWN [rad], all others [rad^2]
SHOWN, VARIANCE, UNSURE2, LASTING2, AT_ONCE2 = 0, 1, 2, 3, 4


@njit(cache=True)
def _turning2(along2: float, across2: float, down2: float) -> float:
    return float(max(along2, 0.5 * (along2 + down2), across2))


@njit(cache=True)
def see(
    seen: Array,
    north: float,
    east: float,
    down: float,
    unsure2: float,
    noise2: float,
    memory: float,
) -> None:
    """Take one field into the means ``seen`` (9,); ``memory`` samples are remembered.

    unsure2: variance [rad^2] of the heading believed: a turn up to that is no disturbance.
    noise2: of one sample, tilt and all. What lies across by chance is an innovation like any
    other, not to be excused: of a single field it counts beyond three sigmas only.
    """
    seen[COUNT] = min(seen[COUNT] + 1.0, memory)
    share = 1.0 / seen[COUNT]
    size2 = seen[SIZE] ** 2
    off_north, off_east = north - seen[NORTH], east - seen[EAST]
    longer, below = np.hypot(north, east) - seen[SIZE], down - seen[DOWN]
    along2, down2 = longer * longer, below * below
    across2 = off_north * off_north + off_east * off_east - along2 - unsure2 * size2
    # Welford's update, forgetting: what differs from the old mean times from the new
    left = 1.0 - share
    seen[ALONG2] += share * (along2 * left - seen[ALONG2])
    seen[ACROSS2] += share * (across2 * left - seen[ACROSS2])
    seen[DOWN2] += share * (down2 * left - seen[DOWN2])
    seen[NORTH] += share * off_north
    seen[EAST] += share * off_east
    seen[SIZE] += share * longer
    seen[DOWN] += share * below
    chance2 = _BY_CHANCE**2 * (unsure2 + noise2) * seen[SIZE] ** 2
    now2 = _turning2(along2, across2 if across2 > chance2 else 0.0, down2)
    seen[NOW2] = now2 * left * left


@njit(cache=True)
def turned2(seen: Array) -> tuple[float, float]:
    """Return the variance [rad^2] of the heading shown by what has varied so far, and by the
    last field alone, as far as it differs from the mean.
    """
    size2 = seen[SIZE] ** 2
    if not size2 > 0.0:
        return np.inf, np.inf
    return _turning2(seen[ALONG2], seen[ACROSS2], seen[DOWN2]) / size2, seen[NOW2] / size2


@njit(cache=True)
def look(
    x: Array,
    p: Array,
    field: Array,
    noise2: float,
    seen: Array,
    memory: float,
    h: Array,
    out: Array,
) -> bool:
    """Look at a field (3,) [any unit] FRD; return whether it shows north at all.

    Writes the row h (N,) of ``models.magnetic_declination`` and out (5,): the declination shown;
    the variance of it by noise2 [rad^2] and tilt; that of the heading believed; by how much the
    field may turn the heading for long, and now, beyond what noise and tilt explain.
    """
    tilted = np.empty(N)
    out[SHOWN] = magnetic_declination(x, field, h, tilted)
    if not tilted[ATT] ** 2 + tilted[ATT + 1] ** 2 + tilted[ATT + 2] ** 2 < STEEP_MAX**2:
        return False
    known2 = noise2 + spread(p, tilted)
    offset, h[HEADING] = h[HEADING], 0.0
    unsure2 = spread(p, h)
    h[HEADING] = offset
    r, ned = np.empty((3, 3)), np.empty(3)
    rotation(x[X_Q : X_Q + 4], r)
    for i in range(3):
        ned[i] = r[i, 0] * field[0] + r[i, 1] * field[1] + r[i, 2] * field[2]
    see(seen, ned[0], ned[1], ned[2], unsure2, known2, memory)
    lasting2, now2 = turned2(seen)
    out[VARIANCE], out[UNSURE2] = known2, unsure2
    out[LASTING2], out[AT_ONCE2] = max(lasting2 - known2, 0.0), max(now2 - known2, 0.0)
    return True


def turn(seen: Array, angle_rad: float) -> None:
    """Turn what was seen about down: north was elsewhere than believed."""
    level = complex(seen[NORTH], seen[EAST]) * complex(math.cos(angle_rad), math.sin(angle_rad))
    seen[NORTH], seen[EAST] = level.real, level.imag
