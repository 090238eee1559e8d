# SPDX-License-Identifier: Apache-2.0
"""What PX4's sensors measure, as AirTwin's types."""

from __future__ import annotations

from typing import Any

import numpy as np

from airtwin_core.types import (
    Airspeed,
    Array,
    Barometer,
    GnssFix,
    Imu,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
)
from airtwin_ros.px4.border import (
    ALTITUDE_MAX_M,
    FIELD_MAX_GAUSS,
    RANGE_MAX_M,
    RATE_MAX_RAD_S,
    SPECIFIC_FORCE_MAX_M_S2,
    SPEED_MAX_M_S,
    BadMessage,
    angle,
    positive_or_nan,
    refuse,
    scalar,
    stamp_ns,
    vector,
)

FIX_2D = 2
FACES_DOWN = 25  # DistanceSensor.ROTATION_DOWNWARD_FACING
RANGEFINDER_DISABLED = 2  # DistanceSensor.MODE_DISABLED
ANTENNA_MAX_M = 50.0
AIRSPEED_SENSORS = (1, 2, 3)  # AirspeedValidated.SOURCE_SENSOR_1 ... 3
FLOW_QUALITY_BEST = 255.0
FLOW_DT_MAX_S = 1.0


def imu(msg: Any, received_ns: int) -> Imu:
    """SensorCombined: one averaged sample of the primary IMU."""
    clipping = int(getattr(msg, "accelerometer_clipping", 0)) | int(
        getattr(msg, "gyro_clipping", 0)
    )
    dt_s = float(msg.gyro_integral_dt) * 1e-6
    if not 0.0 < dt_s < 1.0:
        raise BadMessage("integration time is impossible", f"{dt_s} s")
    return Imu(
        stamp_ns(msg),
        received_ns,
        vector(msg.gyro_rad, RATE_MAX_RAD_S, "angular rate"),
        vector(msg.accelerometer_m_s2, SPECIFIC_FORCE_MAX_M_S2, "specific force"),
        dt_s,
        clipping != 0,
        256 * int(getattr(msg, "gyro_calibration_count", 0))
        + int(getattr(msg, "accel_calibration_count", 0)),
    )


def gnss(msg: Any, received_ns: int) -> GnssFix:
    """SensorGps. Without a fix the coordinates are NaN whatever the receiver put there.

    ``heading`` is the body's: PX4's drivers have taken ``heading_offset`` off already. Exactly
    zero is a field that nobody filled (PX4 1.12 in simulation; MAVLink's "not provided"): two
    antennas never measure it.
    """
    stamp = stamp_ns(msg)
    fix_type = int(msg.fix_type)
    latitude, longitude = float(msg.latitude_deg), float(msg.longitude_deg)
    altitude = float(msg.altitude_msl_m)
    velocity: Array | None = None
    if fix_type < FIX_2D:
        latitude = longitude = altitude = float("nan")
    else:
        scalar(latitude, 90.0, "latitude")
        scalar(longitude, 180.0, "longitude")
        scalar(altitude, ALTITUDE_MAX_M, "altitude")
        if latitude == 0.0 and longitude == 0.0:
            raise BadMessage("coordinates are zero although the receiver claims a fix")
        if msg.vel_ned_valid:
            velocity = vector(
                (msg.vel_n_m_s, msg.vel_e_m_s, msg.vel_d_m_s), SPEED_MAX_M_S, "GNSS velocity"
            )
    heading = angle(getattr(msg, "heading", np.nan), "GNSS heading")
    offset = angle(getattr(msg, "heading_offset", np.nan), "GNSS antenna offset")
    return GnssFix(
        stamp,
        received_ns,
        latitude,
        longitude,
        altitude,
        velocity,
        positive_or_nan(msg.eph),
        positive_or_nan(msg.epv),
        positive_or_nan(msg.s_variance_m_s),
        fix_type,
        int(msg.satellites_used),
        float("nan") if heading == 0.0 else heading,
        positive_or_nan(getattr(msg, "heading_accuracy", np.nan)),
        0.0 if np.isnan(offset) else offset,
        _antenna(msg),
    )


def _antenna(msg: Any) -> Array | None:
    """Return where the antenna is (3,) [m] FRD (SENS_GPSn_OFFX ...); None where nobody said."""
    arm = tuple(float(getattr(msg, f"antenna_offset_{axis}", 0.0)) for axis in "xyz")
    if not any(arm) or np.isnan(arm).all():
        return None
    return vector(arm, ANTENNA_MAX_M, "place of the GNSS antenna")


