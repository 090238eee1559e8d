# SPDX-License-Identifier: Apache-2.0
"""The filter's arithmetic, compiled: an error-state EKF on arrays, changed in place.

Nominal state ``x`` (22,): position NED [m], velocity NED [m/s], q_ned_frd [-], gyro bias FRD
[rad/s], accelerometer bias FRD [m/s^2], barometer offset [m], GNSS offset NED [m], heading offset
[rad], GNSS delay beyond the nominal one [s]. Error state (21,): the same, with the attitude as a
rotation vector [rad] in FRD, ``R_true = R @ exp(skew(error))``; ``P`` (21, 21) is its covariance.
The first 15 are those of ``types.TwinState``. The offsets of GNSS and heading wander and come
back: first-order Gauss-Markov processes; the delay is a constant.

README.md gives the equations; ``reference.py`` says the same slowly, and the tests compare them.
Source: Sola, "Quaternion kinematics for the error-state Kalman filter" (2017), ch. 5 to 7.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array

N_NOMINAL = 22
N = 21
X_POS, X_VEL, X_Q, X_GYRO_BIAS, X_ACCEL_BIAS = 0, 3, 6, 10, 13
X_BARO, X_GNSS, X_HEADING, X_DELAY = 16, 17, 20, 21
POS, VEL, ATT, GYRO_BIAS, ACCEL_BIAS = 0, 3, 6, 9, 12
BARO, GNSS, HEADING, DELAY = 15, 16, 19, 20
GRAVITY_M_S2 = 9.80665
"""Standard gravity; latitude changes it by 0.3 %, which the accelerometer bias takes up."""


@njit(cache=True)
def rotation(q: Array, out: Array) -> None:
    """Write R_ned_frd (3, 3) of the unit quaternion q (4,)."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    out[0, 0] = 1.0 - 2.0 * (y * y + z * z)
    out[0, 1] = 2.0 * (x * y - w * z)
    out[0, 2] = 2.0 * (x * z + w * y)
    out[1, 0] = 2.0 * (x * y + w * z)
    out[1, 1] = 1.0 - 2.0 * (x * x + z * z)
    out[1, 2] = 2.0 * (y * z - w * x)
    out[2, 0] = 2.0 * (x * z - w * y)
    out[2, 1] = 2.0 * (y * z + w * x)
    out[2, 2] = 1.0 - 2.0 * (x * x + y * y)


@njit(cache=True)
def turn(q: Array, rx: float, ry: float, rz: float) -> None:
    """Replace q by q * exp(r), r the rotation vector [rad] in FRD, at unit length."""
    angle2 = rx * rx + ry * ry + rz * rz
    if angle2 < 1e-8:
        half_sinc = 0.5 - angle2 / 48.0
        c = 1.0 - angle2 / 8.0
    else:
        angle = np.sqrt(angle2)
        half_sinc = np.sin(0.5 * angle) / angle
        c = np.cos(0.5 * angle)
    bx, by, bz = half_sinc * rx, half_sinc * ry, half_sinc * rz
    w, x, y, z = q[0], q[1], q[2], q[3]
    q[0] = w * c - x * bx - y * by - z * bz
    q[1] = w * bx + x * c + y * bz - z * by
    q[2] = w * by - x * bz + y * c + z * bx
    q[3] = w * bz + x * by - y * bx + z * c
    length = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    for i in range(4):
        q[i] /= length


