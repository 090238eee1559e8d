# SPDX-License-Identifier: Apache-2.0
"""From the filter's horizon to the newest IMU sample: the belief of now."""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import IMPACT, N_WANDER, WANDER, hidden, move, predict


@njit(cache=True)
def forecast(
    x: Array,
    p: Array,
    ring: Array,
    first: int,
    last: int,
    constants: Array,
    now: Array,
    cov: Array,
) -> None:
    """Carry copies of x and P from the filter's horizon to now; write them to now (29,), cov.

    ring (m, 13): IMU steps as in ``predict``, time [s], ``IMPACT``; those of ``first`` to ``last``
    (counted without wrapping) are still ahead of the horizon. The state takes each step, the
    covariance and what wanders one step with their mean.
    """
    now[:] = x
    cov[:, :] = p
    total = np.zeros(11)
    size = ring.shape[0]
    for index in range(first, last):
        imu = ring[index % size]
        dt = imu[0]
        if imu[IMPACT]:
            total[10] += hidden(imu, now)
        move(now, imu[1:4], imu[4:7], dt)
        total[0] += dt
        for i in range(1, 7):
            total[i] += imu[i] * dt
        for i in range(7, 11):
            total[i] += imu[i]
    if total[0] > 0.0:
        for i in range(1, 7):
            total[i] /= total[0]
        at_once = x.copy()
        predict(at_once, cov, total, constants)
        for i in range(N_WANDER):
            now[WANDER[i] + 1] = at_once[WANDER[i] + 1]
