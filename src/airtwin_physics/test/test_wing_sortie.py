# SPDX-License-Identifier: Apache-2.0
"""A fixed wing from runway to runway: the laws piece by piece, then whole flights in winds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import px4_params, wing, wing_sortie
from airtwin_physics.control.wing_aircraft import WingAircraft
from airtwin_physics.rollout import draw, rollouts, start
from airtwin_physics.rollout.plan import Act, Plan, Waypoint

AEROSONDE = aircraft.load("aerosonde")
P = px4_params.wing_params("aerosonde")
NAN = float("nan")
LAND_M = 50.0  # north of where it took off
PLAN = Plan(
    (
        Waypoint((300.0, 0.0, -40.0), act=Act.TAKE_OFF),
        Waypoint((400.0, 250.0, -40.0)),
        Waypoint((-800.0, 250.0, -40.0)),
        Waypoint((-1000.0, 0.0, -30.0)),
        Waypoint((-550.0, 0.0, -30.0)),  # a slope of 2.9 degrees begins here
        Waypoint((LAND_M, 0.0, 0.0), act=Act.LAND),
    )
)
LEGS = np.array([[*point.position_ned_m, NAN, 0.0, 0.0] for point in PLAN.waypoints])
RUNWAY = start.supposed(np.zeros(3), sigmas=np.zeros(15))


@dataclasses.dataclass
class _Flight:
    """States (k, 21) every 20 ms, phases (k,)."""

    x: Array
    phase: Array

    def first(self, phase: int) -> int:
        return int(np.flatnonzero(self.phase == phase)[0])

    def touchdown(self) -> int:
        """Return the row before the wheels first touch after the flare began."""
        flare = self.first(wing_sortie.FLARE)
        return flare + int(np.flatnonzero(self.x[flare:, 2] > -0.002)[0]) - 1


@pytest.fixture(scope="module")
def plane() -> WingAircraft:
    return WingAircraft(AEROSONDE)


def _fly(plane: WingAircraft, wind: Array, seconds: float = 300.0) -> _Flight:
    states, phases = [plane.x.copy()], [plane.flight[wing_sortie.PHASE]]
    for _ in range(round(seconds / 0.02)):
        plane.advance(0.02, wind)
        states.append(plane.x.copy())
        phases.append(plane.flight[wing_sortie.PHASE])
        if phases[-1] == wing_sortie.OFF:
            break
    return _Flight(np.array(states), np.array(phases))


def _euler(x: Array) -> Array:
    return np.array([frames.euler_from_quat(row[6:10]) for row in x])


# the laws


def _guided(flight: Array, x: Array, airspeed: float, legs: Array = LEGS) -> tuple[Array, Array]:
    """Return the controllers' row and the setpoint after one look of the sortie."""
    row, setpoint = wing.new_control(P, -x[2], 0.0, airspeed), np.full(7, np.nan)
    wing_sortie.guide(flight, row, setpoint, np.zeros(4), legs, x, airspeed, P, 0.02)
    return row, setpoint


def _at(north: float, up: float, sink: float = 0.0) -> Array:
    x = dynamics.at_rest(dynamics.pack(AEROSONDE))
    x[0], x[2], x[3], x[5] = north, -up, 19.0, sink
    return x


def _begun(phase: int) -> Array:
    flight = np.zeros(wing_sortie.N_FLIGHT)
    wing_sortie.begin(flight, _at(0.0, 0.0), 0.0, LEGS, phase, True)
    return flight


def test_it_rotates_at_nine_tenths_of_the_take_off_airspeed() -> None:
    flight = _begun(wing_sortie.ROLL)
    row, _ = _guided(flight, _at(20.0, 0.0), 0.9 * P.fw_airspd_min - 0.1)
    assert flight[wing_sortie.PHASE] == wing_sortie.ROLL
    assert row[wing.W_PITCH_DIRECT] == np.radians(P.rwto_psp)
    assert row[wing.W_BANK_MOST] == 0.0
    row, setpoint = _guided(flight, _at(20.0, 0.0), 0.9 * P.fw_airspd_min + 0.1)
    assert flight[wing_sortie.PHASE] == wing_sortie.CLIMB
    assert setpoint[5] == LEGS[0, 2] - 10.0
    for _ in range(round(P.rwto_rot_time / 0.02)):
        row, _ = _guided(flight, _at(30.0, 1.0), 18.0)
    assert row[wing.W_PITCH_LOW] == pytest.approx(np.radians(P.fw_tko_pitch_min))
    assert row[wing.W_THROTTLE_DIRECT] == P.rwto_max_thr
    # 0.5 m above the wing's height on its wheels: asin(2 h / b), linear
    assert row[wing.W_BANK_MOST] == pytest.approx(2.0 * 0.5 / P.fw_wing_span)
    _guided(flight, _at(200.0, 40.1), 19.0)
    assert flight[wing_sortie.PHASE] == wing_sortie.AIR


