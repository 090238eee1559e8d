# SPDX-License-Identifier: Apache-2.0
"""Small logs of a quadrotor that stands still for some seconds, written byte by byte."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mcap.writer import CompressionType, Writer
from px4_msgs.msg import SensorCombined, SensorGps, VehicleLocalPosition, VehicleStatus

from airtwin_ros import cdr, schemas

SHARED = Path(__file__).resolve().parents[4] / "shared"
LOGS = SHARED / "data" / "ulog"
RECORDINGS = SHARED / "px4" / "recordings"

FORMATS = {
    "sensor_combined": "uint64_t timestamp;float[3] gyro_rad;uint32_t gyro_integral_dt;"
    "int32_t accelerometer_timestamp_relative;float[3] accelerometer_m_s2;"
    "uint32_t accelerometer_integral_dt;uint8_t accelerometer_clipping;uint8_t[3] _padding0;",
    "vehicle_gps_position": "uint64_t timestamp;int32_t lat;int32_t lon;int32_t alt;"
    "float s_variance_m_s;float eph;float epv;float vel_n_m_s;float vel_e_m_s;float vel_d_m_s;"
    "uint8_t fix_type;bool vel_ned_valid;uint8_t satellites_used;uint8_t[5] _padding0;",
}
IMU = struct.Struct("<Q3fIi3fIB")
GPS = struct.Struct("<Q3i6fB?B")
HEADER = b"ULog\x01\x12\x35\x01"
GRAVITY = 9.80665


def message(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<HB", len(body), kind[0]) + body


def head(start_us: int = 1_000_000, formats: dict[str, str] | None = None) -> bytes:
    """Return header, definitions and subscriptions."""
    formats = FORMATS if formats is None else formats
    out = HEADER + struct.pack("<Q", start_us) + message(b"B", bytes(40))
    for name, fields in formats.items():
        out += message(b"F", f"{name}:{fields}".encode())
    for index, name in enumerate(formats):
        out += message(b"A", struct.pack("<BH", 0, index) + name.encode())
    return out


def imu(stamp_us: int, up_m_s2: float = GRAVITY) -> bytes:
    body = IMU.pack(stamp_us, 0.001, -0.002, 0.0, 4000, 0, 0.01, 0.02, -up_m_s2, 4000, 0)
    return message(b"D", struct.pack("<H", 0) + body)


def gps(stamp_us: int, lat: int = 473977419, lon: int = 85455938) -> bytes:
    body = GPS.pack(stamp_us, lat, lon, 488000, 0.3, 0.8, 1.2, 0.0, 0.0, 0.0, 3, True, 12)
    return message(b"D", struct.pack("<H", 1) + body)


def stretch(begin_us: int, seconds: float) -> list[bytes]:
    """Return IMU at 250 Hz and GNSS at 5 Hz."""
    out = []
    for step in range(int(seconds * 250)):
        stamp_us = begin_us + step * 4000
        out.append(imu(stamp_us))
        if step % 50 == 0:
            out.append(gps(stamp_us))
    return out


def ulog(messages: Iterable[bytes] | None = None, seconds: float = 4.0) -> bytes:
    """Return a log of ``messages``, or of some seconds at rest."""
    return head() + b"".join(stretch(1_000_000, seconds) if messages is None else messages)


def mcap(
    seconds: float = 4.0,
    *,
    vehicles: tuple[str, ...] = ("",),
    schema: bool = True,
    imu_too: bool = True,
    compression: CompressionType = CompressionType.ZSTD,
) -> bytes:
    """Return a recording of ROS 2 topics; ``schema`` False leaves the definitions empty."""
    stream = io.BytesIO()
    writer = Writer(stream, chunk_size=16_384, compression=compression)
    writer.start(profile="ros2", library="test")
    start_ns = 1_700_000_000_000_000_000
    kinds = (
        ("vehicle_gps_position", SensorGps, 5.0),
        ("vehicle_local_position_v1", VehicleLocalPosition, 50.0),
        ("vehicle_status_v4", VehicleStatus, 2.0),
    )
    if imu_too:
        kinds = (("sensor_combined", SensorCombined, 250.0), *kinds)
    queue = []
    for space in vehicles:
        for topic, kind, rate_hz in kinds:
            text = schemas.text(kind).encode() if schema else b""
            schema_id = writer.register_schema(schemas.name(kind), "ros2msg", text)
            channel = writer.register_channel(f"{space}/fmu/out/{topic}", "cdr", schema_id)
            records = cdr.table(kind, int(seconds * rate_hz))
            stamps = start_ns // 1000 + (np.arange(len(records)) / rate_hz * 1e6).astype(np.int64)
            records["timestamp"] = stamps
            if kind is SensorCombined:
                records["accelerometer_m_s2"] = (0.01, 0.02, -GRAVITY)
                records["gyro_integral_dt"] = 4000
            elif kind is SensorGps:
                records["latitude_deg"], records["longitude_deg"] = 47.3977419, 8.5455938
                records["altitude_msl_m"], records["fix_type"] = 488.0, 3
                records["eph"], records["epv"], records["s_variance_m_s"] = 0.8, 1.2, 0.3
                records["vel_ned_valid"] = True
            queue += [
                (int(stamp) * 1000 + 5_000_000, channel, payload)
                for stamp, payload in zip(stamps, cdr.payloads(records), strict=True)
            ]
    for log_ns, channel, payload in sorted(queue, key=lambda item: item[:2]):
        writer.add_message(channel, log_ns, payload, log_ns)
    writer.finish()
    return stream.getvalue()
