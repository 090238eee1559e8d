# SPDX-License-Identifier: Apache-2.0
"""Recordings of ROS 2 topics: decoded as by mcap-ros2-support, cut, damaged, without schema."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from made_logs import RECORDINGS
from made_logs import mcap as made
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from mcap_ros2.decoder import DecoderFactory

from airtwin_record import mcap
from airtwin_record.flight import Recording, Table, UnusableFlight, VehicleLog

SQUARE = RECORDINGS / "px4_1.18_sih_quad_offboard_square.mcap"


def _table(log: VehicleLog, source: str) -> Table:
    return next(table for table in log.tables if table.source == source)


def _imu(data: bytes) -> int:
    return len(_table(mcap.read(data).vehicles[0], "imu"))


def _skipped(recording: Recording) -> str:
    return "; ".join(s.what for s in recording.skips.items())


@pytest.mark.skipif(not SQUARE.exists(), reason=f"{SQUARE} is not there")
@pytest.mark.parametrize("source", ["gnss", "position", "flags", "status", "battery"])
def test_tables_equal_mcap_ros2_support(source: str) -> None:
    log = mcap.read(SQUARE.read_bytes()).vehicles[0]
    table = _table(log, source)
    with SQUARE.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        topics = {s: f"/fmu/out/{_table(log, s).topic}" for s in (source,)}
        names = [
            c.topic
            for c in reader.get_summary().channels.values()
            if c.topic.startswith(topics[source])
        ]
        messages = [m for _, _, _, m in reader.iter_decoded_messages(topics=names)]
    assert len(messages) == len(table)
    for name, column in table.columns.items():
        theirs = np.array([getattr(message, name) for message in messages])
        np.testing.assert_array_equal(column, theirs, err_msg=name)


def test_vehicles_by_namespace() -> None:
    data = made(vehicles=("", "/px4_1", "/fleet/px4_2"), seconds=1.0)
    assert [v.name for v in mcap.read(data).vehicles] == ["fleet_px4_2", "px4_0", "px4_1"]


def test_a_vehicle_without_imu_is_named() -> None:
    with pytest.raises(UnusableFlight, match="no IMU"):
        mcap.read(made(imu_too=False))


def test_messages_that_cannot_be_decoded_are_not_called_missing() -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.start(profile="ros2")
    schema = writer.register_schema("px4_msgs/msg/SensorCombined", "ros2msg", b"")
    channel = writer.register_channel("/fmu/out/sensor_combined", "cdr", schema)
    for step in range(50):
        writer.add_message(channel, (step + 1) * 4_000_000, b"\0\1\0\0", 0)
    writer.finish()
    with pytest.raises(UnusableFlight, match=r"px4_0: none of 50 can be used: .* \(50\)"):
        mcap.read(stream.getvalue())


def test_without_definitions_the_workspaces_own_are_used() -> None:
    with_text, without = mcap.read(made()), mcap.read(made(schema=False))
    for table in with_text.vehicles[0].tables:
        other = _table(without.vehicles[0], table.source)
        for name, column in table.columns.items():
            np.testing.assert_array_equal(other.columns[name], column)
    assert any("px4_msgs" in s.what for s in without.vehicles[0].skips.items())


@pytest.mark.parametrize("compression", list(CompressionType))
def test_cut_anywhere_keeps_whole_chunks(compression: CompressionType) -> None:
    whole = made(compression=compression)
    counts = []
    for length in range(len(whole), 200, -len(whole) // 40):
        try:
            counts.append(_imu(whole[:length]))
        except UnusableFlight:
            counts.append(0)
    assert counts[0] == 1000
    assert counts == sorted(counts, reverse=True)
    assert counts[len(counts) // 2] > 200


def test_no_mcap() -> None:
    with pytest.raises(UnusableFlight, match="not an MCAP"):
        mcap.read(b"\x89PNG\r\n")


@pytest.mark.parametrize("compression", list(CompressionType))
def test_flipped_bytes_never_raise_anything_else(compression: CompressionType) -> None:
    whole = np.frombuffer(made(compression=compression), dtype=np.uint8)
    rng = np.random.default_rng(8)
    usable = 0
    for _ in range(60):
        broken = whole.copy()
        places = rng.integers(8, len(whole), 5)
        broken[places] = rng.integers(0, 256, 5)
        try:
            recording = mcap.read(broken.tobytes())
        except UnusableFlight:
            continue
        usable += len(_table(recording.vehicles[0], "imu")) > 300
    assert usable > 30


def test_garbage_behind_the_end_is_never_read() -> None:
    assert _imu(made() + np.random.default_rng(9).bytes(5000)) == 1000


def test_a_damaged_chunk_is_named() -> None:
    data = bytearray(made())
    data[300] ^= 0xFF  # in the first chunk, which begins after the header
    recording = mcap.read(bytes(data))
    assert "damaged chunk" in _skipped(recording)
    assert 500 < len(_table(recording.vehicles[0], "imu")) < 1000


def test_messages_of_a_wrong_size_or_encoding_are_counted(tmp_path: Path) -> None:
    stream = io.BytesIO()
    from mcap.writer import Writer

    writer = Writer(stream)
    writer.start()
    with_imu = make_reader(io.BytesIO(made(seconds=1.0)))
    channels: dict[str, int] = {}
    for index, (schema, channel, message) in enumerate(with_imu.iter_messages()):
        if channel.topic not in channels:
            number = writer.register_schema(schema.name, schema.encoding, schema.data)
            channels[channel.topic] = writer.register_channel(channel.topic, "cdr", number)
        data = message.data
        if "sensor_combined" in channel.topic and index % 10 == 0:
            data = data[:-9] if index % 20 else b"\0\0" + data[2:]
        writer.add_message(channels[channel.topic], message.log_time, data, message.log_time)
    writer.finish()
    log = mcap.read(stream.getvalue()).vehicles[0]
    bad = log.rejected["imu"]
    assert bad[mcap.BAD_SIZE] > 5
    assert bad[mcap.BAD_ENCODING] > 5
    assert len(_table(log, "imu")) + bad[mcap.BAD_SIZE] + bad[mcap.BAD_ENCODING] == 250
