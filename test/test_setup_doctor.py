# SPDX-License-Identifier: Apache-2.0
"""The doctor: each mismatch is named, with what to do, and makes the command fail."""

import os
import threading
import time

import pytest

from airtwin_bringup import doctor, sighting
from airtwin_bringup.doctor import Level
from airtwin_bringup.sighting import Sighting

EXPECTED = {
    "fmu/out/vehicle_status": "fmu/out/vehicle_status_v4",
    "fmu/out/battery_status": "fmu/out/battery_status_v1",
    "fmu/out/vehicle_odometry": "fmu/out/vehicle_odometry",
    "fmu/out/vehicle_gps_position": "fmu/out/vehicle_gps_position",
}
NOW = 0.05
PATIENCE_S = 60.0


def _seen(topic, *, messages=10, **facts):
    defaults = {"publishers": 1, "size": 100, "size_expected": 100, "lag_s": NOW}
    return Sighting(topic, "px4_msgs/msg/X", messages=messages, **(defaults | facts))


def _errors(findings):
    return [finding for finding in findings if finding.level is Level.ERROR]


def _judge(*topics, processes=()):
    return doctor.judge_graph(topics, EXPECTED, processes)


@pytest.mark.parametrize(
    ("topic", "vehicle", "base", "version"),
    [
        ("/fmu/out/vehicle_status_v4", "px4_0", "fmu/out/vehicle_status", 4),
        ("/px4_12/fmu/out/vehicle_status", "px4_12", "fmu/out/vehicle_status", 0),
        ("/fleet/px4_1/fmu/out/x_v12", "fleet/px4_1", "fmu/out/x", 12),
    ],
)
def test_topic_names_are_taken_apart(topic, vehicle, base, version):
    seen = Sighting(topic, "")
    assert (seen.vehicle, seen.base, seen.version) == (vehicle, base, version)


def test_a_fitting_vehicle_is_fine():
    findings = _judge(
        _seen("/px4_1/fmu/out/vehicle_status_v4"),
        _seen("/px4_1/fmu/out/battery_status_v1"),
        _seen("/px4_1/fmu/out/vehicle_odometry"),
    )
    assert {finding.level for finding in findings} == {Level.OK}
    assert any("PX4 1.18" in finding.found for finding in findings)


def test_another_message_version_is_an_error_that_names_both():
    (error,) = _errors(
        _judge(
            _seen("/px4_1/fmu/out/vehicle_status_v1"), _seen("/px4_1/fmu/out/battery_status_v1")
        )
    )
    assert error.subject == "px4_1"
    assert "vehicle_status_v1" in error.found
    assert "vehicle_status_v4" in error.found
    assert "PX4 1.17" in error.remedy


def test_the_translation_node_serves_what_it_translates():
    assert not _errors(
        _judge(_seen("/fmu/out/vehicle_status_v1"), _seen("/fmu/out/vehicle_status_v4"))
    )


def test_an_unversioned_message_of_another_size_is_an_error():
    # SensorGps of PX4 1.17 lacks the antenna's offset, and its topic's name does not say so.
    (error,) = _errors(_judge(_seen("/fmu/out/vehicle_gps_position", size=168, size_expected=180)))
    assert "168 bytes" in error.found


def test_padding_at_the_end_is_no_mismatch():
    assert not _errors(_judge(_seen("/fmu/out/vehicle_odometry", size=117, size_expected=120)))


def test_other_fields_under_the_same_name_are_an_error():
    seen = _seen("/fmu/out/vehicle_odometry", hashes=("RIHS01_a",), hashes_expected=("RIHS01_b",))
    (error,) = _errors(_judge(seen))
    assert "type hash" in error.found


def test_presence_without_data_is_a_ghost():
    findings = _judge(_seen("/fmu/out/vehicle_status_v4", messages=0, lag_s=None))
    (error,) = _errors(findings)
    assert "ghost" in error.found
    assert error.remedy


def test_no_vehicle_is_a_note_with_the_agent_to_start():
    (agent,) = _judge()
    assert agent.level is Level.NOTE
    assert "MicroXRCEAgent" in agent.remedy


