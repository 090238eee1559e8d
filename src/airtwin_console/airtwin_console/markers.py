# SPDX-License-Identifier: Apache-2.0
"""The picture in RViz as plain values, ENU in frame ``map`` around the airspace's origin. Pure.

Here NED becomes ENU and FRD becomes FLU (REP-103); nothing behind this module knows NED.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from airtwin_console.report import failing_factors
from airtwin_core import frames
from airtwin_core.geodesy import LocalFrame
from airtwin_core.marks import Colour, Mark, MarkKind
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    Array,
    Origin,
    Report,
    TwinState,
    Verdict,
)

MAP = "map"
_R_ENU_NED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_ARM_M = 0.35
_ROTOR_M = 0.26
_SIZE = 8.0
"""Aircraft are drawn larger than they are: at true size nothing is seen from 100 m."""
_LIFETIME_S = 1.0
"""A mark that is not renewed goes: a silent aircraft leaves the picture."""

_VERDICT: dict[Verdict, Colour] = {
    Verdict.CONSISTENT: (0.25, 0.80, 0.35, 1.0),
    Verdict.INCONSISTENT: (0.92, 0.20, 0.20, 1.0),
    Verdict.UNKNOWN: (0.95, 0.80, 0.20, 1.0),
}
_BODY: Colour = (0.20, 0.22, 0.26, 1.0)
_CLOUD: Colour = (0.40, 0.60, 0.95, 0.25)
_WISH: Colour = (0.60, 0.60, 0.60, 0.5)
_AIR: Colour = (0.30, 0.85, 0.95, 1.0)
_CALM_M_S = 0.3
_ADVICE: dict[AdvisoryAction, Colour] = {
    AdvisoryAction.HOLD: (1.0, 0.75, 0.10, 1.0),
    AdvisoryAction.RETURN: (0.85, 0.35, 0.95, 1.0),
    AdvisoryAction.LAND: (0.85, 0.35, 0.95, 1.0),
}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an aircraft is in ``map``, and where its own zero is.

    ``origin_enu_m``: zero of the vehicle's local frame (frame ``<vehicle>/odom``) in ``map``;
    ``local_enu_m``: the aircraft in ``<vehicle>/odom``; ``q_enu_flu``: w first.
    """

    origin_enu_m: Array
    local_enu_m: Array
    q_enu_flu: Array

    @property
    def position_enu_m(self) -> Array:
        """In ``map``."""
        return self.origin_enu_m + self.local_enu_m


@dataclass(frozen=True, slots=True)
class Aircraft:
    """What is known of one aircraft when it is drawn; ``wind_enu_m_s`` (3,): None if unknown."""

    vehicle: str
    pose: Pose
    covariance_ned_m2: Array
    report: Report | None = None
    advisory: Advisory | None = None
    target_enu_m: Array | None = None
    wind_enu_m_s: Array | None = None


def pose(state: TwinState, map_origin: Origin) -> Pose | None:
    """Return where to draw the aircraft, None if its state is no place.

    The axes of ``map`` and ``odom`` are taken as parallel: 10 km apart they differ by 0.1 deg.
    """
    if state.origin is None or not state.aligned:
        return None
    if not (np.isfinite(state.position_ned_m).all() and np.isfinite(state.q_ned_frd).all()):
        return None
    try:
        origin_ned_m = _offset(state.origin, map_origin)
        q_enu_flu = frames.quat_enu_flu_from_ned_frd(state.q_ned_frd)
    except ValueError:
        return None
    return Pose(
        frames.ned_to_enu(origin_ned_m), frames.ned_to_enu(state.position_ned_m), q_enu_flu
    )


def _offset(origin: Origin, map_origin: Origin) -> Array:
    if origin == map_origin:
        return np.zeros(3)
    return LocalFrame(map_origin).to_ned(
        origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m
    )


def aircraft_marks(one: Aircraft) -> tuple[Mark, ...]:
    """Return the aircraft, its covariance, its target, the wind that it feels and its label."""
    verdict = Verdict.UNKNOWN if one.report is None else one.report.verdict
    marks = [*_airframe(one, _VERDICT[verdict]), _label(one, verdict)]
    cloud = _ellipsoid(one)
    if cloud is not None:
        marks.append(cloud)
    if one.target_enu_m is not None and np.isfinite(one.target_enu_m).all():
        marks.append(_line(one, 8, one.target_enu_m, _WISH, 0.15))
    if one.wind_enu_m_s is not None and np.isfinite(one.wind_enu_m_s).all():
        marks += _wind(one, one.wind_enu_m_s)
    return tuple(marks)


def advisory_marks(fleet: Iterable[Aircraft]) -> tuple[Mark, ...]:
    """Return a line from each aircraft that was stopped to the one that it waits for."""
    by_name: Mapping[str, Aircraft] = {one.vehicle: one for one in fleet}
    marks = []
    for one in by_name.values():
        if one.advisory is None or one.advisory.action not in _ADVICE:
            continue
        other = by_name.get(one.advisory.other)
        if other is not None:
            colour = _ADVICE[one.advisory.action]
            marks.append(_line(one, 9, other.pose.position_enu_m, colour, 0.5))
    return tuple(marks)


