# SPDX-License-Identifier: Apache-2.0
"""Where local NED has its zero: PX4's origin if it has one, else by the first good fix.

Without an origin PX4 may still count from somewhere (external odometry, optical flow). Then the
first fix is placed where PX4 says that the aircraft is: a twin that is started anew in flight
must not count from there what PX4 counts from the pad. While nobody told PX4 where it is, it
drifted; so the frame of the twin before, if it is known, goes before PX4's word.

PX4 calls an origin global also where it knows no altitude of it, and says 0 (``Origin``). Its z
counts from there all the same. Then the altitude is what makes a fix lie at PX4's own z.

A fix far from the origin is refused: a receiver that lost its way says "0 N 0 E" with the best of
claims. Where such fixes agree for long it is the origin that was wrong: then it is put where the
belief fits them, so no position moves. For long: as long as fixes had borne the origin out before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from airtwin_core.geodesy import PX4_EARTH_RADIUS_M, check_coordinates, px4_to_ned
from airtwin_core.types import Array, GnssFix, LocalPosition, Origin
from airtwin_physics.ekf.tally import NEVER_S
from airtwin_physics.magnetic import declination_rad

_AWAY_MAX_M = 5e4  # PX4's origin is where it found its first fix, on this flight
_AGREE_M, _AGREE_S = 1e3, 3.0  # from one far fix to the next that says the same
_LOCAL_AGE_MAX_S = 1.0
_DRIFT_MAX_M = 200.0  # by which PX4 may have left a frame that it was flown in


class Anchor:
    """The origin, the declination there, and GNSS coordinates in NED around it.

    Coordinates go through PX4's own map projection (``px4_to_ned``), so that the twin's position
    stands beside PX4's without the 0.3 % between sphere and ellipsoid.
    """

    def __init__(self, recover_s: float, doubt_s: float) -> None:
        """Far fixes that agree for recover_s [s] at least and doubt_s at most move the origin."""
        self._recover_s, self._doubt_s = recover_s, doubt_s
        self.origin: Origin | None = None
        self.declination_rad: float | None = None
        self.lifted = False  # PX4 did not know the altitude of its origin, GNSS told it
        self.moved_m = 0.0  # to where fixes agree, though far from where the origin was
        self._seen: Origin | None = None
        self._before: Origin | None = None  # of the twin before
        self._fix: GnssFix | None = None
        self._of: tuple[Origin | None, GnssFix | None] = (None, None)
        self._at = (0.0, 0.0)
        self.start_over()

    def start_over(self) -> None:
        """Forget what belongs to one run of the clock; the origin stays."""
        self._local: tuple[float, Array, Array] | None = None
        self._far: tuple[float, float, GnssFix] | None = None  # since, last at [s], last
        self._down_m: float | None = None  # PX4's z, while it has an origin
        self._borne_s, self._near_s = 0.0, NEVER_S  # for how long fixes were near; the last

    def offer(self, origin: Origin, down_m: float | None = None) -> Array | None:
        """Consider PX4's origin; return the shift (3,) [m] of all positions if it is a new one.

        It must be a place, come twice and lie near GNSS: one broken message moves nothing.
        down_m: PX4's z there, None if it does not know it.
        """
        self._down_m = down_m
        if origin == self.origin:  # as it is told 50 times a second
            self._seen = origin
            return None
        try:
            check_coordinates(origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m)
        except ValueError:
            return None
        seen, self._seen = self._seen, origin
        if origin != seen or not self._near_fix(origin):
            return None
        if not origin.altitude_told and self._fix is not None:
            at = self.origin
            known = self.lifted and at is not None and _level(at) == _level(origin)
            if down_m is None or known:
                return None
            return self._lift(origin, self._fix, down_m)
        self.lifted = False
        return self._adopt(origin)

    def stands(self, at_s: float, sample: LocalPosition | None) -> None:
        """Take where PX4, without an origin, says the aircraft is; None if it does not know."""
        self._local = None
        if sample is not None:
            self._local = (at_s, sample.position_ned_m, sample.velocity_ned_m_s)

    def remember(self, origin: Origin) -> None:
        """Go on in this frame where PX4 has no origin and is near where this one has it."""
        self._before = origin

    def take(self, fix: GnssFix, at_s: float, believed_ned_m: Callable[[], Array] | None) -> bool:
        """Make a good fix known; return whether it is near the origin, which it may become.

        at_s: when it was true; believed_ned_m: asked where the belief was then (3,), None if it
        never had a place.
        """
        if self.origin is None:
            self._adopt(self._went_on(fix, at_s) or _behind(_place(fix), self._stood(at_s)))
        elif not self._near(self.origin, fix):
            if not self._elsewhere(fix, at_s):
                return False
            self.moved_m = math.hypot(*self._project(self.origin, fix))
            self._borne_s = 0.0
            stood = np.zeros(3) if believed_ned_m is None else believed_ned_m()
            self._adopt(_behind(_place(fix), stood))
        elif not self.origin.altitude_told and self._fix is None:
            self._lift(self.origin, fix, self._down_m or 0.0)
        if self._far is not None:  # they were elsewhere, or it has been moved
            self._near_s = NEVER_S
        passed_s, self._near_s = at_s - self._near_s, at_s
        self._borne_s += passed_s if 0.0 < passed_s < _AGREE_S else 0.0
        self._fix, self._far = fix, None
        return True

    def to_ned(self, fix: GnssFix) -> Array:
        """Return the position (3,) [m] of a fix; only after ``take`` or an accepted ``offer``."""
        assert self.origin is not None
        north, east = self._project(self.origin, fix)
        return np.array([north, east, self.origin.altitude_amsl_m - fix.altitude_amsl_m])

    def _stood(self, at_s: float) -> Array:
        """Return where PX4 was at a time (3,) [m] by its last word, zero if that is too old."""
        if self._local is None or abs(at_s - self._local[0]) > _LOCAL_AGE_MAX_S:
            return np.zeros(3)
        then_s, position, velocity = self._local
        return position + velocity * (at_s - then_s)

    def _went_on(self, fix: GnssFix, at_s: float) -> Origin | None:
        """Return the frame of the twin before, if this may still be it."""
        before = self._before
        if before is None or not self._near(before, fix):
            return None
        if self._local is not None:
            there = [*self._project(before, fix), before.altitude_amsl_m - fix.altitude_amsl_m]
            if math.dist(there, self._stood(at_s).tolist()) > _DRIFT_MAX_M:
                return None
        return before

    def _elsewhere(self, fix: GnssFix, at_s: float) -> bool:
        """Note a far fix; return whether such ones have agreed for long.

        Two are enough against an origin that no fix has borne out yet: a word of PX4's alone.
        """
        since_s = at_s
        if self._far is not None:
            begun_s, last_s, last = self._far
            moved = px4_to_ned(_place(last), fix.latitude_deg, fix.longitude_deg)
            if abs(at_s - last_s) < _AGREE_S and math.hypot(*moved.tolist()) < _AGREE_M:
                since_s = begun_s
        self._far = (since_s, at_s, fix)
        wanted_s = 0.0
        if self._fix is not None:
            wanted_s = max(self._recover_s, min(self._borne_s, self._doubt_s))
        return at_s > since_s and at_s - since_s >= wanted_s

    def _near_fix(self, origin: Origin) -> bool:
        return self._fix is None or self._near(origin, self._fix)

    def _near(self, origin: Origin, fix: GnssFix) -> bool:
        return math.hypot(*self._project(origin, fix)) < _AWAY_MAX_M

    def _project(self, origin: Origin, fix: GnssFix) -> tuple[float, float]:
        """Return north, east [m]; the last answer is kept: each fix is asked for repeatedly."""
        if fix is not self._of[1] or origin is not self._of[0]:
            north, east = px4_to_ned(origin, fix.latitude_deg, fix.longitude_deg).tolist()
            self._of, self._at = (origin, fix), (north, east)
        return self._at

    def _lift(self, origin: Origin, fix: GnssFix, down_m: float) -> Array:
        """Adopt an origin whose altitude nobody told; return the shift (3,) [m]."""
        self.lifted = True
        return self._adopt(replace(origin, altitude_amsl_m=fix.altitude_amsl_m + down_m))

    def _adopt(self, origin: Origin) -> Array:
        """Change the origin; return by how much that moves where the aircraft is (3,) [m].

        Taken at the last fix: between two maps only the shift of one place is exact, and the way
        back is its inverse.
        """
        old, self.origin = self.origin, origin
        self.declination_rad = declination_rad(origin.latitude_deg, origin.longitude_deg)
        if old is None:
            return np.zeros(3)
        at = old if self._fix is None else _place(self._fix)
        xy = px4_to_ned(origin, at.latitude_deg, at.longitude_deg)
        xy -= px4_to_ned(old, at.latitude_deg, at.longitude_deg)
        return np.array([xy[0], xy[1], origin.altitude_amsl_m - old.altitude_amsl_m])


def _level(origin: Origin) -> tuple[float, float]:
    return origin.latitude_deg, origin.longitude_deg


def _place(fix: GnssFix) -> Origin:
    return Origin(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)


def _behind(place: Origin, position_ned_m: Array) -> Origin:
    """Return the origin around which ``place`` has this position."""
    if not position_ned_m.any():
        return place
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
