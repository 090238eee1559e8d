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
from airtwin_physics.gusts import AIRSPEED_MIN_M_S, scales
from airtwin_physics.identify.model import felt, through_air
from airtwin_physics.identify.rows import (
    GUST,
    HEIGHT,
    MASS,
    ROTOR_DRAG,
    SPAN,
    SPREAD,
    TURN_SPREAD,
    VELOCITY,
    WIND,
    Craft,
)

_LOG_2PI = 1.8378770664093453
_P_MIN = 1e-12
_WIND_UNKNOWN_M2_S2 = 4.0
_MASS_UNKNOWN = 0.01
_ITERATIONS = 4
_GUST_MORE = 1.8  # of Dryden's, which is no law for every place
_GUST_FLOOR_M_S, _GUST_UP_FLOOR_M_S = 0.15, 0.05  # of air that is called still
_MEDIAN = 0.4549  # of chi-square with one degree of freedom


@numba.njit(cache=True)
def walk(theta: Array, p: Array, added: Array, air: Array) -> None:
    """Let one block's time pass.

    ``added`` (N,): variances. ``air`` (4,): what level gusts keep [-] of their size and their
    variance in the long run [m^2/s^2], then the same of the vertical wind (first-order Markov).
    """
    n = theta.shape[0]
    for i in range(n):
        p[i, i] += added[i]
    drag = np.exp(theta[ROTOR_DRAG])
    for k in range(3):
        which = WIND + 2 if k == 2 else GUST + k
        keep = air[2] if k == 2 else air[0]
        size = air[3] if k == 2 else air[1] * drag * drag
        theta[which] *= keep
        for i in range(n):
            p[which, i] *= keep
            p[i, which] *= keep
        p[which, which] += (1.0 - keep * keep) * size


@numba.njit(cache=True)
def gusting(theta: Array, block: Array, air: Array) -> None:
    """Write ``air`` (4,) of ``walk``: how gusts of the mean wind change, after Dryden."""
    drag, dt = np.exp(theta[ROTOR_DRAG]), block[SPAN]
    north, east = theta[WIND] / drag, theta[WIND + 1] / drag
    wind = np.sqrt(north * north + east * east)
    vn = block[VELOCITY] - north - theta[GUST] / drag
    ve = block[VELOCITY + 1] - east - theta[GUST + 1] / drag
    speed = max(np.sqrt(vn * vn + ve * ve), AIRSPEED_MIN_M_S)
    length, length_up, sigma, sigma_up = scales(block[HEIGHT], wind)
    air[0], air[1] = np.exp(-dt * speed / length), (_GUST_MORE * sigma + _GUST_FLOOR_M_S) ** 2
    air[2], air[3] = np.exp(-dt * speed / length_up), (sigma_up + _GUST_UP_FLOOR_M_S) ** 2


@numba.njit(cache=True)
def swept(theta: Array, block: Array, airspeed: Array) -> None:
    """Write (3,) [m/s] FRD that the body's drag goes by: airspeed u in the mean wind, and more.

    The mean of |u| u over gusts of variance s^2 is |u| u + s^2, nearly sqrt(u^2 + 2 s^2) u.
    """
    through_air(theta, block, 0.0, airspeed)
    wind = np.sqrt(theta[WIND] ** 2 + theta[WIND + 1] ** 2) * np.exp(-theta[ROTOR_DRAG])
    sigma = scales(block[HEIGHT], wind)[2]
    for i in range(3):
        airspeed[i] = np.sqrt(airspeed[i] ** 2 + 2.0 * sigma * sigma)


