# SPDX-License-Identifier: Apache-2.0
"""The compiled filter against finite differences and against the slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import correction, kernel, models, reference
from airtwin_physics.ekf.imu import N_ENTRY
from airtwin_physics.ekf.steps import (
    FORCED,
    FORCED_S,
    FORCED_SHAKEN,
    N_WATCH,
    REACHED,
    before,
    forecast,
    step_until,
)

N = kernel.N
DENSITY = np.array([1.5e-3, 3.5e-2, 1e-4, 3e-4, 0.05, 0.1, 0.005, 0.001, 0.5])
SIGMA = np.array([0.8, 0.8, 1.2, 0.15, 1.5, 1.5, 0.7])
TAU = np.array([60.0, 60.0, 60.0, 100.0, 5.0, 5.0, 1.5])
CAP = np.full(N, 1e12)
CONSTANTS = np.concatenate([DENSITY, SIGMA, TAU, CAP])


def _state(rng: np.random.Generator) -> Array:
    x = rng.normal(size=kernel.N_NOMINAL)
    x[0:3] *= 100.0
    x[3:6] *= 10.0
    x[6:10] = frames.quat_normalise(rng.normal(size=4))
    x[10:13] *= 0.05
    x[13:16] *= 0.3
    x[kernel.X_HEADING] *= 0.1
    x[kernel.X_DELAY] *= 0.05
    return x


def _covariance(rng: np.random.Generator) -> Array:
    a = rng.normal(size=(N, N)) * np.array(
        [1.0] * 3
        + [0.3] * 3
        + [0.02] * 3
        + [0.002] * 3
        + [0.05] * 3
        + [1.0] * 4
        + [0.1, 0.03]
        + [2.0] * 2
        + [0.3, 0.1, 5.0, 1.0, 1.0, 0.5]
    ).reshape(-1, 1)
    return a @ a.T / N + 1e-9 * np.eye(N)


def _imu(rng: np.random.Generator, dt: float) -> Array:
    shaken = np.array([1e-6, 2e-6, 3e-6, 4e-4])
    return np.concatenate(
        [[dt], rng.normal(size=3) * 2.0, rng.normal(size=3) * 5.0 - [0.0, 0.0, 9.8], shaken]
    )


@pytest.mark.parametrize("dt", [0.001, 0.004, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_transition_is_the_derivative_of_the_compiled_motion(seed: int, dt: float) -> None:
    rng = np.random.default_rng(seed)
    x, imu = _state(rng), _imu(rng, dt)
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
    x, p, imu = _state(rng), _covariance(rng), _imu(rng, 0.004)
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
    # a first-order Gauss-Markov process keeps its size: s^2 = s^2 decay^2 + q
    np.testing.assert_allclose(SIGMA**2 * decay**2 + noise[list(kernel.WANDER)], SIGMA**2)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_update_equals_the_joint_joseph_form(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, p = _state(rng), _covariance(rng)
    h, residual = rng.normal(size=(m, N)), rng.normal(size=m) * 0.1
    variance = rng.uniform(0.01, 1.0, size=m)
    expected_x, expected_p, nis = reference.update(x, p, h, residual, variance)
    assert correction.statistic(p, h, residual, variance) == pytest.approx(nis, rel=1e-9)
    correction.update(x, p, h, residual, variance, correction.FREE)
    np.testing.assert_allclose(x, expected_x, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(p, expected_p, rtol=1e-7, atol=1e-10)
    assert np.array_equal(p, p.T) or np.abs(p - p.T).max() < 1e-12


def test_considered_errors_keep_state_and_doubt_while_the_rest_learns() -> None:
    rng = np.random.default_rng(3)
    first, x, before = kernel.WIND, _state(rng), _covariance(rng)
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
    x, h, shown = _state(np.random.default_rng(axis)), np.empty((3, N)), np.empty(3)
    nominal_s = 0.08

    def seen(y: Array) -> float:  # a fix is older by the delay than the filter thought
        late = nominal_s + (y[kernel.X_DELAY] - x[kernel.X_DELAY])
        models.gnss_position(y, late, np.empty((3, N)), shown)
        return float(shown[axis])

    models.gnss_position(x, nominal_s, h, shown)
    np.testing.assert_allclose(h[axis], _slope(x, seen), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_row_of_gnss_velocity(axis: int) -> None:
    x, h, shown = _state(np.random.default_rng(axis)), np.empty((3, N)), np.empty(3)
    acceleration = np.array([1.0, -2.0, 3.0])

    def seen(y: Array) -> float:
        late = 0.01 + (y[kernel.X_DELAY] - x[kernel.X_DELAY])
        models.gnss_velocity(y, acceleration, late, np.empty((3, N)), shown)
        return float(shown[axis])

    models.gnss_velocity(x, acceleration, 0.01, h, shown)
    np.testing.assert_allclose(h[axis], _slope(x, seen), atol=1e-6)


def test_row_of_barometer() -> None:
    x, scratch, h = _state(np.random.default_rng(0)), np.empty(N), np.empty(N)
    models.barometer(x, 0.02, h)
    slope = _slope(x, lambda y: float(models.barometer(y, 0.02, scratch)))
    np.testing.assert_allclose(h, slope, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_row_of_magnetometer(seed: int) -> None:
    """The exact derivative is the row for the vertical plus what only tilts."""
    rng = np.random.default_rng(seed)
    x, field = _state(rng), rng.normal(size=3)
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
    x = _state(np.random.default_rng(3))
    x[kernel.X_HEADING] = 0.0
    if nose_up:
        x[6:10] = frames.quat_from_euler(0.0, np.pi / 2, 0.4)
    measured, scratch, h = x[6:10].copy(), np.empty(N), np.empty(N)
    assert models.heading(x, measured, h) == pytest.approx(0.0, abs=1e-12)
    slope = _slope(x, lambda y: -float(models.heading(y, measured, scratch)))
    np.testing.assert_allclose(h, slope, atol=1e-6)


def test_place_takes_over_what_gnss_is_wrong_by() -> None:
    p = _covariance(np.random.default_rng(1))
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


def test_health_is_refused_to_nan_negative_and_impossible_correlation() -> None:
    x, p = _state(np.random.default_rng(0)), np.eye(N)
    assert correction.healthy(x, p)
    for i, j, value in ((0, 0, -1.0), (4, 4, np.nan), (2, 1, 1.5)):
        bad = p.copy()
        bad[i, j] = value
        assert not correction.healthy(x, bad)
    x[5] = np.inf
    assert not correction.healthy(x, p)


def test_variances_stop_at_their_cap_and_stay_positive_definite() -> None:
    rng = np.random.default_rng(0)
    x, p = _state(rng), _covariance(rng)
    cap = np.full(N, 4.0)
    for _ in range(20):
        kernel.predict(x, p, _imu(rng, 0.5), np.concatenate([DENSITY, SIGMA, TAU, cap]))
    assert p.diagonal().max() <= 4.0 * (1 + 1e-9)
    assert np.linalg.eigvalsh(p).min() > -1e-12


def test_forecast_leaves_the_belief_alone_and_equals_stepping() -> None:
    rng = np.random.default_rng(5)
    x, p = _state(rng), _covariance(rng)
    steps = np.stack([_imu(np.random.default_rng(9), 0.004) for _ in range(8)])
    ring = np.hstack([steps, np.zeros((8, N_ENTRY - 11))])
    before = x.copy(), p.copy()
    now, cov = np.empty(kernel.N_NOMINAL), np.empty((N, N))
    forecast(x, p, ring, 5, 15, CONSTANTS, now, cov)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(p, before[1])
    for index in range(5, 15):
        kernel.predict(x, p, ring[index % 8, :11], CONSTANTS)
    np.testing.assert_allclose(now, x, atol=1e-12)
    np.testing.assert_allclose(cov.diagonal(), p.diagonal(), rtol=0.02)


@pytest.mark.parametrize("steps", [1, 5])
def test_steps_to_the_horizon_equal_predictions(steps: int) -> None:
    """The state exactly, the covariance as far as F changes from step to step."""
    rng = np.random.default_rng(6)
    x, p = _state(rng), _covariance(rng)
    ring = np.zeros((8, N_ENTRY))
    for k in range(8):
        ring[k, :11], ring[k, 11] = _imu(np.random.default_rng(10 + k), 0.004), 0.004 * (k + 1)
    ring[:, 1:4] *= 0.3  # an aircraft in quick motion, not a spinning top
    watch = np.zeros(N_WATCH)
    expected_x, expected_p = x.copy(), p.copy()
    until_s = 0.004 * steps
    reached = step_until(x, p, ring, 0, 7, 1.0, until_s - 1e-6, CONSTANTS, watch)
    assert reached == steps
    for k in range(steps):
        kernel.predict(expected_x, expected_p, ring[k, :11], CONSTANTS)
    np.testing.assert_allclose(x, expected_x, atol=1e-12)
    sigma = np.sqrt(expected_p.diagonal())
    off = np.abs(p - expected_p) / np.outer(sigma, sigma)
    assert off.max() < (1e-12 if steps == 1 else 5e-3)
    assert np.array_equal(p, p.T)
    force = ring[:steps, 4:7].sum(axis=0) * 0.004
    np.testing.assert_allclose(watch[FORCED_S], until_s)
    np.testing.assert_allclose(watch[FORCED : FORCED + 3], force)
    np.testing.assert_allclose(watch[FORCED_SHAKEN], ring[:steps, 10].sum())


def _long_steps() -> tuple[Array, Array, Array, Array]:
    """Return x, P, a ring (4, N_ENTRY) of steps of 0.1 s from time 0 on, and what watches."""
    rng = np.random.default_rng(7)
    ring = np.zeros((4, N_ENTRY))
    for k in range(4):
        ring[k, :11], ring[k, 11] = _imu(np.random.default_rng(20 + k), 0.1), 0.1 * (k + 1)
    ring[:, 1:4] *= 0.3
    return _state(rng), _covariance(rng), ring, np.zeros(N_WATCH)


def test_a_long_step_is_split_where_a_measurement_was_true() -> None:
    x, p, ring, watch = _long_steps()
    pieces = [np.concatenate([[dt], ring[k, 1:7], ring[k, 7:11] * dt / 0.1])
              for k, dt in ((0, 0.1), (1, 0.03), (1, 0.05), (1, 0.02), (2, 0.1))]  # fmt: skip
    expected_x, expected_p = x.copy(), p.copy()
    reached = []
    for event_s in (0.1, 0.13, 0.18, 1.0):
        first = reached[-1] if reached else 0
        reached.append(step_until(x, p, ring, first, 3, 0.35, event_s, CONSTANTS, watch))
        for piece in pieces[:1] if event_s < 1.0 else pieces[:2]:
            kernel.predict(expected_x, expected_p, piece, CONSTANTS)
        pieces = pieces[1:] if event_s < 1.0 else []
        np.testing.assert_allclose(x[:20], expected_x[:20], atol=1e-9)
        assert watch[REACHED] == pytest.approx(min(event_s, 0.3))
        if event_s < 1.0:
            now, cov = np.empty(kernel.N_NOMINAL), np.empty((N, N))
            left = expected_x.copy(), expected_p.copy()
            forecast(x, p, ring, reached[-1], 3, CONSTANTS, now, cov)
            for piece in pieces:
                kernel.predict(*left, piece, CONSTANTS)
            # what is split there turns the force by the attitude half way in each part
            np.testing.assert_allclose(now[:16], left[0][:16], rtol=0.0, atol=3e-3)
    assert reached == [1, 1, 1, 3]
    np.testing.assert_allclose(watch[FORCED_S], 0.3)
    np.testing.assert_allclose(watch[FORCED_SHAKEN], ring[:3, 10].sum())
    assert np.array_equal(p, p.T)


def test_near_its_end_or_beyond_the_target_a_step_stays_whole() -> None:
    x, p, ring, watch = _long_steps()
    assert step_until(x, p, ring, 0, 4, 0.15, 0.096, CONSTANTS, watch) == 1
    assert step_until(x, p, ring, 1, 4, 0.15, 0.17, CONSTANTS, watch) == 1
    assert watch[REACHED] == pytest.approx(0.1)


@pytest.mark.parametrize("when_s", [0.22, 0.2, 0.13, 0.0])
def test_the_way_back_is_the_way(when_s: float) -> None:
    x, p, ring, watch = _long_steps()
    then, back = x.copy(), np.empty(kernel.N_NOMINAL)
    if when_s:
        step_until(then, p.copy(), ring.copy(), 0, 4, 0.4, when_s, CONSTANTS, np.zeros(N_WATCH))
    first = step_until(x, p, ring, 0, 4, 0.4, 0.25, CONSTANTS, watch)
    doubt = before(x, ring, first, 4, watch, when_s, back)
    # elsewhere than at a step's ends the attitude half way, which turns the force, is another
    whole = when_s in (0.2, 0.0)
    np.testing.assert_allclose(back[:10], then[:10], rtol=0.0, atol=1e-9 if whole else 2e-3)
    shares = [min(max((0.1 * (k + 1) if k < 2 else 0.25) - max(when_s, 0.1 * k), 0.0), 0.1) / 0.1
              for k in range(3)]  # fmt: skip
    assert doubt == pytest.approx(ring[:3, 10] @ shares)
    before(x, ring, first, 4, watch, -5.0, back)  # no further than the ring
    start = _long_steps()[0]
    np.testing.assert_allclose(back[:10], start[:10], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_the_air(seed: int) -> None:
    x, scratch = _state(np.random.default_rng(seed)), np.empty((3, N))
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
    x, p, h = _state(np.random.default_rng(1)), 0.2 * np.eye(N), np.zeros((1, N))
    x[3:6], h[0, 5], claim = [speed, 0.0, 0.0], 1.0, 0.4
    noise, bounds = np.array([1.5, 1.5, count]), np.array([least, most, remembered, 0.25])
    doubt, residual = 0.2 / (claim * 1.5), np.array([size])
    nis = correction.gate(x, p, h, residual, np.array([claim]), 20.0, (0, 6), noise, bounds)
    assert nis == pytest.approx(size**2 / (0.2 + 1.5 * claim))
    expected = [1.5, 1.5, count]
    if nis <= 20.0 and speed > 0.5:
        shown = min(size**2 / (claim * 1.5), 9.0 * (1.0 + doubt)) - doubt
        weight = 1.0 / (1.0 + doubt) ** 2
        mean = 1.5 + (1.5 * shown - 1.5) * weight / (count + weight)
        expected = [min(max(mean, least), most), mean, count + weight]
    np.testing.assert_allclose(noise, expected, rtol=1e-12)
