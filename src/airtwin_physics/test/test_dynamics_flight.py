# SPDX-License-Identifier: Apache-2.0
"""Flight of the winged aircraft against what books say: trim, turns, take-off, transition."""

from __future__ import annotations

import numpy as np
import plain_dynamics as plain
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core import frames
from airtwin_physics import dynamics
from airtwin_physics.dynamics import GRAVITY_M_S2, POS, QUAT, RATE, ROTOR, VEL, wings
from airtwin_physics.dynamics.trim import trim

CALM = np.zeros(3)
RHO = dynamics.AIR_DENSITY_KG_M3
AIRCRAFT = {n: aircraft_files.load(n) for n in ("aerosonde", "standard_vtol", "tailsitter")}
AIRCRAFT |= {n: aircraft_files.load(n) for n in ("x500", "octocopter")}
MODELS = {n: dynamics.pack(a) for n, a in AIRCRAFT.items()}


def test_a_coordinated_turn_banks_as_the_textbook_says() -> None:
    """tan(bank) = V psi_dot / g, the ball in the middle; and it goes on so for three seconds."""
    model = MODELS["aerosonde"]
    turn = trim(model, airspeed_m_s=25.0, turn_rate_rad_s=0.3)
    assert turn.balanced
    assert turn.roll_rad == pytest.approx(np.arctan(25.0 * 0.3 / GRAVITY_M_S2), abs=0.01)
    air = frames.rotation_from_quat(turn.x[QUAT]).T @ turn.x[VEL]
    assert abs(air[1] / 25.0) < 0.002  # no sideslip
    assert abs(dynamics.felt(turn.x, turn.u, model, CALM)[0][1]) < 0.01 * GRAVITY_M_S2
    x = turn.x.copy()
    for _ in range(750):
        x = dynamics.step(x, turn.u, model, CALM, 0.004)
    assert np.linalg.norm(x[VEL]) == pytest.approx(25.0, abs=0.1)
    course = np.arctan2(x[4], x[3])
    assert course == pytest.approx(0.9, abs=0.02)
    assert abs(x[2] - turn.x[2]) < 0.5


@pytest.mark.parametrize(
    ("name", "speed", "stopped", "neutral"),
    [
        ("x500", 0.0, (), ()),
        ("x500", 8.0, (), ()),
        ("octocopter", 0.0, (), ()),
        ("octocopter", 10.0, (), ()),
        ("aerosonde", 25.0, (), ()),
        ("standard_vtol", 0.0, (4,), (0, 1, 2)),
        ("standard_vtol", 15.0, (0, 1, 2, 3), ()),
        ("tailsitter", 0.0, (), ()),
        ("tailsitter", 10.0, (), ()),
    ],
)
def test_trim_is_an_equilibrium(
    name: str, speed: float, stopped: tuple[int, ...], neutral: tuple[int, ...]
) -> None:
    a = AIRCRAFT[name]
    found = trim(MODELS[name], airspeed_m_s=speed, stopped=stopped, neutral=neutral)
    assert found.balanced
    rate = plain.derivative(found.x, found.u, a, CALM)
    np.testing.assert_allclose(rate[VEL], 0.0, atol=2e-5)
    np.testing.assert_allclose(rate[RATE], 0.0, atol=2e-5)
    np.testing.assert_allclose(rate[ROTOR:], 0.0, atol=1e-6)
    if speed == 0.0 and name != "tailsitter":  # thrust is weight; its wing drags in the wash
        pull = sum(
            plain.thrust(a, i, w, 0.0, 1.0)
            for i, w in enumerate(found.x[ROTOR : ROTOR + a.rotor_count])
        )
        assert pull == pytest.approx(a.mass_kg * GRAVITY_M_S2, rel=1e-4)


def test_hover_power_is_what_the_makers_say() -> None:
    hover = trim(MODELS["octocopter"], airspeed_m_s=0.0)
    assert hover.power_w == pytest.approx(1500.0, rel=0.03)  # DJI S1000+ at 9.5 kg
    assert trim(MODELS["x500"], airspeed_m_s=0.0).power_w == pytest.approx(228.0, rel=0.03)


def test_trim_says_what_it_cannot() -> None:
    assert not trim(MODELS["aerosonde"], airspeed_m_s=8.0).balanced
    with pytest.raises(ValueError, match="climb of"):
        trim(MODELS["x500"], airspeed_m_s=1.0, climb_m_s=2.0)
    with pytest.raises(ValueError, match=r"motors 0\.\.3"):
        trim(MODELS["x500"], airspeed_m_s=1.0, stopped=(4,))


def test_a_fixed_wing_rolls_and_takes_off() -> None:
    """Full throttle, elevator up a little once fast: wheels leave the ground within 100 m."""
    a, model = AIRCRAFT["aerosonde"], MODELS["aerosonde"]
    x = dynamics.at_rest(model)
    for _ in range(500):  # settles on its gear
        x = dynamics.step(x, np.array([np.nan, 0.0, 0.0, 0.0, 0.0]), model, CALM, 0.002)
    assert np.linalg.norm(x[VEL]) < 1e-3
    start = x.copy()
    first_second = 0.0
    for i in range(5000):
        up = 0.7 if x[3] > 18.0 else 0.0
        x = dynamics.step(x, np.array([1.0, 0.0, up, 0.0, 0.0]), model, CALM, 0.002)
        if i == 499:
            first_second = float(x[3])
        if x[2] < start[2] - 1.0:
            break
    # thrust of the static propeller less rolling friction, over mass
    rotor = a.rotors
    static = rotor.thrust_n_s2 * rotor.speed_max_rad_s**2
    weight = a.mass_kg * GRAVITY_M_S2
    assert 0.6 < first_second / ((static - 0.04 * weight) / a.mass_kg) < 1.0
    assert x[2] < start[2] - 1.0
    assert 20.0 < x[0] - start[0] < 150.0
    assert abs(x[1]) < 5.0


