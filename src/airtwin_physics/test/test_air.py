# SPDX-License-Identifier: Apache-2.0
"""What the filter takes from an aircraft's file about drag, and when it counts."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import alignment
from airtwin_physics.ekf.air import Air
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.sensors.air import PERIOD_S, AirData, Flying
from airtwin_physics.ekf.steps import FORCED_S

CONFIG = EstimatorConfig()


@pytest.mark.parametrize(
    ("name", "lifting"), [("x500", 4), ("octocopter", 8), ("standard_vtol", 4)]
)
def test_drag_is_that_of_the_rotors_that_lift(name: str, lifting: int) -> None:
    craft = aircraft.load(name)
    air = Air(CONFIG, craft)
    hover_rad_s = np.sqrt(craft.mass_kg * 9.80665 / (lifting * craft.rotors.thrust_n_s2))
    force_n_s_m = lifting * craft.rotors.drag_n_s2_m * hover_rad_s
    assert air.drag_1_s == pytest.approx(force_n_s_m / craft.mass_kg)
    assert air.drag_sigma == CONFIG.drag_file_sigma


@pytest.mark.parametrize("name", ["aerosonde", "tailsitter"])
def test_an_aircraft_without_lift_rotors_has_the_broad_guess(name: str) -> None:
    air = Air(CONFIG, aircraft.load(name))
    assert (air.drag_1_s, air.drag_sigma) == (CONFIG.drag_1_s, CONFIG.drag_sigma)


@pytest.mark.parametrize(
    ("down_m_s", "up_m_s2", "cause"),
    [
        (1.0, 9.8, ""),
        (8.0, 9.8, "climbs or falls too fast"),
        (-8.0, 9.8, "climbs or falls too fast"),
        (1.0, 1.0, "thrust is far from hover"),
    ],
)
def test_only_about_hover_does_a_law_of_rotors_count(
    down_m_s: float, up_m_s2: float, cause: str
) -> None:
    belief = Belief(CONFIG)
    track = ImuTrack(CONFIG)
    first = alignment.FirstAttitude(np.array([1.0, 0.0, 0.0, 0.0]), 1e-4 * np.eye(3), "")
    belief.begin(first, track, still=False)
    belief.x[5] = down_m_s
    air = AirData(CONFIG, belief)
    for k in range(100):
        belief.watch[FORCED_S] = PERIOD_S
        belief.watch[FORCED_S + 1 : FORCED_S + 4] = np.array([0.1, 0.0, -up_m_s2]) * PERIOD_S
        air.watch(Flying.ROTORS, 10.0 + k * PERIOD_S, k, alone=True, turns=True)
    assert (air.drag.tally.used > 0) == (cause == "")
    assert set(air.drag.tally.rejected) == ({cause} - {""})


def test_a_law_found_wrong_is_not_trusted_again_while_nothing_else_shows_the_motion() -> None:
    """It would lead, jump the aircraft's speed to its own, and so prove itself right."""
    belief = Belief(CONFIG)
    first = alignment.FirstAttitude(np.array([1.0, 0.0, 0.0, 0.0]), 1e-4 * np.eye(3), "")
    belief.begin(first, ImuTrack(CONFIG), still=False)
    belief.p[3:6, 3:6] = np.eye(3)
    air = AirData(CONFIG, belief)

    def look(seconds: float, at_s: float, *, alone: bool) -> None:
        for k in range(round(seconds / PERIOD_S)):
            belief.watch[FORCED_S] = PERIOD_S
            belief.watch[FORCED_S + 1 : FORCED_S + 4] = np.array([0.1, 0.0, -9.8]) * PERIOD_S
            air.watch(Flying.ROTORS, at_s + k * PERIOD_S, k, alone=alone, turns=alone)

    look(4.0, 10.0, alone=False)
    belief.wind.law[5] = 2.0  # the size of gusts at its limit
    belief.x[3:5] = [1.0, -1.0]
    look(60.0, 14.0, alone=True)
    assert not belief.wind.gusts_likely
    np.testing.assert_array_equal(belief.x[3:5], [1.0, -1.0])
    look(60.0, 74.0, alone=False)  # held against the motion that something else shows it may
    assert belief.wind.gusts_likely
    look(1.0, 134.0, alone=True)
    assert np.any(belief.x[3:5] != [1.0, -1.0])
