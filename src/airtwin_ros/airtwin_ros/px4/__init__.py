# SPDX-License-Identifier: Apache-2.0
"""The one package that reads PX4's messages: frame, unit and range checked, then AirTwin's types.

Each converter takes any object with the attributes of the PX4 v1.18 message (a message of rclpy,
a row of a log) and the time of arrival, and raises ``BadMessage`` with the cause. Fields that
releases before 1.18 lack are read with a default. No middleware is imported here: replay uses
the same functions as the nodes.
"""

from __future__ import annotations

from airtwin_ros.px4.border import BadMessage
from airtwin_ros.px4.readers import READERS, Reader, reader, topic

__all__ = ["READERS", "BadMessage", "Reader", "reader", "topic"]
