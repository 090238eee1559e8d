# SPDX-License-Identifier: Apache-2.0
"""PX4's map, azimuthal equidistant on a sphere: from local metres to degrees, for many points.

The way there is ``airtwin_core.geodesy.px4_to_ned``. Source: Snyder, "Map Projections: A Working
Manual", USGS Professional Paper 1395 (1987), p. 196; radius as in PX4's geo library.
"""

from __future__ import annotations

import numpy as np

from airtwin_core.geodesy import PX4_EARTH_RADIUS_M
from airtwin_core.types import Array


def to_degrees(latitude_deg: Array, longitude_deg: Array, north_m: Array, east_m: Array) -> Array:
    """Return (n, 2) [deg]: latitude, longitude of (n,) points seen from (n,) origins."""
    lat0, lon0 = np.radians(latitude_deg), np.radians(longitude_deg)
    x, y = north_m / PX4_EARTH_RADIUS_M, east_m / PX4_EARTH_RADIUS_M
    c = np.hypot(x, y)
    shrink = np.sinc(c / np.pi)  # sin(c) / c
    sine = np.cos(c) * np.sin(lat0) + x * shrink * np.cos(lat0)
    lat = np.arcsin(np.clip(sine, -1.0, 1.0))
    lon = lon0 + np.arctan2(y * shrink, np.cos(lat0) * np.cos(c) - x * shrink * np.sin(lat0))
    return np.stack((np.degrees(lat), np.degrees(lon)), axis=-1)
