# SPDX-License-Identifier: Apache-2.0
"""The one gate between a mission and an aircraft: mode, arming, what may be sent, how often. Pure.

Only what is listed here can reach ``fmu/in``, whatever the mission or the tree is made to ask.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from airtwin_core.types import Array
from airtwin_mission.limits import SPEED_MAX_M_S
from airtwin_mission.ports import Output, Setpoint, VehicleCommand
from airtwin_mission.px4_request import ARM_DISARM, DO_SET_MODE, NAV_LAND, NAV_RETURN

WINDOW_S = 1.0
ROUNDING = 1.001
POSITION_MAX_M = 1.0e6


@dataclass(frozen=True, slots=True)
class GateLimits:
    """``mode``: model, shadow or twin; rates are per second.

    ``reach_m``: a setpoint further than this from the aircraft is not one that it follows.
    """

    mode: str
    arming: bool
    commands_per_s: int = 10
    setpoints_per_s: int = 50
    reach_m: float = 22.0


class Gate:
    """``refusal`` says why an output must not be sent, empty if it may."""

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits
        self._commands_ns: deque[int] = deque()
        self._setpoints_ns: deque[int] = deque()

    def refusal(self, output: Output, now_ns: int, aircraft_ned_m: Array | None) -> str:
        """Judge one output; one that may be sent counts towards the rate.

        ``aircraft_ned_m``: (3,) [m], where it is now; None: not known, and no setpoint passes.
        """
        if self._limits.mode != "twin":
            return f"mode {self._limits.mode} commands nothing"
        if isinstance(output, VehicleCommand):
            return self._command(output) or self._rate(
                self._commands_ns, self._limits.commands_per_s, now_ns
            )
        return self._setpoint(output, aircraft_ned_m) or self._rate(
            self._setpoints_ns, self._limits.setpoints_per_s, now_ns
        )

    def _command(self, command: VehicleCommand) -> str:
        if command.command in (NAV_LAND, NAV_RETURN):
            return ""
        if command.command == DO_SET_MODE and (command.param1, command.param2) == (1.0, 6.0):
            return ""
        # param2 21196 would force arming past PX4's own checks, or stop the motors in flight.
        if command.command == ARM_DISARM and (command.param1, command.param2) == (1.0, 0.0):
            return "" if self._limits.arming else "arming is not allowed (parameter arming)"
        return f"command {command.command} is not one that a mission may send"

    def _setpoint(self, setpoint: Setpoint, aircraft_ned_m: Array | None) -> str:
        if not all(math.isfinite(x) for x in setpoint.position_ned_m):
            return "setpoint without a position"
        if not all(abs(x) <= POSITION_MAX_M for x in setpoint.position_ned_m):
            return "setpoint is not on this continent"
        # NaN leaves an axis to PX4 and must not hide the speed of the others.
        speed = math.hypot(*(v for v in setpoint.velocity_ned_m_s if not math.isnan(v)))
        if not speed <= SPEED_MAX_M_S * ROUNDING:
            return "setpoint is faster than any multirotor"
        if not (math.isnan(setpoint.yaw_ned_rad) or abs(setpoint.yaw_ned_rad) <= math.tau):
            return "setpoint's heading is no angle"
        if aircraft_ned_m is None:
            return "setpoint while nobody knows where the aircraft is"
        way_m = math.dist(setpoint.position_ned_m, aircraft_ned_m)
        if not way_m <= self._limits.reach_m:
            return f"setpoint is more than {self._limits.reach_m:.0f} m from the aircraft"
        return ""

    @staticmethod
    def _rate(sent_ns: deque[int], limit: int, now_ns: int) -> str:
        if sent_ns and now_ns < sent_ns[-1]:  # the clock was set back: old times mean nothing
            sent_ns.clear()
        while sent_ns and now_ns - sent_ns[0] > WINDOW_S * 1e9:
            sent_ns.popleft()
        if len(sent_ns) >= limit:
            return f"more than {limit} in a second"
        sent_ns.append(now_ns)
        return ""
