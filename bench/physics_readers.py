# SPDX-License-Identifier: Apache-2.0
"""Foreign sensor logs as samples, with the states of another filter to hold the twin against.

``px4_replay``: sensor data and expected states of the change indication of PX4's EKF2. Format:
PX4-Autopilot, src/modules/ekf2/test/sensor_simulator/sensor_simulator.cpp and
test_EKF_withReplayData.cpp. ``inertial_nav``: text tables of flights of 2013 to 2015, and
ArduPilot's log in a .mat file. Format: priseborough/InertialNav, code/main_closed_loop_float.cpp
(what each column is) and scripts/LoadPX4StackData.m (how they were made).

A file that is cut off, or holds what is no number, raises ``BadFile`` with its name and line.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.io
from scipy.io.matlab import MatReadError

from airtwin_core import frames
from airtwin_core.types import (
    Airspeed,
    Array,
    Barometer,
    GnssFix,
    Imu,
    LandDetected,
    Magnetometer,
    Sample,
    VehicleStatus,
)
from airtwin_record.flight import Times

BASE_NS = 1_000_000_000  # stamps begin here: a stamp of zero means none
GNSS_CLAIM = (0.5, 0.8, 0.2)  # m, m, m/s: what PX4's tests claim for their replayed GNSS
GNSS_CLAIM_2014 = (1.0, 2.0, 0.4)  # InertialNav's logs hold no claims; typical of its receivers
WING_MIN_M_S = 6.0  # no wing here flies slower
GAUSS_MAX = 2.0  # a field stronger than this is in milligauss


class BadFile(ValueError):
    """The file does not hold what its format says; the message names file and place."""


@dataclass(frozen=True, slots=True)
class Series:
    """Something over time: ``stamp_ns`` (n,), ``value`` (n, k)."""

    stamp_ns: Times
    value: Array


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples in order, and another filter's attitude (w first), velocity NED, height, place.

    ``place``: latitude, longitude [deg], of ``filter_name``'s own solution. ``height_up_m``: its
    zero is its own.
    """

    name: str
    samples: tuple[Sample, ...]
    filter_name: str
    q_ned_frd: Series | None = None
    velocity_ned_m_s: Series | None = None
    height_up_m: Series | None = None
    place_deg: Series | None = None
    sign_unknown: bool = False  # of the last part of each quaternion
    notes: tuple[str, ...] = ()


# --- PX4's EKF2 ----------------------------------------------------------------------------------


def px4_replay(sensors: Path, states: Path) -> Dataset:
    """Read one pair of PX4's files.

    Latitude comes third in a GPS line and longitude second: PX4's simulator takes them the other
    way round, so that its expected states are of a flight at 8.5 N 47.4 E; of them attitude,
    velocity are used, which are hardly touched by that. They are printed to two digits. ``landed``
    is 1 on the ground, which PX4's simulator also takes the other way round.

    Raises:
        BadFile: a line is cut off, holds no numbers, or an unknown sensor.
    """
    samples: list[Sample] = []
    last_imu = 0
    for number, row in enumerate(csv.reader(io.StringIO(_text(sensors))), start=1):
        try:
            stamp = BASE_NS + int(row[0]) * 1000
            values = [float(word) for word in row[2:] if word]
            kind, count = row[1], _PX4_LENGTH[row[1]]
        except (IndexError, ValueError, KeyError) as error:
            raise BadFile(f"{sensors.name}, line {number}: {error!r}") from error
        if len(values) != count or not np.all(np.isfinite(values)):
            raise BadFile(f"{sensors.name}, line {number}: {kind} with {len(values)} numbers")
        if kind == "imu":
            dt_s = (stamp - last_imu) * 1e-9 if last_imu else 0.004
            last_imu = stamp
            force, rate = np.array(values[:3]), np.array(values[3:])
            samples.append(Imu(stamp, stamp, rate, force, dt_s))
        else:
            samples.append(_PX4_SAMPLE[kind](stamp, values))
    table = _numbers(states.name, _text(states).split("\n", 1)[1], ",")
    if table.shape[1] < 8:
        raise BadFile(f"{states.name}: {table.shape[1]} columns, expected time, q, velocity ...")
    stamp_ns = BASE_NS + np.round(table[:, 0] * 1000).astype(np.int64)
    return Dataset(
        f"{sensors.parent.parent.name}/{sensors.name}",
        tuple(samples),
        "EKF2",
        q_ned_frd=Series(stamp_ns, table[:, 1:5]),
        velocity_ned_m_s=Series(stamp_ns, table[:, 5:8]),
        notes=("EKF2's states are printed to two digits, its place and height are of no use",),
    )


