# SPDX-License-Identifier: Apache-2.0
"""The simulator's side of PX4's messages: plain values of a fleet to serialised messages.

The one place where the stand-in's words become PX4's fields. Each filler gets a table of zeroed
records (one row an aircraft) and the columns of a ``airtwin_sim.words.Batch``; what PX4 leaves at
NaN or 0 when it does not know is left so here (measured: recordings of PX4 v1.18).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import px4_msgs.msg

from airtwin_ros import cdr, px4
from airtwin_ros import px4_out_aiding as aiding

Values = Mapping[str, Any]
NAN = float("nan")
ISA_PRESSURE_PA, ISA_TEMPERATURE_K, ISA_LAPSE_K_M = 101325.0, 288.15, 0.0065


def _imu(out: Any, v: Values) -> None:
    out["gyro_rad"] = v["rate"]
    out["accelerometer_m_s2"] = v["force"]
    out["gyro_integral_dt"] = out["accelerometer_integral_dt"] = 4000


def _attitude(out: Any, v: Values) -> None:
    out["q"] = v["q"]
    out["quat_reset_counter"] = v["resets"]
    out["delta_q_reset"][:, 0] = np.cos(0.5 * v["delta_heading"])
    out["delta_q_reset"][:, 3] = np.sin(0.5 * v["delta_heading"])


def _odometry(out: Any, v: Values) -> None:
    out["pose_frame"] = out["velocity_frame"] = 1  # NED
    out["position"], out["q"] = v["position"], v["q"]
    out["velocity"], out["angular_velocity"] = v["velocity"], v["rate"]
    variance = np.square(v["sigma"])
    out["position_variance"] = variance
    out["velocity_variance"] = 0.35 * variance
    out["orientation_variance"] = (4e-4, 4e-4, 0.02)
    out["reset_counter"] = v["reset_counter"]


def _position(out: Any, v: Values) -> None:
    for k, (place, speed, push) in enumerate(
        (("x", "vx", "ax"), ("y", "vy", "ay"), ("z", "vz", "az"))
    ):
        out[place], out[speed] = v["position"][:, k], v["velocity"][:, k]
        out[push] = v["acceleration"][:, k]
    out["z_deriv"] = out["vz"]
    out["xy_valid"] = out["v_xy_valid"] = v["xy_valid"]
    out["z_valid"] = out["v_z_valid"] = v["z_valid"]
    out["heading"] = out["unaided_heading"] = v["heading"]
    out["heading_var"], out["tilt_var"] = 0.02, 8e-4
    out["heading_good_for_control"] = True
    located = np.isfinite(v["origin"][:, 0])
    out["xy_global"] = located & v["xy_valid"]
    out["z_global"] = located
    for name, k in (("ref_lat", 0), ("ref_lon", 1), ("ref_alt", 2)):
        out[name] = v["origin"][:, k]
    out["dist_bottom"] = -v["position"][:, 2]
    out["delta_dist_bottom"] = NAN
    out["eph"], out["epv"] = np.sqrt(2.0) * v["sigma"][:, 0], v["sigma"][:, 1]
    out["evh"], out["evv"] = 0.6 * out["eph"], 0.6 * out["epv"]
    out["dead_reckoning"] = v["dead_reckoning"]
    out["xy_reset_counter"], out["z_reset_counter"] = v["xy_resets"], v["z_resets"]
    out["vxy_reset_counter"], out["vz_reset_counter"] = v["vxy_resets"], v["vz_resets"]
    out["delta_xy"], out["delta_z"] = v["delta_xy"], v["delta_z"]
    out["delta_vxy"] = v["delta_vxy"]
    out["heading_reset_counter"] = v["heading_resets"]
    out["delta_heading"] = v["delta_heading"]
    out["vxy_max"] = out["vz_max"] = out["hagl_min"] = np.inf
    out["hagl_max_z"] = out["hagl_max_xy"] = np.inf


def _global(out: Any, v: Values) -> None:
    out["lat"], out["lon"] = v["degrees"][:, 0], v["degrees"][:, 1]
    out["alt"] = out["alt_ellipsoid"] = v["altitude"]
    out["lat_lon_valid"], out["alt_valid"] = v["xy_valid"], v["z_valid"]
    out["lat_lon_reset_counter"], out["alt_reset_counter"] = v["xy_resets"], v["z_resets"]
    out["eph"], out["epv"] = np.sqrt(2.0) * v["sigma"][:, 0], v["sigma"][:, 1]
    out["terrain_alt"] = NAN
    out["dead_reckoning"] = v["dead_reckoning"]


def _gnss(out: Any, v: Values) -> None:
    fixed = v["fixed"]
    out["device_id"] = 11468804
    out["latitude_deg"] = np.where(fixed, v["degrees"][:, 0], 0.0)
    out["longitude_deg"] = np.where(fixed, v["degrees"][:, 1], 0.0)
    out["altitude_msl_m"] = out["altitude_ellipsoid_m"] = np.where(fixed, v["altitude"], 0.0)
    speed = np.where(fixed[:, None], v["velocity"], 0.0)
    out["vel_n_m_s"], out["vel_e_m_s"], out["vel_d_m_s"] = speed.T
    out["vel_m_s"] = np.linalg.norm(speed, axis=1)
    out["cog_rad"] = np.arctan2(speed[:, 1], speed[:, 0])
    out["vel_ned_valid"] = fixed
    out["fix_type"] = np.where(fixed, 3, 1)
    out["satellites_used"] = np.where(fixed, 12, 0)
    out["eph"], out["epv"] = np.where(fixed, 0.9, 99.9), np.where(fixed, 1.78, 99.9)
    out["hdop"], out["vdop"] = np.where(fixed, 0.7, 99.9), np.where(fixed, 1.1, 99.9)
    out["s_variance_m_s"], out["c_variance_rad"] = 0.4, 0.1
    out["heading"], out["heading_offset"] = v["heading"], v["antenna_yaw"]
    out["heading_accuracy"] = np.nan_to_num(v["heading_accuracy"])


def _barometer(out: Any, v: Values) -> None:
    altitude = v["altitude"]
    ratio = 1.0 - ISA_LAPSE_K_M * altitude / ISA_TEMPERATURE_K
    out["baro_device_id"] = 6620172
    out["baro_alt_meter"] = altitude
    out["baro_pressure_pa"] = ISA_PRESSURE_PA * ratio**5.2559
    out["ambient_temperature"] = ISA_TEMPERATURE_K * ratio - 273.15
    out["rho"] = out["baro_pressure_pa"] / (287.05 * ISA_TEMPERATURE_K * ratio)


def _magnetometer(out: Any, v: Values) -> None:
    out["device_id"] = 197388
    out["magnetometer_ga"] = v["field"]


def _motors(out: Any, v: Values) -> None:
    out["control"] = NAN
    out["control"][:, : v["control"].shape[1]] = v["control"]


def _status(out: Any, v: Values) -> None:
    out["arming_state"] = np.where(v["armed"], 2, 1)
    out["nav_state"] = out["nav_state_display"] = v["nav_state"]
    out["nav_state_user_intention"] = v["intention"]
    out["failsafe"] = v["failsafe"]
    out["armed_time"] = np.where(v["armed"], v["armed_us"], 0)
    out["takeoff_time"], out["nav_state_timestamp"] = v["takeoff_us"], v["nav_state_us"]
    out["latest_arming_reason"] = v["arming_reason"]
    out["latest_disarming_reason"] = v["disarming_reason"]
    out["accepts_offboard_setpoints"] = v["offboard"]
    out["pre_flight_checks_pass"] = v["ready"]
    out["system_id"] = v["system_id"]
    out["component_id"] = 1
    out["vehicle_type"] = 1  # rotary wing
    out["system_type"] = 2  # MAV_TYPE_QUADROTOR
    modes = sum(1 << mode for mode in (4, 5, 12, 14, 17, 18))
    out["valid_nav_states_mask"] = out["can_set_nav_states_mask"] = modes
    out["gcs_connection_lost"] = True
    out["safety_button_available"] = out["safety_off"] = out["power_input_valid"] = True


def _control_mode(out: Any, v: Values) -> None:
    out["flag_armed"] = v["armed"]
    out["flag_control_offboard_enabled"] = v["offboard"]
    out["flag_control_auto_enabled"] = ~v["offboard"]
    out["flag_control_position_enabled"] = v["position"]
    for name in ("velocity", "altitude", "climb_rate", "attitude", "rates", "allocation"):
        out[f"flag_control_{name}_enabled"] = True
    out["flag_multicopter_position_control_enabled"] = True


def _land_detected(out: Any, v: Values) -> None:
    for name in (
        "landed",
        "maybe_landed",
        "ground_contact",
        "freefall",
        "in_descend",
        "has_low_throttle",
        "vertical_movement",
        "horizontal_movement",
        "rotational_movement",
    ):
        out[name] = v[name]
    out["in_ground_effect"] = v["in_descend"] & ~v["horizontal_movement"]
    out["close_to_ground_or_skipped_check"] = True
    out["at_rest"] = ~v["armed"]


def _battery(out: Any, v: Values) -> None:
    out["connected"] = True
    out["voltage_v"], out["current_a"] = v["voltage"], v["current"]
    out["current_average_a"] = v["current"]
    out["discharged_mah"], out["remaining"] = v["discharged_mah"], v["remaining"]
    out["scale"] = 1.0
    out["cell_count"], out["id"] = v["cells"], 1
    out["warning"] = v["warning"]
    out["temperature"] = v["temperature"]
    for name in ("time_remaining_s", "remaining_capacity_wh", "nominal_voltage"):
        out[name] = NAN
    out["internal_resistance_estimate"] = v["resistance"] / v["cells"]
    out["ocv_estimate"] = v["voltage"] + v["resistance"] * v["current"]
    out["ocv_estimate_filtered"] = out["ocv_estimate"]
    out["volt_based_soc_estimate"] = v["remaining"]


def _flags(out: Any, v: Values) -> None:
    for name in ("tilt_align", "yaw_align", "mag", "mag_hdg", "mag_heading_consistent"):
        out[f"cs_{name}"] = True
    out["cs_heading_observable"] = True
    out["cs_gnss_pos"], out["cs_gnss_vel"] = v["gnss_position"], v["gnss_velocity"]
    out["cs_baro_hgt"], out["cs_gps_hgt"] = v["baro_height"], v["gnss_height"]
    out["cs_baro_fault"], out["cs_gnss_fault"] = v["baro_fault"], v["gnss_fault"]
    out["control_status_changes"] = v["changes"]
    out["cs_in_air"] = v["in_air"]
    out["cs_vehicle_at_rest"] = ~v["in_air"]
    out["cs_inertial_dead_reckoning"] = v["dead_reckoning"]


# What each mode of PX4 v1.18 needs, one bit a mode, as its multirotors say (recordings)
_MODE_NEEDS = {
    "angular_velocity": 8312318,
    "attitude": 8311294,
    "local_alt": 8258046,
    "local_position": 7995448,
    "local_position_relaxed": 262340,
    "global_position": 56,
    "mission": 8,
    "offboard_signal": 16384,
    "home_position": 32,
    "wind_and_flight_time_compliance": 2621592,
    "prevent_arming": 3944480,
    "manual_control": 34119,
    "other": 2139095040,
}


def _failsafe_flags(out: Any, v: Values) -> None:
    for name, modes in _MODE_NEEDS.items():
        out[f"mode_req_{name}"] = modes
    out["offboard_control_signal_lost"] = ~v["stream_alive"]
    for name in ("local_position", "local_velocity", "global_position"):
        out[f"{name}_invalid"] = ~v["xy_valid"]
    out["local_position_invalid_relaxed"] = out["global_position_invalid_relaxed"] = ~v["xy_valid"]
    out["local_altitude_invalid"] = ~v["z_valid"]
    out["home_position_invalid"] = ~v["home"]
    out["battery_warning"] = v["battery_warning"]
    out["gnss_lost"] = ~v["gnss"]
    out["auto_mission_missing"] = out["manual_control_signal_lost"] = True
    out["gcs_connection_lost"] = out["remote_id_unhealthy"] = True


def _timesync(out: Any, v: Values) -> None:
    out["source_protocol"] = 2  # DDS; the rest are times, see encode


def _home(out: Any, v: Values) -> None:
    out["lat"], out["lon"] = v["degrees"][:, 0], v["degrees"][:, 1]
    out["alt"], out["yaw"] = v["altitude"], v["yaw"]
    out["x"], out["y"], out["z"] = v["local"].T
    out["valid_alt"] = out["valid_hpos"] = out["valid_lpos"] = True
    out["update_count"] = v["updates"]


def _ack(out: Any, v: Values) -> None:
    out["command"], out["result"] = v["command"], v["result"]
    out["target_system"] = out["target_component"] = 1


@dataclass(frozen=True)
class Writer:
    """One PX4 topic that the simulator sends: who reads it, its name, how it is filled."""

    source: str
    topic: str
    message: str
    fill: Callable[[Any, Values], None]
    extra: bool = False  # not among the topics of PX4's default dds_topics.yaml
    aiding: bool = False  # of a sensor that only some aircraft have

    @cached_property
    def kind(self) -> type:
        """Return the message class."""
        return getattr(px4_msgs.msg, self.message)  # type: ignore[no-any-return]

    @cached_property
    def full_topic(self) -> str:
        """Return the topic with its version suffix, relative to the vehicle's namespace."""
        return px4.topic(self.topic, self.kind)

    def encode(
        self, values: Values, rows: int, *, sample_us: int, said_us: int, epoch_us: int
    ) -> list[bytes]:
        """Return one serialised message a row; stamps [us] since boot, and boot in the epoch."""
        table = cdr.table(self.kind, rows)
        self.fill(table, values)
        names = table.dtype.names or ()
        table["timestamp"] = epoch_us + (said_us if "timestamp_sample" in names else sample_us)
        if "timestamp_sample" in names:
            table["timestamp_sample"] = epoch_us + sample_us
        if self.source == "timesync":
            table["remote_timestamp"] = epoch_us + said_us
            table["estimated_offset"] = table["observed_offset"] = -epoch_us
        return cdr.payloads(table)


