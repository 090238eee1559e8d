# SPDX-License-Identifier: Apache-2.0
"""What no sensor in the aircraft can show: which way north is.

Turn position, velocity, attitude and wind about the vertical together, and drag, airspeed,
sideslip, flow and barometer show what they showed before. An EKF forgets that: its direction of
no information, ``direction``, goes with the estimate, each correction moves the estimate, and
from then on the filter looks along another one; after a while it knows a heading that nothing
has shown (Huang, Mourikis, Roumeliotis, "Observability-based rules for designing consistent EKF
SLAM estimators", IJRR 29(5), 2010). So the covariance is carried along with the correction: what
was unknown along the old direction is unknown along the new one. That is the transformation of
Hao, Tian, He, "A transformation-based consistent estimation framework" (arXiv 2502.05008, T-EKF
2), and, for sensors of which some see the world and some the body only, of Han, Ouyang, Zhu, Wu,
"CT-ESKF" (arXiv 2511.00453). Only for what cannot see north: a GNSS fix corrects along the world's
own axes, and knows how far.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import (
    ATT,
    GUST,
    POS,
    VEL,
    WIND,
    X_GUST,
    X_POS,
    X_Q,
    X_VEL,
    X_WIND,
    N,
    rotation,
)

_TURNED = ((POS, X_POS), (VEL, X_VEL), (WIND, X_WIND), (GUST, X_GUST))


@njit(cache=True)
def direction(x: Array, out: Array) -> None:
    """Write the error (N,) per rad of a turn about down, all that turns along with the heading.

    e_3 x (.) of position, velocity, wind and gust, R^T e_3 of the attitude.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    out[:] = 0.0
    for error, nominal in _TURNED:
        out[error], out[error + 1] = -x[nominal + 1], x[nominal]
    for j in range(3):
        out[ATT + j] = r[2, j]


@njit(cache=True)
def blind(x: Array, h: Array) -> None:
    """Take out of rows h (m, N) what they would show of ``direction``: by the turn's own slope.

    For what is the same at any heading, but whose slopes leave something out or say it in NED.
    """
    turned = np.empty(N)
    direction(x, turned)
    for i in range(h.shape[0]):
        shown = 0.0
        for k in range(N):
            shown += h[i, k] * turned[k]
        for j in range(3):
            h[i, ATT + j] -= shown * turned[ATT + j]


@njit(cache=True)
def carry(before: Array, x: Array, p: Array) -> None:
    """Carry P (N, N) along with a correction from ``before`` to x (N + 1,) that saw no north.

    P <- T P T^T, T = I + m n_a^T with n_a the attitude's part of ``direction`` at x and m the
    change of ``direction``, less what ``correction.inject`` has turned of the attitude's: half.
    """
    m, now = np.empty(N), np.empty(N)
    direction(before, m)
    direction(x, now)
    for i in range(N):
        m[i] = now[i] - m[i]
    by_turn = np.zeros(N)  # P n_a
    for j in range(3):
        m[ATT + j] *= 0.5
        for i in range(N):
            by_turn[i] += p[i, ATT + j] * now[ATT + j]
    turn2 = 0.0
    for j in range(3):
        turn2 += now[ATT + j] * by_turn[ATT + j]
    for i in range(N):
        for j in range(i + 1):
            p[i, j] += m[i] * by_turn[j] + by_turn[i] * m[j] + turn2 * m[i] * m[j]
    for i in range(N):  # on its own, as the compiler vectorises the rows then
        for j in range(i):
            p[j, i] = p[i, j]
