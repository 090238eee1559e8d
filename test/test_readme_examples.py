# SPDX-License-Identifier: Apache-2.0
"""What the pages of the physical model show in Python runs, and says what they promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

PHYSICS = Path(__file__).resolve().parents[1] / "src" / "airtwin_physics"


def _run(page: str) -> dict[str, Any]:
    """Run the blocks of Python of a page, one after the other; return what they left."""
    blocks = re.findall(r"^```python\n(.*?)^```", (PHYSICS / page).read_text(), re.M | re.S)
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    return names


def test_the_first_page_estimates_and_foretells() -> None:
    left = _run("README.md")
    state, truth = left["state"], left["flight"].truth("px4_1")
    away_m = state.position_ned_m - truth.position_ned_m
    assert np.all(np.abs(away_m) < 3.0 * np.sqrt(np.diag(state.covariance))[:3])
    assert state.wind.valid
    np.testing.assert_allclose(state.wind.velocity_ne_m_s, [0.0, 6.0], atol=0.7)
    assert left["x"][left["dynamics"].POS][2] < -0.3  # it has taken off
    futures = left["futures"]
    assert np.all(futures.kept)
    assert np.all(np.isfinite(futures.reached_s))
    assert 0.9 < futures.reached_left[:, 2].min() < 0.96


def test_the_page_of_the_dynamics_flies_into_a_wind() -> None:
    left = _run("airtwin_physics/dynamics/README.md")
    assert left["cruise"].balanced
    assert 500.0 < left["cruise"].power_w < 900.0
    north, east, _ = left["x"][left["dynamics"].VEL]
    assert 20.0 < north < 24.0
    assert 0.2 < east < 3.0  # it is blown along, and no faster than the wind


def test_the_page_of_the_control_laws_flies_a_wing_to_its_goal() -> None:
    found = _run("airtwin_physics/control/README.md")
    x, landed = found["circling"], found["plane"].x
    assert np.hypot(x[0] - 800.0, x[1] - 400.0) < 160.0  # on the circle of 150 m
    assert abs(x[2] + 120.0) < 2.0
    assert abs(landed[2]) < 0.02
    assert abs(landed[1]) < 2.0
    assert 50.0 < landed[0] < 500.0
