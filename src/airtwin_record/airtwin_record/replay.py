# SPDX-License-Identifier: Apache-2.0
"""Replay: a recorded flight in, the twin's view of it out as report, recording and summary.

The shell around ``follow``: the only place here that reads a clock and writes files.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airtwin_consistency.limits import Limits
from airtwin_core.aircraft import load
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.warm import warm_up
from airtwin_record import mcap, mcap_file, report, ulog, ulog_file
from airtwin_record.chapter import Page
from airtwin_record.errors import position_errors
from airtwin_record.flight import Recording, UnusableFlight, VehicleLog
from airtwin_record.follow import Progress, follow
from airtwin_record.history import History
from airtwin_record.mcap_out import TwinRecording, TwinTopics
from airtwin_record.summary import summary, vehicle_summary

_OTHERS = {
    b"SQLite format 3": " but a ROS 2 bag in SQLite: turn it into MCAP by 'ros2 bag convert'",
    b"#ROSBAG": " but a bag of ROS 1: its topics are not PX4's",
    b"\xa3\x95": " but a log of ArduPilot",
    b"\x1f\x8b": " but packed (gzip): unpack it first",
    b"PK\x03\x04": " but packed (zip): unpack it first",
    b"\x28\xb5\x2f\xfd": " but packed (zstd): unpack it first",
    b"version https://git-lfs": " but a pointer of Git LFS: 'git lfs pull' fetches the file",
}

SUMMARY, REPORT, RECORDING = "summary.json", "report.html", "twin.mcap"


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay left: the folder, the three files in it, and the summary as it was written."""

    out: Path
    summary: dict[str, Any]
    summary_path: Path
    report_path: Path
    recording_path: Path

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """Return the files in the order in which a person opens them."""
        return self.report_path, self.summary_path, self.recording_path


def read(path: Path, data: bytes | None = None) -> Recording:
    """Read a recorded flight of any kind.

    Raises:
        UnusableFlight: the file cannot be read, or holds nothing that a twin can follow.
    """
    try:
        data = path.read_bytes() if data is None else data
    except IsADirectoryError:
        raise UnusableFlight(f"{path}: a folder; name the .ulg or .mcap file in it") from None
    except OSError as error:
        raise UnusableFlight(f"{path}: {error.strerror or error}") from error
    if not data:
        raise UnusableFlight(f"{path}: the file is empty")
    try:
        if data.startswith(ulog_file.MAGIC):
            return ulog.read(data)
        if data.startswith(mcap_file.MAGIC):
            return mcap.read(data)
    except UnusableFlight as error:
        raise UnusableFlight(f"{path}: {error}") from error
    raise UnusableFlight(f"{path}: neither ULog nor MCAP{_other(data)}")


def _other(data: bytes) -> str:
    """Return what the file is instead, and the way from there, if its first bytes tell."""
    return next((hint for magic, hint in _OTHERS.items() if data.startswith(magic)), "")


def default_out(path: Path) -> Path:
    """Return runs/<time>-<name>."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{path.stem}"


def run(
    path: Path,
    out: Path | None = None,
    vehicle: str | None = None,
    progress: Progress = lambda done: None,
    *,
    config: EstimatorConfig | None = None,
    limits: Limits | None = None,
    models: Mapping[str, str] | None = None,
) -> ReplayResult:
    """Run the twin over a flight; ``vehicle`` chooses one of several, ``progress`` gets 0 to 1.

    ``config``, ``limits``: None takes the defaults of the code. ``models``: aircraft file by
    vehicle, "" for all others; a vehicle without one is followed as an unknown aircraft.

    Raises:
        UnusableFlight: nothing can be replayed; the message is one line.
        AircraftError: an aircraft file can't be read.
    """
    warm_up()
    known = {name: load(model) for name, model in (models or {}).items() if model}
    began_s = time.perf_counter()
    recording = read(path)
    data_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    logs = chosen(path, recording, vehicle)
    names = [log.name for log in recording.vehicles]
    if strange := sorted(set(known) - {"", *names}):
        raise UnusableFlight(
            f"{path}: an aircraft is given for {', '.join(strange)}, "
            f"the recording has {', '.join(names)}"
        )
    out = out or default_out(path)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableFlight(f"{out}: {error.strerror or error}") from error
    parts: dict[str, dict[str, Any]] = {}
    pages = []
    unfinished = out / f"{RECORDING}.part"
    with TwinRecording(unfinished) as twin_recording:
        for index, log in enumerate(logs):
            twin_recording.px4(log)
            topics = TwinTopics(twin_recording, log.name)
            history, intake = follow(
                log,
                (topics,),
                _share(progress, index, len(logs)),
                config=config,
                limits=limits,
                aircraft=known.get(log.name, known.get("")),
            )
            errors = position_errors(history, log.truth)
            parts[log.name] = vehicle_summary(log, history, intake, errors, recording.kind)
            pages.append(Page(log, history, errors, parts[log.name]))
    spent_s = time.perf_counter() - began_s
    flown_s = sum(_flown_s(log, page.history) for log, page in zip(logs, pages, strict=True))
    whole = summary(
        str(path), data_hash, recording.kind, parts, recording.skips.items(), flown_s / spent_s
    )
    os.replace(unfinished, out / RECORDING)
    _write(out / SUMMARY, json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    _write(out / REPORT, report.html(whole, pages))
    return ReplayResult(out, whole, out / SUMMARY, out / REPORT, out / RECORDING)


def chosen(path: Path, recording: Recording, vehicle: str | None) -> tuple[VehicleLog, ...]:
    """Return the logs of ``vehicle``, or of all where it is None.

    Raises:
        UnusableFlight: the recording has no such vehicle.
    """
    if vehicle is None:
        return recording.vehicles
    logs = tuple(log for log in recording.vehicles if log.name == vehicle.strip("/"))
    if not logs:
        names = ", ".join(log.name for log in recording.vehicles)
        raise UnusableFlight(f"{path}: no vehicle {vehicle}; there is {names}")
    return logs


def _share(progress: Progress, index: int, count: int) -> Callable[[float], None]:
    return lambda done: progress((index + done) / count)


def _flown_s(log: VehicleLog, history: History) -> float:
    """Return the flight's length [s]: of the vehicle's clock, which a simulator may speed up."""
    return max((log.end_ns - log.start_ns) * 1e-9, history.vehicle_span_s())


def _write(path: Path, text: str) -> None:
    """Write at once or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
