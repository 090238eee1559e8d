# SPDX-License-Identifier: Apache-2.0
"""The node of the command line: listens to every twin and keeps what a person wants to see."""

from __future__ import annotations

from typing import Any

from airtwin_msgs.msg import (
    Advisory,
    ConsistencyReport,
    DeviationEvent,
    MissionBelief,
    TwinState,
)
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from airtwin_bringup import graph
from airtwin_bringup.in_process import restart_diagnostic
from airtwin_console.table import Board
from airtwin_core.types import Phase, Verdict
from airtwin_ros import convert, qos

OVER = (Phase.DONE, Phase.ABORTED)


class WatchNode(Node):
    """In: twin/state, consistency/report, consistency/event, mission/belief of all vehicles,
    /airspace/advisory. Out: /diagnostics, when the command line had to restart a process.
    """

    def __init__(self, vehicles: tuple[str, ...], board: Board, **node_options: Any) -> None:
        super().__init__("watch", start_parameter_services=False, **node_options)
        self._board = board
        self._phases: dict[str, Phase] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.create_subscription(Advisory, "/airspace/advisory", self._on_advisory, qos.EVENT)
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

        def on_state(msg: TwinState) -> None:
            board.on_state(vehicle, convert.twin_state(msg))

        def on_report(msg: ConsistencyReport) -> None:
            report = convert.report(msg)
            self.verdicts[vehicle] = report.verdict
            board.on_report(vehicle, report)

        def on_event(msg: DeviationEvent) -> None:
            board.on_deviation(vehicle, convert.deviation(msg))

        def on_belief(msg: MissionBelief) -> None:
            belief = convert.belief(msg)
            self._phases[vehicle] = belief.phase
            board.on_belief(vehicle, belief)

        self.create_subscription(TwinState, f"{prefix}/twin/state", on_state, qos.STATE)
        self.create_subscription(
            ConsistencyReport, f"{prefix}/consistency/report", on_report, qos.RELIABLE
        )
        self.create_subscription(
            DeviationEvent, f"{prefix}/consistency/event", on_event, qos.EVENT
        )
        self.create_subscription(
            MissionBelief, f"{prefix}/mission/belief", on_belief, qos.RELIABLE
        )

    def _on_advisory(self, msg: Advisory) -> None:
        self._board.on_advisory(convert.advisory(msg))

    @property
    def airborne(self) -> bool:
        """Whether a mission has left the ground."""
        return any(phase not in (Phase.IDLE, Phase.ARMING) for phase in self._phases.values())

    def over(self, vehicles: tuple[str, ...]) -> bool:
        """Whether every mission has ended."""
        return all(self._phases.get(vehicle) in OVER for vehicle in vehicles)
