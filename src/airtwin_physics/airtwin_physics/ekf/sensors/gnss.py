# SPDX-License-Identifier: Apache-2.0
"""GNSS position and velocity."""

from __future__ import annotations

import numpy as np

from airtwin_core.geodesy import check_coordinates
from airtwin_core.types import GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import square
from airtwin_physics.ekf.source import Gate, Source
from airtwin_physics.ekf.tally import LATE_MAX_S, RESET, TOO_LATE

SPEED_MAX_M_S = 1e3


class Gnss:
    """Fuses fixes; ``started``: a first position was taken."""

    def __init__(self, config: EstimatorConfig, belief: Belief, anchor: Anchor) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self.position = Source("gnss_position", 3, config)
        self.velocity = Source("gnss_velocity", 3, config)
        self.xy, self.z = Gate(2, config), Gate(1, config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.started = False
        self.position.start_over()
        self.velocity.start_over()
        self.xy.start_over()
        self.z.start_over()

    def fuse(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        """Fuse position and velocity of one fix, each with its own gate."""
        place = (fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
        stuck = self.position.stuck(at_s, place, self._belief)
        cause = TOO_LATE if lag_s > LATE_MAX_S else _fault(fix, self._config) or stuck
        # velocity first: a first position is carried along it to the time of the belief
        self._fuse_velocity(fix, cause, at_s, lag_s)
        if cause:
            self.position.tally.refuse(cause)
        else:
            self._fuse_position(fix, at_s, lag_s)

    def _fuse_position(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        c, belief, tally = self._config, self._belief, self.position.tally
        shift = self._anchor.take(fix)
        if self.started:
            belief.shift(shift)
        measured = self._anchor.to_ned(fix)
        eph, epv = max(fix.eph_m, c.gnss_eph_min_m), max(fix.epv_m, c.gnss_epv_min_m)
        sigma = np.array([eph, eph, epv])
        belief.sigma[0:3] = np.sqrt(1.0 - c.gnss_white_share**2) * sigma
        variance = (c.gnss_white_share * sigma) ** 2
        if not self.started:
            belief.place(measured, variance, lag_s, (0, 1, 2))
            self.started = True
            self.xy.open(at_s)
            self.z.open(at_s)
            tally.fused(fix.stamp_ns)
            return
        h = np.empty((3, kernel.N))
        predicted = [models.gnss_position(belief.x, axis, lag_s, h[axis]) for axis in range(3)]
        residual = measured - np.array(predicted)
        noise = variance * [self.xy.scale, self.xy.scale, self.z.scale]
        tally.tested(correction.statistic(belief.p, h, residual, noise), residual)
        used = False
        for name, gate, rows, axes in (
            ("horizontal", self.xy, slice(0, 2), (0, 1)),
            ("vertical", self.z, slice(2, 3), (2,)),
        ):
            if gate.judge(belief, h[rows], residual[rows], variance[rows], at_s)[0]:
                used = True
            elif gate.shut_for_s(at_s) > c.recover_s:
                belief.place(measured, variance, lag_s, axes)
                gate.recover(at_s)
                tally.refuse(f"{name} {RESET}")
            else:
                tally.refuse(f"{name} gate")
        if used:
            tally.fused(fix.stamp_ns)

    def _fuse_velocity(self, fix: GnssFix, cause: str, at_s: float, lag_s: float) -> None:
        c, source, belief = self._config, self.velocity, self._belief
        velocity = fix.velocity_ned_m_s
        if velocity is None:
            source.tally.refuse("no velocity")
            return
        source.seen_s = at_s
        if not cause and not square(velocity) < SPEED_MAX_M_S**2:
            cause = "impossible velocity"
        if not cause and not fix.speed_accuracy_m_s <= c.gnss_speed_max_m_s:
            cause = "accuracy too poor"
        if cause:
            source.tally.refuse(cause)
            return
        sigma = max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s)
        variance = np.array([1.0, 1.0, 2.25]) * sigma**2  # vertical worse by half, as in EKF2
        h = np.empty((3, kernel.N))
        x, a = belief.x, belief.watch[4:7]
        predicted = [models.gnss_velocity(x, axis, a, lag_s, h[axis]) for axis in range(3)]
        residual = velocity - np.array(predicted)
        if source.judge(belief, h, residual, variance, at_s, fix.stamp_ns):
            return
        if source.gate.shut_for_s(at_s) > c.recover_s:
            belief.take_velocity(velocity, variance)
            source.take_back(at_s)


def _fault(fix: GnssFix, config: EstimatorConfig) -> str:
    """Return why the fix cannot be used, or nothing."""
    if fix.fix_type < config.gnss_fix_min:
        return "no 3D fix"
    try:
        check_coordinates(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
    except ValueError:
        return "impossible coordinates"
    if not (fix.eph_m <= config.gnss_eph_max_m and fix.epv_m <= config.gnss_epv_max_m):
        return "accuracy too poor"
    return ""
