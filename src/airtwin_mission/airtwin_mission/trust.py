# SPDX-License-Identifier: Apache-2.0
"""What the mission must give way to: an advisory, or a twin that no longer agrees. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airtwin_core.types import Advisory, AdvisoryAction, Report, Verdict
from airtwin_mission.limits import Limits

NEEDED_FACTORS = ("position", "velocity")
"""Without evidence on these nobody watches where the aircraft flies."""
SETTLING_S = 10.0
"""The monitor judges a value once it was valid for so long (its ``settle_s``)."""


class Demand(enum.IntEnum):
    """What has to happen instead of the mission; the larger wins."""

    NONE = 0
    HOLD = 1
    RETURN = 2
    LAND = 3


@dataclass(frozen=True, slots=True)
class Demanded:
    """A demand and who makes it, in words for a person."""

    demand: Demand = Demand.NONE
    reason: str = ""


class Trust:
    """Collects advisories and consistency reports; ``demanded`` says what follows from them.

    A factor counts once it has been inconsistent in every report for ``inconsistent_s``: by a
    check, or by a deviation that the monitor keeps open. UNKNOWN with nothing open breaks the run:
    without evidence there is no ground to end a mission. A required monitor that has none on
    position or velocity for ``monitor_silent_s`` in flight is a ground to hold; a monitor that was
    just started is given ``SETTLING_S`` besides.

    Advisories come on change only: a required airspace manager is waited for before the take-off;
    one that falls silent in flight cannot be told from one that has nothing new to say.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._advisory: Advisory | None = None
        self._report: Report | None = None
        self._new = False
        self._heard_ns: int | None = None
        self._first_ns: int | None = None
        self._since_ns: dict[str, int] = {}
        self._known_ns: dict[str, int] = {}
        self._flying_ns: int | None = None

    def on(self, value: Advisory | Report) -> None:
        """Take the newest advisory for this aircraft, or the newest report about it."""
        if isinstance(value, Advisory):
            self._advisory = value
        else:
            self._report = value
            self._new = True

    def demanded(self, now_ns: int, *, flying: bool) -> Demanded:
        """Return the strongest demand now; ``flying``: from the take-off on."""
        if not flying:
            self._flying_ns = None
        elif self._flying_ns is None:
            self._flying_ns = now_ns
        found = (
            self._from_advisory(),
            self._from_report(now_ns),
            self._from_silence(now_ns),
            self._from_doubt(now_ns),
        )
        return max(found, key=lambda d: d.demand)

    def _from_advisory(self) -> Demanded:
        advisory = self._advisory
        if advisory is None and self._limits.airspace_required and self._flying_ns is None:
            return Demanded(Demand.HOLD, "waits for the airspace manager")
        if advisory is None or advisory.action is AdvisoryAction.CLEAR:
            return Demanded()
        about = f" ({advisory.other})" if advisory.other else ""
        reason = f"airspace: {advisory.reason or advisory.kind}{about}"
        return Demanded(Demand[advisory.action.name], reason)

    def _from_report(self, now_ns: int) -> Demanded:
        if self._new and self._report is not None:
            self._new = False
            self._heard_ns = now_ns
            self._first_ns = now_ns if self._first_ns is None else self._first_ns
            checks, deviations = self._report.checks, self._report.open_deviations
            bad = {c.factor for c in checks if c.verdict is Verdict.INCONSISTENT}
            bad |= {d.factor for d in deviations if d.end_ns is None}
            self._since_ns = {factor: self._since_ns.get(factor, now_ns) for factor in bad}
            known = (c.factor for c in checks if c.verdict is not Verdict.UNKNOWN)
            self._known_ns.update(dict.fromkeys(known, now_ns))
        limit_ns = int(self._limits.inconsistent_s * 1e9)
        lasting = {f for f, since in self._since_ns.items() if now_ns - since >= limit_ns}
        for demand, factors in (
            (Demand.LAND, self._limits.land_factors),
            (Demand.RETURN, self._limits.return_factors),
        ):
            named = [factor for factor in factors if factor in lasting]
            if named:
                what = ", ".join(named)
                return Demanded(demand, f"twin and aircraft disagree: {what}")
        return Demanded()

    def _from_silence(self, now_ns: int) -> Demanded:
        if self._heard_ns is None:
            if self._limits.monitor_required:
                return Demanded(Demand.HOLD, "waits for the consistency monitor")
            return Demanded()
        silent_s = (now_ns - self._heard_ns) * 1e-9
        if silent_s <= self._limits.monitor_silent_s:
            return Demanded()
        # No run of agreement can be built on reports that stopped.
        self._since_ns.clear()
        return Demanded(Demand.HOLD, "consistency monitor is silent")

    def _from_doubt(self, now_ns: int) -> Demanded:
        """Judge how long the reports have said nothing about where the aircraft is."""
        if not self._limits.monitor_required or self._flying_ns is None or self._first_ns is None:
            return Demanded()
        since_ns = max(self._flying_ns, self._first_ns + int(SETTLING_S * 1e9))
        limit_ns = int(self._limits.monitor_silent_s * 1e9)
        for factor in NEEDED_FACTORS:
            if now_ns - max(self._known_ns.get(factor, since_ns), since_ns) > limit_ns:
                return Demanded(Demand.HOLD, f"the twin has no evidence on {factor}")
        return Demanded()
