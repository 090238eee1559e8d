# SPDX-License-Identifier: Apache-2.0
"""PX4's cascade for multirotors, written anew: position, velocity, attitude, rate, mixer.

Laws after PX4 v1.18 (mc_pos_control, mc_att_control, mc_rate_control, control_allocator) and
Brescianini, Hehn, D'Andrea, "Nonlinear quadrocopter attitude control", ETH Zurich (2013). One
aircraft is one row of ``setpoint`` and one of ``control``; kernels change rows in place.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import GRAVITY_M_S2

# A row of setpoints; NaN is not controlled, as in PX4's TrajectorySetpoint. Limits of the phase of
# flight: climb and sink rate [m/s], tilt [rad], least thrust; what the motors do.
SP_POS, SP_VEL, SP_ACC = slice(0, 3), slice(3, 6), slice(6, 9)
SP_YAW, SP_YAW_RATE = 9, 10
SP_WANTED = slice(0, 11)  # all of the above
SP_V_UP, SP_V_DOWN, SP_TILT, SP_THRUST_MIN, SP_MODE = 11, 12, 13, 14, 15
N_SETPOINT = 16
MOTORS_OFF, MOTORS_IDLE, FLY = 0.0, 1.0, 2.0  # SP_MODE

# A row of the controllers' state: integral [m/s^2], last value and filtered slope of the velocity
# NED; the same of the rate FRD (its integral a torque [-]); attitude wanted; thrust wanted, its
# part down (negative) and the thrust that hovers, 0 to 1; rate of the heading wanted [rad/s].
C_VEL_INT, C_VEL_LAST, C_VEL_DOT = slice(0, 3), slice(3, 6), slice(6, 9)
C_RATE_INT, C_RATE, C_RATE_DOT = slice(9, 12), slice(12, 15), slice(15, 18)
C_Q, C_THRUST, C_HOVER, C_YAW_RATE, C_THRUST_DOWN = slice(18, 22), 22, 23, 24, 25
N_CONTROL = 26

# The hover thrust is learnt by a fixed gain, where PX4 has a Kalman filter that stays within
# HTE_THR_RANGE of MPC_THR_HOVER (mc_hover_thrust_estimator).
HOVER_1_S, HOVER_MIN, HOVER_MAX = 0.3, 0.1, 0.9
FADE_RAD_S = np.radians(400.0)  # rate error at which PX4's RateControl integrates no more


def mixer(aircraft: Aircraft) -> Array:
    """Return (n, 3): each motor's share of normalised roll, pitch, yaw torque; thrust's is 1.

    Pseudo-inverse of the effectiveness, scaled as in PX4's control allocator: root mean square of
    roll and pitch (the larger for both), largest element of yaw.
    """
    yaw = -aircraft.rotor_turns * aircraft.rotors.moment_m
    return allocation(aircraft.rotor_positions_frd_m[:, :2], yaw)


def allocation(places_frd_m: Array, yaw_m: Array) -> Array:
    """Return (n, 3) as ``mixer``: places (n, 2) FRD, ``yaw_m`` (n,) [m] yaw torque per thrust."""
    n = len(yaw_m)
    effectiveness = np.stack((-places_frd_m[:, 1], places_frd_m[:, 0], yaw_m, np.ones(n)))
    shares = np.linalg.pinv(effectiveness)
    level = max(np.sqrt(np.sum(shares[:, axis] ** 2) / (n / 2.0)) for axis in (0, 1))
    return np.ascontiguousarray(shares[:, :3] / np.array([level, level, shares[:, 2].max()]))


def new_control(params: Px4Params) -> Array:
    """Return one fresh row (26,) of the controllers' state."""
    row = np.zeros(N_CONTROL)
    row[C_Q.start] = 1.0
    row[C_HOVER] = params.mpc_thr_hover
    return row


@numba.njit(cache=True)
def reset_integrals(control: Array) -> None:
    """Forget what the integrators learnt: the aircraft stands."""
    control[C_VEL_INT] = 0.0
    control[C_RATE_INT] = 0.0


