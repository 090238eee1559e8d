# SPDX-License-Identifier: Apache-2.0
"""PX4's cascade for flight on the wing, written anew: energy, attitude, rate, surfaces.

Laws after PX4 v1.18 (lib/tecs, fw_lateral_longitudinal_control, fw_att_control, fw_rate_control).
One aircraft is one row of ``control``; kernels change it in place. Guidance: ``wing_path``.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from airtwin_core.types import Array
from airtwin_physics.control import wing_path
from airtwin_physics.control.multirotor import FADE_RAD_S
from airtwin_physics.control.px4_params import Px4WingParams
from airtwin_physics.dynamics import GRAVITY_M_S2

Indices = npt.NDArray[np.int64]

# A row of the controllers' state.
W_TAS, W_TAS_DOT, W_HEIGHT, W_CLIMB = 0, 1, 2, 3  # filtered airspeed, height's reference
W_PITCH_INT, W_THROTTLE_INT, W_ENERGY_DOT = 4, 5, 6
W_ROLL, W_PITCH, W_THROTTLE = 7, 8, 9  # setpoints
W_AIRSPEED, W_AIRSPEED_LEAST = 10, 11  # setpoint, what the wind asks for
W_ERROR, W_BOUND = 12, 13  # distance from the path and its bound [m]
W_RATE_INT, W_TORQUE = slice(14, 17), slice(17, 20)
W_TICK = 20  # since the last guidance
# What PX4's mode manager asks of the energy's control, renewed with each guidance: limits of
# pitch, bank [rad] and throttle, speeds up and down [m/s], a climb rate instead of a height, pitch
# and throttle instead of the energy's (NaN: not), whether too slow a flight loses height (1).
W_PITCH_LOW, W_PITCH_HIGH, W_BANK_MOST, W_THROTTLE_LOW, W_THROTTLE_HIGH = 21, 22, 23, 24, 25
W_CLIMB_MOST, W_SINK_MOST, W_CLIMB_DIRECT, W_PITCH_DIRECT, W_THROTTLE_DIRECT = 26, 27, 28, 29, 30
W_SAVES_SPEED = 31
N_WING = 32

# PX4's constants of fw_lateral_longitudinal_control and TECS
AIRSPEED_SLEW_M_S2 = 1.0
UNDERSPEED = 0.15  # [-] of the cruise speed below FW_AIRSPD_MIN at which it begins
JERK_M_S3 = 1000.0
# steady-state Kalman gains of TECS' airspeed filter
K00, K01, K10, K11 = 1.91940287, 0.25925926, 2.11640212, 0.67179101
SPEED_LEAST_M_S = 1e-3


def new_control(p: Px4WingParams, height_m: float, climb_m_s: float, airspeed_m_s: float) -> Array:
    """Return one row (32,) of an aircraft that has just begun to be flown on the wing."""
    row = np.zeros(N_WING)
    usual_limits(row, p)
    row[W_TAS], row[W_HEIGHT], row[W_CLIMB] = airspeed_m_s, height_m, climb_m_s
    row[W_ENERGY_DOT] = GRAVITY_M_S2 * climb_m_s
    row[W_THROTTLE] = p.fw_thr_trim
    row[W_AIRSPEED] = min(max(airspeed_m_s, p.fw_airspd_min), p.fw_airspd_max)
    row[W_BOUND] = wing_path.error_bound(airspeed_m_s, p.npfg_period, p.npfg_damping)
    return row


@numba.njit(cache=True)
def usual_limits(control: Array, p: Px4WingParams) -> None:
    """Ask what flight far from the ground asks (PX4's ControllerConfigurationHandler)."""
    control[W_PITCH_LOW], control[W_PITCH_HIGH] = (
        np.radians(p.fw_p_lim_min),
        np.radians(p.fw_p_lim_max),
    )
    control[W_BANK_MOST] = np.radians(p.fw_r_lim)
    control[W_THROTTLE_LOW], control[W_THROTTLE_HIGH] = p.fw_thr_min, p.fw_thr_max
    control[W_CLIMB_MOST], control[W_SINK_MOST] = p.fw_t_clmb_r_sp, p.fw_t_sink_r_sp
    control[W_CLIMB_DIRECT:N_WING] = np.nan
    control[W_SAVES_SPEED] = 1.0


@numba.njit(cache=True)
def _clip(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))


@numba.njit(cache=True)
def wanted_airspeed(
    control: Array, wanted: float, bank: float, p: Px4WingParams, dt: float
) -> None:
    """Move the airspeed's setpoint: NaN is cruise, never below the stall's margin in a turn."""
    load = 1.0 / max(np.cos(bank), 1e-3)
    least = min(p.fw_airspd_min * np.sqrt(load), p.fw_airspd_max)
    goal = wanted if wanted > 0.0 else p.fw_airspd_trim
    goal = _clip(max(goal, control[W_AIRSPEED_LEAST]), least, p.fw_airspd_max)
    now = control[W_AIRSPEED]
    step = AIRSPEED_SLEW_M_S2 * dt
    control[W_AIRSPEED] = least if now < least else _clip(goal, now - step, now + step)


