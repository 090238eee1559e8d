# SPDX-License-Identifier: Apache-2.0
"""Parameters of the airspace node: the limits, and what this airspace is."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from airtwin_airspace.altitude import Reference
from airtwin_airspace.limits import Limits
from airtwin_core.types import Origin


@dataclass(frozen=True, slots=True)
class AirspaceConfig(Limits):
    """``Limits``, and: whom to watch, which zones, where the common plane is.

    Raises:
        ValueError: a limit means nothing, or half an origin is given.
    """

    vehicles: tuple[str, ...] = ("px4_1",)  # names of the vehicles; px4_0 has no namespace
    zones: str = ""  # path of an ED-269, ED-318 or GeoJSON file; empty: no zones
    partial_zones: bool = False  # go on without the zones of the file that cannot be used
    authorised: tuple[str, ...] = ("",)  # zones whose permission or condition the operator has
    origin_latitude_deg: float = math.nan  # [deg] zero of the common plane; NaN: the first track's
    origin_longitude_deg: float = math.nan  # [deg]
    origin_altitude_amsl_m: float = math.nan  # [m] AMSL
    ground_amsl_m: float = math.nan  # [m] AMSL height of the flat ground; NaN: AGL is unknown
    geoid_m: float = math.nan  # [m] geoid above the ellipsoid; NaN: WGS84 heights are unknown
    tick_s: float = 0.1  # [s] between two decisions

    def __post_init__(self) -> None:
        Limits.__post_init__(self)
        known = [math.isfinite(value) for value in self._origin_values]
        if any(known) and not all(known):
            raise ValueError("origin: give all three of latitude, longitude and altitude, or none")
        if not (math.isfinite(self.tick_s) and self.tick_s > 0.0):
            raise ValueError(f"tick_s is {self.tick_s}, expected a number > 0")

    @property
    def _origin_values(self) -> tuple[float, float, float]:
        return self.origin_latitude_deg, self.origin_longitude_deg, self.origin_altitude_amsl_m

    @property
    def limits(self) -> Limits:
        """The part that the rules go by."""
        return Limits(**{item.name: getattr(self, item.name) for item in fields(Limits)})

    @property
    def origin(self) -> Origin | None:
        """Zero of the common plane, if given."""
        values = self._origin_values
        return Origin(*values) if all(math.isfinite(value) for value in values) else None

    @property
    def reference(self) -> Reference:
        """What ties heights above ground and ellipsoid to AMSL, if given."""
        ground = self.ground_amsl_m if math.isfinite(self.ground_amsl_m) else None
        geoid = self.geoid_m if math.isfinite(self.geoid_m) else None
        return Reference(ground, geoid)
