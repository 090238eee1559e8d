# SPDX-License-Identifier: Apache-2.0
"""What a mission is: steps, places with their altitude's datum, fences (read by ``mission_file``).

``qgc`` reads QGroundControl's ``.plan``, ``yaml_mission`` reads AirTwin's YAML; both give the same
``Mission``. A file is either understood whole or refused with one sentence that names the file,
the item and what to do: a step that is left out in silence would be flown as another mission.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from airtwin_core.types import Origin
from airtwin_mission.limits import SPEED_MAX_M_S

MAX_STEPS = 10_000
"""Most steps of a mission after surveys and jumps are unrolled."""
MAX_ALTITUDE_M = 20_000.0
"""Largest altitude or height of a place [m], either sign."""
MAX_SPEED_M_S = 100.0
MAX_HOLD_S = 86_400.0


class MissionError(ValueError):
    """The mission is refused; the text is one sentence for the person who wrote the file."""


class Datum(enum.Enum):
    """What an altitude is measured from."""

    AMSL = "amsl"  # mean sea level
    HOME = "home"  # the ground where the aircraft took off
    AGL = "agl"  # the ground below; needs a terrain model


@dataclass(frozen=True, slots=True)
class Altitude:
    """Metres above ``datum``. Two altitudes of different datum cannot be compared."""

    value_m: float
    datum: Datum

    def minus_m(self, other: Altitude) -> float:
        """Return the difference [m].

        Raises:
            MissionError: the datums differ.
        """
        if self.datum is not other.datum:
            raise MissionError(
                f"altitudes above {self.datum.value} and {other.datum.value} do not mix"
            )
        return self.value_m - other.value_m


@dataclass(frozen=True, slots=True)
class GeoPlace:
    """A place on Earth [deg], WGS-84."""

    latitude_deg: float
    longitude_deg: float
    altitude: Altitude


@dataclass(frozen=True, slots=True)
class NedPlace:
    """A place [m], NED around the mission's ``origin``, else around the vehicle's own."""

    north_m: float
    east_m: float
    down_m: float


Place = GeoPlace | NedPlace


@dataclass(frozen=True, slots=True)
class TakeOff:
    """Climb straight up to ``altitude``; ``to`` is flown to afterwards, at that altitude."""

    altitude: Altitude
    to: GeoPlace | None = None


@dataclass(frozen=True, slots=True)
class GoTo:
    """Fly straight to ``place``."""

    place: Place


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay for ``seconds`` (infinite: until somebody decides otherwise)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Fly the following legs at this speed over ground [m/s]."""

    speed_m_s: float


@dataclass(frozen=True, slots=True)
class Land:
    """Land; over ``place`` if there is one (its altitude is the ground, not flown to)."""

    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """Fly home and land there, as the autopilot does it."""


Step = TakeOff | GoTo | Hold | Speed | Land | Return


class Craft(enum.Enum):
    """What the mission was planned for."""

    MULTIROTOR = "multirotor"
    VTOL = "VTOL"
    FIXED_WING = "fixed-wing aircraft"
    ROVER = "rover"
    OTHER = "craft of unknown type"


@dataclass(frozen=True, slots=True)
class Fence:
    """Where the aircraft may be (``inside``) or may not be: a polygon or a circle.

    ``corners_deg``: (latitude, longitude) of each corner, else empty and the circle counts.
    """

    inside: bool
    corners_deg: tuple[tuple[float, float], ...] = ()
    centre_deg: tuple[float, float] | None = None
    radius_m: float = math.nan


@dataclass(frozen=True, slots=True)
class Mission:
    """One flight, as a person planned it.

    ``origin``: zero of the mission's own NED places, None for the vehicle's. ``notes``: what the
    file says that AirTwin leaves out (a camera trigger, say), one sentence each.
    """

    name: str
    craft: Craft
    steps: tuple[Step, ...]
    cruise_m_s: float | None = None
    origin: Origin | None = None
    planned_home: Origin | None = None
    fences: tuple[Fence, ...] = ()
    rally: tuple[GeoPlace, ...] = ()
    notes: tuple[str, ...] = ()


def why_not_flown(mission: Mission) -> str:
    """Return why AirTwin will not command this mission, in one sentence; empty if it will.

    A mission that is understood can be followed in shadow mode even if it is not flown.
    """
    if mission.craft in (Craft.FIXED_WING, Craft.ROVER, Craft.VTOL):
        return f"planned for a {mission.craft.value}; only multirotor missions are flown"
    if mission.cruise_m_s is not None and mission.cruise_m_s > SPEED_MAX_M_S:
        return _too_fast("the mission", mission.cruise_m_s)
    if not isinstance(mission.steps[0], TakeOff | Speed):
        return "does not begin with a take-off: add one as the first item"
    for number, step in enumerate(mission.steps, start=1):
        before = mission.steps[: number - 1]
        if isinstance(step, TakeOff) and any(not isinstance(s, Speed) for s in before):
            return f"step {number} is a second take-off: one flight per mission"
        if any(isinstance(s, Land | Return) for s in before):
            return f"step {number} comes after the landing: one flight per mission"
        if Datum.AGL in _datums(step):
            return f"step {number} has a height above terrain: AirTwin has no terrain model"
        if isinstance(step, Speed) and step.speed_m_s > SPEED_MAX_M_S:
            return _too_fast(f"step {number}", step.speed_m_s)
    return ""


def _too_fast(what: str, speed_m_s: float) -> str:
    return f"{what} asks for {speed_m_s:g} m/s: AirTwin flies at most {SPEED_MAX_M_S:g} m/s"


def reference(mission: Mission) -> Origin | None:
    """Return a place to put local NED's zero where no aircraft gives one, None if there is none.

    A place whose altitude is not above sea level gets 0 m: heights above home do not depend on it.
    """
    if mission.origin is not None or mission.planned_home is not None:
        return mission.origin or mission.planned_home
    for step in mission.steps:
        if isinstance(step, GoTo) and isinstance(step.place, GeoPlace):
            return Origin(step.place.latitude_deg, step.place.longitude_deg, 0.0)
    return None


def _datums(step: Step) -> set[Datum]:
    if isinstance(step, TakeOff):
        return {step.altitude.datum}
    if isinstance(step, GoTo) and isinstance(step.place, GeoPlace):
        return {step.place.altitude.datum}
    return set()
