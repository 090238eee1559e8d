# SPDX-License-Identifier: Apache-2.0
"""What the IMU's own spread says of its white noise: vibration is none, motion is none."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Array
from airtwin_physics.ekf import imu, imu_noise

DT_S = 0.005
DOUBT = np.array([0.3, 3.0, 20.0, 80.0])


def _shown(samples: Array, dt_s: float = DT_S) -> tuple[Array, Array]:
    """Return what one second and a half of (n, 6) leaves: ring entry and running figures."""
    ring, rest = np.zeros((1, imu.N_ENTRY)), np.zeros(imu_noise.N_REST)
    for k, sample in enumerate(samples):
        imu.take(ring, 0, rest, sample[:3], sample[3:], dt_s, dt_s, k * dt_s, False, DOUBT)
    return ring[0], rest


def _plain(samples: Array, dt_s: float, window_s: float) -> Array:
    """Return the densities (6,) of ``imu_noise.blocks``, by arrays."""
    per = round(0.02 / dt_s)
    means = samples[: len(samples) // per * per].reshape(-1, per, 6).mean(axis=1)
    bends = (means[2:] - 2.0 * means[1:-1] + means[:-2]) ** 2 * per * dt_s / 6.0
    density = np.zeros(6)
    for k, bend in enumerate(bends):
        share = max(per * dt_s / window_s, 1.0 / (k + 1))
        density += share * (bend - density)
    return density


@pytest.mark.parametrize("dt_s", [0.001, 0.002, 0.004, 0.005, 0.02])
def test_density_is_that_of_the_plain_arithmetic(dt_s: float) -> None:
    samples = np.random.default_rng(5).normal(size=(301, 6))
    _, rest = _shown(samples, dt_s)
    assert np.allclose(rest[41:47], _plain(samples, dt_s, 0.5), rtol=1e-9)


def test_white_noise_is_doubted_as_much_as_it_is() -> None:
    sizes = np.repeat([0.05, 0.8], 3)
    found = []
    for seed in range(20):
        samples = np.random.default_rng(seed).normal(size=(300, 6)) * sizes
        found.append(_shown(samples)[0])
    mean = np.mean(found, axis=0)
    assert mean[7:10] == pytest.approx(np.full(3, (0.05 * DT_S) ** 2), rel=0.35)
    assert (0.8 * DT_S) ** 2 * 0.7 < mean[10] < (0.8 * DT_S) ** 2 * 1.8  # the worst of three


@pytest.mark.parametrize(("hertz", "share"), [(45.0, 0.12), (70.0, 0.5), (99.0, 0.01)])
def test_vibration_is_no_noise(hertz: float, share: float) -> None:
    times = np.arange(300) * DT_S
    shaken = np.sin(2.0 * np.pi * hertz * times + 0.4)[:, None] * np.repeat([0.5, 8.0], 3)
    entry, rest = _shown(shaken)
    neighbours = rest[9:15] * DT_S**2
    assert np.all(entry[7:10] < share * neighbours[:3])
    assert entry[10] < share * neighbours[3]


@pytest.mark.parametrize("per_message", [1, 2, 4])
def test_neighbours_that_share_samples_are_doubted_as_much_as_their_sum(per_message: int) -> None:
    """PX4's integrator: each message is the mean of trapezoids, from the sample before on."""
    size, found = 0.1, []
    for seed in range(20):
        raw = np.random.default_rng(seed).normal(size=(300 * per_message + 1, 6)) * size
        trapezoids = 0.5 * (raw[1:] + raw[:-1])
        found.append(_shown(trapezoids.reshape(300, per_message, 6).mean(axis=1))[0])
    doubted = np.mean(found, axis=0)[7:10] / (size**2 * DT_S**2 / per_message)
    assert np.all((doubted > 0.6) & (doubted < 1.2))  # the lower of two guesses is a bit low


def test_a_steady_change_is_no_noise() -> None:
    ramp = np.linspace(0.0, 15.0, 300)[:, None] * np.ones(6)
    entry, _ = _shown(ramp)
    assert np.all(entry[7:11] < 1e-12)


def test_a_bump_is_not_taken_for_more_noise_than_trapezoids_explain() -> None:
    samples = np.random.default_rng(2).normal(size=(300, 6)) * 1e-3
    samples[200:] += 5.0 * np.sin(np.arange(100) * DT_S * 20.0)[:, None]
    entry, rest = _shown(samples)
    assert np.all(entry[7:10] <= 4.0 * rest[9:12] * DT_S**2 * (1.0 + 1e-9))
    assert np.all(entry[7:10] <= rest[41:44] * DT_S * (1.0 + 1e-9))


def test_too_few_means_tell_nothing() -> None:
    samples = np.random.default_rng(3).normal(size=(12, 6))
    entry, rest = _shown(samples)
    near, beyond = rest[9:12], rest[54:57]
    shown = np.minimum(np.maximum(near, 3.0 * beyond - 2.0 * near), 4.0 * near)
    assert entry[7:10] == pytest.approx(shown * DT_S**2)
