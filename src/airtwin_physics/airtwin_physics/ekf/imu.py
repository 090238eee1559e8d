# SPDX-License-Identifier: Apache-2.0
"""The newest IMU samples as steps of the filter: how long each is, how far to trust it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from airtwin_core.types import Array, Imu
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.imu_noise import (
    BEFORE,
    CLIPPED,
    ELAPSED,
    LAST,
    MEAN_ACCEL,
    MEAN_GYRO,
    N_REST,
    SPREAD_ACCEL,
    SPREAD_GYRO,
    WINDOW_S,
    by_neighbours,
    follow,
    whiteness,
)
from airtwin_physics.ekf.kernel import GRAVITY_M_S2, IMPACT

RING = 512  # steps kept; 0.2 s at 1 kHz are 200
_LONG = 1.2  # times the integration time: beyond that samples are missing
_RATE_S = 0.1  # over which a smooth rate is taken
_CREEP_NS = 2e7  # per s that PX4's clock shift may fall behind; its sawtooth: 0.2 s in 25 s
_LEAP_NS = 50_000_000  # forward; less is the scatter of arrivals
_PACE_NS = 2_000_000_000
_CROWDED = 1.5  # times the time that passes: more than that no single IMU can integrate
_SLOW, _FAST = 0.6, 1.5  # times real time: then arrivals say nothing of when a sample was true
_IMPOSSIBLE = 1e4  # (100 rad/s)^2, or 1e-3 (3162 m/s^2)^2
N_ENTRY, TAKEN = 14, 13  # of a step; in it how much the filter has of it [s]; see ``steps``
_RATE_STEPS = 128
WENT_BACK, GAP = "clock went back", "IMU gap"
BROKEN = frozenset((WENT_BACK, GAP))
"""What of an IMU sample's time costs the state."""


@njit(cache=True)
def enter(
    entry: Array,
    rest: Array,
    gyro: Array,
    accel: Array,
    dt: float,
    missing: float,
    clipped: bool,
    doubt: Array,
) -> None:
    """Write one IMU step, the arguments of ``predict``, with the white noise that the IMU shows.

    rest: after ``follow``; here its share of clipped samples is followed. missing: time [s] within
    dt that no sample covers. doubt (4,): what lost samples may have held [rad/s], [m/s^2], what a
    clipped one hides [m/s^2], beyond which force [m/s^2] one is an impact.
    """
    entry[0] = dt
    worst = 0.0
    force2 = 0.0
    for i in range(3):
        entry[1 + i] = gyro[i]
        entry[4 + i] = accel[i]
        entry[7 + i] = whiteness(rest, i, dt)
        worst = max(worst, whiteness(rest, 3 + i, dt))
        force2 += accel[i] * accel[i]
    entry[10] = worst
    if missing > 0.0:
        # samples were lost: go by both ends, and doubt the rest as much as the IMU is shaken
        for i in range(3):
            entry[1 + i] = 0.5 * (gyro[i] + rest[BEFORE + i])
            entry[4 + i] = 0.5 * (accel[i] + rest[BEFORE + 3 + i])
            entry[7 + i] += max(doubt[0] * doubt[0], rest[SPREAD_GYRO]) * missing * missing
        entry[10] += max(doubt[1] * doubt[1], rest[SPREAD_ACCEL]) * missing * missing
    rest[CLIPPED] += min(dt / WINDOW_S, 1.0) * ((1.0 if clipped else 0.0) - rest[CLIPPED])
    if clipped:
        # a shaken sensor is cut off on the same side again and again: errors of late add up
        hidden = doubt[2] * dt
        entry[10] += hidden * (hidden + 2.0 * doubt[2] * WINDOW_S * rest[CLIPPED])
    entry[IMPACT] = force2 * dt * dt if force2 > doubt[3] * doubt[3] else 0.0


@njit(cache=True)
def take(
    ring: Array,
    last: int,
    rest: Array,
    gyro: Array,
    accel: Array,
    step: float,
    dt: float,
    now: float,
    clipped: bool,
    doubt: Array,
) -> float:
    """Queue one sample in the ring and follow it; return its size, see ``_IMPOSSIBLE``.

    step: what it covers, dt: its integration time, now: time at its end [s]. Nothing changes if
    its numbers are impossible.
    """
    size = 0.0
    for i in range(3):
        size += gyro[i] * gyro[i] + 1e-3 * accel[i] * accel[i]
    if not size < _IMPOSSIBLE:
        return size
    entry = ring[last % ring.shape[0]]
    follow(rest, gyro, accel, step, WINDOW_S)
    enter(entry, rest, gyro, accel, step, step - _LONG * dt, clipped, doubt)
    entry[11] = now
    entry[TAKEN] = 0.0
    return size


