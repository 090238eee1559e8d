# SPDX-License-Identifier: Apache-2.0
"""Quality of service. PX4's are measured: best effort throughout, ``out`` transient local.

A reliable subscriber gets nothing from PX4.
"""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

PX4_OUT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=32,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
"""To subscribe to ``fmu/out``; 32 deep, so that 0.1 s of IMU survives a busy loop. Not deeper: on
a machine that is always too busy a twin would fall behind by all that fits (with 512: 1.9 s,
seen), and PX4 has no use for odometry older than 0.2 s."""

PX4_IN = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=8,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
"""To publish to ``fmu/in`` (PX4's readers are best effort, volatile)."""

PX4_OUT_WRITER = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""As PX4 itself publishes ``fmu/out``: the simulator's writers."""

STATE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=5,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
"""High-rate states between AirTwin's nodes: the newest counts."""

RELIABLE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=50,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Reports: none may be lost, old ones are of no use to a late listener."""

EVENT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Events and advisories: a late listener must learn what holds now."""
