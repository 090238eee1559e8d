# SPDX-License-Identifier: Apache-2.0
"""CDR records against rclpy's own serialisation, for every message of PX4 that AirTwin uses."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

px4_msgs = pytest.importorskip("px4_msgs.msg")
serialization = pytest.importorskip("rclpy.serialization")

from airtwin_ros import cdr  # noqa: E402

MESSAGES = [m for _, m in inspect.getmembers(px4_msgs, inspect.isclass)]


def _random_message(message: Any, rng: np.random.Generator) -> Any:
    msg = message()
    for name in message.get_fields_and_field_types():
        now = getattr(msg, name)
        if isinstance(now, bool):
            setattr(msg, name, bool(rng.integers(2)))
        elif isinstance(now, int):
            setattr(msg, name, int(rng.integers(0, 120)))
        elif isinstance(now, float):
            setattr(msg, name, float(np.float32(rng.normal())))
        elif isinstance(now, list):
            setattr(msg, name, [_random_message(type(held), rng) for held in now])
        elif now.dtype.kind == "f":
            setattr(msg, name, rng.normal(size=now.shape).astype(now.dtype))
        else:
            setattr(msg, name, rng.integers(0, 100, size=now.shape).astype(now.dtype))
    return msg


def _flat(msg: Any, prefix: str = "") -> dict[str, Any]:
    """Fields by the names that ``cdr`` gives them."""
    found = {}
    for name in msg.get_fields_and_field_types():
        value = getattr(msg, name)
        if isinstance(value, list):
            for i, held in enumerate(value):
                found |= _flat(held, f"{prefix}{name}[{i}].")
        else:
            found[prefix + name] = value
    return found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__name__)
def test_a_record_is_what_rclpy_would_have_sent(message: Any) -> None:
    rng = np.random.default_rng(7)
    expected = _random_message(message, rng)
    rows = cdr.table(message, 3)
    for name, value in _flat(expected).items():
        rows[name][1] = value
    got = serialization.deserialize_message(cdr.payloads(rows)[1], message)
    assert got == expected
    # behind an array of messages rclpy leaves the last padding out
    assert 0 <= len(cdr.payloads(rows)[1]) - len(serialization.serialize_message(expected)) < 4


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__name__)
def test_a_raw_message_reads_back(message: Any) -> None:
    expected = _random_message(message, np.random.default_rng(8))
    got = cdr.record(message, serialization.serialize_message(expected))
    for name, value in _flat(expected).items():
        np.testing.assert_array_equal(getattr(got, name), value)


def test_a_message_of_another_release_is_refused() -> None:
    payload = serialization.serialize_message(px4_msgs.VehicleAttitude())
    with pytest.raises(ValueError, match="are no VehicleStatus"):
        cdr.record(px4_msgs.VehicleStatus, payload)
    with pytest.raises(ValueError, match="encapsulation"):
        cdr.record(px4_msgs.VehicleAttitude, b"\x00\x00" + payload[2:])


def test_a_message_without_fixed_size_is_refused() -> None:
    std = pytest.importorskip("builtin_interfaces.msg")
    assert cdr.layout(std.Time).itemsize == 12
    sensor_fusion = pytest.importorskip("airtwin_msgs.msg").SensorFusion
    with pytest.raises(ValueError, match="no fixed size"):
        cdr.layout(sensor_fusion)
