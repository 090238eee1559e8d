# SPDX-License-Identifier: Apache-2.0
"""Nothing in the aircraft shows north: no sequence of such sensors may teach the filter any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, GnssFix, Magnetometer
from airtwin_physics.ekf import aiding_models, correction, kernel, models, symmetry, wind
from airtwin_physics.ekf.kernel import ATT, GUST, POS, VEL, WIND, N
from airtwin_physics.estimator import Estimator
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario, VehicleSpec, Wind

from filter_states import random_covariance  # isort: skip

LAW = np.array([np.log(0.15), 0.1, 0.067, 0.133, 1.0, 1.0])
NAN = float("nan")


def _x(rng: np.random.Generator) -> Array:
    x = rng.normal(size=kernel.N_NOMINAL)
    x[3:6] *= 4.0
    x[6:10] = frames.quat_from_rotation_vector(rng.normal(size=3) * [0.2, 0.2, 1.0])
    x[22:24] *= 5.0
    x[24] = np.log(0.15)
    x[25] = 0.0
    x[26] = x[2] + 5.0
    return x


def _turned(x: Array, angle: float) -> Array:
    """Return x turned about down as a whole."""
    y, c, s = x.copy(), np.cos(angle), np.sin(angle)
    for at in (0, 3, 22, 27):
        y[at], y[at + 1] = c * x[at] - s * x[at + 1], s * x[at] + c * x[at + 1]
    about_down = np.array([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)])
    y[6:10] = frames.quat_multiply(about_down, x[6:10])
    return y


def _drag(x: Array, h: Array, shown: Array) -> int:
    wind.drag(x, 9.8, LAW, h, shown)
    return 2


def _airspeed(x: Array, h: Array, shown: Array) -> int:
    shown[0] = models.airspeed(x, h[0])
    return 1


def _sideslip(x: Array, h: Array, shown: Array) -> int:
    shown[0] = models.sideslip(x, h[0])
    return 1


def _flow(x: Array, h: Array, shown: Array) -> int:
    aiding_models.flow(x, h[:2], shown[:2])
    return 2


def _body(x: Array, h: Array, shown: Array) -> int:
    aiding_models.body_velocity(x, h, shown)
    return 3


def _barometer(x: Array, h: Array, shown: Array) -> int:
    shown[0] = models.barometer(x, 0.0, 3.0, h[0])
    return 1


def _speed(x: Array, h: Array, shown: Array) -> int:
    h[:] = 0.0
    h[:, VEL : VEL + 3] = np.eye(3)
    symmetry.blind(x, h)
    shown[:] = x[3:6]
    return 3


BLIND = (_drag, _airspeed, _sideslip, _flow, _body, _barometer, _speed)
Model = Callable[[Array, Array, Array], int]


@pytest.mark.parametrize("seed", range(4))
def test_the_direction_is_how_the_state_turns(seed: int) -> None:
    x, n = _x(np.random.default_rng(seed)), np.empty(N)
    symmetry.direction(x, n)
    step = 1e-6
    ahead, back = _turned(x, step), _turned(x, -step)
    for error, nominal in ((POS, 0), (VEL, 3), (WIND, 22), (GUST, 27)):
        slope = (ahead[nominal : nominal + 2] - back[nominal : nominal + 2]) / (2 * step)
        np.testing.assert_allclose(n[error : error + 2], slope, atol=1e-8)
    turn = frames.quat_multiply(frames.quat_conjugate(back[6:10]), ahead[6:10])
    slope = frames.rotation_vector_from_quat(turn) / (2 * step)
    np.testing.assert_allclose(n[ATT : ATT + 3], slope, atol=1e-8)
    assert np.count_nonzero(n) == 11


@pytest.mark.parametrize("model", BLIND)
@pytest.mark.parametrize("seed", range(3))
def test_no_row_of_theirs_sees_a_turn(model: Model, seed: int) -> None:
    x, n = _x(np.random.default_rng(seed)), np.empty(N)
    h, shown = np.zeros((3, N)), np.empty(3)
    rows = model(x, h, shown)
    symmetry.direction(x, n)
    assert np.abs(h[:rows]).max() > 1e-3
    np.testing.assert_allclose(h[:rows] @ n, 0.0, atol=1e-9)


def _known(x: Array, p: Array) -> float:
    """Return what is known of the turn [1/rad^2]."""
    n = np.empty(N)
    symmetry.direction(x, n)
    return float(n @ np.linalg.solve(p, n))


@pytest.mark.parametrize("carried", [True, False])
def test_corrections_teach_no_heading_where_the_covariance_is_carried_along(
    carried: bool,
) -> None:
    rng = np.random.default_rng(3)
    x = _x(rng)
    sigma2 = [9.0, 4.0, 0.1, 1e-4, 0.01, 1.0, 4e-4]
    p = np.diag(np.repeat(sigma2, [3, 3, 3, 3, 3, N - 17, 2]))
    first = _known(x, p)
    constants = np.concatenate([np.zeros(11), np.zeros(7), np.full(7, 1e9), np.full(N, 1e9)])
    step = np.concatenate([[0.02], 0.2 * np.ones(3), [0.3, -0.2, -9.8], np.zeros(4)])
    h, shown = np.zeros((3, N)), np.empty(3)
    for k in range(600):
        step[1:4] = 0.3 * rng.normal(size=3)
        kernel.predict(x, p, step, constants)
        before = x.copy()
        rows = _drag(x, h, shown) if k % 2 else _barometer(x, h, shown)
        noise = np.full(rows, 0.04)
        spread = np.sqrt([correction.spread(p, h[i]) + 0.04 for i in range(rows)])
        residual = np.clip(rng.normal(size=rows), -2.0, 2.0) * spread
        correction.update(x, p, h[:rows], residual, noise, correction.FREE)
        if carried:
            symmetry.carry(before, x, p)
            assert np.linalg.eigvalsh(p)[0] > 0.0
            np.testing.assert_array_equal(p, p.T)
    known = _known(x, p)
    # without: what nothing has shown is known to a fraction of what it was in doubt
    assert (known < 1.02 * first) if carried else (known > 2.0 * first)


def test_a_gate_carries_the_covariance_of_what_sees_no_north_and_only_where_it_passes() -> None:
    rng = np.random.default_rng(5)
    x, p, h = _x(rng), random_covariance(rng), rng.normal(size=(2, N))
    residual, variance, bounds = np.array([0.3, -0.2]), np.full(2, 0.5), np.zeros(4)
    for limit in (1e9, -1.0):
        ends = []
        for north in (True, False):
            y, q = x.copy(), p.copy()
            args = (y, q, h, residual, variance, limit, correction.FREE, np.ones(3), bounds)
            correction.gate(*args, north)
            ends.append((y, q))
        (sees, seeing), (blind, blinded) = ends
        np.testing.assert_array_equal(sees, blind)
        if limit > 0.0:
            symmetry.carry(x, sees, seeing)
        np.testing.assert_array_equal(seeing, blinded)


def test_flying_by_drag_alone_leaves_the_heading_as_unsure_as_it_was() -> None:
    flight = Flight(
        Scenario((VehicleSpec("px4_1"),), wind=Wind((3.0, 5.0, 0.0)), extra_topics=True)
    )
    arm, take_off = Command(400, (1.0, 21196.0) + (0.0,) * 5), Command(22, (NAN,) * 7)
    twin, sigmas, first_ns = Estimator(), [], 1_000_000_000
    for seconds, command in ((4.0, arm), (1.0, take_off), (4.0, None), (12.0, None)):
        for _, _, sample in flight.run(seconds):
            if isinstance(sample, GnssFix | Attitude | Magnetometer):
                continue
            at_s = (sample.stamp_ns - first_ns) * 1e-9
            state = twin.on(sample)
            if state is not None and at_s > 9.0:
                down = frames.rotation_from_quat(state.q_ned_frd)[2]
                sigmas.append(float(np.sqrt(down @ state.covariance[6:9, 6:9] @ down)))
        if command:
            flight.world.command("px4_1", command)
    used = {fusion.source: fusion.used for fusion in twin.state().fusions}
    assert used["drag"] > 200
    assert min(sigmas) > 0.99 * sigmas[0]