def test_a_wheel_rolls_and_a_skid_does_not() -> None:
    model = MODELS["aerosonde"]
    u = np.array([np.nan, 0.0, 0.0, 0.0, 0.0])
    gone = []
    for direction in (0, 1):
        x = dynamics.at_rest(model)
        x[3 + direction] = 2.0
        for _ in range(500):
            x = dynamics.step(x, u, model, CALM, 0.002)
        gone.append(abs(float(x[direction])))
    assert gone[0] > 1.5  # 0.04 g brakes 2 m/s by 0.4 m/s in a second
    assert gone[1] < 0.6  # 0.6 g stops it within 0.34 m, and it leans


def test_a_quad_plane_goes_over_to_its_wing_in_open_loop() -> None:
    """From hover, pusher on, the lift rotors give up what the wing takes; none is controlled."""
    model = MODELS["standard_vtol"]
    hover = trim(model, airspeed_m_s=0.0, stopped=(4,), neutral=(0, 1, 2))
    cruise = trim(model, airspeed_m_s=15.0, stopped=(0, 1, 2, 3))
    assert hover.balanced
    assert cruise.balanced
    assert cruise.power_w < 0.4 * hover.power_w  # what the wing is for
    x = hover.x.copy()
    u = hover.u.copy()
    for _ in range(1500):
        fast = np.clip(x[3] / 12.0, 0.0, 1.0)
        u[:4] = hover.u[:4] * (1.0 - 0.3 * fast**2)
        u[4] = 0.4
        # a hand on pitch and roll: without any, a quad in the air does not stay upright
        roll, pitch = np.array(frames.euler_from_quat(x[QUAT]))[:2]
        damp = 0.04 * np.array([-1.0, 1.0, 1.0, -1.0]) * (roll + 0.3 * x[10])
        nose = 0.04 * np.array([-1.0, 1.0, -1.0, 1.0]) * (pitch + 0.3 * x[11])
        u[:4] = np.clip(u[:4] + damp + nose, 0.0, 1.0)
        u[5:8] = [roll + 0.3 * x[10], -(roll + 0.3 * x[10]), -(pitch + 0.3 * x[11])]
        x = dynamics.step(x, u, model, CALM, 0.004)
    assert x[3] > 12.0
    assert abs(x[2] - hover.x[2]) < 15.0


def test_wing_tips_near_the_ground_drag_less() -> None:
    """McCormick's factor: at h = b / 10 the induced drag is 72 % of what it is far away."""
    wing = AIRCRAFT["aerosonde"].surfaces[0]
    row = MODELS["aerosonde"].surfaces[0]
    left = wings.ground_effect(row, 0.1 * wing.span_m)
    assert left == pytest.approx(0.72, abs=0.01)
    assert wings.ground_effect(row, 100.0) == pytest.approx(1.0, abs=1e-5)
    near, far = (wings.coefficients(row, 0.1, 0.0, share) for share in (left, 1.0))
    assert near[0] == far[0]
    assert (near[1] - wing.drag_0) / (far[1] - wing.drag_0) == pytest.approx(left, rel=1e-3)


def test_the_tailsitter_stands_hovers_and_its_elevons_work_in_the_slipstream() -> None:
    a, model = AIRCRAFT["tailsitter"], MODELS["tailsitter"]
    x = dynamics.at_rest(model)
    np.testing.assert_allclose(frames.rotation_from_quat(x[QUAT])[:, 0], [0, 0, -1], atol=1e-9)
    u = np.full(5, np.nan)
    for _ in range(1000):
        x = dynamics.step(x, u, model, CALM, 0.002)
    assert np.linalg.norm(x[VEL]) < 1e-2
    np.testing.assert_allclose(frames.rotation_from_quat(x[QUAT])[:, 0], [0, 0, -1], atol=0.05)
    hover = trim(model, airspeed_m_s=0.0)
    assert hover.balanced
    state, still = hover.x.copy(), hover.x.copy()
    state[ROTOR + 2 :] = 0.3  # both trailing edges up: nose up, with no wind but the propellers'
    still[ROTOR + 2 :], still[ROTOR : ROTOR + 2] = 0.3, 0.0
    assert dynamics.felt(state, hover.u, model, CALM)[1][1] > 5.0
    assert abs(dynamics.felt(still, hover.u, model, CALM)[1][1]) < 1e-6
    assert a.ground.rest_pitch_rad == pytest.approx(np.pi / 2)


def test_felt_and_held_command_fit_together() -> None:
    for name, a in AIRCRAFT.items():
        model = MODELS[name]
        x = dynamics.state(
            model,
            velocity_ned_m_s=np.array([12.0, 1.0, -1.0]),
            q_ned_frd=np.array([2.0, 0.1, 0.1, 0.0]),
            rate_frd_rad_s=np.array([0.1, -0.2, 0.3]),
            rotor_rad_s=np.full(a.rotor_count, 400.0),
            deflection_rad=np.full(len(a.servos), -0.1),
        )
        rate = dynamics.derivative(x, dynamics.held_command(x, model), model, CALM)
        np.testing.assert_allclose(rate[ROTOR:], 0.0, atol=1e-9)
        assert x[POS][2] < -1000.0
