# SPDX-License-Identifier: Apache-2.0
"""The node graph in one process over real DDS, against the embedded simulator in lockstep."""

import itertools
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
import yaml
from airtwin_msgs.msg import ConsistencyReport, MissionBelief, TwinState
from diagnostic_msgs.msg import DiagnosticArray
from px4_msgs.msg import VehicleOdometry
from rclpy.context import Context
from rclpy.node import Node

from airtwin_bringup import graph
from airtwin_bringup.graph import Aircraft, Mode
from airtwin_bringup.in_process import InProcess
from airtwin_core.types import Phase, Verdict
from airtwin_ros import convert, qos

STEP_S = 0.04
PATIENCE_S = 20.0
"""Wall time that a step may take before the test calls the graph dead."""
COMMAND_TOPICS = ("vehicle_command", "offboard_control_mode", "trajectory_setpoint")
ODOMETRY_TOPIC = "/px4_1/fmu/in/vehicle_visual_odometry"


class Watch(Node):
    """Keeps what the twin of one vehicle says."""

    def __init__(self, vehicle, context):
        super().__init__("test_watch", context=context, use_global_arguments=False)
        prefix = f"/{graph.namespace(vehicle)}".rstrip("/")
        self.states, self.reports, self.beliefs, self.restarts = [], [], [], []
        self.create_subscription(
            TwinState,
            f"{prefix}/twin/state",
            lambda msg: self.states.append(convert.twin_state(msg)),
            qos.STATE,
        )
        self.create_subscription(
            ConsistencyReport,
            f"{prefix}/consistency/report",
            lambda msg: self.reports.append(convert.report(msg)),
            qos.RELIABLE,
        )
        self.create_subscription(
            MissionBelief,
            f"{prefix}/mission/belief",
            lambda msg: self.beliefs.append(convert.belief(msg)),
            qos.RELIABLE,
        )
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE
        )

    def _on_diagnostics(self, msg):
        self.restarts += [s.name for s in msg.status if s.message == "restarted"]


class Flight:
    """A graph that flies one vehicle in lockstep."""

    def __init__(self, nodes, watch):
        self.nodes = nodes
        self.watch = watch
        self.sim = nodes.nodes[0]

    def advance(self, seconds):
        """Let the simulation run on, never further ahead of the twin than a step."""
        for _ in range(round(seconds / STEP_S)):
            self.sim.advance(STEP_S)
            newest_ns = self.watch.states[-1].stamp_ns if self.watch.states else 0
            deadline = time.monotonic() + (PATIENCE_S if newest_ns else 0.05)
            while time.monotonic() < deadline:
                self.nodes.spin_once(0.002)
                if self.watch.states and self.watch.states[-1].stamp_ns > newest_ns:
                    break
            else:
                assert not newest_ns, "the twin fell silent"

    def until(self, condition, limit_s):
        """Advance until ``condition()``; fail after ``limit_s`` simulated seconds."""
        for _ in range(round(limit_s / 0.2)):
            if condition():
                return
            self.advance(0.2)
        pytest.fail(f"not reached within {limit_s} s; belief {self.watch.beliefs[-1:]}")


