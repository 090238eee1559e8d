# SPDX-License-Identifier: Apache-2.0
"""The simplest aircraft that everybody agrees on, and knobs that make them disagree."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from airtwin_consistency.limits import Limits
from airtwin_consistency.monitor import Monitor
from airtwin_core import frames
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    Array,
    Attitude,
    Barometer,
    Battery,
    Check,
    Deviation,
    EstimatorFlags,
    Fusion,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    MotorCommands,
    Odometry,
    Origin,
    Report,
    Sample,
    Timesync,
    TwinState,
    VehicleStatus,
    VtolState,
)

NS = 1_000_000_000
START_NS = 1_000 * NS
ORIGIN = Origin(47.4, 8.5, 488.0)
FRAME = LocalFrame(ORIGIN)
STEP_NS = NS // 50
PERIODS = {  # in steps of 20 ms
    "imu": 1,
    "attitude": 1,
    "position": 1,
    "odometry": 1,
    "twin": 1,
    "motors": 2,
    "barometer": 5,
    "gnss": 6,
    "status": 25,
    "vtol": 25,
    "flags": 50,
    "land_detected": 50,
    "battery": 50,
    "timesync": 50,
}
GRAVITY = np.array([0.0, 0.0, -9.81])


@dataclasses.dataclass
class Scene:
    """A multirotor in hover at 10 m; change an attribute and go on.

    ``silent`` holds sources that send nothing; ``clock_ns`` is added to stamps, ``delay_ns`` to
    times of arrival.
    """

    monitor: Monitor = dataclasses.field(default_factory=Monitor)
    now_ns: int = START_NS
    silent: set[str] = dataclasses.field(default_factory=lambda: {"vtol"})
    clock_ns: int = 0
    rng: np.random.Generator = dataclasses.field(default_factory=lambda: np.random.default_rng(1))
    noise: float = 0.0
    # truth
    position: Array = dataclasses.field(default_factory=lambda: np.array([1.0, 2.0, -10.0]))
    velocity: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    tilt_rad: float = 0.0
    yaw_rate: float = 0.0
    shake: float = 0.0  # [m/s^2] of the rotors
    # PX4
    px4_shift: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    px4_velocity_shift: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    px4_tilt_rad: float = 0.0
    px4_yaw_rad: float = 0.0
    xy_valid: bool = True
    dead_reckoning: bool = False
    eph: float = 0.4
    epv: float = 0.4
    resets: dict[str, int] = dataclasses.field(default_factory=dict)
    delta_xy: Array = dataclasses.field(default_factory=lambda: np.zeros(2))
    delta_z: float = 0.0
    delta_heading: float = 0.0
    armed: bool = True
    landed: bool = False
    nav_state: int = 14
    failsafe: bool = False
    vehicle_type: int = 1
    in_transition: bool = False
    vtol_state: int = 3
    wing_failure: bool = False
    warning: int = 0
    round_trip_s: float = 0.002
    # sensors
    fix_type: int = 3
    eph_gnss: float = 0.9
    gnss_shift: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    doppler_shift: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    motors: Array = dataclasses.field(default_factory=lambda: np.full(4, 0.5))
    # twin
    twin_valid: bool = True
    twin_sigma: float = 0.5
    accel_bias: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    gyro_bias: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    velocity_innovation: Array = dataclasses.field(default_factory=lambda: np.zeros(3))
    velocity_nis: float = 3.0
    baro_innovation: float = 0.0
    magnetometer_used: int = 100
    opened: list[Deviation] = dataclasses.field(default_factory=list)
    closed: list[Deviation] = dataclasses.field(default_factory=list)
    report: Report | None = None
    _step: int = 0
    _fixes: int = 0

    def run(self, seconds: float) -> Scene:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * NS)
        while self.now_ns < end_ns:
            self.now_ns += STEP_NS
            self._step += 1
            self.position = self.position + self.velocity * (STEP_NS / NS)
            for value in self.values():
                self.monitor.on(value)
            if self._step % 5 == 0:
                self.report, changed = self.monitor.tick(self.now_ns)
                self.opened += [d for d in changed if d.end_ns is None]
                self.closed += [d for d in changed if d.end_ns is not None]
        return self

    def check(self, requirement: str) -> Check:
        """Return the newest check of a requirement."""
        assert self.report is not None
        return next(c for c in self.report.checks if c.requirement == requirement)

    def seconds(self, vehicle_ns: int) -> float:
        """Return a deviation's time [s] since the start."""
        return (vehicle_ns - START_NS) / NS

    def values(self) -> Iterator[Sample | TwinState]:
        """Return what arrives in this step."""
        for name, period in PERIODS.items():
            if self._step % period == 0 and name not in self.silent:
                yield getattr(self, f"_{name}")(self.now_ns + self.clock_ns, self.now_ns)

    def _random(self, n: int) -> Array:
        return self.noise * self.rng.standard_normal(n)

    def _imu(self, stamp: int, received: int) -> Imu:
        return Imu(stamp, received, np.zeros(3), GRAVITY, 0.02)

    def _attitude(self, stamp: int, received: int) -> Attitude:
        tilt = self.tilt_rad + self.px4_tilt_rad
        q = frames.quat_from_euler(tilt, 0.0, self.px4_yaw_rad)
        return Attitude(stamp, received, q, 0)

    def _position(self, stamp: int, received: int) -> LocalPosition:
        counters = [self.resets.get(name, 0) for name in ("xy", "z", "vxy", "vz", "heading")]
        return LocalPosition(
            stamp,
            received,
            self.position + self.px4_shift + self._random(3),
            self.velocity + self.px4_velocity_shift + 0.3 * self._random(3),
            self.px4_yaw_rad,
            self.xy_valid,
            True,
            self.xy_valid,
            True,
            ORIGIN,
            self.eph,
            self.epv,
            0.2,
            0.2,
            self.dead_reckoning,
            *counters,
            self.delta_xy,
            self.delta_z,
            self.delta_heading,
        )

    def _odometry(self, stamp: int, received: int) -> Odometry:
        nothing = np.zeros(3)
        q = np.array([1.0, 0.0, 0.0, 0.0])
        return Odometry(
            stamp, received, self.position, self.velocity, q, nothing, nothing, nothing, nothing, 0
        )

    def _twin(self, stamp: int, received: int) -> TwinState:
        covariance = np.diag(
            [float(np.square(self.twin_sigma))] * 3
            + [0.04] * 3
            + [1e-4] * 3
            + [1e-6] * 3
            + [1e-4] * 3
        )
        if self._step % PERIODS["gnss"] == 0:
            self._fixes += 1
        used = self.now_ns
        fusions = (
            Fusion(
                "gnss_velocity", self._fixes, {}, self.velocity_nis, 3,
                self.velocity_innovation + 0.2 * self._random(3), used,
            ),
            Fusion(
                "barometer", self._step // 5, {}, 1.0, 1,
                np.array([self.baro_innovation]) + self._random(1), used,
            ),
            Fusion("magnetometer", self.magnetometer_used, {}, 1.0, 1, np.zeros(1), used),
            Fusion("heading", 100 - self.magnetometer_used, {}, 1.0, 1, np.zeros(1), used),
        )  # fmt: skip
        return TwinState(
            stamp,
            received,
            self.position + self._random(3),
            self.velocity + 0.3 * self._random(3),
            frames.quat_from_euler(self.tilt_rad, 0.0, 0.0),
            np.array([0.0, 0.0, self.yaw_rate]),
            self.shake * self.rng.standard_normal(3),
            self.gyro_bias,
            self.accel_bias,
            covariance,
            ORIGIN,
            True,
            self.twin_valid,
            self.twin_valid,
            self.twin_valid,
            self.twin_valid,
            fusions,
        )

    def _motors(self, stamp: int, received: int) -> MotorCommands:
        control = np.full(12, np.nan)
        control[: self.motors.size] = self.motors
        return MotorCommands(stamp, received, control)

    def _barometer(self, stamp: int, received: int) -> Barometer:
        return Barometer(stamp, received, 488.0 - float(self.position[2]))

    def _gnss(self, stamp: int, received: int) -> GnssFix:
        place = self.position + self.gnss_shift + 0.1 * self._random(3)
        latitude, longitude, altitude = FRAME.to_geodetic(place)
        doppler = self.velocity + self.doppler_shift + 0.1 * self._random(3)
        return GnssFix(
            stamp, received, latitude, longitude, altitude, doppler,
            self.eph_gnss, 1.8, 0.4, self.fix_type, 12,
        )  # fmt: skip

    def _status(self, stamp: int, received: int) -> VehicleStatus:
        return VehicleStatus(
            stamp, received, self.armed, self.nav_state, self.failsafe, self.vehicle_type,
            "vtol" not in self.silent, self.in_transition, 1, True,
        )  # fmt: skip

    def _vtol(self, stamp: int, received: int) -> VtolState:
        return VtolState(stamp, received, self.vtol_state, self.wing_failure)

    def _land_detected(self, stamp: int, received: int) -> LandDetected:
        return LandDetected(stamp, received, self.landed, self.landed, self.landed, False)

    def _battery(self, stamp: int, received: int) -> Battery:
        return Battery(stamp, received, 15.5, 12.0, 0.8, self.warning)

    def _flags(self, stamp: int, received: int) -> EstimatorFlags:
        air = not self.landed
        return EstimatorFlags(
            stamp, received, True, True, True, True, False, False, False, air, False
        )

    def _timesync(self, stamp: int, received: int) -> Timesync:
        return Timesync(stamp, received, 0, self.round_trip_s)


@functools.cache
def _hovering(seconds: float) -> Scene:
    return Scene().run(seconds)


def hovering(limits: Limits | None = None, seconds: float = 15.0, **knobs: object) -> Scene:
    """Return a scene that has flown in agreement for long enough to be judged."""
    if limits is None and not knobs:
        return copy.deepcopy(_hovering(seconds))
    return Scene(monitor=Monitor(limits), **knobs).run(seconds)  # type: ignore[arg-type]
