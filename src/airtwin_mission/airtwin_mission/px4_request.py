# SPDX-License-Identifier: Apache-2.0
"""One command to PX4 until PX4's status shows that it took effect. Pure: no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from airtwin_core.types import CommandAck
from airtwin_mission.limits import Limits
from airtwin_mission.ports import NAN, VehicleCommand

NAV_RETURN, NAV_LAND, DO_SET_MODE, ARM_DISARM = 20, 21, 176, 400
"""VehicleCommand.VEHICLE_CMD_*"""
OFFBOARD = VehicleCommand(DO_SET_MODE, 1.0, 6.0, why="offboard mode")
ARM = VehicleCommand(ARM_DISARM, 1.0, 0.0, why="arm")
LAND = VehicleCommand(NAV_LAND, why="land")
RETURN = VehicleCommand(NAV_RETURN, NAN, why="return")

ACCEPTED, TEMPORARILY_REJECTED, DENIED, UNSUPPORTED, FAILED, IN_PROGRESS = range(6)
RESULTS = {
    TEMPORARILY_REJECTED: "temporarily rejected",
    DENIED: "denied",
    UNSUPPORTED: "unsupported",
    FAILED: "failed",
}


@dataclass(slots=True)
class Request:
    """Sends ``command`` again until it is settled, at most ``limits.tries`` times.

    An acknowledgement alone settles nothing: it may get lost, and "accepted" says only that PX4
    will try. What counts is ``vehicle_status``, which the owner looks at.
    """

    command: VehicleCommand
    limits: Limits
    tries: int = 0
    sent_ns: int = 0
    answer: int | None = None
    answers: int = 0

    def on_ack(self, ack: CommandAck) -> None:
        """Remember PX4's answer to the last try."""
        if ack.command == self.command.command and self.tries > 0:
            self.answer = ack.result
            self.answers += 1

    def due(self, now_ns: int) -> bool:
        """Return whether to send it (again) now; counts the try."""
        waited_s = (now_ns - self.sent_ns) * 1e-9
        if self.tries > 0 and waited_s < self.limits.ack_timeout_s:
            return False
        if self.tries >= self.limits.tries or self.answer == UNSUPPORTED:
            return False
        self.tries += 1
        self.sent_ns = now_ns
        self.answer = None
        return True

    def failure(self, now_ns: int) -> str:
        """Return why it will not take effect, empty while it may."""
        what = self.command.why
        if self.answer == UNSUPPORTED:
            return f"{what}: PX4 does not support command {self.command.command}"
        waited_s = (now_ns - self.sent_ns) * 1e-9
        if self.tries < self.limits.tries or waited_s < self.limits.ack_timeout_s:
            return ""
        if self.answer in RESULTS:
            return f"{what}: {RESULTS[self.answer]} by PX4 ({self.tries} tries)"
        if self.answers:
            return f"{what}: accepted by PX4, but nothing changed ({self.tries} tries)"
        return f"{what}: no answer from PX4 ({self.tries} tries)"
