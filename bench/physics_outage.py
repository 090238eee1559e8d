# SPDX-License-Identifier: Apache-2.0
"""GNSS taken away for 30 s in flight: how far the twin drifts, with and without the model.

Outages are cut into every flight of ``../shared`` that leaves room for them: GNSS had been good
for ``SETTLED_S``, the aircraft had been in the air for ``AIRBORNE_S`` and stays there, and there
is a reference at the end: the truth, else the fixes that were withheld, if they claim 3 m or
better (less the delay of the receiver that suits the twin best over the undisturbed flight). They
begin every ``STEP_S`` and so overlap; all samples but GNSS go on.

- ``outages``: one row each: ``flight``; ``start_s`` [s of the vehicle's clock since its first
  sample]; ``reference`` (truth or gnss); ``drift_twin_m``, horizontal position error at the end;
  ``drift_inertial_m``, the same estimator with ``model_aiding`` off from the flight's beginning,
  so that only inertial sensors, barometer and compass are left in the outage; ``ratio`` of both;
  ``speed_m_s``, mean ground speed; ``inside``, whether the error lies in the twin's own 95 %
  ellipse.
- ``outage_drift_ratio_median``: of ``ratio`` over all outages; ``outage_drift_ratio_flights``: the
  median over flights of each flight's median, so that long flights count no more than short ones.
- ``outage_drift_worst_m``: largest ``drift_twin_m``; ``outage_drift_median_m`` and
  ``outage_drift_inertial_median_m``.
- ``outage_inside_share``: share of ``inside``; honest is 0.95.
"""

from __future__ import annotations

import copy
import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_core import stats
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, GnssFix, Imu, LandDetected, TwinState
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_record import errors
from bench import physics_logs
from bench.physics_flights import Flight, flights, states

OUTAGE_S, STEP_S = 30.0, 10.0
SETTLED_S, AIRBORNE_S = 10.0, 5.0
REFERENCE_EPH_M = 3.0
REFERENCE_GAP_S = 2.0  # fixes of a log at 1 Hz, some lost
ELLIPSE = stats.chi2_limit(2, 0.95)


def measure(console: Console) -> dict[str, Any]:
    """Return the figures of all outages.

    Raises:
        NoData: no recordings are at hand.
    """
    warm_up()
    rows = []
    for flight in flights():
        found = outages(flight)
        if found:
            mean = statistics.median(row["ratio"] for row in found)
            console.print(
                f"  {flight.name}: {len(found)} outages, median ratio {mean:.2f}", highlight=False
            )
        rows += found
    return {"outages": rows, **summary(rows)}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures over all rows; null where there are none."""
    if not rows:
        return dict.fromkeys(
            (
                "outage_drift_ratio_median",
                "outage_drift_ratio_flights",
                "outage_drift_median_m",
                "outage_drift_inertial_median_m",
                "outage_drift_worst_m",
                "outage_inside_share",
            )
        )
    flown: dict[str, list[float]] = {}
    for row in rows:
        flown.setdefault(row["flight"], []).append(row["ratio"])
    per_flight = [statistics.median(ratios) for ratios in flown.values()]
    return {
        "outage_drift_ratio_median": round(statistics.median(row["ratio"] for row in rows), 3),
        "outage_drift_ratio_flights": round(statistics.median(per_flight), 3),
        "outage_drift_median_m": statistics.median(row["drift_twin_m"] for row in rows),
        "outage_drift_inertial_median_m": statistics.median(
            row["drift_inertial_m"] for row in rows
        ),
        "outage_drift_worst_m": max(row["drift_twin_m"] for row in rows),
        "outage_inside_share": round(statistics.mean(row["inside"] for row in rows), 3),
    }


@dataclass(frozen=True, slots=True)
class Cut:
    """One outage: after the sample at index ``begin`` until the one at ``end``."""

    begin: int
    end: int
    begin_ns: int
    end_ns: int


def outages(flight: Flight) -> list[dict[str, Any]]:
    """Return one row for each outage that fits into the flight."""
    cuts = places(flight)
    if not cuts:
        return []
    undisturbed = states(Estimator(), flight.samples)
    reference = _Reference(flight, undisturbed)
    cuts = [cut for cut in cuts if reference.at(cut.end_ns, undisturbed[-1]) is not None]
    bare = _inertial_config()
    aided = _fly(flight, cuts, EstimatorConfig())
    inertial = _fly(flight, cuts, bare) if bare is not None else aided
    rows = []
    for cut, twin, other in zip(cuts, aided, inertial, strict=True):
        real = reference.at(cut.end_ns, twin)
        if real is None:
            continue
        error = twin.position_ned_m[:2] - real
        drift, drift_inertial = (
            float(np.linalg.norm(state.position_ned_m[:2] - real)) for state in (twin, other)
        )
        rows.append(
            {
                "flight": flight.name,
                "start_s": round((cut.begin_ns - _first_ns(flight)) * 1e-9, 1),
                "reference": reference.kind,
                "drift_twin_m": round(drift, 2),
                "drift_inertial_m": round(drift_inertial, 2),
                "ratio": round(drift / max(drift_inertial, 1e-3), 3),
                "speed_m_s": round(_speed_m_s(undisturbed, cut), 1),
                "inside": stats.nis(error, twin.covariance[:2, :2]) <= ELLIPSE,
            }
        )
    return rows


def places(flight: Flight) -> list[Cut]:
    """Return where outages fit into a flight, by its samples alone."""
    cuts: list[Cut] = []
    good_ns = air_ns = None
    last_fix_ns = -1
    landed = True
    waiting: list[tuple[int, int]] = []
    for index, sample in enumerate(flight.samples):
        if isinstance(sample, LandDetected):
            landed = sample.landed or sample.ground_contact or sample.maybe_landed
        elif isinstance(sample, GnssFix):
            fine = sample.fix_type >= 3 and sample.eph_m <= REFERENCE_EPH_M
            last_fix_ns = sample.received_ns if fine else -1
        if not isinstance(sample, Imu):
            continue
        now = sample.stamp_ns
        fresh = last_fix_ns >= 0 and sample.received_ns - last_fix_ns < 2e9 * REFERENCE_GAP_S
        good_ns = (good_ns if good_ns is not None else now) if fresh else None
        air_ns = (air_ns if air_ns is not None else now) if not landed else None
        if good_ns is None or air_ns is None:
            waiting.clear()
            continue
        if waiting and now - waiting[0][1] >= OUTAGE_S * 1e9:
            begin, begin_ns = waiting.pop(0)
            cuts.append(Cut(begin, index, begin_ns, now))
        settled = now - good_ns >= SETTLED_S * 1e9 and now - air_ns >= AIRBORNE_S * 1e9
        newest = max([cut.begin_ns for cut in cuts[-1:]] + [w[1] for w in waiting], default=None)
        if settled and (newest is None or now - newest >= STEP_S * 1e9):
            waiting.append((index, now))
    return cuts


def _fly(flight: Flight, cuts: Sequence[Cut], config: EstimatorConfig) -> list[TwinState]:
    """Return the state at the end of each outage; the flight before it is flown once."""
    estimator, found = Estimator(config), []
    starts = {cut.begin: cut for cut in cuts}
    for index, sample in enumerate(flight.samples):
        estimator.on(sample)
        cut = starts.get(index)
        if cut is not None:
            lone = copy.deepcopy(estimator)
            for later in flight.samples[index + 1 : cut.end + 1]:
                if not isinstance(later, GnssFix):
                    lone.on(later)
            state = lone.state()
            assert state is not None, f"{flight.name}: the estimator lost its state"
            found.append(state)
    return found


def _inertial_config() -> EstimatorConfig | None:
    """The settings without the model's aiding; None while there is no such aiding."""
    if "model_aiding" not in {field.name for field in dataclasses.fields(EstimatorConfig)}:
        return None
    return dataclasses.replace(EstimatorConfig(), model_aiding=False)  # type: ignore[call-arg]


