# SPDX-License-Identifier: Apache-2.0
"""Real logs as samples, for tests: the few topics that the estimator reads, by pyulog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyulog import ULog

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
    VehicleStatus,
)

SHARED = Path(__file__).resolve().parents[4] / "shared"
LOGS = SHARED / "data" / "ulog"


@dataclass(frozen=True, slots=True)
class Flight:
    """``samples`` in time order; ``truth``: rows (time [s], north, east, down [m])."""

    samples: list[Sample]
    truth: Array
    start_ns: int


def load(path: Path) -> Flight:
    """Read one ULog."""
    log = ULog(str(path), disable_str_exceptions=True)
    topics: dict[str, dict[str, Any]] = {}
    for data in log.data_list:
        if data.multi_id == 0 and data.name not in topics:
            topics[data.name] = data.data
    samples: list[Sample] = []
    if "sensor_combined" in topics:
        samples += _imu(topics["sensor_combined"])
    for read, name in (
        (_gnss, "vehicle_gps_position"),
        (_attitude, "vehicle_attitude"),
        (_local, "vehicle_local_position"),
        (_landed, "vehicle_land_detected"),
        (_status, "vehicle_status"),
    ):
        if name in topics:
            samples += read(topics[name])
    combined = topics.get("sensor_combined", {})
    if "vehicle_air_data" in topics:
        samples += _barometer(topics["vehicle_air_data"], "baro_alt_meter")
    elif "baro_alt_meter" in combined:
        samples += _barometer(combined, "baro_alt_meter")
    if "vehicle_magnetometer" in topics:
        samples += _magnetometer(topics["vehicle_magnetometer"])
    elif "magnetometer_ga[0]" in combined:
        samples += _magnetometer(combined)
    samples.sort(key=lambda sample: sample.stamp_ns)
    truth = np.zeros((0, 4))
    if "vehicle_local_position_groundtruth" in topics:
        t = topics["vehicle_local_position_groundtruth"]
        truth = np.stack([t["timestamp"] * 1e-6, t["x"], t["y"], t["z"]], axis=1)
    return Flight(samples, truth, samples[0].stamp_ns if samples else 0)


def _stamps(t: dict[str, Any]) -> Array:
    stamp = t["timestamp"].astype(np.int64)
    if "timestamp_sample" in t:
        sample = t["timestamp_sample"].astype(np.int64)
        stamp = np.where(sample > 0, sample, stamp)
    return stamp * 1000


def _rows(t: dict[str, Any], name: str, n: int) -> Array:
    return np.stack([t[f"{name}[{i}]"] for i in range(n)], axis=1).astype(np.float64)


def _imu(t: dict[str, Any]) -> list[Sample]:
    stamps, gyro, accel = _stamps(t), _rows(t, "gyro_rad", 3), _rows(t, "accelerometer_m_s2", 3)
    scale = 1.0 if t["gyro_integral_dt"].dtype.kind == "f" else 1e-6
    dt = t["gyro_integral_dt"].astype(np.float64) * scale
    clip = t.get("accelerometer_clipping", np.zeros(len(stamps)))
    return [
        Imu(int(s), int(s), g, a, float(d), bool(c))
        for s, g, a, d, c in zip(stamps, gyro, accel, dt, clip, strict=True)
    ]


def _gnss(t: dict[str, Any]) -> list[Sample]:
    old = "lat" in t
    lat = t["lat"] * 1e-7 if old else t["latitude_deg"]
    lon = t["lon"] * 1e-7 if old else t["longitude_deg"]
    alt = t["alt"] * 1e-3 if old else t["altitude_msl_m"]
    velocity = np.stack([t["vel_n_m_s"], t["vel_e_m_s"], t["vel_d_m_s"]], axis=1).astype(float)
    out: list[Sample] = []
    for i, s in enumerate(_stamps(t)):
        v = velocity[i] if t["vel_ned_valid"][i] and np.all(np.isfinite(velocity[i])) else None
        out.append(
            GnssFix(
                int(s),
                int(s),
                float(lat[i]),
                float(lon[i]),
                float(alt[i]),
                v,
                float(t["eph"][i]),
                float(t["epv"][i]),
                float(t["s_variance_m_s"][i]),
                int(t["fix_type"][i]),
                int(t["satellites_used"][i]),
            )
        )
    return out


def _barometer(t: dict[str, Any], name: str) -> list[Sample]:
    return [Barometer(int(s), int(s), float(a)) for s, a in zip(_stamps(t), t[name], strict=True)]


def _magnetometer(t: dict[str, Any]) -> list[Sample]:
    field = _rows(t, "magnetometer_ga", 3)
    return [Magnetometer(int(s), int(s), m) for s, m in zip(_stamps(t), field, strict=True)]


def _attitude(t: dict[str, Any]) -> list[Sample]:
    q = _rows(t, "q", 4)
    return [Attitude(int(s), int(s), a, 0) for s, a in zip(_stamps(t), q, strict=True)]


def _landed(t: dict[str, Any]) -> list[Sample]:
    stamps = _stamps(t)
    never = np.zeros(len(stamps), dtype=bool)
    flags = [t.get(k, never) for k in ("landed", "maybe_landed", "ground_contact", "freefall")]
    return [
        LandDetected(int(s), int(s), *(bool(flag[i]) for flag in flags))
        for i, s in enumerate(stamps)
    ]


def _status(t: dict[str, Any]) -> list[Sample]:
    return [
        VehicleStatus(int(s), int(s), bool(a == 2), 0, False, 1, False, False, 1, True)
        for s, a in zip(_stamps(t), t["arming_state"], strict=True)
    ]


def _local(t: dict[str, Any]) -> list[Sample]:
    nan = np.full(len(t["x"]), np.nan)
    heading = t.get("heading", t.get("yaw", nan))
    # degrees until 1.6 stored as float; an origin that is not set is zero
    out: list[Sample] = []
    for i, s in enumerate(_stamps(t)):
        origin = None
        if t["xy_global"][i] and t["z_global"][i]:
            origin = Origin(float(t["ref_lat"][i]), float(t["ref_lon"][i]), float(t["ref_alt"][i]))
        position = np.array([t["x"][i], t["y"][i], t["z"][i]], dtype=float)
        velocity = np.array([t["vx"][i], t["vy"][i], t["vz"][i]], dtype=float)
        out.append(
            LocalPosition(
                int(s), int(s), position, velocity, float(heading[i]),
                bool(t["xy_valid"][i]), bool(t["z_valid"][i]),
                bool(t["v_xy_valid"][i]), bool(t["v_z_valid"][i]), origin,
                *(float(t.get(k, nan)[i]) for k in ("eph", "epv", "evh", "evv")),
                False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
            )
        )  # fmt: skip
    return out
