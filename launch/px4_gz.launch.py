# SPDX-License-Identifier: Apache-2.0
"""PX4 SITL in Gazebo with twins and RViz, on a full ROS 2 machine.

ros2 launch launch/px4_gz.launch.py px4:=~/PX4-Autopilot vehicles:=2

Needs a built PX4 (``make px4_sitl``), ``MicroXRCEAgent`` and ``gz`` on the PATH.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from airtwin_bringup import graph, launching, paths

SPACING_M = 5.0


def _px4(folder, instance, model, world):
    """Return one PX4; the first also starts the Gazebo server, which the others wait for."""
    binary = folder / "build/px4_sitl_default/bin/px4"
    if not binary.exists():
        raise FileNotFoundError(f"{binary} not found: run 'make px4_sitl' in {folder}")
    process = ExecuteProcess(
        cmd=[str(binary), "-i", str(instance), "-d"],
        additional_env={
            # Of this name PX4 also chooses the airframe.
            "PX4_SIM_MODEL": f"gz_{model}",
            # PX4 finds them by itself only where it starts Gazebo.
            "PX4_GZ_MODELS": str(folder / "Tools/simulation/gz/models"),
            "PX4_GZ_WORLDS": str(folder / "Tools/simulation/gz/worlds"),
            "PX4_GZ_WORLD": world,
            "PX4_GZ_MODEL_POSE": f"0,{SPACING_M * instance:.1f}",
            "PX4_GZ_STANDALONE": "1" if instance else "",
            "PX4_PARAM_NAV_DLL_ACT": "0",
        },
        name=f"px4_{instance}",
        output="log",
    )
    return TimerAction(period=5.0, actions=[process]) if instance else process


def _everything(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    px4 = Path(value("px4")).expanduser()
    count = int(value("vehicles"))
    known = paths.config(f"aircraft/{value('model')}.yaml").exists()
    model = value("model") if known else ""
    aircraft = [graph.Aircraft(f"px4_{i}", model=model) for i in range(count)]
    if value("mission"):
        mission = Path(value("mission"))
        aircraft[0] = graph.Aircraft("px4_0", graph.Mode.TWIN, mission, arming=True, model=model)
    return [
        *(_px4(px4, i, value("model"), value("world")) for i in range(count)),
        *launching.actions(graph.attached(tuple(aircraft))),
    ]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "px4", default_value="~/PX4-Autopilot", description="PX4 checkout"
            ),
            DeclareLaunchArgument("vehicles", default_value="1"),
            DeclareLaunchArgument("model", default_value="x500"),
            DeclareLaunchArgument("world", default_value="default"),
            DeclareLaunchArgument(
                "mission", default_value="", description="px4_0 flies it, its twin in command"
            ),
            DeclareLaunchArgument("rviz", default_value="true"),
            ExecuteProcess(cmd=["MicroXRCEAgent", "udp4", "-p", "8888"], output="log"),
            OpaqueFunction(function=_everything),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(paths.config("rviz/airtwin.rviz"))],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
