# SPDX-License-Identifier: Apache-2.0
"""Where every aircraft is, as its twin says, on one plane; and where nobody knows. Pure.

A twin's state is admitted only if it is a place: aligned, valid, finite, with an honest
covariance and a stamp that moves. What is refused is counted by cause and does not refresh the
track, so a vehicle that sends rubbish grows old like one that is silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from airtwin_airspace.conflict import POSITION_MAX_M, VELOCITY_MAX_M_S
from airtwin_core.geodesy import LocalFrame, check_coordinates
from airtwin_core.intake import Intake
from airtwin_core.types import POS, VEL, Array, LandDetected, MissionBelief, TwinState

NOT_ALIGNED = "twin not aligned"
NO_POSITION = "twin's position not valid"
NO_VELOCITY = "twin's velocity not valid"
NO_ORIGIN = "no origin"
BAD_ORIGIN = "origin is no place on Earth"
NOT_FINITE = "position or velocity not finite"
TOO_LARGE = "position or velocity too large"
BAD_COVARIANCE = "covariance not finite or negative"

LAND_AGE_MAX_S = 5.0
"""Chosen: PX4 says at least once a second whether it is landed, and the link may lose some."""
TWIN_SILENT_S = 3.0
"""Chosen: for so long the last velocity of a twin that fell silent still speaks against landed."""
LANDED_SPEED_M_S = 1.5
"""Chosen: above what a twin on the ground shows (a few 0.1 m/s), below any flight that matters."""

_NS = 1e9


@dataclass(frozen=True, slots=True)
class Placed:
    """One aircraft on the common plane at one instant.

    ``position_ned_m``, ``velocity_ned_m_s``: (3,); ``sigma_horizontal_m`` is the largest one in
    the plane; ``age_s`` since the last admitted state; ``fresh``: younger than the age limit;
    ``landed``: the vehicle said so lately; ``belief``: its mission's, None if old or never heard;
    ``target_ned_m``: where that wants it, or None.
    """

    vehicle: str
    position_ned_m: Array
    velocity_ned_m_s: Array
    sigma_horizontal_m: float
    sigma_vertical_m: float
    age_s: float
    fresh: bool
    landed: bool
    belief: MissionBelief | None
    target_ned_m: Array | None

    @property
    def speed_m_s(self) -> float:
        """[m/s] over all three axes."""
        return float(np.linalg.norm(self.velocity_ned_m_s))


@dataclass(slots=True)
class Track:
    """What is known of one vehicle; ``intake`` counts what was used and refused."""

    intake: Intake = field(default_factory=Intake)
    state: TwinState | None = None
    frame: LocalFrame | None = None
    belief: MissionBelief | None = None
    land: LandDetected | None = None

    def on_state(self, state: TwinState) -> str | None:
        """Take the state, or return why not."""
        cause = _fault(state)
        if cause is not None:
            self.intake.reject("track", cause)
            return cause
        if not self.intake.admit("track", state):
            return "stamp does not move on"
        if self.frame is None or self.frame.origin != state.origin:
            assert state.origin is not None  # _fault has looked
            self.frame = LocalFrame(state.origin)
        self.state = state
        return None

    def placed(
        self,
        vehicle: str,
        common: LocalFrame,
        now_ns: int,
        *,
        age_max_s: float,
        belief_age_max_s: float,
    ) -> Placed | None:
        """Return the aircraft on the common plane; None if it was never placed.

        The axes of two local frames are taken as parallel: 10 km apart they differ by 0.1 deg.
        """
        if self.state is None or self.frame is None:
            return None
        state = self.state
        age_s = (now_ns - state.received_ns) / _NS
        belief = self.belief
        if belief is not None and not _young(now_ns, belief.received_ns, belief_age_max_s):
            belief = None
        target = None if belief is None else belief.target_ned_m
        if target is not None and not np.isfinite(target).all():
            target = None
        return Placed(
            vehicle=vehicle,
            position_ned_m=self._moved(state.position_ned_m, common),
            velocity_ned_m_s=state.velocity_ned_m_s,
            sigma_horizontal_m=_largest_sigma(state.covariance[POS, POS][:2, :2]),
            sigma_vertical_m=math.sqrt(float(state.covariance[2, 2])),
            age_s=age_s,
            fresh=-age_max_s <= age_s <= age_max_s,
            landed=self._landed(now_ns),
            belief=belief,
            target_ned_m=None if target is None else self._moved(target, common),
        )

    def _moved(self, position_ned_m: Array, common: LocalFrame) -> Array:
        assert self.frame is not None
        if self.frame.origin == common.origin:
            return position_ned_m
        return common.to_ned(*self.frame.to_geodetic(position_ned_m))

    def _landed(self, now_ns: int) -> bool:
        """Return whether the vehicle says so; a twin that moves is not, nor one that fell silent.

        Without its twin it is landed as long as it goes on saying so.
        """
        if self.land is None or not self.land.landed or self.state is None:
            return False
        if not _young(now_ns, self.land.received_ns, LAND_AGE_MAX_S):
            return False
        if now_ns - self.state.received_ns > TWIN_SILENT_S * _NS:
            return True
        return float(np.linalg.norm(self.state.velocity_ned_m_s)) < LANDED_SPEED_M_S


def _young(now_ns: int, received_ns: int, age_max_s: float) -> bool:
    """Return whether it is no older; nor farther in the future, after a clock that ran back."""
    return abs(now_ns - received_ns) <= age_max_s * _NS


def _fault(state: TwinState) -> str | None:
    if state.origin is None:
        return NO_ORIGIN
    origin = state.origin
    try:
        check_coordinates(origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m)
    except ValueError:
        return BAD_ORIGIN
    if not state.aligned:
        return NOT_ALIGNED
    if not (state.horizontal_valid and state.vertical_valid):
        return NO_POSITION
    if not state.velocity_valid:
        return NO_VELOCITY
    position, velocity = state.position_ned_m, state.velocity_ned_m_s
    if not (np.isfinite(position).all() and np.isfinite(velocity).all()):
        return NOT_FINITE
    if np.abs(position).max() > POSITION_MAX_M / 100 or np.abs(velocity).max() > VELOCITY_MAX_M_S:
        return TOO_LARGE
    return _covariance_fault(state.covariance)


def _covariance_fault(covariance: Array) -> str | None:
    block = covariance[: VEL.stop, : VEL.stop]
    if not np.isfinite(block).all() or (np.diagonal(block) < 0.0).any():
        return BAD_COVARIANCE
    horizontal = block[:2, :2]
    # a float32 covariance is symmetric to its rounding only
    if abs(horizontal[0, 1] - horizontal[1, 0]) > 1e-3 * (1.0 + np.abs(horizontal).max()):
        return BAD_COVARIANCE
    if np.linalg.eigvalsh(horizontal)[0] < -1e-3 * (1.0 + np.abs(horizontal).max()):
        return BAD_COVARIANCE
    return None


def _largest_sigma(covariance: Array) -> float:
    return math.sqrt(max(0.0, float(np.linalg.eigvalsh(covariance)[-1])))
