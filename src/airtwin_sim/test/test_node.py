# SPDX-License-Identifier: Apache-2.0
"""The simulator on ROS 2: topics, types, QoS, stamps, commands, faults; over DDS, in lockstep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

rclpy = pytest.importorskip("rclpy")

from airtwin_msgs.srv import InjectFault  # noqa: E402
from builtin_interfaces.msg import Duration  # noqa: E402
from px4_msgs import msg as px4_msgs  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402

from airtwin_ros import px4_commands, px4_out, qos  # noqa: E402
from airtwin_sim.aiding import SENSORS  # noqa: E402
from airtwin_sim.node import ADVANCE_MAX_S, SimNode, SimParams, load_scenario  # noqa: E402

DOMAIN = 94  # of its own: nothing else that runs on this machine is heard
VEHICLES = ("", "/px4_1")
PATIENCE_S = 20.0


class Rig:
    """The simulator in lockstep and a companion that keeps all it hears."""

    def __init__(self, scenario: Path) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.sim = SimNode(
            context=self.context,
            parameter_overrides=[
                Parameter("scenario", value=str(scenario)),
                Parameter("lockstep", value=True),
            ],
        )
        self.companion = rclpy.create_node("companion", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.sim)
        self.executor.add_node(self.companion)
        self.heard: dict[str, list[Any]] = {}
        self.orders = {}
        for namespace in VEHICLES:
            for writer in px4_out.WRITERS:
                topic = f"{namespace}/{writer.full_topic}"
                box = self.heard.setdefault(topic, [])
                self.companion.create_subscription(writer.kind, topic, box.append, qos.PX4_OUT)
            self.orders[namespace] = self.companion.create_publisher(
                px4_msgs.VehicleCommand, f"{namespace}/fmu/in/vehicle_command", qos.PX4_IN
            )
        self.clock: list[Any] = []
        self.companion.create_subscription(Clock, "/clock", self.clock.append, 10)
        self.go = self.companion.create_publisher(Duration, "sim/advance", qos.RELIABLE)
        self.faults = self.companion.create_client(InjectFault, "sim/inject_fault")
        self.until(lambda: self.go.get_subscription_count() > 0)
        self.until(lambda: all(p.get_subscription_count() > 0 for p in self.orders.values()))
        self.until(self.faults.service_is_ready)
        self.until(lambda: self._linked())

    def _linked(self) -> bool:
        """Step until both aircraft are heard: discovery has then ended."""
        self.sim.advance(0.02)
        return all(self.heard[f"{n}/fmu/out/sensor_combined"] for n in VEHICLES)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "the graph does not answer"
            self.executor.spin_once(timeout_sec=0.02)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass in small bites, so that no reader's queue overflows."""
        for _ in range(round(seconds / 0.02)):
            self.sim.advance(0.02)
            for _ in range(6):
                self.executor.spin_once(timeout_sec=0.0)

    def close(self) -> None:
        self.executor.shutdown()
        self.companion.destroy_node()
        self.sim.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    file = tmp_path_factory.mktemp("sim") / "two.yaml"
    vehicles = [{"name": "px4_0"}, {"name": "px4_1", "start_ned_m": [10, 0, 0]}]
    file.write_text(
        yaml.safe_dump({"vehicles": vehicles, "extra_topics": True, "sensors": [*SENSORS]})
    )
    made = Rig(file)
    yield made
    made.close()


def test_topics_types_and_qos_are_px4s(rig: Rig) -> None:
    for namespace in VEHICLES:
        for topic in ("vehicle_status_v4", "vehicle_local_position_v1", "battery_status_v1"):
            (info,) = rig.companion.get_publishers_info_by_topic(f"{namespace}/fmu/out/{topic}")
            assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
            assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        for topic in ("vehicle_command", "offboard_control_mode", "trajectory_setpoint"):
            (info,) = rig.companion.get_subscriptions_info_by_topic(f"{namespace}/fmu/in/{topic}")
            assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    (info,) = rig.companion.get_publishers_info_by_topic("/fmu/out/vehicle_status_v4")
    assert info.topic_type == "px4_msgs/msg/VehicleStatus"


