# SPDX-License-Identifier: Apache-2.0
"""One operating system process per group of nodes, supervised.

Children are forked from a nursery that has imported and warmed up everything once, so that a
child starts in a tenth of a second. Each holds one end of a pipe and ends when the other closes:
it cannot outlive the supervisor, however that dies. A child that dies is started again, and that
is said.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import rclpy
from rclpy.context import Context

from airtwin_bringup.graph import NodeSpec
from airtwin_bringup.in_process import RESTART_WINDOW_S, RESTARTS_MAX, InProcess

PACE_S = 0.01
"""Twins take their messages together every 10 ms; the simulator keeps its own beat."""
ASIDE = frozenset(("airtwin_record", "airtwin_airspace", "airtwin_console"))
"""Processes of these nodes alone stand back (``nice``) on a machine that is too busy for all: an
aircraft may be flying on its twin."""
ASIDE_NICE = 5
END_TIMEOUT_S = 3.0
"""A child that has not ended so long after it was asked to is killed."""

_nursery = multiprocessing.get_context("forkserver")
_nursery.set_forkserver_preload(["airtwin_bringup.nursery"])


def open_nursery(*, twins_only: bool = False) -> None:
    """Let the nursery start now, beside whatever its caller does next.

    twins_only: it knows what runs beside an aircraft, and no more. All other processes then import
    what is theirs, while an aircraft that is in the air already has its twin.
    """
    if twins_only:
        _nursery.set_forkserver_preload(["airtwin_bringup.twin_nursery"])
    forkserver.ensure_running()


class _Child:
    def __init__(self, name: str, specs: tuple[NodeSpec, ...], log: Path | None) -> None:
        self.name = name
        self._log = log
        self._specs = specs
        self._starts: list[float] = []
        self.revive()

    def revive(self) -> None:
        """Start it, for the first time or again."""
        self._starts.append(time.monotonic())
        leash, self.leash = _nursery.Pipe(duplex=False)
        self.process: ForkServerProcess = _nursery.Process(
            target=_live, args=(self._specs, leash, self._log), name=self.name
        )
        self.process.start()
        leash.close()

    def gave_up(self) -> bool:
        """Whether it died so often that another start will not help."""
        now = time.monotonic()
        self._starts = [t for t in self._starts if now - t < RESTART_WINDOW_S]
        return len(self._starts) > RESTARTS_MAX


class Processes:
    """The nodes of ``specs``, one process per ``spec.process``. Use as a context manager.

    ``on_restart(process, why)`` is called for each restart; ``given_up`` names those that died
    too often to be started again. ``log``: the file that takes what the nodes print, where a
    table has the terminal; None leaves it to the terminal.
    """

    def __init__(
        self,
        specs: Iterable[NodeSpec],
        on_restart: Callable[[str, str], None],
        log: Path | None = None,
    ) -> None:
        groups: dict[str, list[NodeSpec]] = {}
        for spec in specs:
            groups.setdefault(spec.process, []).append(spec)
        self._on_restart = on_restart
        self.given_up: list[str] = []
        self._children = [_Child(name, tuple(group), log) for name, group in groups.items()]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each group."""
        return {child.name: child.process.pid or 0 for child in self._children}

    def check(self) -> None:
        """Restart what has died; call it regularly."""
        for child in list(self._children):
            code = child.process.exitcode
            if code is None:
                continue
            if child.gave_up():
                self._children.remove(child)
                self.given_up.append(child.name)
                self._on_restart(child.name, f"exit code {code}; died too often, given up")
                continue
            child.revive()
            self._on_restart(child.name, f"exit code {code}")

    def shutdown(self) -> None:
        """Ask every child to end, and kill what does not."""
        for child in self._children:
            child.leash.close()
        deadline = time.monotonic() + END_TIMEOUT_S
        for child in self._children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.exitcode is None:
                child.process.kill()
                child.process.join()
        self._children.clear()


def _live(specs: tuple[NodeSpec, ...], leash: Connection, log: Path | None) -> None:
    """Run the nodes until the supervisor lets go of the leash; Ctrl-C is the supervisor's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if all(spec.package in ASIDE for spec in specs):
        os.nice(ASIDE_NICE)
    if log is not None:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    context = Context()
    rclpy.init(context=context)
    released = threading.Event()

    def wait_for_release() -> None:
        try:
            leash.recv()
        except (EOFError, OSError):
            released.set()

    threading.Thread(target=wait_for_release, daemon=True).start()
    try:
        simulates = any(spec.package == "airtwin_sim" for spec in specs)
        with InProcess(specs, context, pace_s=0.0 if simulates else PACE_S) as nodes:
            nodes.spin(released.is_set)
    finally:
        context.try_shutdown()
