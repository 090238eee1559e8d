# SPDX-License-Identifier: Apache-2.0
"""Forces and moments of the wings against tables: derivatives, stall, mirror, glide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from airtwin_core import aircraft as aircraft_files
from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.dynamics import GRAVITY_M_S2, RATE, VEL

CALM = np.zeros(3)
RHO = dynamics.AIR_DENSITY_KG_M3
AIRCRAFT = {n: aircraft_files.load(n) for n in ("aerosonde", "standard_vtol", "tailsitter")}
AIRCRAFT |= {n: aircraft_files.load(n) for n in ("x500", "octocopter")}
MODELS = {n: dynamics.pack(a) for n, a in AIRCRAFT.items()}
# which servo is another's mirror image, and its sign
MIRRORED = {
    "aerosonde": ((0, 1, 2, 3), (-1.0, 1.0, -1.0, -1.0)),
    "standard_vtol": ((1, 0, 2), (1.0, 1.0, 1.0)),
    "tailsitter": ((1, 0), (1.0, 1.0)),
}
AREA, SPAN, CHORD = 0.55, 2.8956, 0.18994  # of the Aerosonde's table


def _air(
    name: str, speed: float, alpha: float, beta: float = 0.0, rates: Array = CALM, **x: Array
) -> tuple[Array, Array]:
    """Return force [N] and moment [N m] FRD of the wind from a direction, rotors stopped."""
    a, model = AIRCRAFT[name], MODELS[name]
    flow = speed * np.array(
        [np.cos(alpha) * np.cos(beta), np.sin(beta), np.sin(alpha) * np.cos(beta)]
    )
    state = dynamics.state(
        model,
        velocity_ned_m_s=flow,
        q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
        rate_frd_rad_s=np.asarray(rates, dtype=float),
        rotor_rad_s=np.zeros(a.rotor_count),
        deflection_rad=x.get("deflection"),
    )
    u = np.full(a.rotor_count + len(a.servos), np.nan)
    force, turn = dynamics.felt(state, u, model, CALM)
    inertia = a.inertia_frd_kg_m2
    moment = inertia @ turn + np.cross(state[RATE], inertia @ state[RATE])
    return force * a.mass_kg, moment


def _lift_drag(name: str, speed: float, alpha: float) -> tuple[float, float]:
    force, _ = _air(name, speed, alpha)
    lift = force[0] * np.sin(alpha) - force[2] * np.cos(alpha)
    return float(lift), float(-force[0] * np.cos(alpha) - force[2] * np.sin(alpha))


def _slope(part: str, what: str, attack: float = 0.0) -> float:
    """Return a derivative of the Aerosonde's coefficients at 25 m/s, by central differences.

    attack: angle of attack [rad] around which.
    """
    speed, h = 25.0, 1e-4
    ends = []
    for sign in (1.0, -1.0):
        alpha = attack + (sign * h if what == "alpha" else 0.0)
        beta = sign * h if what == "beta" else 0.0
        rates, deflection = np.zeros(3), np.zeros(4)
        if what in "pqr":
            length = CHORD if what == "q" else SPAN
            rates["pqr".index(what)] = sign * h * 2.0 * speed / length
        if what in ("aileron", "elevator", "rudder"):
            deflection[("aileron", "elevator", "rudder").index(what)] = sign * h
        force, moment = _air("aerosonde", speed, alpha, beta, rates, deflection=deflection)
        pressure = 0.5 * RHO * speed**2 * AREA
        ends.append(
            {
                "L": (force[0] * np.sin(alpha) - force[2] * np.cos(alpha)) / pressure,
                "Y": force[1] / pressure,
                "l": moment[0] / pressure / SPAN,
                "m": moment[1] / pressure / CHORD,
                "n": moment[2] / pressure / SPAN,
            }[part]
        )
    return float((ends[0] - ends[1]) / (2.0 * h))


@pytest.mark.parametrize(
    ("part", "what", "table", "within"),
    [
        # randybeard/mavsim_public, parameters/aerosonde_parameters.py; elevator + is nose up here
        ("L", "alpha", 5.61, 0.005),
        ("m", "alpha", -2.74, 0.005),
        ("L", "q", 7.95, 0.005),
        ("m", "q", -38.21, 0.005),
        ("L", "elevator", -0.13, 0.005),
        ("m", "elevator", 0.99, 0.005),
        ("Y", "beta", -0.98, 0.1),
        ("n", "beta", 0.073, 0.1),
        ("n", "r", -0.095, 0.1),
        ("l", "beta", -0.13, 0.05),
        ("l", "p", -0.51, 0.03),
        ("l", "aileron", 0.17, 0.05),
        ("n", "rudder", 0.069, 0.05),
    ],
)
def test_the_aerosonde_has_the_derivatives_of_its_table(
    part: str, what: str, table: float, within: float
) -> None:
    """Those by q ask for downwash: without it C_L_q is -2 C_m_alpha, 5.4."""
    assert _slope(part, what) == pytest.approx(table, rel=within)


def test_rolling_yaws_and_yawing_rolls_the_aerosonde_with_its_lift() -> None:
    """A straight wing's C_n_p is -C_L / 8, its C_l_r at most C_L / 4 (Etkin and Reid, chapter 5).

    The table has one number for every lift: C_l_r 0.25, which is C_L / 4 at a lift of 1.0, and
    C_n_p +0.069, of the other sign.
    """
    for degrees in (2.0, 4.0, 8.0):
        attack = float(np.radians(degrees))
        lift = _lift_drag("aerosonde", 25.0, attack)[0] / (0.5 * RHO * 25.0**2 * AREA)
        assert _slope("n", "p", attack) == pytest.approx(-lift / 8.0, abs=0.015)
        assert 0.1 < _slope("l", "r", attack) / lift < 0.25


def test_yaw_torque_rolls_the_aerosonde_as_its_product_of_inertia_says() -> None:
    """Gamma_3, Gamma_4 and Gamma_8 of Beard and McLain, chapter 3, by the table's inertia."""
    j_x, j_z, j_xz = 0.8244, 1.759, 0.1204
    expected = np.array([[j_z, j_xz], [j_xz, j_x]]) / (j_x * j_z - j_xz**2)
    inverse = np.linalg.inv(AIRCRAFT["aerosonde"].inertia_frd_kg_m2)[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(inverse, expected, rtol=0.01)  # wheels and propeller are apart


def test_the_downwash_goes_with_the_flow_that_makes_it() -> None:
    """Behind a stalled wing, and flown backwards, the tail meets the air as it comes."""
    plain = dataclasses.replace(
        AIRCRAFT["aerosonde"],
        surfaces=tuple(
            dataclasses.replace(s, downwash_of=-1) for s in AIRCRAFT["aerosonde"].surfaces
        ),
    )
    for alpha, same in ((0.1, False), (0.3, False), (0.8, True), (np.pi - 0.1, True)):
        flow = 25.0 * np.array([np.cos(alpha), 0.0, np.sin(alpha)])
        turns = []
        for a in (AIRCRAFT["aerosonde"], plain):
            model = dynamics.pack(a)
            x = dynamics.state(
                model,
                velocity_ned_m_s=flow,
                q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
                rate_frd_rad_s=CALM,
                rotor_rad_s=np.zeros(1),
            )
            turns.append(dynamics.felt(x, np.full(5, np.nan), model, CALM)[1][1])
        assert (abs(turns[0] - turns[1]) < 1e-3) == same


def test_lift_and_drag_at_no_angle_are_the_tables() -> None:
    lift, drag = _lift_drag("aerosonde", 25.0, 0.0)
    pressure = 0.5 * RHO * 25.0**2 * AREA
    assert lift / pressure == pytest.approx(0.23, abs=0.005)  # C_L_0
    # C_D_p + C_L^2 / pi e AR; most of C_L is the wing's
    assert drag / pressure == pytest.approx(0.043 + 0.23**2 / (np.pi * 0.9 * 15.24), abs=0.002)


def test_the_wing_stalls_and_lifts_less_beyond() -> None:
    angles = np.radians(np.arange(0.0, 90.1, 0.5))
    lift = np.array([_lift_drag("aerosonde", 20.0, a)[0] for a in angles])
    peak = angles[np.argmax(lift)]
    assert 0.35 < peak < 0.5  # alpha_0 of the table is 0.47 rad
    assert lift[angles > peak + 0.1].max() < 0.6 * lift.max()
    assert abs(lift[-1]) < 0.05 * lift.max()  # across the flow there is only drag


@pytest.mark.parametrize("name", ["aerosonde", "standard_vtol", "tailsitter"])
def test_no_angle_of_flight_is_singular_and_drag_always_brakes(name: str) -> None:
    area = sum(s.area_m2 for s in AIRCRAFT[name].surfaces)
    last = None
    for alpha in np.linspace(-np.pi, np.pi, 721):
        force, moment = _air(name, 15.0, alpha)
        assert np.all(np.isfinite(force))
        assert np.all(np.isfinite(moment))
        flow = np.array([np.cos(alpha), 0.0, np.sin(alpha)])
        assert force @ flow < 0.0  # backwards and sideways too
        assert np.linalg.norm(force) < 3.0 * 0.5 * RHO * 15.0**2 * area
        if last is not None:  # half a degree on: no jump
            assert np.linalg.norm(force - last) < 0.25 * 0.5 * RHO * 15.0**2 * area
        last = force


@pytest.mark.parametrize("name", sorted(AIRCRAFT))
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_left_and_right_are_mirror_images(name: str, seed: int) -> None:
    """A mirrored flight of the mirrored aircraft is the mirrored flight; gyroscopes included.

    Two things have no mirror image and are off: Gazebo's rolling moment, which has the same sign
    for both directions of turning, and the torque of a single propeller.
    """
    a = AIRCRAFT[name]
    rng = np.random.default_rng(seed)
    mirror = np.array([1.0, -1.0, 1.0])
    places = [tuple(np.round(p, 9) + 0.0) for p in a.rotor_positions_frd_m]
    twin = [places.index(tuple(np.round(p * mirror, 9) + 0.0)) for p in a.rotor_positions_frd_m]
    servos, signs = MIRRORED.get(name, ((), ()))
    rotors = dataclasses.replace(a.rotors, rolling_moment_n_s2=0.0)
    changed = dataclasses.replace(a, rotors=rotors)
    if name == "aerosonde":
        rotors = dataclasses.replace(rotors, moment_m=0.0)
        changed = dataclasses.replace(changed, rotors=rotors, rotor_inertia_kg_m2=0.0)
    if a.pushers is not None:
        pushers = dataclasses.replace(a.pushers, rolling_moment_n_s2=0.0, moment_m=0.0)
        changed = dataclasses.replace(changed, pushers=pushers, rotor_inertia_kg_m2=0.0)
    model = dynamics.pack(changed)
    speeds = rng.uniform(200.0, 900.0, a.rotor_count)
    angles = rng.uniform(-0.4, 0.4, len(a.servos))
    quat = rng.normal(size=4)
    args = {
        "velocity_ned_m_s": rng.normal(0.0, 12.0, 3),
        "q_ned_frd": quat,
        "rate_frd_rad_s": rng.normal(0.0, 2.0, 3),
    }
    here = dynamics.state(model, rotor_rad_s=speeds, deflection_rad=angles, **args)
    there = dynamics.state(
        model,
        velocity_ned_m_s=args["velocity_ned_m_s"] * mirror,
        q_ned_frd=quat * [1.0, -1.0, 1.0, -1.0],
        rate_frd_rad_s=args["rate_frd_rad_s"] * [-1.0, 1.0, -1.0],
        rotor_rad_s=speeds[twin],
        deflection_rad=angles[list(servos)] * signs,
    )
    first = dynamics.felt(here, dynamics.held_command(here, model), model, CALM)
    second = dynamics.felt(there, dynamics.held_command(there, model), model, CALM)
    np.testing.assert_allclose(second[0], first[0] * mirror, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(second[1], first[1] * [-1.0, 1.0, -1.0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "servo"), [("aerosonde", 1), ("standard_vtol", 2)])
def test_a_glide_falls_as_its_lift_to_drag_says(name: str, servo: int) -> None:
    """Power off: slope = drag / lift, speed from weight; the flight stays on it for 5 s."""
    a, model, alpha = AIRCRAFT[name], MODELS[name], 0.06

    def wind(angle: float) -> tuple[Array, Array, Array]:
        deflection = np.zeros(len(a.servos))
        deflection[servo] = angle
        return *_air(name, 20.0, alpha, deflection=deflection), deflection

    elevator = brentq(lambda angle: float(wind(angle)[1][1]), -0.7, 0.7, xtol=1e-12)
    force, _, deflection = wind(elevator)
    lift = force[0] * np.sin(alpha) - force[2] * np.cos(alpha)
    drag = -force[0] * np.cos(alpha) - force[2] * np.sin(alpha)
    slope = float(np.arctan2(drag, lift))
    assert 4.0 < lift / drag < 25.0
    # all forces grow with the square of the speed
    speed = 20.0 * np.sqrt(a.mass_kg * GRAVITY_M_S2 / np.hypot(lift, drag))
    x = dynamics.state(
        model,
        velocity_ned_m_s=speed * np.array([np.cos(slope), 0.0, np.sin(slope)]),
        q_ned_frd=frames.quat_from_euler(0.0, alpha - slope, 0.0),
        rate_frd_rad_s=np.zeros(3),
        rotor_rad_s=np.zeros(a.rotor_count),
        deflection_rad=deflection,
    )
    u = dynamics.held_command(x, model)
    start = x.copy()
    for _ in range(1000):
        x = dynamics.step(x, u, model, CALM, 0.005)
    assert np.linalg.norm(x[VEL]) == pytest.approx(speed, rel=1e-4)
    fallen, gone = x[2] - start[2], x[0] - start[0]
    assert gone / fallen == pytest.approx(lift / drag, rel=1e-3)
