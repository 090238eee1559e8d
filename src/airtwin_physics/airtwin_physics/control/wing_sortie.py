# SPDX-License-Identifier: Apache-2.0
"""A fixed wing's flight from runway to runway: ground roll or launch, climb, legs, slope, flare.

Laws after PX4 v1.18: fw_mode_manager (control_auto_takeoff, control_auto_landing_straight,
getMaxRollAngleNearGround), runway_takeoff, FixedwingLandDetector, Commander (disarming). The
ground is at down 0 of a standing aircraft. One aircraft is one row of ``flight``.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control import euler, wing, wing_path
from airtwin_physics.control.px4_params import Px4WingParams

# a row of flight: phase, time in it [s], whether the first leg takes off and the last one lands
PHASE, SINCE, LANDS = 0, 1, 2
FROM, ALONG = slice(3, 5), slice(5, 7)  # where the take-off's or slope's line begins; unit vector
SLOPE, LENGTH, ENTRANCE = 7, 8, 9  # of the approach: rise a length; length, first height [m]
FLARE_CLIMB, FLARE_PITCH, FLARE_THROTTLE = 10, 11, 12  # as the flare began
# the land detector's filters: airspeed, speed over ground, up, acceleration; felt landed for [s]
DETECTED, FELT = slice(13, 17), 17
SPEED_LAST, WHEEL_INT = slice(18, 20), 20
N_FLIGHT = 21

RAMP, ROLL, CLIMB, LAUNCHED, AIR, APPROACH, FLARE, LANDED, OFF = range(9)  # PHASE

ABOVE_M = 10.0  # kClearanceAltitudeBuffer: the climb's goal is so far above its waypoint
TAXI_RAD = np.radians(0.01)  # how far the pitch may be from RWTO_PSP before it rotates
CLAMP_S = 0.5  # POST_TOUCHDOWN_CLAMP_TIME
WHEEL_S = 0.1  # time constant of the heading that the wheel holds
FAR_M = 1e-6


@numba.njit(cache=True)
def begin(flight: Array, x: Array, yaw: float, legs: Array, phase: float, lands: bool) -> None:
    """Begin a flight in ``phase``: RAMP on the runway, LAUNCHED just thrown, or AIR.

    A take-off's line leads from here to the first goal of ``legs`` (k, 6), or where ``yaw`` [rad]
    points if that is here.
    """
    flight[:] = 0.0
    flight[PHASE], flight[LANDS] = phase, 1.0 if lands else 0.0
    flight[FROM] = x[:2]
    _towards(flight, legs[0, 0] - x[0], legs[0, 1] - x[1], yaw)
    flight[SPEED_LAST] = x[3:5]
    flight[DETECTED][1] = np.sqrt(x[3] ** 2 + x[4] ** 2)


@numba.njit(cache=True)
def _towards(flight: Array, north: float, east: float, yaw: float) -> float:
    """Set the line's direction; return the distance [m]."""
    length = np.sqrt(north * north + east * east)
    along = flight[ALONG]
    if length > FAR_M:
        along[0], along[1] = north / length, east / length
    else:
        along[0], along[1] = np.cos(yaw), np.sin(yaw)
    return float(length)


@numba.njit(cache=True)
def bank_most(height_m: float, p: Px4WingParams) -> float:
    """Return the bank [rad] with which no wing tip strikes the ground (PX4's linear bound)."""
    above = max(height_m - p.fw_wing_height, 0.0)
    return float(min(2.0 * above / p.fw_wing_span, np.radians(p.fw_r_lim)))


@numba.njit(cache=True)
def guide(
    flight: Array,
    control: Array,
    setpoint: Array,
    follower: Array,
    legs: Array,
    x: Array,
    airspeed: float,
    p: Px4WingParams,
    dt: float,
) -> None:
    """Write setpoint (7,) and the limits in ``control`` (32,), ``dt`` after the last time.

    flight: (21,), follower: (4,) and legs: (k, 6) of ``wing_path``, airspeed [m/s] ahead.
    """
    flight[SINCE] += dt
    wing.usual_limits(control, p)
    if flight[PHASE] < AIR:
        _take_off(flight, control, setpoint, legs[0], -x[2], airspeed, p)
        if flight[PHASE] == AIR:
            follower[0], follower[1] = x[0], x[1]
            follower[wing_path.WG_LEG] = 1.0
    if flight[PHASE] == AIR:
        wing_path.guide(follower, setpoint, x[:3], control[wing.W_BOUND], legs, p, dt)
        last = legs.shape[0] - 1
        if flight[LANDS] > 0.0 and follower[wing_path.WG_LEG] == last:
            height = -legs[last - 1, 2] if last > 0 else -x[2]
            _approach(flight, follower, legs[last], x, max(height, FAR_M), p)
    if flight[PHASE] > AIR:
        _land(flight, control, setpoint, legs[legs.shape[0] - 1], x, p)
        _detect(flight, x, airspeed, p, dt)


