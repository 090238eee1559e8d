# SPDX-License-Identifier: Apache-2.0
"""Rotations and frames. Quaternions are Hamilton, w first, (4,); vectors (3,); angles [rad].

NED and FRD inside AirTwin; ENU and FLU only at the border to RViz and Gazebo (ROS REP-103).
Source of the formulas: Sola, "Quaternion kinematics for the error-state Kalman filter" (2017).
"""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array

_HALF = np.sqrt(0.5)
Q_ENU_NED = np.array([0.0, _HALF, _HALF, 0.0])
"""Turns NED into ENU: half a turn about the north-east diagonal; its own inverse up to sign."""
Q_FRD_FLU = np.array([0.0, 1.0, 0.0, 0.0])
"""Turns FLU into FRD: half a turn about forward; its own inverse up to sign."""


def skew(v: Array) -> Array:
    """Return the (3, 3) matrix with ``skew(v) @ u == cross(v, u)``."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def quat_multiply(a: Array, b: Array) -> Array:
    """Return the Hamilton product: first ``b`` turns, then ``a``."""
    aw, ax, ay, az = np.asarray(a).tolist()  # floats are several times as fast as numpy's own
    bw, bx, by, bz = np.asarray(b).tolist()
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def quat_conjugate(q: Array) -> Array:
    """Return the inverse rotation of the unit quaternion ``q``."""
    return np.array([q[0], -q[1], -q[2], -q[3]])


def quat_normalise(q: Array) -> Array:
    """Return ``q`` at unit length with w >= 0.

    Raises:
        ValueError: the length is zero or not finite.
    """
    length = float(np.sqrt(q @ q))
    if not (np.isfinite(length) and length > 1e-9):
        raise ValueError(f"quaternion {q} has no direction")
    return np.asarray(q, dtype=np.float64) / (length if q[0] >= 0.0 else -length)


def rotation_from_quat(q_ned_frd: Array) -> Array:
    """Return ``R_ned_frd`` (3, 3) of the unit quaternion: ``v_ned = R_ned_frd @ v_frd``."""
    w, x, y, z = np.asarray(q_ned_frd).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_from_rotation(rotation: Array) -> Array:
    """Return the unit quaternion (w >= 0) of a rotation matrix (3, 3); Shepperd's method."""
    diagonal = np.diagonal(rotation)
    trace = float(diagonal.sum())
    choices = np.array([trace, *diagonal])
    largest = int(np.argmax(choices))
    if largest == 0:
        q = np.array(
            [
                1.0 + trace,
                rotation[2, 1] - rotation[1, 2],
                rotation[0, 2] - rotation[2, 0],
                rotation[1, 0] - rotation[0, 1],
            ]
        )
    else:
        i = largest - 1
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.empty(4)
        q[0] = rotation[k, j] - rotation[j, k]
        q[1 + i] = 1.0 + 2.0 * rotation[i, i] - trace
        q[1 + j] = rotation[j, i] + rotation[i, j]
        q[1 + k] = rotation[k, i] + rotation[i, k]
    return quat_normalise(q)


def quat_from_rotation_vector(rotation_vector: Array) -> Array:
    """Return the unit quaternion of a rotation vector [rad]; exact down to angle zero."""
    angle = float(np.linalg.norm(rotation_vector))
    # sin(a/2)/a without a division by zero: np.sinc is sin(pi x)/(pi x)
    scale = 0.5 * float(np.sinc(angle / (2.0 * np.pi)))
    return np.concatenate(([np.cos(angle / 2.0)], scale * np.asarray(rotation_vector)))


def rotation_vector_from_quat(q: Array) -> Array:
    """Return the rotation vector (3,) [rad] of a unit quaternion, angle 0 to pi."""
    q = q if q[0] >= 0.0 else -q
    sine = float(np.linalg.norm(q[1:]))
    if sine < 1e-12:
        return 2.0 * np.asarray(q[1:])
    angle = 2.0 * float(np.arctan2(sine, q[0]))
    return np.asarray(q[1:]) * (angle / sine)


def quat_from_euler(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Array:
    """Return q_ned_frd of aerospace Euler angles: yaw about down, then pitch, then roll."""
    cr, sr = np.cos(roll_rad / 2), np.sin(roll_rad / 2)
    cp, sp = np.cos(pitch_rad / 2), np.sin(pitch_rad / 2)
    cy, sy = np.cos(yaw_rad / 2), np.sin(yaw_rad / 2)
    return np.array(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )


def euler_from_quat(q_ned_frd: Array) -> tuple[float, float, float]:
    """Return (roll, pitch, yaw) [rad]; pitch within +-pi/2."""
    w, x, y, z = q_ned_frd
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    return float(roll), float(pitch), yaw_from_quat(q_ned_frd)


def yaw_from_quat(q_ned_frd: Array) -> float:
    """Return the heading [rad], north 0, east pi/2."""
    w, x, y, z = np.asarray(q_ned_frd).tolist()
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def tilt_from_quat(q_ned_frd: Array) -> float:
    """Return the angle [rad] between the body's down axis and the vertical, 0 to pi."""
    _, x, y, _ = q_ned_frd
    return float(np.arccos(np.clip(1.0 - 2.0 * (x * x + y * y), -1.0, 1.0)))


def wrap_pi(angle_rad: float) -> float:
    """Return the angle within [-pi, pi)."""
    return float((angle_rad + np.pi) % (2.0 * np.pi) - np.pi)


def ned_to_enu(v_ned: Array) -> Array:
    """Return the vector in ENU (its own inverse: see ``enu_to_ned``)."""
    return np.array([v_ned[1], v_ned[0], -v_ned[2]])


def enu_to_ned(v_enu: Array) -> Array:
    """Return the vector in NED."""
    return np.array([v_enu[1], v_enu[0], -v_enu[2]])


def quat_enu_flu_from_ned_frd(q_ned_frd: Array) -> Array:
    """Return the attitude for ROS tools: turns FLU into ENU."""
    return quat_normalise(quat_multiply(quat_multiply(Q_ENU_NED, q_ned_frd), Q_FRD_FLU))


def quat_ned_frd_from_enu_flu(q_enu_flu: Array) -> Array:
    """Return the attitude for AirTwin: turns FRD into NED."""
    return quat_normalise(quat_multiply(quat_multiply(Q_ENU_NED, q_enu_flu), Q_FRD_FLU))
