# SPDX-License-Identifier: Apache-2.0
"""What the IMU shows of late: means, spreads, and how white its noise is. Kernels on one array."""

from __future__ import annotations

from numba import njit

from airtwin_core.types import Array

WINDOW_S = 0.5  # of the means and spreads
_BLOCK_S = 0.02  # of the means whose spread tells noise from vibration
_BLOCKS = 5  # as few of them tell
_TRAPEZOIDS = 4.0  # the most by which neighbours show too little noise
N_REST = 60  # of ``rest``, what the IMU shows of late; places in it, gyro (3,) before accel (3,):
ELAPSED = 0  # [s]
MEAN_GYRO, MEAN_ACCEL = 1, 4
SPREAD_GYRO, SPREAD_ACCEL = 7, 8  # variances, summed over the axes [rad^2/s^2], [m^2/s^4]
# variances from sample to sample, to the next but one: motion hardly enters
_NEAR, _BEYOND = 9, 54
LAST, BEFORE = 15, 48  # the last sample, the one before
_COUNT, _SO_FAR, _SUM = 21, 22, 23  # of ``blocks``: how many; of this one time [s], integral (6,)
_MEAN, _MEAN_BEFORE, _WHITE = 29, 35, 41  # of the last, of the one before; density of white noise
CLIPPED = 47  # share of clipped samples over the window


@njit(cache=True)
def follow(rest: Array, gyro: Array, accel: Array, dt: float, window: float) -> None:
    """Update ``rest`` (60,), running means and spreads of the IMU over ``window`` [s]."""
    rest[ELAPSED] += dt
    share = min(max(dt / window, dt / rest[ELAPSED]), 1.0)
    gyro2 = 0.0
    accel2 = 0.0
    first = rest[ELAPSED] == dt
    for i in range(3):
        d = gyro[i] - rest[MEAN_GYRO + i]
        rest[MEAN_GYRO + i] += share * d
        gyro2 += d * d
        d = accel[i] - rest[MEAN_ACCEL + i]
        rest[MEAN_ACCEL + i] += share * d
        accel2 += d * d
        if first:
            rest[LAST + i] = rest[BEFORE + i] = gyro[i]
            rest[LAST + 3 + i] = rest[BEFORE + 3 + i] = accel[i]
        d = gyro[i] - rest[LAST + i]
        rest[_NEAR + i] += share * (0.5 * d * d - rest[_NEAR + i])
        d = accel[i] - rest[LAST + 3 + i]
        rest[_NEAR + 3 + i] += share * (0.5 * d * d - rest[_NEAR + 3 + i])
        d = gyro[i] - rest[BEFORE + i]
        rest[_BEYOND + i] += share * (0.5 * d * d - rest[_BEYOND + i])
        d = accel[i] - rest[BEFORE + 3 + i]
        rest[_BEYOND + 3 + i] += share * (0.5 * d * d - rest[_BEYOND + 3 + i])
        rest[BEFORE + i], rest[BEFORE + 3 + i] = rest[LAST + i], rest[LAST + 3 + i]
        rest[LAST + i], rest[LAST + 3 + i] = gyro[i], accel[i]
    rest[SPREAD_GYRO] = (1.0 - share) * (rest[SPREAD_GYRO] + share * gyro2)
    rest[SPREAD_ACCEL] = (1.0 - share) * (rest[SPREAD_ACCEL] + share * accel2)
    blocks(rest, gyro, accel, dt, window)


@njit(cache=True)
def blocks(rest: Array, gyro: Array, accel: Array, dt: float, window: float) -> None:
    """Follow the density of white noise that means over ``_BLOCK_S`` show, ``_WHITE`` of rest.

    Vibration sums to nothing over its period, noise does not: what the integral of the IMU doubts
    is the density at low frequency, that of half the mean square difference of neighbours only
    if they are white. Of three means in a row, m - 2 m' + m'' has six times the variance of one,
    and a steady change of rate or force is not in it. Of both densities the lower counts, since
    motion and vibration only add to either. Gyro (3,) [rad^2/s], accel (3,) [m^2/s^3].
    """
    rest[_SO_FAR] += dt
    for i in range(3):
        rest[_SUM + i] += gyro[i] * dt
        rest[_SUM + 3 + i] += accel[i] * dt
    if rest[_SO_FAR] < _BLOCK_S - 0.5 * dt:
        return
    lasted = rest[_SO_FAR]
    rest[_COUNT] += 1.0
    share = min(max(lasted / window, 1.0 / max(rest[_COUNT] - 2.0, 1.0)), 1.0)
    for i in range(6):
        mean = rest[_SUM + i] / lasted
        if rest[_COUNT] > 2.5:
            bend = mean - 2.0 * rest[_MEAN + i] + rest[_MEAN_BEFORE + i]
            rest[_WHITE + i] += share * (bend * bend * lasted / 6.0 - rest[_WHITE + i])
        rest[_MEAN_BEFORE + i] = rest[_MEAN + i]
        rest[_MEAN + i] = mean
        rest[_SUM + i] = 0.0
    rest[_SO_FAR] = 0.0


@njit(cache=True)
def by_neighbours(rest: Array, i: int) -> float:
    """Return the density of white noise over a sample's time; i: gyro 0..2, accel 3..5.

    PX4 integrates by trapezoids (``Integrator.hpp``), so where a message holds one sample of the
    sensor, as in its simulators, neighbours share half of their noise: they differ by a quarter
    of its density at low frequency. With covariances c0, c1 and no c2 that is c0 + 2 c1; from one
    sample to the next the variance is v = c0 - c1, to the next but one u = c0: 3 u - 2 v. Motion
    is in u more than in v, so no more counts than trapezoids explain.
    """
    near, beyond = rest[_NEAR + i], rest[_BEYOND + i]
    return float(min(max(near, 3.0 * beyond - 2.0 * near), _TRAPEZOIDS * near))


@njit(cache=True)
def whiteness(rest: Array, i: int, dt: float) -> float:
    """Return the variance of the integral over dt [s] by white noise; i: gyro 0..2, accel 3..5."""
    by_sample = by_neighbours(rest, i) * dt
    if rest[_COUNT] < _BLOCKS + 1.5:
        return float(by_sample * dt)
    return float(min(by_sample, rest[_WHITE + i]) * dt)
