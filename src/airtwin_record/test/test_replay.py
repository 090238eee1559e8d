# SPDX-License-Identifier: Apache-2.0
"""The whole replay on small made-up logs: what it writes, how it repeats, what it refuses."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_logs import FORMATS, gps, head, imu, mcap, message, stretch, ulog
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from airtwin_core.intake import Intake
from airtwin_core.types import GnssFix
from airtwin_record import replay
from airtwin_record.flight import UnusableFlight
from airtwin_record.replay import ReplayResult
from airtwin_record.samples import samples

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "config" / "schemas" / "summary.schema.json").read_text())


def _run(folder: Path, data: bytes, name: str = "flight.bin", **options: Any) -> ReplayResult:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    result = replay.run(path, folder / "out", **options)
    jsonschema.validate(result.summary, SCHEMA)
    return result


@pytest.mark.parametrize("data", [ulog(), mcap()], ids=["ulog", "mcap"])
def test_three_files_that_say_the_same(tmp_path: Path, data: bytes) -> None:
    result = _run(tmp_path, data)
    written = json.loads(result.summary_path.read_text())
    assert written == result.summary
    assert "NaN" not in result.summary_path.read_text()
    assert written["duration_s"] == pytest.approx(4.0, abs=0.1)
    page = result.report_path.read_text()
    assert "flight.bin" in page
    assert "http://" not in page.split("<script>", 1)[0]
    with result.recording_path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        decoded = list(reader.iter_decoded_messages(topics=["/twin/state"]))
    assert len(decoded) > 50
    states = [message for _, _, _, message in decoded]
    assert all(a.timestamp_sample < b.timestamp_sample for a, b in itertools.pairwise(states))
    assert abs(states[-1].q_ned_frd[0] ** 2 + states[-1].q_ned_frd[3] ** 2 - 1.0) < 1e-3
    assert sorted(p.name for p in result.out.iterdir()) == [
        "report.html",
        "summary.json",
        "twin.mcap",
    ]


@pytest.mark.parametrize("data", [ulog(), mcap(vehicles=("", "/px4_1"))], ids=["ulog", "mcap"])
def test_the_same_to_the_bit(tmp_path: Path, data: bytes) -> None:
    first, second = (_run(tmp_path, data) for _ in range(2))
    assert first.recording_path.read_bytes() == second.recording_path.read_bytes()
    one, two = dict(first.summary), dict(second.summary)
    one.pop("realtime_factor"), two.pop("realtime_factor")
    assert json.dumps(one) == json.dumps(two)


def test_recordings_are_equal_in_two_folders(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", ulog()).recording_path.read_bytes()
    assert one == _run(tmp_path / "b", ulog()).recording_path.read_bytes()


def test_several_vehicles_each_have_their_part(tmp_path: Path) -> None:
    data = mcap(vehicles=("", "/px4_1"))
    whole = _run(tmp_path / "all", data).summary
    assert sorted(whole["vehicles"]) == ["px4_0", "px4_1"]
    assert "/px4_1/fmu/out/sensor_combined" in whole["topics"]
    one = _run(tmp_path / "one", data, vehicle="px4_1").summary
    assert list(one["vehicles"]) == ["px4_1"]
    assert one["vehicles"]["px4_1"] == whole["vehicles"]["px4_1"]
    with pytest.raises(UnusableFlight, match="no vehicle px4_7; there is px4_0, px4_1"):
        _run(tmp_path / "none", data, vehicle="px4_7")


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    _run(tmp_path, ulog(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def _no_imu() -> bytes:
    return head() + b"".join(gps(1_000_000 + i * 200_000) for i in range(50))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"hello, this is no log", "neither ULog nor MCAP"),
        (b"SQLite format 3\0" + bytes(100), "ros2 bag convert"),
        (b"\x1f\x8b\x08" + bytes(100), "unpack it first"),
        (b"ULog\x01\x12\x35", "ends inside its header"),
        (_no_imu(), "no IMU"),
        (mcap(imu_too=False), "no IMU"),
        (b"\x89MCAP0\r\n" + bytes(100), "no IMU"),
        (head() + b"".join(imu(1_000_000) for _ in range(5)), "no IMU"),
        (head() + imu(1_000_000), "the log has only 1 sensor_combined messages"),
        (head()[:62] + b"\xff" * 30 + head()[92:], "skipped: damaged message of type"),
        (b"".join([head(), *(imu(0) for _ in range(500))]), ""),
    ],
)
def test_unusable_files_end_with_one_line(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(UnusableFlight) as error:
        _run(tmp_path, data)
    assert why in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "flight.bin") in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "nothing.ulg", "No such file"), (tmp_path, "a folder; name")):
        with pytest.raises(UnusableFlight, match=why):
            replay.run(path, tmp_path / "out")


def test_rubbish_coordinates_are_counted_by_cause(tmp_path: Path) -> None:
    messages = stretch(1_000_000, 4.0)
    messages += [gps(5_000_000 + i * 1000, lat=1_200_000_000) for i in range(7)]
    messages += [gps(5_100_000 + i * 1000, lat=0, lon=0) for i in range(5)]
    topic = _run(tmp_path, ulog(messages)).summary["topics"]["vehicle_gps_position"]
    assert topic["used"] == 20
    assert topic["rejected"] == {
        "coordinates are zero although the receiver claims a fix": 5,
        "latitude is impossible": 7,
    }


def test_fields_of_a_wrong_type_are_counted(tmp_path: Path) -> None:
    """A damaged definition calls the number of satellites a float, and that is not a number."""
    formats = dict(FORMATS)
    name = "vehicle_gps_position"
    formats[name] = formats[name].replace("uint8_t fix_type;", "float fix_type;")
    body = struct.pack("<Q3i6ffB", 1_000_000, 1, 1, 1, *[0.5] * 6, float("nan"), 1)
    body += bytes(1)
    formats[name] = formats[name].replace("uint8_t[5] _padding0;", "")
    broken = message(b"D", struct.pack("<H", 1) + body)
    data = head(formats=formats) + b"".join(
        [m for m in stretch(1_000_000, 4.0) if m[5 - 2 : 5] == b"\0\0"] + [broken]
    )
    topic = _run(tmp_path, data).summary["topics"][name]
    assert topic == {"used": 0, "rejected": {"a field has the wrong type": 1}}


def test_time_that_runs_backwards_is_said_and_the_longest_session_used(tmp_path: Path) -> None:
    data = ulog([*stretch(500_000_000, 1.0), *stretch(400_000_000, 3.0)])
    summary = _run(tmp_path, data).summary
    assert summary["duration_s"] == pytest.approx(3.0, abs=0.1)
    assert summary["topics"]["sensor_combined"]["used"] == 750
    assert any("another session" in line and "250" in line for line in summary["skipped"])


def test_two_logs_copied_behind_each_other(tmp_path: Path) -> None:
    summary = _run(tmp_path, ulog(seconds=1.0) + ulog(seconds=3.0)).summary
    assert summary["topics"]["sensor_combined"]["used"] == 750
    assert any("another log in the same file" in line for line in summary["skipped"])


def test_messages_out_of_order_are_sorted_and_said(tmp_path: Path) -> None:
    messages = stretch(1_000_000, 4.0)
    for i in range(100, 900, 50):
        messages[i], messages[i + 3] = messages[i + 3], messages[i]
    summary = _run(tmp_path, ulog(messages)).summary
    assert summary["topics"]["sensor_combined"]["used"] == 1000
    assert any("sorted" in line for line in summary["skipped"])


def test_cut_and_flipped_logs_are_replayed(tmp_path: Path) -> None:
    whole = np.frombuffer(ulog(), dtype=np.uint8)
    rng = np.random.default_rng(11)
    begin = len(head())
    for case in range(6):
        broken = whole[: int(rng.integers(len(whole) // 2, len(whole)))].copy()
        places = rng.integers(begin, len(broken), 40)
        broken[places] = rng.integers(0, 256, 40)
        summary = _run(tmp_path / str(case), broken.tobytes()).summary
        assert summary["topics"]["sensor_combined"]["used"] > 300
        assert summary["skipped"]


def test_every_value_flipped_is_survived(tmp_path: Path) -> None:
    """NaN, infinity and rubbish in the payloads of messages that are well-formed otherwise."""
    rng = np.random.default_rng(12)
    messages = []
    for raw in stretch(1_000_000, 4.0):
        body = bytearray(raw)
        if rng.random() < 0.3:
            at = int(rng.integers(13, len(body) - 4))
            values = (struct.pack("<f", np.nan), struct.pack("<f", np.inf), rng.bytes(4))
            body[at : at + 4] = values[int(rng.integers(3))]
        messages.append(bytes(body))
    summary = _run(tmp_path, ulog(messages)).summary
    rejected = summary["topics"]["sensor_combined"]["rejected"]
    assert sum(rejected.values()) > 50


def test_default_folder_is_named_after_time_and_file() -> None:
    folder = replay.default_out(Path("/somewhere/log_7.ulg"))
    assert folder.parent == Path("runs")
    assert folder.name.endswith("-log_7")


@pytest.mark.parametrize("scaled", [True, False], ids=["2017", "now"])
def test_truth_is_in_degrees_and_metres_whatever_px4_logged(tmp_path: Path, scaled: bool) -> None:
    place = (
        "int32_t lat;int32_t lon;int32_t alt;" if scaled else "double lat;double lon;float alt;"
    )
    formats = FORMATS | {
        "vehicle_local_position_groundtruth": "uint64_t timestamp;float x;float y;float z;",
        "vehicle_global_position_groundtruth": f"uint64_t timestamp;{place}",
    }
    packed = struct.Struct("<HQ3i" if scaled else "<HQ2df")
    values = (473977420, 85455937, 488104) if scaled else (47.3977420, 8.5455937, 488.104)
    truth = [
        part
        for t in range(1_000_000, 5_000_000, 100_000)
        for part in (
            message(b"D", struct.pack("<HQ3f", 2, t, 1.0, 2.0, -3.0)),
            message(b"D", packed.pack(3, t, *values)),
        )
    ]
    path = tmp_path / "log.ulg"
    path.write_bytes(head(formats=formats) + b"".join([*stretch(1_000_000, 4.0), *truth]))
    (vehicle,) = replay.read(path).vehicles
    assert vehicle.truth is not None
    assert vehicle.truth.geodetic is not None
    assert vehicle.truth.geodetic[0] == pytest.approx([47.3977420, 8.5455937, 488.104], abs=1e-4)


def test_an_old_log_says_by_parameters_where_the_antenna_is(tmp_path: Path) -> None:
    key = b"float EKF2_GPS_POS_Y"
    parameter = message(b"P", bytes([len(key)]) + key + struct.pack("<f", -0.25))
    file = tmp_path / "arm.ulg"
    rest = stretch(1_000_000, 4.0)
    for data, expected in ((ulog([parameter, *rest]), [0.0, -0.25, 0.0]), (ulog(rest), None)):
        file.write_bytes(data)
        (log,) = replay.read(file).vehicles
        fixes = [s for _, _, s in samples(log, Intake()) if isinstance(s, GnssFix)]
        assert fixes
        for fix in fixes:
            np.testing.assert_equal(fix.antenna_frd_m, expected)
