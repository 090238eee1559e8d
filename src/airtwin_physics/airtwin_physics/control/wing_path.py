# SPDX-License-Identifier: Apache-2.0
"""Lateral guidance on the wing: along lines and circles in wind, to a wanted acceleration.

Laws after PX4 v1.18 (lib/npfg: DirectionalGuidance, CourseToAirspeedRefMapper,
AirspeedDirectionController) and Stastny, "On Flying Backwards", ETH Zurich (2022), where they come
from. Plain floats; the wind is taken as known.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control.px4_params import Px4WingParams

SPEED_BUFFER_M_S = 1.5  # of airspeed over crosswind within which a bearing becomes infeasible
RADIUS_LEAST_M = 0.5  # of a path's circle
MIDDLE_M = 0.1  # so near a circle's centre any point of it is the closest
SWITCH_MOST_M = 500.0  # a waypoint is never reached from further away
TINY = 1e-6

# A row of setpoints: a point on the line or the circle's centre, the line's direction (unit),
# curvature [1/m] (0 a line, + a circle flown clockwise), down [m], airspeed [m/s], NaN is cruise.
WS_POINT, WS_TANGENT = slice(0, 2), slice(2, 4)
WS_CURVATURE, WS_DOWN, WS_AIRSPEED = 4, 5, 6
N_WING_SETPOINT = 7


@numba.njit(cache=True)
def feasibility(wind_cross: float, wind_along: float, airspeed: float, wind: float) -> float:
    """Return 1 where the aircraft can fly a bearing against the wind, 0 where it can't."""
    across = wind if wind_along < 0.0 else abs(wind_cross)
    share = min(max((airspeed - across) / SPEED_BUFFER_M_S, 0.0), 1.0)
    return float(np.sin(0.5 * np.pi * share) ** 2)


@numba.njit(cache=True)
def look_ahead(error: float, bound: float) -> float:
    """Return the angle [rad] from straight towards the path (0) to along it (pi / 2)."""
    return float(0.5 * np.pi * (min(error / bound, 1.0) - 1.0) ** 2)


@numba.njit(cache=True)
def error_bound(ground_speed: float, period: float, damping: float) -> float:
    """Return the distance from the path [m] beyond which it is flown to directly."""
    if ground_speed > 1.0:
        return ground_speed * period * damping
    return 0.5 * period * damping * (ground_speed * ground_speed + 1.0)


@numba.njit(cache=True)
def adapted_period(
    error: float,
    curvature: float,
    ground_speed: float,
    airspeed: float,
    wind: float,
    feasible: float,
    p: Px4WingParams,
) -> float:
    """Return the guidance's period [s] within the bounds of stability."""
    damping = p.npfg_damping
    turn = abs(curvature * airspeed)
    gust = 2.0
    if wind <= airspeed and airspeed >= TINY:
        gust = 2.0 * (1.0 - np.sqrt(1.0 - min(1.0, wind / airspeed)))
    straight = np.pi * p.npfg_roll_tc / damping
    curved = straight
    if turn * gust >= TINY and damping >= 0.5:
        curved = 4.0 * np.pi * p.npfg_roll_tc * damping * feasible + (1.0 - feasible) * straight
    straight, curved = straight * p.npfg_period_sf, curved * p.npfg_period_sf
    angle = look_ahead(error, error_bound(ground_speed, straight, damping))
    near = np.sin(angle) ** 2
    least = curved * near + (1.0 - near) * straight
    period = max(least, p.npfg_period)
    if turn * gust > TINY and feasible > TINY:
        most = 4.0 * np.pi * damping / (turn * gust * feasible)
        if period > most:
            period = max(least, most) * near + (1.0 - near) * period
    return float(period)


@numba.njit(cache=True)
def follow(
    setpoint: Array, pos: Array, vel: Array, wind: Array, p: Px4WingParams
) -> tuple[float, float, float, float]:
    """Return (course [rad], acceleration along the path's bend [m/s^2], error, its bound [m]).

    setpoint: (7,), pos, vel, wind: (3,) NED, of which north and east count. The error is + to the
    right of the path.
    """
    curvature = setpoint[WS_CURVATURE]
    tn, te = setpoint[2], setpoint[3]
    ahead_n, ahead_e = pos[0] - setpoint[0], pos[1] - setpoint[1]
    ground = np.sqrt(vel[0] ** 2 + vel[1] ** 2)
    if curvature != 0.0:
        distance = np.sqrt(ahead_n**2 + ahead_e**2)
        if distance >= MIDDLE_M:
            un, ue = ahead_n / distance, ahead_e / distance
        elif ground >= MIDDLE_M:
            un, ue = vel[0] / ground, vel[1] / ground
        else:
            un, ue = 1.0, 0.0
        turn = 1.0 if curvature > 0.0 else -1.0
        tn, te = -turn * ue, turn * un
        radius = 1.0 / abs(curvature)
        ahead_n, ahead_e = ahead_n - radius * un, ahead_e - radius * ue
    error = tn * ahead_e - te * ahead_n
    an, ae = vel[0] - wind[0], vel[1] - wind[1]
    airspeed, blow = np.sqrt(an**2 + ae**2), np.sqrt(wind[0] ** 2 + wind[1] ** 2)
    cross, along = wind[0] * te - wind[1] * tn, wind[0] * tn + wind[1] * te
    on_track = feasibility(cross, along, airspeed, blow)
    period = adapted_period(abs(error), curvature, ground, airspeed, blow, on_track, p)
    bound = error_bound(ground, period, p.npfg_damping)
    angle = look_ahead(abs(error), bound)
    side = -1.0 if error >= 0.0 else 1.0
    # the path's normal to the right is (-te, tn)
    bn = -side * te * np.cos(angle) + tn * np.sin(angle)
    be = side * tn * np.cos(angle) + te * np.sin(angle)
    there = feasibility(wind[0] * be - wind[1] * bn, wind[0] * bn + wind[1] * be, airspeed, blow)
    bend = 0.0
    if curvature != 0.0:
        here = max(1.0 - curvature * error, abs(curvature) * RADIUS_LEAST_M)
        rate = curvature / here * max(vel[0] * tn + vel[1] * te, 0.0)
        forward = np.sqrt(max(airspeed**2 - cross**2, 0.0))
        ratio = 1.0 + along / max(forward, TINY)
        bend = airspeed * ratio * rate * on_track * there * np.sin(angle) ** 2
    return float(np.arctan2(be, bn)), float(bend), float(error), float(bound)


