# SPDX-License-Identifier: Apache-2.0
"""Euler angles of attitudes q_ned_frd (4,), compiled; formulas and order of ``frames``."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array


@numba.njit(cache=True)
def roll(q: Array) -> float:
    """Return the roll [rad], + right wing down."""
    return float(
        np.arctan2(2.0 * (q[0] * q[1] + q[2] * q[3]), 1.0 - 2.0 * (q[1] ** 2 + q[2] ** 2))
    )


@numba.njit(cache=True)
def pitch(q: Array) -> float:
    """Return the pitch [rad], + nose up, within +-pi/2."""
    sine = 2.0 * (q[0] * q[2] - q[3] * q[1])
    return float(np.arcsin(min(max(sine, -1.0), 1.0)))


@numba.njit(cache=True)
def yaw(q: Array) -> float:
    """Return the heading [rad], north 0, east pi/2."""
    return float(
        np.arctan2(2.0 * (q[0] * q[3] + q[1] * q[2]), 1.0 - 2.0 * (q[2] ** 2 + q[3] ** 2))
    )


@numba.njit(cache=True)
def nose(q: Array) -> tuple[float, float, float]:
    """Return where the body's x axis points (north, east, down), a unit vector."""
    return (
        1.0 - 2.0 * (q[2] ** 2 + q[3] ** 2),
        2.0 * (q[1] * q[2] + q[0] * q[3]),
        2.0 * (q[1] * q[3] - q[0] * q[2]),
    )


@numba.njit(cache=True)
def quaternion(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Array:
    """Return the attitude (4,) of yaw about down, then pitch, then roll."""
    cr, sr = np.cos(roll_rad / 2), np.sin(roll_rad / 2)
    cp, sp = np.cos(pitch_rad / 2), np.sin(pitch_rad / 2)
    cy, sy = np.cos(yaw_rad / 2), np.sin(yaw_rad / 2)
    return np.array(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )
