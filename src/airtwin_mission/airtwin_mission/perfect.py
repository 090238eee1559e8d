# SPDX-License-Identifier: Apache-2.0
"""The simplest honest aircraft: whatever is asked has happened at the next tick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airtwin_core.types import Array, Origin, Sample
from airtwin_mission.ports import DONE, Outcome, View, running


class PerfectVehicle:
    """Arms, arrives, lands at the next tick; ``asked`` keeps each new request in order.

    Tests change ``seen`` to let something happen to it.
    """

    def __init__(self, origin: Origin | None = None) -> None:
        ground = np.zeros(3)
        self.seen = View(
            position_ned_m=ground,
            velocity_ned_m_s=np.zeros(3),
            origin=origin,
            home_ned_m=ground,
            armed=False,
            landed=True,
        )
        self.asked: list[str] = []
        self.released = ""

    def on(self, sample: Sample) -> None:
        """Hear nothing: it is told by ``seen``."""

    def at(self, now_ns: int) -> None:
        """Need no clock."""

    def view(self) -> View:
        """Return what is known now."""
        return self.seen

    def ready(self) -> Outcome:
        """Always ready."""
        return DONE

    def arm(self) -> Outcome:
        """Armed at the next tick."""
        return self._becomes("arm", replace(self.seen, armed=True))

    def stay(self) -> None:
        """Forget the request to arm."""
        if self.asked[-1:] == ["arm"]:
            self.asked.append("stay")

    def goto(
        self, position_ned_m: Array, *, speed_m_s: float, within_m: float, at_rest: bool
    ) -> Outcome:
        """There at the next tick."""
        words = " ".join(f"{x:.0f}" for x in position_ned_m)
        there = replace(self.seen, position_ned_m=np.array(position_ned_m), landed=False)
        return self._becomes(f"goto {words} at {speed_m_s:g}", there)

    def hold(self) -> Outcome:
        """Stands still at the next tick."""
        return self._becomes("hold", self.seen)

    def land(self) -> Outcome:
        """On the ground at the next tick."""
        return self._becomes("land", self._on_ground(self.seen.position_ned_m))

    def return_home(self) -> Outcome:
        """At home at the next tick."""
        return self._becomes("return", self._on_ground(self.seen.home_ned_m))

    def release(self, reason: str) -> None:
        """Remember why."""
        self.released = reason

    def _on_ground(self, place: Array | None) -> View:
        x, y, _ = np.zeros(3) if place is None else place
        return replace(self.seen, position_ned_m=np.array([x, y, 0.0]), landed=True, armed=False)

    def _becomes(self, request: str, then: View) -> Outcome:
        if not self.asked or self.asked[-1] != request:
            self.asked.append(request)
            return running()
        self.seen = then
        return DONE
