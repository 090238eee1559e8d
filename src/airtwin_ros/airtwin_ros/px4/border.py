# SPDX-License-Identifier: Apache-2.0
"""What every converter of PX4's messages needs: times, ranges, and refusal with a cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array

# Beyond these a value is a broken message, not a manoeuvre.
RATE_MAX_RAD_S = 100.0  # consumer gyroscopes saturate at 35 rad/s
SPECIFIC_FORCE_MAX_M_S2 = 1000.0  # and accelerometers at 314 m/s^2
SPEED_MAX_M_S = 1000.0
POSITION_MAX_M = 1.0e7
FIELD_MAX_GAUSS = 50.0
ALTITUDE_MAX_M = 1.0e5
VOLTAGE_MAX_V = 2000.0
CURRENT_MAX_A = 1e4
ANGLE_MAX_RAD = 7.0  # a full turn, and some
RANGE_MAX_M = 1.0e5
ROTOR_MAX_RPM = 1.0e6
CLOCK_MAX_US = 2**62 // 1000  # int64 [ns] holds the difference of two such times


class BadMessage(ValueError):
    """A message that the twin must not use. ``cause`` is constant per kind: it is counted."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause


def vector(value: Any, limit: float, what: str) -> Array:
    """Return ``value`` as an array whose length is at most ``limit``; ``what`` names it."""
    array = np.array(value, dtype=np.float64)
    size = float(array @ array)
    if not size <= limit * limit:  # NaN fails too
        refuse(array, what)
    return array


def scalar(value: Any, limit: float, what: str) -> float:
    """Return ``value`` whose size is at most ``limit``; ``what`` names it."""
    number = float(value)
    if not abs(number) <= limit:
        refuse(number, what)
    return number


def angle(value: Any, what: str) -> float:
    """Return an angle [rad]; NaN says that there is none."""
    number = float(value)
    return number if np.isnan(number) else scalar(number, ANGLE_MAX_RAD, what)


def refuse(value: Any, what: str) -> None:
    """Raise ``BadMessage``: ``what`` is not finite, or is impossible."""
    if not np.all(np.isfinite(value)):
        raise BadMessage(f"{what} is not finite", str(value))
    raise BadMessage(f"{what} is impossible", str(value))


def quaternion(value: Any) -> Array:
    """Return the attitude (4,) at unit length; what is far from it is none."""
    q = np.array(value, dtype=np.float64)
    length2 = float(q @ q)
    if not np.isfinite(length2):
        raise BadMessage("attitude is not finite", str(q))
    if abs(length2 - 1.0) > 0.02:
        raise BadMessage("attitude is not a unit quaternion", str(q))
    return frames.quat_normalise(q)


def stamp_ns(msg: Any) -> int:
    """Return when it was true [ns]: ``timestamp_sample``, or ``timestamp`` where that is 0."""
    sample_us = int(getattr(msg, "timestamp_sample", 0))
    stamp_us = sample_us or int(msg.timestamp)
    if stamp_us <= 0:
        raise BadMessage("time stamp is zero")
    if stamp_us > CLOCK_MAX_US:
        raise BadMessage("time stamp is impossible", str(stamp_us))
    return stamp_us * 1000


def positive_or_nan(value: Any) -> float:
    """Return a claimed accuracy: infinite is a claim ("I know nothing"), zero or less is none."""
    number = float(value)
    return number if number > 0.0 else float("nan")


def variance(msg: Any, field: str) -> Array:
    """Return the variances (3,); NaN where the release has none or they are unknown."""
    found = np.array(getattr(msg, field, (np.nan,) * 3), dtype=np.float64)
    if (found < 0.0).any():
        raise BadMessage("variance is negative", f"{field} {found}")
    return found
