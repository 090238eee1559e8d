# SPDX-License-Identifier: Apache-2.0
"""A way that leaves its own fence is not flown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airtwin_mission import fence, mission_file, plan

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
    assert "leaves the fence" in fence.breach(demo(circle(10.0, inside=True)))
    assert fence.breach(demo(circle(500.0, inside=True))) == ""


def test_crossed_edges_are_refused() -> None:
    bow_tie = [[47.0, 8.0], [48.0, 9.0], [47.0, 9.0], [48.0, 8.0]]
    fences = {"polygons": [{"inclusion": True, "polygon": bow_tie}]}
    with pytest.raises(plan.MissionError, match="edges that cross"):
        fence.breach(demo(fences))
