# SPDX-License-Identifier: Apache-2.0
"""The battery: packs that do go to empty, simulated; before and after one was learnt.

24 x500 packs go down to 3.3 V a cell: older and smaller than the file says, with another
open-circuit chart (they differ as those published do), a meter off by 2 %, air of 5 to 30 deg C;
nothing of it fitted. Here the model that judges is the one that predicts: it shows the estimator
and ``battery.learn``, not the model.

- ``battery_time_unmeasured_error_pct``, ``battery_time_unmeasured_error_worst_pct``,
  ``battery_time_unmeasured_in_interval``: time to empty told at half the charge, median and worst
  error; share with the truth inside the 95 % interval.
- ``battery_time_learnt_*``: the same flights of the same packs, once ``battery.learn`` has seen
  one earlier discharge of each to empty, under another load and in other air.
"""

from __future__ import annotations

import statistics

import numpy as np

from airtwin_core import aircraft
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array, Battery
from airtwin_physics import battery
from airtwin_physics.battery import BatteryConfig, BatteryEstimator, model

NAN, INF = float("nan"), float("inf")
SIM_S = 0.1
PACKS = 24
PACK_W, PACK_W_SIGMA = 220.0, 60.0  # hover of the x500, and how gusts change it every 2 s


def figures() -> dict[str, float]:
    """Return the figures of all packs."""
    rng = np.random.default_rng(0)
    packs = [simulate(rng) for _ in range(PACKS)]
    out = {}
    for name, told in (("unmeasured", [p[0] for p in packs]), ("learnt", [p[1] for p in packs])):
        errors = [abs(error) for error, _ in told]
        out[f"battery_time_{name}_error_pct"] = statistics.median(errors)
        out[f"battery_time_{name}_error_worst_pct"] = max(errors)
        out[f"battery_time_{name}_in_interval"] = statistics.mean(inside for _, inside in told)
    return out


def simulate(rng: np.random.Generator) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Return two pairs: error [%] of the time to empty told at half charge; is the truth in 95 %?

    By the estimator as it comes, and once it has learnt the pack from one earlier discharge.
    """
    pack, config = aircraft.load("x500").battery, BatteryConfig()
    vector, table = battery.pack(pack)
    vector[[model.RESISTANCE, model.POLARISATION]] *= rng.uniform(0.7, 2.0)
    vector[model.CAPACITY_SHARE] = rng.uniform(0.75, 1.0)
    grid = np.linspace(0.0, 1.0, table.size)
    steps = np.linspace(0.0, 1.0, len(config.chart_mode_v))
    table = table + rng.normal() * np.interp(grid, steps, config.chart_mode_v)
    wrong = 0.015 * rng.normal(size=5)
    table = np.maximum.accumulate(table + np.interp(grid, np.linspace(0.0, 1.0, 5), wrong))
    meter = 1.0 + 0.02 * rng.normal()

    def fly(mean_w: float) -> tuple[Array, float]:
        """Return one discharge as ``battery.discharge`` has it, and the temperature of the air."""
        air = rng.uniform(5.0, 30.0)
        capacity = vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
        state = np.array([(1.0 - rng.uniform(0.9, 1.0)) * capacity, 0.0, air])
        asked = mean_w + PACK_W_SIGMA * np.repeat(rng.normal(size=900), round(2.0 / SIM_S))
        asked[: round(5.0 / SIM_S)] = 10.0  # on the ground
        run = battery.discharge(vector, table, state, asked, air, SIM_S)
        mean = np.convolve(run[:, 3], np.full(100, 0.01), "valid")  # of 10 s: gusts don't end it
        empty = np.concatenate((np.full(99, INF), mean)) < pack.cells * pack.cutoff_cell_v
        return run[: int(np.argmax(empty)) if empty.any() else len(run)], air

    def seen(run: Array) -> list[Battery]:
        voltage = run[:, 3] + 0.03 * rng.normal(size=len(run))
        current = meter * run[:, 4] + 0.3 * rng.normal(size=len(run))
        stamps = [round((i + 1) * SIM_S * 1e9) for i in range(len(run))]
        rows = zip(stamps, voltage, current, run[:, 2], strict=True)
        return [Battery(at, at, v, i, NAN, 0, warm) for at, v, i, warm in rows]

    earlier = battery.drain(seen(fly(PACK_W * rng.uniform(0.8, 1.2))[0]), pack, config)
    learnt = battery.learn([earlier], pack, config) if earlier else None
    run, air = fly(PACK_W)
    half = int(
        np.argmax(run[:, 0] >= 0.5 * vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE])
    )
    truth, _ = battery.endurance(vector, table, run[half, :3].copy(), PACK_W, air, 0.5, 1e4)
    told = seen(run[:half])

    def judged(known: BatteryCoefficients) -> tuple[float, bool]:
        estimator, belief = BatteryEstimator(known), None
        for sample in told:
            belief = estimator.on(sample) or belief
        if belief is None:
            return INF, False
        low, high = belief.time_to_empty_95_s
        return 100.0 * (belief.time_to_empty_s - truth) / truth, low <= truth <= high

    return judged(pack), judged(learnt or pack)