@numba.njit(cache=True)
def height_reference(
    control: Array, height: float, now: float, p: Px4WingParams, dt: float
) -> None:
    """Move the reference of height [m] towards ``height``, limited in speed and acceleration.

    Where a climb rate is asked for, it moves with that from ``now``, the height flown at.
    """
    step = p.fw_t_vert_acc * dt
    if control[W_CLIMB_DIRECT] == control[W_CLIMB_DIRECT]:
        speed = control[W_CLIMB_DIRECT]
        control[W_CLIMB] = _clip(speed, control[W_CLIMB] - step, control[W_CLIMB] + step)
        control[W_HEIGHT] = now
        return
    away = height - control[W_HEIGHT]
    b = 4.0 * p.fw_t_vert_acc**2 / JERK_M_S3
    speed = 0.5 * (-b + np.sqrt(b * b + 8.0 * p.fw_t_vert_acc * abs(away)))
    if away < 0.0:
        speed = -speed
    up = min(control[W_CLIMB_MOST], p.fw_t_clmb_max)
    speed = _clip(speed, -min(control[W_SINK_MOST], p.fw_t_sink_max), up)
    control[W_CLIMB] = _clip(speed, control[W_CLIMB] - step, control[W_CLIMB] + step)
    control[W_HEIGHT] += dt * control[W_CLIMB]


@numba.njit(cache=True)
def energy_control(
    control: Array,
    height: float,
    climb: float,
    airspeed: float,
    bank: float,
    p: Px4WingParams,
    dt: float,
) -> None:
    """TECS: total energy rate to throttle, its balance between height and speed to pitch.

    height [m] up, climb [m/s], airspeed [m/s], bank [rad].
    """
    g = GRAVITY_M_S2
    _filter_airspeed(control, airspeed, dt)
    tas, tas_dot = control[W_TAS], control[W_TAS_DOT]
    slow = max(tas, SPEED_LEAST_M_S)
    most, least = max(p.fw_t_clmb_max, 1e-3) * g, -max(p.fw_t_sink_min, 1e-3) * g
    goal = control[W_AIRSPEED]
    goal_dot = _clip((goal - tas) / p.fw_t_tas_tc, 0.5 * least / slow, 0.5 * most / slow)
    rise = (control[W_HEIGHT] - height) / p.fw_t_alt_tc + p.fw_t_hrate_ff * control[W_CLIMB]
    rise = _clip(rise, -p.fw_t_sink_max, p.fw_t_clmb_max)
    if control[W_CLIMB_DIRECT] == control[W_CLIMB_DIRECT]:
        rise = control[W_CLIMB]
    potential, kinetic = g * rise, goal * goal_dot
    potential_now, kinetic_now = g * climb, tas * tas_dot
    under = _underspeed(tas, p) * control[W_SAVES_SPEED]
    weight = _clip(2.0 * under + (1.0 - under) * _clip(p.fw_t_spdweight, 0.0, 2.0), 0.0, 2.0)
    balance = potential * (2.0 - weight) - kinetic * weight
    balance_off = balance - (potential_now * (2.0 - weight) - kinetic_now * weight)
    _pitch(control, balance, balance_off, p, dt)
    blend = dt / (dt + p.fw_t_ste_r_tc)
    control[W_ENERGY_DOT] += blend * (potential_now + kinetic_now - control[W_ENERGY_DOT])
    load = 1.0 / max(np.cos(bank), 1e-3)
    total = _clip(potential + kinetic + p.fw_t_rll2thr * (load - 1.0), least, most)
    _throttle(control, total, least, most, under, p, dt)


@numba.njit(cache=True)
def _filter_airspeed(control: Array, airspeed: float, dt: float) -> None:
    """Follow the airspeed [m/s] and its slope by PX4's steady Kalman filter.

    PX4 takes the measured acceleration as 0 there, and so do we.
    """
    ahead = control[W_TAS] + dt * control[W_TAS_DOT]
    off, off_dot = airspeed - ahead, -control[W_TAS_DOT]
    control[W_TAS] = max(ahead + dt * (K00 * off + K01 * off_dot), 0.0)
    control[W_TAS_DOT] += dt * (K10 * off + K11 * off_dot)


