# SPDX-License-Identifier: Apache-2.0
"""What an inertial sensor at the centre of mass would feel: for comparing a model with tables."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.dynamics.model import (
    AMBIENT_C,
    GRAVITY_M_S2,
    LEAST,
    MOST,
    POS,
    QUAT,
    RATE,
    ROTOR,
    SPEED_MAX,
    SPEED_MIN,
    TEMPERATURE,
    VEL,
    Model,
)
from airtwin_physics.dynamics.motion import derivative

HIGH_M = 1e4  # above ground, out of its effect


def state(
    model: Model,
    *,
    velocity_ned_m_s: Array,
    q_ned_frd: Array,
    rate_frd_rad_s: Array,
    rotor_rad_s: Array,
    deflection_rad: Array | None = None,
    position_ned_m: Array | None = None,
) -> Array:
    """Return the state ``x`` of one aircraft with a full battery; high above ground by default.

    Shapes (3,), (4,), (3,), (rotors,), (servos,), (3,). The quaternion is made a unit one.
    """
    x = np.zeros(ROTOR + model.rotors.shape[0] + model.servos.shape[0])
    x[POS] = (0.0, 0.0, -HIGH_M) if position_ned_m is None else position_ned_m
    x[VEL], x[RATE] = velocity_ned_m_s, rate_frd_rad_s
    x[QUAT] = q_ned_frd / np.linalg.norm(q_ned_frd)
    x[TEMPERATURE] = AMBIENT_C
    x[ROTOR : ROTOR + model.rotors.shape[0]] = rotor_rad_s
    if deflection_rad is not None:
        x[ROTOR + model.rotors.shape[0] :] = deflection_rad
    return x


def held_command(x: Array, model: Model) -> Array:
    """Return the input (rotors + servos,) that keeps rotor speeds and deflections as they are.

    Speeds below a rotor's idle can't be held but at standstill (NaN: the motor stopped).
    """
    n = model.rotors.shape[0]
    low, high = model.rotors[:, SPEED_MIN], model.rotors[:, SPEED_MAX]
    speeds, angles = x[ROTOR : ROTOR + n], x[ROTOR + n :]
    motors = np.where(speeds > 0.0, (speeds - low) / (high - low), np.nan)
    limit = np.where(angles > 0.0, model.servos[:, MOST], -model.servos[:, LEAST])
    servos = np.divide(angles, limit, out=np.zeros_like(angles), where=limit > 0.0)
    return np.concatenate((motors, servos))


def felt(x: Array, u: Array, model: Model, wind_ned_m_s: Array) -> tuple[Array, Array]:
    """Return specific force (3,) [m/s^2] and angular acceleration (3,) [rad/s^2], both FRD.

    With ``u = held_command(x, model)`` the rotors neither speed up nor slow down.
    """
    rate = derivative(x, u, model, wind_ned_m_s)
    gravity = np.array([0.0, 0.0, GRAVITY_M_S2])
    force: Array = frames.rotation_from_quat(x[QUAT]).T @ (rate[VEL] - gravity)
    return force, rate[RATE]
