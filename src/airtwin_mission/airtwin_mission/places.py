# SPDX-License-Identifier: Apache-2.0
"""Places of a mission in the vehicle's own local NED. Pure: floats and arrays."""

from __future__ import annotations

import numpy as np

from airtwin_core.geodesy import LocalFrame, px4_to_ned
from airtwin_core.types import Array, Origin
from airtwin_mission.plan import Altitude, Datum, MissionError, NedPlace, Place


def down_m(altitude: Altitude, *, origin: Origin | None, home_ned_m: Array) -> float:
    """Return the altitude as down [m] of local NED around ``origin``.

    Raises:
        MissionError: the datum cannot be tied to the vehicle's local NED.
    """
    if altitude.datum is Datum.HOME:
        return float(home_ned_m[2]) - altitude.value_m
    if altitude.datum is Datum.AMSL:
        if origin is None:
            raise MissionError("an altitude above sea level needs the vehicle's origin")
        return origin.altitude_amsl_m - altitude.value_m
    raise MissionError("a height above terrain needs a terrain model")


def to_ned(
    place: Place, *, mission_origin: Origin | None, origin: Origin | None, home_ned_m: Array
) -> Array:
    """Return (3,) [m] NED around the vehicle's ``origin``, as PX4 projects it.

    Args:
        place: geographic, or NED around ``mission_origin`` (None: around ``origin``).
        mission_origin: zero of the mission's NED places.
        origin: zero of the vehicle's local NED, from its LocalPosition.
        home_ned_m: (3,) [m], where it took off.

    Raises:
        MissionError: what is known does not suffice.
    """
    if isinstance(place, NedPlace):
        ned = np.array([place.north_m, place.east_m, place.down_m])
        if mission_origin is None:
            return ned
        lat, lon, alt = LocalFrame(mission_origin).to_geodetic(ned)
        altitude = Altitude(alt, Datum.AMSL)
    else:
        lat, lon, altitude = place.latitude_deg, place.longitude_deg, place.altitude
    if origin is None:
        raise MissionError("a geographic place needs the vehicle's origin: no GNSS fix yet")
    north, east = px4_to_ned(origin, lat, lon)
    return np.array([north, east, down_m(altitude, origin=origin, home_ned_m=home_ned_m)])
