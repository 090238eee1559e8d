# SPDX-License-Identifier: Apache-2.0
"""The graph as data: who is started, where, with which authority."""

from pathlib import Path

from airtwin_bringup import graph
from airtwin_bringup.graph import Aircraft, Mode


def names(specs):
    return {(spec.namespace, spec.name) for spec in specs}


def test_each_aircraft_gets_its_twin_and_all_share_one_airspace():
    aircraft = (Aircraft("px4_0"), Aircraft("px4_1", Mode.TWIN, Path("m.yaml")))
    specs = graph.attached(aircraft)
    assert names(specs) == {
        ("", "physics"),
        ("", "consistency"),
        ("px4_1", "physics"),
        ("px4_1", "consistency"),
        ("px4_1", "mission"),
        ("", "airspace"),
        ("", "console"),
    }
    assert {spec.process for spec in specs} == {"px4_0", "px4_1", "airspace"}


def test_a_twin_follows_in_shadow_unless_told_otherwise():
    (spec,) = (s for s in graph.twin(Aircraft("px4_1", mission=Path("m"))) if s.name == "mission")
    assert spec.parameters["mode"] == "shadow"


def test_simulated_aircraft_share_the_simulators_clock_in_lockstep():
    specs = graph.simulated((Aircraft("px4_1"),), Path("s.yaml"), lockstep=True)
    clocks = {spec.name: spec.parameters.get("use_sim_time") for spec in specs}
    assert clocks.pop("sim") is None
    assert set(clocks.values()) == {True}
