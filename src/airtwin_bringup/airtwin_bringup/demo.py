# SPDX-License-Identifier: Apache-2.0
"""``./airtwin demo``: several aircraft, a conflict, wind, a spoofed GNSS, a weak motor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from airtwin_bringup import graph, outcome, paths, scenarios
from airtwin_bringup.session import Session, run

WAIT_FOR_TAKEOFF_S = 240.0  # the first start compiles the kernels
ROW_EAST_M, ROW_SPACING_M, ROW_LEG_M = -70.0, 30.0, 60.0
"""Aircraft beyond the scenario's own shuttle side by side, west of everything else."""


def fly(
    *, out: Path, flight_max_s: float, count: int, seed: int, plain: bool, console: Console
) -> int:
    """Fly the demo and return the exit code: 0 if it flew and was recorded."""
    scenario = prepare(out, count=count, seed=seed)
    aircraft = scenarios.aircraft(scenario, out / "missions")
    session = Session(
        specs=graph.simulated(aircraft, scenario, zones=paths.config("airspace/demo_zones.json")),
        vehicles=tuple(a.vehicle for a in aircraft),
        out=out,
        title=f"AirTwin demo: {count} aircraft in the embedded simulator",
        plain=plain,
        flight_max_s=flight_max_s,
        wait_max_s=WAIT_FOR_TAKEOFF_S,
        until_landed=True,
        models={a.vehicle: a.model for a in aircraft},
    )
    return outcome.report(run(session, console), session, console)


def prepare(out: Path, *, count: int, seed: int) -> Path:
    """Write scenario and missions of this run to ``out``, so that it can be flown again."""
    missions = out / "missions"
    missions.mkdir(parents=True, exist_ok=True)
    document = yaml.safe_load(paths.config("scenarios/demo.yaml").read_text())
    vehicles = document["vehicles"][:count]
    for source in paths.config("missions").glob("demo_*"):
        shutil.copy(source, missions)
    for row in range(count - len(vehicles)):
        name = f"px4_{len(vehicles) + 1}"
        east = ROW_EAST_M - ROW_SPACING_M * row
        vehicles.append({"name": name, "start_ned_m": [0.0, east, 0.0]})
        (missions / f"demo_{name}.yaml").write_text(
            yaml.safe_dump(_shuttle(name, east, document["origin"]), sort_keys=False)
        )
    names = {vehicle["name"] for vehicle in vehicles}
    document["vehicles"] = vehicles
    document["faults"] = [
        fault for fault in document["faults"] if fault.get("vehicle", "") in names | {""}
    ]
    document["seed"] = seed
    scenario = out / "demo.yaml"
    scenario.write_text(yaml.safe_dump(document, sort_keys=False))
    return scenario


def _shuttle(name: str, east_m: float, origin: dict[str, float]) -> dict[str, Any]:
    return {
        "mission": 1,
        "name": f"demo {name}, there and back",
        "origin": origin,
        "speed_m_s": 5.0,
        "steps": [
            {"take_off": {"height_m": 10.0}},
            {"go_to": {"ned_m": [ROW_LEG_M, east_m, -10.0]}},
            {"land": {"ned_m": [0.0, east_m, 0.0]}},
        ],
    }
