# SPDX-License-Identifier: Apache-2.0
"""A pack flown to empty by the virtual aircraft, identified, and asked in its next flight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Battery, Sample
from airtwin_physics.battery import BatteryConfig, BatteryEstimator
from airtwin_physics.battery import model as pack_model
from airtwin_record import identify
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario, VehicleSpec, Wind

NAN = float("nan")
# a quarter of the x500's capacity, so that it is empty in four minutes; the rest is the x500's
SMALL = {"capacity_ah": 5.0, "heat_capacity_j_k": 480.0, "polarisation_s": 15.0}
SHARE = 0.25
X500 = (aircraft_files.folder("config") / "aircraft" / "x500.yaml").read_text(encoding="utf-8")


def small(folder: Path) -> Path:
    """Write the x500's file with a small pack."""
    text = X500
    for name, value in SMALL.items():
        assert f"  {name}: {value}" in text
        text = text.replace(f"  {name}: {value}", f"  {name}: {SHARE * value:.4g}")
    path = folder / "x500_small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def to_empty(file: BatteryCoefficients, seed: int, wind: Wind) -> Iterator[Sample]:
    """Yield a hover from full to the cut-off: 0.8 of the capacity, 1.4 of the resistance.

    And another kind of cell: 0.7 sigma of the published charts lower.
    """
    scenario = Scenario((VehicleSpec("px4_1"),), seed=seed, wind=wind, extra_topics=True)
    # down to empty: nobody lands before
    flight = Flight(replace(scenario, px4=(("COM_LOW_BAT_ACT", 0.0),)))
    world, config = flight.world, BatteryConfig()
    vector, table = pack_model.pack(file)
    vector[pack_model.CAPACITY_SHARE] = 0.8
    vector[[pack_model.RESISTANCE, pack_model.POLARISATION]] *= 1.4
    world.fleet.model.battery[0] = vector
    world.fleet.model.ocv[0] = np.maximum.accumulate(table - 0.7 * np.array(config.chart_mode_v))
    orders = {5: Command(400, (1.0, 21196.0) + (0.0,) * 5), 6: Command(22, (NAN,) * 7)}
    low = 0
    for second in range(2000):
        if second in orders:
            world.command("px4_1", orders[second])
        for _, _, sample in flight.run(1.0):
            yield sample
            if isinstance(sample, Battery):
                low += sample.voltage_v < vector[pack_model.CUTOFF_V]
        if low > 10:
            return
    raise AssertionError("it never came to empty")


def half_and_truth(flown: list[Battery], cutoff_v: float) -> tuple[int, float]:
    """Return the index of half the charge drawn, and the seconds from there to the cut-off."""
    volts = np.array([b.voltage_v for b in flown])
    drawn = np.cumsum([b.current_a for b in flown])
    low = np.convolve(volts, np.full(5, 0.2), "valid") <= cutoff_v
    end = int(np.argmax(low)) + 2  # the middle of the five
    half = int(np.searchsorted(drawn, 0.5 * drawn[end]))
    return half, (flown[end].stamp_ns - flown[half].stamp_ns) * 1e-9


def test_a_pack_flown_to_empty_tells_its_time_in_the_next_flight(tmp_path, monkeypatch):
    """Learnt in calm air by ``identify``, asked at half charge of a flight in wind."""
    path = small(tmp_path)
    craft = aircraft_files.load(path)
    tables = [_Table("motors"), _Table("imu")]
    log = SimpleNamespace(name="px4_1", start_ns=0, tables=tables)
    first = list(to_empty(craft.battery, 10, Wind()))
    monkeypatch.setattr(identify.replay, "read", lambda path: SimpleNamespace(vehicles=[log]))
    monkeypatch.setattr(
        identify, "samples", lambda log, intake: (("px4_1", "", sample) for sample in first)
    )
    out = tmp_path / "learnt.yaml"
    identify.run([Path("a.mcap")], craft, path.read_text(encoding="utf-8"), out)
    learnt = aircraft_files.load(out).battery
    assert learnt.learned_discharges == 1
    wind = Wind((5.0, 3.0, 0.0), 0.5)
    flown = [s for s in to_empty(craft.battery, 11, wind) if isinstance(s, Battery)]
    half, truth_s = half_and_truth(flown, craft.battery.cells * craft.battery.cutoff_cell_v)

    def told_s(pack: BatteryCoefficients) -> tuple[float, float, float]:
        estimator, belief = BatteryEstimator(pack), None
        for sample in flown[: half + 1]:
            belief = estimator.on(sample) or belief
        assert belief is not None
        return (belief.time_to_empty_s, *belief.time_to_empty_95_s)

    time_s, low_s, high_s = told_s(learnt)
    unlearnt_s = told_s(craft.battery)[0]
    assert time_s == pytest.approx(truth_s, rel=0.1)
    assert low_s <= truth_s <= high_s
    assert abs(unlearnt_s - truth_s) > 0.1 * truth_s  # what there was to learn


class _Table:
    """A table of which only the length is asked."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __len__(self) -> int:
        return 1
