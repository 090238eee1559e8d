# SPDX-License-Identifier: Apache-2.0
"""A twin that crashed in flight leaves its mark in the report of the recording."""

from airtwin_msgs.msg import TwinState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from mcap.records import Schema
from px4_msgs.msg import VehicleOdometry
from rclpy.serialization import serialize_message

from airtwin_record import live_notes
from airtwin_record.mcap_file import McapChannel
from airtwin_ros import schemas

S = 1_000_000_000


def diagnostics(*names):
    text = schemas.text(DiagnosticArray).encode()
    schema = Schema(1, data=text, encoding="ros2msg", name=schemas.name(DiagnosticArray))
    channel = McapChannel("/diagnostics", "cdr", schema)
    for i, name in enumerate(names):
        status = DiagnosticStatus(name=name, message="restarted")
        status.values = [KeyValue(key="cause", value="ZeroDivisionError: x")]
        channel.log_ns.append((10 + i) * S)
        channel.payloads.append(bytes(serialize_message(DiagnosticArray(status=[status]))))
    return channel


def test_restarts_are_told_to_the_aircraft_that_they_concern():
    channel = diagnostics("/px4_1/physics", "/physics", "process px4_2")
    for vehicle, second in (("px4_1", 5.0), ("px4_0", 6.0), ("px4_2", 7.0)):
        ((when_s, level, text),) = live_notes.notes([channel], vehicle, 5 * S)
        assert (when_s, level) == (second, "error")
        assert text.endswith("was restarted: ZeroDivisionError: x")


def test_a_pause_of_the_twin_is_told_and_its_beat_is_not():
    channel = McapChannel("/px4_1/twin/state", "cdr", None)
    channel.log_ns = [S, S + S // 50, S + 2 * S // 50, 5 * S, 5 * S + S // 50]
    (note,) = live_notes.notes([channel], "px4_1", S)
    assert note == (0.04, "warning", "live twin: silent for 4.0 s")


def test_a_broken_message_is_passed_over():
    channel = diagnostics("/px4_1/physics")
    channel.payloads[0] = channel.payloads[0][:9]
    assert live_notes.notes([channel], "px4_1", 0) == ()


def odometry(*values):
    text = schemas.text(DiagnosticArray).encode()
    schema = Schema(1, data=text, encoding="ros2msg", name=schemas.name(DiagnosticArray))
    channel = McapChannel("/diagnostics", "cdr", schema)
    for i, value in enumerate(values):
        status = DiagnosticStatus(name="/px4_1/physics", message="receiving")
        status.values = [KeyValue(key="external odometry", value=value)]
        channel.log_ns.append(i * S)
        channel.payloads.append(bytes(serialize_message(DiagnosticArray(status=[status]))))
    return channel


def test_whether_the_aircraft_was_given_odometry_is_told_when_it_changes():
    channel = odometry("withheld: too uncertain", "sent", "sent", "withheld: silent")
    found = live_notes.notes([channel], "px4_1", 0)
    assert found == (
        (0.0, "warning", "live twin: external odometry withheld: too uncertain"),
        (1.0, "info", "live twin: external odometry sent"),
        (3.0, "warning", "live twin: external odometry withheld: silent"),
    )
    assert live_notes.notes([channel], "px4_2", 0) == ()


def test_the_twins_own_odometry_is_told_from_a_cameras():
    states = McapChannel("/px4_1/twin/state", "cdr", None)
    vision = McapChannel("/px4_1/fmu/in/vehicle_visual_odometry", "cdr", None)
    for stamp_us in (1_000_000, 1_040_000):
        message = TwinState(timestamp=stamp_us + 7, timestamp_sample=stamp_us)
        states.payloads.append(bytes(serialize_message(message)))
    for stamp_us in (1_000_000, 1_020_000, 1_040_000):
        message = VehicleOdometry(timestamp=stamp_us + 9, timestamp_sample=stamp_us)
        vision.payloads.append(bytes(serialize_message(message)))
    assert live_notes.own_odometry(vision, [states], "px4_1") == [True, False, True]
    assert live_notes.own_odometry(vision, [states], "px4_2") == [False] * 3
