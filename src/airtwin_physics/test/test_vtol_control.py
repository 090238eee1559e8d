# SPDX-License-Identifier: Apache-2.0
"""The quad-plane: hover, front transition, flight on the wing, back transition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import convertible, multirotor, px4_params, vtol, wing, wing_path
from airtwin_physics.dynamics.model import EFFECT

from wing_legs import leg  # isort: skip

QUADPLANE = aircraft.load("standard_vtol")
P = px4_params.wing_params("standard_vtol")
WIND = np.array([0.0, 3.0, 0.0])
angles = st.floats(-3.1, 3.1)


@pytest.fixture(scope="module")
def plane() -> vtol.VtolAircraft:
    return vtol.VtolAircraft(QUADPLANE)


def _fly(plane: vtol.VtolAircraft, seconds: float, wind: Array) -> tuple[Array, Array, Array]:
    """Return states (k, 24), modes (k, 7) and inputs (k, 8), ten a second."""
    states, modes, inputs = [], [], []
    for _ in range(round(seconds * 10.0)):
        plane.advance(0.1, wind)
        states.append(plane.x.copy())
        modes.append(plane.mode.copy())
        inputs.append(plane.u.copy())
    return np.array(states), np.array(modes), np.array(inputs)


def _airspeed(x: Array, wind: Array) -> Array:
    return np.array([(frames.rotation_from_quat(s[6:10]).T @ (s[3:6] - wind))[0] for s in x])


def test_there_and_back(plane: vtol.VtolAircraft) -> None:
    """Hover, transition, a square's sides, a circle, back transition, hover: all in wind."""
    plane.start(np.array([0.0, 0.0, -50.0]))
    x, modes, u = _fly(plane, 15.0, WIND)
    assert np.all(modes[:, convertible.MODE] == convertible.HOVER)
    assert np.max(np.linalg.norm(x[100:, :3] - (0.0, 0.0, -50.0), axis=1)) < 0.1
    assert np.all(np.isnan(u[:, 4]))
    assert np.all(u[:, 5:] == 0.0)  # VT_ELEV_MC_LOCK

    plane.follow(
        np.array(
            [leg(500, 0, 50), leg(500, 400, 60), leg(0, 400, 60), leg(0, 200, 60, 80, np.inf)]
        )
    )
    x, modes, u = _fly(plane, 165.0, WIND)
    mode = modes[:, convertible.MODE]
    front = int(np.argmax(mode == convertible.WING))
    assert np.all(mode[:front] == convertible.TO_WING)
    assert np.all(mode[front:] == convertible.WING)
    assert front / 10.0 >= P.vt_trans_min_tm
    speed = _airspeed(x, WIND)
    assert speed[front - 2] < P.vt_arsp_trans <= speed[front] + 0.1
    slow = speed[:front] < P.vt_arsp_blend - 0.1
    assert np.all(modes[:front][slow, vtol.V_WEIGHT] == 1.0)
    assert np.all(np.isnan(u[front:, :4]))  # the lifting motors stand
    assert np.max(np.abs(x[: front + 100, 2] + 50.0)) < 5.0
    # sides, once the corner is flown
    east = (x[:, 0] > 470.0) & (x[:, 1] > 200.0) & (x[:, 1] < 340.0)
    south = (x[:, 1] > 370.0) & (x[:, 0] < 330.0) & (x[:, 0] > 80.0)
    assert min(east.sum(), south.sum()) > 50
    assert np.sqrt(np.mean((x[east, 0] - 500.0) ** 2)) < 0.5
    assert np.sqrt(np.mean((x[south, 1] - 400.0) ** 2)) < 0.5
    assert np.max(np.abs(x[south, 2] + 60.0)) < 1.0
    assert np.max(np.abs(speed[south] - P.fw_airspd_trim)) < 1.0
    circle = x[-500:]
    distance = np.linalg.norm(circle[:, :2] - (0.0, 200.0), axis=1)
    assert np.sqrt(np.mean((distance - 80.0) ** 2)) < 1.0
    assert np.max(np.abs(circle[:, 2] + 60.0)) < 1.0

    goal = plane.x[:3] + 4.0 * np.array([plane.x[3], plane.x[4], 0.0])
    goal[2] = -60.0
    plane.hold(goal)
    x, modes, _ = _fly(plane, 45.0, WIND)
    mode = modes[:, convertible.MODE]
    back = int(np.argmax(mode == convertible.HOVER))
    assert 1.0 < back / 10.0 <= P.vt_b_trans_dur + 0.1
    assert np.all(mode[:back] == convertible.TO_HOVER)
    assert np.all(mode[back:] == convertible.HOVER)
    assert np.max(np.abs(x[: back + 50, 2] + 60.0)) < 3.0
    assert np.all(np.isnan(plane.u[4:5]))
    assert np.linalg.norm(plane.x[:3] - goal) < 0.1


def test_without_thrust_it_gives_up_the_transition() -> None:
    weak = vtol.VtolAircraft(QUADPLANE)
    weak.model.rotors[4, EFFECT] = 0.02
    weak.follow(np.array([leg(1e4, 0.0, 50.0)]))
    x, modes, _ = _fly(weak, P.vt_trans_timeout + 20.0, np.zeros(3))
    mode = modes[:, convertible.MODE]
    gone = int(np.argmax(mode == convertible.HOVER))
    assert gone / 10.0 == pytest.approx(P.vt_trans_timeout, abs=0.2)
    assert np.all(mode[gone:] == convertible.HOVER)
    assert np.linalg.norm(x[-1, :3] - (0.0, 0.0, -50.0)) < 0.5


