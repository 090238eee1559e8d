# SPDX-License-Identifier: Apache-2.0
"""Real flights judged by metrics: what replay must find, and what it must not.

The flights are in ../shared (data/MANIFEST.csv and px4/README.md say what happened in each); the
tests skip where that folder is absent.
"""

from __future__ import annotations

import functools
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from airtwin_bringup.cli import app
from airtwin_physics.warm import warm_up
from airtwin_record import replay
from airtwin_record.flight import UnusableFlight
from airtwin_record.follow import follow
from airtwin_record.history import History

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LOGS, RECORDINGS = SHARED / "data" / "ulog", SHARED / "px4" / "recordings"
FILES = sorted([*LOGS.glob("*.ulg"), *RECORDINGS.glob("*.ulg"), *RECORDINGS.glob("*.mcap")])
SCHEMA = json.loads((ROOT / "config" / "schemas" / "summary.schema.json").read_text())

pytestmark = pytest.mark.skipif(not FILES, reason=f"no flights: {SHARED} is not there")

QUIET = (
    "px4_2016_bench_no_baro_dropouts.ulg",
    "px4_2016_bench_unordered_messages.ulg",
    "px4_v1.6_bench_appended_sections.ulg",
    "px4_v1.7_sitl_takeoff_rtl_groundtruth.ulg",
    "px4_v1.8_sitl_accel_timeout.ulg",
    "px4_v1.11_fixedwing_takeoff_rtkgps_airspeed.ulg",
    "px4_v1.11_vtol_quadplane_hop.ulg",
    "px4_v1.13_sitl_multi_ekf_groundtruth.ulg",
    "px4_v1.14_fixedwing_short_hop_dual_ekf.ulg",
    "px4_v1.15_sitl_takeoff_rtl_land_events.ulg",
    "px4_1.18_gazebo_two_x500_offboard_square.mcap",
    "px4_1.18_sih_quad_offboard_square.mcap",
    "px4_1.18_sih_quad_offboard_square.ulg",
    "px4_1.18_sih_quad_4x_boot_time_stamps.mcap",
    "px4_1.18_sih_two_quads_wind_n6_e-3.mcap",
)
"""Flights in which nothing went wrong that the twin could know of."""

TOO_SHORT = (
    "px4_v1.6_bench_appended_sections.ulg",
    "px4_v1.11_vtol_quadplane_hop.ulg",
    "px4_v1.13_sitl_multi_ekf_groundtruth.ulg",
    "px4_v1.14_fixedwing_short_hop_dual_ekf.ulg",
)
"""Of these: over in 6 to 11 s, before the twin has settled; no agreement shown, none claimed."""


@dataclass(frozen=True, slots=True)
class Golden:
    """One replay: the summary, and how long the processor took over it [s]."""

    summary: dict[str, Any]
    out: Path
    busy_s: float


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="airtwin-golden-")


@functools.cache
def _replayed(name: str) -> Golden:
    """Replay a flight once for all tests."""
    path = next(file for file in FILES if file.name == name)
    warm_up()
    began_s = time.process_time()
    result = replay.run(path, Path(_folder().name) / name)
    return Golden(result.summary, result.out, time.process_time() - began_s)


def _events(name: str, vehicle: str | None = None) -> list[dict[str, Any]]:
    events = _replayed(name).summary["events"]
    return [e for e in events if vehicle is None or e["vehicle"] == vehicle]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_flight_goes_through(path: Path) -> None:
    golden = _replayed(path.name)
    jsonschema.validate(golden.summary, SCHEMA)
    assert json.loads((golden.out / "summary.json").read_text()) == golden.summary
    assert golden.summary["duration_s"] > 5.0
    imu = [c for t, c in golden.summary["topics"].items() if t.endswith("sensor_combined")]
    assert imu
    assert all(counts["used"] > 300 for counts in imu)
    page = (golden.out / "report.html").read_text()
    assert path.name in page
    for event in golden.summary["events"]:
        assert event["requirement"] in page
    assert (golden.out / "twin.mcap").stat().st_size > 50_000


@pytest.mark.parametrize("name", QUIET)
def test_quiet_flights_have_no_event(name: str) -> None:
    assert _events(name) == []
    verdict = "unknown" if name in TOO_SHORT else "consistent"
    assert _replayed(name).summary["verdict"] == verdict


# --- what the issue says that replay must show ---------------------------------------------------

OCTO = "px4_v1.8_octo_baro_failure_in_flight.ulg"


def test_octorotor_the_barometer_fails() -> None:
    (event,) = [e for e in _events(OCTO) if e["factor"] == "barometer"]
    assert event["start_s"] == pytest.approx(14.4, abs=2.0)
    assert event["end_s"] is None
    assert "barometer" in event["cause"]


