# SPDX-License-Identifier: Apache-2.0
"""Rubbish from the companion and every fault at once: the simulation stays finite and answers."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_sim.commander import Command
from airtwin_sim.scenario import FAULT_KINDS, Fault, Scenario, VehicleSpec, Wind
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
    vector = {"gnss_drift", "gnss_jump", "imu_bias", "wind"}
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
