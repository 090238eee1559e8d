# SPDX-License-Identifier: Apache-2.0
"""What the filter takes from an aircraft's file about drag."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.air import Air

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
