# SPDX-License-Identifier: Apache-2.0
"""A ULog of PX4 (2016 to 1.18) as one aircraft's tables: one session, today's names, SI units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airtwin_record import px4_history, timeline, ulog_file
from airtwin_record.flight import (
    Column,
    Recording,
    Skips,
    Table,
    Truth,
    UnusableFlight,
    VehicleLog,
)
from airtwin_record.px4_history import Place
from airtwin_record.ulog_file import UlogSection, UlogTopic

OUTSIDE = "outside the flight's time"
_SLACK_US = 1_000_000  # topics may begin and end a little before and after the IMU,
_ALONE_SLACK_US = 60_000_000  # or go on without it, where no other session follows
_HEADER_SLACK_US = 5_000_000
_STAMP_MAX_US = 2**62 // 1000
_IMU_MIN = 10
_RELEASE_TYPES = {0: "-dev", 64: "-alpha", 128: "-beta", 192: "-rc", 255: ""}


@dataclass(frozen=True, slots=True)
class _Window:
    """The chosen session: its times, and its place in the file."""

    begin_us: int
    end_us: int
    slack_us: int
    offset_begin: int
    offset_end: int


def read(data: bytes) -> Recording:
    """Return the flight in a ULog.

    Raises:
        UnusableFlight: not a ULog, or nothing in it that a twin could follow.
    """
    skips = Skips()
    section = _largest(ulog_file.read(data, skips), skips)
    imu = section.topics.get(("sensor_combined", 0))
    if imu is None or len(imu.records) < _IMU_MIN:
        count = "no" if imu is None or not len(imu.records) else f"only {len(imu.records)}"
        raise UnusableFlight(f"no IMU: the log has {count} sensor_combined messages{skips.told()}")
    window = _window(imu, skips)
    start_us = window.begin_us
    if section.start_us and abs(section.start_us - window.begin_us) <= _HEADER_SLACK_US:
        start_us = min(start_us, section.start_us)
    rejected: dict[str, dict[str, int]] = {}
    tables = []
    for place in px4_history.TOPICS:
        found = _columns(section, place)
        if found is None:
            continue
        table = _table(place, *found, window, start_us, rejected, skips)
        if len(table):
            tables.append(table)
    if section.dropouts_ms:
        total = f"{sum(section.dropouts_ms)} ms in all, longest {max(section.dropouts_ms)} ms"
        skips.add("drop-out of the logger", len(section.dropouts_ms), total)
    start_us = min(start_us, *(int(t.received_ns[0]) // 1000 for t in tables))
    vehicle = VehicleLog(
        name=_name(section),
        start_ns=start_us * 1000,
        end_ns=max(int(table.received_ns[-1]) for table in tables),
        tables=tuple(tables),
        truth=_truth(section, window),
        facts=_facts(section),
        notes=_notes(section, window, start_us),
        rejected=rejected,
        skips=skips,
    )
    return Recording("ULog", (vehicle,), Skips())


def _largest(sections: list[UlogSection], skips: Skips) -> UlogSection:
    """Return the log with the most IMU samples of a file that may hold several."""

    def size(section: UlogSection) -> int:
        topic = section.topics.get(("sensor_combined", 0))
        return len(topic.records) if topic else 0

    best = max(sections, key=size)
    for other in sections:
        if other is not best:
            skips.add("another log in the same file", 1, f"{size(other)} IMU samples")
    return best


def _stamps(records: npt.NDArray[np.void], name: str = "timestamp") -> npt.NDArray[np.int64]:
    clipped: npt.NDArray[np.int64] = np.minimum(records[name], _STAMP_MAX_US).astype(np.int64)
    return clipped


def _window(imu: UlogTopic, skips: Skips) -> _Window:
    stamps = _stamps(imu.records)
    best, *others = timeline.sessions(stamps) or [timeline.NO_SESSION]
    if len(best.index) < _IMU_MIN or best.end_us == best.begin_us:
        raise UnusableFlight("no IMU: the stamps of sensor_combined follow no time")
    for other in others:
        skips.add(
            "IMU samples of another session (time jumps or runs backwards)",
            len(other.index),
            f"{other.duration_s:.1f} s at {other.begin_us * 1e-6:.1f} s of the vehicle's clock; "
            f"the longest, {best.duration_s:.1f} s at {best.begin_us * 1e-6:.1f} s, is replayed",
        )
    used = sum(len(session.index) for session in (best, *others))
    skips.add("IMU samples with a rubbish time stamp", len(stamps) - used)
    inside = np.zeros(len(stamps), dtype=bool)
    inside[best.index] = True
    first, last = int(best.index.min()), int(best.index.max())
    before, after = imu.offsets[:first][~inside[:first]], imu.offsets[last + 1 :]
    return _Window(
        best.begin_us,
        best.end_us,
        _SLACK_US if others else _ALONE_SLACK_US,
        int(before.max()) if len(before) and len(best.index) and others else 0,
        int(after.min()) if len(after) and others else 2**62,
    )


# --- columns -----------------------------------------------------------------------------------


def _columns(
    section: UlogSection, place: Place
) -> tuple[dict[str, Column], npt.NDArray[np.int64]] | None:
    """Return a source's columns by today's names and their offsets, wherever they are logged."""
    for name in place.names:
        topic = _instance(section, name)
        if topic is None:
            continue
        records = topic.records
        old = {n: records[n] for n in records.dtype.names or ()}
        columns = px4_history.modern(place.topic, old)
        if place.needs not in columns or not _complete(place, columns):
            continue
        if name == "actuator_outputs":
            motors = _motor_count(section)
            if not motors:
                continue  # servos are among them, and nothing says which
            columns["control"][:, motors:] = np.nan
        if place.source == "gnss":
            _add_antenna(columns, section.parameters)
        if place.source == "motors":
            # outputs are what the ESCs get
            factor = 0.0 if name == "actuator_outputs" else section.parameters.get(_FACTOR)
            if factor is not None and 0.0 <= factor <= 1.0:
                columns["thrust_factor"] = np.full(len(columns["control"]), factor)
        fresh = px4_history.fresh_rows(place.topic, columns)
        return {k: v[fresh] for k, v in columns.items()}, topic.offsets[fresh]
    return None


def _add_antenna(columns: dict[str, Column], parameters: Mapping[str, float]) -> None:
    """Say where the antenna is; before 1.18 a parameter of EKF2 knew it, and no message."""
    for axis in "xyz":
        name, parameter = f"antenna_offset_{axis}", f"EKF2_GPS_POS_{axis.upper()}"
        if name not in columns and parameter in parameters:
            columns[name] = np.full(len(columns["fix_type"]), parameters[parameter])


_FACTOR = "THR_MDL_FAC"
_ALSO_NEEDED = {
    "motors": ("control",),
    "vtol": ("vehicle_vtol_state",),
    "flags": ("cs_baro_hgt", "cs_gps_hgt", "cs_in_air"),
}


def _complete(place: Place, columns: Mapping[str, Column]) -> bool:
    return all(name in columns for name in _ALSO_NEEDED.get(place.source, ()))


_MOTORS = {2: 4, 13: 6, 14: 8, 29: 12}
"""Motors by MAV_TYPE: quad, hexa, octo and dodecarotor."""


def _motor_count(section: UlogSection) -> int:
    """Return how many of the first outputs are motors; 0 if that cannot be known."""
    status = section.topics.get(("vehicle_status", 0))
    if status is None or "system_type" not in (status.records.dtype.names or ()):
        return 0
    return _MOTORS.get(int(status.records["system_type"][-1]), 0)


def _instance(section: UlogSection, name: str) -> UlogTopic | None:
    """Return the instance of a topic that the vehicle flies by."""
    instances = {m: t for (n, m), t in section.topics.items() if n == name and len(t.records)}
    if not instances:
        return None
    if name == "battery_status":
        for _, topic in sorted(instances.items()):
            if np.nanmax(topic.records["voltage_v"], initial=0.0) > 1.0:
                return topic
    if name == "distance_sensor":
        for _, topic in sorted(instances.items()):
            if _faces_down(topic):
                return topic
    if name.startswith("estimator_status") and len(instances) > 1:
        selector = section.topics.get(("estimator_selector_status", 0))
        if selector is not None:
            return _selected(instances, selector)
    return instances[min(instances)]


def _faces_down(topic: UlogTopic) -> bool:
    """Return whether a rangefinder looks at the ground (ROTATION_DOWNWARD_FACING, 25)."""
    if "orientation" not in (topic.records.dtype.names or ()):
        return False
    return bool(np.mean(topic.records["orientation"] == 25) > 0.5)


def _selected(instances: Mapping[int, UlogTopic], selector: UlogTopic) -> UlogTopic:
    """Return the messages of whichever EKF instance was the primary at their time."""
    primary = selector.records["primary_instance"].astype(np.int64)
    since = _stamps(selector.records)
    layout = instances[min(instances)].records.dtype
    records, offsets = [], []
    for instance, topic in instances.items():
        if topic.records.dtype != layout:
            continue
        at = np.searchsorted(since, _stamps(topic.records), side="right") - 1
        mine = primary[np.maximum(at, 0)] == instance
        records.append(topic.records[mine])
        offsets.append(topic.offsets[mine])
    joined, places = np.concatenate(records), np.concatenate(offsets)
    order = np.argsort(places, kind="stable")
    first = instances[min(instances)]
    return UlogTopic(first.name, first.multi_id, joined[order], places[order])


def _table(
    place: Place,
    columns: dict[str, Column],
    offsets: npt.NDArray[np.int64],
    window: _Window,
    start_us: int,
    rejected: dict[str, dict[str, int]],
    skips: Skips,
) -> Table:
    """Cut to the session and put in order of time."""
    stamp = np.minimum(columns["timestamp"], _STAMP_MAX_US).astype(np.int64)
    mine = (offsets > window.offset_begin) & (offsets < window.offset_end)
    if place.held:
        # The logger writes the last value of each topic at its start, with the stamp of old.
        old = mine & (stamp > 0) & (stamp < start_us)
        stamp = np.where(old, start_us, stamp)
        columns["timestamp"] = stamp
    earliest = min(window.begin_us - _SLACK_US, start_us)
    good = mine & (stamp >= earliest) & (stamp <= window.end_us + window.slack_us)
    good &= ~timeline.strays(stamp)
    lost = int(np.count_nonzero(~good))
    if lost:
        rejected.setdefault(place.source, {})[OUTSIDE] = lost
    index = np.flatnonzero(good)
    swapped = int(np.count_nonzero(np.diff(stamp[index]) < 0))
    skips.add("messages out of the order of time (sorted)", swapped, place.topic)
    index = index[np.argsort(stamp[index], kind="stable")]
    received_ns = np.maximum(stamp[index], start_us) * 1000
    return Table(place.source, place.topic, {k: v[index] for k, v in columns.items()}, received_ns)


# --- beside the samples ------------------------------------------------------------------------


def _truth(section: UlogSection, window: _Window) -> Truth | None:
    local = section.topics.get(("vehicle_local_position_groundtruth", 0))
    globe = section.topics.get(("vehicle_global_position_groundtruth", 0))
    if local is None or not len(local.records):
        return None
    records = _inside(local, window)
    if not len(records):
        return None
    stamps, order = np.unique(_stamps(records), return_index=True)
    position = np.stack([records[axis][order] for axis in "xyz"], axis=1).astype(np.float64)
    if globe is None or not len(globe.records):
        return Truth(stamps * 1000, position)
    places = _inside(globe, window)
    when, order = np.unique(_stamps(places), return_index=True)
    columns = [places[n][order] for n in ("lat", "lon", "alt")]
    # PX4 of early 2017 logs 1e-7 deg and mm, later ones deg and m
    scales = (1e-7, 1e-7, 1e-3) if columns[0].dtype.kind == "i" else (1.0, 1.0, 1.0)
    geodetic = np.stack([c * k for c, k in zip(columns, scales, strict=True)], axis=1)
    return Truth(stamps * 1000, position, when * 1000, geodetic)


def _inside(topic: UlogTopic, window: _Window) -> npt.NDArray[np.void]:
    stamp = _stamps(topic.records)
    inside: npt.NDArray[np.void] = topic.records[
        (stamp >= window.begin_us - _SLACK_US) & (stamp <= window.end_us + _SLACK_US)
    ]
    return inside


def _name(section: UlogSection) -> str:
    """px4_N, as the topics of system N + 1 are called on the bridge."""
    return f"px4_{max(int(section.parameters.get('MAV_SYS_ID', 1)) - 1, 0)}"


def _facts(section: UlogSection) -> dict[str, str]:
    info, parameters = section.info, section.parameters
    facts = {}
    release = info.get("ver_sw_release")
    if isinstance(release, int) and release:
        major, minor, patch, kind = ((release >> shift) & 0xFF for shift in (24, 16, 8, 0))
        facts["PX4"] = f"{major}.{minor}.{patch}{_RELEASE_TYPES.get(kind, '')}"
    elif "ver_sw" in info:
        facts["PX4"] = f"git {str(info['ver_sw'])[:10]} (before 1.6)"
    if "ver_hw" in info:
        facts["Hardware"] = str(info["ver_hw"])
    if "SYS_AUTOSTART" in parameters:
        facts["Airframe"] = str(int(parameters["SYS_AUTOSTART"]))
    return facts


def _notes(
    section: UlogSection, window: _Window, start_us: int
) -> tuple[tuple[float, str, str], ...]:
    return tuple(
        ((stamp_us - start_us) * 1e-6, level, text)
        for stamp_us, level, text in section.lines
        if window.begin_us - _HEADER_SLACK_US <= stamp_us <= window.end_us + _SLACK_US
    )
