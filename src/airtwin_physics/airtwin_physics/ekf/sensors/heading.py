# SPDX-License-Identifier: Apache-2.0
"""Heading: by the magnetometer, else by PX4's own heading."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Attitude, Magnetometer
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.tally import NEVER_S

_STEEP_MAX = 10.0  # tangent of the dip beyond which a compass shows nothing


class Heading:
    """Fuses what shows north; ``using`` names the source in charge, "" at first."""

    def __init__(self, config: EstimatorConfig, belief: Belief, anchor: Anchor) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self.compass = Source("magnetometer", 1, config)
        self.px4 = Source("heading", 1, config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.using = ""
        self._declination = 0.0
        self._compass_since_s = NEVER_S
        self.compass.start_over()
        self.px4.start_over()

    @property
    def passed_s(self) -> float:
        """When a heading was last fused."""
        return max(self.compass.gate.passed_s, self.px4.gate.passed_s)

    def magnetometer(self, sample: Magnetometer, at_s: float, lag_s: float) -> None:
        """Fuse the direction of the level part of the field."""
        c, source, belief = self._config, self.compass, self._belief
        if source.unusable(at_s, lag_s, sample.field_frd_gauss.tobytes(), belief):
            return
        tally, gate = source.tally, source.gate
        h, tilted = np.empty((1, kernel.N)), np.empty(kernel.N)
        shown = models.magnetic_declination(belief.x, sample.field_frd_gauss, h[0], tilted)
        declination = self._anchor.declination_rad or 0.0
        if declination != self._declination and self.using == "magnetometer":
            # the heading so far was from another north
            belief.turn(declination - self._declination)
            shown = models.magnetic_declination(belief.x, sample.field_frd_gauss, h[0], tilted)
        self._declination = declination
        residual = frames.wrap_pi(declination - shown)
        if not float(tilted @ tilted) < _STEEP_MAX**2:
            tally.refuse("field is vertical")
            return
        variance = c.magnetometer_noise_rad**2 + correction.spread(belief.p, tilted)
        if self.using == "heading":
            # PX4's heading took over: a compass that agrees with it for a while may come back
            wide = np.array([variance + c.magnetometer_offset_rad**2])
            statistic = correction.statistic(belief.p, h, np.array([residual]), wide)
            if not statistic <= gate.limit:
                self._compass_since_s = at_s
            if at_s - self._compass_since_s < c.recover_s:
                tally.refuse("on probation")
                return
        if self.using != "magnetometer":
            self.take("magnetometer", residual, at_s)
            residual = 0.0
        left, noise = np.array([residual]), np.array([variance])
        source.judge(belief, h, left, noise, at_s, sample.stamp_ns)

    def attitude(self, sample: Attitude, at_s: float, lag_s: float) -> None:
        """Fuse PX4's heading, only while no magnetometer passes its gate."""
        c, source = self._config, self.px4
        recent = at_s - self.compass.gate.passed_s < c.recover_s
        if self.using == "magnetometer" and recent:
            return
        if source.unusable(at_s, lag_s, sample.q_ned_frd.tobytes(), self._belief):
            return
        h = np.empty((1, kernel.N))
        residual = models.heading(self._belief.x, sample.q_ned_frd, h[0])
        if self.using != "heading" or source.gate.shut_for_s(at_s) > c.recover_s:
            if self.using == "heading":
                source.take_back(at_s)
            self.take("heading", residual, at_s)
            self._compass_since_s = at_s
            residual = 0.0
        left, noise = np.array([residual]), np.array([c.heading_noise_rad**2])
        source.judge(self._belief, h, left, noise, at_s, sample.stamp_ns)

    def take(self, using: str, angle_rad: float, at_s: float) -> None:
        """Turn by an angle to what ``using``, magnetometer or heading, says."""
        c = self._config
        if using == "magnetometer":
            noise, offset = c.magnetometer_noise_rad, c.magnetometer_offset_rad
            self._declination = self._anchor.declination_rad or 0.0
            self.compass.gate.open(at_s)
        else:
            noise, offset = c.heading_noise_rad, c.heading_offset_rad
            self.px4.gate.open(at_s)
        self._belief.take_heading(angle_rad, noise, offset)
        self.using = using
