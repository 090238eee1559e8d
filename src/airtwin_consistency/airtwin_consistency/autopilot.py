# SPDX-License-Identifier: Apache-2.0
"""What the autopilot itself declares or does to its estimate: resets, failsafe, battery.

CON-RST-1, CON-RST-2, CON-MOD-1, CON-BAT-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_consistency.evidence import Evidence
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core.types import (
    Battery,
    ContextFactor,
    LocalPosition,
    NavState,
    VehicleStatus,
    VtolState,
)

RESET = Requirement("CON-RST-1", "estimator reset", Pace.FACT)
SWITCH = Requirement("CON-RST-2", "estimator switch", Pace.FACT)
MODE = Requirement("CON-MOD-1", "mode", Pace.FACT)
BATTERY = Requirement("CON-BAT-1", "battery", Pace.FACT)

_NS = 1_000_000_000
_EMERGENCY_MODES = {
    NavState.DESCEND: "descends without position",
    NavState.TERMINATION: "terminates the flight",
}
_CHARGING = 6  # PX4 1.16 and later: no warning
_BATTERY_HOLD_S = 20.0
_WARNINGS = ("none", "low", "critical", "emergency", "failed", "unhealthy", "charging")


@dataclass(frozen=True, slots=True)
class _Moved:
    """PX4 moved its estimate: how far in units of what is allowed, which one, in words."""

    stamp_ns: int
    received_ns: int
    ratio: float
    symptom: str
    evidence: str


class AutopilotChecks:
    """Watches reset counters; the rest is read from the newest samples."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last: LocalPosition | None = None
        self._moved: _Moved | None = None
        self._switched: tuple[int, int] | None = None  # stamp, received
        self._failed_transition: int | None = None  # stamp of the alarm
        self._failsafe_since: int | None = None
        self._warning = 0  # highest of late
        self._warned_since: int | None = None  # stamp
        self._warned_ns = 0  # arrival of the newest

    # --- samples in -----------------------------------------------------------------------------

    def on_position(self, sample: LocalPosition) -> None:
        """Compare the reset counters with those of the sample before."""
        last, self._last = self._last, sample
        if last is None:
            return
        xy = sample.xy_reset_counter != last.xy_reset_counter
        z = sample.z_reset_counter != last.z_reset_counter
        heading = sample.heading_reset_counter != last.heading_reset_counter
        speed = sample.vxy_reset_counter != last.vxy_reset_counter
        climb = sample.vz_reset_counter != last.vz_reset_counter
        if xy and z and heading and speed and climb:
            self._switched = (sample.stamp_ns, sample.received_ns)
        moves = []
        if xy and last.xy_valid and sample.xy_valid:
            moves.append(self._xy(last, sample))
        if z and last.z_valid and sample.z_valid:
            moves.append(self._z(last, sample))
        if heading:
            moves.append(self._heading(sample))
        for move in moves:
            recent = self._moved is not None and self._recent(self._moved, sample.received_ns)
            # NaN from a broken delta is worse than any number
            if not recent or self._moved is None or not move.ratio <= self._moved.ratio:
                self._moved = move

    def _recent(self, move: _Moved, now_ns: int) -> bool:
        return now_ns - move.received_ns <= self._limits.hold_s * _NS

    def _xy(self, last: LocalPosition, sample: LocalPosition) -> _Moved:
        limits = self._limits
        claim = last.eph_m if np.isfinite(last.eph_m) else 0.0
        allowed = max(limits.reset_xy_m, limits.reset_sigmas * claim)
        moved = float(np.hypot(*sample.delta_xy_m))
        return _Moved(
            sample.stamp_ns,
            sample.received_ns,
            moved / allowed,
            "position reset",
            f"PX4 moved its position by {moved:.1f} m, having claimed {claim:.1f} m",
        )

    def _z(self, last: LocalPosition, sample: LocalPosition) -> _Moved:
        limits = self._limits
        claim = last.epv_m if np.isfinite(last.epv_m) else 0.0
        allowed = max(limits.reset_z_m, limits.reset_sigmas * claim)
        return _Moved(
            sample.stamp_ns,
            sample.received_ns,
            abs(sample.delta_z_m) / allowed,
            "height reset",
            f"PX4 moved its height by {-sample.delta_z_m:+.1f} m, having claimed {claim:.1f} m",
        )

    def _heading(self, sample: LocalPosition) -> _Moved:
        return _Moved(
            sample.stamp_ns,
            sample.received_ns,
            abs(sample.delta_heading_rad) / self._limits.reset_heading_rad,
            "heading reset",
            f"PX4 turned its heading by {np.degrees(sample.delta_heading_rad):+.0f} deg",
        )

    def on_status(self, sample: VehicleStatus) -> None:
        """Note when an emergency began."""
        emergency = sample.armed and (sample.failsafe or sample.nav_state in _EMERGENCY_MODES)
        if not emergency:
            self._failsafe_since = None
        elif self._failsafe_since is None:
            self._failsafe_since = sample.stamp_ns

    def on_vtol(self, sample: VtolState) -> None:
        """Note when PX4 gave up on its wing."""
        if not sample.fixed_wing_failure:
            self._failed_transition = None
        elif self._failed_transition is None:
            self._failed_transition = sample.stamp_ns

    def on_battery(self, sample: Battery) -> None:
        """Hold a warning: under changing load PX4's comes and goes."""
        if self._limits.battery_warning < sample.warning < _CHARGING:
            if self._warned_since is None:
                self._warned_since = sample.stamp_ns
            self._warning = max(self._warning, sample.warning)
            self._warned_ns = sample.received_ns
        elif sample.received_ns - self._warned_ns > _BATTERY_HOLD_S * _NS:
            self._warning = 0
            self._warned_since = None

    # --- findings out ---------------------------------------------------------------------------

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the four findings."""
        return [
            self._reset(seen, now_ns),
            self._switch(seen, now_ns),
            self._mode(seen, now_ns),
            self._battery(seen, now_ns),
        ]

    def _reset(self, seen: Evidence, now_ns: int) -> Finding:
        if not seen.current(self._last, now_ns):
            return unknown(RESET, "no position of PX4")
        if not seen.flying:
            return unknown(RESET, "not flying: PX4 aligns on the ground")
        moved = self._moved
        if moved is None or not self._recent(moved, now_ns):
            return judge(RESET, 0.0, 1.0, "PX4 moves its estimate continuously")
        return judge(
            RESET,
            moved.ratio,
            1.0,
            moved.evidence,
            since_ns=moved.stamp_ns,
            symptoms=(moved.symptom,),
        )

    def _switch(self, seen: Evidence, now_ns: int) -> Finding:
        if not seen.current(self._last, now_ns):
            return unknown(SWITCH, "no position of PX4")
        if not seen.flying:
            return unknown(SWITCH, "not flying")
        switched = self._switched
        if switched is None or now_ns - switched[1] > self._limits.hold_s * _NS:
            return judge(SWITCH, 0.0, 0.0, "the same estimate throughout")
        return judge(
            SWITCH,
            1.0,
            0.0,
            "position, velocity and heading were reset in one message",
            since_ns=switched[0],
            symptoms=("estimator switched",),
        )

    def _mode(self, seen: Evidence, now_ns: int) -> Finding:
        status = seen.status
        if status is None or not seen.current(status, now_ns):
            return unknown(MODE, "no vehicle status")
        if seen.flying is None and not status.armed:
            return unknown(MODE, "not known to fly")
        none = np.empty(0)
        mode = str(status.nav_state)
        factor = ContextFactor("mode", "physical", status.stamp_ns, none, none, "", mode)
        symptoms, words = [], []
        since = [t for t in (self._failed_transition, self._failsafe_since) if t is not None]
        if self._failed_transition is not None and status.armed:
            symptoms.append("transition failed")
            words.append("PX4 gave up wing flight (quad-chute)")
        if self._failsafe_since is not None and seen.flying is not False:
            symptoms.append("failsafe")
            words.append(
                f"PX4 {_EMERGENCY_MODES.get(NavState(status.nav_state), 'is in failsafe')}"
                if status.nav_state in _EMERGENCY_MODES
                else "PX4 is in failsafe"
            )
        return judge(
            MODE,
            float(len(symptoms)),
            0.0,
            f"{', '.join(words) or 'no failsafe'}; navigation state {status.nav_state}",
            since_ns=min(since) if since else None,
            symptoms=tuple(symptoms),
            factors=(factor,),
        )

    def _battery(self, seen: Evidence, now_ns: int) -> Finding:
        battery = seen.battery
        if battery is None or not seen.current(battery, now_ns):
            return unknown(BATTERY, "no battery status")
        if not seen.flying:
            return unknown(BATTERY, "not flying")
        word = _WARNINGS[min(max(self._warning, 0), len(_WARNINGS) - 1)]
        volts = np.array([battery.voltage_v])
        factor = ContextFactor("battery", "physical", battery.stamp_ns, volts, np.zeros(1), "V")
        return judge(
            BATTERY,
            float(self._warning),
            float(self._limits.battery_warning),
            f"PX4's warning: {word}; {battery.voltage_v:.2f} V, "
            f"{100.0 * battery.remaining:.0f} % left",
            since_ns=self._warned_since,
            symptoms=("battery low",),
            factors=(factor,),
        )
