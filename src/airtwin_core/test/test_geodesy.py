# SPDX-License-Identifier: Apache-2.0
"""Local NED against pyproj's geodesics, and PX4's projection against PX4's own numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from airtwin_core.geodesy import LocalFrame, px4_to_ned
from airtwin_core.types import Origin

LATITUDE = st.floats(-80.0, 80.0)
LONGITUDE = st.floats(-180.0, 180.0)


@given(LATITUDE, LONGITUDE, st.floats(-100.0, 3000.0), st.floats(0, 360), st.floats(1.0, 1e4))
def test_distance_and_bearing_against_the_geodesic(lat, lon, altitude, bearing, distance):
    there_lon, there_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, bearing, distance)
    ned = LocalFrame(Origin(lat, lon, 0.0)).to_ned(there_lat, there_lon, altitude)
    assert np.hypot(ned[0], ned[1]) == pytest.approx(distance, abs=0.05)
    error_rad = (np.arctan2(ned[1], ned[0]) - np.radians(bearing) + np.pi) % (2 * np.pi) - np.pi
    # the tangent plane sees a parallel of latitude bend away: about d / 2R tan(lat)
    assert abs(error_rad) * distance < 0.05 + distance**2 / 12e6 * 6
    assert ned[2] == -altitude


@given(LATITUDE, LONGITUDE, st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_there_and_back(lat, lon, ned):
    frame = LocalFrame(Origin(lat, lon, 120.0))
    np.testing.assert_allclose(frame.to_ned(*frame.to_geodetic(np.array(ned))), ned, atol=1e-6)


@pytest.mark.parametrize(
    "place", [(np.nan, 8.0, 0.0), (91.0, 8.0, 0.0), (47.0, 181.0, 0.0), (47.0, 8.0, np.inf)]
)
def test_what_is_no_place_on_earth_is_refused(place):
    with pytest.raises(ValueError, match="outside"):
        LocalFrame(Origin(*place))
    with pytest.raises(ValueError, match="outside"):
        LocalFrame(Origin(47.0, 8.0, 0.0)).to_ned(*place)


def test_px4_projection_is_a_sphere():
    origin = Origin(47.3977419, 8.5455938, 488.0)
    north = px4_to_ned(origin, origin.latitude_deg + 0.01, origin.longitude_deg)
    assert north[0] == pytest.approx(np.radians(0.01) * 6371000.0)
    assert north[1] == pytest.approx(0.0, abs=1e-9)
    exact = LocalFrame(origin).to_ned(origin.latitude_deg + 0.01, origin.longitude_deg, 488.0)
    assert abs(north[0] / exact[0] - 1.0) < 0.0034
    np.testing.assert_array_equal(px4_to_ned(origin, 47.3977419, 8.5455938), [0.0, 0.0])
