# SPDX-License-Identifier: Apache-2.0
"""Steps of the dynamics: classical Runge-Kutta, one aircraft or a fleet."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import Model, member
from airtwin_physics.dynamics.motion import derivative_into


@numba.njit(cache=True)
def step_into(x: Array, u: Array, model: Model, wind: Array, dt_s: float, work: Array) -> None:
    """Advance ``x`` in place by one classical Runge-Kutta step; ``work``: (5, len(x))."""
    n = x.shape[0]
    point, slope, total = work[0], work[1], work[2]
    for i in range(n):
        point[i], total[i] = x[i], 0.0
    for stage in range(4):  # one place where the derivative is called, so that it is inlined
        derivative_into(slope, point, u, model, wind)
        share = dt_s / 3.0 if stage == 1 or stage == 2 else dt_s / 6.0
        ahead = dt_s if stage == 2 else 0.5 * dt_s
        for i in range(n):
            total[i] += share * slope[i]
            point[i] = x[i] + ahead * slope[i]
    for i in range(n):
        x[i] += total[i]
    length = np.sqrt(x[6] ** 2 + x[7] ** 2 + x[8] ** 2 + x[9] ** 2)
    for i in range(6, 10):
        x[i] /= length


@numba.njit(cache=True)
def step(x: Array, u: Array, model: Model, wind_ned_m_s: Array, dt_s: float) -> Array:
    """Return the state of one aircraft ``dt_s`` later, command and wind held."""
    out: Array = x.copy()
    step_into(out, u, model, wind_ned_m_s, dt_s, np.empty((5, x.shape[0])))
    return out


@numba.njit(cache=True)
def step_many(x: Array, u: Array, fleet: Model, wind: Array, dt_s: float, steps: int) -> None:
    """Advance a fleet in place by ``steps`` of ``dt_s``.

    x: (m, states), u: (m, inputs), wind: (m, 3) [m/s] NED.
    """
    work = np.empty((5, x.shape[1]))
    for i in range(x.shape[0]):
        model = member(fleet, i)
        for _ in range(steps):
            step_into(x[i], u[i], model, wind[i], dt_s, work)
