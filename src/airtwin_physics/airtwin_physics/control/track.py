# SPDX-License-Identifier: Apache-2.0
"""The track that PX4's automatic modes follow: jerk limited, from where it is to a goal.

Speeds and accelerations are PX4's (MPC_XY_CRUISE, MPC_ACC_HOR, MPC_JERK_AUTO, MPC_Z_V_AUTO_*), but
it is our own simple law: a braking curve and a limited chase per axis, where PX4 has time-optimal
trajectories.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control.px4_params import Px4Params


@numba.njit(cache=True)
def chase(
    track: Array, goal: Array, speed: float, up: float, down: float, p: Px4Params, dt_s: float
) -> None:
    """Move ``track`` (9,: position, velocity, acceleration NED) towards ``goal`` (3,) [m]."""
    dx, dy, dz = goal[0] - track[0], goal[1] - track[1], goal[2] - track[2]
    wanted = np.zeros(3)
    level = np.sqrt(dx * dx + dy * dy)
    if level > 1e-6:
        pace = min(speed, braking(level, p.mpc_acc_hor, p.mpc_jerk_auto))
        wanted[0], wanted[1] = dx / level * pace, dy / level * pace
    if dz < 0.0:
        wanted[2] = -min(up, braking(-dz, p.mpc_acc_up_max, p.mpc_jerk_auto))
    else:
        wanted[2] = min(down, braking(dz, p.mpc_acc_down_max, p.mpc_jerk_auto))
    for k in range(3):
        if k < 2:
            most = p.mpc_acc_hor
        else:
            most = p.mpc_acc_up_max if wanted[2] < track[5] else p.mpc_acc_down_max
        acc = approach(wanted[k] - track[3 + k], most, p.mpc_jerk_auto)
        step = p.mpc_jerk_auto * dt_s
        track[6 + k] += min(max(acc - track[6 + k], -step), step)
        track[3 + k] += dt_s * track[6 + k]
        track[k] += dt_s * track[3 + k]


@numba.njit(cache=True)
def approach(gap: float, most: float, jerk: float) -> float:
    """Return the acceleration that closes a ``gap`` of speed while ``jerk`` takes it back to zero.

    sqrt(2 j gap) would meet the speed exactly, but is infinitely steep at zero: a difference of a
    hair in the speed then turns the jerk around for a whole renewal of the track, and flights that
    were together part. sqrt(s^2 + 2 j gap) - s with s = j SETTLE_S closes the last of it with the
    time constant SETTLE_S and asks for less jerk everywhere.
    """
    soft = jerk * SETTLE_S
    size = min(np.sqrt(soft * soft + 2.0 * jerk * abs(gap)) - soft, most)
    return float(size if gap >= 0.0 else -size)


@numba.njit(cache=True)
def braking(distance: float, acceleration: float, jerk: float) -> float:
    """Return the speed from which one can still stop within ``distance``, ramping by ``jerk``."""
    b = 2.0 * acceleration**2 / jerk
    speed = -0.5 * b + np.sqrt(0.25 * b * b + 2.0 * acceleration * distance)
    return float(min(speed, 1.5 * distance + 0.02))


# A row of the follower's state and one of the legs that it flies.
G_TRACK, G_YAW, G_LEG, G_WAITED = slice(0, 9), 9, 10, 11
G_FLIGHT = slice(12, 15)  # phase of the flight, see ``sortie``
N_GUIDE = 15
L_GOAL, L_SPEED, L_YAW, L_HOLD, L_KIND = slice(0, 3), 3, 4, 5, 6
N_LEG = 7
FLY, TAKE_OFF, LAND = 0.0, 1.0, 2.0  # L_KIND
GUIDE_S = 0.02  # [s] the track is renewed at 50 Hz, as the simulator's flight tasks do
NEAR_M = 2.0  # [m] NAV_ACC_RAD of PX4's multirotor airframes (ROMFS init.d/rc.mc_defaults)
SETTLE_S = 5.0 * GUIDE_S  # slow enough for a law that is renewed so often to be smooth
WAIT_FROM_M = 0.5  # [m] lag behind the track at which it begins to wait


def new_guide(pos: Array, vel: Array, yaw_rad: float) -> Array:
    """Return one row (15,): a track that begins where the aircraft is [m, m/s NED]."""
    row = np.zeros(N_GUIDE)
    row[:3], row[3:6], row[G_YAW] = pos, vel, yaw_rad
    return row


@numba.njit(cache=True)
def guide(
    state: Array,
    setpoint: Array,
    pos: Array,
    legs: Array,
    up: float,
    down: float,
    p: Px4Params,
    dt_s: float,
) -> None:
    """Write position, velocity, acceleration and yaw of a row of setpoints along ``legs`` (k, 7).

    A leg: goal (3,) [m NED], speed [m/s], yaw [rad], hold [s], kind; a yaw of NaN keeps the
    heading. The next leg begins within NEAR_M and NAV_MC_ALT_RAD of the goal after its hold; the
    last one stays. ``up``, ``down``: vertical speeds of this leg [m/s].
    """
    leg = int(state[G_LEG])
    goal = legs[leg, :3]
    dx, dy, dz = goal[0] - pos[0], goal[1] - pos[1], goal[2] - pos[2]
    if dx * dx + dy * dy < NEAR_M * NEAR_M and abs(dz) < p.nav_mc_alt_rad:
        state[G_WAITED] += dt_s
        if state[G_WAITED] > legs[leg, L_HOLD] and leg < legs.shape[0] - 1:
            leg += 1
            state[G_LEG], state[G_WAITED] = leg, 0.0
            goal = legs[leg, :3]
    behind = np.sqrt((state[0] - pos[0]) ** 2 + (state[1] - pos[1]) ** 2)
    waits = max(0.0, 1.0 - max(0.0, behind - WAIT_FROM_M) / p.mpc_xy_err_max)
    chase(state[:9], goal, legs[leg, L_SPEED] * waits, up, down, p, dt_s)
    wanted = legs[leg, L_YAW]
    if wanted == wanted:
        ahead = wanted - state[G_YAW]
        ahead -= 2.0 * np.pi * np.round(ahead / (2.0 * np.pi))
        most = np.radians(p.mpc_yawrauto_max) * dt_s
        yaw = state[G_YAW] + min(max(ahead, -most), most)
        state[G_YAW] = yaw - 2.0 * np.pi * np.round(yaw / (2.0 * np.pi))
    setpoint[:9] = state[:9]
    setpoint[9] = state[G_YAW]
