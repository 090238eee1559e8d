# SPDX-License-Identifier: Apache-2.0
"""Loss of separation between aircraft in straight flight, in closed form. Pure: numpy and numba.

Two aircraft have lost separation while they are less than D apart horizontally and less than H
vertically: a cylinder. This is the state-based detection of NASA's DAIDALUS (CDCylinder, there
with D = 5 nmi and H = 1000 ft); it is checked against DAIDALUS's figures for its own encounters
and against sampling in time.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numba
import numpy as np

from airtwin_core.types import Array

POSITION_MAX_M = 1e7
VELOCITY_MAX_M_S = 1e4
"""Beyond these a number is no aircraft's, and its square may overflow: UNKNOWN."""


class Separation(enum.IntEnum):
    """UNKNOWN is not KEPT: without evidence nobody is clear."""

    UNKNOWN = 0
    KEPT = 1
    LOST = 2
    """Lost now or within the look-ahead."""


@dataclass(frozen=True, slots=True)
class Minima:
    """The cylinder: ``horizontal_m`` and ``vertical_m`` between two aircraft, and the look-ahead.

    Raises:
        ValueError: one is not positive and finite.
    """

    horizontal_m: float
    vertical_m: float
    look_ahead_s: float

    def __post_init__(self) -> None:
        for value in (self.horizontal_m, self.vertical_m, self.look_ahead_s):
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"minimum {value} is not positive and finite")


@dataclass(frozen=True, slots=True)
class Encounter:
    """Two aircraft within the look-ahead.

    ``first_s`` to ``last_s``: the time in which separation is lost, cut to the look-ahead, NaN if
    it is kept or unknown; ``closest_m``: least horizontal distance, at ``closest_s``.
    """

    separation: Separation
    first_s: float
    last_s: float
    closest_s: float
    closest_m: float


@numba.njit(cache=True)
def _encounter(s, v, horizontal, vertical, look_ahead):  # type: ignore[no-untyped-def]
    """Return (separation, first, last, closest time, closest distance); s, v: relative (3,)."""
    nan = np.nan
    for k in range(3):
        # written so that NaN fails
        if not (abs(s[k]) <= 2e7 and abs(v[k]) <= 2e4):
            return 0, nan, nan, nan, nan
    if not (0.0 < horizontal <= 2e7 and 0.0 < vertical <= 2e7 and 0.0 < look_ahead <= 1e6):
        return 0, nan, nan, nan, nan
    a = v[0] * v[0] + v[1] * v[1]
    b = s[0] * v[0] + s[1] * v[1]
    c = s[0] * s[0] + s[1] * s[1] - horizontal * horizontal
    closest = 0.0
    if a > 0.0:
        closest = min(max(-b / a, 0.0), look_ahead)
    distance = math.hypot(s[0] + v[0] * closest, s[1] + v[1] * closest)
    # horizontally: a t^2 + 2 b t + c < 0
    first, last = 0.0, look_ahead
    root = b * b - a * c
    if c < 0.0:
        if a > 0.0 and root > 0.0:
            last = min(last, -c / (b + math.sqrt(root)) if b > 0.0 else (math.sqrt(root) - b) / a)
    elif b < 0.0 and root > 0.0:
        sum_ = math.sqrt(root) - b
        first, last = c / sum_, min(last, sum_ / a)
    else:
        return 1, nan, nan, closest, distance
    # vertically: |s + v t| < vertical
    if abs(v[2]) > 0.0:
        one, two = (-vertical - s[2]) / v[2], (vertical - s[2]) / v[2]
        first, last = max(first, min(one, two)), min(last, max(one, two))
    elif abs(s[2]) >= vertical:
        return 1, nan, nan, closest, distance
    if first < last:
        return 2, first, last, closest, distance
    return 1, nan, nan, closest, distance


@numba.njit(cache=True)
def _against(position, velocity, others, others_velocity, horizontal, vertical, look_ahead):  # type: ignore[no-untyped-def]
    n = others.shape[0]
    out = np.empty((n, 5))
    for i in range(n):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4] = _encounter(
            others[i] - position,
            others_velocity[i] - velocity,
            horizontal[i],
            vertical[i],
            look_ahead,
        )
    return out


@numba.njit(cache=True)
def _all_pairs(position, velocity, horizontal, vertical, look_ahead):  # type: ignore[no-untyped-def]
    """Return rows (i, j, then as ``_encounter``) of the pairs i < j that are not KEPT."""
    n = position.shape[0]
    rows = np.empty((n * (n - 1) // 2, 7))
    count = 0
    for i in range(n):
        for j in range(i + 1, n):
            status, first, last, closest, distance = _encounter(
                position[j] - position[i],
                velocity[j] - velocity[i],
                horizontal[i, j],
                vertical[i, j],
                look_ahead,
            )
            if status != 1:
                rows[count, 0], rows[count, 1], rows[count, 2] = i, j, status
                rows[count, 3], rows[count, 4] = first, last
                rows[count, 5], rows[count, 6] = closest, distance
                count += 1
    return rows[:count]


def encounter(position_m: Array, velocity_m_s: Array, minima: Minima) -> Encounter:
    """Return what becomes of two aircraft; (3,) each, the other one less this one, any one frame
    with its third axis vertical."""
    return _as_encounter(
        _encounter(
            np.asarray(position_m, dtype=np.float64),
            np.asarray(velocity_m_s, dtype=np.float64),
            minima.horizontal_m,
            minima.vertical_m,
            minima.look_ahead_s,
        )
    )


def against(
    position_ned_m: Array,
    velocity_ned_m_s: Array,
    others_ned_m: Array,
    others_velocity_ned_m_s: Array,
    horizontal_m: Array,
    vertical_m: Array,
    *,
    look_ahead_s: float,
) -> tuple[Encounter, ...]:
    """Return one aircraft (3,) against n others (n, 3), minima (n,) each."""
    rows = _against(
        position_ned_m,
        velocity_ned_m_s,
        others_ned_m,
        others_velocity_ned_m_s,
        horizontal_m,
        vertical_m,
        look_ahead_s,
    )
    return tuple(_as_encounter(row) for row in rows)


def all_pairs(
    position_ned_m: Array,
    velocity_ned_m_s: Array,
    horizontal_m: Array,
    vertical_m: Array,
    *,
    look_ahead_s: float,
) -> tuple[tuple[int, int, Encounter], ...]:
    """Return the pairs (i, j), i < j, that are lost or unknown; all others are kept.

    Positions [m] and velocities [m/s] are (n, 3) in one frame, the minima [m] (n, n).
    """
    rows = _all_pairs(position_ned_m, velocity_ned_m_s, horizontal_m, vertical_m, look_ahead_s)
    return tuple((int(row[0]), int(row[1]), _as_encounter(row[2:])) for row in rows)


def _as_encounter(row: tuple[float, ...] | Array) -> Encounter:
    status, first, last, closest, distance = row
    return Encounter(
        Separation(int(status)), float(first), float(last), float(closest), float(distance)
    )


def warm_up() -> None:
    """Compile the kernels now (once on a machine, then from the cache): nothing does in flight."""
    none = np.zeros((0, 3))
    encounter(np.ones(3), np.ones(3), Minima(1.0, 1.0, 1.0))
    against(np.ones(3), np.ones(3), none, none, np.zeros(0), np.zeros(0), look_ahead_s=1.0)
    all_pairs(none, none, np.zeros((0, 0)), np.zeros((0, 0)), look_ahead_s=1.0)
