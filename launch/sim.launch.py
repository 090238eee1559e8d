# SPDX-License-Identifier: Apache-2.0
"""Twins over the embedded simulator: ros2 launch launch/sim.launch.py scenario:=demo."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from airtwin_bringup import graph, launching, paths, scenarios


def _nodes(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    scenario = paths.config(f"scenarios/{value('scenario')}.yaml")
    specs = graph.simulated(
        scenarios.aircraft(scenario),
        scenario,
        zones=paths.config(f"airspace/{value('zones')}.json"),
        speed=float(value("speed")),
        lockstep=value("lockstep") == "true",
    )
    return launching.actions(specs)


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "scenario", default_value="demo", description="config/scenarios/"
            ),
            DeclareLaunchArgument(
                "zones", default_value="demo_zones", description="config/airspace/"
            ),
            DeclareLaunchArgument("speed", default_value="1.0", description="times real time"),
            DeclareLaunchArgument(
                "lockstep",
                default_value="false",
                choices=["false", "true"],
                description="stand still until sim/advance says how far",
            ),
            OpaqueFunction(function=_nodes),
        ]
    )
