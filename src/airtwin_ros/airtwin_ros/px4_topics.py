# SPDX-License-Identifier: Apache-2.0
"""Subscribes a node to PX4's topics: converted, time checked, counted.

A sample's time of arrival is when the middleware got it, not when the node came to read it: on a
machine that is too busy that is up to seconds later, and looks like a clock that moved.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

import px4_msgs.msg
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.subscription import Subscription

from airtwin_core.intake import Intake
from airtwin_core.types import Sample
from airtwin_ros import px4, qos

# rclpy's executor waits on each event handler by itself; a best-effort reader matches any writer,
# so the default one ("incompatible QoS") could never fire.
_NO_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)


def vehicle_name(node: Node) -> str:
    """Return the aircraft of the node's namespace: "/px4_1" is px4_1, "/" is px4_0."""
    return node.get_namespace().strip("/") or "px4_0"


def subscribe(
    node: Node,
    intake: Intake,
    sources: Iterable[str],
    callback: Callable[[str, Sample], None],
    *,
    prefix: str = "",
) -> list[Subscription]:
    """Subscribe ``node`` to the topics of ``sources`` (names of ``px4.READERS``) of its vehicle.

    ``prefix``: for a node above several vehicles, where the topics are ("/px4_1/", or "/").
    ``callback(source, sample)`` gets what ``intake`` admits; what it or ``px4`` refuses is counted
    in ``intake.counts``.
    """
    return [_subscribe(node, intake, px4.reader(source), callback, prefix) for source in sources]


def _subscribe(
    node: Node,
    intake: Intake,
    reader: px4.Reader,
    callback: Callable[[str, Sample], None],
    prefix: str,
) -> Subscription:
    clock = node.get_clock()

    def on_message(msg: Any, info: Any) -> None:
        now_ns = clock.now().nanoseconds
        if info is not None and not clock.ros_time_is_active:
            now_ns -= waited_ns(info, time.time_ns())
        try:
            sample = reader.convert(msg, now_ns)
        except px4.BadMessage as error:
            intake.reject(reader.source, error.cause)
            node.get_logger().warning(
                f"{reader.topic} rejected: {error}", throttle_duration_sec=1.0
            )
            return
        if intake.admit(reader.source, sample):
            callback(reader.source, sample)

    message = getattr(px4_msgs.msg, reader.message)
    topic = prefix + px4.topic(reader.topic, message)
    # rclpy of Humble gives a callback the message only
    tells = hasattr(Subscription, "CallbackType")
    callback_ = on_message if tells else functools.partial(on_message, info=None)
    return node.create_subscription(
        message, topic, callback_, qos.PX4_OUT, event_callbacks=_NO_EVENTS
    )


def waited_ns(info: Any, now_ns: int) -> int:
    """Return how long [ns] a message waited to be read; 0 where the middleware does not say.

    info: rclpy's, by key in Jazzy, by attribute in others. Both times are of the wall clock.
    """
    told = info["received_timestamp"] if isinstance(info, dict) else info.received_timestamp
    return max(now_ns - int(told), 0) if told else 0
