# SPDX-License-Identifier: Apache-2.0
"""The newest IMU samples as steps of the filter: how long each is, how far to trust it."""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array, Imu
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.kernel import GRAVITY_M_S2

RING = 512  # steps kept; 0.2 s at 1 kHz are 200
_WINDOW_S = 0.5  # of the means and spreads
_LONG = 1.2  # times the integration time: beyond that samples are missing
_IMPOSSIBLE = 1e4  # (100 rad/s)^2, or 1e-3 (3162 m/s^2)^2
N_REST = 21


@njit(cache=True)
def follow(rest: Array, gyro: Array, accel: Array, dt: float, window: float) -> None:
    """Update running means and spreads of the IMU over ``window`` [s].

    rest (21,): elapsed [s], mean gyro (3,), mean accel (3,), variance of gyro [rad^2/s^2] and of
    accel [m^2/s^4], each summed over the axes; variance of gyro (3,) and accel (3,) from sample
    to sample, which motion hardly enters; last gyro (3,), last accel (3,).
    """
    rest[0] += dt
    share = min(max(dt / window, dt / rest[0]), 1.0)
    gyro2 = 0.0
    accel2 = 0.0
    first = rest[0] == dt
    for i in range(3):
        d = gyro[i] - rest[1 + i]
        rest[1 + i] += share * d
        gyro2 += d * d
        d = accel[i] - rest[4 + i]
        rest[4 + i] += share * d
        accel2 += d * d
        if not first:
            d = gyro[i] - rest[15 + i]
            rest[9 + i] += share * (0.5 * d * d - rest[9 + i])
            d = accel[i] - rest[18 + i]
            rest[12 + i] += share * (0.5 * d * d - rest[12 + i])
        rest[15 + i] = gyro[i]
        rest[18 + i] = accel[i]
    rest[7] = (1.0 - share) * (rest[7] + share * gyro2)
    rest[8] = (1.0 - share) * (rest[8] + share * accel2)


@njit(cache=True)
def enter(entry: Array, rest: Array, gyro: Array, accel: Array, dt: float) -> None:
    """Write one IMU step, the arguments of ``predict``; vibration counts as white noise."""
    entry[0] = dt
    worst = 0.0
    for i in range(3):
        entry[1 + i] = gyro[i]
        entry[4 + i] = accel[i]
        entry[7 + i] = rest[9 + i] * dt * dt
        worst = max(worst, rest[12 + i])
    entry[10] = worst * dt * dt


def square(v: Array) -> float:
    """Return the squared length; infinity, without a warning, where it overflows."""
    total = 0.0
    for x in v.tolist():
        total += x * x
    return total


class ImuTrack:
    """Times and judges IMU samples, and keeps those that the filter has not reached yet."""

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self.refused: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """Start anew, for example after a gap; the counts stay."""
        self.newest: Imu | None = None
        self.now_s = 0.0
        self.first = self.last = 0
        self.ring = np.zeros((RING, 11))
        self.at_s = [0.0] * RING
        self.rest = np.zeros(N_REST)

    def step_s(self, imu: Imu) -> float | None:
        """Return the time that the sample covers [s]; None, counted, if it cannot be used."""
        gyro, accel = imu.rate_frd_rad_s, imu.specific_force_frd_m_s2
        size = square(gyro) + 1e-3 * square(accel)
        if not size < _IMPOSSIBLE:
            self._refuse("impossible value" if size >= _IMPOSSIBLE else "not finite")
            return None
        if not 0.0 < imu.dt_s <= 0.5:
            self._refuse("impossible integration time")
            return None
        if self.newest is None:
            return imu.dt_s
        step_s = (imu.stamp_ns - self.newest.stamp_ns) * 1e-9
        if step_s <= 0.0:
            self._refuse("same time stamp twice" if step_s == 0.0 else "time runs backwards")
            return None
        if step_s > self._config.stamp_jump_s:
            # PX4's clock shift jumps without time passing; a lost message shows in both clocks
            arrival_s = (imu.received_ns - self.newest.received_ns) * 1e-9
            step_s = min(step_s, max(arrival_s, imu.dt_s))
        return step_s

    def follow(self, imu: Imu, step_s: float) -> None:
        """Take the sample as the newest."""
        follow(self.rest, imu.rate_frd_rad_s, imu.specific_force_frd_m_s2, step_s, _WINDOW_S)
        self.newest = imu
        self.now_s += step_s

    def enter(self, imu: Imu, before: Imu, step_s: float) -> None:
        """Queue the step from the sample ``before`` to the newest, ``imu``, for the filter."""
        c, entry = self._config, self.ring[self.last % RING]
        gyro, accel = imu.rate_frd_rad_s, imu.specific_force_frd_m_s2
        enter(entry, self.rest, gyro, accel, step_s)
        missing_s = step_s - _LONG * imu.dt_s
        if missing_s > 0.0:
            # samples were lost: go by both ends, and doubt the rest as much as the IMU is shaken
            entry[1:4] = 0.5 * (gyro + before.rate_frd_rad_s)
            entry[4:7] = 0.5 * (accel + before.specific_force_frd_m_s2)
            entry[7:10] += max(c.gap_rate_rad_s**2, float(self.rest[7])) * missing_s**2
            entry[10] += max(c.gap_accel_m_s2**2, float(self.rest[8])) * missing_s**2
        if imu.clipped or square(accel) > c.accel_range_m_s2**2:
            entry[10] += (c.clip_accel_m_s2 * step_s) ** 2
        self.at_s[self.last % RING] = self.now_s
        self.last += 1

    def behind(self, target_s: float) -> bool:
        """Return whether the next step ends by ``target_s``, or must be taken to make room."""
        if self.first >= self.last:
            return False
        return self.at_s[self.first % RING] <= target_s or self.last - self.first >= RING

    @property
    def followed_s(self) -> float:
        """Time since the start [s]."""
        return float(self.rest[0])

    @property
    def mean_rate_frd(self) -> Array:
        """Mean angular rate (3,) [rad/s]."""
        return self.rest[1:4]

    @property
    def mean_rate_variance(self) -> Array:
        """Variance (3,) [rad^2/s^2] of that mean, by the noise of the samples."""
        dt_s = 0.0 if self.newest is None else self.newest.dt_s
        return self.rest[9:12] * (dt_s / min(self.followed_s, _WINDOW_S))

    @property
    def mean_force_frd(self) -> Array:
        """Mean specific force (3,) [m/s^2]."""
        return self.rest[4:7]

    def still(self) -> bool:
        """Return whether nothing shakes or turns; smooth straight flight looks the same."""
        c, rest = self._config, self.rest
        force = float(np.sqrt(rest[4:7] @ rest[4:7]))
        return bool(
            rest[0] >= c.align_min_s
            and rest[7] < c.still_rate_rad_s**2
            and rest[8] < c.still_accel_m_s2**2
            and float(rest[1:4] @ rest[1:4]) < (2.0 * c.still_rate_rad_s) ** 2
            and abs(force - GRAVITY_M_S2) < 0.5
        )

    def _refuse(self, cause: str) -> None:
        self.refused[cause] = self.refused.get(cause, 0) + 1
