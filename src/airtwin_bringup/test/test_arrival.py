# SPDX-License-Identifier: Apache-2.0
"""A busy node reads late what came in time: samples are as old as they are, not as read."""

import threading
import time
from types import SimpleNamespace

import rclpy
from px4_msgs.msg import SensorCombined
from rclpy.context import Context
from rclpy.node import Node

from airtwin_bringup.in_process import InProcess
from airtwin_core.intake import Intake
from airtwin_ros import px4_topics, qos

DOMAIN = 138
BUSY_S = 0.5
PATIENCE_S = 30.0


def test_a_sample_arrived_when_the_middleware_got_it():
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = Node("busy", context=context, use_global_arguments=False)
    samples = []
    px4_topics.subscribe(node, Intake(), ["imu"], lambda _, sample: samples.append(sample))
    writer = node.create_publisher(SensorCombined, "fmu/out/sensor_combined", qos.PX4_OUT_WRITER)
    try:
        with InProcess((), context) as nodes:
            nodes.add(node)
            deadline = time.monotonic() + PATIENCE_S
            while not (
                node.count_subscribers(writer.topic_name) and writer.get_subscription_count()
            ):
                assert time.monotonic() < deadline, "not discovered"
                nodes.spin_once(0.05)
            sent_ns = time.time_ns()
            for k in range(20):
                stamp_us = sent_ns // 1000 + 4000 * k
                writer.publish(
                    SensorCombined(
                        timestamp=stamp_us, gyro_integral_dt=4000, accelerometer_integral_dt=4000
                    )
                )
            threading.Event().wait(BUSY_S)  # the node is busy: that is what is tested
            read_ns = time.time_ns()
            while len(samples) < 20:
                assert time.monotonic() < deadline, f"only {len(samples)} came"
                nodes.spin_once(0.05)
    finally:
        node.destroy_node()
        context.try_shutdown()
    # the first is taken by rclpy's executor, the others by the runner's own loop
    for sample in samples:
        assert sent_ns <= sample.received_ns < read_ns - 0.5e9 * BUSY_S


def test_a_middleware_that_does_not_tell_is_taken_for_prompt():
    assert px4_topics.waited_ns({"received_timestamp": 0}, 10) == 0
    assert px4_topics.waited_ns({"received_timestamp": 4}, 10) == 6
    assert px4_topics.waited_ns(SimpleNamespace(received_timestamp=4), 10) == 6
    assert px4_topics.waited_ns({"received_timestamp": 14}, 10) == 0
