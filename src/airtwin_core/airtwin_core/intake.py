# SPDX-License-Identifier: Apache-2.0
"""The gate between a vehicle's topics and its twin: is this sample's time to be believed?

PX4 on the uXRCE-DDS bridge shifts its stamps to the agent's clock by a filter. When the filter
resets, for one loop the messages carry raw boot time, then the stamps jump by some 0.2 s. A twin
that believes such a stamp is lost; one that trusts no jump at all never comes back after a
reboot. So a stamp that does not fit the time since the last one is refused until as many stamps
in a row, over a whole second, agree on the new time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

DUPLICATE = "same time stamp twice"
BACKWARDS = "time runs backwards"
WRONG_CLOCK = "time stamp of another clock"

_NS = 1_000_000_000


class Stamped(Protocol):
    """Any sample: both times int64 ns (see ``types``)."""

    @property
    def stamp_ns(self) -> int: ...
    @property
    def received_ns(self) -> int: ...


@dataclass(slots=True)
class _Candidate:
    """A clock that stamps might have moved to: stamp minus received, since when, how often."""

    offset_ns: int
    since_ns: int
    count: int = 1


@dataclass(slots=True)
class Intake:
    """Admits samples in time, and counts what it used and refused, by source and cause.

    ``jump_max_s``: a stamp may lag or lead the expected one by this much (link delay, PX4's
    0.2 s sawtooth) and still be of the same clock. ``settle_s``: for so long a new clock must
    persist before it is believed.
    """

    jump_max_s: float = 10.0
    settle_s: float = 1.0
    epoch: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _offset_ns: int | None = None
    _last_ns: dict[str, int] = field(default_factory=dict)
    _candidate: _Candidate | None = None

    def admit(self, source: str, sample: Stamped) -> bool:
        """Return whether the twin may use the sample; counts it either way."""
        offset = sample.stamp_ns - sample.received_ns
        last = self._last_ns.get(source)
        if sample.stamp_ns == last:
            self.reject(source, DUPLICATE)
            return False
        if self._offset_ns is None:
            self._offset_ns = offset
        fits = abs(offset - self._offset_ns) <= self.jump_max_s * _NS
        backwards = last is not None and sample.stamp_ns < last
        if fits and not backwards:
            self._candidate = None
            self._offset_ns = offset
        elif not self._clock_moved(offset, sample.received_ns):
            self.reject(source, BACKWARDS if fits else WRONG_CLOCK)
            return False
        self._last_ns[source] = sample.stamp_ns
        self._count(source, "used")
        return True

    def reject(self, source: str, cause: str) -> None:
        """Count one that the twin could not use, for example a ``BadMessage``."""
        self._count(source, cause)

    def _clock_moved(self, offset_ns: int, received_ns: int) -> bool:
        candidate = self._candidate
        if candidate is None or abs(offset_ns - candidate.offset_ns) > self.jump_max_s * _NS:
            self._candidate = _Candidate(offset_ns, received_ns)
            return False
        candidate.count += 1
        if received_ns - candidate.since_ns < self.settle_s * _NS:
            return False
        self._offset_ns = offset_ns
        self._candidate = None
        self._last_ns.clear()
        self.epoch += 1
        return True

    def _count(self, source: str, what: str) -> None:
        by_cause = self.counts.setdefault(source, {})
        by_cause[what] = by_cause.get(what, 0) + 1
