# SPDX-License-Identifier: Apache-2.0
"""States, covariances and IMU steps of the filter by chance, in usual sizes."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import kernel

N = kernel.N
DENSITY = np.array([1.5e-3, 3.5e-2, 1e-4, 3e-4, 0.05, 0.1, 0.005, 0.001, 0.5, 0.01, 3e-4])
SIGMA = np.array([0.8, 0.8, 1.2, 0.15, 1.5, 1.5, 0.7])
TAU = np.array([60.0, 60.0, 60.0, 100.0, 5.0, 5.0, 1.5])
CAP = np.full(N, 1e12)
CONSTANTS = np.concatenate([DENSITY, SIGMA, TAU, CAP])


def random_state(rng: np.random.Generator) -> Array:
    """Return x (N + 1,)."""
    x = rng.normal(size=kernel.N_NOMINAL)
    x[0:3] *= 100.0
    x[3:6] *= 10.0
    x[6:10] = frames.quat_normalise(rng.normal(size=4))
    x[10:13] *= 0.05
    x[13:16] *= 0.3
    x[kernel.X_HEADING] *= 0.1
    x[kernel.X_DELAY] *= 0.05
    return x


def random_covariance(rng: np.random.Generator) -> Array:
    """Return P (N, N), all errors correlated."""
    a = rng.normal(size=(N, N)) * np.array(
        [1.0] * 3
        + [0.3] * 3
        + [0.02] * 3
        + [0.002] * 3
        + [0.05] * 3
        + [1.0] * 4
        + [0.1, 0.03]
        + [2.0] * 2
        + [0.3, 0.1, 5.0, 1.0, 1.0, 0.5, 0.2, 0.02, 0.02]
    ).reshape(-1, 1)
    return a @ a.T / N + 1e-9 * np.eye(N)


def random_step(rng: np.random.Generator, dt: float) -> Array:
    """Return the ``imu`` (11,) of ``kernel.predict`` over dt [s]."""
    shaken = np.array([1e-6, 2e-6, 3e-6, 4e-4])
    return np.concatenate(
        [[dt], rng.normal(size=3) * 2.0, rng.normal(size=3) * 5.0 - [0.0, 0.0, 9.8], shaken]
    )