@pytest.mark.parametrize(("lag_s", "word"), [(1.7e9, "start"), (-3.0, "-3.0 s")])
def test_a_foreign_clock_is_noted(lag_s, word):
    findings = _judge(_seen("/fmu/out/vehicle_odometry", lag_s=lag_s))
    (note,) = [finding for finding in findings if finding.level is Level.NOTE]
    assert word in note.found


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, Level.OK),
        ({"ROS_DOMAIN_ID": "7"}, Level.OK),
        ({"ROS_DOMAIN_ID": "300"}, Level.ERROR),
        ({"ROS_DOMAIN_ID": "seven"}, Level.ERROR),
        ({"ROS_LOCALHOST_ONLY": "1"}, Level.NOTE),
    ],
)
def test_domain(environment, level):
    assert doctor.judge_domain(environment).level is level


def test_a_foreign_rmw_with_the_wheels_names_the_way_out():
    environment = {"AIRTWIN_ROS": "wheels", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    (error,) = _errors(doctor.judge_ros(environment, None, "not found"))
    assert "unset RMW_IMPLEMENTATION" in error.remedy


def test_python_outside_the_range_is_an_error():
    assert doctor.judge_python((3, 12), "python").level is Level.OK
    assert doctor.judge_python((3, 14), "python").level is Level.ERROR


def test_sizes_are_compared_for_messages_of_fixed_size_only():
    assert sighting.size_is_fixed({"a": "uint64", "b": "float[3]", "c": "boolean"})
    for kind in ("string", "sequence<float>", "px4_msgs/Other", "string<8>"):
        assert not sighting.size_is_fixed({"a": kind})


def test_the_graph_is_listened_to():
    """Over real DDS: one topic with data, one of another version, one that is announced only."""
    rclpy = pytest.importorskip("rclpy")
    from px4_msgs.msg import SensorCombined, VehicleOdometry, VehicleStatus

    from airtwin_bringup import bridge
    from airtwin_ros import qos

    domain = 1 + os.getpid() % 100
    context = rclpy.Context()
    context.init(domain_id=domain)
    node = rclpy.create_node("fake_px4", context=context)
    topics = {
        "/px4_1/fmu/out/vehicle_odometry": VehicleOdometry,
        "/px4_1/fmu/out/vehicle_status_v2": VehicleStatus,
        "/px4_2/fmu/out/sensor_combined": SensorCombined,
    }
    writers = {
        topic: node.create_publisher(kind, topic, qos.PX4_OUT_WRITER)
        for topic, kind in topics.items()
    }
    done = threading.Event()

    def publish():
        while not done.wait(0.05):
            for topic, writer in writers.items():
                if topic.startswith("/px4_1"):
                    writer.publish(topics[topic](timestamp=1_000_000))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(6):  # a busy machine takes its time to discover
            seen = {s.topic: s for s in bridge.listen(4.0, domain=domain)}
            if set(topics) <= set(seen) and all(
                seen[t].messages > 10 for t in topics if t.startswith("/px4_1")
            ):
                break
        begin = time.monotonic()
        enough = bridge.listen(PATIENCE_S, domain=domain, vehicles=("px4_1",))
        took_s = time.monotonic() - begin
    finally:
        done.set()
        thread.join()
        node.destroy_node()
        context.try_shutdown()
    assert took_s < 0.7 * PATIENCE_S  # an aircraft in the air may be waiting
    assert any(s.messages for s in enough if s.vehicle == "px4_1")
    assert set(topics) <= set(seen)
    odometry = seen["/px4_1/fmu/out/vehicle_odometry"]
    assert odometry.messages > 10
    assert not sighting.foreign_versions([odometry], bridge.expected_topics())
    assert odometry.nodes == ("fake_px4",)
    assert odometry.lag_s > doctor.BOOT_TIME_LAG_S
    errors = _errors(doctor.judge_graph(seen.values(), bridge.expected_topics(), ()))
    assert [error.subject for error in errors] == ["px4_1", "px4_2"]
