# SPDX-License-Identifier: Apache-2.0
"""All slow properties of one known aircraft in one report: airframe, rotors and battery. Pure."""

from __future__ import annotations

import dataclasses
import math

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Battery, Identification, Parameter, Sample, TwinState
from airtwin_physics.battery.estimator import BatteryBelief, BatteryEstimator
from airtwin_physics.identify.identifier import Identifier

_KNOWN_SHARE = 0.25
"""A time to empty is known while its sigma is below this share of it."""


class SlowProperties:
    """Takes samples and the twin's states in the order of arrival; reports about once a second."""

    def __init__(self, aircraft: Aircraft) -> None:
        self._identifier = Identifier(aircraft)
        self._battery = BatteryEstimator(aircraft.battery)
        self._belief: BatteryBelief | None = None

    @property
    def strange(self) -> str:
        """Why the file is another aircraft's, "" if nothing says so."""
        return self._identifier.strange

    def on(self, value: Sample | TwinState) -> Identification | None:
        """Take one value; return what is known of the aircraft now and then."""
        if isinstance(value, Battery):
            self._belief = self._battery.on(value) or self._belief
        found = self._identifier.on(value)
        if found is None or self._belief is None:
            return found
        more = battery_parameters(self._belief)
        return dataclasses.replace(found, parameters=(*found.parameters, *more))


def battery_parameters(belief: BatteryBelief) -> tuple[Parameter, ...]:
    """Return resistance, capacity and time to empty; the last has no value in the file."""
    left_s, sigma_s = belief.time_to_empty_s, belief.time_to_empty_sigma_s
    known = left_s > 0.0 and sigma_s <= _KNOWN_SHARE * left_s
    why = "" if known else f"the current is {belief.source}: draw more of the charge"
    return (
        *belief.parameters,
        Parameter("time_to_empty", "s", left_s, sigma_s, math.nan, known, why),
    )
