# SPDX-License-Identifier: Apache-2.0
"""Rest as a measurement: a still aircraft on the ground has no speed.

Unless what it stands on moves: a ship, a car, ice in the wind. An even motion is nothing to an
IMU, so there a receiver has the word that is of one piece, once it went further than it errs.
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, symmetry
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.doubt import BOUND
from airtwin_physics.ekf.imu import square
from airtwin_physics.ekf.sensors.solution import Solution
from airtwin_physics.ekf.tally import NEVER_S

PERIOD_S = 0.1
_FAST_M_S = 1.0  # what is surely faster is not at rest, whatever is said: smooth flight is still
_WAY_S = 20.0  # of the way that counts: longer, a Doppler's lasting error becomes a way
_PAUSE_S = 3.0  # without fixes for so long nothing links them
_CLAIM_MIN_M = 1.0


class Rest:
    """``passed_s``: when rest on the ground was last used; ``carried``: the ground moves."""

    def __init__(self, config: EstimatorConfig, belief: Belief) -> None:
        self._config = config
        self._belief = belief
        self.start_over()

    def start_over(self) -> None:
        """Forget that it ever rested."""
        self.passed_s = self._fixed_s = NEVER_S
        self._way = self._gone = 0j  # by Doppler, by places [m]: north + i east
        self._place: complex | None = None
        self.carried = False

    def ride(self, said: Solution, *, sound: bool) -> None:
        """Follow where a receiver moves while the aircraft rests; sound: it is of one piece."""
        at_s = said.at_s
        passed_s, self._fixed_s = at_s - self._fixed_s, at_s
        if self.carried:
            return
        usable = sound and not (said.no_place or said.no_speed)
        rests = at_s - self.passed_s < 2.0 * PERIOD_S
        if not (usable and rests and passed_s < _PAUSE_S):
            self._way = self._gone = 0j
            self._place = None
            return
        place, speed = complex(*said.place[:2]), complex(*said.velocity[:2])
        kept = math.exp(-passed_s / _WAY_S)
        self._way = kept * self._way + speed * passed_s
        self._gone = kept * self._gone + (place - (place if self._place is None else self._place))
        self._place = place
        place_m = max(said.sigma[0], _CLAIM_MIN_M)
        if min(abs(self._way), abs(self._gone)) < BOUND * place_m:
            return
        self.carried = True
        belief = self._belief
        variance = np.full(3, said.speed_sigma**2)
        measured = np.array([*said.velocity[:2], belief.velocity_ned_m_s[2]])
        belief.take_velocity(measured, variance)  # what was read off rest is doubted, too
        for axis in range(2):
            belief.x[kernel.X_GNSS + axis] = 0.0
            correction.forget(belief.p, kernel.POS + axis, (BOUND * place_m) ** 2)
            correction.forget(belief.p, kernel.GNSS + axis, place_m**2)

    def fuse(
        self, at_s: float, *, still: bool, on_ground: bool, unaided: bool, bridged: bool
    ) -> None:
        """At rest the velocity is zero; in flight without any aid it is at least not huge.

        unaided: nothing shows the velocity over ground; bridged: the air shows that through it.
        """
        c, belief = self._config, self._belief
        if not on_ground:
            self.carried = False
        lost = unaided and not bridged
        if not (still or lost):
            return
        speed2 = square(belief.velocity_ned_m_s)
        north, east, down = belief.p.diagonal()[3:6].tolist()
        believable = speed2 < _FAST_M_S**2 + 9.0 * (north + east + down)
        if still and on_ground and believable and not self.carried:
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
