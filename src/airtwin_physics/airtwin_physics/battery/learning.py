# SPDX-License-Identifier: Apache-2.0
"""A pack's own numbers out of its earlier discharges: chart, capacity, resistances. Pure.

Nobody's label tells the open-circuit curve of a pack, and half of one discharge can't tell less
capacity from another curve; a discharge that went down to empty can. All are fitted at once by
Levenberg-Marquardt on the voltage (means of ``BLOCK_S``), the model run on the power that was
drawn; the priors are those of the filter (``BatteryConfig``): sigma of capacity and resistance,
the kind of cell with covariance min(M(s)^2, M(s')^2), the rest of the chart's error, which
forgets itself over a fifth of the charge. The charge at each begin is what its first voltage says
by the chart that is fitted, within ``BEGIN_SHARE``: a pack may still recover, or come from the
charger.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array, Battery
from airtwin_physics.battery import model
from airtwin_physics.battery.config import BatteryConfig

STEP_S = 1.0
BLOCK_S = 10.0
FIT_CELL_V = 0.005  # [V] a cell: sigma of such a mean, model and meter together
STEPS = 40  # of Levenberg and Marquardt, at most
MOST_DAMPING = 1e6
# ln of resistance, polarisation and its time; then ln capacity and the chart. Growth towards empty
# stays: under one load it is as well the end of the chart
NAMES = ("resistance_ohm", "polarisation_ohm", "polarisation_s")
CAPACITY, CHART = len(NAMES), len(NAMES) + 1
LEAST_S = 60.0  # [s] of a discharge: less tells nothing of a pack
MOST_SIGMAS = 4.0  # [-] rms of the error, in FIT_CELL_V, of a model that follows a discharge
BEGIN_SHARE = 0.03  # [-] sigma of the share of charge at a begin
WELL_CHARGED = 0.5  # [-] share of charge that a discharge to the cut-off must have drawn


class Drain(NamedTuple):
    """One discharge of a pack: voltage [V] and power [W] at its terminals, (n,) each of a second.

    It begins at rest, or nearly so; ``temperature_c`` [deg C] at the begin; ``emptied``: it ends
    at the cut-off.
    """

    voltage_v: Array
    power_w: Array
    temperature_c: float
    emptied: bool


def drain(
    samples: Sequence[Battery], coefficients: BatteryCoefficients, config: BatteryConfig
) -> Drain | None:
    """Return one log's means of each second until the voltage is at the cut-off for 5 s.

    None without a measured current, where the log is silent for longer than ``gap_s``, where it is
    shorter than ``LEAST_S``, or of another number of cells.
    """
    told = np.array([(s.stamp_ns * 1e-9, s.voltage_v, s.current_a) for s in samples])
    told = told.reshape(-1, 3)
    cell_v = told[:, 1] / coefficients.cells
    right = (cell_v > config.cell_least_v) & (cell_v < config.cell_most_v)
    told = told[right & np.isfinite(told).all(axis=1)]
    newest = np.maximum.accumulate(told[:, 0])
    told = told[np.concatenate((told[:1, 0] > 0.0, told[1:, 0] > newest[:-1]))]
    if len(told) < 2 or not told[:, 2].max() > 0.0:
        return None
    if np.diff(told[:, 0]).max() > config.gap_s:
        return None
    second = np.floor((told[:, 0] - told[0, 0]) / STEP_S).astype(int)
    there, place = np.unique(second, return_inverse=True)
    count = np.bincount(place)
    grid = np.arange(there[-1] + 1)
    voltage = np.interp(grid, there, np.bincount(place, told[:, 1]) / count)
    power = np.interp(grid, there, np.bincount(place, told[:, 1] * told[:, 2]) / count)
    cutoff_v = coefficients.cells * coefficients.cutoff_cell_v
    low = np.convolve(voltage, np.full(5, 0.2), "valid") <= cutoff_v
    end = int(np.argmax(low)) if low.any() else voltage.size
    if end * STEP_S < LEAST_S:
        return None
    temperature = next(
        (s.temperature_c for s in samples if model.COLD_C <= s.temperature_c <= model.HOT_C),
        config.ambient_c,
    )
    return Drain(voltage[:end], power[:end], temperature, bool(low.any()))


def learn(
    drains: Sequence[Drain], coefficients: BatteryCoefficients, config: BatteryConfig
) -> BatteryCoefficients | None:
    """Return the file's battery with resistances, capacity and chart as the discharges have them.

    None if no discharge went from well charged to the cut-off, or through ``capacity_drawn`` of
    the charge (between, less capacity is as well another chart), or if the model does not follow
    one of them: they are not of one pack.
    """
    chart = coefficients.ocv_cell_v
    shared = CHART + chart.size
    prior = np.diag(np.full(shared + len(drains), BEGIN_SHARE**-2.0))
    prior[:shared, :shared] = _precision(chart.size, config)
    found, damping = np.zeros(shared + len(drains)), 0.01
    places = [[*range(shared), shared + k] for k in range(len(drains))]

    def errors(at: Array) -> list[Array]:
        return [_error(d, coefficients, at[own]) for d, own in zip(drains, places, strict=True)]

    def cost(at: Array, wrong: list[Array]) -> float:
        return float(at @ prior @ at) + sum(float(e @ e) for e in wrong)

    found[CAPACITY] = _first_capacity(drains, coefficients)
    wrong = errors(found)
    for _ in range(STEPS):
        hessian, force = prior.copy(), -prior @ found
        for one, own, error in zip(drains, places, wrong, strict=True):
            slope = _slope(one, coefficients, found[own], error)
            hessian[np.ix_(own, own)] += slope.T @ slope
            force[own] -= slope.T @ error
        before = cost(found, wrong)
        while damping < MOST_DAMPING:
            step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), force)
            tried = errors(found + step)
            if cost(found + step, tried) < before:
                break
            damping *= 10.0
        else:
            break
        found, wrong, damping = found + step, tried, 0.1 * damping
        if before - cost(found, wrong) < 1e-3 * before:
            break
    pack = _pack(coefficients, found[:shared])
    follows = all(float(np.mean(e * e)) < MOST_SIGMAS**2 for e in wrong)
    if not (follows and any(_tells(one, pack, config) for one in drains)):
        return None
    chart = np.maximum.accumulate(pack.ocv_cell_v)  # it never falls with charge
    return dataclasses.replace(pack, ocv_cell_v=chart, learned_discharges=len(drains))


def _first_capacity(drains: Sequence[Drain], coefficients: BatteryCoefficients) -> float:
    """Return ln(capacity / file's) by the file's chart and a discharge to the cut-off, else 0.

    From the file's own the fit may end in a chart that is bent instead.
    """
    table, cells = coefficients.ocv_cell_v, coefficients.cells
    grid = np.linspace(0.0, 1.0, table.size)
    for one in drains:
        if one.emptied:
            current = one.power_w[-1] / one.voltage_v[-1]
            rest_v = one.voltage_v[-1] + coefficients.resistance_ohm * current
            ends = np.interp(np.array([one.voltage_v[0], rest_v]) / cells, table, grid)
            used = max(float(ends[0] - ends[1]), WELL_CHARGED)
            return float(np.log(_drawn_c(one) / (3600.0 * coefficients.capacity_ah * used)))
    return 0.0


def _drawn_c(one: Drain) -> float:
    return float(np.sum(one.power_w / one.voltage_v)) * STEP_S


def _tells(one: Drain, pack: BatteryCoefficients, config: BatteryConfig) -> bool:
    share = _drawn_c(one) / (3600.0 * pack.capacity_ah)
    return share >= (WELL_CHARGED if one.emptied else config.capacity_drawn)


def _precision(n: int, config: BatteryConfig) -> Array:
    """Return the inverse covariance (CHART + n, CHART + n) of what is fitted, before any drain."""
    grid = np.linspace(0.0, 1.0, n)
    steps = np.linspace(0.0, 1.0, len(config.chart_mode_v))
    kind = config.chart_spread * np.interp(grid, steps, config.chart_mode_v)
    apart = np.abs(grid[:, None] - grid[None, :]) / config.table_charge
    cov = np.diag(np.full(CHART + n, config.resistance_share**2))
    cov[CAPACITY, CAPACITY] = config.capacity_share**2
    cov[CHART:, CHART:] = (
        np.minimum(kind[:, None], kind[None, :]) ** 2
        + config.table_cell_v**2 * np.exp(-apart)
        + 1e-8 * np.eye(n)
    )
    cov[CHART, :] = cov[:, CHART] = 0.0  # where all charts end, by definition
    cov[CHART, CHART] = 1e-8
    return np.linalg.inv(cov)


def _pack(coefficients: BatteryCoefficients, found: Array) -> BatteryCoefficients:
    """Return the battery with the fitted numbers."""
    n = coefficients.ocv_cell_v.size
    values = {
        name: getattr(coefficients, name) * float(np.exp(found[i])) for i, name in enumerate(NAMES)
    }
    return dataclasses.replace(
        coefficients,
        **values,
        capacity_ah=coefficients.capacity_ah * float(np.exp(found[CAPACITY])),
        ocv_cell_v=coefficients.ocv_cell_v + found[CHART : CHART + n],
    )


def _slope(one: Drain, coefficients: BatteryCoefficients, found: Array, error: Array) -> Array:
    """Return the derivative (m, n) of ``_error`` (m,) by the numbers ``found`` (n,)."""
    steps = 1e-3 * np.eye(found.size)
    slope: Array = np.array([_error(one, coefficients, found + d) - error for d in steps]).T / 1e-3
    return slope


def _error(one: Drain, coefficients: BatteryCoefficients, found: Array) -> Array:
    """Return simulated less measured voltage (m,), means of ``BLOCK_S``, in sigmas.

    found: the shared numbers, then what the begin has more than its share of charge.
    """
    pack = _pack(coefficients, found)
    vector, table = model.pack(pack)
    volts, amperes = one.voltage_v[0], one.power_w[0] / one.voltage_v[0]
    rest = volts + pack.resistance_ohm * model.growth(vector, 0.0, one.temperature_c) * amperes
    share = float(np.interp(rest / pack.cells, table, np.linspace(0.0, 1.0, table.size)))
    drawn = (1.0 - share - found[-1]) * vector[model.CAPACITY_C]
    start = np.array([drawn, 0.0, one.temperature_c])
    run = model.discharge(vector, table, start, one.power_w, one.temperature_c, STEP_S)[:, 3]
    block = round(BLOCK_S / STEP_S)
    n = run.size // block
    means: Array = (run - one.voltage_v)[: n * block].reshape(n, block).mean(axis=1)
    return means / (FIT_CELL_V * pack.cells)
