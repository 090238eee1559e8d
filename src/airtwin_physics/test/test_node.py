# SPDX-License-Identifier: Apache-2.0
"""The node gives odometry, dies, and is started anew: in its own context, nothing over the air."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("airtwin_msgs.msg")

from rclpy.context import Context  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from airtwin_core.types import Imu, Origin, Report, TwinState, Verdict  # noqa: E402
from airtwin_physics.external_odometry import ExternalOdometry, OdometryLimits  # noqa: E402
from airtwin_physics.node import PhysicsNode  # noqa: E402
from airtwin_ros import convert  # noqa: E402

import simulate  # isort: skip  # noqa: E402

DOMAIN = 137


@pytest.fixture
def context() -> Iterator[Context]:
    own = Context()
    rclpy.init(context=own, domain_id=DOMAIN)
    yield own
    rclpy.shutdown(context=own)


def _node(context: Context, folder: Path) -> PhysicsNode:
    values = {
        "mode": "twin",
        "publish_external_odometry": True,
        "frame_folder": str(folder),
    }
    node = PhysicsNode(
        namespace="px4_7",
        context=context,
        use_global_arguments=False,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    # samples come faster than the wall clock runs: nothing may wait for it
    node._odometry = ExternalOdometry(OdometryLimits(clear_s=0.0, monitor_silent_s=1e6))
    report = Report(simulate.START_NS, Verdict.CONSISTENT, (), ())
    node._on_report(convert.report_msg(report, "px4_7", now_ns=simulate.START_NS))
    return node


def _fly(node: PhysicsNode, flight: simulate.Flight, from_s: float, to_s: float) -> TwinState:
    """Feed a part of a flight; return the last state."""
    begin, end = (simulate.START_NS + int(t * 1e9) for t in (from_s, to_s))
    for sample in flight.samples:
        if begin <= sample.received_ns < end:
            node._on_sample("any", sample)
    assert node._newest is not None
    return node._newest


def test_a_node_started_anew_counts_from_where_the_one_before_did(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flight = simulate.fly(np.random.default_rng(9), 26.0)
    first = _node(context, tmp_path)
    said: list[str] = []
    monkeypatch.setattr(first, "_audit", said.append)
    before = _fly(first, flight, 0.0, 11.0)
    assert said[-1] == ""  # odometry is sent, and said to be
    assert all(a != b for a, b in itertools.pairwise(said))  # only where it changes
    assert first._odometry is not None
    assert first._odometry.withheld == ""
    first.destroy_node()
    second = _node(context, tmp_path)
    after = _fly(second, flight, 14.0, 26.0)
    assert isinstance(before.origin, Origin)
    assert after.origin == before.origin
    truth = flight.position[flight.index(after.stamp_ns)]
    was = before.position_ned_m - flight.position[flight.index(before.stamp_ns)]
    np.testing.assert_allclose(after.position_ned_m - truth, was, atol=2.0)
    second.destroy_node()


def test_another_folder_knows_nothing(context: Context, tmp_path: Path) -> None:
    flight = simulate.fly(np.random.default_rng(9), 26.0)
    first = _node(context, tmp_path / "a")
    before = _fly(first, flight, 0.0, 11.0)
    first.destroy_node()
    second = _node(context, tmp_path / "b")
    after = _fly(second, flight, 14.0, 26.0)
    assert after.origin is not None
    assert after.origin != before.origin
    second.destroy_node()


def test_a_node_that_does_not_keep_up_says_so_in_its_state(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flight = simulate.fly(np.random.default_rng(9), 26.0)
    node = _node(context, tmp_path)
    read: list[int] = []
    monkeypatch.setattr(node._pace, "on", lambda imu, now_ns: read.append(now_ns - imu.stamp_ns))
    assert _fly(node, flight, 0.0, 2.0).notice == ""
    node._pace.said = "this machine is too slow"
    assert _fly(node, flight, 2.0, 3.0).notice == "this machine is too slow"
    assert node._said()[0].startswith("this machine is too slow")  # /diagnostics
    imus = sum(isinstance(s, Imu) for s in flight.samples if s.received_ns < _at_ns(3.0))
    assert len(read) == imus
    node.destroy_node()


def _at_ns(seconds: float) -> int:
    return simulate.START_NS + int(seconds * 1e9)
