# SPDX-License-Identifier: Apache-2.0
"""What the sensors and actuators say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airtwin_core.types.base import Array


@dataclass(frozen=True, slots=True)
class Imu:
    """Averages over ``dt_s``: angular rate (3,) [rad/s] FRD, specific force (3,) [m/s^2] FRD.

    ``calibration``: a number that changes with the vehicle's calibration of it, or with the IMU.
    """

    stamp_ns: int
    received_ns: int
    rate_frd_rad_s: Array
    specific_force_frd_m_s2: Array
    dt_s: float
    clipped: bool = False
    calibration: int = 0


@dataclass(frozen=True, slots=True)
class GnssFix:
    """One GNSS solution. ``velocity_ned_m_s`` is None where the receiver gives none.

    ``fix_type``: PX4's (1 none, 2 2D, 3 3D, 4 DGPS, 5 RTK float, 6 RTK fixed). ``eph_m``,
    ``epv_m``, ``speed_accuracy_m_s``: one standard deviation as the receiver claims it.
    ``heading_rad``: of the body's x axis from true north by two antennas; NaN with one.
    ``antenna_yaw_frd_rad``: where in the body's xy plane the line between them points.
    ``antenna_frd_m``: (3,), where in the body the antenna is, seen from the IMU; None: there.
    """

    stamp_ns: int
    received_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float
    velocity_ned_m_s: Array | None
    eph_m: float
    epv_m: float
    speed_accuracy_m_s: float
    fix_type: int
    satellites: int
    heading_rad: float = float("nan")
    heading_accuracy_rad: float = float("nan")
    antenna_yaw_frd_rad: float = 0.0
    antenna_frd_m: Array | None = None


@dataclass(frozen=True, slots=True)
class Barometer:
    """Pressure altitude [m] of the standard atmosphere; its zero wanders with the weather."""

    stamp_ns: int
    received_ns: int
    altitude_m: float


@dataclass(frozen=True, slots=True)
class Magnetometer:
    """Earth field (3,) [gauss] FRD, calibrated by the vehicle."""

    stamp_ns: int
    received_ns: int
    field_frd_gauss: Array


@dataclass(frozen=True, slots=True)
class Airspeed:
    """True airspeed [m/s]; NaN where the vehicle has none."""

    stamp_ns: int
    received_ns: int
    true_airspeed_m_s: float


@dataclass(frozen=True, slots=True)
class Rangefinder:
    """Distance [m] along FRD z (down) to the ground. ``variance_m2``: NaN if unknown.

    ``valid``: the sensor's own word (quality, range); an invalid one is counted, not fused.
    """

    stamp_ns: int
    received_ns: int
    distance_m: float
    variance_m2: float
    valid: bool


@dataclass(frozen=True, slots=True)
class OpticalFlow:
    """Flow of the ground over ``dt_s`` by a camera that looks along FRD z.

    ``flow_rad`` (2,): PX4's ``pixel_flow``, the angle about FRD x and y by which the camera would
    have had to turn for the scene to move so: its own turn included, right-handed, so that forward
    flight gives a positive angle about y, flight to the right a negative one about x.
    ``turn_frd_rad`` (3,): the camera's own turn in that time by its gyro, NaN if it has none.
    ``quality``: 0 none to 1 best. ``distance_m``: to the ground if the sensor knows, else NaN.
    ``nearest_m``, ``farthest_m``: distances between which the sensor works. The stamp is the end.
    """

    stamp_ns: int
    received_ns: int
    flow_rad: Array
    turn_frd_rad: Array
    dt_s: float
    quality: float
    distance_m: float
    nearest_m: float = 0.0
    farthest_m: float = float("inf")


@dataclass(frozen=True, slots=True)
class ExternalPose:
    """Where something outside the aircraft's sensors sees it: motion capture, vision, a map.

    ``position_ned_m``, ``velocity_ned_m_s`` (3,), ``q_ned_frd`` (4,): None where there is none.
    Variances (3,), NaN where unknown. ``local_frame``: its zero and north are its own, not NED's.
    ``velocity_frd_m_s`` (3,): instead of that in NED where the source sees in body axes.
    """

    stamp_ns: int
    received_ns: int
    position_ned_m: Array | None
    velocity_ned_m_s: Array | None
    q_ned_frd: Array | None
    position_variance_m2: Array
    velocity_variance_m2_s2: Array
    orientation_variance_rad2: Array
    local_frame: bool
    reset_counter: int
    velocity_frd_m_s: Array | None = None
    source: str = "vision"


@dataclass(frozen=True, slots=True)
class MotorCommands:
    """Commanded thrust of each motor (n,), 0 to 1; NaN for a motor that does not exist.

    ``thrust_factor``: PX4's THR_MDL_FAC, by which it became the ESC's signal (``thrust_curve``);
    NaN: nobody told.
    """

    stamp_ns: int
    received_ns: int
    control: Array
    thrust_factor: float = math.nan


@dataclass(frozen=True, slots=True)
class ServoCommands:
    """Commanded deflection of each control surface (n,), -1 to 1; NaN where there is none."""

    stamp_ns: int
    received_ns: int
    control: Array


@dataclass(frozen=True, slots=True)
class RotorSpeeds:
    """Measured speed of each rotor (n,) [rad/s], by its ESC; NaN where it does not tell."""

    stamp_ns: int
    received_ns: int
    speed_rad_s: Array
