# SPDX-License-Identifier: Apache-2.0
"""The battery's kernels against a slow reference, closed forms and conservation of energy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft as aircraft_files
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array
from airtwin_physics import battery
from airtwin_physics.battery import model


@pytest.fixture(scope="module")
def coefficients() -> BatteryCoefficients:
    return aircraft_files.load("x500").battery


def reference(
    c: BatteryCoefficients, charge: float, polarisation: float, temperature: float, power: float
) -> dict[str, float]:
    """Return what the docstring of the model says, in plain Python, solved by bisection."""
    left = min(max(1.0 - charge / (c.capacity_ah * 3600.0), 0.0), 1.0)
    ocv = c.cells * float(np.interp(left, np.linspace(0.0, 1.0, c.ocv_cell_v.size), c.ocv_cell_v))
    kelvin = min(max(temperature, -40.0), 120.0) + 273.15
    factor = math.exp(c.resistance_activation_k * (1.0 / kelvin - 1.0 / 298.15))
    factor *= 1.0 + c.resistance_empty * math.exp(-left / c.resistance_empty_charge)
    resistance, inner = c.resistance_ohm * factor, ocv - polarisation
    low, high = -1e6, inner / (2.0 * resistance)  # power given rises with current in between
    if (inner - resistance * high) * high > power:
        for _ in range(200):
            middle = 0.5 * (low + high)
            if (inner - resistance * middle) * middle < power:
                low = middle
            else:
                high = middle
    current = high
    slow = c.polarisation_ohm * factor
    heat = resistance * current**2 + polarisation**2 / slow
    return {
        "voltage": inner - resistance * current,
        "current": current,
        "swing": (slow * current - polarisation) / c.polarisation_s,
        "warming": (heat - c.cooling_w_k * (temperature - 20.0)) / c.heat_capacity_j_k,
    }


@settings(max_examples=200, deadline=None)
@given(
    left=st.floats(-0.2, 1.2),
    polarisation=st.floats(0.0, 1.0),
    temperature=st.floats(-60.0, 150.0),
    power=st.floats(-100.0, 3000.0),
)
def test_kernel_is_the_equations(
    coefficients: BatteryCoefficients,
    left: float,
    polarisation: float,
    temperature: float,
    power: float,
) -> None:
    vector, table = battery.pack(coefficients)
    charge = (1.0 - left) * vector[model.CAPACITY_C]
    expected = reference(coefficients, charge, polarisation, temperature, power)
    voltage, current = battery.terminal(vector, table, charge, polarisation, temperature, power)
    assert voltage == pytest.approx(expected["voltage"], rel=1e-6, abs=1e-5)
    assert current == pytest.approx(expected["current"], rel=1e-6, abs=1e-5)
    swing, warming = battery.rates(vector, charge, polarisation, temperature, current, 20.0)
    assert swing == pytest.approx(expected["swing"], rel=1e-5, abs=1e-6)
    assert warming == pytest.approx(expected["warming"], rel=1e-5, abs=1e-6)
    at_once = battery.drained(vector, table, charge, polarisation, temperature, power, 20.0)
    assert at_once == pytest.approx((voltage, current, swing, warming), rel=1e-12, abs=1e-12)


def test_resistance_grows_in_the_cold_as_measured(coefficients: BatteryCoefficients) -> None:
    """rcex.cz (2010): R = 1.1e-6 Ohm exp(3131 K / T), so 0 deg C is 3.1 times 30 deg C."""
    vector, _ = battery.pack(coefficients)
    ratio = battery.growth(vector, 0.0, 0.0) / battery.growth(vector, 0.0, 30.0)
    assert ratio == pytest.approx(math.exp(3131.0 / 273.15 - 3131.0 / 303.15), rel=1e-9)
    assert battery.growth(vector, 0.0, 25.0) == pytest.approx(1.0, abs=1e-6)


def flat(**changes: float) -> tuple[Array, Array]:
    """Return a pack of 10 V at any charge, 1 Ah, 0.1 Ohm, without any slow part."""
    values: dict[str, Any] = {
        "cells": 1, "capacity_ah": 1.0, "resistance_ohm": 0.1, "resistance_activation_k": 0.0,
        "resistance_empty": 0.0, "resistance_empty_charge": 0.1, "polarisation_ohm": 0.0,
        "polarisation_s": 1.0, "heat_capacity_j_k": 0.0, "cooling_w_k": 0.0, "cutoff_cell_v": 1.0,
        "avionics_w": 0.0, "speed_per_volt_rad_s_v": 0.0, "ocv_cell_v": np.full(3, 10.0),
    }  # fmt: skip
    return battery.pack(BatteryCoefficients(**(values | changes)))


def test_power_beyond_the_most_gives_the_most() -> None:
    """U^2 / 4 R = 250 W at half the voltage."""
    assert battery.terminal(*flat(), 0.0, 0.0, 25.0, 250.0) == pytest.approx((5.0, 50.0))
    assert battery.terminal(*flat(), 0.0, 0.0, 25.0, 999.0) == pytest.approx((5.0, 50.0))


def test_polarisation_rises_as_an_exponential() -> None:
    vector, table = flat(polarisation_ohm=0.05, polarisation_s=10.0, resistance_ohm=0.0)
    run = battery.discharge(vector, table, np.array([0.0, 0.0, 25.0]), np.full(3001, 1e-3), 25.0,
                            1e-2)  # fmt: skip
    current = 1e-4  # 1 mW at 10 V: so little that it stays the same
    expected = 0.05 * current * (1.0 - np.exp(-np.arange(3001) * 1e-2 / 10.0))
    np.testing.assert_allclose(run[:, 1], expected, atol=1e-3 * 0.05 * current)


def test_temperature_settles_where_loss_is_heat() -> None:
    """10 A through 0.1 Ohm are 10 W; 0.5 W/K carry them off at 20 K above the air."""
    vector, table = flat(heat_capacity_j_k=5.0, cooling_w_k=0.5)
    power = np.full(20_000, 90.0)  # (10 V - 0.1 Ohm * 10 A) * 10 A
    run = battery.discharge(vector, table, np.array([0.0, 0.0, 15.0]), power, 15.0, 0.01)
    assert run[-1, 2] == pytest.approx(35.0, abs=0.01)
    assert run[-1, 4] == pytest.approx(10.0, rel=1e-9)


def test_energy_is_conserved(coefficients: BatteryCoefficients) -> None:
    """Chemical energy drawn is energy given, heat, and what the polarisation still holds."""
    vector, table = battery.pack(coefficients)
    dt, power = 0.05, 150.0 + 100.0 * np.sin(np.arange(8000) * 0.05)
    run = battery.discharge(vector, table, np.array([0.0, 0.0, 25.0]), power, 25.0, dt)
    drawn = sum(battery.ocv(vector, table, row[0]) * row[4] for row in run) * dt
    factor = np.array([battery.growth(vector, row[0], row[2]) for row in run])
    ohmic = np.sum(vector[model.RESISTANCE] * factor * run[:, 4] ** 2) * dt
    slow = vector[model.POLARISATION] * factor
    polar = np.sum(run[:, 1] * run[:, 4]) * dt
    given = np.sum(power) * dt
    assert drawn == pytest.approx(given + ohmic + polar, rel=1e-9)
    assert polar == pytest.approx(
        np.sum(run[:, 1] ** 2 / slow) * dt
        + 0.5 * vector[model.POLARISATION_S] * run[-1, 1] ** 2 / slow[-1],
        rel=0.02,
    )


def test_endurance_of_a_flat_pack_is_capacity_over_current() -> None:
    """10 V flat, then nothing: the table's last knot is 0 V."""
    vector, table = flat(ocv_cell_v=np.array([0.0, *[10.0] * 1000]))
    time, energy = battery.endurance(vector, table, np.array([0.0, 0.0, 25.0]), 90.0, 25.0, 0.1,
                                     1e5)  # fmt: skip
    assert time == pytest.approx(360.0, rel=2e-3)  # 3600 C at 10 A
    assert energy == pytest.approx(90.0 * time)


