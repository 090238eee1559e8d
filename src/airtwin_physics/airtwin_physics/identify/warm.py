# SPDX-License-Identifier: Apache-2.0
"""Compiles the kernels of the identification, or loads them from numba's cache."""

from __future__ import annotations

import numpy as np

from airtwin_physics.identify import bank, model, rows
from airtwin_physics.identify.digest import N_IMU, digest, fresh


def warm_up() -> None:
    """Run every kernel once, on an aircraft of one rotor."""
    rotors = np.ones((1, 13))
    rotors[:, rows.SPEED_MAX] = 2.0
    craft = rows.Craft(1.0, np.eye(3), np.eye(3), np.ones(3), 1.0, 1.0, rotors)
    n, count = rows.size(1), 3
    block = np.ones(rows.width(1))
    theta, p = np.zeros((count, n)), np.tile(np.eye(n), (count, 1, 1))
    weight, six, added = np.full(count, 1.0 / count), np.ones(6), np.zeros((count, n))
    learnt = np.ones((6, n))
    bank.step(theta, p, weight, added, block, six.copy(), six, craft, 4.0, learnt, 0.1, 0.1)
    seen, shows = np.zeros((1, 6)), np.ones(1)
    bank.over_flight(
        theta[0], p[0], theta[1], block[None], shows, six, craft, 4.0, learnt, 1.0, True,
        seen, seen.copy(),
    )  # fmt: skip
    slopes = np.zeros((1, 6, n))
    model.felt_all(theta[0], np.zeros((1, 2)), block[None], craft, np.zeros((1, 6)), slopes)
    command, imu, out = np.zeros(1), np.ones((1, N_IMU)), np.zeros((1, rows.width(1)))
    pose = np.zeros(12)
    digest(
        fresh(craft), imu, 1, command, command, np.array([0.0, 1.0]), pose, 1.0, craft, 9.0, out
    )
