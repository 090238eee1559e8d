# SPDX-License-Identifier: Apache-2.0
"""Flies a script of commands and setpoints in a ``World`` and writes down what was said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from airtwin_core.types import Array
from airtwin_sim.commander import Command
from airtwin_sim.scenario import Scenario, VehicleSpec
from airtwin_sim.world import World

NAN = float("nan")
NOTHING = (NAN,) * 7
ARM = Command(400, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
DISARM = Command(400, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
TAKEOFF = Command(22, NOTHING)
LAND = Command(21, (0.0,) * 7)
RETURN = Command(20, (0.0,) * 7)
OFFBOARD = Command(176, (1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0))
HOLD = Command(176, (1.0, 4.0, 3.0, 0.0, 0.0, 0.0, 0.0))


def takeoff_to(altitude_amsl_m: float) -> Command:
    """Return a take-off to an altitude, the rest left to PX4."""
    return Command(22, (NAN, NAN, NAN, NAN, NAN, NAN, altitude_amsl_m))


def one(name: str = "px4_0", **entries: Any) -> Scenario:
    """Return a scenario of one aircraft."""
    return Scenario(vehicles=(VehicleSpec(name),), **entries)


@dataclass
class Log:
    """All words of one aircraft: source to list of (time [s], values)."""

    words: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)

    def column(self, source: str, name: str) -> tuple[Array, Array]:
        """Return times [s] and values of one field."""
        rows = self.words.get(source, [])
        return np.array([t for t, _ in rows]), np.array([v[name] for _, v in rows])

    def changes(self, source: str, name: str) -> list[tuple[float, Any]]:
        """Return (time, value) whenever the value is another than before."""
        out: list[tuple[float, Any]] = []
        for t, values in self.words.get(source, []):
            if not out or out[-1][1] != values[name]:
                out.append((t, values[name]))
        return out

    def when(self, source: str, name: str, value: Any, after_s: float = 0.0) -> float:
        """Return the first time after ``after_s`` at which the field has the value; NaN: never."""
        for t, values in self.words.get(source, []):
            if t >= after_s and values[name] == value:
                return t
        return NAN


class Pilot:
    """A companion computer: streams setpoints at 20 Hz, sends commands, listens."""

    def __init__(self, world: World, vehicle: str = "px4_0") -> None:
        self.world = world
        self.vehicle = vehicle
        self.row = world.row(vehicle)
        self.log = Log()
        self.goal: Array | None = None
        self.velocity: Array | None = None
        self.yaw_rad = 0.0

    @property
    def time_s(self) -> float:
        """Return the simulated time."""
        return self.world.time_us * 1e-6

    @property
    def truth(self) -> Array:
        """Return the true state of the dynamics."""
        return self.world.fleet.x[self.row]

    @property
    def nav_state(self) -> int:
        """Return the mode now."""
        return self.world.pilots[self.row].commander.nav_state

    def send(self, command: Command) -> int | None:
        """Send a command and return the result of its ack within 0.2 s."""
        before = len(self.log.words.get("ack", []))
        self.world.command(self.vehicle, command)
        self.run(0.2)
        acks = self.log.words.get("ack", [])
        return int(acks[-1][1]["result"]) if len(acks) > before else None

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_us = self.world.time_us + round(seconds * 1e6)
        while self.world.time_us < end_us:
            self.tick()

    def until(self, condition: Any, limit_s: float) -> float:
        """Let time pass until ``condition()``; return how long, or fail after ``limit_s``."""
        start = self.time_s
        while not condition():
            assert self.time_s - start < limit_s, f"not within {limit_s} s"
            self.tick()
        return self.time_s - start

    def tick(self) -> None:
        """Let one tick pass."""
        if self.world.time_us % 50_000 < 4000 and self.goal is not None:
            self.world.offboard_mode(
                self.vehicle, position=self.velocity is None, velocity=self.velocity is not None
            )
            self.world.setpoint(self.vehicle, self.goal, self.velocity, yaw_rad=self.yaw_rad)
        for batch in self.world.step():
            if self.row in batch.rows:
                k = batch.rows.index(self.row)
                values = {name: column[k] for name, column in batch.values.items()}
                self.log.words.setdefault(batch.source, []).append((self.time_s, values))

    def take_off(self, height_m: float = 5.0) -> None:
        """Arm and climb under offboard control, as the recorded flight did."""
        self.run(2.5)
        self.goal = np.array([0.0, 0.0, -height_m])
        self.run(1.5)
        assert self.send(OFFBOARD) == 0
        assert self.send(ARM) == 0
        self.until(lambda: abs(self.truth[2] + height_m) < 0.6, 20.0)
        self.run(3.0)
