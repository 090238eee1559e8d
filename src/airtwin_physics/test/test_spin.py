# SPDX-License-Identifier: Apache-2.0
"""An aircraft that spins: an antenna beside the IMU looks like an accelerometer's bias."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Array, TwinState
from airtwin_physics.ekf import correction, kernel
from airtwin_physics.ekf.kernel import ACCEL_BIAS, N

import gnss_faults as faults  # isort: skip
import simulate  # isort: skip

RATE_RAD_S, BEGIN_S, END_S = 3.6, 12.0, 32.0


def _spun(arm_m: Array) -> tuple[simulate.Flight, list[TwinState]]:
    """Return a hover that spins for 20 s with the antenna on the axis and the IMU beside it."""
    n = round(45.0 * simulate.RATE_HZ) + 1
    t = np.arange(n) * simulate.DT_S
    ramp = np.clip((t - BEGIN_S) / 2.0, 0.0, 1.0) - np.clip((t - END_S) / 2.0, 0.0, 1.0)
    yaw = np.cumsum(RATE_RAD_S * ramp) * simulate.DT_S
    axis = np.zeros((n, 3))
    rise = np.clip((t - 2.0) / 4.0, 0.0, 1.0)
    axis[:, 2] = -8.0 * rise**3 * (10.0 - 15.0 * rise + 6.0 * rise**2)
    c, s = np.cos(yaw), np.sin(yaw)
    arm = np.stack([c * arm_m[0] - s * arm_m[1], s * arm_m[0] + c * arm_m[1], 0.0 * t], axis=1)
    p = axis + arm
    v = np.gradient(p, simulate.DT_S, axis=0)
    q = np.stack([np.cos(yaw / 2), 0.0 * t, 0.0 * t, np.sin(yaw / 2)], axis=1)
    errors = simulate.Errors(accel_bias_m_s2=0.0, gyro_bias_rad_s=0.0, eph_m=0.3, epv_m=0.5)
    flight = simulate.along(np.random.default_rng(3), p, v, q, errors)
    swing = np.gradient(arm, simulate.DT_S, axis=0)

    def on_axis(at_s: float) -> tuple[Array, Array]:
        k = min(max(round((at_s - flight.delay_s) * simulate.RATE_HZ), 0), n - 1)
        return -arm[k], -swing[k]

    return flight, faults.fly(faults.shown(flight, on_axis))


@pytest.mark.parametrize("arm_m", [np.array([0.06, 0.0, 0.0]), np.array([-0.03, 0.05, 0.0])])
def test_an_arm_that_nobody_told_teaches_no_bias_in_a_spin(arm_m: Array) -> None:
    flight, states = _spun(arm_m)
    spinning = faults.during(states, BEGIN_S + 4.0, END_S)
    # taken for a bias, 0.06 m would be 0.78 m/s^2
    assert max(np.abs(s.accel_bias_frd_m_s2).max() for s in spinning) < 0.25
    after = faults.during(states, END_S + 3.0)
    tilts = [np.arccos(min(1 - 2 * (s.q_ned_frd[1] ** 2 + s.q_ned_frd[2] ** 2), 1)) for s in after]
    assert np.degrees(np.max(tilts)) < 2.0
    assert np.abs(faults.misses(flight, states[200:])).max() < 1.5


@pytest.mark.parametrize(
    ("held", "axes"), [(correction.BIAS_HELD, 3), (correction.LEVEL_BIAS_HELD, 2)]
)
def test_a_bias_that_is_held_is_in_doubt_as_before_and_all_else_learns(
    held: correction.Held, axes: int
) -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(N, N))
    p, x = root @ root.T / N + 0.1 * np.eye(N), rng.normal(size=kernel.N_NOMINAL)
    x[6:10] /= np.linalg.norm(x[6:10])
    h, variance = rng.normal(size=(3, N)), np.full(3, 0.5)
    at, before, bias = slice(ACCEL_BIAS, ACCEL_BIAS + axes), p.copy(), x[13 : 13 + axes].copy()
    # plain: Joseph's form with rows of the gain struck out, one after another
    plain, rows = before.copy(), np.r_[0:ACCEL_BIAS, ACCEL_BIAS + axes : N]
    for k in range(3):
        gain = np.zeros(N)
        full = plain @ h[k] / (h[k] @ plain @ h[k] + variance[k])
        gain[rows] = full[rows]
        left = np.eye(N) - np.outer(gain, h[k])
        plain = left @ plain @ left.T + variance[k] * np.outer(gain, gain)
    correction.update(x, p, h, np.zeros(3), variance, held)
    np.testing.assert_allclose(p, plain, atol=1e-12)
    np.testing.assert_allclose(p[at, at], before[at, at], atol=1e-12)
    np.testing.assert_array_equal(x[13 : 13 + axes], bias)
    assert np.trace(p) < np.trace(before)
