# SPDX-License-Identifier: Apache-2.0
"""Places in local NED, legs, progress and time left."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Origin, Phase
from airtwin_mission import mission_file, places, route
from airtwin_mission.limits import Limits
from airtwin_mission.plan import Altitude, Datum, GeoPlace, MissionError, NedPlace

ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
HOME = np.array([3.0, -2.0, 0.5])


def resolved(text: str, home: np.ndarray = HOME) -> route.Route:
    mission = mission_file.parse(text, name="m.yaml")
    return route.resolve(route.legs(mission, Limits()), mission, origin=ORIGIN, home_ned_m=home)


def test_altitude_datums() -> None:
    def down(value: float, datum: Datum) -> float:
        return places.down_m(Altitude(value, datum), origin=ORIGIN, home_ned_m=HOME)

    assert down(10.0, Datum.HOME) == -9.5
    assert down(498.0, Datum.AMSL) == -10.0
    with pytest.raises(MissionError, match="terrain"):
        down(10.0, Datum.AGL)


def test_ned_around_another_origin() -> None:
    """px4_2 stands 80 m north of the mission's origin: its own local NED is shifted by that."""
    lat, lon, alt = LocalFrame(ORIGIN).to_geodetic(np.array([80.0, 0.0, -2.0]))
    own = Origin(lat, lon, alt)
    ned = places.to_ned(
        NedPlace(80.0, 20.0, -10.0), mission_origin=ORIGIN, origin=own, home_ned_m=np.zeros(3)
    )
    np.testing.assert_allclose(ned, [0.0, 20.0, -8.0], atol=0.07)


def test_places_need_an_origin() -> None:
    place = GeoPlace(47.0, 8.0, Altitude(10.0, Datum.HOME))
    with pytest.raises(MissionError, match="no GNSS fix"):
        places.to_ned(place, mission_origin=None, origin=None, home_ned_m=HOME)
    ned = places.to_ned(
        NedPlace(1.0, 2.0, -3.0), mission_origin=None, origin=None, home_ned_m=HOME
    )
    np.testing.assert_array_equal(ned, [1.0, 2.0, -3.0])


MISSION = """mission: 1
speed_m_s: 5.0
steps:
  - take_off: {height_m: 10.0}
  - go_to: {ned_m: [3.0, 48.0, -9.5]}
  - hold: {seconds: 4.0}
  - land: {ned_m: [33.0, 48.0, 0.0]}
"""


def test_legs() -> None:
    flown = resolved(MISSION).flown
    assert [f.leg.phase for f in flown] == [
        Phase.TAKEOFF,
        Phase.ENROUTE,
        Phase.HOLD,
        Phase.ENROUTE,
        Phase.LAND,
    ]
    assert [f.length_m for f in flown] == pytest.approx([10.0, 50.0, 0.0, 30.0, 10.0])
    # The way to the pad keeps the height; the landing ends on the ground of the take-off.
    np.testing.assert_allclose(flown[3].end_ned_m, [33.0, 48.0, -9.5])
    np.testing.assert_allclose(flown[4].end_ned_m, [33.0, 48.0, 0.5])


def test_progress_and_time() -> None:
    way = resolved(MISSION)
    assert way.total_m == pytest.approx(100.0)
    assert way.progress(0, HOME) == 0.0
    assert way.progress(1, np.array([3.0, 23.0, -9.5])) == pytest.approx(0.35)
    assert way.progress(4, np.array([33.0, 48.0, 0.5])) == pytest.approx(1.0)
    halfway = way.eta_s(1, np.array([3.0, 23.0, -9.5]), held_s=0.0)
    later = way.eta_s(2, np.array([3.0, 48.0, -9.5]), held_s=1.0)
    assert halfway - later == pytest.approx(0.5 * (50.0 / 5.0 + route.CORNER_S) + 1.0)
    ground = np.array([33.0, 48.0, 0.5])
    assert way.eta_s(4, ground, held_s=0.0) == pytest.approx(route.LAND_END_S)


def test_endless_hold_has_no_end() -> None:
    way = resolved(MISSION.replace("  - land: {ned_m: [33.0, 48.0, 0.0]}\n", ""))
    assert way.flown[-1].leg.phase is Phase.HOLD
    assert np.isfinite(way.eta_s(2, np.array([3.0, 48.0, -9.5]), held_s=0.0))
    bare = resolved("mission: 1\nsteps:\n  - take_off: {height_m: 10.0}\n")
    assert np.isnan(bare.eta_s(0, HOME, held_s=0.0))


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="lead_in_s"):
        Limits(lead_in_s=0.5)
    with pytest.raises(ValueError, match="cruise_m_s"):
        Limits(cruise_m_s=float("nan"))
    with pytest.raises(ValueError, match="in return_factors and in land_factors"):
        Limits(return_factors=("gnss",), land_factors=("gnss",))
