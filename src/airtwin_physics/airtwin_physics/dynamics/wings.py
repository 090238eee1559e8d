# SPDX-License-Identifier: Apache-2.0
"""One lifting surface at any angle of attack. Plain floats.

Attached flow: lift linear in the effective angle, parabolic drag. Separated flow: a flat plate
with the normal force of Hoerner, corrected for aspect ratio as by Lindenburg, as PX4's SIH has it
(simulator_sih/aero.hpp after Khan, McGill 2016). Between them the blend of Beard and McLain, Small
Unmanned Aircraft, eq. 4.10. A surface sees the wind at its own place, the turn rates included:
damping, sideslip and adverse yaw follow from geometry, for any direction of flight.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import (
    DRAG_0,
    FLAP,
    FLAP_MOMENT,
    INDUCED,
    LIFT_0,
    LIFT_SLOPE,
    MOMENT_0,
    PLATE,
    SHARPNESS,
    SPAN,
    STALL,
)

PLATE_NORMAL = 1.98  # [-] normal force of a long flat plate across the flow


@numba.njit(cache=True)
def separated(angle: float, stall: float, sharpness: float) -> float:
    """Return the share of separated flow [-], 0 to 1; half at +-``stall`` [rad].

    Beard and McLain (2012), eq. 4.10, factored: 1 - f(a) f(-a), f(a) = 1 / (1 + exp(M (a - a_0))).
    """
    above = 1.0 + np.exp(sharpness * (angle - stall))
    below = 1.0 + np.exp(-sharpness * (angle + stall))
    return float(1.0 - 1.0 / (above * below))


@numba.njit(cache=True)
def coefficients(
    surface: Array, angle: float, deflection: float, induced_share: float
) -> tuple[float, float, float]:
    """Return lift, drag and pitching moment [-] at an angle of attack [rad] in (-pi, pi].

    ``deflection`` [rad] of its flap, ``induced_share`` [-]: what ``ground_effect`` leaves of the
    induced drag.
    """
    tilted = angle + surface[FLAP] * deflection
    lift = surface[LIFT_0] + surface[LIFT_SLOPE] * tilted
    drag = surface[DRAG_0] + induced_share * surface[INDUCED] * lift * lift
    moment = surface[MOMENT_0] + surface[FLAP_MOMENT] * deflection
    share = separated(tilted, surface[STALL], surface[SHARPNESS])
    sine, cosine = np.sin(tilted), np.cos(tilted)
    normal = PLATE_NORMAL * sine * (1.0 / (0.56 + 0.44 * abs(sine)) - surface[PLATE])
    along = surface[DRAG_0] * cosine
    plate_lift = normal * cosine - along * sine
    plate_drag = normal * sine + along * cosine
    tilt = min(abs(tilted), np.pi)
    plate_moment = -normal * (0.25 - 0.175 * (1.0 - 2.0 * tilt / np.pi))
    return (
        lift + share * (plate_lift - lift),
        drag + share * (plate_drag - drag),
        moment + share * (plate_moment - moment),
    )


@numba.njit(cache=True)
def ground_effect(surface: Array, height_m: float) -> float:
    """Return the share of induced drag left near the ground [-], 1 far from it.

    (16 h / b)^2 / (1 + (16 h / b)^2): McCormick, Aerodynamics, Aeronautics and Flight Mechanics.
    """
    ratio = 16.0 * max(height_m, 0.0) / surface[SPAN]
    return float(ratio * ratio / (1.0 + ratio * ratio))
