# SPDX-License-Identifier: Apache-2.0
"""RViz's file against the nodes: what it shows is published, and reaches it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("airtwin_msgs.msg")

from airtwin_msgs.msg import TwinState as TwinStateMsg  # noqa: E402
from nav_msgs.msg import Path as PathMsg  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from airtwin_airspace.node import AirspaceNode  # noqa: E402
from airtwin_console.node import ConsoleNode  # noqa: E402
from airtwin_core.types import Origin, TwinState  # noqa: E402
from airtwin_ros import convert, qos  # noqa: E402

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "config" / "rviz").is_dir())
RVIZ = yaml.safe_load((ROOT / "config" / "rviz" / "airtwin.rviz").read_text())
VEHICLES = ("px4_1", "px4_2", "px4_3")
TYPES = {"MarkerArray": "visualization_msgs/msg/MarkerArray", "Path": "nav_msgs/msg/Path"}


def displays() -> list[dict[str, Any]]:
    return list(RVIZ["Visualization Manager"]["Displays"])


@pytest.fixture
def nodes() -> Iterator[tuple[Context, tuple[Node, ...]]]:
    context = Context()
    # a domain of its own: nothing else that runs on this machine is seen
    rclpy.init(context=context, domain_id=87)
    vehicles = Parameter("vehicles", value=list(VEHICLES))
    zones = Parameter("zones", value=str(ROOT / "config" / "airspace" / "demo_zones.json"))
    options = {"context": context, "use_global_arguments": False}
    made = (
        AirspaceNode(parameter_overrides=[vehicles, zones], **options),
        ConsoleNode(parameter_overrides=[vehicles], **options),
    )
    yield context, made
    for node in made:
        node.destroy_node()
    context.try_shutdown()


def test_every_topic_is_published_with_its_type_and_durability(
    nodes: tuple[Context, tuple[Node, ...]],
) -> None:
    _, made = nodes
    published = {publisher.topic_name: publisher for node in made for publisher in node.publishers}
    shown = [display for display in displays() if "Topic" in display]
    assert len(shown) == 2 + len(VEHICLES)
    for display in shown:
        wanted = display["Topic"]
        publisher = published[wanted["Value"]]
        kind = f"{publisher.msg_type.__module__.split('.')[0]}/msg/{publisher.msg_type.__name__}"
        assert kind == TYPES[display["Class"].split("/")[1]]
        profile = publisher.qos_profile
        assert profile.reliability == ReliabilityPolicy.RELIABLE
        latched = wanted["Durability Policy"] == "Transient Local"
        assert latched == (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)
    assert "/tf" in published
    assert {"rviz_default_plugins/TF", "rviz_default_plugins/Path"} <= {
        display["Class"] for display in displays()
    }
    assert RVIZ["Visualization Manager"]["Global Options"]["Fixed Frame"] == "map"


def test_a_twin_state_reaches_the_picture(nodes: tuple[Context, tuple[Node, ...]]) -> None:
    """A known place goes in over DDS; transforms, path, markers and zones come out in ENU."""
    context, made = nodes
    probe = Node("probe", context=context, use_global_arguments=False)
    got: dict[str, Any] = {}
    for topic, kind, profile in (
        ("/tf", TFMessage, qos.RELIABLE),
        ("/px4_2/twin/path", PathMsg, qos.RELIABLE),
        ("/console/markers", MarkerArray, qos.RELIABLE),
        ("/airspace/markers", MarkerArray, qos.EVENT),
    ):
        probe.create_subscription(
            kind, topic, lambda msg, topic=topic: got.__setitem__(topic, msg), profile
        )
    states = probe.create_publisher(TwinStateMsg, "/px4_2/twin/state", qos.STATE)
    executor = SingleThreadedExecutor(context=context)
    for node in (*made, probe):
        executor.add_node(node)
    end = probe.get_clock().now().nanoseconds + 20_000_000_000
    while len(got) < 4:
        now_ns = probe.get_clock().now().nanoseconds
        assert now_ns < end, f"only {sorted(got)} came"
        states.publish(convert.twin_state_msg(_state(now_ns), "px4_2"))
        executor.spin_once(timeout_sec=0.02)
    executor.shutdown()
    probe.destroy_node()
    frames = {t.child_frame_id: t for t in got["/tf"].transforms}
    assert set(frames) == {"px4_2/odom", "px4_2/base_link"}
    base = frames["px4_2/base_link"]
    assert base.header.frame_id == "px4_2/odom"
    place = base.transform.translation
    assert (place.x, place.y, place.z) == (20.0, 10.0, 30.0)
    # heading east: FLU and ENU are the same
    assert abs(base.transform.rotation.w) == pytest.approx(1.0)
    last = got["/px4_2/twin/path"].poses[-1].pose.position
    assert (last.x, last.y, last.z) == (20.0, 10.0, 30.0)
    assert {marker.ns for marker in got["/console/markers"].markers} == {"px4_2"}
    assert len(got["/airspace/markers"].markers) == 3 * 3  # the zone without restriction is none
    assert {m.header.frame_id for m in got["/airspace/markers"].markers} == {"map"}


def _state(now_ns: int) -> TwinState:
    half = math.sqrt(0.5)
    return TwinState(
        stamp_ns=now_ns,
        received_ns=now_ns,
        position_ned_m=np.array([10.0, 20.0, -30.0]),
        velocity_ned_m_s=np.zeros(3),
        q_ned_frd=np.array([half, 0.0, 0.0, half]),
        rate_frd_rad_s=np.zeros(3),
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=np.eye(15) * 0.01,
        origin=Origin(47.3977419, 8.5455938, 488.0),
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )
