# SPDX-License-Identifier: Apache-2.0
"""Which aircraft a scenario flies, and on which missions."""

from __future__ import annotations

from pathlib import Path

from airtwin_bringup import paths
from airtwin_bringup.graph import Aircraft, Mode
from airtwin_sim import scenario
from airtwin_sim.scenario import VehicleSpec


def aircraft(path: Path, missions: Path | None = None) -> tuple[Aircraft, ...]:
    """Return the scenario's aircraft with the missions named after them.

    The mission of px4_1 in ``demo.yaml`` is ``<missions>/demo_px4_1.plan`` or ``.yaml``;
    ``missions`` is ``config/missions`` unless given. With a mission an aircraft is flown by its
    twin, without one it is followed.

    Raises:
        airtwin_sim.scenario.ScenarioError: the scenario can't be read.
    """
    folder = missions or paths.config("missions")
    return tuple(
        _with_mission(vehicle, folder, path.stem) for vehicle in scenario.load(path).vehicles
    )


def _with_mission(vehicle: VehicleSpec, folder: Path, stem: str) -> Aircraft:
    for suffix in (".plan", ".yaml"):
        mission = folder / f"{stem}_{vehicle.name}{suffix}"
        if mission.exists():
            return Aircraft(vehicle.name, Mode.TWIN, mission, arming=True, model=vehicle.aircraft)
    return Aircraft(vehicle.name, model=vehicle.aircraft)
