# SPDX-License-Identifier: Apache-2.0
"""The stand-in's state estimator: a strapdown INS with fixed gains. Not EKF2, and not the twin's.

Position, velocity and attitude are integrated from the IMU; GNSS, barometer and compass pull them
back with constant gains (poles in ``Gains``), the way flight controllers did it before Kalman
filters fitted in. So its errors are those of another filter than the twin's, as PX4's are.

Around it stand EKF2's habits that others must cope with: gates, dead reckoning, validity that
lapses, resets with counters. Their times are PX4 v1.18's (``reset_timeout_max`` 7 s,
``no_aid_timeout_max`` 1 s, ``EKF2_NOAID_TOUT`` 5 s).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics import GRAVITY_M_S2

# A row of the estimator's state.
E_POS, E_VEL, E_Q = slice(0, 3), slice(3, 6), slice(6, 10)
E_GYRO_BIAS, E_ACC_BIAS = slice(10, 13), slice(13, 16)
E_ACC, E_RATE = slice(16, 19), slice(19, 22)  # last acceleration NED, angular rate FRD
E_SIGMA_H, E_SIGMA_V = 22, 23  # [m] claimed one sigma, horizontal (one axis) and vertical
N_ESTIMATE = 24

HISTORY = 64  # ticks of 4 ms of position and velocity kept for late GNSS
RESET_TIMEOUT_S = 7.0
NO_AID_TIMEOUT_S = 1.0
BARO_TIMEOUT_S = 5.0
SIGMA_FUSED_M = 0.2


class Gains(NamedTuple):
    """Corrections per second of innovation; each group places the poles of its error dynamics.

    Horizontal: velocity error, tilt, gyro bias at 1, 0.7, 0.3 1/s; vertical: height, climb,
    accelerometer bias at 1, 0.8, 0.3 1/s.
    """

    position: float = 0.8  # [1/s]
    velocity: float = 2.0  # [1/s]
    tilt: float = 1.21 / GRAVITY_M_S2  # [rad/s per m/s]
    gyro_bias: float = 0.21 / GRAVITY_M_S2  # [rad/s^2 per m/s]
    height: float = 2.1  # [1/s]
    climb: float = 1.34  # [1/s^2]
    acc_bias: float = 0.24  # [1/s^3]
    climb_gnss: float = 0.5  # [1/s]
    heading: float = 0.5  # [1/s]
    heading_bias: float = 0.02  # [1/s^2]


@numba.njit(cache=True)
def _rotate(row: Array, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the FRD vector (x, y, z) in NED."""
    w, i, j, k = row[6], row[7], row[8], row[9]
    return (
        (1 - 2 * (j * j + k * k)) * x + 2 * (i * j - w * k) * y + 2 * (i * k + w * j) * z,
        2 * (i * j + w * k) * x + (1 - 2 * (i * i + k * k)) * y + 2 * (j * k - w * i) * z,
        2 * (i * k - w * j) * x + 2 * (j * k + w * i) * y + (1 - 2 * (i * i + j * j)) * z,
    )


@numba.njit(cache=True)
def _turn(row: Array, x: float, y: float, z: float, in_ned: bool) -> None:
    """Turn the attitude by a rotation vector [rad], given in NED or in FRD."""
    angle = np.sqrt(x * x + y * y + z * z)
    scale = 0.5 if angle < 1e-9 else np.sin(0.5 * angle) / angle
    a, b, c, d = np.cos(0.5 * angle), scale * x, scale * y, scale * z
    w, i, j, k = row[6], row[7], row[8], row[9]
    if in_ned:
        n0, n1 = a * w - b * i - c * j - d * k, a * i + b * w + c * k - d * j
        n2, n3 = a * j - b * k + c * w + d * i, a * k + b * j - c * i + d * w
    else:
        n0, n1 = w * a - i * b - j * c - k * d, w * b + i * a + j * d - k * c
        n2, n3 = w * c - i * d + j * a + k * b, w * d + i * c - j * b + k * a
    length = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2 + n3 * n3)
    row[6], row[7], row[8], row[9] = n0 / length, n1 / length, n2 / length, n3 / length


