# SPDX-License-Identifier: Apache-2.0
"""The simulator's shell: PX4's topics for each aircraft of a scenario, faults by service, time.

In, per aircraft (namespace "" for px4_0, /px4_N): fmu/in/vehicle_command,
fmu/in/offboard_control_mode, fmu/in/trajectory_setpoint. sim/advance (builtin_interfaces/Duration)
in lockstep, at most 60 s at once. Out, per aircraft: fmu/out/* (airtwin_ros.px4_out.WRITERS).
/clock unless in real time. Service: sim/inject_fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airtwin_msgs.srv import InjectFault
from builtin_interfaces.msg import Duration
from px4_msgs.msg import OffboardControlMode, TrajectorySetpoint, VehicleCommand
from rclpy.clock import Clock as RosClock
from rclpy.clock_type import ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from airtwin_core import aircraft
from airtwin_ros import params, px4_out, qos, run
from airtwin_sim import scenario as scenarios
from airtwin_sim.commander import Command
from airtwin_sim.fleet import TICK_US
from airtwin_sim.scenario import Fault, ScenarioError
from airtwin_sim.words import Batch
from airtwin_sim.world import World

TIMER_S = 0.008
# rclpy waits for every event handler of every publisher one by one: 20 aircraft have 400
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
BURST_S = 0.048  # caught up at once at most: readers keep 0.1 s of IMU samples, no more
ADVANCE_MAX_S = 60.0  # at once by sim/advance: the node answers nobody meanwhile
BEHIND_MAX_S = 1.0  # further behind than this, the simulator gives up catching up and says so


@dataclass(frozen=True)
class SimParams:
    """Parameters of the node; ``scenario`` is a name in config/scenarios or a path."""

    scenario: str = "single"
    speed: float = 1.0  # [-] simulated seconds a second
    lockstep: bool = False  # stand still until sim/advance says how far
    seed: int = -1  # below 0: the scenario's
    extra_topics: bool = False  # or as the scenario says

    def __post_init__(self) -> None:
        if not 0.01 <= self.speed <= 100.0:
            raise ValueError(f"speed is {self.speed}, expected 0.01 to 100")
        if not self.scenario:
            raise ValueError("scenario is empty")


def load_scenario(values: SimParams) -> scenarios.Scenario:
    """Return the scenario that the parameters name, with their seed and topics.

    Raises:
        ScenarioError: it is missing or impossible.
    """
    path = Path(values.scenario)
    if path.suffix != ".yaml":
        path = aircraft.folder("config") / "scenarios" / f"{values.scenario}.yaml"
    loaded = scenarios.load(path)
    return scenarios.adjusted(
        loaded,
        seed=values.seed if values.seed >= 0 else loaded.seed,
        extra_topics=values.extra_topics or loaded.extra_topics,
    )


class SimNode(Node):
    """Drives a ``World`` by the wall clock (times ``speed``) or by sim/advance."""

    PARAMS = SimParams

    def __init__(self, **node_options: Any) -> None:
        super().__init__("sim", **node_options)
        self._params = params.declare(self, self.PARAMS)
        self.world = World(load_scenario(self._params))
        self.world.warm_up()
        self._own_clock = self._params.lockstep or self._params.speed != 1.0
        self._clock_pub = self.create_publisher(Clock, "/clock", 10) if self._own_clock else None
        self._out = {
            (writer.source, i): self.create_publisher(
                writer.kind,
                f"{spec.namespace}/{writer.full_topic}",
                qos.PX4_OUT_WRITER,
                event_callbacks=NO_PUBLISHER_EVENTS,
            )
            for i, spec in enumerate(self.world.scenario.vehicles)
            for writer in px4_out.WRITERS
            if self.world.scenario.sends(writer.source, extra=writer.extra, aiding=writer.aiding)
        }
        self._writers = {writer.source: writer for writer in px4_out.WRITERS}
        for spec in self.world.scenario.vehicles:
            self._listen(spec.namespace, spec.name)
        self.create_service(InjectFault, "sim/inject_fault", self._on_fault)
        self._epoch_us = time.time_ns() // 1000
        self._started_s: float | None = None
        self.lost_s = 0.0
        if self._params.lockstep:
            self.create_subscription(Duration, "sim/advance", self._on_advance, qos.RELIABLE)
        else:
            self._timer = self._wall_timer(TIMER_S, self._on_timer)

    def _wall_timer(self, period_s: float, callback: Callable[[], None]) -> Any:
        steady = RosClock(clock_type=ClockType.STEADY_TIME)
        return self.create_timer(period_s, callback, clock=steady)

    def _listen(self, namespace: str, vehicle: str) -> None:
        base = f"{namespace}/fmu/in"
        world = self.world

        def on_command(msg: VehicleCommand) -> None:
            order = px4_out.order(msg)
            command = Command(order.command, order.params, order.from_external)
            world.command(vehicle, command, order.target_system)

        def on_mode(msg: OffboardControlMode) -> None:
            position, velocity = px4_out.heartbeat(msg)
            world.offboard_mode(vehicle, position=position, velocity=velocity)

        def on_setpoint(msg: TrajectorySetpoint) -> None:
            sp = px4_out.setpoint(msg)
            world.setpoint(
                vehicle,
                sp.position_ned_m,
                sp.velocity_ned_m_s,
                sp.acceleration_ned_m_s2,
                yaw_rad=sp.yaw_rad,
                yaw_rate_rad_s=sp.yaw_rate_rad_s,
            )

        for kind, topic, callback in (
            (VehicleCommand, "vehicle_command", on_command),
            (OffboardControlMode, "offboard_control_mode", on_mode),
            (TrajectorySetpoint, "trajectory_setpoint", on_setpoint),
        ):
            self.create_subscription(
                kind,
                f"{base}/{topic}",
                callback,
                qos.PX4_IN,
                event_callbacks=NO_SUBSCRIPTION_EVENTS,
            )

    def _on_fault(self, request: Any, response: Any) -> Any:
        fault = request.fault
        try:
            self.world.inject(
                Fault(
                    kind=fault.kind,
                    vehicle=fault.vehicle,
                    start_s=fault.start_s,
                    duration_s=fault.duration_s,
                    vector=tuple(fault.vector),
                    magnitude=fault.magnitude,
                    index=fault.index,
                )
            )
        except ScenarioError as error:
            response.accepted, response.message = False, str(error)
        else:
            response.accepted, response.message = True, ""
        return response

    def _on_timer(self) -> None:
        """Catch up with the wall clock, which starts with the first call."""
        if self._started_s is None:
            self._started_s = time.monotonic()
            self._epoch_us = time.time_ns() // 1000
        goal_us = (time.monotonic() - self._started_s - self.lost_s) * self._params.speed * 1e6
        behind_s = (goal_us - self.world.time_us) * 1e-6 / self._params.speed
        if behind_s > BEHIND_MAX_S:
            self.lost_s += behind_s
            self.get_logger().warning(
                f"too slow for real time: {self.lost_s:.1f} s lost", throttle_duration_sec=5.0
            )
            # PX4's stamps stay with the wall clock, so the lost time is a gap in them
            if not self._own_clock:
                self._epoch_us += round(behind_s * 1e6)
            goal_us -= behind_s * self._params.speed * 1e6
        burst_us = self.world.time_us + BURST_S * max(self._params.speed, 1.0) * 1e6
        while self.world.time_us + TICK_US <= min(goal_us, burst_us):
            self._tick()

    def _on_advance(self, msg: Duration) -> None:
        asked_s = msg.sec + msg.nanosec * 1e-9
        if asked_s > ADVANCE_MAX_S:
            self.get_logger().warning(
                f"sim/advance of {asked_s:g} s: {ADVANCE_MAX_S:g} s are flown, ask again for more"
            )
        self.advance(min(asked_s, ADVANCE_MAX_S))

    def advance(self, seconds: float) -> None:
        """Let simulated time pass at once; for lockstep."""
        goal_us = self.world.time_us + round(seconds * 1e6)
        while self.world.time_us + TICK_US <= goal_us:
            self._tick()

    def _tick(self) -> None:
        batches = self.world.step()
        if self._clock_pub is not None:
            stamp = Clock()
            now_us = self._epoch_us + self.world.time_us
            stamp.clock.sec, stamp.clock.nanosec = now_us // 1_000_000, now_us % 1_000_000 * 1000
            self._clock_pub.publish(stamp)
        for batch in batches:
            self._send(batch)

    def _send(self, batch: Batch) -> None:
        messages = self._writers[batch.source].encode(
            batch.values,
            len(batch.rows),
            sample_us=batch.sample_us,
            said_us=batch.said_us,
            epoch_us=self._epoch_us,
        )
        for i, message in zip(batch.rows, messages, strict=True):
            self._out[batch.source, i].publish(message)


def main() -> None:
    """Run the simulator."""
    run.main(SimNode)
