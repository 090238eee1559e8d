# SPDX-License-Identifier: Apache-2.0
"""Shell that writes what flies past to one MCAP file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import px4_msgs.msg
from airtwin_msgs.msg import (
    Advisory,
    ConsistencyReport,
    DeviationEvent,
    MissionBelief,
    ParameterEstimates,
    TwinState,
)
from diagnostic_msgs.msg import DiagnosticArray
from mcap.writer import Writer
from rclpy.node import Node
from rclpy.qos import QoSProfile

from airtwin_ros import params, px4, qos, run, schemas

CHUNK_BYTES = 256 * 1024
"""What a kill -9 can cost; a reader recovers every chunk before it."""

TWIN_TOPICS = (
    ("twin/state", TwinState, qos.STATE),
    ("twin/parameters", ParameterEstimates, qos.RELIABLE),
    ("consistency/report", ConsistencyReport, qos.RELIABLE),
    ("consistency/event", DeviationEvent, qos.EVENT),
    ("mission/belief", MissionBelief, qos.RELIABLE),
)
COMMAND_TOPICS = (
    ("fmu/in/vehicle_command", px4_msgs.msg.VehicleCommand),
    ("fmu/in/trajectory_setpoint", px4_msgs.msg.TrajectorySetpoint),
)
GLOBAL_TOPICS = (
    ("/airspace/advisory", Advisory, qos.EVENT),
    ("/diagnostics", DiagnosticArray, qos.RELIABLE),
)


def keep_earlier(path: Path) -> Path | None:
    """Move a recording that is at ``path`` aside and return where it is now.

    A recorder that crashed is started again with the same path: what it left is the flight's
    first part.
    """
    if not path.exists():
        return None
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(aside)


@dataclass(frozen=True, slots=True)
class RecorderParams:
    """Whose topics go where."""

    vehicles: tuple[str, ...] = ("px4_0",)
    path: str = "flight.mcap"

    def __post_init__(self) -> None:
        if not self.vehicles:
            raise ValueError("vehicles is empty: name at least one, for example px4_1")


class RecorderNode(Node):
    """In: every topic of PX4 and twin of ``vehicles``, /airspace/advisory, /diagnostics.
    Out: an MCAP file, messages as they came, stamped with the time of arrival.
    """

    PARAMS = RecorderParams

    def __init__(self, **node_options: Any) -> None:
        super().__init__("recorder", **node_options)
        self._params = params.declare(self, self.PARAMS)
        path = Path(self._params.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = keep_earlier(path)
        if aside is not None:
            self.get_logger().warning(f"the recording until now is kept in {aside}")
        self._writer = Writer(str(path), chunk_size=CHUNK_BYTES)
        self._writer.start(profile="ros2", library="airtwin")
        for vehicle in self._params.vehicles:
            self._record_vehicle("" if vehicle == "px4_0" else f"/{vehicle}")
        for topic, message, profile in GLOBAL_TOPICS:
            self._record(topic, message, profile)

    def destroy_node(self) -> None:
        """Close the file first, so that it has its index."""
        self._writer.finish()
        super().destroy_node()

    def _record_vehicle(self, prefix: str) -> None:
        for reader in px4.READERS:
            message = getattr(px4_msgs.msg, reader.message)
            self._record(f"{prefix}/{px4.topic(reader.topic, message)}", message, qos.PX4_OUT)
        for name, message in COMMAND_TOPICS:
            self._record(f"{prefix}/{name}", message, qos.PX4_OUT)
        for name, message, profile in TWIN_TOPICS:
            self._record(f"{prefix}/{name}", message, profile)

    def _record(self, topic: str, message: type, profile: QoSProfile) -> None:
        schema = self._writer.register_schema(
            schemas.name(message), "ros2msg", schemas.text(message).encode()
        )
        channel = self._writer.register_channel(topic, "cdr", schema)
        clock = self.get_clock()

        def on_message(data: bytes) -> None:
            now_ns = clock.now().nanoseconds
            self._writer.add_message(channel, now_ns, data, now_ns)

        self.create_subscription(message, topic, on_message, profile, raw=True)


def main() -> None:
    """Entry of ``ros2 run airtwin_record node``."""
    run.main(RecorderNode)


if __name__ == "__main__":
    main()
