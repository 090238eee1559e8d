# SPDX-License-Identifier: Apache-2.0
"""Airframe and battery in one report."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airtwin_core.aircraft import load
from airtwin_core.types import Battery, MotorCommands, Parameter, TwinState, VehicleStatus
from airtwin_physics.battery.commanded import CommandedPower
from airtwin_physics.slow import SlowProperties

S = 1_000_000_000


def state(t_ns: int) -> TwinState:
    zeros = (np.zeros(n) for n in (3, 3, 4, 3, 3, 3, 3))
    return TwinState(t_ns, t_ns, *zeros, np.eye(15), None, *(True,) * 5)


def fly(current_a: float) -> dict[str, object]:
    """Sit for a minute with this current; return the last report by name."""
    slow = SlowProperties(load("x500"))
    found = None
    for k in range(600):
        t_ns = S + k * S // 10
        assert slow.on(Battery(t_ns, t_ns, 15.6, current_a, math.nan, 0)) is None
        found = slow.on(state(t_ns)) or found
    assert found is not None
    return {one.name: one for one in found.parameters}


def test_the_battery_stands_beside_the_airframe() -> None:
    found = fly(20.0)
    assert {"mass", "rotor_0_effectiveness", "battery_resistance", "time_to_empty"} <= set(found)
    left = found["time_to_empty"]
    assert left.known
    # five ampere hours, about three quarters full at that load, and 20 A: some ten minutes
    assert 200.0 < left.value < 1200.0
    assert math.isnan(left.prior)


def test_where_nobody_measures_the_current_the_time_is_not_known() -> None:
    found = fly(math.nan)
    assert not found["time_to_empty"].known
    assert "assumed" in found["time_to_empty"].why


def test_a_pack_from_which_nothing_is_drawn_lasts_for_nobody_knows_how_long() -> None:
    found = fly(0.001)
    left = found["time_to_empty"]
    assert math.isnan(left.value)
    assert math.isnan(left.sigma)
    assert not left.known
    assert "no end" in left.why


def sit(armed: bool, *, current_a: float = 1.5) -> dict[str, Parameter]:
    """Draw what the avionics take for a minute, armed or not; return the last report by name."""
    slow = SlowProperties(load("x500"))
    found = None
    for k in range(600):
        t_ns = S + k * S // 10
        slow.on(VehicleStatus(t_ns, t_ns, armed, 4, False, 1, False, False, 1, True))
        slow.on(Battery(t_ns, t_ns, 15.6, current_a, math.nan, 0))
        found = slow.on(state(t_ns)) or found
    assert found is not None
    return {one.name: one for one in found.parameters}


def test_at_rest_the_time_to_empty_is_not_told() -> None:
    left = sit(armed=False)["time_to_empty"]
    assert math.isnan(left.value)
    assert math.isnan(left.sigma)
    assert not left.known
    assert "at rest" in left.why
    # the same load of motors that run is told
    assert math.isfinite(sit(armed=True)["time_to_empty"].value)


@pytest.mark.parametrize(
    ("control", "power_w"),
    [
        # hover of the file: 770 rad/s, of 150 to 1000; 55 W a rotor and 8 W of avionics
        ([0.7294, 0.7294, 0.7294, 0.7294], 8.0 + 4 * 55.0),
        ([math.nan] * 4, 8.0),
        ([0.7294, 0.7294, math.nan, math.nan, math.nan, math.nan], 8.0 + 2 * 55.0),
        ([2.0, 0.0, math.nan, math.nan], 8.0 + 120.5 + 0.4067),
        ([0.5, 0.5, 0.5], math.nan),
        ([0.5, 0.5, 0.5, 0.5, 0.5], math.nan),
    ],
)
def test_what_commanded_motors_take(control: list[float], power_w: float) -> None:
    told = CommandedPower(load("x500")).of(np.array(control))
    assert told == pytest.approx(power_w, rel=2e-3, nan_ok=True)


def test_without_a_current_the_motors_commands_tell_the_load() -> None:
    slow = SlowProperties(load("x500"))
    found = None
    for k in range(3000):
        t_ns = S + k * S // 50
        slow.on(MotorCommands(t_ns, t_ns, np.full(4, 0.7294)))
        if k % 5 == 0:
            slow.on(Battery(t_ns, t_ns, 15.2 - 1e-4 * k, math.nan, math.nan, 0))
        found = slow.on(state(t_ns)) or found
    assert found is not None
    left = next(one for one in found.parameters if one.name == "time_to_empty")
    resistance = next(one for one in found.parameters if one.name == "battery_resistance")
    assert resistance.why == "the current is predicted, not measured"
    # 228 W from a pack of 74 Wh, some two thirds full or less
    assert 200.0 < left.value < 1100.0


def test_who_hears_no_motors_says_so() -> None:
    """A default PX4 bridges none: flying on would tell nothing."""
    slow = SlowProperties(load("x500"))
    found = slow.on(state(S))
    assert found is not None
    assert all("actuator_motors" in one.why for one in found.parameters)
    slow.on(MotorCommands(S, S, np.full(4, math.nan)))
    found = slow.on(state(3 * S))
    assert found is not None
    assert not any("actuator_motors" in one.why for one in found.parameters)


def test_old_commands_tell_no_load() -> None:
    power = CommandedPower(load("x500"))
    assert math.isnan(power.until(S))
    for k, share in enumerate((0.6, 0.8)):
        power.on(MotorCommands(S + k, S + k, np.full(4, share)))
    mean = 0.5 * (power.of(np.full(4, 0.6)) + power.of(np.full(4, 0.8)))
    assert power.until(S) == pytest.approx(mean)
    assert power.until(S + S // 2) == pytest.approx(mean)  # none since: those go on
    assert math.isnan(power.until(3 * S))
