# SPDX-License-Identifier: Apache-2.0
"""Parameters with units, what is known of them, and what would have to be flown for the rest."""

from __future__ import annotations

import math
import re
from dataclasses import replace

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
    lifting,
)

_NOT_FLOWN = "no flight in free air yet"
_NOT_TURNED = "turns have not followed the commands yet as the file's places of the rotors say"
DEAF = "no motor commands: PX4 bridges actuator_motors only if dds_topics.yaml says so"
"""Why nothing can be known on a bridge as PX4 comes with it."""
_SCALE = "no flight tells it: with mass, inertia and all forces larger alike, all moves the same; "
WHY = {
    MASS: _SCALE + "thrust over mass is told: measure thrust on a stand",
    THRUST: _SCALE + "thrust over mass is told: weigh the aircraft (identify --mass)",
    MOMENT: "held in flight: it takes large, steady yaw commands or a thrust stand",
    CENTRE_X: "hover in free air; against the rotors' spread only pitching tells it apart",
    CENTRE_Y: "hover in free air; against the rotors' spread only rolling tells it apart",
    ROTOR_DRAG: "in hover drag and wind share one product: fly fast, there and back",
    BODY_DRAG: "held against the rotors' drag: both brake alike at the speeds of a multirotor",
    INERTIA_LEVEL: "held in flight: commands are published too rarely to tell how fast they turn",
    INERTIA_YAW: "held in flight: commands are published too rarely to tell how fast they turn",
    YAW_TRIM: "hover; a rotor that is weak for ever looks alike",
    EFFECT: "several rotors can make up for each other: turn about all axes",
}
STRANGE = "the aircraft file does not fit: "
_BEYOND = 4.0  # sigmas of the first belief, less two of its own
_HELD = {
    MASS: "mass",
    CENTRE_X: "centre of mass",
    CENTRE_Y: "centre of mass",
    ROTOR_DRAG: "drag",
    YAW_TRIM: "steady yaw torque",
}
_BY_PLACES = re.compile(r"centre_|yaw_trim|rotor_\d")
_WEIGHED = "weighed, as told; no flight tells it"
_RATIO = "hover in free air"


def contradicted(first: Array, theta: Array, covariance: Array) -> str:
    """Return what lies further from the file than aircraft of its kind do, "" if nothing.

    ``first``, ``theta``, ``covariance`` as in ``parameters``. One rotor may be broken: the worst
    does not count.
    """
    before, now = np.sqrt(np.diag(first)), np.sqrt(np.maximum(np.diag(covariance), 0.0))
    off = np.abs(theta) - 2.0 * now > _BEYOND * before
    off[EFFECT + int(np.argmin(theta[EFFECT:]))] = False
    names = [name for index, name in _HELD.items() if off[index]]
    if off[EFFECT:].any():
        names.append("rotors")
    return STRANGE + ", ".join(dict.fromkeys(names)) if names else ""


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

    def add(name: str, unit: str, index: int, file_value: float, ratio: bool) -> None:
        """``ratio``: theta is a logarithm."""
        value = file_value * float(np.exp(theta[index])) if ratio else float(theta[index])
        sigma = float(now[index]) * (value if ratio else 1.0)
        doubt = float(before[index])
        # a change far beyond its own uncertainty is knowledge too
        found = abs(theta[index]) > 4.0 * now[index] and abs(theta[index]) > before[index]
        known = flown_s > 0.0 and (now[index] <= config.known_share * doubt or found)
        cause = WHY[min(index, EFFECT)] if flown_s > 0.0 else _NOT_FLOWN
        if index == MASS and config.mass_sigma < config.thrust_sigma:
            known, cause = False, _WEIGHED
        out.append(
            Parameter(name, unit, value, sigma, file_value, bool(known), "" if known else cause)
        )

    out.append(_thrust_over_mass(aircraft, config, first, theta, covariance, flown_s))
    add("mass", "kg", MASS, aircraft.mass_kg, True)
    add("thrust_constant", "N s^2/rad^2", THRUST, rotor.thrust_n_s2, True)
    add("moment_constant", "m", MOMENT, rotor.moment_m, True)
    add("centre_x", "m", CENTRE_X, 0.0, False)
    add("centre_y", "m", CENTRE_Y, 0.0, False)
    add("rotor_drag", "N s^2/(m rad)", ROTOR_DRAG, rotor.drag_n_s2_m, True)
    add("body_drag_area", "m^2", BODY_DRAG, float(aircraft.drag_area_frd_m2[0]), True)
    level = float(np.mean(np.diag(aircraft.inertia_frd_kg_m2)[:2]))
    add("inertia_level", "kg m^2", INERTIA_LEVEL, level, True)
    add("inertia_yaw", "kg m^2", INERTIA_YAW, float(aircraft.inertia_frd_kg_m2[2, 2]), True)
    add("yaw_trim", "N m", YAW_TRIM, 0.0, False)
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


def unplaced(parameter: Parameter) -> Parameter:
    """Return it as unknown if it rests on where the rotors sit, which no turn has shown yet."""
    if parameter.known and _BY_PLACES.match(parameter.name):
        return replace(parameter, known=False, why=_NOT_TURNED)
    return parameter


def _thrust_over_mass(
    aircraft: Aircraft,
    config: IdentifyConfig,
    first: Array,
    theta: Array,
    covariance: Array,
    flown_s: float,
) -> Parameter:
    """Return what hover does tell, thrust of all rotors as they are over mass.

    Mass and thrust constant rest on it and on each other. The constant is the mean rotor's: of one
    weak rotor and of a heavier aircraft, hover tells only that both take more speed.
    """
    file_value = aircraft.rotors.thrust_n_s2 / aircraft.mass_kg
    lifts = lifting(aircraft)
    mean = float(np.mean(1.0 + theta[EFFECT:][lifts]))
    value = file_value * float(np.exp(theta[THRUST] - theta[MASS])) * mean
    line = np.zeros(theta.size)
    line[THRUST], line[MASS] = 1.0, -1.0
    line[EFFECT:][lifts] = 1.0 / (mean * lifts.sum())
    before, now = (math.sqrt(max(float(line @ p @ line), 0.0)) for p in (first, covariance))
    known = flown_s > 0.0 and now <= config.known_share * before
    cause = _RATIO if flown_s > 0.0 else _NOT_FLOWN
    return Parameter(
        "thrust_over_mass", "N s^2/(kg rad^2)", value, now * value, file_value, known,
        "" if known else cause,
    )  # fmt: skip
