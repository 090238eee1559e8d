# SPDX-License-Identifier: Apache-2.0
"""Sensors against their own specification; the land detector's stages one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from airtwin_core import frames, geodesy
from airtwin_core.types import Origin
from airtwin_physics.control import px4_params
from airtwin_sim import sensors
from airtwin_sim.land_detector import LandDetector, Motion
from airtwin_sim.sensors import SensorNoise, Suite

ORIGIN = Origin(47.397743, 8.545594, 488.0)


def _suite(seed: int = 1, **noise: float) -> Suite:
    return Suite(np.random.default_rng(seed), ORIGIN, SensorNoise(**noise))


def test_an_imu_sample_is_the_mean_over_the_tick() -> None:
    """Turned at a constant rate and pushed evenly: rate and force come out exactly."""
    rate, dt = np.array([0.8, -0.5, 1.2]), 0.004
    push_ned = np.array([1.0, -2.0, 0.5])  # acceleration
    before, after = np.zeros(18), np.zeros(18)
    before[6:10] = frames.quat_from_euler(0.2, -0.1, 2.0)
    turn = frames.quat_from_rotation_vector(rate * dt)
    after[6:10] = frames.quat_multiply(before[6:10], turn)
    after[3:6] = push_ned * dt
    out = np.empty(6)
    sensors.imu_sample(out, before, after, np.zeros(6), np.zeros(6), np.zeros(2), dt)
    half = frames.quat_from_rotation_vector(rate * dt / 2.0)
    middle = frames.rotation_from_quat(frames.quat_multiply(before[6:10], half))
    np.testing.assert_allclose(out[:3], rate, rtol=1e-9)
    np.testing.assert_allclose(out[3:], middle.T @ (push_ned - [0, 0, 9.80665]), rtol=1e-9)
    bias, normals = np.arange(6.0), np.ones(6)
    noisy = np.empty(6)
    sensors.imu_sample(noisy, before, after, bias, normals, np.array([0.01, 0.1]), dt)
    np.testing.assert_allclose(noisy - out, bias + np.repeat([0.01, 0.1], 3), rtol=1e-9)


def test_gnss_wanders_as_specified() -> None:
    suite, frame = _suite(gnss_time_s=10.0, gnss_white_m=0.0), geodesy.LocalFrame(ORIGIN)
    rows = []
    for k in range(8000):
        s = suite.gnss(k, np.zeros(3), np.zeros(3), 0.5)
        rows.append(frame.to_ned(s.latitude_deg, s.longitude_deg, s.altitude_m))
    error = np.array(rows)
    assert np.std(error, axis=0) == pytest.approx([0.3, 0.3, 0.5], rel=0.15)
    lag = 20  # 10 s: correlation e^-1
    correlation = np.mean(error[lag:] * error[:-lag], axis=0) / np.mean(error**2, axis=0)
    assert correlation == pytest.approx(np.full(3, np.exp(-1.0)), abs=0.12)


def test_barometer_and_compass() -> None:
    suite = _suite(barometer_drift_m=0.0)
    altitudes = [suite.barometer(-12.0, 0.04) for _ in range(4000)]
    assert np.mean(altitudes) == pytest.approx(500.0, abs=0.01)
    assert np.std(altitudes) == pytest.approx(0.1, rel=0.1)
    suite.baro_on = False
    assert np.isnan(suite.barometer(-12.0, 0.04))
    suite = _suite(magnetometer_bias_gauss=0.0)
    rotation = frames.rotation_from_quat(frames.quat_from_euler(0.1, -0.2, 1.0))
    field = np.mean([suite.magnetometer(rotation) for _ in range(2000)], axis=0)
    ned = rotation @ field
    assert np.arctan2(ned[1], ned[0]) == pytest.approx(suite.declination_rad, abs=2e-3)
    # World Magnetic Model 2025 at Zurich: 0.48 gauss, 3 degrees east, 63 degrees down
    assert np.linalg.norm(ned) == pytest.approx(0.48, rel=0.1)
    assert np.degrees(suite.declination_rad) == pytest.approx(3.3, abs=0.7)
    assert np.degrees(np.arcsin(ned[2] / np.linalg.norm(ned))) == pytest.approx(63.0, abs=4.0)


def test_biases_differ_between_flights_and_wander() -> None:
    drawn = np.array([_suite(seed).imu_bias for seed in range(300)])
    assert np.std(drawn[:, :3]) == pytest.approx(0.002, rel=0.1)
    assert np.std(drawn[:, 3:]) == pytest.approx(0.03, rel=0.1)
    walked = []
    for seed in range(300):
        suite = _suite(seed)
        start = suite.imu_bias
        for _ in range(25):
            suite.walk(4.0)
        walked.append(suite.imu_bias - start)
    assert np.std(np.array(walked)[:, :3]) == pytest.approx(2e-5 * 10.0, rel=0.1)
    assert np.std(np.array(walked)[:, 3:]) == pytest.approx(5e-4 * 10.0, rel=0.1)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="barometer_m"):
        SensorNoise(barometer_m=-0.1)


TOUCHING = Motion(
    armed=True,
    thrust=0.0,
    hover_thrust=0.7,
    hover_known=True,
    climb_rate_controlled=True,
    descent_wanted_m_s=0.7,
    speed_horizontal_m_s=0.0,
    speed_vertical_m_s=0.0,
    rate_horizontal_rad_s=0.0,
    specific_force_m_s2=9.8,
    velocity_valid=True,
)
FLYING = dataclasses.replace(TOUCHING, thrust=0.7, speed_vertical_m_s=2.0)


def _after(motion: Motion, seconds: float = 3.0) -> LandDetector:
    """Fly for a second, then let ``motion`` last."""
    detector = LandDetector(px4_params.Px4Params())
    for k in range(round((1.0 + seconds) / 0.02)):
        detector.update(0.02 * k, FLYING if k < 50 else motion)
    return detector


def test_landed_needs_every_condition() -> None:
    assert _after(TOUCHING).landed
    for changed in (
        {"thrust": 0.4, "descent_wanted_m_s": 0.7},  # low, but not at its least
        {"descent_wanted_m_s": 0.0},  # nobody asked it to sink
        {"speed_vertical_m_s": 0.5},
        {"speed_horizontal_m_s": 2.0},
        {"rate_horizontal_rad_s": 0.6},
        {"velocity_valid": False},
        {"specific_force_m_s2": 0.5},  # it falls
    ):
        assert not _after(dataclasses.replace(TOUCHING, **changed)).landed, changed


def test_stages_follow_each_other() -> None:
    assert _after(TOUCHING, 0.30).ground_contact is False
    assert _after(TOUCHING, 0.40).ground_contact is True
    assert _after(TOUCHING, 0.60).maybe_landed is False
    assert _after(TOUCHING, 0.75).maybe_landed is True
    assert _after(TOUCHING, 0.95).landed is False
    assert _after(TOUCHING, 1.10).landed is True


def test_disarmed_is_landed_at_once() -> None:
    assert _after(dataclasses.replace(FLYING, armed=False), 0.02).landed
