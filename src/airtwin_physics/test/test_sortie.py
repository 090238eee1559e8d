# SPDX-License-Identifier: Apache-2.0
"""From pad to pad: the virtual aircraft takes off and lands, and rollouts do as it does."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import sortie, track, virtual
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.rollout import draw, pack, rollouts, start
from airtwin_physics.rollout.plan import Act, Plan, Waypoint

X500 = aircraft.load("x500")
P = Px4Params()
PAD = np.zeros(3)
PLAN = Plan(
    (
        Waypoint((0.0, 0.0, -12.0), act=Act.TAKE_OFF),
        Waypoint((40.0, 0.0, -12.0), 5.0),
        Waypoint((40.0, 30.0, -12.0), 5.0, 2.0),
        Waypoint((40.0, 30.0, 0.0), act=Act.LAND),
    )
)
LEGS = PLAN.legs(PAD, P)
STEP_S = track.GUIDE_S


def _drawn(seed: int, n: int, *, sampled: bool) -> draw.Draws:
    sigmas = np.concatenate(([0.4, 0.4], np.zeros(13)))
    belief = start.supposed(PAD, sigmas=sigmas)
    rng, calm = np.random.default_rng(seed), draw.Wind((4.0, -2.0, 0.0))
    return draw.draws(rng, n, 4, belief, calm, draw.Spread(), None, sampled=sampled)


def _plain(factors: Array, place: Array, wind: Array, seconds: float) -> tuple[Array, ...]:
    """Return states (k, 20), phases (k,), legs (k,) and motors (k, 4), one each STEP_S."""
    flown = virtual.VirtualAircraft(X500, P)
    flown.model = pack.varied(flown.model, factors)
    flown.x[:2] = place[:2]
    flown.follow(LEGS)
    seen = []
    for _ in range(round(seconds / STEP_S)):
        flown.advance_along(STEP_S, wind)
        seen.append((flown.x.copy(), flown.phase, flown.guide[track.G_LEG], flown.motors.copy()))
    return tuple(np.array(column) for column in zip(*seen, strict=True))


def _at(condition: Array) -> float:
    """Return when the condition was true for the first time [s]."""
    assert condition.any()
    return (int(np.argmax(condition)) + 1) * STEP_S


def test_the_virtual_aircraft_takes_off_and_lands_as_px4_does() -> None:
    x, phase, leg, motors = _plain(np.ones(9), PAD, np.zeros(3), 60.0)
    assert np.all(motors[phase == sortie.SPOOL] == 0.0)
    assert _at(phase == sortie.RAMP) == pytest.approx(P.com_spoolup_time, abs=2 * STEP_S)
    assert _at(phase == sortie.AIR) == pytest.approx(
        P.com_spoolup_time + P.mpc_tko_ramp_t, abs=3 * STEP_S
    )
    height = -x[:, 2]
    rest = dynamics.at_rest(dynamics.pack(X500))
    assert np.max(np.abs(x[phase == sortie.SPOOL, :3] - rest[:3])) < 1e-3
    assert np.max(height[phase < sortie.AIR]) < 2.0
    climb = -x[(leg == 0) & (height > 4.0) & (height < 9.0), 5]
    assert climb.mean() == pytest.approx(P.mpc_tko_speed, rel=0.1)
    assert np.max(height) < 12.5
    # slow below MPC_LAND_ALT2
    landing = leg == 3
    sink = x[landing & (height < 4.0) & (height > 0.5), 5]
    assert np.all(np.abs(sink - P.mpc_land_speed) < 0.1)
    fast = x[landing & (height < 11.0) & (height > 10.0), 5].max()
    assert P.mpc_land_speed + 0.1 < fast <= P.mpc_z_v_auto_dn + 0.05
    touch = _at(landing & (height < 0.01))
    # 0.2 to 1 s till thrust is low, three stages of a third, and COM_DISARM_LAND
    contact, landed = _at(phase == sortie.CONTACT), _at(phase == sortie.LANDED)
    assert 1.0 / 3.0 < contact - touch < 1.3
    assert landed - contact == pytest.approx(2.0 / 3.0, abs=2 * STEP_S)
    off = _at(phase == sortie.OFF)
    assert off - landed == pytest.approx(P.com_disarm_land, abs=2 * STEP_S)
    assert np.all(np.isnan(motors[phase == sortie.OFF]))
    assert np.linalg.norm(x[-1, :2] - (40.0, 30.0)) < 0.3
    assert np.all(x[-1, dynamics.ROTOR :] < 5.0)
    assert np.max(np.abs(x[-1, 3:6])) < 0.01


def test_rollouts_from_pad_to_pad_are_those_of_the_virtual_aircraft() -> None:
    n, horizon = 6, 60
    drawn = _drawn(5, n, sampled=True)
    fan = rollouts.fly(drawn, LEGS, LEGS[:, :2], X500, P, 0.0, 0.0, 10, horizon * 10 + 1)
    assert fan.kept.all()
    for i in range(n):
        model = pack.varied(dynamics.pack(X500), drawn.factors[i])
        x, phase, leg, _ = _plain(drawn.factors[i], drawn.starts[i], drawn.winds[i], horizon)
        times = [_at(leg == k) for k in (1, 2)]
        np.testing.assert_allclose(fan.reached_s[i, :2], times, atol=0.1)
        landed = _at(phase == sortie.LANDED)
        assert fan.reached_s[i, 3] == pytest.approx(landed, abs=0.3)
        t = np.arange(1, len(x) + 1) * STEP_S
        for axis in range(3):
            there = np.interp(fan.times_s[1:-1], t, x[:, axis])
            assert np.max(np.abs(fan.position_ned_m[i, 1:-1, axis] - there)) < 0.3  # of 82 m flown
        at = int(landed / STEP_S)
        left = 1.0 - x[at, dynamics.CHARGE] / (
            model.battery[dynamics.CAPACITY_C] * model.battery[dynamics.CAPACITY_SHARE]
        )
        assert 1.0 - fan.reached_left[i, 3] == pytest.approx(1.0 - left, rel=0.02)


def test_who_has_landed_stays_and_takes_nothing_more() -> None:
    fan = rollouts.fly(_drawn(2, 40, sampled=True), LEGS, LEGS[:, :2], X500, P, 1.0, 0.0, 50, 141)
    assert fan.kept.all()
    assert np.all(np.isfinite(fan.reached_s))
    assert np.all(np.diff(fan.reached_s, axis=1) > 0.0)
    assert np.all(np.diff(fan.reached_left, axis=1) < 0.0)
    over = fan.times_s > fan.reached_s[:, 3].max() + P.com_disarm_land + 0.5
    assert over.sum() > 5
    rest = fan.position_ned_m[:, over]
    assert np.array_equal(rest, np.repeat(rest[:, :1], over.sum(), axis=1))
    assert np.all(rest[:, :, 2] == 0.0)
    assert np.max(np.linalg.norm(rest[:, 0, :2] - (40.0, 30.0), axis=1)) < 1.0
    energy = fan.energy_j[:, over]
    assert np.array_equal(energy, np.repeat(energy[:, :1], over.sum(), axis=1))
    again = rollouts.fly(_drawn(2, 3, sampled=True), LEGS, LEGS[:, :2], X500, P, 1.0, 0.0, 50, 141)
    assert np.array_equal(again.position_ned_m, fan.position_ned_m[:3])


def test_too_heavy_to_take_off_stays_on_the_ground() -> None:
    drawn = _drawn(1, 2, sampled=False)
    drawn.factors[1, draw.F_MASS] = 4.0
    fan = rollouts.fly(drawn, LEGS, LEGS[:, :2], X500, P, 0.0, 0.0, 10, 201)
    assert np.max(-fan.position_ned_m[0, :, 2]) > 10.0
    assert np.all(fan.position_ned_m[1, :, 2] == 0.0)
    assert np.isnan(fan.reached_s[1]).all()


def test_the_land_detector_wants_all_of_its_signs() -> None:
    def contact_after(thrust: float, down: float, wanted: float, level: float) -> float:
        flight = np.zeros(3)
        sortie.begin(flight, track.LAND)
        for i in range(200):
            sortie.advance(flight, track.LAND, thrust, 0.6, wanted, level, down, 0.0, P, STEP_S)
            if flight[sortie.PHASE] == sortie.CONTACT:
                return (i + 1) * STEP_S
        return np.inf

    low = P.mpc_thr_min + 0.5 * (0.6 - P.mpc_thr_min)
    assert contact_after(low, 0.0, 0.7, 0.0) == pytest.approx(1.0 / 3.0, abs=STEP_S)
    assert contact_after(0.55, 0.0, 0.7, 0.0) == np.inf  # it hovers
    assert contact_after(low, 0.7, 0.7, 0.0) == np.inf  # it still sinks
    assert contact_after(low, 0.0, 0.0, 0.0) == np.inf  # nobody wants it to sink
    assert contact_after(low, 0.0, 0.7, 2.0) == np.inf  # it slides
    flight = np.zeros(3)
    sortie.begin(flight, track.LAND)
    flight[sortie.PHASE] = sortie.CONTACT
    sortie.advance(flight, track.LAND, 0.0, 0.6, 0.7, 0.0, -0.5, 0.0, P, STEP_S)
    assert flight[sortie.PHASE] == sortie.AIR  # it has bounced off


def test_what_is_no_flight_is_refused() -> None:
    take_off, land = (
        Waypoint((0.0, 0.0, -5.0), act=Act.TAKE_OFF),
        Waypoint((0.0, 0.0, 0.0), act=Act.LAND),
    )
    for plan in (Plan((land, take_off)), Plan((take_off, take_off)), Plan((land, land))):
        with pytest.raises(ValueError, match="one flight"):
            plan.legs(PAD, P)
    with pytest.raises(ValueError, match="there is no ground"):
        rollouts.rollout(
            start.supposed(PAD), PLAN, draw.Wind(), 1, 1.0, np.random.default_rng(0),
            aircraft=X500, ground_down_m=np.inf,
        )  # fmt: skip
    flown = virtual.VirtualAircraft(X500)
    with pytest.raises(ValueError, match="legs to follow"):
        flown.advance_along(0.02)
    flown.follow(LEGS)
    with pytest.raises(ValueError, match="legs to follow"):
        flown.advance_along(0.004)
    assert flown.setpoint[law.SP_MODE] == law.FLY


def _on_the_ground(
    flight: Array, seconds: float, *, turning: float = 0.0, down: float = 0.0
) -> float:
    """Let time pass for a landing whose motors idle."""
    for _ in range(round(seconds / 0.02)):
        sortie.advance(flight, track.LAND, 0.12, 0.6, 0.7, 0.0, down, turning, P, 0.02)
    return float(flight[sortie.PHASE])


def test_ground_felt_is_a_landing_only_once_it_neither_rolls_nor_falls() -> None:
    flight = np.array([sortie.CONTACT, 0.0, 0.0])
    assert _on_the_ground(flight, 3.0, turning=np.radians(25.0)) == sortie.CONTACT
    assert _on_the_ground(flight, 0.6) == sortie.CONTACT
    assert _on_the_ground(flight, 0.1) == sortie.LANDED
    assert _on_the_ground(flight, P.com_disarm_land + 0.1) == sortie.OFF
    fallen = np.array([sortie.CONTACT, 0.0, 0.0])
    assert _on_the_ground(fallen, 0.02, down=0.5) == sortie.AIR
