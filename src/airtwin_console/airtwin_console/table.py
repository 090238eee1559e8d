# SPDX-License-Identifier: Apache-2.0
"""The live table of a run, 100 columns wide: values in, a rich renderable or plain lines out.

Pure: it listens to nothing and reads no clock. Whoever feeds it (``on_*``) also draws it
(``render``, ``plain_line``) and says what time it is.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from airtwin_console.report import failing_factors
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    POS,
    Advisory,
    AdvisoryAction,
    Deviation,
    Identification,
    MissionBelief,
    Origin,
    Phase,
    Report,
    TwinState,
    Verdict,
)

WIDTH = 100
LINES_BELOW = 11
"""Open deviations and recent events share so many lines: the picture does not jump."""
_OPEN_SHOWN = 3
SILENT_S = 1.5
_BAR = 5
_ARROWS = "↑↗→↘↓↙←↖"
_NS = 1e9

_VERDICT: dict[Verdict, tuple[str, str]] = {
    Verdict.CONSISTENT: ("● consistent", "green"),
    Verdict.INCONSISTENT: ("▲ INCONSISTENT", "bold red"),
    Verdict.UNKNOWN: ("○ unknown", "yellow"),
}
_ACTION: dict[AdvisoryAction, str] = {
    AdvisoryAction.CLEAR: "green",
    AdvisoryAction.HOLD: "bold yellow",
    AdvisoryAction.RETURN: "bold magenta",
    AdvisoryAction.LAND: "bold magenta",
}
_PHASE: dict[Phase, str] = {
    Phase.HOLD: "bold yellow",
    Phase.RETURN: "bold magenta",
    Phase.ABORTED: "bold red",
    Phase.IDLE: "dim",
    Phase.DONE: "green",
}


@dataclass(slots=True)
class Row:
    """What is known of one aircraft."""

    state: TwinState | None = None
    report: Report | None = None
    belief: MissionBelief | None = None
    advisory: Advisory | None = None
    found: Identification | None = None
    deviations: dict[str, Deviation] = field(default_factory=dict)
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the list of recent events."""

    time_s: float
    vehicle: str
    text: str
    style: str


