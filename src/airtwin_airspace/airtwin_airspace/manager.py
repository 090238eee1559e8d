# SPDX-License-Identifier: Apache-2.0
"""Keeps the aircraft apart and out of zones: tracks in, advisories out. Pure.

Right of way, the same for every pair and every tick: an aircraft that returns or lands goes
before one that does not; then the lower number in the name (px4_2 before px4_10). The other one
holds, unless its holding does not help and the first one's does (it is being overtaken); if
neither helps, both hold, and the one without the right of way is sent back when they stand.

An aircraft that holds is let go only when flying on to where it wanted to go, at any speed up to
its own, would not lose separation from anybody, with wider minima and a longer look-ahead than
those that stopped it, for some time on end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    Array,
    LandDetected,
    MissionBelief,
    Origin,
    Phase,
    TwinState,
)

from airtwin_airspace import conflict, outline
from airtwin_airspace.altitude import Reference
from airtwin_airspace.breach import Breach, Prism, Where, entry, prisms
from airtwin_airspace.conflict import Encounter, Separation
from airtwin_airspace.limits import Limits
from airtwin_airspace.tracks import Placed, Track
from airtwin_airspace.zones import Restriction, Zone

HOLD, RETURN, CLEAR = AdvisoryAction.HOLD, AdvisoryAction.RETURN, AdvisoryAction.CLEAR
_NS = 1e9
_SPEEDS = (1.0, 0.6, 0.3)
"""Parts of its speed at which a holding aircraft is tried: it does not start at full speed."""
_AT_REST_M_S = 0.7


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two aircraft that will lose separation, or of which nobody knows."""

    first: str
    second: str
    encounter: Encounter


@dataclass(frozen=True, slots=True)
class Incursion:
    """An aircraft in a zone, or on the way into it."""

    vehicle: str
    zone: str
    breach: Breach


