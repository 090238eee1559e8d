# SPDX-License-Identifier: Apache-2.0
"""Several Kalman filters over one parameter vector, one for each thing that may have changed.

Filter 0 believes that everything changes slowly. Filter 1 + i lets the effectiveness of rotor i
walk fast, the last one mass and centre of mass: after an abrupt change only the filter that lets
the right thing move explains the blocks. Probabilities by Bayes with a small rate of change.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify.model import felt, through_air
from airtwin_physics.identify.rows import SPREAD, TURN_SPREAD, WIND, Craft

_LOG_2PI = 1.8378770664093453
_P_MIN = 1e-12
_WIND_UNKNOWN_M2_S2 = 4.0
_ITERATIONS = 4
_MEDIAN = 0.4549  # of chi-square with one degree of freedom


@numba.njit(cache=True)
def walk(theta: Array, p: Array, added: Array, keep: float, gust2: float) -> None:
    """Let one block's time pass: ``added`` (N,) variances; vertical wind decays by ``keep``."""
    n = theta.shape[0]
    for i in range(n):
        p[i, i] += added[i]
    up = WIND + 2
    theta[up] *= keep
    for i in range(n):
        p[up, i] *= keep
        p[i, up] *= keep
    p[up, up] += (1.0 - keep * keep) * gust2


@numba.njit(cache=True)
def _fuse(
    theta: Array,
    p: Array,
    block: Array,
    airspeed: Array,
    noise: Array,
    craft: Craft,
    gate: float,
    learnt: Array,
    innovations: Array,
    expected: Array,
) -> float:
    """Take in one block with the drag of a given airspeed; see ``update``."""
    n = theta.shape[0]
    h = np.empty(6)
    jacobian = np.empty((6, n))
    felt(theta, block, airspeed, craft, h, jacobian)
    start = theta.copy()
    gain = np.empty(n)
    total = 0.0
    for row in range(6):
        measured = block[1 + row]
        residual = measured - h[row]
        innovations[row] = residual
        for i in range(n):
            residual -= jacobian[row, i] * (theta[i] - start[i])
        spread = 0.0
        for i in range(n):
            value = 0.0
            for j in range(n):
                value += p[i, j] * jacobian[row, j]
            gain[i] = value
            spread += jacobian[row, i] * value
        expected[row] = spread
        s = spread + noise[row]
        far = abs(residual) / np.sqrt(s)
        if far > gate:
            # Huber: the cost grows linearly from here on
            total -= gate * far - 0.5 * gate * gate + 0.5 * (_LOG_2PI + np.log(s))
            s = spread + noise[row] * (far / gate)
        else:
            total -= 0.5 * (far * far + _LOG_2PI + np.log(s))
        # a parameter that is only considered keeps value and variance: Schmidt (1966), P less
        # K h P + (K h P)^T - K s K^T with its row of K zero
        for i in range(n):
            theta[i] += learnt[row, i] * gain[i] / s * residual
        for i in range(n):
            for j in range(i + 1):
                share = max(learnt[row, i], learnt[row, j])
                p[i, j] -= share * gain[i] * gain[j] / s
                p[j, i] = p[i, j]
    return total


@numba.njit(cache=True)
def update(
    theta: Array,
    p: Array,
    block: Array,
    noise: Array,
    craft: Craft,
    gate: float,
    learnt: Array,
    innovations: Array,
    expected: Array,
) -> float:
    """Take in one block; return the logarithm of its likelihood.

    ``noise``: (6,) variances. ``innovations``, ``expected``: (6,) out, the residuals before the
    update and the variances by the parameters' own uncertainty. An innovation beyond ``gate``
    sigmas counts with the noise that would put it there. ``learnt`` (6, N): 1 where a measurement
    may move a parameter, 0 where it only considers it.
    """
    airspeed = np.empty(3)
    through_air(theta, block, airspeed)
    airspeed[:] = np.abs(airspeed)
    if p[WIND, WIND] > _WIND_UNKNOWN_M2_S2:
        # the first block finds the wind, and with it the drag that it should have assumed
        for _ in range(_ITERATIONS):
            guess, doubt = theta.copy(), p.copy()
            _fuse(guess, doubt, block, airspeed, noise, craft, 1e6, learnt, innovations, expected)
            through_air(guess, block, airspeed)
            airspeed[:] = np.abs(airspeed)
    return _fuse(theta, p, block, airspeed, noise, craft, gate, learnt, innovations, expected)


@numba.njit(cache=True)
def step(
    theta: Array,
    p: Array,
    weight: Array,
    added: Array,
    block: Array,
    noise: Array,
    floor: Array,
    craft: Craft,
    keep: float,
    gust2: float,
    gate: float,
    learnt: Array,
    switch: float,
    learn: float,
) -> None:
    """Advance all filters by one block.

    ``theta`` (h, N), ``p`` (h, N, N), ``weight`` (h,) probabilities, ``added`` (h, N) variances of
    one block; ``noise`` (6,): learnt variance of one block, changed in place; ``floor`` (6,);
    ``switch``: probability of a change within one block; ``learn``: how much the logarithm of the
    noise may follow one block. It follows the median, so that a jump does not hide itself.
    """
    count = theta.shape[0]
    innovations, expected = np.empty(6), np.empty(6)
    logs = np.empty(count)
    variance = np.empty(6)
    for k in range(3):
        variance[k] = noise[k] + block[SPREAD + k]
        variance[3 + k] = noise[3 + k] + block[TURN_SPREAD + k]
    best = 0
    for f in range(count):
        if weight[f] > weight[best]:
            best = f
    for f in range(count):
        walk(theta[f], p[f], added[f], keep, gust2)
        logs[f] = update(
            theta[f], p[f], block, variance, craft, gate, learnt, innovations, expected
        )
        if f == best:
            for k in range(6):
                size = innovations[k] ** 2 / (expected[k] + variance[k])
                noise[k] *= np.exp(learn if size > _MEDIAN else -learn)
    for k in range(6):
        noise[k] = max(noise[k], floor[k])
    most = np.max(logs)
    total = 0.0
    leak = switch / (count - 1)
    for f in range(count):
        if f == 0:
            prior = weight[0] * (1.0 - switch) + (1.0 - weight[0]) * switch
        else:
            prior = weight[f] * (1.0 - switch) + weight[0] * leak
        weight[f] = max(prior * np.exp(logs[f] - most), _P_MIN)
        total += weight[f]
    for f in range(count):
        weight[f] /= total
