# SPDX-License-Identifier: Apache-2.0
"""The compiled filter against finite differences and against the slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import correction, kernel, models, reference, wind

from filter_states import (  # isort: skip
    CONSTANTS,
    DENSITY,
    SIGMA,
    TAU,
    N,
    random_covariance,
    random_state,
    random_step,
)


@pytest.mark.parametrize("dt", [0.001, 0.004, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_transition_is_the_derivative_of_the_compiled_motion(seed: int, dt: float) -> None:
    rng = np.random.default_rng(seed)
    x, imu = random_state(rng), random_step(rng, dt)
    decay = np.exp(-dt / TAU)
    blocks = np.empty((5, 3, 3))
    kernel.blocks(x, imu[1:4], imu[4:7], dt, blocks)
    f = reference.dense(blocks, dt, decay)

    def after(error: Array) -> Array:
        moved = reference.boxplus(x, error)
        kernel.advance(moved, imu[1:4], imu[4:7], dt, decay)
        return moved

    middle, step = after(np.zeros(N)), 1e-6
    for j in range(N):
        error = np.zeros(N)
        error[j] = step
        up, down = after(error), after(-error)
        slope = (reference.boxminus(up, middle) - reference.boxminus(down, middle)) / (2 * step)
        np.testing.assert_allclose(f[:, j], slope, rtol=1e-6, atol=2e-7, err_msg=f"column {j}")


@pytest.mark.parametrize("seed", range(5))
def test_motion_and_prediction_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, p, imu = random_state(rng), random_covariance(rng), random_step(rng, 0.004)
    decay, noise = np.exp(-0.004 / TAU), np.empty(N)
    kernel.process_noise(CONSTANTS, 0.004, imu[7:11], decay, noise)
    expected_x, expected_p = reference.predict(x, p, imu, noise, decay)
    kernel.predict(x, p, imu, CONSTANTS)
    np.testing.assert_allclose(x, expected_x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(p, expected_p, rtol=1e-6, atol=1e-9)
    assert np.array_equal(p, p.T)


def test_process_noise_in_numbers() -> None:
    noise = np.empty(N)
    shaken = np.array([1e-6, 2e-6, 3e-6, 4e-4])
    decay = np.exp(-0.01 / TAU)
    kernel.process_noise(CONSTANTS, 0.01, shaken, decay, noise)
    np.testing.assert_allclose(noise[6:9], 1.5e-3**2 * 0.01 + shaken[:3])
    np.testing.assert_allclose(noise[3:6], 3.5e-2**2 * 0.01 + 4e-4)
    np.testing.assert_allclose(noise[15], 0.05**2 * 0.01)
    assert noise[kernel.DELAY] == 0.0
    np.testing.assert_allclose(noise[kernel.LEAN :], 3e-4**2 * 0.01)
    # a first-order Gauss-Markov process keeps its size: s^2 = s^2 decay^2 + q
    np.testing.assert_allclose(SIGMA**2 * decay**2 + noise[list(kernel.WANDER)], SIGMA**2)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_update_equals_the_joint_joseph_form(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, p = random_state(rng), random_covariance(rng)
    h, residual = rng.normal(size=(m, N)), rng.normal(size=m) * 0.1
    variance = rng.uniform(0.01, 1.0, size=m)
    expected_x, expected_p, nis = reference.update(x, p, h, residual, variance)
    assert correction.statistic(p, h, residual, variance) == pytest.approx(nis, rel=1e-9)
    correction.update(x, p, h, residual, variance, correction.FREE)
    np.testing.assert_allclose(x, expected_x, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(p, expected_p, rtol=1e-7, atol=1e-10)
    assert np.abs(p - p.T).max() < 1e-12


def test_considered_errors_keep_state_and_doubt_while_the_rest_learns() -> None:
    rng = np.random.default_rng(3)
    first, x, before = kernel.WIND, random_state(rng), random_covariance(rng)
    h, p, state = rng.normal(size=(1, kernel.N)), before.copy(), x.copy()
    correction.update(state, p, h, np.array([0.3]), np.array([0.5]), correction.MOTION_HELD)
    assert np.array_equal(state[: kernel.X_WIND], x[: kernel.X_WIND])
    np.testing.assert_allclose(p[:first, :first], before[:first, :first], atol=1e-12)
    gain = before @ h.T / (h @ before @ h.T + 0.5)
    gain[:first] = 0.0
    left = np.eye(kernel.N) - gain @ h
    np.testing.assert_allclose(p, left @ before @ left.T + 0.5 * gain @ gain.T, atol=1e-10)
    assert (np.diag(p)[first:] < np.diag(before)[first:]).any()


def _slope(x: Array, value: object) -> Array:
    row, step = np.empty(N), 1e-6
    for j in range(N):
        error = np.zeros(N)
        error[j] = step
        up, down = reference.boxplus(x, error), reference.boxplus(x, -error)
        row[j] = (value(up) - value(down)) / (2 * step)  # type: ignore[operator]
    return row


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_row_of_gnss_position(axis: int) -> None:
    x, h, shown = random_state(np.random.default_rng(axis)), np.empty((3, N)), np.empty(3)
    nominal_s = 0.08

    def seen(y: Array) -> float:  # a fix is older by the delay than the filter thought
        late = nominal_s + (y[kernel.X_DELAY] - x[kernel.X_DELAY])
        models.gnss_position(y, late, np.empty((3, N)), shown)
        return float(shown[axis])

    models.gnss_position(x, nominal_s, h, shown)
    np.testing.assert_allclose(h[axis], _slope(x, seen), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_row_of_gnss_velocity(axis: int) -> None:
    x, h, shown = random_state(np.random.default_rng(axis)), np.empty((3, N)), np.empty(3)
    acceleration = np.array([1.0, -2.0, 3.0])

    def seen(y: Array) -> float:
        late = 0.01 + (y[kernel.X_DELAY] - x[kernel.X_DELAY])
        models.gnss_velocity(y, acceleration, late, np.empty((3, N)), shown)
        return float(shown[axis])

    models.gnss_velocity(x, acceleration, 0.01, h, shown)
    np.testing.assert_allclose(h[axis], _slope(x, seen), atol=1e-6)


def test_row_of_barometer() -> None:
    x, scratch, h = random_state(np.random.default_rng(0)), np.empty(N), np.empty(N)
    models.barometer(x, 0.02, 7.0, h)
    slope = _slope(x, lambda y: float(models.barometer(y, 0.02, 7.0, scratch)))
    np.testing.assert_allclose(h, slope, atol=1e-6)


def test_head_is_what_a_tube_in_that_wind_shows_over_one_at_rest() -> None:
    rng = np.random.default_rng(1)
    x, p, wind = random_state(rng), random_covariance(rng), rng.normal(size=(2,)) * 5.0
    about = rng.normal(size=(2, 2))
    known = np.vstack([wind, about @ about.T])
    w = np.array([*wind, 0.0])

    def shown(v: Array, w: Array) -> float:
        return float((v - w) @ (v - w) - w @ w) / (2.0 * kernel.GRAVITY_M_S2)

    head_m, unsure_m2 = models.head(x, p, known)
    assert head_m == pytest.approx(shown(x[3:6], w))
    steps = np.eye(3) * 1e-5
    by_speed = [(shown(x[3:6] + d, w) - shown(x[3:6] - d, w)) / 2e-5 for d in steps]
    by_wind = [(shown(x[3:6], w + d) - shown(x[3:6], w - d)) / 2e-5 for d in steps[:2]]
    expected = by_speed @ p[3:6, 3:6] @ by_speed + by_wind @ about @ about.T @ by_wind
    assert unsure_m2 == pytest.approx(expected, rel=1e-6)
    x[3:6] = 0.0
    assert models.head(x, p, known)[0] == 0.0  # standing in a wind shows none of it


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_statistic_and_spread_miss_nothing_of_a_row(share: float) -> None:
    rng = np.random.default_rng(3)
    p, h = random_covariance(rng), rng.normal(size=(3, N)) * (rng.random((3, N)) < share)
    residual, variance = rng.normal(size=3), rng.uniform(0.5, 2.0, size=3)
    both = h @ p @ h.T
    nis = residual @ np.linalg.solve(both + np.diag(variance), residual)
    assert correction.statistic(p, h, residual, variance) == pytest.approx(nis, rel=1e-9)
    for i in range(3):
        assert correction.spread(p, h[i]) == pytest.approx(both[i, i], rel=1e-9)


@pytest.mark.parametrize("most_m", [0.1, np.inf])
@pytest.mark.parametrize("by_force", [1.0, 0.0])
def test_barometer_in_wind_is_its_parts(by_force: float, most_m: float) -> None:
    rng = np.random.default_rng(2)
    x, p = random_state(rng), random_covariance(rng)
    law = np.array([x[kernel.X_DRAG], 0.02, 0.02, 0.02, by_force, 1.0])
    h, row, air = np.empty((1, N)), np.empty(N), np.empty((6, 2))
    wind.winds(x, p, law, air)
    head_m, unsure_m2 = models.head(x, p, air[3:])
    least_m = float(np.clip(head_m, -most_m, most_m))
    expected = models.barometer(x, 0.02, least_m, row), least_m, unsure_m2
    assert abs(head_m) > 0.1
    assert models.barometer_in_wind(x, p, law, 0.02, most_m, h) == expected
    np.testing.assert_array_equal(h[0], row)


@pytest.mark.parametrize("seed", range(6))
def test_row_of_magnetometer(seed: int) -> None:
    """The exact derivative is the row for the vertical plus what only tilts."""
    rng = np.random.default_rng(seed)
    x, field = random_state(rng), rng.normal(size=3)
    h, tilted, one, two = (np.empty(N) for _ in range(4))
    models.magnetic_declination(x, field, h, tilted)
    slope = _slope(x, lambda y: float(models.magnetic_declination(y, field, one, two)))
    np.testing.assert_allclose(h + tilted, slope, rtol=1e-5, atol=1e-5)
    about_down = frames.rotation_from_quat(x[6:10])[2]
    assert abs(float(tilted[6:9] @ about_down)) < 1e-9
    assert correction.spread(np.eye(N), h) == pytest.approx(2.0)  # heading and its offset


def test_a_vertical_field_shows_no_north() -> None:
    x, h, tilted = np.zeros(kernel.N_NOMINAL), np.empty(N), np.empty(N)
    x[kernel.X_Q] = 1.0
    models.magnetic_declination(x, np.array([0.0, 0.0, 0.5]), h, tilted)
    assert np.linalg.norm(tilted) > 1e3  # any tilt turns it anywhere


@pytest.mark.parametrize("nose_up", [False, True])
def test_row_of_heading_holds_with_the_nose_up(nose_up: bool) -> None:
    x = random_state(np.random.default_rng(3))
    x[kernel.X_HEADING] = 0.0
    if nose_up:
        x[6:10] = frames.quat_from_euler(0.0, np.pi / 2, 0.4)
    measured, scratch, h = x[6:10].copy(), np.empty(N), np.empty(N)
    assert models.heading(x, measured, h) == pytest.approx(0.0, abs=1e-12)
    slope = _slope(x, lambda y: -float(models.heading(y, measured, scratch)))
    np.testing.assert_allclose(h, slope, atol=1e-6)


def test_place_takes_over_what_gnss_is_wrong_by() -> None:
    p = random_covariance(np.random.default_rng(1))
    correction.forget(p, kernel.GNSS, 0.64)
    correction.forget(p, kernel.POS, 1.0)
    correction.place(p, kernel.POS, kernel.GNSS, -1.0, 0.25)
    assert p[0, 0] == pytest.approx(0.89)
    assert p[0, kernel.GNSS] == pytest.approx(-0.64)
    # position plus offset is what the fix said: only its white noise is left
    row = np.zeros(N)
    row[kernel.POS] = row[kernel.GNSS] = 1.0
    assert correction.spread(p, row) == pytest.approx(0.25)
    assert np.linalg.eigvalsh(p).min() > 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kept", [0.0, 0.6, 1.0])
def test_gnss_offsets_shrink_with_their_claims_and_all_they_go_with(
    seed: int, kept: float
) -> None:
    rng = np.random.default_rng(seed)
    x, p, share = random_state(rng), random_covariance(rng), np.ones(kernel.N)
    at = slice(kernel.GNSS, kernel.GNSS + 3)
    believed = np.sqrt(p.diagonal()[at])
    claims = believed * [0.3, 0.8, 1.5]  # the first shrinks whatever was, the last never
    sizes = np.concatenate([claims * rng.uniform(0.5, 4.0, 3), np.ones(4)])
    claimed = np.clip(kept * sizes[:3], claims, 2.0 * claims)
    share[at] = np.minimum(claimed / believed, 1.0)
    assert share[kernel.GNSS] < share[kernel.GNSS + 2] == 1.0
    expected_x, expected_p = x.copy(), p * share * share[:, None]
    expected_x[kernel.X_GNSS : kernel.X_GNSS + 3] *= share[at]
    expected_sizes = np.concatenate([claimed, sizes[3:]])
    north, east, down = claims.tolist()
    correction.expect_gnss(x, p, sizes, (north, east, down), kept)
    np.testing.assert_allclose(x, expected_x, rtol=1e-12)
    np.testing.assert_allclose(p, expected_p, rtol=1e-12)
    np.testing.assert_allclose(sizes, expected_sizes, rtol=1e-12)


def test_health_is_refused_to_nan_negative_and_impossible_correlation() -> None:
    x, p = random_state(np.random.default_rng(0)), np.eye(N)
    assert correction.healthy(x, p)
    for i, j, value in ((0, 0, -1.0), (4, 4, np.nan), (2, 1, 1.5)):
        bad = p.copy()
        bad[i, j] = value
        assert not correction.healthy(x, bad)
    x[5] = np.inf
    assert not correction.healthy(x, p)


def test_variances_stop_at_their_cap_and_stay_positive_definite() -> None:
    rng = np.random.default_rng(0)
    x, p = random_state(rng), random_covariance(rng)
    cap = np.full(N, 4.0)
    for _ in range(20):
        kernel.predict(x, p, random_step(rng, 0.5), np.concatenate([DENSITY, SIGMA, TAU, cap]))
    assert p.diagonal().max() <= 4.0 * (1 + 1e-9)
    assert np.linalg.eigvalsh(p).min() > -1e-12


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_the_air(seed: int) -> None:
    x, scratch = random_state(np.random.default_rng(seed)), np.empty((3, N))
    rows = np.empty((3, N))
    air = models.air_velocity(x, rows)
    blown = np.array([*(x[22:24] + x[27:29]), 0.0])
    expected = frames.rotation_from_quat(x[6:10]).T @ (x[3:6] - blown)
    np.testing.assert_allclose(air, expected, atol=1e-12)
    for i in range(3):
        slope = _slope(x, lambda y, i=i: float(models.air_velocity(y, scratch)[i]))
        np.testing.assert_allclose(rows[i], slope, atol=1e-5)
    row, one = np.empty(N), np.empty(N)
    models.airspeed(x, row)
    slope = _slope(x, lambda y: float(models.airspeed(y, one)))
    np.testing.assert_allclose(row, slope, atol=1e-5)
    assert models.airspeed(x, row) == pytest.approx(np.linalg.norm(air) * np.exp(-x[25]))
    models.sideslip(x, row)
    slope = _slope(x, lambda y: float(models.sideslip(y, one)))
    np.testing.assert_allclose(row, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "speed"), [(0.3, 3.0), (2.0, 3.0), (9.0, 3.0), (2.0, 0.1)])
def test_a_gate_learns_the_noise_by_variance_matching(size: float, speed: float) -> None:
    """Mehra (1972): the mean of (r^2 - h P h) / claim, by what passes, in motion only."""
    least, most, remembered, count = 0.3**2, 2.0**2, 100.0, 50.0
    x, p, h = random_state(np.random.default_rng(1)), 0.2 * np.eye(N), np.zeros((1, N))
    x[3:6], h[0, 5], claim = [speed, 0.0, 0.0], 1.0, 0.4
    noise, bounds = np.array([1.5, 1.5, count]), np.array([least, most, remembered, 0.25])
    doubt, residual = 0.2 / (claim * 1.5), np.array([size])
    nis = correction.gate(x, p, h, residual, np.array([claim]), 20.0, (0, 6), noise, bounds, True)
    assert nis == pytest.approx(size**2 / (0.2 + 1.5 * claim))
    expected = [1.5, 1.5, count]
    if nis <= 20.0 and speed > 0.5:
        shown = min(size**2 / (claim * 1.5), 9.0 * (1.0 + doubt)) - doubt
        weight = 1.0 / (1.0 + doubt) ** 2
        mean = 1.5 + (1.5 * shown - 1.5) * weight / (count + weight)
        expected = [min(max(mean, least), most), mean, count + weight]
    np.testing.assert_allclose(noise, expected, rtol=1e-12)
