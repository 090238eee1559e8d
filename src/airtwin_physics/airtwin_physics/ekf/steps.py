# SPDX-License-Identifier: Apache-2.0
"""Along the queue of IMU steps, compiled: to the filter's horizon, and from there to now.

The state takes each step. The covariance takes all steps up to the next measurement or published
state at once, with their mean: its F changes little in 40 ms, which is how often ``estimator``
looks at the air, and it is nine tenths of the cost. PX4's EKF2 likewise gathers IMU samples, to
its ``EKF2_PREDICT_US`` of 10 ms, but there the state too.

``ring`` (m, 14) holds the steps: what ``kernel.predict`` takes, time at the end [s], ``IMPACT``,
how much of it was taken already [s]: a long step is split where a measurement was true.
``first`` to ``last`` are counted without wrapping. ``watch`` (26,): what the steps leave for the
sensors. Of drag that is, since the last look at it, the time [s], the specific force times it (3,)
[m/s] FRD, and the variance of that by vibration [m^2/s^2]; a velocity less all its corrections is
the IMU's alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.correction import healthy
from airtwin_physics.ekf.imu import TAKEN
from airtwin_physics.ekf.kernel import (
    IMPACT,
    N_WANDER,
    WANDER,
    X_Q,
    X_VEL,
    N,
    hidden,
    move,
    predict_covariance,
)

N_WATCH = 26  # of ``watch``; places in it:
LOOKED_S, LOOKED_VEL = 0, 1  # the last look at the acceleration: time [s], velocity (3,) [m/s]
ACCELERATION = slice(4, 7)  # NED, smooth [m/s^2]
FORCED_S, FORCED, FORCED_SHAKEN = 7, 8, 11  # of drag since the last look at it, see below
BEFORE, BEFORE_Q = 12, 15  # velocity (3,) [m/s] and attitude (4,) before corrections
CORRECTED, TURNED = slice(19, 22), 22  # sums of them: velocity [m/s]; size, of attitude [rad]
STRUCK = 23  # time [s] of the last impact
SHAKEN = 24  # what noise and vibration have added to the variance of the speed [m^2/s^2]
REACHED = 25  # time [s] that the state is of
_SPLIT_S = 0.005  # shorter ones are not: along them, what moves evenly is off by 0.1 mm
_ACCELERATION_S = 0.1  # over which a smooth acceleration is taken
_N_STEP = 11
_ACCELERATION, _CORRECTED = ACCELERATION.start, CORRECTED.start


@njit(cache=True)
def _take(x: Array, step: Array, dt: float, total: Array) -> float:
    """Move x over dt [s] of a step and add that to ``total`` (11,).

    Returns its doubt of speed [m^2/s^2]; what an impact hides comes with the step's end.
    """
    share = dt / step[0] if dt < step[0] else 1.0
    shaken = share * step[10]
    if step[IMPACT] and step[TAKEN] + dt > step[0] - 1e-6:
        shaken += hidden(step, x)
    move(x, step[1:4], step[4:7], dt)
    total[0] += dt
    for i in range(1, 7):
        total[i] += step[i] * dt
    for i in range(7, 10):
        total[i] += share * step[i]
    total[10] += shaken
    return float(shaken)


@njit(cache=True)
def _follow(x: Array, p: Array, before: Array, total: Array, constants: Array) -> None:
    """Move covariance and what wanders over the steps of ``total``; before: x ahead of them."""
    if total[0] > 0.0:
        for i in range(1, 7):
            total[i] /= total[0]
        decay = np.empty(N_WANDER)
        predict_covariance(before, p, total, constants, decay)
        for i in range(N_WANDER):
            x[WANDER[i] + 1] *= decay[i]


@njit(cache=True)
def step_until(
    x: Array,
    p: Array,
    ring: Array,
    first: int,
    last: int,
    target: float,
    event: float,
    constants: Array,
    watch: Array,
) -> int:
    """Move state and covariance along the ring; return the step that is next.

    Stops before a step that ends after ``target`` [s], unless the ring is full, and at ``event``
    [s], or at the end of the step that it lies in where that is near.
    """
    size = ring.shape[0]
    before, total = x.copy(), np.zeros(_N_STEP)
    while first < last and watch[REACHED] < event:
        step = ring[first % size]
        at = step[11]
        dt = step[0] - step[TAKEN]
        split = event <= target and event < at - _SPLIT_S
        if split:
            dt = min(event - watch[REACHED], dt)
            at = event
        elif at > target and last - first < size:
            break
        shaken = _take(x, step, dt, total)
        watch[REACHED] = at
        watch[FORCED_SHAKEN] += shaken
        watch[SHAKEN] += shaken
        if split:
            step[TAKEN] += dt
        else:
            first += 1
            if step[IMPACT]:
                watch[STRUCK] = at
        passed = at - watch[LOOKED_S]
        if passed >= _ACCELERATION_S:
            watch[LOOKED_S] = at
            for i in range(3):
                watch[_ACCELERATION + i] = (x[X_VEL + i] - watch[LOOKED_VEL + i]) / passed
                watch[LOOKED_VEL + i] = x[X_VEL + i]
        watch[FORCED_S] += dt
        for i in range(3):
            watch[FORCED + i] += step[4 + i] * dt
    _follow(x, p, before, total, constants)
    for i in range(3):
        watch[BEFORE + i] = x[X_VEL + i]
    for i in range(4):
        watch[BEFORE_Q + i] = x[X_Q + i]
    return first


@njit(cache=True)
def before(
    x: Array, ring: Array, first: int, last: int, watch: Array, when: float, then: Array
) -> float:
    """Write to then (N + 1,) where x was at ``when`` [s], by the steps that it has taken.

    Returns by how much these doubt its speed [m^2/s^2]. Stops where the ring begins.
    """
    for i in range(then.size):
        then[i] = x[i]
    size = ring.shape[0]
    left = watch[REACHED] - when
    doubt = 0.0
    index = first
    taken = ring[index % size, TAKEN] if first < last else 0.0
    while left > 0.0:
        if taken > 0.0:
            step = ring[index % size]
            dt = min(taken, left)
            move(then, step[1:4], step[4:7], -dt)
            doubt += step[10] * dt / step[0]
            left -= dt
        index -= 1
        if index < max(last - size, 0):
            break
        taken = ring[index % size, 0]
    return doubt


@njit(cache=True)
def settle(x: Array, p: Array, watch: Array) -> bool:
    """Take corrections out of what ``watch`` holds; return whether the belief is ``healthy``."""
    if not healthy(x, p):
        return False
    cosine = 0.0  # of half the turn
    for i in range(4):
        cosine += x[X_Q + i] * watch[BEFORE_Q + i]
    watch[TURNED] += 2.0 * np.sqrt(max(2.0 - 2.0 * abs(cosine), 0.0))
    for i in range(3):  # a correction is no motion
        change = x[X_VEL + i] - watch[BEFORE + i]
        watch[LOOKED_VEL + i] += change
        watch[_CORRECTED + i] += change
    return True


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
    """Carry copies of x and P from the filter's horizon to now: now (N + 1,), cov (N, N)."""
    # one by one: copying as a whole compiles its error message, for a second or two
    for i in range(now.size):
        now[i] = x[i]
    for i in range(N):
        for j in range(N):
            cov[i, j] = p[i, j]
    total = np.zeros(_N_STEP)
    size = ring.shape[0]
    for index in range(first, last):
        step = ring[index % size]
        _take(now, step, step[0] - step[TAKEN], total)
    _follow(now, cov, x, total, constants)
