# SPDX-License-Identifier: Apache-2.0
"""One aircraft's part of the report: its columns thinned to what a screen can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from airtwin_core import stats
from airtwin_core.types import Array, Verdict
from airtwin_record import findings
from airtwin_record.errors import PositionErrors
from airtwin_record.flight import VehicleLog
from airtwin_record.history import History, Judged
from airtwin_record.thinning import every, peaks, series

Json = dict[str, Any]
_POINTS = 2500  # a curve
_FEW_POINTS = 1200  # clouds and strips
_MODES = {
    0: "Manual", 1: "Altitude", 2: "Position", 3: "Mission", 4: "Hold", 5: "Return",
    6: "Position slow", 10: "Acro", 12: "Descend", 13: "Termination", 14: "Offboard",
    15: "Stabilized", 17: "Take-off", 18: "Land", 19: "Follow", 20: "Precision land",
    21: "Orbit", 22: "VTOL take-off",
}  # fmt: skip
_GATE_PROBABILITY = 0.99999
_VERDICTS = ("unknown", "consistent", "inconsistent")


@dataclass(frozen=True, slots=True)
class Page:
    """What a chapter is made of."""

    log: VehicleLog
    history: History
    errors: PositionErrors | None
    summary: dict[str, Any]


def chapter(page: Page) -> Json:
    """Return texts for the template and, under ``data``, numbers for the charts."""
    history, summary = page.history, page.summary
    duration = summary["duration_s"]
    verdicts = verdict_rows(history, duration)
    return {
        "name": page.log.name,
        "summary": summary,
        "notes": [
            {"t": t, "level": level.lower(), "text": text} for t, level, text in page.log.notes
        ],
        "topics": [
            {"name": name, "used": c["used"], "rejected": c["rejected"]}
            for name, c in summary["topics"].items()
        ],
        "aircraft": history.aircraft,
        "wind_known": summary["physics"]["wind"],
        "parameters": findings.parameter_rows(history),
        "never_heard": findings.never_heard(history),
        "data": {
            **findings.data(history, duration),
            "name": page.log.name,
            "duration": duration,
            "events": summary["events"],
            "verdicts": verdicts,
            "twin": _twin(history),
            "px4": _px4(history),
            "gnss": _gnss(history),
            "baro": _barometer(history),
            "truth": _truth(page.errors),
            "residual": _residual(history),
            "attitude": _attitude(history),
            "innovations": _innovations(history),
            "battery": _columns(history.battery, ("t", "voltage", "current", "remaining")),
            "modes": _modes(history, duration),
        },
    }


# --- curves ------------------------------------------------------------------------------------


def _columns(rows: list[Any], names: tuple[str, ...], points: int = _FEW_POINTS) -> Json:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    table = table[every(len(rows), points)]
    return {name: series(column) for name, column in zip(names, table.T, strict=True)}


def _twin(history: History) -> Json:
    columns = history.twin_columns()
    index = every(len(columns["t"]), _POINTS)
    position, valid = columns["position"][index], columns["valid"][index]
    place = np.where(valid[:, :1] > 0.0, position[:, :2], np.nan)
    return {
        "t": series(columns["t"][index]),
        "north": series(place[:, 0]),
        "east": series(place[:, 1]),
        "height": series(-position[:, 2]),
        "height_sigma": series(columns["sigma"][index, 2]),
    }


def _px4(history: History) -> Json:
    rows = np.array([(r[0], *r[2:5], r[8], r[9]) for r in history.px4_position], dtype=np.float64)
    rows = rows.reshape(len(history.px4_position), 6)[every(len(history.px4_position), _POINTS)]
    place = np.where(rows[:, 4:5] > 0.0, rows[:, 1:3], np.nan)
    height = np.where(rows[:, 5] > 0.0, -rows[:, 3], np.nan)
    return {
        "t": series(rows[:, 0]),
        "north": series(place[:, 0]),
        "east": series(place[:, 1]),
        "height": series(height),
    }


def _gnss(history: History) -> Json:
    names = ("t", "north", "east", "down", "fix", "satellites", "eph")
    columns = _columns(history.gnss, names)
    columns["height"] = [None if d is None else -d for d in columns.pop("down")]
    return columns


def _barometer(history: History) -> Json:
    """The pressure altitude, moved to the twin's height where both begin."""
    columns = _columns(history.barometer, ("t", "height"))
    twin = history.twin_columns()
    if columns["t"] and len(twin["t"]):
        t = np.array(history.barometer, dtype=np.float64)
        first = np.searchsorted(t[:, 0], twin["t"][0])
        head = t[first : first + 20]
        if len(head):
            offset = float(np.median(head[:, 1])) + float(np.median(twin["position"][:50, 2]))
            columns["height"] = [h - offset if h is not None else None for h in columns["height"]]
            columns["height"] = series([np.nan if h is None else h for h in columns["height"]])
    return columns


