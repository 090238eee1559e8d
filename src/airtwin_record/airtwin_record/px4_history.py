# SPDX-License-Identifier: Apache-2.0
"""PX4 1.18's field names and units for messages of 2016, 1.6 ... 1.17: one table.

``FIELDS`` says how a field of today is got from those of its time. What was never there is left
out: ``airtwin_ros.px4`` has defaults, or refuses the message. ``TOPICS`` says where today's topics
were found. Sources: msg/ of the PX4 releases, and the logs of ``../shared/data/ulog``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from airtwin_record.flight import Column

Columns = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Field:
    """``topic.new`` is ``get(columns)`` where ``old`` exists; ``until``: last release with it."""

    topic: str
    new: str
    old: str
    get: Callable[[Columns], Column]
    until: str


def _scaled(old: str, factor: float) -> Callable[[Columns], Column]:
    return lambda columns: columns[old].astype(np.float64) * factor


def _same(old: str) -> Callable[[Columns], Column]:
    return lambda columns: columns[old]


def _bit(index: int) -> Callable[[Columns], Column]:
    return lambda columns: (
        (columns["control_mode_flags"].astype(np.uint64) >> np.uint64(index)) & np.uint64(1)
    )


def _seconds_to_us(name: str) -> Callable[[Columns], Column]:
    """2016 to 1.6 gave seconds as float, later releases microseconds as integer."""
    return lambda columns: (
        columns[name] * 1e6 if columns[name].dtype.kind == "f" else columns[name]
    )


def _vehicle_type(columns: Columns) -> Column:
    """1 rotary wing, 2 fixed wing."""
    return np.where(columns["is_rotary_wing"], 1, 2)


def _vtol_state(columns: Columns) -> Column:
    """1 transition to wing, 2 transition back, 3 rotors, 4 wing."""
    moving = np.where(columns["in_transition_to_fw"], 1, 2)
    steady = np.where(columns["vtol_in_rw_mode"], 3, 4)
    return np.where(columns["vtol_in_trans_mode"], moving, steady)


def _motors(columns: Columns) -> Column:
    """PWM [us] of (at most) 12 outputs to 0 ... 1; NaN beyond ``noutputs`` and where not PWM."""
    pwm = columns["output"][:, :12].astype(np.float64)
    there = np.arange(pwm.shape[1]) < columns["noutputs"][:, None]
    return np.where(
        there & (pwm >= 800.0) & (pwm <= 2200.0), np.clip((pwm - 1000.0) / 1000.0, 0, 1), np.nan
    )


def _stacked(*names: str) -> Callable[[Columns], Column]:
    return lambda columns: np.stack([columns[name] for name in names], axis=1)


def _of_each_esc(name: str) -> Callable[[Columns], Column]:
    """Return (n, ESCs) of what ULog and CDR lay out as ``esc[0].name``, ``esc[1].name`` ..."""

    def get(columns: Columns) -> Column:
        count = sum(re.fullmatch(rf"esc\[\d+\]\.{name}", column) is not None for column in columns)
        return _stacked(*(f"esc[{i}].{name}" for i in range(count)))(columns)

    return get


_FRAME_TODAY = np.array([1, 2, 0, 3], dtype=np.uint8)
"""Frames of vehicle_odometry until 1.13 (NED, FRD, other, body FRD) as those since."""


def _frame(old: str) -> Callable[[Columns], Column]:
    return lambda columns: _FRAME_TODAY[np.minimum(columns[old], 3)]


def _diagonal(old: str, first: int) -> Callable[[Columns], Column]:
    """Three variances of the upper triangle (21,) of a covariance (6, 6) by rows."""
    places = (0, 6, 11, 15, 18, 20)[first : first + 3]
    return lambda columns: columns[old][:, places]


def _external_pose(topic: str) -> tuple[Field, ...]:
    """Rows of VehicleOdometry as vision or motion capture sent it until 1.13."""
    return (
        Field(topic, "position", "x", _stacked("x", "y", "z"), "1.13"),
        Field(topic, "velocity", "vx", _stacked("vx", "vy", "vz"), "1.13"),
        Field(topic, "pose_frame", "local_frame", _frame("local_frame"), "1.13"),
        # 1.11 gave the velocity a frame of its own; before, the pose's was meant
        Field(topic, "velocity_frame", "local_frame", _frame("local_frame"), "1.10"),
        Field(topic, "velocity_frame", "velocity_frame", _old_velocity_frame, "1.13"),
        Field(topic, "position_variance", "pose_covariance", _diagonal("pose_covariance", 0),
              "1.13"),
        Field(topic, "orientation_variance", "pose_covariance", _diagonal("pose_covariance", 3),
              "1.13"),
        Field(topic, "velocity_variance", "velocity_covariance",
              _diagonal("velocity_covariance", 0), "1.13"),
        Field(topic, "reset_counter", "timestamp", _no_counter, "1.10"),
    )  # fmt: skip


def _old_velocity_frame(columns: Columns) -> Column:
    """Of today's messages the frame is today's: only those with ``local_frame`` are old."""
    frame = columns["velocity_frame"]
    return _FRAME_TODAY[np.minimum(frame, 3)] if "local_frame" in columns else frame


def _no_counter(columns: Columns) -> Column:
    return np.zeros(len(columns["timestamp"]), dtype=np.uint8)


FIELDS: tuple[Field, ...] = (
    Field("sensor_combined", "gyro_integral_dt", "gyro_integral_dt",
          _seconds_to_us("gyro_integral_dt"), "1.6"),
    Field("vehicle_gps_position", "latitude_deg", "lat", _scaled("lat", 1e-7), "1.14"),
    Field("vehicle_gps_position", "longitude_deg", "lon", _scaled("lon", 1e-7), "1.14"),
    Field("vehicle_gps_position", "altitude_msl_m", "alt", _scaled("alt", 1e-3), "1.14"),
    Field("distance_sensor", "variance", "covariance", _same("covariance"), "1.9"),
    Field("vehicle_optical_flow", "pixel_flow", "pixel_flow_x_integral",
          _stacked("pixel_flow_x_integral", "pixel_flow_y_integral"), "1.13"),
    Field("vehicle_optical_flow", "delta_angle", "gyro_x_rate_integral",
          _stacked("gyro_x_rate_integral", "gyro_y_rate_integral", "gyro_z_rate_integral"),
          "1.13"),
    Field("vehicle_optical_flow", "integration_timespan_us", "integration_timespan",
          _same("integration_timespan"), "1.13"),
    Field("vehicle_optical_flow", "distance_m", "ground_distance_m", _same("ground_distance_m"),
          "1.13"),
    *_external_pose("vehicle_visual_odometry"),
    *_external_pose("vehicle_mocap_odometry"),
    # nested messages are columns of their own, in ULog and CDR of every release
    Field("esc_status", "esc_rpm", "esc[0].esc_rpm", _of_each_esc("esc_rpm"), "1.18"),
    Field("esc_status", "esc_function", "esc[0].actuator_function",
          _of_each_esc("actuator_function"), "1.18"),
    Field("vehicle_local_position", "heading", "yaw", _same("yaw"), "1.10"),
    Field("vehicle_status", "vehicle_type", "is_rotary_wing", _vehicle_type, "1.9"),
    Field("vtol_vehicle_status", "vehicle_vtol_state", "vtol_in_rw_mode", _vtol_state, "1.12"),
    Field("vtol_vehicle_status", "fixed_wing_system_failure", "vtol_transition_failsafe",
          _same("vtol_transition_failsafe"), "1.13"),
    Field("actuator_motors", "control", "output", _motors, "1.13"),
    Field("estimator_status_flags", "cs_gps", "control_mode_flags", _bit(2), "1.11"),
    Field("estimator_status_flags", "cs_in_air", "control_mode_flags", _bit(7), "1.11"),
    Field("estimator_status_flags", "cs_baro_hgt", "control_mode_flags", _bit(9), "1.11"),
    Field("estimator_status_flags", "cs_gps_hgt", "control_mode_flags", _bit(11), "1.11"),
    Field("estimator_status_flags", "cs_mag_fault", "control_mode_flags", _bit(18), "1.11"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where ``source`` of ``airtwin_ros.px4`` is in a log: ULog topics, the first found is taken.

    ``needs``: a field without which the topic is not it. ``held``: published on change, so a value
    from before the log's start still holds.
    """

    source: str
    topic: str
    names: tuple[str, ...]
    needs: str
    held: bool = False


