# SPDX-License-Identifier: Apache-2.0
"""Recorded flights in, a new aircraft file and a report of the fit out.

The shell around ``airtwin_physics.identify``: reads logs, writes two files.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from airtwin_core.aircraft import Aircraft
from airtwin_core.intake import Intake
from airtwin_core.types import Array, Battery, Parameter
from airtwin_physics.battery import BatteryConfig, BatteryEstimator, drain
from airtwin_physics.estimator import Estimator
from airtwin_physics.identify import changes, prior, rows, verdict
from airtwin_physics.identify import fit as fitting
from airtwin_physics.identify.aircraft_text import Change, rewritten
from airtwin_physics.identify.blocks import ESC_MOST, HEIGHT_UNKNOWN, Blocks
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.level_wind import explained
from airtwin_physics.warm import warm_up
from airtwin_record import identify_battery, identify_report, identify_trust, replay
from airtwin_record.flight import UnusableFlight, VehicleLog
from airtwin_record.flight_blocks import FlightBlocks
from airtwin_record.samples import samples

Progress = Callable[[float, str], None]
_HELD_OUT = 1.0 / 3.0  # of the blocks, where there is one flight only
_SHARE_LEAST = -0.5  # of variance explained, below which an axis tells nothing of the aircraft
_BY_DRAG = ("rotor_drag", "body_drag_area")
_BY_LIFT = ("thrust_over_mass", "mass", "thrust_constant", "rotor_", "body_drag_area")
_INTERVAL = 1.96  # sigmas of 95 %
_ESC_APART = 0.1  # [-] that the speed by command and file may be off: so much a battery sags


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found, and where it stands."""

    aircraft_path: Path
    report_path: Path
    parameters: tuple[Parameter, ...]
    held_out: Array  # (3, 6), see level_wind.explained
    held_out_how: str
    flown_s: float
    trust: tuple[identify_trust.Trust, ...] = ()  # of what is known, by what it rests on
    notes: tuple[str, ...] = ()  # what changed in flight, and whether the file fits


def run(
    paths: list[Path],
    aircraft: Aircraft,
    aircraft_text: str,
    out: Path,
    progress: Progress = lambda done, what: None,
    *,
    mass_kg: float | None = None,
    vehicle: str | None = None,
) -> Outcome:
    """Identify ``aircraft`` from logs; writes ``out`` (YAML) and a report (HTML) beside it.

    ``mass_kg``: weighed; then the thrust constant is identified instead of the mass.
    ``vehicle``: which one, in recordings of several.

    Raises:
        UnusableFlight: a log cannot be read, is of another aircraft or of several without a word
            which, or no log holds a flight.
    """
    if aircraft.rotor_count < 3 or aircraft.surfaces or aircraft.pushers is not None:
        raise UnusableFlight(
            f"{aircraft.name} flies with wings or pushers; only multirotors are identified"
        )
    warm_up()
    config = IdentifyConfig()
    if mass_kg is not None:
        aircraft = replace(aircraft, mass_kg=mass_kg)
        config = replace(config, mass_sigma=0.005, thrust_sigma=0.2)
    flights: list[FlightBlocks] = []
    for index, path in enumerate(paths):
        share = 0.7 * index / len(paths)
        progress(share, path.name)
        flights.append(blocks_of(path, _one(path, vehicle), aircraft, config))
    usable = [flight for flight in flights if len(flight.blocks)]
    if not usable:
        causes = "; ".join(f"{f.name}: {_causes(f.refused)}" for f in flights)
        raise UnusableFlight(f"no judged flight in free air: {causes}")
    progress(0.7, "fit")
    craft = rows.craft(aircraft)
    seen = [changes.seen(f.blocks, aircraft, config) for f in usable]
    changed = [one.changes for one in seen]
    try:
        held, how, unlike = _held_out(usable, changed, craft, config)
        progress(0.85, "fit of all flights")
        found = fitting.fit([f.blocks for f in usable], craft, config, changed)
    except fitting.NothingToFit as error:
        raise UnusableFlight(str(error)) from error
    flown_s = float(sum(f.blocks[:, rows.SPAN].sum() for f in usable))
    first = prior.covariance(config, craft)
    parameters = verdict.parameters(
        aircraft, config, first, found.theta, found.covariance, flown_s
    )
    strange = next((one.strange for one in seen if one.strange), "")
    parameters = tuple(_trusted(p, held, strange, unlike.get(p.name, "")) for p in parameters)
    if not any(one.placed for one in seen):
        parameters = tuple(map(verdict.unplaced, parameters))
    trust = identify_trust.judged(parameters, held, how)
    parameters += identify_battery.together([f.battery for f in usable])
    pack = identify_battery.learnt([f.drain for f in flights], aircraft.battery)
    written = _changes(aircraft, aircraft_text, parameters, usable, mass_kg, pack)
    headline = (
        f"Identified by airtwin identify from {', '.join(f.name for f in usable)} "
        f"({flown_s:.0f} s of flight).\nWhat could not be identified keeps value and source."
    )
    notes = _noted(usable, seen)
    report_path = out.with_suffix(".html")
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, rewritten(aircraft_text, written, headline))
    page = identify_report.html(
        aircraft,
        parameters,
        usable,
        found,
        held,
        how,
        craft,
        [c.key for c in written],
        trust,
        notes,
    )
    _write(report_path, page)
    progress(1.0, "done")
    return Outcome(out, report_path, parameters, held, how, flown_s, trust, notes)


