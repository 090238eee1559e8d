# SPDX-License-Identifier: Apache-2.0
"""The one vocabulary: what an aircraft's topics say, and what its twin believes.

Every value is frozen and carries two times, both int64 nanoseconds:

* ``stamp_ns``: when the vehicle says that it was true (PX4's ``timestamp_sample``), vehicle clock;
* ``received_ns``: when the twin got it, clock of the twin (a log's time in replay).

Frames: local NED around ``Origin``; body FRD; ``q_ned_frd`` is Hamilton, w first, and turns FRD
into NED. SI units, angles in radians, geographic coordinates in degrees. Arrays are float64.
"""

from __future__ import annotations

from airtwin_core.types.autopilot import (
    Attitude,
    Battery,
    CommandAck,
    EstimatorFlags,
    GroundTruth,
    HomePosition,
    LandDetected,
    LocalPosition,
    NavState,
    Odometry,
    Timesync,
    VehicleStatus,
    VtolState,
)
from airtwin_core.types.base import (
    Array,
    Origin,
)
from airtwin_core.types.belief import (
    ACCEL_BIAS,
    ATT,
    GYRO_BIAS,
    N_ERROR,
    POS,
    VEL,
    Fusion,
    Health,
    Identification,
    MissionBelief,
    Parameter,
    Phase,
    SensorHealth,
    TwinState,
    WindEstimate,
)
from airtwin_core.types.sensors import (
    Airspeed,
    Barometer,
    ExternalPose,
    GnssFix,
    Imu,
    Magnetometer,
    MotorCommands,
    OpticalFlow,
    Rangefinder,
    RotorSpeeds,
    ServoCommands,
)
from airtwin_core.types.verdict import (
    Advisory,
    AdvisoryAction,
    Check,
    ContextFactor,
    Deviation,
    Report,
    Verdict,
)

Sample = (
    Imu
    | GnssFix
    | Barometer
    | Magnetometer
    | Airspeed
    | Rangefinder
    | OpticalFlow
    | ExternalPose
    | MotorCommands
    | ServoCommands
    | RotorSpeeds
    | Attitude
    | LocalPosition
    | Odometry
    | VehicleStatus
    | VtolState
    | LandDetected
    | Battery
    | EstimatorFlags
    | Timesync
    | HomePosition
    | CommandAck
    | GroundTruth
)

__all__ = [
    "ACCEL_BIAS",
    "ATT",
    "GYRO_BIAS",
    "N_ERROR",
    "POS",
    "VEL",
    "Advisory",
    "AdvisoryAction",
    "Airspeed",
    "Array",
    "Attitude",
    "Barometer",
    "Battery",
    "Check",
    "CommandAck",
    "ContextFactor",
    "Deviation",
    "EstimatorFlags",
    "ExternalPose",
    "Fusion",
    "GnssFix",
    "GroundTruth",
    "Health",
    "HomePosition",
    "Identification",
    "Imu",
    "LandDetected",
    "LocalPosition",
    "Magnetometer",
    "MissionBelief",
    "MotorCommands",
    "NavState",
    "Odometry",
    "OpticalFlow",
    "Origin",
    "Parameter",
    "Phase",
    "Rangefinder",
    "Report",
    "RotorSpeeds",
    "Sample",
    "SensorHealth",
    "ServoCommands",
    "Timesync",
    "TwinState",
    "VehicleStatus",
    "Verdict",
    "VtolState",
    "WindEstimate",
]
