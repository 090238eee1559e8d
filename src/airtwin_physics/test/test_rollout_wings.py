# SPDX-License-Identifier: Apache-2.0
"""Rollouts of wings and quad-planes: they are the virtual aircraft's flights, in sampled air."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import vtol
from airtwin_physics.control.tailsitter import TailsitterAircraft
from airtwin_physics.control.wing_aircraft import WingAircraft
from airtwin_physics.rollout import draw, pack, rollouts, start, wings
from airtwin_physics.rollout.plan import Act, Plan, Waypoint

AEROSONDE, QUADPLANE = aircraft.load("aerosonde"), aircraft.load("standard_vtol")
STEADY = np.array([4.0, 3.0, 0.0])
WINDY = draw.Wind((4.0, 3.0, 0.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 0.04)), gust=1.0)
PLAN = Plan((Waypoint((400.0, 0.0, -105.0)), Waypoint((400.0, 300.0, -95.0))))
CRUISE = start.supposed(np.array([0.0, 0.0, -100.0]), np.array([26.0, 3.0, 0.0]))
FROM_PAD = Plan(
    (
        Waypoint((0.0, 0.0, -30.0), act=Act.TAKE_OFF),
        Waypoint((250.0, 0.0, -40.0)),
        Waypoint((250.0, 200.0, -40.0)),
        Waypoint((250.0, 200.0, 0.0), act=Act.LAND),
    )
)
PAD = start.supposed(np.zeros(3), sigmas=np.zeros(15))


def _wing(seed: int, n: int, **more: object) -> rollouts.Rollouts:
    given = {"wind": WINDY, "aircraft": AEROSONDE} | more
    wind, craft = given.pop("wind"), given.pop("aircraft")
    rng = np.random.default_rng(seed)
    return rollouts.rollout(CRUISE, PLAN, wind, n, 40.0, rng, aircraft=craft, **given)


def test_a_sampled_wing_is_flown_as_the_virtual_aircraft_flies_it() -> None:
    fan = _wing(3, 2, wind=draw.Wind((4.0, 3.0, 0.0)))
    for i in range(2):
        plane = WingAircraft(AEROSONDE)
        plane.model = pack.varied(plane.model, fan.factors[i])
        motion = np.concatenate(
            (
                fan.position_ned_m[i, 0],
                fan.velocity_ned_m_s[i, 0],
                fan.q_ned_frd[i, 0],
                np.zeros(3),
            )
        )
        rng = np.random.default_rng(3)
        drawn = draw.draws(rng, 2, 1, CRUISE, WINDY, draw.Spread(), None, sampled=True)
        motion[10:13] = drawn.starts[i, 10:13]
        plane.take(motion, STEADY, 0.0)
        plane.follow(wings.wing_legs(PLAN, plane.params, wing_only=True)[0])
        way = 0.0
        for k in range(400):
            plane.advance(0.1, STEADY)
            way += 0.1 * float(np.linalg.norm(plane.x[3:6]))
            apart = float(np.linalg.norm(plane.x[:3] - fan.position_ned_m[i, k + 1]))
            assert apart < 1e-4 * max(way, 10.0)
        left = 1.0 - fan.reached_left[i, -1]
        spent = plane.x[dynamics.CHARGE] / (
            plane.model.battery[dynamics.CAPACITY_C] * plane.model.battery[dynamics.CAPACITY_SHARE]
        )
        assert 0.5 * spent < left <= spent  # it flies on in circles


def test_wings_in_gusts() -> None:
    fan = _wing(5, 12)
    assert fan.kept.all()
    assert np.all(np.isfinite(fan.reached_s))
    assert np.all(np.diff(fan.reached_s, axis=1) > 5.0)
    # 400 m with 4 m/s of tail wind at 22 m/s; reached some 50 m before
    assert np.all(np.abs(fan.reached_s[:, 0] - 350.0 / 26.0) < 3.0)
    assert np.all(np.std(fan.position_ned_m[:, -1], axis=0) > 0.3)
    assert np.all(np.diff(fan.energy_j, axis=1) > 0.0)
    few = _wing(5, 3)
    assert np.array_equal(few.position_ned_m, fan.position_ned_m[:3])
    nominal = _wing(1, 2, sampled=False)
    assert np.array_equal(nominal.position_ned_m[0], nominal.position_ned_m[1])


def test_drag_of_a_sample_is_its_wings_too() -> None:
    factors = np.ones(6)
    factors[draw.F_DRAG] = 2.0
    model, more = dynamics.pack(AEROSONDE), pack.varied(dynamics.pack(AEROSONDE), factors)
    x = dynamics.at_rest(model)
    x[2], x[3] = -100.0, 22.0
    u = np.full(x.size - dynamics.ROTOR, np.nan)
    slow, slower = (dynamics.derivative(x, u, m, np.zeros(3))[3] for m in (model, more))
    assert slower < 1.3 * slow < 0.0


def test_a_quad_plane_flies_from_pad_to_pad() -> None:
    fan = rollouts.rollout(
        PAD, FROM_PAD, WINDY, 4, 140.0, np.random.default_rng(2), aircraft=QUADPLANE,
        interval_s=0.2,
    )  # fmt: skip
    assert fan.kept.all()
    assert np.all(np.isfinite(fan.reached_s))
    assert np.all(np.diff(fan.reached_s, axis=1) > 0.0)
    p = vtol.VtolAircraft(QUADPLANE).hover_params
    climb = p.com_spoolup_time + p.mpc_tko_ramp_t + 30.0 / p.mpc_tko_speed
    assert np.all(np.abs(fan.reached_s[:, 0] - climb) < 4.0)
    end = fan.position_ned_m[:, -1]
    assert np.max(np.linalg.norm(end[:, :2] - (250.0, 200.0), axis=1)) < 2.0
    assert np.max(np.abs(end[:, 2])) < 0.05
    assert np.all(fan.velocity_ned_m_s[:, -1] < 0.05)
    # on the wing between the waypoints
    for i in range(4):
        on = (fan.times_s > fan.reached_s[i, 0] + 8.0) & (fan.times_s < fan.reached_s[i, 1])
        air = fan.velocity_ned_m_s[i, on] - fan.winds_ned_m_s[i]
        assert np.median(np.linalg.norm(air, axis=1)) == pytest.approx(13.5, abs=2.5)


def test_a_quad_plane_that_cannot_push_gives_up_and_hovers() -> None:
    craft = vtol.VtolAircraft(QUADPLANE)
    weak = np.ones(5 + QUADPLANE.rotor_count)
    weak[draw.F_ROTOR + 4] = 0.02
    nothing = draw.Draws(weak[None], _hover_start(40.0)[None], np.zeros((1, 3)), None)
    out, lost, touched, _, reached = wings.fly(nothing, PLAN, QUADPLANE, 0.0, 0.0, 20, 151)
    assert np.isnan(lost[0])
    assert touched[0] == 0.0
    assert np.isnan(reached).all()
    still = craft.params.vt_trans_timeout + 8.0
    late = out[0, int(still / 0.2) :]
    assert np.max(np.linalg.norm(late[:, 3:6], axis=1)) < 0.5


def test_what_begins_below_ground_stays_where_it_began() -> None:
    for craft in (AEROSONDE, QUADPLANE):
        start_at = _hover_start(-1.0)
        start_at[3] = 22.0
        ones = np.ones((1, 5 + craft.rotor_count))
        drawn = draw.Draws(ones, start_at[None], np.zeros((1, 3)), None)
        out, lost, touched, lowest, _ = wings.fly(drawn, PLAN, craft, 0.0, 0.0, 20, 11)
        assert lost[0] == 0.0
        assert touched[0] == 1.0
        assert lowest[0] == 1.0
        assert np.array_equal(out[0, :, :10], np.tile(start_at[:10], (11, 1)))


def _hover_start(height: float) -> Array:
    motion = np.zeros(13)
    motion[2], motion[6:10] = -height, frames.quat_from_euler(0.0, 0.0, 0.0)
    return motion


def test_what_wings_cannot_do_is_refused() -> None:
    rng = np.random.default_rng(0)
    for craft, plan, more, why in (
        (AEROSONDE, Plan(), {}, "nothing to fly"),
        (QUADPLANE, Plan(FROM_PAD.waypoints[:1]), {}, "on the wing"),
        (AEROSONDE, PLAN, {"interval_s": 0.13}, "every 0.02 s"),
        (AEROSONDE, PLAN, {"ground_down_m": 5.0}, "ground"),
    ):
        with pytest.raises(ValueError, match=why):
            rollouts.rollout(CRUISE, plan, draw.Wind(), 1, 1.3, rng, aircraft=craft, **more)


def test_a_tailsitter_flies_from_pad_to_pad() -> None:
    craft = aircraft.load("tailsitter")
    calm = draw.Wind((0.5, 0.5, 0.0), gust=0.5)
    fan = rollouts.rollout(
        PAD, FROM_PAD, calm, 3, 150.0, np.random.default_rng(2), aircraft=craft, interval_s=0.2
    )
    assert fan.kept.all()
    assert np.all(np.diff(fan.reached_s, axis=1) > 0.0)
    end = fan.position_ned_m[:, -1]
    assert np.max(np.linalg.norm(end[:, :2] - (250.0, 200.0), axis=1)) < 2.0
    assert np.max(np.abs(end[:, 2])) < 0.05
    # as the virtual aircraft flies it
    plane = TailsitterAircraft(craft)
    plane.model = pack.varied(plane.model, fan.factors[0])
    nominal = draw.Draws(fan.factors[:1], np.zeros((1, 13)), np.zeros((1, 3)), None)
    nominal.starts[0, 6] = 1.0
    out, _, _, _, _ = wings.fly(nominal, FROM_PAD, craft, 0.0, 0.0, 20, 601)
    one = wings._Convertible(craft, FROM_PAD)
    one.begin(plane.model, nominal.starts[0], np.zeros(3), 0.0)
    for k in range(1, 601):
        one._plane.advance(0.2)
        assert np.linalg.norm(one._plane.x[:3] - out[0, k, :3]) < 1e-3


def test_a_tailsitter_that_is_blown_over_is_lost() -> None:
    craft = aircraft.load("tailsitter")
    fan = rollouts.rollout(
        PAD, FROM_PAD, draw.Wind((7.0, 0.0, 0.0)), 1, 10.0, np.random.default_rng(2),
        aircraft=craft, sampled=False,
    )  # fmt: skip
    assert fan.touched[0]
    assert fan.lost_s[0] < 10.0


def test_what_stands_on_its_tail_hovers_though_all_its_motors_push() -> None:
    hovers = {n: wings.hovers(aircraft.load(n)) for n in ("aerosonde", "standard_vtol")}
    assert hovers == {"aerosonde": False, "standard_vtol": True}
    assert wings.hovers(aircraft.load("tailsitter"))
