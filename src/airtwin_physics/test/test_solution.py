# SPDX-License-Identifier: Apache-2.0
"""A GNSS fix at the border: what it says of the IMU, and why part of it cannot be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import frames
from airtwin_core.types import GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, models, reference, steps
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.sensors.solution import (
    BEFORE_IMPACT,
    FAR,
    Border,
    Solution,
    fill_place,
    fill_speed,
    place_rows,
    speed_rows,
)
from airtwin_physics.ekf.source import STUCK
from airtwin_physics.ekf.tally import LATE_MAX_S, TOO_LATE

import filter_states  # isort: skip

CONFIG = EstimatorConfig()
FIX = GnssFix(
    1, 1, 47.397742, 8.545594, 488.0, np.array([3.0, -1.0, 0.5]), 1.2, 2.0, 0.4, 3, 12
)  # fmt: skip


class Scene:
    """A border with a belief by chance at 100 s, its origin where ``FIX`` is."""

    def __init__(self, seed: int = 0) -> None:
        self.belief, self.anchor = Belief(CONFIG), Anchor(CONFIG.recover_s, CONFIG.gnss_doubt_s)
        self.belief.x[:] = filter_states.random_state(np.random.default_rng(seed))
        self.border = Border(CONFIG, self.belief, self.anchor, ImuTrack(CONFIG))
        self.anchor.take(FIX, 99.0, None)

    def solve(
        self, fix: GnssFix, lag_s: float = 0.0, stuck: tuple[str, str] = ("", "")
    ) -> Solution:
        return self.border.solve(fix, 100.0, lag_s, stuck=stuck, located=True)


@settings(deadline=None)  # the first one compiles
@given(seed=st.integers(0, 2**32 - 1), lag=st.floats(-0.1, 0.3))
def test_rows_are_the_equations_of_the_page(seed: int, lag: float) -> None:
    rng = np.random.default_rng(seed)
    x = filter_states.random_state(rng)
    said, bent, sigma, accel = rng.normal(size=(4, 3))
    new, jitter, doubt, speed_sigma, swing = rng.uniform(0.0, 1.0, 5)
    h, residual, variance, slope, shown = (
        np.empty(n) for n in [(3, kernel.N), 3, 3, (3, kernel.N), 3]
    )
    v = x[kernel.X_VEL : kernel.X_VEL + 3]

    north, east, down = sigma.tolist()
    fill_place(
        x, lag, said, bent, (north, east, down), (new, jitter, doubt), h, residual, variance
    )
    models.gnss_position(x, lag, slope, shown)
    np.testing.assert_array_equal(h, slope)
    np.testing.assert_allclose(residual, said - shown - bent, atol=1e-12)
    white, late = new * sigma, jitter * v
    np.testing.assert_allclose(variance, white**2 + late**2 + doubt * lag**2)

    fill_speed(x, accel, lag, said, bent, (speed_sigma, swing, doubt), h, residual, variance)
    models.gnss_velocity(x, accel, lag, slope, shown)
    np.testing.assert_array_equal(h, slope)
    np.testing.assert_allclose(residual, said - shown - bent, atol=1e-12)
    worse = np.array([1.0, 1.0, 1.5])  # EKF2: down by half
    np.testing.assert_allclose(variance, (worse * speed_sigma) ** 2 + swing**2 + doubt)


def test_an_antenna_says_where_the_imu_is() -> None:
    """Place and slope: a fix at the end of an arm, against the arm turned by hand."""
    scene, arm = Scene(), np.array([0.4, -0.3, -0.8])
    x = scene.belief.x
    x[0:6] = x[kernel.X_GNSS : kernel.X_GNSS + 3] = 0.0
    x[kernel.X_GYRO_BIAS : kernel.X_GYRO_BIAS + 3] = 0.0

    def residual(state: np.ndarray) -> np.ndarray:
        x[:] = state
        return place_rows(scene.solve(replace(FIX, antenna_frd_m=arm)), x, CONFIG).residual

    still, step = x.copy(), 1e-6
    r = frames.rotation_from_quat(still[kernel.X_Q : kernel.X_Q + 4])
    np.testing.assert_allclose(residual(still), -r @ arm, atol=1e-9)
    rows = place_rows(scene.solve(replace(FIX, antenna_frd_m=arm)), x, CONFIG)
    for j in range(kernel.ATT, kernel.ATT + 3):
        error = np.zeros(kernel.N)
        error[j] = step
        up, down = (residual(reference.boxplus(still, s * error)) for s in (1.0, -1.0))
        np.testing.assert_allclose(rows.h[:, j], -(up - down) / (2.0 * step), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "no_place", "no_speed"),
    [
        ({}, "", ""),
        ({"fix_type": 2}, "no 3D fix", "no 3D fix"),
        ({"latitude_deg": 91.0}, "impossible coordinates", "impossible coordinates"),
        ({"latitude_deg": 0.0}, FAR, FAR),
        ({"antenna_frd_m": np.full(3, 1e3)}, "impossible antenna", "impossible antenna"),
        ({"eph_m": float("nan")}, "accuracy too poor", "accuracy too poor"),
        ({"velocity_ned_m_s": None}, "", "no velocity"),
        ({"velocity_ned_m_s": np.full(3, 1e4)}, "", "impossible velocity"),
        ({"speed_accuracy_m_s": float("nan")}, "", "accuracy too poor"),
    ],
)
def test_what_cannot_be_used_is_no_number(
    change: dict[str, object], no_place: str, no_speed: str
) -> None:
    said = Scene().solve(replace(FIX, **change))  # type: ignore[arg-type]
    assert (said.no_place, said.no_speed) == (no_place, no_speed)
    assert np.isnan(said.place).all() == bool(no_place)
    assert np.isnan(said.velocity).all() == bool(no_speed)


def test_late_and_stuck_fixes_say_nothing_at_all() -> None:
    assert Scene().solve(FIX, lag_s=LATE_MAX_S + 0.01).no_place == TOO_LATE
    stuck = Scene().solve(FIX, stuck=(STUCK, ""))
    assert (stuck.no_place, stuck.no_speed) == (STUCK, STUCK)
    doppler = Scene().solve(FIX, stuck=("", STUCK))
    assert (doppler.no_place, doppler.no_speed) == ("", STUCK)


def test_after_an_impact_the_place_counts_and_the_speed_waits() -> None:
    scene = Scene()
    scene.belief.watch[steps.STRUCK] = 99.9
    said = scene.solve(FIX)
    assert said.struck
    assert (said.no_place, said.no_speed) == ("", BEFORE_IMPACT)
    for at_s in np.arange(100.1, 102.0, 0.1):  # an IMU that rattles is no excuse for long
        scene.belief.watch[steps.STRUCK] = at_s
        said = scene.border.solve(FIX, at_s, 0.0, stuck=("", ""), located=True)
    assert not said.struck
    assert said.no_speed == ""


def test_a_fix_claims_no_better_than_is_ever_believed() -> None:
    said = Scene().solve(replace(FIX, eph_m=0.01, epv_m=0.01, speed_accuracy_m_s=0.01))
    least = [CONFIG.gnss_eph_min_m, CONFIG.gnss_eph_min_m, CONFIG.gnss_epv_min_m]
    np.testing.assert_array_equal(said.sigma, least)
    assert said.speed_sigma == CONFIG.gnss_speed_min_m_s
    rows = speed_rows(said, np.zeros(kernel.N_NOMINAL), np.zeros(3))
    assert rows.variance[0] == pytest.approx(CONFIG.gnss_speed_min_m_s**2)
