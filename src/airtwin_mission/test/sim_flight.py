# SPDX-License-Identifier: Apache-2.0
"""Flies executors against the embedded simulator, without ROS and without a clock."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import MissionBelief
from airtwin_mission.executor import Executor
from airtwin_mission.limits import Limits
from airtwin_mission.plan import Mission
from airtwin_mission.ports import Setpoint
from airtwin_mission.px4_vehicle import Px4Vehicle
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario

START_NS = 10**15


class SimFlight:
    """One world, one executor per aircraft; the mission node's rates: stream 20 Hz, tick 10 Hz."""

    def __init__(self, scenario: Scenario, missions: dict[str, Mission]) -> None:
        self._flight = Flight(scenario, start_ns=START_NS)
        self.world = self._flight.world
        self.vehicles = {name: Px4Vehicle(Limits()) for name in missions}
        self.executors = {
            name: Executor(mission, self.vehicles[name], Limits())
            for name, mission in missions.items()
        }
        self.beliefs: dict[str, list[MissionBelief]] = {name: [] for name in missions}
        self.truth: dict[str, list[np.ndarray]] = {name: [] for name in missions}
        self.commands: dict[str, list[int]] = {name: [] for name in missions}

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / 0.004)):
            for name, _, sample in self._flight.step():
                self.executors[name].on(sample)
            tick = self.world.time_us // 4000
            if tick % 25 == 0:
                self._tick()
            if tick % 12 == 0:  # 48 ms
                self._stream()

    def _tick(self) -> None:
        now_ns = START_NS + self.world.time_us * 1000
        for name, executor in self.executors.items():
            self.beliefs[name].append(executor.tick(now_ns))
            row = self.world.fleet.x[self.world.row(name)]
            self.truth[name].append(row[:6].copy())

    def _stream(self) -> None:
        now_ns = START_NS + self.world.time_us * 1000
        for name, vehicle in self.vehicles.items():
            for output in vehicle.stream(now_ns):
                if isinstance(output, Setpoint):
                    self.world.offboard_mode(name, position=True)
                    self.world.setpoint(
                        name,
                        np.array(output.position_ned_m),
                        np.array(output.velocity_ned_m_s),
                        yaw_rad=output.yaw_ned_rad,
                    )
                    continue
                self.commands[name].append(output.command)
                params = (output.param1, output.param2, output.param3, output.param4)
                rest = (output.param5, output.param6, output.param7)
                self.world.command(name, Command(output.command, (*params, *rest)))
