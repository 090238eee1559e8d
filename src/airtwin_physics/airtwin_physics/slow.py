# SPDX-License-Identifier: Apache-2.0
"""All slow properties of one known aircraft in one report: airframe, rotors and battery. Pure."""

from __future__ import annotations

import dataclasses
import math

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import (
    Battery,
    Identification,
    MotorCommands,
    Parameter,
    Sample,
    TwinState,
    VehicleStatus,
)
from airtwin_physics.battery.commanded import CommandedPower
from airtwin_physics.battery.estimator import BatteryBelief, BatteryEstimator
from airtwin_physics.identify.identifier import Identifier

_KNOWN_SHARE = 0.25
"""A time to empty is known while its sigma is below this share of it."""


class SlowProperties:
    """Takes samples and the twin's states in the order of arrival; reports about once a second.

    Where no current is measured the battery goes by the power that the motors' commands ask for.
    """

    def __init__(self, aircraft: Aircraft) -> None:
        self._identifier = Identifier(aircraft)
        self._battery = BatteryEstimator(aircraft.battery)
        self._belief: BatteryBelief | None = None
        self._power = CommandedPower(aircraft)
        self._armed: bool | None = None  # until PX4 has said so

    @property
    def strange(self) -> str:
        """Why the file is another aircraft's, "" if nothing says so."""
        return self._identifier.strange

    def on(self, value: Sample | TwinState) -> Identification | None:
        """Take one value; return what is known of the aircraft now and then."""
        if isinstance(value, Battery):
            # of another aircraft's file the power is not this one's
            power_w = math.nan if self.strange else self._power.until(value.stamp_ns)
            self._belief = self._battery.on(value, power_w) or self._belief
        elif isinstance(value, MotorCommands):
            self._power.on(value)
        elif isinstance(value, VehicleStatus):
            self._armed = value.armed
        found = self._identifier.on(value)
        if found is None or self._belief is None:
            return found
        more = battery_parameters(self._belief, at_rest=self._armed is False)
        return dataclasses.replace(found, parameters=(*found.parameters, *more))


def battery_parameters(belief: BatteryBelief, *, at_rest: bool = False) -> tuple[Parameter, ...]:
    """Return resistance, capacity and time to empty; the last has no value in the file.

    at_rest: disarmed. Then nobody knows the load of the flight to come, and what the avionics
    alone could live on is no answer to how long it can fly: NaN, as where no end is in sight.
    """
    left_s, sigma_s = belief.time_to_empty_s, belief.time_to_empty_sigma_s
    if at_rest:
        left_s, sigma_s, why = math.nan, math.nan, "at rest: the load of a flight is not known"
    elif math.isnan(left_s):
        why = "so little is drawn that no end is in sight"
    else:
        why = f"the current is {belief.source}: draw more of the charge"
    known = left_s > 0.0 and sigma_s <= _KNOWN_SHARE * left_s
    return (
        *belief.parameters,
        Parameter("time_to_empty", "s", left_s, sigma_s, math.nan, known, "" if known else why),
    )
