# SPDX-License-Identifier: Apache-2.0
"""What a replay leaves for summary and report: columns of numbers, runs of verdicts, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import (
    Array,
    Attitude,
    Barometer,
    Battery,
    Deviation,
    GnssFix,
    Health,
    Identification,
    Imu,
    LandDetected,
    LocalPosition,
    Origin,
    Report,
    Sample,
    TwinState,
    VehicleStatus,
    Verdict,
)

_NS = 1e-9
_CLOCK_PERIOD_NS = 100_000_000
_WIND_PERIOD_S = 0.2


@dataclass(slots=True)
class Run:
    """One verdict of one factor over a stretch of time [s from the log's first sample]."""

    begin_s: float
    end_s: float
    verdict: Verdict


@dataclass(slots=True)
class HealthRun:
    """One health of one sensor over a stretch of time [s from the log's first sample]."""

    begin_s: float
    end_s: float
    health: Health


@dataclass(slots=True)
class Judged:
    """One requirement over the flight: runs of its verdict, and statistic over limit at ticks."""

    requirement: str
    factor: str
    runs: list[Run] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    since_tick: int = 0


@dataclass(slots=True)
class History:
    """Takes everything in the order of replay. Times are seconds from ``start_ns``, received.

    ``aircraft``: name of the aircraft file that was used, "" if the aircraft is unknown.
    """

    start_ns: int
    aircraft: str = ""
    twin: list[tuple[Any, ...]] = field(default_factory=list)
    fusions: dict[str, list[tuple[float, float, int, bool]]] = field(default_factory=dict)
    fused: dict[str, dict[str, int]] = field(default_factory=dict)
    px4_position: list[tuple[Any, ...]] = field(default_factory=list)
    px4_attitude: list[tuple[Any, ...]] = field(default_factory=list)
    gnss: list[tuple[Any, ...]] = field(default_factory=list)
    barometer: list[tuple[float, float]] = field(default_factory=list)
    battery: list[tuple[float, float, float, float]] = field(default_factory=list)
    modes: list[tuple[float, int, bool, bool]] = field(default_factory=list)
    landed: list[tuple[float, bool]] = field(default_factory=list)
    judged: dict[str, Judged] = field(default_factory=dict)
    ticks_s: list[float] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    deviations: dict[str, Deviation] = field(default_factory=dict)
    wind: list[tuple[float, ...]] = field(default_factory=list)
    health: dict[str, list[HealthRun]] = field(default_factory=dict)
    notices: list[tuple[float, str]] = field(default_factory=list)
    identified: list[tuple[float, Identification]] = field(default_factory=list)
    origin: Origin | None = None
    _clock: list[tuple[int, int]] = field(default_factory=list)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    _notice: str = ""

    def on_sample(self, sample: Sample) -> None:
        """Keep what is drawn or measured later."""
        keep = _KEEP.get(type(sample))
        if keep is not None:
            keep(self, (sample.received_ns - self.start_ns) * _NS, sample)

    def on_state(self, state: TwinState) -> None:
        """Keep one state of the twin, without its full covariance."""
        t = (state.received_ns - self.start_ns) * _NS
        if state.origin is not None:
            self.origin = state.origin
        sigma = np.sqrt(np.maximum(np.diagonal(state.covariance)[:9], 0.0))
        self.twin.append(
            (
                t,
                state.stamp_ns,
                *state.position_ned_m.tolist(),
                *state.velocity_ned_m_s.tolist(),
                *state.q_ned_frd.tolist(),
                *sigma.tolist(),
                state.horizontal_valid,
                state.vertical_valid,
            )
        )
        for fusion in state.fusions:
            refused = sum(fusion.rejected.values())
            before = self._seen.get(fusion.source)
            if before == (fusion.used, refused):
                continue
            self._seen[fusion.source] = (fusion.used, refused)
            if before is not None or fusion.used or refused:
                good = before is None or fusion.used > before[0]
                series = self.fusions.setdefault(fusion.source, [])
                series.append((t, fusion.nis, fusion.nis_dof, good))
                self.fused[fusion.source] = {"used": fusion.used, **fusion.rejected}

        self._on_findings(t, state)

    def _on_findings(self, t: float, state: TwinState) -> None:
        """Keep wind (``t, n, e, var n, cov, var e, valid``), health by source, and notices."""
        wind = state.wind
        if wind is not None and (not self.wind or t - self.wind[-1][0] >= _WIND_PERIOD_S - 1e-3):
            (var_n, cov), (_, var_e) = wind.covariance.tolist()
            north, east = wind.velocity_ne_m_s.tolist()
            self.wind.append((t, north, east, var_n, cov, var_e, float(wind.valid)))
        for one in state.health:
            runs = self.health.setdefault(one.source, [])
            if runs and runs[-1].health is one.health:
                runs[-1].end_s = t
            else:
                runs.append(HealthRun(runs[-1].end_s if runs else t, t, one.health))
        if state.notice != self._notice:
            self._notice = state.notice
            if state.notice:
                self.notices.append((t, state.notice))

    def on_identification(self, found: Identification) -> None:
        """Keep what is known of the aircraft."""
        self.identified.append(((found.received_ns - self.start_ns) * _NS, found))

    def on_report(self, now_ns: int, report: Report, changed: tuple[Deviation, ...]) -> None:
        """Keep the verdicts of one tick and what opened or closed."""
        t = (now_ns - self.start_ns) * _NS
        before = self.ticks_s[-1] if self.ticks_s else t
        self.ticks_s.append(t)
        self.verdicts.append(report.verdict)
        count = len(self.ticks_s)
        for check in report.checks:
            judged = self.judged.get(check.requirement)
            if judged is None:
                judged = Judged(check.requirement, check.factor, since_tick=count - 1)
                self.judged[check.requirement] = judged
            known = check.verdict is not Verdict.UNKNOWN and check.limit > 0.0
            judged.ratio.append(check.statistic / check.limit if known else float("nan"))
            runs = judged.runs
            if runs and runs[-1].verdict is check.verdict:
                runs[-1].end_s = t
            else:
                runs.append(Run(before, t, check.verdict))
        for deviation in (*changed, *report.open_deviations):
            self.deviations[deviation.id] = deviation

    def log_s(self, vehicle_ns: int) -> float:
        """Return the time in the log [s] of a stamp of the vehicle's clock."""
        clock = np.array(self._clock, dtype=np.int64)
        if len(clock) == 0:
            return 0.0
        index = int(np.searchsorted(np.maximum.accumulate(clock[:, 0]), vehicle_ns))
        index = min(index, len(clock) - 1)
        stamp_ns, received_ns = self._clock[index]
        at_ns = received_ns + (vehicle_ns - stamp_ns)
        return max(0.0, (at_ns - self.start_ns) * _NS)

    def vehicle_span_s(self) -> float:
        """Return how long the vehicle's clock ran [s]; 0 if it was set in between."""
        if len(self._clock) < 2 or any(
            b[0] < a[0] for a, b in zip(self._clock, self._clock[1:], strict=False)
        ):
            return 0.0
        return (self._clock[-1][0] - self._clock[0][0]) * _NS

    # --- columns --------------------------------------------------------------------------------

    def twin_columns(self) -> dict[str, Array]:
        """Return t (n,), position and velocity (n, 3), q (n, 4), sigma (n, 9), valid (n, 2)."""
        table = np.array(self.twin, dtype=np.float64).reshape(len(self.twin), 23)
        return {
            "t": table[:, 0],
            "position": table[:, 2:5],
            "velocity": table[:, 5:8],
            "q": table[:, 8:12],
            "sigma": table[:, 12:21],
            "valid": table[:, 21:23],
        }

    def twin_stamps(self) -> npt.NDArray[np.int64]:
        """Return (n,) [ns] of the vehicle's clock."""
        return np.array([row[1] for row in self.twin], dtype=np.int64)

    # --- one line for each kind of sample -------------------------------------------------------

    def _on_imu(self, t: float, sample: Imu) -> None:
        if not self._clock or sample.received_ns - self._clock[-1][1] >= _CLOCK_PERIOD_NS:
            self._clock.append((sample.stamp_ns, sample.received_ns))

    def _on_position(self, t: float, sample: LocalPosition) -> None:
        self.px4_position.append(
            (
                t,
                sample.stamp_ns,
                *sample.position_ned_m.tolist(),
                *sample.velocity_ned_m_s.tolist(),
                sample.xy_valid,
                sample.z_valid,
                sample.eph_m,
                sample.epv_m,
            )
        )

    def _on_attitude(self, t: float, sample: Attitude) -> None:
        self.px4_attitude.append((t, sample.stamp_ns, *sample.q_ned_frd.tolist()))

    def _on_gnss(self, t: float, sample: GnssFix) -> None:
        north = east = down = float("nan")
        if self.origin is not None and np.isfinite(sample.latitude_deg):
            north, east = px4_to_ned(
                self.origin, sample.latitude_deg, sample.longitude_deg
            ).tolist()
            down = self.origin.altitude_amsl_m - sample.altitude_amsl_m
        self.gnss.append((t, north, east, down, sample.fix_type, sample.satellites, sample.eph_m))

    def _on_barometer(self, t: float, sample: Barometer) -> None:
        self.barometer.append((t, sample.altitude_m))

    def _on_battery(self, t: float, sample: Battery) -> None:
        self.battery.append((t, sample.voltage_v, sample.current_a, sample.remaining))

    def _on_status(self, t: float, sample: VehicleStatus) -> None:
        state = (int(sample.nav_state), sample.armed, sample.failsafe)
        if not self.modes or self.modes[-1][1:] != state:
            self.modes.append((t, *state))

    def _on_landed(self, t: float, sample: LandDetected) -> None:
        if not self.landed or self.landed[-1][1] != sample.landed:
            self.landed.append((t, sample.landed))


_KEEP: dict[type, Any] = {
    Imu: History._on_imu,
    LocalPosition: History._on_position,
    Attitude: History._on_attitude,
    GnssFix: History._on_gnss,
    Barometer: History._on_barometer,
    Battery: History._on_battery,
    VehicleStatus: History._on_status,
    LandDetected: History._on_landed,
}
