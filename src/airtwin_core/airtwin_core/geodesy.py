# SPDX-License-Identifier: Apache-2.0
"""Local NED against the WGS-84 ellipsoid.

``LocalFrame`` is the tangent plane at its origin, through ECEF, so the horizontal coordinates
carry no map distortion. Down is measured from the altitude, not from the plane: an aircraft that
holds its altitude keeps its ``down``, as PX4 has it. PX4 itself maps by the azimuthal equidistant
projection on a sphere of radius 6,371,000 m; against the ellipsoid that is off by up to 0.34 % of
the distance (3.4 m at 1 km), so positions that PX4 gives in NED are compared in NED, and
geographic ones from GNSS go through ``px4_to_ned``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from airtwin_core.types import Array, Origin

WGS84_A_M = 6378137.0
"""Semi-major axis [m]. Source: NIMA TR8350.2, WGS 84."""
WGS84_F = 1.0 / 298.257223563
"""Flattening [-]. Source: NIMA TR8350.2, WGS 84."""
WGS84_E2 = WGS84_F * (2.0 - WGS84_F)
PX4_EARTH_RADIUS_M = 6371000.0
"""CONSTANTS_RADIUS_OF_EARTH of PX4's geo library."""


def check_coordinates(latitude_deg: float, longitude_deg: float, altitude_m: float) -> None:
    """Refuse what cannot be a place on Earth.

    Raises:
        ValueError: not finite, latitude beyond 90, longitude beyond 180, altitude beyond 100 km.
    """
    if not abs(latitude_deg) <= 90.0:
        raise ValueError(f"latitude {latitude_deg} deg is outside -90 to 90")
    if not abs(longitude_deg) <= 180.0:
        raise ValueError(f"longitude {longitude_deg} deg is outside -180 to 180")
    if not abs(altitude_m) <= 100e3:
        raise ValueError(f"altitude {altitude_m} m is outside -100 km to 100 km")


def ecef(latitude_deg: float, longitude_deg: float, height_m: float) -> Array:
    """Return ECEF (3,) [m] of WGS-84 coordinates; height above the ellipsoid."""
    lat, lon = np.radians(latitude_deg), np.radians(longitude_deg)
    normal = WGS84_A_M / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    return np.array(
        [
            (normal + height_m) * np.cos(lat) * np.cos(lon),
            (normal + height_m) * np.cos(lat) * np.sin(lon),
            (normal * (1.0 - WGS84_E2) + height_m) * np.sin(lat),
        ]
    )


@dataclass(frozen=True)
class LocalFrame:
    """North, east, down [m] around ``origin``, on the ellipsoid.

    North and east are tangent-plane coordinates of the point at the origin's altitude; down is
    the difference of altitudes. Against the geodesic the horizontal distance is short by less
    than 0.05 m at 10 km (d^3 / 6 R^2); the tests hold it to pyproj.

    Raises:
        ValueError: the origin is no place on Earth.
    """

    origin: Origin
    _ecef_origin: Array = field(init=False, repr=False, compare=False)
    _rotation_ned_ecef: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lat_deg, lon_deg = self.origin.latitude_deg, self.origin.longitude_deg
        check_coordinates(lat_deg, lon_deg, self.origin.altitude_amsl_m)
        lat, lon = np.radians(lat_deg), np.radians(lon_deg)
        north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
        east = [-np.sin(lon), np.cos(lon), 0.0]
        down = [-np.cos(lat) * np.cos(lon), -np.cos(lat) * np.sin(lon), -np.sin(lat)]
        object.__setattr__(self, "_rotation_ned_ecef", np.array([north, east, down]))
        object.__setattr__(
            self, "_ecef_origin", ecef(lat_deg, lon_deg, self.origin.altitude_amsl_m)
        )

    def to_ned(self, latitude_deg: float, longitude_deg: float, altitude_amsl_m: float) -> Array:
        """Return (3,) [m] NED.

        Raises:
            ValueError: the coordinates are no place on Earth.
        """
        check_coordinates(latitude_deg, longitude_deg, altitude_amsl_m)
        level = ecef(latitude_deg, longitude_deg, self.origin.altitude_amsl_m)
        ned = self._rotation_ned_ecef @ (level - self._ecef_origin)
        ned[2] = self.origin.altitude_amsl_m - altitude_amsl_m
        return ned

    def to_geodetic(self, position_ned_m: Array) -> tuple[float, float, float]:
        """Return (latitude [deg], longitude [deg], altitude [m] AMSL); inverse of ``to_ned``.

        Newton on ``to_ned`` from the radii of curvature at the origin: below 1 um after two
        steps within 100 km.
        """
        lat0 = np.radians(self.origin.latitude_deg)
        slope = 1.0 - WGS84_E2 * np.sin(lat0) ** 2
        height = self.origin.altitude_amsl_m
        north_radius = WGS84_A_M * (1.0 - WGS84_E2) / slope**1.5 + height
        east_radius = (WGS84_A_M / np.sqrt(slope) + height) * np.cos(lat0)
        altitude = height - float(position_ned_m[2])
        lat, lon = self.origin.latitude_deg, self.origin.longitude_deg
        for _ in range(4):
            miss = np.asarray(position_ned_m)[:2] - self.to_ned(lat, lon, altitude)[:2]
            lat += float(np.degrees(miss[0] / north_radius))
            lon = (lon + float(np.degrees(miss[1] / east_radius)) + 180.0) % 360.0 - 180.0
        return lat, lon, altitude


def px4_to_ned(origin: Origin, latitude_deg: float, longitude_deg: float) -> Array:
    """Return (2,) [m] north, east as PX4's MapProjection::project has it.

    Azimuthal equidistant on a sphere; used to stand beside PX4's own local position, so that the
    0.3 % between sphere and ellipsoid is not taken for a deviation. NaN where a place is not
    finite.
    """
    lat0, lon0 = math.radians(origin.latitude_deg), math.radians(origin.longitude_deg)
    lat, lon = math.radians(latitude_deg), math.radians(longitude_deg)
    if not math.isfinite(lat0 + lon0 + lat + lon):
        return np.full(2, np.nan)
    sin0, cos0, sin, cos = math.sin(lat0), math.cos(lat0), math.sin(lat), math.cos(lat)
    cos_dlon = math.cos(lon - lon0)
    c = math.acos(min(max(sin0 * sin + cos0 * cos * cos_dlon, -1.0), 1.0))
    k = c / math.sin(c) if c > 0.0 else 1.0
    north = cos0 * sin - sin0 * cos * cos_dlon
    east = cos * math.sin(lon - lon0)
    return np.array([north * k * PX4_EARTH_RADIUS_M, east * k * PX4_EARTH_RADIUS_M])