WRITERS: tuple[Writer, ...] = (
    Writer("imu", "fmu/out/sensor_combined", "SensorCombined", _imu),
    Writer("gnss", "fmu/out/vehicle_gps_position", "SensorGps", _gnss),
    Writer("barometer", "fmu/out/vehicle_air_data", "VehicleAirData", _barometer, extra=True),
    Writer(
        "magnetometer",
        "fmu/out/vehicle_magnetometer",
        "VehicleMagnetometer",
        _magnetometer,
        extra=True,
    ),
    Writer("motors", "fmu/out/actuator_motors", "ActuatorMotors", _motors, extra=True),
    *(
        Writer(source, topic, message, fill, aiding=True)
        for source, topic, message, fill in (
            ("rangefinder", "fmu/out/distance_sensor", "DistanceSensor", aiding.rangefinder),
            ("flow", "fmu/out/vehicle_optical_flow", "VehicleOpticalFlow", aiding.flow),
            ("vision", "fmu/in/vehicle_visual_odometry", "VehicleOdometry", aiding.vision),
            ("airspeed", "fmu/out/airspeed_validated", "AirspeedValidated", aiding.airspeed),
            ("rotor_speeds", "fmu/out/esc_status", "EscStatus", aiding.rotor_speeds),
        )
    ),
    Writer("attitude", "fmu/out/vehicle_attitude", "VehicleAttitude", _attitude),
    Writer("position", "fmu/out/vehicle_local_position", "VehicleLocalPosition", _position),
    Writer("global", "fmu/out/vehicle_global_position", "VehicleGlobalPosition", _global),
    Writer("odometry", "fmu/out/vehicle_odometry", "VehicleOdometry", _odometry),
    Writer("status", "fmu/out/vehicle_status", "VehicleStatus", _status),
    Writer("control_mode", "fmu/out/vehicle_control_mode", "VehicleControlMode", _control_mode),
    Writer(
        "land_detected", "fmu/out/vehicle_land_detected", "VehicleLandDetected", _land_detected
    ),
    Writer("battery", "fmu/out/battery_status", "BatteryStatus", _battery),
    Writer("flags", "fmu/out/estimator_status_flags", "EstimatorStatusFlags", _flags),
    Writer("failsafe_flags", "fmu/out/failsafe_flags", "FailsafeFlags", _failsafe_flags),
    Writer("timesync", "fmu/out/timesync_status", "TimesyncStatus", _timesync),
    Writer("home", "fmu/out/home_position", "HomePosition", _home),
    Writer("ack", "fmu/out/vehicle_command_ack", "VehicleCommandAck", _ack),
)
"""Every topic of the stand-in, once."""


