# SPDX-License-Identifier: Apache-2.0
"""The airspace node: the twins of all vehicles in, advisories out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from airtwin_msgs.msg import Advisory, MissionBelief, TwinState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from sensor_msgs.msg import NavSatFix
from visualization_msgs.msg import MarkerArray

from airtwin_airspace.config import AirspaceConfig
from airtwin_airspace.manager import Airspace
from airtwin_airspace.markers import FRAME, zone_marks
from airtwin_airspace.zone_files import BadZoneFile, ZoneFile, parse
from airtwin_core.intake import Intake
from airtwin_core.types import LandDetected, Sample
from airtwin_ros import convert, params, px4_topics, qos
from airtwin_ros.markers import marker_array
from airtwin_ros.run import main as run


class AirspaceNode(Node):
    """Keeps the vehicles of the parameter ``vehicles`` apart and out of zones.

    In, for each vehicle: ``twin/state``, ``mission/belief``, ``fmu/out/vehicle_land_detected``.
    Out: ``/airspace/advisory`` when one changes, ``/airspace/markers`` (zones) and
    ``/airspace/origin`` (zero of frame ``map``) for whoever comes late, ``/diagnostics`` at 1 Hz.

    Raises:
        BadZoneFile: the zone file cannot be used; a manager without its zones does not start.
    """

    PARAMS = AirspaceConfig

    def __init__(self, **node_options: Any) -> None:
        super().__init__("airspace", **node_options)
        config = params.declare(self, self.PARAMS)
        self._file = self._zones(config)
        self._airspace = Airspace(
            self._file.zones,
            config.limits,
            vehicles=config.vehicles,
            origin=config.origin,
            reference=config.reference,
            authorised=frozenset(name for name in config.authorised if name),
            remarks=list(self._file.remarks),
        )
        self._newest: dict[str, tuple[TwinState, int]] = {}
        self._intakes = {vehicle: Intake() for vehicle in config.vehicles}
        self._placed = False
        self._said = 0
        self._advisory = self.create_publisher(Advisory, "/airspace/advisory", qos.EVENT)
        self._markers = self.create_publisher(MarkerArray, "/airspace/markers", qos.EVENT)
        self._origin = self.create_publisher(NavSatFix, "/airspace/origin", qos.EVENT)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        for vehicle in config.vehicles:
            self._listen(vehicle)
        self._timers_kept = (
            self.create_timer(config.tick_s, self._tick),
            self.create_timer(1.0, self._diagnose),
        )

    def _zones(self, config: AirspaceConfig) -> ZoneFile:
        if not config.zones:
            return ZoneFile((), ())
        path = Path(config.zones)
        try:
            file = parse(path.read_bytes(), partial=config.partial_zones)
        except (OSError, BadZoneFile) as error:
            raise BadZoneFile(f"{path}: {error}") from None
        self.get_logger().info(f"{len(file.zones)} zones from {path}")
        for refused in file.refused:
            self.get_logger().error(f"{path.name}: {refused}: not watched")
        return file

    def _listen(self, vehicle: str) -> None:
        prefix = "/" if vehicle == "px4_0" else f"/{vehicle}/"
        intake = self._intakes[vehicle]

        def on_state(msg: TwinState) -> None:
            self._newest[vehicle] = (msg, self._now_ns())

        def on_belief(msg: MissionBelief) -> None:
            try:
                belief = convert.belief(msg)
            except ValueError:
                intake.reject("belief", "phase not known")
                return
            received = dataclasses.replace(belief, received_ns=self._now_ns())
            self._airspace.on_belief(vehicle, received)

        def on_land(_: str, sample: Sample) -> None:
            if isinstance(sample, LandDetected):
                self._airspace.on_land(vehicle, sample)

        self.create_subscription(TwinState, f"{prefix}twin/state", on_state, qos.STATE)
        self.create_subscription(MissionBelief, f"{prefix}mission/belief", on_belief, qos.RELIABLE)
        px4_topics.subscribe(self, intake, ("land_detected",), on_land, prefix=prefix)

    def _tick(self) -> None:
        for vehicle, (msg, received_ns) in self._newest.items():
            try:
                state = convert.twin_state(msg)
            except ValueError as error:
                self._intakes[vehicle].reject("state", "message not understood")
                self.get_logger().warning(
                    f"state of {vehicle} not understood: {error}", throttle_duration_sec=5.0
                )
                continue
            # aged by this node's clock: the twin may run on another machine
            state = state._replace(received_ns=received_ns)
            cause = self._airspace.on_track(vehicle, state)
            if cause is not None:
                self.get_logger().warning(
                    f"track of {vehicle} refused: {cause}", throttle_duration_sec=5.0
                )
        self._newest.clear()
        now_ns = self._now_ns()
        for advisory in self._airspace.tick(now_ns):
            self.get_logger().info(
                f"{advisory.vehicle}: {advisory.action.name}, {advisory.reason}"
            )
            self._advisory.publish(convert.advisory_msg(advisory, now_ns=now_ns))
        if not self._placed and self._airspace.frame is not None:
            self._publish_place()
        for remark in self._airspace.remarks[self._said :]:
            self.get_logger().warning(remark)
        self._said = len(self._airspace.remarks)

    def _publish_place(self) -> None:
        """Say once where frame ``map`` is, and draw the zones in it."""
        frame = self._airspace.frame
        assert frame is not None
        self._placed = True
        fix = NavSatFix()
        fix.header.frame_id = FRAME
        fix.header.stamp = self.get_clock().now().to_msg()
        fix.latitude, fix.longitude = frame.origin.latitude_deg, frame.origin.longitude_deg
        fix.altitude = frame.origin.altitude_amsl_m
        self._origin.publish(fix)
        marks = zone_marks(self._airspace.index.prisms, frame.origin.altitude_amsl_m)
        self._markers.publish(marker_array(marks, fix.header.stamp))

    def _diagnose(self) -> None:
        picture = self._airspace.picture
        status = DiagnosticStatus(level=DiagnosticStatus.OK, message="all tracks known")
        status.name = status.hardware_id = self.get_fully_qualified_name()
        if picture.unknown:
            status.level = DiagnosticStatus.WARN
            status.message = "; ".join(f"{name}: {why}" for name, why in picture.unknown)
        if self._file.refused:
            status.level = DiagnosticStatus.ERROR
            status.message = f"{len(self._file.refused)} zones not watched; {status.message}"
        for vehicle, intake in self._intakes.items():
            counts = self._airspace.tracks[vehicle].intake.counts | intake.counts
            for source, by_cause in counts.items():
                for what, count in by_cause.items():
                    key = f"{vehicle}/{source}/{what}"
                    status.values.append(KeyValue(key=key, value=str(count)))
        status.values.append(KeyValue(key="zones", value=str(len(self._file.zones))))
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(msg)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main() -> None:
    """Entry of ``ros2 run airtwin_airspace node``."""
    run(AirspaceNode)
