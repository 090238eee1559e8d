# SPDX-License-Identifier: Apache-2.0
"""Aircraft as points that obey advisories: the simplest honest fake of a fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from airtwin_airspace.manager import Airspace
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

ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
START_NS = 1_800_000_000_000_000_000
STEP_S = 0.05


def twin_state(
    position_ned_m: Array,
    velocity_ned_m_s: Array,
    now_ns: int,
    *,
    origin: Origin | None = ORIGIN,
    sigma_m: float = 0.3,
) -> TwinState:
    """Return a valid state of a level aircraft that heads north; arguments (3,) NED."""
    covariance = np.diag(np.repeat([sigma_m**2, 0.01, 1e-4, 1e-6, 1e-4], 3))
    return TwinState(
        stamp_ns=now_ns,
        received_ns=now_ns,
        position_ned_m=np.asarray(position_ned_m, dtype=np.float64),
        velocity_ned_m_s=np.asarray(velocity_ned_m_s, dtype=np.float64),
        q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
        rate_frd_rad_s=np.zeros(3),
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=covariance,
        origin=origin,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )


@dataclass
class PointMass:
    """Flies to its waypoints at ``speed_m_s``, stops within 2 s, goes home when told."""

    vehicle: str
    waypoints: list[Array]
    position: Array
    speed_m_s: float = 5.0
    velocity: Array = field(default_factory=lambda: np.zeros(3))
    action: AdvisoryAction = AdvisoryAction.CLEAR
    silent: bool = False
    obeys: bool = True
    landed: bool = False
    hides_target: bool = False
    returns: bool = False

    def __post_init__(self) -> None:
        self.home = self.position.copy()

    def step(self) -> None:
        """Fly on for ``STEP_S``."""
        wanted = np.zeros(3)
        if self.action is not AdvisoryAction.HOLD and self.waypoints and not self.landed:
            way = self.waypoints[0] - self.position
            distance = float(np.linalg.norm(way))
            if distance < 0.5:
                self.waypoints.pop(0)
            else:
                wanted = way / distance * min(self.speed_m_s, 0.3 + 0.8 * distance)
        change = wanted - self.velocity
        size = float(np.linalg.norm(change))
        most = self.speed_m_s / 2.0 * STEP_S
        self.velocity = self.velocity + change * min(1.0, most / max(size, 1e-9))
        self.position = self.position + self.velocity * STEP_S

    def on(self, advisory: Advisory) -> None:
        """Take what the airspace manager says."""
        if self.obeys:
            self.action = advisory.action
            if self.action is AdvisoryAction.RETURN:
                self.waypoints = [self.home]

    @property
    def arrived(self) -> bool:
        """Whether all waypoints were reached."""
        return not self.waypoints

    def belief(self, now_ns: int) -> MissionBelief:
        """Return what its mission believes."""
        holds = self.action is AdvisoryAction.HOLD
        target: Array | None = self.waypoints[0] if self.waypoints else self.position
        if holds:
            target = None if self.hides_target else self.position
        phase = Phase.HOLD if holds else Phase.ENROUTE
        if self.action is AdvisoryAction.RETURN or self.returns:
            phase = Phase.RETURN
        return MissionBelief(now_ns, now_ns, phase, 0, 1, 0.0, target, 0.0, "")


@dataclass
class Flight:
    """Runs a fleet against an airspace and keeps what happened."""

    airspace: Airspace
    fleet: list[PointMass]
    now_ns: int = START_NS
    told: list[tuple[float, Advisory]] = field(default_factory=list)
    least_m: float = np.inf
    both_held_s: float = 0.0

    def run(self, seconds: float) -> None:
        """Fly for so long, or until all have arrived."""
        for _ in range(round(seconds / STEP_S)):
            self.step()
            if all(one.arrived for one in self.fleet):
                return

    def step(self) -> None:
        """Fly on for ``STEP_S``; every 0.1 s the airspace decides."""
        self.now_ns += round(STEP_S * 1e9)
        for one in self.fleet:
            one.step()
        if round((self.now_ns - START_NS) / 1e6) % 100 == 0:
            self._report()
            for advisory in self.airspace.tick(self.now_ns):
                self.told.append(((self.now_ns - START_NS) / 1e9, advisory))
                next(one for one in self.fleet if one.vehicle == advisory.vehicle).on(advisory)
        for i, a in enumerate(self.fleet):
            for b in self.fleet[i + 1 :]:
                apart = a.position - b.position
                if abs(apart[2]) < self.airspace.limits.vertical_m:
                    self.least_m = min(self.least_m, float(np.hypot(*apart[:2])))
        held = [one for one in self.fleet if one.action is AdvisoryAction.HOLD]
        self.both_held_s += STEP_S * (len(held) > 1)

    def _report(self) -> None:
        for one in self.fleet:
            if one.silent:
                continue
            state = twin_state(one.position, one.velocity, self.now_ns)
            self.airspace.on_track(one.vehicle, state)
            self.airspace.on_belief(one.vehicle, one.belief(self.now_ns))
            land = LandDetected(self.now_ns, self.now_ns, one.landed, False, False, False)
            self.airspace.on_land(one.vehicle, land)

    def held(self, vehicle: str) -> list[tuple[float, str]]:
        """Return (time [s], action) of what the vehicle was told."""
        return [(t, a.action.name) for t, a in self.told if a.vehicle == vehicle]
