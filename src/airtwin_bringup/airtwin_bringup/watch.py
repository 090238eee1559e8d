# SPDX-License-Identifier: Apache-2.0
"""The node of the command line: listens to every twin and keeps what a person wants to see."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import airtwin_msgs.msg as wire
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from airtwin_bringup import graph
from airtwin_bringup.in_process import restart_diagnostic
from airtwin_console.table import Board
from airtwin_core.types import Advisory, AdvisoryAction, Phase, Verdict
from airtwin_ros import convert, qos

OVER = (Phase.DONE, Phase.ABORTED)


class WatchNode(Node):
    """In: twin/state, twin/parameters, consistency/report, consistency/event and mission/belief of
    all vehicles, /airspace/advisory. Out: /diagnostics, when the command line had to restart a
    process; /airspace/advisory, when a person ended the run with aircraft in the air.
    """

    def __init__(self, vehicles: tuple[str, ...], board: Board, **node_options: Any) -> None:
        super().__init__("watch", start_parameter_services=False, **node_options)
        self._board = board
        self._phases: dict[str, Phase] = {}
        self.verdicts: dict[str, Verdict] = {}
        self._recalled: set[str] = set()
        self._advisories = self.create_publisher(wire.Advisory, "/airspace/advisory", qos.EVENT)
        self.create_subscription(
            wire.Advisory, "/airspace/advisory", self._readable(self._on_advisory), qos.EVENT
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        for vehicle in vehicles:
            self._listen(vehicle)

    def on_restart(self, process: str, why: str) -> None:
        """Say that a process died and was started again: on the table and in the recording."""
        self._board.on_note(f"process {process} restarted: {why}")
        self._diagnostics.publish(restart_diagnostic(self, f"process {process}", why))

    def _listen(self, vehicle: str) -> None:
        prefix = f"/{graph.namespace(vehicle)}".rstrip("/")
        board = self._board

        def on_state(msg: wire.TwinState) -> None:
            board.on_state(vehicle, convert.twin_state(msg))

        def on_parameters(msg: wire.ParameterEstimates) -> None:
            board.on_identification(vehicle, convert.identification(msg))

        def on_report(msg: wire.ConsistencyReport) -> None:
            report = convert.report(msg)
            self.verdicts[vehicle] = report.verdict
            board.on_report(vehicle, report)

        def on_event(msg: wire.DeviationEvent) -> None:
            board.on_deviation(vehicle, convert.deviation(msg))

        def on_belief(msg: wire.MissionBelief) -> None:
            belief = convert.belief(msg)
            self._phases[vehicle] = belief.phase
            board.on_belief(vehicle, belief)

        for kind, topic, callback, profile in (
            (wire.TwinState, "twin/state", on_state, qos.STATE),
            (wire.ParameterEstimates, "twin/parameters", on_parameters, qos.RELIABLE),
            (wire.ConsistencyReport, "consistency/report", on_report, qos.RELIABLE),
            (wire.DeviationEvent, "consistency/event", on_event, qos.EVENT),
            (wire.MissionBelief, "mission/belief", on_belief, qos.RELIABLE),
        ):
            self.create_subscription(kind, f"{prefix}/{topic}", self._readable(callback), profile)

    def _readable(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Keep the run alive when a node of another version says what this one does not know."""

        def on_message(msg: Any) -> None:
            try:
                callback(msg)
            except ValueError as error:
                kind = type(msg).__name__
                self.get_logger().error(f"{kind} not understood: {error}", throttle_duration_sec=5)

        return on_message

    def _on_advisory(self, msg: wire.Advisory) -> None:
        self._board.on_advisory(convert.advisory(msg))

    def recall(self, vehicles: tuple[str, ...]) -> None:
        """Ask each vehicle's mission, once, to return and land."""
        for vehicle in vehicles:
            if vehicle not in self._recalled:
                self._recalled.add(vehicle)
                advisory = Advisory(
                    vehicle, AdvisoryAction.RETURN, "operator", "", nan, nan, "the run was ended"
                )
                self._advisories.publish(
                    convert.advisory_msg(advisory, now_ns=self.get_clock().now().nanoseconds)
                )

    @property
    def airborne(self) -> bool:
        """Whether a mission has left the ground."""
        return any(phase not in (Phase.IDLE, Phase.ARMING) for phase in self._phases.values())

    def over(self, vehicles: tuple[str, ...]) -> bool:
        """Whether every mission has ended."""
        return all(self._phases.get(vehicle) in OVER for vehicle in vehicles)
