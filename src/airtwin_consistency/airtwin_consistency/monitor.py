# SPDX-License-Identifier: Apache-2.0
"""The consistency monitor: values in, verdicts and deviations out. Pure: no clock, no I/O.

``on`` only caches; ``tick`` decides. The node and replay drive the same object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airtwin_consistency import (
    actuation,
    autopilot,
    barometer,
    factors,
    gnss,
    link,
    plausibility,
)
from airtwin_consistency.deviations import DeviationLog
from airtwin_consistency.evidence import Evidence
from airtwin_consistency.findings import Finding, Pace, Requirement
from airtwin_consistency.limits import Limits
from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    Battery,
    Check,
    Deviation,
    EstimatorFlags,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    MissionBelief,
    MotorCommands,
    Report,
    Sample,
    Timesync,
    TwinState,
    VehicleStatus,
    Verdict,
    VtolState,
)

REQUIREMENTS: tuple[Requirement, ...] = (
    factors.POSITION,
    factors.HEIGHT,
    plausibility.SOURCE,
    factors.VELOCITY,
    factors.TILT,
    factors.HEADING,
    plausibility.UPSET,
    gnss.LOST,
    gnss.JUMP,
    gnss.DRIFT,
    gnss.QUALITY,
    barometer.STOPPED,
    barometer.HEIGHT,
    plausibility.IMU,
    link.LINK,
    link.CLOCK,
    autopilot.RESET,
    autopilot.SWITCH,
    autopilot.MODE,
    autopilot.BATTERY,
    plausibility.PHASE,
    actuation.ACTUATION,
)
"""Every requirement, in the order of reports; README.md has them with statistic and limit."""

_AGREEMENT = frozenset(
    r.id for r in (factors.POSITION, factors.HEIGHT, factors.VELOCITY, factors.TILT)
)
"""Twin against aircraft: without one of these nothing shows that the two agree."""

_PACE: dict[str, Pace] = {requirement.id: requirement.pace for requirement in REQUIREMENTS}
_ORDER: dict[str, int] = {r.id: i for i, r in enumerate(REQUIREMENTS)}


class Monitor:
    """Judges one aircraft. Feed ``on`` in order of arrival, call ``tick`` every 0.1 s."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._log = DeviationLog(self._limits)
        self._link = link.LinkChecks(self._limits)
        self._last_ns: int | None = None  # of the newest tick
        self._closed: tuple[Deviation, ...] = ()  # by a restart, to be told at the next tick
        self._start()

    def _start(self) -> None:
        """Know nothing of the vehicle; what is open and the link's memory are kept elsewhere."""
        limits = self._limits
        self._seen = Evidence()
        self._motion = factors.MotionChecks(limits)
        self._plausibility = plausibility.PlausibilityChecks(limits)
        self._gnss = gnss.GnssChecks(limits)
        self._barometer = barometer.BarometerChecks(limits)
        self._autopilot = autopilot.AutopilotChecks(limits)
        self._actuation = actuation.ActuationChecks(limits)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Imu: self._on_imu,
            GnssFix: self._on_gnss,
            Barometer: self._on_barometer,
            Airspeed: self._on_airspeed,
            MotorCommands: self._on_motors,
            Attitude: self._on_attitude,
            LocalPosition: self._on_position,
            VehicleStatus: self._on_status,
            VtolState: self._on_vtol,
            LandDetected: self._on_landed,
            Battery: self._on_battery,
            EstimatorFlags: self._on_flags,
            Timesync: self._on_timesync,
            TwinState: self._on_twin,
        }

    def on(self, value: Sample | TwinState | MissionBelief) -> None:
        """Take one value; kinds that no check uses are ignored."""
        if isinstance(value, MissionBelief):
            return
        self._link.on(value)
        handler = self._handlers.get(type(value))
        if handler is not None:
            handler(value)
            if not isinstance(value, TwinState):
                self._seen.hear(value)

    def tick(self, now_ns: int) -> tuple[Report, tuple[Deviation, ...]]:
        """Judge everything at ``now_ns`` of the clock of arrival.

        Returns the report and the deviations that opened or closed since the last tick. The
        report is inconsistent while a deviation is open, unknown without evidence that twin and
        aircraft agree. A clock that runs back (a simulation starts over, a bag loops) starts the
        monitor over.
        """
        if self._last_ns is not None and now_ns < self._last_ns:
            self.restart()
            self._link = link.LinkChecks(self._limits)
        self._last_ns = now_ns
        findings = self._findings(now_ns)
        vehicle_ns = self._seen.vehicle_ns(now_ns)
        paced = [(finding, _PACE[finding.check.requirement]) for finding in findings]
        changed = self._closed + self._log.update(paced, now_ns, vehicle_ns)
        self._closed = ()
        checks = tuple(finding.check for finding in findings)
        newest = self._seen.newest
        report = Report(
            stamp_ns=0 if newest is None else newest.stamp_ns,
            verdict=self._verdict(checks),
            checks=checks,
            factors=tuple(factor for finding in findings for factor in finding.factors),
            open_deviations=self._log.open,
        )
        return report, changed

    def _verdict(self, checks: tuple[Check, ...]) -> Verdict:
        if self._log.open:
            return Verdict.INCONSISTENT
        failing = any(check.verdict is Verdict.INCONSISTENT for check in checks)
        agreeing = any(
            check.requirement in _AGREEMENT and check.verdict is Verdict.CONSISTENT
            for check in checks
        )
        if agreeing and not failing and not self._log.forgotten:
            return Verdict.CONSISTENT
        return Verdict.UNKNOWN

    def restart(self) -> None:
        """Begin anew because the vehicle's clock restarted (``Intake.epoch`` rose).

        Call before the first value of the new clock. What is open closes when the vehicle was
        last heard, and comes with the next tick; ids go on.
        """
        newest = self._seen.newest
        self._closed += self._log.restart(0 if newest is None else newest.stamp_ns)
        self._link = self._link.after_restart()
        self._start()

    def finish(self, now_ns: int) -> tuple[Deviation, ...]:
        """Return what is still open at ``now_ns``: nothing is closed silently, ends are None."""
        return self._log.open

    def _findings(self, now_ns: int) -> list[Finding]:
        seen = self._seen
        findings = [
            *self._motion.check(seen, now_ns),
            *self._plausibility.check(seen, now_ns),
            *self._gnss.check(seen, now_ns),
            *self._barometer.check(seen, now_ns),
            *self._link.check(seen, now_ns),
            *self._autopilot.check(seen, now_ns),
            self._actuation.check(seen, now_ns),
        ]
        return sorted(findings, key=lambda finding: _ORDER[finding.check.requirement])

    # --- one line for each kind of value --------------------------------------------------------

    def _on_imu(self, sample: Imu) -> None:
        self._seen.imu = sample

    def _on_gnss(self, sample: GnssFix) -> None:
        self._seen.gnss = sample
        self._gnss.on_fix(sample)
        self._plausibility.on_fix(sample)

    def _on_barometer(self, sample: Barometer) -> None:
        self._seen.barometer = sample
        self._barometer.on_barometer(sample)

    def _on_airspeed(self, sample: Airspeed) -> None:
        self._seen.airspeed = sample

    def _on_motors(self, sample: MotorCommands) -> None:
        self._actuation.on_motors(sample, self._seen)

    def _on_attitude(self, sample: Attitude) -> None:
        self._seen.attitude = sample

    def _on_position(self, sample: LocalPosition) -> None:
        self._seen.position = sample
        self._autopilot.on_position(sample)
        self._plausibility.on_position(sample)

    def _on_status(self, sample: VehicleStatus) -> None:
        self._seen.status = sample
        self._autopilot.on_status(sample)

    def _on_vtol(self, sample: VtolState) -> None:
        self._seen.vtol = sample
        self._autopilot.on_vtol(sample)

    def _on_landed(self, sample: LandDetected) -> None:
        self._seen.landed = sample

    def _on_battery(self, sample: Battery) -> None:
        self._seen.battery = sample
        self._autopilot.on_battery(sample)

    def _on_flags(self, sample: EstimatorFlags) -> None:
        self._seen.flags = sample

    def _on_timesync(self, sample: Timesync) -> None:
        self._seen.timesync = sample

    def _on_twin(self, state: TwinState) -> None:
        self._seen.twins.append(state)
        self._gnss.on_twin(state)
        self._barometer.on_twin(state)
        self._actuation.on_twin(state)
