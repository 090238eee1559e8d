# SPDX-License-Identifier: Apache-2.0
"""``ros2 run`` entry of every node: one process, one node, a clean end on Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


def main(create: Callable[[], Node]) -> None:
    """Spin the node that ``create`` makes until the context shuts down."""
    rclpy.init()
    node = create()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
