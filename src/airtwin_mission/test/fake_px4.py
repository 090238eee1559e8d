# SPDX-License-Identifier: Apache-2.0
"""The simplest honest PX4: commands and setpoints in, samples out, at 20 Hz.

Rules of offboard, acks, failsafe and modes as measured (shared/px4/README.md); a point with lag
instead of an aircraft.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from airtwin_core.types import (
    CommandAck,
    LandDetected,
    LocalPosition,
    NavState,
    Origin,
    Sample,
    VehicleStatus,
)
from airtwin_mission.ports import Output, Setpoint, VehicleCommand

STEP_NS = 50_000_000
ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
SET_MODE, ARM, RETURN, LAND = 176, 400, 20, 21
WANTED = {SET_MODE: NavState.OFFBOARD, RETURN: NavState.RTL, LAND: NavState.LAND}


@dataclass
class FakePx4:
    """``answer(command) -> result`` decides on acks: 0 accepts, None is silence, no effect."""

    answer: Callable[[VehicleCommand], int | None] = lambda command: 0
    now_ns: int = 10**15
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    home: np.ndarray = field(default_factory=lambda: np.zeros(3))
    mode: int = NavState.LOITER
    armed: bool = False
    failsafe: bool = False
    preflight: bool = True
    mute: bool = False
    origin: Origin | None = ORIGIN
    received: list[VehicleCommand] = field(default_factory=list)
    setpoints: list[tuple[int, Setpoint]] = field(default_factory=list)
    fastest: float = 0.0
    _landed_ns: int | None = None
    _last_setpoint_ns: int = 0
    _streaming_since_ns: int | None = None
    _said: tuple = ()
    _step: int = 0
    _resets: int = 0
    _shift: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def step(self, outputs: tuple[Output, ...]) -> list[Sample]:
        """Take what was sent, let 50 ms pass, return what PX4 says."""
        self.now_ns += STEP_NS
        self._step += 1
        samples: list[Sample] = []
        for output in outputs:
            if isinstance(output, Setpoint):
                self._hear(output)
            else:
                samples += self._obey(output)
        self._failsafes()
        self._move()
        if self.mute:
            return []
        return samples + self._samples()

    def move_estimate(self, shift: np.ndarray) -> None:
        """EKF2 resets its position by ``shift`` (3,) [m]; the aircraft does not move."""
        self.position = self.position + shift
        self._shift = shift
        self._resets += 1

    def _hear(self, setpoint: Setpoint) -> None:
        if self.now_ns - self._last_setpoint_ns > 500_000_000:
            self._streaming_since_ns = self.now_ns
        self._last_setpoint_ns = self.now_ns
        self.setpoints.append((self.now_ns, setpoint))

    def _streaming(self, for_s: float = 0.0) -> bool:
        fresh = self.now_ns - self._last_setpoint_ns < 1_000_000_000
        since = self._streaming_since_ns
        return fresh and since is not None and self.now_ns - since >= for_s * 1e9

    def _obey(self, command: VehicleCommand) -> list[Sample]:
        self.received.append(command)
        result = self.answer(command)
        if result is None:
            return []
        if result == 0 and command.command == SET_MODE and not self._streaming(1.0):
            result = 2
        if (
            result == 0
            and command.command == ARM
            and not (self._streaming(1.0) and self.preflight)
        ):
            result = 2
        if result == 0:
            if command.command == ARM:
                self.armed = True
                self._landed_ns = self.now_ns
            else:
                self.mode = WANTED[command.command]
        return [CommandAck(self.now_ns, self.now_ns, command.command, result)]

    def _failsafes(self) -> None:
        if self.armed and self.mode == NavState.OFFBOARD and not self._streaming():
            self.mode, self.failsafe = NavState.RTL, True
        elif self.failsafe and self.mode == NavState.RTL and self._streaming():
            self.mode, self.failsafe = NavState.OFFBOARD, False

    def _move(self) -> None:
        dt = STEP_NS * 1e-9
        wanted = np.zeros(3)
        if self.armed and self.mode == NavState.OFFBOARD and self.setpoints:
            setpoint = self.setpoints[-1][1]
            wanted = 0.95 * (np.array(setpoint.position_ned_m) - self.position)
            wanted = wanted + np.nan_to_num(setpoint.velocity_ned_m_s)
        elif self.armed and self.mode == NavState.LAND:
            wanted[2] = 1.5 if self.position[2] < -10.0 else 0.7
        elif self.armed and self.mode == NavState.RTL:
            way = self.home - self.position
            level = np.hypot(way[0], way[1])
            wanted[:2] = way[:2] / max(level, 1e-9) * min(5.0, level)
            wanted[2] = 0.7 if level < 1.0 else 0.0
        speed = np.linalg.norm(wanted)
        wanted = wanted * min(1.0, 12.0 / max(speed, 1e-9))
        self.velocity = self.velocity + (wanted - self.velocity) * min(1.0, dt / 0.3)
        self.position = self.position + self.velocity * dt
        self.fastest = max(self.fastest, float(np.linalg.norm(self.velocity)))
        if self.position[2] >= 0.0:
            self.position[2], self.velocity = 0.0, np.zeros(3)
            self._landed_ns = self._landed_ns or self.now_ns
            sinking = self.mode in (NavState.LAND, NavState.RTL)
            if self.armed and sinking and self.now_ns - self._landed_ns > 2e9:
                self.armed, self.failsafe, self.mode = False, False, NavState.OFFBOARD
        elif self.position[2] < -0.2:
            self._landed_ns = None

    @property
    def landed(self) -> bool:
        """PX4's land detector: on the ground for a second, or not armed there."""
        on_ground = self._landed_ns is not None or self.position[2] >= 0.0
        return bool(on_ground)

    def _samples(self) -> list[Sample]:
        now, said = self.now_ns, (self.mode, self.armed, self.failsafe, self.landed)
        samples: list[Sample] = [self._local_position()]
        if said != self._said or self._step % 10 == 0:
            samples.append(
                VehicleStatus(
                    now,
                    now,
                    armed=self.armed,
                    nav_state=int(self.mode),
                    failsafe=self.failsafe,
                    vehicle_type=1,
                    is_vtol=False,
                    in_transition=False,
                    system_id=2,
                    preflight_checks_pass=self.preflight and self._streaming(),
                )
            )
            samples.append(LandDetected(now, now, self.landed, self.landed, self.landed, False))
        self._said = said
        return samples

    def _local_position(self) -> LocalPosition:
        return LocalPosition(
            self.now_ns,
            self.now_ns,
            position_ned_m=self.position.copy(),
            velocity_ned_m_s=self.velocity.copy(),
            heading_rad=0.3,
            xy_valid=True,
            z_valid=True,
            v_xy_valid=True,
            v_z_valid=True,
            origin=self.origin,
            eph_m=0.5,
            epv_m=0.5,
            evh_m_s=0.1,
            evv_m_s=0.1,
            dead_reckoning=False,
            xy_reset_counter=self._resets,
            z_reset_counter=self._resets,
            vxy_reset_counter=0,
            vz_reset_counter=0,
            heading_reset_counter=0,
            delta_xy_m=self._shift[:2],
            delta_z_m=float(self._shift[2]),
            delta_heading_rad=0.0,
        )
