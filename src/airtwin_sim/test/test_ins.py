# SPDX-License-Identifier: Apache-2.0
"""The stand-in's estimator: strapdown against closed motion, corrections against their poles."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import frames, geodesy
from airtwin_core.types import Array, Origin
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_sim import ins, projection

DT = 0.004


def _fresh() -> Array:
    row = np.zeros(ins.N_ESTIMATE)
    row[6] = 1.0
    return row


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.5), (0.1, -0.2, 2.0), (-0.3, 0.2, -3.0)])
def test_alignment_finds_tilt_and_true_heading(angles: tuple[float, float, float]) -> None:
    q = frames.quat_from_euler(*angles)
    rotation = frames.rotation_from_quat(q)
    declination = 0.06
    field_ned = np.array([0.2 * np.cos(declination), 0.2 * np.sin(declination), 0.4])
    row = _fresh()
    force = rotation.T @ np.array([0.0, 0.0, -GRAVITY_M_S2])
    ins.align(row, force, rotation.T @ field_ned, declination)
    np.testing.assert_allclose(frames.euler_from_quat(row[ins.E_Q]), angles, atol=1e-9)
    assert ins.heading_innovation(row, rotation.T @ field_ned, declination) == pytest.approx(0.0)


def test_strapdown_flies_a_level_circle() -> None:
    """Radius 20 m at 1 rad/s^2-free speed: after one turn it is back where it began."""
    speed, rate = 5.0, 0.25
    row = _fresh()
    row[ins.E_VEL] = [speed, 0.0, 0.0]
    force = np.array([0.0, speed * rate, -GRAVITY_M_S2])  # nose along the track
    steps = round(2.0 * np.pi / rate / DT)
    dt = 2.0 * np.pi / rate / steps
    for _ in range(steps):
        ins.predict(row, np.array([0.0, 0.0, rate]), force, dt)
    np.testing.assert_allclose(row[ins.E_POS], 0.0, atol=1e-3)
    np.testing.assert_allclose(row[ins.E_VEL], [speed, 0.0, 0.0], atol=1e-4)
    assert frames.yaw_from_quat(row[ins.E_Q]) == pytest.approx(0.0, abs=1e-9)


def test_velocity_fixes_find_tilt_error_and_gyro_bias() -> None:
    row, gains = _fresh(), ins.Gains()
    history = np.zeros((ins.HISTORY, 6))
    row[ins.E_Q] = frames.quat_from_euler(0.03, -0.02, 0.7)
    row[10:12] = [0.002, -0.001]
    for k in range(round(60.0 / DT)):
        at_rest = frames.rotation_from_quat(frames.quat_from_euler(0, 0, 0.7)).T
        force = at_rest @ np.array([0.0, 0.0, -GRAVITY_M_S2])
        ins.predict(row, np.zeros(3), force, DT)
        if k % 31 == 0:
            ins.correct_horizontal(row, history, -row[:2], -row[3:6], True, True, gains, 31 * DT)
    roll, pitch, _ = frames.euler_from_quat(row[ins.E_Q])
    assert abs(roll) < 2e-4
    assert abs(pitch) < 2e-4
    np.testing.assert_allclose(row[10:12], 0.0, atol=2e-4)
    np.testing.assert_allclose(row[ins.E_VEL][:2], 0.0, atol=1e-3)


def test_height_loop_finds_the_accelerometer_bias() -> None:
    row, gains = _fresh(), ins.Gains()
    force = np.array([0.0, 0.0, -GRAVITY_M_S2 + 0.2])
    for k in range(round(60.0 / DT)):
        ins.predict(row, np.zeros(3), force, DT)
        if k % 10 == 0:
            ins.correct_height(row, -float(row[2]), gains, 10 * DT)
    assert row[2] == pytest.approx(0.0, abs=1e-3)
    assert row[15] == pytest.approx(0.2, abs=1e-3)


def test_compass_pulls_the_heading_the_right_way() -> None:
    row, gains = _fresh(), ins.Gains()
    field = np.array([0.2, 0.0, 0.4])  # nose north, no declination
    ins.align(row, np.array([0.0, 0.0, -GRAVITY_M_S2]), field, 0.0)
    row[ins.E_Q] = frames.quat_from_euler(0.0, 0.0, 0.3)
    for _ in range(500):
        ins.correct_heading(row, ins.heading_innovation(row, field, 0.0), gains, 0.02)
    assert abs(frames.yaw_from_quat(row[ins.E_Q])) < 0.01


def test_projection_is_the_inverse_of_px4s() -> None:
    origin = Origin(47.397743, 8.545594, 488.0)
    rng = np.random.default_rng(1)
    points = rng.uniform(-5000.0, 5000.0, (50, 2))
    lat, lon = np.full(50, origin.latitude_deg), np.full(50, origin.longitude_deg)
    degrees = projection.to_degrees(lat, lon, points[:, 0], points[:, 1])
    back = np.array([geodesy.px4_to_ned(origin, *d) for d in degrees])
    np.testing.assert_allclose(back, points, atol=1e-5)
