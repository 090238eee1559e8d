# SPDX-License-Identifier: Apache-2.0
"""The filter's arithmetic, compiled: an error-state EKF on arrays, changed in place.

Nominal state ``x`` (22,): position NED [m], velocity NED [m/s], q_ned_frd [-], gyro bias FRD
[rad/s], accelerometer bias FRD [m/s^2], barometer offset [m], GNSS offset NED [m], heading offset
[rad], GNSS delay beyond the nominal one [s]. Error state (21,): the same, with the attitude as a
rotation vector [rad] in FRD, ``R_true = R @ exp(skew(error))``; ``P`` (21, 21) is its covariance.
The first 15 are those of ``types.TwinState``. The offsets of GNSS and heading wander and come
back: first-order Gauss-Markov processes; the delay is a constant. ``reference.py`` says the same slowly; README.md gives the equations.
Source: Sola, "Quaternion kinematics for the error-state Kalman filter" (2017), ch. 5 to 7.
"""

from __future__ import annotations

import numpy as np
from numba import njit

N_NOMINAL = 22
N = 21
X_POS, X_VEL, X_Q, X_GYRO_BIAS, X_ACCEL_BIAS = 0, 3, 6, 10, 13
X_BARO, X_GNSS, X_HEADING, X_DELAY = 16, 17, 20, 21
POS, VEL, ATT, GYRO_BIAS, ACCEL_BIAS = 0, 3, 6, 9, 12
BARO, GNSS, HEADING, DELAY = 15, 16, 19, 20
GRAVITY_M_S2 = 9.80665
"""Standard gravity; latitude changes it by 0.3 %, which the accelerometer bias takes up."""


@njit(cache=True)
def rotation(q, out):
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
def turn(q, rx, ry, rz):
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
def advance(x, gyro, accel, dt, decay):
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
def _exp_and_jacobian(rx, ry, rz, turned, jacobian):
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
def transition(x, gyro, accel, dt, decay, f):
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
def propagate(p, f, noise, work):
    """Replace P by F P F^T + diag(noise); noise (21,) variances, work (21, 21) scratch.

    Uses that only the rows of F for position, velocity and attitude couple, and only up to BARO.
    """
    for i in range(ATT + 3):
        for j in range(N):
            work[i, j] = f[i, i] * p[i, j]
        for k in range(max(i + 1, VEL) if i < ATT else ATT, BARO):
            g = f[i, k]
            if k != i and g != 0.0:
                for j in range(N):
                    work[i, j] += g * p[k, j]
    for i in range(ATT + 3, N):
        for j in range(N):
            work[i, j] = f[i, i] * p[i, j]
    for i in range(N):
        for j in range(ATT + 3):
            total = f[j, j] * work[i, j]
            for k in range(max(j + 1, VEL) if j < ATT else ATT, BARO):
                if k != j:
                    total += f[j, k] * work[i, k]
            p[i, j] = total
        for j in range(ATT + 3, N):
            p[i, j] = f[j, j] * work[i, j]
    for i in range(N):
        for j in range(i):
            mean = 0.5 * (p[i, j] + p[j, i])
            p[i, j] = mean
            p[j, i] = mean
        p[i, i] += noise[i]


@njit(cache=True)
def process_noise(density, dt, shaken, decay, sigma, noise):
    """Write the variances (21,) that one step adds.

    density (5,): white noise of gyro [rad/s/sqrt(Hz)], of accelerometer [m/s^2/sqrt(Hz)], random
    walk of gyro bias [rad/s/sqrt(s)], accelerometer bias [m/s^2/sqrt(s)], barometer offset
    [m/sqrt(s)]. shaken (4,): what vibration and lost samples add in this step, as variances of the
    angle about each axis FRD (3,) [rad^2] and of the speed [m^2/s^2]. sigma (4,): size of the offsets of GNSS (3,) [m], heading [rad].
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
def predict(x, p, imu, density, sigma, tau, cap):
    """Move state and covariance over one IMU step.

    imu (11,): dt [s], gyro (3,) [rad/s], accel (3,) [m/s^2], ``shaken`` (4,). density: see ``process_noise``; sigma (4,), tau (4,) [s] of the offsets that wander.
    cap (21,): no variance grows beyond it, so that years without aid stay finite; the
    whole row and column shrink, which keeps P positive definite.
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
def forecast(x, p, ring, first, last, density, sigma, tau, cap):
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
def gnss_position_model(x, axis, lag, h):
    """Write the row h (21,) of one axis of a GNSS position taken ``lag`` [s] before x.

    Returns the predicted value [m]: p - v lag + offset. ``lag`` holds the estimated delay, so an
    error of the delay shows as minus the velocity.
    """
    h[:] = 0.0
    h[POS + axis] = 1.0
    h[VEL + axis] = -lag
    h[GNSS + axis] = 1.0
    h[DELAY] = -x[X_VEL + axis]
    return x[X_POS + axis] - x[X_VEL + axis] * lag + x[X_GNSS + axis]


