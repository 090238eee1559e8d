# SPDX-License-Identifier: Apache-2.0
"""CDR bytes read back by rclpy, and the same bytes each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import px4_msgs.msg
import pytest
from airtwin_msgs import msg as wire_msgs
from rclpy.serialization import deserialize_message

from airtwin_core.types import (
    Check,
    ContextFactor,
    Deviation,
    Fusion,
    Health,
    Identification,
    Origin,
    Parameter,
    Report,
    SensorHealth,
    TwinState,
    Verdict,
    WindEstimate,
)
from airtwin_record import cdr_schema, wire
from airtwin_ros import convert, schemas


def _same(payload: bytes, message: Any) -> None:
    back = deserialize_message(payload, type(message))
    assert str(back) == str(message)


def _state(rng: np.random.Generator, causes: dict[str, int], origin: Origin | None) -> TwinState:
    fusions = tuple(
        Fusion(name, 5, causes, float(rng.normal()), size, rng.normal(size=size), 7_000)
        for size, name in enumerate(("a", "bb", "ccc", "gnss_position"))
    )
    return TwinState(
        2_000_000,
        3_000_000,
        *(rng.normal(size=n) for n in (3, 3, 4, 3, 3, 3, 3)),
        rng.normal(size=(15, 15)).astype(np.float32).astype(np.float64),
        origin,
        *(True, False, True, True, False),
        fusions,
    )


@pytest.mark.parametrize("notice", ["", "a", "lost: ä"])
@pytest.mark.parametrize("sources", [(), ("gnss",), ("gnss_position", "barometer", "a")])
@pytest.mark.parametrize("windy", ["", "now", "now and mean"])
def test_wind_health_and_notice(notice: str, sources: tuple[str, ...], windy: str) -> None:
    rng = np.random.default_rng(2)
    wind = WindEstimate(rng.normal(size=2), rng.normal(size=(2, 2)), True)
    if windy == "now and mean":
        wind = wind._replace(
            mean_ne_m_s=rng.normal(size=2), mean_covariance=rng.normal(size=(2, 2))
        )
    state = _state(rng, {"gate": 3}, None)._replace(
        wind=wind if windy else None,
        health=tuple(SensorHealth(name, Health.NOISY, 1.5) for name in sources),
        notice=notice,
    )
    _same(wire.twin_state(state, "px4_1"), convert.twin_state_msg(state, "px4_1"))


@pytest.mark.parametrize("why", ["", "a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_identification(why: str, count: int) -> None:
    one = Parameter("mass", "kg", 2.4, 0.02, 2.0, count % 2 == 0, why)
    found = Identification(2_000, 3_000, (one,) * count, count - 1)
    _same(wire.identification(found, "px4_1"), convert.identification_msg(found, "px4_1"))


@pytest.mark.parametrize("vehicle", ["", "p", "px4_1", "px4_10x"])
@pytest.mark.parametrize("causes", [{}, {"gate": 3}, {"gate": 3, "not finite": 7}])
@pytest.mark.parametrize("origin", [None, Origin(47.4, 8.5, 488.0)])
def test_twin_state(vehicle: str, causes: dict[str, int], origin: Origin | None) -> None:
    state = _state(np.random.default_rng(1), causes, origin)
    payload = wire.twin_state(state, vehicle)
    assert payload == wire.twin_state(state, vehicle)
    _same(payload, convert.twin_state_msg(state, vehicle))


def _deviation(end_ns: int | None) -> Deviation:
    return Deviation(
        "CON-POS-1/1", "position", "CON-POS-1", 5_000, end_ns, "GNSS drift", 2.5, 1.0, "13 m apart"
    )


@pytest.mark.parametrize("text", ["", "a", "ab", "abc", "abcd"])
def test_report(text: str) -> None:
    factor = ContextFactor("position", "physical", 4_000, np.arange(3.0), np.ones(3), "m", text)
    report = Report(
        9_000,
        Verdict.INCONSISTENT,
        (Check("CON-POS-1", "position", 2.5, 1.0, Verdict.INCONSISTENT, text),) * 2,
        (factor, ContextFactor("mode", "virtual", 0, np.zeros(0), np.zeros(0), "", text)),
        (_deviation(None), _deviation(6_000)),
    )
    payload = wire.report(report, "px4_1", now_ns=10_000)
    _same(payload, convert.report_msg(report, "px4_1", now_ns=10_000))


@pytest.mark.parametrize("end_ns", [None, 6_000])
def test_deviation(end_ns: int | None) -> None:
    payload = wire.deviation(_deviation(end_ns), "px4_1")
    _same(payload, convert.deviation_msg(_deviation(end_ns), "px4_1"))


@pytest.mark.parametrize("name", ["VehicleLocalPosition", "SensorGps", "VehicleOdometry"])
def test_definitions_as_text_give_rosidls_fields(name: str) -> None:
    message = getattr(px4_msgs.msg, name)
    parsed = cdr_schema.parse(name, schemas.text(message))
    ours = parsed.get_fields_and_field_types()
    theirs = message.get_fields_and_field_types()
    assert list(ours) == list(theirs)
    assert ours == theirs


def test_definitions_of_messages_in_messages() -> None:
    text = schemas.text(wire_msgs.ConsistencyReport)
    fields = cdr_schema.parse("ConsistencyReport", text).get_fields_and_field_types()
    assert fields["checks"] == "Check[]"
    assert fields["vehicle"] == "string"
    assert "requirement" not in fields
