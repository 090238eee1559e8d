# SPDX-License-Identifier: Apache-2.0
"""Arming, modes, failsafes and the answers to commands, as PX4 v1.18's Commander has them.

Modes: hold 4, return 5, descend 12, offboard 14, take-off 17, land 18. Any other is refused, since
the stand-in has no pilot and no mission of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from airtwin_physics.control.px4_params import Px4Params
from airtwin_sim.tasks import DESCEND, HOLD, LAND, OFFBOARD, RETURN, TAKEOFF

CMD_RETURN, CMD_LAND, CMD_TAKEOFF = 20, 21, 22
CMD_SET_MODE, CMD_CHANGE_SPEED, CMD_REPOSITION, CMD_ARM = 176, 178, 192, 400
CMD_REQUEST_MESSAGE = 512
ACCEPTED, TEMPORARILY_REJECTED, DENIED, UNSUPPORTED = 0, 1, 2, 3
FORCE = 21196  # the magic number of a forced disarm

CUSTOM_MODE_ENABLED = 1
MAIN_AUTO, MAIN_OFFBOARD = 4, 6
AUTO_SUBMODES = {2: TAKEOFF, 3: HOLD, 5: RETURN, 6: LAND}

REASON_EXTERNAL, REASON_LANDING, REASON_INACTION = 4, 6, 7
WARNING_NONE, WARNING_LOW, WARNING_CRITICAL, WARNING_EMERGENCY = 0, 1, 2, 3
STATUS_LAG_S = 0.18  # from the ack of an arming to the status that shows it, as recorded


class Command(NamedTuple):
    """PX4's VehicleCommand without its addressing; ``params`` are param1 to param7."""

    command: int
    params: tuple[float, float, float, float, float, float, float]
    from_external: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """What the Commander must know to decide."""

    position_valid: bool
    stream_alive: bool
    battery_remaining: float
    landed: bool
    maybe_landed: bool
    takeoff_done: bool


