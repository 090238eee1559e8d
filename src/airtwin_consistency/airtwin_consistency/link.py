# SPDX-License-Identifier: Apache-2.0
"""Does the aircraft still talk, and does its clock run on? CON-LNK-1, CON-CLK-1.

Presence of a topic in the graph proves nothing (PX4's writers outlive PX4), so only samples count.
PX4's stamps lag by a sawtooth of 0 to 0.2 s, and when its clock filter resets, messages of one
loop carry boot time: both are usual, counted as evidence, and no event.
"""

from __future__ import annotations

import numpy as np

from airtwin_consistency.detectors import Rate
from airtwin_consistency.evidence import Evidence
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core.types import (
    Attitude,
    Battery,
    ContextFactor,
    EstimatorFlags,
    Imu,
    LandDetected,
    LocalPosition,
    Odometry,
    Sample,
    Timesync,
    TwinState,
    VehicleStatus,
)

LINK = Requirement("CON-LNK-1", "link age", Pace.FACT)
CLOCK = Requirement("CON-CLK-1", "clock", Pace.ALARM)

_NS = 1_000_000_000
# Topics that come all the time; the barometer and GNSS have checks of their own.
_STREAMS: dict[type, str] = {
    Imu: "imu",
    Attitude: "attitude",
    LocalPosition: "position",
    Odometry: "odometry",
    TwinState: "twin/state",
}
# Topics that come on change too, so that a lively start says little about their usual rate.
_WORDS: dict[type, str] = {
    VehicleStatus: "status",
    LandDetected: "land_detected",
    Battery: "battery",
    EstimatorFlags: "flags",
    Timesync: "timesync",
}
_PERIODIC = _STREAMS | _WORDS
_SLOW = frozenset(_WORDS.values())
_SLOW_AGE_S = 5.0
_ALL = "all topics silent"
_FAST_S = 0.3  # topics of this interval and below show an outage at once
_SETTLE_S = 30.0  # a clock that runs evenly for so long is the new normal
_RATE_WINDOW_S = 2.0
_REAL_TIME = 0.3  # [-] what PX4's sawtooth and stalls make of a rate that is 1


class LinkChecks:
    """Learns each topic's rate and the relation of the vehicle's clock to the twin's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rates: dict[type, Rate] = {}
        self._clock = ClockWatch(limits)

    def after_restart(self) -> LinkChecks:
        """Return checks for a vehicle whose clock restarted, which CON-CLK-1 still has to say."""
        fresh = LinkChecks(self._limits)
        fresh._clock = self._clock
        return fresh

    def on(self, value: Sample | TwinState) -> None:
        """Take any value."""
        kind = type(value)
        if kind not in _PERIODIC:
            return
        rate = self._rates.get(kind)
        if rate is None:
            rate = self._rates[kind] = Rate(self._limits.learn_count)
        rate.on(value.received_ns)
        if kind is Attitude or (kind is Imu and Attitude not in self._rates):
            self._clock.on(value.stamp_ns, value.received_ns)

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the two findings."""
        return [self._link(seen, now_ns), self._clock.check(seen, now_ns)]

    def _link(self, seen: Evidence, now_ns: int) -> Finding:
        limits = self._limits
        known = {_PERIODIC[kind]: rate for kind, rate in self._rates.items() if rate.known}
        if not known:
            return unknown(LINK, "no topic heard for long enough")
        # after a break slow topics get their time anew
        heard_s = seen.heard_s(now_ns) or float("inf")
        ratios = {
            name: min(rate.age_s(now_ns), heard_s)
            / rate.limit_s(
                _SLOW_AGE_S if name in _SLOW else limits.link_age_s, limits.silent_periods
            )
            for name, rate in known.items()
        }
        silent = sorted(name for name, ratio in ratios.items() if not ratio <= 1.0)
        worst = max(ratios, key=lambda name: ratios[name])
        # topics reach their limits one after the other: judge by all that are fast
        fast = [ratio for name, ratio in ratios.items() if known[name].mean_s < _FAST_S]
        all_silent = bool(silent) and len(fast) > 1 and min(fast) > 0.5
        symptoms = (_ALL,) if all_silent else tuple(f"{name} silent" for name in silent)
        since_ns = None
        if silent:
            first = min(known[name].last_ns or now_ns for name in silent)
            newest = max(rate.last_ns or 0 for rate in known.values())
            since_ns = seen.vehicle_ns(newest if all_silent else first)
        ages = np.array([known[worst].age_s(now_ns)])
        return judge(
            LINK,
            ratios[worst],
            1.0,
            (f"silent: {', '.join(silent)}; " if silent else "")
            + f"{worst} {ages[0]:.2f} s old, usually every {known[worst].mean_s:.2f} s",
            since_ns=since_ns,
            symptoms=symptoms,
            factors=(
                ContextFactor(
                    "link age", "physical", seen.vehicle_ns(now_ns), ages, np.zeros(1), "s"
                ),
            ),
        )