def _airframe(one: Aircraft, colour: Colour) -> list[Mark]:
    """A cube and four rotor discs, the front ones in the colour of the verdict."""
    centre, q = one.pose.position_enu_m, one.pose.q_enu_flu
    turn = frames.rotation_from_quat(q)
    body = (0.3 * _SIZE, 0.2 * _SIZE, 0.1 * _SIZE)
    marks = [_mark(one, 0, MarkKind.CUBE, _BODY, body, centre, q)]
    for k, (forward, left) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        arm_flu_m = np.array([forward, left, 0.2]) * _ARM_M / math.sqrt(2.0) * _SIZE
        disc = (_ROTOR_M * _SIZE, _ROTOR_M * _SIZE, 0.03 * _SIZE)
        shade = colour if forward > 0 else (0.45, 0.48, 0.52, 1.0)
        marks.append(
            _mark(one, 1 + k, MarkKind.CYLINDER, shade, disc, centre + turn @ arm_flu_m, q)
        )
    return marks


def _label(one: Aircraft, verdict: Verdict) -> Mark:
    text = f"{one.vehicle} {verdict.name.lower()}"
    if one.report is not None and verdict is Verdict.INCONSISTENT:
        text += f": {', '.join(failing_factors(one.report))}"
    if one.advisory is not None and one.advisory.action in _ADVICE:
        text += f"\n{one.advisory.action.name} {one.advisory.other}"
    place = one.pose.position_enu_m + np.array([0.0, 0.0, 6.0])
    return _mark(one, 5, MarkKind.TEXT, _VERDICT[verdict], (2.5, 0.0, 0.0), place, text=text)


def _ellipsoid(one: Aircraft) -> Mark | None:
    """The position's three-sigma ellipsoid; None if the covariance is none."""
    covariance = _R_ENU_NED @ one.covariance_ned_m2 @ _R_ENU_NED.T
    if not np.isfinite(covariance).all():
        return None
    variances, axes = np.linalg.eigh(0.5 * (covariance + covariance.T))
    if variances[0] < -1e-6 * max(1.0, float(variances[-1])):
        return None
    if np.linalg.det(axes) < 0.0:
        axes = axes * np.array([1.0, 1.0, -1.0])
    diameters = 6.0 * np.sqrt(np.maximum(variances, 1e-6))
    scale = (float(diameters[0]), float(diameters[1]), float(diameters[2]))
    q = frames.quat_from_rotation(axes)
    return _mark(one, 6, MarkKind.SPHERE, _CLOUD, scale, one.pose.position_enu_m, q)


def _wind(one: Aircraft, wind_enu_m_s: Array) -> list[Mark]:
    """An arrow above the aircraft that ends where its air will be in a second, and the speed."""
    base = one.pose.position_enu_m + np.array([0.0, 0.0, 4.0])
    speed = float(np.linalg.norm(wind_enu_m_s))
    if speed < _CALM_M_S:
        return []
    arrow = Mark(
        one.vehicle,
        10,
        MarkKind.ARROW,
        MAP,
        _AIR,
        (0.25, 0.8, 1.0),  # shaft, head: diameters; length of the head
        position_enu_m=base,
        points_enu_m=np.array([np.zeros(3), wind_enu_m_s]),
        lifetime_s=_LIFETIME_S,
    )
    text = _mark(
        one,
        11,
        MarkKind.TEXT,
        _AIR,
        (1.5, 0.0, 0.0),
        base + wind_enu_m_s + np.array([0.0, 0.0, 1.2]),
        text=f"{speed:.1f} m/s",
    )
    return [arrow, text]


def _line(one: Aircraft, index: int, end_enu_m: Array, colour: Colour, width_m: float) -> Mark:
    points = np.array([np.zeros(3), end_enu_m - one.pose.position_enu_m])
    return Mark(
        one.vehicle,
        index,
        MarkKind.LINE_STRIP,
        MAP,
        colour,
        (width_m, 0.0, 0.0),
        position_enu_m=one.pose.position_enu_m,
        points_enu_m=points,
        lifetime_s=_LIFETIME_S,
    )


def _mark(
    one: Aircraft,
    index: int,
    kind: MarkKind,
    colour: Colour,
    scale_m: tuple[float, float, float],
    position_enu_m: Array,
    q_enu_flu: Array | None = None,
    text: str = "",
) -> Mark:
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    return Mark(
        one.vehicle,
        index,
        kind,
        MAP,
        colour,
        scale_m,
        position_enu_m=position_enu_m,
        q_enu_flu=upright if q_enu_flu is None else q_enu_flu,
        text=text,
        lifetime_s=_LIFETIME_S,
    )
