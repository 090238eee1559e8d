# SPDX-License-Identifier: Apache-2.0
"""Measurements as they arrive: judged at the border, then queued by when they were true."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    ExternalPose,
    GnssFix,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
    Sample,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.clocks import Clocks
from airtwin_physics.ekf.fusion import Sensors
from airtwin_physics.ekf.imu import ImuTrack, square
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.tally import LATE_MAX_S, NEVER_S, TOO_LATE

_AGE_MIN_S = -0.5
_AGE_STAMPED_S = 0.04
_AGE_CREEP_S = 0.005  # the smallest age counts, but not for ever
_AGE_FIRST_S = 0.2
_BEHIND_MIN_S = 0.05  # stamps are not better than that against each other
_LATELY_S = 5.0  # half of how long a late sample is remembered
_ALTITUDE_MAX_M = 1e5
_FLOW_MAX_RAD_S = 50.0  # beyond the gyro's and any lens
_POSE_MAX = 1e5  # [m] or [m/s]
_ATTITUDE_AGE_MAX_NS = 200_000_000  # an aircraft in flight turns on

_Pending = tuple[float, int, Callable[..., None], Sample]


class Arrivals:
    """All samples but the IMU's; ``field``: the newest of the magnetometer.

    What cannot be a measurement is refused here, what comes faster than the filter wants it is
    skipped, the rest waits until the filter reaches the time at which it was true.
    """

    def __init__(
        self, config: EstimatorConfig, track: ImuTrack, belief: Belief, sensors: Sensors
    ) -> None:
        self._config = config
        self._track = track
        self._belief = belief
        self._sensors = sensors
        self.clocks = Clocks(track)
        self._field2 = (config.field_min_gauss**2, config.field_max_gauss**2)
        self._sequence = itertools.count()
        self.handlers: dict[type, Callable[..., None]] = {
            GnssFix: self._on_gnss,
            Barometer: self._on_barometer,
            Magnetometer: self._on_magnetometer,
            Attitude: self._on_attitude,
            Airspeed: self._on_airspeed,
            Rangefinder: self._on_rangefinder,
            OpticalFlow: self._on_flow,
            ExternalPose: self._on_pose,
        }
        self.start_over()

    def start_over(self) -> None:
        """Forget what waits."""
        self._pending: list[_Pending] = []
        self.field: Magnetometer | None = None
        self._attitude: Attitude | None = None
        self._gnss_age_s = _AGE_FIRST_S
        self.behind_s = self._late_s = _BEHIND_MIN_S
        self._since_s = 0.0
        self.clocks.start_over()
        self._queued_s = dict.fromkeys(
            ("barometer", "magnetometer", "heading", "airspeed", "rangefinder", "flow", "pose"),
            NEVER_S,
        )

    @property
    def next_s(self) -> float:
        """When the oldest that waits was true; infinity if none does."""
        return self._pending[0][0] if self._pending else math.inf

    def fuse(self, at_s: float) -> None:
        """Fuse all that was true by ``at_s``, which the belief has reached."""
        pending = self._pending
        while pending and pending[0][0] <= at_s:
            when_s, _, fuse, sample = heapq.heappop(pending)
            fuse(sample, at_s, at_s - when_s)

    def attitude(self) -> Attitude | None:
        """Return PX4's attitude, if the last one is fresh at the newest IMU sample."""
        last, imu = self._attitude, self._track.newest
        if last is None or imu is None:
            return None
        return last if abs(imu.stamp_ns - last.stamp_ns) <= _ATTITUDE_AGE_MAX_NS else None

    def _on_gnss(self, fix: GnssFix) -> None:
        c, x, age_s = self._config, self._belief.x, self.age_s(fix)
        if age_s is not None:
            self._gnss_age_s = min(self._gnss_age_s + _AGE_CREEP_S, max(age_s, 0.0))
        # a stamp well before the arrival has a delay taken off already; no fix is from the future
        nominal_s = 0.0 if self._gnss_age_s > _AGE_STAMPED_S else c.gnss_delay_s
        delay_s = nominal_s + float(x[kernel.X_DELAY])
        delay_s = min(max(delay_s, -self._gnss_age_s), c.gnss_delay_max_s)
        x[kernel.X_DELAY] = delay_s - nominal_s
        self._enqueue(fix, delay_s, self._sensors.fix, self._sensors.gnss.position, age_s)

    def _on_barometer(self, sample: Barometer) -> None:
        c, height = self._config, self._sensors.height
        if not abs(sample.altitude_m) < _ALTITUDE_MAX_M:
            height.barometer.tally.refuse("impossible altitude")
        elif self._due("barometer", c.barometer_period_s):
            self._enqueue(sample, c.barometer_delay_s, height.fuse, height.barometer)

    def _on_magnetometer(self, sample: Magnetometer) -> None:
        heading, (least2, most2) = self._sensors.heading, self._field2
        if not least2 <= square(sample.field_frd_gauss) <= most2:
            heading.compass.tally.refuse("field strength is not Earth's")
            return
        self.field = sample
        if self._due("magnetometer", self._config.magnetometer_period_s):
            self._enqueue(sample, 0.0, heading.magnetometer, heading.compass)

    def _on_attitude(self, sample: Attitude) -> None:
        heading = self._sensors.heading
        if not abs(square(sample.q_ned_frd) - 1.0) < 0.01:
            heading.px4.tally.refuse("not a unit quaternion")
            return
        self._attitude = sample
        if self._due("heading", self._config.heading_period_s):
            self._enqueue(sample, 0.0, self._sensors.attitude, heading.px4)

    def _on_airspeed(self, sample: Airspeed) -> None:
        source = self._sensors.air
        if not math.isfinite(sample.true_airspeed_m_s):
            source.airspeed.tally.refuse("not finite")
        elif self._due("airspeed", self._config.airspeed_period_s):
            self._enqueue(sample, 0.0, source.fuse, source.airspeed)

    def _on_rangefinder(self, sample: Rangefinder) -> None:
        c, ground = self._config, self._sensors.ground
        if not math.isfinite(sample.distance_m):
            ground.range.tally.refuse("not finite")
        elif self._due("rangefinder", c.range_period_s):
            self._enqueue(sample, c.range_delay_s, ground.distance, ground.range)

    def _on_flow(self, sample: OpticalFlow) -> None:
        c, ground = self._config, self._sensors.ground
        most = (_FLOW_MAX_RAD_S * sample.dt_s) ** 2 if 1e-4 < sample.dt_s < 1.0 else 0.0
        # the camera's own turn may be NaN: it has no gyro
        if not square(sample.flow_rad) < most or square(sample.turn_frd_rad) >= most:
            ground.flow.tally.refuse("impossible flow")
            return
        if self._due("flow", c.flow_period_s):
            # its stamp is the end of its time; what it shows is true in the middle
            delay_s = c.flow_delay_s + 0.5 * sample.dt_s
            self._enqueue(sample, delay_s, ground.optical_flow, ground.flow)

    def _on_pose(self, sample: ExternalPose) -> None:
        c, pose = self._config, self._sensors.pose
        parts = (sample.position_ned_m, sample.velocity_ned_m_s, sample.velocity_frd_m_s,
                 sample.q_ned_frd)  # fmt: skip
        if not all(part is None or square(part) < _POSE_MAX**2 for part in parts):
            pose.position.tally.refuse("impossible pose")
        elif sample.q_ned_frd is not None and not abs(square(sample.q_ned_frd) - 1.0) < 0.02:
            pose.position.tally.refuse("not a unit quaternion")
        elif self._due("pose", c.pose_period_s):
            self._enqueue(sample, c.pose_delay_s, pose.fuse, pose.position)

    def _due(self, source: str, period_s: float) -> bool:
        now_s = self._track.now_s
        if now_s - self._queued_s[source] < period_s - 1e-3:
            return False
        self._queued_s[source] = now_s
        return True

    def age_s(self, sample: Sample) -> float | None:
        """Return how much older [s] a sample is than the newest IMU sample; None before one."""
        imu = self._track.newest
        return None if imu is None else self.clocks.age_ns(imu, sample) * 1e-9

    def _enqueue(
        self,
        sample: Sample,
        delay_s: float,
        fuse: Callable[..., None],
        source: Source,
        age_s: float | None = None,
    ) -> None:
        if not self._belief.begun or self._track.newest is None:
            return
        age_s = self.age_s(sample) if age_s is None else age_s
        if age_s is None or not _AGE_MIN_S <= age_s <= self._config.horizon_s + LATE_MAX_S:
            source.tally.refuse(TOO_LATE)
            return
        self._wait(age_s + delay_s)
        when_s = self._track.now_s - age_s - delay_s
        heapq.heappush(self._pending, (when_s, next(self._sequence), fuse, sample))

    def _wait(self, late_s: float) -> None:
        """Let the filter run as far behind as the latest sample of late was."""
        now_s = self._track.now_s
        if now_s - self._since_s >= _LATELY_S:
            self.behind_s, self._late_s, self._since_s = self._late_s, _BEHIND_MIN_S, now_s
        self._late_s = max(self._late_s, min(late_s, self._config.horizon_s))
        self.behind_s = max(self.behind_s, self._late_s)
