# SPDX-License-Identifier: Apache-2.0
"""A way that leaves its own fence is not flown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airtwin_core.types import Origin
from airtwin_mission import fence, mission_file, plan
from airtwin_mission.executor import Executor
from airtwin_mission.limits import Limits
from airtwin_mission.perfect import PerfectVehicle

DEMO = Path(__file__).resolve().parents[3] / "config" / "missions" / "demo_px4_1.plan"


def demo(fences: dict | None = None, north_deg: float = 0.0) -> plan.Mission:
    document = json.loads(DEMO.read_text())
    if fences is not None:
        document["geoFence"] = {"version": 2, "polygons": [], "circles": [], **fences}
    document["mission"]["items"][2]["params"][4] += north_deg
    return mission_file.parse(json.dumps(document), name="m.plan")


def circle(radius_m: float, *, inside: bool) -> dict:
    # about 30 m north and 20 m east of the origin: 1 m beside the second leg
    centre = [47.3980117, 8.5458588]
    return {"circles": [{"inclusion": inside, "circle": {"center": centre, "radius": radius_m}}]}


def test_the_demo_keeps_to_its_fence() -> None:
    assert demo().fences
    assert fence.breach(demo()) == ""


def test_a_waypoint_outside() -> None:
    assert fence.breach(demo(north_deg=0.01)) == (
        "step 3 leaves the fence that the mission is to stay in"
    )


def test_a_leg_through_a_forbidden_circle_between_two_good_waypoints() -> None:
    assert "step 3 flies into a fence" in fence.breach(demo(circle(10.0, inside=False)))
    narrow = demo(circle(10.0, inside=True))
    assert "leaves the fence" in fence.breach(narrow, (47.3980117, 8.5458588))
    assert fence.breach(demo(circle(500.0, inside=True))) == ""


def test_crossed_edges_are_refused() -> None:
    bow_tie = [[47.0, 8.0], [48.0, 9.0], [47.0, 9.0], [48.0, 8.0]]
    fences = {"polygons": [{"inclusion": True, "polygon": bow_tie}]}
    with pytest.raises(plan.MissionError, match="edges that cross"):
        fence.breach(demo(fences))


def test_the_way_from_the_planned_home_counts() -> None:
    """A circle on the first leg, or around the place of take-off."""
    north = {"inclusion": False, "circle": {"center": [47.39795, 8.5455938], "radius": 8.0}}
    mission = replace(demo({"circles": [north]}), planned_home=Origin(47.3979, 8.5455938, 488.0))
    assert "place of take-off" in fence.breach(mission)
    far = replace(mission, planned_home=Origin(47.3981, 8.5455938, 488.0))
    assert "flies into a fence" in fence.breach(far)


def test_the_way_from_where_the_aircraft_really_stands() -> None:
    mission = demo()
    for place, allowed in (((47.3977419, 8.5455938), True), ((47.5, 8.5455938), False)):
        vehicle = PerfectVehicle(Origin(*place, 488.0))
        executor = Executor(mission, vehicle, Limits())
        reasons = [executor.tick(10**15 + i * 10**8).reason for i in range(5)]
        assert ("arm" in vehicle.asked) is allowed
        assert ("from where the aircraft stands" in reasons[-1]) is not allowed


def test_fences_wait_for_an_origin() -> None:
    vehicle = PerfectVehicle(None)
    executor = Executor(demo(), vehicle, Limits())
    assert executor.tick(10**15).reason
    assert vehicle.asked == []


def test_fences_that_nothing_ties_to_the_earth_are_refused() -> None:
    steps = (plan.TakeOff(plan.Altitude(5.0, plan.Datum.HOME)), plan.Land())
    mission = replace(demo(), planned_home=None, origin=None, steps=steps)
    assert "cannot be judged" in fence.breach(mission)
