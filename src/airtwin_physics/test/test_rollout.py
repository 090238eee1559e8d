# SPDX-License-Identifier: Apache-2.0
"""Rollouts in lanes against the same flights by dynamics and control, in steps and as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft
from airtwin_core.types import Array, Identification, Parameter, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import px4_params, virtual
from airtwin_physics.rollout import (
    cascade,
    draw,
    kernel,
    lanes,
    pack,
    reference,
    rollouts,
    stages,
    start,
    vector,
)
from airtwin_physics.rollout.lanes import L
from airtwin_physics.rollout.plan import Corridor, Plan, Waypoint
from airtwin_physics.rollout.start import SIGMAS

X500 = aircraft.load("x500")
P = px4_params.Px4Params()
ZERO = np.zeros(3)
CALM = draw.Wind()
WINDY = draw.Wind((3.0, -4.0, 0.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 0.04)), gust=1.0)
PLAN = Plan((Waypoint((40.0, 0.0, -42.0), 12.0), Waypoint((40.0, 30.0, -38.0), 8.0, 1.0)))


def level_flight(velocity: Array = ZERO, *more: Array, **sigmas: Array) -> TwinState:
    return start.supposed(np.array([0.0, 0.0, -40.0]), velocity, *more, **sigmas)


def _draws(seed: int, n: int, wind: draw.Wind, belief: TwinState | None = None) -> draw.Draws:
    return draw.draws(
        np.random.default_rng(seed),
        n,
        X500.rotor_count,
        level_flight() if belief is None else belief,
        wind,
        draw.Spread(),
        None,
        sampled=True,
    )


def _rollout(seed: int, n: int, wind: draw.Wind = WINDY, **more: object) -> rollouts.Rollouts:
    return rollouts.rollout(
        level_flight(), PLAN, wind, n, 4.0, np.random.default_rng(seed), aircraft=X500, **more
    )  # type: ignore[arg-type]


# --- one step, stage by stage -------------------------------------------------------------------


def _put(s: Array, row: int, values: Array) -> None:
    for k, component in enumerate(np.atleast_2d(values)):
        s[row + k * L : row + (k + 1) * L] = component


def _get(s: Array, row: int, count: int) -> Array:
    return s[row : row + count * L].reshape(count, L).T


def _random_lanes(seed: int) -> tuple[Array, Array, Array, Array, draw.Draws]:
    rng = np.random.default_rng(seed)
    drawn = _draws(seed, L, WINDY)
    model = dynamics.pack(X500)
    starts = drawn.starts
    starts[:, 3:6] = rng.normal(0.0, 4.0, (L, 3))
    turns = rng.normal((1.0, 0.0, 0.0, 0.0), 0.3, (L, 4))
    starts[:, 6:10] = turns / np.linalg.norm(turns, axis=1, keepdims=True)
    starts[:, 10:13] = rng.normal(0.0, 1.0, (L, 3))
    s, r = pack.block(model, P, drawn.factors, starts, np.zeros((L, 2)), 0.0)
    k, rotor_k = pack.shared(X500, model, 0.01)
    _put(s, lanes.TRACK, rng.normal(0.0, 3.0, (9, L)) + s[: 3 * L].reshape(3, L).repeat(3, 0))
    _put(s, lanes.YAW, rng.uniform(-np.pi, np.pi, L))
    _put(s, lanes.VEL_INT, rng.normal(0.0, 1.0, (3, L)))
    _put(s, lanes.VEL_DOT, rng.normal(0.0, 1.0, (3, L)))
    _put(s, lanes.VEL_LAST, starts[:, 3:6].T + rng.normal(0.0, 0.02, (3, L)))
    return s, r, k, rotor_k, drawn


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_position_loop_is_the_plain_one(seed: int) -> None:
    s, _, _, _, _ = _random_lanes(seed)
    rows = s.copy()
    smooth = 1.0 - np.exp(-2.0 * np.pi * P.mpc_veld_lp * 0.01)
    cascade.position(s, P, smooth, 0.01)
    cascade.wanted_attitude(s)
    for lane in range(L):
        control, setpoint = law.new_control(P), virtual.new_setpoint(P)
        for column, row in ((0, lanes.VEL_INT), (3, lanes.VEL_LAST), (6, lanes.VEL_DOT)):
            control[column : column + 3] = _get(rows, row, 3)[lane]
        control[law.C_HOVER] = rows[lanes.HOVER + lane]
        setpoint[:9] = _get(rows, lanes.TRACK, 9)[lane]
        setpoint[9] = rows[lanes.YAW + lane]
        vel = _get(rows, lanes.VEL, 3)[lane]
        pos = _get(rows, lanes.POS, 3)[lane] + 0.005 * vel  # the state half a step ahead
        down = (vel[2] - control[5]) / 0.01
        law.position_control(control, setpoint, pos, vel, 0.0, P, 0.01)
        law.learn_hover_thrust(control, down, 0.01)
        assert s[lanes.THRUST + lane] == pytest.approx(control[law.C_THRUST], rel=1e-9)
        assert s[lanes.HOVER + lane] == pytest.approx(control[law.C_HOVER], rel=1e-9)
        np.testing.assert_allclose(_get(s, lanes.VEL_INT, 3)[lane], control[:3], atol=1e-9)
        same = abs(float(_get(s, lanes.Q_WANTED, 4)[lane] @ control[law.C_Q]))
        assert same == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_attitude_rate_and_mixer_are_the_plain_ones(seed: int) -> None:
    s, r, _, rotor_k, _ = _random_lanes(seed)
    rng = np.random.default_rng(seed)
    wanted = rng.normal((1.0, 0.0, 0.0, 0.0), 0.2, (L, 4))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    _put(s, lanes.Q_WANTED, wanted.T)
    _put(s, lanes.THRUST, rng.uniform(0.1, 1.0, L))
    _put(s, lanes.RATE, np.zeros((3, L)))  # nothing to look ahead with
    _put(s, lanes.RATE_LP, rng.normal(0.0, 0.5, (3, L)))
    _put(s, lanes.RATE_INT, rng.normal(0.0, 0.1, (3, L)))
    before, smooth = s.copy(), pack.filters(P, 0.01, 1)
    cascade.attitude_and_rate(s, P, smooth[1], smooth[2], 0.01)
    s[lanes.LOW : lanes.LOW + L], s[lanes.HIGH : lanes.HIGH + L] = np.inf, -np.inf
    for j in range(4):
        stages.mix_level(s, r[j], rotor_k[j])
    stages.mix_desaturate(s)
    for j in range(4):
        stages.mix_yaw_share(s, r[j], rotor_k[j])
    shares, motors = law.mixer(X500), np.zeros(4)
    for lane in range(L):
        control = law.new_control(P)
        control[law.C_Q] = wanted[lane]
        control[law.C_RATE_INT] = _get(before, lanes.RATE_INT, 3)[lane]
        control[law.C_RATE] = _get(before, lanes.RATE_LP, 3)[lane]
        asked = law.attitude_control(control, _get(before, lanes.QUAT, 4)[lane], P)
        torque = law.rate_control(control, asked, ZERO, True, P, 0.01)
        np.testing.assert_allclose(_get(s, lanes.TORQUE, 3)[lane], torque, atol=2e-6)
        np.testing.assert_allclose(_get(s, lanes.RATE_INT, 3)[lane], control[9:12], atol=1e-8)
        law.mix(motors, shares, torque, before[lanes.THRUST + lane])
        made = [
            r[j, lanes.COMMAND + lane]
            + s[lanes.SHARE + lane] * shares[j, 2] * s[lanes.TORQUE + 2 * L + lane]
            for j in range(4)
        ]
        np.testing.assert_allclose(np.clip(made, 0.0, 1.0), motors, atol=2e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rigid_body_is_that_of_dynamics(seed: int) -> None:
    """One step of 1 ms: second order, so the difference to Runge-Kutta is far below a change."""
    dt = 0.001
    s, r, _, _, drawn = _random_lanes(seed)
    nominal = dynamics.pack(X500)
    k, rotor_k = pack.shared(X500, nominal, dt)
    cells = pack.batteries(nominal, drawn.factors)
    _put(s, lanes.WIND, drawn.winds.T)
    inside = np.tile([0.0, 25.0], (L, 1))
    kernel.look(s, cells, nominal.ocv, inside, np.zeros(L), kernel.GUST_S)
    commands = np.random.default_rng(seed).uniform(0.0, 1.0, (4, L))
    r[:, lanes.COMMAND : lanes.COMMAND + L] = commands
    _put(s, lanes.SHARE, np.zeros(L))
    before = s.copy()
    rotors = r[:, lanes.ROTOR : lanes.ROTOR + L].copy()
    stages.body(s, k, dt)
    for j in range(4):
        stages.rotor(s, r[j], rotor_k[j], k[lanes.SPIN_INERTIA], dt)
    stages.move(s, k, dt)
    for lane in range(L):
        model = pack.varied(nominal, drawn.factors[lane])
        x = dynamics.at_rest(model)
        x[:13], x[dynamics.ROTOR :] = _get(before, lanes.POS, 13)[lane], rotors[:, lane]
        x = dynamics.step(x, commands[:, lane], model, drawn.winds[lane], dt)
        np.testing.assert_allclose(_get(s, lanes.POS, 3)[lane], x[:3], atol=1e-6)
        np.testing.assert_allclose(_get(s, lanes.VEL, 3)[lane], x[3:6], atol=2e-5)
        np.testing.assert_allclose(_get(s, lanes.QUAT, 4)[lane], x[6:10], atol=1e-6)
        np.testing.assert_allclose(_get(s, lanes.RATE, 3)[lane], x[10:13], atol=2e-3)
        np.testing.assert_allclose(r[:, lanes.ROTOR + lane], x[dynamics.ROTOR :], rtol=1e-7)
        assert s[lanes.CHARGE + lane] == pytest.approx(x[dynamics.CHARGE], rel=1e-2)


def test_sine_and_cosine_are_as_exact_as_said() -> None:
    for angle in np.linspace(-np.pi, np.pi, 721):
        assert vector.sine_cosine(angle) == pytest.approx((np.sin(angle), np.cos(angle)), abs=2e-9)
        half = angle / 2.0
        assert vector.quarter_turn(np.cos(half), np.sin(half)) == pytest.approx(half, abs=2e-6)


# --- whole flights ------------------------------------------------------------------------------


@pytest.mark.parametrize("wind", [CALM, WINDY])
def test_ten_seconds_end_where_a_kilohertz_reference_ends(wind: draw.Wind) -> None:
    legs = PLAN.legs(level_flight().position_ned_m, P)
    fast = rollouts.fly(_draws(7, 16, wind), legs, legs[:, :2], X500, P, wind.gust, 0.0, 100, 11)
    slow, way = reference.fly(_draws(7, 16, wind), legs, X500, P, wind.gust, 0.0, 10.0)
    apart = np.linalg.norm(fast.position_ned_m[:, -1] - slow[:, :3], axis=1)
    assert np.all(way > 45.0)
    assert np.max(apart / way) < 0.01
    assert np.median(apart / way) < 0.005  # at 12 m/s and in the middle of a turn
    faster = np.linalg.norm(fast.velocity_ned_m_s[:, -1] - slow[:, 3:6], axis=1)
    assert np.median(faster) < 0.05


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    speed=st.floats(3.0, 12.0),
    bearing=st.floats(-3.1, 3.1),
    climb=st.floats(-8.0, 8.0),
    wind=st.floats(0.0, 8.0),
)
def test_random_legs_end_where_the_reference_ends(
    seed: int, speed: float, bearing: float, climb: float, wind: float
) -> None:
    goal = (60.0 * np.cos(bearing), 60.0 * np.sin(bearing), -40.0 + climb)
    legs = Plan((Waypoint(goal, speed),)).legs(level_flight().position_ned_m, P)
    blow = draw.Wind((wind, 0.0, 0.0), gust=1.0)
    fast = rollouts.fly(_draws(seed, 2, blow), legs, legs[:, :2], X500, P, 1.0, 0.0, 100, 7)
    slow, way = reference.fly(_draws(seed, 2, blow), legs, X500, P, 1.0, 0.0, 6.0)
    apart = np.linalg.norm(fast.position_ned_m[:, -1] - slow[:, :3], axis=1)
    assert np.max(apart / way) < 0.01


def test_energy_is_what_the_battery_gives() -> None:
    legs = Plan().legs(level_flight().position_ned_m, P)
    fast = rollouts.fly(_draws(3, 4, CALM), legs, legs[:, :2], X500, P, 0.0, 0.0, 100, 11)
    slow, _ = reference.fly(_draws(3, 4, CALM), legs, X500, P, 0.0, 0.0, 10.0)
    nominal = dynamics.pack(X500)
    for i in range(4):
        voltage, _ = dynamics.battery(slow[i], pack.varied(nominal, _draws(3, 4, CALM).factors[i]))
        given_j = voltage * slow[i, dynamics.CHARGE]
        assert fast.energy_j[i, -1] == pytest.approx(given_j, rel=0.02)


def test_a_rollout_is_the_same_in_any_company() -> None:
    many, one, few = _rollout(11, 2 * L + 5), _rollout(11, 1), _rollout(11, L + 1)
    for name in ("position_ned_m", "velocity_ned_m_s", "energy_j", "factors"):
        every = getattr(many, name)
        assert np.array_equal(every[:1], getattr(one, name))
        assert np.array_equal(every[: L + 1], getattr(few, name))
    assert np.array_equal(many.position_ned_m, _rollout(11, 2 * L + 5).position_ned_m)
    assert not np.array_equal(many.position_ned_m, _rollout(12, 2 * L + 5).position_ned_m)


def test_distributions() -> None:
    fan = _rollout(5, 512)
    assert fan.kept.all()
    np.testing.assert_allclose(fan.mean_ned_m()[0], [0.0, 0.0, -40.0], atol=0.15)
    np.testing.assert_allclose(np.diag(fan.covariance_m2()[0]), SIGMAS[:3] ** 2, rtol=0.2)
    low, middle, high = fan.quantiles_ned_m((0.05, 0.5, 0.95))
    assert np.all(low <= middle)
    assert np.all(middle <= high)
    assert high[0, 0] - low[0, 0] == pytest.approx(2 * 1.645 * 0.5, rel=0.2)
    assert fan.leaves(Corridor(half_width_m=1e3)) == 0.0
    assert fan.leaves(Corridor(half_width_m=1e-3)) == 1.0
    wide = [fan.leaves(Corridor(half_width_m=w)) for w in (0.5, 1.0, 2.0, 4.0)]
    assert np.all(np.diff(wide) <= 0.0)
    assert wide[0] > wide[-1]
    assert fan.leaves(Corridor(top_down_m=-41.0)) > 0.5  # the plan climbs to 42 m
    assert fan.descends_below(0.0) == 0.0
    assert np.all(np.diff(fan.energy_j, axis=1) > 0.0)


def test_nominal_is_one_flight_without_chance() -> None:
    a = _rollout(1, 3, sampled=False)
    assert np.array_equal(a.position_ned_m[0], a.position_ned_m[2])
    assert np.array_equal(a.position_ned_m, _rollout(2, 3, sampled=False).position_ned_m)
    assert np.all(a.factors == 1.0)


def test_what_is_identified_is_what_is_flown() -> None:
    known = Parameter("mass", "kg", 3.0, 0.01, 2.0, known=True)
    weak = Parameter("rotor_1_effectiveness", "-", 0.8, 0.001, 1.0, known=True)
    unknown = Parameter("rotor_drag", "N s^2/(m rad)", 9.0, 1.0, 1.0, known=False, why="no wind")
    told = Identification(0, 0, (known, weak, unknown))
    fan = _rollout(4, 400, identified=told)
    mass, drag = fan.factors[:, draw.F_MASS], fan.factors[:, draw.F_DRAG]
    assert np.mean(mass) == pytest.approx(1.5, rel=2e-3)
    assert np.std(mass) == pytest.approx(0.005, rel=0.2)
    assert np.std(fan.factors[:, draw.F_ROTOR + 1]) == pytest.approx(0.001, rel=0.2)
    assert np.median(drag) == pytest.approx(1.0, rel=0.05)
    assert fan.energy_j[:, -1].mean() > 1.3 * _rollout(4, 400).energy_j[:, -1].mean()
    lift = Parameter("thrust_over_mass", "N s^2/(kg rad^2)", 0.9, 0.0045, 1.0, known=True)
    thrust = Parameter("thrust_constant", "N s^2/rad^2", 1.0, 0.02, 1.0, known=True)
    for parameters in ((lift, thrust), (thrust, known, weak, lift)):
        told = Identification(0, 0, parameters)
        rng = np.random.default_rng(5)
        drawn = draw.factors(rng, 400, 4, draw.Spread(), told, sampled=True)
        # of all rotors as they are: a hover tells no more
        rotors = drawn[:, draw.F_ROTOR :].mean(axis=1)
        ratio = drawn[:, draw.F_THRUST] * rotors / drawn[:, draw.F_MASS]
        assert np.mean(ratio) == pytest.approx(0.9, rel=2e-3)
        assert np.std(ratio) == pytest.approx(0.0045, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1.0, 30.0, 1e3, 1e8]),
)
def test_wild_starts_are_lost_and_never_nan(seed: int, size: float) -> None:
    """Upside down, at any speed, spinning: each number stays finite, and the lost are named."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=4)
    wild = level_flight(rng.normal(0.0, size, 3), q / np.linalg.norm(q), SIGMAS * size)
    fan = rollouts.rollout(wild, PLAN, WINDY, 8, 2.0, rng, aircraft=X500)
    for values in (fan.position_ned_m, fan.velocity_ned_m_s, fan.q_ned_frd, fan.energy_j):
        assert np.all(np.isfinite(values))
    if size >= 1e8:  # a thousand times the usual may by chance be a flight that is caught
        assert not fan.kept.any()
        assert fan.leaves(Corridor()) == 1.0
        assert np.all(np.isnan(fan.mean_ned_m()))


