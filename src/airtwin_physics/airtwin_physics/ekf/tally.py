# SPDX-License-Identifier: Apache-2.0
"""What became of each source's samples, and how long its gate has been shut."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from airtwin_core.types import Array, Fusion

NEVER_S = -1e9
RESET = "reset after a shut gate"


@dataclass(slots=True)
class Gate:
    """One chi-square gate: opens for a statistic below ``limit`` [-], remembers when it shut."""

    limit: float
    shut_since_s: float | None = None
    passed_s: float = NEVER_S

    def passes(self, statistic: float, now_s: float) -> bool:
        """Judge one innovation; NaN never passes."""
        if statistic <= self.limit:
            self.shut_since_s = None
            self.passed_s = now_s
            return True
        if self.shut_since_s is None:
            self.shut_since_s = now_s
        return False

    def shut_for_s(self, now_s: float) -> float:
        """Return for how long nothing has passed although samples came [s]."""
        return 0.0 if self.shut_since_s is None else now_s - self.shut_since_s

    def open(self, now_s: float) -> None:
        """Open the gate: what it guards was just taken from the sensor itself."""
        self.shut_since_s = None
        self.passed_s = now_s

    def start_over(self) -> None:
        """Forget that anything ever passed."""
        self.shut_since_s = None
        self.passed_s = NEVER_S


@dataclass(slots=True)
class Tally:
    """Counts of one source; makes the ``Fusion`` that is published."""

    source: str
    dof: int
    used: int = 0
    used_stamp_ns: int = 0
    nis: float = float("nan")
    innovation: Array = field(default_factory=lambda: np.full(1, np.nan))
    rejected: dict[str, int] = field(default_factory=dict)
    _fusion: Fusion | None = None

    def fused(self, stamp_ns: int) -> None:
        """Count one that was used, wholly or in part."""
        self.used += 1
        self.used_stamp_ns = stamp_ns
        self._fusion = None

    def tested(self, nis: float, innovation: Array) -> None:
        """Remember an innovation, before the gate judges it."""
        self.nis = nis
        self.innovation = innovation
        self._fusion = None

    def refuse(self, cause: str) -> None:
        """Count one that was not used."""
        self.rejected[cause] = self.rejected.get(cause, 0) + 1
        self._fusion = None

    def fusion(self) -> Fusion:
        """Return the counts as a value; built anew only after a change."""
        if self._fusion is None:
            self._fusion = Fusion(
                self.source,
                self.used,
                dict(self.rejected),
                self.nis,
                self.dof,
                self.innovation,
                self.used_stamp_ns,
            )
        return self._fusion
