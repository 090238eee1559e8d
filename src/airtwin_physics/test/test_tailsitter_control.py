# SPDX-License-Identifier: Apache-2.0
"""The tailsitter: hover on its tail, the ramp to the wing, cruise, and back onto the tail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import px4_params, tailsitter, wing
from airtwin_physics.control.convertible import HOVER, MODE, TO_HOVER, TO_WING, WING
from airtwin_physics.control.tailsitter import TailsitterAircraft

CRAFT = aircraft.load("tailsitter")
P = px4_params.wing_params("tailsitter")
START = np.array([0.0, 0.0, -50.0])
NAN = np.nan
angles = st.floats(-3.1, 3.1)


@pytest.fixture(scope="module")
def craft() -> TailsitterAircraft:
    return TailsitterAircraft(CRAFT)


def _fly(craft: TailsitterAircraft, seconds: float, wind: Array) -> tuple[Array, Array, Array]:
    """Return states (k, 20), modes (k,), pitches of the hover frame (k,) [rad], ten a second."""
    states, modes, pitches = [], [], []
    for _ in range(round(seconds * 10.0)):
        craft.advance(0.1, wind)
        states.append(craft.x.copy())
        modes.append(craft.mode[MODE])
        upright = tailsitter.in_hover_frame(craft.x[6:10])
        pitches.append(frames.euler_from_quat(upright)[1])
    return np.array(states), np.array(modes), np.array(pitches)


@settings(deadline=None)
@given(euler=st.tuples(angles, st.floats(-1.5, 1.5), angles))
def test_the_hover_frame_is_the_bodys_pitched_down(euler: tuple[float, float, float]) -> None:
    body = frames.rotation_from_quat(frames.quat_from_euler(*euler))
    hover = frames.rotation_from_quat(tailsitter.in_hover_frame(frames.quat_from_euler(*euler)))
    np.testing.assert_allclose(hover[:, 0], body[:, 2], atol=1e-12)
    np.testing.assert_allclose(hover[:, 1], body[:, 1], atol=1e-12)
    np.testing.assert_allclose(hover[:, 2], -body[:, 0], atol=1e-12)


def test_the_mixers_turn_it_as_told(craft: TailsitterAircraft) -> None:
    """Motors yaw the body (roll of the hover frame), elevons pitch and roll it."""
    x = dynamics.at_rest(craft.model)
    x[2] = -100.0
    x[dynamics.ROTOR : dynamics.ROTOR + 2] = 1300.0

    def turn(change: Array) -> Array:
        ends = []
        for sign in (1.0, -1.0):
            y = x.copy()
            y[dynamics.ROTOR :] += sign * change
            ends.append(dynamics.derivative(y, np.full(4, NAN), craft.model, np.zeros(3))[10:13])
        return np.asarray(ends[0] - ends[1])

    by_motors = turn(np.array([*(50.0 * craft.lift[:, 0]), 0.0, 0.0]))
    assert np.argmax(np.abs(by_motors)) == 2
    assert by_motors[2] > 0.0
    for axis in (0, 1):
        by_elevons = turn(np.array([0.0, 0.0, *(0.1 * craft.shares[:, axis])]))
        assert np.argmax(np.abs(by_elevons)) == axis
        assert by_elevons[axis] > 0.0


@pytest.mark.parametrize("blow", [(0.0, 0.0), (2.0, 0.0), (0.0, -2.0)])
def test_it_hovers_on_its_tail(craft: TailsitterAircraft, blow: tuple[float, float]) -> None:
    craft.start(START, 0.5)
    wind = np.array([*blow, 0.0])
    x, modes, pitches = _fly(craft, 25.0, wind)
    assert np.all(modes == HOVER)
    assert np.max(np.linalg.norm(x[-50:, :3] - START, axis=1)) < 0.6
    assert np.max(np.abs(x[:, 2] + 50.0)) < 1.0
    assert np.max(np.abs(pitches)) < 0.6
    goal = START + np.array([3.0, 2.0, -2.0])
    craft.hold(goal, 1.2)
    x, _, _ = _fly(craft, 25.0, wind)
    assert np.linalg.norm(x[-1, :3] - goal) < 0.6
    yaw = frames.yaw_from_quat(tailsitter.in_hover_frame(x[-1, 6:10]))
    assert yaw == pytest.approx(1.2, abs=0.15)


@pytest.mark.parametrize("blow", [(0.0, 0.0), (2.0, -1.5)])
def test_there_and_back(craft: TailsitterAircraft, blow: tuple[float, float]) -> None:
    wind = np.array([*blow, 0.0])
    craft.start(START)
    craft.advance(5.0, wind)
    craft.follow(
        np.array([[300.0, 0.0, -50.0, NAN, 0.0, 0.0], [300.0, 1e4, -60.0, NAN, 0.0, 0.0]])
    )
    x, modes, pitches = _fly(craft, 60.0, wind)
    front = int(np.argmax(modes == WING))
    assert np.all(modes[:front] == TO_WING)
    assert np.all(modes[front:] == WING)
    assert 1.0 < front / 10.0 < P.vt_trans_timeout
    assert np.all(pitches[front - 1 : front + 1] < tailsitter.PITCH_TO_WING + 0.1)
    # the ramp leads: no faster than VT_F_TRANS_DUR has it, but for a lag and an overshoot
    ramp = -np.arange(1, front + 1) * 0.1 * 0.5 * np.pi / P.vt_f_trans_dur
    assert np.max(np.abs(pitches[:20] - ramp[:20])) < 0.5
    assert np.max(np.abs(x[: front + 100, 2] + 50.0)) < 3.0
    side = slice(-150, None)
    assert np.sqrt(np.mean((x[side, 0] - 300.0) ** 2)) < 1.0
    assert np.max(np.abs(x[side, 2] + 60.0)) < 1.0
    speed = np.linalg.norm(x[side, 3:6] - wind, axis=1)
    assert np.max(np.abs(speed - P.fw_airspd_trim)) < 0.7
    craft.hold(np.array([*(craft.x[:2] + 3.0 * craft.x[3:5]), -60.0]))
    goal = craft.setpoint[:3].copy()
    x, modes, pitches = _fly(craft, 40.0, wind)
    back = int(np.argmax(modes == HOVER))
    assert np.all(modes[:back] == TO_HOVER)
    assert np.all(modes[back:] == HOVER)
    assert 1.0 < back / 10.0 <= P.vt_b_trans_dur + 0.1
    assert np.max(np.abs(x[:, 2] + 60.0)) < 4.0
    assert np.linalg.norm(x[-1, :3] - goal) < 0.8
    assert abs(pitches[-1]) < 0.3


def test_a_transition_that_takes_too_long_is_given_up(craft: TailsitterAircraft) -> None:
    """Faster than it can get: after VT_TRANS_TIMEOUT it stands on its tail again."""
    slow = TailsitterAircraft(CRAFT, params=P._replace(vt_arsp_trans=30.0))
    slow.follow(np.array([[1e4, 0.0, -50.0, NAN, 0.0, 0.0]]))
    _, modes, _ = _fly(slow, P.vt_trans_timeout + 15.0, np.zeros(3))
    gone = int(np.argmax(modes == HOVER))
    assert gone / 10.0 == pytest.approx(P.vt_trans_timeout, abs=0.2)
    assert np.all(modes[gone:] == HOVER)
    # called off by hand
    craft.start(START)
    craft.follow(np.array([[1e4, 0.0, -50.0, NAN, 0.0, 0.0]]))
    craft.advance(1.5)
    assert craft.mode[MODE] == TO_WING
    craft.hold(START)
    x, modes, _ = _fly(craft, 25.0, np.zeros(3))
    assert np.all(modes == HOVER)
    assert np.linalg.norm(x[-1, :3] - START) < 0.6


def test_the_same_commands_give_the_same_flight_to_the_bit(craft: TailsitterAircraft) -> None:
    ends = []
    for cut in (1, 100):
        craft.start(START)
        craft.follow(np.array([[100.0, 30.0, -60.0, NAN, 0.0, 0.0]]))
        for _ in range(cut):
            craft.advance(8.0 / cut)
        ends.append(np.concatenate((craft.x, craft.wing, craft.hover, craft.mode)))
    np.testing.assert_array_equal(*ends)


def test_other_aircraft_are_refused() -> None:
    for name in ("x500", "aerosonde", "standard_vtol"):
        with pytest.raises(ValueError, match="no tailsitter"):
            TailsitterAircraft(aircraft.load(name))


@settings(max_examples=15, deadline=None)
@given(
    euler=st.tuples(angles, st.floats(-1.57, 1.57), angles),
    velocity=st.tuples(*[st.floats(-15.0, 15.0)] * 3),
    rate=st.tuples(*[st.floats(-5.0, 5.0)] * 3),
    blow=st.floats(-10.0, 10.0),
    on_wing=st.booleans(),
)
def test_wild_starts_stay_finite(
    craft: TailsitterAircraft,
    euler: tuple[float, float, float],
    velocity: tuple[float, float, float],
    rate: tuple[float, float, float],
    blow: float,
    on_wing: bool,
) -> None:
    craft.start(np.array([0.0, 0.0, -100.0]))
    craft.x[3:6], craft.x[10:13] = velocity, rate
    craft.x[6:10] = frames.quat_from_euler(*euler)
    if on_wing:
        craft.mode[MODE] = WING
    craft.follow(np.array([[0.0, 0.0, -90.0, NAN, 80.0, np.inf]]))
    wind = np.array([blow, -0.3 * blow, 0.0])
    craft.advance(4.0, wind)
    craft.hold(np.array([0.0, 0.0, -60.0]))
    craft.advance(4.0, wind)
    asked = craft.wing[: wing.W_CLIMB_DIRECT]  # then NaN where nothing is asked
    for row in (craft.x, asked, craft.hover, craft.mode):
        assert np.all(np.isfinite(row))
    assert craft.wing[wing.W_BOUND] > 0.0
