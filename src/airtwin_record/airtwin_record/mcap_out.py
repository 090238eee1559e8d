# SPDX-License-Identifier: Apache-2.0
"""Writes twin.mcap: what the twin said, beside what PX4 said, for Foxglove and friends."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import px4_msgs.msg
from airtwin_msgs import msg as wire_msgs
from mcap.writer import Writer

from airtwin_core.types import Deviation, Identification, Report, TwinState
from airtwin_record import wire
from airtwin_record.flight import Table, VehicleLog
from airtwin_ros import cdr, px4, schemas

SIDE_BY_SIDE = (
    "position", "attitude", "gnss", "barometer", "status", "land_detected", "battery", "flags",
    "vtol", "airspeed",
)  # fmt: skip
"""PX4's topics that are copied: what one looks at beside the twin. The IMU stays in the log."""
RATE_MAX_HZ = 60.0
"""Faster topics are thinned: the twin's state has 50 Hz."""


class TwinRecording:
    """An MCAP file of one replay. Same input, same bytes."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._writer = Writer(self._stream)
        self._writer.start(profile="ros2", library="airtwin")
        self._schemas: dict[str, int] = {}

    def __enter__(self) -> TwinRecording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.finish()
        self._stream.close()

    def channel(self, topic: str, message: type) -> int:
        """Return a new channel for ``topic``."""
        name = schemas.name(message)
        if name not in self._schemas:
            text = schemas.text(message).encode()
            self._schemas[name] = self._writer.register_schema(name, "ros2msg", text)
        return self._writer.register_channel(topic, "cdr", self._schemas[name])

    def add(self, channel: int, time_ns: int, payload: bytes) -> None:
        """Write one message."""
        self._writer.add_message(channel, time_ns, payload, time_ns)

    def px4(self, log: VehicleLog) -> None:
        """Write PX4's side of the flight as messages of the workspace's px4_msgs."""
        for table in log.tables:
            if table.source in SIDE_BY_SIDE:
                message = getattr(px4_msgs.msg, px4.reader(table.source).message)
                topic = px4.topic(px4.reader(table.source).topic, message)
                channel = self.channel(f"{prefix(log.name)}/{topic}", message)
                table = _thinned(table)
                stamps = table.received_ns.tolist()
                for time_ns, payload in zip(stamps, _payloads(message, table), strict=True):
                    self.add(channel, time_ns, payload)


def prefix(vehicle: str) -> str:
    """Return the vehicle's namespace: the first PX4 has none."""
    return "" if vehicle == "px4_0" else f"/{vehicle}"


def _thinned(table: Table) -> Table:
    span_s = float(table.received_ns[-1] - table.received_ns[0]) * 1e-9
    stride = int(np.ceil(len(table) / max(span_s, 1e-3) / RATE_MAX_HZ))
    if stride <= 1:
        return table
    columns = {name: column[::stride] for name, column in table.columns.items()}
    return Table(table.source, table.topic, columns, table.received_ns[::stride])


def _payloads(message: type, table: Table) -> list[bytes]:
    """Return the table's rows as CDR; fields that the log lacks are NaN, or 0 if integer."""
    records = cdr.table(message, len(table))
    for name in records.dtype.names or ():
        target = records[name]
        if name in table.columns:
            column = table.columns[name]
            if column.shape == target.shape:
                with np.errstate(invalid="ignore", over="ignore"):
                    target[...] = column.astype(target.dtype)
                continue
        if target.dtype.kind == "f":
            target[...] = np.nan
    return cdr.payloads(records)


class TwinTopics:
    """Sink: one vehicle's states, reports and events as they come."""

    def __init__(self, recording: TwinRecording, vehicle: str) -> None:
        self._recording = recording
        self._vehicle = vehicle
        space = prefix(vehicle)
        self._state = recording.channel(f"{space}/twin/state", wire_msgs.TwinState)
        self._report = recording.channel(
            f"{space}/consistency/report", wire_msgs.ConsistencyReport
        )
        self._event = recording.channel(f"{space}/consistency/event", wire_msgs.DeviationEvent)
        self._parameters = recording.channel(
            f"{space}/twin/parameters", wire_msgs.ParameterEstimates
        )

    def on_state(self, state: TwinState) -> None:
        """Write a state at the time at which its last sample arrived."""
        payload = wire.twin_state(state, self._vehicle)
        self._recording.add(self._state, state.received_ns, payload)

    def on_identification(self, found: Identification) -> None:
        """Write what is known of the aircraft."""
        payload = wire.identification(found, self._vehicle)
        self._recording.add(self._parameters, found.received_ns, payload)

    def on_report(self, now_ns: int, report: Report, changed: tuple[Deviation, ...]) -> None:
        """Write a report, and what opened or closed."""
        payload = wire.report(report, self._vehicle, now_ns=now_ns)
        self._recording.add(self._report, now_ns, payload)
        for deviation in changed:
            self._recording.add(self._event, now_ns, wire.deviation(deviation, self._vehicle))
