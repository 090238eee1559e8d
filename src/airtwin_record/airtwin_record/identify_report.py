# SPDX-License-Identifier: Apache-2.0
"""The report of a fit: one file, without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, Parameter
from airtwin_physics.identify import fit as fitting
from airtwin_physics.identify import level_wind, rows
from airtwin_record.flight_blocks import FlightBlocks
from airtwin_record.identify_names import name_of
from airtwin_record.identify_trust import Trust
from airtwin_record.report import plotly_script

_POINTS = 1500
_UNITS = ("m/s²", "m/s²", "m/s²", "rad/s²", "rad/s²", "rad/s²")


def html(
    aircraft: Aircraft,
    parameters: tuple[Parameter, ...],
    flights: Sequence[FlightBlocks],
    found: fitting.Fit,
    held_out: Array,
    how: str,
    craft: rows.Craft,
    written: list[str],
    trust: tuple[Trust, ...],
    notes: tuple[str, ...] = (),
) -> str:
    """Return the page."""
    charts = []
    for flight, wind in zip(flights, found.winds, strict=True):
        expected, _ = level_wind.expected(found.theta, wind, flight.blocks, craft)
        measured = level_wind.measured(flight.blocks)
        step = max(1, len(expected) // _POINTS)
        t = flight.blocks[::step, rows.STAMP] - flight.blocks[0, rows.STAMP]
        charts.append(
            {
                "name": flight.name,
                "t": np.round(t, 2).tolist(),
                "measured": np.round(measured[::step], 4).T.tolist(),
                "model": np.round(expected[::step], 4).T.tolist(),
                "residual": np.round((measured - expected)[::step], 4).T.tolist(),
                "wind": np.round(wind, 3).T.tolist(),
            }
        )
    data = {"axes": fitting.AXES, "units": _UNITS, "flights": charts}
    table: list[dict[str, Any]] = [
        {
            "axis": axis,
            "unit": unit,
            "explained": float(held_out[0, k]),
            "rms": float(held_out[1, k]),
            "spread": float(held_out[2, k]),
        }
        for k, (axis, unit) in enumerate(zip(fitting.AXES, _UNITS, strict=True))
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airtwin_record"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: f"{value:.4g}"
    template: Any = environment.get_template("identify.html.j2")
    page: str = template.render(
        aircraft=aircraft,
        known=[row(p) for p in parameters if p.known],
        unknown=[row(p) for p in parameters if not p.known],
        flights=[
            {
                "name": f.name,
                "date": f.date,
                "seconds": float(f.blocks[:, rows.SPAN].sum()),
                "refused": sorted(f.refused.items(), key=lambda item: -item[1]),
            }
            for f in flights
        ],
        held_out=table,
        trust=trust,
        how=how,
        notes=notes,
        written=written,
        data=json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        plotly=plotly_script(),
    )
    return page


def row(parameter: Parameter) -> dict[str, Any]:
    """Return one parameter as the table shows it."""
    p = parameter
    return {
        "name": name_of(p.name),
        "unit": p.unit.replace("^2", "²") if p.unit != "-" else "",
        "value": p.value,
        "change": f"{100.0 * (p.value / p.prior - 1.0):+.1f} %" if p.prior else "",
        "low": p.value - 1.96 * p.sigma,
        "high": p.value + 1.96 * p.sigma,
        "prior": p.prior,
        "why": p.why,
    }
