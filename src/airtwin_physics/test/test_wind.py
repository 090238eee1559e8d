# SPDX-License-Identifier: Apache-2.0
"""The wind as force and as itself; and is the wind as good as it says, over simulated flights?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.kernel import DRAG, GUST, WIND, N
from airtwin_physics.ekf.steps import FORCED, FORCED_S, FORCED_SHAKEN, N_WATCH
from airtwin_physics.ekf.wind import N_BLOWN, WindStates, blown, drag, drag_shown, gusts, winds
from airtwin_physics.estimator import Estimator
from airtwin_physics.gusts import scales
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario, VehicleSpec, Wind

FIRST, BEND = 0.15, np.array([0.07, 0.14])
GRAVITY_NED = np.array([0.0, 0.0, kernel.GRAVITY_M_S2])
THRUST = 1.3 * kernel.GRAVITY_M_S2
NAN = float("nan")
speeds = st.floats(-20.0, 20.0)


def _x(seed: int, *, level: bool = False) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=kernel.N_NOMINAL)
    turn = rng.normal(size=3) * [0.0 if level else 0.3, 0.0 if level else 0.3, 1.0]
    x[6:10] = frames.quat_from_rotation_vector(turn)
    x[22:24] *= 6.0
    x[24] = np.log(FIRST) + 0.4 * rng.normal()
    x[27:29] = 0.0
    return x


def _covariance(seed: int) -> Array:
    root = np.random.default_rng(seed).normal(size=(N, N))
    return root @ root.T / N


def _moved(x: Array, error: int, by: float) -> Array:
    """Return x with one error injected; attitude as its rotation vector."""
    y = x.copy()
    if 6 <= error < 9:
        turn = np.zeros(3)
        turn[error - 6] = by
        y[6:10] = frames.quat_multiply(x[6:10], frames.quat_from_rotation_vector(turn))
    else:
        y[error + (error >= 6)] += by
    return y


def _slope(x: Array, error: int, value: Callable[[Array], Array]) -> Array:
    step = 1e-5
    return (value(_moved(x, error, step)) - value(_moved(x, error, -step))) / (2 * step)


def _winds(states: WindStates, x: Array, p: Array) -> Array:
    """Return wind now, its covariance, mean wind, its covariance (6, 2), checked by slopes."""
    out = np.empty((6, 2))
    winds(x, p, states.law, out)
    for k, gust in ((0, 1.0), (3, 0.0)):

        def wind(y: Array, k: int = k) -> Array:
            scratch = np.empty((6, 2))
            winds(y, p, states.law, scratch)
            return scratch[k]

        h = np.stack([_slope(x, error, wind) for error in range(N)], axis=1)
        assert np.any(h[:, GUST]) == bool(gust)
        np.testing.assert_allclose(out[k + 1 : k + 3], h @ p @ h.T, atol=1e-5)
    return out


def _shown(x: Array, bend: Array) -> tuple[Array, Array]:
    h, predicted = np.empty((2, N)), np.empty(2)
    drag(x, THRUST, WindStates(FIRST, bend).law, h, predicted)
    return h, predicted


@settings(deadline=None)  # the first call may compile
@given(speeds, speeds, st.floats(0.2, 5.0), st.floats(0.0, 0.3))
def test_a_wind_makes_the_force_of_its_state(n: float, e: float, share: float, b: float) -> None:
    out, back = np.empty(N_BLOWN), np.empty(N_BLOWN)
    blown(n, e, share, b, out)
    s, w = math.hypot(n, e), math.hypot(out[0], out[1])
    assert w + b * w * w == pytest.approx(share * (s + b * s * s), abs=1e-9)
    assert out[0] * e == pytest.approx(out[1] * n, abs=1e-6)
    blown(out[0], out[1], 1.0 / share, b, back)
    np.testing.assert_allclose(back[:2], [n, e], atol=1e-9)


@settings(deadline=None)  # the first call may compile
@given(speeds, speeds, st.floats(0.05, 1.0), st.floats(0.005, 0.3))
def test_slopes_of_a_wind(n: float, e: float, c: float, b: float) -> None:
    def wind(dn: float, de: float, dc: float) -> Array:
        y = np.empty(N_BLOWN)
        blown(n + dn, e + de, FIRST / c * math.exp(-dc), b, y)
        return y[:2]

    if math.hypot(n, e) < 0.1:
        return
    out, d = np.empty(N_BLOWN), 1e-5
    blown(n, e, FIRST / c, b, out)
    np.testing.assert_allclose(out[2:4], (wind(d, 0, 0) - wind(-d, 0, 0)) / 2 / d, atol=1e-4)
    np.testing.assert_allclose(out[3:5], (wind(0, d, 0) - wind(0, -d, 0)) / 2 / d, atol=1e-4)
    np.testing.assert_allclose(out[5:7], (wind(0, 0, d) - wind(0, 0, -d)) / 2 / d, atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_drag_are_its_slopes_without_a_gust(seed: int) -> None:
    x = _x(seed)
    h, _ = _shown(x, BEND)
    for error in range(N):
        slope = _slope(x, error, lambda y: _shown(y, BEND)[1])
        if error != DRAG:
            np.testing.assert_allclose(h[:, error], slope, atol=1e-5, err_msg=str(error))
    # level and with rotor drag alone the states' meaning is exact
    x = _x(seed, level=True)
    h, _ = _shown(x, np.zeros(2))
    slope = _slope(x, DRAG, lambda y: _shown(y, np.zeros(2))[1])
    np.testing.assert_allclose(h[:, DRAG], slope, atol=1e-6)


@pytest.mark.parametrize("teaches", [-1.0, 1.0, 2.0])
def test_the_mean_force_is_held_against_the_law_of_drag(teaches: float) -> None:
    x, watch, law = _x(3), np.zeros(N_WATCH), WindStates(FIRST, BEND).law
    x[3:5] = [0.9, 1.2]  # 1.5 m/s
    force = np.array([0.3, -0.2, -THRUST])
    watch[FORCED_S], watch[FORCED : FORCED + 3], watch[FORCED_SHAKEN] = 0.04, 0.04 * force, 1e-3
    h, residual, variance = np.empty((2, N)), np.empty(2), np.empty(2)
    x[5] = 0.0
    # the speed of now is what the mean force goes with, and what it did in the second half
    now = x.copy()
    now[3:6] += 0.02 * (frames.rotation_from_quat(x[6:10]) @ (force - x[13:16]) + GRAVITY_NED)
    before = now.copy()
    drag_shown(now, watch, law, 0.6, teaches, h, residual, variance)
    np.testing.assert_allclose(now, before, rtol=1e-12)
    rows, predicted = _shown(x, BEND)
    share = min(max(math.hypot(*now[3:5]) - teaches, 0.0), 1.0) if teaches >= 0.0 else 1.0
    rows[:, DRAG] *= share
    np.testing.assert_allclose(h, rows, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(residual, force[:2] - predicted, rtol=1e-9)
    doubt = (math.sqrt(1.3) - 1.0) * (predicted - x[13:15] - THRUST * x[31:33])
    axial = math.exp(x[24]) * now[5] ** 2 / 5.0
    np.testing.assert_allclose(variance, 0.36 + 1e-3 / 0.04**2 + doubt**2 + axial**2, rtol=1e-9)


def test_the_law_of_drag_is_doubted_beyond_a_hover() -> None:
    """The faster it climbs or falls and the further thrust is from weight, the less it says."""
    x, watch, law = _x(3), np.zeros(N_WATCH), WindStates(FIRST, BEND).law
    x[3:5], x[24] = [4.0, 3.0], math.log(FIRST)
    watch[FORCED_S] = 0.04

    def sigma(down_m_s: float, thrust: float) -> float:
        x[5], watch[FORCED + 2] = down_m_s, -0.04 * thrust * kernel.GRAVITY_M_S2
        variance = np.empty(2)
        drag_shown(x, watch, law, 0.6, -1.0, np.empty((2, N)), np.empty(2), variance)
        return math.sqrt(variance.sum())

    hover = sigma(0.0, 1.0)
    assert hover == pytest.approx(0.6 * math.sqrt(2.0))
    assert hover < sigma(2.0, 1.0) < sigma(-4.0, 1.0) < sigma(8.0, 1.0)
    assert sigma(20.0, 1.0) > 10.0 * hover  # a fall from the sky shows as good as nothing
    assert hover < sigma(0.0, 0.8) < sigma(0.0, 0.3) < sigma(0.0, -1.0)
    assert hover < sigma(0.0, 1.5) < sigma(0.0, 3.0)


@pytest.mark.parametrize("by_force", [True, False])
def test_gusts_are_drydens_in_this_wind(by_force: bool) -> None:
    x, p, constants = _x(4), _covariance(4), np.zeros(kernel.N_CONSTANTS)
    x[22:24], x[26], x[2] = [6.0, 8.0], 0.0, -50.0
    states = WindStates(FIRST, BEND)
    if not by_force:
        states.hold_wind(x, p)
    mean = _winds(states, x, p)[3]
    for known, height_m in ((1.0, 50.0), (1e4, 30.0)):
        p[25, 25] = known
        gusts(x, p, states.law, constants, 1.0, 0.0)
        length_m, _, sigma_m_s, _ = scales(height_m, math.hypot(*x[22:24]))
        through_m_s = math.hypot(*(x[3:5] - mean))
        np.testing.assert_allclose(constants[kernel.SIGMA][4:6], sigma_m_s)
        np.testing.assert_allclose(constants[kernel.TAU][4:6], 0.8 * length_m / through_m_s)
    # without wind the floors hold
    x[22:24] = 0.0
    gusts(x, p, states.law, constants, 1.0, 0.0)
    np.testing.assert_allclose(constants[kernel.SIGMA][4:6], 0.5 if by_force else 0.2)


@pytest.mark.parametrize(("size", "goes_to"), [(0.0, 0.3), (0.5, 1.0), (4.0, 2.0)])
def test_the_size_of_gusts_follows_those_that_drag_shows(size: float, goes_to: float) -> None:
    x, p, constants = _x(5), np.zeros((N, N)), np.zeros(kernel.N_CONSTANTS)
    states = WindStates(FIRST, BEND)
    x[22:24], x[27:29], p[25, 25] = 0.0, size, 1e4
    gusts(x, p, states.law, constants, 1.0, 0.0)
    for _ in range(10_000):
        gusts(x, p, states.law, constants, 1.0, 0.04)
    assert states.law[5] == pytest.approx(goes_to, rel=1e-3)
    assert states.gusts_likely == (goes_to < 2.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_hover_says_nothing_of_the_drag(seed: int) -> None:
    x = _x(seed)
    x[3:6] = 0.0
    np.testing.assert_allclose(_shown(x, BEND)[0][:, DRAG], 0.0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_a_change_of_what_the_states_hold_changes_no_wind(seed: int) -> None:
    x, p = _x(seed), _covariance(seed)
    x[27:29] = [0.7, -1.1]
    states = WindStates(FIRST, BEND)
    found = _winds(states, x, p)
    states.hold_wind(x, p)
    np.testing.assert_allclose(x[22:24], found[3], atol=1e-12)
    np.testing.assert_allclose(_winds(states, x, p), found, atol=1e-10)
    held, before = p.copy(), x.copy()
    states.hold_force(x, p)
    assert np.array_equal(x, before)
    np.testing.assert_allclose(_winds(states, x, p), found, atol=1e-10)
    assert np.linalg.eigvalsh(p).min() > 0.0
    states.hold_wind(x, p)
    np.testing.assert_allclose(p, held, atol=1e-10)
    assert p[WIND, WIND] != pytest.approx(_covariance(seed)[WIND, WIND])  # it did change
    assert p[GUST, GUST] > 0.0


def _flight(seed: int, gust: float, *, square: bool) -> list[tuple[object, Array]]:
    """Return samples with the wind (3,) at each: 28 s, in 8 m/s."""
    turn = 2.399 * seed
    wind = Wind((8.0 * math.cos(turn), 8.0 * math.sin(turn), 0.0), gust)
    scenario = Scenario((VehicleSpec("px4_1"),), wind=wind, seed=seed, extra_topics=True)
    flight, o = Flight(scenario), scenario.origin
    out: list[tuple[object, Array]] = []

    def run(seconds: float) -> None:
        for _, _, sample in flight.run(seconds):
            out.append((sample, flight.world.fleet.wind_ned_m_s[0].copy()))

    def order(number: int, *params: float) -> None:
        flight.world.command("px4_1", Command(number, params))

    run(4.0)
    order(400, 1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    run(1.0)
    order(22, *(NAN,) * 7)
    run(8.0)
    for leg in range(3):
        if square:
            north = 20.0 if leg % 2 == 0 else 0.0
            latitude = o.latitude_deg + math.degrees(north / 6378137.0)
            height = o.altitude_amsl_m + 5.0
            order(192, -1.0, 1.0, 0.0, NAN, latitude, o.longitude_deg, height)
        run(5.0)
    return out


@pytest.mark.parametrize("square", [False, True])
def test_wind_is_as_good_as_it_says_in_gusts(square: bool) -> None:
    """With the aircraft's file and without, against the mean wind and that of the moment."""
    known = aircraft.load("x500")
    nees: dict[str, list[float]] = {"file now": [], "file mean": [], "now": [], "mean": []}
    learnt = []
    for seed in range(2):
        flown = _flight(seed + 40, 1.0, square=square)
        steady = 8.0 * np.array([math.cos(2.399 * (seed + 40)), math.sin(2.399 * (seed + 40))])
        for name, craft in (("file ", known), ("", None)):
            estimator = Estimator(aircraft=craft)
            states = 0
            for sample, wind in flown:
                state = estimator.on(sample)  # type: ignore[arg-type]
                states += state is not None
                if state is None or state.wind is None or states < 1000 or states % 50:
                    continue
                assert state.wind.mean_ne_m_s is not None
                error = state.wind.velocity_ne_m_s - wind[:2]
                nees[f"{name}now"].append(error @ np.linalg.solve(state.wind.covariance, error))
                error = state.wind.mean_ne_m_s - steady
                cov = state.wind.mean_covariance
                nees[f"{name}mean"].append(error @ np.linalg.solve(cov, error))
            learnt.append(estimator._belief.p[DRAG, DRAG])
    for name, values in nees.items():
        assert len(values) >= 6, name
        assert np.mean(values) < 5.0, (name, values)  # 2 degrees of freedom, few flights
    if not square:  # a hover teaches no drag, whatever the gusts do
        assert min(learnt) > 0.24**2
