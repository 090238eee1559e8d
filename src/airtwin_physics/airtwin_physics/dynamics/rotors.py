# SPDX-License-Identifier: Apache-2.0
"""One rotor: thrust along its axis, drag in its disc's plane, torque, lag. Plain floats.

Coefficients as in Gazebo's MulticopterMotorModel (thrust, drag, rolling moment, lag), and the
loss by inflow of Svacha et al. (ICUAS 2017) with a propeller's quadratic term beside it. Rotor
``i`` is a row of ``Model.rotors``, given as both: a row by itself would be a new array, which
costs more than the physics. Divisors are never zero, so numpy's division spares the checks.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import (
    AIR_DENSITY_KG_M3,
    EFFECT,
    K_INFLOW,
    K_INFLOW_2,
    K_THRUST,
    RADIUS,
    SPEED_MAX,
    SPEED_MIN,
    TAU_DOWN,
    TAU_UP,
)


@numba.njit(cache=True, error_model="numpy")
def thrust(rotors: Array, i: int, speed: float, axial_m_s: float, near: float) -> float:
    """Return the thrust [N] along the axis, never negative.

    k w^2 e g - k_1 w v - k_2 max(v, 0)^2; v: air-relative speed along the axis [m/s], g:
    ``near``, of ``ground_effect`` [-].
    """
    lift = rotors[i, K_THRUST] * speed * speed * rotors[i, EFFECT] * near
    ahead = max(axial_m_s, 0.0)
    loss = rotors[i, K_INFLOW] * speed * axial_m_s + rotors[i, K_INFLOW_2] * ahead * ahead
    return float(max(lift - loss, 0.0))


@numba.njit(cache=True, error_model="numpy")
def ground_effect(radius_m: float, height_m: float, upright: float) -> float:
    """Return by how much the ground's nearness multiplies thrust [-].

    1 / (1 - (R / 4 h)^2), Cheeseman and Bennett (1955), for a level rotor, h not below R;
    ``upright``: the axis' share upwards, which scales R / 4 h (estimate: a rotor that blows
    along the ground has none).
    """
    far, level = 4.0 * max(height_m, radius_m), radius_m * max(upright, 0.0)
    return far * far / (far * far - level * level)


@numba.njit(cache=True, error_model="numpy")
def target(rotors: Array, i: int, command: float, most_rad_s: float) -> float:
    """Return the speed [rad/s] that a command asks for and the battery's voltage allows."""
    if command != command:
        return 0.0
    clipped = min(max(command, 0.0), 1.0)
    wanted = rotors[i, SPEED_MIN] + clipped * (rotors[i, SPEED_MAX] - rotors[i, SPEED_MIN])
    return float(min(wanted, most_rad_s))


@numba.njit(cache=True, error_model="numpy")
def acceleration(rotors: Array, i: int, speed: float, wanted: float) -> float:
    """Return dw/dt [rad/s^2]: first-order lag, one time constant up and one down."""
    return float((wanted - speed) / (rotors[i, TAU_UP] if wanted > speed else rotors[i, TAU_DOWN]))


@numba.njit(cache=True, error_model="numpy")
def slipstream(rotors: Array, i: int, thrust_n: float, axial_m_s: float) -> float:
    """Return how much faster than the flight the fully developed slipstream is [m/s].

    Momentum theory: thrust = 1/2 rho A (V_s^2 - V^2), so V_s - V with V_s = sqrt(V^2 + 2 T / rho
    A); at V = 0 what PX4's SIH uses (simulator_sih/aero.hpp).
    """
    area = np.pi * rotors[i, RADIUS] * rotors[i, RADIUS]
    speed = max(axial_m_s, 0.0)
    return float(np.sqrt(speed * speed + 2.0 * thrust_n / (AIR_DENSITY_KG_M3 * area)) - speed)