def test_endurance_is_where_the_discharge_meets_the_cut_off(
    coefficients: BatteryCoefficients,
) -> None:
    vector, table = battery.pack(coefficients)
    start = np.array([0.3 * vector[model.CAPACITY_C], 0.05, 22.0])
    time, _ = battery.endurance(vector, table, start, 220.0, 15.0, 1.0, 1e5)
    run = battery.discharge(vector, table, start, np.full(200_000, 220.0), 15.0, 0.05)
    expected = 0.05 * np.argmax(run[:, 3] <= vector[model.CUTOFF_V])
    assert time == pytest.approx(expected, rel=3e-3)
    assert 300.0 < time < 1200.0


@pytest.mark.parametrize("power", [180.0, 200.0, 220.0, 240.0, 260.0])
def test_endurance_does_not_depend_on_the_step(
    coefficients: BatteryCoefficients, power: float
) -> None:
    """The end lies between two steps: to the next one it would be up to five seconds more."""
    vector, table = model.pack(coefficients)
    start = np.array([0.0, 0.0, 25.0])
    coarse, _ = battery.endurance(vector, table, start, power, 25.0, 5.0, 1e5)
    fine, _ = battery.endurance(vector, table, start, power, 25.0, 0.1, 1e5)
    assert coarse == pytest.approx(fine, abs=0.7)


def test_endurance_ends_where_it_must(coefficients: BatteryCoefficients) -> None:
    vector, table = battery.pack(coefficients)
    fresh, empty = np.array([0.0, 0.0, 25.0]), np.array([18_000.0, 0.0, 25.0])
    assert battery.endurance(vector, table, empty, 200.0, 25.0, 1.0, 1e4) == (0.0, 0.0)
    assert battery.endurance(vector, table, fresh, 1e6, 25.0, 1.0, 1e4) == (0.0, 0.0)
    assert battery.endurance(vector, table, fresh, 0.0, 25.0, 1.0, 100.0) == (100.0, 0.0)
    assert battery.endurance(vector, table, np.full(3, np.nan), 1.0, 25.0, 1.0, 100.0)[0] == 0.0
