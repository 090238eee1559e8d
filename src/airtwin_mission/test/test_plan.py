# SPDX-License-Identifier: Apache-2.0
"""Mission files: what is read, what is refused, and that nothing hostile gets further."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core.types import Origin
from airtwin_mission import mission_file, plan, yaml_mission
from airtwin_mission.plan import (
    Altitude,
    Craft,
    Datum,
    GeoPlace,
    GoTo,
    Hold,
    Land,
    MissionError,
    NedPlace,
    Return,
    Speed,
    TakeOff,
)

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data" / "missions"
DEMO = sorted((ROOT / "config" / "missions").glob("*.*"))
EXPECTED = {
    # name: (steps, craft), or words of the refusal
    "qgroundcontrol_sample.plan": (5, Craft.MULTIROTOR),
    "qgroundcontrol_sample_with_digicam_control.plan": "no item that is flown",
    "qgroundcontrol_sample_with_structured_scan.plan": "item 2 ('StructureScan')",
    "qgroundcontrol_sample_with_survey.plan": (8, Craft.MULTIROTOR),
    "qgroundcontrol_sample_with_survey_missing_items.plan": 'no "Items"',
    "qgroundcontrol_sample_with_survey_wrong_version.plan": "version 9",
    "qgroundcontrol_sample_without_mission.plan": "holds no mission",
    "qgroundcontrol_sample_wrong_mission_version.plan": "mission version 7",
    "qgroundcontrol_sample_wrong_overall_version.plan": "plan version 42",
    "multicopter_mission_geofence_avoid.plan": (5, Craft.MULTIROTOR),
    "vtol_mission.plan": (9, Craft.VTOL),
    "vtol_mission_straight_south.plan": (2, Craft.VTOL),
    "vtol_mission_with_land_start.plan": (8, Craft.VTOL),
    "vtol_mission_without_landing.plan": (8, Craft.VTOL),
    "FW_mission_1.plan": (4, Craft.FIXED_WING),
    "MC_mission_box.plan": (6, Craft.MULTIROTOR),
    "MC_safe_landing.plan": (4, Craft.MULTIROTOR),
    "VTOL_TAKEOFF.mission": "save it as .plan",
    "VTOL_mission_1.plan": (4, Craft.VTOL),
    "avoidance.plan": (3, Craft.MULTIROTOR),
    "rover_mission_1.plan": (3, Craft.ROVER),
}


def shared(name: str) -> Path:
    found = list(SHARED.rglob(name))
    if not found:
        pytest.skip("../shared/data/missions is not here")
    return found[0]


def item(command: int, *params: float | None, frame: int = 3, jump_id: int = 1) -> dict:
    filled = [*params, *[0] * (7 - len(params))]
    return {
        "type": "SimpleItem",
        "command": command,
        "frame": frame,
        "params": filled,
        "doJumpId": jump_id,
    }


def qgc(*items: object, **more: object) -> str:
    mission = {"version": 2, "items": list(items), "vehicleType": 2, "hoverSpeed": 5}
    return json.dumps({"fileType": "Plan", "version": 1, "mission": mission, **more})


TAKE_OFF = item(22, 0, 0, 0, None, 47.0, 8.0, 10)
WAYPOINT = item(16, 0, 0, 0, None, 47.001, 8.0, 10, jump_id=2)


# --- real files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
def test_shared_files(name: str) -> None:
    expected = EXPECTED[name]
    if isinstance(expected, str):
        with pytest.raises(MissionError) as refusal:
            mission_file.load(shared(name))
        assert expected in str(refusal.value)
        assert str(refusal.value).startswith(name)
        assert "\n" not in str(refusal.value)
    else:
        mission = mission_file.load(shared(name))
        assert (len(mission.steps), mission.craft) == expected


def test_every_shared_file_is_expected() -> None:
    if not SHARED.exists():
        pytest.skip("../shared/data/missions is not here")
    there = {p.name for p in SHARED.rglob("*") if p.suffix in (".plan", ".mission")}
    assert there == set(EXPECTED)


def test_fences_and_home_are_kept() -> None:
    mission = mission_file.load(shared("multicopter_mission_geofence_avoid.plan"))
    assert mission.planned_home == Origin(47.3977444, 8.5455918, 489.338)
    circle = next(f for f in mission.fences if f.centre_deg)
    assert not circle.inside
    assert circle.radius_m == pytest.approx(111.0536, abs=1e-3)
    assert circle.centre_deg == pytest.approx((47.39530642, 8.54286778))
    assert all(len(f.corners_deg) >= 3 for f in mission.fences if not f.centre_deg)


@pytest.mark.parametrize("path", DEMO, ids=lambda p: p.name)
def test_demo_missions_are_flown(path: Path) -> None:
    mission = mission_file.load(path)
    assert plan.why_not_flown(mission) == ""
    assert isinstance(mission.steps[-1], Land)
    assert len(DEMO) == 3


# --- QGroundControl: each command, each datum ---------------------------------------------------


def steps(*items: object) -> tuple:
    return mission_file.parse(qgc(TAKE_OFF, *items), name="m.plan").steps[1:]


@pytest.mark.parametrize(
    ("frame", "datum"),
    [
        (0, Datum.AMSL),
        (5, Datum.AMSL),
        (3, Datum.HOME),
        (6, Datum.HOME),
        (10, Datum.AGL),
        (11, Datum.AGL),
    ],
)
def test_datum_follows_the_frame(frame: int, datum: Datum) -> None:
    (step,) = steps(item(16, 0, 0, 0, None, 47.0, 8.0, 500, frame=frame))
    assert step == GoTo(GeoPlace(47.0, 8.0, Altitude(500.0, datum)))


def test_datums_do_not_mix() -> None:
    with pytest.raises(MissionError, match="do not mix"):
        Altitude(500.0, Datum.AMSL).minus_m(Altitude(10.0, Datum.HOME))
    assert Altitude(500.0, Datum.AMSL).minus_m(Altitude(490.0, Datum.AMSL)) == 10.0


def test_each_command() -> None:
    here = GeoPlace(47.0, 8.0, Altitude(10.0, Datum.HOME))
    there = (None, 47.0, 8.0, 10)
    assert steps(item(16, 5, 0, 0, *there)) == (GoTo(here), Hold(5.0))
    assert steps(item(17, 0, 0, 0, *there)) == (GoTo(here), Hold(math.inf))
    assert steps(item(19, 7, 0, 0, *there)) == (GoTo(here), Hold(7.0))
    assert steps(item(31, 1, 50, 0, *there)) == (GoTo(here),)
    turns = steps(item(18, 2, 0, 10, *there))
    assert turns[0] == GoTo(here)
    assert turns[1].seconds == pytest.approx(2 * 2 * math.pi * 10 / 5)
    assert steps(item(20, frame=2)) == (Return(),)
    assert steps(item(21, 0, 0, 0, *there)) == (Land(here),)
    assert steps(item(21, 0, 0, 0, None, 0, 0, 0)) == (Land(None),)
    assert steps(item(85, 0, 0, 0, *there)) == (Land(here),)
    assert steps(item(93, 4, -1, -1, -1, frame=2)) == (Hold(4.0),)
    assert steps(item(178, 1, 3.5, -1, frame=2)) == (Speed(3.5),)
    vtol = mission_file.parse(qgc(item(84, 0, 0, 0, *there)), name="m.plan").steps
    assert vtol == (TakeOff(Altitude(10.0, Datum.HOME), here),)


def test_payload_commands_are_noted() -> None:
    mission = mission_file.parse(
        qgc(TAKE_OFF, item(2000, frame=2), item(206, frame=2)), name="m.plan"
    )
    assert len(mission.steps) == 1
    assert mission.notes == (
        "item 2: camera (command 2000) is left out",
        "item 3: camera trigger (command 206) is left out",
    )


def test_jumps_are_unrolled() -> None:
    back = item(177, 2, 3, frame=2, jump_id=3)
    assert len(steps(WAYPOINT, back, item(20, frame=2, jump_id=4))) == 1 + 3 + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (qgc(TAKE_OFF, item(177, 2, -1)), "item 2 jumps for ever"),
        (qgc(TAKE_OFF, item(177, 77, 1)), "jumps to item 77, which does not exist"),
        (qgc(TAKE_OFF, WAYPOINT, item(177, 1, 1e6)), "unroll to more than 10000"),
        (qgc(TAKE_OFF, item(177, 2, 1e6, jump_id=2)), "never end"),
        (qgc(TAKE_OFF, item(16, 0, 0, 0, None, None, 8.0, 5)), "item 2: the latitude is None"),
        (qgc(TAKE_OFF, item(16, 0, 0, 0, None, 91, 8.0, 5)), "item 2: the latitude is 91"),
        (qgc(TAKE_OFF, item(16, 0, 0, 0, None, 47, 8, 1e7)), "item 2: the altitude"),
        (qgc(TAKE_OFF, item(16, frame=1)), "frame 1 does not say"),
        (qgc(TAKE_OFF, item(179)), "command 179 is not one"),
        (qgc(TAKE_OFF, item(178, 1, 1e4)), "the speed is 10000"),
        (qgc(TAKE_OFF, item(93, -1, 12, 0, 0)), "time of day"),
        (qgc(TAKE_OFF, {"type": "SimpleItem", "command": 16}), "params"),
        (qgc(TAKE_OFF, item("16")), "\"command\" is '16', not a number"),
        (qgc(TAKE_OFF, item(True)), "not a number"),
        (qgc(TAKE_OFF, 7), "item 2 is not an object"),
        (qgc(TAKE_OFF, {"type": "Magic"}), "unknown type 'Magic'"),
        (qgc(), "no item that is flown"),
        (qgc(TAKE_OFF, geoFence=[]), "geoFence"),
        (qgc(TAKE_OFF, geoFence={"version": 2, "polygons": [{"inclusion": 1}]}), "in or out"),
        (qgc(TAKE_OFF, rallyPoints={"points": [[1, 2]]}), "rally point has no altitude"),
        (qgc(TAKE_OFF).replace("47.0", "NaN"), "NaN is not a number of JSON"),
        (qgc(TAKE_OFF).replace("47.0", "1e999"), "parameter 5 is inf"),
        (qgc(TAKE_OFF).replace("47.0", "9" * 5000), "too many digits"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "line 1 is not JSON"),
        ("[]", "not a QGroundControl plan"),
        ("", "line 1 is not JSON"),
    ],
)
def test_refused_plans(text: str, words: str) -> None:
    with pytest.raises(MissionError) as refusal:
        mission_file.parse(text, name="m.plan")
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("m.plan: ")
    assert len(str(refusal.value)) < 200


# --- YAML ---------------------------------------------------------------------------------------

YAML = """mission: 1
name: all steps
origin: {latitude_deg: 47.0, longitude_deg: 8.0, altitude_amsl_m: 400.0}
speed_m_s: 4
steps:
  - take_off: {height_m: 10}
  - go_to: {ned_m: [1, 2.5, -10]}
  - go_to: {latitude_deg: 47.0, longitude_deg: 8.0, altitude_m: 450, datum: amsl}
  - hold: {seconds: 2}
  - speed: {m_s: 3}
  - return: {}
