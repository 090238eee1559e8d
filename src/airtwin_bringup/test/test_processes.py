# SPDX-License-Identifier: Apache-2.0
"""Children that start fast, come back when killed, and never outlive their supervisor."""

import os
import signal
import subprocess
import sys
import time

import psutil
from typer.testing import CliRunner

from airtwin_bringup import cli, graph, kernels, processes
from airtwin_bringup.processes import ASIDE_NICE, Processes

PATIENCE_S = 60.0
SPECS = graph.twin(graph.Aircraft("px4_9"))[:1]
SUPERVISOR = """
import sys, time
from airtwin_bringup import graph
from airtwin_bringup.processes import Processes
if __name__ == "__main__":
    with Processes(graph.twin(graph.Aircraft("px4_9"))[:1], print) as processes:
        print(*processes.pids.values(), flush=True)
        time.sleep(600)
"""


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.05)  # polls the operating system, which has no event for it


def test_a_killed_child_is_started_again_and_all_end_with_the_supervisor():
    restarts = []
    with Processes(SPECS, lambda *why: restarts.append(why)) as processes:
        (first,) = processes.pids.values()
        os.kill(first, signal.SIGKILL)
        until(lambda: processes.check() or restarts)
        (second,) = processes.pids.values()
        assert second != first
        assert restarts == [("px4_9", "exit code -9")]
    until(lambda: not psutil.pid_exists(second))


def test_a_supervisor_that_is_killed_leaves_no_child_behind(tmp_path):
    script = tmp_path / "supervisor.py"
    script.write_text(SUPERVISOR)
    supervisor = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    child = int(supervisor.stdout.readline())
    assert psutil.pid_exists(child)
    supervisor.kill()
    supervisor.wait()
    until(lambda: not psutil.pid_exists(child))


def test_recorder_and_airspace_stand_back_for_the_twins(tmp_path):
    aside = (
        *graph.overview(("px4_9",), zones=None),
        graph.recorder(("px4_9",), tmp_path / "flight.mcap"),
    )
    with Processes((*SPECS, *aside), print) as running:
        nice = {name: psutil.Process(pid).nice for name, pid in running.pids.items()}
        least = min(nice["px4_9"]() + ASIDE_NICE, 19)  # it may run so itself
        until(lambda: nice["recorder"]() == nice["airspace"]() == least)


def test_what_a_twin_does_not_need_does_not_keep_it_waiting():
    """An aircraft in the air may be waiting: its nursery imports physics and monitor only."""
    code = "import sys, airtwin_bringup.twin_nursery; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"airtwin_physics.node", "airtwin_consistency.node", "numba"} <= set(told)
    others = {"airtwin_sim", "airtwin_mission", "airtwin_airspace", "airtwin_record", "shapely"}
    assert not others & set(told)


def test_attach_opens_the_nursery_of_twins(monkeypatch):
    opened = []
    monkeypatch.setattr(processes.forkserver, "ensure_running", lambda: None)
    monkeypatch.setattr(processes._nursery, "set_forkserver_preload", opened.append)
    monkeypatch.setattr(kernels, "ready", lambda console: None)
    answer = CliRunner().invoke(cli.app, ["attach", "--mode", "twin"])
    assert answer.exit_code == 1  # nothing to fly: it ends before anything is started
    assert opened == [["airtwin_bringup.twin_nursery"]]
