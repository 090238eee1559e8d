# SPDX-License-Identifier: Apache-2.0
"""The battery: its model as kernels, and an estimator that follows it. Pure."""

from airtwin_physics.battery.config import BatteryConfig
from airtwin_physics.battery.estimator import BatteryBelief, BatteryEstimator
from airtwin_physics.battery.forecast import Endurance
from airtwin_physics.battery.learning import Drain, drain, learn
from airtwin_physics.battery.model import (
    discharge,
    drained,
    endurance,
    growth,
    left,
    ocv,
    pack,
    rates,
    terminal,
)

__all__ = [
    "BatteryBelief",
    "BatteryConfig",
    "BatteryEstimator",
    "Drain",
    "Endurance",
    "discharge",
    "drain",
    "drained",
    "endurance",
    "growth",
    "learn",
    "left",
    "ocv",
    "pack",
    "rates",
    "terminal",
]