def test_it_flies_by_commands_and_says_so(rig: Rig) -> None:
    rig.advance(3.0)
    for command, params in ((22, (float("nan"),) * 7), (400, (1.0,) + (0.0,) * 6)):
        msg = px4_commands.command_msg(command, params, system_id=2, stamp_us=1)
        acks = rig.heard["/px4_1/fmu/out/vehicle_command_ack_v1"]
        count = len(acks)
        rig.orders["/px4_1"].publish(msg)
        rig.until(lambda: bool(rig.sim.world.pilots[1]._orders))
        rig.advance(0.1)
        rig.until(lambda count=count, acks=acks: len(acks) > count)
        assert (acks[-1].command, acks[-1].result) == (command, 0)
    rig.advance(7.0)
    status = rig.heard["/px4_1/fmu/out/vehicle_status_v4"][-1]
    assert (status.arming_state, status.system_id) == (2, 2)
    assert rig.heard["/px4_1/fmu/out/vehicle_local_position_v1"][-1].z < -0.5
    assert rig.heard["/px4_1/fmu/out/home_position_v1"]
    assert rig.heard["/fmu/out/vehicle_status_v4"][-1].arming_state == 1
    assert not rig.heard["/fmu/out/vehicle_command_ack_v1"]
    silent = {t for t, box in rig.heard.items() if not box}
    assert silent <= {"/fmu/out/vehicle_command_ack_v1", "/fmu/out/home_position_v1"}


def _us(msg: Clock) -> int:
    return int(msg.clock.sec * 1_000_000 + msg.clock.nanosec // 1000)


def test_stamps_are_one_epoch_and_the_clocks(rig: Rig) -> None:
    rig.advance(0.2)
    total_us = rig.sim._epoch_us + rig.sim.world.time_us
    rig.until(lambda: _us(rig.clock[-1]) == total_us)
    now = rig.clock[-1].clock.sec + 1e-9 * rig.clock[-1].clock.nanosec
    assert now == pytest.approx(time.time(), abs=600.0)
    imu = rig.heard["/fmu/out/sensor_combined"]
    end_us = round(now * 1e6)
    rig.until(lambda: imu[-1].timestamp == end_us)  # the queues run dry at the clock's time
    steps = [b.timestamp - a.timestamp for a, b in zip(imu[-20:], imu[-19:], strict=False)]
    assert set(steps) <= {4000, 8000, 12000}  # best effort may lose one
    gnss = rig.heard["/fmu/out/vehicle_gps_position"][-1]
    assert gnss.timestamp - gnss.timestamp_sample == 100_000


def test_faults_by_service(rig: Rig) -> None:
    def ask(kind: str, vehicle: str, magnitude: float) -> Any:
        request = InjectFault.Request()
        request.fault.kind, request.fault.vehicle = kind, vehicle
        request.fault.magnitude = magnitude
        future = rig.faults.call_async(request)
        rig.until(future.done)
        return future.result()

    refused = ask("nonsense", "px4_0", 0.0)
    assert not refused.accepted
    assert "nonsense" in refused.message
    assert "no vehicle" in ask("mass", "px4_9", 0.1).message
    assert ask("mass", "/px4_1", 0.3).accepted
    rig.advance(0.04)
    assert rig.sim.world.fleet.model.body[1, 0] == pytest.approx(2.364, abs=1e-3)


def test_advance_by_topic(rig: Rig) -> None:
    before = rig.sim.world.time_us
    rig.go.publish(Duration(sec=0, nanosec=200_000_000))
    rig.until(lambda: rig.sim.world.time_us > before)
    assert rig.sim.world.time_us == before + 200_000


def test_one_advance_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(rig.sim, "advance", asked.append)
    for seconds in (60, 2_000_000_000):
        rig.go.publish(Duration(sec=seconds))
    rig.until(lambda: len(asked) == 2)
    assert asked == [60.0, ADVANCE_MAX_S]


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="speed"):
        SimParams(speed=0.0)
    assert load_scenario(SimParams(scenario="single", seed=9)).seed == 9
    assert load_scenario(SimParams(scenario="demo")).extra_topics


def test_real_time_keeps_the_wall_clock(tmp_path: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = SimNode(context=context, parameter_overrides=[Parameter("scenario", value="single")])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    start, end = time.monotonic(), time.monotonic() + 1.0
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    elapsed = time.monotonic() - start
    simulated = node.world.time_us * 1e-6 + node.lost_s
    assert simulated == pytest.approx(elapsed, abs=0.3)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
