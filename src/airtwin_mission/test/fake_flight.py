# SPDX-License-Identifier: Apache-2.0
"""Flies an executor against the fake PX4, tick by tick, without a clock."""

from __future__ import annotations

from collections.abc import Callable

from fake_px4 import FakePx4

from airtwin_core.types import MissionBelief, Phase
from airtwin_mission import mission_file
from airtwin_mission.executor import Executor
from airtwin_mission.limits import Limits
from airtwin_mission.ports import Output
from airtwin_mission.px4_vehicle import Px4Vehicle

MISSION = """mission: 1
steps:
  - take_off: {height_m: 8.0}
  - go_to: {ned_m: [40.0, 0.0, -8.0]}
  - hold: {seconds: 2.0}
  - go_to: {ned_m: [40.0, 30.0, -8.0]}
  - land: {}
"""


class Flight:
    """One executor, one adapter, one fake; ``beliefs`` has every tick."""

    def __init__(
        self,
        px4: FakePx4,
        text: str = MISSION,
        *,
        arming: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self.px4 = px4
        limits = limits or Limits()
        self.vehicle = Px4Vehicle(limits, arming=arming)
        self.executor = Executor(mission_file.parse(text, name="m.yaml"), self.vehicle, limits)
        self.beliefs: list[MissionBelief] = []
        self.sent: list[tuple[int, Output]] = []
        self.deaf = False  # nothing that is sent arrives
        self._turn = 0

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Fly on; True when ``until`` holds before the time is over."""
        for _ in range(round(seconds / 0.05)):
            outputs = self.vehicle.stream(self.px4.now_ns)
            self.sent += [(self.px4.now_ns, output) for output in outputs]
            for sample in self.px4.step(() if self.deaf else outputs):
                self.executor.on(sample)
            self._turn += 1
            if self._turn % 2 == 0:
                self.beliefs.append(self.executor.tick(self.px4.now_ns))
                if until():
                    return True
        return False

    def until_phase(self, *phases: Phase, within_s: float = 120.0) -> MissionBelief:
        """Fly until one of the phases is believed; fails if it does not come."""
        reached = self.run(within_s, lambda: self.beliefs[-1].phase in phases)
        assert reached, f"still {self.beliefs[-1]} after {within_s} s"
        return self.beliefs[-1]

    def until_leg(self, leg: int, within_s: float = 120.0) -> MissionBelief:
        """Fly until the leg is reached."""
        assert self.run(within_s, lambda: self.beliefs[-1].leg >= leg), self.beliefs[-1]
        return self.beliefs[-1]

    @property
    def belief(self) -> MissionBelief:
        """The newest."""
        return self.beliefs[-1]