TOPICS: tuple[Place, ...] = (
    Place("imu", "sensor_combined", ("sensor_combined",), "gyro_rad"),
    Place("gnss", "vehicle_gps_position", ("vehicle_gps_position", "sensor_gps"), "fix_type"),
    Place("barometer", "vehicle_air_data", ("vehicle_air_data", "sensor_combined"),
          "baro_alt_meter"),
    Place("magnetometer", "vehicle_magnetometer", ("vehicle_magnetometer", "sensor_combined"),
          "magnetometer_ga"),
    Place("airspeed", "airspeed_validated", ("airspeed_validated", "airspeed"),
          "true_airspeed_m_s"),
    Place("rangefinder", "distance_sensor", ("distance_sensor",), "current_distance"),
    Place("flow", "vehicle_optical_flow", ("vehicle_optical_flow", "optical_flow"), "pixel_flow"),
    Place("vision", "vehicle_visual_odometry",
          ("vehicle_visual_odometry", "vehicle_vision_odometry"), "pose_frame"),
    Place("mocap", "vehicle_mocap_odometry", ("vehicle_mocap_odometry",), "pose_frame"),
    Place("motors", "actuator_motors", ("actuator_motors", "actuator_outputs"), "timestamp"),
    Place("servos", "actuator_servos", ("actuator_servos",), "control"),
    Place("rotor_speeds", "esc_status", ("esc_status",), "esc_rpm"),
    Place("attitude", "vehicle_attitude", ("vehicle_attitude",), "q"),
    Place("position", "vehicle_local_position", ("vehicle_local_position",), "x"),
    Place("odometry", "vehicle_odometry", ("vehicle_odometry",), "pose_frame"),
    Place("status", "vehicle_status", ("vehicle_status",), "nav_state", held=True),
    Place("vtol", "vtol_vehicle_status", ("vtol_vehicle_status",), "timestamp", held=True),
    Place("land_detected", "vehicle_land_detected", ("vehicle_land_detected",), "landed",
          held=True),
    Place("battery", "battery_status", ("battery_status",), "voltage_v"),
    Place("flags", "estimator_status_flags", ("estimator_status_flags", "estimator_status"),
          "timestamp", held=True),
    Place("timesync", "timesync_status", ("timesync_status",), "estimated_offset"),
    Place("home", "home_position", ("home_position",), "lat", held=True),
    Place("ack", "vehicle_command_ack", ("vehicle_command_ack",), "result"),
)  # fmt: skip
"""One row for each source of ``px4.READERS``; a test holds them together."""


