# SPDX-License-Identifier: Apache-2.0
"""Does the barometer speak, and does it fit the twin's height? CON-BAR-1, CON-BAR-2."""

from __future__ import annotations

import numpy as np

from airtwin_consistency.detectors import Rate, Window
from airtwin_consistency.evidence import Evidence
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core.types import Barometer, ContextFactor, TwinState

STOPPED = Requirement("CON-BAR-1", "barometer", Pace.FACT)
HEIGHT = Requirement("CON-BAR-2", "barometer height", Pace.COMPARISON)

_NS = 1_000_000_000


class BarometerChecks:
    """Learns the barometer's rate and follows its innovations in the twin."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = Rate(limits.learn_count)
        self._innovations = Window(limits.baro_window_s)
        self._tested = 0

    def on_barometer(self, sample: Barometer) -> None:
        """Take one sample."""
        self._rate.on(sample.received_ns)

    def on_twin(self, twin: TwinState) -> None:
        """Take the twin's newest barometer innovation, once each."""
        for fusion in twin.fusions:
            if fusion.source != "barometer":
                continue
            tested = fusion.used + sum(fusion.rejected.values())
            if tested != self._tested:
                self._tested = tested
                if np.all(np.isfinite(fusion.innovation)):
                    self._innovations.add(twin.received_ns, fusion.innovation)

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the two findings."""
        return [self._stopped(seen, now_ns), self._height(seen, now_ns)]

    def _stopped(self, seen: Evidence, now_ns: int) -> Finding:
        limits, rate, last = self._limits, self._rate, seen.barometer
        if last is None or not rate.known:
            return unknown(STOPPED, "no barometer heard for long enough")
        allowed_s = rate.limit_s(limits.baro_age_s, limits.silent_periods)
        age_s = rate.age_s(now_ns)
        if age_s > allowed_s >= seen.heard_s(now_ns):
            return unknown(STOPPED, "nothing else is heard either")
        factor = ContextFactor(
            "barometer", "sensor", last.stamp_ns, np.array([last.altitude_m]), np.zeros(1), "m"
        )
        return judge(
            STOPPED,
            age_s,
            allowed_s,
            f"last sample {age_s:.1f} s ago, usually every {rate.mean_s:.2f} s",
            since_ns=last.stamp_ns,
            symptoms=("barometer silent",),
            factors=(factor,),
        )

    def _height(self, seen: Evidence, now_ns: int) -> Finding:
        limits, recent = self._limits, self._innovations
        if not seen.flying:
            return unknown(HEIGHT, "not flying")
        if not len(recent) or now_ns - recent.last_ns > limits.baro_window_s * _NS:
            return unknown(HEIGHT, "the twin tests no barometer")
        if recent.span_s < 0.5 * limits.baro_window_s:
            return unknown(HEIGHT, "too few samples")
        mean = float(recent.mean()[0])
        return judge(
            HEIGHT,
            abs(mean),
            limits.baro_innovation_m,
            f"barometer {mean:+.1f} m above the twin over {recent.span_s:.1f} s",
            symptoms=("barometer off",),
        )
