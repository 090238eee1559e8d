# SPDX-License-Identifier: Apache-2.0
"""The wing's laws piece by piece against geometry and energy, then whole flights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft, frames
from airtwin_core.types import Array, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import px4_params, wing, wing_aircraft, wing_path
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_physics.dynamics.model import TURN
from airtwin_physics.dynamics.trim import trim

AEROSONDE = aircraft.load("aerosonde")
P = px4_params.wing_params("aerosonde")
CALM = np.zeros(3)
angles = st.floats(-3.1, 3.1)


@pytest.fixture(scope="module")
def plane() -> wing_aircraft.WingAircraft:
    return wing_aircraft.WingAircraft(AEROSONDE)


def _leg(
    north: float, east: float, up: float, radius: float = 0.0, hold: float = 0.0
) -> list[float]:
    return [north, east, -up, np.nan, radius, hold]


def _fly(
    plane: wing_aircraft.WingAircraft, seconds: float, wind: Array, every_s: float = 0.1
) -> tuple[Array, Array, Array]:
    """Return states (k, 22), path errors (k,) and legs (k,) of a flight."""
    states, errors, legs = [], [], []
    for _ in range(round(seconds / every_s)):
        plane.advance(every_s, wind)
        states.append(plane.x.copy())
        errors.append(plane.control[wing.W_ERROR])
        legs.append(plane.guide[wing_path.WG_LEG])
    return np.array(states), np.array(errors), np.array(legs)


def _roll(states: Array) -> Array:
    return np.array([frames.euler_from_quat(x[6:10])[0] for x in states])


# the laws


@settings(deadline=None)
@given(
    roll=angles,
    pitch=st.floats(-1.2, 1.2),
    yaw=angles,
    to_roll=angles,
    to_pitch=st.floats(-1.2, 1.2),
)
def test_the_attitude_error_leads_to_roll_and_pitch(
    roll: float, pitch: float, yaw: float, to_roll: float, to_pitch: float
) -> None:
    q = frames.quat_from_euler(roll, pitch, yaw)
    x, y = wing.attitude_error(q, to_roll, to_pitch)
    half = np.array([x, y, 0.0]) / 2.0
    scalar = np.sqrt(max(1.0 - float(half @ half), 0.0))
    reached = frames.rotation_from_quat(q) @ frames.rotation_from_quat(np.array([scalar, *half]))
    wanted = frames.rotation_from_quat(frames.quat_from_euler(to_roll, to_pitch, 0.0))
    # what roll and pitch are: where down is, seen from the body
    np.testing.assert_allclose(reached[2], wanted[2], atol=2e-6)


@settings(deadline=None)
@given(
    course=angles,
    blow=st.floats(0.0, 20.0),
    direction=angles,
)
def test_the_heading_makes_the_course_in_wind(
    course: float, blow: float, direction: float
) -> None:
    wind = blow * np.array([np.cos(direction), np.sin(direction), 0.0])
    heading = wing_path.heading_of(course, wind, 22.0)
    ground = 22.0 * np.array([np.cos(heading), np.sin(heading)]) + wind[:2]
    off = np.arctan2(ground[1], ground[0]) - course
    assert abs(np.angle(np.exp(1j * off))) < 1e-9


def test_too_much_wind_is_flown_against_without_a_jump() -> None:
    storm = np.array([-30.0, 0.0, 0.0])
    assert wing_path.heading_of(0.0, storm, 22.0) == pytest.approx(0.0, abs=1e-12)
    edge = np.pi - np.arcsin(22.0 / 30.0)  # the last course that 22 m/s can hold, downwind
    inside, outside = (wing_path.heading_of(edge + d, storm, 22.0) for d in (1e-7, -1e-7))
    assert abs(np.angle(np.exp(1j * (inside - outside)))) < 2e-3


@settings(deadline=None)
@given(course=angles, blow=st.floats(0.0, 18.0), direction=angles)
def test_the_least_airspeed_keeps_the_ground_speed(
    course: float, blow: float, direction: float
) -> None:
    wind = blow * np.array([np.cos(direction), np.sin(direction), 0.0])
    least = wing_path.least_airspeed(course, wind, P)
    if 0.0 < least < P.fw_airspd_max:
        heading = wing_path.heading_of(course, wind, least)
        ground = least * np.array([np.cos(heading), np.sin(heading)]) + wind[:2]
        assert np.linalg.norm(ground) == pytest.approx(P.fw_gnd_spd_min, rel=1e-6)
    if least == 0.0:
        assert wind[0] * np.cos(course) + wind[1] * np.sin(course) >= P.fw_gnd_spd_min


def _path(curvature: float = 0.0) -> Array:
    return np.array([0.0, 0.0, 1.0, 0.0, curvature, -100.0, np.nan])


def test_guidance_flies_at_a_far_path_and_along_a_near_one() -> None:
    vel = np.array([22.0, 0.0, 0.0])
    for side in (1.0, -1.0):
        far = wing_path.follow(_path(), np.array([0.0, side * 1e4, 0.0]), vel, CALM, P)
        assert far[0] == pytest.approx(-side * np.pi / 2)
        assert far[2] == side * 1e4
    on, bend, _, bound = wing_path.follow(_path(), np.zeros(3), vel, CALM, P)
    assert on == pytest.approx(0.0, abs=1e-12)
    assert bend == 0.0
    assert bound == pytest.approx(22.0 * P.npfg_period * P.npfg_damping)


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_on_a_circle_guidance_asks_for_its_centripetal_acceleration(turn: float) -> None:
    pos, vel = np.array([0.0, 150.0, 0.0]), turn * np.array([-22.0, 0.0, 0.0])
    course, bend, error, _ = wing_path.follow(_path(turn / 150.0), pos, vel, CALM, P)
    assert bend == pytest.approx(turn * 22.0**2 / 150.0)
    assert abs(np.angle(np.exp(1j * (course - np.arctan2(vel[1], vel[0]))))) < 1e-9
    assert error == pytest.approx(0.0, abs=1e-9)


def test_energy_goes_where_it_is_missing() -> None:
    """Too low and too slow: throttle. Too low and too fast: pitch. Stalling: all of both."""

    def settled(height: float, airspeed: float) -> Array:
        row = wing.new_control(P, 100.0, 0.0, airspeed)
        row[wing.W_AIRSPEED], row[wing.W_PITCH] = P.fw_airspd_trim, np.radians(P.fw_psp_off)
        for _ in range(25):
            wing.energy_control(row, height, 0.0, airspeed, 0.0, P, 0.02)
        return row

    even = settled(100.0, P.fw_airspd_trim)
    assert even[wing.W_THROTTLE] == pytest.approx(P.fw_thr_trim, abs=1e-6)
    assert even[wing.W_PITCH] == pytest.approx(np.radians(P.fw_psp_off), abs=1e-6)
    assert settled(90.0, P.fw_airspd_trim - 1.0)[wing.W_THROTTLE] > even[wing.W_THROTTLE] + 0.1
    exchange = settled(98.0, P.fw_airspd_trim + 1.0)
    assert exchange[wing.W_PITCH] > even[wing.W_PITCH] + 0.01
    stalling = settled(105.0, P.fw_airspd_min - 2.5 * wing.UNDERSPEED * P.fw_airspd_trim)
    assert stalling[wing.W_THROTTLE] == P.fw_thr_max
    assert stalling[wing.W_PITCH] < even[wing.W_PITCH] - 0.1


@pytest.mark.parametrize("above_m", [1000.0, -1000.0])
def test_energy_is_not_summed_up_while_throttle_or_pitch_is_at_its_end(above_m: float) -> None:
    """A minute that leads nowhere: what was learnt until the end was reached is all there is."""
    row = wing.new_control(P, above_m, 0.0, P.fw_airspd_trim)
    row[wing.W_AIRSPEED], row[wing.W_PITCH] = P.fw_airspd_trim, np.radians(P.fw_psp_off)
    seen = []
    for _ in range(3000):
        wing.energy_control(row, 0.0, 0.0, P.fw_airspd_trim, 0.0, P, 0.02)
        seen.append(row.copy())
    rows = np.array(seen)
    for out, integral, ends in (
        (wing.W_THROTTLE, wing.W_THROTTLE_INT, (P.fw_thr_min, P.fw_thr_max)),
        (wing.W_PITCH, wing.W_PITCH_INT, np.radians((P.fw_p_lim_min, P.fw_p_lim_max))),
    ):
        end = ends[1] if above_m > 0.0 else ends[0]
        there = np.abs(rows[:, out] - end) < 1e-9
        reached = int(np.argmax(there))
        assert np.all(there[reached:])
        assert reached < 2000
        np.testing.assert_array_equal(rows[reached + 1 :, integral], rows[reached, integral])


def test_surfaces_move_less_in_faster_air() -> None:
    slow, fast = wing.new_control(P, 0.0, 0.0, 20.0), wing.new_control(P, 0.0, 0.0, 20.0)
    steady = P._replace(fw_rr_ff=0.0)
    wing.rate_control(slow, (0.1, 0.0, 0.0), np.zeros(3), P.fw_airspd_trim, steady, 0.004)
    wing.rate_control(fast, (0.1, 0.0, 0.0), np.zeros(3), 2 * P.fw_airspd_trim, steady, 0.004)
    assert slow[wing.W_TORQUE][0] == pytest.approx(steady.fw_rr_p * 0.1)
    assert fast[wing.W_TORQUE][0] == pytest.approx(slow[wing.W_TORQUE][0] / 4.0)


def test_a_bank_asks_for_the_rates_of_a_coordinated_turn() -> None:
    """Yaw and pitch rate are those of turning at g tan(roll) / V about down."""
    roll = 0.6
    q = frames.quat_from_euler(roll, 0.0, 1.0)
    rates = wing.attitude_control(q, roll, 0.0, 22.0, P)
    turn = GRAVITY_M_S2 * np.tan(roll) / 22.0
    np.testing.assert_allclose(rates, (0.0, turn * np.sin(roll), turn * np.cos(roll)), atol=1e-9)


def test_servos_are_found_by_what_they_turn(plane: wing_aircraft.WingAircraft) -> None:
    np.testing.assert_array_equal(plane.shares, np.eye(4, 3))  # the wheel turns nothing


def test_airframe_values_are_those_of_the_dynamics(plane: wing_aircraft.WingAircraft) -> None:
    steady = trim(plane.model, airspeed_m_s=P.fw_airspd_trim)
    assert steady.u[0] == pytest.approx(P.fw_thr_trim, abs=0.02)
    assert steady.u[2] == pytest.approx(P.trim_pitch, abs=0.05)
    assert np.degrees(steady.pitch_rad) == pytest.approx(P.fw_psp_off, abs=0.5)


def test_parameters_have_px4s_names() -> None:
    assert px4_params.wing_params("aerosonde", {"FW_R_LIM": 30}).fw_r_lim == 30.0
    with pytest.raises(ValueError, match="no PX4 parameters are known"):
        px4_params.wing_params("?")
    with pytest.raises(ValueError, match="FW_NOSUCH"):
        px4_params.wing_params("aerosonde", {"FW_NOSUCH": 1})
    with pytest.raises(ValueError, match="nan"):
        px4_params.wing_params("aerosonde", {"FW_R_LIM": np.nan})


def test_other_aircraft_are_refused() -> None:
    for name in ("x500", "standard_vtol"):
        with pytest.raises(ValueError, match="wings and pushing motors"):
            wing_aircraft.WingAircraft(aircraft.load(name))
    with pytest.raises(ValueError, match="can't fly at 9"):
        wing_aircraft.WingAircraft(AEROSONDE, P._replace(fw_airspd_trim=9.0))


# flights


@pytest.mark.parametrize("direction", [0.0, 2.0, 4.4])
def test_a_square_in_wind(plane: wing_aircraft.WingAircraft, direction: float) -> None:
    wind = 5.0 * np.array([np.cos(direction), np.sin(direction), 0.0])
    plane.start(np.array([0.0, 0.0, -100.0]), 0.0, wind)
    side = 800.0
    plane.follow(
        np.array([_leg(side, 0, 100), _leg(side, side, 100), _leg(0, side, 100), _leg(0, 0, 100)])
    )
    x, error, leg = _fly(plane, 155.0, wind)
    assert leg[-1] == 3
    for k, (axis, line, along) in enumerate(
        (
            (1, 0.0, x[:, 0]),
            (0, side, x[:, 1]),
            (1, side, side - x[:, 0]),
            (0, 0.0, side - x[:, 1]),
        )
    ):
        # once the corner is flown: PX4 cuts it by a third of the track error's bound
        settled = (leg == k) & (along > 400.0) & (along < 720.0)
        assert settled.sum() > 50
        across = x[settled, axis] - line
        assert np.sqrt(np.mean(across**2)) < 0.5
        np.testing.assert_allclose(np.abs(error[settled]), np.abs(across), atol=0.6)
        assert np.max(np.abs(x[settled, 2] + 100.0)) < 1.5
        airspeed = np.linalg.norm(x[settled, 3:6] - wind, axis=1)
        assert np.max(np.abs(airspeed - P.fw_airspd_trim)) < 0.6
    assert np.max(np.abs(x[:, 2] + 100.0)) < 12.0
    assert np.max(np.abs(_roll(x))) < np.radians(P.fw_r_lim + 10.0)


@pytest.mark.parametrize("radius", [150.0, -100.0])
def test_a_loiter_holds_radius_height_and_the_coordinated_bank(
    plane: wing_aircraft.WingAircraft, radius: float
) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([_leg(300.0, 100.0, 100.0, radius, np.inf)]))
    x, _, _ = _fly(plane, 120.0, CALM)
    x = x[700:]
    arm = x[:, :2] - (300.0, 100.0)
    distance = np.linalg.norm(arm, axis=1)
    assert np.max(np.abs(distance - abs(radius))) < 0.02 * abs(radius)
    assert np.max(np.abs(x[:, 2] + 100.0)) < 1.0
    turned = arm[:, 0] * x[:, 4] - arm[:, 1] * x[:, 3]
    assert np.all(np.sign(turned) == np.sign(radius))
    speed = np.mean(np.linalg.norm(x[:, 3:6], axis=1))
    assert speed == pytest.approx(P.fw_airspd_trim, abs=0.5)
    bank = np.arctan(speed**2 / (GRAVITY_M_S2 * radius))
    assert np.mean(_roll(x)) == pytest.approx(bank, abs=np.radians(2.0))
    # coordinated: the air comes from ahead
    slip = [(frames.rotation_from_quat(s[6:10]).T @ s[3:6])[1] / speed for s in x]
    assert np.max(np.abs(slip)) < np.radians(2.5)


def test_a_loiter_in_wind_is_round(plane: wing_aircraft.WingAircraft) -> None:
    wind = np.array([3.0, -4.0, 0.0])
    plane.start(np.array([0.0, 0.0, -100.0]), 0.0, wind)
    plane.follow(np.array([_leg(0.0, 150.0, 100.0, 150.0, np.inf)]))
    x, _, _ = _fly(plane, 150.0, wind)
    distance = np.linalg.norm(x[600:, :2] - (0.0, 150.0), axis=1)
    assert np.sqrt(np.mean((distance - 150.0) ** 2)) < 1.5
    assert np.max(np.abs(x[600:, 2] + 100.0)) < 2.0


def test_it_climbs_at_px4s_rate(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([_leg(1e5, 0.0, 160.0)]))
    x, _, _ = _fly(plane, 50.0, CALM)
    assert np.mean(-x[80:180, 5]) == pytest.approx(P.fw_t_clmb_r_sp, abs=0.3)
    assert -x[-1, 2] == pytest.approx(160.0, abs=1.5)
    assert np.min(np.linalg.norm(x[:, 3:6], axis=1)) > P.fw_airspd_min


def test_the_same_commands_give_the_same_flight_to_the_bit(
    plane: wing_aircraft.WingAircraft,
) -> None:
    """However the time is cut."""
    ends = []
    for cut in (1, 50, 625):
        plane.start(np.array([0.0, 0.0, -50.0]), 0.5)
        plane.follow(np.array([_leg(200.0, 50.0, 70.0), _leg(0.0, 0.0, 60.0)]))
        for _ in range(cut):
            plane.advance(10.0 / cut, np.array([1.0, 2.0, 0.3]))
        ends.append(np.concatenate((plane.x, plane.control)))
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


def test_resync_moves_the_aircraft_and_keeps_what_was_learnt(
    plane: wing_aircraft.WingAircraft,
) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([_leg(1e5, 0.0, 100.0)]))
    plane.advance(5.0)
    charge, control = plane.x[dynamics.CHARGE], plane.control.copy()
    higher = plane.x[:3] + np.array([30.0, 4.0, -25.0])
    belief = TwinState(
        stamp_ns=0,
        received_ns=0,
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=np.eye(15),
        origin=None,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
        position_ned_m=higher,
        velocity_ned_m_s=plane.x[3:6].copy(),
        q_ned_frd=plane.x[6:10].copy(),
        rate_frd_rad_s=plane.x[10:13].copy(),
    )
    plane.resync(belief)
    np.testing.assert_array_equal(plane.x[:3], higher)
    assert plane.x[dynamics.CHARGE] == charge
    assert plane.control[wing.W_THROTTLE_INT] == control[wing.W_THROTTLE_INT]
    assert plane.control[wing.W_HEIGHT] == pytest.approx(control[wing.W_HEIGHT] + 25.0)
    plane.advance(40.0)
    assert -plane.x[2] == pytest.approx(100.0, abs=3.0)
    assert plane.x[1] == pytest.approx(0.0, abs=1.0)
    with pytest.raises(ValueError, match="not finite"):
        plane.resync(belief._replace(position_ned_m=np.full(3, np.nan)))


def test_a_mirrored_plan_gives_the_mirrored_flight() -> None:
    """With the propeller's turn mirrored too."""
    flights = []
    for side in (1.0, -1.0):
        plane = wing_aircraft.WingAircraft(AEROSONDE)
        plane.model.rotors[:, TURN] *= side
        plane.cruise = trim(plane.model, airspeed_m_s=P.fw_airspd_trim)
        plane.start(np.array([0.0, 0.0, -100.0]))
        plane.follow(np.array([_leg(200, side * 100, 120), _leg(100, side * 300, 110, side * 90)]))
        flights.append(_fly(plane, 40.0, np.array([2.0, side * 4.0, 0.0]))[0])
    one, other = flights
    np.testing.assert_allclose(one[:, [0, 2, 3, 5]], other[:, [0, 2, 3, 5]], atol=2e-3)
    np.testing.assert_allclose(one[:, [1, 4]], -other[:, [1, 4]], atol=2e-3)
    assert np.max(np.abs(one[:, 1])) > 100.0


