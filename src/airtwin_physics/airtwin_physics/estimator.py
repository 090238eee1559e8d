# SPDX-License-Identifier: Apache-2.0
"""The physical model's estimator: one aircraft's samples in, its belief out. Pure, no clock.

The filter runs ``horizon_s`` behind the newest IMU sample, so that late sensors are fused in the
order in which they were true; a forecast over the IMU samples in between gives the state of now.
PX4's own position and velocity are never fused: the twin is independent evidence. PX4's heading is
used only without a usable magnetometer, PX4's attitude for the first guess in flight, its landed
and armed flags together with a still IMU for rest, and its origin to share one local frame.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import numpy as np
from airtwin_core import frames, stats
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import (
    Array,
    Attitude,
    Barometer,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    Magnetometer,
    Origin,
    Sample,
    TwinState,
    VehicleStatus,
)

from airtwin_physics import alignment, kernel
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.magnetic import declination_rad
from airtwin_physics.tally import NEVER_S, RESET, Gate, Tally

_RING = 512  # IMU steps kept; 0.2 s at 1 kHz are 200
_AGE_STAMPED_S = 0.04
_AGE_CREEP_S = 0.005  # the smallest age counts, but not for ever
_REST_WINDOW_S = 0.5
_REST_PERIOD_S = 0.1
_ACCELERATION_S = 0.1  # over which the acceleration of the GNSS delay is taken
_AGE_MAX_S = 0.5  # a stamp further from the IMU's is of another clock: go by arrival
_LATE_MAX_S = 0.3  # behind the horizon
_UNKNOWN_SPEED_M_S = 30.0
_ORIGIN_DISTANCE_MAX_M = 5e4  # PX4's origin is where it found its first fix, on this flight
_STEEP_MAX = 10.0  # tangent of the dip beyond which a compass shows nothing


class Estimator:
    """Error-state EKF of one aircraft; see README.md for its equations.

    Call ``on`` with samples in the order of arrival. Nothing is raised for bad samples: they are
    counted, in ``state().fusions`` by source and in ``imu_refused`` and ``resets`` by cause.
    """

    def __init__(self, config: EstimatorConfig | None = None) -> None:
        self._config = config or EstimatorConfig()
        c = self._config
        self._density = np.array(
            [c.gyro_noise, c.accel_noise, c.gyro_bias_walk, c.accel_bias_walk, c.barometer_walk]
        )
        sizes = [1e5] * 3 + [300.0] * 3 + [3.2] * 3 + [0.5] * 3 + [3.0] * 3 + [1e4, 1e3, 1e3, 1e3, 3.2, 1.0]
        self._cap = np.array(sizes) ** 2
        self._wander_s = np.array([c.gnss_wander_s] * 3 + [c.heading_wander_s])
        self.imu_refused: dict[str, int] = {}
        self.resets: dict[str, int] = {}
        limits = {n: stats.chi2_limit(n, c.gate_probability) for n in (1, 2, 3)}
        self._gates = {
            "position xy": Gate(limits[2]),
            "position z": Gate(limits[1]),
            "velocity": Gate(limits[3]),
            "barometer": Gate(limits[1]),
            "magnetometer": Gate(limits[1]),
            "heading": Gate(limits[1]),
        }
        self._tallies = {
            source: Tally(source, dof, innovation=np.full(dof, np.nan))
            for source, dof in (
                ("gnss_position", 3),
                ("gnss_velocity", 3),
                ("barometer", 1),
                ("magnetometer", 1),
                ("heading", 1),
            )
        }
        self._handlers: dict[type, Callable[..., TwinState | None]] = {
            Imu: self._on_imu,
            GnssFix: self._on_gnss,
            Barometer: self._on_barometer,
            Magnetometer: self._on_magnetometer,
            Attitude: self._on_attitude,
            LocalPosition: self._on_local_position,
            LandDetected: self._on_land_detected,
            VehicleStatus: self._on_status,
        }
        self._origin: Origin | None = None
        self._origin_seen: Origin | None = None
        self._fix: GnssFix | None = None
        self._declination_rad: float | None = None
        self._landed: bool | None = None
        self._armed: bool | None = None
        self._sequence = itertools.count()
        self._start_over()

    # --- the interface --------------------------------------------------------------------------

    def on(self, sample: Sample) -> TwinState | None:
        """Take one sample; returns a state at most every ``publish_period_s`` of vehicle time."""
        handler = self._handlers.get(type(sample))
        return handler(sample) if handler is not None else None

    def state(self) -> TwinState | None:
        """Return the belief at the newest IMU sample; None before the first attitude."""
        if not self._aligned or self._imu is None:
            return None
        c = self._config
        x, p = kernel.forecast(
            self._x,
            self._p,
            self._ring,
            self._first,
            self._last,
            self._density,
            self._offset_sigma,
            self._wander_s,
            self._cap,
        )
        imu = self._imu
        q = x[6:10] if x[6] >= 0.0 else -x[6:10]
        acceleration = frames.rotation_from_quat(q) @ (imu.specific_force_frd_m_s2 - x[13:16])
        acceleration[2] += kernel.GRAVITY_M_S2
        now, valid = self._now_s, c.valid_s
        horizontal = now - self._gates["position xy"].passed_s < valid + c.horizon_s
        velocity = now - self._gates["velocity"].passed_s < valid + c.horizon_s
        rest = now - self._rest_s < 1.0 + c.horizon_s
        height = max(self._gates["position z"].passed_s, self._gates["barometer"].passed_s)
        heading = max(self._gates["magnetometer"].passed_s, self._gates["heading"].passed_s)
        return TwinState(
            stamp_ns=imu.stamp_ns,
            received_ns=imu.received_ns,
            position_ned_m=x[0:3],
            velocity_ned_m_s=x[3:6],
            q_ned_frd=q,
            rate_frd_rad_s=imu.rate_frd_rad_s - x[10:13],
            acceleration_ned_m_s2=acceleration,
            gyro_bias_frd_rad_s=x[10:13],
            accel_bias_frd_m_s2=x[13:16],
            covariance=p[:15, :15].copy(),
            origin=self._origin,
            aligned=True,
            horizontal_valid=horizontal,
            vertical_valid=now - height < valid + c.horizon_s,
            velocity_valid=horizontal or velocity or rest,
            heading_valid=self._heading_known and now - heading < valid + c.horizon_s,
            fusions=tuple([tally.fusion() for tally in self._tallies.values()]),
        )

    def reset(self, reason: str) -> None:
        """Forget the state and align again from the next samples; counts and origin stay."""
        self.resets[reason] = self.resets.get(reason, 0) + 1
        self._start_over()

    def _start_over(self) -> None:
        self._x = np.zeros(kernel.N_NOMINAL)
        self._x[kernel.X_Q] = 1.0
        self._p = np.zeros((kernel.N, kernel.N))
        self._ring = np.zeros((_RING, 11))
        self._ring_s = [0.0] * _RING
        self._first = self._last = 0
        self._now_s = 0.0
        self._published_s = NEVER_S
        self._imu: Imu | None = None
        self._rest = np.zeros(kernel.N_REST)
        self._aligned = False
        self._heading_known = False
        self._heading_source = ""
        self._pending: list[tuple[float, int, Callable[..., None], Sample]] = []
        self._field: Magnetometer | None = None
        self._attitude: Attitude | None = None
        self._offset_sigma = np.ones(4)
        self._gnss_started = False
        self._gnss_age_s = 0.2
        self._speed_before = np.zeros(4)
        self._acceleration = np.zeros(3)
        self._barometer_started = False
        self._datum_free = True
        self._rest_s = NEVER_S
        self._unaided_s = NEVER_S
        self._queued_s = dict.fromkeys(("barometer", "magnetometer", "heading"), NEVER_S)
        for gate in self._gates.values():
            gate.forget()
            gate.passed_s = NEVER_S

    # --- samples in -----------------------------------------------------------------------------

    def _on_imu(self, imu: Imu) -> TwinState | None:
        c = self._config
        step_s = self._step_s(imu)
        if step_s is None:
            return None
        gyro, accel = imu.rate_frd_rad_s, imu.specific_force_frd_m_s2
        if step_s > c.gap_max_s:
            self.reset("IMU gap")
            step_s = imu.dt_s
        kernel.follow(self._rest, gyro, accel, step_s, _REST_WINDOW_S)
        before = self._imu
        self._imu = imu
        self._now_s += step_s
        if not self._aligned:
            self._align()
            return None
        entry = self._ring[self._last % _RING]
        kernel.enter(entry, self._rest, gyro, accel, step_s)
        missing_s = step_s - 1.5 * imu.dt_s
        if missing_s > 0.0 and before is not None:
            # samples were lost: go by both ends, and doubt the rest as much as the IMU is shaken
            entry[1:4] = 0.5 * (gyro + before.rate_frd_rad_s)
            entry[4:7] = 0.5 * (accel + before.specific_force_frd_m_s2)
            entry[7:10] += max(c.gap_rate_rad_s**2, float(self._rest[7])) * missing_s**2
            entry[10] += max(c.gap_accel_m_s2**2, float(self._rest[8])) * missing_s**2
        if imu.clipped or float(accel @ accel) > c.accel_range_m_s2**2:
            entry[10] += (c.clip_accel_m_s2 * step_s) ** 2
        self._ring_s[self._last % _RING] = self._now_s
        self._last += 1
        self._advance_horizon()
        if self._now_s - self._published_s < c.publish_period_s - 1e-4 or not self._aligned:
            return None
        self._published_s = self._now_s
        return self.state()

    def _step_s(self, imu: Imu) -> float | None:
        """Return the time that the sample covers [s], or None if it cannot be used."""
        gyro, accel = imu.rate_frd_rad_s, imu.specific_force_frd_m_s2
        size = float(gyro @ gyro) + 1e-3 * float(accel @ accel)
        if not size < 1e4:
            self._refuse_imu("IMU value is impossible" if size >= 1e4 else "IMU is not finite")
            return None
        if not 0.0 < imu.dt_s <= 0.5:
            self._refuse_imu("integration time is impossible")
            return None
        if self._imu is None:
            return imu.dt_s
        step_s = (imu.stamp_ns - self._imu.stamp_ns) * 1e-9
        if step_s <= 0.0:
            self._refuse_imu("time runs backwards" if step_s < 0.0 else "same time stamp twice")
            if step_s < -self._config.gap_max_s:
                self.reset("clock went back")
            return None
        if step_s > self._config.stamp_jump_s:
            # PX4's clock shift jumps without time passing; a lost message shows in both clocks
            arrival_s = (imu.received_ns - self._imu.received_ns) * 1e-9
            step_s = min(step_s, max(arrival_s, imu.dt_s))
        return step_s

    def _refuse_imu(self, cause: str) -> None:
        self.imu_refused[cause] = self.imu_refused.get(cause, 0) + 1

    def _on_gnss(self, fix: GnssFix) -> None:
        c = self._config
        if self._imu is not None:
            age_s = (self._imu.stamp_ns - fix.stamp_ns) * 1e-9
            self._gnss_age_s = min(self._gnss_age_s + _AGE_CREEP_S, max(age_s, 0.0))
        # a stamp well before the arrival has a delay taken off already; no fix is from the future
        nominal_s = 0.0 if self._gnss_age_s > _AGE_STAMPED_S else c.gnss_delay_s
        delay_s = nominal_s + float(self._x[kernel.X_DELAY])
        delay_s = min(max(delay_s, -self._gnss_age_s), c.gnss_delay_max_s)
        self._x[kernel.X_DELAY] = delay_s - nominal_s
        self._enqueue(fix, delay_s, self._fuse_gnss, "gnss_position")

    def _on_barometer(self, sample: Barometer) -> None:
        if not np.isfinite(sample.altitude_m):
            self._tallies["barometer"].refuse("not finite")
        elif self._due("barometer", self._config.barometer_period_s):
            delay = self._config.barometer_delay_s
            self._enqueue(sample, delay, self._fuse_barometer, "barometer")

    def _on_magnetometer(self, sample: Magnetometer) -> None:
        c = self._config
        size = float(np.sqrt(sample.field_frd_gauss @ sample.field_frd_gauss))
        if not c.field_min_gauss <= size <= c.field_max_gauss:
            self._tallies["magnetometer"].refuse("field strength is not Earth's")
            return
        self._field = sample
        if self._due("magnetometer", c.magnetometer_period_s):
            self._enqueue(sample, 0.0, self._fuse_magnetometer, "magnetometer")

    def _on_attitude(self, sample: Attitude) -> None:
        q = sample.q_ned_frd
        if not abs(float(q @ q) - 1.0) < 0.01:
            self._tallies["heading"].refuse("not a unit quaternion")
            return
        self._attitude = sample
        if self._due("heading", self._config.heading_period_s):
            self._enqueue(sample, 0.0, self._fuse_heading, "heading")

    def _due(self, source: str, period_s: float) -> bool:
        if self._now_s - self._queued_s[source] < period_s - 1e-3:
            return False
        self._queued_s[source] = self._now_s
        return True

    def _enqueue(
        self, sample: Sample, delay_s: float, fuse: Callable[..., None], source: str
    ) -> None:
        if not self._aligned or self._imu is None:
            return
        age_s = (self._imu.stamp_ns - sample.stamp_ns) * 1e-9
        if abs(age_s) > _AGE_MAX_S:
            age_s = (self._imu.received_ns - sample.received_ns) * 1e-9
        if not -_AGE_MAX_S <= age_s <= self._config.horizon_s + _LATE_MAX_S:
            self._tallies[source].refuse("older than the filter's window")
            return
        when_s = self._now_s - age_s - delay_s
        heapq.heappush(self._pending, (when_s, next(self._sequence), fuse, sample))

    def _on_local_position(self, sample: LocalPosition) -> None:
        """Take over PX4's origin, or its height datum while nothing else gives one."""
        origin = sample.origin
        if origin is None:
            if self._datum_free and self._aligned and sample.z_valid and not self._gnss_started:
                shift_m = float(sample.position_ned_m[2]) - float(self._x[2])
                if np.isfinite(shift_m) and abs(shift_m) < 1e4:
                    self._x[2] += shift_m
                    self._x[kernel.X_BARO] += shift_m
                    self._datum_free = False
            return
        # twice the same and not far from GNSS: a broken message moves nothing
        if origin == self._origin_seen and origin != self._origin and self._near_gnss(origin):
            self._adopt(origin)
        self._origin_seen = origin

    def _on_land_detected(self, sample: LandDetected) -> None:
        self._landed = sample.landed

    def _on_status(self, sample: VehicleStatus) -> None:
        self._armed = sample.armed

    # --- frame and alignment --------------------------------------------------------------------

    def _adopt(self, origin: Origin) -> None:
        """Make ``origin`` the zero of NED, and move what is known with it."""
        old = self._origin
        if old is not None and self._gnss_started:
            shift = px4_to_ned(origin, old.latitude_deg, old.longitude_deg)
            self._x[0:2] += shift
            self._x[2] += origin.altitude_amsl_m - old.altitude_amsl_m
            self._x[kernel.X_BARO] += origin.altitude_amsl_m - old.altitude_amsl_m
        self._origin = origin
        declination = declination_rad(origin.latitude_deg, origin.longitude_deg)
        if self._declination_rad is None and self._aligned and self._field is not None:
            self._turn(declination)
        self._declination_rad = declination

    def _near_gnss(self, origin: Origin) -> bool:
        fix = self._fix
        if fix is None:
            return True
        away = px4_to_ned(origin, fix.latitude_deg, fix.longitude_deg)
        return float(np.hypot(away[0], away[1])) < _ORIGIN_DISTANCE_MAX_M

    def _turn(self, angle_rad: float) -> None:
        """Turn heading and velocity about down: the heading was measured from a wrong north."""
        self._x[6:10] = alignment.turned(self._x[6:10], angle_rad)
        c, s = np.cos(angle_rad), np.sin(angle_rad)
        north, east = self._x[3], self._x[4]
        self._x[3], self._x[4] = c * north - s * east, s * north + c * east

    def _align(self) -> None:
        c, rest = self._config, self._rest
        if rest[0] < c.align_min_s or self._imu is None:
            return
        still = self._imu_still()
        field, attitude = self._field, self._attitude
        if rest[0] < c.align_max_s and field is None and (attitude is None or still):
            return
        if rest[0] < c.align_max_s and not still and attitude is None:
            return
        try:
            first = alignment.first_attitude(
                rest[4:7],
                still=still,
                field_frd=None if field is None else field.field_frd_gauss,
                declination_rad=self._declination_rad or 0.0,
                q_px4=None if attitude is None else attitude.q_ned_frd,
            )
        except ValueError:
            return  # free fall: wait for better data
        x, p = self._x, self._p
        x[6:10] = first.q_ned_frd
        speed = c.rest_speed_m_s if still else _UNKNOWN_SPEED_M_S
        gyro_bias = 0.1 * c.gyro_bias_sigma if still else c.gyro_bias_sigma
        if still:
            x[10:13] = rest[1:4]
        p[:] = 0.0
        p[0:3, 0:3] = np.diag([1e6, 1e6, 1.0])  # down is from a local zero, the rest unknown
        p[3:6, 3:6] = np.eye(3) * speed**2
        p[6:9, 6:9] = first.covariance
        p[9:12, 9:12] = np.eye(3) * gyro_bias**2
        p[12:15, 12:15] = np.eye(3) * c.accel_bias_sigma**2
        p[15:20, 15:20] = np.eye(5)
        p[20, 20] = c.gnss_delay_sigma_s**2
        if first.heading_known:
            source = "heading" if field is None else "magnetometer"
            self._take_heading(0.0, source)
            self._gates[source].passed_s = self._now_s
        self._aligned = True

    def _imu_still(self) -> bool:
        c, rest = self._config, self._rest
        force = float(np.sqrt(rest[4:7] @ rest[4:7]))
        return bool(
            rest[0] >= c.align_min_s
            and rest[7] < c.still_rate_rad_s**2
            and rest[8] < c.still_accel_m_s2**2
            and float(rest[1:4] @ rest[1:4]) < (2.0 * c.still_rate_rad_s) ** 2
            and abs(force - kernel.GRAVITY_M_S2) < 0.5
        )

    # --- the filter at its horizon --------------------------------------------------------------

    def _advance_horizon(self) -> None:
        c = self._config
        target_s = self._now_s - c.horizon_s
        while self._first < self._last and (
            self._ring_s[self._first % _RING] <= target_s or self._last - self._first >= _RING
        ):
            slot = self._first % _RING
            kernel.predict(
                self._x,
                self._p,
                self._ring[slot],
                self._density,
                self._offset_sigma,
                self._wander_s,
                self._cap,
            )
            self._first += 1
            at_s = self._ring_s[slot]
            if at_s - self._speed_before[0] >= _ACCELERATION_S:
                change = self._x[3:6] - self._speed_before[1:4]
                self._acceleration = change / (at_s - self._speed_before[0])
                self._speed_before[0] = at_s
                self._speed_before[1:4] = self._x[3:6]
            fused = False
            while self._pending and self._pending[0][0] <= at_s:
                when_s, _, fuse, sample = heapq.heappop(self._pending)
                fuse(sample, at_s, at_s - when_s)
                fused = True
            if at_s - self._unaided_s >= _REST_PERIOD_S:
                self._unaided_s = at_s
                self._fuse_rest(at_s)
                fused = True
            if fused and not kernel.healthy(self._x, self._p):
                self.reset("state not finite")
                return

    def _late(self, lag_s: float, tally: Tally) -> bool:
        if lag_s > _LATE_MAX_S:
            tally.refuse("older than the filter's window")
            return True
        return False

    def _fuse_gnss(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        c, tally = self._config, self._tallies["gnss_position"]
        if self._late(lag_s, tally):
            return
        cause = _gnss_fault(fix, c)
        if cause:
            tally.refuse(cause)
        else:
            self._fuse_gnss_position(fix, at_s, lag_s, tally)
        self._fuse_gnss_velocity(fix, cause, at_s, lag_s)

    def _fuse_gnss_position(self, fix: GnssFix, at_s: float, lag_s: float, tally: Tally) -> None:
        c, x, p = self._config, self._x, self._p
        self._fix = fix
        if self._origin is None or not (self._gnss_started or self._near_gnss(self._origin)):
            self._adopt(Origin(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m))
        assert self._origin is not None
        xy = px4_to_ned(self._origin, fix.latitude_deg, fix.longitude_deg)
        down = self._origin.altitude_amsl_m - fix.altitude_amsl_m
        measured = np.array([xy[0], xy[1], down])
        eph, epv = max(fix.eph_m, c.gnss_eph_min_m), max(fix.epv_m, c.gnss_epv_min_m)
        sigma = np.array([eph, eph, epv])
        self._offset_sigma[0:3] = np.sqrt(1.0 - c.gnss_white_share**2) * sigma
        variance = (c.gnss_white_share * sigma) ** 2
        if not self._gnss_started:
            self._place(measured, variance, lag_s, (0, 1, 2))
            self._gnss_started = True
            self._gates["position xy"].passed_s = self._gates["position z"].passed_s = at_s
            tally.fused(fix.stamp_ns)
            return
        h = np.empty((3, kernel.N))
        predicted = [kernel.gnss_position_model(x, axis, lag_s, h[axis]) for axis in range(3)]
        residual = measured - np.array(predicted)
        tally.tested(kernel.innovation_statistic(p, h, residual, variance), residual)
        used = False
        parts = (("position xy", slice(0, 2), (0, 1)), ("position z", slice(2, 3), (2,)))
        for name, rows, axes in parts:
            gate = self._gates[name]
            statistic = kernel.innovation_statistic(p, h[rows], residual[rows], variance[rows])
            if gate.passes(statistic, at_s):
                kernel.update(x, p, h[rows], residual[rows], variance[rows])
                used = True
            elif gate.shut_for_s(at_s) > c.recover_s:
                self._place(measured, variance, lag_s, axes)
                gate.forget()
                gate.passed_s = at_s
                tally.refuse(f"{RESET}: {name}")
            else:
                tally.refuse(f"gate: {name}")
        if used:
            tally.fused(fix.stamp_ns)

    def _place(self, measured: Array, variance: Array, lag_s: float, axes: tuple[int, ...]) -> None:
        """Take the position of ``axes`` from GNSS as it is."""
        x, p = self._x, self._p
        for axis in axes:
            kernel.forget(p, kernel.GNSS + axis, float(self._offset_sigma[axis] ** 2))
            kernel.forget(p, kernel.POS + axis, 1.0)
            before = float(x[axis])
            x[kernel.X_GNSS + axis] = 0.0
            x[axis] = measured[axis] + x[3 + axis] * lag_s
            kernel.place(p, kernel.POS + axis, kernel.GNSS + axis, -1.0, float(variance[axis]))
            if axis == 2:
                # the barometer keeps its reading: its offset takes up the step
                x[kernel.X_BARO] += x[2] - before
                spread = self._config.barometer_noise_m**2
                kernel.forget(p, kernel.BARO, spread)
                kernel.place(p, kernel.BARO, kernel.POS + 2, 1.0, spread)

    def _fuse_gnss_velocity(self, fix: GnssFix, cause: str, at_s: float, lag_s: float) -> None:
        c, tally = self._config, self._tallies["gnss_velocity"]
        if fix.velocity_ned_m_s is None:
            tally.refuse("no velocity")
            return
        if cause or not fix.speed_accuracy_m_s <= c.gnss_speed_max_m_s:
            tally.refuse(cause or "speed accuracy too poor")
            return
        sigma = max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s)
        variance = np.array([1.0, 1.0, 2.25]) * sigma**2  # vertical worse by half, as in EKF2
        h = np.empty((3, kernel.N))
        x, a = self._x, self._acceleration
        predicted = [kernel.gnss_velocity_model(x, axis, a, lag_s, h[axis]) for axis in range(3)]
        residual = fix.velocity_ned_m_s - np.array(predicted)
        statistic = kernel.innovation_statistic(self._p, h, residual, variance)
        tally.tested(statistic, residual)
        gate = self._gates["velocity"]
        if gate.passes(statistic, at_s):
            kernel.update(self._x, self._p, h, residual, variance)
            tally.fused(fix.stamp_ns)
        elif gate.shut_for_s(at_s) > c.recover_s:
            for axis in range(3):
                kernel.forget(self._p, kernel.VEL + axis, float(variance[axis]))
            self._x[3:6] = fix.velocity_ned_m_s
            gate.forget()
            gate.passed_s = at_s
            tally.refuse(RESET)
        else:
            tally.refuse("gate")

    def _fuse_barometer(self, sample: Barometer, at_s: float, lag_s: float) -> None:
        c, tally, x, p = self._config, self._tallies["barometer"], self._x, self._p
        if self._late(lag_s, tally):
            return
        variance = c.barometer_noise_m**2
        gate = self._gates["barometer"]
        h = np.empty((1, kernel.N))
        residual = sample.altitude_m - kernel.barometer_model(x, lag_s, h[0])
        if not self._barometer_started:
            self._tie_barometer(residual)
            self._barometer_started = True
            gate.passed_s = at_s
            tally.fused(sample.stamp_ns)
            return
        if self._scalar(h, residual, variance, at_s, gate, tally, sample.stamp_ns):
            return
        if gate.shut_for_s(at_s) > c.recover_s:
            self._tie_barometer(residual)
            gate.forget()
            tally.refuse(RESET)

    def _tie_barometer(self, residual_m: float) -> None:
        """Read the barometer's offset off the height."""
        self._x[kernel.X_BARO] += residual_m
        kernel.forget(self._p, kernel.BARO, 1.0)
        variance = self._config.barometer_noise_m**2
        kernel.place(self._p, kernel.BARO, kernel.POS + 2, 1.0, variance)

    def _fuse_magnetometer(self, sample: Magnetometer, at_s: float, lag_s: float) -> None:
        c, tally = self._config, self._tallies["magnetometer"]
        if self._late(lag_s, tally):
            return
        h, tilted = np.empty((1, kernel.N)), np.empty(kernel.N)
        shown = kernel.magnetic_model(self._x, sample.field_frd_gauss, h[0], tilted)
        residual = frames.wrap_pi((self._declination_rad or 0.0) - shown)
        if not float(tilted @ tilted) < _STEEP_MAX**2:
            tally.refuse("field is vertical")
            return
        variance = c.magnetometer_noise_rad**2 + kernel.spread(self._p, tilted)
        gate = self._gates["magnetometer"]
        if not self._heading_known or self._heading_source != "magnetometer":
            self._take_heading(residual, "magnetometer")
            residual = 0.0
        self._scalar(h, residual, variance, at_s, gate, tally, sample.stamp_ns)

    def _fuse_heading(self, sample: Attitude, at_s: float, lag_s: float) -> None:
        """PX4's heading, only while no magnetometer passes its gate."""
        c, tally = self._config, self._tallies["heading"]
        if at_s - self._gates["magnetometer"].passed_s < c.recover_s or self._late(lag_s, tally):
            return
        h = np.empty((1, kernel.N))
        residual = kernel.heading_model(self._x, sample.q_ned_frd, h[0])
        variance = c.heading_noise_rad**2
        gate = self._gates["heading"]
        if self._heading_source != "heading" or gate.shut_for_s(at_s) > c.recover_s:
            if self._heading_source == "heading":
                tally.refuse(RESET)
            self._take_heading(residual, "heading")
            residual = 0.0
            gate.forget()
        self._scalar(h, residual, variance, at_s, gate, tally, sample.stamp_ns)

    def _take_heading(self, angle_rad: float, source: str) -> None:
        """Turn the attitude about down; the new heading is wrong by the offset of its source."""
        c, p = self._config, self._p
        if source == "magnetometer":
            noise, offset = c.magnetometer_noise_rad, c.magnetometer_offset_rad
        else:
            noise, offset = c.heading_noise_rad, c.heading_offset_rad
        self._offset_sigma[3] = offset
        self._x[6:10] = alignment.turned(self._x[6:10], angle_rad)
        self._x[kernel.X_HEADING] = 0.0
        kernel.forget(p, kernel.HEADING, offset**2)
        r = frames.rotation_from_quat(self._x[6:10])
        tilt = r @ p[6:9, 6:9] @ r.T
        p[6:9, :] = 0.0
        p[:, 6:9] = 0.0
        tilt[2, :] = tilt[:, 2] = 0.0
        tilt[2, 2] = noise**2 + offset**2
        p[6:9, 6:9] = r.T @ tilt @ r
        p[6:9, kernel.HEADING] = p[kernel.HEADING, 6:9] = r[2] * offset**2
        self._heading_known = True
        self._heading_source = source

    def _scalar(
        self,
        h: Array,
        residual: float,
        variance: float,
        at_s: float,
        gate: Gate,
        tally: Tally,
        stamp_ns: int,
    ) -> bool:
        """Gate and fuse one scalar; return whether it passed."""
        left, noise = np.array([residual]), np.array([variance])
        statistic = kernel.innovation_statistic(self._p, h, left, noise)
        tally.tested(statistic, left)
        if not gate.passes(statistic, at_s):
            tally.refuse("gate")
            return False
        kernel.update(self._x, self._p, h, left, noise)
        tally.fused(stamp_ns)
        return True

    def _fuse_rest(self, at_s: float) -> None:
        """At rest the velocity is zero; in flight without any aid it is at least not huge."""
        c = self._config
        aided_s = max(self._gates["position xy"].passed_s, self._gates["velocity"].passed_s)
        unaided = at_s - aided_s > 1.0
        on_ground = self._landed if self._landed is not None else self._armed is not True
        if self._landed is not False and self._armed is False:
            on_ground = True
        still = self._imu_still()
        if still and on_ground:
            sigma = c.rest_speed_m_s
            self._rest_s = at_s
        elif unaided and float(np.trace(self._p[3:5, 3:5])) > 2.0 * c.unaided_speed_m_s**2:
            sigma = c.unaided_speed_m_s
        else:
            return
        h = np.zeros((3, kernel.N))
        h[:, 3:6] = np.eye(3)
        # 10 Hz of one assumption is not ten proofs a second
        variance = np.full(3, sigma**2 * 10.0)
        kernel.update(self._x, self._p, h, -self._x[3:6], variance)


def _gnss_fault(fix: GnssFix, config: EstimatorConfig) -> str:
    """Return why the fix cannot be used, or nothing."""
    if fix.fix_type < config.gnss_fix_min:
        return "no 3D fix"
    place = (fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
    if not np.all(np.isfinite(place)):
        return "not finite"
    if not (fix.eph_m <= config.gnss_eph_max_m and fix.epv_m <= config.gnss_epv_max_m):
        return "accuracy too poor"
    return ""
