# SPDX-License-Identifier: Apache-2.0
"""Parameters with units, what is known of them, and what would have to be flown for the rest."""

from __future__ import annotations

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, Parameter
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.rows import (
    BODY_DRAG,
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    INERTIA_LEVEL,
    INERTIA_YAW,
    MASS,
    MOMENT,
    ROTOR_DRAG,
    THRUST,
    YAW_TRIM,
)

_NOT_FLOWN = "no flight in free air yet"
WHY = {
    MASS: "flight tells only thrust over mass: measure thrust on a stand, then hover",
    THRUST: "flight tells only thrust over mass: weigh the aircraft and state mass_sigma",
    MOMENT: "held in flight: it takes large, steady yaw commands or a thrust stand",
    CENTRE_X: "hover in free air; against the rotors' spread only pitching tells it apart",
    CENTRE_Y: "hover in free air; against the rotors' spread only rolling tells it apart",
    ROTOR_DRAG: "drag and wind share one product: fly fast, there and back, in calm air; in wind "
    "the fit over the whole flight (./airtwin identify) tells it",
    BODY_DRAG: "in flight held against the rotors' drag; whole flights at high speed tell it",
    INERTIA_LEVEL: "held in flight: commands are published too rarely to tell how fast they turn",
    INERTIA_YAW: "held in flight: commands are published too rarely to tell how fast they turn",
    YAW_TRIM: "hover; a rotor that is weak for ever looks alike",
    EFFECT: "several rotors can make up for each other: turn about all axes",
}


def parameters(
    aircraft: Aircraft,
    config: IdentifyConfig,
    first: Array,
    theta: Array,
    covariance: Array,
    flown_s: float,
) -> tuple[Parameter, ...]:
    """Return all parameters in the units of the aircraft file.

    ``first``: (N, N) belief before the flight; ``theta`` (N,), ``covariance`` (N, N): now.
    """
    before, now = np.sqrt(np.diag(first)), np.sqrt(np.maximum(np.diag(covariance), 0.0))
    rotor = aircraft.rotors
    out = []

    def add(name: str, unit: str, index: int, file_value: float, ratio: bool, jump: float) -> None:
        """``ratio``: theta is a logarithm; ``jump``: sigma of what might be without a flight."""
        value = file_value * float(np.exp(theta[index])) if ratio else float(theta[index])
        sigma = float(now[index]) * (value if ratio else 1.0)
        doubt = max(float(before[index]), jump)
        # a change far beyond its own uncertainty is knowledge too
        found = abs(theta[index]) > 4.0 * now[index] and abs(theta[index]) > before[index]
        known = flown_s > 0.0 and (now[index] <= config.known_share * doubt or found)
        cause = WHY[min(index, EFFECT)] if flown_s > 0.0 else _NOT_FLOWN
        out.append(
            Parameter(name, unit, value, sigma, file_value, bool(known), "" if known else cause)
        )

    add("mass", "kg", MASS, aircraft.mass_kg, True, 0.0)
    add("thrust_constant", "N s^2/rad^2", THRUST, rotor.thrust_n_s2, True, 0.0)
    add("moment_constant", "m", MOMENT, rotor.moment_m, True, 0.0)
    add("centre_x", "m", CENTRE_X, 0.0, False, 0.0)
    add("centre_y", "m", CENTRE_Y, 0.0, False, 0.0)
    add("rotor_drag", "N s^2/(m rad)", ROTOR_DRAG, rotor.drag_n_s2_m, True, 0.0)
    add("body_drag_area", "m^2", BODY_DRAG, float(aircraft.drag_area_frd_m2[0]), True, 0.0)
    level = float(np.mean(np.diag(aircraft.inertia_frd_kg_m2)[:2]))
    add("inertia_level", "kg m^2", INERTIA_LEVEL, level, True, 0.0)
    add("inertia_yaw", "kg m^2", INERTIA_YAW, float(aircraft.inertia_frd_kg_m2[2, 2]), True, 0.0)
    add("yaw_trim", "N m", YAW_TRIM, 0.0, False, 0.0)
    for i in range(aircraft.rotor_count):
        index = EFFECT + i
        doubt = float(before[index])
        found = bool(theta[index] < -4.0 * now[index] and theta[index] < -2.0 * doubt)
        known = flown_s > 0.0 and bool(now[index] <= config.known_share * doubt or found)
        cause = WHY[EFFECT] if flown_s > 0.0 else _NOT_FLOWN
        value = 1.0 + float(theta[index])
        out.append(
            Parameter(
                f"rotor_{i}_effectiveness", "-", value, float(now[index]), 1.0, known,
                "" if known else cause,
            )
        )  # fmt: skip
    return tuple(out)
