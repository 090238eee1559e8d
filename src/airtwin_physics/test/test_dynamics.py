# SPDX-License-Identifier: Apache-2.0
"""The dynamics kernel against closed solutions and conservation laws."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.dynamics import CHARGE, GRAVITY_M_S2, POS, QUAT, RATE, ROTOR, VEL

CALM = np.zeros(3)
STOPPED = np.full(4, np.nan)


@pytest.fixture(scope="module")
def x500() -> Aircraft:
    return aircraft_files.load("x500")


def _flying(model: dynamics.Model, height_m: float = 100.0) -> Array:
    x = dynamics.at_rest(model)
    x[2] = -height_m
    return x


def _hover_speed(x500: Aircraft) -> float:
    thrust = x500.mass_kg * GRAVITY_M_S2 / x500.rotor_count
    return float(np.sqrt(thrust / x500.rotors.thrust_n_s2))


def _command(x500: Aircraft, speed: float) -> Array:
    low, high = x500.rotors.speed_min_rad_s, x500.rotors.speed_max_rad_s
    return np.full(4, (speed - low) / (high - low))


def test_free_fall_without_air(x500: Aircraft) -> None:
    vacuum = dataclasses.replace(x500, drag_area_frd_m2=np.zeros(3))
    model = dynamics.pack(vacuum)
    x = _flying(model)
    for _ in range(500):
        x = dynamics.step(x, STOPPED, model, CALM, 0.004)
    assert x[5] == pytest.approx(GRAVITY_M_S2 * 2.0, rel=1e-12)
    assert x[2] == pytest.approx(-100.0 + 0.5 * GRAVITY_M_S2 * 4.0, rel=1e-12)


def test_terminal_speed(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model, 5000.0)
    terminal = np.sqrt(2.0 * x500.mass_kg * GRAVITY_M_S2 / (1.225 * x500.drag_area_frd_m2[2]))
    for _ in range(1000):
        x = dynamics.step(x, STOPPED, model, CALM, 0.004)
    # v(t) = v_t tanh(g t / v_t), the textbook's fall with quadratic drag
    assert x[5] == pytest.approx(terminal * np.tanh(GRAVITY_M_S2 * 4.0 / terminal), rel=1e-6)
    for _ in range(4000):
        x = dynamics.step(x, STOPPED, model, CALM, 0.004)
    assert x[5] == pytest.approx(terminal, rel=1e-3)


def test_hover_is_an_equilibrium(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model)
    x[ROTOR:] = _hover_speed(x500)
    u = _command(x500, _hover_speed(x500))
    rate = dynamics.derivative(x, u, model, CALM)
    np.testing.assert_allclose(np.delete(rate, slice(CHARGE, ROTOR)), 0.0, atol=1e-4)


def test_wind_carries_like_motion_through_air(x500: Aircraft) -> None:
    """Galileo: flying at v in calm air and standing in wind -v give the same forces."""
    model = dynamics.pack(x500)
    moving, standing = _flying(model), _flying(model)
    v = np.array([6.0, -3.0, 1.0])
    moving[VEL] = v
    a = dynamics.derivative(moving, STOPPED, model, CALM)
    b = dynamics.derivative(standing, STOPPED, model, -v)
    np.testing.assert_allclose(a[3:], b[3:], atol=1e-12)


def test_rotor_lag_is_first_order(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model)
    x[ROTOR:] = 400.0
    u = _command(x500, 800.0)
    for _ in range(100):
        x = dynamics.step(x, u, model, CALM, x500.rotors.time_constant_up_s / 100.0)
    assert x[ROTOR:] == pytest.approx(800.0 - 400.0 * np.exp(-1.0), rel=1e-6)


def test_torque_free_tumble_keeps_energy_and_momentum(x500: Aircraft) -> None:
    """Euler's equations: kinetic energy and angular momentum in NED are constants of motion."""
    inertia = np.array([[0.02, 0.001, 0.0], [0.001, 0.03, 0.002], [0.0, 0.002, 0.05]])
    free = dataclasses.replace(x500, inertia_frd_kg_m2=inertia, drag_area_frd_m2=np.zeros(3))
    model = dynamics.pack(free)
    x = _flying(model, 10000.0)
    x[RATE] = [3.0, 1.0, -4.0]

    def invariants(x: Array) -> tuple[float, Array]:
        momentum = inertia @ x[RATE]
        return float(x[RATE] @ momentum), frames.rotation_from_quat(x[QUAT]) @ momentum

    energy, momentum = invariants(x)
    for _ in range(2500):
        x = dynamics.step(x, STOPPED, model, CALM, 0.002)
    energy_after, momentum_after = invariants(x)
    assert energy_after == pytest.approx(energy, rel=1e-7)
    np.testing.assert_allclose(momentum_after, momentum, rtol=1e-6, atol=1e-9)


