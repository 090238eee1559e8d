# SPDX-License-Identifier: Apache-2.0
"""What the sensors make of the truth: noise, bias, delay. One generator per aircraft, so adding an
aircraft changes no other's noise.

Figures: IMU noise at rest as in the recording of PX4's SIH (0.007 rad/s, 0.07 m/s^2 a sample of
4 ms); the rest as of small u-blox receivers and MS5611 or BMP388 barometers, rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numba
import numpy as np

from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Array, Origin
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_physics.magnetic import declination_rad

IMU_NORMALS = 6
BLOCK = 25  # ticks of noise drawn at once


@dataclass(frozen=True, slots=True)
class SensorNoise:
    """Standard deviations; ``*_bias`` is drawn once a flight, ``*_walk`` is per root second."""

    gyro_rad_s: float = 0.007
    gyro_bias_rad_s: float = 0.002
    gyro_walk_rad_s: float = 2.0e-5
    accelerometer_m_s2: float = 0.07
    accelerometer_bias_m_s2: float = 0.03
    accelerometer_walk_m_s2: float = 5.0e-4
    gnss_horizontal_m: float = 0.3  # wanders with gnss_time_s
    gnss_vertical_m: float = 0.5
    gnss_white_m: float = 0.03
    gnss_velocity_m_s: float = 0.05
    gnss_time_s: float = 60.0
    gnss_delay_s: float = 0.1
    barometer_m: float = 0.1
    barometer_drift_m: float = 0.3
    barometer_drift_time_s: float = 600.0
    magnetometer_gauss: float = 0.003
    magnetometer_bias_gauss: float = 0.005

    def __post_init__(self) -> None:
        for spec in fields(self):
            if not getattr(self, spec.name) >= 0.0:
                raise ValueError(f"sensor noise {spec.name} is {getattr(self, spec.name)}")


def earth_field_ned_gauss(origin: Origin) -> Array:
    """Return the field (3,) of a dipole in strength and dip, turned by the table's declination.

    Dipole: horizontal 0.30 cos(lat), vertical 0.60 sin(lat) [gauss]; within 20 % of the model.
    """
    latitude = np.radians(origin.latitude_deg)
    turn = declination_rad(origin.latitude_deg, origin.longitude_deg)
    level = 0.30 * np.cos(latitude)
    return np.array([level * np.cos(turn), level * np.sin(turn), 0.60 * np.sin(latitude)])


@numba.njit(cache=True)
def imu_sample(
    out: Array, before: Array, after: Array, bias: Array, normals: Array, noise: Array, dt_s: float
) -> None:
    """Write (6,): mean angular rate [rad/s] and specific force [m/s^2] FRD over one tick.

    ``before``, ``after``: states of the dynamics. Exact for the integrals that an INS needs: the
    rotation between the two attitudes, and the velocity gained beyond gravity, seen in the middle
    attitude. ``noise``: (2,) standard deviations of gyroscope and accelerometer.
    """
    aw, ax, ay, az = before[6], before[7], before[8], before[9]
    bw, bx, by, bz = after[6], after[7], after[8], after[9]
    dw = aw * bw + ax * bx + ay * by + az * bz
    dx = aw * bx - ax * bw - ay * bz + az * by
    dy = aw * by + ax * bz - ay * bw - az * bx
    dz = aw * bz - ax * by + ay * bx - az * bw
    if dw < 0.0:
        dw, dx, dy, dz = -dw, -dx, -dy, -dz
    sine = np.sqrt(dx * dx + dy * dy + dz * dz)
    scale = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, dw) / sine
    out[0], out[1], out[2] = dx * scale / dt_s, dy * scale / dt_s, dz * scale / dt_s
    mw, mx, my, mz = aw + bw, ax + bx, ay + by, az + bz
    length = np.sqrt(mw * mw + mx * mx + my * my + mz * mz)
    mw, mx, my, mz = mw / length, mx / length, my / length, mz / length
    fn, fe = (after[3] - before[3]) / dt_s, (after[4] - before[4]) / dt_s
    fd = (after[5] - before[5]) / dt_s - GRAVITY_M_S2
    out[3] = (1 - 2 * (my * my + mz * mz)) * fn + 2 * (mx * my + mw * mz) * fe
    out[3] += 2 * (mx * mz - mw * my) * fd
    out[4] = 2 * (mx * my - mw * mz) * fn + (1 - 2 * (mx * mx + mz * mz)) * fe
    out[4] += 2 * (my * mz + mw * mx) * fd
    out[5] = 2 * (mx * mz + mw * my) * fn + 2 * (my * mz - mw * mx) * fe
    out[5] += (1 - 2 * (mx * mx + my * my)) * fd
    for k in range(3):
        out[k] += bias[k] + noise[0] * normals[k]
        out[3 + k] += bias[3 + k] + noise[1] * normals[3 + k]


@dataclass(frozen=True, slots=True)
class GnssSolution:
    """One solution as the receiver would send it; ``time_us`` is when it was true."""

    time_us: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    velocity_ned_m_s: Array
    fixed: bool
    heading_rad: float = float("nan")
    heading_accuracy_rad: float = float("nan")
    antenna_yaw_rad: float = float("nan")


class Suite:
    """The slow sensors of one aircraft, and the biases of its IMU."""

    def __init__(self, rng: np.random.Generator, origin: Origin, noise: SensorNoise) -> None:
        self._rng = rng
        self._noise = noise
        self._frame = LocalFrame(origin)
        self.imu_bias = np.concatenate(
            (
                rng.normal(0.0, noise.gyro_bias_rad_s, 3),
                rng.normal(0.0, noise.accelerometer_bias_m_s2, 3),
            )
        )
        self._wander = rng.normal(0.0, 1.0, 3) * self._gnss_sigma()
        self._baro_drift = 0.0  # the weather's pressure is its zero at the start
        self._mag_bias = rng.normal(0.0, noise.magnetometer_bias_gauss, 3)
        self._field = earth_field_ned_gauss(origin)
        self.declination_rad = float(np.arctan2(self._field[1], self._field[0]))
        # faults
        self.gnss_on = True
        self.baro_on = True
        self.gnss_jump_m = np.zeros(3)
        self.gnss_drift_m = np.zeros(3)
        self.gnss_drift_m_s = np.zeros(3)

    def _gnss_sigma(self) -> Array:
        level = self._noise.gnss_horizontal_m
        return np.array([level, level, self._noise.gnss_vertical_m])

    def walk(self, dt_s: float) -> None:
        """Let the IMU's biases wander for ``dt_s``."""
        step = np.sqrt(dt_s) * self._rng.standard_normal(6)
        step[:3] *= self._noise.gyro_walk_rad_s
        step[3:] *= self._noise.accelerometer_walk_m_s2
        self.imu_bias = self.imu_bias + step

    def gnss(
        self, time_us: int, position_ned: Array, velocity_ned: Array, dt_s: float
    ) -> GnssSolution:
        """Return the solution for now; the world hands it over ``gnss_delay_s`` later."""
        keep = np.exp(-dt_s / self._noise.gnss_time_s)
        fresh = self._rng.standard_normal(9)
        self._wander = keep * self._wander + np.sqrt(1 - keep**2) * self._gnss_sigma() * fresh[:3]
        self.gnss_drift_m = self.gnss_drift_m + self.gnss_drift_m_s * dt_s
        place = position_ned + self._wander + self._noise.gnss_white_m * fresh[3:6]
        shown = place + self.gnss_jump_m + self.gnss_drift_m
        latitude, longitude, altitude = self._frame.to_geodetic(shown)
        # a spoofer who knows his trade moves the Doppler along with the position
        velocity = velocity_ned + self._noise.gnss_velocity_m_s * fresh[6:9] + self.gnss_drift_m_s
        return GnssSolution(time_us, latitude, longitude, altitude, velocity, self.gnss_on)

    def barometer(self, down_m: float, dt_s: float) -> float:
        """Return the pressure altitude [m]; NaN while it is stopped."""
        keep = np.exp(-dt_s / self._noise.barometer_drift_time_s)
        fresh = self._rng.standard_normal(2)
        drift = self._noise.barometer_drift_m
        self._baro_drift = float(keep * self._baro_drift + np.sqrt(1 - keep**2) * drift * fresh[0])
        altitude = self._frame.origin.altitude_amsl_m - down_m
        if not self.baro_on:
            return float("nan")
        return altitude + self._baro_drift + self._noise.barometer_m * float(fresh[1])

    def magnetometer(self, rotation_ned_frd: Array) -> Array:
        """Return the field (3,) [gauss] FRD."""
        fresh = self._noise.magnetometer_gauss * self._rng.standard_normal(3)
        return np.asarray(rotation_ned_frd.T @ self._field + self._mag_bias + fresh)
