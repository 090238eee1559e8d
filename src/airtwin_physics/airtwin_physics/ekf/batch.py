# SPDX-License-Identifier: Apache-2.0
"""Many filters in one call, on the kernels of one: for fleets and for Monte Carlo.

x (n, N + 1), p (n, N, N), each aircraft as in ``kernel``; changed in place. ``due`` (n,) [bool]
says which aircraft have the measurement; ``nis`` gets the statistic of each, NaN where none was
due, and what exceeds its limit is not fused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf import correction, kernel, models

Mask = npt.NDArray[np.bool_]

_predict = kernel.predict
_judge, _spread = correction.judge, correction.spread
_gnss_position, _gnss_velocity = models.gnss_position, models.gnss_velocity
_barometer, _declination, _head = models.barometer, models.magnetic_declination, models.head
_N, _X_SUCTION, _SUCTION = kernel.N, kernel.X_SUCTION, kernel.SUCTION


class Fixes(NamedTuple):
    """GNSS of n aircraft: position and velocity NED (n, 6), their variances (n, 6), ``lag`` (n,)
    [s] how old each is, ``acceleration`` (n, 3) [m/s^2] NED, smooth."""

    measured: Array
    variance: Array
    lag: Array
    acceleration: Array


@njit(cache=True)
def predict(x: Array, p: Array, imu: Array, constants: Array) -> None:
    """Move n aircraft over one IMU step each; imu (n, 11), constants (N_CONSTANTS,)."""
    for k in range(x.shape[0]):
        _predict(x[k], p[k], imu[k], constants)


@njit(cache=True)
def gnss(
    x: Array,
    p: Array,
    fixes: Fixes,
    due: Mask,
    limits: tuple[float, float, float],
    nis: Array,
) -> None:
    """Fuse fixes; limits [-] and nis (n, 3): horizontal position, height, velocity."""
    h, shown = np.empty((3, _N)), np.empty(3)
    for k in range(x.shape[0]):
        nis[k, :] = np.nan
        if not due[k]:
            continue
        lag, measured, variance = fixes.lag[k], fixes.measured[k], fixes.variance[k]
        _gnss_position(x[k], lag, h, shown)
        left = measured[:2] - shown[:2]
        nis[k, 0] = _judge(x[k], p[k], h[:2], left, variance[:2], limits[0])[0]
        _gnss_position(x[k], lag, h, shown)
        left = measured[2:3] - shown[2:]
        nis[k, 1] = _judge(x[k], p[k], h[2:], left, variance[2:3], limits[1])[0]
        _gnss_velocity(x[k], fixes.acceleration[k], lag, h, shown)
        left = measured[3:] - shown
        nis[k, 2] = _judge(x[k], p[k], h, left, variance[3:], limits[2])[0]


@njit(cache=True)
def barometer(
    x: Array, p: Array, altitude: Array, variance: Array, due: Mask, limit: float, nis: Array
) -> None:
    """Fuse pressure altitudes (n,) [m] of now, in still air; variance (n,) [m^2], nis (n,)."""
    h, residual, noise, still = np.empty((1, _N)), np.empty(1), np.empty(1), np.zeros((3, 2))
    for k in range(x.shape[0]):
        nis[k] = np.nan
        if due[k]:
            head_m, unsure_m2 = _head(x[k], p[k], still)
            residual[0] = altitude[k] - _barometer(x[k], 0.0, head_m, h[0])
            suction2 = x[k, _X_SUCTION] ** 2 + p[k, _SUCTION, _SUCTION]
            noise[0] = variance[k] + suction2 * unsure_m2
            nis[k] = _judge(x[k], p[k], h, residual, noise, limit)[0]


@njit(cache=True)
def magnetometer(
    x: Array,
    p: Array,
    field: Array,
    declination: Array,
    variance: Array,
    due: Mask,
    limit: float,
    nis: Array,
) -> None:
    """Fuse fields (n, 3) FRD of now; declination (n,) [rad], variance (n,) [rad^2]; nis (n,)."""
    h, tilted, residual, noise = np.empty((1, _N)), np.empty(_N), np.empty(1), np.empty(1)
    for k in range(x.shape[0]):
        nis[k] = np.nan
        if due[k]:
            turn = declination[k] - _declination(x[k], field[k], h[0], tilted)
            residual[0] = turn - 2.0 * np.pi * np.round(turn / (2.0 * np.pi))
            noise[0] = variance[k] + _spread(p[k], tilted)
            nis[k] = _judge(x[k], p[k], h, residual, noise, limit)[0]
