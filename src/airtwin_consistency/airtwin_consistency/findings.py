# SPDX-License-Identifier: Apache-2.0
"""What one check found at one instant."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airtwin_core.types import Check, ContextFactor, Verdict

NO_FACTORS: tuple[ContextFactor, ...] = ()


class Pace(enum.Enum):
    """For how long a check must fail before that is a deviation; durations in ``Limits``."""

    COMPARISON = "two estimates may part for a moment"
    ATTITUDE = "an attitude error shows in a second"
    ALARM = "outlasts one bad message"
    FACT = "the check itself has waited long enough"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is demanded of which context factor."""

    id: str
    factor: str
    pace: Pace


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and what goes with it.

    ``since_ns``: vehicle clock, when what the check saw began, None if that is now. ``symptoms``:
    words that the diagnosis knows, only of a check that failed.
    """

    check: Check
    since_ns: int | None = None
    symptoms: tuple[str, ...] = ()
    factors: tuple[ContextFactor, ...] = NO_FACTORS


def unknown(requirement: Requirement, why: str) -> Finding:
    """Return that there is no evidence."""
    nan = float("nan")
    return Finding(
        Check(requirement.id, requirement.factor, nan, nan, Verdict.UNKNOWN, f"no evidence: {why}")
    )


def judge(
    requirement: Requirement,
    statistic: float,
    limit: float,
    evidence: str,
    *,
    since_ns: int | None = None,
    symptoms: tuple[str, ...] = (),
    factors: tuple[ContextFactor, ...] = NO_FACTORS,
) -> Finding:
    """Return the verdict on a statistic: it passes while ``statistic <= limit``, so NaN fails."""
    passed = statistic <= limit
    verdict = Verdict.CONSISTENT if passed else Verdict.INCONSISTENT
    check = Check(requirement.id, requirement.factor, statistic, limit, verdict, evidence)
    if passed:
        return Finding(check, factors=factors)
    return Finding(check, since_ns, symptoms, factors)
