# SPDX-License-Identifier: Apache-2.0
"""``./airtwin``: what a person types."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from airtwin_bringup.graph import Mode

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The digital twin for Advanced Air Mobility on ROS 2.",
    pretty_exceptions_show_locals=False,
)
console = Console()
errors = Console(stderr=True)

UNUSABLE_INPUT = 2

Out = Annotated[
    Path | None, typer.Option("--out", help="Folder for the results; default runs/<time>-<name>.")
]
Models = Annotated[
    str,
    typer.Option(
        "--aircraft",
        help="Which aircraft it is: x500 (of config/aircraft) or a file; px4_1=x500,px4_2=octo.",
    ),
]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")]


def _out(out: Path | None, name: str) -> Path:
    return out or Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"


def _fail(message: object, code: int = 1) -> typer.Exit:
    errors.print(f"[bold red]airtwin:[/] {message}", highlight=False, soft_wrap=True)
    return typer.Exit(code)


@app.command()
def demo(
    duration: Annotated[
        float, typer.Option("--duration", min=5.0, max=600.0, help="Longest flight, in s.")
    ] = 90.0,
    aircraft: Annotated[int, typer.Option("--aircraft", min=1, max=20)] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of noise, gusts and biases.")] = 1,
    plain: Plain = False,
    out: Out = None,
) -> None:
    """Fly several simulated aircraft with twins beside them, break them, and report."""
    from airtwin_bringup import kernels, processes

    kernels.ready(console)
    processes.open_nursery()
    from airtwin_bringup import demo as demonstration

    raise typer.Exit(
        demonstration.fly(
            out=_out(out, "demo"),
            flight_max_s=duration,
            count=aircraft,
            seed=seed,
            plain=plain,
            console=console,
        )
    )


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="ULog, or MCAP of ROS 2 topics.")],
    out: Out = None,
    vehicle: Annotated[
        str | None, typer.Option("--vehicle", help="px4_0, px4_1, ...; default: all.")
    ] = None,
    aircraft: Models = "",
) -> None:
    """Run the twin over a recorded flight: report.html, summary.json, twin.mcap.

    With --aircraft its mass, rotors and battery are identified as well.
    """
    from rich.progress import Progress

    from airtwin_bringup import graph, outcome, settings
    from airtwin_core.aircraft import AircraftError
    from airtwin_record import replay as replaying
    from airtwin_record.flight import UnusableFlight

    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(file.name, total=1.0)
            result = replaying.run(
                file,
                out=_out(out, file.stem),
                vehicle=vehicle,
                progress=lambda done: bar.update(task, completed=done),
                config=settings.estimator(),
                limits=settings.limits(),
                models=graph.named(aircraft),
            )
    except (UnusableFlight, AircraftError) as error:
        raise _fail(error, UNUSABLE_INPUT) from None
    except ValueError as error:
        raise _fail(error) from None
    outcome.show(result, console)


@app.command()
def identify(
    logs: Annotated[list[Path], typer.Argument(help="ULog or MCAP files of flights.")],
    aircraft: Annotated[
        str, typer.Option("--aircraft", help="Name in config/aircraft, or a file.")
    ] = "x500",
    out: Annotated[
        Path | None, typer.Option("--out", help="The new aircraft file; the report beside it.")
    ] = None,
    mass: Annotated[
        float | None,
        typer.Option("--mass", min=0.01, help="As weighed, in kg: then thrust is identified."),
    ] = None,
    vehicle: Annotated[
        str | None, typer.Option("--vehicle", help="px4_1, ...: which, in recordings of several.")
    ] = None,
) -> None:
    """Identify an aircraft from its flights: a new aircraft file and a report of the fit."""
    from rich.progress import Progress

    from airtwin_bringup import identification
    from airtwin_core.aircraft import AircraftError
    from airtwin_record.flight import UnusableFlight

    target = out or _out(None, "identify") / f"{Path(aircraft).stem}.yaml"
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("reading", total=1.0)
            outcome = identification.run(
                logs,
                aircraft,
                target,
                mass,
                lambda done, what: bar.update(task, completed=done, description=what),
                vehicle,
            )
    except (UnusableFlight, AircraftError) as error:
        raise _fail(error, UNUSABLE_INPUT) from None
    identification.show(outcome, console)


@app.command()
def rollout(
    plan: Annotated[
        Path, typer.Option("--plan", help="The mission: QGroundControl .plan or YAML.")
    ],
    aircraft: Annotated[
        str, typer.Option("--aircraft", help="Name in config/aircraft, or a file.")
    ] = "x500",
    wind: Annotated[
        str, typer.Option("--wind", help="m/s and where it comes from in deg, such as 8,270.")
    ] = "0,0",
    wind_sigma: Annotated[
        float, typer.Option("--wind-sigma", min=0.0, max=20.0, help="How sure, in m/s.")
    ] = 1.0,
    gusts: Annotated[
        float, typer.Option("--gusts", min=0.0, max=5.0, help="1: Dryden's for this wind.")
    ] = 1.0,
    n: Annotated[
        int | None,
        typer.Option("--n", min=1, max=100_000, help="Flights; default 1000, of wings 200."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    charge: Annotated[
        float, typer.Option("--charge", min=1.0, max=100.0, help="Battery at the start, in %.")
    ] = 100.0,
    reserve: Annotated[
        float,
        typer.Option("--reserve", min=0.0, max=99.0, help="Battery wanted at the end, in %."),
    ] = 15.0,
    place_sigma: Annotated[
        float, typer.Option("--place-sigma", min=0.0, max=50.0, help="Of its own place, in m.")
    ] = 1.0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Figures; default beside the page.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Page; default runs/<time>-rollout/, none with --json alone."),
    ] = None,
) -> None:
    """Fly a mission a thousand times ahead: when and with which battery it gets where."""
    from airtwin_bringup import rollouts
    from airtwin_core.aircraft import AircraftError
    from airtwin_mission.plan import MissionError

    page = html or (_out(None, "rollout") / "rollout.html" if json is None else None)
    figures = json or (page.with_suffix(".json") if page is not None else None)
    try:
        rollouts.run(
            plan,
            aircraft,
            rollouts.air(wind, wind_sigma, gusts),
            n,
            seed,
            charge / 100.0,
            reserve / 100.0,
            place_sigma,
            (figures, page),
            console,
        )
    except (MissionError, AircraftError) as error:
        raise _fail(error, UNUSABLE_INPUT) from None
    except ValueError as error:
        raise _fail(error) from None


@app.command()
def attach(
    vehicle: Annotated[
        str,
        typer.Option("--vehicle", help="px4_0 (no namespace), px4_1, ... or a list with commas."),
    ] = "px4_0",
    mode: Annotated[
        Mode,
        typer.Option("--mode", help="shadow: cannot command anything; twin: flies --mission."),
    ] = Mode.SHADOW,
    mission: Annotated[
        Path | None, typer.Option("--mission", help="QGroundControl .plan or YAML.", exists=True)
    ] = None,
    arm: Annotated[
        bool, typer.Option("--arm", help="Mode twin: start the motors; else wait for a person.")
    ] = False,
    zones: Annotated[
        Path | None, typer.Option("--zones", help="ED-269 or GeoJSON.", exists=True)
    ] = None,
    aircraft: Models = "",
    external_odometry: Annotated[
        bool,
        typer.Option(
            "--external-odometry",
            help="Mode twin: send the twin's estimate to PX4 as external vision (EKF2_EV_CTRL).",
        ),
    ] = False,
    duration: Annotated[
        float | None, typer.Option("--duration", help="End after so many s in the air.")
    ] = None,
    plain: Plain = False,
    out: Out = None,
) -> None:
    """Put a twin beside an aircraft that is on the uXRCE-DDS bridge. Ctrl-C ends and reports."""
    from airtwin_bringup import kernels, processes

    kernels.ready(console)
    processes.open_nursery(twins_only=True)
    from airtwin_bringup import attach as attaching
    from airtwin_bringup import graph

    try:
        session = attaching.session(
            tuple(vehicle.split(",")),
            mode,
            mission=mission,
            arming=arm,
            zones=zones,
            out=_out(out, "attach"),
            flight_max_s=duration,
            plain=plain,
            models=graph.named(aircraft),
            external_odometry=external_odometry,
        )
    except ValueError as error:
        raise _fail(error) from None
    raise typer.Exit(attaching.attach(session, console))


@app.command()
def sim(
    scenario: Annotated[
        str, typer.Argument(help="Name in config/scenarios, or a file.")
    ] = "single",
    speed: Annotated[
        float, typer.Option("--speed", min=0.01, max=100.0, help="x real time.")
    ] = 1.0,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="Stand still until sim/advance says how far.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="-1: the scenario's.")] = -1,
) -> None:
    """Run the embedded simulator alone, for any ROS 2 tool; Ctrl-C ends it."""
    from airtwin_bringup import simulator

    raise typer.Exit(simulator.run(scenario, speed, lockstep, seed, console))


@app.command()
def doctor(
    timeout: Annotated[float, typer.Option("--timeout", help="Listen for so many s.")] = 5.0,
) -> None:
    """Say what was found (Python, ROS, PX4 topics, agent) and what to do about each mismatch."""
    from airtwin_bringup import doctor as doctoring

    raise typer.Exit(doctoring.run(timeout))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="foundation or physics")],
    json: Annotated[Path, typer.Option("--json", help="Where the figures go.")],
) -> None:
    """Measure every published figure and write one JSON object; fails if a part could not be."""
    from airtwin_bringup import benches, paths

    try:
        complete = benches.run(name, json, console)
    except (KeyError, paths.Unwritable) as error:
        raise _fail(error.args[0]) from None
    if not complete:
        raise _fail(f"not all was measured: see failed in {json}")


if __name__ == "__main__":
    app()
