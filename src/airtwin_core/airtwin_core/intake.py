# SPDX-License-Identifier: Apache-2.0
"""The gate between a vehicle's topics and its twin: is this sample's time to be believed?

PX4 on the uXRCE-DDS bridge shifts its stamps to the agent's clock by a filter. When the filter
resets, for one loop the messages carry raw boot time, then the stamps jump by some 0.2 s. A twin
that believes such a stamp is lost; one that trusts no jump at all never comes back after a
reboot. So a stamp that does not fit the time since the last one is refused, until for a whole
second no source fits any more and most of what was refused agrees on the new time. A message
may well come late, but none comes before it was sent: the future is refused sooner than the past.
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
    """Where one source's stamps might have moved: stamp minus received, since when, how often."""

    offset_ns: int
    since_ns: int
    count: int = 1


@dataclass(slots=True)
class Intake:
    """Admits samples in time, and counts what it used and refused, by source and cause.

    ``jump_max_s``: a stamp may lag the expected one by this much (link delay) and still be of the
    same clock. ``lead_max_s``: and lead the least delayed one so far by this much (PX4's 0.2 s
    sawtooth, and a margin; a clock that drifts by 100 ppm loosens it by 0.36 s an hour).
    ``settle_s``: for so long a new clock must persist before it is believed.
    """

    jump_max_s: float = 10.0
    lead_max_s: float = 1.0
    settle_s: float = 1.0
    epoch: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _offset_ns: int | None = None
    _ahead_ns: int = 0  # the largest offset of this epoch: that of the least delayed sample
    _last_ns: dict[str, int] = field(default_factory=dict)
    _candidates: dict[str, _Candidate] = field(default_factory=dict)

    def admit(self, source: str, sample: Stamped) -> bool:
        """Return whether the twin may use the sample; counts it either way."""
        offset = sample.stamp_ns - sample.received_ns
        last = self._last_ns.get(source)
        if sample.stamp_ns == last:
            self.reject(source, DUPLICATE)
            return False
        if self._offset_ns is None:
            self._offset_ns = self._ahead_ns = offset
        lag_ns, lead_ns = self._offset_ns - offset, offset - self._ahead_ns
        fits = lag_ns <= self.jump_max_s * _NS and lead_ns <= self.lead_max_s * _NS
        backwards = last is not None and sample.stamp_ns < last
        if fits and not backwards:
            self._candidates.clear()
            self._offset_ns = offset
            self._ahead_ns = max(self._ahead_ns, offset)
        elif not self._clock_moved(source, offset, sample.received_ns):
            self.reject(source, BACKWARDS if fits else WRONG_CLOCK)
            return False
        self._last_ns[source] = sample.stamp_ns
        self._count(source, "used")
        return True

    def reject(self, source: str, cause: str) -> None:
        """Count one that the twin could not use, for example a ``BadMessage``."""
        self._count(source, cause)

    def _clock_moved(self, source: str, offset_ns: int, received_ns: int) -> bool:
        candidate = self._candidates.get(source)
        if candidate is None or not self._agree(candidate, offset_ns):
            self._candidates[source] = _Candidate(offset_ns, received_ns)
            return False
        candidate.count += 1
        if received_ns - candidate.since_ns < self.settle_s * _NS:
            return False
        # one source that is wrong for good must not speak for a vehicle that restarts
        counts = [(one.count, self._agree(one, offset_ns)) for one in self._candidates.values()]
        if 2 * sum(n for n, agrees in counts if agrees) <= sum(n for n, _ in counts):
            return False
        self._offset_ns = self._ahead_ns = offset_ns
        self._candidates.clear()
        self._last_ns.clear()
        self.epoch += 1
        return True

    def _agree(self, candidate: _Candidate, offset_ns: int) -> bool:
        return abs(offset_ns - candidate.offset_ns) <= self.jump_max_s * _NS

    def _count(self, source: str, what: str) -> None:
        by_cause = self.counts.setdefault(source, {})
        by_cause[what] = by_cause.get(what, 0) + 1
