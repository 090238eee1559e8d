# SPDX-License-Identifier: Apache-2.0
"""The ULog container: bytes in, one numpy table per topic out, and a list of what was skipped.

Source: PX4 user guide, "ULog File Format" (file version 1). pyulog, the reference reader, stops or
lets rubbish through where a file is damaged, and forgets the order between topics; here each
message is checked against the size that its definition gives, the position in the file is kept
(the order of arrival), and after damage the walk goes on at the next message that fits. The tests
hold the tables to pyulog's.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from airtwin_record.flight import Skips, UnusableFlight

MAGIC = b"ULog\x01\x12\x35"
_HEADER = struct.Struct("<7sBQ")
_HEAD = struct.Struct("<HB")
_KINDS = frozenset(b"ABCDFILMOPQRS")
_PRIMITIVES = {
    "int8_t": "i1", "uint8_t": "u1", "bool": "?", "char": "u1",
    "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4", "uint32_t": "<u4",
    "int64_t": "<i8", "uint64_t": "<u8", "float": "<f4", "double": "<f8",
}  # fmt: skip
_FIELD = re.compile(r"(\w+)(?:\[(\d+)\])? (\w+)")
_SIZE_MAX = 65533  # of a message's content: 16 bit, less two for its id
_DEPTH_MAX = 4  # of nested definitions; PX4 has two
_SHAPES = {
    kind: re.compile(shape, re.DOTALL)
    for kind, shape in {
        0x41: rb".{3}[A-Za-z]\w*$",  # A: instance, id, name
        0x42: rb".{40}",  # B: flags
        0x43: rb"[0-7].{10}",  # C: level, tag, time, text
        0x46: rb"[A-Za-z]\w*:[\w\[\] ;]+$",  # F: name and fields
        0x49: rb".[\w\[\]]+ [ -~]+",  # I: length, type and key, value
        0x4C: rb"[0-7].{8}",  # L: level, time, text
        0x4D: rb"..[\w\[\]]+ [ -~]+",  # M: like I, of several parts
        0x4F: rb".{2}$",  # O: duration
        0x50: rb".(?:float|int32_t) \w+",  # P: parameter
        0x51: rb"..(?:float|int32_t) \w+",  # Q: its default
        0x52: rb".{2}$",  # R: id
        0x53: rb".{8}$",  # S: eight magic bytes
    }.items()
}
"""What a message of each kind looks like, to know one in the rubble."""
_LEVELS = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
_APPENDED = 1  # incompatible flag: data were appended, at offsets that the flags give


@dataclass(slots=True)
class _Subscription:
    """A topic of one section: where in the file its messages lie, and how they are laid out."""

    name: str
    multi_id: int
    layout: np.dtype[np.void]
    size_min: int  # trailing padding is not written
    size_max: int
    offsets: list[int] = field(default_factory=list)

    def fits(self, size: int) -> bool:
        return self.size_min <= size <= self.size_max


@dataclass(frozen=True, slots=True)
class UlogTopic:
    """Messages of one topic instance in file order; ``offsets``: (n,) their places in the file."""

    name: str
    multi_id: int
    records: npt.NDArray[np.void]
    offsets: npt.NDArray[np.int64]


@dataclass(slots=True)
class UlogSection:
    """One log. Files that were copied behind each other hold several."""

    start_us: int
    info: dict[str, str | int] = field(default_factory=dict)
    lines: list[tuple[int, str, str]] = field(default_factory=list)  # (us, level, text)
    parameters: dict[str, float] = field(default_factory=dict)
    topics: dict[tuple[str, int], UlogTopic] = field(default_factory=dict)
    dropouts_ms: list[int] = field(default_factory=list)
    formats: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[int, _Subscription] = field(default_factory=dict)


def read(data: bytes, skips: Skips) -> list[UlogSection]:
    """Return the logs in ``data``; what does not fit goes to ``skips``.

    Raises:
        UnusableFlight: no ULog header.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise UnusableFlight("not a ULog file: its first bytes are not ULog's")
    if len(data) < _HEADER.size:
        raise UnusableFlight("the ULog file ends inside its header")
    return _Walk(data, skips).sections


