# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that a flight-test engineer reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airtwin_record.errors import PositionErrors
from airtwin_record.flight import VehicleLog
from airtwin_record.history import History


@dataclass(frozen=True, slots=True)
class Page:
    """One aircraft's chapter."""

    log: VehicleLog
    history: History
    errors: PositionErrors | None
    summary: dict[str, Any]


def html(summary: dict[str, Any], pages: list[Page]) -> str:
    return "<html></html>"
