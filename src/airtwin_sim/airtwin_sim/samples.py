# SPDX-License-Identifier: Apache-2.0
"""Flies a scenario without ROS: AirTwin's own types, as a twin would get them, with the truth.

For tests of estimators and monitors: ``Flight`` steps a ``World`` as fast as it goes. Numbers pass
through 32-bit floats where PX4's messages have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from airtwin_core import frames, types
from airtwin_core.types import Array, Sample
from airtwin_sim.scenario import Scenario
from airtwin_sim.words import Values
from airtwin_sim.world import World

Make = Callable[[Values, int, int, int], Sample]


def _single(value: Array) -> Array:
    return np.asarray(value, dtype=np.float32).astype(np.float64)


def _imu(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.Imu(stamp, received, _single(v["rate"][k]), _single(v["force"][k]), 0.004)


def _gnss(v: Values, k: int, stamp: int, received: int) -> Sample:
    if not v["fixed"][k]:
        nan = float("nan")
        return types.GnssFix(stamp, received, nan, nan, nan, None, 99.9, 99.9, 0.4, 1, 0)
    latitude, longitude = (float(d) for d in v["degrees"][k])
    velocity = _single(v["velocity"][k])
    altitude = float(v["altitude"][k])
    heading, accuracy = float(v["heading"][k]), float(v["heading_accuracy"][k])
    yaw = float(np.nan_to_num(v["antenna_yaw"][k]))
    return types.GnssFix(
        stamp, received, latitude, longitude, altitude, velocity, 0.9, 1.78, 0.4, 3, 12,
        heading, accuracy, yaw,
    )  # fmt: skip


def _barometer(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.Barometer(stamp, received, float(np.float32(v["altitude"][k])))


def _magnetometer(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.Magnetometer(stamp, received, _single(v["field"][k]))


def _motors(v: Values, k: int, stamp: int, received: int) -> Sample:
    command = np.full(12, np.nan)
    command[: v["control"].shape[1]] = v["control"][k]
    return types.MotorCommands(stamp, received, _single(command))


def _attitude(v: Values, k: int, stamp: int, received: int) -> Sample:
    q = v["q"][k]
    return types.Attitude(stamp, received, q if q[0] >= 0.0 else -q, int(v["resets"][k]))


def _position(v: Values, k: int, stamp: int, received: int) -> Sample:
    origin = v["origin"][k]
    located = bool(np.isfinite(origin[0]))
    eph, epv = float(np.sqrt(2.0) * v["sigma"][k, 0]), float(v["sigma"][k, 1])
    return types.LocalPosition(
        stamp_ns=stamp,
        received_ns=received,
        position_ned_m=_single(v["position"][k]),
        velocity_ned_m_s=_single(v["velocity"][k]),
        heading_rad=float(v["heading"][k]),
        xy_valid=bool(v["xy_valid"][k]),
        z_valid=bool(v["z_valid"][k]),
        v_xy_valid=bool(v["xy_valid"][k]),
        v_z_valid=bool(v["z_valid"][k]),
        origin=types.Origin(*(float(c) for c in origin)) if located else None,
        eph_m=eph,
        epv_m=epv,
        evh_m_s=0.6 * eph,
        evv_m_s=0.6 * epv,
        dead_reckoning=bool(v["dead_reckoning"][k]),
        xy_reset_counter=int(v["xy_resets"][k]),
        z_reset_counter=int(v["z_resets"][k]),
        vxy_reset_counter=int(v["vxy_resets"][k]),
        vz_reset_counter=int(v["vz_resets"][k]),
        heading_reset_counter=int(v["heading_resets"][k]),
        delta_xy_m=_single(v["delta_xy"][k]),
        delta_z_m=float(v["delta_z"][k]),
        delta_heading_rad=float(v["delta_heading"][k]),
    )


def _odometry(v: Values, k: int, stamp: int, received: int) -> Sample:
    variance = np.square(v["sigma"][k])
    q = v["q"][k]
    return types.Odometry(
        stamp,
        received,
        _single(v["position"][k]),
        _single(v["velocity"][k]),
        q if q[0] >= 0.0 else -q,
        _single(v["rate"][k]),
        variance,
        0.35 * variance,
        np.array([4e-4, 4e-4, 0.02]),
        int(v["reset_counter"][k]),
    )


def _status(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.VehicleStatus(
        stamp,
        received,
        bool(v["armed"][k]),
        int(v["nav_state"][k]),
        bool(v["failsafe"][k]),
        1,
        False,
        False,
        int(v["system_id"][k]),
        bool(v["ready"][k]),
    )


def _land_detected(v: Values, k: int, stamp: int, received: int) -> Sample:
    names = ("landed", "maybe_landed", "ground_contact", "freefall")
    return types.LandDetected(stamp, received, *(bool(v[name][k]) for name in names))


def _battery(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.Battery(
        stamp,
        received,
        float(v["voltage"][k]),
        float(v["current"][k]),
        float(v["remaining"][k]),
        int(v["warning"][k]),
        float(v["temperature"][k]),
    )


def _rangefinder(v: Values, k: int, stamp: int, received: int) -> Sample:
    valid = bool(v["quality"][k] > 0)
    return types.Rangefinder(stamp, received, float(v["distance"][k]), float("nan"), valid)


def _flow(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.OpticalFlow(
        stamp,
        received,
        _single(v["flow"][k]),
        _single(v["turn"][k]),
        float(v["dt"][k]),
        float(v["quality"][k]) / 255.0,
        float("nan"),
        float(v["min"][k]),
        float(v["max"][k]),
    )


def _vision(v: Values, k: int, stamp: int, received: int) -> Sample:
    place, speed, turn = (np.full(3, value) for value in _single(v["variance"][k]))
    return types.ExternalPose(
        stamp,
        received,
        _single(v["position"][k]),
        _single(v["velocity"][k]),
        frames.quat_normalise(_single(v["q"][k])),
        place,
        speed,
        turn,
        bool(v["local"][k]),
        0,
    )


def _airspeed(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.Airspeed(stamp, received, float(np.float32(v["speed"][k])))


def _rotor_speeds(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.RotorSpeeds(stamp, received, v["rpm"][k] * (2.0 * np.pi / 60.0))


def _flags(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.EstimatorFlags(
        stamp_ns=stamp,
        received_ns=received,
        gnss_position=bool(v["gnss_position"][k]),
        gnss_velocity=bool(v["gnss_velocity"][k]),
        baro_height=bool(v["baro_height"][k]),
        gnss_height=bool(v["gnss_height"][k]),
        baro_fault=bool(v["baro_fault"][k]),
        gnss_fault=bool(v["gnss_fault"][k]),
        mag_fault=False,
        in_air=bool(v["in_air"][k]),
        inertial_dead_reckoning=bool(v["dead_reckoning"][k]),
    )


def _home(v: Values, k: int, stamp: int, received: int) -> Sample:
    latitude, longitude = (float(d) for d in v["degrees"][k])
    return types.HomePosition(stamp, received, latitude, longitude, float(v["altitude"][k]))


def _ack(v: Values, k: int, stamp: int, received: int) -> Sample:
    return types.CommandAck(stamp, received, int(v["command"][k]), int(v["result"][k]))


_MAKERS: dict[str, Make] = {
    "imu": _imu,
    "gnss": _gnss,
    "barometer": _barometer,
    "magnetometer": _magnetometer,
    "motors": _motors,
    "rangefinder": _rangefinder,
    "flow": _flow,
    "vision": _vision,
    "airspeed": _airspeed,
    "rotor_speeds": _rotor_speeds,
    "attitude": _attitude,
    "position": _position,
    "odometry": _odometry,
    "status": _status,
    "land_detected": _land_detected,
    "battery": _battery,
    "flags": _flags,
    "home": _home,
    "ack": _ack,
}


class Flight:
    """A world that hands out samples; commands go to ``world``.

    ``start_ns`` is added to every time, so that stamps look like an epoch's.
    """

    def __init__(self, scenario: Scenario, *, start_ns: int = 1_000_000_000) -> None:
        self.world = World(scenario)
        self._start_ns = start_ns

    def step(self) -> list[tuple[str, str, Sample]]:
        """Let 4 ms pass; return (vehicle, source, sample) in the order of arrival."""
        received = self._start_ns + self.world.time_us * 1000
        out: list[tuple[str, str, Sample]] = []
        batches = self.world.step()
        received = self._start_ns + self.world.time_us * 1000
        for batch in batches:
            stamp = self._start_ns + batch.sample_us * 1000
            if batch.source == "timesync":
                word = types.Timesync(stamp, received, -self._start_ns, 0.0)
                out += [(self.world.names[row], "timesync", word) for row in batch.rows]
                continue
            make = _MAKERS.get(batch.source)
            if make is None:
                continue
            for k, row in enumerate(batch.rows):
                name = self.world.names[row]
                out.append((name, batch.source, make(batch.values, k, stamp, received)))
        return out

    def run(self, seconds: float) -> Iterator[tuple[str, str, Sample]]:
        """Let time pass and yield what arrives."""
        end_us = self.world.time_us + round(seconds * 1e6)
        while self.world.time_us < end_us:
            yield from self.step()

    def truth(self, vehicle: str) -> types.GroundTruth:
        """Return where the aircraft really is now, around its own true start."""
        i = self.world.row(vehicle)
        x = self.world.fleet.x[i]
        now = self._start_ns + self.world.time_us * 1000
        q = x[6:10] if x[6] >= 0.0 else -x[6:10]
        return types.GroundTruth(
            now, now, x[0:3].copy(), x[3:6].copy(), q.copy(), self.world.origins[i]
        )