def test_it_stands_on_its_feet_and_does_not_creep_away(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = dynamics.at_rest(model, yaw_rad=1.0)
    start = x.copy()
    for _ in range(2500):
        x = dynamics.step(x, STOPPED, model, np.array([5.0, 0.0, 0.0]), 0.002)
    np.testing.assert_allclose(x[POS][2], start[POS][2], atol=1e-3)
    assert np.linalg.norm(x[POS][:2] - start[POS][:2]) < 0.05 * 5.0  # smoothed friction slips
    assert frames.tilt_from_quat(x[QUAT]) < 0.01


def test_a_fall_ends_on_the_ground_and_loses_energy(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model, 1.0)
    x[VEL] = [1.0, 0.0, 0.0]
    energies = []
    for _ in range(2500):
        x = dynamics.step(x, STOPPED, model, CALM, 0.002)
        kinetic = 0.5 * x500.mass_kg * x[VEL] @ x[VEL]
        turning = 0.5 * x[RATE] @ x500.inertia_frd_kg_m2 @ x[RATE]
        depth = [
            max(
                (x[POS] + frames.rotation_from_quat(x[QUAT]) @ f)[2]
                - model.body[dynamics.GROUND_DOWN],
                0.0,
            )
            for f in x500.feet_frd_m
        ]
        spring = 0.5 * x500.ground.stiffness_n_m * np.sum(np.square(depth))
        energies.append(kinetic + turning + spring - x500.mass_kg * GRAVITY_M_S2 * x[2])
    # the damper may not pull, so a foot that leaves the ground early drops its spring's energy
    assert np.max(np.diff(energies)) < 2e-3 * energies[0]
    assert abs(x[5]) < 1e-3
    assert abs(x[3]) < 1e-2


def test_full_thrust_of_one_side_turns_the_right_way(x500: Aircraft) -> None:
    """More thrust on the left (rotors 2 and 1) rolls right; on the front (0, 2) pitches up."""
    model = dynamics.pack(x500)
    for rotors, axis in (((1, 2), 0), ((0, 2), 1), ((0, 1), 2)):
        x = _flying(model)
        x[ROTOR:] = 700.0
        for rotor in rotors:
            x[ROTOR + rotor] = 750.0
        u = np.array([(w - 150.0) / 850.0 for w in x[ROTOR:]])
        turn = dynamics.derivative(x, u, model, CALM)[RATE]
        # counter-clockwise rotors (0, 1) push the body clockwise: yaw right
        assert turn[axis] > 0.1
        assert np.all(np.abs(np.delete(turn, axis)) < 1e-9)


def test_battery_sags_by_its_resistance_and_runs_down(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model)
    at_ease, draw = dynamics.battery(x, model)
    assert at_ease == pytest.approx(16.8, abs=0.02)
    assert draw == pytest.approx(8.0 / 16.8, rel=0.01)
    x[ROTOR:] = _hover_speed(x500)
    loaded, current = dynamics.battery(x, model)
    assert loaded == pytest.approx(16.8 - 0.020 * current, rel=1e-9)
    assert loaded * current == pytest.approx(8.0 + 4 * 55.0, rel=0.02)
    x[CHARGE] = model.battery[dynamics.CAPACITY_C]
    assert dynamics.battery(x, model)[0] < 4 * 3.27
    # capacity over hover current: Holybro's "some 18 minutes" for the X500 V2
    assert 5.0 / current * 60.0 == pytest.approx(20.0, abs=3.0)


def test_a_fleet_steps_as_each_of_its_aircraft(x500: Aircraft) -> None:
    rng = np.random.default_rng(3)
    models = [dynamics.pack(x500) for _ in range(3)]
    models[1].body[dynamics.MASS] += 0.4
    models[2].rotors[1, dynamics.EFFECT] = 0.7
    x = np.stack([_flying(m) for m in models])
    x[:, ROTOR:] = 700.0
    u = rng.uniform(0.5, 0.8, (3, 4))
    wind = rng.normal(0.0, 3.0, (3, 3))
    alone = [row.copy() for row in x]
    dynamics.step_many(x, u, dynamics.stack(models), wind, 0.002, 50)
    for i in range(3):
        for _ in range(50):
            alone[i] = dynamics.step(alone[i], u[i], models[i], wind[i], 0.002)
        np.testing.assert_array_equal(x[i], alone[i])


def test_step_size_is_fine_enough(x500: Aircraft) -> None:
    """2 ms, as the simulator steps, against 0.1 ms over a second of rough flight."""
    model = dynamics.pack(x500)
    rough, fine = _flying(model), _flying(model)
    for x in (rough, fine):
        x[ROTOR:] = 700.0
    u = np.array([0.71, 0.70, 0.712, 0.702])
    for _ in range(500):
        rough = dynamics.step(rough, u, model, CALM, 0.002)
    for _ in range(10000):
        fine = dynamics.step(fine, u, model, CALM, 0.0001)
    np.testing.assert_allclose(rough[:13], fine[:13], atol=1e-6)


def test_upside_down_it_lies_on_its_rotors(x500: Aircraft) -> None:
    model = dynamics.pack(x500)
    x = _flying(model, 0.5)
    x[QUAT] = frames.quat_from_euler(np.pi, 0.0, 0.0)
    for _ in range(2500):
        x = dynamics.step(x, STOPPED, model, CALM, 0.002)
    ground = float(np.max(x500.feet_frd_m[:, 2]))
    hubs = -x500.rotor_positions_frd_m[0, 2]
    assert x[2] == pytest.approx(ground - hubs, abs=0.01)
    assert np.linalg.norm(x[VEL]) < 1e-3
