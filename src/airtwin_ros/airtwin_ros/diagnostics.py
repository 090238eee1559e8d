# SPDX-License-Identifier: Apache-2.0
"""What a node used and refused, on ``/diagnostics`` as every ROS tool expects it."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from airtwin_core.intake import Intake
from airtwin_ros import qos


class Diagnostics:
    """Publishes an ``Intake``'s counts each second: ``<source>/used``, ``<source>/<cause>``.

    ``said``: returns what else there is to say: a warning ("" if all is well), and more values.
    """

    def __init__(
        self,
        node: Node,
        intake: Intake,
        said: Callable[[], tuple[str, dict[str, str]]] = lambda: ("", {}),
    ) -> None:
        self._node = node
        self._said = said
        self._intake = intake
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._timer = node.create_timer(1.0, self._publish)

    def _publish(self) -> None:
        status = DiagnosticStatus(level=DiagnosticStatus.OK, message="receiving")
        status.name = status.hardware_id = self._node.get_fully_qualified_name()
        for source, by_cause in self._intake.counts.items():
            for what, count in by_cause.items():
                status.values.append(KeyValue(key=f"{source}/{what}", value=str(count)))
        warning, values = self._said()
        status.values += [KeyValue(key=key, value=value) for key, value in values.items()]
        if warning:
            status.level = DiagnosticStatus.WARN
            status.message = warning
        if not self._intake.counts:
            status.level = DiagnosticStatus.STALE
            status.message = "nothing received yet"
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(msg)
