# SPDX-License-Identifier: Apache-2.0
"""Each launch file starts the nodes of the graph as they are in it (full ROS 2 only)."""

import importlib.util

import pytest
import yaml

pytest.importorskip("launch_ros", reason="launch and launch_ros come with a full ROS 2 only")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from airtwin_bringup import graph, paths, scenarios
from airtwin_bringup.graph import Aircraft, Mode

MISSION = paths.config("missions") / "demo_px4_1.plan"
ZONES = paths.config("airspace") / "demo_zones.json"
DEMO = paths.config("scenarios") / "demo.yaml"


def started(name, **values):
    """Return what launch file ``name`` starts at once or later, and the context for it."""
    spec = importlib.util.spec_from_file_location(name, paths.root() / f"launch/{name}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    # Which namespace and name a node gets is put into its command line when it starts.
    context.extend_locals({"ros_specific_arguments": {"ns": "", "name": ""}})
    context.launch_configurations.update(values)
    processes = []

    def visit(entities):
        for entity in entities or ():
            if entity.condition is not None and not entity.condition.evaluate(context):
                continue
            if isinstance(entity, TimerAction):
                visit(entity.actions)
            elif isinstance(entity, DeclareLaunchArgument | OpaqueFunction):
                visit(entity.execute(context))
            else:
                assert isinstance(entity, ExecuteProcess), entity
                processes.append(entity)

    visit(module.generate_launch_description().entities)
    return context, processes


def arguments(context, process):
    """Return the words after the executable, which must be installed to be found."""
    return [perform_substitutions(context, list(word)) for word in process.cmd[1:]]


def environment(context, process):
    return {
        perform_substitutions(context, list(key)): perform_substitutions(context, list(value))
        for key, value in process.additional_env
    }


def nodes(context, processes):
    """Return package, executable, full name, parameters and parameter files of AirTwin's nodes."""
    found = []
    for node in processes:
        if not isinstance(node, Node) or not node.node_package.startswith("airtwin_"):
            continue
        node._perform_substitutions(context)
        words = arguments(context, node)
        *configs, own = [words[i + 1] for i, w in enumerate(words) if w == "--params-file"]
        with open(own) as stream:
            # launch_ros writes arrays as Python's tuples, which YAML's safe loader refuses
            ((key, values),) = yaml.load(stream, yaml.FullLoader).items()
        assert key == node.node_name
        found.append(
            (node.node_package, node.node_executable, key, values["ros__parameters"], configs)
        )
    return found


def expected(specs):
    """Return the same for the graph's specs."""
    return [
        (
            spec.package,
            spec.executable,
            f"/{spec.namespace}/{spec.name}".replace("//", "/"),
            spec.parameters,
            [str(paths.config(spec.config))],
        )
        for spec in specs
    ]


def test_sim_starts_the_demo_with_all_its_twins():
    found = nodes(*started("sim"))
    aircraft = scenarios.aircraft(DEMO)
    assert found == expected(graph.simulated(aircraft, DEMO, zones=ZONES))
    assert len(found) == 3 + 3 * len(aircraft)


def test_sim_hands_over_speed_and_lockstep():
    found = nodes(*started("sim", speed="2.0", lockstep="true"))
    specs = graph.simulated(scenarios.aircraft(DEMO), DEMO, zones=ZONES, speed=2.0, lockstep=True)
    assert found == expected(specs)
    assert all(values["use_sim_time"] for *_, values, _ in found[1:])


def test_attach_commands_nothing_unless_told():
    found = nodes(*started("attach", vehicle="px4_0,px4_1"))
    assert found == expected(graph.attached((Aircraft("px4_0"), Aircraft("px4_1"))))
    assert "airtwin_mission" not in {package for package, *_ in found}


def test_attach_in_mode_twin_waits_for_a_person_to_arm():
    twin = {"vehicle": "px4_1", "mode": "twin", "mission": str(MISSION)}
    for arm, arming in (("false", False), ("true", True)):
        aircraft = Aircraft("px4_1", Mode.TWIN, MISSION, arming)
        found = nodes(*started("attach", arm=arm, **twin))
        assert found == expected(graph.attached((aircraft,)))


def test_attach_refuses_mode_twin_without_mission():
    with pytest.raises(ValueError, match="mission"):
        started("attach", mode="twin")


@pytest.fixture
def px4(tmp_path):
    binary = tmp_path / "build/px4_sitl_default/bin/px4"
    binary.parent.mkdir(parents=True)
    binary.touch()
    return tmp_path


def test_gazebo_starts_agent_every_px4_twins_and_rviz(px4):
    context, processes = started("px4_gz", px4=str(px4), vehicles="3", model="x500")
    assert nodes(context, processes) == expected(
        graph.attached(tuple(Aircraft(f"px4_{i}") for i in range(3)))
    )
    assert [p.node_package for p in processes if isinstance(p, Node)][-1] == "rviz2"
    agent, *autopilots = (p for p in processes if not isinstance(p, Node))
    assert arguments(context, agent) == ["udp4", "-p", "8888"]
    for i, autopilot in enumerate(autopilots):
        assert arguments(context, autopilot) == ["-i", str(i), "-d"]


def test_only_the_first_px4_starts_gazebo(px4):
    context, processes = started("px4_gz", px4=str(px4), vehicles="2", model="standard_vtol")
    first, second = (environment(context, p) for p in processes if p.additional_env)
    # px4-rc.gzsim asks whether it is empty
    assert first["PX4_GZ_STANDALONE"] == ""
    assert second["PX4_GZ_STANDALONE"]
    assert first["PX4_GZ_MODEL_POSE"] != second["PX4_GZ_MODEL_POSE"]
    for one in (first, second):
        # rcS finds the airframe file by this name, unless SYS_AUTOSTART names another
        assert one["PX4_SIM_MODEL"] == "gz_standard_vtol"
        assert "PX4_SYS_AUTOSTART" not in one
        assert one["PX4_GZ_MODELS"] == str(px4 / "Tools/simulation/gz/models")


def test_gazebo_without_rviz_and_with_a_mission(px4):
    context, processes = started(
        "px4_gz", px4=str(px4), vehicles="2", rviz="false", mission=str(MISSION)
    )
    flown = Aircraft("px4_0", Mode.TWIN, MISSION, arming=True)
    assert nodes(context, processes) == expected(graph.attached((flown, Aircraft("px4_1"))))
    assert all(p.node_package != "rviz2" for p in processes if isinstance(p, Node))


def test_a_px4_that_is_not_built_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="make px4_sitl"):
        started("px4_gz", px4=str(tmp_path))
