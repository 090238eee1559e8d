# SPDX-License-Identifier: Apache-2.0
"""Flat ROS messages as numpy records in the layout of the wire (CDR, XCDR1 little endian).

``publisher.publish(bytes)`` sends serialised messages as they are, and a raw subscription hands
them over untouched, so a table of records replaces one Python object per message: filling and
sending one costs microseconds. Works for messages of fixed size: numbers, booleans, arrays of
them, and of such messages, whose fields become ``name[0].field``, as in a ULog; every message of
PX4 is one. No middleware is imported.

Source of the layout: OMG DDS-RTPS 2.2, section 10 (encapsulation header 00 01 00 00), and CDR of
CORBA 3.1 part 2, section 9.3: each primitive is aligned to its size from the start of the body,
inside a nested message as well.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER = b"\x00\x01\x00\x00"
"""CDR_LE: representation identifier and options."""
_HEADER_SIZE = len(HEADER)

_PRIMITIVES = {
    "boolean": "?",
    "octet": "u1",
    "uint8": "u1",
    "int8": "i1",
    "uint16": "<u2",
    "int16": "<i2",
    "uint32": "<u4",
    "int32": "<i4",
    "uint64": "<u8",
    "int64": "<i8",
    "float": "<f4",
    "double": "<f8",
}
_ARRAY = re.compile(r"([\w/]+)\[(\d+)\]")


@cache
def layout(message: Any) -> np.dtype[np.void]:
    """Return the record type of a message class; fields carry the message's names.

    Raises:
        ValueError: a field has no fixed size (string, sequence).
    """
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    end = _append(message, "", 0, names, formats, offsets)
    return np.dtype(
        {
            "names": names,
            "formats": formats,
            "offsets": offsets,
            # Fast DDS pads the payload to four bytes, and readers skip what is left over
            "itemsize": _HEADER_SIZE + end + -end % 4,
        }
    )


def _append(
    message: Any, prefix: str, end: int, names: list[str], formats: list[Any], offsets: list[int]
) -> int:
    """Append a message's fields behind ``end``; returns where they end."""
    for name, kind in message.get_fields_and_field_types().items():
        match = _ARRAY.fullmatch(kind)
        base, count = (match[1], int(match[2])) if match else (kind, 0)
        if base in _PRIMITIVES:
            primitive = np.dtype(_PRIMITIVES[base])
            end += -end % primitive.itemsize
            names.append(prefix + name)
            formats.append((primitive, (count,)) if count else primitive)
            offsets.append(_HEADER_SIZE + end)
            end += primitive.itemsize * max(count, 1)
            continue
        held = _held(message, base)
        if held is None:
            raise ValueError(f"{message.__name__}.{name} is {kind}, which has no fixed size")
        for i in range(count or 1):
            inner = f"{prefix}{name}{f'[{i}]' if match else ''}."
            end = _append(held, inner, end, names, formats, offsets)
    return end


def _held(message: Any, kind: str) -> Any | None:
    """Return the message ``package/Name`` that a field is made of; None if it is none."""
    if hasattr(message, "held"):
        return message.held(kind)
    package, _, name = kind.rpartition("/")
    if not package:
        return None
    return getattr(importlib.import_module(f"{package}.msg"), name, None)


def table(message: Any, rows: int) -> npt.NDArray[np.void]:
    """Return ``rows`` zeroed messages; assign to their fields, then take ``payloads``."""
    kind = layout(message)
    raw = np.zeros((rows, kind.itemsize), dtype=np.uint8)
    raw[:, :_HEADER_SIZE] = np.frombuffer(HEADER, dtype=np.uint8)
    return raw.view(kind)[:, 0]


def payloads(records: npt.NDArray[np.void]) -> list[bytes]:
    """Return each record as bytes for ``publisher.publish``."""
    size = records.dtype.itemsize
    buffer = records.tobytes()
    return [buffer[start : start + size] for start in range(0, len(buffer), size)]


def record(message: Any, payload: bytes) -> Any:
    """Return a serialised message as one record (``record.field``), as px4 converters take it.

    Raises:
        ValueError: another encoding, or shorter than the message: made for another release.
    """
    kind = layout(message)
    if payload[:2] != HEADER[:2]:
        raise ValueError(f"encapsulation is {payload[:2].hex()}, expected little-endian CDR")
    last = kind.fields[kind.names[-1]]  # type: ignore[index]
    needed = last[1] + last[0].itemsize
    if not needed <= len(payload) <= kind.itemsize + 3:
        raise ValueError(f"{len(payload)} bytes are no {message.__name__} ({needed} bytes)")
    padded = payload.ljust(kind.itemsize, b"\0")[: kind.itemsize]
    return np.frombuffer(padded, dtype=kind).view(np.recarray)[0]
