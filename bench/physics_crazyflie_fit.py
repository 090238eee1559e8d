# SPDX-License-Identifier: Apache-2.0
"""Fit the Crazyflie's cell and power to many flights.

``python -m bench.physics_crazyflie_fit FOLDER``: FOLDER is ``Real_path`` of the data set (see
physics_crazyflie.py); flights 16 to 136 are taken, or those of odd or even number among them
(``--half 1``, ``--half 0``). Prints what physics_crazyflie.py holds.

Shared by all flights: resistance, polarisation and its time, growth towards empty, heat capacity
and cooling, the open-circuit table, how the motion weighs in the power. Of each flight: its
resistance, scale of the current (worn propellers), error of the table and temperature; they stay
near a common value. The exponent in temperature starts from that of the x500's file, to 30 %.
Gauss-Newton on the error of the simulated voltage, averaged over 2 s, robust, each flight
weighed by its own scatter; the numbers of a single flight are eliminated from each step.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from airtwin_core import aircraft
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array
from airtwin_physics import battery
from airtwin_physics.battery import model
from bench.physics_crazyflie import CAPACITY_AH, DT_S, REST_A, Discharge, power_w, read

CHART = aircraft.load("x500").battery
AMBIENT_C = 24.0
N_TABLE, N_WEIGHTS = 21, 4
# ln of resistance, polarisation, its time, growth and its charge, heat capacity, cooling,
# exponent in temperature
BEGIN = np.log([0.17, 0.054, 14.0, 0.08, 0.1, 7.0, 0.08, CHART.resistance_activation_k])
LOOSE = np.array([2.0, 2.0, 1.5, 1.0, 0.5, 0.4, 0.7, 0.3])
WEIGHTS_AT = slice(len(BEGIN), len(BEGIN) + N_WEIGHTS)
TABLE = slice(WEIGHTS_AT.stop, WEIGHTS_AT.stop + N_TABLE)
SHARED = np.concatenate((BEGIN, [0.9, 0.0, 0.04, 0.0], np.zeros(N_TABLE)))
SHARED_SIGMA = np.concatenate((LOOSE, [0.5, 0.1, 0.2, 0.1], np.full(N_TABLE, 0.04)))
# of another lot of cells and another propeller: factors, weights and chart
NEAR = np.concatenate(
    ([0.5, 0.5, 0.5, 0.5, 0.3, 0.4, 0.4, 0.3], [0.1, 0.03, 0.03, 0.03], np.full(N_TABLE, 0.015))
)
BEND_V = 0.015  # [V] sigma of the second difference of the table's correction
# of one flight: ln resistance, ln scale of the current, error of the table [V], temperature
OWN = np.array([0.0, 0.0, 0.0, AMBIENT_C])
OWN_SIGMA = np.array([0.25, 0.05, 0.006, 4.0])
OWN_STEP = np.array([1e-3, 1e-3, 1e-3, 0.1])
OWN_MOST = np.array([0.4, 0.1, 0.02, 6.0])
BLOCK = round(2.0 / DT_S)
LEAST_V = 0.003  # [V] least scatter of a flight


def cell_of(shared: Array) -> BatteryCoefficients:
    """Return the cell of the shared numbers; the x500's chart is what they correct."""
    values = np.exp(shared[: len(BEGIN)])
    return dataclasses.replace(
        CHART,
        cells=1,
        capacity_ah=CAPACITY_AH,
        resistance_ohm=values[0],
        polarisation_ohm=values[1],
        polarisation_s=values[2],
        resistance_empty=values[3],
        resistance_empty_charge=values[4],
        heat_capacity_j_k=values[5],
        cooling_w_k=values[6],
        resistance_activation_k=values[7],
        ocv_cell_v=np.maximum.accumulate(CHART.ocv_cell_v + shared[TABLE]),
    )


def residual(flight: Discharge, shared: Array, own: Array) -> Array:
    """Return measured less simulated voltage [V], means of 2 s from 3 s in the air on."""
    vector, table = battery.pack(cell_of(shared))
    vector[[model.RESISTANCE, model.POLARISATION]] *= np.exp(own[0])
    vector[model.CAPACITY_SHARE] = np.exp(-own[1])
    table = table + own[2]
    sag = REST_A * vector[model.RESISTANCE] * model.growth(vector, 0.0, own[3])
    left = np.interp(flight.rest_v + sag, table, np.linspace(0.0, 1.0, table.size))
    charge = (1.0 - left) * vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
    power = power_w(flight, shared[WEIGHTS_AT])
    run = battery.discharge(vector, table, np.array([charge, 0.0, own[3]]), power, AMBIENT_C, DT_S)
    error = (flight.voltage_v - run[:, 3])[flight.start + round(3.0 / DT_S) : -1]
    n = len(error) // BLOCK
    means: Array = error[: n * BLOCK].reshape(n, BLOCK).mean(axis=1)
    return means


