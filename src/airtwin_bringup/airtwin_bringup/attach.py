# SPDX-License-Identifier: Apache-2.0
"""``./airtwin attach``: a twin beside an aircraft that is on the uXRCE-DDS bridge."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from airtwin_bringup import bridge, graph, outcome, sighting
from airtwin_bringup.graph import Mode
from airtwin_bringup.session import Session, run
from airtwin_core.aircraft import load

LOOK_S = 4.0
"""So long it listens first, at most: discovery of PX4's topics takes 2 to 3 s."""


def session(
    vehicles: tuple[str, ...],
    mode: Mode,
    *,
    mission: Path | None,
    arming: bool,
    zones: Path | None,
    out: Path,
    flight_max_s: float | None,
    plain: bool,
    models: dict[str, str] | None = None,
    external_odometry: bool = False,
) -> Session:
    """Return what to run.

    Raises:
        ValueError: mode twin with nothing to do or with a duration, one mission for several
            aircraft, a mission or an aircraft file that can't be read.
    """
    if mode is Mode.TWIN and flight_max_s is not None:
        raise ValueError("--duration would leave the aircraft in the air: mode twin has none")
    aircraft = graph.followed(
        vehicles,
        mode,
        mission,
        arming=arming,
        models=models,
        external_odometry=external_odometry,
    )
    for one in aircraft:
        if one.model:
            load(one.model)
    if mission is not None:
        from airtwin_mission import mission_file  # an aircraft may wait for a twin without one

        mission_file.load(mission)
    return Session(
        specs=graph.attached(aircraft, zones=zones),
        vehicles=vehicles,
        out=out,
        title=f"AirTwin beside {', '.join(vehicles)}, mode {mode.value}",
        plain=plain,
        flight_max_s=flight_max_s,
        until_landed=mission is not None and mode is Mode.TWIN,
        commands=mode is Mode.TWIN,
        models={one.vehicle: one.model for one in aircraft if one.model},
    )


def attach(session: Session, console: Console) -> int:
    """Follow until Ctrl-C (or the mission's end), then report; return the exit code.

    A vehicle whose topics carry other messages than this workspace was built with is refused:
    read all the same, they would be silent garbage.
    """
    heard = bridge.listen(LOOK_S, vehicles=session.vehicles)
    seen = [s for s in heard if s.vehicle in session.vehicles]
    foreign = sighting.foreign_versions(seen, bridge.expected_topics())
    for line in foreign:
        console.print(
            f"[bold red]airtwin:[/] cannot read {line}; ./airtwin doctor says more",
            highlight=False,
            soft_wrap=True,
        )
    if foreign:
        return 1
    silent = set(session.vehicles) - {s.vehicle for s in seen}
    if silent:
        console.print(
            f"nothing from {', '.join(sorted(silent))} yet: waiting; ./airtwin doctor says why",
            highlight=False,
        )
    return outcome.report(run(session, console), session, console)
