# SPDX-License-Identifier: Apache-2.0
"""The console node: what the twins believe, drawn for RViz."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airtwin_msgs.msg import Advisory, ConsistencyReport, MissionBelief, TwinState
from geometry_msgs.msg import PoseStamped, Quaternion, TransformStamped, Vector3
from nav_msgs.msg import Path
from rclpy.node import Node
from sensor_msgs.msg import NavSatFix
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from airtwin_console.config import ConsoleConfig
from airtwin_console.markers import MAP
from airtwin_console.scene import Scene
from airtwin_core.types import Origin
from airtwin_ros import convert, params, qos
from airtwin_ros.markers import marker_array
from airtwin_ros.run import main as run


class ConsoleNode(Node):
    """Draws the vehicles of the parameter ``vehicles``; ENU and FLU as RViz expects.

    In, for each vehicle: ``twin/state``, ``consistency/report``, ``mission/belief``; and
    ``/airspace/advisory``, ``/airspace/origin`` (zero of ``map``).
    Out: ``/tf`` (map, <vehicle>/odom, <vehicle>/base_link), ``twin/path`` for each vehicle,
    ``/console/markers``.
    """

    PARAMS = ConsoleConfig

    def __init__(self, **node_options: Any) -> None:
        super().__init__("console", **node_options)
        config = params.declare(self, self.PARAMS)
        self._scene = Scene(config)
        self._newest: dict[str, tuple[TwinState, int]] = {}
        self._tf = self.create_publisher(TFMessage, "/tf", qos.RELIABLE)
        self._markers = self.create_publisher(MarkerArray, "/console/markers", qos.RELIABLE)
        self._paths = {vehicle: self._listen(vehicle) for vehicle in config.vehicles}
        self.create_subscription(Advisory, "/airspace/advisory", self._on_advisory, qos.EVENT)
        self.create_subscription(NavSatFix, "/airspace/origin", self._on_origin, qos.EVENT)
        self._timers_kept = (
            self.create_timer(1.0 / config.tf_hz, self._publish_tf),
            self.create_timer(1.0 / config.marker_hz, self._publish_markers),
            self.create_timer(1.0 / config.path_hz, self._publish_paths),
        )

    def _listen(self, vehicle: str) -> Any:
        """Subscribe to one vehicle; return the publisher of its path."""
        prefix = "/" if vehicle == "px4_0" else f"/{vehicle}/"
        seen = self._scene.seen[vehicle]

        def on_state(msg: TwinState) -> None:
            self._newest[vehicle] = (msg, self._now_ns())

        def on_report(msg: ConsistencyReport) -> None:
            seen.report = convert.report(msg)

        def on_belief(msg: MissionBelief) -> None:
            try:
                seen.belief = convert.belief(msg)
            except ValueError as error:
                self._refused(f"belief of {vehicle}", error)

        self.create_subscription(TwinState, f"{prefix}twin/state", on_state, qos.STATE)
        self.create_subscription(
            ConsistencyReport, f"{prefix}consistency/report", on_report, qos.RELIABLE
        )
        self.create_subscription(MissionBelief, f"{prefix}mission/belief", on_belief, qos.RELIABLE)
        return self.create_publisher(Path, f"{prefix}twin/path", qos.RELIABLE)

    def _on_advisory(self, msg: Advisory) -> None:
        self._scene.on_advisory(convert.advisory(msg))

    def _on_origin(self, msg: NavSatFix) -> None:
        try:
            self._scene.place(Origin(msg.latitude, msg.longitude, msg.altitude))
        except ValueError as error:
            self._refused("/airspace/origin", error)

    def _refused(self, what: str, error: ValueError) -> None:
        self.get_logger().warning(f"{what} refused: {error}", throttle_duration_sec=5.0)

    def _publish_tf(self) -> None:
        for vehicle, (msg, received_ns) in self._newest.items():
            # aged by this node's clock: the twin may run on another machine
            state = convert.twin_state(msg)._replace(received_ns=received_ns)
            self._scene.on_state(vehicle, state)
        self._newest.clear()
        stamp = self.get_clock().now().to_msg()
        transforms = []
        for vehicle, pose in self._scene.poses(self._now_ns()).items():
            odom, base = f"{vehicle}/odom", f"{vehicle}/base_link"
            transforms.append(_transform(MAP, odom, stamp, pose.origin_enu_m))
            transforms.append(_transform(odom, base, stamp, pose.local_enu_m, pose.q_enu_flu))
        if transforms:
            self._tf.publish(TFMessage(transforms=transforms))

    def _publish_markers(self) -> None:
        marks = self._scene.marks(self._now_ns())
        if marks:
            self._markers.publish(marker_array(marks, self.get_clock().now().to_msg()))

    def _publish_paths(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for vehicle, publisher in self._paths.items():
            path = Path()
            path.header.frame_id = MAP
            path.header.stamp = stamp
            for point in self._scene.seen[vehicle].path_enu_m:
                pose = PoseStamped(header=path.header)
                place = pose.pose.position
                place.x, place.y, place.z = (float(number) for number in point)
                path.poses.append(pose)
            if path.poses:
                publisher.publish(path)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def _transform(
    parent: str,
    child: str,
    stamp: Any,
    translation_m: Iterable[float],
    q_wxyz: Iterable[float] = (1.0, 0.0, 0.0, 0.0),
) -> TransformStamped:
    msg = TransformStamped(child_frame_id=child)
    msg.header.frame_id = parent
    msg.header.stamp = stamp
    x, y, z = (float(number) for number in translation_m)
    msg.transform.translation = Vector3(x=x, y=y, z=z)
    w, x, y, z = (float(number) for number in q_wxyz)
    msg.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return msg


def main() -> None:
    """Entry of ``ros2 run airtwin_console node``."""
    run(ConsoleNode)