def test_throttle_comes_up_within_the_ramp() -> None:
    flight = _begun(wing_sortie.RAMP)
    shares = [_guided(flight, _at(0.0, 0.0), 0.0)[0][wing.W_THROTTLE_DIRECT] for _ in range(100)]
    np.testing.assert_allclose(shares, np.arange(1, 101) * 0.02 / P.rwto_ramp_time, atol=1e-9)


def test_the_slope_is_the_straight_line_and_at_most_fw_lnd_ang() -> None:
    for up, length, steepest in (
        (30.0, 600.0, 30.0 / 600.0),
        (60.0, 300.0, np.tan(np.radians(5))),
    ):
        legs = np.array([[-length, 0.0, -up, NAN, 0.0, 0.0], [0.0, 0.0, 0.0, NAN, 0.0, 0.0]])
        flight = np.zeros(wing_sortie.N_FLIGHT)
        wing_sortie.begin(flight, _at(-length, up), 0.0, legs, wing_sortie.AIR, True)
        _guided(flight, _at(-length, up), 19.0, legs)
        flight[wing_sortie.PHASE] = wing_sortie.AIR
        row, setpoint, follower = wing.new_control(P, up, 0.0, 19.0), np.zeros(7), np.zeros(4)
        follower[:3] = -length, 0.0, 1.0
        for x in (_at(-200.0, 2.0 * up), _at(-200.0, 1.0)):
            wing_sortie.guide(flight, row, setpoint, follower, legs, x, 19.0, P, 0.02)
            wanted = min(200.0 * steepest, up) if -x[2] > 1.0 else 1.0  # below it: straight on
            assert setpoint[5] == pytest.approx(-wanted)


def test_the_flare_begins_by_time_or_height_and_ramps_in() -> None:
    for sink, up in ((0.2, P.fw_lnd_flalt), (1.5, 1.5 * P.fw_lnd_fl_time)):
        flight = _begun(wing_sortie.APPROACH)
        flight[wing_sortie.SLOPE], flight[wing_sortie.ENTRANCE] = 0.05, 30.0
        _guided(flight, _at(0.0, up + 0.01, sink), 19.0)
        assert flight[wing_sortie.PHASE] == wing_sortie.APPROACH
        _guided(flight, _at(0.0, up - 0.01, sink), 19.0)
        assert flight[wing_sortie.PHASE] == wing_sortie.FLARE
        for _ in range(round(P.fw_lnd_fl_time / 0.02)):
            row, _ = _guided(flight, _at(5.0, 0.3, sink), 18.0)
        assert row[wing.W_CLIMB_DIRECT] == pytest.approx(-P.fw_lnd_fl_sink)
        assert row[wing.W_PITCH_LOW] == pytest.approx(np.radians(P.fw_lnd_fl_pmin))
        assert row[wing.W_THROTTLE_HIGH] == pytest.approx(P.fw_thr_idle)


def test_a_steered_wheel_turns_the_aircraft_to_its_side() -> None:
    """A bicycle's turn: yaw rate v tan(delta) / L, less what slips."""
    model = dynamics.pack(AEROSONDE)
    x = dynamics.at_rest(model)
    x[3] = 3.0
    u = np.array([NAN, 0.0, 0.0, 0.0, 0.2])
    for _ in range(500):
        x = dynamics.step(x, u, model, np.zeros(3), 0.002)
    wheels = AEROSONDE.feet_frd_m[AEROSONDE.foot_rolls > 0]
    base = float(np.ptp(wheels[:, 0]))
    speed = float(np.hypot(x[3], x[4]))
    assert x[12] == pytest.approx(speed * np.tan(0.2 * 0.35) / base, rel=0.15)


def test_the_wheel_holds_the_runway_and_only_on_it() -> None:
    x = _at(10.0, 0.0)
    x[6:10] = frames.quat_from_euler(0.0, 0.0, 0.1)
    for phase, sign in ((wing_sortie.ROLL, -1.0), (wing_sortie.FLARE, -1.0), (wing_sortie.AIR, 0)):
        assert np.sign(wing_sortie.wheel(_begun(phase), x, P, 0.004)) == sign
    free = P._replace(fw_w_en=0.0)
    assert wing_sortie.wheel(_begun(wing_sortie.ROLL), x, free, 0.004) == 0.0


# whole flights


