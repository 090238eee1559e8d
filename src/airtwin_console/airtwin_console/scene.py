# SPDX-License-Identifier: Apache-2.0
"""Keeps what is to be drawn of all aircraft: newest values, paths, and where ``map`` is. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from airtwin_console.config import ConsoleConfig
from airtwin_console.markers import Aircraft, Pose, advisory_marks, aircraft_marks, pose
from airtwin_core import frames
from airtwin_core.geodesy import check_coordinates
from airtwin_core.marks import Mark
from airtwin_core.types import (
    POS,
    Advisory,
    Array,
    MissionBelief,
    Origin,
    Report,
    TwinState,
)

_NS = 1e9
_OLD_S = 1.0
"""An older state is not drawn as if the aircraft were there."""


@dataclass(slots=True)
class Seen:
    """The newest of one aircraft; ``path_enu_m``: points (3,) in ``map``."""

    path_enu_m: deque[Array]
    state: TwinState | None = None
    report: Report | None = None
    belief: MissionBelief | None = None
    advisory: Advisory | None = None


@dataclass(slots=True)
class Scene:
    """All aircraft of one picture. ``origin``: zero of ``map``; None until it is known."""

    config: ConsoleConfig
    origin: Origin | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    _first_ns: int | None = None

    def __post_init__(self) -> None:
        for vehicle in self.config.vehicles:
            self.seen[vehicle] = Seen(deque(maxlen=self.config.path_points))

    def place(self, origin: Origin) -> None:
        """Set the zero of ``map``; paths drawn around another one are forgotten.

        Raises:
            ValueError: the origin is no place on Earth.
        """
        if origin != self.origin:
            check_coordinates(origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m)
            self.origin = origin
            for seen in self.seen.values():
                seen.path_enu_m.clear()

    def on_state(self, vehicle: str, state: TwinState) -> None:
        """Take a twin's state; ``received_ns`` in the clock of ``poses`` and ``marks``."""
        seen = self.seen[vehicle]
        if seen.state is not None and seen.state.stamp_ns == state.stamp_ns:
            return
        seen.state = state
        if self._first_ns is None:
            self._first_ns = state.received_ns
        waited_s = (state.received_ns - self._first_ns) / _NS
        unplaced = self.origin is None and waited_s >= self.config.origin_wait_s
        if unplaced and state.origin is not None and pose(state, state.origin) is not None:
            # nobody manages the airspace: the picture has its own zero
            self.place(state.origin)
        where = None if self.origin is None else pose(state, self.origin)
        if where is None:
            return
        path, here = seen.path_enu_m, where.position_enu_m
        if not path or float(np.linalg.norm(here - path[-1])) >= self.config.path_step_m:
            path.append(here)

    def on_advisory(self, advisory: Advisory) -> None:
        """Take what the airspace manager tells an aircraft."""
        if advisory.vehicle in self.seen:
            self.seen[advisory.vehicle].advisory = advisory

    def poses(self, now_ns: int) -> dict[str, Pose]:
        """Return where the aircraft are of which it is known."""
        if self.origin is None:
            return {}
        places = {
            vehicle: pose(seen.state, self.origin)
            for vehicle, seen in self.seen.items()
            if seen.state is not None and now_ns - seen.state.received_ns <= _OLD_S * _NS
        }
        return {vehicle: place for vehicle, place in places.items() if place is not None}

    def marks(self, now_ns: int) -> tuple[Mark, ...]:
        """Return all marks of this instant."""
        fleet = [self._aircraft(vehicle, place) for vehicle, place in self.poses(now_ns).items()]
        alone = (mark for one in fleet for mark in aircraft_marks(one))
        return (*alone, *advisory_marks(fleet))

    def _aircraft(self, vehicle: str, place: Pose) -> Aircraft:
        seen = self.seen[vehicle]
        assert seen.state is not None  # it has a pose
        target = None if seen.belief is None else seen.belief.target_ned_m
        return Aircraft(
            vehicle,
            place,
            seen.state.covariance[POS, POS],
            seen.report,
            seen.advisory,
            None if target is None else place.origin_enu_m + frames.ned_to_enu(target),
            _wind_enu(seen.state),
        )


def _wind_enu(state: TwinState) -> Array | None:
    """Return the wind (3,) [m/s] if it is one."""
    if state.wind is None or not state.wind.valid:
        return None
    north, east = state.wind.velocity_ne_m_s
    return frames.ned_to_enu(np.array([north, east, 0.0]))