@numba.njit(cache=True)
def _fuse(  # noqa: C901 - one loop over six rows, as numba wants it
    theta: Array,
    p: Array,
    block: Array,
    at: Array,
    noise: Array,
    craft: Craft,
    gate: float,
    learnt: Array,
    innovations: Array,
    expected: Array,
) -> float:
    """Take in one block, the model made linear at ``at`` (N,); see ``update``."""
    n = theta.shape[0]
    h = np.empty(6)
    jacobian = np.empty((6, n))
    airspeed = np.empty(3)
    swept(at, block, airspeed)
    felt(at, block, airspeed, craft, h, jacobian)
    gain, taught = np.empty(n), np.empty(n)
    total = 0.0
    for row in range(6):
        slope = jacobian[row]
        residual = block[1 + row] - h[row]
        for i in range(n):
            residual -= slope[i] * (theta[i] - at[i])
            gain[i] = 0.0
        for j in range(n):
            if slope[j] != 0.0:
                for i in range(n):
                    gain[i] += slope[j] * p[j, i]
        spread = 0.0
        for i in range(n):
            spread += slope[i] * gain[i]
        innovations[row] = residual
        expected[row] = spread
        s = spread + noise[row]
        far = abs(residual) / np.sqrt(s)
        if far > gate:
            # Huber: the cost grows linearly from here on
            total -= gate * far - 0.5 * gate * gate + 0.5 * (_LOG_2PI + np.log(s))
            push = slope[WIND] ** 2 + slope[WIND + 1] ** 2
            if row < 2 and push > 0.0:
                # along the discs only the wind can change at once: it may have done so
                more = (residual * residual - s) / push
                for k in (WIND, WIND + 1):
                    p[k, k] += more
                    gain[k] += more * slope[k]
                s = residual * residual
            else:
                s = spread + noise[row] * (far / gate)
        else:
            total -= 0.5 * (far * far + _LOG_2PI + np.log(s))
        # a parameter that is only considered keeps value and variance: Schmidt (1966), P less
        # K h P + (K h P)^T - K s K^T with its row of K zero
        inverse = 1.0 / s
        for i in range(n):
            taught[i] = learnt[row, i] * gain[i]
            theta[i] += taught[i] * inverse * residual
        for i in range(n):
            if learnt[row, i] > 0.0:
                for j in range(n):
                    p[i, j] -= gain[i] * gain[j] * inverse
            else:
                for j in range(n):
                    p[i, j] -= gain[i] * taught[j] * inverse
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
    sigmas counts with the noise that would put it there; along the discs it is a wind that has
    changed. ``learnt`` (6, N): 1 where a measurement may move a parameter, 0 where it only
    considers it.
    """
    at = theta.copy()
    if p[WIND, WIND] > _WIND_UNKNOWN_M2_S2 or p[MASS, MASS] > _MASS_UNKNOWN:
        # wind and mass are far from what was believed: linear at what the block itself says
        for _ in range(_ITERATIONS):
            guess, doubt = theta.copy(), p.copy()
            _fuse(guess, doubt, block, at, noise, craft, 1e6, learnt, innovations, expected)
            at = guess
    return _fuse(theta, p, block, at, noise, craft, gate, learnt, innovations, expected)


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
    gate: float,
    learnt: Array,
    switch: float,
    learn: float,
) -> float:
    """Advance all filters by one block; return how badly the best one foresaw it.

    That is the mean of the normalised squared innovations of lift and turns, 1 if all is right.

    ``theta`` (h, N), ``p`` (h, N, N), ``weight`` (h,) probabilities, ``added`` (h, N) variances of
    one block, ``noise`` (6,): learnt variance of one block, changed in
    place; ``floor`` (6,); ``switch``: probability of a change within one block; ``learn``: how
    much the logarithm of the noise may follow one block. It follows the median, so that a jump
    does not hide itself.
    """
    count = theta.shape[0]
    innovations, expected = np.empty(6), np.empty(6)
    logs = np.empty(count)
    variance = np.empty(6)
    for k in range(3):
        variance[k] = noise[k] + block[SPREAD + k]
        variance[3 + k] = noise[3 + k] + block[TURN_SPREAD + k]
    best, misfit = 0, 0.0
    for f in range(count):
        if weight[f] > weight[best]:
            best = f
    air = np.empty(4)
    gusting(theta[best], block, air)
    for f in range(count):
        walk(theta[f], p[f], added[f], air)
        logs[f] = update(
            theta[f], p[f], block, variance, craft, gate, learnt, innovations, expected
        )
        if f == best:
            for k in range(6):
                size = innovations[k] ** 2 / (expected[k] + variance[k])
                if k > 1:
                    misfit += 0.25 * size
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
    return misfit


@numba.njit(cache=True)
def over_flight(
    theta: Array,
    p: Array,
    constants: Array,
    flight: Array,
    drag_shows: Array,
    noise: Array,
    craft: Craft,
    gate: float,
    learnt: Array,
    wind_walk2: float,
    linear: bool,
    innovations: Array,
    expected: Array,
) -> None:
    """Take in a flight (b, width) in which only the wind changes; ``theta``, ``p`` go on.

    ``linear``: the model is made linear at ``constants`` (N,), with the wind of the moment; else
    at the belief of the moment. ``drag_shows`` (b,): 0 where drag is only considered.
    ``wind_walk2`` [m^2/s^3]; ``innovations``, ``expected`` (b, 6): out.
    """
    n = theta.shape[0]
    air, variance, at = np.empty(4), np.empty(6), np.empty(n)
    added = np.zeros(n)
    mask = learnt.copy()
    for b in range(flight.shape[0]):
        block = flight[b]
        added[WIND] = added[WIND + 1] = wind_walk2 * block[SPAN]
        gusting(theta, block, air)
        walk(theta, p, added, air)
        for k in range(3):
            variance[k] = noise[k] + block[SPREAD + k]
            variance[3 + k] = noise[3 + k] + block[TURN_SPREAD + k]
            mask[k, ROTOR_DRAG] = learnt[k, ROTOR_DRAG] * drag_shows[b]
        if linear and p[WIND, WIND] < _WIND_UNKNOWN_M2_S2:
            # one by one: copying as a whole compiles its error message, for a second or two
            for i in range(at.size):
                at[i] = constants[i]
            for i in range(3):
                at[WIND + i] = theta[WIND + i]
            for i in range(2):
                at[GUST + i] = theta[GUST + i]
            _fuse(theta, p, block, at, variance, craft, gate, mask, innovations[b], expected[b])
        else:
            update(theta, p, block, variance, craft, gate, mask, innovations[b], expected[b])