@numba.njit(cache=True)
def position_control(
    control: Array, setpoint: Array, pos: Array, vel: Array, yaw: float, p: Px4Params, dt_s: float
) -> None:
    """Turn position and velocity [m, m/s NED] into attitude setpoint and thrust, 0 to 1."""
    error, acc = np.zeros(3), np.zeros(3)
    _wanted_velocity(error, setpoint, pos, p)
    error -= vel
    _wanted_acceleration(control, acc, error, setpoint, vel, p, dt_s)
    hover, least = control[C_HOVER], setpoint[SP_THRUST_MIN]
    tx, ty, tz = _thrust_for(acc, hover, setpoint[SP_TILT], least)
    if (tz >= -least and error[2] >= 0.0) or (tz <= -p.mpc_thr_max and error[2] <= 0.0):
        error[2] = 0.0
    tx, ty, tz = _within_thrust(tx, ty, tz, p)
    made_x, made_y = tx * GRAVITY_M_S2 / hover, ty * GRAVITY_M_S2 / hover
    if acc[0] ** 2 + acc[1] ** 2 > made_x**2 + made_y**2:  # tracking anti-windup
        back = 2.0 / p.mpc_xy_vel_p_acc
        if error[0] != 0.0 or error[1] != 0.0:
            error[0] -= back * (acc[0] - made_x)
            error[1] -= back * (acc[1] - made_y)
    gain_i = (p.mpc_xy_vel_i_acc, p.mpc_xy_vel_i_acc, p.mpc_z_vel_i_acc)
    integral = control[C_VEL_INT]
    for k in range(3):
        integral[k] += gain_i[k] * error[k] * dt_s

    control[C_THRUST] = np.sqrt(tx * tx + ty * ty + tz * tz)
    control[C_THRUST_DOWN] = tz
    heading = setpoint[SP_YAW]
    _attitude_of_thrust(control, tx, ty, tz, heading if heading == heading else yaw)
    rate = setpoint[SP_YAW_RATE]
    control[C_YAW_RATE] = rate if rate == rate else 0.0


@numba.njit(cache=True)
def _wanted_velocity(target: Array, setpoint: Array, pos: Array, p: Px4Params) -> None:
    """Write the velocity (3,) [m/s NED] that leads to the place, and what is fed forward."""
    gain_p = (p.mpc_xy_p, p.mpc_xy_p, p.mpc_z_p)
    wanted_pos, wanted_vel = setpoint[SP_POS], setpoint[SP_VEL]
    from_position = np.zeros(3)
    for k in range(3):
        away = wanted_pos[k] - pos[k]
        if away == away:
            from_position[k] = gain_p[k] * away
        feed = wanted_vel[k]
        target[k] = from_position[k] + (feed if feed == feed else 0.0)
    _limit_horizontal(target, from_position, p.mpc_xy_vel_max)
    # at the start of the take-off ramp the climb limit is a sink rate, and it rules
    target[2] = max(min(target[2], setpoint[SP_V_DOWN]), -setpoint[SP_V_UP])


@numba.njit(cache=True)
def _wanted_acceleration(
    control: Array,
    acc: Array,
    error: Array,
    setpoint: Array,
    vel: Array,
    p: Px4Params,
    dt_s: float,
) -> None:
    """Write acc (3,) [m/s^2 NED] for the velocity's error (3,) [m/s]; 0 where nothing is wanted.

    What is controlled by acceleration alone has no error and no integral.
    """
    gain_v = (p.mpc_xy_vel_p_acc, p.mpc_xy_vel_p_acc, p.mpc_z_vel_p_acc)
    gain_d = (p.mpc_xy_vel_d_acc, p.mpc_xy_vel_d_acc, p.mpc_z_vel_d_acc)
    smooth = 1.0 - np.exp(-2.0 * np.pi * p.mpc_veld_lp * dt_s)
    integral, last, slope = control[C_VEL_INT], control[C_VEL_LAST], control[C_VEL_DOT]
    wanted_pos, wanted_vel, wanted_acc = setpoint[SP_POS], setpoint[SP_VEL], setpoint[SP_ACC]
    integral[2] = min(max(integral[2], -GRAVITY_M_S2), GRAVITY_M_S2)
    for k in range(3):
        slope[k] += smooth * ((vel[k] - last[k]) / dt_s - slope[k])
        last[k] = vel[k]
        if wanted_pos[k] == wanted_pos[k] or wanted_vel[k] == wanted_vel[k]:
            acc[k] = gain_v[k] * error[k] + integral[k] - gain_d[k] * slope[k]
        else:
            error[k] = integral[k] = acc[k] = 0.0
        if wanted_acc[k] == wanted_acc[k]:
            acc[k] += wanted_acc[k]


