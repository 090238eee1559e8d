# SPDX-License-Identifier: Apache-2.0
"""Does each rotor still give what it is commanded? CON-ACT-1.

In hover the controller finds the command of each rotor that balances weight and torque. A rotor
that lost a share e of its thrust must be commanded 1 / (1 - e) times as much, its peers as before:
its logarithm stands out from the median of all by -log(1 - e), whatever the battery or the weight
do to all rotors alike. Wind and a moved centre of mass shift rotors by pairs, and are told apart
by the second largest shift.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from airtwin_consistency.detectors import Rate
from airtwin_consistency.evidence import Evidence, age_s
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core import frames
from airtwin_core.types import Array, ContextFactor, MotorCommands, TwinState

ACTUATION = Requirement("CON-ACT-1", "actuation", Pace.FACT)

_NS = 1_000_000_000
_LEAST_COMMAND = 0.02  # below this a rotor idles and its logarithm means nothing
_STEP_MAX_S = 0.5  # a longer gap between commands teaches nothing
_REMEMBER = 3.0  # the sum is held below this many limits, so that it can come back
_ADAPT_S = 60.0  # slow changes of trim (wind, battery) are followed
_RESERVE = 0.85  # median command above which all rotors are near their limits
_EPISODE_S = 2.0  # without saturation ends an episode of it
_TIP_S = 1.0  # from the loss of a rotor of four to 60 deg it takes some 0.3 s
_SETTLE_S = 2.0  # of the mean command after lift-off
_ALONE = 0.7  # the second largest sum of a single fault stays below this share


class ActuationChecks:
    """One-sided CUSUM for each rotor on log command minus median, against learned trim."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = Rate(limits.learn_count)
        self._last_ns: int | None = None
        self._rotors: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._filtered: Array = np.zeros(0)
        self._trim: Array = np.zeros(0)
        self._learned_s = 0.0
        self._sums: Array = np.zeros(0)
        self._began_ns: list[int] = []
        self._hover = False
        self._collective: float | None = None
        self._full_rotor = 0
        self._full_s = 0.0
        self._full_ns = 0
        self._last_full_ns = 0
        self._first_rotor = 0
        self._first_ns = 0
        self._tipped_ns: int | None = None

    def on_motors(self, sample: MotorCommands, seen: Evidence) -> None:
        """Take one command."""
        self._rate.on(sample.received_ns)
        last_ns, self._last_ns = self._last_ns, sample.stamp_ns
        rotors = np.flatnonzero(np.isfinite(sample.control)).astype(np.int64)
        commands = sample.control[rotors]
        if not np.array_equal(rotors, self._rotors):
            self._start(rotors)
        if not seen.flying:
            self._start(rotors)
            return
        dt_s = 0.0 if last_ns is None else (sample.stamp_ns - last_ns) / _NS
        self._hover = (
            rotors.size >= 4
            and 0.0 < dt_s <= _STEP_MAX_S
            and bool(np.all(commands > _LEAST_COMMAND))
            and self._collective_usual(float(np.mean(commands)), dt_s)
            and self._hovers(seen, sample.received_ns)
        )
        self._saturation(commands, dt_s, sample.stamp_ns)
        if self._hover:
            self._update(np.log(commands), dt_s, sample.stamp_ns)

    def _start(self, rotors: npt.NDArray[np.int64]) -> None:
        self._rotors = rotors
        self._filtered = np.full(rotors.size, np.nan)
        self._trim = np.zeros(rotors.size)
        self._sums = np.zeros(rotors.size)
        self._began_ns = [0] * rotors.size
        self._learned_s = 0.0
        self._hover = False
        self._collective = None
        self._full_s = 0.0

    def _collective_usual(self, mean: float, dt_s: float) -> bool:
        """Return whether the mean command is that of hover, which follows the battery slowly."""
        if self._collective is None:
            self._collective = mean
        off = mean / self._collective - 1.0
        slow = _ADAPT_S if self._learned_s >= self._limits.trim_learn_s else _SETTLE_S
        self._collective += min(1.0, dt_s / slow) * (mean - self._collective)
        return abs(off) <= self._limits.collective_share

    def _saturation(self, commands: Array, dt_s: float, stamp_ns: int) -> None:
        """Follow for how long one rotor alone is asked for all it has."""
        full = commands >= self._limits.saturated
        reserve = commands.size >= 4 and float(np.median(commands)) <= _RESERVE
        if not 0.0 < dt_s <= _STEP_MAX_S or full.sum() != 1 or not reserve or not _own(commands):
            self._full_s = 0.0
            return
        rotor = int(np.argmax(full))
        if rotor != self._full_rotor or self._full_s == 0.0:
            self._full_s = 0.0
            # the first of an episode names the rotor: once the aircraft tumbles, any may follow
            if stamp_ns - self._last_full_ns > _EPISODE_S * _NS:
                self._first_rotor, self._first_ns = rotor, stamp_ns
            self._full_rotor, self._full_ns = rotor, stamp_ns
        self._full_s += dt_s
        self._last_full_ns = stamp_ns

    def _tipped(self, seen: Evidence, now_ns: int) -> Finding | None:
        """Return a failure if the aircraft tipped over right after one rotor saturated alone."""
        limits, attitude = self._limits, seen.attitude
        if attitude is None or not age_s(attitude, now_ns) <= limits.fresh_s:
            return None
        tilt = frames.tilt_from_quat(attitude.q_ned_frd)
        if tilt <= limits.tilt_max_rad:
            self._tipped_ns = None
            return None
        if self._tipped_ns is None:
            self._tipped_ns = attitude.stamp_ns
        before_s = (self._tipped_ns - self._first_ns) / _NS
        if not 0.0 <= before_s <= _TIP_S or (seen.status and seen.status.is_vtol):
            return None
        motor = int(self._rotors[self._first_rotor]) + 1
        return judge(
            ACTUATION,
            1.0,
            0.0,
            f"the aircraft tipped over {before_s:.2f} s after motor {motor} alone was commanded "
            f"to its limit",
            since_ns=self._first_ns,
            symptoms=(f"rotor {motor}",),
        )

    def _hovers(self, seen: Evidence, now_ns: int) -> bool:
        twin, limits = seen.twin, self._limits
        if twin is None or not age_s(twin, now_ns) <= limits.fresh_s or not seen.rotor_flight:
            return False
        if not twin.velocity_valid:
            return False
        return bool(_calm(twin, limits))

    def _update(self, log_command: Array, dt_s: float, stamp_ns: int) -> None:
        limits = self._limits
        if np.isnan(self._filtered).any():
            self._filtered = log_command
        share = min(1.0, dt_s / limits.trim_filter_s)
        self._filtered = self._filtered + share * (log_command - self._filtered)
        shares = self._filtered - np.median(self._filtered)
        if self._learned_s < limits.trim_learn_s:
            self._learned_s += dt_s
            self._trim = self._trim + (shares - self._trim) * (dt_s / self._learned_s)
            return
        shift = shares - self._trim
        sums = self._sums + (shift - limits.trim_slack) * dt_s
        for i in range(sums.size):
            if sums[i] <= 0.0:
                self._began_ns[i] = stamp_ns
        self._sums = np.clip(sums, 0.0, _REMEMBER * limits.trim_limit_s)
        if float(self._sums.max()) <= 0.5 * limits.trim_limit_s:
            self._trim = self._trim + shift * (dt_s / _ADAPT_S)

    def check(self, seen: Evidence, now_ns: int) -> Finding:
        """Return CON-ACT-1."""
        limits = self._limits
        if not self._rate.known or self._rate.age_s(now_ns) > limits.fresh_s:
            return unknown(ACTUATION, "no motor commands")
        if not seen.flying or not seen.rotor_flight:
            return unknown(ACTUATION, "not carried by rotors")
        tipped = self._tipped(seen, now_ns)
        if tipped is not None:
            return tipped
        if self._full_s > limits.saturated_s:
            motor = int(self._rotors[self._full_rotor]) + 1
            return judge(
                ACTUATION,
                self._full_s,
                limits.saturated_s,
                f"motor {motor} alone is commanded to its limit for {self._full_s:.1f} s",
                since_ns=self._full_ns,
                symptoms=(f"rotor {motor}",),
            )
        if not self._hover:
            return unknown(ACTUATION, "not in hover")
        if self._learned_s < limits.trim_learn_s:
            return unknown(ACTUATION, "trim not yet learned")
        order = np.argsort(self._sums)
        worst, second = int(order[-1]), int(order[-2])
        statistic = float(self._sums[worst])
        motor = int(self._rotors[worst]) + 1
        shift = float((self._filtered - np.median(self._filtered) - self._trim)[worst])
        alone = float(self._sums[second]) <= _ALONE * statistic
        assert self._last_ns is not None
        return judge(
            ACTUATION,
            statistic,
            limits.trim_limit_s,
            f"motor {motor} is commanded {100.0 * (np.exp(shift) - 1.0):+.0f} % against its peers "
            f"since lift-off" + ("" if alone else ", and not alone"),
            since_ns=self._began_ns[worst],
            symptoms=(f"rotor {motor}" if alone else "trim shifted",),
            factors=(
                ContextFactor(
                    "actuation", "physical", self._last_ns, np.exp(self._filtered),
                    np.full(self._rotors.size, np.nan),
                ),
                ContextFactor(
                    "actuation", "virtual", self._last_ns,
                    np.exp(np.median(self._filtered) + self._trim),
                    np.full(self._rotors.size, np.nan),
                ),
            ),
        )  # fmt: skip


def _own(commands: Array) -> bool:
    """Return whether most of what the hardest driven rotor is asked for beyond the others is its.

    A demand for yaw that cannot be met (rotors that are not upright, a wing in the wind) drives
    all rotors of one turn up, and one of them to its limit first: what the second shares with it
    is more than what sets the first apart. A rotor that lost thrust stands out by itself.
    """
    first, second, *rest = np.sort(commands)[::-1]
    return bool(first - second >= second - np.median(rest))


def _calm(twin: TwinState, limits: Limits) -> bool:
    """Return whether nothing but weight and wind acts on the rotors."""
    return (
        _size(twin.velocity_ned_m_s) < limits.hover_speed_m_s
        and frames.tilt_from_quat(twin.q_ned_frd) < limits.hover_tilt_rad
        and _size(twin.rate_frd_rad_s) < limits.hover_rate_rad_s
        and _size(twin.acceleration_ned_m_s2) < limits.hover_accel_m_s2
    )


def _size(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))