def barometer(msg: Any, received_ns: int) -> Barometer:
    """VehicleAirData."""
    altitude = scalar(msg.baro_alt_meter, ALTITUDE_MAX_M, "pressure altitude")
    return Barometer(stamp_ns(msg), received_ns, altitude)


def magnetometer(msg: Any, received_ns: int) -> Magnetometer:
    """VehicleMagnetometer."""
    field = vector(msg.magnetometer_ga, FIELD_MAX_GAUSS, "magnetic field")
    if not field.any():
        raise BadMessage("magnetic field is zero")
    return Magnetometer(stamp_ns(msg), received_ns, field)


def airspeed(msg: Any, received_ns: int) -> Airspeed:
    """AirspeedValidated; NaN is PX4's way to say that there is none.

    What no sensor measured (ground speed less PX4's wind, a synthetic speed) is NaN as well: it
    is PX4's estimate over again, no evidence of its own.
    """
    speed = float(msg.true_airspeed_m_s)
    if abs(speed) > SPEED_MAX_M_S:
        raise BadMessage("airspeed is impossible", str(speed))
    # 1.17 named the source; before, a sensor's index was above 0 and a flag said that it is valid
    source = int(getattr(msg, "airspeed_source", getattr(msg, "selected_airspeed_index", 1)))
    measured = source in AIRSPEED_SENSORS and bool(
        getattr(msg, "airspeed_sensor_measurement_valid", True)
    )
    return Airspeed(stamp_ns(msg), received_ns, speed if measured else float("nan"))


def rangefinder(msg: Any, received_ns: int) -> Rangefinder:
    """DistanceSensor that faces down; an echo that it doubts or that is out of its range is not
    ``valid``."""
    orientation = int(msg.orientation)
    if orientation != FACES_DOWN:
        raise BadMessage("rangefinder does not face down", f"orientation {orientation}")
    distance = scalar(msg.current_distance, RANGE_MAX_M, "distance")
    least, most = float(msg.min_distance), float(msg.max_distance)
    valid = distance > 0.0 and (not most > least or least <= distance <= most)
    valid = valid and int(getattr(msg, "signal_quality", -1)) != 0
    valid = valid and int(getattr(msg, "mode", 0)) != RANGEFINDER_DISABLED
    variance = positive_or_nan(getattr(msg, "variance", np.nan))
    return Rangefinder(stamp_ns(msg), received_ns, distance, variance, valid)


def optical_flow(msg: Any, received_ns: int) -> OpticalFlow:
    """VehicleOpticalFlow, in body axes; ``timestamp_sample`` is the end of the integration."""
    dt_s = float(msg.integration_timespan_us) * 1e-6
    if not 0.0 < dt_s <= FLOW_DT_MAX_S:
        raise BadMessage("integration time is impossible", f"{dt_s} s")
    flow = vector(msg.pixel_flow, RATE_MAX_RAD_S * dt_s, "optical flow")
    rate_max = positive_or_nan(getattr(msg, "max_flow_rate", np.nan))
    if float(np.hypot(flow[0], flow[1])) > rate_max * dt_s:
        raise BadMessage("optical flow is faster than its sensor can tell", f"{flow / dt_s}")
    turn: Array = np.array(msg.delta_angle, dtype=np.float64)
    told = turn[~np.isnan(turn)]  # some sensors have no gyro, or one about x and y only
    if told.size:
        vector(told, RATE_MAX_RAD_S * dt_s, "turn of the flow sensor")
    quality = int(msg.quality)
    if not 0 <= quality <= FLOW_QUALITY_BEST:
        refuse(quality, "flow quality")
    distance = float(msg.distance_m)
    if distance > RANGE_MAX_M:
        refuse(distance, "distance")
    return OpticalFlow(
        stamp_ns(msg),
        received_ns,
        flow,
        turn,
        dt_s,
        quality / FLOW_QUALITY_BEST,
        distance if distance > 0.0 else float("nan"),
        _limit(msg, "min_ground_distance", 0.0),
        _limit(msg, "max_ground_distance", float("inf")),
    )


def _limit(msg: Any, field: str, default: float) -> float:
    """Return a limit that the sensor gives of itself; 0 and NaN are none."""
    limit = positive_or_nan(getattr(msg, field, np.nan))
    return default if np.isnan(limit) else limit
