# SPDX-License-Identifier: Apache-2.0
"""Which nodes run, as data. Pure: the launch files and the in-process runner read the same tuple.

sim  ->  fmu/out/*  ->  physics  ->  twin/state  ->  consistency  ->  consistency/report
mission  ->  fmu/in/*                     |                 |
airspace  <-------------------------------+      mission <--+  (and /airspace/advisory)
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ANY = ""
"""Among named aircraft: every vehicle that has no own entry."""
Value = bool | int | float | str | tuple[str, ...]


class Mode(enum.Enum):
    """What a twin may do. Only in ``twin`` does a publisher on ``fmu/in`` exist."""

    MODEL = "model"
    SHADOW = "shadow"
    TWIN = "twin"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: what to start and with which values.

    ``process`` groups the nodes that share an operating system process where the runner makes
    several. ``config``: the node's YAML in ``config/``; ``parameters`` win over it.
    """

    package: str
    name: str
    namespace: str
    process: str
    parameters: dict[str, Value] = field(default_factory=dict)
    executable: str = "node"

    @property
    def config(self) -> str:
        """Name of the node's parameter file under ``config/``."""
        return f"{self.name}.yaml"


@dataclass(frozen=True, slots=True)
class Aircraft:
    """One aircraft of a run: its name (px4_0, px4_1, ...), mission file and authority.

    ``arming``: in mode twin the mission may start the motors itself; else it waits for a person.
    ``model``: name in ``config/aircraft`` or path of such a file; empty: unknown.
    ``external_odometry``: in mode twin the estimate goes back to PX4.
    """

    vehicle: str
    mode: Mode = Mode.SHADOW
    mission: Path | None = None
    arming: bool = False
    model: str = ""
    external_odometry: bool = False


def followed(
    vehicles: tuple[str, ...],
    mode: Mode,
    mission: Path | None,
    *,
    arming: bool = False,
    models: Mapping[str, str] | None = None,
    external_odometry: bool = False,
) -> tuple[Aircraft, ...]:
    """Return the aircraft of a run that attaches to ``vehicles``; ``models``: see ``named``.

    Raises:
        ValueError: mode twin with nothing to do, odometry in another mode, one mission for
            several aircraft, or a model of a vehicle that is not followed.
    """
    if mode is Mode.TWIN and mission is None and not external_odometry:
        raise ValueError(
            "mode twin flies a mission or gives odometry: name --mission, or "
            "--external-odometry, or use --mode shadow"
        )
    if external_odometry and mode is not Mode.TWIN:
        raise ValueError(
            f"external odometry needs --mode twin: in mode {mode.value} nothing can reach the "
            "aircraft"
        )
    if mission is not None and len(vehicles) != 1:
        raise ValueError(f"one mission for {len(vehicles)} aircraft: attach them one by one")
    models = models or {}
    strangers = set(models) - {ANY, *vehicles}
    if strangers:
        raise ValueError(f"an aircraft is named for {', '.join(sorted(strangers))}, not followed")
    return tuple(
        Aircraft(vehicle, mode, mission, arming, model_of(models, vehicle), external_odometry)
        for vehicle in vehicles
    )


def named(text: str) -> dict[str, str]:
    """Return vehicle -> aircraft file of "x500" (all of them), or "px4_1=x500,px4_2=octo".

    Raises:
        ValueError: a part of the list is empty.
    """
    models = {}
    for part in filter(None, text.split(",")):
        vehicle, _, model = part.rpartition("=")
        if not model:
            raise ValueError(f"{part!r} names no aircraft")
        models[vehicle or ANY] = model
    return models


def model_of(models: Mapping[str, str], vehicle: str) -> str:
    """Return the aircraft file of ``vehicle``, empty if nobody named one."""
    return models.get(vehicle, models.get(ANY, ""))


def namespace(vehicle: str) -> str:
    """Return the vehicle's ROS namespace; PX4 gives its first instance none."""
    return "" if vehicle == "px4_0" else vehicle


def twin(aircraft: Aircraft, *, use_sim_time: bool = False) -> tuple[NodeSpec, ...]:
    """Return the nodes beside one aircraft."""
    where = {"namespace": namespace(aircraft.vehicle), "process": aircraft.vehicle}
    clock: dict[str, Value] = {"use_sim_time": use_sim_time}
    physics: dict[str, Value] = {
        "aircraft": aircraft.model,
        "mode": aircraft.mode.value,
        "publish_external_odometry": aircraft.external_odometry,
        **clock,
    }
    nodes = [
        NodeSpec("airtwin_physics", "physics", parameters=physics, **where),
        NodeSpec("airtwin_consistency", "consistency", parameters=clock, **where),
    ]
    if aircraft.mission is not None:
        mission: dict[str, Value] = {
            "mission": str(aircraft.mission),
            "mode": aircraft.mode.value,
            "arming": aircraft.arming,
            "monitor_required": aircraft.mode is Mode.TWIN,
            "airspace_required": aircraft.mode is Mode.TWIN,
            **clock,
        }
        nodes.append(NodeSpec("airtwin_mission", "mission", parameters=mission, **where))
    return tuple(nodes)


def overview(
    vehicles: tuple[str, ...], *, zones: Path | None, use_sim_time: bool = False
) -> tuple[NodeSpec, ...]:
    """Return the nodes above all aircraft: airspace manager and console (RViz)."""
    values: dict[str, Value] = {"vehicles": vehicles, "use_sim_time": use_sim_time}
    zoned = values | {"zones": str(zones) if zones else ""}
    return (
        NodeSpec("airtwin_airspace", "airspace", "", "airspace", zoned),
        NodeSpec("airtwin_console", "console", "", "airspace", values),
    )


def simulator(
    scenario: Path, *, speed: float = 1.0, lockstep: bool = False, seed: int = -1
) -> NodeSpec:
    """Return the embedded simulator; ``seed`` -1 keeps the scenario's."""
    values: dict[str, Value] = {
        "scenario": str(scenario),
        "speed": speed,
        "lockstep": lockstep,
        "seed": seed,
    }
    return NodeSpec("airtwin_sim", "sim", "", "sim", values)


def recorder(vehicles: tuple[str, ...], path: Path) -> NodeSpec:
    """Return the node that writes every topic of these vehicles to one MCAP file."""
    return NodeSpec(
        "airtwin_record",
        "recorder",
        "",
        "recorder",
        {"vehicles": vehicles, "path": str(path)},
    )


def simulated(
    aircraft: tuple[Aircraft, ...],
    scenario: Path,
    *,
    zones: Path | None = None,
    speed: float = 1.0,
    lockstep: bool = False,
    seed: int = -1,
) -> tuple[NodeSpec, ...]:
    """Return everything for a flight in the embedded simulator."""
    vehicles = tuple(a.vehicle for a in aircraft)
    own_clock = lockstep or speed != 1.0
    twins = (spec for a in aircraft for spec in twin(a, use_sim_time=own_clock))
    return (
        simulator(scenario, speed=speed, lockstep=lockstep, seed=seed),
        *twins,
        *overview(vehicles, zones=zones, use_sim_time=own_clock),
    )


def attached(aircraft: tuple[Aircraft, ...], *, zones: Path | None = None) -> tuple[NodeSpec, ...]:
    """Return everything beside aircraft that fly already (PX4 in Gazebo, or real ones)."""
    vehicles = tuple(a.vehicle for a in aircraft)
    return (*(spec for a in aircraft for spec in twin(a)), *overview(vehicles, zones=zones))
