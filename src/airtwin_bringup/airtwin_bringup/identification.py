# SPDX-License-Identifier: Apache-2.0
"""``./airtwin identify``: the aircraft's file in, the fit shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airtwin_core import aircraft as aircraft_files
from airtwin_physics.identify.fit import AXES
from airtwin_record import identify, identify_report


def run(
    logs: list[Path],
    name: str,
    out: Path,
    mass_kg: float | None,
    progress: Callable[[float, str], None],
    vehicle: str | None = None,
) -> identify.Outcome:
    """Identify the aircraft ``name`` (or file) from logs; ``vehicle``: which one of several.

    Raises:
        AircraftError: no such aircraft.
        UnusableFlight: a log or all of them cannot be used; the message is one line.
    """
    path = Path(name)
    if path.suffix != ".yaml":
        path = aircraft_files.folder("config") / "aircraft" / f"{name}.yaml"
    craft = aircraft_files.load(path)
    text = path.read_text(encoding="utf-8")
    return identify.run(logs, craft, text, out, progress, mass_kg=mass_kg, vehicle=vehicle)


def show(outcome: identify.Outcome, console: Console) -> None:
    """Print what was found, what was not, and where the files are."""
    table = Table(title=f"{outcome.flown_s:.0f} s of judged flight", title_justify="left")
    for title in ("property", "value", "95 %", "file", "unit"):
        table.add_column(title, justify="left" if title in ("property", "unit") else "right")
    unknown: dict[str, list[str]] = {}
    for p in outcome.parameters:
        name = identify_report.row(p)["name"]
        if not p.known:
            unknown.setdefault(p.why, []).append(name)
            continue
        interval = f"{p.value - 1.96 * p.sigma:.4g} .. {p.value + 1.96 * p.sigma:.4g}"
        table.add_row(name, f"{p.value:.4g}", interval, f"{p.prior:.4g}", p.unit)
    console.print(table)
    for why, names in unknown.items():
        console.print(f"[bold]unknown:[/] {', '.join(names)} ({why})", highlight=False)
    for note in outcome.notes:
        console.print(f"[bold]seen in flight:[/] {note}", highlight=False)
    explained = ", ".join(
        f"{axis} {100.0 * share:.0f} %"
        for axis, share in zip(AXES, outcome.held_out[0], strict=True)
    )
    console.print(f"variance explained on {outcome.held_out_how}: {explained}", highlight=False)
    for told, good, why in outcome.trust:
        head = "[bold]trust[/]" if good else "[bold yellow]do not trust[/]"
        console.print(f"{head} {', '.join(told)}: {why}", highlight=False)
    if not outcome.trust:
        console.print("[bold yellow]nothing could be identified[/]", highlight=False)
    for path in (outcome.aircraft_path, outcome.report_path):
        console.print(str(path), highlight=False, soft_wrap=True)
