# SPDX-License-Identifier: Apache-2.0
"""What the sensors should show, and how that changes with the error: rows of H, compiled.

State and error as in ``kernel``. A model of one number writes its row ``h`` (N,) and returns
what is predicted, or, for a heading, the residual; one of several writes both.
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
    GRAVITY_M_S2,
    GUST,
    HEADING,
    POS,
    SCALE,
    SUCTION,
    VEL,
    WASH,
    WIND,
    X_BARO,
    X_GNSS,
    X_GUST,
    X_HEADING,
    X_POS,
    X_Q,
    X_SCALE,
    X_SUCTION,
    X_VEL,
    X_WASH,
    X_WIND,
    N,
    rotation,
)
from airtwin_physics.ekf.wind import winds


@njit(cache=True)
def gnss_position(x: Array, lag: float, h: Array, predicted: Array) -> None:
    """Write rows h (3, N) and ``predicted`` (3,) [m] of a GNSS position ``lag`` [s] before x.

    p - v lag + offset. ``lag`` holds the estimated delay, so an error of the delay shows as minus
    the velocity.
    """
    h[:, :] = 0.0
    for i in range(3):
        h[i, POS + i] = 1.0
        h[i, VEL + i] = -lag
        h[i, GNSS + i] = 1.0
        h[i, DELAY] = -x[X_VEL + i]
        predicted[i] = x[X_POS + i] - x[X_VEL + i] * lag + x[X_GNSS + i]


@njit(cache=True)
def gnss_velocity(x: Array, acceleration: Array, lag: float, h: Array, predicted: Array) -> None:
    """Write rows h (3, N) and ``predicted`` (3,) [m/s] of a GNSS velocity ``lag`` [s] before x.

    acceleration: (3,) [m/s^2] NED, smooth.
    """
    h[:, :] = 0.0
    for i in range(3):
        h[i, VEL + i] = 1.0
        h[i, DELAY] = -acceleration[i]
        predicted[i] = x[X_VEL + i] - acceleration[i] * lag


@njit(cache=True)
def head(x: Array, p: Array, wind: Array) -> tuple[float, float]:
    """Return (|v - w|^2 - |w|^2) / 2g [m], and its variance [m^2].

    How much higher than at rest in this wind the air stands in a tube that meets it: a dynamic
    pressure as a height. wind (3, 2): [m/s] NE, then its covariance.
    """
    north, east, down = x[X_VEL], x[X_VEL + 1], x[X_VEL + 2]
    wind_north, wind_east = wind[0, 0], wind[0, 1]
    by = (north - wind_north, east - wind_east, down)
    shown = north * (0.5 * north - wind_north) + east * (0.5 * east - wind_east)
    shown += 0.5 * down * down
    unsure = north * north * wind[1, 0] + 2.0 * north * east * wind[1, 1]
    unsure += east * east * wind[2, 1]
    for i in range(3):
        for j in range(3):
            unsure += by[i] * p[VEL + i, VEL + j] * by[j]
    return shown / GRAVITY_M_S2, max(unsure, 0.0) / GRAVITY_M_S2**2


@njit(cache=True)
def barometer(x: Array, lag: float, head_m: float, h: Array) -> float:
    """Write the row h (N,) of a barometer; returns the predicted pressure altitude [m].

    head_m: see ``head``.
    """
    h[:] = 0.0
    h[POS + 2] = -1.0
    h[VEL + 2] = lag
    h[BARO] = 1.0
    h[WASH] = 1.0
    h[SUCTION] = head_m
    predicted: float = -(x[X_POS + 2] - x[X_VEL + 2] * lag) + x[X_BARO] + x[X_WASH]
    predicted += x[X_SUCTION] * head_m
    return predicted


@njit(cache=True)
def barometer_in_wind(
    x: Array, p: Array, law: Array, lag: float, most_m: float, h: Array
) -> tuple[float, float, float]:
    """Write the row (1, N) of a barometer in the wind that is believed, ``law`` of ``wind``.

    Returns the predicted pressure altitude [m], the ``head`` [m] in it, at most ``most_m``, and
    the variance [m^2] of that.
    """
    air = np.empty((6, 2))
    winds(x, p, law, air)
    head_m, unsure_m2 = head(x, p, air[3:])
    head_m = min(max(head_m, -most_m), most_m)
    return barometer(x, lag, head_m, h[0]), head_m, unsure_m2


@njit(cache=True)
def magnetic_declination(x: Array, field: Array, h: Array, tilted: Array) -> float:
    """Write the row h (N,) of the declination that the field (3,) [any unit] FRD shows.

    Returns atan2(east, north) [rad] of the field turned by the estimated attitude, less the
    heading offset; it equals the true declination when both are right. ``h`` is its derivative
    for turns about the vertical only: a disturbed field must not tilt the aircraft. What the tilt
    error does is the rest of the exact derivative, ``tilted`` (N,), for the noise.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    north = r[0, 0] * field[0] + r[0, 1] * field[1] + r[0, 2] * field[2]
    east = r[1, 0] * field[0] + r[1, 1] * field[1] + r[1, 2] * field[2]
    if north == 0.0 and east == 0.0:
        north = 1e-9  # a vertical field shows no north; ``tilted`` says so
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
    """Write the row h (N,) of a heading taken from another attitude; return its residual [rad].

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


@njit(cache=True)
def air_velocity(x: Array, h: Array) -> tuple[float, float, float]:
    """Return the velocity through the air FRD [m/s], R^T (v - w), wind and gust w being level.

    h (3, N): its rows; turning the aircraft by theta turns it by -theta: d / d theta = [.]x.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    n = x[X_VEL] - x[X_WIND] - x[X_GUST]
    e = x[X_VEL + 1] - x[X_WIND + 1] - x[X_GUST + 1]
    d = x[X_VEL + 2]
    u = r[0, 0] * n + r[1, 0] * e + r[2, 0] * d
    v = r[0, 1] * n + r[1, 1] * e + r[2, 1] * d
    w = r[0, 2] * n + r[1, 2] * e + r[2, 2] * d
    h[:, :] = 0.0
    for i in range(3):
        for j in range(3):
            h[i, VEL + j] = r[j, i]
        for j in range(2):
            h[i, WIND + j] = -r[j, i]
            h[i, GUST + j] = -r[j, i]
    h[0, ATT + 1], h[0, ATT + 2] = -w, v
    h[1, ATT], h[1, ATT + 2] = w, -u
    h[2, ATT], h[2, ATT + 1] = -v, u
    return u, v, w


@njit(cache=True)
def airspeed(x: Array, h: Array) -> float:
    """Write the row h (N,) of a true airspeed; returns |v - w| exp(-scale) [m/s]."""
    n = x[X_VEL] - x[X_WIND] - x[X_GUST]
    e = x[X_VEL + 1] - x[X_WIND + 1] - x[X_GUST + 1]
    d = x[X_VEL + 2]
    speed = np.sqrt(n * n + e * e + d * d) + 1e-9
    share = np.exp(-x[X_SCALE])
    h[:] = 0.0
    h[VEL], h[VEL + 1], h[VEL + 2] = share * n / speed, share * e / speed, share * d / speed
    for j in range(2):
        h[WIND + j] = -h[VEL + j]
        h[GUST + j] = -h[VEL + j]
    h[SCALE] = -share * speed
    predicted: float = share * speed
    return predicted


@njit(cache=True)
def sideslip(x: Array, h: Array) -> float:
    """Write the row h (N,) of v_y / v_x, the sideslip [rad] of the velocity through the air."""
    rows = np.empty((3, N))
    u, v, _ = air_velocity(x, rows)
    for j in range(N):
        h[j] = rows[1, j] / u - v / (u * u) * rows[0, j]
    slip: float = v / u
    return slip