class Board:
    """Rows of aircraft and the last events of one run.

    North and east count from the pad of the first aircraft (px4_1 before px4_2), so that those of
    two aircraft can be compared; heights count from each one's own pad.
    """

    def __init__(self, title: str, vehicles: tuple[str, ...] = ()) -> None:
        self._title = title
        self._rows = {vehicle: Row() for vehicle in vehicles}
        self._events: deque[Event] = deque(maxlen=LINES_BELOW)
        self._unsaid: list[Event] = []
        self._now_s = 0.0
        self._latest_ns = 0
        self._drawn_ns: int | None = None
        self._shifts: dict[tuple[Origin, Origin], tuple[float, float]] = {}

    # --- what comes in ---------------------------------------------------------------------------

    def on_state(self, vehicle: str, state: TwinState) -> None:
        """Take a twin's state."""
        row = self._row(vehicle)
        before = row.state.notice if row.state else ""
        row.state = state
        self._latest_ns = max(self._latest_ns, state.received_ns)
        row.seen_s = self._time_s()
        if state.notice and state.notice != before:
            self._note(vehicle, f"estimator: {state.notice}", "yellow")

    def on_identification(self, vehicle: str, found: Identification) -> None:
        """Take what the twin knows of the aircraft; a rotor that is found weak is an event."""
        row = self._row(vehicle)
        before = row.found.suspect if row.found else -1
        row.found = found
        if found.suspect == before:
            return
        if found.suspect >= 0:
            self._note(vehicle, _weak(found), "bold red")
        else:
            self._note(vehicle, f"rotor {before + 1} gives its thrust again", "green")

    def on_report(self, vehicle: str, report: Report) -> None:
        """Take a consistency report; a verdict that changes is an event."""
        row = self._row(vehicle)
        before = row.report.verdict if row.report else Verdict.UNKNOWN
        row.report = report
        if report.verdict is before:
            return
        if report.verdict is Verdict.INCONSISTENT:
            failing = ", ".join(_failing(report))
            self._note(vehicle, f"aircraft and twin disagree: {failing}", "bold red")
        elif report.verdict is Verdict.CONSISTENT:
            self._note(vehicle, "aircraft and twin agree", "green")
        else:
            self._note(vehicle, "no evidence whether aircraft and twin agree", "yellow")

    def on_belief(self, vehicle: str, belief: MissionBelief) -> None:
        """Take what the mission believes; a new phase is an event."""
        row = self._row(vehicle)
        before = row.belief.phase if row.belief else None
        row.belief = belief
        if belief.phase is not before and (before or belief.phase is not Phase.IDLE):
            why = f": {belief.reason}" if belief.reason else ""
            self._note(vehicle, f"{belief.phase.value}{why}", _PHASE.get(belief.phase, "cyan"))

    def on_advisory(self, advisory: Advisory) -> None:
        """Take what the airspace manager tells an aircraft."""
        row = self._row(advisory.vehicle)
        before = row.advisory
        row.advisory = advisory
        if before is None and advisory.action is AdvisoryAction.CLEAR:
            return
        other = f" for {advisory.other}" if advisory.other else ""
        text = f"airspace says {advisory.action.name}{other}: {advisory.reason}"
        self._note(advisory.vehicle, text, _ACTION[advisory.action])

    def on_deviation(self, vehicle: str, deviation: Deviation) -> None:
        """Take a deviation that opened or closed."""
        row = self._row(vehicle)
        size = f"{deviation.statistic:.3g} over {deviation.limit:.3g}"
        if deviation.end_ns is None:
            row.deviations[deviation.id] = deviation
            cause = f", {deviation.cause}" if deviation.cause else ""
            self._note(
                vehicle,
                f"{deviation.requirement} {deviation.factor} deviates ({size}){cause}",
                "red",
            )
            return
        row.deviations.pop(deviation.id, None)
        lasted_s = (deviation.end_ns - deviation.start_ns) / _NS
        cause = f", cause: {deviation.cause}" if deviation.cause else ""
        self._note(
            vehicle,
            f"{deviation.requirement} {deviation.factor} agrees after {lasted_s:.1f} s{cause}",
            "green",
        )

    def on_note(self, text: str) -> None:
        """Take a line about the run itself."""
        self._note("", text, "cyan")

    # --- what goes out ---------------------------------------------------------------------------

    def render(self, now_s: float) -> Panel:
        """Return the table at ``now_s`` [s] since the start of the run."""
        self._tell_time(now_s)
        table = Table(box=box.SIMPLE_HEAD, padding=0, width=WIDTH - 4)
        for heading, width, side in (
            ("aircraft", 8, "left"),
            ("phase", 8, "left"),
            ("mission", 9, "left"),
            ("north", 6, "right"),
            ("east", 6, "right"),
            ("height", 6, "right"),
            ("speed", 5, "right"),
            ("± m", 4, "right"),
            ("wind", 5, "right"),
            ("verdict", 14, "left"),
            ("airspace", 12, "left"),
        ):
            table.add_column(
                Text(heading, style="dim"),
                width=width,
                justify=side,  # type: ignore[arg-type]
                no_wrap=True,
                overflow="ellipsis",
            )
        for vehicle in sorted(self._rows, key=_natural):
            table.add_row(*self._cells(vehicle, self._rows[vehicle]))
        opened = self._open_lines()
        events = self._event_lines(LINES_BELOW - len(opened))
        return Panel(
            Group(table, *opened, Rule(style="dim"), *events),
            title=Text(self._title, style="bold"),
            subtitle=Text(_clock(now_s), style="bold cyan"),
            width=WIDTH,
            padding=(0, 1),
            border_style="blue",
            box=box.ROUNDED,
        )

    def plain_line(self, now_s: float) -> str:
        """Return the events since the last call, one a line, and one line of all aircraft."""
        self._tell_time(now_s)
        lines = [
            " ".join(part for part in (_clock(event.time_s), event.vehicle, event.text) if part)
            for event in self._unsaid
        ]
        self._unsaid.clear()
        aircraft = [
            self._plain(vehicle, self._rows[vehicle])
            for vehicle in sorted(self._rows, key=_natural)
        ]
        lines.append(f"{_clock(now_s)} " + (" | ".join(aircraft) or "no aircraft yet"))
        return "\n".join(lines)

    # --- cells -----------------------------------------------------------------------------------

    def _cells(self, vehicle: str, row: Row) -> tuple[Text, ...]:
        silent = row.state is not None and self._now_s - row.seen_s > SILENT_S
        name = Text(vehicle, style="dim" if row.state is None else "bold")
        return (
            name,
            _phase_cell(row.belief),
            _mission_cell(row.belief),
            *_motion_cells(row.state, self._place(row.state), silent=silent),
            _wind_cell(row.state),
            Text("silent", style="bold yellow") if silent else _verdict_cell(row.report),
            _advisory_cell(row.advisory),
        )

    def _open_lines(self) -> list[Text]:
        """One line for each weak rotor and each factor that disagrees now, the first three."""
        opened = []
        for vehicle in sorted(self._rows, key=_natural):
            row = self._rows[vehicle]
            if row.found is not None and row.found.suspect >= 0:
                opened.append((vehicle, _weak(row.found)))
            opened += [
                (
                    vehicle,
                    f"{d.requirement} {d.factor}: {d.statistic:.3g} over {d.limit:.3g}"
                    + (f", {d.cause}" if d.cause else ""),
                )
                for d in row.deviations.values()
            ]
        lines = [_line("open", vehicle, text, "red") for vehicle, text in opened[:_OPEN_SHOWN]]
        if len(opened) > _OPEN_SHOWN:
            lines.append(_line("open", "", f"and {len(opened) - _OPEN_SHOWN} more", "red"))
        return lines

    def _event_lines(self, count: int) -> list[Text]:
        lines = [
            _line(_clock(event.time_s), event.vehicle, event.text, event.style)
            for event in list(self._events)[-count:]
        ]
        return lines + [Text("")] * (count - len(lines))

    def _plain(self, vehicle: str, row: Row) -> str:
        words = [vehicle]
        if row.belief is not None:
            words.append(row.belief.phase.value)
        if row.state is not None:
            north, east, down = self._place(row.state)
            words.append(f"n={north:.1f} e={east:.1f} h={-down:.1f}m v={_speed(row.state):.1f}m/s")
            wind = row.state.wind
            if wind is not None and wind.valid:
                words.append(f"wind={math.hypot(*wind.velocity_ne_m_s):.1f}m/s")
        if row.state is not None and self._now_s - row.seen_s > SILENT_S:
            words.append("silent")
        elif row.report is not None:
            words.append(row.report.verdict.name.lower())
            if row.report.verdict is Verdict.INCONSISTENT:
                words.append("(" + ",".join(_failing(row.report)) + ")")
        if row.found is not None and row.found.suspect >= 0:
            words.append(f"rotor {row.found.suspect + 1} weak")
        if row.advisory is not None and row.advisory.action is not AdvisoryAction.CLEAR:
            other = _printable(row.advisory.other)
            words.append(f"{row.advisory.action.name} {other}".strip())
        return " ".join(words)

    def _place(self, state: TwinState | None) -> tuple[float, float, float]:
        """Return (north, east, down) [m]: north and east from the first pad, down from its own."""
        if state is None:
            return math.nan, math.nan, math.nan
        north, east, down = (float(number) for number in state.position_ned_m)
        for vehicle in sorted(self._rows, key=_natural):
            first = self._rows[vehicle].state
            if first is not None and first.origin is not None:
                shift = self._shift(first.origin, state.origin)
                return north + shift[0], east + shift[1], down
        return north, east, down

    def _shift(self, zero: Origin, origin: Origin | None) -> tuple[float, float]:
        """Return where ``origin`` is from ``zero``; kept, it is asked for at every drawing."""
        if origin is None or origin == zero:
            return 0.0, 0.0
        key = (zero, origin)
        if key not in self._shifts:
            try:
                ned = LocalFrame(zero).to_ned(
                    origin.latitude_deg, origin.longitude_deg, zero.altitude_amsl_m
                )
            except ValueError:
                return math.nan, math.nan
            self._shifts[key] = (float(ned[0]), float(ned[1]))
        return self._shifts[key]

    # --- rows and times --------------------------------------------------------------------------

    def _row(self, vehicle: str) -> Row:
        return self._rows.setdefault(vehicle, Row())

    def _note(self, vehicle: str, text: str, style: str) -> None:
        event = Event(self._time_s(), vehicle, _printable(text), style)
        self._events.append(event)
        self._unsaid.append(event)

    def _tell_time(self, now_s: float) -> None:
        self._now_s = now_s
        self._drawn_ns = self._latest_ns or None

    def _time_s(self) -> float:
        """Return the run's time now: that of the last drawing, and what has passed since."""
        if self._drawn_ns is None:
            return self._now_s
        return self._now_s + (self._latest_ns - self._drawn_ns) / _NS


