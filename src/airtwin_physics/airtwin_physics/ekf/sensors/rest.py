# SPDX-License-Identifier: Apache-2.0
"""Rest as a measurement: a still aircraft on the ground has no speed."""

from __future__ import annotations

import numpy as np

from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, symmetry
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import square
from airtwin_physics.ekf.tally import NEVER_S

PERIOD_S = 0.1
_FAST_M_S = 1.0  # what is surely faster is not at rest, whatever is said: smooth flight is still


class Rest:
    """``passed_s``: when rest on the ground was last used."""

    def __init__(self, config: EstimatorConfig, belief: Belief) -> None:
        self._config = config
        self._belief = belief
        self.start_over()

    def start_over(self) -> None:
        """Forget that it ever rested."""
        self.passed_s = NEVER_S

    def fuse(
        self, at_s: float, *, still: bool, on_ground: bool, unaided: bool, bridged: bool
    ) -> None:
        """At rest the velocity is zero; in flight without any aid it is at least not huge.

        unaided: nothing shows the velocity over ground; bridged: the air shows that through it.
        """
        c, belief = self._config, self._belief
        lost = unaided and not bridged
        if not (still or lost):
            return
        speed2 = square(belief.velocity_ned_m_s)
        north, east, down = belief.p.diagonal()[3:6].tolist()
        believable = speed2 < _FAST_M_S**2 + 9.0 * (north + east + down)
        if still and on_ground and believable:
            sigma = c.rest_speed_m_s
            self.passed_s = at_s
        elif still and unaided:
            sigma = c.still_speed_m_s
        elif lost and north + east > 2.0 * c.unaided_speed_m_s**2:
            sigma = c.unaided_speed_m_s
        else:
            return
        h = np.zeros((3, kernel.N))
        h[:, kernel.VEL : kernel.VEL + 3] = np.eye(3)
        symmetry.blind(belief.x, h)  # so is a speed that is turned
        before = belief.x.copy()
        # one assumption, said ten times a second, is not ten proofs
        variance = np.full(3, sigma**2 / PERIOD_S)
        correction.update(
            belief.x, belief.p, h, -belief.velocity_ned_m_s, variance, correction.FREE
        )
        symmetry.carry(before, belief.x, belief.p)
