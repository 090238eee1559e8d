# SPDX-License-Identifier: Apache-2.0
"""A pack learnt from its own earlier discharges, simulated: what is true is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array, Battery
from airtwin_physics import battery
from airtwin_physics.battery import BatteryConfig, BatteryEstimator, model
from airtwin_physics.battery.config import LEARNED
from airtwin_physics.battery.filter import CAP
from airtwin_physics.battery.learning import FIT_CELL_V, NAMES, _error, _slope

NAN = float("nan")
CONFIG = BatteryConfig()
DT_S = 0.5


@pytest.fixture(scope="module")
def file() -> BatteryCoefficients:
    return aircraft_files.load("x500").battery


@pytest.fixture(scope="module")
def true(file: BatteryCoefficients) -> BatteryCoefficients:
    """Smaller, more resistance, another kind of cell: 1 sigma of the published charts lower."""
    mode = np.interp(np.linspace(0.0, 1.0, 21), np.linspace(0.0, 1.0, 21), CONFIG.chart_mode_v)
    return replace(
        file,
        capacity_ah=0.8 * file.capacity_ah,
        resistance_ohm=1.4 * file.resistance_ohm,
        ocv_cell_v=np.maximum.accumulate(file.ocv_cell_v - 0.7 * mode),
    )


def flown(pack: BatteryCoefficients, rng: np.random.Generator, mean_w: float) -> Array:
    """Return (n, 5) as ``battery.discharge`` does: full, to the cut-off, gusts in the power."""
    vector, table = battery.pack(pack)
    power = mean_w + 40.0 * np.repeat(rng.normal(size=900), 4)
    power[:20] = 10.0
    run = battery.discharge(vector, table, np.array([300.0, 0.0, 20.0]), power, 20.0, DT_S)
    low = np.convolve(run[:, 3], np.full(20, 0.05), "valid") < vector[model.CUTOFF_V]
    return run[: int(np.argmax(low)) + 20]


def told(run: Array, rng: np.random.Generator) -> list[Battery]:
    voltage = run[:, 3] + 0.03 * rng.normal(size=len(run))
    current = 1.02 * run[:, 4] + 0.3 * rng.normal(size=len(run))
    stamps = [round((i + 1) * DT_S * 1e9) for i in range(len(run))]
    rows = zip(stamps, voltage, current, run[:, 2], strict=True)
    return [Battery(at, at, v, i, NAN, 0, warm) for at, v, i, warm in rows]


@pytest.fixture(scope="module")
def earlier(true: BatteryCoefficients) -> list[Battery]:
    rng = np.random.default_rng(3)
    return told(flown(true, rng, 200.0), rng)


@pytest.fixture(scope="module")
def learnt(earlier: list[Battery], file: BatteryCoefficients) -> BatteryCoefficients:
    drain = battery.drain(earlier, file, CONFIG)
    assert drain is not None
    assert drain.emptied
    pack = battery.learn([drain], file, CONFIG)
    assert pack is not None
    return pack


def test_a_learnt_pack_tells_the_next_flights_end(
    file: BatteryCoefficients, true: BatteryCoefficients, learnt: BatteryCoefficients
) -> None:
    """Another load; from half the charge, where the file alone is far off."""
    rng = np.random.default_rng(4)
    run = flown(true, rng, 260.0)
    half = int(np.argmax(run[:, 0] >= 0.5 * run[-1, 0]))
    vector, table = battery.pack(true)
    truth, _ = battery.endurance(vector, table, run[half, :3].copy(), 260.0, 20.0, 0.5, 1e4)
    samples = told(run[:half], rng)

    def wrong(pack: BatteryCoefficients) -> float:
        estimator = BatteryEstimator(pack)
        for sample in samples:
            belief = estimator.on(sample)
        assert belief is not None
        assert belief.time_to_empty_95_s[0] <= truth <= belief.time_to_empty_95_s[1]
        return abs(estimator.endurance(260.0 * 1.02).time_s / truth - 1.0)

    assert wrong(learnt) < 0.06
    assert wrong(file) > 0.12


def test_it_finds_what_it_can_know(true: BatteryCoefficients, learnt: BatteryCoefficients) -> None:
    """Chart over charge in Ah, and the resistance; by a meter that says 2 % too much."""
    assert learnt.learned_discharges == 1
    assert learnt.resistance_ohm == pytest.approx(true.resistance_ohm / 1.02, rel=0.05)
    assert np.all(np.diff(learnt.ocv_cell_v) >= 0.0)
    drawn = np.linspace(0.2, 0.85 * true.capacity_ah, 30)

    def chart(pack: BatteryCoefficients, ah: Array) -> Array:
        grid = np.linspace(0.0, 1.0, pack.ocv_cell_v.size)
        volts: Array = np.interp(1.0 - ah / pack.capacity_ah, grid, pack.ocv_cell_v)
        return volts

    assert np.abs(chart(learnt, 1.02 * drawn) - chart(true, drawn)).max() < 0.015


def test_what_was_not_emptied_teaches_nothing(
    earlier: list[Battery], file: BatteryCoefficients
) -> None:
    drain = battery.drain(earlier[: len(earlier) // 2], file, CONFIG)
    assert drain is not None
    assert not drain.emptied
    assert battery.learn([drain], file, CONFIG) is None
    assert battery.learn([], file, CONFIG) is None


def test_no_discharge_without_a_meter_or_with_a_gap(
    earlier: list[Battery], file: BatteryCoefficients
) -> None:
    silent = [replace(s, current_a=NAN) for s in earlier]
    unmetered = [replace(s, current_a=0.0) for s in earlier]
    for samples in ([], earlier[:1], silent, unmetered, earlier[:50] + earlier[200:]):
        assert battery.drain(samples, file, CONFIG) is None
    assert battery.drain(earlier[::-1], file, CONFIG) is None
    for cells in (2, 6):  # all above what a cell has; below the cut-off at once
        assert battery.drain(earlier, replace(file, cells=cells), CONFIG) is None


def test_discharges_of_two_packs_are_not_one(
    earlier: list[Battery], file: BatteryCoefficients
) -> None:
    """The second says 120 mV a cell more all along."""
    other = [replace(s, voltage_v=s.voltage_v + 0.48 * (i > 40)) for i, s in enumerate(earlier)]
    drains = [battery.drain(samples, file, CONFIG) for samples in (earlier, other)]
    told = [one for one in drains if one is not None]
    assert len(told) == 2
    assert battery.learn(told[:1], file, CONFIG) is not None
    assert battery.learn(told, file, CONFIG) is None


def test_a_learnt_file_is_believed_more(learnt: BatteryCoefficients, file: BatteryCoefficients):
    """And one that was not is believed as before."""
    for pack, config in ((learnt, LEARNED), (file, CONFIG)):
        estimator = BatteryEstimator(pack)
        estimator.on(Battery(1, 1, 16.0, 1.0, NAN, 0))
        assert np.sqrt(estimator.filter.p[CAP, CAP]) == pytest.approx(config.capacity_share)


def test_the_slope_is_that_of_the_error(earlier: list[Battery], file: BatteryCoefficients):
    """Central differences of another step; the chart's and the begin's columns too."""
    drain = battery.drain(earlier[:400], file, CONFIG)
    assert drain is not None
    found = np.zeros(len(NAMES) + 1 + file.ocv_cell_v.size + 1)
    found[:5] = 0.02
    slope = _slope(drain, file, found, _error(drain, file, found))
    for i in (0, 1, 3, 20, found.size - 1):
        step = np.zeros(found.size)
        step[i] = 3e-4
        ahead, behind = _error(drain, file, found + step), _error(drain, file, found - step)
        scale = 0.02 * np.abs(slope[:, i]).max() + 1e-4 / FIT_CELL_V
        assert np.abs((ahead - behind) / 6e-4 - slope[:, i]).max() < scale
