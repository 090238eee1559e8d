# SPDX-License-Identifier: Apache-2.0
"""The control cascade, piece by piece, against what PX4's parts do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyulog import ULog

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics.control import multirotor as control
from airtwin_physics.control import px4_params

P = px4_params.Px4Params()
RECORDINGS = Path(__file__).parents[4] / "shared" / "px4" / "recordings"
SQUARE = RECORDINGS / "px4_1.18_sih_quad_offboard_square.ulg"


def _setpoint(**values: object) -> Array:
    row = np.full(control.N_SETPOINT, np.nan)
    row[control.SP_V_UP], row[control.SP_V_DOWN] = P.mpc_z_vel_max_up, P.mpc_z_vel_max_dn
    row[control.SP_TILT], row[control.SP_THRUST_MIN] = np.radians(45.0), P.mpc_thr_min
    for name, value in values.items():
        row[getattr(control, name)] = value
    return row


def _controlled(setpoint: Array, pos: Array, vel: Array) -> Array:
    row = control.new_control(P)
    row[control.C_VEL_LAST] = vel
    control.position_control(row, setpoint, pos, vel, 0.0, P, 0.008)
    return row


def test_standing_on_the_setpoint_asks_for_hover() -> None:
    row = _controlled(_setpoint(SP_POS=np.zeros(3), SP_YAW=0.7), np.zeros(3), np.zeros(3))
    assert row[control.C_THRUST] == pytest.approx(P.mpc_thr_hover)
    np.testing.assert_allclose(frames.euler_from_quat(row[control.C_Q]), [0, 0, 0.7], atol=1e-12)


@pytest.mark.parametrize("yaw", [0.0, 1.0, 3.1, -2.0])
def test_it_leans_where_it_wants_to_go(yaw: float) -> None:
    row = _controlled(
        _setpoint(SP_POS=np.array([100.0, 0.0, 0.0]), SP_YAW=yaw), np.zeros(3), np.zeros(3)
    )
    down = frames.rotation_from_quat(row[control.C_Q]) @ np.array([0.0, 0.0, 1.0])
    assert down[0] < -0.5  # thrust is against the body's down axis: it points north
    assert down[1] == pytest.approx(0.0, abs=1e-9)
    assert frames.tilt_from_quat(row[control.C_Q]) <= np.radians(45.0) + 1e-9
    assert frames.yaw_from_quat(row[control.C_Q]) == pytest.approx(yaw, abs=1e-9)


@pytest.mark.skipif(not SQUARE.exists(), reason="no ../shared/px4/recordings here")
def test_the_wanted_attitude_is_that_of_px4s_own_log() -> None:
    """PX4 1.18's attitude setpoints, tilted by up to 45 deg: by their down axis and heading."""
    told = {one.name: one.data for one in ULog(str(SQUARE)).data_list}
    attitude, position = told["vehicle_attitude_setpoint"], told["vehicle_local_position_setpoint"]
    yaws = np.interp(attitude["timestamp"], position["timestamp"], position["yaw"])
    row, tilts = control.new_control(P), []
    for i in np.flatnonzero(np.isfinite(yaws)):
        q = np.array([attitude[f"q_d[{k}]"][i] for k in range(4)], dtype=np.float64)
        if frames.tilt_from_quat(q) < 0.05:
            continue  # level any law is right; and there the heading wanted steps between samples
        up = -frames.rotation_from_quat(q)[:, 2]
        control._attitude_of_thrust(row, *up, yaws[i])
        turn = frames.quat_multiply(frames.quat_conjugate(q), row[control.C_Q])
        assert np.linalg.norm(frames.rotation_vector_from_quat(turn)) < 2e-3  # floats; yaw turns
        tilts.append(frames.tilt_from_quat(q))
    assert max(tilts) > 0.7
    assert len(tilts) > 500


def test_speed_limits_are_px4s() -> None:
    """With the velocity at the limit nothing more is asked for."""
    for axis, goal, limit in ((0, 1e3, 12.0), (2, -1e3, -3.0), (2, 1e3, 1.5)):
        position, velocity = np.zeros(3), np.zeros(3)
        position[axis], velocity[axis] = goal, limit
        row = _controlled(_setpoint(SP_POS=position, SP_YAW=0.0), np.zeros(3), velocity)
        assert row[control.C_THRUST] == pytest.approx(P.mpc_thr_hover, abs=1e-9)


