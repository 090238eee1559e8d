# SPDX-License-Identifier: Apache-2.0
"""Altitudes that know what they are measured from, and refuse to be mixed. Pure.

A limit of 120 m above ground and an aircraft at 600 m above mean sea level cannot be compared
without the height of the ground below. Whoever knows that height says so in ``Reference``;
without it ``Reference.amsl_m`` refuses, and the caller must take the limit for "no limit".
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

FOOT_M = 0.3048
"""International foot [m]."""


class Datum(enum.Enum):
    """What an altitude is measured from."""

    AMSL = "AMSL"
    AGL = "AGL"
    WGS84 = "WGS84"


class DatumMismatch(ValueError):
    """Two altitudes of different datum were to be compared."""


@dataclass(frozen=True, slots=True)
class Altitude:
    """An altitude [m] above ``datum``.

    Raises:
        ValueError: the value is not finite.
    """

    metres: float
    datum: Datum

    def __post_init__(self) -> None:
        if not math.isfinite(self.metres):
            raise ValueError(f"altitude {self.metres} m is not finite")

    def __lt__(self, other: Altitude) -> bool:
        if self.datum is not other.datum:
            raise DatumMismatch(f"{self} and {other} have different datums")
        return self.metres < other.metres

    def __str__(self) -> str:
        return f"{self.metres:g} m {self.datum.value}"


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known about the ground and the geoid around the airspace's origin.

    ``ground_amsl_m``: height of the (flat) ground [m] AMSL; ``geoid_m``: height of the geoid
    above the WGS-84 ellipsoid [m]. None: not known.
    """

    ground_amsl_m: float | None = None
    geoid_m: float | None = None

    def amsl_m(self, altitude: Altitude) -> float:
        """Return the altitude [m] AMSL.

        Raises:
            DatumMismatch: what would tie the datum to AMSL is not known.
        """
        if altitude.datum is Datum.AMSL:
            return altitude.metres
        if altitude.datum is Datum.AGL:
            if self.ground_amsl_m is None:
                raise DatumMismatch(f"{altitude}: the height of the ground is not known")
            return self.ground_amsl_m + altitude.metres
        if self.geoid_m is None:
            raise DatumMismatch(f"{altitude}: the height of the geoid is not known")
        return altitude.metres - self.geoid_m
