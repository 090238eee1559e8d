# SPDX-License-Identifier: Apache-2.0
"""Whole flights of point masses, and tracks that must not be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_airspace.limits import Limits
from airtwin_airspace.manager import Airspace
from airtwin_airspace.point_mass import ORIGIN, START_NS, Flight, PointMass, twin_state
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    AdvisoryAction,
    LandDetected,
    MissionBelief,
    Origin,
    Phase,
)

from point_masses import fly, ned  # isort: skip

HOLD, CLEAR, RETURN = AdvisoryAction.HOLD, AdvisoryAction.CLEAR, AdvisoryAction.RETURN


def crossing(speed_m_s: float = 5.0, **options: bool) -> list[PointMass]:
    """The two aircraft of the demo whose ways cross at (40, 40)."""
    return [
        PointMass("px4_1", [ned(80, 80, -20)], ned(0, 0, -20), speed_m_s, **options),
        PointMass("px4_2", [ned(0, 80, -20)], ned(80, 0, -20), speed_m_s, **options),
    ]


@pytest.mark.parametrize("speed_m_s", [2.0, 3.0, 5.0, 8.0, 12.0])
@pytest.mark.parametrize("hides_target", [False, True])
def test_of_two_crossing_aircraft_exactly_one_holds_and_goes_on(
    speed_m_s: float, hides_target: bool
) -> None:
    flight = fly(crossing(speed_m_s, hides_target=hides_target))
    assert [name for _, name in flight.held("px4_1")] == ["CLEAR"]
    assert [name for _, name in flight.held("px4_2")] == ["CLEAR", "HOLD", "CLEAR"]
    assert flight.both_held_s == 0.0
    assert flight.least_m > flight.airspace.limits.horizontal_m
    assert all(one.arrived for one in flight.fleet)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-math.pi, math.pi),
    st.floats(0.6, 2.5),
    st.floats(2.0, 10.0),
    st.floats(2.0, 10.0),
    st.floats(-3.0, 3.0),
)
def test_separation_is_kept_whatever_the_crossing(
    heading: float, angle: float, speed_1: float, speed_2: float, late_s: float
) -> None:
    """Two straight flights of 20 s each way about one point, at any angle and speed."""
    fleet = []
    for vehicle, way, speed in (("px4_1", heading, speed_1), ("px4_2", heading + angle, speed_2)):
        direction = ned(math.cos(way), math.sin(way), 0.0)
        late = late_s * speed if vehicle == "px4_2" else 0.0
        start = -direction * (20.0 * speed + late)
        fleet.append(
            PointMass(
                vehicle, [direction * 20.0 * speed + ned(0, 0, -20)], start + ned(0, 0, -20), speed
            )
        )
    if np.linalg.norm(fleet[0].position - fleet[1].position) < 30.0:
        return
    flight = fly(fleet, seconds=60.0)
    assert flight.least_m > 20.0


def test_swapping_the_order_of_arrival_changes_nothing() -> None:
    one, other = fly(crossing()), fly(crossing()[::-1])
    assert [a for a in one.told if a[1].action is HOLD] == [
        a for a in other.told if a[1].action is HOLD
    ]


def test_head_on_both_stop_and_the_lower_one_goes_home() -> None:
    flight = fly(
        [
            PointMass("px4_1", [ned(200, 0, -20)], ned(0, 0, -20)),
            PointMass("px4_2", [ned(0, 0, -20)], ned(200, 0, -20)),
        ],
        seconds=60.0,
    )
    assert flight.least_m > 20.0
    assert RETURN in [a.action for _, a in flight.told if a.vehicle == "px4_2"]
    assert RETURN not in [a.action for _, a in flight.told if a.vehicle == "px4_1"]


def test_the_overtaking_one_holds_whoever_it_is() -> None:
    for fast, slow in (("px4_1", "px4_2"), ("px4_2", "px4_1")):
        flight = fly(
            [
                PointMass(fast, [ned(200, 0, -20)], ned(0, 0, -20), 8.0),
                PointMass(slow, [ned(200, 40, -20)], ned(60, 0, -20), 2.0),
            ],
            seconds=40.0,
        )
        assert flight.least_m > 20.0
        assert "HOLD" in [name for _, name in flight.held(fast)]
        assert "HOLD" not in [name for _, name in flight.held(slow)]


def test_height_separates() -> None:
    fleet = crossing()
    fleet[1].position[2] = fleet[1].waypoints[0][2] = -40.0
    flight = fly(fleet)
    assert [a.action for _, a in flight.told] == [CLEAR, CLEAR]


def test_an_aircraft_that_does_not_obey_makes_the_other_hold() -> None:
    """It is taken at its word for 4 s; then it is reckoned with as it flies."""
    fleet = crossing()
    fleet[1].obeys = False
    flight = fly(fleet)
    told = {a.vehicle: time_s for time_s, a in reversed(flight.told) if a.action is HOLD}
    assert told["px4_1"] - told["px4_2"] == pytest.approx(4.0, abs=0.5)
    assert flight.least_m > 20.0


def test_silence_is_not_separation() -> None:
    """One falls silent on its way to the crossing: the other holds, and is not let go."""
    fleet = crossing()
    flight = Flight(Airspace((), vehicles=["px4_1", "px4_2"], origin=ORIGIN), fleet)
    flight.run(1.0)
    fleet[0].silent = True
    flight.run(40.0)
    assert flight.airspace.advisory("px4_2").action is HOLD  # type: ignore[union-attr]
    assert dict(flight.airspace.picture.unknown)["px4_1"].startswith("track is")


def test_one_that_fell_silent_while_it_held_is_not_let_go_until_it_is_heard() -> None:
    fleet = crossing()
    flight = Flight(Airspace((), vehicles=["px4_1", "px4_2"], origin=ORIGIN), fleet)
    while "HOLD" not in [name for _, name in flight.held("px4_2")]:
        flight.step()
    fleet[1].silent = True
    fleet[0].waypoints = [ned(1500, 1500, -20)]
    fleet[0].speed_m_s = 25.0
    for _ in range(800):
        flight.step()
    assert float(np.linalg.norm(fleet[0].position)) > 700.0
    assert flight.airspace.advisory("px4_2").action is HOLD  # type: ignore[union-attr]
    fleet[1].silent = False
    for _ in range(100):
        flight.step()
    assert flight.airspace.advisory("px4_2").action is CLEAR  # type: ignore[union-attr]


def test_a_vehicle_never_seen_is_said() -> None:
    airspace = Airspace((), vehicles=["px4_1", "px4_2"], origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(0, 0, -20), ned(0, 0, 0), START_NS))
    airspace.tick(START_NS)
    assert airspace.picture.unknown == (("px4_2", "no track yet"),)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"position_ned_m": ned(math.nan, 0, 0)}, "not finite"),
        ({"velocity_ned_m_s": ned(0, math.inf, 0)}, "not finite"),
        ({"position_ned_m": ned(1e9, 0, 0)}, "too large"),
        ({"covariance": np.full((15, 15), math.nan)}, "covariance"),
        ({"covariance": -np.eye(15)}, "covariance"),
        ({"aligned": False}, "aligned"),
        ({"horizontal_valid": False}, "position not valid"),
        ({"vertical_valid": False}, "position not valid"),
        ({"velocity_valid": False}, "velocity not valid"),
        ({"origin": None}, "no origin"),
        ({"origin": Origin(math.nan, 0.0, 0.0)}, "no place"),
        ({"origin": Origin(91.0, 0.0, 0.0)}, "no place"),
    ],
)
def test_rubbish_is_refused_counted_and_never_clear(fault: dict[str, object], cause: str) -> None:
    airspace = Airspace((), vehicles=["px4_1", "px4_2"], origin=ORIGIN)
    good = twin_state(ned(0, 0, -20), ned(0, 0, 0), START_NS)
    bad = good._replace(**fault)  # type: ignore[arg-type]
    assert cause in str(airspace.on_track("px4_2", bad))
    airspace.on_track("px4_1", good)
    told = airspace.tick(START_NS)
    assert [a.vehicle for a in told] == ["px4_1"]
    assert dict(airspace.picture.unknown)["px4_2"].startswith("no track yet (")
    assert sum(airspace.tracks["px4_2"].intake.counts["track"].values()) == 1


def test_a_frozen_stamp_grows_old() -> None:
    airspace = Airspace((), vehicles=["px4_1"], origin=ORIGIN)
    state = twin_state(ned(0, 0, -20), ned(0, 0, 0), START_NS)
    for k in range(30):
        now = START_NS + k * 100_000_000
        airspace.on_track("px4_1", state._replace(received_ns=now))
    airspace.tick(START_NS + 3_000_000_000)
    assert "old" in dict(airspace.picture.unknown)["px4_1"]


def test_parked_aircraft_do_not_hold_each_other() -> None:
    fleet = [
        PointMass("px4_1", [], ned(0, 0, 0), landed=True),
        PointMass("px4_2", [], ned(6, 0, 0), landed=True),
    ]
    flight = Flight(Airspace((), origin=ORIGIN), fleet)
    for _ in range(60):
        flight.step()
    assert {a.action for _, a in flight.told} == {CLEAR}


@pytest.mark.parametrize(("height_m", "stopped"), [(10.0, False), (3.0, True)])
def test_flying_over_a_parked_aircraft(height_m: float, stopped: bool) -> None:
    """At mission height nobody is stopped by one on its pad; just above it, one is sent back."""
    fleet = [
        PointMass("px4_1", [], ned(60, 0, 0), landed=True),
        PointMass("px4_2", [ned(120, 0, -height_m)], ned(0, 0, -height_m)),
    ]
    flight = Flight(Airspace((), origin=ORIGIN), fleet)
    for _ in range(1200):
        flight.step()
    actions = [name for _, name in flight.held("px4_2")]
    assert actions == (["CLEAR", "HOLD", "RETURN"] if stopped else ["CLEAR"])


def test_tracks_of_other_origins_meet_on_one_plane() -> None:
    """The same two places, told from two origins 3 km apart."""
    far = Origin(47.42, 8.57, 500.0)
    common, other = LocalFrame(ORIGIN), LocalFrame(far)
    airspace = Airspace((), origin=ORIGIN)
    place = ned(40, 40, -20)
    moved = other.to_ned(*common.to_geodetic(place))
    airspace.on_track("px4_1", twin_state(place, ned(0, 0, 0), START_NS))
    airspace.on_track("px4_2", twin_state(moved, ned(0, 0, 0), START_NS, origin=far))
    airspace.tick(START_NS)
    a, b = airspace.picture.placed
    assert np.linalg.norm(a.position_ned_m - b.position_ned_m) < 0.01


def test_limits_that_mean_nothing_are_refused() -> None:
    for fault in ({"horizontal_m": math.nan}, {"look_ahead_s": 0.0}, {"release_margin": 0.5}):
        with pytest.raises(ValueError, match=next(iter(fault))):
            Limits(**fault)


@pytest.mark.parametrize(
    ("land_age_s", "speed_m_s", "action"), [(1.0, 0.0, CLEAR), (10.0, 0.0, HOLD), (1.0, 4.0, HOLD)]
)
def test_landed_is_believed_of_one_that_says_so_now_and_stands(
    land_age_s: float, speed_m_s: float, action: AdvisoryAction
) -> None:
    """Two stand 15 m apart: near for flying aircraft, far for one on the ground."""
    airspace = Airspace((), origin=ORIGIN)
    said_ns = START_NS - int(land_age_s * 1e9)
    airspace.on_land("px4_1", LandDetected(said_ns, said_ns, True, False, True, False))
    airspace.on_track("px4_1", twin_state(ned(0, 0, 0), ned(0, speed_m_s, 0), START_NS))
    airspace.on_track("px4_2", twin_state(ned(15, 0, 0), ned(0, 0, 0), START_NS))
    actions = {a.vehicle: a.action for a in airspace.tick(START_NS)}
    assert actions["px4_2"] is action


@pytest.mark.parametrize(("land_age_s", "action"), [(1.0, CLEAR), (4.9, CLEAR), (5.1, HOLD)])
def test_one_without_its_twin_is_landed_as_long_as_it_says_so(
    land_age_s: float, action: AdvisoryAction
) -> None:
    """60 s after its last state its disc has 300 m; the other one stands 30 m away."""
    airspace = Airspace((), origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(0, 0, 0), ned(0, 0, 0), START_NS))
    later = START_NS + 60_000_000_000
    said_ns = later - int(land_age_s * 1e9)
    airspace.on_land("px4_1", LandDetected(said_ns, said_ns, True, False, True, False))
    airspace.on_track("px4_2", twin_state(ned(30, 0, 0), ned(0, 0, 0), later))
    actions = {a.vehicle: a.action for a in airspace.tick(later)}
    assert actions["px4_2"] is action
    assert ("px4_1" in dict(airspace.picture.unknown)) == (action is HOLD)


def test_what_a_mission_said_long_ago_counts_no_more() -> None:
    """A belief of 0.9 s gives the right of way of one that returns, one of 1.1 s does not."""
    for age_s, target in ((0.9, True), (1.1, False)):
        airspace = Airspace((), origin=ORIGIN)
        said_ns = START_NS - int(age_s * 1e9)
        belief = MissionBelief(said_ns, said_ns, Phase.RETURN, 0, 1, 0.0, ned(0, 0, 0), 0.0, "")
        for vehicle, place, way in (
            ("px4_1", ned(0, -40, -20), ned(0, 5, 0)),
            ("px4_2", ned(-40, 0, -20), ned(5, 0, 0)),
        ):
            airspace.on_track(vehicle, twin_state(place, way, START_NS))
        airspace.on_belief("px4_2", belief)
        actions = {a.vehicle: a.action for a in airspace.tick(START_NS)}
        (two,) = (one for one in airspace.picture.placed if one.vehicle == "px4_2")
        assert (two.belief is not None, two.target_ned_m is not None) == (target, target)
        assert actions == {
            "px4_1": HOLD if target else CLEAR,
            "px4_2": CLEAR if target else HOLD,
        }


@pytest.mark.parametrize(("sigma_m", "action"), [(0.1, CLEAR), (4.0, HOLD)])
def test_what_is_less_known_is_kept_farther_apart(sigma_m: float, action: AdvisoryAction) -> None:
    """Two pass at 25 m, the minimum is 20 m: two sigma of the pair are 0.3 m or 11.3 m."""
    airspace = Airspace((), origin=ORIGIN)
    for vehicle, north, east in (("px4_1", -40.0, 0.0), ("px4_2", 40.0, 25.0)):
        speed = ned(-north / 8.0, 0, 0)
        for k in range(3):
            now_ns = START_NS + k * 100_000_000
            state = twin_state(ned(north, east, -20), speed, now_ns, sigma_m=sigma_m)
            airspace.on_track(vehicle, state)
    told = [airspace.tick(START_NS + k * 100_000_000) for k in (0, 5)]
    last = {a.vehicle: a.action for advisories in told for a in advisories}
    assert last["px4_2"] is action


def test_a_conflict_must_last_before_somebody_holds() -> None:
    """One state that points the wrong way for 0.2 s stops nobody; a near one stops at once."""
    for distance, held in ((110.0, False), (40.0, True)):
        airspace = Airspace((), origin=ORIGIN)
        for k in range(3):
            now_ns = START_NS + k * 100_000_000
            toward = ned(-10.0 if k == 1 else 0.0, 0, 0)
            airspace.on_track("px4_1", twin_state(ned(0, 0, -20), ned(0, 0, 0), now_ns))
            airspace.on_track("px4_2", twin_state(ned(distance, 0, -20), toward, now_ns))
            airspace.tick(now_ns)
        actions = [airspace.advisory(v).action for v in ("px4_1", "px4_2")]  # type: ignore[union-attr]
        assert (HOLD in actions) == held


@pytest.mark.parametrize("look_ahead_s", [12.0, 30.0])
def test_one_hold_that_solves_two_conflicts_is_enough(look_ahead_s: float) -> None:
    """px4_2 crosses px4_1, then px4_3; once it is told to hold, px4_3 waits for nothing.

    With 30 s both conflicts are urgent at the first tick, with 12 s the second one must last.
    """
    airspace = Airspace((), Limits(look_ahead_s=look_ahead_s), origin=ORIGIN)
    for k in range(8):
        now_ns, t = START_NS + k * 100_000_000, 0.1 * k
        for vehicle, place, way in (
            ("px4_1", ned(0, -40, -20), ned(0, 5, 0)),
            ("px4_2", ned(-40, 0, -20), ned(5, 0, 0)),  # has not braked yet
            ("px4_3", ned(30, 50, -20), ned(0, -5, 0)),
        ):
            airspace.on_track(vehicle, twin_state(place + way * t, way, now_ns))
        airspace.tick(now_ns)
    actions = [airspace.advisory(v).action for v in ("px4_1", "px4_2", "px4_3")]  # type: ignore[union-attr]
    assert actions == [CLEAR, HOLD, CLEAR]


def test_an_aircraft_that_returns_goes_first() -> None:
    fleet = crossing()
    fleet[1].returns = True
    flight = fly(fleet)
    assert flight.least_m > 20.0
    assert "HOLD" in [name for _, name in flight.held("px4_1")]
    assert "HOLD" not in [name for _, name in flight.held("px4_2")]


def test_px4_2_goes_before_px4_10() -> None:
    fleet = crossing()
    fleet[0].vehicle, fleet[1].vehicle = "px4_10", "px4_2"
    flight = fly(fleet)
    assert "HOLD" in [name for _, name in flight.held("px4_10")]
    assert "HOLD" not in [name for _, name in flight.held("px4_2")]


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_stays_apart(seed: int) -> None:
    """Eight aircraft fly across one another's ways for a minute; nobody comes close."""
    rng = np.random.default_rng(seed)
    fleet = []
    for k in range(8):
        angle = 2.0 * math.pi * (k + rng.uniform(-0.2, 0.2)) / 8
        way = ned(math.cos(angle), math.sin(angle), 0.0)
        start, end = 150.0 * way + ned(0, 0, -20), -150.0 * way + ned(0, 0, -20)
        fleet.append(PointMass(f"px4_{k + 1}", [end], start, rng.uniform(3.0, 8.0)))
    flight = fly(fleet, seconds=60.0)
    assert flight.least_m > 20.0


def test_two_runs_are_the_same() -> None:
    one, other = fly(crossing(4.3)), fly(crossing(4.3))
    assert repr(one.told) == repr(other.told)
