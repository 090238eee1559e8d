# SPDX-License-Identifier: Apache-2.0
"""The consistency node: PX4's topics and the twin's state in, verdicts and deviations out."""

from __future__ import annotations

from typing import Any

from airtwin_msgs import msg as wire
from rclpy.node import Node

from airtwin_consistency.limits import Limits
from airtwin_consistency.monitor import Monitor
from airtwin_core.intake import Intake
from airtwin_core.types import Sample
from airtwin_ros import convert, params, px4_topics, qos
from airtwin_ros.diagnostics import Diagnostics
from airtwin_ros.run import main as run

SOURCES = (
    "imu",
    "gnss",
    "barometer",
    "airspeed",
    "motors",
    "attitude",
    "position",
    "odometry",
    "status",
    "vtol",
    "land_detected",
    "battery",
    "flags",
    "timesync",
)
TICK_S = 0.1


class ConsistencyNode(Node):
    """Judges one aircraft. Publishes nothing but verdicts: in every mode it is a shadow.

    In: ``fmu/out/`` sensor_combined, vehicle_gps_position, vehicle_air_data, airspeed_validated,
    actuator_motors, vehicle_attitude, vehicle_local_position, vehicle_odometry, vehicle_status,
    vtol_vehicle_status, vehicle_land_detected, battery_status, estimator_status_flags,
    timesync_status; ``twin/state``.
    Out: ``consistency/report`` at 10 Hz, ``consistency/event`` when a deviation opens or closes,
    ``/diagnostics``.
    """

    PARAMS = Limits

    def __init__(self, **node_options: Any) -> None:
        super().__init__("consistency", **node_options)
        self._monitor = Monitor(params.declare(self, self.PARAMS))
        self._vehicle = px4_topics.vehicle_name(self)
        self._intake = Intake()
        self._epoch = self._intake.epoch
        self._report = self.create_publisher(
            wire.ConsistencyReport, "consistency/report", qos.RELIABLE
        )
        self._event = self.create_publisher(wire.DeviationEvent, "consistency/event", qos.EVENT)
        self._diagnostics = Diagnostics(self, self._intake)
        self._px4 = px4_topics.subscribe(self, self._intake, SOURCES, self._on_sample)
        self._twin = self.create_subscription(
            wire.TwinState, "twin/state", self._on_twin, qos.STATE
        )
        self._timer = self.create_timer(TICK_S, self._on_timer)

    def _on_sample(self, source: str, sample: Sample) -> None:
        if self._intake.epoch != self._epoch:
            self._epoch = self._intake.epoch
            self._monitor.restart()
            self.get_logger().warning(f"{self._vehicle}: the vehicle's clock restarted")
        self._monitor.on(sample)

    def _on_twin(self, msg: wire.TwinState) -> None:
        self._monitor.on(convert.twin_state(msg))

    def _on_timer(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        report, changed = self._monitor.tick(now_ns)
        self._report.publish(convert.report_msg(report, self._vehicle, now_ns=now_ns))
        for deviation in changed:
            self._event.publish(convert.deviation_msg(deviation, self._vehicle))
            what = "opened" if deviation.end_ns is None else "closed"
            self.get_logger().warning(
                f"{self._vehicle}: {deviation.id} {what}: {deviation.factor}, "
                f"{deviation.cause}: {deviation.evidence}"
            )


def main() -> None:
    """Entry of ``ros2 run airtwin_consistency node``."""
    run(ConsistencyNode)
