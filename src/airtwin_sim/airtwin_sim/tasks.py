# SPDX-License-Identifier: Apache-2.0
"""What PX4's flight modes ask of the controllers: setpoints for hold, take-off, return, land.

The track is ``airtwin_physics.control.track``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_core.frames import wrap_pi
from airtwin_core.types import Array
from airtwin_physics.control import multirotor as control
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.control.track import chase
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_sim.navigator import Navigator

HOLD, RETURN, DESCEND, OFFBOARD, TAKEOFF, LAND = 4, 5, 12, 14, 17, 18


@dataclass(slots=True)
class Offboard:
    """The stream from the companion: what it wants to control, its last setpoint, when it came."""

    position: bool = False
    velocity: bool = False
    mode_us: int | None = None
    setpoint_us: int | None = None
    position_ned_m: Array | None = None
    velocity_ned_m_s: Array | None = None
    acceleration_ned_m_s2: Array | None = None
    yaw_rad: float = float("nan")
    yaw_rate_rad_s: float = float("nan")


class Tasks:
    """Writes one aircraft's row of setpoints, by mode, every 20 ms."""

    def __init__(self, setpoint: Array, state: Array, nav: Navigator, params: Px4Params) -> None:
        self._row = setpoint
        self._control = state
        self._nav = nav
        self._params = params
        self._track = np.zeros(9)
        self._goal = np.zeros(3)
        self._mode = -1
        self._yaw = 0.0
        self._resets = (0, 0)
        self._stage = 0  # of a return: 0 climb, 1 home, 2 descend, 3 land
        self._ramp_s: float | None = None
        self._armed_s: float | None = None
        self._flying = False
        self.speed_m_s = params.mpc_xy_cruise
        self.takeoff_height_m = params.mis_takeoff_alt
        self.takeoff_done = False
        self.home_ned_m = np.zeros(3)

    @property
    def flying(self) -> bool:
        """Return whether the take-off ramp is over and no landing was seen since."""
        return self._flying

    def rehearse(self) -> None:
        """Touch the kernel once, so that it does not compile in flight."""
        self._fly_to(1.0, 1.0)

    def reposition(self, goal_ned_m: Array, yaw_rad: float) -> None:
        """Hold somewhere else; NaN keeps the coordinate or the heading."""
        keep = np.isnan(goal_ned_m)
        self._goal = np.where(keep, self._goal, goal_ned_m)
        if np.isfinite(yaw_rad):
            self._yaw = yaw_rad

    def enter(self, mode: int) -> None:
        """Start a mode from where the aircraft is and how it moves."""
        nav, p = self._nav, self._params
        self._mode = mode
        self._track[:3], self._track[3:6], self._track[6:] = nav.position, nav.velocity, 0.0
        self._yaw = nav.yaw_rad
        self._goal = nav.position.copy()
        self._stage = 0
        if mode == TAKEOFF:
            self._goal[2] -= self.takeoff_height_m
            self.takeoff_done = False
        elif mode in (HOLD, LAND):
            # stop ahead, not behind: where the braking ends
            v = nav.velocity[:2]
            self._goal[:2] += v * np.linalg.norm(v) / (2.0 * p.mpc_acc_hor)
        elif mode == RETURN:
            self._goal[2] = self._return_down()

    def _return_down(self) -> float:
        """Return the down [m] of a return: a cone above home, at most RTL_RETURN_ALT."""
        p = self._params
        away = float(np.linalg.norm(self._nav.position[:2] - self.home_ned_m[:2]))
        height = p.rtl_return_alt
        if p.rtl_cone_ang > 0.0:
            slope = np.tan(np.radians(min(p.rtl_cone_ang, 89.0)))
            height = min(height, max(away, p.rtl_min_dist / 2.0) / slope)
        return min(float(self._nav.position[2]), float(self.home_ned_m[2]) - height)

    def write(
        self,
        now_s: float,
        mode: int,
        *,
        armed: bool,
        landed: bool,
        contact: bool,
        stream: Offboard,
    ) -> None:
        """Write the setpoints of ``mode`` and what take-off and landing allow of them."""
        row, p = self._row, self._params
        if mode != self._mode:
            self.enter(mode)
        self._follow_resets()
        row[:11] = np.nan
        row[control.SP_V_UP], row[control.SP_V_DOWN] = p.mpc_z_vel_max_up, p.mpc_z_vel_max_dn
        if not armed:
            row[control.SP_MODE] = control.MOTORS_OFF
            self._armed_s = self._ramp_s = None
            self._flying = False
            self._track[:3], self._track[3:] = self._nav.position, 0.0
            return
        self._armed_s = now_s if self._armed_s is None else self._armed_s
        wants_up = self._by_mode(mode, stream)
        self._takeoff_ramp(now_s, wants_up, landed)
        if self._ramp_s is None:
            row[control.SP_MODE] = control.MOTORS_IDLE
            self._track[:3], self._track[3:] = self._nav.position, 0.0
        elif self._flying and contact:
            # the track sinks on, for the land detector asks what is wanted
            row[control.SP_MODE] = control.MOTORS_IDLE
        else:
            row[control.SP_MODE] = control.FLY

    def _by_mode(self, mode: int, stream: Offboard) -> bool:
        if mode == OFFBOARD:
            return self._offboard(stream)
        if mode == TAKEOFF:
            self._fly_to(self._params.mpc_xy_cruise, self._params.mpc_tko_speed)
            near = abs(self._nav.position[2] - self._goal[2]) < self._params.nav_mc_alt_rad
            self.takeoff_done = self._flying and near
            return True
        if mode == RETURN:
            self._return()
        elif mode == LAND:
            self._land()
        elif mode == DESCEND:
            self._row[5] = self._land_speed()
            self._row[6:8] = 0.0  # level: no position to hold
            self._row[control.SP_YAW] = self._yaw
        else:
            self._fly_to(self.speed_m_s, self._params.mpc_z_v_auto_up)
        return False

    def _follow_resets(self) -> None:
        """Move track and goal along when the estimate jumps, so that the aircraft does not."""
        resets = self._nav.resets
        if resets.xy != self._resets[0]:
            self._track[:2] += resets.delta_xy_m
            self._goal[:2] += resets.delta_xy_m
        if resets.z != self._resets[1]:
            self._track[2] += resets.delta_z_m
            self._goal[2] += resets.delta_z_m
        self._resets = (resets.xy, resets.z)

    def _offboard(self, stream: Offboard) -> bool:
        row = self._row
        if stream.setpoint_us is None:
            row[3:6] = 0.0
            return False
        if stream.position and stream.position_ned_m is not None:
            row[control.SP_POS] = stream.position_ned_m
        if (stream.position or stream.velocity) and stream.velocity_ned_m_s is not None:
            row[control.SP_VEL] = stream.velocity_ned_m_s
        if stream.acceleration_ned_m_s2 is not None:
            row[control.SP_ACC] = stream.acceleration_ned_m_s2
        lost = np.isnan(row[0:3]) & np.isnan(row[3:6]) & np.isnan(row[6:9])
        row[3:6][lost] = 0.0  # PX4 refuses such a setpoint and stays where it is
        row[control.SP_YAW], row[control.SP_YAW_RATE] = stream.yaw_rad, stream.yaw_rate_rad_s
        return bool(row[2] < self._nav.position[2] or row[5] < 0.0 or row[8] < 0.0)

    def _fly_to(self, speed: float, up: float) -> None:
        """Follow the track to the goal, nose ahead when it is far, as MPC_YAW_MODE 0 has it."""
        p = self._params
        behind = float(np.linalg.norm(self._track[:2] - self._nav.position[:2]))
        pace = speed * max(0.0, 1.0 - max(0.0, behind - 0.5) / p.mpc_xy_err_max)
        chase(self._track, self._goal, pace, up, p.mpc_z_v_auto_dn, p, 0.02)
        self._row[:9] = self._track
        away = self._goal[:2] - self._track[:2]
        if self._mode != TAKEOFF and float(away @ away) > 4.0:
            ahead = wrap_pi(float(np.arctan2(away[1], away[0])) - self._yaw)
            most = np.radians(p.mpc_yawrauto_max) * 0.02
            self._yaw = wrap_pi(self._yaw + float(np.clip(ahead, -most, most)))
        self._row[control.SP_YAW] = self._yaw

    def _return(self) -> None:
        p, nav = self._params, self._nav
        near_z = abs(nav.position[2] - self._goal[2]) < p.nav_mc_alt_rad
        near_xy = float(np.linalg.norm(nav.position[:2] - self._goal[:2])) < 1.0
        if self._stage == 0 and near_z:
            self._stage, self._goal[:2] = 1, self.home_ned_m[:2]
        elif self._stage == 1 and near_xy:
            self._stage = 2
            self._goal[2] = max(self._goal[2], self.home_ned_m[2] - p.rtl_descend_alt)
        elif self._stage == 2 and near_z:
            self._stage = 3
        if self._stage == 3:
            self._land()
        else:
            self._fly_to(p.mpc_xy_cruise, p.mpc_z_v_auto_up)

    def _land_speed(self) -> float:
        p = self._params
        height = float(self.home_ned_m[2] - self._nav.position[2])
        share = np.clip((height - p.mpc_land_alt2) / (p.mpc_land_alt1 - p.mpc_land_alt2), 0.0, 1.0)
        return float(p.mpc_land_speed + share * (p.mpc_z_v_auto_dn - p.mpc_land_speed))

    def _land(self) -> None:
        """Hold the place and sink by speed alone, so that the ground may come early or late."""
        p = self._params
        down = self._track[5], self._track[8]
        chase(self._track, self._goal, p.mpc_xy_cruise, 0.0, 0.0, p, 0.02)
        self._track[5], self._track[8] = down
        gap = self._land_speed() - self._track[5]
        acc = np.clip(gap / 0.2, -p.mpc_acc_up_max, p.mpc_acc_down_max)
        step = p.mpc_jerk_auto * 0.02
        self._track[8] += float(np.clip(acc - self._track[8], -step, step))
        self._track[5] += 0.02 * self._track[8]
        self._row[:9] = self._track
        self._row[2] = self._row[8] = np.nan
        self._row[control.SP_YAW] = self._yaw

    def _takeoff_ramp(self, now_s: float, wants_up: bool, landed: bool) -> None:
        """PX4's take-off: motors spool up, then the climb limit rises from sink to the speed."""
        p, row = self._params, self._row
        spooled = self._armed_s is not None and now_s - self._armed_s >= p.com_spoolup_time
        if self._flying and landed:
            self._flying, self._ramp_s = False, None
        if self._ramp_s is None and spooled and wants_up:
            self._ramp_s = now_s
        up = p.mpc_tko_speed if self._mode == TAKEOFF else p.mpc_z_vel_max_up
        if self._ramp_s is not None and not self._flying:
            done = (now_s - self._ramp_s) / max(p.mpc_tko_ramp_t, 0.02)
            self._flying = done >= 1.0
            start = -GRAVITY_M_S2 / p.mpc_z_vel_p_acc
            row[control.SP_V_UP] = start + min(done, 1.0) * (up - start)
            row[8] = np.nan
            if self._mode == TAKEOFF:
                row[2] = self._goal[2]
                row[5] = np.nan
                self._track[2] = self._nav.position[2]
        tilt = p.mpc_tiltmax_air if self._flying else p.mpc_tiltmax_lnd
        row[control.SP_TILT] = np.radians(tilt)
        row[control.SP_THRUST_MIN] = p.mpc_thr_min if self._flying else 0.0
