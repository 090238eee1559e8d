# SPDX-License-Identifier: Apache-2.0
"""The airspace at one instant: who will lose separation, who will enter a zone, who is in whose
way, and who would have to hold. Pure, and built anew at every tick.

Right of way, the same for every pair and every tick: an aircraft that returns or lands goes
before one that does not; then the lower number in the name (px4_2 before px4_10). The other one
holds, unless its holding does not help and the first one's does (it overtakes). If neither
helps, both hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from airtwin_airspace import conflict
from airtwin_airspace.breach import Breach, Where, ZoneIndex
from airtwin_airspace.conflict import Encounter, Separation
from airtwin_airspace.limits import Limits
from airtwin_airspace.tracks import Placed
from airtwin_core.types import Advisory, AdvisoryAction, Array, Phase

_NS = 1e9
_SPEEDS = (1.0, 0.6, 0.3)
"""Parts of its speed at which a holding aircraft is tried: it does not start at full speed."""


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


@dataclass(slots=True)
class Order:
    """What one aircraft was last told, and where it was going then."""

    advisory: Advisory
    since_ns: int
    want_velocity_ned_m_s: Array
    want_ned_m: Array | None
    free_since_ns: int | None = None
    stuck_since_ns: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it was told to hold."""
        return self.advisory.action is AdvisoryAction.HOLD


