# SPDX-License-Identifier: Apache-2.0
"""Rows of H of ground, pose and antennas against finite differences and geometry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import aiding_models, kernel, reference

STEP = 1e-6


def _state(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=kernel.N_NOMINAL)
    x[6:10] = frames.quat_from_euler(*rng.uniform(-0.6, 0.6, 2), rng.uniform(-3, 3))
    x[3:6] *= 4.0
    x[kernel.X_TERRAIN] = x[2] + rng.uniform(2.0, 20.0)
    return x


def _slope(x: Array, value: Callable[[Array], Array | float]) -> Array:
    """Return d value / d error (m, N) by central differences."""
    columns = []
    for i in range(kernel.N):
        error = np.zeros(kernel.N)
        error[i] = STEP
        ahead, back = value(reference.boxplus(x, error)), value(reference.boxplus(x, -error))
        columns.append((np.asarray(ahead) - np.asarray(back)) / (2.0 * STEP))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("seed", range(5))
def test_row_of_rangefinder(seed: int) -> None:
    x, h, scratch = _state(seed), np.empty(kernel.N), np.empty(kernel.N)
    shown = aiding_models.rangefinder(x, 0.02, h)
    r = frames.rotation_from_quat(x[6:10])
    foot = x[0:3] - 0.02 * x[3:6] + r @ (0.0, 0.0, shown)
    assert foot[2] == pytest.approx(x[kernel.X_TERRAIN])  # the ray ends on the ground
    slope = _slope(x, lambda y: aiding_models.rangefinder(y, 0.02, scratch))
    np.testing.assert_allclose(h, slope, atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_flow(seed: int) -> None:
    x, h, shown = _state(seed), np.empty((2, kernel.N)), np.empty(2)
    aiding_models.flow(x, h, shown)

    def value(y: Array) -> Array:
        out = np.empty(2)
        aiding_models.flow(y, np.empty((2, kernel.N)), out)
        return out.copy()

    np.testing.assert_allclose(h, _slope(x, value), atol=1e-6)


def test_flow_is_what_a_camera_sees() -> None:
    """A point of the ground in the middle of the picture, followed for a short time."""
    x = _state(7)
    dt_s = 1e-5
    r = frames.rotation_from_quat(x[6:10])
    distance = aiding_models.rangefinder(x, 0.0, np.empty(kernel.N))
    point = x[0:3] + r @ (0.0, 0.0, distance)
    after = r.T @ (point - x[0:3] - x[3:6] * dt_s)
    # to bring the point back to the middle the camera would have to turn by minus this
    seen = np.array([after[1], -after[0]]) / after[2] / dt_s
    shown = np.empty(2)
    aiding_models.flow(x, np.empty((2, kernel.N)), shown)
    np.testing.assert_allclose(shown, seen, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_body_velocity(seed: int) -> None:
    x, h, shown = _state(seed), np.empty((3, kernel.N)), np.empty(3)
    aiding_models.body_velocity(x, h, shown)
    np.testing.assert_allclose(shown, frames.rotation_from_quat(x[6:10]).T @ x[3:6], atol=1e-12)

    def value(y: Array) -> Array:
        out = np.empty(3)
        aiding_models.body_velocity(y, np.empty((3, kernel.N)), out)
        return out.copy()

    np.testing.assert_allclose(h, _slope(x, value), atol=1e-7)


@pytest.mark.parametrize("yaw", [0.0, 0.5 * np.pi, -2.0])
@pytest.mark.parametrize("seed", range(3))
def test_row_of_antennas(seed: int, yaw: float) -> None:
    x, h, scratch = _state(seed), np.empty(kernel.N), np.empty(kernel.N)
    shown, level = aiding_models.antenna_heading(x, yaw, h)
    line = frames.rotation_from_quat(x[6:10]) @ (np.cos(yaw), np.sin(yaw), 0.0)
    assert shown == pytest.approx(np.arctan2(line[1], line[0]))
    assert level == pytest.approx(np.hypot(line[0], line[1]))
    slope = _slope(x, lambda y: aiding_models.antenna_heading(y, yaw, scratch)[0])
    np.testing.assert_allclose(h, slope, atol=1e-7)
