# SPDX-License-Identifier: Apache-2.0
"""UAS zones as values: what is restricted, where, between which heights, and when. Pure.

The words are those of EUROCAE ED-269: restriction, applicability, volume (its "geometry").
Where a file leaves something open, the zone is taken at its widest: every height, every time,
prohibited; the reader of the file (``zone_files``) says so in its remarks.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airtwin_airspace.altitude import Altitude

_NS = 1_000_000_000
UTC_KNOWN_FROM_NS = 946_684_800 * _NS
"""2000-01-01. A clock that says less is no UTC (a simulator's clock from zero)."""


class Restriction(enum.Enum):
    """What ED-269 says about flying in a zone."""

    PROHIBITED = "PROHIBITED"
    REQ_AUTHORISATION = "REQ_AUTHORISATION"
    CONDITIONAL = "CONDITIONAL"
    NO_RESTRICTION = "NO_RESTRICTION"


class Day(enum.IntEnum):
    """Days of the week as ``datetime.weekday`` counts them."""

    MON = 0
    TUE = 1
    WED = 2
    THU = 3
    FRI = 4
    SAT = 5
    SUN = 6


ALL_DAYS = frozenset(Day)


@dataclass(frozen=True, slots=True)
class DailyPeriod:
    """A part of some days of the week, [s] of the day in UTC; ends a day later if end <= start.

    ``start_s`` may be negative or ``end_s`` beyond a day where the file gave another time zone.
    """

    days: frozenset[Day]
    start_s: float
    end_s: float

    def touches(self, start: datetime, end: datetime) -> bool:
        """Return whether the period has an instant within ``start`` to ``end`` (both UTC)."""
        length_s = self.end_s - self.start_s
        if length_s <= 0.0:
            length_s += 86400.0
        day = datetime(start.year, start.month, start.day, tzinfo=timezone.utc) - timedelta(days=2)
        while day <= end + timedelta(days=1):
            if Day(day.weekday()) in self.days:
                opens = day + timedelta(seconds=self.start_s)
                if opens <= end and opens + timedelta(seconds=length_s) >= start:
                    return True
            day += timedelta(days=1)
        return False


@dataclass(frozen=True, slots=True)
class Period:
    """One line of a zone's applicability; None: no limit on that side; no schedule: all day."""

    start: datetime | None = None
    end: datetime | None = None
    schedule: tuple[DailyPeriod, ...] = ()

    def touches(self, start: datetime, end: datetime) -> bool:
        """Return whether the period has an instant within ``start`` to ``end`` (both UTC)."""
        first = start if self.start is None else max(start, self.start)
        last = end if self.end is None else min(end, self.end)
        if first > last:
            return False
        return not self.schedule or any(part.touches(first, last) for part in self.schedule)


@dataclass(frozen=True, slots=True)
class Circle:
    """A disc on the ellipsoid: centre [deg], radius [m]."""

    latitude_deg: float
    longitude_deg: float
    radius_m: float


Ring = tuple[tuple[float, float], ...]
"""Closed ring of (longitude [deg], latitude [deg]); first and last point are the same."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon: its shell and its holes. Edges are straight in longitude and latitude."""

    shell: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """Where: shapes on the ground, and the heights between; None: no limit on that side."""

    shapes: tuple[Circle | Outline, ...]
    lower: Altitude | None
    upper: Altitude | None


@dataclass(frozen=True, slots=True)
class Zone:
    """One UAS zone. No ``applicability``: always."""

    identifier: str
    name: str
    restriction: Restriction
    volumes: tuple[Volume, ...]
    applicability: tuple[Period, ...] = ()

    def active(self, start_ns: int, end_ns: int) -> bool:
        """Return whether the zone applies at some instant of ``start_ns`` to ``end_ns`` (UTC).

        A clock that cannot be UTC makes every zone apply: nobody knows that it doesn't.
        """
        if not self.applicability or start_ns < UTC_KNOWN_FROM_NS:
            return True
        start = datetime.fromtimestamp(start_ns / _NS, timezone.utc)
        end = datetime.fromtimestamp(end_ns / _NS, timezone.utc)
        return any(period.touches(start, end) for period in self.applicability)