def _px4_gnss(stamp: int, v: list[float]) -> Sample:
    eph, epv, speed = GNSS_CLAIM
    place = v[2] * 1e-7, v[1] * 1e-7, v[0] * 1e-3
    return GnssFix(stamp, stamp, *place, np.array(v[3:6]), eph, epv, speed, 3, 16)


_PX4_LENGTH = {"imu": 6, "mag": 3, "baro": 1, "gps": 6, "airspeed": 2, "landed": 1}
_PX4_SAMPLE: dict[str, Callable[[int, list[float]], Sample]] = {
    "mag": lambda stamp, v: Magnetometer(stamp, stamp, np.array(v)),
    "baro": lambda stamp, v: Barometer(stamp, stamp, v[0]),
    "gps": _px4_gnss,
    "airspeed": lambda stamp, v: Airspeed(stamp, stamp, v[0]),
    "landed": lambda stamp, v: LandDetected(stamp, stamp, v[0] != 0.0, False, False, False),
}


# --- InertialNav ---------------------------------------------------------------------------------


def inertial_nav(path: Path) -> Dataset:
    """Read a .zip of text tables, or ArduPilot's tables in a .mat.

    Raises:
        BadFile: a table is missing, cut off or holds no numbers.
    """
    tables = _zip_tables(path) if path.suffix == ".zip" else _mat_tables(path)
    for name, least in (("IMU", 8), ("GPS", 14), ("MAG", 8), ("NTUN", 10), ("ATT", 7)):
        table = tables.get(name)
        if table is None or len(table) < 2 or table.shape[1] < least:
            raise BadFile(f"{path.name}: no table {name} of {least} columns")
    samples = [*_imus(tables["IMU"]), *_fixes(tables["GPS"], tables.get("GPSraw"))]
    samples += _fields(tables["MAG"]) + _air(tables["NTUN"])
    if any(isinstance(sample, Airspeed) for sample in samples):
        samples += _wing(samples)
    samples.sort(key=lambda sample: sample.stamp_ns)
    attitude, unknown = _attitudes(tables["ATT"], tables["IMU"])
    onboard, notes = tables.get("GPOSonboard"), unknown
    velocity = height = place = None
    if onboard is not None and onboard.shape[1] >= 7 and np.any(onboard[:, 1]):
        good = onboard[onboard[:, 1] != 0.0]
        stamp_ns = _stamps(good)
        place, height = Series(stamp_ns, good[:, 1:3]), Series(stamp_ns, good[:, 3:4])
        velocity = Series(stamp_ns, good[:, 4:7])
    else:
        notes += ("no onboard position in the file",)
    return Dataset(
        path.name,
        tuple(samples),
        "onboard",
        attitude,
        velocity,
        height,
        place,
        bool(unknown),
        notes,
    )


def _zip_tables(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                Path(name).stem: _numbers(
                    f"{path.name}:{name}", archive.read(name).decode("ascii", "replace"), None
                )
                for name in archive.namelist()
                if name.endswith(".txt")
            }
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise BadFile(f"{path.name}: {error}") from error


def _mat_tables(path: Path) -> dict[str, Array]:
    """ArduPilot's tables: a line number, milliseconds of its clock, the text tables' columns."""
    try:
        held = scipy.io.loadmat(path)
    except (MatReadError, ValueError, TypeError, OSError) as error:
        raise BadFile(f"{path.name}: {error}") from error
    tables = {}
    for name in ("IMU", "MAG", "NTUN", "ATT"):
        if name not in held or held[name].ndim != 2:
            raise BadFile(f"{path.name}: no table {name}")
        table = held[name].astype(np.float64)
        tables[name] = np.column_stack([table[:, 1], table[:, 1:]])
    gps = held["GPS"].astype(np.float64)
    tables["GPS"] = np.column_stack([gps[:, 13], gps[:, 1:]])
    return tables


