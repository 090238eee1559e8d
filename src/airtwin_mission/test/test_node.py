# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - without ROS 2 the imports below must not be reached
"""The shell over real ROS 2: which publishers exist in which mode, and what twin mode sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")
wire = pytest.importorskip("airtwin_msgs.msg")

import yaml
from fake_px4 import FakePx4
from rclpy.context import Context
from rclpy.parameter import Parameter

from airtwin_core.types import Phase
from airtwin_mission.node import MissionNode, MissionParams

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "config" / "missions" / "demo_px4_1.plan"


@pytest.fixture(name="context")
def _context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context, domain_id=93)
    yield context
    rclpy.shutdown(context=context)


def make(context: Context, **values: object) -> MissionNode:
    values = {"mission": str(DEMO), **values}
    return MissionNode(
        namespace="px4_1",
        context=context,
        use_global_arguments=False,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )


def topics(node: MissionNode) -> set[str]:
    found = node.get_publisher_names_and_types_by_node("mission", "/px4_1")
    return {name for name, _ in found}


@pytest.mark.parametrize("mode", ["model", "shadow"])
def test_no_publisher_on_fmu_in_exists(context: Context, mode: str) -> None:
    node = make(context, mode=mode)
    assert "/px4_1/mission/belief" in topics(node)
    assert not [t for t in topics(node) if "fmu/in" in t]
    node.destroy_node()


def test_shadow_is_the_default(context: Context) -> None:
    assert MissionParams(mission="m").mode == "shadow"
    node = make(context)
    assert not [t for t in topics(node) if "fmu/in" in t]
    node.destroy_node()


def test_twin_mode_flies(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's own timer callback, driven by a clock that the test turns; no DDS in the loop."""
    node = make(context, mode="twin", arming=True)
    assert {t for t in topics(node) if "fmu/in" in t} == {
        "/px4_1/fmu/in/vehicle_command",
        "/px4_1/fmu/in/offboard_control_mode",
        "/px4_1/fmu/in/trajectory_setpoint",
    }
    node.destroy_timer(node._timer)
    px4 = FakePx4()
    sent: list = []
    beliefs: list = []
    monkeypatch.setattr(node._commands, "publish", sent.append)
    monkeypatch.setattr(node._belief, "publish", beliefs.append)
    monkeypatch.setattr(node._heartbeats, "publish", lambda msg: None)
    outputs: list = []
    monkeypatch.setattr(node, "_send", _both(node._send, outputs))

    class Clock:
        def now(self) -> Clock:
            return self

        nanoseconds = property(lambda self: px4.now_ns)

    monkeypatch.setattr(node, "get_clock", Clock)
    for _ in range(20 * 120):
        outputs.clear()
        node._on_timer()
        for sample in px4.step(tuple(outputs)):
            node._on_sample("", sample)
        if beliefs[-1].phase == Phase.DONE.value:
            break
    assert beliefs[-1].phase == "done"
    assert [m.command for m in sent] == [176, 400, 21]
    assert {m.target_system for m in sent} == {2}
    assert all(m.from_external for m in sent)
    node.destroy_node()


def test_an_advisory_of_another_version_holds(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(context, mode="twin")
    heard: list = []
    monkeypatch.setattr(node._flight, "on", heard.append)
    node._on_advisory(wire.Advisory(vehicle="px4_2", action=9))
    assert heard == []
    node._on_advisory(wire.Advisory(vehicle="px4_1", action=9))
    assert [(a.vehicle, a.action.name) for a in heard] == [("px4_1", "HOLD")]
    node._on_report(wire.ConsistencyReport(verdict=9))
    assert len(heard) == 1
    assert node._intake.counts["advisory"] == {"unreadable": 1}
    assert node._intake.counts["report"] == {"unreadable": 1}
    node.destroy_node()


def _both(send, outputs: list):
    def wrapped(output: object, now_ns: int) -> None:
        outputs.append(output)
        send(output, now_ns)

    return wrapped


def test_bad_parameters_are_named(context: Context) -> None:
    with pytest.raises(ValueError, match="mode is 'pilot'"):
        make(context, mode="pilot")
    with pytest.raises(ValueError, match="hears nobody"):
        make(context, mode="model", monitor_required=True)
    with pytest.raises(ValueError, match="No such file"):
        make(context, mission="none.plan")


def test_config_names_only_parameters_that_exist() -> None:
    document = yaml.safe_load((ROOT / "config" / "mission.yaml").read_text())
    values = document["/**/mission"]["ros__parameters"]
    fields = set(MissionParams.__dataclass_fields__)
    assert set(values) == fields - {"mission"}
    for name, value in values.items():
        default = MissionParams.__dataclass_fields__[name].default
        if name != "arming":
            assert value == (list(default) if isinstance(default, tuple) else default), name