class ClockWatch:
    """Follows stamp against arrival: even running, whatever the rate; steps beyond the usual."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = 1.0  # [-] vehicle seconds per second; 1 but in simulation
        self._candidate = 1.0
        self._anchor: tuple[int, int] | None = None  # stamp, received: where the line starts
        self._window: tuple[int, int] | None = None  # where the rate is measured from
        self._residual_s = 0.0
        self._off_since: tuple[int, int] | None = None
        self._off_s = 0.0
        self._learned = False
        self.glitches = 0

    def on(self, stamp_ns: int, received_ns: int) -> None:
        """Take one sample's times."""
        if self._anchor is None or self._window is None:
            self._anchor = self._window = (stamp_ns, received_ns)
            return
        if not self._learned:
            self._follow(stamp_ns, received_ns)
            return
        predicted_s = self._rate * (received_ns - self._anchor[1]) / _NS
        residual_s = (stamp_ns - self._anchor[0]) / _NS - predicted_s
        self._residual_s = residual_s
        if abs(residual_s) > self._bound_s():
            self._off(stamp_ns, received_ns, residual_s)
            return
        if self._off_since is not None:
            self.glitches += 1
            self._off_since = None
        self._follow(stamp_ns, received_ns)

    def _bound_s(self) -> float:
        return self._limits.clock_jump_s * max(1.0, self._rate)

    def _follow(self, stamp_ns: int, received_ns: int) -> None:
        """Measure the rate over a window and move the line's start after it."""
        assert self._window is not None
        span_s = (received_ns - self._window[1]) / _NS
        if span_s < _RATE_WINDOW_S:
            return
        rate = (stamp_ns - self._window[0]) / _NS / span_s
        if abs(rate - 1.0) < _REAL_TIME:
            rate = 1.0
        # two windows must agree: a stall within one is not a rate
        if not self._learned or abs(rate - self._candidate) < 0.1 * abs(rate):
            self._rate = rate
        self._candidate = rate
        self._anchor = self._window = (stamp_ns, received_ns)
        self._learned = True

    def _off(self, stamp_ns: int, received_ns: int, residual_s: float) -> None:
        """Stay with the old line until the new one has lasted."""
        if self._off_since is None or abs(residual_s - self._off_s) > self._bound_s():
            self._off_since = (stamp_ns, received_ns)
            self._off_s = residual_s
        elif received_ns - self._off_since[1] > _SETTLE_S * _NS:
            self._anchor = self._window = (stamp_ns, received_ns)
            self._off_since = None
            self._residual_s = 0.0

    def check(self, seen: Evidence, now_ns: int) -> Finding:
        """Return CON-CLK-1."""
        limits = self._limits
        if not self._learned:
            return unknown(CLOCK, "the clock's rate is not yet known")
        timesync = seen.timesync
        trip_s = timesync.round_trip_s if timesync is not None else 0.0
        residual_s = self._residual_s
        symptoms = ("clock ahead",) if residual_s > 0.0 else ("clock behind",)
        if not trip_s <= limits.round_trip_max_s:
            symptoms = ("slow round trip",)
        lag_s = 0.0
        if seen.newest is not None:
            lag_s = (seen.newest.received_ns - seen.newest.stamp_ns) / _NS
        return judge(
            CLOCK,
            float(np.max([abs(residual_s) / self._bound_s(), trip_s / limits.round_trip_max_s])),
            1.0,
            f"stamps {residual_s:+.2f} s against the clock's usual run at {self._rate:.2f} "
            f"({self._bound_s():.1f} s allowed), arrival minus stamp {lag_s:.2f} s, round trip "
            f"{trip_s:.3f} s, {self.glitches} passing glitches",
            since_ns=None if self._off_since is None else self._off_since[0],
            symptoms=symptoms,
            factors=(
                ContextFactor(
                    "clock", "physical", seen.vehicle_ns(now_ns), np.array([residual_s]),
                    np.zeros(1), "s",
                ),
            ),
        )  # fmt: skip
