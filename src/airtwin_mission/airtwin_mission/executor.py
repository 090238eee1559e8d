# SPDX-License-Identifier: Apache-2.0
"""Flies one mission with one vehicle: callbacks cache, ``tick`` decides. Pure."""

from __future__ import annotations

import math

from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Advisory, Array, MissionBelief, Origin, Phase, Report, Sample
from airtwin_mission import fence, route, tree
from airtwin_mission.limits import Limits
from airtwin_mission.plan import Mission, MissionError, why_not_flown
from airtwin_mission.ports import Vehicle
from airtwin_mission.trust import Trust


class Executor:
    """The behavioural model of one aircraft that AirTwin flies.

    ``on`` takes samples of the vehicle, advisories for it and reports about it, in any order;
    ``tick``, at 10 Hz, decides and returns the belief.
    """

    def __init__(self, mission: Mission, vehicle: Vehicle, limits: Limits) -> None:
        """Raises: MissionError: the mission is one that AirTwin does not fly."""
        why = why_not_flown(mission) or fence.breach(mission)
        if why:
            raise MissionError(why)
        self._mission = mission
        self._vehicle = vehicle
        self._legs = route.legs(mission, limits)
        self._trust = Trust(limits)
        self._now = tree.Situation()
        self._tree = tree.build(mission, self._now, vehicle, len(self._legs))
        self._around: tuple[Origin | None, tuple[float, ...]] | None = None
        self._progress = 0.0
        self._stamp_ns = 0

    def on(self, value: Sample | Advisory | Report) -> None:
        """Take one value; only cached."""
        if isinstance(value, Advisory | Report):
            self._trust.on(value)
        else:
            self._stamp_ns = max(self._stamp_ns, value.stamp_ns)
            self._vehicle.on(value)

    def tick(self, now_ns: int) -> MissionBelief:
        """Decide once; ``now_ns`` in the clock of ``received_ns``."""
        now = self._now
        self._vehicle.at(now_ns)
        now.now_ns = now_ns
        now.view = self._vehicle.view()
        flying = now.phase not in (Phase.IDLE, Phase.ARMING)
        now.demanded = self._trust.demanded(now_ns, flying=flying)
        self._resolve(flying=flying)
        self._tree.root.tick_once()
        return self._belief(now_ns)

    def _resolve(self, *, flying: bool) -> None:
        """Places follow the vehicle's origin, which PX4 may move; home is fixed at arming."""
        now = self._now
        origin, home = now.view.origin, now.view.home_ned_m
        if home is None:
            now.unresolved = "the place of take-off is not known yet"
            return
        around = (origin, tuple(home))
        if around == self._around:
            return
        self._around = around
        try:
            now.route = route.resolve(
                self._legs,
                self._mission,
                origin=origin,
                home_ned_m=home,
            )
            if not flying:
                self._check_way_from(origin, home)
        except MissionError as error:
            now.route = None
            now.unresolved = str(error)

    def _check_way_from(self, origin: Origin | None, home_ned_m: Array) -> None:
        """Raises: MissionError: from this place of take-off the way leaves the fences."""
        if not self._mission.fences:
            return
        if origin is None:
            raise MissionError("fences need the vehicle's origin: no GNSS fix yet")
        latitude, longitude, _ = LocalFrame(origin).to_geodetic(home_ned_m)
        why = fence.breach(self._mission, (latitude, longitude))
        if why:
            raise MissionError(f"from where the aircraft stands, {why}")

    def _belief(self, now_ns: int) -> MissionBelief:
        now = self._now
        eta_s = math.nan
        position = now.view.position_ned_m
        flying = now.phase not in (Phase.IDLE, Phase.ARMING)
        if now.route is not None and position is not None and not now.over:
            eta_s = now.route.eta_s(now.leg, position, held_s=now.held_s)
            if flying and not now.ending.reason and not now.view.failsafe:
                share = now.route.progress(now.leg, position)
                self._progress = max(self._progress, share)
        if now.ending.reason or now.view.failsafe:
            eta_s = math.nan
        if now.phase is Phase.DONE:
            self._progress, eta_s = 1.0, 0.0
        return MissionBelief(
            stamp_ns=self._stamp_ns,
            received_ns=now_ns,
            phase=now.phase,
            leg=now.leg,
            legs=len(self._legs),
            progress=self._progress,
            target_ned_m=now.target_ned_m,
            eta_s=eta_s,
            reason=now.reason,
        )
