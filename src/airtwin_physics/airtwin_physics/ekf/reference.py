# SPDX-License-Identifier: Apache-2.0
"""The filter's equations said slowly, in plain numpy: what the kernels are tested against.

State, error and units as in ``kernel``. Nothing here is tuned or compiled; it follows README.md
line by line, with whole matrices and the joint Joseph form.
"""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import GRAVITY_M_S2, N

GRAVITY_NED = np.array([0.0, 0.0, GRAVITY_M_S2])


def boxplus(x: Array, error: Array) -> Array:
    """Return the state x (N + 1,) moved by the error (N,): x + error, R exp(skew(theta))."""
    turn = frames.quat_from_rotation_vector(error[6:9])
    q = frames.quat_normalise(frames.quat_multiply(x[6:10], turn))
    return np.concatenate([x[0:6] + error[0:6], q, x[10:] + error[9:]])


def boxminus(a: Array, b: Array) -> Array:
    """Return the error (N,) with ``boxplus(b, error) == a``."""
    turn = frames.quat_multiply(frames.quat_conjugate(b[6:10]), a[6:10])
    theta = frames.rotation_vector_from_quat(turn)
    return np.concatenate([a[0:6] - b[0:6], theta, a[10:] - b[10:]])


def advance(x: Array, gyro: Array, accel: Array, dt: float, decay: Array) -> Array:
    """Return the state after dt [s]: README, "Motion"."""
    half = frames.quat_from_rotation_vector(0.5 * (gyro - x[10:13]) * dt)
    middle = frames.quat_multiply(x[6:10], half)
    force_ned = frames.rotation_from_quat(middle) @ (accel - x[13:16])
    change = (force_ned + GRAVITY_NED) * dt
    after: Array = x.copy()
    after[0:3] = x[0:3] + (x[3:6] + 0.5 * change) * dt
    after[3:6] = x[3:6] + change
    after[6:10] = frames.quat_multiply(middle, half)
    after[17:21] = x[17:21] * decay[:4]
    after[27:30] = x[27:30] * decay[4:]
    return after


def transition(x: Array, gyro: Array, accel: Array, dt: float, decay: Array) -> Array:
    """Return F (N, N) by central differences of ``advance``."""
    f = np.zeros((N, N))
    step = 1e-6
    before = advance(x, gyro, accel, dt, decay)
    for j in range(N):
        error = np.zeros(N)
        error[j] = step
        up = boxminus(advance(boxplus(x, error), gyro, accel, dt, decay), before)
        down = boxminus(advance(boxplus(x, -error), gyro, accel, dt, decay), before)
        f[:, j] = (up - down) / (2.0 * step)
    return f


def predict(x: Array, p: Array, imu: Array, noise: Array, decay: Array) -> tuple[Array, Array]:
    """Return state and covariance after one IMU step; noise (N,): variances added."""
    dt = float(imu[0])
    f = transition(x, imu[1:4], imu[4:7], dt, decay)
    return advance(x, imu[1:4], imu[4:7], dt, decay), f @ p @ f.T + np.diag(noise)


def dense(b: Array, dt: float, decay: Array) -> Array:
    """Return F (N, N) of what ``kernel.blocks`` wrote: b (5, 3, 3); decay (7,)."""
    f = np.eye(N)
    f[3:6, 6:15] = np.concatenate([b[0], b[1], b[2]], axis=1)
    f[0:3, 3:6] = np.eye(3) * dt
    f[0:3, 6:15] = 0.5 * dt * f[3:6, 6:15]
    f[6:9, 6:12] = np.concatenate([b[3], b[4]], axis=1)
    f[16:20, 16:20] = np.diag(decay[:4])
    f[26:29, 26:29] = np.diag(decay[4:])
    return f


def update(
    x: Array, p: Array, h: Array, residual: Array, variance: Array
) -> tuple[Array, Array, float]:
    """Return state, covariance and NIS after fusing m values at once in Joseph form.

    h (m, N), residual (m,), variance (m,).
    """
    r = np.diag(variance)
    s = h @ p @ h.T + r
    gain = np.linalg.solve(s, h @ p).T
    error = gain @ residual
    left = np.eye(N) - gain @ h
    joseph = left @ p @ left.T + gain @ r @ gain.T
    reset = np.eye(N)
    reset[6:9, 6:9] -= frames.skew(0.5 * error[6:9])
    nis = float(residual @ np.linalg.solve(s, residual))
    return boxplus(x, error), reset @ joseph @ reset.T, nis
