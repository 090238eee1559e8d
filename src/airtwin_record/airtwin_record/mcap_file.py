# SPDX-License-Identifier: Apache-2.0
"""The MCAP container: bytes in, payloads of the wanted channels out, and what was skipped.

Source: MCAP specification, version 0. The library's readers give up where a file is cut or
damaged; this walk uses every chunk that decompresses to its checksum, and needs no summary, which
a recorder that was killed never wrote.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Schema
from mcap.stream_reader import CRCValidationError, get_chunk_data_stream

from airtwin_record.flight import Skips, UnusableFlight

MAGIC = b"\x89MCAP0\r\n"
_HEAD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_SCHEMA, _CHANNEL, _MESSAGE_OP, _CHUNK, _DATA_END, _FOOTER = 3, 4, 5, 6, 15, 2
_KNOWN = frozenset(range(1, 16))
_CHUNK_MAX_BYTES = 1 << 30
_BROKEN = (
    McapError,
    CRCValidationError,
    struct.error,
    ValueError,
    RuntimeError,
    MemoryError,
    zstandard.ZstdError,
)
"""What the library and the decompressors raise on rubbish."""


@dataclass(slots=True)
class McapChannel:
    """Messages of one channel in file order."""

    topic: str
    encoding: str
    schema: Schema | None
    log_ns: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)


def read(data: bytes, wanted: Callable[[str], bool], skips: Skips) -> list[McapChannel]:
    """Return the channels whose topic is ``wanted``.

    Raises:
        UnusableFlight: no MCAP header.
    """
    if not data.startswith(MAGIC):
        raise UnusableFlight("not an MCAP file: its first bytes are not MCAP's")
    walk = _Walk(wanted, skips)
    walk.file(data)
    return list(walk.channels.values())


class _Walk:
    def __init__(self, wanted: Callable[[str], bool], skips: Skips) -> None:
        self._wanted = wanted
        self._skips = skips
        self._schemas: dict[int, Schema] = {}
        self.channels: dict[int, McapChannel] = {}
        self._ignored: set[int] = set()

    def file(self, data: bytes) -> None:
        self._summary(data)
        position, end = len(MAGIC), len(data)
        while position + _HEAD.size <= end:
            opcode, length = _HEAD.unpack_from(data, position)
            begin = position + _HEAD.size
            if opcode in (_DATA_END, _FOOTER):
                return
            if (opcode not in _KNOWN and opcode < 0x80) or length > end - begin:
                found = self._next_chunk(data, position + 1)
                what = "bytes that are no MCAP record"
                if found == end and opcode in _KNOWN:
                    what = "bytes at the end (the recording was cut off)"
                self._skips.add(what, found - position, f"at byte {position}")
                position = found
                continue
            body = data[begin : begin + length]
            if opcode == _CHUNK:
                self._chunk(body, position)
            else:
                self._record(opcode, body, position)
            position = begin + length

    def _summary(self, data: bytes) -> None:
        """Take the schemas and channels that a whole file repeats at its end: the first chunk,
        which has them otherwise, may be the damaged one."""
        footer = len(data) - len(MAGIC) - _HEAD.size - 20
        if footer < len(MAGIC) or data[footer] != _FOOTER or not data.endswith(MAGIC):
            return
        (position,) = struct.unpack_from("<Q", data, footer + _HEAD.size)
        while len(MAGIC) <= position and position + _HEAD.size <= footer:
            opcode, length = _HEAD.unpack_from(data, position)
            begin = position + _HEAD.size
            if length > footer - begin:
                return
            if opcode in (_SCHEMA, _CHANNEL):
                self._record(opcode, data[begin : begin + length], position)
            position = begin + length

    @staticmethod
    def _next_chunk(data: bytes, position: int) -> int:
        """Return where the next chunk that could be one begins."""
        while (position := data.find(b"\x06", position)) >= 0:
            if position + 9 + 40 > len(data):
                break
            length, begin_ns, end_ns = struct.unpack_from("<QQQ", data, position + 1)
            (name,) = struct.unpack_from("<I", data, position + 9 + 28)
            if position + 9 + length <= len(data) and begin_ns <= end_ns and name <= 4:
                return position
            position += 1
        return len(data)

    def _chunk(self, body: bytes, position: int) -> None:
        try:
            chunk = Chunk.read(ReadDataStream(_io(body)))
            if chunk.uncompressed_size > _CHUNK_MAX_BYTES:
                raise ValueError("claims to be larger than 1 GiB")
            stream, length = get_chunk_data_stream(chunk, validate_crc=True)
            content = stream.read(length)
        except _BROKEN as error:
            self._skips.add("damaged chunk", 1, f"at byte {position}: {error}")
            return
        at = 0
        while at + _HEAD.size <= len(content):
            opcode, size = _HEAD.unpack_from(content, at)
            at += _HEAD.size
            if size > len(content) - at:
                self._skips.add("damaged chunk", 1, f"at byte {position}: a record leaves it")
                return
            self._record(opcode, content[at : at + size], position)
            at += size

    def _record(self, opcode: int, body: bytes, position: int) -> None:
        try:
            if opcode == _MESSAGE_OP:
                channel_id, _, log_ns, _ = _MESSAGE.unpack_from(body)
                channel = self.channels.get(channel_id)
                if channel is not None:
                    channel.log_ns.append(log_ns)
                    channel.payloads.append(body[_MESSAGE.size :])
                elif channel_id not in self._ignored:
                    self._skips.add("message of an unknown channel", 1, f"channel {channel_id}")
            elif opcode == _SCHEMA:
                schema = Schema.read(ReadDataStream(_io(body)))
                self._schemas.setdefault(schema.id, schema)
            elif opcode == _CHANNEL:
                self._register(Channel.read(ReadDataStream(_io(body))))
        except _BROKEN as error:
            self._skips.add("damaged record", 1, f"at byte {position}: {error}")

    def _register(self, channel: Channel) -> None:
        if channel.id in self.channels or channel.id in self._ignored:
            return
        if self._wanted(channel.topic):
            self.channels[channel.id] = McapChannel(
                channel.topic, channel.message_encoding, self._schemas.get(channel.schema_id)
            )
        else:
            self._ignored.add(channel.id)


def _io(body: bytes) -> io.BytesIO:
    return io.BytesIO(body)