@numba.njit(cache=True)
def _thrust_for(
    acc: Array, hover: float, tilt_most: float, least: float
) -> tuple[float, float, float]:
    """Return the thrust NED that makes ``acc`` (3,) [m/s^2]: against gravity, tilt limited [rad].

    The height has its share whatever the tilt (MPC_ACC_DECOUPLE); ``least`` thrust there is.
    """
    tilt = np.sqrt(acc[0] ** 2 + acc[1] ** 2) / GRAVITY_M_S2
    most = np.tan(tilt_most)
    shrink = min(1.0, most / tilt) if tilt > 0.0 else 1.0
    bx, by, bz = -acc[0] * shrink / GRAVITY_M_S2, -acc[1] * shrink / GRAVITY_M_S2, 1.0
    length = np.sqrt(bx * bx + by * by + 1.0)
    bx, by, bz = bx / length, by / length, bz / length
    collective = (acc[2] * hover / GRAVITY_M_S2 - hover) / bz
    collective = min(collective, -max(least, 1e-3))
    return bx * collective, by * collective, bz * collective


@numba.njit(cache=True)
def _within_thrust(tx: float, ty: float, tz: float, p: Px4Params) -> tuple[float, float, float]:
    """Return the thrust NED within MPC_THR_MAX: the height goes first, but for a margin."""
    side = np.sqrt(tx * tx + ty * ty)
    kept = min(side, p.mpc_thr_xy_marg)
    tz = max(tz, -np.sqrt(p.mpc_thr_max**2 - kept**2))
    side_most = np.sqrt(max(p.mpc_thr_max**2 - tz * tz, 0.0))
    if side > side_most:
        tx, ty = tx / side * side_most, ty / side * side_most
    return tx, ty, tz


@numba.njit(cache=True)
def _limit_horizontal(target: Array, first: Array, most: float) -> None:
    """Keep the horizontal speed below ``most``; the position's share goes before the rest."""
    speed = np.sqrt(target[0] ** 2 + target[1] ** 2)
    if speed <= most:
        return
    base = np.sqrt(first[0] ** 2 + first[1] ** 2)
    if base >= most:
        target[0], target[1] = first[0] / base * most, first[1] / base * most
        return
    rest_x, rest_y = target[0] - first[0], target[1] - first[1]
    # the longest share s of the rest with |first + s rest| = most
    a = rest_x**2 + rest_y**2
    b = first[0] * rest_x + first[1] * rest_y
    c = base**2 - most**2
    share = (-b + np.sqrt(max(b * b - a * c, 0.0))) / a
    target[0], target[1] = first[0] + share * rest_x, first[1] + share * rest_y


@numba.njit(cache=True)
def _attitude_of_thrust(control: Array, tx: float, ty: float, tz: float, yaw: float) -> None:
    """Write the attitude whose down axis is against the thrust and whose heading is ``yaw``.

    As PX4's bodyzToAttitude: the nose lies in the vertical plane of the heading [rad], so that is
    the yaw of the Euler angles at any tilt. Thrust (3,) NED, upwards.
    """
    length = np.sqrt(tx * tx + ty * ty + tz * tz)
    zx, zy, zz = -tx / length, -ty / length, -tz / length
    # y axis: the level direction to the right of the heading, less what of it is along z
    cy, sy = np.cos(yaw), np.sin(yaw)
    along = zy * cy - zx * sy
    yx, yy, yz = -sy - along * zx, cy - along * zy, -along * zz
    norm = np.sqrt(yx * yx + yy * yy + yz * yz)
    yx, yy, yz = yx / norm, yy / norm, yz / norm
    xx, xy, xz = yy * zz - yz * zy, yz * zx - yx * zz, yx * zy - yy * zx
    trace = xx + yy + zz
    # the tilt limit keeps zz > 0, so the trace stays above -1 except at a heading of 180 deg
    if trace > 0.0:
        s = 2.0 * np.sqrt(1.0 + trace)
        w, x, y, z = 0.25 * s, (yz - zy) / s, (zx - xz) / s, (xy - yx) / s
    elif xx > yy and xx > zz:
        s = 2.0 * np.sqrt(1.0 + xx - yy - zz)
        w, x, y, z = (yz - zy) / s, 0.25 * s, (yx + xy) / s, (zx + xz) / s
    elif yy > zz:
        s = 2.0 * np.sqrt(1.0 + yy - xx - zz)
        w, x, y, z = (zx - xz) / s, (yx + xy) / s, 0.25 * s, (zy + yz) / s
    else:
        s = 2.0 * np.sqrt(1.0 + zz - xx - yy)
        w, x, y, z = (xy - yx) / s, (zx + xz) / s, (zy + yz) / s, 0.25 * s
    wanted = control[C_Q]
    wanted[0], wanted[1], wanted[2], wanted[3] = w, x, y, z


