# SPDX-License-Identifier: Apache-2.0
"""What a recorded live run says of itself: twins that were restarted, and the gaps they left.

Replay runs the twin anew, so a crash of the live one would vanish from the report; here it comes
back, from ``/diagnostics`` and from the pauses of the recorded ``twin/state``; so does whether it
gave the aircraft its odometry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

from mcap_ros2.decoder import DecoderFactory

from airtwin_record.mcap_file import McapChannel

DIAGNOSTICS = "/diagnostics"
STATE = "twin/state"
GAP_S = 1.0  # the twin says its state 50 times a second
_RESTARTED = "restarted"
_ODOMETRY = "external odometry"
_SAMPLE_STAMP = slice(12, 20)  # CDR header, timestamp, timestamp_sample: in both messages
_UNREADABLE = (struct.error, ValueError, IndexError, EOFError)

Note = tuple[float, str, str]


def own_odometry(vision: McapChannel, channels: Iterable[McapChannel], vehicle: str) -> list[bool]:
    """Tell which messages of ``vehicle_visual_odometry`` the recorded twin itself had sent.

    They carry the stamps of its states, to the microsecond. Replay must not take them for a
    camera: the twin would confirm itself.
    """
    state_topic = f"/{STATE}" if vehicle == "px4_0" else f"/{vehicle}/{STATE}"
    stamps = {
        payload[_SAMPLE_STAMP]
        for channel in channels
        if channel.topic == state_topic
        for payload in channel.payloads
    }
    return [payload[_SAMPLE_STAMP] in stamps for payload in vision.payloads]


def wanted(topic: str) -> bool:
    """Return whether a topic of the recording is needed here."""
    return topic == DIAGNOSTICS or topic.endswith(f"/{STATE}")


def notes(channels: Iterable[McapChannel], vehicle: str, start_ns: int) -> tuple[Note, ...]:
    """Return (s from start, level, text) of one aircraft's twin, in the order of time."""
    found: list[Note] = []
    state_topic = f"/{STATE}" if vehicle == "px4_0" else f"/{vehicle}/{STATE}"
    for channel in channels:
        if channel.topic == DIAGNOSTICS:
            found += _said(channel, vehicle, start_ns)
        elif channel.topic == state_topic:
            found += _gaps(channel, start_ns)
    return tuple(sorted(found))


def _said(channel: McapChannel, vehicle: str, start_ns: int) -> list[Note]:
    decode = None
    if channel.schema is not None:
        decode = DecoderFactory().decoder_for("cdr", channel.schema)
    found: list[Note] = []
    if decode is None:
        return found
    odometry = ""
    for log_ns, payload in zip(channel.log_ns, channel.payloads, strict=True):
        try:
            message = decode(payload)
        except _UNREADABLE:
            continue
        for status in message.status:
            if status.message == _RESTARTED and _concerns(status.name, vehicle):
                cause = next((v.value for v in status.values if v.key == "cause"), "")
                text = f"live twin: {status.name} was restarted: {cause}"
                found.append(((log_ns - start_ns) * 1e-9, "error", text))
            said = next((v.value for v in status.values if v.key == _ODOMETRY), odometry)
            if said != odometry and _concerns(status.name, vehicle):
                odometry = said
                level = "info" if said == "sent" else "warning"
                text = f"live twin: {_ODOMETRY} {said}"
                found.append(((log_ns - start_ns) * 1e-9, level, text))
    return found


def _concerns(name: str, vehicle: str) -> bool:
    """Tell whether "/px4_1/physics", "/physics" (px4_0) or "process px4_1" is of the vehicle."""
    if name.startswith("process "):
        return name.removeprefix("process ") == vehicle
    place = name.strip("/").rpartition("/")[0]
    return (place or "px4_0") == vehicle


def _gaps(channel: McapChannel, start_ns: int) -> list[Note]:
    found: list[Note] = []
    for before, after in pairwise(sorted(channel.log_ns)):
        gap_s = (after - before) * 1e-9
        if gap_s > GAP_S:
            text = f"live twin: silent for {gap_s:.1f} s"
            found.append(((before - start_ns) * 1e-9, "warning", text))
    return found
