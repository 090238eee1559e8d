# SPDX-License-Identifier: Apache-2.0
"""One twin, two ways to feed it: the node graph over real DDS reaches replay's verdicts."""

import itertools
import time
from pathlib import Path

import numpy as np
import px4_msgs.msg
import pytest
import rclpy
from airtwin_msgs.msg import ConsistencyReport, TwinState
from mcap.reader import make_reader
from mcap.writer import Writer
from mcap_ros2.reader import read_ros2_messages
from rclpy.context import Context
from rclpy.node import Node
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from airtwin_bringup import graph
from airtwin_bringup.graph import Aircraft
from airtwin_bringup.in_process import InProcess
from airtwin_core.types import Verdict
from airtwin_record import replay
from airtwin_ros import px4, qos

RECORDING = (
    Path(__file__).parents[2] / "shared/px4/recordings/px4_1.18_sih_quad_offboard_square.mcap"
)
LENGTH_NS = 15_000_000_000
STEP_NS = 20_000_000
PATIENCE_S = 0.25
"""A reset of PX4's clock gives a step without a state; then the test goes on after this time."""
ALIGNING_S = 0.05
"""Until its attitude is found, in two seconds of flight, the twin has no state to wait for."""


@pytest.fixture
def excerpt(tmp_path):
    """The first seconds of a real PX4's flight: take-off and the first leg of a square."""
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING} is not there")
    path = tmp_path / "excerpt.mcap"
    with RECORDING.open("rb") as source, path.open("wb") as target:
        writer = Writer(target)
        writer.start(profile="ros2")
        channels = {}
        end_ns = None
        for schema, channel, message in make_reader(source).iter_messages():
            end_ns = end_ns or message.log_time + LENGTH_NS
            if message.log_time > end_ns:
                break
            if channel.id not in channels:
                schema_id = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, "cdr", schema_id)
            writer.add_message(
                channels[channel.id], message.log_time, message.data, message.publish_time
            )
        writer.finish()
    return path


def live(path):
    """Play the file into physics and consistency nodes; return (reports, states)."""
    readers = {}
    for reader in px4.READERS:
        kind = getattr(px4_msgs.msg, reader.message)
        readers[f"/{px4.topic(reader.topic, kind)}"] = kind
    context = Context()
    rclpy.init(context=context, domain_id=65)
    try:
        specs = graph.twin(Aircraft("px4_0"), use_sim_time=True)
        with InProcess(specs, context) as nodes:
            player = Node("player", context=context, use_global_arguments=False)
            nodes.add(player)
            publishers = {
                topic: player.create_publisher(kind, topic, qos.PX4_OUT_WRITER)
                for topic, kind in readers.items()
            }
            clock = player.create_publisher(Clock, "/clock", 10)
            states, reports = [], []
            player.create_subscription(TwinState, "/twin/state", states.append, qos.STATE)
            player.create_subscription(
                ConsistencyReport, "/consistency/report", reports.append, qos.RELIABLE
            )
            wait_for_match(nodes, publishers["/fmu/out/sensor_combined"], subscribers=2)
            play(path, nodes, publishers, clock, states)
            settle = time.monotonic() + 1.0
            while time.monotonic() < settle:
                nodes.spin_once(0.05)
            player.destroy_node()
    finally:
        context.try_shutdown()
    return reports, states


def wait_for_match(nodes, publisher, *, subscribers):
    deadline = time.monotonic() + 20.0
    while publisher.get_subscription_count() < subscribers:
        assert time.monotonic() < deadline, "nodes did not find the player"
        nodes.spin_once(0.05)


def play(path, nodes, publishers, clock, states):
    with path.open("rb") as source:
        step_end_ns = None
        for _, channel, message in make_reader(source).iter_messages():
            if channel.topic not in publishers:
                continue
            step_end_ns = step_end_ns or message.log_time
            while message.log_time >= step_end_ns:
                clock.publish(Clock(clock=Time(nanoseconds=step_end_ns).to_msg()))
                patience_s = PATIENCE_S if states else ALIGNING_S
                count, deadline = len(states), time.monotonic() + patience_s
                while time.monotonic() < deadline and len(states) == count:
                    nodes.spin_once(0.002)
                step_end_ns += STEP_NS
            publishers[channel.topic].publish(message.data)


def verdicts(reports):
    """Return {requirement: set of verdicts} from the first report on that rests on evidence."""
    seen = {}
    for report in itertools.dropwhile(lambda r: r.verdict == Verdict.UNKNOWN, reports):
        for check in report.checks:
            seen.setdefault(check.requirement, set()).add(Verdict(check.verdict))
    return seen


def test_the_graph_reaches_the_verdicts_of_replay(excerpt, tmp_path):
    result = replay.run(excerpt, out=tmp_path / "replay")
    recorded = read_ros2_messages(result.recording_path, topics=["/consistency/report"])
    replayed = verdicts(message.ros_msg for message in recorded)
    reports, states = live(excerpt)
    judged = verdicts(reports)
    assert judged.keys() == replayed.keys()
    different = {r: (judged[r], replayed[r]) for r in judged if judged[r] != replayed[r]}
    assert not different
    assert {Verdict.CONSISTENT} <= set().union(*judged.values())
    last = states[-1]
    there = {
        message.ros_msg.timestamp_sample: message.ros_msg.position_ned_m
        for message in read_ros2_messages(result.recording_path, topics=["/twin/state"])
    }
    stamp = min(there, key=lambda t: abs(t - last.timestamp_sample))
    assert abs(stamp - last.timestamp_sample) < 100_000
    apart = np.subtract(last.position_ned_m, there[stamp])
    assert np.linalg.norm(apart) < 0.3
    assert np.linalg.norm(last.position_ned_m) > 1.0  # it flew: equal zeros would prove nothing
    assert result.summary["events"] == []