@pytest.mark.parametrize(
    "wind", [(0.0, 0.0), (-5.0, 0.0), (-8.0, 0.0), (3.0, 0.0), (0.0, 4.0), (-4.0, -4.0)]
)
def test_it_takes_off_flies_and_lands(plane: WingAircraft, wind: tuple[float, float]) -> None:
    blow = np.array([*wind, 0.0])
    plane.stand(np.zeros(3))
    plane.follow(LEGS, takes_off=True, lands=True)
    flown = _fly(plane, blow)
    x, down = flown.x, flown.touchdown()
    assert flown.phase[-1] == wing_sortie.OFF
    roll, pitch, _ = np.abs(_euler(x[::5]).T)
    low = x[::5, 2] > -1.0
    assert np.max(roll[low]) < np.radians(13.0)  # a tip would touch at 17
    assert np.max(pitch[low]) < np.radians(20.0)
    # take-off: along the runway, then up for good
    rotates, away = flown.first(wing_sortie.CLIMB), flown.first(wing_sortie.AIR)
    assert np.max(np.abs(x[:rotates, 1])) < 1.0
    assert x[rotates, 0] < 80.0
    late = x[rotates + 75 : away]  # 1.5 s on
    assert np.all(late[:, 2] < -0.3)
    assert np.all(np.diff(late[:, 2]) < 0.0)
    assert np.all(x[away : down - 1, 2] < 0.0)
    # landing: where, how hard, how straight
    assert 0.0 < x[down, 0] - LAND_M < 60.0
    assert abs(x[down, 1]) < 1.0
    assert 0.0 < x[down, 5] < 1.3
    assert np.max(np.abs(x[down:, 1])) < 3.0
    assert np.max(-x[down:, 2]) < 0.3  # it does not bounce
    assert np.hypot(*x[-1, 3:5]) < P.lndfw_vel_xy_max


def test_it_is_thrown_and_climbs_away(plane: WingAircraft) -> None:
    for wind in (np.zeros(3), np.array([-4.0, 3.0, 0.0])):
        plane.launch(np.array([0.0, 0.0, -1.5]), 0.0, 20.0)
        plane.follow(LEGS, takes_off=True)
        assert plane.flight[wing_sortie.PHASE] == wing_sortie.LAUNCHED
        flown = _fly(plane, wind, 12.0)
        away = flown.first(wing_sortie.AIR)
        assert np.min(-flown.x[:, 2]) >= 1.4
        assert np.max(np.abs(_euler(flown.x[:50])[:, 0])) < np.radians(25.0)
        assert abs(flown.x[away, 1]) < 5.0  # along the line


def test_the_same_flight_is_the_same_to_the_bit(plane: WingAircraft) -> None:
    ends = []
    for pieces in (1, 40):
        plane.stand(np.zeros(3), charge_c=0.0)
        plane.follow(LEGS, takes_off=True, lands=True)
        for _ in range(pieces):
            plane.advance(20.0 / pieces, np.array([-3.0, 2.0, 0.0]))
        ends.append(np.concatenate((plane.x, plane.control, plane.flight)))
    np.testing.assert_array_equal(*ends)


def test_legs_that_are_no_flight_are_refused(plane: WingAircraft) -> None:
    for legs, lands in ((LEGS[:1], False), (LEGS[:2], True), (LEGS[:, :5], False)):
        with pytest.raises(ValueError, match="no legs"):
            plane.follow(legs, takes_off=True, lands=lands)


# rollouts


def test_a_rollout_lands_as_the_virtual_aircraft_does(plane: WingAircraft) -> None:
    wind = (-4.0, 2.0, 0.0)
    fan = rollouts.rollout(
        RUNWAY, PLAN, draw.Wind(wind), 1, 300.0, np.random.default_rng(0), aircraft=AEROSONDE,
        sampled=False,
    )  # fmt: skip
    plane.stand(np.zeros(3), charge_c=0.0)
    plane.follow(LEGS, takes_off=True, lands=True)
    flown = _fly(plane, np.array(wind))
    assert fan.kept[0]
    k = min(5 * (fan.times_s.size - 1), len(flown.x) - 1) // 5
    apart = np.linalg.norm(fan.position_ned_m[0, : k + 1] - flown.x[: 5 * k + 1 : 5, :3], axis=1)
    assert np.max(apart) < 0.5  # 4 ms above 3 m against 2 ms; on a way of 4 km
    away, landed = flown.first(wing_sortie.AIR), flown.first(wing_sortie.LANDED)
    assert fan.reached_s[0, 0] == pytest.approx(0.02 * away, abs=0.05)
    assert fan.reached_s[0, -1] == pytest.approx(0.02 * landed, abs=0.1)


def test_rollouts_of_wings_take_off_and_land_in_gusts() -> None:
    windy = draw.Wind((-3.0, 1.0, 0.0), ((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.01)), gust=1.0)
    fan = rollouts.rollout(
        RUNWAY, PLAN, windy, 12, 300.0, np.random.default_rng(4), aircraft=AEROSONDE
    )
    assert np.mean(fan.kept) > 0.8
    kept = fan.reached_s[fan.kept]
    assert np.all(np.diff(kept, axis=1) > 0.0)
    end = fan.position_ned_m[fan.kept, -1]
    assert np.all(np.abs(end[:, 2]) < 0.05)
    assert np.all((end[:, 0] > LAND_M) & (end[:, 0] < LAND_M + 450.0))


def test_a_wing_tip_on_the_ground_is_no_flight() -> None:
    side = draw.Wind((0.0, 10.0, 0.0))
    fan = rollouts.rollout(
        RUNWAY, PLAN, side, 1, 30.0, np.random.default_rng(0), aircraft=AEROSONDE, sampled=False
    )
    assert fan.touched[0]
    assert fan.lost_s[0] < 15.0
