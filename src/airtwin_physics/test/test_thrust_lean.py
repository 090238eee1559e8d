# SPDX-License-Identifier: Apache-2.0
"""Rotors that do not push along the IMU's z: told from wind as the aircraft turns."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from airtwin_core import aircraft, frames
from airtwin_core.types import Array, Attitude, Imu, Magnetometer, Sample
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.kernel import X_LEAN
from airtwin_physics.estimator import Estimator
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario, VehicleSpec, Wind

NAN = float("nan")
WIND = np.array([5.0, -3.0])
MOUNTED = Rotation.from_rotvec([math.radians(1.2), math.radians(-0.9), 0.0])  # IMU in the body
KNOWN_STRAIGHT = dataclasses.replace(
    EstimatorConfig(), thrust_lean_sigma=1e-6, thrust_lean_walk=0.0
)


def _by_tilted_imu(sample: Sample) -> Sample:
    """Return the sample as the sensors of a board show it that sits ``MOUNTED`` in the body."""
    turn = MOUNTED.inv().apply
    if isinstance(sample, Imu):
        return dataclasses.replace(
            sample,
            rate_frd_rad_s=turn(sample.rate_frd_rad_s),
            specific_force_frd_m_s2=turn(sample.specific_force_frd_m_s2),
        )
    if isinstance(sample, Magnetometer):
        return dataclasses.replace(sample, field_frd_gauss=turn(sample.field_frd_gauss))
    if isinstance(sample, Attitude):
        x, y, z, w = MOUNTED.as_quat()
        q = frames.quat_multiply(sample.q_ned_frd, np.array([w, x, y, z]))
        return dataclasses.replace(sample, q_ned_frd=q)
    return sample


@functools.cache
def _flight() -> tuple[Sample, ...]:
    """Return the samples of a hover in wind that turns by 90 deg every 5 s."""
    scenario = Scenario(
        (VehicleSpec("px4_1"),), wind=Wind((*WIND, 0.0)), seed=21, extra_topics=True
    )
    flight, o, out = Flight(scenario), scenario.origin, []

    def run(seconds: float) -> None:
        out.extend(_by_tilted_imu(sample) for _, _, sample in flight.run(seconds))

    def order(number: int, *params: float) -> None:
        flight.world.command("px4_1", Command(number, params))

    run(4.0)
    order(400, 1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    run(1.0)
    order(22, *(NAN,) * 7)
    run(8.0)
    for leg in range(4):
        yaw = math.remainder(0.5 * math.pi * leg, 2.0 * math.pi)
        place = (o.latitude_deg, o.longitude_deg, o.altitude_amsl_m + 5.0)
        order(192, -1.0, 1.0, 0.0, yaw, *place)
        run(5.0)
    return tuple(out)


def _end(config: EstimatorConfig) -> tuple[float, Array, Array]:
    """Return the error of the wind [m/s], the lean (2,) and its sigma (2,) at the end."""
    estimator = Estimator(config, aircraft=aircraft.load("x500"))
    for sample in _flight():
        estimator.on(sample)
    state = estimator.state()
    assert state is not None
    assert state.wind is not None
    belief = estimator._belief
    at = slice(X_LEAN, X_LEAN + 2)
    return (
        float(np.linalg.norm(state.wind.velocity_ne_m_s - WIND)),
        belief.x[at].copy(),
        np.sqrt(np.diag(belief.p)[X_LEAN - 1 : X_LEAN + 1]),
    )


def test_a_thrust_that_leans_is_told_from_wind_by_turning() -> None:
    error_m_s, lean, sigma = _end(EstimatorConfig())
    true = MOUNTED.inv().apply([0.0, 0.0, -1.0])[:2]
    assert error_m_s < 0.4
    assert np.linalg.norm(lean - true) < 0.4 * np.linalg.norm(true)
    assert np.all(np.abs(lean - true) < 3.0 * sigma)
    assert np.all(sigma < 0.6 * EstimatorConfig().thrust_lean_sigma)
    error_m_s, lean, _ = _end(KNOWN_STRAIGHT)
    assert error_m_s > 0.7  # as wind
    assert lean == pytest.approx(0.0, abs=1e-4)