def square(v: Array) -> float:
    """Return the squared length; infinity, without a warning, where it overflows."""
    total = 0.0
    for x in v.tolist():
        total += x * x
    return total


class ImuTrack:
    """Times and judges IMU samples, and keeps those that the filter has not reached yet."""

    def __init__(self, config: EstimatorConfig) -> None:
        c = self._config = config
        self._doubt = np.array(
            [c.gap_rate_rad_s, c.gap_accel_m_s2, c.clip_accel_m_s2, c.impact_accel_m_s2]
        )
        self.refused: dict[str, int] = {}
        self.start_over()

    def start_over(self) -> None:
        """Start anew, for example after a gap; the counts stay."""
        self.newest: Imu | None = None
        self.now_s = 0.0
        self._ahead_ns: int | None = None  # stamp less arrival of the least delayed of late
        self._behind_ns: int | None = None  # stamp of the last sample behind the newest
        self.even = False  # whether the clock is known to run about as fast as that of arrivals
        self._stamped_ns, self._paced_ns = 0, -1  # stamp and arrival where that was last seen
        self.crowded = False  # whether samples cover more time than passes: of two vehicles
        self._covered_s = 0.0
        self.waited_ns = 0  # the longest lately on the link or in a queue
        self.clock_ns = 0  # by how much the stamps have leapt so far without time passing
        self.first = self.last = 0
        self.ring = np.zeros((RING, N_ENTRY))
        self.rest = np.zeros(N_REST)
        self.reached_s = 0.0  # time [s] that the filter's state is of

    def take(self, imu: Imu, *, queue: bool) -> str:
        """Follow a sample, and queue the step up to it for the filter.

        Returns why it was not taken, "" if it was: a cause in ``BROKEN`` asks to start over and to
        take it again as the first; all others are counted in ``refused``.
        """
        before = self.newest
        if not 0.0 < imu.dt_s <= 0.5:
            return self._refuse("impossible integration time")
        step_s, leapt_ns = imu.dt_s, 0
        if before is not None:
            stamped_ns = imu.stamp_ns - before.stamp_ns
            step_s = stamped_ns * 1e-9
            if not 0.0 < step_s <= self._config.stamp_jump_s:
                cause, step_s = self._uneven(before, imu, step_s)
                if cause:
                    return cause
                leapt_ns = stamped_ns - int(step_s * 1e9)
        now_s = self.now_s + step_s
        size = take(
            self.ring,
            self.last,
            self.rest,
            imu.rate_frd_rad_s,
            imu.specific_force_frd_m_s2,
            step_s,
            imu.dt_s,
            now_s,
            imu.clipped,
            self._doubt,
        )
        if not size < _IMPOSSIBLE:
            return self._refuse("impossible value" if size >= _IMPOSSIBLE else "not finite")
        self.newest = imu
        self.now_s = now_s
        self._covered_s += imu.dt_s
        self._behind_ns = None
        self._follow_arrival(imu, step_s, leapt_ns)
        if not 0 <= imu.received_ns - self._paced_ns < _PACE_NS:
            self._pace(imu)
        if queue:
            self.last += 1
        else:
            self.reached_s = now_s
        return ""

    def _follow_arrival(self, imu: Imu, step_s: float, leapt_ns: int) -> None:
        """Note how late a sample came, against the promptest of late."""
        offset_ns, ahead_ns = imu.stamp_ns - imu.received_ns, self._ahead_ns
        if ahead_ns is not None:
            if leapt_ns < 0 or leapt_ns > _LEAP_NS:
                self.clock_ns += leapt_ns
                ahead_ns += leapt_ns
            ahead_ns -= int(_CREEP_NS * step_s)
        if ahead_ns is None or offset_ns > ahead_ns:
            ahead_ns = offset_ns
        self._ahead_ns = ahead_ns
        if ahead_ns - offset_ns > self.waited_ns:
            self.waited_ns = ahead_ns - offset_ns

    def _uneven(self, before: Imu, imu: Imu, stamped_s: float) -> tuple[str, float]:
        """Return why a sample that does not follow the one before is not taken, and its step."""
        most_s = self._config.gap_max_s
        passed_s = self._passed_s(before, imu)
        back = stamped_s <= 0.0
        if back and not self._runs_behind(imu.stamp_ns):
            if passed_s < -most_s:
                return WENT_BACK, 0.0  # in both clocks
            twice = stamped_s == 0.0
            return self._refuse("same time stamp twice" if twice else "time runs backwards"), 0.0
        step_s = max(passed_s, imu.dt_s)
        step_s = step_s if back else min(stamped_s, step_s)
        if step_s > most_s:
            return WENT_BACK if back else GAP, 0.0
        return "", step_s

    def _pace(self, imu: Imu) -> None:
        """Look how fast the clock runs: a simulation's may run several times as fast as time."""
        at = (imu.stamp_ns - self.clock_ns, imu.received_ns)
        if self._paced_ns >= 0:
            stamped_ns, passed_ns = at[0] - self._stamped_ns, at[1] - self._paced_ns
            self.even = passed_ns < 0 or _SLOW * passed_ns < stamped_ns < _FAST * passed_ns
            time_s = max(stamped_ns, passed_ns) * 1e-9
            self.crowded = passed_ns >= 0 and self._covered_s > _CROWDED * time_s
            self.waited_ns //= 4
        self._stamped_ns, self._paced_ns = at
        self._covered_s = 0.0

    def _runs_behind(self, stamp_ns: int) -> bool:
        """Return whether two in a row are in order, though behind the newest: the clock moved.

        One alone was late. Or the newest is the one whose stamp is wrong: that ends here as well,
        since it has made no more time pass than its arrival allows.
        """
        before_ns, self._behind_ns = self._behind_ns, stamp_ns
        return before_ns is not None and stamp_ns > before_ns

    @property
    def ahead_ns(self) -> int:
        """Stamp less arrival of the least delayed sample of late."""
        return self._ahead_ns or 0

    def _passed_s(self, before: Imu, imu: Imu) -> float:
        """Return for how long nothing came, judged by arrivals.

        PX4's clock shift jumps without time passing; a lost message shows in both clocks. Arrival
        alone does not tell: a process that stood still finds an old sample and a new one together
        in its queue. So the older one counts as of when it would have come, had it not waited.
        """
        ahead_ns = 0 if self._ahead_ns is None else self._ahead_ns
        waited_ns = max(ahead_ns - (before.stamp_ns - before.received_ns), 0)
        return (imu.received_ns - before.received_ns + waited_ns) * 1e-9

    @property
    def full(self) -> bool:
        """Return whether the ring has no room for another step."""
        return self.last - self.first >= RING

    def rate_frd(self) -> Array:
        """Return the angular rate (3,) [rad/s] measured until ``reached_s``, smooth."""
        within = self.first < self.last and self.ring.item(self.first % RING, TAKEN) > 0.0
        steps = np.arange(max(self.first - _RATE_STEPS, 0), self.first + within) % RING
        entries = self.ring[steps]
        lately = entries[entries[:, 11] > self.reached_s - _RATE_S]
        if not len(lately):
            return self.mean_rate_frd
        return np.average(lately[:, 1:4], axis=0, weights=lately[:, 0])

    @property
    def followed_s(self) -> float:
        """Time since the start [s]."""
        return float(self.rest[ELAPSED])

    @property
    def last_imu(self) -> Array:
        """Angular rate (3,) [rad/s] and specific force (3,) [m/s^2] FRD of the newest sample."""
        return self.rest[LAST : LAST + 6]

    @property
    def mean_rate_frd(self) -> Array:
        """Mean angular rate (3,) [rad/s]."""
        return self.rest[MEAN_GYRO : MEAN_GYRO + 3]

    @property
    def mean_rate_variance(self) -> Array:
        """Variance (3,) [rad^2/s^2] of that mean, by the noise of the samples."""
        dt_s = 0.0 if self.newest is None else self.newest.dt_s
        density = np.array([by_neighbours(self.rest, i) for i in range(3)])
        return density * (dt_s / min(self.followed_s, WINDOW_S))

    @property
    def mean_force_frd(self) -> Array:
        """Mean specific force (3,) [m/s^2]."""
        return self.rest[MEAN_ACCEL : MEAN_ACCEL + 3]

    def quiet(self) -> bool:
        """Return whether nothing shakes or turns, whatever force is felt."""
        c, rest = self._config, self.rest
        rates, forces = rest.item(SPREAD_GYRO), rest.item(SPREAD_ACCEL)
        if not (rates < c.still_rate_rad_s**2 and forces < c.still_accel_m_s2**2):
            return False
        return (
            self.followed_s >= c.align_min_s
            and square(self.mean_rate_frd) < (2.0 * c.still_rate_rad_s) ** 2
        )

    def still(self) -> bool:
        """Return whether it is quiet as at rest; smooth straight flight looks the same."""
        return self.quiet() and abs(math.sqrt(square(self.mean_force_frd)) - GRAVITY_M_S2) < 0.5

    def _refuse(self, cause: str) -> str:
        self.refused[cause] = self.refused.get(cause, 0) + 1
        return cause