class _Reference:
    """Where the aircraft really was, north and east [m] around the origin of a state."""

    def __init__(self, flight: Flight, undisturbed: Sequence[TwinState]) -> None:
        self._truth = flight.truth
        self.kind = "truth" if flight.truth is not None else "gnss"
        self._fixes = [s for s in flight.samples if isinstance(s, GnssFix) and _is_good(s)]
        self._delay_s = 0.0
        both = physics_logs.track(undisturbed)
        if self._truth is None and self._fixes and undisturbed[-1].origin is not None:
            found = physics_logs.against_fixes(both, self._fixes, undisturbed[-1].origin)
            self._delay_s = found[2]

    def at(self, stamp_ns: int, state: TwinState) -> Array | None:
        """Return (2,) [m]; None where there is no reference near."""
        if state.origin is None:
            return None
        if self._truth is not None:
            when = np.array([stamp_ns], dtype=np.int64)
            if not errors.bridged(self._truth.stamp_ns, when)[0]:
                return None
            return errors.truth_at(self._truth, when, state.origin)[0, :2]
        wanted = stamp_ns + int(self._delay_s * 1e9)
        before = [f for f in self._fixes if wanted - REFERENCE_GAP_S * 1e9 <= f.stamp_ns <= wanted]
        after = [f for f in self._fixes if wanted < f.stamp_ns <= wanted + REFERENCE_GAP_S * 1e9]
        if not before or not after:
            return None
        a, b = before[-1], after[0]
        share = (wanted - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)
        near, far = (px4_to_ned(state.origin, f.latitude_deg, f.longitude_deg) for f in (a, b))
        return near + share * (far - near)


def _is_good(fix: GnssFix) -> bool:
    return fix.fix_type >= 3 and fix.eph_m <= REFERENCE_EPH_M


def _first_ns(flight: Flight) -> int:
    return next(s.stamp_ns for s in flight.samples if isinstance(s, Imu))


def _speed_m_s(undisturbed: Sequence[TwinState], cut: Cut) -> float:
    speeds = [
        float(np.hypot(*s.velocity_ned_m_s[:2]))
        for s in undisturbed
        if cut.begin_ns <= s.stamp_ns <= cut.end_ns
    ]
    return statistics.fmean(speeds) if speeds else float("nan")
