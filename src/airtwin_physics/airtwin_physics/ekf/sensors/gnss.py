# SPDX-License-Identifier: Apache-2.0
"""GNSS position and velocity: one receiver, doubted in place, height and speed (``receiver``).

A fix becomes a ``Solution`` at the border. On that the receiver is judged, whatever the filter
thinks of it, then speed and place are fused, each with its own gates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core.types import GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.doubt import Doubt
from airtwin_physics.ekf.imu import ImuTrack, square
from airtwin_physics.ekf.receiver import BY_IMU, Look, Receiver
from airtwin_physics.ekf.sensors.solution import (
    Border,
    Rows,
    Solution,
    place_rows,
    speed_rows,
)
from airtwin_physics.ekf.source import STUCK, Gate, Source
from airtwin_physics.ekf.steps import ACCELERATION, CORRECTED, TURNED
from airtwin_physics.ekf.tally import RESET

_SHUT_S = 1.0  # a barometer refused for so long contradicts
# A claim that falls is followed by the offset this quickly: sooner, a claim that only goes up and
# down makes the filter conceited; in gnss_wander_s, a receiver that settles is not believed
_CLAIM_S = 40.0
_NEW_AT_MOST = 0.6  # of a claim, if the receiver is no better than it says
PLACE_ASTRAY = "its place is astray"
HEIGHT_ASTRAY = "its height is astray"
SPEED_ASTRAY = "its speed is astray"
LEAPT = "its height has leapt"

_LEVEL, _DOWN = slice(0, 2), slice(2, 3)  # of three NED
_NORTH, _EAST, _HEIGHT = kernel.POS, kernel.POS + 1, kernel.POS + 2
_VEL, _CLIMB = slice(kernel.VEL, kernel.VEL + 3), kernel.VEL + 2


@dataclass(slots=True)
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


class Gnss:
    """Fuses fixes; ``started``: a first position was taken."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, anchor: Anchor, track: ImuTrack
    ) -> None:
        self._config = config
        self._belief = belief
        self._border = Border(config, belief, anchor, track)
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
        self._height_passes = True  # the gate, if it were heard
        self._claimed_s = 0.0
        self._border.start_over()

    @property
    def seconds_barometer(self) -> bool:
        """Return whether its height runs as the barometer's and not as the filter's."""
        receiver = self.receiver
        return receiver.level and not receiver.torn and not self._height_passes

    def fuse(self, fix: GnssFix, at_s: float, lag_s: float, others: Others) -> Solution:
        """Fuse position and velocity of one fix, each with its own gate; return what it said."""
        stuck = self._stuck(fix, at_s)
        said = self._border.solve(fix, at_s, lag_s, stuck=stuck, located=self.started)
        self._judge(said, others)
        # velocity first: a first position is carried along it to the time of the belief
        moves = self._fuse_speed(said, others)
        across = self._fuse_place(said, others)
        if (across if said.no_speed else moves) and not said.struck:
            self.receiver.agreed(place=across)
        return said

    def _stuck(self, fix: GnssFix, at_s: float) -> tuple[str, str]:
        """Return why place and speed are no measurements though the fix is fresh."""
        place = (fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
        stuck, velocity = self.position.stuck(at_s, place, self._belief), fix.velocity_ned_m_s
        if velocity is None:
            return stuck, ""
        return stuck, self.velocity.stuck(at_s, tuple(velocity.tolist()), self._belief)

    # --- receiver -------------------------------------------------------------------------------

    def _judge(self, said: Solution, others: Others) -> None:
        """Let the receiver be judged by this fix, whatever the filter thinks of it."""
        receiver, watch = self.receiver, self._belief.watch
        if said.struck:
            receiver.struck()
            return
        if said.no_place or not self.started:
            return
        now, accel, tally = self._belief.velocity_ned_m_s, watch[ACCELERATION], self.velocity.tally
        believed = now - accel * said.lag_s
        look = Look(
            when_s=said.true_s,
            place=said.place,
            velocity=believed if said.no_speed else said.velocity,
            doppler=not said.no_speed,
            stuck=said.no_speed == STUCK,
            claim=(said.sigma[0], said.sigma[2], said.speed_sigma),
            inertial=believed - watch[CORRECTED],
            turned_rad=watch.item(TURNED),
            accel_m_s2=math.sqrt(square(accel)),
            believed=believed,
            altitude_m=others.altitude_m + now.item(2) * said.lag_s,
            outvoted=others.height_backed and not self._height_passes,
            refused=0.0 if said.no_speed else math.sqrt(tally.nis / self.velocity.gate.limit),
        )
        receiver.take(look)
        imu_alone = others.height_shut_s > _SHUT_S and receiver.level
        if receiver.torn == BY_IMU and imu_alone:
            receiver.followed()  # barometer and receiver agree: it is the IMU

    def _adrift(self) -> bool:
        """Return whether dead reckoning knows less of the place than the worst usable receiver."""
        p = self._belief.p
        return p.item(_NORTH, _NORTH) + p.item(_EAST, _EAST) > 2.0 * self._config.gnss_eph_max_m**2

    def _hears(self, at_s: float, *doubts: Doubt) -> bool:
        """Return whether none of them is torn, or nothing else has been left for long."""
        if not any(doubt.torn for doubt in doubts):
            return True
        return self.receiver.lasts(at_s) and self._adrift()

    # --- filter ---------------------------------------------------------------------------------

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
        lost = self._belief.p.item(_HEIGHT, _HEIGHT) > c.gnss_epv_max_m**2
        return self._may_reset(self.z, at_s, others, exhausted=lost)

    # --- speed ----------------------------------------------------------------------------------

    def _fuse_speed(self, said: Solution, others: Others) -> bool:
        """Fuse; return whether the velocity was used."""
        source, belief, at_s = self.velocity, self._belief, said.at_s
        if said.no_speed:
            source.tally.refuse(said.no_speed)
            return False
        rows = speed_rows(said, belief.x, belief.watch[ACCELERATION])
        climbs = not self.receiver.height.torn  # else its climb is not believed either
        heard = rows if climbs else rows.axes(_LEVEL)
        if not self._hears(at_s, self.receiver.speed):
            source.refuse(belief, *heard, at_s, SPEED_ASTRAY)
            return False
        passed = source.judge(belief, *heard, at_s, said.stamp_ns, said.held)
        source.tally.innovation = rows.residual  # all of it is published
        if not passed:
            self._take_speed(said, rows, others, climbs=climbs)
        return passed

    def _take_speed(self, said: Solution, rows: Rows, others: Others, *, climbs: bool) -> None:
        """Take the velocity as it is, if it is the filter that is wrong."""
        belief, at_s = self._belief, said.at_s
        # place and height were of one piece, and the IMU alone is no evidence for so long
        alone = not (others.speed_backed or others.air_backed)
        lost = alone and self.receiver.torn == BY_IMU
        worst2 = self._config.gnss_speed_max_m_s**2
        lost = lost or float(np.trace(belief.p[_VEL, _VEL])) > 3.0 * worst2
        if not self._may_reset(self.velocity.gate, at_s, others, exhausted=lost):
            return
        velocity, variance = said.velocity.copy(), rows.variance
        if not climbs:
            velocity[_DOWN] = belief.velocity_ned_m_s[_DOWN]
            variance[_DOWN] = belief.p[_CLIMB, _CLIMB]
        belief.take_velocity(velocity, variance)
        self.velocity.take_back(at_s)
        self.receiver.followed()

    # --- place ----------------------------------------------------------------------------------

    def _fuse_place(self, said: Solution, others: Others) -> bool:
        """Fuse; return whether the horizontal position was used."""
        belief, tally, at_s = self._belief, self.position.tally, said.at_s
        if said.no_place:
            tally.refuse(said.no_place)
            return False
        self._expect(said)
        rows = place_rows(said, belief.x, self._config)
        if not self.started:
            self._start(said, rows)
            return True
        (north, east, down), level = rows.variance.tolist(), self.xy.scale
        noise = np.array([north * level, east * level, down * self.z.scale])
        tally.tested(correction.statistic(belief.p, rows.h, rows.residual, noise), rows.residual)
        receiver = self.receiver
        # a place that goes with a speed that is torn has shown nothing
        placed = self._hears(at_s, receiver.place, receiver.speed) and not receiver.leapt
        raised = self._hears(at_s, receiver.height) and not receiver.leapt
        across = self._fuse_across(said, rows, others, heard=placed)
        up = self._fuse_height(said, rows, others, heard=raised)
        if receiver.leapt:
            tally.refuse(LEAPT)
        else:
            if not placed:
                tally.refuse(PLACE_ASTRAY)
            if not raised:
                tally.refuse(HEIGHT_ASTRAY)
        if across or up:
            tally.fused(said.stamp_ns)
        return across

    def _expect(self, said: Solution) -> None:
        """Let the offset be as large as what lasts of the claim."""
        north, east, down = said.sigma
        lasts = math.sqrt(1.0 - self._config.gnss_white_share**2)
        passed_s = max(said.at_s - self._claimed_s, 0.0)
        kept = math.exp(-passed_s / _CLAIM_S) if self.started else 0.0
        self._belief.expect_gnss((lasts * north, lasts * east, lasts * down), kept)
        self._claimed_s = said.at_s

    def _start(self, said: Solution, rows: Rows) -> None:
        self._belief.place(said.place, rows.variance, said.lag_s, (0, 1, 2))
        self.started = True
        self.xy.open(said.at_s)
        self.z.open(said.at_s)
        self.position.tally.fused(said.stamp_ns)

    def _fuse_across(self, said: Solution, rows: Rows, others: Others, *, heard: bool) -> bool:
        level, at_s = rows.axes(_LEVEL), said.at_s
        if not heard:
            self.xy.refuse(self._belief, *level, at_s)
            return False
        if self.xy.judge(self._belief, *level, at_s, said.held)[0]:
            return True
        taken = self._may_reset(self.xy, at_s, others, exhausted=self._adrift())
        if taken:
            self._take_place(self.xy, said, rows, (0, 1))
        self.position.tally.refuse(f"horizontal {RESET}" if taken else "horizontal gate")
        return taken

    def _fuse_height(self, said: Solution, rows: Rows, others: Others, *, heard: bool) -> bool:
        down, at_s = rows.axes(_DOWN), said.at_s
        if not heard:
            self._height_passes = self.z.refuse(self._belief, *down, at_s) <= self.z.limit
            return False
        self._height_passes = self.z.judge(self._belief, *down, at_s, said.held)[0]
        if self._height_passes:
            return True
        taken = self._may_lift(at_s, others)
        if taken:
            self._take_place(self.z, said, rows, (2,))
        self.position.tally.refuse(f"vertical {RESET}" if taken else "vertical gate")
        return taken

    def _take_place(self, gate: Gate, said: Solution, rows: Rows, axes: tuple[int, ...]) -> None:
        # a barometer that rises and sinks with the receiver was right about the filter
        tie = not self.seconds_barometer
        self._belief.place(said.place, rows.variance, said.lag_s, axes, tie=tie)
        gate.recover(said.at_s)
