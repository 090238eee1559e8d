# SPDX-License-Identifier: Apache-2.0
"""Airframe and battery in one report."""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.aircraft import load
from airtwin_core.types import Battery, TwinState
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