@njit(cache=True)
def advance(x: Array, gyro: Array, accel: Array, dt: float, decay: Array) -> None:
    """Move the nominal state over dt [s]; gyro [rad/s], accel [m/s^2] (3,) FRD, averages over dt.

    The specific force is turned by the attitude at the middle of the step; ``decay`` (4,) [-] is
    exp(-dt / tau) of the offsets of GNSS (3,) and heading.
    """
    rx = (gyro[0] - x[X_GYRO_BIAS]) * dt
    ry = (gyro[1] - x[X_GYRO_BIAS + 1]) * dt
    rz = (gyro[2] - x[X_GYRO_BIAS + 2]) * dt
    q = x[X_Q : X_Q + 4]
    turn(q, 0.5 * rx, 0.5 * ry, 0.5 * rz)
    r = np.empty((3, 3))
    rotation(q, r)
    turn(q, 0.5 * rx, 0.5 * ry, 0.5 * rz)
    ax = accel[0] - x[X_ACCEL_BIAS]
    ay = accel[1] - x[X_ACCEL_BIAS + 1]
    az = accel[2] - x[X_ACCEL_BIAS + 2]
    for i in range(3):
        change = (r[i, 0] * ax + r[i, 1] * ay + r[i, 2] * az) * dt
        if i == 2:
            change += GRAVITY_M_S2 * dt
        x[X_POS + i] += (x[X_VEL + i] + 0.5 * change) * dt
        x[X_VEL + i] += change
    for i in range(4):
        x[X_GNSS + i] *= decay[i]


@njit(cache=True)
def _exp_and_jacobian(rx: float, ry: float, rz: float, turned: Array, jacobian: Array) -> None:
    """Write exp(skew(r)) and the right Jacobian of SO(3) at r (3,) [rad]."""
    angle2 = rx * rx + ry * ry + rz * rz
    if angle2 < 1e-6:
        a = 1.0 - angle2 / 6.0
        b = 0.5 - angle2 / 24.0
        c = 1.0 / 6.0 - angle2 / 120.0
    else:
        angle = np.sqrt(angle2)
        a = np.sin(angle) / angle
        b = (1.0 - np.cos(angle)) / angle2
        c = (1.0 - a) / angle2
    v = (rx, ry, rz)
    for i in range(3):
        for j in range(3):
            square = v[i] * v[j] - (angle2 if i == j else 0.0)
            turned[i, j] = b * square + (1.0 if i == j else 0.0)
            jacobian[i, j] = c * square + (1.0 if i == j else 0.0)
    skew = ((0.0, -rz, ry), (rz, 0.0, -rx), (-ry, rx, 0.0))
    for i in range(3):
        for j in range(3):
            turned[i, j] += a * skew[i][j]
            jacobian[i, j] -= b * skew[i][j]


@njit(cache=True)
def transition(x: Array, gyro: Array, accel: Array, dt: float, decay: Array, f: Array) -> None:
    """Write the exact Jacobian F (21, 21) of ``advance`` at x, error after by error before."""
    rx = (gyro[0] - x[X_GYRO_BIAS]) * dt
    ry = (gyro[1] - x[X_GYRO_BIAS + 1]) * dt
    rz = (gyro[2] - x[X_GYRO_BIAS + 2]) * dt
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    half, half_jacobian = np.empty((3, 3)), np.empty((3, 3))
    full, full_jacobian = np.empty((3, 3)), np.empty((3, 3))
    _exp_and_jacobian(0.5 * rx, 0.5 * ry, 0.5 * rz, half, half_jacobian)
    _exp_and_jacobian(rx, ry, rz, full, full_jacobian)
    middle = np.empty((3, 3))  # R_ned_frd half way
    for i in range(3):
        for j in range(3):
            middle[i, j] = r[i, 0] * half[0, j] + r[i, 1] * half[1, j] + r[i, 2] * half[2, j]
    ax = accel[0] - x[X_ACCEL_BIAS]
    ay = accel[1] - x[X_ACCEL_BIAS + 1]
    az = accel[2] - x[X_ACCEL_BIAS + 2]
    # force in the frame before the step, for the attitude error that lives there
    bx = half[0, 0] * ax + half[0, 1] * ay + half[0, 2] * az
    by = half[1, 0] * ax + half[1, 1] * ay + half[1, 2] * az
    bz = half[2, 0] * ax + half[2, 1] * ay + half[2, 2] * az
    f[:, :] = 0.0
    for i in range(N):
        f[i, i] = 1.0
    for i in range(4):
        f[GNSS + i, GNSS + i] = decay[i]
    for i in range(3):
        f[POS + i, VEL + i] = dt
        # d velocity / d attitude = -R [b]x dt
        f[VEL + i, ATT] = -(r[i, 1] * bz - r[i, 2] * by) * dt
        f[VEL + i, ATT + 1] = -(r[i, 2] * bx - r[i, 0] * bz) * dt
        f[VEL + i, ATT + 2] = -(r[i, 0] * by - r[i, 1] * bx) * dt
        # -R_middle [a]x, then through the Jacobian of the half turn to the gyro bias
        cx = middle[i, 1] * az - middle[i, 2] * ay
        cy = middle[i, 2] * ax - middle[i, 0] * az
        cz = middle[i, 0] * ay - middle[i, 1] * ax
        for j in range(3):
            f[VEL + i, GYRO_BIAS + j] = (
                0.5
                * dt
                * dt
                * (cx * half_jacobian[0, j] + cy * half_jacobian[1, j] + cz * half_jacobian[2, j])
            )
            f[VEL + i, ACCEL_BIAS + j] = -middle[i, j] * dt
            f[ATT + i, ATT + j] = full[j, i]
            f[ATT + i, GYRO_BIAS + j] = -full_jacobian[i, j] * dt
        for j in range(ATT, BARO):
            f[POS + i, j] = 0.5 * dt * f[VEL + i, j]


