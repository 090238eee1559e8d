# SPDX-License-Identifier: Apache-2.0
"""What EKF2 does around its equations, for one aircraft: which sensor is believed, what is said.

Gates, dead reckoning, lapse of validity, resets with counters. The equations are in ``ins``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from airtwin_core import geodesy
from airtwin_core.types import Array, Origin
from airtwin_physics.control.px4_params import Px4Params
from airtwin_sim import ins
from airtwin_sim.sensors import GnssSolution

GNSS_DT_S = 0.125
GNSS_HEIGHT_GAIN_1_S = 0.5
BARO_ZERO_SAMPLES = 20
SIGMA_UNKNOWN_M = 10.0  # claimed before the first fix


@dataclass(slots=True)
class Resets:
    """How often the estimate jumped, and how far the last time, as PX4 reports it.

    PX4 has jumped a few times before anybody listens: the counts at the start are those of the
    recordings.
    """

    xy: int = 4
    z: int = 2
    vxy: int = 4
    vz: int = 1
    heading: int = 1
    delta_xy_m: Array = field(default_factory=lambda: np.zeros(2))
    delta_vxy_m_s: Array = field(default_factory=lambda: np.zeros(2))
    delta_z_m: float = 0.0
    delta_heading_rad: float = 0.0

    @property
    def total(self) -> int:
        """Return PX4's reset counter of the odometry."""
        return (self.xy + self.z + self.vxy + self.vz + self.heading) % 256


