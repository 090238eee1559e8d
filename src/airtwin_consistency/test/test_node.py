# SPDX-License-Identifier: Apache-2.0
"""The shell: judges what it hears, and has no way to command anything."""

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("airtwin_msgs")


@pytest.fixture
def context():
    own = rclpy.context.Context()
    rclpy.init(context=own, domain_id=87)
    yield own
    rclpy.shutdown(context=own)


def test_it_reports_without_samples_and_publishes_nothing_but_verdicts(context):
    from airtwin_msgs.msg import Check, ConsistencyReport
    from rclpy.executors import SingleThreadedExecutor

    from airtwin_consistency.node import ConsistencyNode
    from airtwin_ros import qos

    node = ConsistencyNode(context=context, namespace="/px4_3")
    ear = rclpy.create_node("ear", context=context)
    heard = []
    ear.create_subscription(
        ConsistencyReport, "/px4_3/consistency/report", heard.append, qos.RELIABLE
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.add_node(ear)
    for _ in range(400):  # each turn waits for an event, at most 0.1 s
        executor.spin_once(timeout_sec=0.1)
        if heard:
            break
    published = {
        name
        for name, _ in node.get_publisher_names_and_types_by_node("consistency", "/px4_3")
        if name.startswith("/px4_3/")
    }
    executor.shutdown()
    node.destroy_node()
    ear.destroy_node()
    assert heard[0].vehicle == "px4_3"
    assert heard[0].verdict == Check.VERDICT_UNKNOWN
    assert published == {"/px4_3/consistency/report", "/px4_3/consistency/event"}


def test_a_vehicle_whose_clock_restarts_begins_anew(context):
    from airtwin_consistency.node import ConsistencyNode
    from airtwin_core.types import LandDetected

    node = ConsistencyNode(context=context, namespace="/px4_4")
    try:
        old, new = 1_000_000_000_000, 5_000_000_000
        node._on_sample("land_detected", LandDetected(old, old, False, False, False, False))
        assert node._monitor._seen.landed.stamp_ns == old
        node._intake.epoch += 1  # what the intake does once it believes the new clock
        received = old + 1_000_000_000
        for i in range(2):  # only once, not with every sample of the new clock
            sample = LandDetected(new + i, received + i, True, True, True, False)
            node._on_sample("land_detected", sample)
            assert node._monitor._seen.resumed_ns == received
    finally:
        node.destroy_node()
