# SPDX-License-Identifier: Apache-2.0
"""Flights of the embedded simulator for the identification, with what is changed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from airtwin_core import aircraft
from airtwin_core.types import Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.identify.identifier import Identifier
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind

X500 = aircraft.load("x500")
NAN = float("nan")
WIND = (6.0, -5.0, 0.0)  # 7.8 m/s
GROUND_S, FAULT_S = 6.0, 20.0


def samples(
    seconds: float,
    *,
    seed: int,
    windy: bool,
    faults: tuple[Fault, ...] = (),
    change: Callable[[Any], None] = lambda world: None,
) -> Iterator[Sample]:
    """Yield what a twin gets from take-off to hover; ``change`` alters the truth beforehand."""
    wind = Wind(WIND, 1.0) if windy else Wind()
    flight = Flight(Scenario((VehicleSpec("px4_1"),), seed=seed, wind=wind, extra_topics=True))
    change(flight.world)
    for fault in faults:
        flight.world.inject(fault)
    for _, _, sample in flight.run(5.0):
        yield sample
    flight.world.command("px4_1", Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    for _, _, sample in flight.run(1.0):
        yield sample
    flight.world.command("px4_1", Command(22, (NAN,) * 7))
    for _, _, sample in flight.run(seconds - GROUND_S):
        yield sample


def there_and_back(
    seconds: float,
    *,
    seed: int,
    windy: bool,
    change: Callable[[Any], None] = lambda world: None,
) -> Iterator[Sample]:
    """Yield a flight with legs of 5 s at 6 m/s, north, south, east, west, in offboard mode."""
    wind = Wind(WIND, 1.0) if windy else Wind()
    flight = Flight(Scenario((VehicleSpec("px4_1"),), seed=seed, wind=wind, extra_topics=True))
    world, name = flight.world, "px4_1"
    change(world)
    for _, _, sample in flight.run(5.0):
        yield sample
    world.command(name, Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    for _, _, sample in flight.run(1.0):
        yield sample
    world.command(name, Command(22, (NAN,) * 7))
    for _, _, sample in flight.run(10.0):
        yield sample
    legs = 6.0 * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    for k in range(round(10.0 * seconds)):
        world.offboard_mode(name, velocity=True)
        world.setpoint(name, np.full(3, NAN), legs[k // 50 % 4], yaw_rad=0.0)
        if k == 5:
            world.command(name, Command(176, (1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
        for _, _, sample in flight.run(0.1):
            yield sample


def values(stream: Iterator[Sample]) -> list[Sample | TwinState]:
    """Return the samples with the estimator's states among them."""
    estimator, out = Estimator(), []
    for sample in stream:
        out.append(sample)
        state = estimator.on(sample)
        if state is not None:
            out.append(state)
    return out


class Watch:
    """An identifier and what it believed at each twin state."""

    def __init__(self, stream: list[Sample | TwinState], identifier: Identifier) -> None:
        self.identifier = identifier
        times, suspects, masses, flown = [], [], [], []
        for value in stream:
            identifier.on(value)
            if isinstance(value, TwinState):
                times.append((value.stamp_ns - 1_000_000_000) * 1e-9)
                suspects.append(identifier.suspect)
                masses.append(float(np.exp(identifier.theta[0])))
                flown.append(identifier.flown_s)
        self.times, self.suspects = np.array(times), np.array(suspects)
        self.masses, self.flown_s = np.array(masses), np.array(flown)

    def found(self) -> tuple[float, int]:
        """Return (seconds from the fault to the first suspicion, whom); (inf, -1): nobody."""
        named = np.flatnonzero(self.suspects >= 0)
        if not named.size:
            return float("inf"), -1
        return float(self.times[named[0]] - FAULT_S), int(self.suspects[named[0]])