def _noted(flights: list[FlightBlocks], seen: list[changes.Seen]) -> tuple[str, ...]:
    """Return a line for each thing that changed in a flight, or speaks against the file."""
    notes = []
    for flight, one in zip(flights, seen, strict=True):
        if abs(flight.esc_ratio - 1.0) > _ESC_APART:
            far = not 1.0 / ESC_MOST < flight.esc_ratio < ESC_MOST
            what = (
                "were not believed"
                if far
                else "were believed: wrong if their number of poles is, which makes thrust over "
                "mass wrong by the square"
            )
            notes.append(
                f"{flight.name}: ESCs tell {flight.esc_ratio:.2f} times the rotor speeds of the "
                f"commands by the file, and {what}"
            )
        if one.strange:
            notes.append(f"{flight.name}: {one.strange}")
            continue
        for change in one.changes:
            at_s = flight.blocks[change.block, rows.STAMP]
            what = "the load" if change.rotor < 0 else f"the thrust of rotor {change.rotor + 1}"
            notes.append(
                f"{flight.name}: {what} changed {at_s:.0f} s after the log's first sample; "
                "told is what was so at the end"
            )
    return tuple(notes)


def _one(path: Path, vehicle: str | None) -> VehicleLog:
    """Return the log of the one aircraft that is to be identified: no two are alike."""
    logs = replay.chosen(path, replay.read(path), vehicle)
    if len(logs) > 1:
        names = ", ".join(log.name for log in logs)
        raise UnusableFlight(f"{path}: several aircraft, {names}: choose one by --vehicle")
    return logs[0]


