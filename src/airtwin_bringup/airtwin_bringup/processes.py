# SPDX-License-Identifier: Apache-2.0
"""One operating system process per group of nodes, supervised.

A child reads its specs from standard input and ends when that closes: it cannot outlive the
supervisor, however that dies. A child that dies is started again, and that is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

import rclpy
from rclpy.context import Context

from airtwin_bringup.graph import NodeSpec
from airtwin_bringup.in_process import RESTART_WINDOW_S, RESTARTS_MAX, InProcess

PACE_S = 0.01
"""Twins take their messages together every 10 ms; the simulator keeps its own beat."""
END_TIMEOUT_S = 3.0
"""A child that has not ended so long after it was asked to is killed."""


class _Child:
    def __init__(self, name: str, specs: list[NodeSpec]) -> None:
        self.name = name
        self.specs = specs
        self.starts: list[float] = []
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[str]:
        self.starts.append(time.monotonic())
        process = subprocess.Popen(
            [sys.executable, "-m", "airtwin_bringup.processes"], stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps([asdict(spec) for spec in self.specs]) + "\n")
        process.stdin.flush()
        return process

    def revive(self) -> None:
        self.process = self._spawn()

    def gave_up(self) -> bool:
        now = time.monotonic()
        self.starts = [t for t in self.starts if now - t < RESTART_WINDOW_S]
        return len(self.starts) > RESTARTS_MAX


class Processes:
    """The nodes of ``specs``, one process per ``spec.process``. Use as a context manager.

    ``on_restart(process, why)`` is called for each restart.
    """

    def __init__(self, specs: Iterable[NodeSpec], on_restart: Callable[[str, str], None]) -> None:
        groups: dict[str, list[NodeSpec]] = {}
        for spec in specs:
            groups.setdefault(spec.process, []).append(spec)
        self._on_restart = on_restart
        self.given_up: list[str] = []
        self._children = [_Child(name, group) for name, group in groups.items()]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each group."""
        return {child.name: child.process.pid for child in self._children}

    def check(self) -> None:
        """Restart what has died; call it regularly."""
        for child in list(self._children):
            code = child.process.poll()
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
            if child.process.stdin is not None:
                child.process.stdin.close()
        deadline = time.monotonic() + END_TIMEOUT_S
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._children.clear()


def _child() -> None:
    specs = [
        NodeSpec(**{**spec, "parameters": _tuples(spec["parameters"])})
        for spec in json.loads(sys.stdin.readline())
    ]
    context = Context()
    rclpy.init(context=context)
    orphaned = threading.Event()

    def wait_for_end_of_input() -> None:
        sys.stdin.read()
        orphaned.set()

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    try:
        simulates = any(spec.package == "airtwin_sim" for spec in specs)
        with InProcess(specs, context, pace_s=0.0 if simulates else PACE_S) as nodes:
            nodes.spin(orphaned.is_set)
    except KeyboardInterrupt:
        pass
    finally:
        context.try_shutdown()


def _tuples(parameters: dict[str, object]) -> dict[str, object]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()}


if __name__ == "__main__":
    _child()
