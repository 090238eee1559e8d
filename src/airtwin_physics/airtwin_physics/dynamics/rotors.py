# SPDX-License-Identifier: Apache-2.0
"""One rotor: thrust along its axis, drag in its disc's plane, torque, lag. Plain floats.

Coefficients as in Gazebo's MulticopterMotorModel (thrust, drag, rolling moment, lag), and the
loss by inflow of Svacha et al. (ICUAS 2017) with a propeller's quadratic term beside it.
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


@numba.njit(cache=True)
def thrust(rotor: Array, speed: float, axial_m_s: float, cushion: float) -> float:
    """Return the thrust [N] along the axis, never negative.

    k w^2 e g - k_1 w v - k_2 max(v, 0)^2; v: air-relative speed along the axis [m/s], g:
    ``cushion`` of the ground [-].
    """
    lift = rotor[K_THRUST] * speed * speed * rotor[EFFECT] * cushion
    ahead = max(axial_m_s, 0.0)
    loss = rotor[K_INFLOW] * speed * axial_m_s + rotor[K_INFLOW_2] * ahead * ahead
    return float(max(lift - loss, 0.0))


@numba.njit(cache=True)
def cushion(radius_m: float, height_m: float, upright: float) -> float:
    """Return by how much the ground's nearness multiplies thrust [-].

    1 / (1 - (R / 4 h)^2), Cheeseman and Bennett (1955), for a level rotor, h not below R;
    ``upright``: the axis' share upwards, which scales R / 4 h (estimate: a rotor that blows
    along the ground has no cushion).
    """
    ratio = radius_m / (4.0 * max(height_m, radius_m)) * max(upright, 0.0)
    return 1.0 / (1.0 - ratio * ratio)


@numba.njit(cache=True)
def target(rotor: Array, command: float, most_rad_s: float) -> float:
    """Return the speed [rad/s] that a command asks for and the battery's voltage allows."""
    if command != command:
        return 0.0
    clipped = min(max(command, 0.0), 1.0)
    wanted = rotor[SPEED_MIN] + clipped * (rotor[SPEED_MAX] - rotor[SPEED_MIN])
    return float(min(wanted, most_rad_s))


@numba.njit(cache=True)
def acceleration(rotor: Array, speed: float, wanted: float) -> float:
    """Return dw/dt [rad/s^2]: first-order lag, one time constant up and one down."""
    return float((wanted - speed) / (rotor[TAU_UP] if wanted > speed else rotor[TAU_DOWN]))


@numba.njit(cache=True)
def slipstream(rotor: Array, thrust_n: float, axial_m_s: float) -> float:
    """Return how much faster than the flight the fully developed slipstream is [m/s].

    Momentum theory: thrust = 1/2 rho A (V_s^2 - V^2), so V_s - V with V_s = sqrt(V^2 + 2 T / rho
    A); at V = 0 what PX4's SIH uses (simulator_sih/aero.hpp).
    """
    area = np.pi * rotor[RADIUS] * rotor[RADIUS]
    speed = max(axial_m_s, 0.0)
    return float(np.sqrt(speed * speed + 2.0 * thrust_n / (AIR_DENSITY_KG_M3 * area)) - speed)
