# SPDX-License-Identifier: Apache-2.0
"""Small memories over time: how long something fails, how often a topic comes, what is usual."""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airtwin_core.types import Array

_NS = 1_000_000_000


class Turn(enum.Enum):
    """What a ``Persistence`` did at its last update."""

    NONE = "none"
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(slots=True)
class Persistence:
    """Opens after failing for ``open_s`` on end, closes after passing for ``close_s`` on end.

    No evidence neither opens nor closes; after ``forget_s`` of it an open one closes. Times are of
    the clock that ``update`` is called with.
    """

    open_s: float
    close_s: float
    forget_s: float
    is_open: bool = False
    failing_since_ns: int | None = None
    passing_since_ns: int | None = None
    last_failed_ns: int = 0
    _known_ns: int | None = None

    def update(self, now_ns: int, failed: bool | None) -> Turn:
        """Take one verdict (None: no evidence) and return whether it changed anything."""
        if failed is None:
            return self._no_evidence(now_ns)
        self._known_ns = now_ns
        if failed:
            self.passing_since_ns = None
            self.last_failed_ns = now_ns
            if self.failing_since_ns is None:
                self.failing_since_ns = now_ns
            if not self.is_open and now_ns - self.failing_since_ns >= self.open_s * _NS:
                self.is_open = True
                return Turn.OPENED
            return Turn.NONE
        if not self.is_open:
            self.failing_since_ns = None
            return Turn.NONE
        if self.passing_since_ns is None:
            self.passing_since_ns = now_ns
        if now_ns - self.passing_since_ns >= self.close_s * _NS:
            return self._close()
        return Turn.NONE

    def _no_evidence(self, now_ns: int) -> Turn:
        if not self.is_open:
            self.failing_since_ns = None
            return Turn.NONE
        self.passing_since_ns = None
        if self._known_ns is None or now_ns - self._known_ns < self.forget_s * _NS:
            return Turn.NONE
        self.passing_since_ns = self.last_failed_ns
        return self._close()

    def _close(self) -> Turn:
        self.is_open = False
        self.failing_since_ns = None
        return Turn.CLOSED


@dataclass(slots=True)
class Rate:
    """How often a topic comes, learned from itself; silence teaches nothing."""

    learn_count: int
    count: int = 0
    mean_s: float = 0.0
    longest_s: float = 0.0
    last_ns: int | None = None

    def on(self, received_ns: int) -> None:
        """Take one arrival."""
        last, self.last_ns = self.last_ns, received_ns
        if last is None:
            return
        interval_s = (received_ns - last) / _NS
        if interval_s < 0.0 or (self.known and interval_s > 5.0 * self.longest_s + 0.5):
            return
        self.count += 1
        share = max(0.02, 1.0 / self.count)
        self.mean_s += share * (interval_s - self.mean_s)
        self.longest_s = max(self.longest_s * (1.0 - 0.1 * share), interval_s)

    @property
    def known(self) -> bool:
        """Return whether enough intervals have been seen."""
        return self.count >= self.learn_count

    def age_s(self, now_ns: int) -> float:
        """Return the time since the last arrival [s]; NaN before the first."""
        return math.nan if self.last_ns is None else (now_ns - self.last_ns) / _NS

    def limit_s(self, floor_s: float, periods: float) -> float:
        """Return the silence [s] that this topic is allowed."""
        return max(floor_s, periods * self.mean_s, 2.0 * self.longest_s)


@dataclass(slots=True)
class Window:
    """Rows (n,) of the last ``length_s`` seconds, with their mean and sum."""

    length_s: float
    _rows: deque[tuple[int, Array]] = field(default_factory=deque)

    def add(self, at_ns: int, row: Array) -> None:
        """Take one row and drop what is too old; a clock that went back empties the window."""
        if self._rows and at_ns < self._rows[-1][0]:
            self._rows.clear()
        self._rows.append((at_ns, row))
        while at_ns - self._rows[0][0] > self.length_s * _NS:
            self._rows.popleft()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def first_ns(self) -> int:
        """Return the time of the oldest row."""
        return self._rows[0][0]

    @property
    def last_ns(self) -> int:
        """Return the time of the newest row."""
        return self._rows[-1][0]

    @property
    def span_s(self) -> float:
        """Return the time between the oldest and the newest row [s]."""
        return (self._rows[-1][0] - self._rows[0][0]) / _NS if self._rows else 0.0

    def total(self) -> Array:
        """Return the sum (n,) of the rows."""
        total: Array = np.sum([row for _, row in self._rows], axis=0)
        return total

    def mean(self) -> Array:
        """Return the mean (n,) of the rows."""
        mean: Array = self.total() / len(self._rows)
        return mean

    def all(self) -> tuple[npt.NDArray[np.int64], Array]:
        """Return all times (k,) and rows (k, n)."""
        return np.array([t for t, _ in self._rows]), np.array([row for _, row in self._rows])

    def newest(self, count: int) -> Array:
        """Return the newest ``count`` rows (count, n)."""
        return np.array([self._rows[i][1] for i in range(-count, 0)])

    def time_of_newest(self, count: int) -> int:
        """Return the time of the first of the newest ``count`` rows."""
        return self._rows[-count][0]

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()
