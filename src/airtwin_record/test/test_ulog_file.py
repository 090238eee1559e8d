# SPDX-License-Identifier: Apache-2.0
"""The ULog container against pyulog, and damaged in every way that came to mind."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from made_logs import FORMATS, LOGS, gps, head, imu, message, stretch, ulog
from pyulog import ULog

from airtwin_record import ulog_file
from airtwin_record.flight import Skips, UnusableFlight

FILES = sorted(LOGS.glob("*.ulg"))
needs_logs = pytest.mark.skipif(not FILES, reason=f"no logs in {LOGS}")


def _read(data: bytes) -> tuple[list[ulog_file.UlogSection], str]:
    skips = Skips()
    sections = ulog_file.read(data, skips)
    return sections, "; ".join(f"{s.what}: {s.count}" for s in skips.items())


def _count(data: bytes) -> int:
    sections, _ = _read(data)
    topic = sections[0].topics.get(("sensor_combined", 0))
    return len(topic.records) if topic else 0


@needs_logs
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_tables_equal_pyulogs(path: Path) -> None:
    sections, _ = _read(path.read_bytes())
    topics = sections[0].topics
    theirs = ULog(str(path), disable_str_exceptions=True)
    assert {(d.name, d.multi_id) for d in theirs.data_list} == set(topics)
    damaged = "corrupt" in path.stem
    for data in theirs.data_list:
        ours = topics[data.name, data.multi_id]
        if damaged:
            # pyulog loses what follows the damage; the stamps it has are all among ours
            assert len(ours.records) >= len(data.data["timestamp"])
            continue
        for name, column in data.data.items():
            if "_padding" in name:
                continue
            if name in ours.records.dtype.names:
                mine = ours.records[name]
            else:
                base, _, index = name[:-1].rpartition("[")
                mine = ours.records[base][:, int(index)]
            if mine.dtype.kind == "b":
                column = column != 0
            np.testing.assert_array_equal(mine, column, err_msg=f"{data.name}.{name}")


def test_whole_file_skips_nothing() -> None:
    sections, skipped = _read(ulog())
    assert skipped == ""
    assert len(sections) == 1
    assert len(sections[0].topics["sensor_combined", 0].records) == 1000
    record = sections[0].topics["sensor_combined", 0].records[3]
    assert record["timestamp"] == 1_012_000
    np.testing.assert_array_equal(record["gyro_rad"], np.float32([0.001, -0.002, 0.0]))


@pytest.mark.parametrize("data", [b"", b"ULog", b"\0" * 64, b"not a log at all, but some text"])
def test_no_ulog(data: bytes) -> None:
    with pytest.raises(UnusableFlight):
        ulog_file.read(data, Skips())


def test_truncated_anywhere_keeps_what_is_before() -> None:
    whole = ulog(seconds=0.5)
    before = 0
    for length in range(16, len(whole), 7):
        sections, _ = _read(whole[:length])
        topic = sections[0].topics.get(("sensor_combined", 0))
        count = len(topic.records) if topic else 0
        assert count >= before
        before = count
    assert before >= 124


def test_garbage_at_the_end() -> None:
    whole = ulog()
    for garbage in (bytes(5000), np.random.default_rng(3).bytes(5000), b"\xff" * 77):
        assert _count(whole + garbage) == 1000


def test_zeros_at_the_end_are_called_so() -> None:
    _, skipped = _read(ulog() + bytes(100_000))
    assert "never written" in skipped


def test_garbage_in_the_middle_costs_what_it_covers() -> None:
    messages = stretch(1_000_000, 4.0)
    garbage = np.random.default_rng(4).bytes(313)
    data = head() + b"".join(messages[:500]) + garbage + b"".join(messages[500:])
    _, skipped = _read(data)
    assert _count(data) >= 995
    assert "no ULog message" in skipped


def test_an_unregistered_id_and_a_wrong_size_cost_one_message_each() -> None:
    messages = stretch(1_000_000, 4.0)
    unknown = message(b"D", struct.pack("<HQ", 999, 5) + bytes(20))
    short = message(b"D", struct.pack("<HQ", 0, 5))
    data = head() + b"".join(
        [*messages[:100], unknown, *messages[100:200], short, *messages[200:]]
    )
    _, skipped = _read(data)
    assert _count(data) == 1000
    assert skipped == "message of an unknown topic or of a wrong size: 2"


def test_a_definition_that_is_not_text_costs_its_topic_only() -> None:
    broken = message(b"F", b"thing:uint64_t timestamp;float \xff\xfe;")
    broken += message(b"A", struct.pack("<BH", 0, 7) + b"thing")
    data = head() + broken + b"".join(stretch(1_000_000, 1.0))
    _, skipped = _read(data)
    assert _count(data) == 250
    assert "definition" in skipped


@pytest.mark.parametrize(
    "fields",
    [
        "float[99999] x;uint64_t timestamp;",
        "thing x;uint64_t timestamp;",
        "other x;uint64_t timestamp;",
        "uint64_t timestamp",
        "float x;",
        "uint64_t timestamp;uint64_t timestamp;",
    ],
)
def test_definitions_that_cannot_be(fields: str) -> None:
    data = head(formats={**FORMATS, "thing": fields}) + b"".join(stretch(1_000_000, 0.4))
    assert _count(data) == 100


def test_appended_data_after_a_cut_message() -> None:
    first = b"".join(stretch(1_000_000, 1.0))[:-11]
    second = b"".join(stretch(2_000_000, 1.0))
    start = head()
    offset = len(start) + len(first)
    flags = bytes(8) + b"\x01" + bytes(7) + struct.pack("<3Q", offset, 0, 0)
    begin = len(b"ULog\x01\x12\x35\x01") + 8 + 3
    start = start[:begin] + flags + start[begin + 40 :]
    data = start + first + second
    _, skipped = _read(data)
    assert _count(data) == 499
    assert skipped == "message cut off where data were appended: 1"


def test_two_logs_in_one_file_are_two_sections() -> None:
    sections, skipped = _read(ulog(seconds=1.0) + ulog(seconds=2.0))
    assert [len(s.topics["sensor_combined", 0].records) for s in sections] == [250, 500]
    assert skipped == ""


def test_flipped_bytes_never_raise_and_cost_little() -> None:
    whole = np.frombuffer(ulog(), dtype=np.uint8)
    begin = len(head())
    rng = np.random.default_rng(5)
    for _ in range(60):
        broken = whole.copy()
        places = rng.integers(begin, len(whole), 10)
        broken[places] = rng.integers(0, 256, 10)
        assert _count(broken.tobytes()) >= 900


def test_flipped_bytes_in_the_definitions_never_raise() -> None:
    whole = np.frombuffer(ulog(seconds=0.2), dtype=np.uint8)
    rng = np.random.default_rng(6)
    for _ in range(400):
        broken = whole.copy()
        places = rng.integers(8, len(head()), 4)
        broken[places] = rng.integers(0, 256, 4)
        _read(broken.tobytes())


@pytest.mark.parametrize("garbage", [b"\xff" * 10, bytes(10), b"FFFFFFFFFF", b"\x08\x00D"])
def test_damage_between_definitions_costs_no_more_than_one(garbage: bytes) -> None:
    spare = [message(b"I", b"\x0cchar[4] nameabcd") for _ in range(6)]
    begin = len(b"ULog") + 12 + 43  # behind the flags
    whole = ulog()
    data = whole[:begin] + b"".join(spare[:3]) + garbage + b"".join(spare[3:]) + whole[begin:]
    assert _count(data) == 1000


def test_a_value_shorter_than_its_type_is_damage() -> None:
    begin = len(b"ULog") + 12 + 43
    whole = ulog()
    short = message(b"I", b"\x0fuint32_t ver_sw\x01")
    sections, skipped = _read(whole[:begin] + short + whole[begin:])
    assert len(sections[0].topics["sensor_combined", 0].records) == 1000
    assert "damaged message of type I" in skipped


def test_offsets_are_the_order_of_arrival() -> None:
    sections, _ = _read(head() + imu(1_000_000) + gps(900_000) + imu(1_004_000))
    imus = sections[0].topics["sensor_combined", 0].offsets
    fixes = sections[0].topics["vehicle_gps_position", 0].offsets
    assert imus[0] < fixes[0] < imus[1]
