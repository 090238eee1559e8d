# SPDX-License-Identifier: Apache-2.0
"""The text that an MCAP needs beside a message, so that any tool can read it in ten years."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

_NESTED = re.compile(r"^\s*([A-Za-z]\w*)(?:/(?:msg/)?(\w+))?(?:\[[^\]]*\])?\s+\w+", re.MULTILINE)
_SEPARATOR = "=" * 80


def name(message: type) -> str:
    """Return the full name, for example ``px4_msgs/msg/VehicleStatus``."""
    package = message.__module__.split(".")[0]
    return f"{package}/msg/{message.__name__}"


def text(message: type) -> str:
    """Return the definition as encoding ``ros2msg``: own text, then that of what it holds."""
    package = message.__module__.split(".")[0]
    own = _definition(package, message.__name__)
    nested = [
        f"{_SEPARATOR}\nMSG: {held}/{kind}\n{_definition(held, kind)}"
        for held, kind in _held(package, message.__name__, set())
    ]
    return "\n".join([own, *nested])


@cache
def _definition(package: str, kind: str) -> str:
    return (Path(get_package_share_directory(package)) / "msg" / f"{kind}.msg").read_text()


def _held(package: str, kind: str, seen: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (package, type) of all messages inside, depth first, each once."""
    found = []
    for first, second in _NESTED.findall(_definition(package, kind)):
        inner = (first, second) if second else (package, first)
        if inner in seen or not _exists(*inner):
            continue
        seen.add(inner)
        found += [inner, *_held(inner[0], inner[1], seen)]
    return found


def _exists(package: str, kind: str) -> bool:
    """Whether it is a message at all: ``float32``, ``string`` and ``uint8 X=1`` are none."""
    if not kind[0].isupper():
        return False
    try:
        _definition(package, kind)
    except (LookupError, FileNotFoundError):
        return False
    return True