_RELATIVE = {
    "vehicle_air_data": "baro_timestamp_relative",
    "vehicle_magnetometer": "magnetometer_timestamp_relative",
}
_RELATIVE_INVALID = 2**31 - 1  # sensor_combined's RELATIVE_TIMESTAMP_INVALID


def fresh_rows(topic: str, columns: Columns) -> Column:
    """Return which rows (n,) are new samples of ``topic``.

    Until 1.7 ``sensor_combined`` repeated the barometer and the magnetometer in each IMU message,
    with the age of their last sample.
    """
    everything = np.ones(len(columns["timestamp"]), dtype=np.bool_)
    name = _RELATIVE.get(topic)
    if name is None or name not in columns:
        return everything
    age = columns[name].astype(np.int64)
    taken = columns["timestamp"].astype(np.int64) + age
    everything[1:] = np.diff(taken) > 0
    everything &= age != _RELATIVE_INVALID
    return everything


def modern(topic: str, columns: Columns) -> dict[str, Column]:
    """Return ``columns`` with today's names and units added. Values stay untouched otherwise."""
    out = dict(columns)
    for field in FIELDS:
        if field.topic != topic or field.old not in columns:
            continue
        if field.new == field.old or field.new not in columns:
            out[field.new] = field.get(columns)
    return out