class Navigator:
    """The estimator of one aircraft; ``row`` (24,), ``history`` (64, 6) are views of the fleet."""

    def __init__(
        self, row: Array, history: Array, declination_rad: float, params: Px4Params
    ) -> None:
        self.row = row
        self.resets = Resets()
        self.origin: Origin | None = None
        self.gnss_position = self.gnss_velocity = False  # fused
        self.baro_height = True
        self.gnss_height = False
        self.baro_fault = self.gnss_fault = False
        self.dead_reckoning = True
        self.xy_valid = False
        self.z_valid = self.v_z_valid = True
        self._history = history
        self._declination = declination_rad
        self._params = params
        self._gains = ins.Gains()
        self._baro_zero_m: float | None = None
        self._baro_first: list[float] = []
        self._gnss_us: int | None = None  # last solution
        self._position_us = self._velocity_us = 0  # last fused
        self._height_us = 0
        row[ins.E_SIGMA_H], row[ins.E_SIGMA_V] = SIGMA_UNKNOWN_M, ins.SIGMA_FUSED_M

    @property
    def position(self) -> Array:
        """Return (3,) [m] NED, a view."""
        return self.row[:3]

    @property
    def velocity(self) -> Array:
        """Return (3,) [m/s] NED, a view."""
        return self.row[3:6]

    @property
    def yaw_rad(self) -> float:
        """Return the heading."""
        w, x, y, z = self.row[6:10]
        return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))

    def align(self, force_frd_m_s2: Array, field_gauss: Array) -> None:
        """Find tilt and heading at rest; PX4 counts it as a reset of the heading."""
        ins.align(self.row, force_frd_m_s2, field_gauss, self._declination)
        self.resets.delta_heading_rad = self.yaw_rad

    def on_compass(self, field_gauss: Array, dt_s: float) -> None:
        """Use one magnetometer sample."""
        innovation = ins.heading_innovation(self.row, field_gauss, self._declination)
        ins.correct_heading(self.row, innovation, self._gains, dt_s)

    def on_barometer(self, now_us: int, altitude_m: float, dt_s: float) -> None:
        """Use one pressure altitude; NaN is silence."""
        if not np.isfinite(altitude_m):
            return
        if self._baro_zero_m is None:
            self._baro_first.append(altitude_m)
            self._height_us = now_us
            self.row[2] = self.row[5] = 0.0
            if len(self._baro_first) == BARO_ZERO_SAMPLES:
                self._baro_zero_m = float(np.mean(self._baro_first))
            return
        down = self._baro_zero_m - altitude_m
        if self.baro_fault:  # it is back: take its zero from where we are now
            self._baro_zero_m = altitude_m + float(self.row[2])
            self.baro_fault, self.baro_height, self.gnss_height = False, True, False
            down = float(self.row[2])
        ins.correct_height(self.row, down - float(self.row[2]), self._gains, dt_s)
        self._height_us = now_us

    def on_gnss(self, now_us: int, tick: int, solution: GnssSolution) -> None:
        """Use one solution, against the estimate of the time when it was true."""
        if not solution.fixed:
            return
        stopped = self._gnss_us is None or not self.gnss_position
        self._gnss_us = now_us
        if self.origin is None:
            if self._baro_zero_m is None:
                return
            reference = solution.altitude_m + float(self.row[2])
            self.origin = Origin(solution.latitude_deg, solution.longitude_deg, reference)
            self.resets.delta_z_m = -reference  # as PX4's: from sea level to its own zero
        late = (now_us - solution.time_us) // 4000
        past = self._history[(tick - late) % ins.HISTORY]
        measured = geodesy.px4_to_ned(self.origin, solution.latitude_deg, solution.longitude_deg)
        down = self.origin.altitude_amsl_m - solution.altitude_m
        off = measured - past[:2]
        off_v = solution.velocity_ned_m_s - past[3:6]
        p = self._params
        sigma = np.hypot(self.row[ins.E_SIGMA_H], p.ekf2_gps_p_noise)
        speed_sigma = np.hypot(0.15 + self._speed_doubt(now_us), p.ekf2_gps_v_noise)
        good_p = bool(np.all(np.abs(off) <= p.ekf2_gps_p_gate * sigma))
        good_v = bool(np.all(np.abs(off_v) <= p.ekf2_gps_v_gate * speed_sigma))
        if stopped and not good_p:
            self._reset_position(off)
            good_p = True
            off = np.zeros(2)
        if stopped and not good_v:
            self._reset_velocity(off_v)
            good_v = True
            off_v = np.zeros(3)
        if not good_p and now_us - self._position_us > ins.RESET_TIMEOUT_S * 1e6:
            self._reset_position(off)
            good_p = True
            off = np.zeros(2)
        if not good_v and now_us - self._velocity_us > ins.RESET_TIMEOUT_S * 1e6:
            self._reset_velocity(off_v)
            good_v = True
            off_v = np.zeros(3)
        ins.correct_horizontal(
            self.row, self._history, off, off_v, good_p, good_v, self._gains, GNSS_DT_S
        )
        if good_p:
            self._position_us = now_us
            self.row[ins.E_SIGMA_H] = ins.SIGMA_FUSED_M
        if good_v:
            self._velocity_us = now_us
        self.gnss_position, self.gnss_velocity = True, True
        self.gnss_fault = not good_p
        if self.baro_height and now_us - self._height_us > ins.BARO_TIMEOUT_S * 1e6:
            self._reset_height(down)
            self.baro_height, self.gnss_height, self.baro_fault = False, True, True
        if self.gnss_height:
            off_down = down - float(self.row[2])
            self.row[2] += GNSS_HEIGHT_GAIN_1_S * GNSS_DT_S * off_down
            self._height_us = now_us

    def _speed_doubt(self, now_us: int) -> float:
        return (
            0.2 * max((now_us - self._velocity_us) * 1e-6 - 0.5, 0.0) if self._velocity_us else 0.0
        )

    def _reset_position(self, off: Array) -> None:
        self.row[:2] += off
        self._history[:, :2] += off
        self.resets.xy = (self.resets.xy + 1) % 256
        self.resets.delta_xy_m = np.array(off)

    def _reset_velocity(self, off: Array) -> None:
        self.row[3:6] += off
        self._history[:, 3:6] += off
        self.resets.vxy = (self.resets.vxy + 1) % 256
        self.resets.vz = (self.resets.vz + 1) % 256
        self.resets.delta_vxy_m_s = np.array(off[:2])

    def _reset_height(self, down: float) -> None:
        delta = down - float(self.row[2])
        self.row[2] = down
        self._history[:, 2] += delta
        self.resets.z = (self.resets.z + 1) % 256
        self.resets.delta_z_m = delta

    def update(self, now_us: int, dt_s: float) -> None:
        """Let time pass: what is not measured gets doubtful, then invalid."""
        aided_us = max(self._position_us, self._velocity_us)
        silent_s = (now_us - aided_us) * 1e-6
        gnss_silent = (
            self._gnss_us is None or (now_us - self._gnss_us) * 1e-6 > ins.RESET_TIMEOUT_S
        )
        if gnss_silent:
            self.gnss_position = self.gnss_velocity = False
        self.dead_reckoning = aided_us == 0 or silent_s > ins.NO_AID_TIMEOUT_S
        alive = aided_us > 0 and silent_s <= self._params.ekf2_noaid_tout
        self.xy_valid = alive and self.origin is not None
        if (now_us - self._position_us) * 1e-6 > 0.5:
            self.row[ins.E_SIGMA_H] += dt_s * (0.05 + 0.1 * min(silent_s, 10.0))
        height_silent_s = (now_us - self._height_us) * 1e-6
        if height_silent_s > 1.0:
            self.row[ins.E_SIGMA_V] += 0.2 * dt_s
            self.z_valid = height_silent_s < 10.0 or self.xy_valid
        else:
            self.row[ins.E_SIGMA_V] = ins.SIGMA_FUSED_M
            self.z_valid = True
        self.v_z_valid = self.z_valid
