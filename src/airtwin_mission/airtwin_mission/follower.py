# SPDX-License-Identifier: Apache-2.0
"""Follows a mission that somebody else flies: the belief from what the aircraft does. Pure.

Legs are taken to be flown in order: a waypoint is passed when the aircraft has been near it, or
is beyond it and nearer to the next leg. What cannot be seen (why it holds, say) stays unsaid.
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import (
    Advisory,
    Array,
    HomePosition,
    LandDetected,
    LocalPosition,
    MissionBelief,
    NavState,
    Origin,
    Phase,
    Report,
    Sample,
    VehicleStatus,
)
from airtwin_mission import route
from airtwin_mission.limits import Limits
from airtwin_mission.plan import Mission, MissionError
from airtwin_mission.px4_modes import mode_name

NEAR_M = 3.0
"""A waypoint is passed within this distance [m]; PX4 cuts corners by NAV_ACC_RAD, 2 m."""
SUNK_M = 1.5
OWN_MODES = (NavState.MISSION, NavState.OFFBOARD, NavState.TAKEOFF, NavState.LOITER)
"""Modes in which the legs are flown or waited for."""


class Follower:
    """Same interface as ``Executor``; commands nothing, and holds nothing that could."""

    def __init__(self, mission: Mission, limits: Limits) -> None:
        self._mission = mission
        self._limits = limits
        self._legs = route.legs(mission, limits)
        self._route: route.Route | None = None
        self._position: LocalPosition | None = None
        self._status: VehicleStatus | None = None
        self._land: LandDetected | None = None
        self._origin: Origin | None = None
        self._home_ned_m: Array | None = None
        self._home: HomePosition | None = None
        self._stamp_ns = 0
        self._flew = False
        self._leg = 0
        self._hold_since_ns: int | None = None
        self._progress = 0.0

    def on(self, value: Sample | Advisory | Report) -> None:
        """Take one value; advisories and reports are for the one who flies."""
        if isinstance(value, Advisory | Report):
            return
        self._stamp_ns = max(self._stamp_ns, value.stamp_ns)
        if isinstance(value, LocalPosition):
            self._position = value
            self._origin = value.origin or self._origin
        elif isinstance(value, VehicleStatus):
            self._status = value
        elif isinstance(value, LandDetected):
            self._land = value
        elif isinstance(value, HomePosition):
            self._home = value

    def tick(self, now_ns: int) -> MissionBelief:
        """Return what the aircraft seems to be doing."""
        phase, reason = self._phase(now_ns)
        target = None
        eta_s = math.nan
        position = self._fresh(now_ns)
        flying = phase in (Phase.TAKEOFF, Phase.ENROUTE, Phase.HOLD, Phase.RETURN, Phase.LAND)
        if self._route is not None and position is not None and flying:
            target = self._route.flown[self._leg].end_ned_m
            held_s = 0.0 if self._hold_since_ns is None else (now_ns - self._hold_since_ns) * 1e-9
            eta_s = self._route.eta_s(self._leg, position, held_s=held_s)
            self._progress = max(self._progress, self._route.progress(self._leg, position))
        if phase is Phase.DONE:
            self._progress, eta_s = 1.0, 0.0
        return MissionBelief(
            stamp_ns=self._stamp_ns,
            received_ns=now_ns,
            phase=phase,
            leg=self._leg,
            legs=len(self._legs),
            progress=self._progress,
            target_ned_m=target,
            eta_s=eta_s,
            reason=reason,
        )

    def _phase(self, now_ns: int) -> tuple[Phase, str]:
        status, land = self._status, self._land
        position = self._fresh(now_ns)
        if status is None or land is None:
            return Phase.IDLE, "nothing heard from the aircraft yet"
        if not status.armed:
            if not self._flew:
                if position is not None:
                    self._home_ned_m = position
                return Phase.IDLE, ""
            if self._leg >= len(self._legs) - 1:
                return Phase.DONE, ""
            return Phase.ABORTED, f"landed on leg {self._leg + 1} of {len(self._legs)}"
        if land.landed and not self._flew:
            if position is not None:
                self._home_ned_m = position
            return Phase.ARMING, ""
        if position is None:
            return Phase.ENROUTE if self._flew else Phase.IDLE, "no valid position"
        joined = not self._flew
        self._flew = True
        unresolved = self._resolve()
        if unresolved or self._route is None:
            return Phase.ENROUTE, unresolved
        if joined:
            self._leg = self._nearest(position)
        self._pass_legs(position, now_ns)
        return self._airborne(status)

    def _airborne(self, status: VehicleStatus) -> tuple[Phase, str]:
        planned = self._legs[self._leg].phase
        mode = status.nav_state
        if mode == NavState.LAND:
            self._leg = len(self._legs) - 1 if planned is Phase.LAND else self._leg
            return Phase.LAND, "" if planned is Phase.LAND else "lands before its last leg"
        if mode == NavState.RTL:
            why = "PX4 failsafe: rtl" if status.failsafe else "returns before its last leg"
            return Phase.RETURN, "" if planned is Phase.RETURN else why
        if mode not in OWN_MODES:
            return planned, f"flown in mode {mode_name(mode)}"
        return planned, ""

    def _resolve(self) -> str:
        home = self._home_ned_m
        if home is None and self._home is not None and self._origin is not None:
            north, east = px4_to_ned(
                self._origin, self._home.latitude_deg, self._home.longitude_deg
            )
            down = self._origin.altitude_amsl_m - self._home.altitude_amsl_m
            home = np.array([north, east, down])
        if home is None:
            # Joined in flight: PX4 sets the origin where it first knew its place.
            home = np.zeros(3)
        try:
            self._route = route.resolve(
                self._legs, self._mission, origin=self._origin, home_ned_m=home
            )
        except MissionError as error:
            return str(error)
        return ""

    def _pass_legs(self, position: Array, now_ns: int) -> None:
        assert self._route is not None
        while self._leg < len(self._legs) - 1 and self._passed(position, now_ns):
            self._leg += 1
            self._hold_since_ns = None

    def _passed(self, position: Array, now_ns: int) -> bool:
        assert self._route is not None
        now, after = self._route.flown[self._leg : self._leg + 2]
        miss = float(np.linalg.norm(now.end_ned_m - position))
        if now.leg.phase is Phase.HOLD:
            if self._hold_since_ns is None:
                self._hold_since_ns = now_ns
            held_s = (now_ns - self._hold_since_ns) * 1e-9
            return held_s >= now.leg.seconds or miss > 2.0 * NEAR_M
        if now.leg.phase is Phase.TAKEOFF:
            height = float(now.end_ned_m[2] - position[2])
            return height >= -self._limits.acceptance_height_m
        if now.leg.phase in (Phase.LAND, Phase.RETURN):
            return False
        if after.leg.phase in (Phase.LAND, Phase.RETURN):
            level = math.hypot(*(now.end_ned_m - position)[:2])
            below_m = float(position[2] - now.end_ned_m[2])
            return level <= 2.0 * NEAR_M and self._ending(below_m)
        if miss <= NEAR_M:
            return True
        beyond = float((now.end_ned_m - now.start_ned_m) @ (position - now.end_ned_m)) > 0.0
        return beyond and _distance(position, after) < NEAR_M

    def _ending(self, below_m: float) -> bool:
        """Return whether it does what the last leg is: before that it hovers at the last place."""
        mode = None if self._status is None else self._status.nav_state
        return mode in (NavState.LAND, NavState.RTL) or below_m > SUNK_M

    def _nearest(self, position: Array) -> int:
        """Return the leg whose line is nearest: where to begin after joining in flight."""
        assert self._route is not None
        distances = [_distance(position, flown) for flown in self._route.flown]
        return int(np.argmin(distances))

    def _fresh(self, now_ns: int) -> Array | None:
        position = self._position
        if position is None or not (position.xy_valid and position.z_valid):
            return None
        age_s = (now_ns - position.received_ns) * 1e-9
        return position.position_ned_m if age_s <= self._limits.stale_s else None


def _distance(position: Array, flown: route.Flown) -> float:
    """Return the distance [m] of (3,) ``position`` to the leg's line."""
    way = flown.end_ned_m - flown.start_ned_m
    length2 = float(way @ way)
    share = 0.0
    if length2 > 0.0:
        share = min(1.0, max(0.0, float(way @ (position - flown.start_ned_m)) / length2))
    return float(np.linalg.norm(flown.start_ned_m + share * way - position))