@numba.njit(cache=True)
def _take_off(
    flight: Array,
    control: Array,
    setpoint: Array,
    goal: Array,
    height: float,
    airspeed: float,
    p: Px4WingParams,
) -> None:
    """Roll, rotate and climb beyond the height of ``goal`` (6,); RunwayTakeoff.cpp."""
    wanted = p.fw_tko_airspd if p.fw_tko_airspd > 0.0 else p.fw_airspd_min
    rotation = min(p.rwto_rot_airspd, wanted) if p.rwto_rot_airspd > 0.0 else 0.9 * wanted
    phase, before = flight[PHASE], flight[PHASE]
    if phase == RAMP and flight[SINCE] > p.rwto_ramp_time:
        phase = ROLL
    elif phase == ROLL and airspeed > rotation:
        phase = CLIMB
    elif phase >= CLIMB and height > -goal[2]:
        phase = AIR
    if phase != before:
        flight[PHASE], flight[SINCE] = phase, 0.0
    if phase == AIR:
        return
    setpoint[wing_path.WS_POINT], setpoint[wing_path.WS_TANGENT] = flight[FROM], flight[ALONG]
    setpoint[wing_path.WS_CURVATURE], setpoint[wing_path.WS_AIRSPEED] = 0.0, wanted
    setpoint[wing_path.WS_DOWN] = goal[2] - ABOVE_M
    control[wing.W_BANK_MOST] = bank_most(height, p)
    control[wing.W_CLIMB_MOST], control[wing.W_SAVES_SPEED] = p.fw_t_clmb_max, 0.0
    low = np.radians(p.fw_tko_pitch_min)
    if phase == LAUNCHED:
        control[wing.W_PITCH_LOW], control[wing.W_CLIMB_DIRECT] = low, p.fw_t_clmb_max
        return
    taxi, high, share = np.radians(p.rwto_psp), np.radians(p.fw_p_lim_max), 0.0
    control[wing.W_THROTTLE_DIRECT] = p.rwto_max_thr
    if phase == CLIMB:
        share = min(flight[SINCE] / p.rwto_rot_time, 1.0)
    else:
        control[wing.W_PITCH_DIRECT] = taxi
        control[wing.W_RATE_INT] = 0.0  # PX4 counts as landed until it rotates
        if phase == RAMP:
            ramp = min(flight[SINCE] / p.rwto_ramp_time, 1.0)
            throttle = ramp * p.rwto_max_thr + (1.0 - ramp) * p.fw_thr_idle
            control[wing.W_THROTTLE_DIRECT] = throttle
    control[wing.W_PITCH_LOW] = share * low + (1.0 - share) * (taxi - TAXI_RAD)
    control[wing.W_PITCH_HIGH] = share * high + (1.0 - share) * (taxi + TAXI_RAD)


@numba.njit(cache=True)
def _approach(
    flight: Array, follower: Array, land: Array, x: Array, height: float, p: Px4WingParams
) -> None:
    """Begin the slope to ``land`` (6,) from the waypoint before it, ``height`` [m] up.

    Not steeper than FW_LND_ANG: then it begins further away (initializeAutoLanding).
    """
    flight[PHASE], flight[SINCE], flight[ENTRANCE] = APPROACH, 0.0, height
    yaw = np.arctan2(x[4], x[3])
    length = _towards(flight, land[0] - follower[0], land[1] - follower[1], yaw)
    least = height / np.tan(np.radians(p.fw_lnd_ang))
    flight[LENGTH] = max(length, least)
    flight[SLOPE] = height / flight[LENGTH]
    flight[FROM] = land[:2]