@numba.njit(cache=True)
def multiply(a: Array, b: Array) -> Array:
    """Return the product of two quaternions (4,), w first."""
    out = np.empty(4)
    out[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]
    out[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2]
    out[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1]
    out[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]
    return out


@numba.njit(cache=True)
def attitude_control(control: Array, q: Array, p: Px4Params) -> Array:
    """Return the rate setpoint (3,) [rad/s] FRD: tilt first, heading by its weight."""
    wanted = control[C_Q]
    # body z axes in NED
    zx, zy = 2.0 * (q[1] * q[3] + q[0] * q[2]), 2.0 * (q[2] * q[3] - q[0] * q[1])
    zz = 1.0 - 2.0 * (q[1] ** 2 + q[2] ** 2)
    wx = 2.0 * (wanted[1] * wanted[3] + wanted[0] * wanted[2])
    wy = 2.0 * (wanted[2] * wanted[3] - wanted[0] * wanted[1])
    wz = 1.0 - 2.0 * (wanted[1] ** 2 + wanted[2] ** 2)
    reduced = np.empty(4)
    reduced[0] = 1.0 + zx * wx + zy * wy + zz * wz
    reduced[1], reduced[2], reduced[3] = zy * wz - zz * wy, zz * wx - zx * wz, zx * wy - zy * wx
    length = np.sqrt(np.sum(reduced * reduced))
    reduced = multiply(reduced / length, q) if length > 1e-6 else wanted.copy()
    inverse = reduced.copy()
    inverse[1:] = -inverse[1:]
    mix = multiply(inverse, wanted)
    if mix[0] < 0.0:
        mix = -mix
    weight = p.mc_yaw_weight
    twist = np.zeros(4)
    twist[0] = np.cos(weight * np.arccos(min(max(mix[0], -1.0), 1.0)))
    twist[3] = np.sin(weight * np.arcsin(min(max(mix[3], -1.0), 1.0)))
    goal = multiply(reduced, twist)
    inverse = q.copy()
    inverse[1:] = -inverse[1:]
    error = multiply(inverse, goal)
    sign = 2.0 if error[0] >= 0.0 else -2.0
    out = np.empty(3)
    out[0] = p.mc_roll_p * sign * error[1]
    out[1] = p.mc_pitch_p * sign * error[2]
    out[2] = p.mc_yaw_p / max(weight, 1e-3) * sign * error[3]
    # the heading's own rate, about NED down, seen in the body
    rate = control[C_YAW_RATE]
    out[0] += rate * 2.0 * (q[1] * q[3] - q[0] * q[2])
    out[1] += rate * 2.0 * (q[2] * q[3] + q[0] * q[1])
    out[2] += rate * zz
    limits = (p.mc_rollrate_max, p.mc_pitchrate_max, p.mc_yawrate_max)
    for k in range(3):
        most = limits[k] * np.pi / 180.0
        out[k] = min(max(out[k], -most), most)
    return out


