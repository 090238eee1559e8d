# SPDX-License-Identifier: Apache-2.0
"""Heading: by two GNSS antennas, a pose from outside, the magnetometer, else PX4's own.

Motion has the last word (``motion_heading``): where it contradicts the heading, whatever gave it
is refused until it agrees with motion again.
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, GnssFix, Magnetometer
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import aiding_models, correction, disturbance, kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.tally import NEVER_S

_LEVEL_MIN = 0.5  # of a line between antennas: steeper than 60 deg it shows no heading (EKF2)
MOTION = "motion"  # who is in charge, beside the names of the sources
_OFF_MAX_RAD = 0.5  # of PX4's heading from that of motion
_NO_OFFSET_RAD = 1e-3  # of a source whose heading has no lasting error of its own
_FOUND_RAD = 0.25  # a heading known better than this is no mere guess
_DISTURBED_RAD = 0.5  # a compass that may be turned by so much shows no north
_TURN_RAD = 0.1  # steps in which a turn is followed


class Heading:
    """Fuses what shows north; ``using`` names the source in charge, "" at first."""

    def __init__(self, config: EstimatorConfig, belief: Belief, anchor: Anchor) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self.compass = Source("magnetometer", 1, config)
        self.px4 = Source("heading", 1, config)
        self.antennas = Source("gnss_heading", 1, config)
        self.pose = Source("pose_heading", 1, config)
        self._fields = np.zeros(disturbance.N_SEEN)
        self._remembers = config.heading_wander_s / config.magnetometer_period_s
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.using = ""
        self._declination = 0.0
        self._compass_since_s = self._moved_s = self._disturbed_s = NEVER_S
        self._fields[:] = 0.0
        self._allowed2, self._course_rad = 0.0, 0.0
        for source in (self.compass, self.px4, self.antennas, self.pose):
            source.start_over()

    @property
    def passed_s(self) -> float:
        """When a heading was last fused."""
        return max(
            self.compass.gate.passed_s,
            self.px4.gate.passed_s,
            self.antennas.gate.passed_s,
            self.pose.gate.passed_s,
            self._moved_s,
        )

    def by_motion(self, sigma_rad: float, at_s: float) -> None:
        """Go by motion alone: what gave the heading before was contradicted by it."""
        self._belief.take_heading(0.0, sigma_rad, _NO_OFFSET_RAD)
        self.using, self._compass_since_s = MOTION, at_s
        self.moved(at_s)

    @property
    def by_motion_alone(self) -> bool:
        """Whether nothing but motion shows north."""
        return self.using == MOTION

    def moved(self, at_s: float) -> None:
        """Note that motion bears the heading out, where nothing else does."""
        self._moved_s = at_s

    def shown_by_others(self, at_s: float) -> bool:
        """Return whether something else than a pose has shown north lately."""
        passed_s = max(s.gate.passed_s for s in (self.compass, self.px4, self.antennas))
        return self.using != "pose_heading" and at_s - passed_s < self._config.recover_s

    def _leads(self, source: Source, at_s: float) -> bool:
        return at_s - source.gate.passed_s < self._config.recover_s

    def gnss(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        """Fuse the heading of the line between two antennas; it has no lasting offset."""
        c, source, belief = self._config, self.antennas, self._belief
        if math.isnan(fix.heading_rad) or source.unusable(at_s, lag_s, fix.heading_rad, belief):
            return
        h = np.empty((1, kernel.N))
        shown, level = aiding_models.antenna_heading(belief.x, fix.antenna_yaw_frd_rad, h[0])
        cause = ""
        if not abs(fix.heading_rad) < 10.0:
            cause = "impossible heading"
        elif not level > _LEVEL_MIN:
            cause = "antennas above each other"
        if cause:
            source.tally.refuse(cause)
            return
        # what the turn since the fix adds: its age is GNSS's
        residual = frames.wrap_pi(fix.heading_rad + fix.antenna_yaw_frd_rad - shown)
        claim = fix.heading_accuracy_rad
        noise_rad = max(min(claim, np.pi) if claim > 0.0 else 0.0, c.gnss_heading_noise_rad)
        self._fuse_or_take(source, h, residual, noise_rad, at_s, fix.stamp_ns)

    def by_pose(
        self,
        off_rad: float,
        noise_rad: float,
        h: Array,
        at_s: float,
        stamp_ns: int,
        *,
        may_turn: bool,
    ) -> None:
        """Fuse how far a pose says that the heading is off; h (1, N) is ``models.heading``'s.

        ``may_turn``: it may take over from a compass, as nothing ties the position to true north.
        """
        source = self.pose
        source.seen_s = at_s
        if self._leads(self.antennas, at_s):
            source.tally.refuse("beside GNSS heading")
            return
        h[0, kernel.HEADING] = 0.0
        if not may_turn and self.using not in ("", source.tally.source):
            source.tally.refuse("beside another heading")
            return
        if self.using != source.tally.source:
            self._turn_to(source, off_rad, noise_rad, at_s)
            off_rad = 0.0
        self._fuse_or_take(source, h, off_rad, noise_rad, at_s, stamp_ns)

    def _fuse_or_take(
        self,
        source: Source,
        h: Array,
        residual: float,
        noise_rad: float,
        at_s: float,
        stamp_ns: int,
    ) -> None:
        if not self.using:
            self._turn_to(source, residual, noise_rad, at_s)
            residual = 0.0
        left, noise = np.array([residual]), np.array([noise_rad**2])
        if source.judge(self._belief, h, left, noise, at_s, stamp_ns):
            return
        others = (s for s in (self.compass, self.px4, self.antennas, self.pose) if s is not source)
        if any(self._leads(other, at_s) for other in others):
            return
        if source.gate.shut_for_s(at_s) > self._config.recover_s:
            self._turn_to(source, residual, noise_rad, at_s)
            source.take_back(at_s)

    def _turn_to(self, source: Source, angle_rad: float, noise_rad: float, at_s: float) -> None:
        self._belief.take_heading(angle_rad, noise_rad, _NO_OFFSET_RAD)
        disturbance.turn(self._fields, angle_rad)
        self.using = source.tally.source
        source.gate.open(at_s)

    def magnetometer(self, sample: Magnetometer, at_s: float, lag_s: float) -> None:
        """Fuse the direction of the level part of the field."""
        c, source, belief = self._config, self.compass, self._belief
        tally, field_frd = source.tally, sample.field_frd_gauss
        if source.unusable(at_s, lag_s, field_frd.tobytes(), belief):
            return
        for better in (self.antennas, self.pose):
            if self.using == better.tally.source and self._leads(better, at_s):
                tally.refuse(f"beside {self.using}")
                return
        self._follow_declination()
        h, look = np.empty((1, kernel.N)), np.empty(disturbance.N_LOOK)
        if not disturbance.look(
            belief.x,
            belief.p,
            field_frd,
            c.magnetometer_noise_rad**2,
            self._fields,
            self._remembers,
            h[0],
            look,
        ):
            tally.refuse("field is vertical")
            return
        shown, variance, unsure2, lasting2, now2 = look.tolist()
        residual = frames.wrap_pi(self._declination - shown)
        disturbed = not max(lasting2, now2) < _DISTURBED_RAD**2
        if disturbed and self.using != MOTION:
            tally.refuse("field is disturbed")
            self._compass_since_s = self._disturbed_s = at_s
            return
        found = self._found_without(unsure2)
        if self.using in ("heading", MOTION) or found:
            # beside PX4's heading iron excuses it; beside motion or antennas it does not
            wide = variance + (now2 if self.using == "heading" else 0.0)
            if self._on_probation(h, residual, wide, at_s, found=found):
                tally.refuse("on probation")
                return
            if disturbed:  # what moved it is gone
                self._fields[:] = 0.0
                lasting2 = 0.0
        if self.using != "magnetometer":
            self.take("magnetometer", residual - float(belief.x[kernel.X_HEADING]), at_s)
            residual = 0.0
        self._allow_for(lasting2)
        left, noise = np.array([residual]), np.array([variance + now2])
        source.judge(belief, h, left, noise, at_s, sample.stamp_ns)

    def _follow_declination(self) -> None:
        """Go by the declination of here; a heading by the compass was from another north."""
        declination = self._anchor.declination_rad or 0.0
        if declination != self._declination and self.using == "magnetometer":
            self._belief.turn(declination - self._declination)
            disturbance.turn(self._fields, declination - self._declination)
        self._declination = declination

    def _on_probation(
        self, h: Array, residual: float, variance: float, at_s: float, *, found: bool
    ) -> bool:
        """Return whether a compass has not yet agreed for long enough with who has the word.

        found: that is motion or antennas, and the compass has no offset yet that is believed.
        """
        wide = np.array([variance + self._config.magnetometer_offset_rad**2])
        row = h.copy()
        row[0, kernel.HEADING] *= not found
        statistic = correction.statistic(self._belief.p, row, np.array([residual]), wide)
        first = found and self._compass_since_s == NEVER_S
        if first or not statistic <= self.compass.gate.limit:
            self._compass_since_s = at_s
        return at_s - self._compass_since_s < self._config.recover_s

    def _found_without(self, unsure2: float) -> bool:
        """Return whether motion or antennas have shown north before any compass spoke.

        unsure2 [rad^2]: of the heading. A pose's north may be its own, so it does not count.
        """
        return self.using in ("", self.antennas.tally.source) and unsure2 < _FOUND_RAD**2

    def _unsure2(self, h: Array) -> float:
        """Return the variance [rad^2] of the heading itself; h (1, N) of whatever shows it."""
        row = h[0].copy()
        row[kernel.HEADING] = 0.0
        variance: float = correction.spread(self._belief.p, row)
        return variance

    def _allow_for(self, lasting2: float) -> None:
        """Let the compass's offset be as large as the field shows, and turn with the aircraft.

        Iron is fixed to the aircraft: its error is another one at another heading.
        """
        belief = self._belief
        if lasting2 > self._allowed2:
            belief.widen(kernel.HEADING, lasting2 - self._allowed2)
            self._allowed2 = lasting2
        course_rad = frames.yaw_from_quat(belief.q_ned_frd)
        turn_rad = abs(frames.wrap_pi(course_rad - self._course_rad))
        if turn_rad > _TURN_RAD:
            self._course_rad = course_rad
            # between two headings far apart it differs by twice its variance
            most2 = self._config.magnetometer_offset_rad**2 + 2.0 * lasting2
            belief.widen_heading_offset(2.0 * lasting2 * turn_rad, most2)

    def attitude(self, sample: Attitude, at_s: float, lag_s: float) -> None:
        """Fuse PX4's heading, only while no magnetometer passes its gate."""
        c, source = self._config, self.px4
        recent = at_s - self.compass.gate.passed_s < c.recover_s
        if self.using == "magnetometer" and recent:
            return
        if self._leads(self.antennas, at_s) or self._leads(self.pose, at_s):
            return
        if source.unusable(at_s, lag_s, sample.q_ned_frd.tobytes(), self._belief):
            return
        h = np.empty((1, kernel.N))
        residual = models.heading(self._belief.x, sample.q_ned_frd, h[0])
        if self.using == MOTION and abs(residual) > _OFF_MAX_RAD:
            source.tally.refuse("contradicted by motion")
            return
        if self.using != "heading" or source.gate.shut_for_s(at_s) > c.recover_s:
            # the offset believed so far is another source's
            turn_rad = residual - float(self._belief.x[kernel.X_HEADING])
            if self._blind(at_s) and not self._may_turn(turn_rad, h):
                source.tally.refuse("contradicted by the gyro")
                return
            if self.using == "heading":
                source.take_back(at_s)
            self.take("heading", turn_rad, at_s)
            self._compass_since_s = at_s
            residual = 0.0
        left, noise = np.array([residual]), np.array([c.heading_noise_rad**2])
        source.judge(self._belief, h, left, noise, at_s, sample.stamp_ns)

    def _blind(self, at_s: float) -> bool:
        """Return whether a field has been disturbed that PX4's heading goes by as well."""
        return bool(self.using) and at_s - self._disturbed_s < self._config.heading_wander_s

    def _may_turn(self, angle_rad: float, h: Array) -> bool:
        """Return whether the heading that the gyro holds may be off by so much; h (1, N)."""
        c = self._config
        doubt2 = self._unsure2(h) + c.heading_noise_rad**2 + c.heading_offset_rad**2
        return frames.wrap_pi(angle_rad) ** 2 <= self.px4.gate.limit * doubt2

    def take(self, using: str, angle_rad: float, at_s: float) -> None:
        """Turn by an angle to what ``using``, magnetometer or heading, says.

        angle_rad: without the offset believed so far, which is that of another source.
        """
        c = self._config
        if using == "magnetometer":
            noise, offset = c.magnetometer_noise_rad, c.magnetometer_offset_rad
            self._allowed2 = 0.0
            self._declination = self._anchor.declination_rad or 0.0
            self.compass.gate.open(at_s)
        else:
            noise, offset = c.heading_noise_rad, c.heading_offset_rad
            self.px4.gate.open(at_s)
        self._belief.take_heading(angle_rad, noise, offset)
        disturbance.turn(self._fields, angle_rad)
        self.using = using