@njit(cache=True)
def _symmetrise(p: Array) -> None:
    for i in range(N):
        for j in range(i):
            mean = 0.5 * (p[i, j] + p[j, i])
            p[i, j] = mean
            p[j, i] = mean


@njit(cache=True)
def _times_rows(f: Array, p: Array, out: Array) -> None:
    """Write F P, using that only the rows of F for position, velocity, attitude couple."""
    for i in range(N):
        for j in range(N):
            out[i, j] = f[i, i] * p[i, j]
    for i in range(GYRO_BIAS):
        for k in range(VEL, BARO):
            if k != i:
                for j in range(N):
                    out[i, j] += f[i, k] * p[k, j]


@njit(cache=True)
def _times_columns(work: Array, f: Array, out: Array) -> None:
    """Write W F^T, likewise."""
    for i in range(N):
        for j in range(N):
            total = f[j, j] * work[i, j]
            if j < GYRO_BIAS:
                for k in range(VEL, BARO):
                    if k != j:
                        total += f[j, k] * work[i, k]
            out[i, j] = total


@njit(cache=True)
def propagate(p: Array, f: Array, noise: Array, work: Array) -> None:
    """Replace P by F P F^T + diag(noise); noise (21,) variances, work (21, 21) scratch."""
    _times_rows(f, p, work)
    _times_columns(work, f, p)
    _symmetrise(p)
    for i in range(N):
        p[i, i] += noise[i]


@njit(cache=True)
def process_noise(
    density: Array, dt: float, shaken: Array, decay: Array, sigma: Array, noise: Array
) -> None:
    """Write the variances (21,) that one step adds.

    density (5,): white noise of gyro [rad/s/sqrt(Hz)], of accelerometer [m/s^2/sqrt(Hz)], random
    walk of gyro bias [rad/s/sqrt(s)], accelerometer bias [m/s^2/sqrt(s)], barometer offset
    [m/sqrt(s)]. shaken (4,): what vibration and lost samples add in this step, as variances of
    the angle about each axis FRD (3,) [rad^2] and of the speed [m^2/s^2]. sigma (4,): size of the
    offsets of GNSS (3,) [m] and heading [rad].
    """
    for i in range(3):
        noise[VEL + i] = density[1] * density[1] * dt + shaken[3]
        noise[POS + i] = 0.25 * dt * dt * noise[VEL + i]
        noise[ATT + i] = density[0] * density[0] * dt + shaken[i]
        noise[GYRO_BIAS + i] = density[2] * density[2] * dt
        noise[ACCEL_BIAS + i] = density[3] * density[3] * dt
    for i in range(4):
        noise[GNSS + i] = sigma[i] * sigma[i] * (1.0 - decay[i] * decay[i])
    noise[BARO] = density[4] * density[4] * dt
    noise[DELAY] = 0.0


