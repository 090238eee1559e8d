# SPDX-License-Identifier: Apache-2.0
"""What the manager tells aircraft near zones, and those of which it knows too little."""

from __future__ import annotations

import math

import pytest

from airtwin_airspace.altitude import Altitude, Datum
from airtwin_airspace.breach import Where
from airtwin_airspace.manager import Airspace
from airtwin_airspace.point_mass import ORIGIN, START_NS, Flight, PointMass, twin_state
from airtwin_airspace.zones import Circle, Restriction, Volume, Zone
from airtwin_core.types import (
    AdvisoryAction,
    LandDetected,
)

from point_masses import fly, ned, square  # isort: skip

HOLD, CLEAR, RETURN = AdvisoryAction.HOLD, AdvisoryAction.CLEAR, AdvisoryAction.RETURN


def test_an_aircraft_holds_before_a_prohibited_zone_and_is_sent_back() -> None:
    fleet = [PointMass("px4_1", [ned(200, 0, -20)], ned(0, 0, -20), 5.0)]
    deepest = 0.0
    flight = Flight(Airspace([square(100, 0, 30)], origin=ORIGIN), fleet)
    for _ in range(900):
        flight.step()
        deepest = max(deepest, float(fleet[0].position[0]))
    assert deepest < 70.0
    assert [name for _, name in flight.held("px4_1")] == ["CLEAR", "HOLD", "RETURN"]
    assert fleet[0].position[0] == pytest.approx(0.0, abs=1.0)


def test_one_that_falls_silent_on_its_way_into_a_zone_is_told_to_hold() -> None:
    """It is 60 m from the zone and flies at 5 m/s: 11 s later its disc and the margin touch it."""
    airspace = Airspace([square(100, 0, 30)], vehicles=["px4_1"], origin=ORIGIN)
    told = []
    for k in range(300):
        now_ns = START_NS + k * 100_000_000
        if k == 0:
            airspace.on_track("px4_1", twin_state(ned(10, 0, -20), ned(5, 0, 0), now_ns))
        told += [(0.1 * k, a) for a in airspace.tick(now_ns)]
    (_, clear), (time_s, hold) = told
    assert clear.action is CLEAR
    assert (hold.action, hold.kind, hold.other) == (HOLD, "zone", "Z1")
    assert math.isnan(hold.time_to_s)
    assert hold.reason == "place not known, zone Z1 may be reached"
    assert time_s == pytest.approx((60.0 - 5.0) / 5.0, abs=0.2)
    (incursion,) = airspace.picture.incursions
    assert incursion.breach.where is Where.UNKNOWN


def test_one_that_falls_silent_far_from_zones_or_on_the_ground_is_told_nothing_of_them() -> None:
    for place, landed in ((ned(-300, 0, -20), False), (ned(40, 0, 0), True)):
        airspace = Airspace([square(100, 0, 30)], vehicles=["px4_1"], origin=ORIGIN)
        airspace.on_track("px4_1", twin_state(place, ned(0, 0, 0), START_NS))
        for k in range(1200):
            now_ns = START_NS + k * 100_000_000
            if landed:
                land = LandDetected(now_ns, now_ns, True, False, True, False)
                airspace.on_land("px4_1", land)
            airspace.tick(now_ns)
        assert airspace.advisory("px4_1").action is CLEAR  # type: ignore[union-attr]


def test_one_that_is_heard_again_outside_the_zone_is_let_go() -> None:
    airspace = Airspace([square(100, 0, 30)], vehicles=["px4_1"], origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(10, 0, -20), ned(0, 0, 0), START_NS))
    actions = []
    for k in range(300):
        now_ns = START_NS + k * 100_000_000
        if k >= 200:
            airspace.on_track("px4_1", twin_state(ned(10, 0, -20), ned(0, 0, 0), now_ns))
        actions += [a.action for a in airspace.tick(now_ns)]
    assert actions == [CLEAR, HOLD, CLEAR]


def test_an_aircraft_inside_is_sent_back_at_once() -> None:
    fleet = [PointMass("px4_1", [ned(200, 0, -20)], ned(100, 0, -20), 5.0)]
    flight = fly(fleet, square(100, 0, 30), seconds=1.0)
    assert flight.told[-1][1].action is RETURN
    assert flight.told[-1][1].other == "Z1"


def test_one_that_was_sent_back_is_not_stopped_by_a_zone_on_its_way() -> None:
    """It would hang before the zone for ever; its way home is no worse than staying."""
    airspace = Airspace([square(0, 0, 30), square(-100, 0, 30)], origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(0, 0, -20), ned(-5, 0, 0), START_NS))
    assert [a.action for a in airspace.tick(START_NS)] == [RETURN]
    later = START_NS + 100_000_000
    airspace.on_track("px4_1", twin_state(ned(-50, 0, -20), ned(-5, 0, 0), later))
    assert airspace.tick(later) == ()
    assert airspace.picture.incursions[0].breach.time_to_s < 4.0


def test_above_the_zone_is_outside_until_it_sinks() -> None:
    airspace = Airspace([square(0, 0, 30)], origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(0, 0, -150), ned(0, 0, 0), START_NS))
    assert [a.action for a in airspace.tick(START_NS)] == [CLEAR]
    sinking = twin_state(ned(0, 0, -118), ned(0, 0, 2.0), START_NS + 100_000_000)
    airspace.on_track("px4_1", sinking)
    (told,) = airspace.tick(START_NS + 100_000_000)
    # 600 m AMSL and 3 m margin and two sigma above an origin at 488 m: 2.4 m below it
    assert told.action is HOLD
    assert told.time_to_s == pytest.approx((118 - 112 - 3 - 0.6) / 2.0, abs=0.01)


def test_authorised_and_unrestricted_zones_let_pass() -> None:
    for restriction, authorised, action in (
        (Restriction.NO_RESTRICTION, frozenset(), CLEAR),
        (Restriction.REQ_AUTHORISATION, frozenset({"Z1"}), CLEAR),
        (Restriction.REQ_AUTHORISATION, frozenset(), RETURN),
        (Restriction.CONDITIONAL, frozenset(), RETURN),
    ):
        zone = square(0, 0, 30, restriction)
        airspace = Airspace([zone], origin=ORIGIN, authorised=authorised)
        airspace.on_track("px4_1", twin_state(ned(0, 0, -20), ned(0, 0, 0), START_NS))
        assert [a.action for a in airspace.tick(START_NS)] == [action]


def test_a_limit_above_unknown_ground_is_no_limit_and_said() -> None:
    volume = Volume((Circle(47.3977419, 8.5455938, 50.0),), None, Altitude(30.0, Datum.AGL))
    zone = Zone("Z2", "", Restriction.PROHIBITED, (volume,))
    airspace = Airspace([zone], origin=ORIGIN)
    airspace.on_track("px4_1", twin_state(ned(0, 0, -2000), ned(0, 0, 0), START_NS))
    assert [a.action for a in airspace.tick(START_NS)] == [RETURN]
    assert any("30 m AGL" in remark and "no limit" in remark for remark in airspace.remarks)


def test_zones_are_not_known_far_from_the_origin() -> None:
    for zones, action in (((square(0, 0, 30),), HOLD), ((), CLEAR)):
        airspace = Airspace(zones, origin=ORIGIN)
        airspace.on_track("px4_1", twin_state(ned(60_000, 0, -20), ned(0, 0, 0), START_NS))
        assert [a.action for a in airspace.tick(START_NS)] == [action]
