# SPDX-License-Identifier: Apache-2.0
"""``Mark`` values as ``visualization_msgs``."""

from __future__ import annotations

from collections.abc import Iterable

from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from airtwin_core.marks import Mark, MarkKind


def marker_array(marks: Iterable[Mark], stamp: Time) -> MarkerArray:
    """Return the message."""
    return MarkerArray(markers=[_marker(mark, stamp) for mark in marks])


def _marker(mark: Mark, stamp: Time) -> Marker:
    msg = Marker()
    msg.header.frame_id = mark.frame
    msg.header.stamp = stamp
    msg.ns, msg.id, msg.type = mark.group, mark.id, int(mark.kind)
    msg.action = Marker.ADD
    msg.pose.position = _point(mark.position_enu_m)
    w, x, y, z = (float(number) for number in mark.q_enu_flu)
    msg.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
    first, second, third = mark.scale_m
    # RViz takes the height of letters from z, the width of lines from x
    msg.scale = Vector3(x=first, y=second, z=first if mark.kind is MarkKind.TEXT else third)
    red, green, blue, opacity = mark.colour
    msg.color = ColorRGBA(r=red, g=green, b=blue, a=opacity)
    seconds = int(mark.lifetime_s)
    msg.lifetime = Duration(sec=seconds, nanosec=int((mark.lifetime_s - seconds) * 1e9))
    msg.points = [_point(point) for point in mark.points_enu_m]
    msg.text = mark.text
    return msg


def _point(enu_m: Iterable[float]) -> Point:
    x, y, z = (float(number) for number in enu_m)
    return Point(x=x, y=y, z=z)