@njit(cache=True)
def predict(
    x: Array, p: Array, imu: Array, density: Array, sigma: Array, tau: Array, cap: Array
) -> None:
    """Move state and covariance over one IMU step.

    imu (11,): dt [s], gyro (3,) [rad/s], accel (3,) [m/s^2], ``shaken`` (4,). density, shaken,
    sigma (4,): see ``process_noise``; tau (4,) [s]: correlation times of the offsets. cap (21,):
    no variance grows beyond it, so that hours without aid stay finite; the whole row and column
    shrink, which keeps P positive definite.
    """
    dt = imu[0]
    decay = np.exp(-dt / tau)
    f = np.empty((N, N))
    transition(x, imu[1:4], imu[4:7], dt, decay, f)
    noise = np.empty(N)
    process_noise(density, dt, imu[7:11], decay, sigma, noise)
    propagate(p, f, noise, np.empty((N, N)))
    advance(x, imu[1:4], imu[4:7], dt, decay)
    for i in range(N):
        if p[i, i] > cap[i]:
            shrink = np.sqrt(cap[i] / p[i, i])
            for j in range(N):
                p[i, j] *= shrink
                p[j, i] *= shrink


@njit(cache=True)
def forecast(
    x: Array,
    p: Array,
    ring: Array,
    first: int,
    last: int,
    density: Array,
    sigma: Array,
    tau: Array,
    cap: Array,
) -> tuple[Array, Array]:
    """Carry copies of x and P from the filter's horizon to now; return (x, P).

    ring (m, 11): IMU steps as in ``predict``; those from ``first`` up to ``last`` (counted without
    wrapping) are still ahead of the horizon. The state takes each step, the covariance one step
    with their mean.
    """
    now, cov = x.copy(), p.copy()
    total = np.zeros(11)
    size = ring.shape[0]
    for index in range(first, last):
        imu = ring[index % size]
        dt = imu[0]
        advance(now, imu[1:4], imu[4:7], dt, np.exp(-dt / tau))
        total[0] += dt
        for i in range(1, 7):
            total[i] += imu[i] * dt
        for i in range(7, 11):
            total[i] += imu[i]
    if total[0] > 0.0:
        for i in range(1, 7):
            total[i] /= total[0]
        predict(x.copy(), cov, total, density, sigma, tau, cap)
    return now, cov


@njit(cache=True)
def _joseph(p: Array, gain: Array, ph: Array, h: Array, variance: float) -> None:
    """Replace P by (I - K h) P (I - K h)^T + K r K^T; ph (21,) is P h^T, and scratch."""
    for i in range(N):
        for j in range(N):
            p[i, j] -= gain[i] * ph[j]
    for i in range(N):
        total = 0.0
        for j in range(N):
            total += p[i, j] * h[j]
        ph[i] = total
    for i in range(N):
        for j in range(N):
            p[i, j] += (variance * gain[i] - ph[i]) * gain[j]
    _symmetrise(p)


@njit(cache=True)
def update(x: Array, p: Array, h: Array, residual: Array, variance: Array) -> None:
    """Fuse m scalars, one after another in Joseph form; h (m, 21), residual, variance (m,)."""
    m = h.shape[0]
    error = np.zeros(N)
    ph = np.empty(N)
    gain = np.empty(N)
    for row in range(m):
        s = variance[row]
        left = residual[row]
        for i in range(N):
            total = 0.0
            for j in range(N):
                total += p[i, j] * h[row, j]
            ph[i] = total
            s += h[row, i] * total
            left -= h[row, i] * error[i]
        for i in range(N):
            gain[i] = ph[i] / s
            error[i] += gain[i] * left
        _joseph(p, gain, ph, h[row], variance[row])
    inject(x, p, error)


@njit(cache=True)
def inject(x: Array, p: Array, error: Array) -> None:
    """Move the error (21,) into x, and the frame of the attitude error with it."""
    for i in range(3):
        x[X_POS + i] += error[POS + i]
        x[X_VEL + i] += error[VEL + i]
        x[X_GYRO_BIAS + i] += error[GYRO_BIAS + i]
        x[X_ACCEL_BIAS + i] += error[ACCEL_BIAS + i]
        x[X_GNSS + i] += error[GNSS + i]
    x[X_BARO] += error[BARO]
    x[X_HEADING] += error[HEADING]
    x[X_DELAY] += error[DELAY]
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
