# SPDX-License-Identifier: Apache-2.0
"""A fixed wing as it is flown: its files and refusals, then whole flights."""

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

from wing_legs import leg  # isort: skip

AEROSONDE = aircraft.load("aerosonde")
P = px4_params.wing_params("aerosonde")
CALM = np.zeros(3)
angles = st.floats(-3.1, 3.1)


@pytest.fixture(scope="module")
def plane() -> wing_aircraft.WingAircraft:
    return wing_aircraft.WingAircraft(AEROSONDE)


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


@pytest.mark.parametrize("direction", [0.0, 2.0, 4.4])
def test_a_square_in_wind(plane: wing_aircraft.WingAircraft, direction: float) -> None:
    wind = 5.0 * np.array([np.cos(direction), np.sin(direction), 0.0])
    plane.start(np.array([0.0, 0.0, -100.0]), 0.0, wind)
    side = 800.0
    plane.follow(
        np.array([leg(side, 0, 100), leg(side, side, 100), leg(0, side, 100), leg(0, 0, 100)])
    )
    x, error, at = _fly(plane, 155.0, wind)
    assert at[-1] == 3
    for k, (axis, line, along) in enumerate(
        (
            (1, 0.0, x[:, 0]),
            (0, side, x[:, 1]),
            (1, side, side - x[:, 0]),
            (0, 0.0, side - x[:, 1]),
        )
    ):
        # once the corner is flown: PX4 cuts it by a third of the track error's bound
        settled = (at == k) & (along > 400.0) & (along < 720.0)
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
    plane.follow(np.array([leg(300.0, 100.0, 100.0, radius, np.inf)]))
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
    plane.follow(np.array([leg(0.0, 150.0, 100.0, 150.0, np.inf)]))
    x, _, _ = _fly(plane, 150.0, wind)
    distance = np.linalg.norm(x[600:, :2] - (0.0, 150.0), axis=1)
    assert np.sqrt(np.mean((distance - 150.0) ** 2)) < 1.5
    assert np.max(np.abs(x[600:, 2] + 100.0)) < 2.0


def test_it_climbs_at_px4s_rate(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([leg(1e5, 0.0, 160.0)]))
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
        plane.follow(np.array([leg(200.0, 50.0, 70.0), leg(0.0, 0.0, 60.0)]))
        for _ in range(cut):
            plane.advance(10.0 / cut, np.array([1.0, 2.0, 0.3]))
        ends.append(np.concatenate((plane.x, plane.control)))
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


def test_resync_moves_the_aircraft_and_keeps_what_was_learnt(
    plane: wing_aircraft.WingAircraft,
) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([leg(1e5, 0.0, 100.0)]))
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
        plane.follow(np.array([leg(200, side * 100, 120), leg(100, side * 300, 110, side * 90)]))
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
    plane.follow(np.array([leg(0.0, 0.0, 50.0, 80.0, np.inf)]))
    plane.advance(8.0, np.array([blow, -0.3 * blow, 0.0]))
    assert np.all(np.isfinite(plane.x))
    assert np.all(np.isfinite(plane.control[: wing.W_CLIMB_DIRECT]))
    assert np.linalg.norm(plane.x[6:10]) == pytest.approx(1.0)
    assert np.all(np.abs(plane.u[1:]) <= 1.0)


def test_it_recovers_from_a_dive_on_its_back(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -400.0]))
    plane.x[6:10] = frames.quat_from_euler(3.0, -0.7, 0.0)
    plane.x[3:6] = (18.0, 0.0, 12.0)
    plane.follow(np.array([leg(1e5, 0.0, 300.0)]))
    x, error, _ = _fly(plane, 90.0, CALM)
    assert np.max(x[:, 2]) < -200.0
    assert abs(_roll(x[-1:])[0]) < np.radians(3.0)
    assert -x[-1, 2] == pytest.approx(300.0, abs=3.0)
    assert abs(error[-1]) < 5.0


def test_its_charge_goes_down_by_the_power_of_trim(plane: wing_aircraft.WingAircraft) -> None:
    plane.start(np.array([0.0, 0.0, -100.0]))
    plane.follow(np.array([leg(1e5, 0.0, 100.0)]))
    before = plane.x[dynamics.CHARGE]
    voltage, _ = dynamics.battery(plane.x, plane.model)
    plane.advance(30.0)
    drawn = (plane.x[dynamics.CHARGE] - before) * voltage / 30.0
    assert drawn == pytest.approx(plane.cruise.power_w, rel=0.05)
