# SPDX-License-Identifier: Apache-2.0
"""The wing's laws piece by piece against geometry and energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics.control import px4_params, wing, wing_path
from airtwin_physics.dynamics import GRAVITY_M_S2

AEROSONDE = aircraft.load("aerosonde")
P = px4_params.wing_params("aerosonde")
CALM = np.zeros(3)
angles = st.floats(-3.1, 3.1)


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
