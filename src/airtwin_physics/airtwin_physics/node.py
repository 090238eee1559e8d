# SPDX-License-Identifier: Apache-2.0
"""The physics node: PX4's sensor topics in, the twin's state out."""

from __future__ import annotations

from typing import Any

from airtwin_msgs.msg import TwinState
from rclpy.node import Node

from airtwin_core.intake import Intake
from airtwin_core.types import Sample
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_ros import convert, params, px4_topics, qos
from airtwin_ros.diagnostics import Diagnostics
from airtwin_ros.run import main as run

SOURCES = (
    "imu",
    "gnss",
    "barometer",
    "magnetometer",
    "attitude",
    "position",
    "land_detected",
    "status",
)


class PhysicsNode(Node):
    """Follows one aircraft.

    In: ``fmu/out/`` sensor_combined, vehicle_gps_position, vehicle_air_data,
    vehicle_magnetometer, vehicle_attitude (first guess; heading if there is no magnetometer),
    vehicle_local_position (origin only), vehicle_land_detected, vehicle_status.
    Out: ``twin/state`` at 50 Hz of vehicle time, ``/diagnostics``.
    """

    PARAMS = EstimatorConfig

    def __init__(self, **node_options: Any) -> None:
        super().__init__("physics", **node_options)
        warm_up()
        self._estimator = Estimator(params.declare(self, self.PARAMS))
        self._vehicle = px4_topics.vehicle_name(self)
        self._intake = Intake()
        self._epoch = self._intake.epoch
        self._state = self.create_publisher(TwinState, "twin/state", qos.STATE)
        self._diagnostics = Diagnostics(self, self._intake)
        self._px4 = px4_topics.subscribe(self, self._intake, SOURCES, self._on_sample)

    def _on_sample(self, source: str, sample: Sample) -> None:
        if self._intake.epoch != self._epoch:
            self._epoch = self._intake.epoch
            self._estimator.reset("the vehicle's clock restarted")
        state = self._estimator.on(sample)
        if state is not None:
            self._state.publish(convert.twin_state_msg(state, self._vehicle))


def main() -> None:
    """Entry of ``ros2 run airtwin_physics node``."""
    run(PhysicsNode)
