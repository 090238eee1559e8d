# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that a flight-test engineer reads, without a network."""

from __future__ import annotations

import functools
import importlib.resources
import json
import math
from typing import Any

import jinja2

from airtwin_record.chapter import Page, chapter


def html(summary: dict[str, Any], pages: list[Page]) -> str:
    """Return the page. Charts are drawn by plotly.js, which is in the file."""
    chapters = [chapter(page) for page in pages]
    data = json.dumps([c["data"] for c in chapters], allow_nan=False, separators=(",", ":"))
    return _template().render(
        summary=summary,
        chapters=chapters,
        title=summary["input"].rsplit("/", 1)[-1],
        data=data.replace("<", "\\u003c"),
        plotly=plotly_script(),
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airtwin_record"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = lambda value: "–" if value is None else f"{value:.1f} s"
    environment.filters["short"] = lambda value: "–" if value is None else f"{value:.3g}"
    environment.filters["speed"] = lambda w: f"{math.hypot(w['north_m_s'], w['east_m_s']):.1f}"
    environment.filters["direction"] = _comes_from
    environment.filters["thousands"] = lambda value: f"{value:,}".replace(",", "\u202f")
    return environment.get_template("report.html.j2")


def _comes_from(wind: dict[str, float]) -> str:
    """Return the compass bearing that the wind blows from, as a weather report has it."""
    bearing = math.degrees(math.atan2(-wind["east_m_s"], -wind["north_m_s"]))
    return f"{round(bearing) % 360:03d}"


@functools.cache
def plotly_script() -> str:
    """Return plotly.js, as the wheel brings it."""
    bundle = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return bundle.read_text(encoding="utf-8")
