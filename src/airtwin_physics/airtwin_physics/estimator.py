# SPDX-License-Identifier: Apache-2.0
"""The physical model's estimator: one aircraft's samples in, its belief out. Pure, no clock.

The filter runs ``horizon_s`` behind the newest IMU sample, so that late sensors are fused in the
order in which they were true; a forecast over the IMU samples in between gives the state of now.
PX4's own position and velocity are never fused: the twin is independent evidence. PX4's heading is
used only without a usable magnetometer, PX4's attitude for the first guess in flight, its landed
and armed flags together with a still IMU for rest, its origin to share one local frame, and its
first height as zero while there is no origin.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    ExternalPose,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
    Sample,
    TwinState,
    VehicleStatus,
    VtolState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import alignment, kernel
from airtwin_physics.ekf.air import Air
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.fusion import Sensors
from airtwin_physics.ekf.imu import ImuTrack, square
from airtwin_physics.ekf.sensors import air, rest
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.tally import LATE_MAX_S, NEVER_S, TOO_LATE

_AGE_MAX_S = 0.5  # a stamp further from the IMU's is of another clock: go by arrival
_AGE_STAMPED_S = 0.04
_FLOW_MAX_RAD_S = 50.0  # beyond the gyro's and any lens
_POSE_MAX = 1e5  # [m] or [m/s]
_AGE_CREEP_S = 0.005  # the smallest age counts, but not for ever
_ALTITUDE_MAX_M = 1e5
_LOST_SAID_S = 10.0  # for so long a lost state is spoken of
_LOOK_S = 0.1  # between two looks at the health of the sensors
_ROTARY, _WING = 1, 2  # PX4's vehicle_type
_VTOL_ROTORS, _VTOL_WING = 3, 4  # PX4's vtol_state
_DATUM_MAX_M = 1e4
_ATTITUDE_AGE_MAX_NS = 200_000_000  # an aircraft in flight turns on

_Pending = tuple[float, int, Callable[..., None], Sample]


class Estimator:
    """Error-state EKF of one aircraft; see README.md for its equations.

    Call ``on`` with samples in the order of arrival. Nothing is raised for bad samples: they are
    counted, in ``state().fusions`` by source and in ``imu_refused`` and ``resets`` by cause.
    """

    def __init__(
        self, config: EstimatorConfig | None = None, aircraft: Aircraft | None = None
    ) -> None:
        self._config = config or EstimatorConfig()
        self.resets: dict[str, int] = {}
        self._lost = ""
        self._handlers: dict[type, Callable[..., TwinState | None]] = {
            Imu: self._on_imu,
            GnssFix: self._on_gnss,
            Barometer: self._on_barometer,
            Magnetometer: self._on_magnetometer,
            Attitude: self._on_attitude,
            LocalPosition: self._on_local_position,
            LandDetected: self._on_land_detected,
            VehicleStatus: self._on_status,
            VtolState: self._on_vtol,
            Airspeed: self._on_airspeed,
            Rangefinder: self._on_rangefinder,
            OpticalFlow: self._on_flow,
            ExternalPose: self._on_pose,
        }
        self._track = ImuTrack(self._config)
        self._anchor = Anchor()
        self._belief = Belief(self._config, Air(self._config, aircraft))
        self._sensors = Sensors(self._config, self._belief, self._anchor, self._track)
        self._landed: bool | None = None
        self._armed: bool | None = None
        self._status: VehicleStatus | None = None
        self._vtol_state = 0
        self._sequence = itertools.count()
        self._start_over()

    @property
    def imu_refused(self) -> dict[str, int]:
        """IMU samples that were not used, by cause."""
        return self._track.refused

    def on(self, sample: Sample) -> TwinState | None:
        """Take one sample; returns a state at most every ``publish_period_s`` of vehicle time."""
        handler = self._handlers.get(type(sample))
        return handler(sample) if handler is not None else None

    def state(self) -> TwinState | None:
        """Return the belief at the newest IMU sample; None before the first attitude."""
        imu = self._track.newest
        if not self._aligned or imu is None:
            return None
        x, p = self._belief.forecast(self._track)
        q = x[6:10] if x[6] >= 0.0 else -x[6:10]
        sensors = self._sensors
        covariance = p[:15, :15].copy()
        covariance[0:3, 0:3] += sensors.pose.aside
        at_s = self._track.now_s - self._config.horizon_s
        since_s = at_s - self._config.valid_s
        if at_s - self._looked_s >= _LOOK_S:
            self._look(at_s)
        return TwinState(
            stamp_ns=imu.stamp_ns,
            received_ns=imu.received_ns,
            position_ned_m=x[0:3],
            velocity_ned_m_s=x[3:6],
            q_ned_frd=q,
            rate_frd_rad_s=imu.rate_frd_rad_s - x[10:13],
            acceleration_ned_m_s2=kernel.acceleration(x, imu.specific_force_frd_m_s2),
            gyro_bias_frd_rad_s=x[10:13],
            accel_bias_frd_m_s2=x[13:16],
            covariance=covariance,
            origin=self._anchor.origin,
            aligned=True,
            horizontal_valid=sensors.horizontal(since_s),
            vertical_valid=sensors.vertical(since_s),
            velocity_valid=sensors.velocity(since_s),
            heading_valid=sensors.heading.passed_s > since_s,
            fusions=sensors.fusions(),
            wind=sensors.wind(x, p, at_s),
            health=self._health,
            notice=self._words,
        )

    def _look(self, at_s: float) -> None:
        """Look how the sensors fare; that changes slower than states are published."""
        self._looked_s = at_s
        self._health = self._sensors.health(at_s)
        self._words = self._notice(at_s)

    def _notice(self, at_s: float) -> str:
        words = self._sensors.notice(at_s)
        if self._lost and self._track.now_s < _LOST_SAID_S:
            lost = f"state lost ({self._lost}) and found again"
            return f"{lost}; {words}" if words else lost
        return words

    def reset(self, reason: str) -> None:
        """Forget the state and align again from the next samples; counts and origin stay."""
        self.resets[reason] = self.resets.get(reason, 0) + 1
        self._lost = reason
        self._start_over()

    def _start_over(self) -> None:
        self._aligned = False
        self._track.forget()
        self._belief.clear()
        self._sensors.start_over()
        self._pending: list[_Pending] = []
        self._published_s = self._rest_s = self._air_s = self._looked_s = NEVER_S
        self._field: Magnetometer | None = None
        self._attitude: Attitude | None = None
        self._gnss_age_s = 0.2
        self._datum_free = True
        self._queued_s = dict.fromkeys(
            ("barometer", "magnetometer", "heading", "airspeed", "rangefinder", "flow", "pose"),
            NEVER_S,
        )

    # --- samples in -----------------------------------------------------------------------------

    def _on_imu(self, imu: Imu) -> TwinState | None:
        c, track = self._config, self._track
        before = track.newest
        if before is not None and imu.stamp_ns < before.stamp_ns - int(c.gap_max_s * 1e9):
            self.reset("clock went back")
            before = None
        step_s = track.step_s(imu)
        if step_s is None:
            return None
        if step_s > c.gap_max_s:
            self.reset("IMU gap")
            before, step_s = None, imu.dt_s
        aligned = self._aligned and before is not None
        if not track.take(imu, step_s, queue=aligned):
            return None
        if not aligned:
            self._align()
            return None
        due = track.now_s - self._published_s >= c.publish_period_s - 1e-4
        if due or track.full:
            self._advance()
        if not due or not self._aligned:
            return None
        self._published_s = track.now_s
        return self.state()

    def _on_gnss(self, fix: GnssFix) -> None:
        c, x, imu = self._config, self._belief.x, self._track.newest
        if imu is not None:
            age_s = (imu.stamp_ns - fix.stamp_ns) * 1e-9
            self._gnss_age_s = min(self._gnss_age_s + _AGE_CREEP_S, max(age_s, 0.0))
        # a stamp well before the arrival has a delay taken off already; no fix is from the future
        nominal_s = 0.0 if self._gnss_age_s > _AGE_STAMPED_S else c.gnss_delay_s
        delay_s = nominal_s + float(x[kernel.X_DELAY])
        delay_s = min(max(delay_s, -self._gnss_age_s), c.gnss_delay_max_s)
        x[kernel.X_DELAY] = delay_s - nominal_s
        self._enqueue(fix, delay_s, self._sensors.fix, self._sensors.gnss.position)

    def _on_barometer(self, sample: Barometer) -> None:
        c = self._config
        if not abs(sample.altitude_m) < _ALTITUDE_MAX_M:
            self._sensors.height.barometer.tally.refuse("impossible altitude")
        elif self._due("barometer", c.barometer_period_s):
            self._enqueue(
                sample,
                c.barometer_delay_s,
                self._sensors.height.fuse,
                self._sensors.height.barometer,
            )

    def _on_magnetometer(self, sample: Magnetometer) -> None:
        c = self._config
        if not c.field_min_gauss**2 <= square(sample.field_frd_gauss) <= c.field_max_gauss**2:
            self._sensors.heading.compass.tally.refuse("field strength is not Earth's")
            return
        self._field = sample
        if self._due("magnetometer", c.magnetometer_period_s):
            self._enqueue(
                sample, 0.0, self._sensors.heading.magnetometer, self._sensors.heading.compass
            )

    def _on_attitude(self, sample: Attitude) -> None:
        if not abs(square(sample.q_ned_frd) - 1.0) < 0.01:
            self._sensors.heading.px4.tally.refuse("not a unit quaternion")
            return
        self._attitude = sample
        if self._due("heading", self._config.heading_period_s):
            self._enqueue(sample, 0.0, self._sensors.heading.attitude, self._sensors.heading.px4)

    def _on_local_position(self, sample: LocalPosition) -> None:
        """Take over PX4's origin, or its height as zero while nothing else gives one."""
        belief = self._belief
        if sample.origin is not None:
            shift = self._anchor.offer(sample.origin)
            if shift is not None and self._sensors.gnss.started:
                self._sensors.shift(shift)
        elif self._datum_free and self._aligned and sample.z_valid:
            down_m = float(sample.position_ned_m[2]) - float(belief.x[2])
            if abs(down_m) < _DATUM_MAX_M and not self._sensors.gnss.started:
                self._sensors.shift(np.array([0.0, 0.0, down_m]))
                self._datum_free = False

    def _on_land_detected(self, sample: LandDetected) -> None:
        # PX4's first signs will do, since the IMU must be still as well
        self._landed = sample.landed or sample.maybe_landed or sample.ground_contact

    def _on_status(self, sample: VehicleStatus) -> None:
        self._armed = sample.armed
        self._status = sample

    def _on_vtol(self, sample: VtolState) -> None:
        self._vtol_state = sample.state

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

    def _enqueue(
        self, sample: Sample, delay_s: float, fuse: Callable[..., None], source: Source
    ) -> None:
        imu = self._track.newest
        if not self._aligned or imu is None:
            return
        age_s = (imu.stamp_ns - sample.stamp_ns) * 1e-9
        if abs(age_s) > _AGE_MAX_S:
            age_s = (imu.received_ns - sample.received_ns) * 1e-9
        if not -_AGE_MAX_S <= age_s <= self._config.horizon_s + LATE_MAX_S:
            source.tally.refuse(TOO_LATE)
            return
        when_s = self._track.now_s - age_s - delay_s
        heapq.heappush(self._pending, (when_s, next(self._sequence), fuse, sample))

    # --- alignment and the filter at its horizon ------------------------------------------------

    def _align(self) -> None:
        c, track, imu = self._config, self._track, self._track.newest
        if imu is None or track.followed_s < c.align_min_s:
            return
        still = track.still() and self._on_ground()
        field, attitude = self._field, self._attitude
        if attitude is not None and abs(imu.stamp_ns - attitude.stamp_ns) > _ATTITUDE_AGE_MAX_NS:
            attitude = None
        # at rest wait for a compass and for the word that it is rest, in flight for PX4's
        # attitude, but not for ever
        said = self._landed is not None or self._armed is not None
        waiting = (field is None or not said) if still else attitude is None
        if waiting and track.followed_s < c.align_max_s:
            return
        try:
            first = alignment.first_attitude(
                track.mean_force_frd,
                still=still,
                field_frd=None if field is None else field.field_frd_gauss,
                declination_rad=self._anchor.declination_rad or 0.0,
                q_px4=None if attitude is None else attitude.q_ned_frd,
            )
        except ValueError:
            return  # free fall: wait for better data
        self._belief.begin(first, track, still=still)
        sensors = self._sensors
        if field is not None:
            sensors.heading.take("magnetometer", 0.0, track.now_s)
        elif attitude is not None:
            sensors.heading.take("heading", 0.0, track.now_s)
        self._aligned = True

    def _advance(self) -> None:
        """Bring the filter to its horizon, fusing what was true on the way."""
        track, belief, pending = self._track, self._belief, self._pending
        target_s = track.now_s - self._config.horizon_s
        while True:
            due_s = min(self._rest_s + rest.PERIOD_S, self._air_s + air.PERIOD_S)
            event_s = min(due_s, pending[0][0]) if pending else due_s
            if not belief.advance(track, target_s, event_s):
                return
            at_s = track.reached_s
            velocity = belief.x[3:6].copy()
            while pending and pending[0][0] <= at_s:
                when_s, _, fuse, sample = heapq.heappop(pending)
                fuse(sample, at_s, at_s - when_s)
            if at_s >= due_s:
                self._watch(at_s)
            if not belief.healthy():
                self.reset("state not finite")
                return
            belief.watch[1:4] += belief.x[3:6] - velocity  # a correction is no motion

    def _watch(self, at_s: float) -> None:
        """Fuse what no sample brings: rest, and the air around the aircraft."""
        track, sensors = self._track, self._sensors
        if at_s >= self._air_s + air.PERIOD_S:
            self._air_s = at_s
            newest_ns = 0 if track.newest is None else track.newest.stamp_ns
            stamp_ns = newest_ns - int((track.now_s - at_s) * 1e9)
            sensors.watch_air(self._flying(), at_s, stamp_ns)
        if at_s >= self._rest_s + rest.PERIOD_S:
            self._rest_s = at_s
            sensors.rest.fuse(
                at_s,
                still=track.still(),
                on_ground=self._on_ground(),
                unaided=sensors.unaided(at_s),
                bridged=sensors.bridged(at_s),
            )
            if sensors.rest.passed_s == at_s:
                sensors.ground.stands(at_s)

    def _flying(self) -> air.Flying:
        """Return what carries the aircraft, as far as PX4 says."""
        status = self._status
        if not self._config.model_aiding or status is None or not status.armed:
            return air.Flying.NOTHING
        if self._landed is not False:
            return air.Flying.NOTHING
        if status.is_vtol:
            if self._vtol_state == _VTOL_ROTORS and not status.in_transition:
                return air.Flying.ROTORS
            wing = self._vtol_state == _VTOL_WING and not status.in_transition
            return air.Flying.WING if wing else air.Flying.NOTHING
        if status.vehicle_type == _ROTARY:
            return air.Flying.ROTORS
        return air.Flying.WING if status.vehicle_type == _WING else air.Flying.NOTHING

    def _on_ground(self) -> bool:
        """Return whether PX4 has nothing to say against being on the ground."""
        if self._landed is None:
            return self._armed is not True
        return self._landed
