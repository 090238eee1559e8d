# SPDX-License-Identifier: Apache-2.0
"""What sensors that look at the ground, at other antennas or from outside should show: rows of H.

State and error as in ``kernel``, written like ``models``: each writes ``h`` and returns what is
predicted. Sources: the geometry; PX4 v1.18 EKF2 (``aid_sources/optical_flow``, ``gnss``,
``range_finder``) for the same measurements, whose optical flow has the opposite sign.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import (
    ATT,
    POS,
    TERRAIN,
    VEL,
    X_POS,
    X_Q,
    X_TERRAIN,
    X_VEL,
    rotation,
)


@njit(cache=True)
def rangefinder(x: Array, lag: float, h: Array) -> float:
    """Write the row h (N,) of a distance [m] along FRD z to level ground, ``lag`` [s] ago.

    d = (terrain - p_d + v_d lag) / R_33; returns d.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    down = r[2, 2]
    height = x[X_TERRAIN] - x[X_POS + 2] + x[X_VEL + 2] * lag
    h[:] = 0.0
    h[TERRAIN] = 1.0 / down
    h[POS + 2] = -1.0 / down
    h[VEL + 2] = lag / down
    # d R_33 / d theta = (-R_32, R_31, 0)
    h[ATT] = height * r[2, 1] / (down * down)
    h[ATT + 1] = -height * r[2, 0] / (down * down)
    return float(height / down)


@njit(cache=True)
def flow(x: Array, h: Array, shown: Array) -> None:
    """Write rows h (2, N) and ``shown`` (2,) [rad/s]: the flow that translation makes.

    shown = (-v_y, v_x) R_33 / (terrain - p_d) with v = R^T v_ned: PX4's ``pixel_flow`` over its
    time, less the camera's own turn. The sensor is taken to be at the IMU.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    height = x[X_TERRAIN] - x[X_POS + 2]
    scale = r[2, 2] / height
    v = np.zeros(3)
    for j in range(3):
        for i in range(3):
            v[j] += r[i, j] * x[X_VEL + i]
    h[:, :] = 0.0
    for row in range(2):
        axis = 1 - row
        sign = -1.0 if row == 0 else 1.0
        shown[row] = sign * v[axis] * scale
        for i in range(3):
            h[row, VEL + i] = sign * scale * r[i, axis]
        h[row, POS + 2] = shown[row] / height
        h[row, TERRAIN] = -shown[row] / height
        h[row, ATT] = -shown[row] * r[2, 1] / r[2, 2]
        h[row, ATT + 1] = shown[row] * r[2, 0] / r[2, 2]
    # d v / d theta = [v]x
    h[0, ATT] -= scale * v[2]
    h[0, ATT + 2] += scale * v[0]
    h[1, ATT + 1] -= scale * v[2]
    h[1, ATT + 2] += scale * v[1]


@njit(cache=True)
def body_velocity(x: Array, h: Array, shown: Array) -> None:
    """Write rows h (3, N) and ``shown`` (3,) [m/s]: the velocity in FRD, R^T v."""
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    h[:, :] = 0.0
    for j in range(3):
        shown[j] = 0.0
        for i in range(3):
            shown[j] += r[i, j] * x[X_VEL + i]
            h[j, VEL + i] = r[i, j]
    h[0, ATT + 1], h[0, ATT + 2] = -shown[2], shown[1]
    h[1, ATT], h[1, ATT + 2] = shown[2], -shown[0]
    h[2, ATT], h[2, ATT + 1] = -shown[1], shown[0]


@njit(cache=True)
def antenna_heading(x: Array, yaw_frd: float, h: Array) -> tuple[float, float]:
    """Write the row h (N,) of the heading of a line at ``yaw_frd`` [rad] in the body's xy plane.

    Returns its heading [rad] from true north and the length of its level part [-]; exact in the
    tilt, which swings a line that is not the body's x or y axis.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    a = (np.cos(yaw_frd), np.sin(yaw_frd), 0.0)
    north = r[0, 0] * a[0] + r[0, 1] * a[1]
    east = r[1, 0] * a[0] + r[1, 1] * a[1]
    level2 = north * north + east * east
    h[:] = 0.0
    for j in range(3):
        k, m = (j + 1) % 3, (j + 2) % 3
        # column j of -R [a]x
        d_north = -(r[0, k] * a[m] - r[0, m] * a[k])
        d_east = -(r[1, k] * a[m] - r[1, m] * a[k])
        h[ATT + j] = (north * d_east - east * d_north) / max(level2, 1e-6)
    return np.arctan2(east, north), np.sqrt(level2)