@njit(cache=True)
def gnss_velocity_model(x, axis, acceleration, lag, h):
    """Write the row h (21,) of one axis of a GNSS velocity taken ``lag`` [s] before x.

    acceleration: (3,) [m/s^2] NED, smooth. Returns the predicted value [m/s].
    """
    h[:] = 0.0
    h[VEL + axis] = 1.0
    h[DELAY] = -acceleration[axis]
    return x[X_VEL + axis] - acceleration[axis] * lag


@njit(cache=True)
def barometer_model(x, lag, h):
    """Write the row h (21,) of a barometer; returns the predicted pressure altitude [m]."""
    h[:] = 0.0
    h[POS + 2] = -1.0
    h[VEL + 2] = lag
    h[BARO] = 1.0
    return -(x[X_POS + 2] - x[X_VEL + 2] * lag) + x[X_BARO]


@njit(cache=True)
def magnetic_model(x, field, h, tilted):
    """Write the row h (21,) of the declination that the field (3,) [any unit] FRD shows.

    Returns atan2(east, north) [rad] of the field turned by the estimated attitude, less the
    heading offset; it equals the true declination when both are right. ``h`` is its derivative
    for turns about the vertical only: a disturbed field must not tilt the aircraft. What the tilt
    error does is the rest of the exact derivative, ``tilted`` (21,), for the noise.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    north = r[0, 0] * field[0] + r[0, 1] * field[1] + r[0, 2] * field[2]
    east = r[1, 0] * field[0] + r[1, 1] * field[1] + r[1, 2] * field[2]
    level2 = north * north + east * east
    h[:] = 0.0
    tilted[:] = 0.0
    for j in range(3):
        k, m = (j + 1) % 3, (j + 2) % 3
        # column j of -R [field]x
        d_north = -(r[0, k] * field[m] - r[0, m] * field[k])
        d_east = -(r[1, k] * field[m] - r[1, m] * field[k])
        h[ATT + j] = r[2, j]
        tilted[ATT + j] = (north * d_east - east * d_north) / level2 - r[2, j]
    h[HEADING] = -1.0
    return np.arctan2(east, north) - x[X_HEADING]


@njit(cache=True)
def heading_model(x, q_measured, h):
    """Write the row h (21,) of a heading taken from another attitude; return its residual [rad].

    The residual is the turn about the vertical that carries the estimate into ``q_measured``
    (4,), plus the heading offset, by which the measured one is too small. No Euler angle, so it
    holds with the nose up. Exact to first order in the tilt error.
    """
    w, x1, y1, z1 = q_measured[0], q_measured[1], q_measured[2], q_measured[3]
    a, b, c, d = x[X_Q], -x[X_Q + 1], -x[X_Q + 2], -x[X_Q + 3]
    dw = w * a - x1 * b - y1 * c - z1 * d
    dz = w * d + x1 * c - y1 * b + z1 * a
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    h[:] = 0.0
    for j in range(3):
        h[ATT + j] = r[2, j]
    h[HEADING] = -1.0
    residual = 2.0 * np.arctan2(dz, dw) + x[X_HEADING]
    if residual > np.pi:
        residual -= 2.0 * np.pi
    elif residual < -np.pi:
        residual += 2.0 * np.pi
    return residual


@njit(cache=True)
def spread(p, row):
    """Return row P row^T, the variance of a linear function (21,) of the error."""
    total = 0.0
    for i in range(N):
        if row[i] != 0.0:
            for j in range(N):
                total += row[i] * p[i, j] * row[j]
    return total


@njit(cache=True)
def innovation_statistic(p, h, residual, variance):
    """Return r^T (H P H^T + R)^-1 r [-]; h (m, 21), residual (m,), variance (m,), m at most 3.

    NaN if the innovation covariance is not positive definite.
    """
    m = h.shape[0]
    s = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            total = 0.0
            for a in range(N):
                if h[i, a] != 0.0:
                    for b in range(N):
                        total += h[i, a] * p[a, b] * h[j, b]
            s[i, j] = total
        s[i, i] += variance[i]
    # Cholesky and forward substitution in one
    white = np.empty(m)
    statistic = 0.0
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
        statistic += white[i] * white[i]
    return statistic


@njit(cache=True)
def update(x, p, h, residual, variance):
    """Fuse m scalars one after another, each in Joseph form; h (m, 21), residual, variance (m,)."""
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
        # P <- (I - K h) P (I - K h)^T + K r K^T
        for i in range(N):
            for j in range(N):
                p[i, j] -= gain[i] * ph[j]
        for i in range(N):
            total = 0.0
            for j in range(N):
                total += p[i, j] * h[row, j]
            ph[i] = total
        for i in range(N):
            for j in range(N):
                p[i, j] += (variance[row] * gain[i] - ph[i]) * gain[j]
        for i in range(N):
            for j in range(i):
                mean = 0.5 * (p[i, j] + p[j, i])
                p[i, j] = mean
                p[j, i] = mean
    inject(x, p, error)


@njit(cache=True)
def inject(x, p, error):
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
def forget(p, index, variance):
    """Make one error independent of all others, with the given variance."""
    for j in range(N):
        p[index, j] = 0.0
        p[j, index] = 0.0
    p[index, index] = variance


@njit(cache=True)
def place(p, index, by, sign, variance):
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
def healthy(x, p):
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


N_REST = 21


@njit(cache=True)
def follow(rest, gyro, accel, dt, window):
    """Update running means and spreads of the IMU over ``window`` [s].

    rest (21,): elapsed [s], mean gyro (3,), mean accel (3,), variance of gyro [rad^2/s^2] and of
    accel [m^2/s^4], each summed over the axes; variance of gyro (3,) and accel (3,) from sample
    to sample, which motion hardly enters; last gyro (3,), last accel (3,).
    """
    rest[0] += dt
    share = min(max(dt / window, dt / rest[0]), 1.0)
    gyro2 = 0.0
    accel2 = 0.0
    first = rest[0] == dt
    for i in range(3):
        d = gyro[i] - rest[1 + i]
        rest[1 + i] += share * d
        gyro2 += d * d
        d = accel[i] - rest[4 + i]
        rest[4 + i] += share * d
        accel2 += d * d
        if not first:
            d = gyro[i] - rest[15 + i]
            rest[9 + i] += share * (0.5 * d * d - rest[9 + i])
            d = accel[i] - rest[18 + i]
            rest[12 + i] += share * (0.5 * d * d - rest[12 + i])
        rest[15 + i] = gyro[i]
        rest[18 + i] = accel[i]
    rest[7] = (1.0 - share) * (rest[7] + share * gyro2)
    rest[8] = (1.0 - share) * (rest[8] + share * accel2)


@njit(cache=True)
def enter(entry, rest, gyro, accel, dt):
    """Write one IMU step, the arguments of ``predict``; vibration counts as white noise."""
    entry[0] = dt
    worst = 0.0
    for i in range(3):
        entry[1 + i] = gyro[i]
        entry[4 + i] = accel[i]
        entry[7 + i] = rest[9 + i] * dt * dt
        worst = max(worst, rest[12 + i])
    entry[10] = worst * dt * dt


def warm_up() -> None:
    """Compile (or load from the cache) every kernel, so that nothing compiles in flight."""
    x = np.zeros(N_NOMINAL)
    x[X_Q] = 1.0
    p, h = np.eye(N), np.zeros((3, N))
    three, four, ring = np.ones(3), np.ones(4), np.zeros((2, 11))
    ring[:, 0] = 1e-3
    density, cap = np.ones(5), np.full(N, 1e9)
    predict(x, p, ring[0], density, four, four, cap)
    forecast(x, p, ring, 0, 2, density, four, four, cap)
    follow(np.zeros(N_REST), three, three, 1e-3, 0.5)
    enter(ring[0], np.zeros(N_REST), three, three, 1e-3)
    for axis in range(3):
        gnss_position_model(x, axis, 0.0, h[axis])
        gnss_velocity_model(x, axis, three, 0.0, h[axis])
    barometer_model(x, 0.0, h[0])
    magnetic_model(x, three, h[0], h[1])
    spread(p, h[1])
    heading_model(x, x[X_Q : X_Q + 4], h[0])
    innovation_statistic(p, h, three, three)
    update(x, p, h, three, three)
    forget(p, 0, 1.0)
    place(p, 0, GNSS, -1.0, 1.0)
    healthy(x, p)
