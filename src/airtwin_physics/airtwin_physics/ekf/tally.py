# SPDX-License-Identifier: Apache-2.0
"""What became of each source's samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from airtwin_core.types import Array, Fusion

NEVER_S = -1e9
RESET = "reset after a shut gate"
LATE_MAX_S = 0.3  # behind the horizon
TOO_LATE = "older than the filter's window"


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
    latest: Fusion | None = None  # as last built; None after a change

    def fused(self, stamp_ns: int) -> None:
        """Count one that was used, wholly or in part."""
        self.used += 1
        self.used_stamp_ns = stamp_ns
        self.latest = None

    def tested(self, nis: float, innovation: Array) -> None:
        """Remember an innovation, before the gate judges it."""
        self.nis = nis
        self.innovation = innovation
        self.latest = None

    def refuse(self, cause: str) -> None:
        """Count one that was not used."""
        self.rejected[cause] = self.rejected.get(cause, 0) + 1
        self.latest = None

    def fusion(self) -> Fusion:
        """Build ``latest`` anew and return it."""
        self.latest = Fusion(
            self.source,
            self.used,
            dict(self.rejected),
            self.nis,
            self.dof,
            self.innovation,
            self.used_stamp_ns,
        )
        return self.latest
