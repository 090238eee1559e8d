# SPDX-License-Identifier: Apache-2.0
"""What the mission asks of an aircraft (``Vehicle``), and what it may send to one, as values."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Protocol

from airtwin_core.types import Array, Origin, Sample


class Progress(enum.Enum):
    """How a request stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a request; ``reason`` says what it waits for or why it failed."""

    progress: Progress
    reason: str = ""


DONE = Outcome(Progress.DONE)


def running(reason: str = "") -> Outcome:
    """Return "under way"."""
    return Outcome(Progress.RUNNING, reason)


def failed(reason: str) -> Outcome:
    """Return "will not happen"."""
    return Outcome(Progress.FAILED, reason)


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the aircraft now; None where nothing fresh is known.

    ``home_ned_m``: the ground where it took off, (3,) [m]. ``pilot``: who took over, for good;
    ``failsafe``: what the autopilot does on its own account; both empty if nobody and nothing.
    ``descending``: that failsafe goes down where it is.
    """

    position_ned_m: Array | None = None
    velocity_ned_m_s: Array | None = None
    origin: Origin | None = None
    home_ned_m: Array | None = None
    armed: bool | None = None
    landed: bool | None = None
    pilot: str = ""
    failsafe: str = ""
    descending: bool = False


class Vehicle(Protocol):
    """An aircraft that can be asked. Each request is repeated every tick until it is done.

    A request replaces the one before. None blocks; none acts at once: what has to be sent is
    sent by the adapter's own stream.
    """

    def on(self, sample: Sample) -> None:
        """Take one sample of the vehicle's topics."""

    def at(self, now_ns: int) -> None:
        """Say what time it is, in the clock of ``received_ns``."""

    def view(self) -> View:
        """Return what is known now."""

    def ready(self) -> Outcome:
        """Say whether a flight can begin."""

    def arm(self) -> Outcome:
        """Take command and start the motors."""

    def stay(self) -> None:
        """Stop asking for command and motors, until ``arm`` is called again."""

    def goto(
        self, position_ned_m: Array, *, speed_m_s: float, within_m: float, at_rest: bool
    ) -> Outcome:
        """Fly straight to (3,) [m] NED around the vehicle's origin; also how it takes off.

        Done once the horizontal distance is at most ``within_m``, and if ``at_rest`` the aircraft
        has stopped; it goes on to the place itself.
        """

    def hold(self) -> Outcome:
        """Stop and stay; done once it stands still."""

    def land(self) -> Outcome:
        """Land here; done when on the ground with the motors off."""

    def return_home(self) -> Outcome:
        """Return and land as the autopilot does it; done when the motors are off."""

    def release(self, reason: str) -> None:
        """Send nothing from now on, for good."""


NAN = math.nan
NAN3 = (NAN, NAN, NAN)


@dataclass(frozen=True, slots=True)
class VehicleCommand:
    """A MAVLink command for PX4; NaN: parameter not used. ``why`` is for the audit log."""

    command: int
    param1: float = NAN
    param2: float = NAN
    param3: float = NAN
    param4: float = NAN
    param5: float = NAN
    param6: float = NAN
    param7: float = NAN
    why: str = ""


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Where to be and how fast, NED; NaN: not controlled. The heading [rad] is from north."""

    position_ned_m: tuple[float, float, float] = NAN3
    velocity_ned_m_s: tuple[float, float, float] = NAN3
    yaw_ned_rad: float = NAN


Output = VehicleCommand | Setpoint
