# SPDX-License-Identifier: Apache-2.0
"""An aircraft as data: mass properties and places from SDF, coefficients from YAML.

SDF is in FLU around the model's origin; everything here is FRD around the centre of mass.
``load`` reads, ``read`` and ``write`` take and give a file's sections; what is loaded is frozen.
"""

from airtwin_core.aircraft.data import (
    Aircraft,
    AircraftError,
    BatteryCoefficients,
    GroundCoefficients,
    MassProperties,
    RotorCoefficients,
    Servo,
    Surface,
)
from airtwin_core.aircraft.files import folder, load, read, write
from airtwin_core.aircraft.sdf import mass_properties

__all__ = [
    "Aircraft",
    "AircraftError",
    "BatteryCoefficients",
    "GroundCoefficients",
    "MassProperties",
    "RotorCoefficients",
    "Servo",
    "Surface",
    "folder",
    "load",
    "mass_properties",
    "read",
    "write",
]
