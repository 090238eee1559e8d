# SPDX-License-Identifier: Apache-2.0
"""One flight of a multirotor from pad to pad: take-off ramp, legs, landing, motors off.

After PX4 v1.18: TakeoffHandling and MulticopterPositionControl (spool-up, ramp of the climb
limit), FlightTaskAuto (landing speed by height), MulticopterLandDetector, Commander (disarming).
One aircraft is one row of ``flight``; the lanes of ``rollout`` use the same functions.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import track
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import GRAVITY_M_S2

# a row of flight: phase, time in it [s], time for which the ground was felt [s]
PHASE, SINCE, FELT = 0, 1, 2
SPOOL, RAMP, AIR, CONTACT, LANDED, OFF = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0

STAGE_S = 1.0 / 3.0  # of each of the land detector's three stages
LOW_THROTTLE = 0.6  # share of the way from MPC_THR_MIN to hover below which thrust is low
BOTTOM_M = 1e4  # a landing's goal is so far below: the ground may come early or late


@numba.njit(cache=True)
def begin(flight: Array, kind: float) -> None:
    """Begin a flight with a leg of this ``kind``: on the ground if it is a take-off."""
    flight[PHASE] = SPOOL if kind == track.TAKE_OFF else AIR
    flight[SINCE] = flight[FELT] = 0.0


@numba.njit(cache=True)
def advance(
    flight: Array,
    kind: float,
    thrust: float,
    hover: float,
    wanted_down: float,
    level: float,
    down: float,
    turning: float,
    p: Px4Params,
    dt_s: float,
) -> None:
    """Let ``dt_s`` pass for the phase of a flight on a leg of ``kind``.

    thrust, hover: normalised, 0 to 1; wanted_down, down, level: vertical speed asked for, that and
    the horizontal one flown [m/s]; turning: rate of roll and pitch together [rad/s].
    """
    flight[SINCE] += dt_s
    phase, since = flight[PHASE], flight[SINCE]
    moving = abs(down) >= p.lndmc_z_vel_max or level > p.lndmc_xy_vel_max
    if phase == SPOOL and since >= p.com_spoolup_time:
        flight[PHASE], flight[SINCE] = RAMP, 0.0
    elif phase == RAMP and since >= p.mpc_tko_ramp_t:
        flight[PHASE], flight[SINCE] = AIR, 0.0
    elif phase == AIR and kind == track.LAND:
        low = p.mpc_thr_min + LOW_THROTTLE * (hover - p.mpc_thr_min)
        felt = thrust <= low and wanted_down >= 1.1 * p.lndmc_z_vel_max and not moving
        flight[FELT] = flight[FELT] + dt_s if felt else 0.0
        if flight[FELT] >= STAGE_S:
            flight[PHASE], flight[SINCE] = CONTACT, 0.0
    elif phase == CONTACT:
        if moving:
            flight[PHASE], flight[SINCE], flight[FELT] = AIR, 0.0, 0.0
        elif turning > np.radians(p.lndmc_rot_max):
            flight[SINCE] = 0.0
        elif since >= 2.0 * STAGE_S:
            flight[PHASE], flight[SINCE] = LANDED, 0.0
    elif phase == LANDED and since >= p.com_disarm_land:
        flight[PHASE], flight[SINCE] = OFF, 0.0


@numba.njit(cache=True)
def climb_most(flight: Array, p: Px4Params) -> float:
    """Return the limit of the climb rate [m/s]; at the beginning of the ramp it is a sink rate."""
    if flight[PHASE] != RAMP:
        return float(p.mpc_z_vel_max_up)
    start = -GRAVITY_M_S2 / p.mpc_z_vel_p_acc
    return float(start + flight[SINCE] / max(p.mpc_tko_ramp_t, 1e-3) * (p.mpc_tko_speed - start))


@numba.njit(cache=True)
def sink_wanted(kind: float, height_m: float, p: Px4Params) -> float:
    """Return the downward speed of the track [m/s], ``height_m`` above the ground."""
    if kind != track.LAND:
        return float(p.mpc_z_v_auto_dn)
    share = (height_m - p.mpc_land_alt2) / max(p.mpc_land_alt1 - p.mpc_land_alt2, 1e-3)
    share = min(max(share, 0.0), 1.0)
    return float(p.mpc_land_speed + share * (p.mpc_z_v_auto_dn - p.mpc_land_speed))


@numba.njit(cache=True)
def climb_wanted(kind: float, p: Px4Params) -> float:
    """Return the upward speed of the track [m/s]."""
    return float(p.mpc_tko_speed if kind == track.TAKE_OFF else p.mpc_z_v_auto_up)


@numba.njit(cache=True)
def guide(
    state: Array, setpoint: Array, x: Array, control: Array, legs: Array, p: Px4Params, dt_s: float
) -> None:
    """Renew the track and write a whole row of setpoints, ``dt_s`` after the last time.

    state: (15,) and legs: (k, 7) of ``track``, setpoint: (16,), x: state of ``dynamics``, whose
    ground is at down 0, control: (26,) of ``multirotor``.
    """
    flight = state[track.G_FLIGHT]
    before, kind = flight[PHASE], legs[int(state[track.G_LEG]), track.L_KIND]
    advance(
        flight,
        kind,
        control[law.C_THRUST],
        control[law.C_HOVER],
        state[5],
        np.sqrt(x[3] ** 2 + x[4] ** 2),
        x[5],
        np.sqrt(x[10] ** 2 + x[11] ** 2),
        p,
        dt_s,
    )
    phase = flight[PHASE]
    if before == RAMP and phase == AIR:  # the track goes on from where the aircraft is
        state[2], state[5], state[8] = x[2], x[5], 0.0
    setpoint[law.SP_V_UP], setpoint[law.SP_V_DOWN] = climb_most(flight, p), p.mpc_z_vel_max_dn
    tilt = p.mpc_tiltmax_lnd if phase == RAMP else p.mpc_tiltmax_air
    setpoint[law.SP_TILT] = np.radians(tilt)
    setpoint[law.SP_THRUST_MIN] = 0.0 if phase == RAMP else p.mpc_thr_min
    setpoint[law.SP_MODE] = law.FLY if phase in (RAMP, AIR) else law.MOTORS_IDLE
    if phase == OFF:
        setpoint[law.SP_MODE] = law.MOTORS_OFF
    if phase in (SPOOL, RAMP):
        setpoint[law.SP_WANTED] = np.nan
        setpoint[0], setpoint[1], setpoint[2] = state[0], state[1], legs[0, 2]
        setpoint[law.SP_VEL][:2], setpoint[law.SP_YAW] = 0.0, state[track.G_YAW]
    elif phase in (AIR, CONTACT):
        down = sink_wanted(kind, -x[2], p)
        track.guide(state, setpoint, x[:3], legs, climb_wanted(kind, p), down, p, dt_s)
        if legs[int(state[track.G_LEG]), track.L_KIND] == track.LAND:
            setpoint[2] = np.nan  # by speed alone
