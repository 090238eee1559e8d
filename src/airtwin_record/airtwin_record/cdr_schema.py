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

    @property
    def __name__(self) -> str:
        return self.name

    def get_fields_and_field_types(self) -> dict[str, str]:
        """Return name -> type, in rosidl's words."""
        return dict(self.fields)


def parse(name: str, text: str) -> Definition:
    """Return the first message of ``text``; what it holds of others is not looked into."""
    fields = []
    for line in text.splitlines():
        line = line.split("#", 1)[0]
        if line.startswith("===="):
            break
        if _CONSTANT.match(line):
            continue
        match = _FIELD.match(line)
        if match:
            kind = _ROSIDL.get(match[1], match[1])
            fields.append((match[3], kind + (match[2] or "")))
    return Definition(name, tuple(fields))