@numba.njit(cache=True)
def heading_of(course: float, wind: Array, airspeed: float) -> float:
    """Return the heading [rad] through the air that makes ``course`` over ground in ``wind``."""
    bn, be = np.cos(course), np.sin(course)
    cross, along = wind[0] * be - wind[1] * bn, wind[0] * bn + wind[1] * be
    blow = np.sqrt(wind[0] ** 2 + wind[1] ** 2)
    if abs(cross) < airspeed and (along > 0.0 or blow < airspeed):
        forward = np.sqrt(airspeed**2 - cross**2)
        n, e = forward * bn - cross * be, cross * bn + forward * be
    else:
        slow = np.sqrt(max(blow**2 - airspeed**2, 0.0))
        n, e = slow * bn - wind[0], slow * be - wind[1]
    return float(np.arctan2(e, n))


@numba.njit(cache=True)
def least_airspeed(course: float, wind: Array, p: Px4WingParams) -> float:
    """Return the airspeed [m/s] that FW_GND_SPD_MIN over ground asks for along ``course``."""
    bn, be = np.cos(course), np.sin(course)
    cross, along = wind[0] * be - wind[1] * bn, wind[0] * bn + wind[1] * be
    if p.fw_gnd_spd_min <= along:
        return 0.0
    needed = np.sqrt((p.fw_gnd_spd_min - along) ** 2 + cross**2)
    return float(min(needed, p.fw_airspd_max))


@numba.njit(cache=True)
def turn_acceleration(heading: float, wanted: float, airspeed: float, p: Px4WingParams) -> float:
    """Return the lateral acceleration [m/s^2] that turns the flight through the air."""
    gain = 4.0 * np.pi * p.npfg_damping / max(p.npfg_period, TINY)
    cross, along = np.sin(wanted - heading), np.cos(wanted - heading)
    if along < 0.0:
        return float(-gain * airspeed if cross < 0.0 else gain * airspeed)
    return float(gain * airspeed * cross)


# A leg: goal (3,) [m NED], airspeed [m/s] (NaN: cruise), radius [m] (0: a waypoint to fly past, +
# a circle clockwise about the goal), hold [s] on the circle before the next leg.
WL_GOAL, WL_AIRSPEED, WL_RADIUS, WL_HOLD = slice(0, 3), 3, 4, 5
N_WING_LEG = 6
# The follower's row: where the leg's line begins (north, east), leg, time on the circle.
WG_FROM, WG_LEG, WG_WAITED = slice(0, 2), 2, 3
N_WING_GUIDE = 4


@numba.njit(cache=True)
def guide(
    state: Array,
    setpoint: Array,
    pos: Array,
    bound: float,
    legs: Array,
    p: Px4WingParams,
    dt: float,
) -> None:
    """Write a row of setpoints (7,) along ``legs`` (k, 6); ``state`` (4,), ``bound`` of follow.

    The next leg begins within NAV_ACC_RAD or NPFG_SW_DST_MLT of the bound, or beyond the goal
    (PX4 flies back to it); the last waypoint's line is flown on for ever.
    """
    leg, last = int(state[WG_LEG]), legs.shape[0] - 1
    for _ in range(2):
        goal = legs[leg]
        dn, de = goal[0] - pos[0], goal[1] - pos[1]
        distance = np.sqrt(dn * dn + de * de)
        done = False
        if goal[WL_RADIUS] == 0.0:
            ln, le = goal[0] - state[0], goal[1] - state[1]
            near = max(p.nav_acc_rad, min(SWITCH_MOST_M, bound * p.npfg_sw_dst_mlt))
            done = distance < near or dn * ln + de * le < 0.0
        elif abs(distance - abs(goal[WL_RADIUS])) < p.nav_acc_rad:
            state[WG_WAITED] += dt
            done = state[WG_WAITED] > goal[WL_HOLD]
        if not done or leg == last:
            break
        state[0], state[1] = goal[0], goal[1]
        leg += 1
        state[WG_LEG], state[WG_WAITED] = leg, 0.0
    goal = legs[leg]
    setpoint[0], setpoint[1] = goal[0], goal[1]
    setpoint[WS_CURVATURE] = 1.0 / goal[WL_RADIUS] if goal[WL_RADIUS] != 0.0 else 0.0
    ln, le = goal[0] - state[0], goal[1] - state[1]
    length = np.sqrt(ln * ln + le * le)
    if length > TINY:
        setpoint[2], setpoint[3] = ln / length, le / length
    setpoint[WS_DOWN], setpoint[WS_AIRSPEED] = goal[2], goal[WL_AIRSPEED]
