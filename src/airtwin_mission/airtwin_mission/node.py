# SPDX-License-Identifier: Apache-2.0
"""Shell of the mission executor: topics in, belief out, and in mode ``twin`` commands to PX4."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import airtwin_msgs.msg as wire
from rclpy.node import Node

from airtwin_core.intake import Intake
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    MissionBelief,
    Report,
    Sample,
    VehicleStatus,
)
from airtwin_mission import mission_file, plan
from airtwin_mission.executor import Executor
from airtwin_mission.follower import Follower
from airtwin_mission.gate import Gate, GateLimits
from airtwin_mission.limits import Limits
from airtwin_mission.model_vehicle import ModelVehicle
from airtwin_mission.ports import Output, Setpoint, VehicleCommand
from airtwin_mission.px4_vehicle import Px4Vehicle
from airtwin_ros import convert, params, px4_commands, px4_topics, qos, run
from airtwin_ros.diagnostics import Diagnostics

STREAM_PERIOD_S = 0.05
TICKS_EVERY = 2  # stream periods: 10 Hz
SOURCES = ("position", "status", "land_detected", "ack", "home")
MODES = ("model", "shadow", "twin")


@dataclass(frozen=True, slots=True)
class MissionParams(Limits):
    """Parameters of the node: those of ``Limits``, and what it may do.

    ``mission``: path of a .plan or .yaml. ``arming``: in mode twin it may start the motors itself.
    """

    mission: str = ""
    mode: str = "shadow"
    arming: bool = False
    commands_per_s: int = 10

    def __post_init__(self) -> None:
        """Raises: ValueError: out of range."""
        Limits.__post_init__(self)
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, must be one of {', '.join(MODES)}")
        if self.mode == "model" and (self.monitor_required or self.airspace_required):
            raise ValueError("mode model hears nobody: monitor_required and airspace_required")
        if not self.mission:
            raise ValueError("mission names no file")


class MissionNode(Node):
    """In: fmu/out (position, status, land detector, ack, home), consistency/report,
    /airspace/advisory. Out: mission/belief 10 Hz; in mode twin, and only there, fmu/in
    (vehicle_command, offboard_control_mode, trajectory_setpoint).
    """

    PARAMS = MissionParams

    def __init__(self, **node_options: Any) -> None:
        super().__init__("mission", **node_options)
        self._params = params.declare(self, self.PARAMS)
        mission = mission_file.load(self._params.mission)
        for note in mission.notes:
            self.get_logger().info(f"{mission.name}: {note}")
        self._vehicle_name = px4_topics.vehicle_name(self)
        instance = self._vehicle_name.rpartition("_")[2]
        self._system_id = int(instance) + 1 if instance.isdecimal() else 1  # until PX4 says
        self._px4: Px4Vehicle | None = None
        self._flight = self._start(mission)
        self._gate = Gate(
            GateLimits(
                self._params.mode,
                self._params.arming,
                self._params.commands_per_s,
                reach_m=3.0 * self._params.lead_m + 10.0,
            )
        )
        self._turn = 0
        self._said: tuple[Any, ...] = ()
        self._belief = self.create_publisher(wire.MissionBelief, "mission/belief", qos.RELIABLE)
        self._intake = Intake()
        if self._params.mode != "model":
            self._subscribe()
        if self._px4 is not None:
            self._commands = self.create_publisher(
                px4_commands.VehicleCommand, "fmu/in/vehicle_command", qos.PX4_IN
            )
            self._heartbeats = self.create_publisher(
                px4_commands.OffboardControlMode, "fmu/in/offboard_control_mode", qos.PX4_IN
            )
            self._setpoints = self.create_publisher(
                px4_commands.TrajectorySetpoint, "fmu/in/trajectory_setpoint", qos.PX4_IN
            )
        self._timer = self.create_timer(STREAM_PERIOD_S, self._on_timer)

    def _start(self, mission: plan.Mission) -> Executor | Follower:
        limits = self._params
        if limits.mode == "shadow":
            return Follower(mission, limits)
        if limits.mode == "model":
            return Executor(mission, ModelVehicle(limits, plan.reference(mission)), limits)
        self._px4 = Px4Vehicle(limits, arming=limits.arming)
        return Executor(mission, self._px4, limits)

    def _subscribe(self) -> None:
        px4_topics.subscribe(self, self._intake, SOURCES, self._on_sample)
        self._diagnostics = Diagnostics(self, self._intake)
        self.create_subscription(
            wire.ConsistencyReport, "consistency/report", self._on_report, qos.RELIABLE
        )
        self.create_subscription(wire.Advisory, "/airspace/advisory", self._on_advisory, qos.EVENT)

    def _on_sample(self, source: str, sample: Sample) -> None:
        if isinstance(sample, VehicleStatus) and sample.system_id > 0:
            self._system_id = sample.system_id
        self._flight.on(sample)

    def _on_report(self, msg: wire.ConsistencyReport) -> None:
        try:
            report: Report = convert.report(msg)
        except ValueError as error:  # an enum of another version; silence follows: hold
            self._unreadable("report", error)
            return
        self._flight.on(report)

    def _on_advisory(self, msg: wire.Advisory) -> None:
        if msg.vehicle != self._vehicle_name:
            return
        try:
            advisory: Advisory = convert.advisory(msg)
        except ValueError as error:
            self._unreadable("advisory", error)
            advisory = Advisory(
                msg.vehicle,
                AdvisoryAction.HOLD,
                "unreadable",
                "",
                math.nan,
                math.nan,
                "an advisory that cannot be read",
            )
        self._flight.on(advisory)

    def _unreadable(self, source: str, error: ValueError) -> None:
        self._intake.reject(source, "unreadable")
        self.get_logger().warning(f"{source} not read: {error}", throttle_duration_sec=5.0)

    def _on_timer(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        if self._turn == 0:
            belief = self._flight.tick(now_ns)
            self._belief.publish(convert.belief_msg(belief, self._vehicle_name))
            self._say(belief)
        self._turn = (self._turn + 1) % TICKS_EVERY
        if self._px4 is not None:
            for output in self._px4.stream(now_ns):
                self._send(output, now_ns)

    def _send(self, output: Output, now_ns: int) -> None:
        """Everything that reaches the aircraft goes through here; commands leave an audit line."""
        aircraft = None if self._px4 is None else self._px4.view().position_ned_m
        refusal = self._gate.refusal(output, now_ns, aircraft)
        if isinstance(output, VehicleCommand):
            verdict = f"REFUSED: {refusal}" if refusal else "sent"
            self.get_logger().info(
                f"audit: {self._vehicle_name} (system {self._system_id}) command "
                f"{output.command} {output.why}: {verdict}"
            )
        elif refusal:
            self.get_logger().error(f"audit: setpoint {refusal}", throttle_duration_sec=1.0)
        if refusal:
            return
        stamp_us = now_ns // 1000
        if isinstance(output, VehicleCommand):
            fields = dataclasses.astuple(output)[1:8]
            self._commands.publish(
                px4_commands.command_msg(
                    output.command, fields, system_id=self._system_id, stamp_us=stamp_us
                )
            )
        elif isinstance(output, Setpoint):
            self._heartbeats.publish(
                px4_commands.offboard_mode_msg(position=True, velocity=False, stamp_us=stamp_us)
            )
            self._setpoints.publish(
                px4_commands.setpoint_msg(
                    output.position_ned_m,
                    output.velocity_ned_m_s,
                    yaw_ned_rad=output.yaw_ned_rad,
                    stamp_us=stamp_us,
                )
            )

    def _say(self, belief: MissionBelief) -> None:
        """Log what changed."""
        said = (belief.phase, belief.leg, belief.reason)
        if said != self._said:
            self._said = said
            why = f": {belief.reason}" if belief.reason else ""
            self.get_logger().info(
                f"{self._vehicle_name} {belief.phase.value}, leg {belief.leg + 1} of "
                f"{belief.legs}{why}"
            )


def main() -> None:
    """Run the node alone."""
    run.main(MissionNode)