@dataclass(frozen=True, slots=True)
class Picture:
    """The airspace at the last tick. ``unknown``: vehicle and why its place is not known."""

    placed: tuple[Placed, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    incursions: tuple[Incursion, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Order:
    """What one aircraft was last told, and what it wanted before."""

    advisory: Advisory
    since_ns: int
    want_velocity_ned_m_s: Array
    want_ned_m: Array | None
    free_since_ns: int | None = None
    stuck_since_ns: int | None = None


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
    prisms: tuple[Prism, ...] = ()
    _tree: shapely.STRtree | None = None
    _orders: dict[str, _Order] = field(default_factory=dict)
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
        by_name = {one.vehicle: one for one in placed}
        conflicts = self._conflicts(placed, now_ns)
        incursions = self._incursions(placed, now_ns)
        self.picture = Picture(placed, conflicts, incursions, self._unknown(by_name))
        told: list[Advisory] = []
        for one in placed:
            if one.vehicle not in self._orders:
                self._tell(told, one, _clear(one.vehicle, "no conflict"), now_ns)
        for incursion in incursions:
            self._on_incursion(told, by_name[incursion.vehicle], incursion, now_ns)
        for pair in conflicts:
            self._on_conflict(told, by_name[pair.first], by_name[pair.second], pair, now_ns)
        self._release(told, placed, now_ns)
        return _last_of_each(told)

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
        self.prisms = prisms(binding, self.frame, self.reference, self.remarks.append)
        self._tree = shapely.STRtree([prism.area for prism in self.prisms])

    def _placed(self, now_ns: int) -> tuple[Placed, ...]:
        if self.frame is None:
            return ()
        places = (
            track.placed(vehicle, self.frame, now_ns, age_max_s=self.limits.track_age_max_s)
            for vehicle, track in sorted(self.tracks.items(), key=lambda item: _number(item[0]))
        )
        return tuple(place for place in places if place is not None)

    def _unknown(self, placed: dict[str, Placed]) -> tuple[tuple[str, str], ...]:
        said = []
        for vehicle, track in self.tracks.items():
            place = placed.get(vehicle)
            causes = {c: n for c, n in track.intake.counts.get("track", {}).items() if c != "used"}
            worst = f" ({max(causes, key=lambda c: causes[c])})" if causes else ""
            if place is None:
                said.append((vehicle, f"no track yet{worst}"))
            elif not place.fresh and not place.landed:
                said.append((vehicle, f"track is {place.age_s:.1f} s old{worst}"))
        return tuple(said)

    # --- conflicts and incursions ----------------------------------------------------------------

    def _motion(self, one: Placed, now_ns: int) -> tuple[Array, Array]:
        """Return position and velocity to reckon with: one that was just told to hold stands."""
        order = self._orders.get(one.vehicle)
        if not one.fresh or one.landed:
            return one.position_ned_m, np.zeros(3)
        if (
            order is not None
            and order.advisory.action is HOLD
            and (now_ns - order.since_ns) / _NS < self.limits.obey_s
        ):
            return self._stop(one), np.zeros(3)
        return one.position_ned_m, one.velocity_ned_m_s

    def _stop(self, one: Placed) -> Array:
        return one.position_ned_m + 0.5 * self.limits.stop_s * one.velocity_ned_m_s

    def _minima(self, a: Placed, b: Placed, scale: float = 1.0) -> tuple[float, float]:
        """Return (horizontal, vertical) [m] between two aircraft, with what is not known of them."""
        limits = self.limits
        grounded = a.landed or b.landed
        horizontal = limits.ground_horizontal_m if grounded else limits.horizontal_m
        extra = sum(
            min(limits.stale_max_m, max(one.speed_m_s, limits.stale_growth_m_s) * one.age_s)
            for one in (a, b)
            if not one.fresh and not one.landed
        )
        k = limits.sigma_k
        sigma_h = math.hypot(a.sigma_horizontal_m, b.sigma_horizontal_m)
        sigma_v = math.hypot(a.sigma_vertical_m, b.sigma_vertical_m)
        return (
            scale * horizontal + k * sigma_h + extra,
            scale * limits.vertical_m + k * sigma_v + extra,
        )

    def _conflicts(self, placed: tuple[Placed, ...], now_ns: int) -> tuple[Conflict, ...]:
        n = len(placed)
        if n < 2:
            return ()
        motion = [self._motion(one, now_ns) for one in placed]
        horizontal, vertical = np.ones((n, n)), np.ones((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                horizontal[i, j], vertical[i, j] = self._minima(placed[i], placed[j])
        found = conflict.all_pairs(
            np.array([position for position, _ in motion]),
            np.array([velocity for _, velocity in motion]),
            horizontal,
            vertical,
            look_ahead_s=self.limits.look_ahead_s,
        )
        pairs = [
            Conflict(placed[i].vehicle, placed[j].vehicle, encounter)
            for i, j, encounter in found
            if not (placed[i].landed and placed[j].landed)
        ]
        seen = {(pair.first, pair.second): now_ns for pair in pairs}
        self._seen_ns = {key: self._seen_ns.get(key, now) for key, now in seen.items()}
        return tuple(pairs)

    def _incursions(self, placed: tuple[Placed, ...], now_ns: int) -> tuple[Incursion, ...]:
        found = []
        for one in placed:
            if not one.fresh:
                continue
            position, velocity = self._motion(one, now_ns)
            found.extend(self._breaches(one, position, velocity, now_ns))
        return tuple(found)

    def _breaches(
        self, one: Placed, position: Array, velocity: Array, now_ns: int
    ) -> Iterable[Incursion]:
        """Yield the zones that straight flight enters, soonest first."""
        if self._tree is None or self.frame is None:
            return ()
        limits = self.limits
        margin = limits.zone_horizontal_m + limits.sigma_k * one.sigma_horizontal_m
        end = position[:2] + velocity[:2] * limits.zone_look_ahead_s
        low, high = np.minimum(position[:2], end) - margin, np.maximum(position[:2], end) + margin
        until_ns = now_ns + int(limits.zone_look_ahead_s * _NS)
        found = []
        for index in self._tree.query(shapely.box(*low, *high)):
            prism = self.prisms[int(index)]
            if not prism.zone.active(now_ns, until_ns):
                continue
            breach = entry(
                prism,
                position,
                velocity,
                origin_amsl_m=self.frame.origin.altitude_amsl_m,
                horizontal_m=margin,
                vertical_m=limits.zone_vertical_m + limits.sigma_k * one.sigma_vertical_m,
                look_ahead_s=limits.zone_look_ahead_s,
            )
            if breach.where is not Where.OUTSIDE:
                found.append(Incursion(one.vehicle, prism.zone.identifier, breach))
        return sorted(found, key=lambda item: item.breach.time_to_s)

    # --- what to tell ----------------------------------------------------------------------------

    def _on_incursion(
        self, told: list[Advisory], one: Placed, incursion: Incursion, now_ns: int
    ) -> None:
        order = self._orders[one.vehicle]
        if order.advisory.action is RETURN:
            return
        breach, zone = incursion.breach, incursion.zone
        inside = breach.where is Where.INSIDE and not one.landed
        if inside:
            action, reason = RETURN, f"inside zone {zone}"
        elif one.landed:
            action, reason = HOLD, f"stands in zone {zone}"
        else:
            action, reason = HOLD, f"enters zone {zone} in {breach.time_to_s:.1f} s"
        if order.advisory.action is HOLD and action is HOLD:
            return
        advisory = Advisory(one.vehicle, action, "zone", zone, breach.time_to_s, math.nan, reason)
        self._tell(told, one, advisory, now_ns)

    def _on_conflict(
        self, told: list[Advisory], a: Placed, b: Placed, pair: Conflict, now_ns: int
    ) -> None:
        encounter = pair.encounter
        age_s = (now_ns - self._seen_ns[(pair.first, pair.second)]) / _NS
        urgent = not encounter.first_s > 0.5 * self.limits.look_ahead_s
        if age_s < self.limits.confirm_s and not urgent:
            return
        for holder, other in self._holders(a, b, now_ns):
            if self._orders[holder.vehicle].advisory.action in (HOLD, RETURN):
                continue
            known = encounter.separation is Separation.LOST and a.fresh and b.fresh
            reason = (
                f"would pass {other.vehicle} at {encounter.closest_m:.0f} m"
                if known
                else f"place of {other.vehicle if not other.fresh else holder.vehicle} not known"
            )
            advisory = Advisory(
                holder.vehicle,
                HOLD,
                "traffic",
                other.vehicle,
                encounter.first_s,
                encounter.closest_m,
                reason,
            )
            self._tell(told, holder, advisory, now_ns)

    def _holders(self, a: Placed, b: Placed, now_ns: int) -> tuple[tuple[Placed, Placed], ...]:
        """Return (who holds, for whom): one of the two, or both if one does not help."""
        first, second = sorted((a, b), key=self._rank)
        if a.landed or b.landed:
            flying, parked = (b, a) if a.landed else (a, b)
            return ((flying, parked),)
        if a.fresh != b.fresh:
            known, lost = (a, b) if a.fresh else (b, a)
            return ((known, lost),)
        options = ((second, first), (first, second))
        for holder, other in options:
            if self._helps(holder, other, now_ns):
                return ((holder, other),)
        apart = a.position_ned_m - b.position_ned_m
        closing = float(apart[:2] @ (a.velocity_ned_m_s - b.velocity_ned_m_s)[:2]) < 0.0
        return options if closing else options[:1]

    def _helps(self, holder: Placed, other: Placed, now_ns: int) -> bool:
        """Return whether separation is kept if ``holder`` stops and the other flies on."""
        if self._returns(holder):
            return False
        horizontal, vertical = self._minima(holder, other)
        position, velocity = self._motion(other, now_ns)
        stop = self._stop(holder)
        limits = self.limits
        minima = conflict.Minima(horizontal, vertical, limits.look_ahead_s + limits.stop_s)
        result = conflict.encounter(position - stop, velocity, minima)
        return result.separation is Separation.KEPT

    def _rank(self, one: Placed) -> tuple[object, ...]:
        return (not self._returns(one), *_number(one.vehicle))

    def _returns(self, one: Placed) -> bool:
        order = self._orders.get(one.vehicle)
        told = order is not None and order.advisory.action is RETURN
        wants = one.belief is not None and one.belief.phase in (Phase.RETURN, Phase.LAND)
        return told or wants

    # --- letting go ------------------------------------------------------------------------------

    def _release(self, told: list[Advisory], placed: tuple[Placed, ...], now_ns: int) -> None:
        for one in placed:
            order = self._orders[one.vehicle]
            if order.advisory.action is RETURN and one.landed:
                self._tell(told, one, _clear(one.vehicle, "landed"), now_ns)
            if order.advisory.action is not HOLD:
                continue
            blockers = self._blockers(one, order, placed, now_ns) if one.fresh else ("itself",)
            if blockers:
                order.free_since_ns = None
                self._when_stuck(told, one, order, blockers, placed, now_ns)
            elif order.free_since_ns is None:
                order.free_since_ns = now_ns
            elif (now_ns - order.free_since_ns) / _NS >= self.limits.release_s:
                reason = f"{order.advisory.other} is no longer in the way"
                self._tell(told, one, _clear(one.vehicle, reason), now_ns)

    def _blockers(
        self, one: Placed, order: _Order, placed: tuple[Placed, ...], now_ns: int
    ) -> tuple[str, ...]:
        """Return who or what is in the way if the aircraft flies on as it wanted."""
        limits = self.limits
        others = [
            other
            for other in placed
            if other.vehicle != one.vehicle and not (other.landed and one.landed)
        ]
        minima = [self._minima(one, other, limits.release_margin) for other in others]
        motion = [self._motion(other, now_ns) for other in others]
        velocity, way_m = self._wanted(one, order)
        speed = float(np.linalg.norm(velocity))
        blockers: list[str] = []
        for part in _SPEEDS:
            look_ahead_s = limits.release_margin * limits.look_ahead_s
            if speed > 0.0:
                # beyond its target it does not fly on
                look_ahead_s = min(look_ahead_s, way_m / (part * speed) + limits.stop_s)
            encounters = conflict.against(
                one.position_ned_m,
                part * velocity,
                np.array([position for position, _ in motion]).reshape(-1, 3),
                np.array([v for _, v in motion]).reshape(-1, 3),
                np.array([horizontal for horizontal, _ in minima]),
                np.array([vertical for _, vertical in minima]),
                look_ahead_s=look_ahead_s,
            )
            for other, encounter in zip(others, encounters, strict=True):
                if encounter.separation is not Separation.KEPT and other.vehicle not in blockers:
                    blockers.append(other.vehicle)
            for incursion in self._breaches(one, one.position_ned_m, part * velocity, now_ns):
                if incursion.zone not in blockers:
                    blockers.append(incursion.zone)
        return tuple(blockers)

    def _wanted(self, one: Placed, order: _Order) -> tuple[Array, float]:
        """Return (velocity [m/s], way [m]) of the flight that the hold interrupted."""
        target = order.want_ned_m
        # a mission that holds may name the place where it holds: that is not what it wants
        if one.target_ned_m is not None:
            if np.linalg.norm(one.target_ned_m - one.position_ned_m) > self.limits.horizontal_m:
                target = one.target_ned_m
        speed = float(np.linalg.norm(order.want_velocity_ned_m_s))
        if target is None:
            return order.want_velocity_ned_m_s, math.inf
        way = target - one.position_ned_m
        length = float(np.linalg.norm(way))
        if length < 1.0:
            return np.zeros(3), 0.0
        return way / length * max(speed, self.limits.cruise_m_s), length

    def _when_stuck(
        self,
        told: list[Advisory],
        one: Placed,
        order: _Order,
        blockers: tuple[str, ...],
        placed: tuple[Placed, ...],
        now_ns: int,
    ) -> None:
        """Send back one that would wait for ever: before a zone, or for others that hold too."""
        names = {other.vehicle: other for other in placed}
        waiting = [names[name] for name in blockers if name in names]
        zone = next((name for name in blockers if name not in names), None)
        held = [other for other in waiting if self._orders[other.vehicle].advisory.action is HOLD]
        still = one.fresh and not one.landed and one.speed_m_s < _AT_REST_M_S
        standing = waiting and all(other.speed_m_s < _AT_REST_M_S for other in waiting)
        if not (still and (zone is not None or standing)):
            order.stuck_since_ns = None
            return
        if order.stuck_since_ns is None:
            order.stuck_since_ns = now_ns
        # one that stands without being told to may be about to go on
        patience_s = self.limits.patience_s * (1.0 if len(held) == len(waiting) else 3.0)
        if (now_ns - order.stuck_since_ns) / _NS < patience_s:
            return
        if zone is not None:
            advisory = Advisory(
                one.vehicle, RETURN, "zone", zone, math.nan, math.nan, f"zone {zone} is in the way"
            )
            self._tell(told, one, advisory, now_ns)
            return
        last = max((one, *held), key=self._rank)
        if last.vehicle != one.vehicle:
            return
        other_name = waiting[0].vehicle
        reason = f"{other_name} stands in the way"
        advisory = Advisory(one.vehicle, RETURN, "traffic", other_name, math.nan, math.nan, reason)
        self._tell(told, one, advisory, now_ns)

    def _tell(self, told: list[Advisory], one: Placed, advisory: Advisory, now_ns: int) -> None:
        velocity = one.velocity_ned_m_s if one.fresh else np.zeros(3)
        self._orders[one.vehicle] = _Order(advisory, now_ns, velocity, one.target_ned_m)
        told.append(advisory)


def _clear(vehicle: str, reason: str) -> Advisory:
    return Advisory(vehicle, CLEAR, "clear", "", math.nan, math.nan, reason)


def _last_of_each(told: list[Advisory]) -> tuple[Advisory, ...]:
    return tuple({advisory.vehicle: advisory for advisory in told}.values())


def _number(vehicle: str) -> tuple[object, ...]:
    """Return a key that sorts px4_2 before px4_10."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", vehicle)
        if part
    )
