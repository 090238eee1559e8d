# SPDX-License-Identifier: Apache-2.0
"""The gate between a vehicle's topics and its twin: is this sample's time to be believed?

PX4 on the uXRCE-DDS bridge shifts its stamps to the agent's clock by a filter. When the filter
resets, for one loop the messages carry raw boot time, then the stamps jump by some 0.2 s. A twin
that believes such a stamp is lost; one that trusts no jump at all never comes back.

A message may well come late, but none comes before it was sent, and those of one source come in
order. So a stamp that leads all before it, or falls behind its source's last one, is wrong, or
the clock has moved. One such stamp alone is an outlier: it is refused, and what follows it is
held against what was before it. ``run`` of them in order, which agree with one another, are a
clock that moved, of one source or of all. The samples are used on, and what the stamps say is for
the estimator to weigh against arrival times (``airtwin_physics.ekf.clocks``): nothing has
happened to the aircraft. Where all stamps move by more than ``moved_max_s``, it is another run
of the vehicle or of a recording (``epoch`` rises): that has to last for ``settle_s``, and most
of what was refused meanwhile has to agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

DUPLICATE = "same time stamp twice"
BACKWARDS = "time runs backwards"
WRONG_CLOCK = "time stamp of another clock"

_NS = 1_000_000_000
_AGREE_NS = 500_000_000  # by which stamps of one clock may scatter: the link is not even
_SAME_NS = 10 * _NS  # within this time sources whose clocks move alike share one


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
class _Run:
    """Stamps of one source, in order, beside its clock; offset: stamp minus received, first."""

    offset_ns: int
    last_ns: int
    count: int = 1


@dataclass(slots=True)
class _Clock:
    """Of one source: last stamp; stamp minus received of its last and its least delayed sample."""

    last_ns: int
    offset_ns: int
    ahead_ns: int


@dataclass(slots=True)
class Intake:
    """Admits samples in time, and counts what it used and refused, by source and cause.

    ``jump_max_s``: a stamp may lag the least delayed one of its source by this much (link delay)
    and still be in time. ``lead_max_s``: and lead it by this much (PX4's 0.2 s sawtooth, and a
    margin; a clock that drifts by 100 ppm loosens it by 0.36 s an hour). ``run``,
    ``moved_max_s``, ``settle_s``: as said above. ``epoch``: how often the vehicle started anew;
    ``moves``: how often its clock, or that of a source, has moved; ``moved_s``: by how much the
    last time.
    """

    jump_max_s: float = 10.0
    lead_max_s: float = 0.3
    run: int = 3
    moved_max_s: float = 120.0
    settle_s: float = 1.0
    epoch: int = 0
    moves: int = 0
    moved_s: float = 0.0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _ahead_ns: int = 0  # of whichever source was in time last
    _moved_at_ns: int = 0
    _clocks: dict[str, _Clock] = field(default_factory=dict)
    _runs: dict[str, _Run] = field(default_factory=dict)
    _candidates: dict[str, _Candidate] = field(default_factory=dict)

    def admit(self, source: str, sample: Stamped) -> bool:
        """Return whether the twin may use the sample; counts it either way."""
        stamp_ns = sample.stamp_ns
        offset = stamp_ns - sample.received_ns
        clock = self._clocks.get(source)
        if clock is not None and stamp_ns == clock.last_ns:
            self.reject(source, DUPLICATE)
            return False
        usual, ahead, fits = offset, 0, True
        if clock is not None:
            usual = max(offset, clock.ahead_ns)
            # a simulator that runs fast takes all its sources along
            ahead = offset - max(clock.ahead_ns, min(self._ahead_ns, offset))
            late = clock.offset_ns - offset
            fits = late <= self.jump_max_s * _NS and ahead <= self.lead_max_s * _NS
        elif self._clocks:
            usual = max(offset, self._ahead_ns)
            ahead = offset - self._ahead_ns
            fits = -self.jump_max_s * _NS <= ahead <= self.lead_max_s * _NS
        backwards = clock is not None and stamp_ns < clock.last_ns
        if not (fits and not backwards):
            far = abs(ahead) > self.moved_max_s * _NS
            judge = self._began_anew if far else self._moved
            if not judge(source, sample, ahead):
                self.reject(source, BACKWARDS if fits else WRONG_CLOCK)
                return False
            usual = offset
        self._candidates.clear()
        self._runs.pop(source, None)
        self._ahead_ns = usual
        self._clocks[source] = _Clock(stamp_ns, offset, usual)
        self._count(source, "used")
        return True

    def reject(self, source: str, cause: str) -> None:
        """Count one that the twin could not use, for example a ``BadMessage``."""
        self._count(source, cause)

    def _moved(self, source: str, sample: Stamped, ahead_ns: int) -> bool:
        """Return whether a sample that is out of time is of a clock that moved a little."""
        self._candidates.pop(source, None)
        # where one source's clock has moved so far just now, the others' need not wait
        alike = self.moves and abs(ahead_ns - self.moved_s * _NS) <= _AGREE_NS
        if alike and 0 <= sample.received_ns - self._moved_at_ns <= _SAME_NS:
            return True
        offset_ns = sample.stamp_ns - sample.received_ns
        run = self._runs.get(source)
        agrees = run is not None and abs(offset_ns - run.offset_ns) <= _AGREE_NS
        if run is None or not agrees or sample.stamp_ns <= run.last_ns:
            self._runs[source] = _Run(offset_ns, sample.stamp_ns)
            return False
        run.last_ns = sample.stamp_ns
        run.count += 1
        if run.count < self.run:
            return False
        self.moves += 1
        self.moved_s, self._moved_at_ns = ahead_ns / _NS, sample.received_ns
        return True

    def _began_anew(self, source: str, sample: Stamped, _ahead_ns: int) -> bool:
        """Return whether samples of quite another clock have lasted, and most of them agree."""
        offset_ns, received_ns = sample.stamp_ns - sample.received_ns, sample.received_ns
        self._runs.pop(source, None)
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
        self._clocks.clear()
        self._runs.clear()
        self.epoch += 1
        return True

    def _agree(self, candidate: _Candidate, offset_ns: int) -> bool:
        return abs(offset_ns - candidate.offset_ns) <= self.jump_max_s * _NS

    def _count(self, source: str, what: str) -> None:
        by_cause = self.counts.setdefault(source, {})
        by_cause[what] = by_cause.get(what, 0) + 1