class Commander:
    """State of one aircraft. ``handle`` answers a command, ``update`` lets 20 ms pass."""

    def __init__(self, params: Px4Params) -> None:
        self._params = params
        self.armed = False
        self.intention = HOLD
        self.nav_state = HOLD
        self.failsafe = False
        self.battery_warning = WARNING_NONE
        self.armed_us = self.takeoff_us = self.nav_state_us = 0
        self.arming_reason = self.disarming_reason = 0
        self.status_visible_us = 0
        self._after_disarming = HOLD
        self._override = WARNING_NONE  # warnings up to this one the user has answered by a mode
        self._landed_since_us: int | None = None
        self._has_flown = False

    def can_arm(self, health: Health) -> bool:
        """Return PX4's pre-flight verdict for the present mode."""
        return (
            health.position_valid
            and self.nav_state in (HOLD, OFFBOARD, TAKEOFF)
            and (self.nav_state != OFFBOARD or health.stream_alive)
            and self.battery_warning < WARNING_CRITICAL
        )

    def handle(self, now_us: int, order: Command, health: Health) -> int | None:
        """Act on a command and return the result of its ack; None: PX4 never answers."""
        p = order.params
        if order.command == CMD_ARM:
            return self._arm_disarm(now_us, p[0], p[1], health)
        if order.command == CMD_SET_MODE:
            return self._change(now_us, _mode_of(p), health)
        if order.command == CMD_TAKEOFF:
            return self._change(now_us, TAKEOFF, health)
        if order.command == CMD_LAND:
            return self._change(now_us, LAND, health)
        if order.command == CMD_RETURN:
            return self._change(now_us, RETURN, health)
        if order.command == CMD_REPOSITION:
            if np.isfinite(p[1]) and int(p[1]) & 1:
                return self._change(now_us, HOLD, health)
            return ACCEPTED if self.nav_state == HOLD else DENIED
        if order.command == CMD_CHANGE_SPEED:
            return ACCEPTED
        return None if order.command == CMD_REQUEST_MESSAGE else UNSUPPORTED

    def _arm_disarm(self, now_us: int, action: float, magic: float, health: Health) -> int:
        if not np.isfinite(action) or round(action) not in (0, 1):
            return DENIED
        if round(action) == 1:
            if not self.armed and not self.can_arm(health):
                return TEMPORARILY_REJECTED
            if not self.armed:
                self.armed, self.armed_us, self.arming_reason = True, now_us, REASON_EXTERNAL
                self._has_flown = False
                self._override = self.battery_warning
                self.status_visible_us = now_us + int(STATUS_LAG_S * 1e6)
            return ACCEPTED
        forced = np.isfinite(magic) and round(magic) == FORCE
        if self.armed and not forced and not (health.landed or health.maybe_landed):
            return TEMPORARILY_REJECTED
        if self.armed:
            self._disarm(now_us, REASON_EXTERNAL)
        return ACCEPTED

    def _disarm(self, now_us: int, reason: int) -> None:
        self.armed, self.armed_us, self.takeoff_us = False, 0, 0
        self.disarming_reason = reason
        self.intention = self._after_disarming
        self.failsafe = False
        self._set_nav_state(now_us, self.intention)

    def _change(self, now_us: int, mode: int | None, health: Health) -> int:
        """A user's mode change: always while disarmed, else only if the mode can run."""
        if mode is None:
            return TEMPORARILY_REJECTED
        # land is always allowed: where it can't hold its place it descends
        if self.armed and mode != LAND and not self._can_run(mode, health):
            return TEMPORARILY_REJECTED
        self.intention = mode
        self._override = self.battery_warning
        if mode in (HOLD, OFFBOARD):
            self._after_disarming = mode
        self._resolve(now_us, health)
        return ACCEPTED

    def _can_run(self, mode: int, health: Health) -> bool:
        if mode == OFFBOARD and not health.stream_alive:
            return False
        return health.position_valid

    def update(self, now_us: int, health: Health) -> None:
        """Let 20 ms pass."""
        p = self._params
        left = health.battery_remaining
        for level, threshold in (
            (WARNING_LOW, p.bat_low_thr),
            (WARNING_CRITICAL, p.bat_crit_thr),
            (WARNING_EMERGENCY, p.bat_emergen_thr),
        ):
            if left < threshold:
                self.battery_warning = max(self.battery_warning, level)
        if self.armed and not health.landed and not self._has_flown:
            self._has_flown = True
            self.takeoff_us = now_us
        if self.armed and self.intention == TAKEOFF and health.takeoff_done:
            self.intention = HOLD  # COM_TAKEOFF_ACT 0
        self._resolve(now_us, health)
        self._disarm_on_ground(now_us, health)

    def _disarm_on_ground(self, now_us: int, health: Health) -> None:
        if not (self.armed and health.landed):
            self._landed_since_us = None
            return
        since = now_us if self._landed_since_us is None else self._landed_since_us
        self._landed_since_us = since
        p = self._params
        wait_s = p.com_disarm_land if self._has_flown else p.com_disarm_prflt
        if wait_s > 0.0 and now_us - since >= wait_s * 1e6:
            self._disarm(now_us, REASON_LANDING if self._has_flown else REASON_INACTION)

    def _resolve(self, now_us: int, health: Health) -> None:
        """Choose the mode to fly: what the user wants, unless a failsafe knows better."""
        mode, failsafe = self.intention, False
        if self.armed:
            if mode == OFFBOARD and not health.stream_alive:
                mode, failsafe = RETURN, True
            if self.battery_warning > self._override and self._params.com_low_bat_act >= 3.0:
                if self.battery_warning == WARNING_EMERGENCY:
                    mode, failsafe = LAND, True
                elif self.battery_warning == WARNING_CRITICAL and mode != LAND:
                    mode, failsafe = RETURN, True
            if not health.position_valid:
                mode, failsafe = DESCEND, True
        self.failsafe = failsafe
        self._set_nav_state(now_us, mode)

    def _set_nav_state(self, now_us: int, mode: int) -> None:
        if mode != self.nav_state:
            self.nav_state, self.nav_state_us = mode, now_us


def _mode_of(params: tuple[float, ...]) -> int | None:
    """Return the mode of DO_SET_MODE's param1 (base), param2 (main), param3 (sub)."""
    base, main, sub = (int(v) if np.isfinite(v) else 0 for v in params[:3])
    if not base & CUSTOM_MODE_ENABLED:
        return None
    if main == MAIN_OFFBOARD:
        return OFFBOARD
    return AUTO_SUBMODES.get(sub) if main == MAIN_AUTO else None
