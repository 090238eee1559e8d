# SPDX-License-Identifier: Apache-2.0
"""A recording of PX4's ROS 2 topics (MCAP) as tables, one set per vehicle."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import px4_msgs.msg

from airtwin_record import cdr_schema, live_notes, mcap_file, px4_history, timeline
from airtwin_record.flight import Recording, Skips, Table, UnusableFlight, VehicleLog
from airtwin_record.mcap_file import McapChannel
from airtwin_ros import cdr, px4

OUTSIDE = "outside the flight's time"
BAD_SIZE = "size does not fit the message's definition"
BAD_ENCODING = "not little-endian CDR"
_TOPIC = re.compile(
    r"/?(?:(?P<vehicle>.+?)/)?(?P<topic>fmu/(?:in|out)/\w+?)(?:_v(?P<version>\d+))?"
)
_READERS = {reader.topic: reader for reader in px4.READERS}
_VISION = "fmu/in/vehicle_visual_odometry"
_STAMP_MAX_NS = 2**62
_IMU_MIN = 10
_ALONE_SLACK_S = 60.0
_SLACK_S = 1.0


def read(data: bytes) -> Recording:
    """Return the flights of all vehicles in an MCAP, by name.

    Raises:
        UnusableFlight: not an MCAP, or no vehicle in it with an IMU.
    """
    skips = Skips()
    vehicles: dict[str, dict[str, list[McapChannel]]] = {}
    live: list[McapChannel] = []
    for channel in mcap_file.read(data, _wanted, skips):
        if live_notes.wanted(channel.topic):
            live.append(channel)
        elif channel.payloads:
            match = _TOPIC.fullmatch(channel.topic)
            assert match is not None
            name = (match["vehicle"] or "px4_0").strip("/").replace("/", "_")
            vehicles.setdefault(name, {}).setdefault(match["topic"], []).append(channel)
    logs = []
    for name, topics in sorted(vehicles.items()):
        try:
            logs.append(_vehicle(name, topics, live))
        except UnusableFlight as why:
            skips.add("vehicle without IMU messages", 1, f"{name}: {why}")
    if not logs:
        raise UnusableFlight(
            f"no IMU: the recording has no fmu/out/sensor_combined messages{skips.told()}"
        )
    return Recording("MCAP", tuple(logs), skips)


def _wanted(topic: str) -> bool:
    return _reader(topic) is not None or live_notes.wanted(topic)


def _reader(topic: str) -> px4.Reader | None:
    match = _TOPIC.fullmatch(topic)
    return _READERS.get(match["topic"]) if match else None


def _vehicle(
    name: str, topics: dict[str, list[McapChannel]], live: list[McapChannel]
) -> VehicleLog:
    """Raise UnusableFlight where the vehicle has no IMU messages that can be used."""
    skips = Skips()
    imu = topics.get("fmu/out/sensor_combined")
    if imu is None:
        raise UnusableFlight("none")
    arrivals = np.concatenate([_arrivals(channel) for channel in imu])
    found = timeline.sessions(arrivals // 1000)
    if not found or len(found[0].index) < _IMU_MIN or found[0].duration_s <= 0.0:
        raise UnusableFlight(f"{len(arrivals)}, which follow no time")
    best, *others = found
    for other in others:
        skips.add(
            "IMU messages of another session (time jumps or runs backwards)",
            len(other.index),
            f"{other.duration_s:.1f} s; the longest, {best.duration_s:.1f} s, is replayed",
        )
    slack_us = int((_SLACK_S if others else _ALONE_SLACK_S) * 1e6)
    window_ns = (best.begin_us - slack_us) * 1000, (best.end_us + slack_us) * 1000
    rejected: dict[str, dict[str, int]] = {}
    tables = []
    for channel in topics.get(_VISION, []):
        _leave_out_own(channel, live_notes.own_odometry(channel, live, name), skips)
    for topic, channels in topics.items():
        table = _table(_READERS[topic], channels, window_ns, rejected, skips)
        if table is not None and len(table):
            tables.append(table)
    if all(table.source != "imu" for table in tables):
        causes = rejected.get("imu", {})
        told = ", ".join(f"{cause} ({count})" for cause, count in causes.items())
        raise UnusableFlight(f"none of {len(arrivals)} can be used: {told}")
    order = [reader.source for reader in px4.READERS]
    tables.sort(key=lambda table: order.index(table.source))
    start_ns = min(int(table.received_ns[0]) for table in tables)
    return VehicleLog(
        name=name,
        start_ns=start_ns,
        end_ns=max(int(table.received_ns[-1]) for table in tables),
        tables=tuple(tables),
        truth=None,
        facts=_facts(topics),
        notes=live_notes.notes(live, name, start_ns),
        rejected=rejected,
        skips=skips,
    )


def _leave_out_own(vision: McapChannel, own: list[bool], skips: Skips) -> None:
    """Take what the recorded twin had sent out of what an external system said."""
    if any(own):
        skips.add("external odometry of the recorded twin itself", sum(own), vision.topic)
        vision.log_ns = [t for t, o in zip(vision.log_ns, own, strict=True) if not o]
        vision.payloads = [p for p, o in zip(vision.payloads, own, strict=True) if not o]


def _arrivals(channel: McapChannel) -> npt.NDArray[np.int64]:
    stamps = np.array(channel.log_ns, dtype=np.uint64)
    clipped: npt.NDArray[np.int64] = np.minimum(stamps, _STAMP_MAX_NS).astype(np.int64)
    return clipped


def _table(
    reader: px4.Reader,
    channels: list[McapChannel],
    window_ns: tuple[int, int],
    rejected: dict[str, dict[str, int]],
    skips: Skips,
) -> Table | None:
    channel = max(channels, key=lambda c: len(c.payloads))
    for other in channels:
        if other is not channel:
            skips.add("second channel of the same topic", len(other.payloads), other.topic)
    causes = rejected.setdefault(reader.source, {})
    arrivals = _arrivals(channel)
    try:
        layout = cdr.layout(_definition(reader, channel, skips))
    except ValueError as error:
        causes["definition cannot be read"] = len(arrivals)
        skips.add("topic without a usable definition", 1, f"{channel.topic}: {error}")
        return None
    records, kept = _records(channel.payloads, layout, causes)
    arrivals = arrivals[kept]
    good = (arrivals >= window_ns[0]) & (arrivals <= window_ns[1])
    good &= ~timeline.strays(arrivals // 1000)
    if not good.all():
        causes[OUTSIDE] = int(np.count_nonzero(~good))
    index = np.flatnonzero(good)
    skips.add(
        "messages out of the order of time (sorted)",
        int(np.count_nonzero(np.diff(arrivals[index]) < 0)),
        channel.topic,
    )
    index = index[np.argsort(arrivals[index], kind="stable")]
    names = records.dtype.names or ()
    topic = reader.topic.rsplit("/", 1)[1]
    columns = px4_history.modern(topic, {name: records[name][index] for name in names})
    return Table(reader.source, topic, columns, arrivals[index])


def _definition(reader: px4.Reader, channel: McapChannel, skips: Skips) -> Any:
    """Return the file's own definition of a message, or the workspace's if it has none."""
    if channel.schema is not None:
        text = channel.schema.data.decode("utf-8", "replace")
        definition = cdr_schema.parse(channel.schema.name, text)
        if definition.fields:
            return definition
    skips.add("topic without a definition (this workspace's px4_msgs is used)", 1, channel.topic)
    return getattr(px4_msgs.msg, reader.message)


def _records(
    payloads: list[bytes], layout: np.dtype[np.void], causes: dict[str, int]
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Return payloads as rows, and which were good."""
    last = layout.fields[layout.names[-1]]  # type: ignore[index]
    least, most = last[1] + last[0].itemsize, layout.itemsize + 3
    good, kept = [], []
    for index, payload in enumerate(payloads):
        if payload[:2] != cdr.HEADER[:2]:
            causes[BAD_ENCODING] = causes.get(BAD_ENCODING, 0) + 1
        elif not least <= len(payload) <= most:
            causes[BAD_SIZE] = causes.get(BAD_SIZE, 0) + 1
        else:
            good.append(payload.ljust(layout.itemsize, b"\0")[: layout.itemsize])
            kept.append(index)
    records = np.frombuffer(b"".join(good), dtype=layout)
    return records, np.array(kept, dtype=np.int64)


def _facts(topics: dict[str, list[McapChannel]]) -> dict[str, str]:
    """MCAP carries no PX4 version; the versions of its messages tell the release."""
    versions = []
    for topic, channels in sorted(topics.items()):
        match = _TOPIC.fullmatch(channels[0].topic)
        if match and match["version"]:
            versions.append(f"{topic.rsplit('/', 1)[1]} {match['version']}")
    return {"Message versions": ", ".join(versions) or "none in the topics' names"}
