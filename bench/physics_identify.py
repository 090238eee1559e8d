# SPDX-License-Identifier: Apache-2.0
"""Figures of the identification, over seeds that no setting was chosen on.

Keys: ``mass_error_pct`` +20 % mass, put on in hover or there from take-off, in calm and in 8 m/s
wind with gusts: largest error [%] 10 s later. ``rotor_found_s`` a rotor that falls to 80 %: the
longest time [s] until it is named, over rotors, seeds, calm and wind; null if one was not found or
another was named. ``rotor_false_alarms`` flights without rotor fault, as they are or with +20 %
mass, in which a rotor was named, and ``rotor_false_alarm_flight_s`` the seconds of those flights.
``identify_step_us`` time per IMU sample, all values that come with it amortised, estimator left
out. ``sysid``: per published table and axis, the share of variance explained (R^2) on the pieces
of the flight that the fit did not see; null without ../shared/data/sysid.
"""

from __future__ import annotations

import csv
import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_bringup import paths
from airtwin_core import aircraft
from airtwin_core.types import Imu, Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.identify import tables
from airtwin_physics.identify.identifier import Identifier
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind

SEEDS = (101, 102, 103)
FAULT_S, AFTER_S = 20.0, 10.0
WINDS = (Wind(), Wind((6.0, -5.3, 0.0), 1.0))  # 8 m/s
NAN = float("nan")
IRIS_PLACES = np.array([[0.13, 0.22], [-0.13, -0.2], [0.13, -0.22], [-0.13, 0.2]])  # [m] FRD
IRIS_TURNS = np.array([-1.0, -1.0, 1.0, 1.0])


def measure(console: Console) -> dict[str, Any]:
    """Return all figures."""
    craft = aircraft.load("x500")
    errors: list[float] = []
    found: list[float] = []
    alarms, quiet_s = 0, 0.0
    for seed, wind in itertools.product(SEEDS, WINDS):
        console.print(f"identify: seed {seed}, wind {wind.steady_ned_m_s}", highlight=False)
        for at_s in (0.0, FAULT_S):
            fault = Fault("mass", "px4_1", at_s, magnitude=0.2 * craft.mass_kg)
            run = _fly(craft, seed, wind, (fault,), FAULT_S + AFTER_S + 1.0)
            when = run["t"] >= FAULT_S + AFTER_S if at_s else run["flown"] >= AFTER_S
            errors.append(100.0 * abs(float(run["mass"][when][0]) / 1.2 - 1.0))
            alarms += int((run["suspect"] >= 0).any())
            quiet_s += float(run["flown"][-1])
        run = _fly(craft, seed, wind, (), 60.0)
        alarms += int((run["suspect"] >= 0).any())
        quiet_s += float(run["flown"][-1])
        for rotor in range(craft.rotor_count):
            fault = Fault("motor_loss", "px4_1", FAULT_S, magnitude=0.2, index=rotor)
            run = _fly(craft, seed, wind, (fault,), FAULT_S + 4.0)
            named = np.flatnonzero(run["suspect"] >= 0)
            right = named.size > 0 and int(run["suspect"][named[0]]) == rotor
            after_s = float(run["t"][named[0]]) - FAULT_S if right else NAN
            found.append(after_s if after_s > 0.0 else NAN)
    return {
        "mass_error_pct": round(max(errors), 2),
        "rotor_found_s": round(max(found), 2) if np.isfinite(found).all() else None,
        "rotor_false_alarms": alarms,
        "rotor_false_alarm_flight_s": round(quiet_s),
        "identify_step_us": round(_step_us(craft), 1),
        "sysid": _sysid(),
    }


def _samples(
    seed: int, wind: Wind, faults: tuple[Fault, ...], seconds: float
) -> Iterator[Sample | TwinState]:
    scenario = Scenario((VehicleSpec("px4_1"),), seed=seed, wind=wind, extra_topics=True)
    flight, estimator = Flight(scenario), Estimator()
    for fault in faults:
        flight.world.inject(fault)
    orders = (
        (5.0, Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0))),
        (1.0, Command(22, (NAN,) * 7)),
        (seconds - 6.0, None),
    )
    for span_s, order in orders:
        for _, _, sample in flight.run(span_s):
            yield sample
            state = estimator.on(sample)
            if state is not None:
                yield state
        if order is not None:
            flight.world.command("px4_1", order)


def _fly(
    craft: aircraft.Aircraft, seed: int, wind: Wind, faults: tuple[Fault, ...], seconds: float
) -> dict[str, Any]:
    identifier, rows = Identifier(craft), []
    for value in _samples(seed, wind, faults, seconds):
        identifier.on(value)
        if isinstance(value, TwinState):
            t = value.stamp_ns * 1e-9 - 1.0
            ratio = float(np.exp(identifier.theta[0]))
            rows.append((t, identifier.flown_s, ratio, identifier.suspect))
    t, flown, mass, suspect = np.array(rows).T
    return {"t": t, "flown": flown, "mass": mass, "suspect": suspect}


def _step_us(craft: aircraft.Aircraft) -> float:
    values = list(_samples(1, WINDS[1], (), 40.0))
    count = sum(isinstance(value, Imu) for value in values)
    identifier = Identifier(craft)
    began = time.perf_counter()
    for value in values:
        identifier.on(value)
    return (time.perf_counter() - began) / count * 1e6


def _sysid() -> dict[str, dict[str, float]] | None:
    folder = paths.root().parent / "shared" / "data" / "sysid"
    if not folder.is_dir():
        return None
    fits = {
        "quadrotor_model.csv": lambda table: tables.quadrotor(table, IRIS_PLACES, IRIS_TURNS),
        "fixedwing_model.csv": tables.fixed_wing,
    }
    out = {}
    for name, fit in fits.items():
        with (folder / name).open() as file:
            head, *rows = csv.reader(file)
        columns = np.array([[float(x or "nan") for x in row] for row in rows]).T
        found = fit(dict(zip(head, columns, strict=True)))
        out[name] = {axis: round(share, 4) for axis, share in found.explained.items()}
    return out
