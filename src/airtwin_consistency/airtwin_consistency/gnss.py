# SPDX-License-Identifier: Apache-2.0
"""Is there GNSS, is it good, and is it true? CON-GNS-1 to CON-GNS-4.

A receiver measures position and Doppler velocity by different means, and the twin knows the
aircraft's acceleration from its IMU. A spoofer or a reflection that moves the position has to move
all three alike; a step and a drift of the position alone show against Doppler, a false velocity
shows as a step of the twin's innovations when it begins (a faulty IMU makes a ramp). Where fixes
come without Doppler, the twin's velocity takes its place, by its own claim. A false
velocity that grows more slowly than the twin can tell from errors of its IMU is seen by none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_consistency.detectors import Rate, Window
from airtwin_consistency.evidence import Evidence
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.innovations import Innovations, Sign
from airtwin_consistency.limits import Limits
from airtwin_core import geodesy
from airtwin_core.types import VEL, Array, ContextFactor, GnssFix, Origin, TwinState

LOST = Requirement("CON-GNS-1", "gnss availability", Pace.FACT)
JUMP = Requirement("CON-GNS-2", "gnss jump", Pace.FACT)
DRIFT = Requirement("CON-GNS-3", "gnss drift", Pace.ALARM)
QUALITY = Requirement("CON-GNS-4", "gnss quality", Pace.COMPARISON)

_NS = 1_000_000_000
_FIX_3D = 3
_STEP_MAX_S = 3.0  # a longer gap between fixes says nothing about jumps
_FIXES_BEFORE_LOSS = 5


@dataclass(frozen=True, slots=True)
class _Velocity:
    """Velocity (3,) [m/s] NED that should explain a step, with the 1-sigma that is not noise."""

    received_ns: int
    ned_m_s: Array
    sigma_m_s: float


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of the position beyond what velocity explains; ratio [-] to its limit."""

    stamp_ns: int
    received_ns: int
    ratio: float
    evidence: str