@numba.njit(cache=True)
def _land(
    flight: Array, control: Array, setpoint: Array, land: Array, x: Array, p: Px4WingParams
) -> None:
    """Follow the slope to the point ``land`` (6,), flare, roll out."""
    tn, te = flight[ALONG]
    height, slope = -x[2], flight[SLOPE]
    ahead = tn * (land[0] - x[0]) + te * (land[1] - x[1])
    wanted = p.fw_lnd_airspd if p.fw_lnd_airspd > 0.0 else p.fw_airspd_min
    setpoint[wing_path.WS_POINT], setpoint[wing_path.WS_TANGENT] = flight[FROM], flight[ALONG]
    setpoint[wing_path.WS_CURVATURE], setpoint[wing_path.WS_AIRSPEED] = 0.0, wanted
    # above the slope down to it, below it straight on
    setpoint[wing_path.WS_DOWN] = -min(height, ahead * slope, flight[ENTRANCE])
    control[wing.W_BANK_MOST] = bank_most(height, p)
    control[wing.W_THROTTLE_LOW] = p.fw_thr_idle
    sink = wanted * slope / np.sqrt(slope * slope + 1.0)
    control[wing.W_SINK_MOST] = max(sink, p.fw_t_sink_r_sp)
    if flight[PHASE] == APPROACH and height < max(p.fw_lnd_fl_time * x[5], p.fw_lnd_flalt):
        flight[PHASE], flight[SINCE] = FLARE, 0.0
        flight[FLARE_CLIMB] = control[wing.W_CLIMB] = -x[5]
        flight[FLARE_PITCH] = euler.pitch(x[6:10])
        flight[FLARE_THROTTLE] = min(control[wing.W_THROTTLE], p.fw_thr_max)
    if flight[PHASE] == APPROACH:
        return
    since = flight[SINCE] if flight[PHASE] == FLARE else np.inf
    share = np.sqrt(min(since / p.fw_lnd_fl_time, 1.0))
    low, high = np.radians(p.fw_lnd_fl_pmin), np.radians(p.fw_lnd_fl_pmax)
    low = share * low + (1.0 - share) * flight[FLARE_PITCH]
    high = share * high + (1.0 - share) * flight[FLARE_PITCH]
    if p.fw_lnd_td_time > 0.0:
        down_s = max(p.fw_lnd_td_time, p.fw_lnd_fl_time)
        clamp = min(max((since - down_s) / CLAMP_S, 0.0), 1.0)
        low = clamp * np.radians(p.rwto_psp) + (1.0 - clamp) * low
        high = clamp * np.radians(p.rwto_psp) + (1.0 - clamp) * high
    throttle = share * p.fw_thr_idle + (1.0 - share) * flight[FLARE_THROTTLE]
    control[wing.W_PITCH_LOW], control[wing.W_PITCH_HIGH] = low, max(high, low)
    control[wing.W_THROTTLE_HIGH], control[wing.W_SAVES_SPEED] = throttle, 0.0
    climb = -share * p.fw_lnd_fl_sink + (1.0 - share) * flight[FLARE_CLIMB]
    control[wing.W_CLIMB_DIRECT] = climb
    if flight[PHASE] >= LANDED:
        control[wing.W_RATE_INT] = 0.0


@numba.njit(cache=True)
def wheel(flight: Array, x: Array, p: Px4WingParams, dt: float) -> float:
    """Return the command of the nose wheel [-], + right: along the runway.

    fw_wheel_controller.cpp. PX4 1.18 holds the heading that the aircraft had when the take-off or
    the approach began.
    """
    phase = flight[PHASE]
    if p.fw_w_en == 0.0 or (phase > CLIMB and phase < FLARE):
        flight[WHEEL_INT] = 0.0
        return 0.0
    along = flight[ALONG]
    off = np.arctan2(along[1], along[0]) - euler.yaw(x[6:10])
    off -= 2.0 * np.pi * np.round(off / (2.0 * np.pi))
    most = np.radians(p.fw_w_rmax)
    wanted = min(max(off / WHEEL_S, -most), most)
    ground = np.sqrt(x[3] ** 2 + x[4] ** 2)
    scale = min(1.0, p.fw_airspd_stall / max(ground, FAR_M))
    error = (wanted - x[12]) * scale * scale
    if ground > 1.0:
        learnt = flight[WHEEL_INT] + p.fw_wr_i * error * dt
        flight[WHEEL_INT] = min(max(learnt, -p.fw_wr_imax), p.fw_wr_imax)
    out = wanted * p.fw_wr_ff * scale + p.fw_wr_p * error + flight[WHEEL_INT]
    return float(min(max(out, -1.0), 1.0))


@numba.njit(cache=True)
def _detect(flight: Array, x: Array, airspeed: float, p: Px4WingParams, dt: float) -> None:
    """Let the land detector look, at 50 Hz; motors off COM_DISARM_LAND after it says so."""
    felt, last = flight[DETECTED], flight[SPEED_LAST]
    change = np.sqrt((x[3] - last[0]) ** 2 + (x[4] - last[1]) ** 2) / dt
    last[0], last[1] = x[3], x[4]
    felt[0] = 0.95 * felt[0] + 0.05 * airspeed
    felt[1] = 0.97 * felt[1] + 0.03 * np.sqrt(x[3] ** 2 + x[4] ** 2)
    felt[2] = 0.99 * felt[2] + 0.01 * abs(x[5])
    felt[3] = 0.8 * felt[3] + 0.18 * change
    still = felt[0] < p.lndfw_airspd_max and felt[1] < p.lndfw_vel_xy_max
    still = still and felt[2] < p.lndfw_vel_z_max and felt[3] < p.lndfw_xyacc_max
    flight[FELT] = flight[FELT] + dt if still else 0.0
    if flight[PHASE] == LANDED and flight[SINCE] >= p.com_disarm_land:
        flight[PHASE], flight[SINCE] = OFF, 0.0
    elif flight[PHASE] == FLARE and flight[FELT] >= p.lndfw_trig_time:
        flight[PHASE], flight[SINCE] = LANDED, 0.0
