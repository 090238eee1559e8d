# SPDX-License-Identifier: Apache-2.0
"""What is published against the same in plain numpy, and what a consumer may rely on."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types.belief import N_ERROR
from airtwin_physics.ekf import imu_noise, kernel, output, steps
from airtwin_physics.ekf.imu import N_ENTRY
from airtwin_physics.ekf.steps import forecast
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

N = kernel.N
WIND, GUST = slice(kernel.WIND, kernel.WIND + 2), slice(kernel.GUST, kernel.GUST + 2)


@pytest.mark.parametrize("seed", range(4))
def test_present_equals_plain_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=kernel.N_NOMINAL)
    x[6:10] = frames.quat_normalise(rng.normal(size=4))
    root = rng.normal(size=(N, N))
    p = root @ root.T / N
    ring = np.zeros((4, N_ENTRY))
    ring[:, 0] = 0.004
    ring[:, 1:7] = rng.normal(size=(4, 6))
    constants = np.full(kernel.N_CONSTANTS, 0.1)
    constants[kernel.CAP] = 1e6
    measured, aside = rng.normal(size=6), np.diag([4.0, 5.0, 0.0])
    now, cov = np.empty(kernel.N_NOMINAL), np.empty((N, N))
    forecast(x, p, ring, 1, 6, constants, now, cov)
    row, air, covariance = np.empty(output.N_ROW), np.empty((6, 2)), np.empty((N_ERROR, N_ERROR))
    rest = np.zeros(imu_noise.N_REST)
    rest[imu_noise.LAST : imu_noise.LAST + 6] = measured
    held = np.array([0.15, 0.01, 0.01, 0.01, 0.0])  # the wind itself
    output.present(x, p, held, ring, 1, 6, constants, rest, aside, row, air, covariance)
    q = now[6:10] if now[6] >= 0.0 else -now[6:10]
    force_ned = frames.rotation_from_quat(q) @ (measured[3:6] - now[13:16])
    both = cov[WIND, WIND] + cov[GUST, GUST] + cov[WIND, GUST] + cov[GUST, WIND]
    expected = np.concatenate(
        [
            now[:6],
            q,
            now[10:],
            measured[:3] - now[10:13],
            force_ned - kernel.GRAVITY_M_S2 * np.array([0.0, 0.0, -1.0]),
        ]
    )
    np.testing.assert_allclose(row, expected, atol=1e-12)
    blown = now[22:24] + now[27:29], both, now[22:24], cov[WIND, WIND]
    np.testing.assert_allclose(air, np.vstack(blown), atol=1e-12)
    cov[:3, :3] += aside
    np.testing.assert_array_equal(covariance, cov[:N_ERROR, :N_ERROR])
    np.testing.assert_array_equal(covariance, covariance.T)


def test_settle_tells_corrections_from_motion_and_finds_a_broken_belief() -> None:
    x, p, watch = np.zeros(kernel.N_NOMINAL), np.eye(N), np.zeros(steps.N_WATCH)
    x[kernel.X_Q] = 1.0
    looked = slice(steps.LOOKED_VEL, steps.LOOKED_VEL + 3)
    watch[looked], watch[steps.BEFORE : steps.BEFORE + 3] = [1.0, 2.0, 3.0], [0.5, 0.5, 0.5]
    watch[steps.BEFORE_Q : steps.BEFORE_Q + 4] = [np.cos(0.01), 0.0, np.sin(0.01), 0.0]
    x[3:6] = [0.6, 0.5, 0.2]
    assert steps.settle(x, p, watch)
    np.testing.assert_allclose(watch[looked], [1.1, 2.0, 2.7])
    np.testing.assert_allclose(watch[steps.CORRECTED], [0.1, 0.0, -0.3])
    assert watch[steps.TURNED] == pytest.approx(0.02, abs=1e-4)
    x[3] = np.nan
    assert not steps.settle(x, p, watch)


def test_a_published_state_never_changes() -> None:
    flight = simulate.fly(np.random.default_rng(1), 3.0)
    estimator = Estimator()
    states = [s for sample in flight.samples if (s := estimator.on(sample)) is not None]
    kept = [(s.position_ned_m.copy(), s.q_ned_frd.copy(), s.covariance.copy()) for s in states]
    for sample in simulate.fly(np.random.default_rng(1), 4.0).samples:
        estimator.on(sample)
    assert len(states) > 20
    for state, (position, q, covariance) in zip(states, kept, strict=True):
        np.testing.assert_array_equal(state.position_ned_m, position)
        np.testing.assert_array_equal(state.q_ned_frd, q)
        np.testing.assert_array_equal(state.covariance, covariance)