def _failing(report: Report) -> tuple[str, ...]:
    return tuple(_printable(factor) for factor in failing_factors(report))


def _phase_cell(belief: MissionBelief | None) -> Text:
    if belief is None:
        return Text("-", style="dim")
    return Text(belief.phase.value, style=_PHASE.get(belief.phase, "cyan"))


def _mission_cell(belief: MissionBelief | None) -> Text:
    if belief is None or belief.legs == 0:
        return Text("-", style="dim")
    progress = belief.progress if math.isfinite(belief.progress) else 0.0
    full = round(min(1.0, max(0.0, progress)) * _BAR)
    leg = min(belief.leg + 1, belief.legs)
    return Text.assemble(
        ("━" * full, "cyan"), ("─" * (_BAR - full), "grey30"), (f" {leg}/{belief.legs}", "default")
    )


def _motion_cells(
    state: TwinState | None, place_ned_m: tuple[float, float, float], *, silent: bool
) -> tuple[Text, ...]:
    if state is None:
        return tuple(Text("-", style="dim") for _ in range(5))
    north, east, down = place_ned_m
    variance = float(np.trace(state.covariance[POS, POS]))
    sigma = math.sqrt(variance) if variance >= 0.0 else math.nan
    style = "dim" if silent else "default"
    valid = state.horizontal_valid and state.vertical_valid
    place = style if valid else "yellow"
    return (
        Text(_number(north, 1, 6), style=place),
        Text(_number(east, 1, 6), style=place),
        Text(_number(-down, 1, 6), style=place),
        Text(_number(_speed(state), 1, 5), style=style),
        Text(_number(sigma, 1, 4), style="dim" if sigma < 3.0 else "yellow"),
    )


