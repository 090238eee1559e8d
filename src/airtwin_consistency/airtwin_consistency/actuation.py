# SPDX-License-Identifier: Apache-2.0
"""Does each rotor still give what it is commanded? CON-ACT-1.

The controller finds the command of each rotor that balances weight and torque. A rotor that lost
a share e of its thrust must be commanded 1 / (1 - e) times as much, its peers as before: its
logarithm stands out from the median of all by -log(1 - e), whatever the battery or the weight do
to all rotors alike. Every aircraft has a trim of its own: a heavy side, tilted motors, propellers
that are not alike let one rotor or a pair work harder than the rest for as long as it flies, up
to the limit. So what counts is the change against the trim that was learned in this flight, and
of it only what one rotor does alone: wind, a moved centre of mass and lack of yaw shift rotors by
pairs. Nothing is learned and nothing said before the aircraft has left the ground: against the
ground the integrators wind up, and any rotor may reach its limit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from airtwin_consistency.detectors import Rate
from airtwin_consistency.evidence import Evidence, age_s
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_consistency.stopped import Stopped
from airtwin_consistency.tipping import Tipping
from airtwin_core import frames
from airtwin_core.types import Array, ContextFactor, MotorCommands, TwinState

ACTUATION = Requirement("CON-ACT-1", "actuation", Pace.FACT)

_NS = 1_000_000_000
_LEAST_COMMAND = 0.02  # below this a rotor idles and its logarithm means nothing
_STEP_MAX_S = 0.5  # a longer gap between commands teaches nothing
_REMEMBER = 3.0  # the sum is held below this many limits, so that it can come back
_ADAPT_S = 60.0  # slow changes of trim (wind, battery) are followed
_RESERVE = 0.85  # median command above which all rotors are near their limits
_SETTLE_S = 2.0  # of the mean command after lift-off
_ALONE = 0.7  # the second largest shift of a single fault stays below this share
_RESTLESS = 3.0  # sigmas of a rotor's own wander about its trim are no loss
_SLACK_MAX = 2.0  # of the slack: a rotor that loses a quarter is found on any aircraft
_LEFT_M_S = 0.5  # faster than this, two sigmas aside, nothing moves that stands on the ground


class ActuationChecks:
    """One-sided CUSUM for each rotor on what its log command does alone, against learned trim."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = Rate(limits.learn_count)
        self._last_ns: int | None = None
        self._stood = False  # seen on the ground: that it has left it must be seen as well
        self._left = False
        self._accused: int | None = None
        self._accused_ns = 0
        self._stopped = Stopped()
        self._twin_ns: int | None = None
        self._acceleration: Array = np.zeros(3)
        self._start(np.zeros(0, dtype=np.int64))

    def on_twin(self, state: TwinState) -> None:
        """Take one state: rotors shake it by more than any hover moves, so its mean counts."""
        last_ns, self._twin_ns = self._twin_ns, state.stamp_ns
        dt_s = 0.0 if last_ns is None else (state.stamp_ns - last_ns) / _NS
        share = dt_s / self._limits.trim_filter_s if 0.0 < dt_s <= _STEP_MAX_S else 1.0
        step = state.acceleration_ned_m_s2 - self._acceleration
        self._acceleration = self._acceleration + min(1.0, share) * step

    def on_motors(self, sample: MotorCommands, seen: Evidence) -> None:
        """Take one command."""
        self._rate.on(sample.received_ns)
        last_ns, self._last_ns = self._last_ns, sample.stamp_ns
        rotors = np.flatnonzero(np.isfinite(sample.control)).astype(np.int64)
        commands = sample.control[rotors]
        carried = seen.flying and not (seen.status and seen.status.is_vtol)
        self._stopped.on_commands(rotors, sample.stamp_ns, flying=carried)
        if not np.array_equal(rotors, self._rotors):
            left = self._left
            self._start(rotors)
            self._left = left
        if not seen.flying:
            self._stood = self._stood or seen.flying is False
            self._start(rotors)
            return
        self._tipping.on_commands(commands, sample.stamp_ns, seen, sample.received_ns)
        self._left = (
            self._left or not self._stood or _moves(seen, sample.received_ns, self._limits)
        )
        if not self._left:
            return
        dt_s = 0.0 if last_ns is None else (sample.stamp_ns - last_ns) / _NS
        self._hover = (
            rotors.size >= 4
            and 0.0 < dt_s <= _STEP_MAX_S
            and bool(np.all(commands > _LEAST_COMMAND))
            and self._collective_usual(float(np.mean(commands)), dt_s)
            and self._hovers(seen, sample.received_ns)
        )
        if self._hover:
            self._update(np.log(commands), dt_s, sample.stamp_ns)
        spinning = seen.twin is not None and (
            abs(float(seen.twin.rate_frd_rad_s[2])) > self._limits.hover_rate_rad_s
        )
        self._saturation(commands, dt_s, sample.stamp_ns, spinning=spinning)

    def _start(self, rotors: npt.NDArray[np.int64]) -> None:
        self._rotors = rotors
        self._tipping = Tipping(self._limits)
        self._filtered: Array = np.full(rotors.size, np.nan)
        self._trim: Array = np.zeros(rotors.size)
        self._wander: Array = np.zeros(rotors.size)  # mean square about the trim
        self._sums: Array = np.zeros(rotors.size)
        self._began_ns = [0] * rotors.size
        self._learned_s = 0.0
        self._left = False
        self._hover = False
        self._collective: float | None = None
        self._mean = 0.0
        self._full_rotor = 0
        self._full_s = 0.0  # for so long
        self._full_sum = 0.0  # so much of it alone, in log thrust times time
        self._full_ns = 0

    @property
    def _learned(self) -> bool:
        return self._learned_s >= self._limits.trim_learn_s

    def _collective_usual(self, mean: float, dt_s: float) -> bool:
        """Return whether the mean command is that of hover, which follows the battery slowly."""
        if self._collective is None:
            self._collective = self._mean = mean
        self._mean += min(1.0, dt_s / self._limits.trim_filter_s) * (mean - self._mean)
        off = self._mean / self._collective - 1.0
        slow = _ADAPT_S if self._learned else _SETTLE_S
        self._collective += min(1.0, dt_s / slow) * (mean - self._collective)
        return abs(off) <= self._limits.collective_share

    def _saturation(self, commands: Array, dt_s: float, stamp_ns: int, *, spinning: bool) -> None:
        """Follow for how long one rotor alone is asked for all it has, unlike in its own trim."""
        full = commands >= self._limits.saturated
        reserve = commands.size >= 4 and float(np.median(commands)) <= _RESERVE
        known = 0.0 < dt_s <= _STEP_MAX_S and reserve and self._learned
        if not (known and full.sum() == 1 and _own(commands)):
            self._full_s = 0.0
            return
        rotor = int(np.argmax(full))
        shift = self._shift(np.log(np.maximum(commands, _LEAST_COMMAND)))
        alone = float(self._alone(shift)[rotor])
        if spinning:
            alone = max(alone, self._beside_its_opposite(shift, rotor))
        if not alone > 0.0:
            self._full_s = 0.0
            return
        if rotor != self._full_rotor or self._full_s == 0.0:
            self._full_s = self._full_sum = 0.0
            self._full_rotor, self._full_ns = rotor, stamp_ns
        self._full_s += dt_s
        self._full_sum += alone * dt_s

    def _shift(self, log_command: Array) -> Array:
        """Return by how much each moved against its trim and its peers; shape (n,), log."""
        moved = log_command - self._trim
        shift: Array = moved - np.median(moved)
        return shift

    def _alone(self, shift: Array) -> Array:
        """Return what of each rotor's shift, beyond the slack, it does alone; shape (n,).

        A rotor that fails moves alone; where a pair moves, or one rises as another sinks, it is
        the torque on the aircraft that changed, and nothing remains.
        """
        others = _largest_other(np.abs(shift)) / _ALONE
        alone: Array = shift - np.maximum(others, self._slack())
        return alone

    def _slack(self) -> Array:
        """Return the shift of each rotor that is not counted: its own restlessness; shape (n,)."""
        least = self._limits.trim_slack
        own = _RESTLESS * np.sqrt(self._wander)
        slack: Array = np.clip(own, least, _SLACK_MAX * least)
        return slack

    def _beside_its_opposite(self, shift: Array, rotor: int) -> float:
        """Return what a rotor at its limit does alone but for one that fell; an aircraft turns.

        It gives too little though it gives all: to stay level the one across must give less too,
        and as both turn alike, nothing holds the yaw. Either of the two signs would do.
        """
        slack, low = self._limits.trim_slack, int(np.argmin(shift))
        if low == rotor or shift[low] > -slack or shift[rotor] < slack:
            return 0.0
        rest = np.delete(np.abs(shift), [rotor, low])
        return float(shift[rotor] - rest.max() / _ALONE)

    def _hovers(self, seen: Evidence, now_ns: int) -> bool:
        twin, limits = seen.twin, self._limits
        if twin is None or not age_s(twin, now_ns) <= limits.fresh_s or not seen.rotor_flight:
            return False
        if not twin.velocity_valid:
            return False
        return _calm(twin, self._acceleration, limits)

    def _update(self, log_command: Array, dt_s: float, stamp_ns: int) -> None:
        limits = self._limits
        if np.isnan(self._filtered).any():
            self._filtered = log_command
        share = min(1.0, dt_s / limits.trim_filter_s)
        self._filtered = self._filtered + share * (log_command - self._filtered)
        if not self._learned:
            self._learned_s += dt_s
            share = dt_s / self._learned_s
            off = self._filtered - np.mean(self._filtered) - self._trim
            self._trim = self._trim + share * off
            self._wander = (1.0 - share) * (self._wander + share * off * off)
            return
        shift = self._shift(self._filtered)
        sums = self._sums + self._alone(shift) * dt_s
        for i in range(sums.size):
            if sums[i] <= 0.0:
                self._began_ns[i] = stamp_ns
        self._sums = np.clip(sums, 0.0, _REMEMBER * limits.trim_limit_s)
        if float(self._sums.max()) <= 0.5 * limits.trim_limit_s:
            self._trim = self._trim + shift * (dt_s / _ADAPT_S)
            self._wander = self._wander + (shift * shift - self._wander) * (dt_s / _ADAPT_S)

    def check(self, seen: Evidence, now_ns: int) -> Finding:
        """Return CON-ACT-1."""
        limits = self._limits
        if not self._rate.known or self._rate.age_s(now_ns) > limits.fresh_s:
            return unknown(ACTUATION, "no motor commands")
        if not seen.flying or not seen.rotor_flight:
            return unknown(ACTUATION, "not carried by rotors")
        finding = (
            self._without_a_motor(now_ns)
            or self._tipped(seen, now_ns)
            or self._at_its_limit(now_ns)
        )
        if finding is not None:
            return finding
        if not self._left:
            return unknown(ACTUATION, "not seen to leave the ground")
        if not self._hover:
            return unknown(ACTUATION, "not in hover")
        if not self._learned:
            return unknown(ACTUATION, "trim not yet learned")
        return self._against_trim(now_ns)

    def _may_accuse(self, rotor: int, now_ns: int) -> bool:
        """Return whether nothing of late speaks of another rotor, and remember this one.

        The first names the fault: once the aircraft tumbles or flies on three, any may follow.
        """
        of_late = now_ns - self._accused_ns <= self._limits.forget_s * _NS
        if self._accused is not None and self._accused != rotor and of_late:
            return False
        self._accused, self._accused_ns = rotor, now_ns
        return True

    def _without_a_motor(self, now_ns: int) -> Finding | None:
        """Return a failure while PX4 flies on without a motor that it had flown with."""
        motors = self._stopped.motors
        if not motors or not self._may_accuse(motors[0], now_ns):
            return None
        names = " and ".join(str(motor + 1) for motor in motors)
        return judge(
            ACTUATION,
            float(len(motors)),
            0.0,
            f"PX4 stopped motor {names} in flight and flies on with {self._rotors.size} motors",
            since_ns=self._stopped.since_ns,
            symptoms=tuple(f"rotor {motor + 1}" for motor in motors),
        )

    def _tipped(self, seen: Evidence, now_ns: int) -> Finding | None:
        """Return a failure if the aircraft tipped over with one rotor at its limit."""
        tipping = self._tipping
        tipping.look(seen, now_ns, on_ground=not self._left)
        if tipping.rotor < 0 or (seen.status and seen.status.is_vtol):
            return None
        if not self._may_accuse(tipping.rotor, now_ns):
            return None
        motor = int(self._rotors[tipping.rotor]) + 1
        return judge(
            ACTUATION,
            1.0,
            0.0,
            f"the aircraft tipped over {tipping.after_s:.2f} s after motor {motor} alone was "
            f"commanded to its limit, and more than all others until then",
            since_ns=tipping.since_ns,
            symptoms=(f"rotor {motor}",),
        )

    def _at_its_limit(self, now_ns: int) -> Finding | None:
        limits = self._limits
        # a pair that works near its limit all along reaches it in any climb, one before the other
        if not (self._full_s > limits.saturated_s and self._full_sum > limits.trim_limit_s):
            return None
        if not self._may_accuse(self._full_rotor, now_ns):
            return None
        motor = int(self._rotors[self._full_rotor]) + 1
        return judge(
            ACTUATION,
            self._full_sum,
            limits.trim_limit_s,
            f"motor {motor} alone is commanded to its limit for {self._full_s:.1f} s, "
            f"unlike since lift-off",
            since_ns=self._full_ns,
            symptoms=(f"rotor {motor}",),
        )

    def _against_trim(self, now_ns: int) -> Finding:
        limits = self._limits
        worst = int(np.argmax(self._sums))
        if self._sums[worst] > limits.trim_limit_s and not self._may_accuse(worst, now_ns):
            assert self._accused is not None
            worst = self._accused
        motor = int(self._rotors[worst]) + 1
        usual = self._trim + np.median(self._filtered - self._trim)
        shift = float((self._filtered - usual)[worst])
        assert self._last_ns is not None
        return judge(
            ACTUATION,
            float(self._sums[worst]),
            limits.trim_limit_s,
            f"motor {motor} is commanded {100.0 * (np.exp(shift) - 1.0):+.0f} % against its peers "
            f"since lift-off",
            since_ns=self._began_ns[worst],
            symptoms=(f"rotor {motor}",),
            factors=(
                ContextFactor(
                    "actuation", "physical", self._last_ns, np.exp(self._filtered),
                    np.full(self._rotors.size, np.nan),
                ),
                ContextFactor(
                    "actuation", "virtual", self._last_ns, np.exp(usual),
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


def _largest_other(values: Array) -> Array:
    """Return for each value (n,) the largest of the others."""
    order = np.argsort(values)
    others = np.full(values.size, values[order[-1]])
    others[order[-1]] = values[order[-2]]
    return others


def _moves(seen: Evidence, now_ns: int, limits: Limits) -> bool:
    """Return whether the twin sees the aircraft move as nothing does that stands."""
    twin = seen.twin
    if twin is None or not age_s(twin, now_ns) <= limits.fresh_s or not twin.velocity_valid:
        return False
    sigma = math.sqrt(float(np.trace(twin.covariance[3:6, 3:6])))
    return bool(_size(twin.velocity_ned_m_s) - 2.0 * sigma > _LEFT_M_S)


def _calm(twin: TwinState, acceleration_ned_m_s2: Array, limits: Limits) -> bool:
    """Return whether nothing but weight and wind acts on the rotors."""
    return (
        _size(twin.velocity_ned_m_s) < limits.hover_speed_m_s
        and frames.tilt_from_quat(twin.q_ned_frd) < limits.hover_tilt_rad
        and _size(twin.rate_frd_rad_s) < limits.hover_rate_rad_s
        and _size(acceleration_ned_m_s2) < limits.hover_accel_m_s2
    )


def _size(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))
