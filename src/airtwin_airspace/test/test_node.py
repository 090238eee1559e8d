# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS: tracks in, advisories and diagnostics out; bad zones stop it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("airtwin_msgs.msg")

from airtwin_msgs.msg import Advisory, MissionBelief, SensorFusion, TwinState  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import NavSatFix  # noqa: E402

from airtwin_airspace.config import AirspaceConfig  # noqa: E402
from airtwin_airspace.node import AirspaceNode  # noqa: E402
from airtwin_airspace.point_mass import ORIGIN, twin_state  # noqa: E402
from airtwin_airspace.zone_files import BadZoneFile  # noqa: E402
from airtwin_ros import convert, qos  # noqa: E402

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "config" / "airspace").is_dir())
LIMIT_NS = 20_000_000_000


class Bench:
    """The node, a probe beside it, and what the probe heard."""

    def __init__(self, context: Context) -> None:
        self.options = {"context": context, "use_global_arguments": False}
        self.node = self.start(vehicles=["px4_0", "px4_2"], zones="")
        self.probe = Node("probe", **self.options)
        self.states = {
            vehicle: self.probe.create_publisher(TwinState, topic, qos.STATE)
            for vehicle, topic in (("px4_0", "/twin/state"), ("px4_2", "/px4_2/twin/state"))
        }
        self.advisories: list[Advisory] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.origins: list[NavSatFix] = []
        for kind, topic, heard, profile in (
            (Advisory, "/airspace/advisory", self.advisories, qos.EVENT),
            (DiagnosticArray, "/diagnostics", self.diagnostics, qos.RELIABLE),
            (NavSatFix, "/airspace/origin", self.origins, qos.EVENT),
        ):
            self.probe.create_subscription(kind, topic, heard.append, profile)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.probe)

    def start(self, **values: Any) -> AirspaceNode:
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        return AirspaceNode(parameter_overrides=overrides, **self.options)

    def run(self, each: Callable[[int], None], until: Callable[[], bool]) -> None:
        end_ns = self.now_ns() + LIMIT_NS
        while not until():
            assert self.now_ns() < end_ns, "it did not come"
            each(self.now_ns())
            self.executor.spin_once(timeout_sec=0.02)

    def now_ns(self) -> int:
        return int(self.probe.get_clock().now().nanoseconds)

    def say(self, vehicle: str, now_ns: int, position: Any, velocity: Any) -> None:
        state = twin_state(np.array(position, float), np.array(velocity, float), now_ns)
        self.states[vehicle].publish(convert.twin_state_msg(state, vehicle))

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.probe.destroy_node()


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context()
    # a domain of its own: nothing else that runs on this machine is heard
    rclpy.init(context=made, domain_id=88)
    yield made
    made.try_shutdown()


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    made = Bench(context)
    yield made
    made.close()


def test_two_head_on_get_advisories_and_a_late_listener_hears_them(
    bench: Bench, context: Context
) -> None:
    def each(now_ns: int) -> None:
        bench.say("px4_0", now_ns, (0, 0, -20), (5, 0, 0))
        bench.say("px4_2", now_ns, (60, 10, -20), (-5, 0, 0))

    def held() -> bool:
        return Advisory.HOLD in {advisory.action for advisory in bench.advisories}

    bench.run(each, held)
    hold = next(a for a in bench.advisories if a.action == Advisory.HOLD)
    assert hold.kind == "traffic"
    assert {hold.vehicle, hold.other} == {"px4_0", "px4_2"}
    assert 0.0 < hold.time_to_s < 12.0
    assert hold.distance_m == pytest.approx(10.0, abs=1.0)
    late = Node("late", **bench.options)
    heard: list[Advisory] = []
    late.create_subscription(Advisory, "/airspace/advisory", heard.append, qos.EVENT)
    bench.executor.add_node(late)
    bench.run(each, lambda: len(heard) >= len(bench.advisories) > 0)
    late.destroy_node()
    # without a parameter, the map's zero is that of the first track
    assert bench.origins[0].latitude == pytest.approx(ORIGIN.latitude_deg)


def test_rubbish_is_counted_in_the_diagnostics(bench: Bench) -> None:
    def each(now_ns: int) -> None:
        bench.say("px4_0", now_ns, (0, 0, -20), (0, 0, 0))
        bench.say("px4_2", now_ns, (math.nan, 0, -20), (0, 0, 0))

    def counted() -> bool:
        return any(
            value.key == "px4_2/track/position or velocity not finite" and int(value.value) > 2
            for array in bench.diagnostics
            for value in array.status[0].values
        )

    bench.run(each, counted)
    status = bench.diagnostics[-1].status[0]
    assert status.name == "/airspace"
    assert status.level == DiagnosticStatus.WARN
    assert "px4_2: no track yet (position or velocity not finite)" in status.message
    assert {advisory.vehicle for advisory in bench.advisories} == {"px4_0"}


def test_messages_of_another_version_are_counted_and_crash_nothing(bench: Bench) -> None:
    beliefs = bench.probe.create_publisher(MissionBelief, "/px4_2/mission/belief", qos.RELIABLE)

    def each(now_ns: int) -> None:
        bench.say("px4_0", now_ns, (0, 0, -20), (0, 0, 0))
        state = twin_state(np.array([0.0, 0.0, -20.0]), np.zeros(3), now_ns)
        msg = convert.twin_state_msg(state, "px4_2")
        msg.fusions = [SensorFusion(source="gnss", cause=["too old"], rejected=[])]
        bench.states["px4_2"].publish(msg)
        beliefs.publish(MissionBelief(phase="gliding"))

    def counted() -> bool:
        counts = {
            value.key: int(value.value)
            for array in bench.diagnostics
            for value in array.status[0].values
        }
        return (
            counts.get("px4_2/state/message not understood", 0) > 2
            and counts.get("px4_2/belief/phase not known", 0) > 2
        )

    bench.run(each, counted)
    assert {advisory.vehicle for advisory in bench.advisories} == {"px4_0"}


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "No such file"), ("{", "not JSON"), ('{"features": [{}]}', "it has no geometry")],
)
def test_a_manager_without_its_zones_does_not_start(
    context: Context, tmp_path: Path, text: str | None, says: str
) -> None:
    path = tmp_path / "zones.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadZoneFile, match=says) as refusal:
        AirspaceNode(
            parameter_overrides=[Parameter("zones", value=str(path))],
            context=context,
            use_global_arguments=False,
        )
    assert str(path) in str(refusal.value)


def test_half_an_origin_is_refused() -> None:
    with pytest.raises(ValueError, match="all three"):
        AirspaceConfig(origin_latitude_deg=47.0)
    whole = AirspaceConfig(
        origin_latitude_deg=47.0, origin_longitude_deg=8.0, origin_altitude_amsl_m=400.0
    )
    assert whole.origin is not None
    assert whole.reference.ground_amsl_m is None
    assert whole.limits.horizontal_m == whole.horizontal_m