def blocks_of(
    path: Path, log: VehicleLog, aircraft: Aircraft, config: IdentifyConfig
) -> FlightBlocks:
    """Return the judged blocks of one aircraft's log.

    Raises:
        UnusableFlight: no motor commands, no IMU, or another number of rotors.
    """
    name = path.name if log.name == "px4_0" else f"{path.name} ({log.name})"
    sources = {table.source: len(table) for table in log.tables}
    if not sources.get("motors"):
        raise UnusableFlight(
            f"{name}: no motor commands (topic actuator_motors or actuator_outputs); "
            "log them with SDLOG_PROFILE 1, or bridge them (PX4's dds_topics.yaml)"
        )
    if not sources.get("imu"):
        raise UnusableFlight(f"{name}: no IMU samples (topic sensor_combined)")
    taken: list[Array] = []
    pack = BatteryEstimator(aircraft.battery)
    voltages = [sample for _, _, sample in samples(log, Intake()) if isinstance(sample, Battery)]
    known_of_pack = [pack.on(sample) for sample in voltages]
    battery = pack.parameters() if any(known_of_pack) else ()

    def fly(ground_m: float | None) -> Blocks:
        taken.clear()
        blocks = Blocks(
            aircraft,
            config,
            lambda block, stamp, received: taken.append(block.copy()),
            ground_m=ground_m,
        )
        estimator, intake = Estimator(), Intake()
        for _, _, sample in samples(log, intake):
            state = estimator.on(sample)
            blocks.on(sample)
            if state is not None:
                blocks.on(state)
        return blocks

    blocks = fly(None)
    if HEIGHT_UNKNOWN in blocks.refused and blocks.ground_m is not None:
        blocks = fly(blocks.ground_m)  # it began in the air; the landing tells where the ground is
    if blocks.motors_seen != aircraft.rotor_count:
        raise UnusableFlight(
            f"{name}: {blocks.motors_seen} motors are commanded, "
            f"{aircraft.name} has {aircraft.rotor_count}"
        )
    table = np.array(taken) if taken else np.zeros((0, rows.width(aircraft.rotor_count)))
    drained = drain(voltages, aircraft.battery, BatteryConfig())
    refused = dict(blocks.refused)
    told = blocks.esc_ratio, blocks.thrust_factor
    return FlightBlocks(name, _date(log), table, refused, battery, drained, *told)


def _date(log: VehicleLog) -> str:
    """Return the day where the log's clock knows it, else ""."""
    if log.start_ns < 1_000_000_000_000_000_000:
        return ""
    start = datetime.datetime.fromtimestamp(log.start_ns * 1e-9, tz=datetime.timezone.utc)
    return start.strftime("%Y-%m-%d")


def _held_out(
    flights: list[FlightBlocks],
    changed: list[tuple[changes.Change, ...]],
    craft: rows.Craft,
    config: IdentifyConfig,
) -> tuple[Array, str, dict[str, str]]:
    """Fit without a part in which nothing changed; judge on that part.

    Returns also by name what that part alone tells otherwise.
    """
    last, late = flights[-1].blocks, changed[-1]
    begin, end = changes.longest(len(last), late)
    if len(flights) > 1:
        cut, how = begin, f"flight {flights[-1].name}"
    else:
        cut = round(end - (end - begin) * _HELD_OUT)
        how = "the last third of the flight"
    if late:
        how += ", of its longest piece without a change"
    before = tuple(change for change in late if change.block < cut)
    train = [f.blocks for f in flights[:-1]] + ([last[:cut]] if cut else [])
    first = fitting.fit(train, craft, config, [*changed[:-1], before][: len(train)])
    judge = last[cut:end]
    held = explained(first.theta, [judge], craft, config)
    try:
        # what had changed before may be anything for the judging part too
        free = tuple(change._replace(block=0) for one in (*changed[:-1], before) for change in one)
        alone = fitting.fit([judge], craft, config, [free])
    except fitting.NothingToFit:
        return held, how, {}
    one, other = (first.theta, first.covariance), (alone.theta, alone.covariance)
    return held, how, changes.unlike(one, other, len(craft.rotors))


def _trusted(parameter: Parameter, held_out: Array, strange: str, unlike: str) -> Parameter:
    """Return the parameter, as unknown where the model predicts far worse than the mean does.

    Force along the axis gives mass and all that is measured against it; forces along the discs
    give drag. Turns are not judged: commands logged seldom cannot predict them, and sigmas know.
    ``strange``: why nothing can be known by this file, ``unlike``: why this is not; "": nothing.
    """
    if strange:
        return replace(parameter, known=False, why=strange)
    lift, level = float(held_out[0, 2]), float(np.max(held_out[0, :2]))
    wrong, why = [], unlike
    if not lift >= _SHARE_LEAST and parameter.name.startswith(_BY_LIFT):
        wrong.append("force z")
    if not level >= _SHARE_LEAST and parameter.name.startswith(_BY_DRAG):
        wrong.append("force x and y")
    if wrong:
        axes = " and ".join(wrong)
        why = f"the model predicts {axes} far worse than the mean does: is this the file?"
    if not why or not parameter.known:
        return parameter
    return replace(parameter, known=False, why=why)