@contextmanager
def flight(tmp_path, domain_id, *, mode=Mode.TWIN, mission=None, odometry=False):
    """A graph with one vehicle px4_1 at the demo's first pad."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        yaml.safe_dump({"vehicles": [{"name": "px4_1"}], "seed": 3, "extra_topics": True})
    )
    aircraft = (Aircraft("px4_1", mode, mission, True, model="x500", external_odometry=odometry),)
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    try:
        specs = graph.simulated(aircraft, scenario, lockstep=True)
        with InProcess(specs, context) as nodes:
            watch = Watch("px4_1", context)
            nodes.add(watch)
            yield Flight(nodes, watch)
            watch.destroy_node()
    finally:
        context.try_shutdown()


def hop(tmp_path):
    """Write a short mission and return its path."""
    path = tmp_path / "hop.yaml"
    steps = [
        {"take_off": {"height_m": 5.0}},
        {"go_to": {"ned_m": [10.0, 0.0, -5.0]}},
        {"land": {"ned_m": [10.0, 0.0, 0.0]}},
    ]
    origin = {"latitude_deg": 47.397743, "longitude_deg": 8.545594, "altitude_amsl_m": 488.0}
    document = {"mission": 1, "name": "hop", "origin": origin, "speed_m_s": 4.0, "steps": steps}
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_mission_is_flown_followed_and_found_consistent(tmp_path):
    with flight(tmp_path, 61, mission=hop(tmp_path)) as run:
        beliefs = run.watch.beliefs
        run.until(lambda: beliefs and beliefs[-1].phase is Phase.DONE, limit_s=90.0)
        verdicts = {report.verdict for report in run.watch.reports[20:]}
        assert Verdict.CONSISTENT in verdicts
        failed = {
            (check.requirement, check.evidence)
            for report in run.watch.reports
            for check in report.checks
            if check.verdict is Verdict.INCONSISTENT and report.verdict is Verdict.INCONSISTENT
        }
        assert Verdict.INCONSISTENT not in verdicts, failed
        highest = min(state.position_ned_m[2] for state in run.watch.states)
        furthest = max(state.position_ned_m[0] for state in run.watch.states)
        assert highest == pytest.approx(-5.0, abs=1.5)
        assert furthest == pytest.approx(10.0, abs=2.0)
        assert not run.watch.restarts


def test_in_shadow_mode_no_publisher_to_the_aircraft_exists(tmp_path):
    with flight(tmp_path, 62, mode=Mode.SHADOW, mission=hop(tmp_path)) as run:
        run.advance(2.0)
        for topic in COMMAND_TOPICS:
            assert run.sim.count_subscribers(f"/px4_1/fmu/in/{topic}") == 1
            assert run.sim.count_publishers(f"/px4_1/fmu/in/{topic}") == 0
        assert run.sim.count_publishers(ODOMETRY_TOPIC) == 0
        assert run.watch.beliefs, "the mission follows all the same"


def test_mode_twin_alone_gives_no_odometry(tmp_path):
    with flight(tmp_path, 66, mode=Mode.TWIN) as run:
        run.advance(1.0)
        assert run.sim.count_publishers(ODOMETRY_TOPIC) == 0


@pytest.mark.parametrize("mode", [Mode.MODEL, Mode.SHADOW])
def test_odometry_outside_mode_twin_is_refused_before_anything_starts(tmp_path, mode):
    with (
        pytest.raises(ValueError, match="needs mode twin"),
        flight(tmp_path, 67, mode=mode, odometry=True),
    ):
        pass


def test_external_odometry_is_where_the_simulator_says(tmp_path):
    with flight(tmp_path, 68, odometry=True) as run:
        assert run.sim.count_publishers(ODOMETRY_TOPIC) == 1
        heard = []
        run.watch.create_subscription(VehicleOdometry, ODOMETRY_TOPIC, heard.append, qos.PX4_OUT)
        run.until(lambda: len(heard) > 50, limit_s=40.0)
        msg = heard[-1]
        assert (msg.pose_frame, msg.velocity_frame) == (msg.POSE_FRAME_NED, msg.VELOCITY_FRAME_NED)
        assert np.linalg.norm(msg.position[:2]) < 2.0
        assert np.linalg.norm(msg.velocity) < 0.5
        assert 0.0 < max(msg.position_variance) < 1.5**2
        assert np.isfinite(msg.q).all(), "the simulator bridges a magnetometer"
        assert msg.quality >= 1
        stamps = [m.timestamp_sample for m in heard]
        assert all(b - a >= 32_000 for a, b in itertools.pairwise(stamps))
        state = min(run.watch.states, key=lambda s: abs(s.stamp_ns - msg.timestamp_sample * 1000))
        assert msg.position == pytest.approx(state.position_ned_m, abs=1e-3)


def test_a_node_that_crashes_is_restarted_and_that_is_said(tmp_path):
    with flight(tmp_path, 63) as run:
        run.until(lambda: len(run.watch.states) > 20, limit_s=10.0)
        physics = run.nodes.nodes[1]

        def fail(*_):
            raise ZeroDivisionError("made by the test")

        physics._estimator.on = fail
        run.watch.states.clear()
        run.until(lambda: len(run.watch.states) > 20, limit_s=10.0)
        assert run.nodes.nodes[1] is not physics
        assert run.watch.restarts == ["/px4_1/physics"]


def test_the_twin_is_where_the_simulator_says(tmp_path):
    with flight(tmp_path, 64) as run:
        run.until(lambda: len(run.watch.states) > 100, limit_s=20.0)
        state = run.watch.states[-1]
        assert np.linalg.norm(state.position_ned_m[:2]) < 2.0
        assert state.horizontal_valid
        assert state.heading_valid
