# SPDX-License-Identifier: Apache-2.0
"""Steps to the filter's horizon and to now, whole and split, against single predictions."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Array
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.imu import N_ENTRY
from airtwin_physics.ekf.steps import (
    FORCED,
    FORCED_S,
    FORCED_SHAKEN,
    N_WATCH,
    REACHED,
    before,
    forecast,
    step_until,
)

from filter_states import (  # isort: skip
    CONSTANTS,
    N,
    random_covariance,
    random_state,
    random_step,
)


def test_forecast_leaves_the_belief_alone_and_equals_stepping() -> None:
    rng = np.random.default_rng(5)
    x, p = random_state(rng), random_covariance(rng)
    steps = np.stack([random_step(np.random.default_rng(9), 0.004) for _ in range(8)])
    ring = np.hstack([steps, np.zeros((8, N_ENTRY - 11))])
    before = x.copy(), p.copy()
    now, cov = np.empty(kernel.N_NOMINAL), np.empty((N, N))
    forecast(x, p, ring, 5, 15, CONSTANTS, now, cov)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(p, before[1])
    for index in range(5, 15):
        kernel.predict(x, p, ring[index % 8, :11], CONSTANTS)
    np.testing.assert_allclose(now, x, atol=1e-12)
    np.testing.assert_allclose(cov.diagonal(), p.diagonal(), rtol=0.02)


@pytest.mark.parametrize("steps", [1, 5])
def test_steps_to_the_horizon_equal_predictions(steps: int) -> None:
    """The state exactly, the covariance as far as F changes from step to step."""
    rng = np.random.default_rng(6)
    x, p = random_state(rng), random_covariance(rng)
    ring = np.zeros((8, N_ENTRY))
    for k in range(8):
        ring[k, :11], ring[k, 11] = (
            random_step(np.random.default_rng(10 + k), 0.004),
            0.004 * (k + 1),
        )
    ring[:, 1:4] *= 0.3  # an aircraft in quick motion, not a spinning top
    watch = np.zeros(N_WATCH)
    expected_x, expected_p = x.copy(), p.copy()
    until_s = 0.004 * steps
    reached = step_until(x, p, ring, 0, 7, 1.0, until_s - 1e-6, CONSTANTS, watch)
    assert reached == steps
    for k in range(steps):
        kernel.predict(expected_x, expected_p, ring[k, :11], CONSTANTS)
    np.testing.assert_allclose(x, expected_x, atol=1e-12)
    sigma = np.sqrt(expected_p.diagonal())
    off = np.abs(p - expected_p) / np.outer(sigma, sigma)
    assert off.max() < (1e-12 if steps == 1 else 5e-3)
    assert np.array_equal(p, p.T)
    force = ring[:steps, 4:7].sum(axis=0) * 0.004
    np.testing.assert_allclose(watch[FORCED_S], until_s)
    np.testing.assert_allclose(watch[FORCED : FORCED + 3], force)
    np.testing.assert_allclose(watch[FORCED_SHAKEN], ring[:steps, 10].sum())


def _long_steps() -> tuple[Array, Array, Array, Array]:
    """Return x, P, a ring (4, N_ENTRY) of steps of 0.1 s from time 0 on, and what watches."""
    rng = np.random.default_rng(7)
    ring = np.zeros((4, N_ENTRY))
    for k in range(4):
        ring[k, :11], ring[k, 11] = random_step(np.random.default_rng(20 + k), 0.1), 0.1 * (k + 1)
    ring[:, 1:4] *= 0.3
    return random_state(rng), random_covariance(rng), ring, np.zeros(N_WATCH)


def test_a_long_step_is_split_where_a_measurement_was_true() -> None:
    x, p, ring, watch = _long_steps()
    pieces = [np.concatenate([[dt], ring[k, 1:7], ring[k, 7:11] * dt / 0.1])
              for k, dt in ((0, 0.1), (1, 0.03), (1, 0.05), (1, 0.02), (2, 0.1))]  # fmt: skip
    expected_x, expected_p = x.copy(), p.copy()
    reached = []
    for event_s in (0.1, 0.13, 0.18, 1.0):
        first = reached[-1] if reached else 0
        reached.append(step_until(x, p, ring, first, 3, 0.35, event_s, CONSTANTS, watch))
        for piece in pieces[:1] if event_s < 1.0 else pieces[:2]:
            kernel.predict(expected_x, expected_p, piece, CONSTANTS)
        pieces = pieces[1:] if event_s < 1.0 else []
        np.testing.assert_allclose(x[:20], expected_x[:20], atol=1e-9)
        assert watch[REACHED] == pytest.approx(min(event_s, 0.3))
        if event_s < 1.0:
            now, cov = np.empty(kernel.N_NOMINAL), np.empty((N, N))
            left = expected_x.copy(), expected_p.copy()
            forecast(x, p, ring, reached[-1], 3, CONSTANTS, now, cov)
            for piece in pieces:
                kernel.predict(*left, piece, CONSTANTS)
            # what is split there turns the force by the attitude half way in each part
            np.testing.assert_allclose(now[:16], left[0][:16], rtol=0.0, atol=3e-3)
    assert reached == [1, 1, 1, 3]
    np.testing.assert_allclose(watch[FORCED_S], 0.3)
    np.testing.assert_allclose(watch[FORCED_SHAKEN], ring[:3, 10].sum())
    assert np.array_equal(p, p.T)


def test_near_its_end_or_beyond_the_target_a_step_stays_whole() -> None:
    x, p, ring, watch = _long_steps()
    assert step_until(x, p, ring, 0, 4, 0.15, 0.096, CONSTANTS, watch) == 1
    assert step_until(x, p, ring, 1, 4, 0.15, 0.17, CONSTANTS, watch) == 1
    assert watch[REACHED] == pytest.approx(0.1)


@pytest.mark.parametrize("when_s", [0.22, 0.2, 0.13, 0.0])
def test_the_way_back_is_the_way(when_s: float) -> None:
    x, p, ring, watch = _long_steps()
    then, back = x.copy(), np.empty(kernel.N_NOMINAL)
    if when_s:
        step_until(then, p.copy(), ring.copy(), 0, 4, 0.4, when_s, CONSTANTS, np.zeros(N_WATCH))
    first = step_until(x, p, ring, 0, 4, 0.4, 0.25, CONSTANTS, watch)
    doubt = before(x, ring, first, 4, watch, when_s, back)
    # elsewhere than at a step's ends the attitude half way, which turns the force, is another
    whole = when_s in (0.2, 0.0)
    np.testing.assert_allclose(back[:10], then[:10], rtol=0.0, atol=1e-9 if whole else 2e-3)
    shares = [min(max((0.1 * (k + 1) if k < 2 else 0.25) - max(when_s, 0.1 * k), 0.0), 0.1) / 0.1
              for k in range(3)]  # fmt: skip
    assert doubt == pytest.approx(ring[:3, 10] @ shares)
    before(x, ring, first, 4, watch, -5.0, back)  # no further than the ring
    start = _long_steps()[0]
    np.testing.assert_allclose(back[:10], start[:10], atol=1e-9)
