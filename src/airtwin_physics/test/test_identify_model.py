# SPDX-License-Identifier: Apache-2.0
"""The equations of the identification: against finite differences and the dynamics themselves."""

from __future__ import annotations

import numpy as np
import pytest
from identify_flights import X500

from airtwin_physics import dynamics
from airtwin_physics.identify import bank, rows
from airtwin_physics.identify.digest import N_IMU, digest, fresh
from airtwin_physics.identify.model import felt, through_air

CRAFT = rows.craft(X500)
N = X500.rotor_count


def attitude(rng):
    q = rng.normal(size=4) * 0.2 + np.array([1.0, 0.0, 0.0, 0.0])
    return q / np.linalg.norm(q)


def rotation(q):
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def airspeed(theta, block):
    out = np.zeros(3)
    through_air(theta, block, 0.0, out)
    return np.abs(out)


def block_and_state(rng):
    """Return a block of no length, and the state and commands of the dynamics that it shows."""
    model = dynamics.pack(X500)
    x = dynamics.at_rest(model)
    x[2] = -50.0
    x[3:6] = rng.normal(size=3) * 5.0
    x[6:10] = attitude(rng)
    x[10:13] = rng.normal(size=3)
    x[dynamics.ROTOR :] = 700.0 + 80.0 * rng.normal(size=N)
    block = np.zeros(rows.width(N))
    block[rows.RATE : rows.RATE + 3] = x[10:13]
    block[rows.VELOCITY : rows.VELOCITY + 3] = x[3:6]
    block[rows.ROTATION : rows.ROTATION + 9] = rotation(x[6:10]).ravel()
    block[rows.SQUARE : rows.SQUARE + N] = x[dynamics.ROTOR :] ** 2
    block[rows.SQUARE + N : rows.SQUARE + 2 * N] = x[dynamics.ROTOR :]
    return block, x, model


