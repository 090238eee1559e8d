# SPDX-License-Identifier: Apache-2.0
"""A run that a person watches: graph started, table drawn, everything recorded, report written."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rich.console import Console
from rich.live import Live

from airtwin_bringup import graph
from airtwin_bringup.graph import NodeSpec
from airtwin_bringup.processes import Processes
from airtwin_bringup.watch import WatchNode
from airtwin_console.table import Board

REDRAW_S = 0.25
PLAIN_LINE_S = 2.0
RECORDING = "flight.mcap"
NODES_LOG = "nodes.log"


@dataclass(frozen=True, slots=True)
class Session:
    """What to run: nodes, the aircraft to watch, where to leave the recording.

    ``flight_max_s`` counts from the first take-off, ``wait_max_s`` until then; None: no limit.
    ``until_landed``: end when every mission has ended. ``commands``: the twins fly aircraft that
    do not end with the run, so Ctrl-C asks them to return first; a second one ends at once.
    ``models``: aircraft file of each vehicle whose kind is known.
    """

    specs: tuple[NodeSpec, ...]
    vehicles: tuple[str, ...]
    out: Path
    title: str
    plain: bool = False
    flight_max_s: float | None = None
    wait_max_s: float | None = None
    until_landed: bool = False
    commands: bool = False
    models: dict[str, str] = field(default_factory=dict)

    @property
    def recording(self) -> Path:
        """The MCAP that the run leaves."""
        return self.out / RECORDING


class Ended(NamedTuple):
    """Why a run ended, and whether as it should."""

    reason: str
    as_it_should: bool = True


def run(session: Session, console: Console) -> Ended:
    """Fly the session to its end (or Ctrl-C) and return why it ended."""
    session.out.mkdir(parents=True, exist_ok=True)
    board = Board(session.title, session.vehicles)
    context = Context()
    rclpy.init(context=context)
    node = WatchNode(session.vehicles, board, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    log = session.out / NODES_LOG if _draws_table(session, console) else None
    specs = (graph.recorder(session.vehicles, session.recording), *session.specs)

    try:
        with (
            _interrupts() as interrupts,
            Processes(specs, node.on_restart, log) as processes,
            _display(session, board, console) as draw,
        ):
            end = _End(session)
            while interrupts() == 0 or (interrupts() == 1 and _recalled(session, node)):
                executor.spin_once(timeout_sec=0.05)
                processes.check()
                draw()
                if processes.given_up:
                    return Ended(f"{', '.join(processes.given_up)} died too often", False)
                reason = end.reached(node)
                if reason:
                    return Ended(reason)
        return Ended("stopped by the user")
    except ExternalShutdownException:
        return Ended("stopped by the user")
    finally:
        node.destroy_node()
        context.try_shutdown()


def _recalled(session: Session, node: WatchNode) -> bool:
    """Ask aircraft that the twins fly to return; tells whether there is one to wait for."""
    flying = session.commands and node.airborne and not node.over(session.vehicles)
    if flying:
        node.recall(session.vehicles)
    return flying


class _End:
    """Decides when a run is over."""

    LINGER_S = 2.0  # after the last landing, so that the last verdicts are recorded

    def __init__(self, session: Session) -> None:
        self._session = session
        self._started = time.monotonic()
        self._airborne: float | None = None
        self._landed: float | None = None

    def reached(self, node: WatchNode) -> str:
        """Return why the run is over, empty while it is not."""
        now = time.monotonic()
        limits = self._session
        if self._airborne is None and node.airborne:
            self._airborne = now
        if self._airborne is None:
            if limits.wait_max_s is not None and now - self._started > limits.wait_max_s:
                return f"no aircraft took off within {limits.wait_max_s:.0f} s"
            return ""
        if limits.flight_max_s is not None and now - self._airborne > limits.flight_max_s:
            return f"{limits.flight_max_s:.0f} s of flight are over"
        if limits.until_landed and node.over(limits.vehicles):
            self._landed = self._landed or now
            if now - self._landed > self.LINGER_S:
                return "all missions ended"
        return ""


@contextmanager
def _interrupts() -> Iterator[Callable[[], int]]:
    """Yield how often Ctrl-C or SIGTERM came; the run then ends in order, with the report."""
    seen: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: seen.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: len(seen)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _draws_table(session: Session, console: Console) -> bool:
    return console.is_terminal and not session.plain


@contextmanager
def _display(session: Session, board: Board, console: Console) -> Iterator[Callable[[], None]]:
    """Yield the function that redraws table or lines when it is time to."""
    started = time.monotonic()
    last = started
    if not _draws_table(session, console):

        def print_line() -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PLAIN_LINE_S:
                last = now
                console.print(board.plain_line(now - started), highlight=False, soft_wrap=True)

        yield print_line
        return
    with Live(board.render(0.0), console=console, refresh_per_second=4) as live:

        def redraw() -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= REDRAW_S:
                last = now
                live.update(board.render(now - started))

        yield redraw