@pytest.mark.parametrize(
    ("away_m", "velocity"), [(100.0, (12.0, 0.0)), (15.0, (12.0, 0.0)), (10.0, (9.5, 7.331439))]
)
def test_the_way_to_the_place_goes_before_the_feed_forward(
    away_m: float, velocity: tuple[float, float]
) -> None:
    """PX4's constrainXY: 12 m/s in all, of which the position's share, 0.95 / s, is kept."""
    place = np.array([away_m, 0.0, 0.0])
    setpoint = _setpoint(SP_POS=place, SP_VEL=np.array([0.0, 9.0, 0.0]), SP_YAW=0.0)
    row = _controlled(setpoint, np.zeros(3), np.array([*velocity, 0.0]))
    # it flies as it should: nothing more is asked for
    np.testing.assert_allclose(row[control.C_VEL_INT], 0.0, atol=1e-6)
    np.testing.assert_allclose(row[control.C_Q], [1.0, 0.0, 0.0, 0.0], atol=1e-6)


def test_the_take_off_ramp_begins_without_thrust() -> None:
    sink = -9.80665 / P.mpc_z_vel_p_acc  # where PX4's ramp begins: a climb limit below zero
    setpoint = _setpoint(SP_POS=np.array([0.0, 0.0, -5.0]), SP_YAW=0.0)
    setpoint[control.SP_V_UP], setpoint[control.SP_THRUST_MIN] = sink, 0.0
    row = _controlled(setpoint, np.zeros(3), np.zeros(3))
    assert row[control.C_THRUST] < 0.01


def test_attitude_error_turns_the_short_way() -> None:
    row = control.new_control(P)
    rng = np.random.default_rng(2)
    for _ in range(50):
        q = frames.quat_from_euler(*rng.normal(0.0, 0.4, 3))
        row[control.C_Q] = frames.quat_from_euler(*rng.normal(0.0, 0.4, 3))
        before = frames.tilt_from_quat(
            frames.quat_multiply(frames.quat_conjugate(q), row[control.C_Q])
        )
        rate = control.attitude_control(row, q, P)
        turned = frames.quat_multiply(q, frames.quat_from_rotation_vector(rate * 0.01))
        after = frames.tilt_from_quat(
            frames.quat_multiply(frames.quat_conjugate(turned), row[control.C_Q])
        )
        assert after < before or before < 1e-3
    row[control.C_Q] = frames.quat_from_euler(0.0, 0.0, 0.2)
    rate = control.attitude_control(row, np.array([1.0, 0.0, 0.0, 0.0]), P)
    # PX4: yaw_p / weight on the weighted error gives yaw_p on the error
    assert rate == pytest.approx([0.0, 0.0, P.mc_yaw_p * 0.2], abs=0.01)


def test_the_mixer_makes_the_torques_it_is_asked_for() -> None:
    x500 = aircraft.load("x500")
    shares, out = control.mixer(x500), np.empty(4)
    places, turns = x500.rotor_positions_frd_m, x500.rotor_turns

    def torque(motors: Array) -> Array:
        return np.array(
            [-places[:, 1] @ motors, places[:, 0] @ motors, -x500.rotors.moment_m * turns @ motors]
        )

    for axis in range(3):
        wanted = np.zeros(3)
        wanted[axis] = 0.1
        control.mix(out, shares, wanted, 0.6)
        made = torque(out)
        assert np.argmax(np.abs(made) / [0.174, 0.174, 0.016]) == axis
        assert made[axis] > 0.0
        assert np.mean(out) == pytest.approx(0.6)
    # saturated: never outside, yaw gives way before roll
    control.mix(out, shares, np.array([0.3, 0.0, 0.9]), 0.95)
    assert np.all((out >= 0.0) & (out <= 1.0))
    assert torque(out)[0] == pytest.approx(torque(0.6 + shares @ [0.3, 0.0, 0.0])[0], rel=1e-6)


def test_hover_thrust_is_learnt() -> None:
    """True hover at 0.73: at thrust 0.73 it does not accelerate, so 0.6 cannot be right."""
    row = control.new_control(P)
    for _ in range(5000):
        row[control.C_THRUST_DOWN] = -0.73
        control.learn_hover_thrust(row, 0.0, 0.004)
    assert row[control.C_HOVER] == pytest.approx(0.73, abs=0.01)


def test_px4_parameters_by_name() -> None:
    assert px4_params.with_overrides({"RTL_RETURN_ALT": 15}).rtl_return_alt == 15.0
    with pytest.raises(ValueError, match="MPC_NONSENSE"):
        px4_params.with_overrides({"MPC_NONSENSE": 1.0})
    for value in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="expected a number"):
            px4_params.with_overrides({"MPC_XY_P": value})
