# SPDX-License-Identifier: Apache-2.0
"""What was seen of one PX4 topic, and what that says about its vehicle. Pure: no ROS."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TOPIC = re.compile(r"/(?:(?P<vehicle>.+)/)?(?P<base>fmu/out/.+?)(?:_v(?P<version>[1-9][0-9]*))?")

RELEASE_BY_VERSIONS = {
    # (vehicle_status, battery_status) as in the branches release/1.15 to 1.18 of px4_msgs
    (0, 0): "1.15 or older",
    (1, 0): "1.16",
    (1, 1): "1.17",
    (4, 1): "1.18",
}


@dataclass(slots=True)
class Sighting:
    """One topic ``.../fmu/out/...``. Filled in while listening, read afterwards.

    ``size``: bytes of the newest sample, ``size_expected``: of this workspace's message, None
    where its size varies. ``lag_s``: wall clock less the sample's ``timestamp``. ``nodes``: ROS
    nodes that publish it; none for a PX4 on the bridge.
    """

    topic: str
    type_name: str
    publishers: int = 0
    nodes: tuple[str, ...] = ()
    messages: int = 0
    size: int | None = None
    size_expected: int | None = None
    lag_s: float | None = None
    hashes: tuple[str, ...] = ()
    hashes_expected: tuple[str, ...] = ()

    @property
    def vehicle(self) -> str:
        """px4_0 for a PX4 without namespace, as everywhere in AirTwin."""
        return self._parts()[0] or "px4_0"

    @property
    def base(self) -> str:
        """Topic without namespace and version: "fmu/out/vehicle_status"."""
        return self._parts()[1]

    @property
    def version(self) -> int:
        """Version in the topic's name; 0 if it has none."""
        return self._parts()[2]

    def _parts(self) -> tuple[str, str, int]:
        match = _TOPIC.fullmatch(self.topic)
        if match is None:
            return "", self.topic, 0
        return match["vehicle"] or "", match["base"], int(match["version"] or 0)


def size_is_fixed(fields: Mapping[str, str]) -> bool:
    """Tell whether a message with these field types always has the same number of bytes."""
    return not any(re.match(r"w?string|sequence<|.*/", kind) for kind in fields.values())


def stamp_us(data: bytes) -> int | None:
    """Return ``timestamp`` [us] of a serialised PX4 message: its first field, in all releases."""
    if len(data) < 12:
        return None
    little = data[1] & 1  # second byte of the CDR header
    stamp: int = struct.unpack_from("<Q" if little else ">Q", data, 4)[0]
    return stamp


def by_vehicle(sightings: Iterable[Sighting]) -> dict[str, list[Sighting]]:
    """Return the topics of each vehicle."""
    vehicles: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        vehicles.setdefault(sighting.vehicle, []).append(sighting)
    return dict(sorted(vehicles.items()))


def release(versions: Mapping[str, int]) -> str:
    """Name the PX4 release that has these versions of ``vehicle_status``, ``battery_status``."""
    if "vehicle_status" not in versions:
        return "of unknown release"
    pair = versions["vehicle_status"], versions.get("battery_status", 0)
    return RELEASE_BY_VERSIONS.get(pair, "of unknown release")


def foreign_versions(topics: Iterable[Sighting], expected: Mapping[str, str]) -> list[str]:
    """Return a sentence for each topic whose message this workspace cannot read.

    ``expected``: name without version -> name as this workspace's messages have it.
    """
    found = []
    topics = tuple(topics)
    # PX4's message translation node publishes each version beside the others: one that fits is all
    # that it takes.
    served = {seen.base for seen in topics if seen.topic.endswith(expected.get(seen.base, "\0"))}
    for seen in topics:
        wanted = expected.get(seen.base)
        name = seen.topic.rsplit("/", 1)[-1]
        if wanted is None:
            continue
        if not seen.topic.endswith("/" + wanted):
            if seen.base in served:
                continue
            found.append(f"{name}, this workspace has {wanted.rsplit('/', 1)[-1]}")
        elif _other_hash(seen):
            found.append(f"{name}: same version, other fields (type hash differs)")
        elif _other_size(seen):
            found.append(
                f"{name}: {seen.size} bytes, this workspace's message has {seen.size_expected}"
            )
    return found


def _other_hash(seen: Sighting) -> bool:
    return bool(seen.hashes and seen.hashes_expected and seen.hashes != seen.hashes_expected)


def _other_size(seen: Sighting) -> bool:
    if seen.size is None or seen.size_expected is None:
        return False
    # A writer may or may not fill the last four bytes up.
    return -(-seen.size // 4) != -(-seen.size_expected // 4)
