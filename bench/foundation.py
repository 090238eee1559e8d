# SPDX-License-Identifier: Apache-2.0
"""Figures of the foundation: ``./airtwin bench foundation --json FILE``.

Keys: ``ekf_step_us`` what the estimator spends for one IMU sample, all else that comes with it
amortised; ``ekf_predict_us`` the compiled prediction alone, ``ekf_ratio_numpy`` the same in plain
numpy over it. ``replay`` per log, ``replay_realtime_factor`` the median. ``sim_realtime_factor``
of 1, 5 and 20 aircraft that fly, messages published, on one core. ``latency_ms`` from the stamp
of the newest sample in a report to the report's arrival at a listener, three aircraft in real
time. ``cpu_per_twin`` share of a core for one aircraft's twin process in that run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from airtwin_msgs.msg import ConsistencyReport
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rich.console import Console

from airtwin_bringup import demo, graph, paths, scenarios
from airtwin_bringup.in_process import InProcess
from airtwin_bringup.processes import Processes
from airtwin_record import replay
from airtwin_ros import qos
from airtwin_sim.commander import Command
from bench import physics_filter

NAN = float("nan")
ARM, TAKE_OFF, FORCE = 400, 22, 21196.0
LOGS = (
    "ulog/px4_v1.15_sitl_takeoff_rtl_land_events.ulg",
    "ulog/px4_v1.16_quad_nogps_lowbatt_failsafe.ulg",
    "ulog/px4_v1.8_octo_baro_failure_in_flight.ulg",
    "ulog/px4_v1.7_sitl_takeoff_rtl_groundtruth.ulg",
)
FLEETS = (1, 5, 20)
SIMULATED_S = 20.0
LIVE_SETTLE_S, LIVE_S = 20.0, 20.0


def measure(console: Console) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {}
    for part in (physics_filter.speed, _replay, _simulator, _live):
        console.print(f"measuring {part.__name__.strip('_')} ...", highlight=False)
        figures |= part()
    return figures


def _replay() -> dict[str, Any]:
    data = paths.root().parent / "shared" / "data"
    logs = []
    with tempfile.TemporaryDirectory() as folder:
        for name in LOGS:
            if (data / name).exists():
                summary = replay.run(data / name, out=Path(folder) / name).summary
                factor = round(summary["realtime_factor"], 1)
                logs.append({"file": Path(name).name, "realtime_factor": factor})
    factors = [log["realtime_factor"] for log in logs]
    return {
        "replay": logs,
        "replay_realtime_factor": statistics.median(factors) if factors else None,
    }


def _simulator() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            "sim_realtime_factor": {
                str(count): round(_sim_factor(Path(folder), count), 2) for count in FLEETS
            }
        }


def _sim_factor(folder: Path, count: int) -> float:
    scenario = demo.prepare(folder / str(count), count=count, seed=1)
    context = Context()
    rclpy.init(context=context)
    try:
        with InProcess([graph.simulator(scenario, lockstep=True)], context) as nodes:
            sim: Any = nodes.nodes[0]
            sim.advance(5.0)
            for name in sim.world.names:
                arm = Command(ARM, (1.0, FORCE, 0.0, 0.0, 0.0, 0.0, 0.0))
                sim.world.command(name, arm)
            sim.advance(1.0)
            for name in sim.world.names:
                sim.world.command(name, Command(TAKE_OFF, (NAN,) * 7))
            began = time.process_time()
            sim.advance(SIMULATED_S)
            return SIMULATED_S / (time.process_time() - began)
    finally:
        context.try_shutdown()


def _live() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        scenario = demo.prepare(Path(folder), count=3, seed=1)
        aircraft = scenarios.aircraft(scenario, Path(folder) / "missions")
        specs = graph.simulated(aircraft, scenario, zones=paths.config("airspace/demo_zones.json"))
        vehicles = tuple(a.vehicle for a in aircraft)
        with Processes(specs, lambda *_: None) as processes:
            twins = [psutil.Process(processes.pids[vehicle]) for vehicle in vehicles]
            _latencies(vehicles, LIVE_SETTLE_S)
            before = [sum(twin.cpu_times()[:2]) for twin in twins]
            latencies = _latencies(vehicles, LIVE_S)
            after = [sum(twin.cpu_times()[:2]) for twin in twins]
    shares = [(b - a) / LIVE_S for a, b in zip(before, after, strict=True)]
    p50, p99 = np.percentile(latencies, [50, 99]) if latencies else (NAN, NAN)
    return {
        "latency_ms": {"p50": round(p50 * 1e3, 1), "p99": round(p99 * 1e3, 1)},
        "cpu_per_twin": round(statistics.mean(shares), 3),
    }


def _latencies(vehicles: tuple[str, ...], seconds: float) -> list[float]:
    """Listen for so long; return [s] from newest sample to arrival of each report."""
    context = Context()
    rclpy.init(context=context)
    node = Node("bench", context=context, use_global_arguments=False)
    found: list[float] = []

    def on_report(msg: ConsistencyReport) -> None:
        if msg.timestamp_sample:
            found.append(time.time() - msg.timestamp_sample * 1e-6)

    for vehicle in vehicles:
        topic = f"/{vehicle}/consistency/report"
        node.create_subscription(ConsistencyReport, topic, on_report, qos.RELIABLE)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    context.try_shutdown()
    return found
