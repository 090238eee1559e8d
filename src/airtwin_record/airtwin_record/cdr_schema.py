# SPDX-License-Identifier: Apache-2.0
"""Definitions of ROS 2 messages as text (``ros2msg``) for ``airtwin_ros.cdr``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"^\s*([\w/]+)(\[(?:<=)?\d*\])?(?:<=\d+)?\s+([a-z]\w*)\s*(?![\w=\s]*=)")
_CONSTANT = re.compile(r"^\s*[\w/]+\s+\w+\s*=")
_ROSIDL = {"bool": "boolean", "float32": "float", "float64": "double", "byte": "octet",
           "char": "uint8"}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """Fields of one message, with the methods of a message class that ``cdr.layout`` calls."""

    name: str
    fields: tuple[tuple[str, str], ...]
    others: tuple[Definition, ...] = ()

    @property
    def __name__(self) -> str:
        return self.name

    def get_fields_and_field_types(self) -> dict[str, str]:
        """Return name -> type, in rosidl's words."""
        return dict(self.fields)

    def held(self, kind: str) -> Definition | None:
        """Return the message that a field of type ``kind`` is made of; None if it is not there."""
        name = kind.rpartition("/")[2]
        for other in self.others:
            if other.name.rpartition("/")[2] == name:
                return other
        return None


def parse(name: str, text: str) -> Definition:
    """Return the first message of ``text``, with those that follow as what it may hold."""
    first, *rest = re.split(r"^====+$", text, flags=re.MULTILINE)
    others: tuple[Definition, ...] = ()
    for part in reversed(rest):  # each may hold those behind it
        head, _, body = part.strip().partition("\n")
        if head.startswith("MSG:"):
            others = (_one(head.removeprefix("MSG:").strip(), body, others), *others)
    return _one(name, first, others)


def _one(name: str, text: str, others: tuple[Definition, ...]) -> Definition:
    fields = []
    for line in text.splitlines():
        line = line.split("#", 1)[0]
        if _CONSTANT.match(line):
            continue
        match = _FIELD.match(line)
        if match:
            kind = _ROSIDL.get(match[1], match[1])
            fields.append((match[3], kind + (match[2] or "")))
    return Definition(name, tuple(fields), others)
