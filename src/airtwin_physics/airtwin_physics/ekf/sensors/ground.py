# SPDX-License-Identifier: Apache-2.0
"""What looks at the ground: the rangefinder (height over it) and optical flow (speed over it)."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array, OpticalFlow, Rangefinder
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import aiding_models, correction, kernel
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import RING, ImuTrack
from airtwin_physics.ekf.source import Gate, Source

_TERRAIN_WALK = kernel.DENSITY.start + 8  # its place in ``constants``
_CLAIM_MAX = 1e4  # [m^2] more says nothing
_CLOSE_M = 0.05  # nearer to the ground flow over height means nothing
_DOUBT_MAX = 0.3  # of the height's sigma over the height, for flow to show a speed
_BIAS_SHARE = 0.01  # of the flow sensor's gyro bias learnt with each sample, as in EKF2
_BIAS_STEP_MAX_RAD_S = 0.1
_FLOW_LATE_S = 0.1


class Ground:
    """Fuses distances and flow; the height of the ground, ``terrain``, is a state."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, track: ImuTrack, others: tuple[Gate, ...]
    ) -> None:
        self._config = config
        self._others = others  # gates of what shows the same speed
        self._belief = belief
        self._track = track
        self.range = Source("rangefinder", 1, config)
        self.flow = Source("flow", 2, config)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.range.start_over()
        self.flow.start_over()
        self._tied = False
        self._gyro_bias = np.zeros(2)
        self._belief.constants[_TERRAIN_WALK] = self._config.terrain_walk

    # --- rangefinder ----------------------------------------------------------------------------

    def distance(self, sample: Rangefinder, at_s: float, lag_s: float) -> None:
        """Fuse a distance: first it shows where the ground is, then height and ground share it."""
        c, source, belief = self._config, self.range, self._belief
        if source.unusable(at_s, lag_s, sample.distance_m, belief):
            return
        down = float(frames.rotation_from_quat(belief.q_ned_frd)[2, 2])
        cause = ""
        if not sample.valid:
            cause = "the sensor doubts it"
        elif not 0.0 < sample.distance_m < c.range_max_m:
            cause = "out of range"
        elif not down > c.range_cos_tilt_min:
            cause = "tilted too far"
        if cause:
            source.tally.refuse(cause)
            self._roughen(np.inf)  # whoever flies on without seeing the ground leaves it behind
            return
        claimed = min(sample.variance_m2, _CLAIM_MAX) if sample.variance_m2 > 0.0 else 0.0
        noise = max(claimed, c.range_noise_m**2) + (c.range_noise_share * sample.distance_m) ** 2
        h, variance = np.empty((1, kernel.N)), np.array([noise])
        residual = np.array([sample.distance_m - aiding_models.rangefinder(belief.x, lag_s, h[0])])
        if not self._tied:
            self._tie(sample.distance_m * down, noise, at_s)
            source.tally.fused(sample.stamp_ns)
        elif (
            not source.judge(belief, h, residual, variance, at_s, sample.stamp_ns, north=False)
            and source.gate.shut_for_s(at_s) > c.range_recover_s
        ):
            # a roof, a wall's edge: the ground is elsewhere, not the aircraft
            self._tie(sample.distance_m * down, noise, at_s)
            source.take_back(at_s)
        self._roughen(sample.distance_m * down)

    def stands(self, at_s: float) -> None:
        """Know where the ground is by standing on it, unless that is known better."""
        c = self._config
        if self._height_sigma_m() > c.ground_clearance_sigma_m:
            self._tie(c.ground_clearance_m, c.ground_clearance_sigma_m**2, at_s)
            self.range.gate.start_over()

    def _height_sigma_m(self) -> float:
        row = np.zeros(kernel.N)
        row[kernel.TERRAIN], row[kernel.POS + 2] = 1.0, -1.0
        return float(np.sqrt(correction.spread(self._belief.p, row)))

    def _tie(self, height_m: float, variance: float, at_s: float) -> None:
        """Read the ground off the height."""
        belief = self._belief
        belief.x[kernel.X_TERRAIN] = belief.x[kernel.X_DOWN] + height_m
        correction.place(belief.p, kernel.TERRAIN, kernel.POS + 2, 1.0, variance)
        self._tied = True
        self.range.gate.open(at_s)

    def _roughen(self, height_m: float) -> None:
        """Let the ground change with the way over it: in slow low flight it carries the height.

        The conditions are those of EKF2's conditional range aid.
        """
        c, x = self._config, self._belief.x
        north, east = x[kernel.X_VEL], x[kernel.X_VEL + 1]
        slow = north * north + east * east < c.range_aid_speed_m_s**2
        near = slow and height_m < c.range_aid_height_m
        self._belief.constants[_TERRAIN_WALK] = c.terrain_walk_near if near else c.terrain_walk

    # --- optical flow ---------------------------------------------------------------------------

    def optical_flow(self, sample: OpticalFlow, at_s: float, lag_s: float) -> None:
        """Fuse what of the flow the own turn leaves: velocity over height.

        ``lag_s`` counts from the middle of the sample's time.
        """
        c, source, belief = self._config, self.flow, self._belief
        if source.unusable(at_s, lag_s, sample.flow_rad.tobytes(), belief):
            return
        cause = self._fault(sample, lag_s)
        if cause:
            source.tally.refuse(cause)
            return
        h, shown = np.empty((2, kernel.N)), np.empty(2)
        aiding_models.flow(belief.x, h, shown)
        turn, own = self._turn_rad_s(sample, at_s - lag_s)
        if not own:
            # less the gyro's bias, which the filter knows as well as it does
            h[0, kernel.GYRO_BIAS] = h[1, kernel.GYRO_BIAS + 1] = -1.0
        measured = sample.flow_rad / sample.dt_s - turn
        residual = measured - shown
        good = min(max(sample.quality - c.flow_quality_min, 0.0) / (1.0 - c.flow_quality_min), 1.0)
        sigma = good * c.flow_noise_rad_s + (1.0 - good) * c.flow_noise_worst_rad_s
        variance = np.full(2, sigma**2)
        if source.judge(belief, h, residual, variance, at_s, sample.stamp_ns, north=False):
            return
        if source.gate.shut_for_s(at_s) > c.recover_s and not self._shown(at_s):
            self._take_velocity(measured, sigma)
            source.take_back(at_s)

    def _shown(self, at_s: float) -> bool:
        """Return whether something else shows the speed: then a flow that disagrees is wrong."""
        return at_s - max(gate.passed_s for gate in self._others) < self._config.valid_s

    def _fault(self, sample: OpticalFlow, lag_s: float) -> str:
        c, belief = self._config, self._belief
        height_m = float(belief.x[kernel.X_TERRAIN] - belief.x[kernel.X_DOWN])
        sigma_m = self._height_sigma_m()
        if lag_s > _FLOW_LATE_S:
            return "too late"
        if not sample.quality >= c.flow_quality_min:
            return "quality too poor"
        if not height_m > max(_CLOSE_M, sample.nearest_m):
            return "too near the ground"
        if not height_m < sample.farthest_m:
            return "too far from the ground"
        if not sigma_m < _DOUBT_MAX * height_m:
            return "height over ground unknown"
        if not float(frames.rotation_from_quat(belief.q_ned_frd)[2, 2]) > c.range_cos_tilt_min:
            return "tilted too far"
        return ""

    def _turn_rad_s(self, sample: OpticalFlow, middle_s: float) -> tuple[Array, bool]:
        """Return the camera's own rate about x and y [rad/s], and whether by its own gyro.

        Its gyro's bias is what lasts of its difference from the IMU's.
        """
        mean = self._mean_rate(middle_s - 0.5 * sample.dt_s, middle_s + 0.5 * sample.dt_s)
        mean = mean[:2] - self._belief.x[kernel.X_GYRO_BIAS : kernel.X_GYRO_BIAS + 2]
        own = sample.turn_frd_rad[:2] / sample.dt_s
        if not np.isfinite(own).all():
            return mean, False
        off = np.clip(own - mean, -_BIAS_STEP_MAX_RAD_S, _BIAS_STEP_MAX_RAD_S)
        self._gyro_bias += _BIAS_SHARE * (off - self._gyro_bias)
        return own - self._gyro_bias, True

    def _mean_rate(self, from_s: float, to_s: float) -> Array:
        """Return the IMU's mean rate (3,) [rad/s] over a time, or of the step nearest to it."""
        track = self._track
        total, weight = np.zeros(3), 0.0
        for index in range(track.last - 1, max(track.last - RING, -1), -1):
            entry = track.ring[index % RING]
            end_s = float(entry[11])
            begin_s = end_s - float(entry[0])
            if begin_s >= to_s and index > max(track.last - RING, 0):
                continue
            share = min(end_s, to_s) - max(begin_s, from_s)
            if share > 0.0:
                total += entry[1:4] * share
                weight += share
            if begin_s <= from_s:
                if weight == 0.0:
                    return np.array(entry[1:4])
                break
        return total / weight if weight > 0.0 else self._belief.gyro_bias_frd_rad_s.copy()

    def _take_velocity(self, measured: Array, sigma_rad_s: float) -> None:
        """Take the level velocity from the flow as it is."""
        belief = self._belief
        r = frames.rotation_from_quat(belief.q_ned_frd)
        distance = float(belief.x[kernel.X_TERRAIN] - belief.x[kernel.X_DOWN]) / r[2, 2]
        body = r.T @ belief.velocity_ned_m_s
        body[0], body[1] = measured[1] * distance, -measured[0] * distance
        sigma = max(sigma_rad_s * distance, 0.1)
        variance = np.array([sigma**2, sigma**2, float(belief.p[kernel.VEL + 2, kernel.VEL + 2])])
        belief.take_velocity(r @ body, variance)
