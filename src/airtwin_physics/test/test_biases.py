# SPDX-License-Identifier: Apache-2.0
"""Where a filter begins, and where the IMU's biases are others from one sample to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Imu
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.alignment import FirstAttitude
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip


def test_an_imu_that_is_switched_over_brings_biases_of_its_own() -> None:
    """0.03 rad/s and 0.3 m/s2 further off from 12 s on, as after a change of the primary IMU."""
    flight = simulate.fly(np.random.default_rng(62), 30.0)

    def worst_deg(calibration: int) -> float:
        def switched(imu: Imu) -> Imu:
            if (imu.stamp_ns - simulate.START_NS) * 1e-9 < 12.0:
                return imu
            rate = imu.rate_frd_rad_s + np.array([0.03, -0.03, 0.03])
            force = imu.specific_force_frd_m_s2 + np.array([0.3, 0.3, -0.3])
            return replace(
                imu,
                rate_frd_rad_s=rate,
                specific_force_frd_m_s2=force,
                calibration=calibration,
            )

        estimator, worst = Estimator(), 0.0
        for sample in flight.samples:
            state = estimator.on(switched(sample) if isinstance(sample, Imu) else sample)
            if state is not None and (state.stamp_ns - simulate.START_NS) * 1e-9 > 17.0:
                true = flight.attitude[flight.index(state.stamp_ns)]
                miss = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), true)
                worst = max(worst, float(np.linalg.norm(frames.rotation_vector_from_quat(miss))))
        return float(np.degrees(worst))

    told = worst_deg(257)
    assert told < 12.0
    assert told < 0.6 * worst_deg(0)


@pytest.mark.parametrize("still", [False, True])
def test_a_filter_that_begins_without_a_heading_is_symmetric_to_the_bit(still: bool) -> None:
    rng, track = np.random.default_rng(63), ImuTrack(EstimatorConfig())
    for i in range(50):
        at = (i + 1) * 4_000_000
        level = np.array([0.0, 0.0, -9.80665])
        track.take(Imu(at, at, np.zeros(3), level, 0.004), queue=False)
    for _ in range(20):
        belief = Belief(EstimatorConfig())
        q = frames.quat_normalise(rng.normal(size=4))
        r = frames.rotation_from_quat(q)
        first = FirstAttitude(q, r.T @ np.diag([0.01, 0.02, 2.0]) @ r, "")
        belief.begin(first, track, still=still)
        assert np.array_equal(belief.p, belief.p.T)
