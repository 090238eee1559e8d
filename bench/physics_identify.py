# SPDX-License-Identifier: Apache-2.0
"""Figures of the identification, over seeds that no setting was chosen on.

Keys: ``mass_error_pct`` +20 % mass, put on in hover or there from take-off, in calm and in 8 m/s
wind with gusts: largest error [%] 10 s later. ``rotor_found_s`` a rotor that falls to 80 %: the
longest time [s] until it is named, over rotors, seeds, calm and wind; null if one was not found or
another was named. ``rotor_found_octocopter_s`` the same for two rotors of an octocopter in wind,
``rotor_found_moving_s`` for aircraft that are not as their file says (see below), in gusts and
flying about; ``rotor_found_hexacopter_s`` and ``rotor_found_quad_plane_s`` for every lifting rotor
in hover (``physics_identify_hover``), null if one was not; ``rotor_found_hover_share`` of both
that were, ``rotor_false_alarms_hover`` of these flights.
``rotor_false_alarms`` flights without rotor fault, as they are or with +20 % mass, in which a
rotor was named, and ``rotor_false_alarm_flight_s`` the seconds of those flights.
``identify_step_us`` time per IMU sample, all values that come with it amortised, estimator left
out.

``identify_coverage`` aircraft drawn at random (``physics_identify_flights``: mass, centre of mass,
rotors, drag, inertia, lag, sensor noise, wind, gusts) in hover, flying about, and with steps of
wind: per parameter, ``online`` at the end of a flight and ``offline`` by the fit, the share of
flights whose 95 % interval holds the truth (``share``), the root mean square of error over sigma
(``rms``, 1 is honest), the median sigma (``sigma``, relative; of the centre of mass in m) and the
share of flights in which it was called known (``known``). ``flights`` of 45 s. With ``flights``
drawings a true 0.95 shows as 0.8 to 1. ``identify_coverage_share`` all parameters and both ways
together.

``sysid``: per published table and axis, the share of variance explained (R^2) on the pieces
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
from airtwin_core.types import Array, Imu, Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.identify import prior, rows, tables, verdict
from airtwin_physics.identify.blocks import Blocks
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.fit import fit
from airtwin_physics.identify.identifier import Identifier
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind
from bench import physics_identify_flights as drawn
from bench import physics_identify_hover as hover

SEEDS = (101, 102, 103)
FAULT_S, AFTER_S = 20.0, 10.0
WINDS = (Wind(), Wind((6.0, -5.3, 0.0), 1.0))  # 8 m/s
NAN = float("nan")
DRAWN_SEEDS, DRAWN_S = (4001, 4002, 4003, 4004), 45.0
MOVING_SEEDS = (4011, 4012, 4013, 4014)
INTERVAL = 1.96  # sigmas of 95 %
WATCHED = {
    "mass": rows.MASS,
    "thrust_constant": rows.THRUST,
    "centre_x": rows.CENTRE_X,
    "centre_y": rows.CENTRE_Y,
    "rotor_drag": rows.ROTOR_DRAG,
}
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
    coverage = _coverage(console, craft)
    console.print("identify: hexacopter and quad-plane", highlight=False)
    six, six_alarms = hover.found(hover.Hexacopter)
    lifted, lifted_alarms = hover.found(hover.QuadPlane)
    return {
        "mass_error_pct": round(max(errors), 2),
        "rotor_found_s": _slowest(found),
        "rotor_false_alarms": alarms,
        "rotor_false_alarm_flight_s": round(quiet_s),
        "rotor_found_octocopter_s": _slowest(_found_octocopter()),
        "rotor_found_moving_s": _slowest(_found_moving()),
        "rotor_found_hexacopter_s": _slowest(six),
        "rotor_found_quad_plane_s": _slowest(lifted),
        "rotor_found_hover_share": round(float(np.isfinite([*six, *lifted]).mean()), 3),
        "rotor_false_alarms_hover": six_alarms + lifted_alarms,
        "identify_step_us": round(_step_us(craft), 1),
        **coverage,
        "sysid": _sysid(),
    }


def _samples(
    seed: int,
    wind: Wind,
    faults: tuple[Fault, ...],
    seconds: float,
    name: str = "x500",
) -> Iterator[Sample | TwinState]:
    scenario = Scenario((VehicleSpec("px4_1", name),), seed=seed, wind=wind, extra_topics=True)
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
    identifier, track = Identifier(craft), []
    for value in _samples(seed, wind, faults, seconds):
        identifier.on(value)
        if isinstance(value, TwinState):
            t = value.stamp_ns * 1e-9 - 1.0
            ratio = float(np.exp(identifier.theta[0]))
            track.append((t, identifier.flown_s, ratio, identifier.suspect))
    t, flown, mass, suspect = np.array(track).T
    return {"t": t, "flown": flown, "mass": mass, "suspect": suspect}


def _slowest(found: list[float]) -> float | None:
    return round(max(found), 2) if np.isfinite(found).all() else None


def _named_after(values: Iterator[Sample | TwinState], name: str, rotor: int) -> float:
    """Return the seconds from the fault until that rotor is named; NaN: not, or another."""
    identifier = Identifier(aircraft.load(name))
    for value in values:
        identifier.on(value)
        if identifier.suspect >= 0:
            after_s = value.stamp_ns * 1e-9 - 1.0 - FAULT_S
            return after_s if identifier.suspect == rotor and after_s > 0.0 else NAN
    return NAN


def _found_octocopter() -> list[float]:
    out = []
    for rotor in (2, 5):
        fault = Fault("motor_loss", "px4_1", FAULT_S, magnitude=0.2, index=rotor)
        values = _samples(SEEDS[0], WINDS[1], (fault,), FAULT_S + 4.0, name="octocopter")
        out.append(_named_after(values, "octocopter", rotor))
    return out


def _found_moving() -> list[float]:
    out = []
    for seed, rotor in zip(MOVING_SEEDS, range(4), strict=True):
        fault = Fault("motor_loss", drawn.NAME, FAULT_S, magnitude=0.2, index=rotor)
        flight = drawn.samples(drawn.draw(seed, drawn.LEGS), FAULT_S + 4.0, (fault,))
        out.append(_named_after(drawn.values(flight), "x500", rotor))
    return out


def _coverage(console: Console, craft: aircraft.Aircraft) -> dict[str, Any]:
    config, kernel = IdentifyConfig(), rows.craft(craft)
    first = prior.covariance(config, kernel)
    names = [*WATCHED, *(f"rotor_{i}_effectiveness" for i in range(craft.rotor_count))]
    places = [*WATCHED.values(), *range(rows.EFFECT, rows.size(craft.rotor_count))]
    found: dict[str, list[Array]] = {"online": [], "offline": []}
    for seed, kind in itertools.product(DRAWN_SEEDS, drawn.KINDS):
        console.print(f"identify: drawn flight {seed}, {kind}", highlight=False)
        flight = drawn.draw(seed, kind)
        identifier = Identifier(craft)
        blocks: list[Array] = []
        taken = Blocks(craft, config, lambda b, stamp, received, to=blocks: to.append(b.copy()))
        for value in drawn.values(drawn.samples(flight, DRAWN_S)):
            identifier.on(value)
            taken.on(value)
        whole = fit([np.array(blocks)], kernel, config)
        for how, theta, p in (
            ("online", identifier.theta, identifier.covariance),
            ("offline", whole.theta, whole.covariance),
        ):
            told = {
                one.name: one.known
                for one in verdict.parameters(craft, config, first, theta, p, identifier.flown_s)
            }
            error, cov = _with_ratio(theta - flight.theta), _ratio_covariance(p)
            sigma = np.sqrt(np.diag(cov))[[-1, *places]]
            z = error[[-1, *places]] / sigma
            known = [told[name] for name in ("thrust_over_mass", *names)]
            found[how].append(np.stack((z, sigma, known)))
    out, inside = {}, []
    for how, flights in found.items():
        table = np.array(flights)  # flights, (z, sigma, known), parameters
        held = np.abs(table[:, 0]) < INTERVAL
        inside.append(held)
        out[how] = {
            name: {
                "share": round(float(held[:, k].mean()), 3),
                "rms": round(float(np.sqrt(np.mean(table[:, 0, k] ** 2))), 2),
                "sigma": round(float(np.median(table[:, 1, k])), 5),
                "known": round(float(table[:, 2, k].mean()), 2),
            }
            for k, name in enumerate(("thrust_over_mass", *names))
        }
    out["flights"] = len(found["online"])
    share = round(float(np.mean(inside)), 3)
    return {"identify_coverage": out, "identify_coverage_share": share}


def _with_ratio(error: Array) -> Array:
    return np.append(error, error @ _ratio(len(error)))


def _ratio(size: int) -> Array:
    """Return (N,): thrust of all rotors over mass, by its logarithm."""
    line = np.zeros(size)
    line[rows.THRUST], line[rows.MASS] = 1.0, -1.0
    line[rows.EFFECT :] = 1.0 / (size - rows.EFFECT)
    return line


def _ratio_covariance(p: Array) -> Array:
    """Return the covariance with thrust over mass as one more parameter at the end."""
    wide = np.vstack((np.eye(len(p)), _ratio(len(p))))
    return np.asarray(wide @ p @ wide.T)


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
    for name, model in fits.items():
        with (folder / name).open() as file:
            head, *lines = csv.reader(file)
        columns = np.array([[float(x or "nan") for x in row] for row in lines]).T
        found = model(dict(zip(head, columns, strict=True)))
        out[name] = {axis: round(share, 4) for axis, share in found.explained.items()}
    return out
