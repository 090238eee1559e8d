# SPDX-License-Identifier: Apache-2.0
"""What a person reads instead of a parameter's name."""

from __future__ import annotations

_NAMES = {
    "thrust_over_mass": "Thrust constant over mass",
    "mass": "Mass",
    "thrust_constant": "Thrust constant",
    "moment_constant": "Moment constant",
    "centre_x": "Centre of mass, forward of the file's",
    "centre_y": "Centre of mass, right of the file's",
    "rotor_drag": "Rotor drag",
    "body_drag_area": "Drag area of the body, frontal",
    "inertia_level": "Inertia about roll and pitch",
    "inertia_yaw": "Inertia about yaw",
    "yaw_trim": "Steady yaw torque",
    "battery_resistance": "Battery, resistance",
    "battery_capacity": "Battery, capacity",
}


def name_of(parameter: str) -> str:
    """Return the words for a parameter's name; rotors are counted from 1."""
    return _NAMES.get(parameter) or f"Rotor {int(parameter.split('_')[1]) + 1}, effectiveness"
