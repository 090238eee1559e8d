# SPDX-License-Identifier: Apache-2.0
"""One instant by itself: who is in the way of one that wants to fly on, and who goes first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airtwin_airspace.breach import ZoneIndex
from airtwin_airspace.limits import Limits
from airtwin_airspace.scene import Order, Scene, natural_order
from airtwin_airspace.tracks import Placed
from airtwin_core.types import Advisory, AdvisoryAction, Array

NOW_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def ned(*numbers: float) -> Array:
    return np.array(numbers, dtype=np.float64)


def placed(vehicle: str, position: Array, velocity: Array, **more: object) -> Placed:
    values: dict[str, object] = {
        "sigma_horizontal_m": 0.0,
        "sigma_vertical_m": 0.0,
        "age_s": 0.0,
        "fresh": True,
        "landed": False,
        "belief": None,
        "target_ned_m": None,
    }
    return Placed(vehicle, position, velocity, **{**values, **more})  # type: ignore[arg-type]


def order(want_velocity: Array, want: Array | None = None) -> Order:
    advisory = Advisory("px4_2", AdvisoryAction.HOLD, "traffic", "px4_1", math.nan, math.nan, "")
    return Order(advisory, NOW_NS - 10 * SECOND, want_velocity, want)


def scene(*fleet: Placed, orders: dict[str, Order] | None = None) -> Scene:
    return Scene(fleet, orders or {}, ZoneIndex((), 488.0), Limits(), NOW_NS)


HOLDER = placed("px4_2", ned(0, 0, -20), ned(0, 0, 0))


@pytest.mark.parametrize("arrives_s", [4.0, 6.7, 13.0])
def test_one_that_starts_slowly_meets_what_it_would_pass_at_full_speed(arrives_s: float) -> None:
    """The crossing is 40 m ahead: 4 s at 10 m/s, 6.7 s at 6 m/s, 13 s at 3 m/s."""
    other = placed("px4_1", ned(40, -6 * arrives_s, -20), ned(0, 6, 0))
    wants = order(ned(10, 0, 0), ned(100, 0, -20))
    assert scene(HOLDER, other).blockers(HOLDER, wants) == ("px4_1",)


def test_one_that_has_passed_or_stays_away_is_not_in_the_way() -> None:
    wants = order(ned(10, 0, 0), ned(100, 0, -20))
    for position, velocity in (
        (ned(40, 30, -20), ned(0, 6, 0)),
        (ned(40, 0, -40), ned(0, 0, 0)),
        (ned(-60, 0, -20), ned(-5, 0, 0)),
    ):
        other = placed("px4_1", position, velocity)
        assert scene(HOLDER, other).blockers(HOLDER, wants) == ()


def test_what_stands_beyond_the_target_is_not_in_the_way() -> None:
    other = placed("px4_1", ned(100, 0, -20), ned(0, 0, 0))
    near, far = order(ned(5, 0, 0), ned(30, 0, -20)), order(ned(5, 0, 0), ned(95, 0, -20))
    assert scene(HOLDER, other).blockers(HOLDER, near) == ()
    assert scene(HOLDER, other).blockers(HOLDER, far) == ("px4_1",)


def test_an_unknown_aircraft_grows_until_it_is_in_the_way() -> None:
    wants = order(ned(5, 0, 0), ned(30, 0, -20))
    for age_s, blockers in ((2.0, ()), (20.0, ("px4_1",))):
        lost = placed("px4_1", ned(30, 80, -20), ned(0, 0, 0), age_s=age_s, fresh=False)
        assert scene(HOLDER, lost).blockers(HOLDER, wants) == blockers


def test_a_clock_that_ran_back_is_unknown_and_as_wide() -> None:
    lost = placed("px4_1", ned(0, 100, -20), ned(0, 0, 0), age_s=-20.0, fresh=False)
    (pair,) = scene(HOLDER, lost).conflicts()
    assert pair.encounter.first_s == 0.0


def test_rubbish_that_came_through_is_a_conflict_not_a_separation() -> None:
    bad = placed("px4_1", ned(math.nan, 0, 0), ned(0, 0, 0))
    (pair,) = scene(HOLDER, bad).conflicts()
    assert math.isnan(pair.encounter.first_s)
    assert not scene(HOLDER, bad).solved(HOLDER, bad)
    assert scene(HOLDER, bad).blockers(HOLDER, order(ned(0, 0, 0))) == ("px4_1",)


def test_right_of_way() -> None:
    names = ["px4_10", "px4_2", "px4_0", "uav", "px4_1"]
    assert sorted(names, key=natural_order) == ["px4_0", "px4_1", "px4_2", "px4_10", "uav"]
    back = order(ned(0, 0, 0))
    back.advisory = Advisory("px4_9", AdvisoryAction.RETURN, "zone", "Z", math.nan, math.nan, "")
    one, other = placed("px4_9", ned(0, 0, 0), ned(0, 0, 0)), HOLDER
    assert scene(one, other).rank(one) > scene(one, other).rank(other)
    told = scene(one, other, orders={"px4_9": back})
    assert told.rank(one) < told.rank(other)