def test_octorotor_px4_resets_its_height() -> None:
    found = [e for e in _events(OCTO) if "height reset" in e["cause"]]
    assert [e["start_s"] for e in found] == [pytest.approx(19.5, abs=1.0)]


def test_octorotor_the_healthy_pair_has_no_barometer_event() -> None:
    assert not any("baro" in e["factor"] for e in _events("px4_v1.8_octo_poor_gps_manual.ulg"))


def test_drifting_ground_vehicle_is_inconsistent_though_px4_calls_its_position_valid() -> None:
    name = "px4_v1.17_fixedwing_ground_nogps_drift_corrupt.ulg"
    golden = _replayed(name)
    assert golden.summary["verdict"] == "inconsistent"
    (event,) = [e for e in _events(name) if e["factor"] == "position source"]
    assert "calls its position valid" in event["evidence"]
    assert any("another session" in line for line in golden.summary["skipped"])


def test_tailsitter_incident_is_found_and_its_neighbour_is_quiet() -> None:
    name = "px4_1.18_sih_tailsitter_quadplane.mcap"
    causes = {e["cause"]: e["start_s"] for e in reversed(_events(name, "px4_1"))}
    assert causes["VTOL transition failure"] == pytest.approx(84.0, abs=2.0)
    assert {"attitude", "mode"} <= {e["factor"] for e in _events(name, "px4_1")}
    assert _events(name, "px4_2") == []
    assert _replayed(name).summary["vehicles"]["px4_2"]["verdict"] == "consistent"


def test_time_stamp_resets_are_refused_and_counted() -> None:
    topics = _replayed("px4_1.18_sih_quad_offboard_square.mcap").summary["topics"]
    refused = [t for t, c in topics.items() if "time stamp of another clock" in c["rejected"]]
    assert refused


@pytest.mark.parametrize(
    "name",
    [
        "px4_v1.7_sitl_takeoff_rtl_groundtruth.ulg",
        "px4_v1.8_sitl_accel_timeout.ulg",
        "px4_v1.13_sitl_multi_ekf_groundtruth.ulg",
        "px4_1.18_sih_quad_offboard_square.ulg",
    ],
)
def test_position_error_against_truth(name: str) -> None:
    rmse = _replayed(name).summary["errors"]["position_rmse_m"]
    assert 0.0 < rmse["px4"] < 1.0
    assert 0.0 < rmse["twin"] <= 2.0 * rmse["px4"]


def test_failsafe_and_low_battery_are_found() -> None:
    name = "px4_v1.17_quad_mission_rtk_failsafe_blindland_corrupt.ulg"
    (failsafe,) = [e for e in _events(name) if e["factor"] == "mode"]
    assert failsafe["start_s"] == pytest.approx(65.4, abs=1.0)
    (battery,) = _events("px4_v1.16_quad_nogps_lowbatt_failsafe.ulg")
    assert battery["factor"] == "battery"
    assert battery["start_s"] == pytest.approx(77.0, abs=1.0)


def test_bench_without_barometer_uses_none() -> None:
    topics = _replayed("px4_2016_bench_no_baro_dropouts.ulg").summary["topics"]
    assert "vehicle_air_data" not in topics
    assert topics["vehicle_magnetometer"]["used"] > 5000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("px4_2016_bench_no_baro_dropouts.ulg", "drop-out of the logger: 4"),
        ("px4_v1.6_bench_appended_sections.ulg", "data were appended: 3"),
        ("px4_v1.17_bench_uncalibrated_corrupt.ulg", "never written"),
        (
            "px4_v1.17_quad_mission_rtk_failsafe_blindland_corrupt.ulg",
            "unknown topic or of a wron",
        ),
        ("px4_v1.17_fixedwing_ground_nogps_drift_corrupt.ulg", "no ULog message"),
    ],
)
def test_what_was_skipped_is_said(name: str, words: str) -> None:
    assert any(words in line for line in _replayed(name).summary["skipped"])


# --- speed and repeatability ---------------------------------------------------------------------


def test_twenty_times_faster_than_real_time() -> None:
    """Of the processor's time, which a busy machine stretches less; the best of two."""
    busy_s = []
    for _ in range(2):
        began_s = time.process_time()
        result = replay.run(LOGS / OCTO, Path(_folder().name) / "speed")
        busy_s.append(time.process_time() - began_s)
    assert result.summary["duration_s"] / min(busy_s) >= 20.0


def test_a_flight_replayed_again_is_the_same_to_the_bit() -> None:
    first = _replayed(OCTO)
    again = replay.run(LOGS / OCTO, Path(_folder().name) / "again")
    assert (first.out / "twin.mcap").read_bytes() == again.recording_path.read_bytes()
    for summary in (one := dict(first.summary), two := dict(again.summary)):
        summary.pop("realtime_factor")
    assert json.dumps(one) == json.dumps(two)