@numba.njit(cache=True)
def align(row: Array, acc: Array, field: Array, declination_rad: float) -> None:
    """Level from one accelerometer sample at rest, heading from one compass sample."""
    roll = np.arctan2(-acc[1], -acc[2])
    pitch = np.arctan2(acc[0], np.sqrt(acc[1] ** 2 + acc[2] ** 2))
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    level_x = cp * field[0] + sp * (sr * field[1] + cr * field[2])
    level_y = cr * field[1] - sr * field[2]
    yaw = declination_rad - np.arctan2(level_y, level_x)
    row[6:10] = 1.0, 0.0, 0.0, 0.0
    _turn(row, 0.0, 0.0, yaw, False)
    _turn(row, 0.0, pitch, 0.0, False)
    _turn(row, roll, 0.0, 0.0, False)


@numba.njit(cache=True)
def predict(row: Array, gyro: Array, acc: Array, dt_s: float) -> None:
    """Advance by one IMU sample: mean angular rate and specific force over ``dt_s``, FRD."""
    p, q, r = gyro[0] - row[10], gyro[1] - row[11], gyro[2] - row[12]
    row[19], row[20], row[21] = p, q, r
    # half the turn before the force, half after: the force is the interval's mean
    _turn(row, 0.5 * dt_s * p, 0.5 * dt_s * q, 0.5 * dt_s * r, False)
    an, ae, ad = _rotate(row, acc[0] - row[13], acc[1] - row[14], acc[2] - row[15])
    ad += GRAVITY_M_S2
    _turn(row, 0.5 * dt_s * p, 0.5 * dt_s * q, 0.5 * dt_s * r, False)
    for k in range(3):
        a = an if k == 0 else (ae if k == 1 else ad)
        row[k] += dt_s * (row[3 + k] + 0.5 * dt_s * a)
        row[3 + k] += dt_s * a
        row[16 + k] = a


@numba.njit(cache=True)
def correct_horizontal(
    row: Array,
    history: Array,
    innovation_pos: Array,
    innovation_vel: Array,
    use_pos: bool,
    use_vel: bool,
    gains: Gains,
    dt_s: float,
) -> None:
    """Pull position, velocity, tilt and gyro bias; ``history`` (64, 6) moves along with them."""
    if use_pos:
        for k in range(2):
            shift = gains.position * dt_s * innovation_pos[k]
            row[k] += shift
            history[:, k] += shift
    if use_vel:
        for k in range(3):
            gain = gains.velocity if k < 2 else gains.climb_gnss
            shift = gain * dt_s * innovation_vel[k]
            row[3 + k] += shift
            history[:, 3 + k] += shift
        # a tilt error phi lets gravity accelerate: (north, east)'' = g (-phi_east, phi_north)
        north = gains.tilt * dt_s * innovation_vel[1]
        east = -gains.tilt * dt_s * innovation_vel[0]
        _turn(row, north, east, 0.0, True)
        w, i, j, k = row[6], row[7], row[8], row[9]
        bn = -gains.gyro_bias * dt_s * innovation_vel[1]
        be = gains.gyro_bias * dt_s * innovation_vel[0]
        row[10] += (1 - 2 * (j * j + k * k)) * bn + 2 * (i * j + w * k) * be
        row[11] += 2 * (i * j - w * k) * bn + (1 - 2 * (i * i + k * k)) * be


@numba.njit(cache=True)
def correct_height(row: Array, innovation_down: float, gains: Gains, dt_s: float) -> None:
    """Pull height, climb and the vertical accelerometer bias."""
    row[2] += gains.height * dt_s * innovation_down
    row[5] += gains.climb * dt_s * innovation_down
    row[15] -= gains.acc_bias * dt_s * innovation_down


@numba.njit(cache=True)
def heading_innovation(row: Array, field: Array, declination_rad: float) -> float:
    """Return how far [rad] the compass (3,) [gauss] FRD says that the heading is off."""
    north, east, _ = _rotate(row, field[0], field[1], field[2])
    off = declination_rad - np.arctan2(east, north)
    return float((off + np.pi) % (2.0 * np.pi) - np.pi)


@numba.njit(cache=True)
def correct_heading(row: Array, innovation: float, gains: Gains, dt_s: float) -> None:
    """Pull heading and the yaw gyro's bias."""
    _turn(row, 0.0, 0.0, gains.heading * dt_s * innovation, True)
    row[12] -= gains.heading_bias * dt_s * innovation
