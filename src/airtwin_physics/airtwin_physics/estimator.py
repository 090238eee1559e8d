# SPDX-License-Identifier: Apache-2.0
"""The physical model's estimator: one aircraft's samples in, its belief out. Pure, no clock.

The filter runs behind the newest IMU sample, as far as sensors were late of late (``horizon_s`` at
most), so that all are fused in the order in which they were true; a forecast over the IMU samples
in between gives the state of now.
PX4's own position and velocity are never fused: the twin is independent evidence. PX4's heading is
used only without a usable magnetometer, PX4's attitude for the first guess in flight, its landed
and armed flags together with a still IMU for rest, its origin to share one local frame, and its
first height as zero while there is no origin.

Who does what: ``ekf/imu.py`` judges IMU samples and keeps them as steps, ``ekf/arrivals.py`` all
other measurements until the filter reaches their time, ``ekf/sensors/`` fuses them into
``ekf/belief.py``, ``ekf/output.py`` forecasts what is published. This file puts them in order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import (
    Imu,
    LandDetected,
    LocalPosition,
    Origin,
    Sample,
    TwinState,
    VehicleStatus,
    VtolState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import alignment
from airtwin_physics.ekf.air import Air
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.arrivals import Arrivals
from airtwin_physics.ekf.autopilot import Autopilot
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.fusion import Sensors
from airtwin_physics.ekf.imu import BROKEN, GAP, ImuTrack, square
from airtwin_physics.ekf.output import Output
from airtwin_physics.ekf.sensors import air, rest
from airtwin_physics.ekf.sensors.solution import SPEED_MAX_M_S
from airtwin_physics.ekf.tally import NEVER_S

TURNED = "heading contradicted by motion"
_DATUM_MAX_M = 1e4
_NOT_FINITE = "state not finite"
_IN_FLIGHT = frozenset((GAP, _NOT_FINITE))  # what loses a state while the autopilot runs on


class Estimator:
    """Error-state EKF of one aircraft; see README.md for its equations.

    Call ``on`` with samples in the order of arrival. Nothing is raised for bad samples: they are
    counted, in ``state().fusions`` by source and in ``imu_refused`` and ``resets`` by cause.
    """

    def __init__(
        self, config: EstimatorConfig | None = None, aircraft: Aircraft | None = None
    ) -> None:
        c = self._config = config or EstimatorConfig()
        self.resets: dict[str, int] = {}
        self._calibration = 0
        self._track = ImuTrack(c)
        self._anchor = Anchor(c.recover_s, c.gnss_doubt_s)
        self._belief = Belief(c, Air(c, aircraft))
        self._sensors = Sensors(c, self._belief, self._anchor, self._track)
        self._arrivals = Arrivals(c, self._track, self._belief, self._sensors)
        self._autopilot = Autopilot(c)
        self._output = Output(
            c, self._track, self._belief, self._sensors, self._anchor, self._arrivals.clocks
        )
        self._due_s = c.publish_period_s - 1e-4
        self._handlers: dict[type, Callable[..., TwinState | None]] = {
            Imu: self._on_imu,
            **self._arrivals.handlers,
            LocalPosition: self._on_local_position,
            LandDetected: self._autopilot.on_land_detected,
            VehicleStatus: self._autopilot.on_status,
            VtolState: self._autopilot.on_vtol,
        }
        self._start_over()

    @property
    def imu_refused(self) -> dict[str, int]:
        """IMU samples that were not used, by cause."""
        return self._track.refused

    @property
    def clock_leaps(self) -> dict[str, int]:
        """How often the vehicle's clock ("imu") or that of one kind of sample has leapt."""
        return self._arrivals.clocks.leaps

    def on(self, sample: Sample) -> TwinState | None:
        """Take one sample; returns a state at most every ``publish_period_s`` of vehicle time."""
        handler = self._handlers.get(type(sample))
        return handler(sample) if handler is not None else None

    def state(self) -> TwinState | None:
        """Return the belief at the newest IMU sample; None before the first attitude."""
        return self._output.state()

    def remember(self, origin: Origin) -> None:
        """Go on in the frame of the twin before; call it before the first sample."""
        self._anchor.remember(origin)

    def doubt_file(self, why: str) -> None:
        """Know of the air around the aircraft what is known without its file; ``why``: said."""
        self._sensors.air.doubt_file(why)

    def reset(self, reason: str) -> None:
        """Forget the state and align again from the next samples; counts and origin stay.

        But for what breaks in flight, a reset means that the autopilot started anew: then its old
        words say nothing.
        """
        self.resets[reason] = self.resets.get(reason, 0) + 1
        for part in (self._track, self._belief, self._sensors, self._arrivals, self._anchor):
            part.start_over()
        self._sensors.motion.start_over()
        self._sensors.imu.start_over()
        if reason not in _IN_FLIGHT:
            self._autopilot.start_over()
        self._output.start_over(lost=reason)
        self._start_over()

    def _renew_biases(self) -> None:
        """Know nothing of the IMU's biases any more: it is another, or calibrated anew."""
        if self._belief.begun:
            self._belief.renew_biases()
        self._sensors.motion.start_over()

    def _start_over(self) -> None:
        self._published_s = self._rest_s = self._air_s = NEVER_S
        self._datum_free = True

    # --- samples in -----------------------------------------------------------------------------

    def _on_imu(self, imu: Imu) -> TwinState | None:
        track, belief = self._track, self._belief
        cause = track.take(imu, queue=belief.begun)
        if cause:
            if cause not in BROKEN:
                return None
            self.reset(cause)
            if track.take(imu, queue=False):
                return None
        if imu.calibration != self._calibration:
            self._calibration = imu.calibration
            self._renew_biases()
        if not belief.begun:
            self._align(imu)
            return None
        due = track.now_s - self._published_s >= self._due_s
        if due or track.full:
            self._advance()
        if not due or not belief.begun:
            return None
        self._published_s = track.now_s
        return self._output.state()

    def _on_local_position(self, sample: LocalPosition) -> None:
        """Take over PX4's origin, or its height as zero while nothing else gives one."""
        belief, sensors = self._belief, self._sensors
        px4_down_m = sample.position_ned_m.item(2)
        if sample.origin is not None:
            self._anchor.stands(0.0, None)
            shift = self._anchor.offer(sample.origin, px4_down_m if sample.z_valid else None)
            if shift is not None and sensors.gnss.started:
                sensors.shift(shift)
            return
        age_s = self._arrivals.age_s(sample)
        knows = age_s is not None and _is_complete(sample)
        self._anchor.stands(self._track.now_s - (age_s or 0.0), sample if knows else None)
        if self._datum_free and belief.begun and sample.z_valid:
            down_m = px4_down_m - float(belief.x[2])
            if abs(down_m) < _DATUM_MAX_M and not sensors.gnss.started:
                sensors.shift(np.array([0.0, 0.0, down_m]))
                self._datum_free = False

    # --- alignment and the filter at its horizon ------------------------------------------------

    def _align(self, imu: Imu) -> None:
        c, track, heading = self._config, self._track, self._sensors.heading
        if track.followed_s < c.align_min_s:
            return
        still = track.still() and self._autopilot.on_ground
        field, attitude = self._arrivals.field, self._arrivals.attitude()
        # at rest wait for a compass and for the word that it is rest, in flight for PX4's
        # attitude, but not for ever
        waiting = (field is None or not self._autopilot.spoke) if still else attitude is None
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
        if first.heading_by:
            heading.take(first.heading_by, 0.0, track.now_s)

    def _advance(self) -> None:
        """Bring the filter to its horizon, fusing what was true on the way."""
        track, belief, arrivals = self._track, self._belief, self._arrivals
        target_s = track.now_s - arrivals.behind_s
        while True:
            due_s = min(self._rest_s + rest.PERIOD_S, self._air_s + air.PERIOD_S)
            if not belief.advance(track, target_s, min(due_s, arrivals.next_s)):
                return
            at_s = track.reached_s
            arrivals.fuse(at_s)
            if self._sensors.contradicted:
                self._turn_over(at_s)
            if at_s >= due_s:
                self._watch(at_s)
            if not belief.settle():
                self.reset(_NOT_FINITE)
                return

    def _turn_over(self, at_s: float) -> None:
        """Begin anew at the horizon with the attitude that gravity and motion show."""
        sensors = self._sensors
        self.resets[TURNED] = self.resets.get(TURNED, 0) + 1
        first = sensors.motion.attitude()
        self._belief.start_over()
        sensors.start_over()
        self._belief.begin(first, self._track, still=False)
        sensors.imu.turned_over()
        sensors.heading.by_motion(sensors.motion.sigma_rad, at_s)
        self._output.start_over(lost=TURNED)

    def _watch(self, at_s: float) -> None:
        """Fuse what no sample brings: rest, and the air around the aircraft."""
        track, sensors = self._track, self._sensors
        if at_s >= self._air_s + air.PERIOD_S:
            self._air_s = at_s
            newest_ns = 0 if track.newest is None else track.newest.stamp_ns
            stamp_ns = newest_ns - int((track.now_s - at_s) * 1e9)
            sensors.watch_air(self._autopilot.flying, at_s, stamp_ns)
        if at_s >= self._rest_s + rest.PERIOD_S:
            self._rest_s = at_s
            sensors.rest.fuse(
                at_s,
                still=track.still(),
                on_ground=self._autopilot.on_ground,
                unaided=sensors.unaided(at_s),
                bridged=sensors.bridged(at_s),
            )
            autopilot = self._autopilot
            sensors.judge_imu(
                at_s,
                standing=autopilot.spoke and autopilot.on_ground and track.quiet(),
                px4=self._arrivals.attitude(),
            )
            if sensors.rest.passed_s == at_s:
                sensors.ground.stands(at_s)
            sensors.motion.follow(self._belief.x)  # the queue holds half a second at 1 kHz


def _is_complete(sample: LocalPosition) -> bool:
    """Return whether PX4 knows place and velocity, and both are possible."""
    known = sample.xy_valid and sample.z_valid and sample.v_xy_valid and sample.v_z_valid
    near = square(sample.position_ned_m) < _DATUM_MAX_M**2
    return known and near and square(sample.velocity_ned_m_s) < SPEED_MAX_M_S**2