def _changes(
    aircraft: Aircraft,
    aircraft_text: str,
    parameters: tuple[Parameter, ...],
    flights: list[FlightBlocks],
    mass_kg: float | None,
    pack: tuple[Change, ...],
) -> tuple[Change, ...]:
    known = {p.name: p for p in parameters if p.known}
    logs = ", ".join(f.name + (f" of {f.date}" if f.date else "") for f in flights)

    def source(*names: str) -> str:
        parts = [
            f"{known[n].value - _INTERVAL * known[n].sigma:.5g} to "
            f"{known[n].value + _INTERVAL * known[n].sigma:.5g}"
            for n in names
        ]
        return f"identified from {logs}; 95 %: {', '.join(parts)}"

    out: list[Change] = []
    if (factor := flights[-1].thrust_factor) != aircraft.rotors.thrust_factor:
        out.append(Change("rotors.thrust_factor", f"{factor:.6g}", f"THR_MDL_FAC of {logs}"))
    if mass_kg is not None:
        out.append(Change("mass.mass_kg", f"{mass_kg:.6g}", "weighed, as told to identify"))
    elif "mass" in known:
        out.append(Change("mass.mass_kg", f"{known['mass'].value:.6g}", source("mass")))
    if "centre_x" in known and "centre_y" in known:
        x, y = known["centre_x"], known["centre_y"]
        before = _shift(aircraft_text)
        text = f"[{before[0] + x.value:.5f}, {before[1] + y.value:.5f}, {before[2]:.5f}]"
        out.append(Change("mass.shift_frd_m", text, source("centre_x", "centre_y")))
    for name, key, form in (
        ("thrust_constant", "rotors.thrust_n_s2", ".6e"),
        ("rotor_drag", "rotors.drag_n_s2_m", ".6e"),
        ("battery_resistance", "battery.resistance_ohm", ".5g"),
        ("battery_capacity", "battery.capacity_ah", ".5g"),
    ):
        if name in known and key not in {change.key for change in pack}:
            out.append(Change(key, format(known[name].value, form), source(name)))
    if "body_drag_area" in known:
        ratio = known["body_drag_area"].value / float(aircraft.drag_area_frd_m2[0])
        areas = ", ".join(f"{area * ratio:.5g}" for area in aircraft.drag_area_frd_m2)
        out.append(Change("body.drag_area_frd_m2", f"[{areas}]", source("body_drag_area")))
    rotors = [f"rotor_{i}_effectiveness" for i in range(aircraft.rotor_count)]
    if all(name in known for name in rotors):
        old = aircraft.rotor_effectiveness.tolist()
        values = [known[name].value * e for name, e in zip(rotors, old, strict=True)]
        text = "[" + ", ".join(f"{value:.4f}" for value in values) + "]"
        out.append(Change("effectiveness", text, source(*rotors)))
    return (*out, *pack)


def _shift(aircraft_text: str) -> list[float]:
    """Return the shift of the centre of mass (3,) [m] that the file has already."""
    mass = (yaml.safe_load(aircraft_text) or {}).get("mass") or {}
    return [float(x) for x in mass.get("shift_frd_m", (0.0, 0.0, 0.0))]


def _causes(refused: dict[str, int]) -> str:
    ranked = sorted(refused.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{cause} ({count})" for cause, count in ranked) or "no samples"


def _write(path: Path, text: str) -> None:
    try:
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UnusableFlight(f"{path}: {error.strerror or error}") from error