@numba.njit(cache=True)
def rate_control(
    control: Array, wanted: Array, gyro: Array, flying: bool, p: Px4Params, dt_s: float
) -> Array:
    """Return normalised torques (3,); ``gyro`` (3,) [rad/s] without bias, unfiltered."""
    gain_p = (p.mc_rollrate_p, p.mc_pitchrate_p, p.mc_yawrate_p)
    gain_i = (p.mc_rollrate_i, p.mc_pitchrate_i, p.mc_yawrate_i)
    gain_d = (p.mc_rollrate_d, p.mc_pitchrate_d, p.mc_yawrate_d)
    smooth = 1.0 - np.exp(-2.0 * np.pi * p.imu_gyro_cutoff * dt_s)
    smooth_dot = 1.0 - np.exp(-2.0 * np.pi * p.imu_dgyro_cutoff * dt_s)
    integral, rate, slope = control[C_RATE_INT], control[C_RATE], control[C_RATE_DOT]
    torque = np.empty(3)
    for k in range(3):
        last = rate[k]
        rate[k] += smooth * (gyro[k] - last)
        slope[k] += smooth_dot * ((rate[k] - last) / dt_s - slope[k])
        error = wanted[k] - rate[k]
        torque[k] = gain_p[k] * error + integral[k] - gain_d[k] * slope[k]
        if flying:
            fade = max(0.0, 1.0 - (error / FADE_RAD_S) ** 2)
            total = integral[k] + fade * gain_i[k] * error * dt_s
            integral[k] = min(max(total, -p.mc_rr_int_lim), p.mc_rr_int_lim)
    return torque


@numba.njit(cache=True)
def mix(out: Array, shares: Array, torque: Array, thrust: float) -> None:
    """Write motor commands (n,), 0 to 1: thrust gives way to roll and pitch, yaw to both."""
    n = shares.shape[0]
    low, high = 1.0, 0.0
    for i in range(n):
        out[i] = thrust + shares[i, 0] * torque[0] + shares[i, 1] * torque[1]
        low, high = min(low, out[i]), max(high, out[i])
    # without PX4's airmode thrust may only be lowered, and roll and pitch shrink at its end
    if high > 1.0:
        drop = min(high - 1.0, thrust)
        for i in range(n):
            out[i] -= drop
        low -= drop
        thrust -= drop
    if low < 0.0 and thrust - low > 1e-9:
        keep = thrust / (thrust - low)
        for i in range(n):
            out[i] = thrust + keep * (out[i] - thrust)
    share = 1.0
    for i in range(n):
        turn = shares[i, 2] * torque[2]
        if turn > 0.0:
            share = min(share, max(1.0 - out[i], 0.0) / turn)
        elif turn < 0.0:
            share = min(share, max(out[i], 0.0) / -turn)
    for i in range(n):
        out[i] = min(max(out[i] + share * shares[i, 2] * torque[2], 0.0), 1.0)


@numba.njit(cache=True)
def airmode(shares: Array, torque: Array, thrust: float) -> float:
    """Return the thrust, raised so far that roll and pitch are kept: MC_AIRMODE 1 of PX4."""
    low, high = np.inf, -np.inf
    for i in range(shares.shape[0]):
        out = thrust + shares[i, 0] * torque[0] + shares[i, 1] * torque[1]
        low, high = min(low, out), max(high, out)
    return float(thrust + min(max(-low, 0.0), max(1.0 - high, 0.0)))


@numba.njit(cache=True)
def learn_hover_thrust(control: Array, acceleration_down: float, dt_s: float) -> None:
    """Learn the thrust that carries the aircraft from its acceleration [m/s^2, NED down]."""
    predicted = GRAVITY_M_S2 * (control[C_THRUST_DOWN] / control[C_HOVER] + 1.0)
    surprise = acceleration_down - predicted
    change = HOVER_1_S * dt_s * surprise / GRAVITY_M_S2 * control[C_HOVER]
    before = control[C_HOVER]
    control[C_HOVER] = min(max(before + change, HOVER_MIN), HOVER_MAX)
    # keep the commanded thrust unchanged: the integral takes what the model gave up
    acc = (control[C_THRUST_DOWN] + before) * GRAVITY_M_S2 / before
    integral = control[C_VEL_INT]
    integral[2] += (acc - GRAVITY_M_S2) * before / control[C_HOVER] + GRAVITY_M_S2 - acc