def _truth(errors: PositionErrors | None) -> Json | None:
    if errors is None:
        return None
    index = every(len(errors.t), _POINTS)
    return {
        "t": series(errors.t[index]),
        "north": series(errors.truth_ned_m[index, 0]),
        "east": series(errors.truth_ned_m[index, 1]),
        "height": series(-errors.truth_ned_m[index, 2]),
        "twin_error": series(np.linalg.norm(errors.twin_ned_m[index], axis=1)),
        "px4_error": series(np.linalg.norm(errors.px4_ned_m[index], axis=1)),
    }


def _residual(history: History) -> Json:
    """Twin minus PX4 at PX4's stamps, and three sigma of the twin."""
    empty: Json = {"t": [], "north": [], "east": [], "height": [], "band_xy": [], "band_z": []}
    empty |= {"v_north": [], "v_east": [], "v_up": [], "band_v": []}
    if not history.twin or not history.px4_position:
        return empty
    twin, stamps = history.twin_columns(), history.twin_stamps()
    px4 = np.array([(r[0], *r[2:10]) for r in history.px4_position], dtype=np.float64)
    at = np.array([r[1] for r in history.px4_position], dtype=np.int64)
    # a vehicle that started its clock again: only where the twin has states around it
    good = (at >= stamps[0]) & (at <= stamps[-1])
    px4, at = px4[good], at[good]
    if not len(at) or np.any(np.diff(stamps) <= 0):
        return empty
    base = stamps[0]
    x, new = (stamps - base).astype(np.float64), (at - base).astype(np.float64)

    def on_px4(columns: Array) -> Array:
        return np.stack([np.interp(new, x, column) for column in columns.T], axis=1)

    place = on_px4(twin["position"]) - px4[:, 1:4]
    speed = on_px4(twin["velocity"]) - px4[:, 4:7]
    sigma, valid = on_px4(twin["sigma"]), on_px4(twin["valid"])
    place[:, :2][(px4[:, 7] == 0.0) | (valid[:, 0] < 1.0)] = np.nan
    place[:, 2][(px4[:, 8] == 0.0) | (valid[:, 1] < 1.0)] = np.nan
    speed[(valid[:, 0] < 1.0) | (px4[:, 7] == 0.0)] = np.nan
    index = peaks(np.linalg.norm(np.nan_to_num(place), axis=1), _POINTS // 2)
    return {
        "t": series(px4[index, 0]),
        "north": series(place[index, 0]),
        "east": series(place[index, 1]),
        "height": series(-place[index, 2]),
        "band_xy": series(3.0 * sigma[index, :2].max(axis=1)),
        "band_z": series(3.0 * sigma[index, 2]),
        "v_north": series(speed[index, 0]),
        "v_east": series(speed[index, 1]),
        "v_up": series(-speed[index, 2]),
        "band_v": series(3.0 * sigma[index, 3:5].max(axis=1)),
    }


def _attitude(history: History) -> Json:
    twin = history.twin_columns()
    index = every(len(twin["t"]), _POINTS)
    angles = _euler_deg(twin["q"][index])
    rows = history.px4_attitude
    chosen = [rows[i] for i in every(len(rows), _POINTS).tolist()]
    quaternions = np.array([r[2:6] for r in chosen], dtype=np.float64).reshape(len(chosen), 4)
    px4 = _euler_deg(quaternions)
    return {
        "t": series(twin["t"][index]),
        "px4_t": series([r[0] for r in chosen]),
        **{
            name: series(_unwound(angles[:, i], i == 2), 2)
            for i, name in enumerate(("roll", "pitch", "yaw"))
        },
        **{
            f"px4_{name}": series(_unwound(px4[:, i], i == 2), 2)
            for i, name in enumerate(("roll", "pitch", "yaw"))
        },
    }


def _euler_deg(q: Array) -> Array:
    """Return roll, pitch, yaw (n, 3) [deg] of quaternions (n, 4) w first, FRD to NED."""
    w, x, y, z = q.T
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    angles: Array = np.degrees(np.stack([roll, pitch, yaw], axis=1))
    return angles


def _unwound(angle_deg: Array, is_yaw: bool) -> Array:
    """Break a heading where it passes +-180 deg, else a stroke crosses the chart."""
    if not is_yaw or len(angle_deg) < 2:
        return angle_deg
    out: Array = angle_deg.copy()
    out[1:][np.abs(np.diff(angle_deg)) > 180.0] = np.nan
    return out


def _innovations(history: History) -> list[Json]:
    """Normalised innovation squared over its gate, by source; what was refused stands apart."""
    found = []
    for source, rows in sorted(history.fusions.items()):
        t = np.array([r[0] for r in rows])
        nis = np.array([r[1] for r in rows], dtype=np.float64)
        limit = np.array([stats.chi2_limit(max(r[2], 1), _GATE_PROBABILITY) for r in rows[:1]])[0]
        fused = np.array([r[3] for r in rows])
        ratio = np.where(np.isfinite(nis), np.maximum(nis / limit, 1e-4), np.nan)
        index = np.unique(
            np.concatenate([peaks(ratio, _FEW_POINTS), np.flatnonzero(~fused)[:500]])
        )
        found.append(
            {
                "source": source.replace("_", " "),
                "t": series(t[index]),
                "ratio": series(ratio[index], 4),
                "fused": fused[index].tolist(),
            }
        )
    return found


# --- strips ------------------------------------------------------------------------------------


def _modes(history: History, duration: float) -> list[Json]:
    strips = []
    for index, (t, state, armed, failsafe) in enumerate(history.modes):
        end = history.modes[index + 1][0] if index + 1 < len(history.modes) else duration
        strips.append(
            {
                "begin": round(t, 3),
                "end": round(end, 3),
                "mode": _MODES.get(state, f"state {state}"),
                "armed": armed,
                "failsafe": failsafe,
                "row": "mode",
            }
        )
    for index, (t, landed) in enumerate(history.landed):
        end = history.landed[index + 1][0] if index + 1 < len(history.landed) else duration
        strips.append(
            {
                "begin": round(t, 3),
                "end": round(end, 3),
                "mode": "landed" if landed else "in the air",
                "landed": landed,
                "row": "ground",
            }
        )
    return strips


def verdict_rows(history: History, duration: float) -> list[Json]:
    """One row for each requirement: runs of consistent, inconsistent and unknown, worst ratio."""
    return [
        {
            "requirement": judged.requirement,
            "factor": judged.factor,
            "runs": [
                {"begin": round(a, 2), "end": round(b, 2), "verdict": _VERDICTS[v]}
                for a, b, v in _merged(judged, duration)
            ],
        }
        for judged in history.judged.values()
    ]


def _merged(judged: Judged, duration: float) -> list[tuple[float, float, Verdict]]:
    """Return runs that touch each other; the first begins at 0."""
    out: list[tuple[float, float, Verdict]] = []
    for index, run in enumerate(judged.runs):
        begin = 0.0 if index == 0 else out[-1][1]
        last = index + 1 == len(judged.runs)
        out.append((begin, duration if last else run.end_s, run.verdict))
    return out