def _imus(table: Array) -> list[Sample]:
    """IMU; a step much longer than usual is a gap in the log, not a long sample."""
    stamps = _stamps(table)
    usual = np.median(np.diff(stamps)).astype(np.int64)
    steps = np.minimum(np.diff(stamps, prepend=stamps[0] - usual), 3 * usual // 2)
    return [
        Imu(int(s), int(s), row[2:5].copy(), row[5:8].copy(), float(dt) * 1e-9)
        for s, row, dt in zip(stamps, table, steps, strict=True)
        if dt > 0
    ]


def _fixes(table: Array, raw: Array | None) -> list[Sample]:
    """GPS: status 1, satellites 4, place 6 and 7, altitude 9, speed 10, course 11, down 12."""
    out: list[Sample] = []
    eph, epv, accuracy = GNSS_CLAIM_2014
    seen = None
    for i, (s, row) in enumerate(zip(_stamps(table), table, strict=True)):
        course = np.radians(row[11])
        velocity = np.array([row[10] * np.cos(course), row[10] * np.sin(course), row[12]])
        if raw is not None and i < len(raw):
            velocity = raw[i, 4:7].copy()  # the course in GPS.txt is in radians there
        key = (row[2], *row[6:8])
        if key == seen or not row[6]:
            continue
        seen = key
        place = float(row[6]), float(row[7]), float(row[9])
        status, count = int(row[1]), int(row[4])
        out.append(GnssFix(int(s), int(s), *place, velocity, eph, epv, accuracy, status, count))
    return out


def _fields(table: Array) -> list[Sample]:
    norm = float(np.median(np.linalg.norm(table[:, 2:5], axis=1)))
    scale = 1e-3 if norm > GAUSS_MAX else 1.0
    fresh = _changed(table[:, 2:5])
    stamps = _stamps(table)
    return [
        Magnetometer(int(stamps[i]), int(stamps[i]), scale * table[i, 2:5])
        for i in np.flatnonzero(fresh)
    ]


def _air(table: Array) -> list[Sample]:
    stamps, flying = _stamps(table), bool(np.any(table[:, 7] > 3.0))
    out: list[Sample] = []
    for i in np.flatnonzero(_changed(table[:, 7:9])):
        s = int(stamps[i])
        out.append(Barometer(s, s, float(table[i, 8])))
        if flying:
            out.append(Airspeed(s, s, float(table[i, 7])))
    return out


def _wing(samples: list[Sample]) -> list[Sample]:
    """PX4's words that this is a wing and whether it flies, by the speed of each fifth fix.

    The tables have an airspeed but none of what a live aircraft says of itself.
    """
    out: list[Sample] = []
    for fix in [s for s in samples if isinstance(s, GnssFix)][::5]:
        s, v = fix.stamp_ns, fix.velocity_ned_m_s
        flies = v is not None and float(np.linalg.norm(v)) > WING_MIN_M_S
        out.append(VehicleStatus(s, s, flies, 0, False, 2, False, False, 1, True))
        out.append(LandDetected(s, s, not flies, not flies, not flies, False))
    return out


def _attitudes(table: Array, imu: Array) -> tuple[Series, tuple[str, ...]]:
    """Roll, pitch, yaw [deg]; or, in one kind of log, 180/pi of q_w, q_x, q_y of a quaternion.

    Which of them is decided by gravity: at the start the accelerometer shows the tilt.
    """
    roll, pitch, yaw = np.radians(table[:, 2:5]).T
    angles = np.array([frames.quat_from_euler(*e) for e in zip(roll, pitch, yaw, strict=True)])
    inside = np.clip(1.0 - roll**2 - pitch**2 - yaw**2, 0.0, None)
    parts = np.column_stack([roll, pitch, yaw, np.sqrt(inside)])
    force = np.median(imu[: max(2, len(imu) // 100), 5:8], axis=0)
    up = -force / np.linalg.norm(force)

    def tilt(q: Array) -> float:
        return float(np.arccos(np.clip(frames.rotation_from_quat(q).T[:, 2] @ up, -1.0, 1.0)))

    stamp_ns = _stamps(table)
    if np.all(roll**2 + pitch**2 + yaw**2 <= 1.01):
        quaternion = parts[0] / np.linalg.norm(parts[0])
        if tilt(quaternion) < tilt(angles[0]):
            note = "the sign of the last part of ATT's quaternions is not known: no heading"
            return Series(stamp_ns, parts), (note,)
    return Series(stamp_ns, angles), ()


# --- both ----------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path.name}: {error}") from error


def _numbers(name: str, text: str, delimiter: str | None) -> Array:
    rows = []
    width = None
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(delimiter)
        if not words or words == [""]:
            continue
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise BadFile(f"{name}, line {number}: {error}") from error
        width = width or len(words)
        if len(words) != width:
            raise BadFile(f"{name}, line {number}: {len(words)} numbers, expected {width}")
    if not rows:
        raise BadFile(f"{name}: no numbers")
    return np.array(rows)


def _stamps(table: Array) -> Times:
    return BASE_NS + np.round(table[:, 0] * 1e6).astype(np.int64)


def _changed(values: Array) -> npt.NDArray[np.bool_]:
    return np.concatenate([[True], np.any(np.diff(values, axis=0) != 0.0, axis=1)])
