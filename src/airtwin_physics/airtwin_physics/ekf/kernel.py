# SPDX-License-Identifier: Apache-2.0
"""The filter's state and how it moves, compiled: an error-state EKF on arrays, changed in place.

Layout (everything in the filter goes by these names; append, never renumber)::

    nominal x (N + 1,)    error (N,), N = 32
    X_POS        0:3  POS        0:3    position NED [m]
    X_VEL        3:6  VEL        3:6    velocity NED [m/s]
    X_Q         6:10  ATT        6:9    q_ned_frd [-]; error: rotation vector [rad] in FRD
    X_GYRO_BIAS   10  GYRO_BIAS   9:12  gyro bias FRD [rad/s]
    X_ACCEL_BIAS  13  ACCEL_BIAS 12:15  accelerometer bias FRD [m/s^2]
    X_BARO        16  BARO       15     barometer offset [m]
    X_GNSS     17:20  GNSS       16:19  GNSS position offset NED [m]
    X_HEADING     20  HEADING    19     heading offset [rad]
    X_DELAY       21  DELAY      20     GNSS delay beyond the nominal one [s]
    X_WIND     22:24  WIND       21:23  wind NE [m/s], where the air goes to
    X_DRAG        24  DRAG       23     natural logarithm of the rotors' drag at hover, c [1/s]
    X_SCALE       25  SCALE      24     natural logarithm of true over shown airspeed [-]
    X_TERRAIN     26  TERRAIN    25     ground below, NED down [m]
    X_GUST     27:29  GUST       26:28  what blows beside the wind now NE [m/s]
    X_WASH        29  WASH       28     what the air around it adds to the barometer now [m]
    X_SUCTION     30  SUCTION    29     share of the dynamic pressure missing at its port [-]
    X_LEAN     31:33  LEAN       30:32  thrust along x and y FRD over that along -z [-]

``R_true = R @ exp(skew(error))``; ``P`` (N, N) is the error's covariance; the first 15 are
those of ``types.TwinState``. The offsets of GNSS and heading, gust and wash wander and come back:
first-order Gauss-Markov processes; barometer, wind, drag, scale, terrain, suction and lean walk;
the delay is a constant.
A state that nothing observes keeps its prior and costs little: ``predict`` multiplies only the
rows that move (position, velocity, attitude) and ``correction.update`` only where h is not zero.

``constants`` (N_CONSTANTS,) holds what seldom changes from step to step: DENSITY, SIGMA, TAU, CAP,
see ``process_noise`` and ``predict``.

README.md gives the equations; ``reference.py`` says the same slowly, and the tests compare them.
Source: Sola, "Quaternion kinematics for the error-state Kalman filter" (2017), ch. 5 to 7.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array

Row = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

N = 32
N_NOMINAL = N + 1  # an attitude is four numbers with three errors
X_POS, X_VEL, X_Q, X_GYRO_BIAS, X_ACCEL_BIAS = 0, 3, 6, 10, 13
X_BARO, X_GNSS, X_HEADING, X_DELAY = 16, 17, 20, 21
X_WIND, X_DRAG, X_SCALE, X_TERRAIN, X_GUST, X_WASH = 22, 24, 25, 26, 27, 29
X_SUCTION, X_LEAN = 30, 31
POS, VEL, ATT, GYRO_BIAS, ACCEL_BIAS = 0, 3, 6, 9, 12
BARO, GNSS, HEADING, DELAY = 15, 16, 19, 20
WIND, DRAG, SCALE, TERRAIN, GUST, WASH, SUCTION, LEAN = 21, 23, 24, 25, 26, 28, 29, 30
# the first 15 errors, and where the state holds what they are of, as slices
POSITION, VELOCITY, ATTITUDE = slice(POS, POS + 3), slice(VEL, VEL + 3), slice(ATT, ATT + 3)
GYRO, ACCEL = slice(GYRO_BIAS, GYRO_BIAS + 3), slice(ACCEL_BIAS, ACCEL_BIAS + 3)
X_POSITION, X_VELOCITY = slice(X_POS, X_POS + 3), slice(X_VEL, X_VEL + 3)
X_QUATERNION, X_GYRO = slice(X_Q, X_Q + 4), slice(X_GYRO_BIAS, X_GYRO_BIAS + 3)
X_DOWN = X_POS + 2
N_MOVED = 9  # position, velocity, attitude: the rows that F changes
IMPACT = 12  # in an IMU step: (force times dt)^2 [m^2/s^2] of an impact, else 0
N_WANDER = 7  # what comes back: offsets of GNSS (3) and heading, gust (2), wash
WANDER = (16, 17, 18, 19, 26, 27, 28)  # their errors; in x one further
_SIGMA_AT = 11  # of ``constants``; densities come before it
_TAU_AT, _CAP_AT = _SIGMA_AT + N_WANDER, _SIGMA_AT + 2 * N_WANDER
N_CONSTANTS = _CAP_AT + N
DENSITY, SIGMA = slice(0, _SIGMA_AT), slice(_SIGMA_AT, _TAU_AT)
TAU, CAP = slice(_TAU_AT, _CAP_AT), slice(_CAP_AT, N_CONSTANTS)
_SMALL = 1e-3  # [rad^2] of half an angle: up to here four terms of a series are exact
GRAVITY_M_S2 = 9.80665
"""Standard gravity; latitude changes it by 0.3 %, which the accelerometer bias takes up."""


@njit(cache=True)
def _rotation(q: Quaternion) -> tuple[Row, Row, Row]:
    """Return the rows of R_ned_frd of a unit quaternion; no array on the heap."""
    w, x, y, z = q
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    )


@njit(cache=True)
def rotation(q: Array, out: Array) -> None:
    """Write R_ned_frd (3, 3) of the unit quaternion q (4,)."""
    r = _rotation((q[0], q[1], q[2], q[3]))
    for i in range(3):
        for j in range(3):
            out[i, j] = r[i][j]


@njit(cache=True)
def _sinc(square: float) -> float:
    """Return sin(a) / a of a small angle by its square [rad^2]; exact to the last bits."""
    return 1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0))


@njit(cache=True)
def _exponential(rx: float, ry: float, rz: float) -> Quaternion:
    """Return exp(r) as a quaternion; r the rotation vector [rad]."""
    square = 0.25 * (rx * rx + ry * ry + rz * rz)  # of half the angle
    if square < _SMALL:
        half_sinc = 0.5 * _sinc(square)
        c = 1.0 - 0.5 * square * (
            1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0))
        )
    else:
        half = np.sqrt(square)
        half_sinc = 0.5 * np.sin(half) / half
        c = np.cos(half)
    return c, half_sinc * rx, half_sinc * ry, half_sinc * rz


@njit(cache=True)
def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    w, x, y, z = a
    c, i, j, k = b
    return (
        w * c - x * i - y * j - z * k,
        w * i + x * c + y * k - z * j,
        w * j - x * k + y * c + z * i,
        w * k + x * j - y * i + z * c,
    )


@njit(cache=True)
def _put(q: Quaternion, out: Array) -> None:
    """Write q, of length one but for rounding, to out (4,): one Newton step towards q / |q|."""
    w, x, y, z = q
    scale = 1.5 - 0.5 * (w * w + x * x + y * y + z * z)
    out[0], out[1], out[2], out[3] = scale * w, scale * x, scale * y, scale * z


@njit(cache=True)
def turn(q: Array, rx: float, ry: float, rz: float) -> None:
    """Replace q by q * exp(r), r the rotation vector [rad] in FRD, at unit length."""
    _put(_product((q[0], q[1], q[2], q[3]), _exponential(rx, ry, rz)), q)


@njit(cache=True)
def move(x: Array, gyro: Array, accel: Array, dt: float) -> None:
    """Move position, velocity and attitude over dt [s], as in ``advance``."""
    rx = (gyro[0] - x[X_GYRO_BIAS]) * dt
    ry = (gyro[1] - x[X_GYRO_BIAS + 1]) * dt
    rz = (gyro[2] - x[X_GYRO_BIAS + 2]) * dt
    half = _exponential(0.5 * rx, 0.5 * ry, 0.5 * rz)
    middle = _product((x[X_Q], x[X_Q + 1], x[X_Q + 2], x[X_Q + 3]), half)
    r = _rotation(middle)
    _put(_product(middle, half), x[X_Q : X_Q + 4])
    ax = accel[0] - x[X_ACCEL_BIAS]
    ay = accel[1] - x[X_ACCEL_BIAS + 1]
    az = accel[2] - x[X_ACCEL_BIAS + 2]
    for i in range(3):
        change = (r[i][0] * ax + r[i][1] * ay + r[i][2] * az) * dt
        if i == 2:
            change += GRAVITY_M_S2 * dt
        x[X_POS + i] += (x[X_VEL + i] + 0.5 * change) * dt
        x[X_VEL + i] += change


@njit(cache=True)
def advance(x: Array, gyro: Array, accel: Array, dt: float, decay: Array) -> None:
    """Move the nominal state over dt [s]; gyro [rad/s], accel [m/s^2] (3,) FRD, averages over dt.

    The specific force is turned by the attitude at the middle of the step; ``decay`` (7,) [-] is
    exp(-dt / tau) of what wanders, see ``WANDER``.
    """
    move(x, gyro, accel, dt)
    for i in range(N_WANDER):
        x[WANDER[i] + 1] *= decay[i]


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
def blocks(x: Array, gyro: Array, accel: Array, dt: float, out: Array) -> None:
    """Write what is not trivial in the exact Jacobian F of ``advance`` at x.

    out (5, 3, 3): d velocity by attitude, gyro bias, accelerometer bias; d attitude by attitude,
    gyro bias. The rest of F: ones (offsets: their decay) on the diagonal, dt from velocity to
    position, and for position dt / 2 of what velocity gets. ``reference.dense`` writes it out.
    """
    rx = (gyro[0] - x[X_GYRO_BIAS]) * dt
    ry = (gyro[1] - x[X_GYRO_BIAS + 1]) * dt
    rz = (gyro[2] - x[X_GYRO_BIAS + 2]) * dt
    work = np.empty((5, 3, 3))
    r = _rotation((x[X_Q], x[X_Q + 1], x[X_Q + 2], x[X_Q + 3]))
    half, half_jacobian, full, full_jacobian = work[0], work[1], work[2], work[3]
    _exp_and_jacobian(0.5 * rx, 0.5 * ry, 0.5 * rz, half, half_jacobian)
    _exp_and_jacobian(rx, ry, rz, full, full_jacobian)
    middle = work[4]  # R_ned_frd half way
    for i in range(3):
        for j in range(3):
            middle[i, j] = r[i][0] * half[0, j] + r[i][1] * half[1, j] + r[i][2] * half[2, j]
    ax = accel[0] - x[X_ACCEL_BIAS]
    ay = accel[1] - x[X_ACCEL_BIAS + 1]
    az = accel[2] - x[X_ACCEL_BIAS + 2]
    # force in the frame before the step, for the attitude error that lives there
    bx = half[0, 0] * ax + half[0, 1] * ay + half[0, 2] * az
    by = half[1, 0] * ax + half[1, 1] * ay + half[1, 2] * az
    bz = half[2, 0] * ax + half[2, 1] * ay + half[2, 2] * az
    for i in range(3):
        # d velocity / d attitude = -R [b]x dt
        out[0, i, 0] = -(r[i][1] * bz - r[i][2] * by) * dt
        out[0, i, 1] = -(r[i][2] * bx - r[i][0] * bz) * dt
        out[0, i, 2] = -(r[i][0] * by - r[i][1] * bx) * dt
        # -R_middle [a]x, then through the Jacobian of the half turn to the gyro bias
        cx = middle[i, 1] * az - middle[i, 2] * ay
        cy = middle[i, 2] * ax - middle[i, 0] * az
        cz = middle[i, 0] * ay - middle[i, 1] * ax
        for j in range(3):
            turned = cx * half_jacobian[0, j] + cy * half_jacobian[1, j] + cz * half_jacobian[2, j]
            out[1, i, j] = 0.5 * dt * dt * turned
            out[2, i, j] = -middle[i, j] * dt
            out[3, i, j] = full[j, i]
            out[4, i, j] = -full_jacobian[i, j] * dt


@njit(cache=True)
def _rows(p: Array, b: Array, dt: float, w: Array) -> None:
    """Write F P (9, N), the rows that F changes."""
    for i in range(3):
        # in names of their own, so that the compiler need not fear that w overwrites them
        a0, a1, a2 = b[0, i, 0], b[0, i, 1], b[0, i, 2]
        b0, b1, b2 = b[1, i, 0], b[1, i, 1], b[1, i, 2]
        c0, c1, c2 = b[2, i, 0], b[2, i, 1], b[2, i, 2]
        d0, d1, d2 = b[3, i, 0], b[3, i, 1], b[3, i, 2]
        e0, e1, e2 = b[4, i, 0], b[4, i, 1], b[4, i, 2]
        for j in range(N):
            t0, t1, t2 = p[ATT, j], p[ATT + 1, j], p[ATT + 2, j]
            g0, g1, g2 = p[GYRO_BIAS, j], p[GYRO_BIAS + 1, j], p[GYRO_BIAS + 2, j]
            f0, f1, f2 = p[ACCEL_BIAS, j], p[ACCEL_BIAS + 1, j], p[ACCEL_BIAS + 2, j]
            change = a0 * t0 + a1 * t1 + a2 * t2 + b0 * g0 + b1 * g1 + b2 * g2
            change = change + c0 * f0 + c1 * f1 + c2 * f2
            speed = p[VEL + i, j]
            w[ATT + i, j] = d0 * t0 + d1 * t1 + d2 * t2 + e0 * g0 + e1 * g1 + e2 * g2
            w[VEL + i, j] = speed + change
            w[POS + i, j] = p[POS + i, j] + dt * (speed + 0.5 * change)


@njit(cache=True)
def _columns(p: Array, b: Array, dt: float, w: Array) -> None:
    """Write (F P) F^T, the columns that F changes, from w = F P; upper triangle, mirrored."""
    for i in range(N_MOVED):
        for k in range(3):
            change = 0.0
            turned = 0.0
            for m in range(3):
                change += b[0, k, m] * w[i, ATT + m]
                change += b[1, k, m] * w[i, GYRO_BIAS + m]
                change += b[2, k, m] * w[i, ACCEL_BIAS + m]
                turned += b[3, k, m] * w[i, ATT + m] + b[4, k, m] * w[i, GYRO_BIAS + m]
            if i <= POS + k:
                value = w[i, POS + k] + dt * (w[i, VEL + k] + 0.5 * change)
                p[i, POS + k] = value
                p[POS + k, i] = value
            if i <= VEL + k:
                value = w[i, VEL + k] + change
                p[i, VEL + k] = value
                p[VEL + k, i] = value
            if i <= ATT + k:
                p[i, ATT + k] = turned
                p[ATT + k, i] = turned
        for j in range(N_MOVED, N):
            p[i, j] = w[i, j]
            p[j, i] = w[i, j]


@njit(cache=True)
def propagate(p: Array, b: Array, dt: float, decay: Array, noise: Array) -> None:
    """Replace P by F P F^T + diag(noise); P stays symmetric to the bit.

    b (5, 3, 3): F as ``blocks`` writes it; decay (7,), noise (N,) variances.
    """
    w = np.empty((N_MOVED, N))
    _rows(p, b, dt, w)
    _columns(p, b, dt, w)
    for k in range(N_WANDER):
        row = WANDER[k]
        for j in range(N):
            if j != row:
                value = p[row, j] * decay[k]
                p[row, j] = value
                p[j, row] = value
        p[row, row] *= decay[k] * decay[k]
    for i in range(N):
        p[i, i] += noise[i]


@njit(cache=True)
def process_noise(constants: Array, dt: float, shaken: Array, decay: Array, noise: Array) -> None:
    """Write the variances (N,) that one step adds.

    constants[DENSITY] (11,): white noise of gyro [rad/s/sqrt(Hz)], of accelerometer
    [m/s^2/sqrt(Hz)], random walk of gyro bias [rad/s/sqrt(s)], accelerometer bias
    [m/s^2/sqrt(s)], barometer offset [m/sqrt(s)], wind [m/s/sqrt(s)], logarithm of drag
    [1/sqrt(s)], of the airspeed's scale [1/sqrt(s)], terrain [m/sqrt(s)], suction, lean
    [1/sqrt(s)]. shaken (4,): what vibration and lost samples add in this step, as variances of the
    angle about each axis FRD (3,) [rad^2] and of the speed [m^2/s^2]. constants[SIGMA] (7,): size
    of the offsets of GNSS (3,) [m] and heading [rad], of the gust (2,) [m/s], of the wash [m].
    """
    c = constants
    for i in range(3):
        noise[VEL + i] = c[1] * c[1] * dt + shaken[3]
        noise[POS + i] = 0.25 * dt * dt * noise[VEL + i]
        noise[ATT + i] = c[0] * c[0] * dt + shaken[i]
        noise[GYRO_BIAS + i] = c[2] * c[2] * dt
        noise[ACCEL_BIAS + i] = c[3] * c[3] * dt
    for i in range(N_WANDER):
        sigma = c[_SIGMA_AT + i]
        noise[WANDER[i]] = sigma * sigma * (1.0 - decay[i] * decay[i])
    noise[BARO] = c[4] * c[4] * dt
    noise[DELAY] = 0.0
    noise[WIND] = noise[WIND + 1] = c[5] * c[5] * dt
    noise[DRAG] = c[6] * c[6] * dt
    noise[SCALE] = c[7] * c[7] * dt
    noise[TERRAIN] = c[8] * c[8] * dt
    noise[SUCTION] = c[9] * c[9] * dt
    noise[LEAN] = noise[LEAN + 1] = c[10] * c[10] * dt


@njit(cache=True)
def decays(constants: Array, dt: float, out: Array) -> None:
    """Write exp(-dt / tau) (7,) of what wanders; constants[TAU] [s]."""
    for i in range(N_WANDER):
        out[i] = np.exp(-dt / constants[_TAU_AT + i])


@njit(cache=True)
def predict_covariance(x: Array, p: Array, imu: Array, constants: Array, decay: Array) -> None:
    """Move the covariance over one IMU step from x; write ``decay`` (7,) as of ``advance``.

    imu (11,): dt [s], gyro (3,) [rad/s], accel (3,) [m/s^2], ``shaken`` (4,), see
    ``process_noise``. constants[CAP] (N,): no variance grows beyond it, so that hours without
    aid stay finite; the whole row and column shrink, which keeps P positive definite.
    """
    dt = imu[0]
    decays(constants, dt, decay)
    b = np.empty((5, 3, 3))
    blocks(x, imu[1:4], imu[4:7], dt, b)
    noise = np.empty(N)
    process_noise(constants, dt, imu[7:11], decay, noise)
    propagate(p, b, dt, decay, noise)
    for i in range(N):
        if p[i, i] > constants[_CAP_AT + i]:
            shrink = np.sqrt(constants[_CAP_AT + i] / p[i, i])
            for j in range(N):
                p[i, j] *= shrink
                p[j, i] *= shrink


@njit(cache=True)
def predict(x: Array, p: Array, imu: Array, constants: Array) -> None:
    """Move state and covariance over one IMU step, as of ``predict_covariance``."""
    decay = np.empty(N_WANDER)
    predict_covariance(x, p, imu, constants, decay)
    advance(x, imu[1:4], imu[4:7], imu[0], decay)


@njit(cache=True)
def hidden(imu: Array, x: Array) -> float:
    """Return the variance [m^2/s^2] of what an impact's force, cut off by the range, hides.

    As much again as it shows (``imu[IMPACT]``), and all of the speed: that is what a wall takes.
    """
    return float(imu[IMPACT] + x[X_VEL] ** 2 + x[X_VEL + 1] ** 2 + x[X_VEL + 2] ** 2)


@njit(cache=True)
def acceleration(x: Array, accel: Array, out: Array) -> None:
    """Write the acceleration (3,) [m/s^2] NED that goes with the specific force (3,) FRD."""
    r = _rotation((x[X_Q], x[X_Q + 1], x[X_Q + 2], x[X_Q + 3]))
    for i in range(3):
        out[i] = 0.0
        for j in range(3):
            out[i] += r[i][j] * (accel[j] - x[X_ACCEL_BIAS + j])
    out[2] += GRAVITY_M_S2
