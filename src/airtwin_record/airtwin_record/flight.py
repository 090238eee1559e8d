# SPDX-License-Identifier: Apache-2.0
"""What the readers of recorded flights hand to replay: tables of PX4 messages, one per topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from airtwin_core.types import Array, Origin

Column = npt.NDArray[Any]
Times = npt.NDArray[np.int64]


class UnusableFlight(Exception):
    """Nothing can be replayed: the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Something in the file that was not used: how often, why, and an example."""

    what: str
    count: int
    detail: str = ""


@dataclass(slots=True)
class Skips:
    """Collects what was skipped, by kind."""

    _items: dict[str, Skip] = field(default_factory=dict)

    def add(self, what: str, count: int = 1, detail: str = "") -> None:
        """Count ``what``; the first ``detail`` stays as the example."""
        if count <= 0:
            return
        before = self._items.get(what)
        if before is not None:
            count, detail = before.count + count, before.detail or detail
        self._items[what] = Skip(what, count, detail)

    def items(self) -> tuple[Skip, ...]:
        """Return them in the order of their first sight."""
        return tuple(self._items.values())

    def told(self, most: int = 3) -> str:
        """Return the first of them as the end of a sentence that says what is missing."""
        listed = [f"{skip.what}: {skip.count} ({skip.detail})" for skip in self.items()[:most]]
        return f"; skipped: {', '.join(listed)}" if listed else ""


@dataclass(frozen=True, slots=True)
class Table:
    """All messages of one topic in the order of arrival, by PX4 1.18's field names.

    ``columns``: (n,) or (n, k) each; ``received_ns``: (n,) time of arrival in the file's clock.
    """

    source: str
    topic: str
    columns: Mapping[str, Column]
    received_ns: Times

    def __len__(self) -> int:
        return len(self.received_ns)


@dataclass(frozen=True, slots=True)
class Truth:
    """Where a simulator says that the aircraft was: NED [m] around ``origin`` or PX4's own.

    ``stamp_ns``: (n,); ``position_ned_m``: (n, 3); ``geodetic``: (n, 3) latitude, longitude [deg],
    altitude [m] AMSL, where the log has them; they are preferred, being free of an origin.
    """

    stamp_ns: Times
    position_ned_m: Array | None
    geodetic_stamp_ns: Times | None = None
    geodetic: Array | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class VehicleLog:
    """One aircraft's part of a file. ``start_ns``: the log's first sample, in the file's clock."""

    name: str
    start_ns: int
    end_ns: int
    tables: tuple[Table, ...]
    truth: Truth | None
    facts: Mapping[str, str]
    notes: tuple[tuple[float, str, str], ...]  # (s from start, level, text)
    rejected: Mapping[str, Mapping[str, int]]  # by the reader: source, cause, count
    skips: Skips


@dataclass(frozen=True, slots=True)
class Recording:
    """A file: its aircraft, and what of it belongs to none of them."""

    kind: str  # ULog or MCAP
    vehicles: tuple[VehicleLog, ...]
    skips: Skips
