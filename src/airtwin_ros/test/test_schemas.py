# SPDX-License-Identifier: Apache-2.0
"""What is written beside a recording is read by an independent reader."""

import io

import pytest
from airtwin_msgs.msg import Advisory, Check, ConsistencyReport, TwinState
from mcap.writer import Writer
from mcap_ros2.reader import read_ros2_messages
from px4_msgs.msg import VehicleStatus
from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage

from airtwin_ros import schemas


@pytest.mark.parametrize(
    "kind", [Advisory, ConsistencyReport, TwinState, VehicleStatus, TFMessage]
)
def test_an_independent_reader_understands_it(kind):
    msg = kind()
    if kind is ConsistencyReport:
        msg.checks = [Check(requirement="CON-POS-1", statistic=2.5)]
    file = io.BytesIO()
    writer = Writer(file)
    writer.start()
    schema = writer.register_schema(schemas.name(kind), "ros2msg", schemas.text(kind).encode())
    channel = writer.register_channel("/topic", "cdr", schema)
    writer.add_message(channel, 1, serialize_message(msg), 1)
    writer.finish()
    file.seek(0)
    (read,) = read_ros2_messages(file)
    for field in msg.get_fields_and_field_types():
        assert hasattr(read.ros_msg, field)
    if kind is ConsistencyReport:
        assert read.ros_msg.checks[0].statistic == 2.5
