# SPDX-License-Identifier: Apache-2.0
"""What the twin's GNSS velocity innovations say: did the Doppler step, or part for long?

An innovation is Doppler minus what the IMU has integrated. A spoofer who adds a false velocity
makes a step of full size between two fixes; a faulty IMU makes a ramp, because it errs in
acceleration. The filter then follows either within seconds, so a step is looked for as such.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_consistency.detectors import Window
from airtwin_consistency.limits import Limits
from airtwin_core import stats
from airtwin_core.types import VEL, TwinState

_NS = 1_000_000_000
_NEW_S, _OLD_S = 0.45, 1.0  # what may have stepped, and what it is compared with: 5 Hz will do
_LEAST_NEW, _LEAST_OLD = 3, 5  # fixes in each
_NOISE_S = 20.0  # memory of the usual step size
_ASTRAY_M_S = 0.5  # mean innovation before the step, above which the twin is lost
_SIGMA_M_S = 0.2  # the twin's own uncertainty that the floor already allows for
_USUAL = 0.1  # [m/s] step size that the floor already allows for
_CLAIM_M_S = 0.5  # speed accuracy that the floor already allows for; in place of no claim, too
_NORTH, _EAST, _DOWN, _NIS, _ACCEL, _SIGMA, _CLAIM = range(7)


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of drift: ``ratio`` [-] to its limit, since when (clock of arrival), and words."""

    ratio: float
    since_ns: int
    symptom: str
    evidence: str


class Innovations:
    """Follows the innovations of one source, once each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rows = Window(2.0 * (_NEW_S + _OLD_S))
        self._tested = 0
        self._noise_m_s = 0.0
        self._ratio: float | None = None  # of the newest look for a step
        self._step: tuple[int, Sign] | None = None  # when it was seen

    def on_twin(self, twin: TwinState, speed_accuracy_m_s: float) -> None:
        """Take a state; ``speed_accuracy_m_s``: the receiver's claim, NaN if none."""
        for fusion in twin.fusions:
            if fusion.source != "gnss_velocity":
                continue
            tested = fusion.used + sum(fusion.rejected.values())
            if tested == self._tested or fusion.innovation.shape != (3,):
                return
            self._tested = tested
            accel = math.sqrt(float(twin.acceleration_ned_m_s2 @ twin.acceleration_ned_m_s2))
            sigma = float(np.sqrt(np.diagonal(twin.covariance)[VEL].max()))
            claim = speed_accuracy_m_s if np.isfinite(speed_accuracy_m_s) else _CLAIM_M_S
            row = np.array([*fusion.innovation, fusion.nis, accel, sigma, claim])
            if np.all(np.isfinite(row)):
                self._rows.add(twin.received_ns, row)
                self._look_for_step(twin.received_ns)

    def _look_for_step(self, now_ns: int) -> None:
        limits = self._limits
        times_ns, rows = self._rows.all()
        age_s = (now_ns - times_ns) / _NS
        new = age_s < _NEW_S
        old = ~new & (age_s < _NEW_S + _OLD_S)
        self._ratio = None
        if new.sum() < _LEAST_NEW or old.sum() < _LEAST_OLD:
            return
        before, after = rows[old][:, :_NIS], rows[new][:, :_NIS]
        # a ramp goes on as it did: only what departs from the old trend is a step
        times = -age_s[old]
        centred = times - times.mean()
        slope = centred @ before / float(centred @ centred)
        expected = before.mean(axis=0) + slope * (-age_s[new].mean() - times.mean())
        plain = after.mean(axis=0) - before.mean(axis=0)
        beyond = after.mean(axis=0) - expected
        across = min(float(np.hypot(*plain[:2])), float(np.hypot(*beyond[:2])))
        accel = float(rows[old | new][:, _ACCEL].max())
        # the difference of two means of what the receiver says is noise
        spread = math.sqrt(
            stats.chi2_limit(2, limits.probability) * (1.0 / new.sum() + 1.0 / old.sum())
        )
        claim = float(rows[old | new][:, _CLAIM].max())
        allowed = (
            limits.velocity_step_m_s
            + limits.velocity_delay_s * accel
            + spread * max(0.0, claim - _CLAIM_M_S)
            + 2.0 * max(0.0, float(rows[old | new][:, _SIGMA].max()) - _SIGMA_M_S)
            + 5.0 * max(0.0, self._noise_m_s - _USUAL)
        )
        dt_s = min(1.0, (now_ns - int(times_ns[-2])) / _NS)
        usual = min(across, 3.0 * self._noise_m_s + _USUAL)
        self._noise_m_s += min(1.0, dt_s / _NOISE_S) * (usual - self._noise_m_s)
        # a twin that is astray already steps when it is reset
        astray = float(np.hypot(*before.mean(axis=0)[:2])) > max(allowed, _ASTRAY_M_S)
        if astray:
            return
        self._ratio = across / allowed
        if across > allowed:
            began_ns = int(times_ns[new][0])
            words = (
                f"Doppler stepped by {across:.2f} m/s away from the IMU's velocity "
                f"({allowed:.2f} allowed)"
            )
            sign = Sign(across / allowed, began_ns, "gnss velocity step", words)
            if self._step is not None and now_ns - self._step[0] <= limits.hold_s * _NS:
                first = self._step[1]
                if first.ratio >= sign.ratio:
                    return
                sign = Sign(sign.ratio, first.since_ns, sign.symptom, words)
            self._step = (now_ns, sign)

    def step(self, now_ns: int) -> Sign | None:
        """Return the step of late, else the newest difference; None without enough fixes."""
        if self._step is not None and now_ns - self._step[0] <= self._limits.hold_s * _NS:
            return self._step[1]
        if self._ratio is None or now_ns - self._rows.last_ns > self._limits.gnss_age_s * _NS:
            return None
        return Sign(self._ratio, now_ns, "gnss velocity step", "Doppler runs as the IMU says")

    def sustained(self, now_ns: int, speed_accuracy_m_s: float) -> Sign | None:
        """Return how far the newest innovations are off on average, None without enough."""
        limits = self._limits
        count = limits.innovation_window
        if len(self._rows) < count or now_ns - self._rows.last_ns > limits.gnss_age_s * _NS:
            return None
        rows = self._rows.newest(count)
        mean = rows.mean(axis=0)
        accuracy = speed_accuracy_m_s if np.isfinite(speed_accuracy_m_s) else 0.0
        bound = max(limits.velocity_innovation_m_s, 1.5 * accuracy)
        across, up = float(np.hypot(mean[_NORTH], mean[_EAST])), abs(float(mean[_DOWN]))
        # beyond what the twin's own covariance explains, and more than anyone would ignore
        normal = stats.chi2_limit(3 * count, limits.probability) / count
        ratio = min(float(mean[_NIS]) / normal, max(across / bound, up / (1.5 * bound)))
        return Sign(
            ratio,
            self._rows.time_of_newest(count),
            "velocity innovation",
            f"Doppler is {across:.2f} m/s horizontally, {up:.2f} m/s vertically off the IMU's "
            f"velocity ({bound:.2f} allowed)",
        )