class GnssChecks:
    """Remembers fixes and the twin's innovations; judges on ``check``."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rate = Rate(limits.learn_count)
        self._last: GnssFix | None = None  # newest 3D fix
        self._fixes = 0
        self._steps = Window(limits.drift_window_s)
        self._by_doppler = True  # the steps in the window are against Doppler
        self._explained: _Velocity | None = None  # at the newest fix
        self._velocity: _Velocity | None = None  # the twin's newest
        self._newest: _Step | None = None
        self._jump: _Step | None = None
        self._innovations = Innovations(limits)

    def on_fix(self, fix: GnssFix) -> None:
        """Take a fix: step of the position against the velocity between."""
        self._rate.on(fix.received_ns)
        if fix.fix_type < _FIX_3D:
            return
        last, self._last = self._last, fix
        self._fixes += 1
        before, now = self._explained, self._velocity_at(fix)
        self._explained = now
        by_doppler = fix.velocity_ned_m_s is not None
        if by_doppler != self._by_doppler:
            self._by_doppler = by_doppler
            self._steps.clear()
        if last is None or before is None or now is None:
            self._steps.clear()
            return
        dt_s = (fix.stamp_ns - last.stamp_ns) / _NS
        if not 0.0 < dt_s <= _STEP_MAX_S:
            self._steps.clear()
            return
        step = _moved(last, fix) - 0.5 * (before.ned_m_s + now.ned_m_s) * dt_s
        self._steps.add(fix.received_ns, step)
        ratio, evidence = self._jump_ratio(last, fix, step, dt_s, before, now)
        self._newest = _Step(fix.stamp_ns, fix.received_ns, ratio, evidence)
        if not ratio <= 1.0:
            self._jump = self._newest
            self._steps.clear()  # one event, not a drift as well

    def _velocity_at(self, fix: GnssFix) -> _Velocity | None:
        """Return Doppler, or what the twin believes if the fix comes without."""
        if fix.velocity_ned_m_s is not None:
            return _Velocity(fix.received_ns, fix.velocity_ned_m_s, 0.0)
        twin = self._velocity
        if twin is None or abs(fix.received_ns - twin.received_ns) > self._limits.fresh_s * _NS:
            return None
        return twin

    def _jump_ratio(
        self,
        last: GnssFix,
        fix: GnssFix,
        step: Array,
        dt_s: float,
        before: _Velocity,
        now: _Velocity,
    ) -> tuple[float, str]:
        limits = self._limits
        change = now.ned_m_s - before.ned_m_s
        speed = float(np.linalg.norm(now.ned_m_s))
        # what a curved path and a stamp that PX4 shifted by its sawtooth can add
        blur = 0.25 * float(np.linalg.norm(change)) * dt_s + limits.stamp_error_s * speed
        blur += limits.jump_sigmas * max(before.sigma_m_s, now.sigma_m_s) * dt_s
        eph_m, epv_m = self._claim(last.eph_m, fix.eph_m), self._claim(last.epv_m, fix.epv_m)
        across = float(np.hypot(step[0], step[1]))
        allowed_xy = limits.jump_floor_m + limits.jump_sigmas * eph_m + blur
        allowed_z = limits.jump_floor_m + limits.jump_sigmas * epv_m + blur
        ratio = float(np.max([across / allowed_xy, abs(float(step[2])) / allowed_z]))
        return ratio, (
            f"position moved {across:.1f} m horizontally, {abs(step[2]):.1f} m vertically more "
            f"than {self._whose} velocity explains; {allowed_xy:.1f} m, {allowed_z:.1f} m allowed"
        )

    @property
    def _whose(self) -> str:
        return "its Doppler" if self._by_doppler else "the twin's"

    def _claim(self, *claims_m: float) -> float:
        """Return the worst claim [m]; none at all is not a claim of perfection."""
        unclaimed = self._limits.unclaimed_position_m
        return max(unclaimed if np.isnan(claim) else claim for claim in claims_m)

    def on_twin(self, twin: TwinState) -> None:
        """Take the twin's newest GNSS velocity innovation, and its velocity."""
        last = self._last
        self._velocity = None
        if twin.velocity_valid:
            sigma = float(np.sqrt(np.diagonal(twin.covariance)[VEL].max()))
            self._velocity = _Velocity(twin.received_ns, twin.velocity_ned_m_s, sigma)
        accuracy = float("nan") if last is None else last.speed_accuracy_m_s
        self._innovations.on_twin(twin, accuracy)

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the four findings."""
        return [
            self._lost(seen, now_ns),
            self._jumped(seen, now_ns),
            self._drifting(seen, now_ns),
            self._quality(seen, now_ns),
        ]

    def _lost(self, seen: Evidence, now_ns: int) -> Finding:
        limits, last = self._limits, self._last
        if last is None or self._fixes < _FIXES_BEFORE_LOSS:
            return unknown(LOST, "no 3D fix so far")
        if not seen.flying:
            return unknown(LOST, "not flying")
        age_s = (now_ns - last.received_ns) / _NS
        allowed_s = max(limits.gnss_age_s, limits.gnss_lost_periods * self._rate.mean_s)
        if age_s > allowed_s >= seen.heard_s(now_ns):
            return unknown(LOST, "nothing else is heard either")
        silent = self._rate.age_s(now_ns) > allowed_s
        what = "no message" if silent else "messages without 3D fix"
        factor = ContextFactor(
            "gnss availability", "sensor", last.stamp_ns, np.array([age_s]), np.zeros(1), "s"
        )
        return judge(
            LOST,
            age_s,
            allowed_s,
            f"last 3D fix {age_s:.1f} s ago ({what} since)" if age_s > allowed_s else
            f"3D fix {age_s:.1f} s ago",
            since_ns=last.stamp_ns,
            symptoms=("gnss lost",),
            factors=(factor,),
        )  # fmt: skip

    def _jumped(self, seen: Evidence, now_ns: int) -> Finding:
        if seen.flying is False:
            return unknown(JUMP, "on the ground: receivers settle")
        step = self._newest
        if step is None or now_ns - step.received_ns > _STEP_MAX_S * _NS:
            return unknown(JUMP, "no two fixes, or no velocity between them")
        jump = self._jump
        if jump is not None and now_ns - jump.received_ns <= self._limits.hold_s * _NS:
            step = jump
        return judge(
            JUMP, step.ratio, 1.0, step.evidence, since_ns=step.stamp_ns, symptoms=("gnss jump",)
        )

    def _drifting(self, seen: Evidence, now_ns: int) -> Finding:
        last = self._last
        if not seen.flying or last is None:
            return unknown(DRIFT, "not flying" if last is not None else "no 3D fix so far")
        signs = [
            sign
            for sign in (
                self._against_velocity(last, now_ns),
                self._innovations.step(now_ns),
                self._innovations.sustained(now_ns, last.speed_accuracy_m_s),
            )
            if sign is not None
        ]
        if not signs:
            return unknown(DRIFT, "not enough fixes with velocity")
        worst = max(signs, key=lambda sign: sign.ratio)
        if any(np.isnan(sign.ratio) for sign in signs):
            worst = next(sign for sign in signs if np.isnan(sign.ratio))
        return judge(
            DRIFT,
            worst.ratio,
            1.0,
            worst.evidence,
            since_ns=seen.vehicle_ns(now_ns) - now_ns + worst.since_ns,
            symptoms=tuple(sign.symptom for sign in signs if not sign.ratio <= 1.0),
        )

    def _against_velocity(self, last: GnssFix, now_ns: int) -> Sign | None:
        """Return how far the position has wandered from the integral of the velocity."""
        limits = self._limits
        span_s = self._steps.span_s
        if span_s < 0.5 * limits.drift_window_s:
            return None
        if now_ns - self._steps.last_ns > _STEP_MAX_S * _NS:
            return None
        total = self._steps.total()
        # the claimed error wanders as a first-order Markov process
        wander = np.sqrt(2.0 * (1.0 - np.exp(-span_s / limits.gnss_wander_s)))
        accuracy = last.speed_accuracy_m_s if np.isfinite(last.speed_accuracy_m_s) else 0.5
        # neighbouring Doppler errors are alike for about a second
        walk = accuracy * np.sqrt(span_s)
        if not self._by_doppler and self._velocity is not None:
            walk = self._velocity.sigma_m_s * span_s  # the twin's error lasts
        claims = np.array([self._claim(last.eph_m), self._claim(last.epv_m)])
        sigma = np.hypot(wander * claims, walk)
        allowed = limits.drift_floor_m + limits.drift_sigmas * sigma
        across, up = float(np.hypot(total[0], total[1])), abs(float(total[2]))
        return Sign(
            float(np.max([across / allowed[0], up / allowed[1]])),
            self._steps.first_ns,
            "gnss drift",
            f"over {span_s:.0f} s the position moved {across:.1f} m horizontally, {up:.1f} m "
            f"vertically against {self._whose} velocity ({allowed[0]:.1f}, {allowed[1]:.1f} "
            "allowed)",
        )

    def _quality(self, seen: Evidence, now_ns: int) -> Finding:
        limits, last = self._limits, self._last
        if last is None or now_ns - last.received_ns > _STEP_MAX_S * _NS:
            return unknown(QUALITY, "no 3D fix")
        if not seen.flying:
            return unknown(QUALITY, "not flying")
        claims = np.array([last.eph_m, last.epv_m, last.speed_accuracy_m_s])
        most = np.array([limits.eph_max_m, limits.epv_max_m, limits.speed_accuracy_max_m_s])
        claimed = ~np.isnan(claims)  # an infinite claim is one: that of no accuracy at all
        if not claimed.any():
            return unknown(QUALITY, "the receiver claims no accuracy")
        ratio = float(np.max(claims[claimed] / most[claimed]))
        return judge(
            QUALITY,
            ratio,
            1.0,
            f"the receiver claims {claims[0]:.1f} m horizontal, {claims[1]:.1f} m vertical, "
            f"{claims[2]:.1f} m/s with {last.satellites} satellites",
            since_ns=last.stamp_ns,
            symptoms=("gnss poor",),
        )


def _moved(a: GnssFix, b: GnssFix) -> Array:
    """Return (3,) [m] NED from ``a`` to ``b``."""
    origin = Origin(a.latitude_deg, a.longitude_deg, a.altitude_amsl_m)
    north, east = geodesy.px4_to_ned(origin, b.latitude_deg, b.longitude_deg)
    return np.array([north, east, a.altitude_amsl_m - b.altitude_amsl_m])
