# SPDX-License-Identifier: Apache-2.0
"""The barometer: height with an offset that walks."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Barometer
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, models
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.source import Source


class Height:
    """Fuses pressure altitudes."""

    def __init__(self, config: EstimatorConfig, belief: Belief) -> None:
        self._config = config
        self._belief = belief
        self.barometer = Source("barometer", 1, config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self._started = False
        self.barometer.start_over()

    def fuse(self, sample: Barometer, at_s: float, lag_s: float) -> None:
        """Fuse a pressure altitude; the first one, and one after a long disagreement, is tied."""
        c, source, belief = self._config, self.barometer, self._belief
        if source.unusable(at_s, lag_s, sample.altitude_m, belief):
            return
        h = np.empty((1, kernel.N))
        residual = sample.altitude_m - models.barometer(belief.x, lag_s, h[0])
        if not self._started:
            belief.tie_barometer(residual)
            self._started = True
            source.gate.open(at_s)
            source.tally.fused(sample.stamp_ns)
            return
        left, noise = np.array([residual]), np.array([c.barometer_noise_m**2])
        if source.judge(belief, h, left, noise, at_s, sample.stamp_ns):
            return
        if source.gate.shut_for_s(at_s) > c.recover_s:
            belief.tie_barometer(residual)
            source.take_back(at_s)
