# SPDX-License-Identifier: Apache-2.0
"""A pose from outside: motion capture, vision, a map. Position, velocity and heading of a frame.

Zero and, if it is ``local_frame``, north of that frame are its own. As in EKF2's external vision
fusion they are tied to NED: when GNSS falls silent the frame's zero is where the belief has it
now, and the pose carries the position on. What that tie is wrong by can't be seen meanwhile, so it
waits in ``aside`` (part of the published covariance) until GNSS comes back. Where there never was
GNSS, NED's zero is the frame's. North of a local frame follows whatever else shows a heading.
"""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array, ExternalPose
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import aiding_models, correction, kernel, models
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.sensors.gnss import Gnss
from airtwin_physics.ekf.sensors.heading import Heading
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.tally import NEVER_S

_CLAIM_MAX = 1e6  # a variance beyond says nothing more
_LEVEL = slice(kernel.POS, kernel.POS + 2)
_GNSS_S = 1.0  # after so long without GNSS the pose carries the position
_RETIE_S = 1.0
_FOLLOW_S = 2.0  # time constant with which north of a local frame follows


class Pose:
    """Fuses external poses; ``aside`` (3, 3) [m^2]: doubt about the tie, of the position."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, gnss: Gnss, heading: Heading
    ) -> None:
        self._config = config
        self._belief = belief
        self._gnss = gnss
        self._heading = heading
        self.position = Source("pose_position", 3, config)
        self.velocity = Source("pose_velocity", 3, config)
        self.aside = np.zeros((3, 3))
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.position.start_over()
        self.velocity.start_over()
        self.aside[:] = 0.0
        self._source = ""
        self._counter: int | None = None
        self._tied: tuple[Array, Array] | None = None  # a place in NED, the same in the frame
        self._north_count = 0
        self._north: float | None = None  # heading of the frame's x axis [rad]
        self._north_variance = 0.0  # [rad^2]
        self._alone = False  # NED is where the pose says: the height is tied as well
        self._at_s = self._loosened_s = NEVER_S
        self.height_s = NEVER_S  # when it last showed the height

    def shift(self, by_ned_m: Array) -> None:
        """Move with the origin of NED."""
        if self._tied is not None:
            self._tied = (self._tied[0] + by_ned_m, self._tied[1])

    def loosen(self, at_s: float) -> None:
        """Give the position its doubt back: something absolute is about to be compared with it."""
        if self._tied is None or at_s - self._loosened_s < _RETIE_S or not self.aside.any():
            return
        self._release()
        self._loosened_s = at_s

    def _release(self) -> None:
        """Untie: the doubt that waited aside is the position's again."""
        self._belief.p[kernel.POSITION, kernel.POSITION] += self.aside
        self.aside[:] = 0.0
        self._tied = None
        self._alone = False

    def fuse(self, sample: ExternalPose, at_s: float, lag_s: float) -> None:
        """Fuse what the pose holds, each part with its own gate."""
        self._source = self._source or sample.source
        value = tuple(
            part.tobytes()
            for part in (sample.position_ned_m, sample.velocity_ned_m_s, sample.q_ned_frd)
            if part is not None
        )
        if self.position.unusable(at_s, lag_s, value, self._belief):
            self.velocity.seen_s = at_s
            return
        if sample.source != self._source:
            self.position.tally.refuse("another source of poses leads")
            return
        if self._counter not in (None, sample.reset_counter):
            self._untie()
        self._counter = sample.reset_counter
        self._orient(sample, at_s)
        self._at_s = at_s
        if sample.velocity_ned_m_s is not None or sample.velocity_frd_m_s is not None:
            self._fuse_velocity(sample, at_s)
        if sample.position_ned_m is not None:
            self._fuse_position(sample.position_ned_m, sample, at_s, lag_s)

    def _untie(self) -> None:
        """Tie anew: the source says that its frame moved."""
        self._release()
        self._north = None
        self._north_count = 0
        self.position.tally.refuse("frame reset by the source")

    # --- heading --------------------------------------------------------------------------------

    def _orient(self, sample: ExternalPose, at_s: float) -> None:
        """Find the north of the frame, or take it for the heading."""
        c, heading, belief = self._config, self._heading, self._belief
        if not sample.local_frame:
            self._north = 0.0
        if sample.q_ned_frd is None:
            return
        claim = float(_claim(sample.orientation_variance_rad2)[2])
        noise_rad = max(float(np.sqrt(claim)), c.pose_heading_noise_rad)
        h = np.empty((1, kernel.N))
        north = self._north or 0.0
        turned = frames.quat_multiply(frames.quat_from_euler(0.0, 0.0, north), sample.q_ned_frd)
        off = models.heading(belief.x, turned, h[0]) - belief.x[kernel.X_HEADING]
        off = frames.wrap_pi(off)
        if sample.local_frame and heading.shown_by_others(at_s):
            self._north_count += 1
            share = max((at_s - self._at_s) / _FOLLOW_S, 1.0 / self._north_count)
            self._north = frames.wrap_pi(north - min(share, 1.0) * off)
            row = np.zeros(kernel.N)
            row[kernel.ATT : kernel.ATT + 3] = frames.rotation_from_quat(belief.q_ned_frd)[2]
            self._north_variance = correction.spread(belief.p, row) + noise_rad**2 * share
            return
        if self._north is None:
            self._north = 0.0  # nothing else shows north: it is where the frame says
        may_turn = sample.local_frame or not self._gnss_leads(at_s)
        heading.by_pose(off, noise_rad, h, at_s, sample.stamp_ns, may_turn=may_turn)

    # --- velocity -------------------------------------------------------------------------------

    def _fuse_velocity(self, sample: ExternalPose, at_s: float) -> None:
        source, belief = self.velocity, self._belief
        source.seen_s = at_s
        variance = np.maximum(
            _claim(sample.velocity_variance_m2_s2), self._config.pose_speed_noise_m_s**2
        )
        h, shown = np.zeros((3, kernel.N)), belief.velocity_ned_m_s.copy()
        velocity, q = sample.velocity_ned_m_s, sample.q_ned_frd
        in_body = sample.velocity_frd_m_s
        if velocity is not None and sample.local_frame and q is not None:
            # seen from the body by the pose's own attitude: the frame's north drops out
            in_body = frames.rotation_from_quat(q).T @ velocity
            angle = _claim(sample.orientation_variance_rad2).max()
            variance = variance + max(float(angle), self._config.pose_heading_noise_rad**2) * (
                velocity @ velocity - in_body**2
            )
        if in_body is not None:
            measured = in_body
            aiding_models.body_velocity(belief.x, h, shown)
            in_ned = frames.rotation_from_quat(belief.q_ned_frd) @ measured
        elif velocity is None or sample.local_frame:
            source.tally.refuse("north of its frame unknown")
            return
        else:
            measured = in_ned = velocity
            h[:, 3:6] = np.eye(3)
        north = in_body is None
        if source.judge(belief, h, measured - shown, variance, at_s, sample.stamp_ns, north=north):
            return
        if source.gate.shut_for_s(at_s) > self._config.recover_s and not self._gnss_leads(at_s):
            belief.take_velocity(in_ned, np.full(3, float(variance.max())))
            source.take_back(at_s)

    # --- position -------------------------------------------------------------------------------

    def _gnss_leads(self, at_s: float) -> bool:
        return at_s - self._gnss.xy.passed_s < _GNSS_S

    def _fuse_position(
        self, place: Array, sample: ExternalPose, at_s: float, lag_s: float
    ) -> None:
        source, belief = self.position, self._belief
        if self._north is None:
            source.tally.refuse("north of its frame unknown")
            return
        variance = np.maximum(_claim(sample.position_variance_m2), self._config.pose_noise_m**2)
        if self._gnss_leads(at_s):
            self._release()
            source.tally.refuse("beside GNSS")
            return
        if self._tied is None:
            self._tie(place, variance, at_s, lag_s)
            source.tally.fused(sample.stamp_ns)
            return
        since = _turned(place - self._tied[1], self._north)
        if sample.local_frame and not self._alone:
            # wrong by the north of the frame times the way since the tie; that lasts, so what
            # comes in one second counts once
            away2 = float(np.sum(since[:2] ** 2))
            variance = variance + self._north_variance * away2 / self._config.pose_period_s
        axes = 3 if self._alone else 2  # a height that GNSS and barometer knew stays theirs
        h = np.zeros((axes, kernel.N))
        for axis in range(axes):
            h[axis, kernel.POS + axis] = 1.0
            h[axis, kernel.VEL + axis] = -lag_s
        residual = self._tied[0] + since - belief.position_ned_m
        residual = (residual + belief.velocity_ned_m_s * lag_s)[:axes]
        if source.judge(belief, h, residual, variance[:axes], at_s, sample.stamp_ns):
            self.height_s = at_s if self._alone else self.height_s
            return
        if source.gate.shut_for_s(at_s) > self._config.recover_s:
            if self._alone:
                belief.place(self._tied[0] + since, variance, lag_s, (0, 1, 2))
            else:
                self._untie()
            source.take_back(at_s)

    def _tie(self, place: Array, variance: Array, at_s: float, lag_s: float) -> None:
        """Hold the frame's zero where it is now; or take its zero for NED's if there is none."""
        belief, p = self._belief, self._belief.p
        if not self._gnss.started:
            self._tied = (np.zeros(3), np.zeros(3))
            self._alone = True
            measured = _turned(place, self._north or 0.0)
            belief.place(measured, variance, lag_s, (0, 1, 2))
        else:
            self._tied = (belief.position_ned_m - belief.velocity_ned_m_s * lag_s, place)
            self.aside[_LEVEL, _LEVEL] = p[_LEVEL, _LEVEL]
            for axis in range(2):
                correction.forget(p, kernel.POS + axis, float(variance[axis]))
        self.position.gate.open(at_s)


def _claim(variance: Array) -> Array:
    """Return claimed variances (3,) within reason; 0 where there is no claim."""
    return np.clip(np.nan_to_num(variance, nan=0.0), 0.0, _CLAIM_MAX)


def _turned(v: Array, north_rad: float) -> Array:
    """Return (3,) turned about down."""
    c, s = np.cos(north_rad), np.sin(north_rad)
    return np.array([c * v[0] - s * v[1], s * v[0] + c * v[1], v[2]])