"""


def test_yaml() -> None:
    mission = mission_file.parse(YAML, name="m.yaml")
    assert mission.name == "all steps"
    assert mission.origin == Origin(47.0, 8.0, 400.0)
    assert mission.cruise_m_s == 4.0
    assert mission.steps == (
        TakeOff(Altitude(10.0, Datum.HOME)),
        GoTo(NedPlace(1.0, 2.5, -10.0)),
        GoTo(GeoPlace(47.0, 8.0, Altitude(450.0, Datum.AMSL))),
        Hold(2.0),
        Speed(3.0),
        Return(),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seconds: 2", "seconds: .nan", "line 9, steps 4 hold seconds: input should be a finite"),
        ("seconds: 2", "seconds: -1", "line 9, steps 4 hold seconds"),
        ("seconds: 2", 'seconds: "2"', "line 9, steps 4 hold seconds"),
        ("seconds: 2", "seconds: yes", "line 9, steps 4 hold seconds"),
        ("seconds: 2", "secnds: 2", "line 9, steps 4 hold secnds: no such setting"),
        ("hold: {seconds: 2}", "hold:", "line 9, step 4: an action without settings"),
        ("hold: {seconds: 2}", "hover: {}", "line 9, steps 4 hover: no such setting"),
        ("return: {}", "return: {}\n    land: {}", "exactly one action, this one has: land, ret"),
        ("[1, 2.5, -10]", "[1, 2.5]", "line 7, steps 2 go_to ned_m"),
        ("altitude_m: 450", "altitude_m: 1e9", "line 8, steps 3 go_to altitude_m"),
        ("datum: amsl", "datum: wgs84", "line 8, steps 3 go_to datum"),
        ("mission: 1", "mission: 2", "line 1, mission: input should be 1"),
        ("mission: 1", "hello: 1", 'the first line of one is "mission: 1"'),
        ("speed_m_s: 4", "speed_m_s: 4\nspeed_m_s: 5", "line 5: 'speed_m_s' stands twice"),
        ("all steps", "&a x\nb: *a", "aliases"),
        ("all steps", "[[[[[[[[[[1]]]]]]]]]]", "nested deeper"),
        ("all steps", "!!python/object:os.system x", "line 2: tags (!)"),
        ("all steps", "{", "is not YAML"),
        ("speed_m_s: 4", "speed_m_s: 0x_", "line 4"),
        ("steps:", "steps: 3 #", "is not YAML"),
    ],
)
def test_refused_yaml(old: str, new: str, words: str) -> None:
    assert old in YAML
    with pytest.raises(MissionError) as refusal:
        mission_file.parse(YAML.replace(old, new, 1), name="m.yaml")
    assert words in str(refusal.value)


def test_schema_is_that_of_the_reader() -> None:
    written = json.loads((ROOT / "config" / "schemas" / "mission.schema.json").read_text())
    made = yaml_mission.MissionFile.model_json_schema()
    assert {k: v for k, v in written.items() if not k.startswith("$") or k == "$defs"} == made


# --- files and hostile input --------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissionError, match="No such file"):
        mission_file.load(tmp_path / "none.plan")
    (tmp_path / "b.plan").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MissionError, match="UTF-8"):
        mission_file.load(tmp_path / "b.plan")
    with pytest.raises(MissionError, match="ends in"):
        mission_file.parse("x", name="m.txt")
    with pytest.raises(MissionError, match="larger than 10 MB"):
        mission_file.parse(" " * (mission_file.MAX_BYTES + 1), name="m.plan")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def understood_or_refused(text: str, name: str) -> None:
    """The property: a mission whose numbers are all in range, or MissionError; nothing else."""
    try:
        mission = mission_file.parse(text, name=name)
    except MissionError:
        return
    assert 1 <= len(mission.steps) <= plan.MAX_STEPS
    for step in mission.steps:
        place = step.place if isinstance(step, GoTo | Land) else None
        if isinstance(place, GeoPlace):
            assert abs(place.latitude_deg) <= 90.0
            assert abs(place.longitude_deg) <= 180.0
            assert abs(place.altitude.value_m) <= plan.MAX_ALTITUDE_M
        if isinstance(step, Speed):
            assert 0.0 < step.speed_m_s <= plan.MAX_SPEED_M_S
        if isinstance(step, Hold):
            assert step.seconds > 0.0
    plan.why_not_flown(mission)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_hostile_plans(data: st.DataObject) -> None:
    """A valid plan in which one value anywhere becomes anything."""
    circle = {"inclusion": True, "circle": {"center": [47.0, 8.0], "radius": 5}}
    document = json.loads(
        qgc(
            TAKE_OFF,
            WAYPOINT,
            item(177, 2, 3, jump_id=3),
            item(178, 1, 4),
            plannedHomePosition=[1, 2, 3],
            geoFence={"version": 2, "polygons": [], "circles": [circle]},
            rallyPoints={"version": 2, "points": [[47.0, 8.0, 5.0]]},
        )
    )
    where = document
    while True:
        keys = sorted(where) if isinstance(where, dict) else list(range(len(where)))
        key = data.draw(st.sampled_from(keys))
        inner = where[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            where[key] = data.draw(anything)
            break
        where = inner
    understood_or_refused(json.dumps(document), "m.plan")


@given(anything)
@settings(max_examples=100, deadline=None)
def test_any_json(document: object) -> None:
    understood_or_refused(json.dumps(document), "m.plan")
    understood_or_refused(json.dumps({"mission": 1, "steps": document}), "m.yaml")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_mutilated_yaml(data: st.DataObject) -> None:
    """A valid file with a piece cut out and another put in."""
    begin = data.draw(st.integers(0, len(YAML)))
    end = data.draw(st.integers(begin, min(len(YAML), begin + 20)))
    piece = data.draw(st.text(alphabet="{}[]:-,&*!|>#'\" \n\t0189.eEnaif\x00é", max_size=8))
    understood_or_refused(YAML[:begin] + piece + YAML[end:], "m.yaml")


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text(text: str) -> None:
    understood_or_refused(text, "m.yaml")
    understood_or_refused("mission: 1\n" + text, "m.yaml")
    understood_or_refused(text, "m.plan")
