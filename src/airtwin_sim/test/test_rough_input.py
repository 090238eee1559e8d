# SPDX-License-Identifier: Apache-2.0
"""Rubbish from the companion and every fault at once: the simulation stays finite and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airtwin_sim import scenario
from airtwin_sim.commander import Command
from airtwin_sim.scenario import FAULT_KINDS, Fault, Scenario, ScenarioError, VehicleSpec, Wind
from airtwin_sim.world import World

RUBBISH = np.array([0.0, 1.0, -1.0, 6.0, 1e-30, 1e9, -1e30, 3.4e38, np.nan, np.inf, -np.inf, 90.5])
COMMANDS = (16, 20, 21, 22, 176, 178, 192, 400, 512, 0, 99999)


@pytest.mark.parametrize("seed", range(3))
def test_rubbish_crashes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = World(Scenario(vehicles=(VehicleSpec("px4_0"),), wind=Wind((3.0, 0.0, 0.0), 1.0)))
    for k in range(5000):
        if k == 750:
            world.command("px4_0", Command(22, (np.nan,) * 7))
            world.command("px4_0", Command(400, (1.0,) + (0.0,) * 6))
        if k > 1500 and k % 5 == 0:
            params = tuple(float(v) for v in rng.choice(RUBBISH, 7))
            world.command(
                "px4_0", Command(int(rng.choice(COMMANDS)), params), int(rng.integers(4))
            )
            world.offboard_mode(
                "px4_0", position=bool(rng.integers(2)), velocity=bool(rng.integers(2))
            )
            world.setpoint(
                "px4_0",
                rng.choice(RUBBISH, 3),
                rng.choice(RUBBISH, 3),
                rng.choice(RUBBISH, 3),
                yaw_rad=float(rng.choice(RUBBISH)),
                yaw_rate_rad_s=float(rng.choice(RUBBISH)),
            )
        for batch in world.step():
            if batch.source in ("imu", "position"):
                for name in ("rate", "force", "position", "velocity"):
                    assert np.all(np.isfinite(batch.values.get(name, 0.0)))
    assert np.all(np.isfinite(world.fleet.x))


def test_all_faults_at_once_stay_finite() -> None:
    vector = {"gnss_drift", "gnss_jump", "imu_bias", "wind", "sensor_jump"}
    faults = tuple(
        Fault(
            kind,
            "px4_0",
            start_s=8.0 + 0.7 * i,
            duration_s=6.0,
            vector=(2.0, -3.0, 1.0) if kind in vector else (0.0, 0.0, 0.0),
            magnitude=0.0 if kind in vector else 0.5,
        )
        for i, kind in enumerate(FAULT_KINDS)
    )
    world = World(Scenario(vehicles=(VehicleSpec("px4_0"),), faults=faults))
    before = [array.copy() for array in world.fleet.model]
    for k in range(7000):
        if k == 750:
            world.command("px4_0", Command(22, (np.nan,) * 7))
            world.command("px4_0", Command(400, (1.0,) + (0.0,) * 6))
        world.step()
    assert np.all(np.isfinite(world.fleet.x))
    # each fault has undone what it did
    for array, original in zip(world.fleet.model, before, strict=True):
        np.testing.assert_allclose(array, original, rtol=1e-12)
    np.testing.assert_array_equal(world.fleet.steady_ned_m_s, 0.0)


def vehicle(**entries: Any) -> dict[str, Any]:
    return {"vehicles": [{"name": "px4_1"} | entries]}


def fault(**entries: Any) -> dict[str, Any]:
    return vehicle() | {"faults": [{"kind": "wind", "vehicle": "px4_1"} | entries]}


INF = float("inf")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (vehicle(name=7), "vehicle name must be text, not 7"),
        (vehicle(aircraft=7), "px4_1: aircraft must be text"),
        (vehicle(aircraft="../../etc"), "'../../etc' is no name of a file in config/aircraft"),
        (vehicle(aircraft="/etc/x500.yaml"), "is no name of a file"),
        (vehicle(aircraft=""), "is no name of a file"),
        (vehicle() | {"wind": {"gust": INF}}, "wind.gust is inf"),
        (vehicle() | {"wind": {"gust": float("nan")}}, "wind.gust is nan"),
        (fault(start_s=INF), "start_s and duration_s must be finite"),
        (fault(duration_s=INF), "start_s and duration_s must be finite"),
        (fault(vehicle=7), "fault wind: vehicle must be text"),
        (fault(kind=7), "fault kind must be text"),
        (fault(vector=[10**400, 0, 0]), "too large"),
        ({"vehicles": 5}, "vehicles must be a list, not int"),
        (vehicle() | {"faults": {}}, "faults must be a list, not dict"),
        (vehicle() | {"seed": "x"}, "seed is 'x', expected a whole number"),
        (vehicle() | {7: 1, "x": 2}, "unknown entry"),
    ],
)
def test_an_impossible_scenario_is_refused_in_a_sentence(data: Any, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        scenario.parse(data)


def test_a_scenario_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"vehicles: [\xff\xfe]")
    with pytest.raises(ScenarioError, match=r"bad\.yaml: not UTF-8 text at byte 11"):
        scenario.load(path)
    path.write_text("[" * 700, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"bad\.yaml: nested too deeply"):
        scenario.load(path)


@pytest.mark.parametrize(
    ("crafts", "says"),
    [
        (("standard_vtol",), "px4_0: the simulator's autopilot flies multirotors"),
        (("x500", "octocopter"), "px4_1: all aircraft must have as many rotors"),
    ],
)
def test_an_aircraft_that_it_cannot_fly_is_refused(crafts: tuple[str, ...], says: str) -> None:
    vehicles = tuple(scenario.VehicleSpec(f"px4_{i}", aircraft=c) for i, c in enumerate(crafts))
    with pytest.raises(ScenarioError, match=says):
        World(scenario.Scenario(vehicles=vehicles))
