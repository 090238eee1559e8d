# SPDX-License-Identifier: Apache-2.0
"""Nothing of the identification compiles in flight."""

from __future__ import annotations

import importlib
import pkgutil

import identify_flights
from numba.core.registry import CPUDispatcher

from airtwin_core.aircraft import load
from airtwin_physics import identify
from airtwin_physics.identify.identifier import Identifier
from airtwin_physics.identify.warm import warm_up


def compiled() -> dict[str, int]:
    """Return how many signatures each kernel has; one that only others call may have none."""
    modules = [
        importlib.import_module(f"{identify.__name__}.{module.name}")
        for module in pkgutil.iter_modules(identify.__path__)
    ]
    return {
        f"{value.__module__}.{value.__name__}": len(value.signatures)
        for module in modules
        for value in vars(module).values()
        if isinstance(value, CPUDispatcher)
    }


def test_a_flight_after_warming_up_compiles_nothing() -> None:
    aircraft = load("x500")
    # the estimator's own calls (of the gusts' scales) are test_warm.py's matter: before the count
    flight = identify_flights.values(identify_flights.samples(11.5, seed=1, windy=True))
    warm_up()
    before = compiled()
    assert sum(before.values()) >= 2, before
    identifier = Identifier(aircraft)
    found = [report for value in flight if (report := identifier.on(value)) is not None]
    assert found
    assert identifier.flown_s > 0.3
    assert compiled() == before