@dataclass(frozen=True, slots=True)
class Scene:
    """Aircraft, what they were told, zones and limits at ``now_ns``."""

    placed: tuple[Placed, ...]
    orders: Mapping[str, Order]
    zones: ZoneIndex
    limits: Limits
    now_ns: int

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return all pairs whose separation is not kept, soonest first, but for the landed."""
        n = len(self.placed)
        if n < 2:
            return ()
        motion = [self._motion(one) for one in self.placed]
        horizontal, vertical = np.ones((n, n)), np.ones((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                horizontal[i, j], vertical[i, j] = self._minima(self.placed[i], self.placed[j])
        found = conflict.all_pairs(
            np.array([position for position, _ in motion]),
            np.array([velocity for _, velocity in motion]),
            horizontal,
            vertical,
            look_ahead_s=self.limits.look_ahead_s,
        )
        pairs = (
            Conflict(self.placed[i].vehicle, self.placed[j].vehicle, encounter)
            for i, j, encounter in found
            if not (self.placed[i].landed and self.placed[j].landed)
        )
        return tuple(sorted(pairs, key=lambda pair: pair.encounter.first_s))

    def solved(self, a: Placed, b: Placed) -> bool:
        """Return whether a hold that was told at this tick keeps these two apart already."""
        horizontal, vertical = self._minima(a, b)
        (position_a, velocity_a), (position_b, velocity_b) = self._motion(a), self._motion(b)
        minima = conflict.Minima(horizontal, vertical, self.limits.look_ahead_s)
        result = conflict.encounter(position_b - position_a, velocity_b - velocity_a, minima)
        return result.separation is Separation.KEPT

    def incursions(self) -> tuple[Incursion, ...]:
        """Return who is in a zone or will be, and UNKNOWN for whom nobody knows it.

        That is an aircraft whose place is not known, and a zone that its growing disc touches.
        """
        return tuple(
            Incursion(one.vehicle, zone, breach if one.fresh else Breach(Where.UNKNOWN, math.nan))
            for one in self.placed
            if one.fresh or not one.landed
            for zone, breach in self._breaches(one, *self._motion(one))
        )

    def holders(self, a: Placed, b: Placed) -> tuple[tuple[Placed, Placed], ...]:
        """Return (who holds, for whom): one of the two, or both if one does not help."""
        if a.landed or b.landed:
            return ((b, a),) if a.landed else ((a, b),)
        if a.fresh != b.fresh:
            # only the one whose place is known can be counted on to hear
            return ((a, b),) if a.fresh else ((b, a),)
        first, second = sorted((a, b), key=self.rank)
        options = ((second, first), (first, second))
        for holder, other in options:
            if self._helps(holder, other):
                return ((holder, other),)
        apart = a.position_ned_m - b.position_ned_m
        closing = float(apart[:2] @ (a.velocity_ned_m_s - b.velocity_ned_m_s)[:2]) < 0.0
        return options if closing else options[:1]

    def rank(self, one: Placed) -> tuple[object, ...]:
        """Return the key of the right of way: the smaller one goes first."""
        return (not self._returns(one), *natural_order(one.vehicle))

    def blockers(self, one: Placed, order: Order) -> tuple[str, ...]:
        """Return the aircraft and zones in the way if ``one`` flies on as it wanted.

        Minima and look-ahead are wider than those that stop an aircraft, so that one that is let
        go is not stopped again at once.
        """
        limits = self.limits
        others = [
            other
            for other in self.placed
            if other.vehicle != one.vehicle and not (other.landed and one.landed)
        ]
        minima = [self._minima(one, other, limits.release_margin) for other in others]
        motion = [self._motion(other) for other in others]
        velocity, way_m = self._wanted(one, order)
        speed = float(np.linalg.norm(velocity))
        blockers: dict[str, None] = {}
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
                if encounter.separation is not Separation.KEPT:
                    blockers[other.vehicle] = None
            for zone, _ in self._breaches(one, one.position_ned_m, part * velocity):
                blockers[zone] = None
        return tuple(blockers)

    def _motion(self, one: Placed) -> tuple[Array, Array]:
        """Return position and velocity to reckon with: one that was just told to hold stands."""
        if not one.fresh or one.landed:
            return one.position_ned_m, np.zeros(3)
        order = self.orders.get(one.vehicle)
        if order is not None and order.holds and self._age_s(order) < self.limits.obey_s:
            return self._stop(one), np.zeros(3)
        return one.position_ned_m, one.velocity_ned_m_s

    def _age_s(self, order: Order) -> float:
        return (self.now_ns - order.since_ns) / _NS

    def _stop(self, one: Placed) -> Array:
        return one.position_ned_m + 0.5 * self.limits.stop_s * one.velocity_ned_m_s

    def _minima(self, a: Placed, b: Placed, scale: float = 1.0) -> tuple[float, float]:
        """Return (horizontal, vertical) [m] between two, wider by what is not known of them."""
        limits = self.limits
        grounded = a.landed or b.landed
        horizontal = limits.ground_horizontal_m if grounded else limits.horizontal_m
        vertical = limits.ground_vertical_m if grounded else limits.vertical_m
        unknown = self._unknown_m(a) + self._unknown_m(b)
        sigma_h = math.hypot(a.sigma_horizontal_m, b.sigma_horizontal_m)
        sigma_v = math.hypot(a.sigma_vertical_m, b.sigma_vertical_m)
        return (
            scale * horizontal + limits.sigma_k * sigma_h + unknown,
            scale * vertical + limits.sigma_k * sigma_v + unknown,
        )

    def _unknown_m(self, one: Placed) -> float:
        """Return how far [m] from its last place an aircraft may be by now; 0: it is known."""
        if one.fresh or one.landed:
            return 0.0
        growth_m_s = max(one.speed_m_s, self.limits.stale_growth_m_s)
        return min(self.limits.stale_max_m, growth_m_s * abs(one.age_s))

    def _breaches(
        self, one: Placed, position: Array, velocity: Array
    ) -> tuple[tuple[str, Breach], ...]:
        limits, unknown_m = self.limits, self._unknown_m(one)
        horizontal_m = limits.zone_horizontal_m + limits.sigma_k * one.sigma_horizontal_m
        vertical_m = limits.zone_vertical_m + limits.sigma_k * one.sigma_vertical_m
        return self.zones.breaches(
            position,
            velocity,
            horizontal_m=horizontal_m + unknown_m,
            vertical_m=vertical_m + unknown_m,
            look_ahead_s=limits.zone_look_ahead_s,
            now_ns=self.now_ns,
        )

    def _helps(self, holder: Placed, other: Placed) -> bool:
        """Return whether separation is kept if ``holder`` stops and the other flies on."""
        order = self.orders.get(holder.vehicle)
        if order is not None and order.holds and self._age_s(order) >= self.limits.obey_s:
            return False  # it holds already, or it does not obey
        if self._returns(holder):
            return False
        limits = self.limits
        horizontal, vertical = self._minima(holder, other)
        position, velocity = self._motion(other)
        minima = conflict.Minima(horizontal, vertical, limits.look_ahead_s + limits.stop_s)
        result = conflict.encounter(position - self._stop(holder), velocity, minima)
        return result.separation is Separation.KEPT

    def _returns(self, one: Placed) -> bool:
        order = self.orders.get(one.vehicle)
        told = order is not None and order.advisory.action is AdvisoryAction.RETURN
        wants = one.belief is not None and one.belief.phase in (Phase.RETURN, Phase.LAND)
        return told or wants

    def _wanted(self, one: Placed, order: Order) -> tuple[Array, float]:
        """Return (velocity [m/s], way [m]) of the flight that the hold interrupted."""
        target = order.want_ned_m
        # a mission that holds may name the place where it holds: that is not what it wants
        now = one.target_ned_m
        far = self.limits.horizontal_m
        if now is not None and np.linalg.norm(now - one.position_ned_m) > far:
            target = now
        if target is None:
            return order.want_velocity_ned_m_s, math.inf
        way = target - one.position_ned_m
        length = float(np.linalg.norm(way))
        if length < 1.0:
            return np.zeros(3), 0.0
        speed = float(np.linalg.norm(order.want_velocity_ned_m_s))
        return way / length * max(speed, self.limits.cruise_m_s), length


def natural_order(vehicle: str) -> tuple[object, ...]:
    """Return a key that sorts px4_2 before px4_10."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", vehicle)
        if part
    )