def test_what_is_no_question_is_refused() -> None:
    def ask(**changes: object) -> None:
        given_: dict[str, object] = {
            "belief": level_flight(),
            "plan": PLAN,
            "wind": CALM,
            "n": 1,
            "horizon_s": 1.0,
            "rng": np.random.default_rng(0),
            "aircraft": X500,
        }
        rollouts.rollout(**(given_ | changes))  # type: ignore[arg-type]

    negative = -np.ones(15)
    for changes in (
        {"n": 0},
        {"horizon_s": float("nan")},
        {"interval_s": 0.013},
        {"belief": level_flight(np.array([np.nan, 0.0, 0.0]))},
        {"belief": level_flight(sigmas=np.full(15, np.nan))},
        {"wind": draw.Wind((np.inf, 0.0, 0.0))},
        {"wind": draw.Wind(covariance=tuple(map(tuple, np.diag(negative[:3]))))},
        {"wind": draw.Wind(gust=-1.0)},
        {"plan": Plan((Waypoint((np.nan, 0.0, 0.0)),))},
        {"plan": Plan((Waypoint((1.0, 0.0, 0.0), -1.0),))},
        {"charge_c": float("nan")},
        {"ground_down_m": float("nan")},
    ):
        with pytest.raises(
            ValueError, match=r"finite|no rollouts|eigen|no wind|gusts|waypoint|drawn|ground"
        ):
            ask(**changes)
