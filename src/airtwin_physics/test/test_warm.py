# SPDX-License-Identifier: Apache-2.0
"""Nothing of the whole package compiles in flight."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import identify_flights
from numba.core.registry import CPUDispatcher

import airtwin_physics
from airtwin_core.aircraft import load
from airtwin_core.types import Battery, Sample
from airtwin_physics.estimator import Estimator
from airtwin_physics.slow import SlowProperties
from airtwin_physics.warm import warm_up


def compiled() -> dict[str, int]:
    """Return how many signatures each kernel has; the node's module needs ROS and has none."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(airtwin_physics.__path__, "airtwin_physics.")
        if module.name != "airtwin_physics.node"
    ]
    return {
        f"{value.__module__}.{value.__name__}": len(value.signatures)
        for module in modules
        for value in vars(module).values()
        if isinstance(value, CPUDispatcher)
    }


def twin(flight: list[Sample], current: bool, temperature_c: float) -> set[str]:
    """Let a twin fly; return the names in its last report."""
    estimator, slow = Estimator(), SlowProperties(load("x500"))
    names: set[str] = set()
    for value in flight:
        if isinstance(value, Battery):
            told = value.current_a if current else math.nan
            value = replace(value, current_a=told, temperature_c=temperature_c)
        state = estimator.on(value)
        for found in (slow.on(value), None if state is None else slow.on(state)):
            names = names if found is None else {one.name for one in found.parameters}
    return names


def gained(flight: list[Sample]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the signatures after warming up, and those that flights added."""
    warm_up()
    before = compiled()
    for current in (True, False):
        for temperature_c in (math.nan, 31.0):
            assert "time_to_empty" in twin(flight, current, temperature_c)
    after = compiled()
    return before, {name: after[name] - n for name, n in before.items() if after[name] != n}


def test_a_flight_after_warming_up_compiles_nothing() -> None:
    """In a process of its own: here the simulator and other tests have called kernels already."""
    flight = list(identify_flights.samples(9.0, seed=1, windy=True))
    assert sum(isinstance(value, Battery) for value in flight) > 2
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        before, more = other.submit(gained, flight).result()
    assert before["airtwin_physics.battery.model.rates"] > 0
    assert more == {}
