# SPDX-License-Identifier: Apache-2.0
"""summary.json: what a program wants to know of a replay; see config/schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airtwin_core.intake import Intake
from airtwin_core.types import Deviation, Verdict
from airtwin_record import findings
from airtwin_record.errors import PositionErrors
from airtwin_record.flight import Skip, VehicleLog
from airtwin_record.history import History
from airtwin_record.samples import NOT_NEEDED
from airtwin_record.thinning import number
from airtwin_ros import px4

Json = dict[str, Any]
VERSION = 1

NEEDLESS = "not needed by the twin"


def vehicle_summary(
    log: VehicleLog, history: History, intake: Intake, errors: PositionErrors | None, kind: str
) -> Json:
    """Return one aircraft's part."""
    rmse = None
    if errors is not None:
        twin, autopilot = errors.rmse_m
        rmse = {"twin": number(twin), "px4": number(autopilot)}
    return {
        "duration_s": number((log.end_ns - log.start_ns) * 1e-9),
        "verdict": verdict(history).name.lower(),
        "facts": dict(log.facts),
        "topics": _topics(log, intake, kind),
        "events": [_event(log.name, history, d) for d in ordered(history)],
        "errors": {"position_rmse_m": rmse, "remarks": list(errors.remarks) if errors else []},
        "fusion": dict(sorted(history.fused.items())),
        "physics": findings.summary(history),
        "skipped": _skips(log.skips.items()),
    }


def summary(
    path: str,
    sha256: str,
    kind: str,
    vehicles: dict[str, Json],
    skips: Iterable[Skip],
    realtime_factor: float,
) -> Json:
    """Return the whole: top level is the union of all aircraft."""
    parts = list(vehicles.values())
    verdicts = {part["verdict"] for part in parts}
    with_truth = [p["errors"] for p in parts if p["errors"]["position_rmse_m"] is not None]
    topics = {name: counts for part in parts for name, counts in part["topics"].items()}
    events = [event for part in parts for event in part["events"]]
    return {
        "version": VERSION,
        "input": path,
        "input_sha256": sha256,
        "format": kind,
        "duration_s": max(part["duration_s"] for part in parts),
        "realtime_factor": number(realtime_factor, 1),
        "verdict": next(v for v in ("inconsistent", "unknown", "consistent") if v in verdicts),
        "topics": topics,
        "events": sorted(events, key=lambda e: (e["start_s"], e["vehicle"], e["id"])),
        "errors": with_truth[0] if with_truth else {"position_rmse_m": None, "remarks": []},
        "skipped": [*_skips(skips), *(skip for part in parts for skip in part["skipped"])],
        "vehicles": vehicles,
    }


def ordered(history: History) -> list[Deviation]:
    """Return the deviations in the order of their start."""
    return sorted(history.deviations.values(), key=lambda d: (d.start_ns, d.id))


def verdict(history: History) -> Verdict:
    """Judge the flight: one deviation makes it inconsistent, no evidence leaves it unknown."""
    if history.deviations:
        return Verdict.INCONSISTENT
    if Verdict.CONSISTENT in history.verdicts:
        return Verdict.CONSISTENT
    return Verdict.UNKNOWN


def _event(vehicle: str, history: History, deviation: Deviation) -> Json:
    end = deviation.end_ns
    return {
        "id": deviation.id,
        "vehicle": vehicle,
        "factor": deviation.factor,
        "requirement": deviation.requirement,
        "start_s": number(history.log_s(deviation.start_ns), 3),
        "end_s": None if end is None else number(history.log_s(end), 3),
        "cause": deviation.cause,
        "statistic": number(deviation.statistic),
        "limit": number(deviation.limit),
        "evidence": deviation.evidence,
    }


def _topics(log: VehicleLog, intake: Intake, kind: str) -> Json:
    space = "" if log.name == "px4_0" else f"/{log.name}"
    counts: dict[str, Json] = {}
    lengths = {table.source: len(table) for table in log.tables}
    for reader in px4.READERS:
        by_cause = dict(intake.counts.get(reader.source, {}))
        if reader.source in NOT_NEEDED and reader.source in lengths:
            by_cause = {**by_cause, NEEDLESS: lengths[reader.source]}
        if not by_cause:
            continue
        name = reader.topic.rsplit("/", 1)[1] if kind == "ULog" else f"{space}/{reader.topic}"
        used = by_cause.pop("used", 0)
        counts[name] = {"used": used, "rejected": dict(sorted(by_cause.items()))}
    return counts


def _skips(skips: Iterable[Skip]) -> list[str]:
    return [f"{s.what}: {s.count}" + (f" ({s.detail})" if s.detail else "") for s in skips]