@settings(max_examples=25, deadline=None)
@given(
    euler=st.tuples(angles, st.floats(-1.57, 1.57), angles),
    speed=st.floats(0.0, 40.0),
    direction=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
    rate=st.tuples(*[st.floats(-5.0, 5.0)] * 3),
    height=st.floats(0.0, 300.0),
    blow=st.floats(-25.0, 25.0),
)
def test_wild_starts_stay_finite(
    plane: wing_aircraft.WingAircraft,
    euler: tuple[float, float, float],
    speed: float,
    direction: tuple[float, float, float],
    rate: tuple[float, float, float],
    height: float,
    blow: float,
) -> None:
    plane.start(np.array([0.0, 0.0, -height]))
    plane.x[3:6] = speed * np.array(direction)
    plane.x[6:10] = frames.quat_from_euler(*euler)
    plane.x[10:13] = rate
    plane.follow(np.array([_leg(0.0, 0.0, 50.0, 80.0, np.inf)]))
    plane.advance(8.0, np.array([blow, -0.3 * blow, 0.0]))
    assert np.all(np.isfinite(plane.x))
    assert np.all(np.isfinite(plane.control[: wing.W_CLIMB_DIRECT]))
    assert np.linalg.norm(plane.x[6:10]) == pytest.approx(1.0)
    assert np.all(np.abs(plane.u[1:]) <= 1.0)


def test_it_recovers_from_a_dive_on_its_back(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -400.0]))
    plane.x[6:10] = frames.quat_from_euler(3.0, -0.7, 0.0)
    plane.x[3:6] = (18.0, 0.0, 12.0)
    plane.follow(np.array([_leg(1e5, 0.0, 300.0)]))
    x, error, _ = _fly(plane, 90.0, CALM)
    assert np.max(x[:, 2]) < -200.0
    assert abs(_roll(x[-1:])[0]) < np.radians(3.0)
    assert -x[-1, 2] == pytest.approx(300.0, abs=3.0)
    assert abs(error[-1]) < 5.0


def test_its_charge_goes_down_by_the_power_of_trim(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([_leg(1e5, 0.0, 100.0)]))
    before = plane.x[dynamics.CHARGE]
    voltage, _ = dynamics.battery(plane.x, plane.model)
    plane.advance(30.0)
    drawn = (plane.x[dynamics.CHARGE] - before) * voltage / 30.0
    assert drawn == pytest.approx(plane.cruise.power_w, rel=0.05)
