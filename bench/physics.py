# SPDX-License-Identifier: Apache-2.0
"""Figures of the physical model: ``./airtwin bench physics --json FILE``.

Each part is a module beside this one, ``physics_<part>.py``, with ``measure(console)`` that
returns its figures; its docstring says what each key means, ``README.md`` has all of them in one
table. A part that fails leaves its keys null and its reason in ``failed``; one that finds no data
(``../shared`` absent) does likewise, in ``skipped``, which is no failure. ``seconds``: what each
part took.
"""

from __future__ import annotations

import importlib
import time
import traceback
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.physics_flights import NoData


@dataclass(frozen=True, slots=True)
class Part:
    """``bench/physics_<name>.py`` and the keys that it must return."""

    name: str
    keys: tuple[str, ...]


PARTS = (
    Part("filter", ("ekf_step_us", "ekf_batch_1000_hz", "wind_error_m_s")),
    Part(
        "rollouts",
        ("rollouts_per_s_core", "rollout_final_error_pct", "rollouts_ratio_rotorpy"),
    ),
    Part(
        "wings",
        ("wing_cross_track_rms_m", "vtol_not_completed", "tailsitter_not_completed"),
    ),
    Part("identify", ("mass_error_pct", "rotor_found_s")),
    Part("battery", ("battery_voltage_error_pct", "battery_time_to_empty_error_pct")),
    Part("fuzz", ("fuzz_sequences", "fuzz_failures", "fuzz_states_lost")),
    Part("logs", ("logs",)),
    Part("datasets", ("datasets", "f450_glitch", "f450_glitch_earlier")),
    Part("outage", ("outage_drift_ratio_median", "outages", "outage_drift_worst_m")),
)
"""In the order in which they are measured: timings first, while the machine is cool."""


def measure(console: Console, parts: tuple[Part, ...] = PARTS) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {}
    failed: dict[str, str] = {}
    skipped: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for part in parts:
        console.print(f"measuring {part.name} ...", highlight=False)
        began = time.perf_counter()
        found: dict[str, Any] = dict.fromkeys(part.keys)
        try:
            module = importlib.import_module(f"bench.physics_{part.name}")
            found |= module.measure(console)
            missing = [key for key in part.keys if found[key] is None]
            if missing:
                failed[part.name] = f"no figure for {', '.join(missing)}"
        except NoData as error:
            skipped[part.name] = str(error)
        except Exception as error:  # noqa: BLE001 - the other parts' figures are wanted all the same
            failed[part.name] = f"{type(error).__name__}: {error}"
            console.print(traceback.format_exc(), style="red", highlight=False, markup=False)
        seconds[part.name] = round(time.perf_counter() - began, 1)
        twice = figures.keys() & found.keys()
        assert not twice, f"two parts give {twice}"
        figures |= found
    return {**figures, "failed": failed, "skipped": skipped, "seconds": seconds}


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print what was measured: plain figures in one table, one table for each list of rows."""
    plain = Table("figure", "value", title="physics")
    rows: dict[str, list[dict[str, Any]]] = {}
    for key, value in figures.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            rows[key] = value
        elif isinstance(value, dict):
            for name, inner in value.items():
                plain.add_row(f"{key}.{name}", _text(inner))
        else:
            plain.add_row(key, _text(value))
    for key, items in rows.items():
        columns = list(dict.fromkeys(name for item in items for name in item))
        table = Table(*columns, title=key)
        for item in items:
            table.add_row(*(_text(item.get(name)) for name in columns))
        console.print(table)
    console.print(plain)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
