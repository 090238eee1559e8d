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