@numba.njit(cache=True)
def _underspeed(tas: float, p: Px4WingParams) -> float:
    """Return how far the airspeed [m/s] is below what is safe, 0 to 1."""
    margin = UNDERSPEED * p.fw_airspd_trim
    stalled = max(p.fw_airspd_min - 2.0 * margin, 0.0)
    sinking = max(p.fw_airspd_min - margin, stalled)
    return 1.0 - _clip((tas - stalled) / max(sinking - stalled, 1e-6), 0.0, 1.0)


@numba.njit(cache=True)
def _pitch(
    control: Array, balance: float, balance_off: float, p: Px4WingParams, dt: float
) -> None:
    """Write the pitch for a balance of energy rates wanted, and by what it is off [m^2/s^3]."""
    tas, g = control[W_TAS], GRAVITY_M_S2
    slow = max(tas, SPEED_LEAST_M_S)
    offset = np.radians(p.fw_psp_off)
    low, high = control[W_PITCH_LOW] - offset, control[W_PITCH_HIGH] - offset
    pitch = control[W_PITCH] - offset
    change = balance_off * p.fw_t_i_gain_pit / (max(tas, p.fw_airspd_min) * g)
    if pitch >= high:
        change = min(change, 0.0)
    elif pitch <= low:
        change = max(change, 0.0)
    control[W_PITCH_INT] += change * dt
    wanted = (balance_off * p.fw_t_ptch_damp + p.fw_t_seb_r_ff * balance) / (slow * g)
    wanted = _clip(wanted + control[W_PITCH_INT], low, high)
    step = dt * p.fw_t_vert_acc / slow
    control[W_PITCH] = _clip(_clip(wanted, pitch - step, pitch + step), low, high) + offset


@numba.njit(cache=True)
def _throttle(
    control: Array,
    total: float,
    least: float,
    most: float,
    under: float,
    p: Px4WingParams,
    dt: float,
) -> None:
    """Write the throttle for a total energy rate wanted, of those that are possible [m^2/s^3].

    under [-]: the share of full throttle by underspeed.
    """
    total_off = total - control[W_ENERGY_DOT]
    scale = 1.0 / (most - least)
    low, high = control[W_THROTTLE_LOW], control[W_THROTTLE_HIGH]
    cruise = _clip(p.fw_thr_trim, low, high)
    if total >= 0.0:
        throttle = cruise + total * (high - cruise) / most
    else:
        throttle = cruise - total * (cruise - low) / least
    change = total_off * p.fw_t_thr_integ * dt * scale * (1.0 - under)
    before = control[W_THROTTLE]
    if before >= high:
        change = min(change, 0.0)
    if before <= low:
        change = max(change, 0.0)
    control[W_THROTTLE_INT] += change
    throttle += total_off * p.fw_t_thr_damping * scale + control[W_THROTTLE_INT]
    throttle = _clip(under * high + (1.0 - under) * throttle, low, high)
    if p.fw_thr_slew_max > 0.0:
        step = dt * (high - low) * p.fw_thr_slew_max
        throttle = _clip(throttle, before - step, before + step)
    control[W_THROTTLE] = _clip(throttle, low, high)


@numba.njit(cache=True)
def lateral_control(
    control: Array,
    setpoint: Array,
    pos: Array,
    vel: Array,
    wind: Array,
    p: Px4WingParams,
    dt: float,
) -> None:
    """Write the bank angle that follows the path of ``setpoint`` (7,); see ``wing_path``."""
    course, bend, error, bound = wing_path.follow(setpoint, pos, vel, wind, p)
    control[W_ERROR], control[W_BOUND] = error, bound
    heading = wing_path.heading_of(course, wind, control[W_AIRSPEED])
    control[W_AIRSPEED_LEAST] = wing_path.least_airspeed(course, wind, p)
    an, ae = vel[0] - wind[0], vel[1] - wind[1]
    airspeed = np.sqrt(an * an + ae * ae)
    side = bend + wing_path.turn_acceleration(np.arctan2(ae, an), heading, airspeed, p)
    most = np.tan(control[W_BANK_MOST]) * GRAVITY_M_S2
    roll = np.arctan(_clip(side, -most, most) / GRAVITY_M_S2)
    step = np.radians(p.fw_pn_r_slew_max) * dt
    control[W_ROLL] = _clip(roll, control[W_ROLL] - step, control[W_ROLL] + step)


