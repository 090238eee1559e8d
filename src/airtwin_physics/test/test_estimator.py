# SPDX-License-Identifier: Apache-2.0
"""The estimator as its users drive it: alignment, publishing, IMU and rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Imu, LandDetected, Magnetometer, Sample
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

from driven import LEVEL, STEP_NS, local, miss_m, run, seconds, still, tilt_error_rad, with_origin  # isort: skip
import simulate  # isort: skip


def test_state_appears_after_alignment_and_at_most_at_the_publish_period() -> None:
    states = run(Estimator(EstimatorConfig()), (still(i) for i in range(1, 1500)))
    assert states
    assert np.diff([s.stamp_ns for s in states]).min() >= 20_000_000
    assert states[-1].aligned
    assert not states[-1].horizontal_valid
    assert not states[-1].heading_valid
    assert states[-1].velocity_valid  # it stands, and nothing says that it flies


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="gyro_noise"):
        EstimatorConfig(gyro_noise=-1.0)
    with pytest.raises(ValueError, match="horizon_s"):
        EstimatorConfig(horizon_s=float("nan"))
    with pytest.raises(ValueError, match="gate_probability"):
        EstimatorConfig(gate_probability=1.0)


def test_alignment_at_rest_finds_tilt_and_heading() -> None:
    q = frames.quat_from_euler(0.2, -0.1, 1.0)
    r = frames.rotation_from_quat(q)
    declination = simulate.declination_rad(47.4, 8.5)
    north = np.array([0.2 * np.cos(declination), 0.2 * np.sin(declination), 0.43])
    estimator, states = Estimator(), []
    estimator.on(local(0, simulate.ORIGIN))
    estimator.on(local(0, simulate.ORIGIN))
    estimator.on(LandDetected(1, 1, True, False, False, False))
    for i in range(1, 300):
        at = i * STEP_NS
        imu = Imu(at, at, np.array([0.01, -0.02, 0.03]), r.T @ LEVEL, 0.004)
        if (state := estimator.on(imu)) is not None:
            states.append(state)
        if i % 25 == 0:
            estimator.on(Magnetometer(at, at, r.T @ north))
    turn = frames.quat_multiply(frames.quat_conjugate(q), states[0].q_ned_frd)
    assert np.linalg.norm(frames.rotation_vector_from_quat(turn)) < 0.01
    np.testing.assert_allclose(states[0].gyro_bias_frd_rad_s, [0.01, -0.02, 0.03], atol=1e-9)
    assert states[-1].heading_valid


def test_log_that_starts_in_the_air_takes_px4s_attitude() -> None:
    flight = simulate.fly(np.random.default_rng(2), 30.0)
    start = 12.0
    cut = [
        s
        for s in simulate.with_px4_attitudes(flight)
        if s.stamp_ns >= simulate.START_NS + start * 1e9
    ]
    assert np.linalg.norm(flight.velocity[flight.index(cut[0].stamp_ns)]) > 2.0
    states = run(Estimator(), with_origin(cut))
    assert seconds(states[0]) < start + 1.0
    for state in states[250:]:
        # twice the sigma of the first guess
        assert tilt_error_rad(state, flight.attitude[flight.index(state.stamp_ns)]) < 0.1
        assert miss_m(flight, state) < 4.0


def test_log_that_starts_in_the_air_without_px4_converges() -> None:
    flight = simulate.fly(np.random.default_rng(3), 40.0)
    cut = [s for s in flight.samples if s.stamp_ns >= simulate.START_NS + int(12.0 * 1e9)]
    states = run(Estimator(), with_origin(cut))
    late = [s for s in states if seconds(s) > 30.0]
    tilt = [tilt_error_rad(s, flight.attitude[flight.index(s.stamp_ns)]) for s in late]
    assert max(tilt) < 0.06


def test_gyro_that_goes_wrong_in_flight_is_said_and_learnt() -> None:
    flight = simulate.fly(np.random.default_rng(16), 50.0)
    step = np.array([0.0, 0.05, 0.0])
    broken: list[Sample] = [
        replace(s, rate_frd_rad_s=s.rate_frd_rad_s + step)
        if isinstance(s, Imu) and s.stamp_ns > simulate.START_NS + int(12e9)
        else s
        for s in flight.samples
    ]
    states = run(Estimator(), with_origin(broken))
    end = states[-1]
    assert end.fusions[1].rejected["reset after a shut gate"] >= 1
    late = [s for s in states if seconds(s) > 42.0]
    assert max(miss_m(flight, s) for s in late) < 5.0
    assert end.gyro_bias_frd_rad_s[1] - flight.gyro_bias[-1][1] == pytest.approx(0.05, abs=0.02)


def test_landed_and_still_holds_velocity_and_position() -> None:
    estimator = Estimator()
    rng = np.random.default_rng(15)
    estimator.on(LandDetected(1, 1, True, False, False, False))
    end = None
    for i in range(1, 250 * 60):
        shaken = LEVEL + 0.05 + rng.normal(size=3) * 0.05
        imu = Imu(i * STEP_NS, i * STEP_NS, rng.normal(size=3) * 0.005, shaken, 0.004)
        end = estimator.on(imu) or end
    assert end is not None
    assert np.linalg.norm(end.velocity_ned_m_s) < 0.1
    assert np.linalg.norm(end.position_ned_m) < 1.0
    assert end.velocity_valid
