# SPDX-License-Identifier: Apache-2.0
"""``./airtwin rollout``: a mission's future, as files and on screen."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airtwin_bringup import paths
from airtwin_core import aircraft as aircraft_files
from airtwin_mission import mission_file
from airtwin_record import forecast, forecast_report


def air(text: str, sigma_m_s: float, gust: float) -> forecast.Air:
    """Return the air of ``8,270``: 8 m/s from 270 degrees.

    Raises:
        ValueError: no such pair of numbers.
    """
    try:
        speed, away = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--wind {text}: expected speed,direction such as 8,270") from None
    if not (0.0 <= speed <= 60.0 and 0.0 <= away <= 360.0):
        raise ValueError(f"--wind {text}: expected 0 to 60 m/s and 0 to 360 deg")
    return forecast.Air(speed, away, sigma_m_s, gust)


def run(
    plan: Path,
    aircraft: str,
    wind: forecast.Air,
    n: int | None,
    seed: int,
    charge: float,
    reserve: float,
    place_sigma_m: float,
    targets: tuple[Path | None, Path | None],
    console: Console,
) -> None:
    """Fly the mission n times; write JSON and page to ``targets``, print the table.

    Raises:
        AircraftError, MissionError, ValueError: what was asked cannot be flown, or nothing be
            written to ``targets``; one line.
    """
    craft = aircraft_files.load(Path(aircraft) if aircraft.endswith(".yaml") else aircraft)
    mission = mission_file.load(plan)
    for path in targets:
        if path is not None:
            paths.make_room(path)
    n = n or (200 if craft.surfaces else 1000)
    with console.status(f"flying {n} times (the first time kernels are compiled)"):
        found = forecast.run(
            mission,
            craft,
            wind,
            n,
            seed,
            charge=charge,
            reserve=reserve,
            place_sigma_m=place_sigma_m,
        )
    figures = forecast.summary(found)
    texts = json.dumps(figures, indent=2, allow_nan=False) + "\n", ""
    if targets[1] is not None:
        texts = texts[0], forecast_report.html(found, figures)
    for path, text in zip(targets, texts, strict=True):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    table = Table(title=f"{mission.name}: {n} flights of {craft.name}", title_justify="left")
    for name in ("waypoint", "reached", "time [s]", "energy [Wh]", "battery left [%]"):
        table.add_column(name, justify="left" if name == "waypoint" else "right")
    for row in figures["waypoints"]:
        left = {k: None if v is None else 100.0 * v for k, v in row["battery_left"].items()}
        cells = (_range(row["time_s"]), _range(row["energy_wh"]), _range(left))
        table.add_row(row["name"], f"{100.0 * row['reached']:.1f} %", *cells)
    console.print(table)
    width = figures["half_width_m"]
    console.print(
        f"{100.0 * figures['arrived_above_reserve']:.1f} % arrive with more than "
        f"{100.0 * reserve:.0f} % of the battery; {100.0 * figures['lost']:.1f} % are lost",
        highlight=False,
    )
    if width["p95"] is not None:
        console.print(
            f"95 % of the flights stay within {width['p95']:.1f} m of the plan's line, "
            f"99 % within {width['p99']:.1f} m",
            highlight=False,
        )
    for note in figures["left_out"]:
        console.print(f"left out: {note}", highlight=False)
    for path in targets:
        if path is not None:
            console.print(str(path), highlight=False, soft_wrap=True)


def _range(spread: dict[str, float | None]) -> str:
    """Return the median with 5 to 95 % behind it."""
    if spread["p50"] is None:
        return "–"
    return f"{spread['p50']:.1f} ({spread['p5']:.1f} .. {spread['p95']:.1f})"
