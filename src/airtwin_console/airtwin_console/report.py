# SPDX-License-Identifier: Apache-2.0
"""What a report says in a few words. Pure."""

from __future__ import annotations

from airtwin_core.types import Report, Verdict


def failing_factors(report: Report) -> tuple[str, ...]:
    """Return the factors that disagree: by a check now, or by a deviation that is still open."""
    now = (c.factor for c in report.checks if c.verdict is Verdict.INCONSISTENT)
    still = (deviation.factor for deviation in report.open_deviations)
    return tuple(dict.fromkeys((*now, *still)))
