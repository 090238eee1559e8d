# SPDX-License-Identifier: Apache-2.0
"""The barometer: height with an offset that walks, and air that moves past its port."""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.types import Array, Barometer
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, models
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.sensors.rest import Rest
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.steps import BEFORE, CORRECTED, SHAKEN
from airtwin_physics.ekf.tally import NEVER_S
from airtwin_physics.ekf.wash import Sample, Wash

_FRESH_S = 1.0
_RUNAWAY = 5.0  # sigmas of two altitudes: the height that is believed leaves the barometer's
_WASH = kernel.WANDER.index(kernel.WASH)  # its place in ``sigma``


class Height:
    """Fuses pressure altitudes."""

    def __init__(self, config: EstimatorConfig, belief: Belief, rest: Rest) -> None:
        self._config = config
        self._belief = belief
        self._rest = rest
        self.wash = Wash(config.barometer_noise_m, config.barometer_wash_s)
        self.barometer = Source("barometer", 1, config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self._started = False
        self._altitude_m, self._seen_s = float("nan"), NEVER_S
        self._parted = (NEVER_S, 0.0, 0.0)  # first refused: when, altitude, innovation [m]
        self._head_seen_m = 0.0  # the largest while something else showed the speed
        self.wash.start_over()
        self._belief.sigma[_WASH] = self.wash.size_m
        self.climb_s = NEVER_S  # when something else last showed the speed down
        self.seconded_s = NEVER_S  # when GNSS last rose and sank as it does, unlike the filter
        self.barometer.start_over()

    def altitude_m(self, at_s: float) -> float:
        """Return the latest pressure altitude [m], NaN if there is none of the last second."""
        return self._altitude_m if at_s - self._seen_s < _FRESH_S else float("nan")

    def agrees(self, at_s: float) -> bool:
        """Return whether the barometer agrees with the height that is believed."""
        gate = self.barometer.gate
        return gate.shut_since_s is None and at_s - gate.passed_s < _FRESH_S

    def fuse(self, sample: Barometer, at_s: float, lag_s: float) -> None:
        """Fuse a pressure altitude; the first one, and one after a long disagreement, is tied.

        Unless the disagreement grows while nothing else shows the height: a pressure that stepped
        stays as far off as it was, so then it is the IMU that carries the height away.
        """
        c, source, belief = self._config, self.barometer, self._belief
        if source.unusable(at_s, lag_s, sample.altitude_m, belief):
            return
        self._altitude_m, self._seen_s = sample.altitude_m, at_s
        # beside GNSS its corrections move nothing level that counts
        alone, was_shut = self._alone(at_s), source.gate.shut_since_s is not None
        h = np.empty((1, kernel.N))
        shown_m, head_m, unsure_m2 = self._expect(lag_s, h, alone=alone)
        suction = belief.x.item(kernel.X_SUCTION)
        climbed_m = belief.x.item(kernel.X_VEL + 2) * lag_s
        self._learn(at_s, sample.altitude_m - climbed_m - suction * head_m, alone=alone)
        residual = sample.altitude_m - shown_m
        if not self._started:
            belief.tie_barometer(residual)
            self._started = True
            source.gate.open(at_s)
            source.tally.fused(sample.stamp_ns)
            return
        unsure_m2 *= suction**2 + belief.p.item(kernel.SUCTION, kernel.SUCTION)
        left, noise = np.array([residual]), np.array([c.barometer_noise_m**2 + unsure_m2])
        if source.judge(belief, h, left, noise, at_s, sample.stamp_ns, north=not alone):
            return
        if not was_shut:
            self._parted = (at_s, sample.altitude_m, residual)
        if at_s - self.seconded_s < _FRESH_S:
            return  # two of three: it is the filter that is wrong
        if source.gate.shut_for_s(at_s) > c.recover_s:
            since_s, altitude_m, parted_m = self._parted
            two_m = math.sqrt(2.0) * c.barometer_noise_m
            if alone and abs(residual - parted_m) > _RUNAWAY * two_m:
                belief.take_climb(residual, (altitude_m - sample.altitude_m) / (at_s - since_s))
            else:
                belief.tie_barometer(residual)
            source.take_back(at_s)

    def _expect(self, lag_s: float, h: Array, *, alone: bool) -> tuple[float, float, float]:
        """Return the pressure altitude to expect, the dynamic pressure in it as a height [m], and
        the variance [m^2] of that; write the row h (1, N).

        While nothing else shows the speed no more of it than was seen before: an IMU that carries
        the speed away must not explain by it why the barometer does not follow.
        """
        belief, seen_m = self._belief, self._head_seen_m
        x, p, law = belief.x, belief.p, belief.wind.law
        most_m = seen_m if alone else math.inf
        shown_m, head_m, unsure_m2 = models.barometer_in_wind(x, p, law, lag_s, most_m, h)
        if alone:
            return shown_m, head_m, min(unsure_m2, seen_m**2)
        self._head_seen_m = max(seen_m, abs(head_m))
        return shown_m, head_m, unsure_m2

    def _alone(self, at_s: float) -> bool:
        """Return whether nothing else has shown the speed down lately."""
        return at_s - self.climb_s > self._config.valid_s

    def _learn(self, at_s: float, altitude_m: float, *, alone: bool) -> None:
        """Learn from a pressure altitude of now how large the wash is."""
        belief, watch = self._belief, self._belief.watch
        sample = Sample(
            at_s,
            altitude_m,
            watch.item(BEFORE + 2) - watch.item(CORRECTED.start + 2),
            self._config.accel_noise**2 * at_s + watch.item(SHAKEN),
        )
        bias_m_s2 = math.sqrt(belief.p.item(kernel.ACCEL_BIAS + 2, kernel.ACCEL_BIAS + 2))
        flying = at_s - self._rest.passed_s > _FRESH_S
        self.wash.take(sample, bias_m_s2, flying=flying)
        size_m = self.wash.size_m
        if alone:
            # nothing else holds the speed down: of two evils the barometer is the lesser
            size_m = min(size_m, self._config.barometer_noise_m)
        belief.sigma[_WASH] = size_m
