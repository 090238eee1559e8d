# SPDX-License-Identifier: Apache-2.0
"""What the sensors should show, and how that changes with the error: rows of H, compiled.

State and error as in ``kernel``. Each model writes its row ``h`` (26,) and returns the predicted
value, or, for a heading, the residual.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import (
    ATT,
    BARO,
    DELAY,
    GNSS,
    HEADING,
    POS,
    VEL,
    X_BARO,
    X_GNSS,
    X_HEADING,
    X_POS,
    X_Q,
    X_VEL,
    rotation,
)


@njit(cache=True)
def gnss_position(x: Array, axis: int, lag: float, h: Array) -> float:
    """Write the row h (26,) of one axis of a GNSS position taken ``lag`` [s] before x.

    Returns the predicted value [m]: p - v lag + offset. ``lag`` holds the estimated delay, so an
    error of the delay shows as minus the velocity.
    """
    h[:] = 0.0
    h[POS + axis] = 1.0
    h[VEL + axis] = -lag
    h[GNSS + axis] = 1.0
    h[DELAY] = -x[X_VEL + axis]
    predicted: float = x[X_POS + axis] - x[X_VEL + axis] * lag + x[X_GNSS + axis]
    return predicted


@njit(cache=True)
def gnss_velocity(x: Array, axis: int, acceleration: Array, lag: float, h: Array) -> float:
    """Write the row h (26,) of one axis of a GNSS velocity taken ``lag`` [s] before x.

    acceleration: (3,) [m/s^2] NED, smooth. Returns the predicted value [m/s].
    """
    h[:] = 0.0
    h[VEL + axis] = 1.0
    h[DELAY] = -acceleration[axis]
    predicted: float = x[X_VEL + axis] - acceleration[axis] * lag
    return predicted


@njit(cache=True)
def barometer(x: Array, lag: float, h: Array) -> float:
    """Write the row h (26,) of a barometer; returns the predicted pressure altitude [m]."""
    h[:] = 0.0
    h[POS + 2] = -1.0
    h[VEL + 2] = lag
    h[BARO] = 1.0
    predicted: float = -(x[X_POS + 2] - x[X_VEL + 2] * lag) + x[X_BARO]
    return predicted


@njit(cache=True)
def magnetic_declination(x: Array, field: Array, h: Array, tilted: Array) -> float:
    """Write the row h (26,) of the declination that the field (3,) [any unit] FRD shows.

    Returns atan2(east, north) [rad] of the field turned by the estimated attitude, less the
    heading offset; it equals the true declination when both are right. ``h`` is its derivative
    for turns about the vertical only: a disturbed field must not tilt the aircraft. What the tilt
    error does is the rest of the exact derivative, ``tilted`` (26,), for the noise.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    north = r[0, 0] * field[0] + r[0, 1] * field[1] + r[0, 2] * field[2]
    east = r[1, 0] * field[0] + r[1, 1] * field[1] + r[1, 2] * field[2]
    level2 = north * north + east * east
    h[:] = 0.0
    tilted[:] = 0.0
    for j in range(3):
        k, m = (j + 1) % 3, (j + 2) % 3
        # column j of -R [field]x
        d_north = -(r[0, k] * field[m] - r[0, m] * field[k])
        d_east = -(r[1, k] * field[m] - r[1, m] * field[k])
        h[ATT + j] = r[2, j]
        tilted[ATT + j] = (north * d_east - east * d_north) / level2 - r[2, j]
    h[HEADING] = -1.0
    shown: float = np.arctan2(east, north) - x[X_HEADING]
    return shown


@njit(cache=True)
def heading(x: Array, q_measured: Array, h: Array) -> float:
    """Write the row h (26,) of a heading taken from another attitude; return its residual [rad].

    The residual is the turn about the vertical that carries the estimate into ``q_measured``
    (4,), plus the heading offset, by which the measured one is too small. No Euler angle, so it
    holds with the nose up. Exact to first order in the tilt error.
    """
    w, x1, y1, z1 = q_measured[0], q_measured[1], q_measured[2], q_measured[3]
    a, b, c, d = x[X_Q], -x[X_Q + 1], -x[X_Q + 2], -x[X_Q + 3]
    dw = w * a - x1 * b - y1 * c - z1 * d
    dz = w * d + x1 * c - y1 * b + z1 * a
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    h[:] = 0.0
    for j in range(3):
        h[ATT + j] = r[2, j]
    h[HEADING] = -1.0
    residual: float = 2.0 * np.arctan2(dz, dw) + x[X_HEADING]
    if residual > np.pi:
        residual -= 2.0 * np.pi
    elif residual < -np.pi:
        residual += 2.0 * np.pi
    return residual
