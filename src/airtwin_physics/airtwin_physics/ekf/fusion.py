# SPDX-License-Identifier: Apache-2.0
"""Each sensor against the belief: predicted, gated, fused or counted with its cause."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames, stats
from airtwin_core.geodesy import check_coordinates
from airtwin_core.types import Array, Attitude, Barometer, Fusion, GnssFix, Magnetometer
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import square
from airtwin_physics.ekf.tally import NEVER_S, RESET, Gate, Tally

LATE_MAX_S = 0.3  # behind the horizon
ALTITUDE_MAX_M = 1e5
SPEED_MAX_M_S = 1e3
TOO_LATE = "older than the filter's window"
_STEEP_MAX = 10.0  # tangent of the dip beyond which a compass shows nothing
_ACCELERATION_S = 0.1  # over which the acceleration for the GNSS delay is taken
_REST_HZ = 10.0


class Sensors:
    """Fuses measurements into ``belief`` at the horizon; keeps gates and counts.

    ``at_s``: time of the belief, ``lag_s``: how much older the measurement is [s].
    """

    def __init__(self, config: EstimatorConfig, belief: Belief, anchor: Anchor) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        limits = {n: stats.chi2_limit(n, config.gate_probability) for n in (1, 2, 3)}
        self.xy, self.z = Gate(limits[2]), Gate(limits[1])
        self.velocity = Gate(limits[3])
        self.barometer_gate = Gate(limits[1])
        self.magnetometer_gate, self.heading_gate = Gate(limits[1]), Gate(limits[1])
        self.tallies = {
            source: Tally(source, dof, innovation=np.full(dof, np.nan))
            for source, dof in (
                ("gnss_position", 3),
                ("gnss_velocity", 3),
                ("barometer", 1),
                ("magnetometer", 1),
                ("heading", 1),
            )
        }
        self.start_over(belief)

    def start_over(self, belief: Belief) -> None:
        """Forget all but the counts, and go on with a new belief."""
        self._belief = belief
        self.gnss_started = False
        self._barometer_started = False
        self.heading_source = ""
        self._declination = 0.0
        self._compass_since_s = NEVER_S
        self.rest_s = NEVER_S
        self._speed_before = np.zeros(4)
        self._acceleration = np.zeros(3)
        for gate in (self.xy, self.z, self.velocity, self.barometer_gate):
            gate.start_over()
        self.magnetometer_gate.start_over()
        self.heading_gate.start_over()

    def fusions(self) -> tuple[Fusion, ...]:
        """Return how each source fares."""
        return tuple([tally.fusion() for tally in self.tallies.values()])

    def corrected(self, change_m_s: Array) -> None:
        """Take a correction of the velocity (3,) out of the acceleration: it is no motion."""
        self._speed_before[1:4] += change_m_s

    def watch(self, at_s: float) -> None:
        """Keep a smooth acceleration: an error of the GNSS delay shows along it."""
        passed_s = at_s - float(self._speed_before[0])
        if passed_s >= _ACCELERATION_S:
            velocity = self._belief.x[3:6]
            self._acceleration = (velocity - self._speed_before[1:4]) / passed_s
            self._speed_before[0] = at_s
            self._speed_before[1:4] = velocity

    # --- GNSS -----------------------------------------------------------------------------------

    def gnss(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        """Fuse position and velocity of one fix, each with its own gate."""
        tally = self.tallies["gnss_position"]
        cause = TOO_LATE if lag_s > LATE_MAX_S else _fault(fix, self._config)
        # velocity first: a first position is carried along it to the time of the belief
        self._gnss_velocity(fix, cause, at_s, lag_s)
        if cause:
            tally.refuse(cause)
        else:
            self._gnss_position(fix, at_s, lag_s, tally)

    def _gnss_position(self, fix: GnssFix, at_s: float, lag_s: float, tally: Tally) -> None:
        c, belief = self._config, self._belief
        x, p = belief.x, belief.p
        shift = self._anchor.take(fix)
        if self.gnss_started:
            belief.shift(shift)
        measured = self._anchor.to_ned(fix)
        eph, epv = max(fix.eph_m, c.gnss_eph_min_m), max(fix.epv_m, c.gnss_epv_min_m)
        sigma = np.array([eph, eph, epv])
        belief.sigma[0:3] = np.sqrt(1.0 - c.gnss_white_share**2) * sigma
        variance = (c.gnss_white_share * sigma) ** 2
        if not self.gnss_started:
            belief.place(measured, variance, lag_s, (0, 1, 2))
            self.gnss_started = True
            self.xy.open(at_s)
            self.z.open(at_s)
            tally.fused(fix.stamp_ns)
            return
        h = np.empty((3, kernel.N))
        predicted = [models.gnss_position(x, axis, lag_s, h[axis]) for axis in range(3)]
        residual = measured - np.array(predicted)
        tally.tested(models.innovation_statistic(p, h, residual, variance), residual)
        used = False
        for name, gate, rows, axes in (
            ("horizontal", self.xy, slice(0, 2), (0, 1)),
            ("vertical", self.z, slice(2, 3), (2,)),
        ):
            statistic = models.innovation_statistic(p, h[rows], residual[rows], variance[rows])
            if gate.passes(statistic, at_s):
                kernel.update(x, p, h[rows], residual[rows], variance[rows])
                used = True
            elif gate.shut_for_s(at_s) > c.recover_s:
                belief.place(measured, variance, lag_s, axes)
                gate.open(at_s)
                tally.refuse(f"{name} {RESET}")
            else:
                tally.refuse(f"{name} gate")
        if used:
            tally.fused(fix.stamp_ns)

    def _gnss_velocity(self, fix: GnssFix, cause: str, at_s: float, lag_s: float) -> None:
        c, tally, belief = self._config, self.tallies["gnss_velocity"], self._belief
        if fix.velocity_ned_m_s is None:
            tally.refuse("no velocity")
            return
        if not cause and not square(fix.velocity_ned_m_s) < SPEED_MAX_M_S**2:
            cause = "impossible velocity"
        if not cause and not fix.speed_accuracy_m_s <= c.gnss_speed_max_m_s:
            cause = "accuracy too poor"
        if cause:
            tally.refuse(cause)
            return
        sigma = max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s)
        variance = np.array([1.0, 1.0, 2.25]) * sigma**2  # vertical worse by half, as in EKF2
        h = np.empty((3, kernel.N))
        x, a = belief.x, self._acceleration
        predicted = [models.gnss_velocity(x, axis, a, lag_s, h[axis]) for axis in range(3)]
        residual = fix.velocity_ned_m_s - np.array(predicted)
        if self._judge(h, residual, variance, at_s, self.velocity, tally, fix.stamp_ns):
            return
        if self.velocity.shut_for_s(at_s) > c.recover_s:
            belief.take_velocity(fix.velocity_ned_m_s, variance)
            self.velocity.open(at_s)
            tally.refuse(RESET)

    # --- height and heading ---------------------------------------------------------------------

    def barometer(self, sample: Barometer, at_s: float, lag_s: float) -> None:
        """Fuse a pressure altitude; the first one, and one after a long disagreement, is tied."""
        c, tally, belief = self._config, self.tallies["barometer"], self._belief
        if lag_s > LATE_MAX_S:
            tally.refuse(TOO_LATE)
            return
        gate = self.barometer_gate
        h = np.empty((1, kernel.N))
        residual = sample.altitude_m - models.barometer(belief.x, lag_s, h[0])
        if not self._barometer_started:
            belief.tie_barometer(residual)
            self._barometer_started = True
            gate.open(at_s)
            tally.fused(sample.stamp_ns)
            return
        left, noise = np.array([residual]), np.array([c.barometer_noise_m**2])
        if self._judge(h, left, noise, at_s, gate, tally, sample.stamp_ns):
            return
        if gate.shut_for_s(at_s) > c.recover_s:
            belief.tie_barometer(residual)
            gate.open(at_s)
            tally.refuse(RESET)

    def magnetometer(self, sample: Magnetometer, at_s: float, lag_s: float) -> None:
        """Fuse the direction of the level part of the field."""
        c, tally, belief = self._config, self.tallies["magnetometer"], self._belief
        if lag_s > LATE_MAX_S:
            tally.refuse(TOO_LATE)
            return
        h, tilted = np.empty((1, kernel.N)), np.empty(kernel.N)
        shown = models.magnetic_declination(belief.x, sample.field_frd_gauss, h[0], tilted)
        declination = self._anchor.declination_rad or 0.0
        if declination != self._declination and self.heading_source == "magnetometer":
            # the heading so far was from another north
            belief.turn(declination - self._declination)
            shown = models.magnetic_declination(belief.x, sample.field_frd_gauss, h[0], tilted)
        self._declination = declination
        residual = frames.wrap_pi(declination - shown)
        if not float(tilted @ tilted) < _STEEP_MAX**2:
            tally.refuse("field is vertical")
            return
        variance = c.magnetometer_noise_rad**2 + models.spread(belief.p, tilted)
        gate = self.magnetometer_gate
        if self.heading_source == "heading":
            # PX4's heading took over: a compass that agrees with it for a while may come back
            wide = np.array([variance + c.magnetometer_offset_rad**2])
            statistic = models.innovation_statistic(belief.p, h, np.array([residual]), wide)
            if not statistic <= gate.limit:
                self._compass_since_s = at_s
            if at_s - self._compass_since_s < c.recover_s:
                tally.refuse("on probation")
                return
        if self.heading_source != "magnetometer":
            self.take_heading(residual, "magnetometer")
            residual = 0.0
            gate.open(at_s)
        left, noise = np.array([residual]), np.array([variance])
        self._judge(h, left, noise, at_s, gate, tally, sample.stamp_ns)

    def heading(self, sample: Attitude, at_s: float, lag_s: float) -> None:
        """Fuse PX4's heading, only while no magnetometer passes its gate."""
        c, tally, gate = self._config, self.tallies["heading"], self.heading_gate
        compass = self.heading_source == "magnetometer"
        if compass and at_s - self.magnetometer_gate.passed_s < c.recover_s:
            return
        if lag_s > LATE_MAX_S:
            tally.refuse(TOO_LATE)
            return
        h = np.empty((1, kernel.N))
        residual = models.heading(self._belief.x, sample.q_ned_frd, h[0])
        if self.heading_source != "heading" or gate.shut_for_s(at_s) > c.recover_s:
            if self.heading_source == "heading":
                tally.refuse(RESET)
            self.take_heading(residual, "heading")
            self._compass_since_s = at_s
            residual = 0.0
            gate.open(at_s)
        left, noise = np.array([residual]), np.array([c.heading_noise_rad**2])
        self._judge(h, left, noise, at_s, gate, tally, sample.stamp_ns)

    def take_heading(self, angle_rad: float, source: str) -> None:
        """Turn to what ``source``, magnetometer or heading, says."""
        c = self._config
        if source == "magnetometer":
            noise, offset = c.magnetometer_noise_rad, c.magnetometer_offset_rad
            self._declination = self._anchor.declination_rad or 0.0
        else:
            noise, offset = c.heading_noise_rad, c.heading_offset_rad
        self._belief.take_heading(angle_rad, noise, offset)
        self.heading_source = source

    # --- rest -----------------------------------------------------------------------------------

    def rest(self, at_s: float, *, still: bool, on_ground: bool) -> None:
        """At rest the velocity is zero; in flight without any aid it is at least not huge."""
        c, belief = self._config, self._belief
        unaided = at_s - max(self.xy.passed_s, self.velocity.passed_s) > 1.0
        if still and on_ground:
            sigma = c.rest_speed_m_s
            self.rest_s = at_s
        elif still and unaided:
            sigma = c.still_speed_m_s
        elif unaided and float(np.trace(belief.p[3:5, 3:5])) > 2.0 * c.unaided_speed_m_s**2:
            sigma = c.unaided_speed_m_s
        else:
            return
        h = np.zeros((3, kernel.N))
        h[:, 3:6] = np.eye(3)
        # one assumption, said ten times a second, is not ten proofs
        variance = np.full(3, sigma**2 * _REST_HZ)
        kernel.update(belief.x, belief.p, h, -belief.x[3:6], variance)

    def _judge(
        self,
        h: Array,
        residual: Array,
        variance: Array,
        at_s: float,
        gate: Gate,
        tally: Tally,
        stamp_ns: int,
    ) -> bool:
        """Gate and fuse; return whether it passed. h (m, 21), residual, variance (m,)."""
        belief = self._belief
        statistic = models.innovation_statistic(belief.p, h, residual, variance)
        tally.tested(statistic, residual)
        if not gate.passes(statistic, at_s):
            tally.refuse("gate")
            return False
        kernel.update(belief.x, belief.p, h, residual, variance)
        tally.fused(stamp_ns)
        return True


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