class _Walk:
    """One pass over the file."""

    def __init__(self, data: bytes, skips: Skips) -> None:
        self._data = data
        self._skips = skips
        self._limits = [len(data)]
        self.sections: list[UlogSection] = []
        self._all: list[tuple[UlogSection, _Subscription]] = []
        position = 0
        while position < len(data):
            position = self._section(position)
        self._gather()

    def _section(self, begin: int) -> int:
        """Read the log whose header is at ``begin``; returns where it ends."""
        data = self._data
        if begin + _HEADER.size > len(data):
            self._skips.add("bytes after the last message", len(data) - begin)
            return len(data)
        _, _, start_us = _HEADER.unpack_from(data, begin)
        section = UlogSection(start_us)
        self.sections.append(section)
        self._begin, self._limits = begin, [len(data)]
        self._section_now = section
        position = begin + _HEADER.size
        unpack = _HEAD.unpack_from
        subscriptions = section.subscriptions
        end = len(data) - 3
        while position <= end:
            size, kind = unpack(data, position)
            after = position + 3 + size
            if after > self._limits[-1]:
                pass
            elif kind == 0x44 and size > 2:  # D, data: nearly all of the file
                subscription = subscriptions.get(data[position + 3] | data[position + 4] << 8)
                if (
                    subscription is not None
                    and subscription.size_min <= size - 2 <= subscription.size_max
                ):
                    subscription.offsets.append(position + 5)
                    position = after
                    continue
            elif kind in _KINDS and kind != 0x44 and self._other(kind, position + 3, after):
                position = after
                continue
            if data.startswith(MAGIC, position):
                return position
            position = self._recover(position, size, kind)
        self._skips.add("bytes after the last message", len(data) - position)
        return len(data)

    # --- damage ---------------------------------------------------------------------------------

    def _recover(self, position: int, size: int, kind: int) -> int:
        """Say what is wrong at ``position`` and return where to go on."""
        data, after = self._data, position + 3 + size
        limit = self._limits[-1]
        if kind in _KINDS and after > limit and limit < len(data):
            # the file was cut here, and something was appended where the flags say
            self._limits.pop()
            self._skips.add("message cut off where data were appended", 1, f"at byte {position}")
            return limit
        if kind in _KINDS and after <= len(data) and self._plausible(after):
            what = (
                "message of an unknown topic or of a wrong size"
                if kind == 0x44
                else (f"damaged message of type {chr(kind)}")
            )
            self._skips.add(what, 1, f"at byte {position}")
            return after
        found = self._next_message(position + 1)
        if found == len(data) and not data[position + 3 :].strip(b"\0"):
            self._skips.add("bytes that were never written (zeros)", found - position)
            return found
        if after > len(data) and kind in _KINDS and found == len(data):
            self._skips.add("last message is cut off", 1, f"at byte {position}")
        else:
            self._skips.add(
                "bytes that are no ULog message", found - position, f"at byte {position}"
            )
        return found

    def _plausible(self, position: int, further: int = 0) -> bool:
        """Whether a message, the end or a log begins at ``position``, and ``further`` after it."""
        data = self._data
        if position == len(data) or data.startswith(MAGIC, position):
            return True
        if position + 5 > len(data):
            return False
        size, kind = _HEAD.unpack_from(data, position)
        after = position + 3 + size
        if after > len(data):
            return False
        if kind == 0x44:
            topic = data[position + 3] | data[position + 4] << 8
            known = self._section_now.subscriptions.get(topic)
            good = known is not None and known.fits(size - 2)
        else:
            shape = _SHAPES.get(kind)
            good = shape is not None and shape.match(data, position + 3, after) is not None
        return good and (further == 0 or self._plausible(after, further - 1))

    def _next_message(self, position: int) -> int:
        """Return the next place where a known message is followed by others.

        Data messages of known topics are known by five bytes; of the others a chain is asked.
        """
        heads = [
            struct.pack("<HBH", size + 2, 0x44, msg_id)
            for msg_id, subscription in self._section_now.subscriptions.items()
            for size in sorted({subscription.size_min, subscription.size_max})
        ]
        known = b"|".join(re.escape(one) for one in (MAGIC, *heads))
        pattern = re.compile(b"(?=(" + known + b")|..[" + bytes(_SHAPES) + b"])", re.DOTALL)
        for match in pattern.finditer(self._data, position):
            if self._plausible(match.start(), 1 if match[1] else 4):
                return match.start()
        return len(self._data)

    # --- messages other than data ---------------------------------------------------------------

    def _other(self, kind: int, begin: int, end: int) -> bool:
        """Take one message; returns False if it cannot be one."""
        data, section = self._data, self._section_now
        shape = _SHAPES.get(kind)
        if shape is None or shape.match(data, begin, end) is None:
            return False
        body = data[begin:end]
        try:
            if kind == 0x41:  # A
                return self._subscribe(body)
            if kind == 0x46:  # F
                return self._format(body)
            if kind in (0x49, 0x50):  # I, P
                self._key_value(kind, body)
            elif kind == 0x42:  # B
                self._flags(body)
            elif kind == 0x4C:  # L
                level, stamp_us = struct.unpack_from("<BQ", body)
                self._line(level, stamp_us, body[9:])
            elif kind == 0x43:  # C
                level, _, stamp_us = struct.unpack_from("<BHQ", body)
                self._line(level, stamp_us, body[11:])
            elif kind == 0x4F:  # O
                section.dropouts_ms.append(struct.unpack("<H", body)[0])
            elif kind == 0x52:  # R: the topic ends; its id may be given again
                section.subscriptions.pop(struct.unpack("<H", body)[0], None)
        except (struct.error, ValueError):  # shorter than its kind
            return False
        return True

    def _format(self, body: bytes) -> bool:
        name, _, fields = body.decode("ascii").partition(":")
        self._section_now.formats[name] = fields
        return True

    def _subscribe(self, body: bytes) -> bool:
        multi_id, msg_id = struct.unpack_from("<BH", body)
        name = body[3:].decode("ascii")
        names: list[str] = []
        formats: list[Any] = []
        offsets: list[int] = []
        try:
            end, padded = self._layout(name, "", 0, names, formats, offsets, 0)
            layout = np.dtype(
                {"names": names, "formats": formats, "offsets": offsets, "itemsize": end}
            )
        except (KeyError, ValueError) as error:
            self._skips.add("topic without a usable definition", 1, f"{name}: {error}")
            return True
        if "timestamp" not in names:
            self._skips.add("topic without a usable definition", 1, f"{name}: no time stamp")
            return True
        subscription = _Subscription(name, multi_id, layout, end, padded)
        self._section_now.subscriptions[msg_id] = subscription
        self._all.append((self._section_now, subscription))
        return True

    def _layout(
        self,
        kind: str,
        prefix: str,
        at: int,
        names: list[str],
        formats: list[Any],
        offsets: list[int],
        depth: int,
    ) -> tuple[int, int]:
        """Append the fields of definition ``kind``; returns the end without and with padding."""
        if depth > _DEPTH_MAX:
            raise ValueError("definitions nest too deep")
        end = at
        for spec in self._section_now.formats[kind].split(";"):
            if not spec:
                continue
            match = _FIELD.fullmatch(spec)
            if match is None:
                raise ValueError(f"field {spec!r}")
            base, count, name = match[1], int(match[2] or 0), match[3]
            if base in _PRIMITIVES:
                primitive = np.dtype(_PRIMITIVES[base])
                if not name.startswith("_padding"):
                    names.append(prefix + name)
                    formats.append((primitive, (count,)) if match[2] else primitive)
                    offsets.append(at)
                at += primitive.itemsize * (count if match[2] else 1)
                if not name.startswith("_padding"):
                    end = at
                continue
            for index in range(count or 1):
                inner = f"{prefix}{name}{f'[{index}]' if match[2] else ''}."
                _, at = self._layout(base, inner, at, names, formats, offsets, depth + 1)
                end = at
        if at > _SIZE_MAX:
            raise ValueError("longer than a message can be")
        return end, at

    def _key_value(self, kind: int, body: bytes) -> None:
        length = body[0] if body else 0
        type_name, _, key = body[1 : 1 + length].decode("ascii", "replace").partition(" ")
        value = body[1 + length :]
        if type_name.startswith("char["):
            text = value.decode("utf-8", "replace").rstrip("\0")
            self._section_now.info.setdefault(key, text)
        elif type_name in _PRIMITIVES:
            number = np.frombuffer(value, _PRIMITIVES[type_name], count=1)[0] if value else 0
            if kind == 0x50:
                self._section_now.parameters.setdefault(key, float(number))
            else:
                self._section_now.info.setdefault(key, int(number))

    def _line(self, level: int, stamp_us: int, text: bytes) -> None:
        name = _LEVELS[level - 0x30] if 0x30 <= level <= 0x37 else "INFO"
        self._section_now.lines.append((stamp_us, name, text.decode("utf-8", "replace")))

    def _flags(self, body: bytes) -> None:
        if len(body) >= 40 and body[8] & _APPENDED:
            places = [
                self._begin + place for place in struct.unpack_from("<3Q", body, 16) if place
            ]
            good = sorted({p for p in places if self._begin < p < len(self._data)}, reverse=True)
            self._limits = [len(self._data), *good]

    # --- tables ---------------------------------------------------------------------------------

    def _gather(self) -> None:
        parts: dict[tuple[int, str, int], list[UlogTopic]] = {}
        buffer = np.frombuffer(self._data, dtype=np.uint8)
        order = {id(section): i for i, section in enumerate(self.sections)}
        for section, subscription in self._all:
            if not subscription.offsets:
                continue
            offsets = np.array(subscription.offsets, dtype=np.int64)
            size = subscription.layout.itemsize
            records = buffer[offsets[:, None] + np.arange(size)].view(subscription.layout)[:, 0]
            key = (order[id(section)], subscription.name, subscription.multi_id)
            topic = UlogTopic(subscription.name, subscription.multi_id, records, offsets)
            parts.setdefault(key, []).append(topic)
        for (index, name, multi_id), topics in parts.items():
            # subscribed twice: one layout, unless the definition was damaged in between
            first = topics[0]
            same = [t for t in topics if t.records.dtype == first.records.dtype]
            records = np.concatenate([t.records for t in same])
            offsets = np.concatenate([t.offsets for t in same])
            self.sections[index].topics[name, multi_id] = UlogTopic(
                name, multi_id, records, offsets
            )
