# SPDX-License-Identifier: Apache-2.0
"""The battery: second half of real discharges predicted from the first.

Data: 15 flights of a Crazyflie 2.0 (``../shared/data/battery/crazyflie``, physics_crazyflie.py).
Cell, power of the motion and spreads were fitted to 121 other flights of the same data set. These
15 came first, with other cells and propellers, so cell and power are fitted again in this run,
near those, to the 14 flights that are not judged (leave one flight out). That step, and how
near, was chosen after a first run with the others' cell alone (48 % of the time left
in the median of all).

A flight is followed by ``BatteryEstimator`` (voltage, and the power predicted from motion) up to
the instant at which half of the charge that it will use is drawn. From there the model runs on
alone, with the power of the path that is flown (the aircraft follows a plan, so it is known).

**What "empty" is.** No flight goes to empty: they end at some 3.2 V in flight with half of the
charge left. "Empty" is a level near the flight's end, seen in hindsight: a curve (parabola
in time, settling with 5 s, the four terms of the motion) laid by least squares through the whole
flight's voltage, where ``EDGE`` of the time in the air is left. That is one voltage under the
flight's mean load, free of manoeuvres. At its very end the curve is known worst, there no more
than 4 of the 15 (33 of 106 others) can tell; an edge of 15 % lets most of the others do so (of
0, 10, 15, 20 %: 33, 52, 58, 58). The error divides by the **time left** until then, as does the
alpha-lambda measure of prognostics (Saxena et al., "Metrics for evaluating performance of
prognostic techniques", 2008; alpha 10 %, lambda one half), not by the whole discharge, which
would halve it; for the same mV a shorter time left makes it larger.

**Which flights can tell.** The scatter about that curve (means of 2 s, their correlation counted)
leaves the truth itself unsure: sigma of the level over its slope there. A flight tells whether a
forecast is within 10 % where that sigma is at most half of this, ``TRUTH_PCT``, and the voltage
falls there. Both definitions are from flights 16 to 136; neither looks at a forecast. Figures over
all flights stand beside.

- ``battery_voltage_error_pct``, ``battery_voltage_error_worst_pct``: mean over the second half of
  |predicted - measured| / measured of 0.25 s means; median and worst of all flights. It is a
  forecast from half discharge to the end with nothing measured after, not one step ahead.
  ``battery_voltage_hindsight_worst_pct``: the same of the hindsight curve, which has seen the
  second half: what no smooth forecast can do better.
- ``battery_time_to_empty_error_pct``, ``battery_time_to_empty_error_worst_pct``: |error| of the
  predicted time left over the true one, median and worst of the flights that can tell;
  ``battery_time_flights_that_can_tell``: their number.
- ``battery_time_all_error_pct``, ``battery_time_all_error_worst_pct``: the same of all flights;
  ``battery_time_truth_sigma_pct``: median of how unsure the truth of all is.
- ``battery_time_whole_error_pct``: of the flights that can tell, over the time from take-off to
  the end instead.
- ``battery_time_by_left``: the same two (median, worst of the flights that can tell) as the charge
  of the flight falls from 50 to 30 % (the level lies at 15 %), in % of the time left and in s.
- ``battery_time_in_interval``, ``battery_time_all_in_interval``: share of flights (that can tell,
  all) with the truth inside the 95 % interval told, ``battery_time_all_in_interval_and_truth``:
  inside 1.96 sigmas of forecast and truth together.
- ``battery_time_own_load_error_pct``, ``battery_time_own_load_all_error_pct``: as the two medians
  above, but under the load of the last minute, as the twin itself tells it in flight, where
  nobody tells it the power to come.
- ``battery_time_line_error_pct``: by a straight line through the first half's voltage (from 10 s
  in the air on): what one gets without a model. Flights that can tell.
- ``battery_time_unmeasured_*``, ``battery_time_learnt_*``: simulated, physics_battery_packs.py.
- ``battery_flights``: a row for each flight. ``number``, ``half_s``, ``left_s`` (true time left),
  ``truth_sigma_pct``, ``tells``, ``voltage_error_pct``, ``hindsight_pct``, ``voltage_bias_mv``,
  ``fall_mv`` (half to the level), ``time_error_pct`` and ``own_load_error_pct`` (signed),
  ``by_left_s`` (signed error and true time left [s], at ``LEFT``),
  ``time_low_pct`` and ``time_high_pct`` (interval over truth), ``line_error_pct``,
  ``resistance_ohm`` until half, ``wobble_mv`` (of the mixture), ``restarts``.
- ``battery_logs``: what the estimator says of each PX4 log that has a voltage, with the x500's
  pack in as many cells as the first voltage needs: ``file``, ``cells``, ``source`` of the current,
  ``px4_begin``, ``px4_end`` (PX4's remaining), ``left_begin``, ``left_end``, ``left_sigma``,
  ``minutes`` to empty and their interval, ``resistance_ohm`` and its sigma, ``known``,
  ``restarts``, ``refused`` samples; ``ahead_s`` and ``ahead_error_pct``: the second half of the
  log's voltage from the first, mean error, with the power drawn then (none where the estimator
  started over, or the log is shorter than 20 s). ``battery_logs_ahead_error_pct``: its worst of
  the logs whose current is measured and draws at least 1 A. No truth of the charge exists there.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from airtwin_core import aircraft
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array, Battery
from airtwin_physics import battery
from airtwin_physics.battery import BatteryConfig, BatteryEstimator
from airtwin_physics.battery.estimator import MEASURED
from bench import physics_battery_packs
from bench.physics_crazyflie import CELL, CONFIG, DT_S, WEIGHTS, Discharge, power_w, read
from bench.physics_crazyflie_fit import WEIGHTS_AT, adapt, cell_of
from bench.physics_flights import NoData, flights, shared

NAN, INF = float("nan"), float("inf")
TRUTH_PCT = 5.0  # half of the bar
EDGE = 0.15  # of the time in the air: where the level is taken, before the end
LEFT = (0.5, 0.4, 0.3)  # of the flight's charge
SETTLED_S = 5.0  # in the air, after which the hindsight curve begins; also its settling time
BLOCK_S = 2.0
SIM_S = 0.1
AHEAD_LEAST_S = 20.0


class Hindsight(NamedTuple):
    """A level near the flight's end [V], its sigma [V], the slope [V/s] there, its index.

    ``curve_v``: (n,) the curve [V] of which it is a point.
    """

    end: int
    level_v: float
    sigma_v: float
    slope_v_s: float
    curve_v: Array


def measure(console: Console) -> dict[str, Any]:
    """Return all figures.

    Raises:
        NoData: the recordings are not on this machine.
    """
    folder = shared() / "data" / "battery" / "crazyflie" / "Real_path"
    files = sorted(folder.glob("Real_path_*.csv"), key=lambda path: int(path.stem[10:]))
    if not files:
        raise NoData("no discharges at ../shared/data/battery/crazyflie")
    flown = [read(path) for path in files]
    rows = []
    for flight in flown:
        near = adapt(CELL, WEIGHTS, [other for other in flown if other is not flight])
        rows.append(judge(flight, cell_of(near), near[WEIGHTS_AT], CONFIG))
    telling = [row for row in rows if row["tells"]]
    seen = logs()
    ahead = [row["ahead_error_pct"] for row in seen if row["draws"] and row["ahead_s"] > 0.0]
    console.print(f"  {len(telling)} of {len(rows)} discharges can tell 10 % of the time left")
    return {
        "battery_voltage_error_pct": statistics.median(r["voltage_error_pct"] for r in rows),
        "battery_voltage_error_worst_pct": max(r["voltage_error_pct"] for r in rows),
        "battery_voltage_hindsight_worst_pct": max(r["hindsight_pct"] for r in rows),
        **_times("battery_time_to_empty", telling),
        "battery_time_flights_that_can_tell": len(telling),
        **_times("battery_time_all", rows),
        "battery_time_truth_sigma_pct": statistics.median(r["truth_sigma_pct"] for r in rows),
        "battery_time_whole_error_pct": statistics.median(r["whole_error_pct"] for r in telling),
        "battery_time_by_left": [_at_left(k, telling) for k in range(len(LEFT))],
        "battery_time_in_interval": statistics.mean(r["inside"] for r in telling),
        "battery_time_all_in_interval": statistics.mean(r["inside"] for r in rows),
        "battery_time_all_in_interval_and_truth": statistics.mean(r["inside_both"] for r in rows),
        "battery_time_own_load_error_pct": statistics.median(
            abs(r["own_load_error_pct"]) for r in telling
        ),
        "battery_time_own_load_all_error_pct": statistics.median(
            abs(r["own_load_error_pct"]) for r in rows
        ),
        "battery_time_line_error_pct": statistics.median(
            abs(r["line_error_pct"]) for r in telling
        ),
        **physics_battery_packs.figures(),
        "battery_flights": rows,
        "battery_logs_ahead_error_pct": max(ahead, default=NAN),
        "battery_logs": seen,
    }


def _times(name: str, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return median and worst |error| of the time left under that name; NaN without a row."""
    errors = [abs(row["time_error_pct"]) for row in rows] or [NAN]
    return {f"{name}_error_pct": statistics.median(errors), f"{name}_error_worst_pct": max(errors)}


