# SPDX-License-Identifier: Apache-2.0
"""Every PX4 topic that AirTwin reads, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airtwin_core.types import Sample
from airtwin_ros.px4 import actuators, autopilot, pose, sensors


@dataclass(frozen=True, slots=True)
class Reader:
    """One PX4 topic: what it is called, its message, what it becomes."""

    source: str
    topic: str
    message: str
    convert: Callable[[Any, int], Sample]


READERS: tuple[Reader, ...] = (
    Reader("imu", "fmu/out/sensor_combined", "SensorCombined", sensors.imu),
    Reader("gnss", "fmu/out/vehicle_gps_position", "SensorGps", sensors.gnss),
    Reader("barometer", "fmu/out/vehicle_air_data", "VehicleAirData", sensors.barometer),
    Reader(
        "magnetometer", "fmu/out/vehicle_magnetometer", "VehicleMagnetometer", sensors.magnetometer
    ),
    Reader("airspeed", "fmu/out/airspeed_validated", "AirspeedValidated", sensors.airspeed),
    Reader("rangefinder", "fmu/out/distance_sensor", "DistanceSensor", sensors.rangefinder),
    Reader("flow", "fmu/out/vehicle_optical_flow", "VehicleOpticalFlow", sensors.optical_flow),
    Reader("vision", "fmu/in/vehicle_visual_odometry", "VehicleOdometry", pose.vision),
    Reader("mocap", "fmu/in/vehicle_mocap_odometry", "VehicleOdometry", pose.mocap),
    Reader("motors", "fmu/out/actuator_motors", "ActuatorMotors", actuators.motors),
    Reader("servos", "fmu/out/actuator_servos", "ActuatorServos", actuators.servos),
    Reader("rotor_speeds", "fmu/out/esc_status", "EscStatus", actuators.rotor_speeds),
    Reader("attitude", "fmu/out/vehicle_attitude", "VehicleAttitude", autopilot.attitude),
    Reader(
        "position",
        "fmu/out/vehicle_local_position",
        "VehicleLocalPosition",
        autopilot.local_position,
    ),
    Reader("odometry", "fmu/out/vehicle_odometry", "VehicleOdometry", autopilot.odometry),
    Reader("status", "fmu/out/vehicle_status", "VehicleStatus", autopilot.status),
    Reader("vtol", "fmu/out/vtol_vehicle_status", "VtolVehicleStatus", autopilot.vtol),
    Reader(
        "land_detected",
        "fmu/out/vehicle_land_detected",
        "VehicleLandDetected",
        autopilot.land_detected,
    ),
    Reader("battery", "fmu/out/battery_status", "BatteryStatus", actuators.battery),
    Reader(
        "flags",
        "fmu/out/estimator_status_flags",
        "EstimatorStatusFlags",
        autopilot.estimator_flags,
    ),
    Reader("timesync", "fmu/out/timesync_status", "TimesyncStatus", autopilot.timesync),
    Reader("home", "fmu/out/home_position", "HomePosition", autopilot.home),
    Reader("ack", "fmu/out/vehicle_command_ack", "VehicleCommandAck", autopilot.ack),
)
"""Nodes, replay of MCAP and replay of ULog share it. A default PX4 does not bridge all of them.
External poses are read on their way to the aircraft."""


def reader(source: str) -> Reader:
    """Return the reader of one source.

    Raises:
        KeyError: no such source.
    """
    for candidate in READERS:
        if candidate.source == source:
            return candidate
    raise KeyError(f"no PX4 reader for {source!r}; there are {[r.source for r in READERS]}")


def topic(name: str, message: type) -> str:
    """Return the topic as PX4 names it: versioned messages carry ``_v<MESSAGE_VERSION>``."""
    version = int(getattr(message, "MESSAGE_VERSION", 0))
    return f"{name}_v{version}" if version else name