@dataclass(frozen=True, slots=True)
class Order:
    """A VehicleCommand as the simulator takes it."""

    command: int
    params: tuple[float, float, float, float, float, float, float]
    target_system: int
    from_external: bool


def order(msg: Any) -> Order:
    """Read a VehicleCommand."""
    params = tuple(float(getattr(msg, f"param{k}")) for k in range(1, 8))
    return Order(int(msg.command), params, int(msg.target_system), bool(msg.from_external))  # type: ignore[arg-type]


def heartbeat(msg: Any) -> tuple[bool, bool]:
    """Read an OffboardControlMode: (position, velocity); PX4 looks at the first that is set."""
    return bool(msg.position), bool(msg.velocity)


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A TrajectorySetpoint; NaN is not controlled."""

    position_ned_m: Any
    velocity_ned_m_s: Any
    acceleration_ned_m_s2: Any
    yaw_rad: float
    yaw_rate_rad_s: float


def setpoint(msg: Any) -> Setpoint:
    """Read a TrajectorySetpoint."""
    return Setpoint(
        np.array(msg.position, dtype=np.float64),
        np.array(msg.velocity, dtype=np.float64),
        np.array(msg.acceleration, dtype=np.float64),
        float(msg.yaw),
        float(msg.yawspeed),
    )
