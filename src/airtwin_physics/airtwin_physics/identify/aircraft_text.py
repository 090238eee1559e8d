# SPDX-License-Identifier: Apache-2.0
"""An aircraft file with new values in it: every other line, and its source, stays as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """One value of the file: "section.name", its text in YAML, and where it comes from."""

    key: str
    text: str
    source: str


def rewritten(text: str, changes: tuple[Change, ...], headline: str) -> str:
    """Return the file's text with the changes in it; sections that are missing are added.

    A value's old comment becomes "was ...", so that nothing measured before is lost.
    """
    lines = text.rstrip("\n").split("\n")
    for change in changes:
        section, _, name = change.key.partition(".")
        lines = _set(lines, section, name, change)
    top = [line for line in headline.splitlines() if line]
    at = 1 if lines and lines[0].startswith("# SPDX") else 0
    lines[at:at] = [f"# {line}" for line in top]
    return "\n".join(lines) + "\n"


def _set(lines: list[str], section: str, name: str, change: Change) -> list[str]:
    start = next((i for i, x in enumerate(lines) if re.match(rf"{section}:", x)), None)
    new = f"{name}: {change.text}" if name else f"{section}: {change.text}"
    if start is None:
        head = [f"{section}:"] if name else []
        indent = "  " if name else ""
        return [*lines, "", *head, f"{indent}# {change.source}", f"{indent}{new}"]
    if not name:
        end = _end(lines, start)
        return [*lines[:start], f"# {change.source}", new, *lines[end:]]
    for i in range(start + 1, len(lines)):
        if lines[i] and not lines[i][0].isspace() and not lines[i].startswith("#"):
            return [*lines[:i], f"  # {change.source}", f"  {new}", *lines[i:]]
        if re.match(rf"  {name}:", lines[i]):
            value, _, comment = lines[i].partition("#")
            was = f"was {value.split(':', 1)[1].strip()}"
            was += f" ({comment.strip()})" if comment.strip() else ""
            end = _end(lines, i)
            return [*lines[:i], f"  # {change.source}; {was}", f"  {new}", *lines[end:]]
    return [*lines, f"  # {change.source}", f"  {new}"]


def _end(lines: list[str], start: int) -> int:
    """Return the line after a value, whose list may go on over several lines."""
    depth, end = 0, start
    while end < len(lines):
        plain = lines[end].partition("#")[0]
        depth += plain.count("[") - plain.count("]")
        end += 1
        if depth <= 0:
            return end
    return end