@numba.njit(cache=True)
def attitude_error(q: Array, roll: float, pitch: float) -> tuple[float, float]:
    """Return the rotations [rad] about FRD x and y that lead to ``roll`` and ``pitch``.

    Twice the vector part of conj(q) * yaw * (pitch, roll), with that heading for which nothing is
    to be turned about z: a wing has no direct hold on it (PX4's computeAttitudeError).
    """
    cr, sr, cp, sp = np.cos(roll / 2), np.sin(roll / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    s0, s1, s2, s3 = cr * cp, sr * cp, cr * sp, -sr * sp
    # the heading c + s k after which nothing is left about the body's z axis
    c = q[0] * s0 - q[1] * s1 - q[2] * s2 + q[3] * s3
    s = -(q[0] * s3 - q[1] * s2 + q[2] * s1 - q[3] * s0)
    length = np.sqrt(c * c + s * s)
    if length < 1e-9:
        c, s = 1.0, 0.0
    else:
        c, s = c / length, s / length
    w0, w1, w2, w3 = c * s0 - s * s3, c * s1 - s * s2, c * s2 + s * s1, c * s3 + s * s0
    e0 = q[0] * w0 + q[1] * w1 + q[2] * w2 + q[3] * w3
    e1 = q[0] * w1 - q[1] * w0 - q[2] * w3 + q[3] * w2
    e2 = q[0] * w2 - q[2] * w0 - q[3] * w1 + q[1] * w3
    sign = 2.0 if e0 >= 0.0 else -2.0
    return sign * e1, sign * e2


@numba.njit(cache=True)
def attitude_control(
    q: Array, roll: float, pitch: float, airspeed: float, p: Px4WingParams
) -> tuple[float, float, float]:
    """Return the rates [rad/s] FRD: proportional to the error, and those of a coordinated turn."""
    e1, e2 = attitude_error(q, roll, pitch)
    roll_rate, pitch_rate, yaw_rate = e1 / p.fw_r_tc, e2 / p.fw_p_tc, 0.0
    upright = 1.0 - 2.0 * (q[1] * q[1] + q[2] * q[2])
    share = _clip(
        (np.radians(75.0) - np.arccos(_clip(upright, -1.0, 1.0))) / np.radians(5.0), 0.0, 1.0
    )
    if share > 0.0:
        speed = _clip(airspeed, p.fw_airspd_stall, p.fw_airspd_max)
        lean = 2.0 * (q[0] * q[1] + q[2] * q[3])
        turn = GRAVITY_M_S2 * lean / max(speed, 0.1)
        yaw_rate += share * turn
        pitch_rate += share * turn * lean / upright
    return (
        _clip(roll_rate, -np.radians(p.fw_r_rmax), np.radians(p.fw_r_rmax)),
        _clip(pitch_rate, -np.radians(p.fw_p_rmax_neg), np.radians(p.fw_p_rmax_pos)),
        _clip(yaw_rate, -np.radians(p.fw_y_rmax), np.radians(p.fw_y_rmax)),
    )


@numba.njit(cache=True)
def rate_control(
    control: Array,
    wanted: tuple[float, float, float],
    rate: Array,
    airspeed: float,
    p: Px4WingParams,
    dt: float,
) -> None:
    """Write normalised torques (3,), scaled with airspeed; ``rate`` (3,) [rad/s] FRD."""
    gain_p, gain_i = (p.fw_rr_p, p.fw_pr_p, p.fw_yr_p), (p.fw_rr_i, p.fw_pr_i, p.fw_yr_i)
    gain_ff = (p.fw_rr_ff, p.fw_pr_ff, p.fw_yr_ff)
    limit = (p.fw_rr_imax, p.fw_pr_imax, p.fw_yr_imax)
    trim = (p.trim_roll, p.trim_pitch, p.trim_yaw)
    scale = p.fw_airspd_trim / max(airspeed, p.fw_airspd_stall, 0.1)
    if p.fw_arsp_scale_en == 0.0:
        scale = 1.0
    integral, out = control[W_RATE_INT], control[W_TORQUE]
    for k in range(3):
        error = wanted[k] - rate[k]
        torque = gain_p[k] * error + integral[k] + gain_ff[k] / scale * wanted[k]
        out[k] = _clip((torque + trim[k]) * scale * scale, -1.0, 1.0)
        fade = max(0.0, 1.0 - (error / FADE_RAD_S) ** 2)
        integral[k] = _clip(integral[k] + fade * gain_i[k] * error * dt, -limit[k], limit[k])
    out[2] = _clip(out[2] + p.fw_rll_to_yaw_ff * out[0], -1.0, 1.0)


@numba.njit(cache=True)
def mix(u: Array, control: Array, motors: Indices, shares: Array, throttle: float) -> None:
    """Write throttle to ``motors`` (k,) and torques to the servos by ``shares`` (m, 3).

    u: (n + m,). Below 2 % the motor stands, as in PX4.
    """
    n = u.shape[0] - shares.shape[0]
    for i in motors:
        u[i] = throttle if throttle > 0.02 else np.nan
    torque = control[W_TORQUE]
    for j in range(shares.shape[0]):
        total = 0.0
        for k in range(3):
            total += shares[j, k] * torque[k]
        u[n + j] = _clip(total, -1.0, 1.0)
