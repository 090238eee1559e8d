# SPDX-License-Identifier: Apache-2.0
"""What the monitor and the airspace say."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from airtwin_core.types.base import Array


class Verdict(enum.IntEnum):
    """UNKNOWN is not CONSISTENT: without evidence nothing passes."""

    UNKNOWN = 0
    CONSISTENT = 1
    INCONSISTENT = 2


@dataclass(frozen=True, slots=True)
class ContextFactor:
    """(name, value, variance or symbol, time, source): one side of a comparison.

    ``source``: "physical" (the aircraft), "sensor" (raw) or "virtual" (the twin). Numbers go in
    ``value`` and ``variance`` (n,), unit in ``unit``; a discrete factor has a ``symbol``.
    """

    name: str
    source: str
    stamp_ns: int
    value: Array
    variance: Array
    unit: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement judged once. ``passed`` is ``statistic <= limit``: NaN never passes."""

    requirement: str
    factor: str
    statistic: float
    limit: float
    verdict: Verdict
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A time in which one factor disagreed. ``end_ns`` is None while it lasts."""

    id: str
    factor: str
    requirement: str
    start_ns: int
    end_ns: int | None
    cause: str
    statistic: float
    limit: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks at one instant, the factors that they compared, the deviations now open."""

    stamp_ns: int
    verdict: Verdict
    checks: tuple[Check, ...]
    factors: tuple[ContextFactor, ...]
    open_deviations: tuple[Deviation, ...] = field(default=())


class AdvisoryAction(enum.IntEnum):
    """What the airspace manager asks of one aircraft; the newest holds until the next."""

    CLEAR = 0
    HOLD = 1
    RETURN = 2
    LAND = 3


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advice. ``time_to_s`` to the loss of separation or zone entry, ``distance_m`` the
    predicted least horizontal distance; NaN where there is none. ``kind``: traffic, zone, clear.
    """

    vehicle: str
    action: AdvisoryAction
    kind: str
    other: str
    time_to_s: float
    distance_m: float
    reason: str
