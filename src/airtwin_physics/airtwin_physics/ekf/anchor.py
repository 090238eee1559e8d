# SPDX-License-Identifier: Apache-2.0
"""Where local NED has its zero: PX4's origin if it has one, else by the first good fix.

Without an origin PX4 may still count from somewhere (external odometry, optical flow). Then the
first fix is placed where PX4 says that the aircraft is: a twin that is started anew in flight
must not count from there what PX4 counts from the pad.
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.geodesy import PX4_EARTH_RADIUS_M, px4_to_ned
from airtwin_core.types import Array, GnssFix, Origin
from airtwin_physics.magnetic import declination_rad

_AWAY_MAX_M = 5e4  # PX4's origin is where it found its first fix, on this flight


class Anchor:
    """The origin, the declination there, and GNSS coordinates in NED around it.

    Coordinates go through PX4's own map projection (``px4_to_ned``), so that the twin's position
    stands beside PX4's without the 0.3 % between sphere and ellipsoid.
    """

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.declination_rad: float | None = None
        self._seen: Origin | None = None
        self._fix: GnssFix | None = None
        self._of: tuple[Origin | None, GnssFix | None] = (None, None)
        self._at = (0.0, 0.0)
        self._local: Array | None = None

    def offer(self, origin: Origin) -> Array | None:
        """Consider PX4's origin; return the shift (3,) [m] of all positions if it is a new one.

        It must come twice and lie near GNSS: one broken message moves nothing.
        """
        seen, self._seen = self._seen, origin
        if origin != seen or origin == self.origin or not self._near_fix(origin):
            return None
        return self._adopt(origin)

    def stands(self, position_ned_m: Array | None) -> None:
        """Take where PX4, without an origin, says the aircraft is; None if it does not know."""
        self._local = position_ned_m

    def take(self, fix: GnssFix) -> Array:
        """Make a good fix known; return the shift (3,) [m] if it had to become the origin."""
        self._fix = fix
        if self.origin is not None and self._near_fix(self.origin):
            return np.zeros(3)
        here = Origin(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
        if self.origin is None and self._local is not None:
            here = _behind(here, self._local)
        return self._adopt(here)

    def to_ned(self, fix: GnssFix) -> Array:
        """Return the position (3,) [m] of a fix; only after ``take`` or an accepted ``offer``."""
        assert self.origin is not None
        north, east = self._project(self.origin, fix)
        return np.array([north, east, self.origin.altitude_amsl_m - fix.altitude_amsl_m])

    def _near_fix(self, origin: Origin) -> bool:
        if self._fix is None:
            return True
        return math.hypot(*self._project(origin, self._fix)) < _AWAY_MAX_M

    def _project(self, origin: Origin, fix: GnssFix) -> tuple[float, float]:
        """Return north, east [m]; the last answer is kept: each fix is asked for repeatedly."""
        if fix is not self._of[1] or origin is not self._of[0]:
            north, east = px4_to_ned(origin, fix.latitude_deg, fix.longitude_deg).tolist()
            self._of, self._at = (origin, fix), (north, east)
        return self._at

    def _adopt(self, origin: Origin) -> Array:
        old, self.origin = self.origin, origin
        self.declination_rad = declination_rad(origin.latitude_deg, origin.longitude_deg)
        if old is None:
            return np.zeros(3)
        xy = px4_to_ned(origin, old.latitude_deg, old.longitude_deg)
        return np.array([xy[0], xy[1], origin.altitude_amsl_m - old.altitude_amsl_m])


def _behind(place: Origin, position_ned_m: Array) -> Origin:
    """Return the origin around which ``place`` has this position."""
    north_m, east_m, down_m = position_ned_m.tolist()
    latitude, longitude = place.latitude_deg, place.longitude_deg
    altitude = place.altitude_amsl_m + down_m
    for _ in range(3):  # to below 1 mm within 10 km
        found = px4_to_ned(
            Origin(latitude, longitude, altitude), place.latitude_deg, place.longitude_deg
        )
        latitude += math.degrees((found[0] - north_m) / PX4_EARTH_RADIUS_M)
        longitude += math.degrees((found[1] - east_m) / PX4_EARTH_RADIUS_M) / math.cos(
            math.radians(latitude)
        )
    return Origin(latitude, longitude, altitude)