def _at_left(place: int, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return median and worst |error| of the rows with ``LEFT[place]`` of the charge left."""
    wrong = [(abs(s), 100.0 * abs(s) / left) for s, left in (r["by_left_s"][place] for r in rows)]
    seconds, shares = [w[0] for w in wrong] or [NAN], [w[1] for w in wrong] or [NAN]
    return {
        "left_pct": 100.0 * LEFT[place],
        "error_s": statistics.median(seconds),
        "error_worst_s": max(seconds),
        "error_pct": statistics.median(shares),
        "error_worst_pct": max(shares),
    }


def hindsight(flight: Discharge) -> Hindsight:
    """Return the end of a smooth curve laid through the whole flight; see the module."""
    begin, end = flight.start + round(SETTLED_S / DT_S), len(flight.voltage_v) - 1
    span = (end - begin) * DT_S
    since = (np.arange(end + 1) - begin) * DT_S
    share, settling = since / span, np.exp(-since / SETTLED_S)
    motion = flight.motion[: end + 1] - flight.motion[begin:end].mean(axis=0)
    columns = np.column_stack((np.ones(end + 1), share, share**2, settling, motion))
    block = round(BLOCK_S / DT_S)
    n = (end - begin) // block
    used = slice(begin, begin + n * block)
    design = columns[used].reshape(n, block, -1).mean(axis=1)
    voltage = flight.voltage_v[used].reshape(n, block).mean(axis=1)
    found = np.linalg.lstsq(design, voltage, rcond=None)[0]
    error = voltage - design @ found
    memory = float(np.clip(error[1:] @ error[:-1] / (error @ error), 0.0, 0.9))
    variance = error @ error / (n - design.shape[1]) * (1.0 + memory) / (1.0 - memory)
    air = len(flight.voltage_v) - flight.start
    place = end - round(EDGE * air)
    last = columns[place].copy()
    last[4:] = 0.0  # under the mean load
    cov = variance * np.linalg.inv(design.T @ design)
    slope = (found[1] + 2.0 * share[place] * found[2]) / span
    slope -= found[3] * settling[place] / SETTLED_S
    sigma = math.sqrt(float(last @ cov @ last))
    return Hindsight(place, float(last @ found), sigma, float(slope), columns @ found)


def judge(
    flight: Discharge, cell: BatteryCoefficients, weights: Array, config: BatteryConfig
) -> dict[str, Any]:
    """Return the row of one flight: followed to half of its discharge, then predicted."""
    voltage, asked = flight.voltage_v, power_w(flight, weights)
    drawn = np.cumsum(asked / voltage)
    truth = hindsight(flight)
    places = [int(np.argmax(drawn >= (1.0 - share) * drawn[-1])) for share in LEFT]
    half, by_left = places[0], []
    estimator = BatteryEstimator(cell, config)
    for i in range(places[-1] + 1):
        if i in places:
            rest_s = (truth.end - i) * DT_S
            lasts = estimator.endurance(float(asked[i : truth.end].mean()), truth.level_v)
            by_left.append((lasts.time_s - rest_s, rest_s))
        if i == half:
            believed, scale, told = estimator.filter, estimator.scale(), lasts
            own = estimator.endurance(empty_v=truth.level_v)
            resistance_ohm = estimator.parameters()[0].value
            restarts = estimator.restarts.total()
        at = round((i + 1) * DT_S * 1e9)
        estimator.on(Battery(at, at, voltage[i], NAN, NAN, 0), asked[i])
    left_s = by_left[0][1]
    falls = truth.slope_v_s < 0.0
    truth_pct = 100.0 * truth.sigma_v / -truth.slope_v_s / left_s if falls else INF
    vector, table, state = believed.pack_at()
    ahead = asked[half:] * scale
    error = (
        battery.discharge(vector, table, state, ahead, config.ambient_c, DT_S)[:, 3]
        - voltage[half:]
    )
    both_s = math.hypot(told.sigma_s, 0.01 * truth_pct * left_s)
    since = np.arange(flight.start + round(10.0 / DT_S), half)
    slope, offset = np.polyfit(since * DT_S, voltage[since], 1)
    line_s = (truth.level_v - offset) / slope - half * DT_S
    around = slice(half - round(5.0 / DT_S), half + round(5.0 / DT_S))
    return {
        "number": flight.number,
        "half_s": half * DT_S,
        "left_s": left_s,
        "truth_sigma_pct": truth_pct,
        "tells": truth_pct <= TRUTH_PCT,
        "voltage_error_pct": float(100.0 * np.mean(np.abs(error) / voltage[half:])),
        "hindsight_pct": float(
            100.0 * np.mean(np.abs(truth.curve_v[half:] / voltage[half:] - 1.0))
        ),
        "voltage_bias_mv": float(1e3 * error.mean()),
        "fall_mv": float(1e3 * (voltage[around].mean() - truth.level_v)),
        "time_error_pct": 100.0 * (told.time_s - left_s) / left_s,
        "own_load_error_pct": 100.0 * (own.time_s - left_s) / left_s,
        "time_low_pct": 100.0 * told.low_s / left_s,
        "time_high_pct": 100.0 * told.high_s / left_s,
        "inside": told.low_s <= left_s <= told.high_s,
        "inside_both": abs(told.time_s - left_s) <= 1.96 * both_s,
        "whole_error_pct": 100.0 * abs(told.time_s - left_s) / ((truth.end - flight.start) * DT_S),
        "by_left_s": by_left,
        "line_error_pct": float(100.0 * (line_s - left_s) / left_s),
        "resistance_ohm": resistance_ohm,
        "wobble_mv": 1e3 * believed.wobble_v,
        "restarts": restarts,
    }


def logs() -> list[dict[str, Any]]:
    """Return what the estimator says of the PX4 logs; none where there are none."""
    rows = []
    pack = aircraft.load("x500").battery
    for flight in flights():
        told = [s for s in flight.samples if isinstance(s, Battery) and s.voltage_v > 5.0]
        if len(told) < 20:
            continue
        cells = math.ceil(told[0].voltage_v / 4.25)
        ohm, more = (pack.resistance_ohm / pack.cells, pack.polarisation_ohm / pack.cells)
        estimator = BatteryEstimator(
            dataclasses.replace(
                pack, cells=cells, resistance_ohm=ohm * cells, polarisation_ohm=more * cells
            )
        )
        middle = 0.5 * (told[0].stamp_ns + told[-1].stamp_ns)
        early = [b for s in told if s.stamp_ns <= middle and (b := estimator.on(s)) is not None]
        ahead_s, ahead_pct = foretell(estimator, [s for s in told if s.stamp_ns > middle])
        late = [b for s in told if s.stamp_ns > middle and (b := estimator.on(s)) is not None]
        beliefs = early + late
        if not beliefs:
            continue
        amperes = statistics.fmean(max(s.current_a, 0.0) for s in told)
        if estimator.restarts:
            ahead_s, ahead_pct = 0.0, NAN
        first, last = beliefs[0], beliefs[-1]
        resistance = last.parameters[0]
        rows.append(
            {
                "file": flight.name,
                "cells": cells,
                "source": last.source,
                "px4_begin": told[0].remaining,
                "px4_end": told[-1].remaining,
                "left_begin": first.left,
                "left_end": last.left,
                "left_sigma": last.left_sigma,
                "minutes": last.time_to_empty_s / 60.0,
                "minutes_low": last.time_to_empty_95_s[0] / 60.0,
                "minutes_high": last.time_to_empty_95_s[1] / 60.0,
                "ahead_s": ahead_s,
                "ahead_error_pct": ahead_pct,
                "draws": last.source == MEASURED and amperes >= 1.0,
                "resistance_ohm": resistance.value,
                "resistance_sigma": resistance.sigma,
                "known": ", ".join(p.name for p in last.parameters if p.known),
                "restarts": last.restarts,
                "refused": estimator.refused.total(),
            }
        )
    return rows


def foretell(estimator: BatteryEstimator, later: list[Battery]) -> tuple[float, float]:
    """Return (time [s], mean error [%]) of the voltage foretold for samples to come."""
    if len(later) < 2:
        return 0.0, NAN
    stamps = np.array([s.stamp_ns for s in later]) * 1e-9
    voltage = np.array([s.voltage_v for s in later])
    span = float(stamps[-1] - stamps[0])
    if not AHEAD_LEAST_S <= span < 3600.0 or np.any(np.diff(stamps) <= 0.0):
        return 0.0, NAN
    drawn = np.array([s.voltage_v * estimator.current(s)[0] for s in later])
    grid = np.arange(0.0, span, SIM_S)
    vector, table, state = estimator.filter.pack_at()
    asked = np.interp(grid, stamps - stamps[0], drawn) * estimator.scale()
    air = estimator.filter.ambient_c
    run = battery.discharge(vector, table, state, asked, air, SIM_S)[:, 3]
    error = np.abs(run - np.interp(grid, stamps - stamps[0], voltage))
    return span, float(100.0 * np.mean(error / np.interp(grid, stamps - stamps[0], voltage)))
