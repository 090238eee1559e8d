# SPDX-License-Identifier: Apache-2.0
"""Flights of point masses and a zone for the tests of the manager."""

from __future__ import annotations

import numpy as np

from airtwin_airspace.altitude import Altitude, Datum
from airtwin_airspace.manager import Airspace
from airtwin_airspace.point_mass import ORIGIN, Flight, PointMass
from airtwin_airspace.zones import Outline, Restriction, Volume, Zone
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    Array,
)


def ned(*numbers: float) -> Array:
    return np.array(numbers, dtype=np.float64)


def fly(fleet: list[PointMass], *zones: Zone, seconds: float = 120.0) -> Flight:
    vehicles = [one.vehicle for one in fleet]
    flight = Flight(Airspace(zones, vehicles=vehicles, origin=ORIGIN), fleet)
    flight.run(seconds)
    return flight


def square(
    north: float, east: float, half_m: float, restriction: Restriction = Restriction.PROHIBITED
) -> Zone:
    frame = LocalFrame(ORIGIN)
    corners = [(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]
    ring = []
    for n, e in corners:
        lat, lon, _ = frame.to_geodetic(ned(north + n * half_m, east + e * half_m, 0.0))
        ring.append((lon, lat))
    volume = Volume((Outline(tuple(ring)),), None, Altitude(600.0, Datum.AMSL))
    return Zone("Z1", "a square", restriction, (volume,))
