# SPDX-License-Identifier: Apache-2.0
"""PX4's modes: which ones AirTwin asks for, which ones only a person chooses."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airtwin_core.types import NavState
from airtwin_mission import px4_request
from airtwin_mission.ports import VehicleCommand

STICK_MODES = frozenset(
    (NavState.MANUAL, NavState.ALTCTL, NavState.POSCTL, NavState.ACRO, NavState.STABILIZED, 6, 8)
)
"""Modes flown by hand (6 position slow, 8 altitude cruise): a failsafe never chooses one."""
DOWN_MODES = (NavState.LAND, NavState.DESCEND, NavState.TERMINATION)


class Intent(enum.Enum):
    """What the adapter wants PX4 to do; each has the modes that PX4 may then be in."""

    NOTHING = enum.auto()
    OFFBOARD = enum.auto()
    LAND = enum.auto()
    RETURN = enum.auto()


@dataclass(frozen=True, slots=True)
class _Own:
    """How an intent is asked for and recognised."""

    command: VehicleCommand
    nav_state: int
    modes: frozenset[int]


OWN = {
    Intent.OFFBOARD: _Own(
        px4_request.OFFBOARD, NavState.OFFBOARD, frozenset((NavState.OFFBOARD,))
    ),
    Intent.LAND: _Own(px4_request.LAND, NavState.LAND, frozenset((NavState.LAND,))),
    # Return ends in a landing; releases differ in whether the mode says so.
    Intent.RETURN: _Own(
        px4_request.RETURN, NavState.RTL, frozenset((NavState.RTL, NavState.LAND))
    ),
}


def mode_name(nav_state: int) -> str:
    """Return PX4's name of a navigation state as a pilot knows it."""
    try:
        return NavState(nav_state).name.lower()
    except ValueError:
        return f"number {nav_state}"
