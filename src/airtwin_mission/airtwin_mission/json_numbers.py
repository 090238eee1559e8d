# SPDX-License-Identifier: Apache-2.0
"""Numbers out of a JSON document that nobody has checked. Pure."""

from __future__ import annotations

from typing import Any

from airtwin_mission.plan import MissionError


def shown(value: Any) -> str:
    """Return ``value`` short enough for a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = type(value).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def real_number(value: Any, what: str, low: float, high: float) -> float:
    """Return ``value`` as a float from ``low`` to ``high``; ``what`` names it in the refusal.

    Raises:
        MissionError: not a number, not finite, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MissionError(f"{what} is {shown(value)}, not a number")
    if not low <= value <= high:  # also refuses NaN and infinity
        raise MissionError(f"{what} is {shown(value)}, outside {low:g} to {high:g}")
    return float(value)


def whole_number(value: Any, what: str) -> int:
    """Return ``value`` as an int.

    Raises:
        MissionError: not a whole number.
    """
    number = real_number(value, what, -1e9, 1e9)
    if number != int(number):
        raise MissionError(f"{what} is {shown(value)}, not a whole number")
    return int(number)
