# SPDX-License-Identifier: Apache-2.0
"""From findings to deviations: opened and closed with hysteresis, each with a probable cause."""

from __future__ import annotations

import dataclasses

from airtwin_consistency.detectors import Persistence, Turn
from airtwin_consistency.diagnosis import UNKNOWN, diagnose
from airtwin_consistency.findings import Finding, Pace
from airtwin_consistency.limits import Limits
from airtwin_core.types import Check, Deviation, Verdict

_NS = 1_000_000_000
_GATHER_S = 5.0


class DeviationLog:
    """Keeps what is open. Times of deviations are of the vehicle's clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count: dict[str, int] = {}  # never starts over: ids stay unique
        self._start()

    def _start(self) -> None:
        self._persistence: dict[str, Persistence] = {}
        self._open: dict[str, Deviation] = {}
        self._began: dict[str, int] = {}  # vehicle clock at the first failure of a streak
        self._ended: dict[str, int] = {}  # vehicle clock, so that two of a kind never overlap
        self._causes: dict[str, tuple[int, set[str], set[str]]] = {}  # opened, own, recent
        self._symptoms: dict[str, int] = {}  # symptom: when last seen, twin's clock
        self._forgotten: set[str] = set()

    @property
    def open(self) -> tuple[Deviation, ...]:
        """Return what is open now, oldest first."""
        return tuple(sorted(self._open.values(), key=lambda d: (d.start_ns, d.id)))

    @property
    def forgotten(self) -> bool:
        """Return whether a deviation ended for lack of evidence, and none has come since."""
        return bool(self._forgotten)

    def restart(self, vehicle_ns: int) -> tuple[Deviation, ...]:
        """Close what is open at ``vehicle_ns`` and begin anew: the times after are of another
        clock.
        """
        closed = tuple(
            dataclasses.replace(d, end_ns=max(d.start_ns, vehicle_ns)) for d in self.open
        )
        self._start()
        return closed

    def update(
        self, findings: list[tuple[Finding, Pace]], now_ns: int, vehicle_ns: int
    ) -> tuple[Deviation, ...]:
        """Take all findings of one tick and return what opened or closed."""
        turns = [
            (finding, self._turn(finding, pace, now_ns, vehicle_ns)) for finding, pace in findings
        ]
        for finding, turn in turns:
            # symptoms of all that opens now are known before any of it is explained
            if turn is Turn.OPENED or finding.check.requirement in self._open:
                self._symptoms.update(dict.fromkeys(finding.symptoms, now_ns))
        changed = []
        for finding, turn in turns:
            if turn is Turn.OPENED:
                changed.append(self._opened(finding, now_ns, vehicle_ns))
            elif turn is Turn.CLOSED:
                changed.append(self._closed(finding.check.requirement, now_ns, vehicle_ns))
            elif finding.check.requirement in self._open:
                self._worse(finding, now_ns)
        return tuple(changed)

    def _turn(self, finding: Finding, pace: Pace, now_ns: int, vehicle_ns: int) -> Turn:
        check = finding.check
        persistence = self._persistence.get(check.requirement)
        if persistence is None:
            limits = self._limits
            open_s = {
                Pace.COMPARISON: limits.persist_s,
                Pace.ATTITUDE: limits.persist_attitude_s,
                Pace.ALARM: limits.persist_alarm_s,
                Pace.FACT: 0.0,
            }[pace]
            persistence = Persistence(open_s, limits.clear_s, limits.forget_s)
            self._persistence[check.requirement] = persistence
        failed: bool | None = None
        if check.verdict is not Verdict.UNKNOWN:
            self._forgotten.discard(check.requirement)
            ratio = self._limits.clear_ratio if persistence.is_open else 1.0
            failed = not check.statistic <= ratio * check.limit
        if failed and persistence.failing_since_ns is None:
            self._began[check.requirement] = (
                vehicle_ns if finding.since_ns is None else finding.since_ns
            )
        turn = persistence.update(now_ns, failed)
        if turn is Turn.CLOSED and failed is None:
            self._forgotten.add(check.requirement)
        return turn

    def _opened(self, finding: Finding, now_ns: int, vehicle_ns: int) -> Deviation:
        check = finding.check
        number = self._count[check.requirement] = self._count.get(check.requirement, 0) + 1
        deviation = Deviation(
            id=f"{check.requirement}/{number}",
            factor=check.factor,
            requirement=check.requirement,
            start_ns=max(
                min(self._began[check.requirement], vehicle_ns),
                self._ended.get(check.requirement, 0),
            ),
            end_ns=None,
            cause=diagnose(check.requirement, finding.symptoms, self._recent(now_ns)),
            statistic=check.statistic,
            limit=check.limit,
            evidence=check.evidence,
        )
        self._open[check.requirement] = deviation
        recent = set(self._recent(now_ns))
        self._causes[check.requirement] = (now_ns, set(finding.symptoms), recent)
        return deviation

    def _closed(self, requirement: str, now_ns: int, vehicle_ns: int) -> Deviation:
        deviation = self._open.pop(requirement)
        passing = self._persistence[requirement].passing_since_ns
        since_s = 0 if passing is None else now_ns - passing
        end_ns = max(deviation.start_ns, vehicle_ns - since_s)
        self._ended[requirement] = end_ns
        return dataclasses.replace(deviation, end_ns=end_ns)

    def _worse(self, finding: Finding, now_ns: int) -> None:
        """Keep the worst statistic of an open deviation, and a cause once one is known."""
        check = finding.check
        if check.verdict is not Verdict.INCONSISTENT:
            return
        deviation = self._open[check.requirement]
        if _worse(check, deviation):
            deviation = dataclasses.replace(
                deviation, statistic=check.statistic, limit=check.limit, evidence=check.evidence
            )
        opened_ns, own, recent = self._causes[check.requirement]
        if now_ns - opened_ns <= _GATHER_S * _NS or deviation.cause == UNKNOWN:
            # what began together is not all seen at once
            own.update(finding.symptoms)
            recent.update(self._recent(now_ns))
            cause = diagnose(check.requirement, sorted(own), sorted(recent))
            deviation = dataclasses.replace(deviation, cause=cause)
        self._open[check.requirement] = deviation

    def _recent(self, now_ns: int) -> tuple[str, ...]:
        horizon = now_ns - int(self._limits.recent_s * _NS)
        return tuple(sorted(s for s, at_ns in self._symptoms.items() if at_ns >= horizon))


def _worse(check: Check, deviation: Deviation) -> bool:
    """Return whether the check fails by more; a NaN is worse than any number."""
    if deviation.limit > 0.0 and check.limit > 0.0:
        return not check.statistic / check.limit <= deviation.statistic / deviation.limit
    return not check.statistic <= deviation.statistic
