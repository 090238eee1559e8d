# SPDX-License-Identifier: Apache-2.0
"""Every key in config/ means something: rclpy ignores a misspelt one."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from airtwin_bringup import graph, scenarios
from airtwin_bringup.in_process import node_class
from airtwin_mission import mission_file

CONFIG = Path(__file__).parents[1] / "config"
NODES = {
    "physics": "airtwin_physics",
    "consistency": "airtwin_consistency",
    "mission": "airtwin_mission",
    "airspace": "airtwin_airspace",
    "console": "airtwin_console",
    "sim": "airtwin_sim",
    "recorder": "airtwin_record",
}


def fields(name):
    return {field.name for field in dataclasses.fields(node_class(NODES[name]).PARAMS)}


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_yaml_keys_are_parameters_and_values_pass_their_ranges(path):
    document = yaml.safe_load(path.read_text())
    assert list(document) == [f"/**/{path.stem}"]
    assert list(document[f"/**/{path.stem}"]) == ["ros__parameters"]
    values = document[f"/**/{path.stem}"]["ros__parameters"]
    unknown = set(values) - fields(path.stem)
    assert not unknown, f"{path.name} sets {unknown}, which no node reads"
    known = node_class(NODES[path.stem]).PARAMS
    required = {"mission": "m.plan"} if path.stem == "mission" else {}
    known(**required | {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def test_the_graph_sets_parameters_that_the_nodes_have():
    aircraft = (graph.Aircraft("px4_1", graph.Mode.TWIN, Path("m.plan")),)
    specs = graph.simulated(aircraft, Path("s.yaml"), zones=Path("z.json"))
    for spec in (*specs, graph.recorder(("px4_1",), Path("f.mcap"))):
        unknown = set(spec.parameters) - fields(spec.name) - {"use_sim_time"}
        assert not unknown, f"graph sets {unknown} of {spec.name}"
        assert NODES[spec.name] == spec.package


@pytest.mark.parametrize(
    "path", sorted(CONFIG.glob("scenarios/*.yaml")), ids=lambda path: path.name
)
def test_every_scenario_and_its_missions_can_be_read(path):
    for aircraft in scenarios.aircraft(path):
        if aircraft.mission is not None:
            assert mission_file.load(aircraft.mission).steps


@pytest.mark.parametrize("name", ["physics", "consistency"])
def test_nodes_start_with_the_values_that_replay_uses(name):
    """Replay takes the defaults of the code; config/ repeats them for a person to change."""
    kind = node_class(NODES[name]).PARAMS
    document = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    assert kind(**document[f"/**/{name}"]["ros__parameters"]) == kind()
