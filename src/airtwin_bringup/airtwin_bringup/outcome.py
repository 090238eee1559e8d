# SPDX-License-Identifier: Apache-2.0
"""What a run ends with: the report, and its gist in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from airtwin_bringup import settings
from airtwin_bringup.session import Ended, Session


def report(ended: Ended, session: Session, console: Console) -> int:
    """Write report, summary and twin.mcap of a recorded run; return the exit code."""
    # numba and plotly load slowly, and only now are they needed
    from airtwin_record import replay
    from airtwin_record.flight import UnusableFlight

    console.print(f"{ended.reason}; writing the report", highlight=False)
    recording = session.recording
    try:
        result = replay.run(
            recording,
            out=session.out,
            config=settings.estimator(),
            limits=settings.limits(),
            models=session.models,
        )
    except UnusableFlight as error:
        console.print(f"[red]no report:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    show(result, console)
    for part in sorted(recording.parent.glob(f"{recording.stem}.*{recording.suffix}")):
        console.print(
            f"[yellow]not in the report:[/] {part}, from before the recorder was restarted; "
            "./airtwin replay reads it",
            highlight=False,
            soft_wrap=True,
        )
    return 0 if ended.as_it_should else 1


def show(result: Any, console: Console) -> None:
    """Print verdict, events and where the files are."""
    summary = result.summary
    if summary["events"]:
        console.print(_events(summary))
    elif summary["verdict"] == "consistent":
        console.print("[green]no deviation found[/]")
    else:
        console.print("[yellow]nothing could be judged[/]")
        for line in _unused(summary):
            console.print(f"[yellow]no sample used:[/] {line}", highlight=False, soft_wrap=True)
    rmse = summary["errors"]["position_rmse_m"]
    if rmse:
        console.print(
            f"position RMSE against ground truth: twin {rmse['twin']:.2f} m, "
            f"PX4 {rmse['px4']:.2f} m",
            highlight=False,
        )
    console.print(
        f"{summary['duration_s']:.1f} s of flight, "
        f"{summary['realtime_factor']:.0f} times real time",
        highlight=False,
    )
    for note in summary["skipped"]:
        console.print(f"[yellow]skipped:[/] {note}", highlight=False, soft_wrap=True)
    for path in result.paths:
        console.print(str(path), highlight=False, soft_wrap=True)


def _unused(summary: dict[str, Any]) -> list[str]:
    """Return the topics that the twin needs and of which it could use nothing, and why."""
    from airtwin_record.summary import NEEDLESS

    return [
        f"{topic}: {', '.join(f'{cause} ({n})' for cause, n in counts['rejected'].items())}"
        for topic, counts in summary["topics"].items()
        if not counts["used"] and counts["rejected"] and set(counts["rejected"]) != {NEEDLESS}
    ]


def _events(summary: dict[str, Any]) -> Table:
    table = Table(title="deviations", title_justify="left")
    for heading in ("aircraft", "from", "to", "requirement"):
        table.add_column(heading, no_wrap=True)
    table.add_column("cause")
    table.add_column("statistic/limit", no_wrap=True)
    for event in summary["events"]:
        end = event["end_s"]
        statistic = event["statistic"]
        table.add_row(
            event["vehicle"],
            f"{event['start_s']:.1f} s",
            "open" if end is None else f"{end:.1f} s",
            event["requirement"],
            event["cause"],
            f"{'-' if statistic is None else format(statistic, '.3g')} / {event['limit']:.3g}",
        )
    return table
