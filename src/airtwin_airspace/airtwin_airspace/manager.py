# SPDX-License-Identifier: Apache-2.0
"""Keeps the aircraft apart and out of zones: tracks in, advisories out. Pure.

An aircraft that is told to hold is let go only when flying on to where it wanted to go, at any
speed up to its own, would not lose separation from anybody, with wider minima and a longer
look-ahead than those that stopped it, for some time on end. One that waits for what does not
move (a zone, an aircraft that waits for it) is sent back. Who holds: see ``scene``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from airtwin_airspace import conflict, outline
from airtwin_airspace.altitude import Reference
from airtwin_airspace.breach import Where, ZoneIndex, prisms
from airtwin_airspace.conflict import Separation
from airtwin_airspace.limits import Limits
from airtwin_airspace.scene import Conflict, Incursion, Order, Scene, natural_order
from airtwin_airspace.tracks import Placed, Track
from airtwin_airspace.zones import Restriction, Zone
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    LandDetected,
    MissionBelief,
    Origin,
    TwinState,
)

HOLD, RETURN, CLEAR = AdvisoryAction.HOLD, AdvisoryAction.RETURN, AdvisoryAction.CLEAR
_NS = 1e9
_AT_REST_M_S = 0.7


@dataclass(frozen=True, slots=True)
class Picture:
    """The airspace at the last tick. ``unknown``: vehicle and why its place is not known."""

    placed: tuple[Placed, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    incursions: tuple[Incursion, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Airspace:
    """One airspace: zones, the vehicles in it, and what each was told.

    ``origin``: zero of the common plane; None: the origin of the first track. ``authorised``:
    identifiers of zones whose permission or condition the operator has. ``remarks`` says what
    was read the restrictive way.

    Raises:
        BadOutline: a zone cannot be used.
    """

    zones: Sequence[Zone]
    limits: Limits = field(default_factory=Limits)
    vehicles: Sequence[str] = ()
    origin: Origin | None = None
    reference: Reference = field(default_factory=Reference)
    authorised: frozenset[str] = frozenset()
    remarks: list[str] = field(default_factory=list)
    tracks: dict[str, Track] = field(default_factory=dict)
    picture: Picture = field(default_factory=Picture)
    frame: LocalFrame | None = None
    index: ZoneIndex = field(default_factory=lambda: ZoneIndex((), 0.0))
    _orders: dict[str, Order] = field(default_factory=dict)
    _seen_ns: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outline.check(self.zones)
        conflict.warm_up()
        for vehicle in self.vehicles:
            self.tracks[vehicle] = Track()
        if self.origin is not None:
            self._place(self.origin)

    def on_track(self, vehicle: str, state: TwinState) -> str | None:
        """Take a twin's state; ``received_ns`` in the clock of ``tick``. Returns why not."""
        refused = self._track(vehicle).on_state(state)
        if refused is None and self.frame is None and state.origin is not None:
            self._place(state.origin)
        return refused

    def on_belief(self, vehicle: str, belief: MissionBelief) -> None:
        """Take what the vehicle's mission wants."""
        self._track(vehicle).belief = belief

    def on_land(self, vehicle: str, land: LandDetected) -> None:
        """Take what the vehicle says about the ground below it."""
        self._track(vehicle).land = land

    def advisory(self, vehicle: str) -> Advisory | None:
        """Return what the vehicle was last told."""
        order = self._orders.get(vehicle)
        return None if order is None else order.advisory

    def tick(self, now_ns: int) -> tuple[Advisory, ...]:
        """Decide; return the advisories that changed. ``now_ns`` is UTC where zones have hours."""
        placed = self._placed(now_ns)
        scene = Scene(placed, self._orders, self.index, self.limits, now_ns)
        conflicts, incursions = scene.conflicts(), scene.incursions()
        self.picture = Picture(placed, conflicts, incursions, self._unknown(placed))
        self._seen_ns = {
            (pair.first, pair.second): self._seen_ns.get((pair.first, pair.second), now_ns)
            for pair in conflicts
        }
        by_name = {one.vehicle: one for one in placed}
        told: dict[str, Advisory] = {}
        for one in placed:
            if one.vehicle not in self._orders:
                self._tell(told, one, _clear(one.vehicle, "no conflict"), now_ns)
        for incursion in incursions:
            self._on_incursion(told, by_name[incursion.vehicle], incursion, now_ns)
        for pair in conflicts:
            self._on_conflict(told, scene, by_name[pair.first], by_name[pair.second], pair)
        for one in placed:
            self._let_go(told, scene, one, by_name)
        return tuple(told.values())

    # --- what is where ---------------------------------------------------------------------------

    def _track(self, vehicle: str) -> Track:
        return self.tracks.setdefault(vehicle, Track())

    def _place(self, origin: Origin) -> None:
        self.frame = LocalFrame(origin)
        binding = [
            zone
            for zone in self.zones
            if zone.restriction is not Restriction.NO_RESTRICTION
            and zone.identifier not in self.authorised
        ]
        made = prisms(binding, self.frame, self.reference, self.remarks.append)
        reach_m = outline.REACH_M if binding else math.inf
        self.index = ZoneIndex(made, origin.altitude_amsl_m, reach_m)

    def _placed(self, now_ns: int) -> tuple[Placed, ...]:
        if self.frame is None:
            return ()
        places = (
            self.tracks[vehicle].placed(
                vehicle,
                self.frame,
                now_ns,
                age_max_s=self.limits.track_age_max_s,
                belief_age_max_s=self.limits.belief_age_max_s,
            )
            for vehicle in sorted(self.tracks, key=natural_order)
        )
        return tuple(place for place in places if place is not None)

    def _unknown(self, placed: tuple[Placed, ...]) -> tuple[tuple[str, str], ...]:
        places = {one.vehicle: one for one in placed}
        said = []
        for vehicle, track in self.tracks.items():
            place = places.get(vehicle)
            counts = track.intake.counts.get("track", {})
            causes = {cause: n for cause, n in counts.items() if cause != "used"}
            worst = f" ({max(causes, key=lambda cause: causes[cause])})" if causes else ""
            if place is None:
                said.append((vehicle, f"no track yet{worst}"))
            elif not place.fresh and not place.landed:
                said.append((vehicle, f"track is {place.age_s:.1f} s old{worst}"))
        return tuple(said)

    # --- stopping --------------------------------------------------------------------------------

    def _on_incursion(
        self, told: dict[str, Advisory], one: Placed, incursion: Incursion, now_ns: int
    ) -> None:
        before = self._orders[one.vehicle].advisory.action
        breach, zone = incursion.breach, incursion.zone
        if breach.where is Where.INSIDE and not one.landed:
            action, reason = RETURN, f"inside zone {zone}"
        elif breach.where is Where.UNKNOWN:
            action = HOLD
            reason = zone if one.fresh else f"place not known, zone {zone} may be reached"
        elif one.landed:
            action, reason = HOLD, f"stands in zone {zone}"
        else:
            action, reason = HOLD, f"enters zone {zone} in {breach.time_to_s:.1f} s"
        if before is RETURN or before is action:
            return
        advisory = Advisory(one.vehicle, action, "zone", zone, breach.time_to_s, math.nan, reason)
        self._tell(told, one, advisory, now_ns)

    def _on_conflict(
        self, told: dict[str, Advisory], scene: Scene, a: Placed, b: Placed, pair: Conflict
    ) -> None:
        encounter, limits = pair.encounter, self.limits
        age_s = (scene.now_ns - self._seen_ns[(pair.first, pair.second)]) / _NS
        # written so that an unknown time (NaN) is urgent
        distant = encounter.first_s > 0.5 * limits.look_ahead_s
        if (distant and age_s < limits.confirm_s) or scene.solved(a, b):
            return
        for holder, other in scene.holders(a, b):
            if self._orders[holder.vehicle].advisory.action in (HOLD, RETURN):
                continue
            if encounter.separation is Separation.LOST and a.fresh and b.fresh:
                reason = f"would pass {other.vehicle} at {encounter.closest_m:.0f} m"
            else:
                reason = f"place of {(other if holder.fresh else holder).vehicle} not known"
            advisory = Advisory(
                holder.vehicle,
                HOLD,
                "traffic",
                other.vehicle,
                encounter.first_s,
                encounter.closest_m,
                reason,
            )
            self._tell(told, holder, advisory, scene.now_ns)

    # --- letting go ------------------------------------------------------------------------------

    def _let_go(
        self, told: dict[str, Advisory], scene: Scene, one: Placed, by_name: dict[str, Placed]
    ) -> None:
        order, now_ns = self._orders[one.vehicle], scene.now_ns
        if order.advisory.action is RETURN and one.landed:
            self._tell(told, one, _clear(one.vehicle, "landed"), now_ns)
        if not order.holds:
            return
        blockers = scene.blockers(one, order) if one.fresh else (one.vehicle,)
        if blockers:
            order.free_since_ns = None
            advisory = self._send_back(scene, one, order, blockers, by_name)
            if advisory is not None:
                self._tell(told, one, advisory, now_ns)
        elif order.free_since_ns is None:
            order.free_since_ns = now_ns
        elif (now_ns - order.free_since_ns) / _NS >= self.limits.release_s:
            reason = f"{order.advisory.other} is no longer in the way"
            self._tell(told, one, _clear(one.vehicle, reason), now_ns)

    def _send_back(
        self,
        scene: Scene,
        one: Placed,
        order: Order,
        blockers: tuple[str, ...],
        by_name: dict[str, Placed],
    ) -> Advisory | None:
        """Return the RETURN for one that would wait for ever, once it has waited long enough."""
        waiting = [by_name[name] for name in blockers if name in by_name]
        zone = next((name for name in blockers if name not in by_name), None)
        still = one.fresh and not one.landed and one.speed_m_s < _AT_REST_M_S
        standing = [other for other in waiting if other.speed_m_s < _AT_REST_M_S]
        if not (still and (zone is not None or standing)):
            order.stuck_since_ns = None
            return None
        if order.stuck_since_ns is None:
            order.stuck_since_ns = scene.now_ns
        held = [other for other in standing if self._orders[other.vehicle].holds]
        # one that stands without being told to may be about to go on
        patience_s = self.limits.patience_s * (1.0 if len(held) == len(standing) else 3.0)
        if (scene.now_ns - order.stuck_since_ns) / _NS < patience_s:
            return None
        if zone is not None:
            return _back(one.vehicle, "zone", zone, f"zone {zone} is in the way")
        if max((one, *held), key=scene.rank).vehicle != one.vehicle:
            return None
        other = standing[0].vehicle
        return _back(one.vehicle, "traffic", other, f"{other} stands in the way")

    def _tell(
        self, told: dict[str, Advisory], one: Placed, advisory: Advisory, now_ns: int
    ) -> None:
        velocity = one.velocity_ned_m_s if one.fresh else np.zeros(3)
        self._orders[one.vehicle] = Order(advisory, now_ns, velocity, one.target_ned_m)
        told[one.vehicle] = advisory


def _clear(vehicle: str, reason: str) -> Advisory:
    return Advisory(vehicle, CLEAR, "clear", "", math.nan, math.nan, reason)


def _back(vehicle: str, kind: str, other: str, reason: str) -> Advisory:
    return Advisory(vehicle, RETURN, kind, other, math.nan, math.nan, reason)
