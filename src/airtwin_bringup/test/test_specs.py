# SPDX-License-Identifier: Apache-2.0
"""The graph as data: who is started, where, with which authority."""

from pathlib import Path

import pytest

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


def physics(aircraft):
    (spec,) = (spec for spec in graph.twin(aircraft) if spec.name == "physics")
    return spec.parameters


def test_nothing_is_sent_back_unless_it_is_asked_for():
    for mode in Mode:
        assert physics(Aircraft("px4_1", mode))["publish_external_odometry"] is False
    (one,) = graph.followed(("px4_1",), Mode.TWIN, None, external_odometry=True)
    assert physics(one)["publish_external_odometry"] is True
    assert physics(one)["mode"] == "twin"


@pytest.mark.parametrize("mode", [Mode.MODEL, Mode.SHADOW])
def test_odometry_needs_mode_twin(mode):
    with pytest.raises(ValueError, match="needs --mode twin"):
        graph.followed(("px4_1",), mode, None, external_odometry=True)


def test_mode_twin_with_nothing_to_do_is_refused():
    with pytest.raises(ValueError, match="flies a mission or gives odometry"):
        graph.followed(("px4_1",), Mode.TWIN, None)


def test_which_aircraft_it_is():
    fleet = graph.followed(("px4_1", "px4_2"), Mode.SHADOW, None, models=graph.named("x500"))
    assert [one.model for one in fleet] == ["x500", "x500"]
    models = graph.named("px4_2=a/b.yaml,x500")
    fleet = graph.followed(("px4_1", "px4_2"), Mode.SHADOW, None, models=models)
    assert [one.model for one in fleet] == ["x500", "a/b.yaml"]
    assert graph.followed(("px4_1",), Mode.SHADOW, None)[0].model == ""
    with pytest.raises(ValueError, match="px4_9"):
        graph.followed(("px4_1",), Mode.SHADOW, None, models=graph.named("px4_9=x500"))
    with pytest.raises(ValueError, match="names no aircraft"):
        graph.named("px4_1=")
