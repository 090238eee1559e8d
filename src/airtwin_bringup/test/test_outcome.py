# SPDX-License-Identifier: Apache-2.0
"""What the terminal says at the end of a run."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from airtwin_bringup import outcome


@pytest.mark.parametrize(
    ("verdict", "said", "unsaid"),
    [
        ("consistent", "no deviation found", "no sample used"),
        (
            "unknown",
            "nothing could be judged\nno sample used: sensor_combined: not finite (1500)",
            "no deviation found",
        ),
    ],
)
def test_no_evidence_is_not_called_good(verdict: str, said: str, unsaid: str) -> None:
    summary: dict[str, Any] = {
        "events": [],
        "verdict": verdict,
        "errors": {"position_rmse_m": None},
        "duration_s": 6.0,
        "realtime_factor": 9.0,
        "skipped": [],
        "topics": {
            "sensor_combined": {"used": 0, "rejected": {"not finite": 1500}},
            "home_position": {"used": 0, "rejected": {"not needed by the twin": 3}},
            "vehicle_attitude": {"used": 7, "rejected": {"late": 3}},
        },
    }
    out = io.StringIO()
    outcome.show(SimpleNamespace(summary=summary, paths=()), Console(file=out))
    assert said in out.getvalue()
    assert unsaid not in out.getvalue()
    assert "home_position" not in out.getvalue()
    assert "vehicle_attitude" not in out.getvalue()
