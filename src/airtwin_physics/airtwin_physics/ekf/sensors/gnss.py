# SPDX-License-Identifier: Apache-2.0
"""GNSS position and velocity: one receiver, doubted in place, height and speed (``receiver``)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from airtwin_core.geodesy import check_coordinates
from airtwin_core.types import Array, GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.doubt import Doubt
from airtwin_physics.ekf.imu import ImuTrack, square
from airtwin_physics.ekf.receiver import BY_IMU, Look, Receiver
from airtwin_physics.ekf.sensors.antenna import ARM_MAX_M, Lever, Spin, lever
from airtwin_physics.ekf.source import Gate, Source
from airtwin_physics.ekf.steps import ACCELERATION, CORRECTED, STRUCK, TURNED, before
from airtwin_physics.ekf.tally import LATE_MAX_S, RESET, TOO_LATE

SPEED_MAX_M_S = 1e3
_SHUT_S = 1.0  # a barometer refused for so long contradicts
_RATTLE_S = 1.0  # impacts for longer are an IMU that rattles: no reason not to judge receivers
# A claim that falls is followed by the offset this quickly: sooner, a claim that only goes up and
# down makes the filter conceited; in gnss_wander_s, a receiver that settles is not believed
_CLAIM_S = 40.0
_BACK_S = 0.01  # a fix that much older than the state is held against what the IMU says was then
_NEW_AT_MOST = 0.6  # of a claim, if the receiver is no better than it says
PLACE_ASTRAY = "its place is astray"
HEIGHT_ASTRAY = "its height is astray"
SPEED_ASTRAY = "its speed is astray"
FAR = "far from the origin"
LEAPT = "its height has leapt"


@dataclass(frozen=True, slots=True)
class Others:
    """What others say when a fix comes.

    ``altitude_m``: by pressure, NaN without; ``height_backed``: the barometer agrees with the
    filter; ``height_shut_s``: for so long it has not; ``speed_backed``: something else that sees
    the ground agrees with the filter's velocity; ``air_backed``: drag or airspeed do.
    """

    altitude_m: float = float("nan")
    height_backed: bool = False
    height_shut_s: float = 0.0
    speed_backed: bool = False
    air_backed: bool = False


class _Seen(NamedTuple):
    """The place of a fix, (3,) NED each, h (3, 29), and how late it is."""

    measured: Array
    h: Array
    residual: Array
    variance: Array
    lag_s: float


class Gnss:
    """Fuses fixes; ``started``: a first position was taken."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, anchor: Anchor, track: ImuTrack
    ) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self._track = track
        self.position = Source("gnss_position", 3, config)
        self.velocity = Source("gnss_velocity", 3, config)
        trusted = config.gnss_white_share / _NEW_AT_MOST
        self.xy, self.z = Gate(2, config, trusted=trusted), Gate(1, config, trusted=trusted)
        self.receiver = Receiver(config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.started = False
        self.position.start_over()
        self.velocity.start_over()
        self.xy.start_over()
        self.z.start_over()
        self.receiver.start_over()
        self._z_passes = True
        self._struck_s = self._claimed_s = 0.0
        self._arm: Lever | None = None  # of the newest fix; None: at the IMU
        self._spin = Spin()
        self._bent = np.zeros(7)  # of the newest fix, see ``_bend``

    @property
    def seconds_barometer(self) -> bool:
        """Return whether its height runs as the barometer's and not as the filter's."""
        receiver = self.receiver
        return receiver.level and not receiver.torn and not self._z_passes

    def fuse(self, fix: GnssFix, at_s: float, lag_s: float, others: Others) -> None:
        """Fuse position and velocity of one fix, each with its own gate, or neither."""
        place = (fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
        stuck = self.position.stuck(at_s, place, self._belief)
        cause = TOO_LATE if lag_s > LATE_MAX_S else _fault(fix, self._config) or stuck
        if not cause and not self._anchor.take(fix, at_s - lag_s, self._believed(lag_s)):
            cause = FAR
        struck_s = self._belief.watch.item(STRUCK)
        struck = struck_s > 0.0 and at_s - struck_s < self._config.gnss_delay_max_s
        self._struck_s = min(self._struck_s, at_s) if struck else at_s
        struck = struck and at_s - self._struck_s < _RATTLE_S
        unusable = cause or self.speed_fault(fix) or (struck and "may be of before an impact")
        arm = fix.antenna_frd_m
        track = self._track
        known = None if cause else arm
        self._arm = None if known is None else lever(known, self._belief, track, lag_s)
        self._spin.look(at_s, self._belief, track, told=arm is not None)
        measured = None if cause else self._anchor.to_ned(fix)
        if self._arm is not None:
            if fix.velocity_ned_m_s is not None:
                fix = replace(fix, velocity_ned_m_s=fix.velocity_ned_m_s - self._arm.speed)
            measured = None if measured is None else measured - self._arm.place
        if struck:
            self.receiver.struck()
        elif measured is not None and self.started:
            self._look(fix, measured, not unusable, at_s, lag_s, others)
        self._bend(at_s, lag_s)
        # velocity first: a first position is carried along it to the time of the belief
        self.velocity.seen_s = at_s if fix.velocity_ned_m_s is not None else self.velocity.seen_s
        moves = False
        if unusable:
            self.velocity.tally.refuse(unusable)
        else:
            moves = self._fuse_velocity(fix, at_s, lag_s, others)
        if measured is None:
            self.position.tally.refuse(cause)
        else:
            across = self._fuse_position(fix, measured, at_s, lag_s, others)
            if not struck and (across if unusable else moves):
                self.receiver.agreed(place=across)

    def _bend(self, at_s: float, lag_s: float) -> None:
        """Note by how much the way since a late fix was no straight one at even acceleration.

        Place (3,) [m] and velocity (3,) [m/s] NED that the IMU's steps lead back to, over those of
        the models; variance [m^2/s^2] of the speed by what the steps may have missed.
        """
        bent, belief, track = self._bent, self._belief, self._track
        bent[:] = 0.0
        if not _BACK_S < lag_s <= LATE_MAX_S:
            return
        x, then = belief.x, np.empty(kernel.N_NOMINAL)
        bent[6] = before(x, track.ring, track.first, track.last, belief.watch, at_s - lag_s, then)
        bent[0:3] = then[0:3] - (x[0:3] - x[3:6] * lag_s)
        bent[3:6] = then[3:6] - (x[3:6] - belief.watch[ACCELERATION] * lag_s)

    def _believed(self, lag_s: float) -> Array | None:
        """Return where the belief was (3,) [m] NED; None before its first place."""
        x = self._belief.x
        return x[0:3] - x[3:6] * lag_s if self.started else None

    def _look(
        self,
        fix: GnssFix,
        measured: Array,
        doppler: bool,
        at_s: float,
        lag_s: float,
        others: Others,
    ) -> None:
        """Let the receiver be judged by this fix, whatever the filter thinks of it."""
        c, x, accel = self._config, self._belief.x, self._belief.watch[ACCELERATION]
        believed = x[3:6] - accel * lag_s
        velocity = fix.velocity_ned_m_s
        if not doppler or velocity is None:
            velocity, doppler = believed, False
        speed = max(fix.speed_accuracy_m_s if doppler else 0.0, c.gnss_speed_min_m_s)
        look = Look(
            when_s=at_s - lag_s,
            place=measured,
            velocity=velocity,
            doppler=doppler,
            claim=(fix.eph_m, fix.epv_m, speed),
            inertial=believed - self._belief.watch[CORRECTED],
            turned_rad=self._belief.watch.item(TURNED),
            accel_m_s2=math.sqrt(square(accel)),
            believed=believed,
            altitude_m=others.altitude_m + float(x[5]) * lag_s,
            outvoted=others.height_backed and not self._z_passes,
            refused=math.sqrt(self.velocity.tally.nis / self.velocity.gate.limit),
        )
        self.receiver.take(look)
        imu_alone = others.height_shut_s > _SHUT_S and self.receiver.level
        if self.receiver.torn == BY_IMU and imu_alone:
            self.receiver.followed()  # barometer and receiver agree: it is the IMU

    def _adrift(self) -> bool:
        """Return whether dead reckoning knows less of the place than the worst usable receiver."""
        p = self._belief.p
        return float(p[0, 0] + p[1, 1]) > 2.0 * self._config.gnss_eph_max_m**2

    def _hears(self, at_s: float, *doubts: Doubt) -> bool:
        """Return whether none of them is torn, or nothing else has been left for long."""
        if not any(doubt.torn for doubt in doubts):
            return True
        return self.receiver.lasts(at_s) and self._adrift()

    def _may_reset(self, gate: Gate, at_s: float, others: Others, *, exhausted: bool) -> bool:
        """Return whether it is the filter that is wrong where a gate has been shut for long."""
        c, receiver = self._config, self.receiver
        if not gate.shut_for_s(at_s) > c.recover_s:
            return False
        whole_s = receiver.whole_for_s(at_s)
        if exhausted:
            return whole_s >= c.recover_s
        wanted_s = c.gnss_doubt_s if others.speed_backed else receiver.wanted_s
        return whole_s >= wanted_s

    def _may_lift(self, at_s: float, others: Others) -> bool:
        """Return whether the height may be put where GNSS says.

        Where barometer and IMU agree on one, only within the receiver's own claims: then the gate
        is shut because the filter is too sure of it.
        """
        c, receiver = self._config, self.receiver
        if others.height_backed and not (
            receiver.level and receiver.whole_for_s(at_s, height=True) >= c.gnss_doubt_s
        ):
            return False
        lost = float(self._belief.p[2, 2]) > c.gnss_epv_max_m**2
        return self._may_reset(self.z, at_s, others, exhausted=lost)

    def _fuse_position(
        self, fix: GnssFix, measured: Array, at_s: float, lag_s: float, others: Others
    ) -> bool:
        """Fuse; return whether the horizontal position was used."""
        c, belief, tally = self._config, self._belief, self.position.tally
        eph, epv = max(fix.eph_m, c.gnss_eph_min_m), max(fix.epv_m, c.gnss_epv_min_m)
        lasts = math.sqrt(1.0 - c.gnss_white_share**2)
        kept = math.exp(-max(at_s - self._claimed_s, 0.0) / _CLAIM_S) if self.started else 0.0
        belief.expect_gnss((lasts * eph, lasts * eph, lasts * epv), kept)
        self._claimed_s = at_s
        new, late = c.gnss_white_share, c.gnss_jitter_s * belief.x[3:6]
        variance = np.array([new * eph, new * eph, new * epv]) ** 2 + late * late
        variance += self._bent[6] * lag_s * lag_s
        if not self.started:
            belief.place(measured, variance, lag_s, (0, 1, 2))
            self.started = True
            self.xy.open(at_s)
            self.z.open(at_s)
            tally.fused(fix.stamp_ns)
            return True
        h, predicted = np.empty((3, kernel.N)), np.empty(3)
        models.gnss_position(belief.x, lag_s, h, predicted)
        if self._arm is not None:
            h[:, kernel.ATT : kernel.ATT + 3] = self._arm.place_by_turn
        residual = measured - predicted - self._bent[0:3]
        noise = variance * [self.xy.scale, self.xy.scale, self.z.scale]
        tally.tested(correction.statistic(belief.p, h, residual, noise), residual)
        receiver, seen = self.receiver, _Seen(measured, h, residual, variance, lag_s)
        # a place that goes with a speed that is torn has shown nothing
        placed = self._hears(at_s, receiver.place, receiver.speed) and not receiver.leapt
        raised = self._hears(at_s, receiver.height) and not receiver.leapt
        across = self._fuse_across(seen, at_s, others, heard=placed)
        up = self._fuse_height(seen, at_s, others, heard=raised)
        if receiver.leapt:
            tally.refuse(LEAPT)
        else:
            if not placed:
                tally.refuse(PLACE_ASTRAY)
            if not raised:
                tally.refuse(HEIGHT_ASTRAY)
        if across or up:
            tally.fused(fix.stamp_ns)
        return across

    def _fuse_across(self, seen: _Seen, at_s: float, others: Others, *, heard: bool) -> bool:
        xy = slice(0, 2)
        one = self._belief, seen.h[xy], seen.residual[xy], seen.variance[xy], at_s
        if not heard:
            self.xy.refuse(*one)
            return False
        if self.xy.judge(*one, self._spin.held)[0]:
            return True
        taken = self._may_reset(self.xy, at_s, others, exhausted=self._adrift())
        if taken:
            self._take_place(self.xy, seen, at_s, (0, 1))
        self.position.tally.refuse(f"horizontal {RESET}" if taken else "horizontal gate")
        return taken

    def _fuse_height(self, seen: _Seen, at_s: float, others: Others, *, heard: bool) -> bool:
        z = slice(2, 3)
        one = self._belief, seen.h[z], seen.residual[z], seen.variance[z], at_s
        if not heard:
            self._z_passes = self.z.refuse(*one) <= self.z.limit
            return False
        self._z_passes = self.z.judge(*one, self._spin.held)[0]
        if self._z_passes:
            return True
        taken = self._may_lift(at_s, others)
        if taken:
            self._take_place(self.z, seen, at_s, (2,))
        self.position.tally.refuse(f"vertical {RESET}" if taken else "vertical gate")
        return taken

    def _take_place(self, gate: Gate, seen: _Seen, at_s: float, axes: tuple[int, ...]) -> None:
        # a barometer that rises and sinks with the receiver was right about the filter
        tie = not self.seconds_barometer
        self._belief.place(seen.measured, seen.variance, seen.lag_s, axes, tie=tie)
        gate.recover(at_s)

    def speed_fault(self, fix: GnssFix) -> str:
        """Return why the velocity of a fix cannot be used, or nothing."""
        velocity = fix.velocity_ned_m_s
        if velocity is None:
            return "no velocity"
        if not square(velocity) < SPEED_MAX_M_S**2:
            return "impossible velocity"
        if not fix.speed_accuracy_m_s <= self._config.gnss_speed_max_m_s:
            return "accuracy too poor"
        return ""

    def _fuse_velocity(self, fix: GnssFix, at_s: float, lag_s: float, others: Others) -> bool:
        """Fuse; return whether the velocity was used."""
        c, source, belief = self._config, self.velocity, self._belief
        velocity = fix.velocity_ned_m_s
        assert velocity is not None
        level2 = max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s) ** 2
        variance = np.array([level2, level2, 2.25 * level2])  # down worse by half, as in EKF2
        variance += self._spin.swing_m_s**2
        variance += self._bent[6]
        h, predicted = np.empty((3, kernel.N)), np.empty(3)
        models.gnss_velocity(belief.x, belief.watch[ACCELERATION], lag_s, h, predicted)
        if self._arm is not None:
            h[:, kernel.ATT : kernel.ATT + 3] = self._arm.speed_by_turn
        residual = velocity - predicted - self._bent[3:6]
        climbs = not self.receiver.height.torn  # else its climb is not believed either
        said = slice(0, 3 if climbs else 2)
        rows = (belief, h[said], residual[said], variance[said], at_s)
        if not self._hears(at_s, self.receiver.speed):
            source.refuse(*rows, SPEED_ASTRAY)
            return False
        passed = source.judge(*rows, fix.stamp_ns, self._spin.held)
        source.tally.innovation = residual  # all of it is published
        if passed:
            return True
        # place and height were of one piece, and the IMU alone is no evidence for so long
        alone = not (others.speed_backed or others.air_backed)
        lost = alone and self.receiver.torn == BY_IMU
        lost = lost or float(np.trace(belief.p[3:6, 3:6])) > 3.0 * c.gnss_speed_max_m_s**2
        if self._may_reset(source.gate, at_s, others, exhausted=lost):
            if not climbs:
                velocity = np.array([velocity[0], velocity[1], belief.x[5]])
                variance[2] = belief.p[5, 5]
            belief.take_velocity(velocity, variance)
            source.take_back(at_s)
            self.receiver.followed()
        return False


def _fault(fix: GnssFix, config: EstimatorConfig) -> str:
    """Return why the fix cannot be used, or nothing."""
    if fix.fix_type < config.gnss_fix_min:
        return "no 3D fix"
    try:
        check_coordinates(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
    except ValueError:
        return "impossible coordinates"
    arm = fix.antenna_frd_m
    if arm is not None and not square(arm) < ARM_MAX_M**2:
        return "impossible antenna"
    if not (fix.eph_m <= config.gnss_eph_max_m and fix.epv_m <= config.gnss_epv_max_m):
        return "accuracy too poor"
    return ""