# --- one flight, two records of it ---------------------------------------------------------------


@functools.cache
def _square(suffix: str) -> tuple[History, float]:
    """Return the history of the square and when it lifted off [s]."""
    path = RECORDINGS / f"px4_1.18_sih_quad_offboard_square.{suffix}"
    history, _ = follow(replay.read(path).vehicles[0])
    lifted = next(t for t, landed in history.landed if not landed)
    return history, lifted


def test_log_and_recording_of_one_flight_agree() -> None:
    """PX4's log has barometer, magnetometer and 125 Hz; the bridge has neither, and 50 Hz."""
    names = [f"px4_1.18_sih_quad_offboard_square.{suffix}" for suffix in ("ulg", "mcap")]
    verdicts = [_replayed(name).summary["verdict"] for name in names]
    assert verdicts == ["consistent", "consistent"]
    since_lift_s = np.arange(2.0, 40.0, 0.25)
    tracks = []
    for suffix in ("ulg", "mcap"):
        history, lifted = _square(suffix)
        twin = history.twin_columns()
        tracks.append(
            np.stack(
                [np.interp(since_lift_s + lifted, twin["t"], c) for c in twin["position"].T],
                axis=1,
            )
        )
    apart = tracks[0] - tracks[1]
    assert float(np.ptp(tracks[0][:, 0])) > 6.0  # it flew
    # lift-off is known to the second of the land detector's topic, at 3 m/s
    assert float(np.sqrt(np.mean(np.sum(apart[:, :2] ** 2, axis=1)))) < 2.5
    assert float(np.sqrt(np.mean(apart[:, 2] ** 2))) < 1.0


# --- broken copies of real flights ---------------------------------------------------------------

HOP = LOGS / "px4_v1.14_fixedwing_short_hop_dual_ekf.ulg"


def _try(path: Path, data: bytes) -> int:
    """Return the count of IMU messages, 0 if the file is unusable."""
    try:
        recording = replay.read(path, data)
    except UnusableFlight:
        return 0
    return sum(len(t) for v in recording.vehicles for t in v.tables if t.source == "imu")


@pytest.mark.parametrize(
    "path",
    [HOP, LOGS / OCTO, RECORDINGS / "px4_1.18_sih_quad_4x_boot_time_stamps.mcap"],
    ids=lambda p: p.suffix + p.stem[-12:],
)
def test_cut_at_many_lengths(path: Path) -> None:
    whole = path.read_bytes()
    counts = [_try(path, whole[: len(whole) * part // 24]) for part in range(1, 25)]
    assert counts == sorted(counts)
    assert counts[-1] == _try(path, whole)
    assert counts[18] > counts[-1] // 2


@pytest.mark.parametrize("seed", range(8))
def test_bytes_flipped_at_random(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    broken = np.frombuffer(HOP.read_bytes(), dtype=np.uint8).copy()
    places = rng.integers(len(broken) // 2, len(broken), 150)
    broken[places] = rng.integers(0, 256, len(places))
    path = tmp_path / "flipped.ulg"
    path.write_bytes(broken.tobytes())
    summary = replay.run(path, tmp_path / "out").summary
    jsonschema.validate(summary, SCHEMA)
    assert summary["topics"]["sensor_combined"]["used"] > 1000
    assert summary["skipped"]


@pytest.mark.parametrize("path", [HOP, RECORDINGS / "px4_1.18_sih_quad_4x_boot_time_stamps.mcap"])
def test_bytes_flipped_anywhere_raise_nothing_else(path: Path) -> None:
    """Also in the definitions, without which a topic is lost."""
    rng = np.random.default_rng(99)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    for _ in range(12):
        broken = whole.copy()
        places = rng.integers(0, len(broken), 60)
        broken[places] = rng.integers(0, 256, len(places))
        _try(path, broken.tobytes())


def test_garbage_appended_changes_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "longer.ulg"
    path.write_bytes(HOP.read_bytes() + np.random.default_rng(1).bytes(20_000))
    summary = replay.run(path, tmp_path / "out").summary
    assert summary["verdict"] == _replayed(HOP.name).summary["verdict"]
    assert any("no ULog message" in line for line in summary["skipped"])


@pytest.mark.parametrize("data", [b"", b"no flight", b"ULog\x01\x12\x35\x01" + bytes(50)])
def test_the_command_ends_with_2_and_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.ulg"
    path.write_bytes(data)
    outcome = CliRunner().invoke(app, ["replay", str(path), "--out", str(tmp_path / "out")])
    assert outcome.exit_code == 2
    said = [line for line in outcome.output.splitlines() if line.strip()]
    assert len(said) == 1
    assert "bad.ulg" in said[0]
