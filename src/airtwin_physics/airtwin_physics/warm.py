# SPDX-License-Identifier: Apache-2.0
"""Compiles the estimator's kernels, or loads them from numba's cache, before the first sample."""

from __future__ import annotations

import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Battery
from airtwin_core.types.belief import N_ERROR
from airtwin_physics import battery
from airtwin_physics.ekf import (
    aiding_models,
    correction,
    disturbance,
    doubt,
    imu_doubt,
    imu_noise,
    kernel,
    models,
    motion_heading,
    output,
    receiver,
    steps,
    symmetry,
    wind,
)
from airtwin_physics.ekf import imu as imu_kernels
from airtwin_physics.ekf.sensors import solution
from airtwin_physics.identify import warm as identify_warm


def warm_up() -> None:
    """Run every kernel once, so that nothing compiles in flight."""
    identify_warm.warm_up()
    _battery()
    x = np.zeros(kernel.N_NOMINAL)
    x[kernel.X_Q] = 1.0
    p, h = np.eye(kernel.N), np.zeros((3, kernel.N))
    three, ring = np.ones(3), np.zeros((2, imu_kernels.N_ENTRY))
    rest, watch = np.zeros(imu_noise.N_REST), np.zeros(steps.N_WATCH)
    pack, cell = np.ones(battery.model.N_PACK), np.array([3.0, 4.0])
    battery.discharge(pack, cell, three, three, 25.0, 0.1)
    battery.endurance(pack, cell, three, 1.0, 25.0, 1.0, 2.0)
    constants = np.ones(kernel.N_CONSTANTS)
    imu_kernels.take(ring, 0, rest, three, three, 1e-3, 1e-3, 0.0, False, np.ones(4))
    imu_noise.by_neighbours(rest, 0)
    steps.step_until(x, p, ring, 0, 1, 1.0, 1.0, constants, watch)
    steps.before(x, ring, 0, 1, watch, 0.0, np.empty(kernel.N_NOMINAL))
    row, covariance = np.empty(output.N_ROW), np.empty((N_ERROR, N_ERROR))
    law = np.array([1.0, 0.1, 0.1, 0.1, 1.0, 1.0])
    aside = np.zeros((3, 3))
    air = np.empty((6, 2))
    output.present(x, p, law, ring, 0, 2, constants, rest, aside, row, air, covariance)
    models.gnss_position(x, 0.0, h, np.empty(3))
    three_more = np.empty(3), np.empty(3)
    solution.fill_place(x, 0.0, three, three, (1.0, 1.0, 1.0), (0.1, 0.1, 0.1), h, *three_more)
    solution.fill_speed(x, three, 0.0, three, three, (0.1, 0.1, 0.1), h, *three_more)
    models.barometer_in_wind(x, p, law, 0.0, 1.0, h[:1])
    seen, look = np.zeros(disturbance.N_SEEN), np.empty(disturbance.N_LOOK)
    disturbance.look(x, p, three, 1.0, seen, 1.0, h[0], look)
    models.heading(x, x[kernel.X_Q : kernel.X_Q + 4], h[0])
    models.air_velocity(x, h)
    wind.blown(1.0, 1.0, 1.0, 0.1, np.empty(wind.N_BLOWN))
    wind.gusts(x, p, law, constants, 1.0, 0.04)
    wind.drag_shown(x, np.ones_like(watch), law, 1.0, 1.0, h[:2], np.empty(2), np.empty(2))
    models.airspeed(x, h[0])
    models.sideslip(x, h[0])
    x[kernel.X_TERRAIN] = x[2] + 1.0
    aiding_models.rangefinder(x, 0.0, h[0])
    aiding_models.flow(x, h[:2], np.empty(2))
    aiding_models.body_velocity(x, h, np.empty(3))
    aiding_models.antenna_heading(x, 0.0, h[0])
    doubt.stray(np.zeros(5), (1.0, 1.0, 1.0), (0, 2), 1.0, 1.0, 1.0, 1.0)
    receiver.leaves_trend(np.zeros((4, 6)), 0, three, three, (1.0, 1.0, 1.0), 1.0, 1.0)
    correction.spread(p, h[1])
    correction.statistic(p, h, three, three)
    correction.update(x, p, h, three, three, correction.FREE)
    correction.gate(x, p, h, three, three, 1.0, correction.FREE, np.ones(3), np.ones(4), True)
    correction.forget(p, 0, 1.0)
    correction.expect_gnss(x, p, np.ones(7), (1.0, 1.0, 1.0), 1.0)
    correction.place(p, 0, kernel.GNSS, -1.0, 1.0)
    symmetry.blind(x, h)
    symmetry.carry(x, x, p)
    steps.settle(x, p, watch)
    imu_doubt.follow(np.zeros(imu_doubt.N_SINCE), ring, 0, 1)
    pushes, since = np.zeros((2, imu_doubt.N_PUSH)), np.zeros(imu_doubt.N_SINCE)
    imu_doubt.felt(three, aside, since)
    imu_doubt.pushed(pushes, 0, three, three, aside, since, (1.0, 1.0, 1.0))
    motion_heading.follow(x[6:10], np.zeros(3), ring, 0, 1, np.zeros(3))


def _battery() -> None:
    """Let an estimator take a window: what it calls from Python, with the types it has then.

    Without a measured temperature, so that the heat is predicted too.
    """
    table = np.array([3.0, 4.2])
    pack = BatteryCoefficients(
        4, 1.0, 0.01, 3000.0, 1.0, 0.05, 0.01, 10.0, 100.0, 1.0, 3.3, 0.0, 1.0, table
    )
    follower = battery.BatteryEstimator(pack)
    for at in (1, 1_000_000_001):
        follower.on(Battery(at, at, 15.0, 10.0, np.nan, 0))
