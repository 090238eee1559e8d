# SPDX-License-Identifier: Apache-2.0
"""The page of a forecast: the fan of flights with its envelopes; one file, without a network."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import numpy as np

from airtwin_core.types import Array
from airtwin_record import forecast
from airtwin_record.forecast import DRAWN_FLIGHTS, DRAWN_POINTS, Forecast
from airtwin_record.report import plotly_script


def html(found: Forecast, summary: dict[str, Any]) -> str:
    """Return the page; ``summary`` is that of ``forecast.summary``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airtwin_record"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["figure"] = lambda v: "–" if v is None else f"{v:.3g}"
    environment.filters["seconds"] = lambda v: "–" if v is None else f"{v:.0f} s"
    data = json.dumps(_data(found), allow_nan=False, separators=(",", ":"))
    page: str = environment.get_template("forecast.html.j2").render(
        summary=summary, data=data.replace("<", "\\u003c"), plotly=plotly_script()
    )
    return page


def _percent(share: float | None) -> str:
    """Return a share as text that never rounds to certainty: 99.97 % is not 100 %."""
    if share is None:
        return "–"
    if share in (0.0, 1.0):
        return f"{100.0 * share:.0f} %"
    return f"{min(max(100.0 * share, 0.1), 99.9):.1f} %"


def _data(found: Forecast) -> dict[str, Any]:
    fan, points = found.fan, found.flight.plan.waypoints
    # nothing happens after the last has arrived
    end = fan.times_s[-1]
    if found.arrived.all():
        end = min(end, float(fan.reached_s[:, -1].max()) + 5.0)
    rows = int(np.searchsorted(fan.times_s, end)) + 1
    some = slice(0, rows, max(1, rows // DRAWN_POINTS))
    drawn = fan.position_ned_m[:DRAWN_FLIGHTS, some]
    kept = fan.position_ned_m[fan.kept][:, some]
    height = -np.quantile(kept[:, :, 2], forecast.SHARES, axis=0) if len(kept) else None
    return {
        "plan": {
            "north": [found.flight.start_ned_m[0], *(p.position_ned_m[0] for p in points)],
            "east": [found.flight.start_ned_m[1], *(p.position_ned_m[1] for p in points)],
            "names": ["start", *found.flight.names],
        },
        "tracks": [{"north": _list(row[:, 0]), "east": _list(row[:, 1])} for row in drawn],
        "lanes": [_lane(lane) for lane in forecast.lanes(found)],
        "t": _list(fan.times_s[some]),
        "height": None if height is None else [_list(row) for row in height[::-1]],
        "heights": [_list(-row[:, 2]) for row in drawn],
        "left": _list(100.0 * fan.reached_left[found.arrived, -1]),
        "reserve": 100.0 * found.reserve,
        "lost": [
            _list(p) for p in fan.position_ned_m[np.flatnonzero(np.logical_not(fan.kept)), -1, :2]
        ],
    }


def _lane(lane: forecast.Lane) -> dict[str, Any]:
    right = np.array([-lane.along[1], lane.along[0]])
    middle = lane.origin_ne_m + lane.at_m[:, None] * lane.along
    sides = middle + lane.across_m[:, :, None] * right  # (5, m, 2)
    return {
        "north": [_list(side[:, 0]) for side in sides],
        "east": [_list(side[:, 1]) for side in sides],
        "at": _list(lane.before_m + lane.at_m),
        "across": [_list(side) for side in lane.across_m],
    }


def _list(values: Array) -> list[float | None]:
    return [round(float(v), 3) if np.isfinite(v) else None for v in values]
