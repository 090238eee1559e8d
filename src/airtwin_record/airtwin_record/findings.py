# SPDX-License-Identifier: Apache-2.0
"""What the physical model found out in a flight, for summary and report: wind, parameters, health.

Intervals are two sigma (95 % of a normal distribution). A parameter that the flight has not told
is shown with what would have to be flown, not hidden.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from airtwin_core.types import Array, Health, Identification, Parameter
from airtwin_record.history import History
from airtwin_record.thinning import every, number, series

Json = dict[str, Any]
_POINTS = 1500
_SIGMAS = 2.0
_SCALE_PCT = (10.0, 100.0)  # least and largest half-width of the table's bars
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ENDURANCE = "time_to_empty"
"""Name of the parameter that gets a chart of its own."""


def summary(history: History) -> Json:
    """Return the part of summary.json: what was known at the end of the flight."""
    last = history.identified[-1][1] if history.identified else None
    return {
        "aircraft": history.aircraft or None,
        "wind": _last_wind(history),
        "parameters": [_plain(one) for one in last.parameters] if last else [],
        "suspect_rotor": last.suspect if last is not None and last.suspect >= 0 else None,
        "notices": [{"time_s": number(t, 3), "text": text} for t, text in history.notices],
    }


def _plain(one: Parameter) -> Json:
    return {
        "name": one.name,
        "unit": one.unit,
        "value": number(one.value, 9),
        "sigma": number(one.sigma, 9),
        "prior": number(one.prior, 9),
        "known": one.known,
        "why": one.why,
    }


def _last_wind(history: History) -> Json | None:
    """Return the newest wind that was valid."""
    row = next((row for row in reversed(history.wind) if row[6]), None)
    if row is None:
        return None
    t, north, east, var_n, _, var_e, _ = row
    return {
        "time_s": number(t, 3),
        "north_m_s": number(north),
        "east_m_s": number(east),
        "sigma_north_m_s": number(math.sqrt(max(var_n, 0.0))),
        "sigma_east_m_s": number(math.sqrt(max(var_e, 0.0))),
    }


def data(history: History, duration: float) -> Json:
    """Return the numbers of the charts."""
    return {
        "wind": _wind(history),
        "health": _health(history, duration),
        "identified": _over_time(history),
        "endurance": _endurance(history),
        "notices": [{"t": round(t, 3), "text": text} for t, text in history.notices],
    }


def _wind(history: History) -> Json:
    rows = np.array(history.wind, dtype=np.float64).reshape(len(history.wind), 7)
    rows = rows[every(len(rows), _POINTS)]
    valid = rows[:, 6] > 0.0
    out: Json = {"t": series(rows[:, 0], 2)}
    for name, value, variance in (("north", 1, 3), ("east", 2, 5)):
        half = _SIGMAS * np.sqrt(np.maximum(rows[:, variance], 0.0))
        out[name] = series(np.where(valid, rows[:, value], np.nan))
        out[f"{name}_unsure"] = series(np.where(valid, np.nan, rows[:, value]))
        out[f"{name}_low"] = series(rows[:, value] - half)
        out[f"{name}_high"] = series(rows[:, value] + half)
    return out


def _health(history: History, duration: float) -> list[Json]:
    """Return one row a sensor that was ever heard; the last run ends with the flight."""
    rows = []
    for source, runs in sorted(history.health.items()):
        if all(run.health is Health.MISSING for run in runs):
            continue
        ends = [*(run.begin_s for run in runs[1:]), duration]
        rows.append(
            {
                "source": source.replace("_", " "),
                "runs": [
                    {
                        "begin": round(run.begin_s, 2),
                        "end": round(end, 2),
                        "health": run.health.name.lower(),
                    }
                    for run, end in zip(runs, ends, strict=True)
                ],
            }
        )
    return rows


def never_heard(history: History) -> list[str]:
    """Return the sensors that the twin would use and this aircraft never sent."""
    return [
        source.replace("_", " ")
        for source, runs in sorted(history.health.items())
        if all(run.health is Health.MISSING for run in runs)
    ]


def _over_time(history: History) -> list[Json]:
    """Return deviation from the aircraft file [%] over time, of what became known."""
    if not history.identified:
        return []
    chosen = [
        one for one in history.identified[-1][1].parameters if one.known and _is_relative(one)
    ]
    index = every(len(history.identified), _POINTS)
    curves = []
    for one in chosen:
        reports = [history.identified[i] for i in index.tolist()]
        rows = [_row(t, found, one.name) for t, found in reports]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
        deviation = 100.0 * (table[:, 1] / one.prior - 1.0)
        half = 100.0 * _SIGMAS * table[:, 2] / abs(one.prior)
        curves.append(
            {
                "name": title(one.name),
                "t": series(table[:, 0], 2),
                "deviation": series(deviation, 2),
                "low": series(deviation - half, 2),
                "high": series(deviation + half, 2),
            }
        )
    return curves


def _row(t: float, found: Identification, name: str) -> tuple[float, float, float]:
    one = next((p for p in found.parameters if p.name == name), None)
    return (t, math.nan, math.nan) if one is None else (t, one.value, one.sigma)


def _endurance(history: History) -> Json:
    """Return time to empty [min] with its interval, while it was known."""
    rows: list[tuple[float, float, float]] = []
    for t, found in history.identified:
        one = next((p for p in found.parameters if p.name == ENDURANCE and p.known), None)
        if one is not None:
            rows.append((t, one.value / 60.0, _SIGMAS * one.sigma / 60.0))
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    table = table[every(len(rows), _POINTS)]
    return {
        "t": series(table[:, 0], 2),
        "minutes": series(table[:, 1]),
        "low": series(np.maximum(table[:, 1] - table[:, 2], 0.0)),
        "high": series(table[:, 1] + table[:, 2]),
    }


# --- the table of parameters -------------------------------------------------------------------


def parameter_rows(history: History) -> list[Json]:
    """Return the rows of the table: texts, and a bar in percent of its width.

    Bars of one table share a scale: half its width is ``scale_pct`` of the file's value.
    Parameters whose file value is zero have no share; their bar is on its own scale.
    """
    if not history.identified:
        return []
    parameters = history.identified[-1][1].parameters
    scale = scale_pct(parameters)
    return [
        {
            "name": title(one.name),
            "known": one.known,
            "value": with_unit(one.value, one.sigma, one.unit),
            "interval": "± " + figures(_SIGMAS * one.sigma, one.sigma),
            "prior": with_unit(one.prior, one.sigma, one.unit),
            "deviation": _deviation(one),
            "why": one.why,
            "bar": _bar(one, scale),
        }
        for one in parameters
    ]


def scale_pct(parameters: tuple[Parameter, ...]) -> float:
    """Return half the width of the bars [% of the file's value], a round number."""
    reach = [
        100.0 * (abs(one.value - one.prior) + _SIGMAS * one.sigma) / abs(one.prior)
        for one in parameters
        if one.known and _is_relative(one)
    ]
    most = max([r for r in reach if math.isfinite(r)], default=0.0)
    most = min(max(most, _SCALE_PCT[0]), _SCALE_PCT[1])
    return next(step for step in (10.0, 20.0, 30.0, 50.0, 100.0) if step >= most)


def _is_relative(one: Parameter) -> bool:
    finite = all(math.isfinite(x) for x in (one.value, one.sigma, one.prior))
    return finite and one.prior != 0.0 and one.name != ENDURANCE


def _deviation(one: Parameter) -> str:
    if not one.known or not _is_relative(one):
        return ""
    return f"{100.0 * (one.value / one.prior - 1.0):+.1f} %".replace("-", "−")


def _bar(one: Parameter, scale: float) -> Json | None:
    """Return left and width of the interval and place of the value, 0 to 100; None without one."""
    if not all(math.isfinite(x) for x in (one.value, one.sigma, one.prior)):
        return None
    if _is_relative(one):
        unit = abs(one.prior) * scale / 100.0
    else:
        unit = 1.25 * (abs(one.value - one.prior) + _SIGMAS * one.sigma)
    if unit <= 0.0:
        return None
    ends: Array = (one.value - one.prior + _SIGMAS * one.sigma * np.array([-1.0, 1.0])) / unit
    left, right = (50.0 + 50.0 * np.clip(ends, -1.0, 1.0)).tolist()
    place = 50.0 + 50.0 * min(max((one.value - one.prior) / unit, -1.0), 1.0)
    return {
        "left": round(left, 1),
        "width": round(max(right - left, 0.6), 1),
        "place": round(place, 1),
    }


def title(name: str) -> str:
    """Return a parameter's name as a person reads it: rotors count from 1, as PX4 names them."""
    words = name.split("_")
    if words[0] == "rotor" and len(words) == 3 and words[1].isdecimal():
        words[1] = str(int(words[1]) + 1)
    return " ".join(words)


def figures(value: float, sigma: float) -> str:
    """Return ``value`` to two figures of its sigma, as a power of ten if zeros would fill it."""
    if not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"
    if not (math.isfinite(sigma) and sigma > 0.0):
        return f"{value:.3g}"
    decimals = min(max(1 - math.floor(math.log10(sigma)), 0), 6)
    return f"{value:.{decimals}f}"


def with_unit(value: float, sigma: float, unit: str) -> str:
    """Return the number with its unit; a dash has none."""
    text = figures(value, sigma)
    if text == "–" or unit in ("", "-"):
        return text
    raised = re.sub(r"\^(-?[0-9]+)", lambda power: power[1].translate(_RAISED), unit)
    return f"{text} {raised}"
