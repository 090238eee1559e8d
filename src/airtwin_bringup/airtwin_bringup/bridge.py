# SPDX-License-Identifier: Apache-2.0
"""Listens to every PX4 topic on the graph for a few seconds and says what came, undecoded.

Presence in the graph proves nothing: when PX4 dies, the agent keeps its publishers. So each topic
is subscribed to, and only data that arrives counts. Samples stay raw bytes: with another release
of PX4 the bytes do not mean what this workspace's messages say.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import px4_msgs.msg
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message

from airtwin_bringup.sighting import Sighting, size_is_fixed, stamp_us
from airtwin_ros import px4, qos

TYPE_PREFIX = "px4_msgs/msg/"
LOOK_PERIOD_S = 0.2
SETTLED_S = 1.0
"""Discovery that brings nothing new for so long is over, and what PX4 repeats has come by then."""


class Listener(Node):
    """In: whatever is at ``*/fmu/out/*`` with a type of px4_msgs. Out: nothing."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("doctor", start_parameter_services=False, **node_options)
        self._seen: dict[str, Sighting] = {}
        self.newest_s = 0.0
        """When the last topic was found or first heard, of the monotonic clock."""

    def look(self) -> None:
        """Subscribe to topics that are new in the graph."""
        for name, types in self.get_topic_names_and_types():
            if "/fmu/out/" not in name or name in self._seen:
                continue
            sighting = Sighting(name, next(iter(types), ""))
            self._seen[name] = sighting
            self.newest_s = time.monotonic()
            message = self._message_type(sighting.type_name)
            if message is None:
                continue
            if size_is_fixed(message.get_fields_and_field_types()):
                sighting.size_expected = len(serialize_message(message()))
            self._listen(sighting, message)

    def hears(self, vehicles: Collection[str]) -> bool:
        """Return whether data has come from each of these vehicles."""
        return set(vehicles) <= {s.vehicle for s in self._seen.values() if s.messages}

    def sightings(self) -> tuple[Sighting, ...]:
        """Return all topics with what the graph says now about their publishers."""
        for sighting in self._seen.values():
            publishers = self.get_publishers_info_by_topic(sighting.topic)
            sighting.publishers = len(publishers)
            # PX4's publishers belong to no ROS node; the simulator's belong to one.
            sighting.nodes = tuple(
                sorted({p.node_name for p in publishers if not p.node_name.startswith("_")})
            )
            sighting.hashes = _hashes(publishers)
            own = [
                s
                for s in self.get_subscriptions_info_by_topic(sighting.topic)
                if s.node_name == self.get_name()
            ]
            sighting.hashes_expected = _hashes(own)
        return tuple(self._seen[name] for name in sorted(self._seen))

    @staticmethod
    def _message_type(type_name: str) -> Any | None:
        if not type_name.startswith(TYPE_PREFIX):
            return None
        return getattr(px4_msgs.msg, type_name.removeprefix(TYPE_PREFIX), None)

    def _listen(self, sighting: Sighting, message: Any) -> None:
        def on_bytes(data: bytes) -> None:
            if not sighting.messages:
                self.newest_s = time.monotonic()
            sighting.messages += 1
            sighting.size = len(data)
            stamp = stamp_us(data)
            if stamp is not None:
                sighting.lag_s = time.time() - stamp * 1e-6

        self.create_subscription(message, sighting.topic, on_bytes, qos.PX4_OUT, raw=True)


def _hashes(endpoints: Any) -> tuple[str, ...]:
    """Return the valid type hashes; Humble has none, and the agent sends none."""
    found = set()
    for endpoint in endpoints:
        type_hash = getattr(endpoint, "topic_type_hash", None)
        if type_hash is not None and type_hash.version > 0:
            found.add(str(type_hash))
    return tuple(sorted(found))


def expected_topics() -> dict[str, str]:
    """Return name without version -> name with the version of this workspace's messages."""
    return {
        reader.topic: px4.topic(reader.topic, message)
        for reader in px4.READERS
        if (message := getattr(px4_msgs.msg, reader.message, None)) is not None
    }


def missing_messages() -> tuple[str, ...]:
    """Return the messages that AirTwin reads and this workspace's px4_msgs lacks."""
    return tuple(r.message for r in px4.READERS if not hasattr(px4_msgs.msg, r.message))


def message_versions() -> dict[str, int]:
    """Return MESSAGE_VERSION of each message that AirTwin reads; 0 for an unversioned one."""
    return {
        reader.message: int(getattr(message, "MESSAGE_VERSION", 0))
        for reader in px4.READERS
        if (message := getattr(px4_msgs.msg, reader.message, None)) is not None
    }


def listen(
    timeout_s: float, *, domain: int | None = None, vehicles: Collection[str] = ()
) -> tuple[Sighting, ...]:
    """Return every PX4 topic that was seen within ``timeout_s``. ``domain``: default ROS's.

    vehicles: once all of them are heard and the graph has settled, it is enough.
    """
    context = rclpy.Context()
    context.init(domain_id=domain)
    try:
        node = Listener(context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        end = time.monotonic() + timeout_s
        next_look = 0.0
        while (now := time.monotonic()) < end:
            if now >= next_look:
                node.look()
                next_look = now + LOOK_PERIOD_S
                if vehicles and node.hears(vehicles) and now - node.newest_s > SETTLED_S:
                    break
            executor.spin_once(timeout_sec=0.05)
        sightings = node.sightings()
        node.destroy_node()
        return sightings
    finally:
        context.try_shutdown()
