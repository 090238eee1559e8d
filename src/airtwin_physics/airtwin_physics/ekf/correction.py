# SPDX-License-Identifier: Apache-2.0
"""What measurements do to state and covariance, compiled; state and error as in ``kernel``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import (
    ACCEL_BIAS,
    ATT,
    BARO,
    GNSS,
    GYRO_BIAS,
    N_NOMINAL,
    POS,
    VEL,
    WIND,
    X_ACCEL_BIAS,
    X_BARO,
    X_GNSS,
    X_GYRO_BIAS,
    X_POS,
    X_Q,
    X_VEL,
    N,
    turn,
)
from airtwin_physics.ekf.symmetry import carry

Held = tuple[int, int]
"""Errors that an update considers, from one up to another: their doubt and correlations count,
their gain is zero (Schmidt 1966; Woodbury, Junkins, AIAA 2010-7752)."""
FREE: Held = (0, 0)
MOTION_HELD: Held = (0, WIND)  # all but wind, drag and what comes after them
BIAS_HELD: Held = (ACCEL_BIAS, ACCEL_BIAS + 3)
LEVEL_BIAS_HELD: Held = (ACCEL_BIAS, ACCEL_BIAS + 2)  # x and y
_SETTLED = 2.0  # times a claim, no GNSS offset is larger: claims go up and down, but not by more
_ROBUST = 9.0  # no innovation counts for more than three of its sigmas


@njit(cache=True)
def _learn(p: Array, ph: Array, left: Array, gain: Array) -> None:
    """Add the symmetric part of left gain^T - gain ph^T, all (N,), to P (N, N)."""
    # the lower triangle row by row, which the compiler vectorises, then its mirror image
    for i in range(N):
        left_i, gain_i, ph_i = left[i], gain[i], ph[i]
        for j in range(i + 1):
            p[i, j] += 0.5 * (
                left_i * gain[j] - gain_i * ph[j] + left[j] * gain_i - gain[j] * ph_i
            )
    for i in range(N):
        for j in range(i):
            p[j, i] = p[i, j]


@njit(cache=True)
def _places(row: Array, at: npt.NDArray[np.int64]) -> int:
    """Write to at (N,) where a row (N,) is not zero; return how many places these are."""
    count = 0
    for k in range(N):
        if row[k] != 0.0:
            at[count] = k
            count += 1
    return count


@njit(cache=True)
def update(x: Array, p: Array, h: Array, residual: Array, variance: Array, held: Held) -> None:
    """Fuse m scalars, one after another in Joseph form; h (m, N), residual, variance (m,).

    P <- (I - K h) P (I - K h)^T + K r K^T, K = P h^T / s; only where h is not zero costs time.
    """
    m = h.shape[0]
    error = np.zeros(N)
    ph, left, gain = np.empty(N), np.empty(N), np.empty(N)
    at = np.empty(N, dtype=np.int64)
    for row in range(m):
        count = _places(h[row], at)
        ph[:] = 0.0
        for c in range(count):
            k = at[c]
            slope = h[row, k]
            for i in range(N):
                ph[i] += slope * p[k, i]
        r = variance[row]
        s = r
        innovation = residual[row]
        for c in range(count):
            k = at[c]
            s += h[row, k] * ph[k]
            innovation -= h[row, k] * error[k]
        for i in range(N):
            gain[i] = ph[i] / s
        gain[held[0] : held[1]] = 0.0
        for i in range(N):
            error[i] += gain[i] * innovation
        # (I - K h) P, then what of it h still sees
        for i in range(N):
            seen = 0.0
            for c in range(count):
                k = at[c]
                seen += h[row, k] * (p[i, k] - gain[i] * ph[k])
            left[i] = r * gain[i] - seen
        _learn(p, ph, left, gain)
    inject(x, p, error)


@njit(cache=True)
def _innovation_covariance(p: Array, h: Array, variance: Array, s: Array) -> None:
    """Write the lower triangle of H P H^T + R (m, m)."""
    m = h.shape[0]
    at, counts = np.empty((m, N), dtype=np.int64), np.empty(m, dtype=np.int64)
    s[:, :] = 0.0
    for i in range(m):
        counts[i] = _places(h[i], at[i])
        for c in range(counts[i]):
            a = at[i, c]
            for j in range(i + 1):
                total = 0.0
                for d in range(counts[j]):
                    b = at[j, d]
                    total += p[a, b] * h[j, b]
                s[i, j] += h[i, a] * total
        s[i, i] += variance[i]


@njit(cache=True)
def statistic(p: Array, h: Array, residual: Array, variance: Array) -> float:
    """Return r^T (H P H^T + R)^-1 r [-]; h (m, N), residual (m,), variance (m,).

    NaN if the innovation covariance is not positive definite.
    """
    m = h.shape[0]
    s, white = np.empty((m, m)), np.empty(m)
    _innovation_covariance(p, h, variance, s)
    squared = 0.0
    # Cholesky and forward substitution in one
    for i in range(m):
        for j in range(i + 1):
            total = s[i, j]
            for k in range(j):
                total -= s[i, k] * s[j, k]
            if i == j:
                if not total > 0.0:
                    return np.nan
                s[i, i] = np.sqrt(total)
            else:
                s[i, j] = total / s[j, j]
        total = residual[i]
        for k in range(i):
            total -= s[i, k] * white[k]
        white[i] = total / s[i, i]
        squared += white[i] * white[i]
    return squared


@njit(cache=True)
def judge(
    x: Array,
    p: Array,
    h: Array,
    residual: Array,
    variance: Array,
    limit: float,
    held: Held = FREE,
    scale: float = 1.0,
) -> tuple[float, float, float]:
    """Fuse if the statistic is at most ``limit``; return (statistic, spread, shown) [-].

    scale [-] multiplies ``variance``, which gives the noise.

    spread: mean over the m rows of h P h^T / noise, what the belief's own doubt is of the noise,
    before the fusion; shown: that of residual^2 / noise. The adaptive noise needs both.
    """
    noise = variance * scale
    nis = statistic(p, h, residual, noise)
    doubt = 0.0
    shown = 0.0
    m = h.shape[0]
    for i in range(m):
        doubt += spread(p, h[i]) / noise[i]
        shown += residual[i] * residual[i] / noise[i]
    if nis <= limit:
        update(x, p, h, residual, noise, held)
    return nis, doubt / m, shown / m


@njit(cache=True)
def gate(
    x: Array,
    p: Array,
    h: Array,
    residual: Array,
    variance: Array,
    limit: float,
    held: Held,
    noise: Array,
    bounds: Array,
    north: bool,
) -> float:
    """``judge`` with the noise that was seen so far, and learn from what passes; return the nis.

    north: whether the rows can show it; false for what is alike at any heading (``symmetry``).
    noise (3,) [-]: the factor of ``variance``, its mean before the bounds, the samples behind it.
    bounds (4,): least and most of the factor, samples remembered (0: learn nothing), speed^2
    [m^2/s^2] below which nothing is learnt: a sensor at rest does not show how it fares in motion.
    """
    before = x.copy()
    nis, doubt, shown = judge(x, p, h, residual, variance, limit, held, noise[0])
    if nis <= limit and not north:
        carry(before, x, p)
    speed2 = x[X_VEL] ** 2 + x[X_VEL + 1] ** 2 + x[X_VEL + 2] ** 2
    if nis <= limit and bounds[2] > 0.0 and speed2 > bounds[3]:
        shown = min(shown, _ROBUST * (1.0 + doubt)) - doubt
        # the more the belief itself is in doubt, the less is seen of the sensor's noise
        weight = 1.0 / (1.0 + doubt) ** 2
        noise[2] = min(noise[2] + weight, bounds[2])
        noise[1] += (shown * noise[0] - noise[1]) * weight / noise[2]
        noise[0] = min(max(noise[1], bounds[0]), bounds[1])
    return nis


@njit(cache=True)
def spread(p: Array, row: Array) -> float:
    """Return row P row^T, the variance of a linear function (N,) of the error."""
    at = np.empty(N, dtype=np.int64)
    count = _places(row, at)
    total = 0.0
    for c in range(count):
        i = at[c]
        for d in range(count):
            j = at[d]
            total += row[i] * p[i, j] * row[j]
    return total


@njit(cache=True)
def inject(x: Array, p: Array, error: Array) -> None:
    """Move the error (N,) into x, and the frame of the attitude error with it."""
    for i in range(3):
        x[X_POS + i] += error[POS + i]
        x[X_VEL + i] += error[VEL + i]
        x[X_GYRO_BIAS + i] += error[GYRO_BIAS + i]
        x[X_ACCEL_BIAS + i] += error[ACCEL_BIAS + i]
    for i in range(N - BARO):
        x[X_BARO + i] += error[BARO + i]
    tx, ty, tz = error[ATT], error[ATT + 1], error[ATT + 2]
    turn(x[X_Q : X_Q + 4], tx, ty, tz)
    # G = I - skew(theta / 2)
    hx, hy, hz = 0.5 * tx, 0.5 * ty, 0.5 * tz
    for j in range(N):
        a, b, c = p[ATT, j], p[ATT + 1, j], p[ATT + 2, j]
        p[ATT, j] = a + hz * b - hy * c
        p[ATT + 1, j] = b - hz * a + hx * c
        p[ATT + 2, j] = c + hy * a - hx * b
    for i in range(N):
        a, b, c = p[i, ATT], p[i, ATT + 1], p[i, ATT + 2]
        p[i, ATT] = a + hz * b - hy * c
        p[i, ATT + 1] = b - hz * a + hx * c
        p[i, ATT + 2] = c + hy * a - hx * b
    for i in range(3):  # where rows and columns meet, the order shows in the last bit
        for j in range(i):
            p[ATT + i, ATT + j] = p[ATT + j, ATT + i]


@njit(cache=True)
def forget(p: Array, index: int, variance: float) -> None:
    """Make one error independent of all others, with the given variance."""
    for j in range(N):
        p[index, j] = 0.0
        p[j, index] = 0.0
    p[index, index] = variance


@njit(cache=True)
def place(p: Array, index: int, by: int, sign: float, variance: float) -> None:
    """Set error ``index`` to sign * error ``by`` + white noise: a state read off a measurement.

    A position taken from GNSS is wrong by minus the GNSS offset; a barometer offset taken from
    the height is wrong by the height's error.
    """
    for j in range(N):
        if j != index:
            p[index, j] = sign * p[by, j]
            p[j, index] = p[index, j]
    p[index, index] = p[by, by] + variance


@njit(cache=True)
def expect_gnss(
    x: Array, p: Array, sigma: Array, claimed: tuple[float, float, float], kept: float
) -> None:
    """Let the GNSS offsets be of size claimed [m] NED, or of ``kept`` [-] of their last one,
    up to twice the claim; sigma (>= 3,) [m]: their sizes, which are written.
    """
    for axis in range(3):
        at, claim = GNSS + axis, claimed[axis]
        expected = max(claim, min(kept * sigma[axis], _SETTLED * claim))
        sigma[axis] = expected
        believed2 = p[at, at]
        if believed2 > expected * expected:
            share = expected / np.sqrt(believed2)
            x[X_GNSS + axis] *= share
            for j in range(N):
                p[at, j] *= share
            for j in range(N):
                p[j, at] *= share


@njit(cache=True)
def healthy(x: Array, p: Array) -> bool:
    """Return whether all is finite, all variances are positive and no correlation exceeds one."""
    for i in range(N_NOMINAL):
        if not np.isfinite(x[i]):
            return False
    for i in range(N):
        if not (p[i, i] > 0.0 and p[i, i] < np.inf):
            return False
        for j in range(i):
            if not p[i, j] * p[i, j] <= p[i, i] * p[j, j] * (1.0 + 1e-9):
                return False
    return True