def test_the_rotors_stay_until_the_shortest_time_is_over(plane: vtol.VtolAircraft) -> None:
    """Into a wind that already blows faster than VT_ARSP_BLEND."""
    headwind = np.array([-9.0, 0.0, 0.0])
    plane.start(np.array([0.0, 0.0, -50.0]))
    plane.follow(np.array([leg(1e4, 0.0, 50.0)]))
    x, modes, _ = _fly(plane, P.vt_trans_min_tm - 0.1, headwind)
    assert np.all(_airspeed(x, headwind) > P.vt_arsp_blend)
    assert np.all(modes[:, convertible.MODE] == convertible.TO_WING)
    assert np.all(modes[:, vtol.V_WEIGHT] == 1.0)


def test_a_transition_can_be_called_off(plane: vtol.VtolAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -50.0]), 1.0)
    plane.follow(np.array([leg(1e4, 0.0, 50.0)]))
    plane.advance(1.5)
    assert plane.mode[convertible.MODE] == convertible.TO_WING
    plane.hold(np.array([0.0, 0.0, -50.0]), 1.0)
    plane.advance(20.0)
    assert plane.mode[convertible.MODE] == convertible.HOVER
    assert np.linalg.norm(plane.x[:3] - (0.0, 0.0, -50.0)) < 0.1
    assert frames.yaw_from_quat(plane.x[6:10]) == pytest.approx(1.0, abs=0.02)


def test_the_mixers_turn_it_as_told(plane: vtol.VtolAircraft) -> None:
    """Each unit of torque turns the aircraft about its own axis, by motors and by surfaces."""
    rows = plane.model.rotors[plane.lifters]
    for axis in range(3):
        torque = np.zeros(3)
        torque[axis] = 0.1
        turns = []
        for command in (torque, -torque):
            motors = np.empty(4)
            multirotor.mix(motors, plane.lift, command, 0.5)
            x = dynamics.at_rest(plane.model)
            x[2] = -100.0
            low, high = rows[:, dynamics.SPEED_MIN], rows[:, dynamics.SPEED_MAX]
            x[dynamics.ROTOR + plane.lifters] = low + motors * (high - low)
            u = np.concatenate((motors, np.full(4, np.nan)))
            turns.append(dynamics.derivative(x, u, plane.model, np.zeros(3))[10:13])
        turn = turns[0] - turns[1]
        assert turn[axis] > 0.0
        assert np.argmax(np.abs(turn)) == axis
    np.testing.assert_array_equal(plane.shares, [[-1, 0, 0], [1, 0, 0], [0, 1, 0]])


def test_the_same_commands_give_the_same_flight_to_the_bit(plane: vtol.VtolAircraft) -> None:
    ends = []
    for cut in (1, 100):
        plane.start(np.array([0.0, 0.0, -50.0]))
        plane.follow(np.array([leg(100.0, 30.0, 60.0), leg(0.0, 0.0, 60.0)]))
        for _ in range(cut):
            plane.advance(8.0 / cut, WIND)
        ends.append(np.concatenate((plane.x, plane.wing, plane.hover, plane.mode)))
    assert ends[0][-vtol.N_VTOL] == convertible.WING
    np.testing.assert_array_equal(*ends)


def test_other_aircraft_are_refused() -> None:
    for name in ("x500", "aerosonde", "tailsitter"):
        with pytest.raises(ValueError, match="no quad-plane"):
            vtol.VtolAircraft(aircraft.load(name))


@settings(max_examples=20, deadline=None)
@given(
    euler=st.tuples(angles, st.floats(-1.57, 1.57), angles),
    velocity=st.tuples(*[st.floats(-25.0, 25.0)] * 3),
    rate=st.tuples(*[st.floats(-5.0, 5.0)] * 3),
    height=st.floats(0.0, 200.0),
    blow=st.floats(-20.0, 20.0),
    on_wing=st.booleans(),
)
def test_wild_starts_stay_finite(
    plane: vtol.VtolAircraft,
    euler: tuple[float, float, float],
    velocity: tuple[float, float, float],
    rate: tuple[float, float, float],
    height: float,
    blow: float,
    on_wing: bool,
) -> None:
    plane.start(np.array([0.0, 0.0, -height]))
    plane.x[3:6], plane.x[10:13] = velocity, rate
    plane.x[6:10] = frames.quat_from_euler(*euler)
    if on_wing:
        plane.mode[convertible.MODE] = convertible.WING
    plane.follow(np.array([leg(0.0, 0.0, 50.0, 80.0, np.inf)]))
    wind = np.array([blow, -0.3 * blow, 0.0])
    plane.advance(5.0, wind)
    plane.hold(np.array([0.0, 0.0, -60.0]))
    plane.advance(5.0, wind)
    asked = plane.wing[: wing.W_CLIMB_DIRECT]  # then NaN where nothing is asked
    for row in (plane.x, asked, plane.hover, plane.mode):
        assert np.all(np.isfinite(row))
    assert plane.wing[wing.W_BOUND] > 0.0
    assert plane.path.shape == (wing_path.N_WING_SETPOINT,)