def _wind_cell(state: TwinState | None) -> Text:
    """An arrow where the air goes to, north up, and its speed; dim while it is a guess."""
    if state is None or state.wind is None:
        return Text("-", style="dim")
    north, east = (float(v) for v in state.wind.velocity_ne_m_s)
    speed = math.hypot(north, east)
    if not math.isfinite(speed):
        return Text("?", style="dim")
    arrow = _ARROWS[round(math.atan2(east, north) / (math.pi / 4.0)) % 8]
    style = "cyan" if state.wind.valid else "dim"
    return Text(f"{arrow}{_number(speed, 1, 4)}", style=style)


def _weak(found: Identification) -> str:
    """Say which rotor is weak, and how weak if that is among the parameters."""
    name = f"rotor_{found.suspect}_effectiveness"
    share = next((p for p in found.parameters if p.name == name), None)
    how = "" if share is None else f": {100 * share.value:.0f} ± {100 * share.sigma:.0f} %"
    return f"rotor {found.suspect + 1} gives less thrust than it is commanded{how}"


def _verdict_cell(report: Report | None) -> Text:
    if report is None:
        return Text("-", style="dim")
    text, style = _VERDICT[report.verdict]
    return Text(text, style=style)


def _advisory_cell(advisory: Advisory | None) -> Text:
    if advisory is None:
        return Text("-", style="dim")
    text = advisory.action.name
    if advisory.action is not AdvisoryAction.CLEAR:
        text = f"{text} {_printable(advisory.other)}".strip()
    return Text(text.lower() if text == "CLEAR" else text, style=_ACTION[advisory.action])


def _line(when: str, vehicle: str, text: str, style: str) -> Text:
    line = Text.assemble(
        (f"{when:>8} ", "dim"), (f"{vehicle:<7.7} ", "bold"), (_printable(text), style)
    )
    line.truncate(WIDTH - 4, overflow="ellipsis")
    line.no_wrap = True
    return line


def _number(value: float, decimals: int, width: int) -> str:
    """Return the number in its column; one that does not fit loses its decimals, NaN says so."""
    if not math.isfinite(value):
        return "?"
    text = f"{value:.{decimals}f}"
    if len(text) > width:
        text = f"{value:.0f}"
    return text if len(text) <= width else f"{value:.0e}"


def _printable(text: str) -> str:
    """Return the text on one line and without control sequences: it came from a message."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _speed(state: TwinState) -> float:
    return math.hypot(*state.velocity_ned_m_s)


def _clock(seconds: float) -> str:
    minutes, tenths = divmod(round(max(0.0, seconds) * 10.0), 600)
    return f"{minutes:02d}:{tenths / 10.0:04.1f}"


def _natural(vehicle: str) -> tuple[str, int]:
    """Return a key that sorts px4_2 before px4_10."""
    head = vehicle.rstrip("0123456789")
    tail = vehicle[len(head) :]
    return head, int(tail) if tail else -1