def adapt(cell: BatteryCoefficients, weights: Array, flights: list[Discharge]) -> Array:
    """Return the shared numbers of a few flights, near those of a cell fitted to many."""
    names = (
        cell.resistance_ohm,
        cell.polarisation_ohm,
        cell.polarisation_s,
        cell.resistance_empty,
        cell.resistance_empty_charge,
        cell.heat_capacity_j_k,
        cell.cooling_w_k,
        cell.resistance_activation_k,
    )
    table = cell.ocv_cell_v - CHART.ocv_cell_v
    return fit(flights, np.concatenate((np.log(names), weights, table)), NEAR, steps=8)[0]


def fit(
    flights: list[Discharge], begin: Array = SHARED, sigma: Array = SHARED_SIGMA, steps: int = 14
) -> tuple[Array, Array]:
    """Return the shared numbers, and those of each flight (len(flights), 4).

    begin, sigma: (33,) what is expected of the shared numbers, and how far they may lie from it.
    """
    shared, owns = begin.copy(), np.tile(OWN, (len(flights), 1))
    bend = np.zeros((N_TABLE - 2, shared.size))
    for k in range(N_TABLE - 2):
        bend[k, TABLE.start + k : TABLE.start + k + 3] = np.array([1.0, -2.0, 1.0]) / BEND_V
    for step in range(steps):
        hessian = np.diag(sigma**-2.0) + bend.T @ bend
        force = (begin - shared) / sigma**2 - bend.T @ (bend @ shared)
        kept = []
        for flight, own in zip(flights, owns, strict=True):
            error, by_shared, by_own = _linear(flight, shared, own, first=step == 0)
            inner = by_own.T @ by_own + np.diag(OWN_SIGMA**-2.0)
            pull = (OWN - own) / OWN_SIGMA**2 - by_own.T @ error
            across = by_shared.T @ by_own
            inverse = np.linalg.inv(inner)
            hessian += by_shared.T @ by_shared - across @ inverse @ across.T
            force += -by_shared.T @ error - across @ inverse @ pull
            kept.append((inverse, pull, across))
        hessian += np.diag(np.diag(hessian)) * (0.3 if step < 3 else 0.02)
        change = np.clip(np.linalg.solve(hessian, force), -0.4, 0.4)
        shared = shared + change
        for k, (inverse, pull, across) in enumerate(kept):
            own_change = inverse @ (pull - across.T @ change)
            owns[k] += np.clip(own_change, -OWN_MOST, OWN_MOST)
    return shared, owns


def _linear(
    flight: Discharge, shared: Array, own: Array, *, first: bool
) -> tuple[Array, Array, Array]:
    """Return the weighed residual and its derivatives by the shared and the own numbers."""
    error = residual(flight, shared, own)
    small = 1e-3 * np.eye(shared.size)
    by_shared = np.array([(residual(flight, shared + d, own) - error) / 1e-3 for d in small]).T
    by_own = np.array(
        [(residual(flight, shared, own + d) - error) / d.sum() for d in np.diag(OWN_STEP)]
    ).T
    scatter = 0.02 if first else max(1.4826 * float(np.median(np.abs(error))), LEAST_V)
    # a third: means of 2 s that follow each other are alike
    weight = 1.0 / (scatter * np.sqrt(3.0) * np.sqrt(1.0 + (error / scatter / 2.0) ** 2))
    return error * weight, by_shared * weight[:, None], by_own * weight[:, None]


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1))
    told = parser.parse_args()
    numbers = [n for n in range(16, 137) if told.half is None or n % 2 == told.half]
    flights = [read(next(told.folder.glob(f"Real_path*_{n}.csv"))) for n in numbers]
    shared, owns = fit(flights)
    for name, value in dataclasses.asdict(cell_of(shared)).items():
        print(name, np.round(value, 4).tolist())
    print("weights", np.round(shared[WEIGHTS_AT], 4).tolist())
    print("of a flight: mean", owns.mean(axis=0).round(4), "sigma", owns.std(axis=0).round(4))


if __name__ == "__main__":
    main()
