# SPDX-License-Identifier: Apache-2.0
"""A twin beside an aircraft that flies: ros2 launch launch/attach.launch.py vehicle:=px4_1.

The uXRCE-DDS agent must run. In shadow mode, the default, nothing can be sent to the aircraft.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from airtwin_bringup import graph, launching


def _nodes(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    mission = Path(value("mission")) if value("mission") else None
    zones = Path(value("zones")) if value("zones") else None
    aircraft = graph.followed(
        tuple(value("vehicle").split(",")),
        graph.Mode(value("mode")),
        mission,
        arming=value("arm") == "true",
        models=graph.named(value("aircraft")),
        external_odometry=value("external_odometry") == "true",
    )
    return launching.actions(graph.attached(aircraft, zones=zones))


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("vehicle", default_value="px4_0", description="px4_0,px4_1,..."),
            DeclareLaunchArgument("mode", default_value="shadow", choices=["shadow", "twin"]),
            DeclareLaunchArgument("mission", default_value="", description=".plan or YAML file"),
            DeclareLaunchArgument(
                "arm",
                default_value="false",
                choices=["false", "true"],
                description="mode twin: start the motors; else wait for a person",
            ),
            DeclareLaunchArgument(
                "aircraft", default_value="", description="x500, a file, or px4_1=x500,px4_2=..."
            ),
            DeclareLaunchArgument(
                "external_odometry",
                default_value="false",
                choices=["false", "true"],
                description="mode twin: send the twin's estimate to PX4 as external vision",
            ),
            DeclareLaunchArgument("zones", default_value="", description="ED-269 or GeoJSON file"),
            OpaqueFunction(function=_nodes),
        ]
    )