@pytest.mark.parametrize("seed", range(5))
def test_the_block_feels_what_the_dynamics_say(seed):
    """Same aircraft, wind, faults and centre of mass in both: same acceleration, same turn."""
    rng = np.random.default_rng(seed)
    block, x, model = block_and_state(rng)
    theta = np.zeros(rows.size(N))
    wind = rng.normal(size=3) * 4.0
    theta[rows.ROTOR_DRAG] = 0.2
    theta[rows.WIND : rows.WIND + 3] = wind * [np.exp(0.2), np.exp(0.2), 1.0]
    model.rotors[:, dynamics.K_DRAG] *= np.exp(0.2)
    model.body[dynamics.CDA_X : dynamics.CDA_Z + 1] *= np.exp(0.2)
    theta[rows.MASS], theta[rows.THRUST] = 0.15, -0.1
    theta[rows.CENTRE_X], theta[rows.CENTRE_Y] = 0.01, -0.02
    theta[rows.EFFECT] = -0.2
    model.body[dynamics.MASS] *= np.exp(0.15)
    model.rotors[:, dynamics.K_THRUST] *= np.exp(-0.1)
    model.rotors[0, dynamics.EFFECT] = 0.8
    model.rotors[:, dynamics.RX] -= 0.01
    model.rotors[:, dynamics.RY] += 0.02
    u = rng.uniform(0.4, 0.9, N)
    slope = dynamics.derivative(x, u, model, wind)
    block[rows.SQUARE + 2 * N :] = slope[dynamics.ROTOR :]
    out, jacobian = np.zeros(6), np.zeros((6, theta.size))
    felt(theta, block, airspeed(theta, block), CRAFT, out, jacobian)
    force = rotation(x[6:10]).T @ (slope[3:6] - np.array([0.0, 0.0, 9.80665]))
    assert np.allclose(out[:3], force, atol=1e-9)
    assert np.allclose(out[3:], slope[10:13], atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_the_jacobian_is_the_derivative(seed):
    """Inflow and the body's share by an air without the gust that the same forces teach."""
    rng = np.random.default_rng(100 + seed)
    block = block_and_state(rng)[0]
    block[rows.SQUARE + 2 * N :] = 300.0 * rng.normal(size=N)
    theta = rng.normal(size=rows.size(N)) * 0.05
    theta[rows.WIND : rows.WIND + 3] *= 60.0
    h, jacobian, unused = np.zeros(6), np.zeros((6, theta.size)), np.zeros((6, theta.size))
    felt(theta, block, airspeed(theta, block), CRAFT, h, jacobian)
    plus, minus = np.zeros(6), np.zeros(6)
    for j in range(theta.size):
        step, at = np.zeros(theta.size), theta.copy()
        step[j] = 1e-6
        if j in (rows.INFLOW, rows.BODY_DRAG):
            at[rows.WIND + 2] = 0.0
        if j == rows.BODY_DRAG:
            at[rows.GUST : rows.GUST + 2] = 0.0
        felt(at + step, block, airspeed(theta, block), CRAFT, plus, unused)
        felt(at - step, block, airspeed(theta, block), CRAFT, minus, unused)
        assert np.allclose(jacobian[:, j], (plus - minus) / 2e-6, rtol=1e-5, atol=1e-5), j


def test_the_update_is_kalmans():
    """All parameters learnt, nothing gated: the scalar updates equal the matrix form."""
    rng = np.random.default_rng(5)
    block = block_and_state(rng)[0]
    n = rows.size(N)
    theta = np.zeros(n)
    root = rng.normal(size=(n, n)) * 0.02
    p = root @ root.T + 1e-4 * np.eye(n)
    h, jacobian = np.zeros(6), np.zeros((6, n))
    felt(theta, block, airspeed(theta, block), CRAFT, h, jacobian)
    block[1:7] = h + rng.normal(size=6) * 0.1
    noise = np.full(6, 0.04)
    s = jacobian @ p @ jacobian.T + np.diag(noise)
    gain = p @ jacobian.T @ np.linalg.inv(s)
    expected = gain @ (block[1:7] - h)
    expected_p = p - gain @ jacobian @ p
    residual = block[1:7] - h
    log = -0.5 * (residual @ np.linalg.solve(s, residual) + np.linalg.slogdet(2 * np.pi * s)[1])
    found = bank.update(
        theta, p, block, noise, CRAFT, 1e6, np.ones((6, n)), np.zeros(6), np.zeros(6)
    )
    assert np.allclose(theta, expected, atol=1e-9)
    assert np.allclose(p, expected_p, atol=1e-9)
    assert found == pytest.approx(log, rel=1e-6)


def test_what_is_only_considered_keeps_value_and_variance():
    """Against the Schmidt-Kalman update in matrix form, one measurement at a time."""
    rng = np.random.default_rng(6)
    block = block_and_state(rng)[0]
    n = rows.size(N)
    theta, p = np.zeros(n), np.diag(np.full(n, 1e-3))
    learnt = np.ones((6, n))
    learnt[:, rows.INERTIA_LEVEL] = 0.0
    learnt[2, rows.WIND] = 0.0
    h, jacobian = np.zeros(6), np.zeros((6, n))
    felt(theta, block, airspeed(theta, block), CRAFT, h, jacobian)
    block[1:7] = h + 0.1
    want, want_p = theta.copy(), p.copy()
    for k in range(6):
        a = jacobian[k]
        s = a @ want_p @ a + 0.04
        gain = learnt[k] * (want_p @ a) / s
        want = want + gain * (0.1 - a @ want)
        i_kh = np.eye(n) - np.outer(gain, a)
        want_p = i_kh @ want_p @ i_kh.T + 0.04 * np.outer(gain, gain)
    bank.update(theta, p, block, np.full(6, 0.04), CRAFT, 1e6, learnt, np.zeros(6), np.zeros(6))
    assert np.allclose(theta, want, atol=1e-10)
    assert np.allclose(p, want_p, atol=1e-10)
    assert theta[rows.INERTIA_LEVEL] == 0.0


def test_blocks_hold_the_means_of_what_went_in():
    """Constant commands: rotor speeds settle where the dynamics let them; turns are slopes."""
    state, out = fresh(CRAFT), np.zeros((64, rows.width(N)))
    command = np.full(N, 0.6)
    imu = np.zeros((100, N_IMU))
    imu[:, 0] = 0.004 * np.arange(1, 101)
    imu[:, 1] = 0.004
    imu[:, 2] = 0.5 * (imu[:, 0] - 0.002)  # rate at the middle of a steady turn of 0.5 rad/s^2
    imu[:, 7] = -9.8
    pose = np.concatenate(([1.0, 2.0, 3.0], np.eye(3).ravel()))
    times = np.array([0.0, 0.4])
    found = digest(state, imu, 100, command, command, times, pose, float("nan"), CRAFT, 0.1, out)
    assert found == 3  # the fourth waits for the first sample after it
    target = 150.0 + 0.6 * 850.0
    assert np.allclose(out[1:found, rows.SQUARE : rows.SQUARE + N], target**2, rtol=2e-3)
    assert np.allclose(out[1:found, rows.TURN], 0.5, atol=1e-9)
    assert np.allclose(out[:found, rows.FORCE + 2], -9.8)
    assert np.allclose(out[:found, rows.VELOCITY : rows.VELOCITY + 3], [1.0, 2.0, 3.0])


def test_a_stopped_rotor_stops_in_the_block_too():
    state, out = fresh(CRAFT), np.zeros((64, rows.width(N)))
    command = np.array([0.6, np.nan, 0.6, 0.6])
    imu = np.zeros((200, N_IMU))
    imu[:, 0], imu[:, 1] = 0.004 * np.arange(1, 201), 0.004
    pose = np.concatenate((np.zeros(3), np.eye(3).ravel()))
    times = np.array([0.0, 0.8])
    found = digest(state, imu, 200, command, command, times, pose, 15.0, CRAFT, 0.1, out)
    assert out[found - 1, rows.SQUARE + 1] == 0.0
    assert np.isfinite(out[:found]).all()
