# SPDX-License-Identifier: Apache-2.0
"""A PX4 multirotor behind the ``Vehicle`` protocol. Pure: samples in, commands out as values.

It flies in offboard mode by a setpoint that moves (see ``setpoint``); landing and return are
PX4's own modes. What PX4's status shows is what happened, an acknowledgement alone is not.

Authority: once in command, any mode that was not asked for and is not PX4's failsafe was chosen
by a person. The adapter then steps back for good and sends nothing any more. A failsafe is
PX4's decision; the setpoints go on, and if PX4 gives offboard back, so does the flight.
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.types import (
    Array,
    CommandAck,
    LandDetected,
    LocalPosition,
    NavState,
    Origin,
    Sample,
    VehicleStatus,
)
from airtwin_mission import estimate_reset, px4_request, setpoint
from airtwin_mission.limits import Limits
from airtwin_mission.ports import (
    DONE,
    NAN3,
    Outcome,
    Output,
    Progress,
    Setpoint,
    View,
    failed,
    running,
)
from airtwin_mission.px4_modes import DOWN_MODES, OWN, STICK_MODES, Intent, mode_name
from airtwin_mission.px4_request import Request

AT_REST_M_S = 0.7
STAND_M = 0.5
STREAM_GAP_S = 0.5
"""After a longer gap in the stream the setpoint starts anew from where the aircraft is."""


class Px4Vehicle:
    """See ``ports.Vehicle``. ``stream`` must be called at 20 Hz: it is what PX4 hears.

    ``arming`` False: it never starts the motors, but waits for a person to do so.
    """

    def __init__(self, limits: Limits, *, arming: bool = True) -> None:
        self._limits = limits
        self._arming = arming
        self._now_ns = 0
        self._position: LocalPosition | None = None
        self._status: VehicleStatus | None = None
        self._land: LandDetected | None = None
        self._origin: Origin | None = None
        self._home_ned_m: Array | None = None
        self._stand_ned_m: Array | None = None
        self._intent = Intent.NOTHING
        self._modes: frozenset[int] = frozenset()
        self._mode_request: Request | None = None
        self._arm_request: Request | None = None
        self._in_command = False
        self._confirmed = False
        self._was_armed = False
        self._stopped = False
        self._pilot = ""
        self._released = ""
        self._failsafe = ""
        self._preflight_since_ns: int | None = None
        self._stream_since_ns: int | None = None
        self._streamed_ns = 0
        self._point: setpoint.Moving | None = None
        self._target_ned_m: Array | None = None
        self._holding = False
        self._speed_m_s = limits.cruise_m_s

    # --- what PX4 says ---------------------------------------------------------------------

    def on(self, sample: Sample) -> None:
        """Take one sample of the vehicle's topics."""
        self._now_ns = max(self._now_ns, sample.received_ns)
        if isinstance(sample, LocalPosition):
            self._on_position(sample)
        elif isinstance(sample, VehicleStatus):
            self._on_status(sample)
        elif isinstance(sample, LandDetected):
            self._land = sample
        elif isinstance(sample, CommandAck):
            for request in (self._mode_request, self._arm_request):
                if request is not None:
                    request.on_ack(sample)

    def at(self, now_ns: int) -> None:
        """Say what time it is, in the clock of ``received_ns``."""
        self._now_ns = max(self._now_ns, now_ns)

    def _on_position(self, new: LocalPosition) -> None:
        old, self._position = self._position, new
        self._origin = new.origin or self._origin
        if self._home_ned_m is None and new.xy_valid and new.z_valid:
            self._stand(new.position_ned_m)
        if old is None or self._point is None:
            return
        # PX4 moved its estimate, not the aircraft: move the setpoint along, else it lurches.
        shift = estimate_reset.shift_m(old, new)
        if shift is None:  # begin again from where the aircraft says it is
            self._point = None
            self._target_ned_m = None
            self._holding = False
        elif shift.any():
            point = self._point
            self._point = setpoint.Moving(
                point.position_ned_m + shift, point.velocity_ned_m_s, point.yaw_ned_rad
            )
            if self._holding and self._target_ned_m is not None:
                self._target_ned_m = self._target_ned_m + shift

    def _stand(self, position_ned_m: Array) -> None:
        """Keep the place on the ground; the estimate's noise there is not a new place."""
        stand = self._stand_ned_m
        if stand is None or np.linalg.norm(position_ned_m - stand) > STAND_M:
            self._stand_ned_m = position_ned_m

    def _on_status(self, status: VehicleStatus) -> None:
        self._status = status
        if not self._in_command or self._pilot or self._released:
            return
        own = OWN[self._intent]
        if status.nav_state == own.nav_state and not self._confirmed:
            self._confirmed = True
            self._mode_request = None
            self._modes = own.modes
        if self._was_armed and not status.armed:
            self._on_disarmed(status)
            return
        self._was_armed = self._was_armed or status.armed
        by_hand = status.nav_state in STICK_MODES
        if status.failsafe and not by_hand:
            self._mode_request = self._arm_request = None
            self._failsafe = f"PX4 failsafe: {mode_name(status.nav_state)}"
            self._point = None
            return
        if status.nav_state not in self._modes:
            self._step_back(f"pilot took over: mode {mode_name(status.nav_state)}")
            return
        self._failsafe = ""

    def _on_disarmed(self, status: VehicleStatus) -> None:
        """The motors stopped: the end of a landing, or a person's doing."""
        landing = self._intent in (Intent.LAND, Intent.RETURN) or bool(self._failsafe)
        on_ground = self._land is not None and self._land.landed
        if not landing and not on_ground:
            self._step_back("motors stopped by somebody else")
        self._was_armed = False
        self._in_command = False
        self._stopped = True

    def _step_back(self, why: str) -> None:
        self._pilot = why
        self.release(why)

    # --- what the mission asks ---------------------------------------------------------------

    def view(self) -> View:
        """Return what is known now."""
        position = self._fresh_position()
        heard = self._heard()
        return View(
            position_ned_m=None if position is None else position.position_ned_m,
            velocity_ned_m_s=None if position is None else position.velocity_ned_m_s,
            origin=self._origin,
            home_ned_m=self._home_ned_m if self._home_ned_m is not None else self._stand_ned_m,
            armed=self._status.armed if self._status is not None and heard else None,
            landed=None if self._land is None else self._land.landed,
            pilot=self._pilot,
            failsafe=self._failsafe,
            descending=self._status is not None and self._status.nav_state in DOWN_MODES,
        )

    def ready(self) -> Outcome:
        """Say whether a flight can begin; never takes over one that somebody else flies."""
        status, position = self._status, self._fresh_position()
        if status is None or not self._heard():
            return running("nothing heard from the aircraft")
        if self._land is None:
            return running("land detector not heard yet")
        if status.armed and not self._land.landed:
            return running("in the air already, flown by somebody else: not taking over")
        waits_for_pilot = not self._arming and not status.armed
        if status.nav_state in STICK_MODES and not waits_for_pilot:
            return running(f"in a pilot's mode, {mode_name(status.nav_state)}: not taking over")
        if status.armed and self._arming:
            return running("armed already by somebody else: not taking over")
        if position is None:
            return running("PX4 has no valid position yet")
        return DONE

    def arm(self) -> Outcome:
        """Stream setpoints, switch to offboard, start the motors."""
        if self._released:
            return failed(self._released)
        if self._stopped:
            return failed("the motors stopped before the take-off")
        if not self._in_command:  # a person may have begun to fly since the mission was ready
            ready = self.ready()
            if ready.progress is not Progress.DONE:
                self.stay()
                return ready
        status = self._status
        if status is None or not self._heard():
            return running("nothing heard from the aircraft")
        if self._intent is not Intent.OFFBOARD:
            self._intent = Intent.OFFBOARD
            self._modes = frozenset((*OWN[Intent.OFFBOARD].modes, status.nav_state))
        if self._streamed_s() < self._limits.lead_in_s:
            return running("setpoints before offboard mode")
        if not self._confirmed:
            return self._take_command(status)
        if not status.armed:
            return self._start_motors(status)
        self._arm_request = None
        if self._home_ned_m is None:
            position = self._fresh_position()
            if position is None:
                return running("PX4 has no valid position")
            self._home_ned_m = position.position_ned_m
        return DONE

    def stay(self) -> None:
        """Ask for nothing that is not done yet; before it is in command, send nothing either."""
        self._mode_request = self._arm_request = None
        self._preflight_since_ns = None
        if not self._in_command:
            self._intent = Intent.NOTHING
            self._stream_since_ns = None

    def _take_command(self, status: VehicleStatus) -> Outcome:
        if status.nav_state == NavState.OFFBOARD:
            self._mode_request = None
            self._in_command = self._confirmed = True
            self._modes = OWN[Intent.OFFBOARD].modes
            return running()
        return self._ask_mode()

    def _ask_mode(self) -> Outcome:
        if self._mode_request is None:
            self._mode_request = Request(OWN[self._intent].command, self._limits)
        why = self._mode_request.failure(self._now_ns)
        return failed(why) if why else running(f"asking PX4: {self._mode_request.command.why}")

    def _start_motors(self, status: VehicleStatus) -> Outcome:
        if not self._arming:
            return running("waiting for the pilot to arm")
        if not status.preflight_checks_pass and self._arm_request is None:
            if self._preflight_since_ns is None:
                self._preflight_since_ns = self._now_ns
            waited_s = (self._now_ns - self._preflight_since_ns) * 1e-9
            if waited_s < self._limits.preflight_wait_s:
                return running("PX4's preflight checks do not pass yet")
            return failed(f"PX4's preflight checks did not pass within {waited_s:.0f} s")
        if self._arm_request is None:
            self._arm_request = Request(px4_request.ARM, self._limits)
        why = self._arm_request.failure(self._now_ns)
        return failed(why) if why else running("asking PX4: arm")

    def goto(
        self, position_ned_m: Array, *, speed_m_s: float, within_m: float, at_rest: bool
    ) -> Outcome:
        """Move the setpoint there; done when the aircraft is."""
        blocked = self._not_flying()
        if blocked is not None:
            return blocked
        self._want(Intent.OFFBOARD)
        self._target_ned_m = np.array(position_ned_m, dtype=np.float64)
        self._speed_m_s = speed_m_s
        self._holding = False
        position = self._fresh_position()
        if not self._confirmed:
            return self._ask_mode()
        if position is None:
            return running("PX4 has no valid position")
        miss = self._target_ned_m - position.position_ned_m
        near = math.hypot(miss[0], miss[1]) <= within_m
        level = abs(miss[2]) <= self._limits.acceptance_height_m
        return DONE if near and level and (_stands(position) or not at_rest) else running()

    def hold(self) -> Outcome:
        """Brake and stay."""
        blocked = self._not_flying()
        if blocked is not None:
            return blocked
        self._want(Intent.OFFBOARD)
        if not self._holding and self._point is not None:
            self._target_ned_m = setpoint.stopping_place(self._point, self._limits)
            self._holding = True
        if not self._confirmed:
            return self._ask_mode()
        position = self._fresh_position()
        if position is None:
            return running("PX4 has no valid position")
        return DONE if _stands(position) else running()

    def land(self) -> Outcome:
        """PX4's land mode."""
        return self._end_by(Intent.LAND)

    def return_home(self) -> Outcome:
        """PX4's return mode."""
        return self._end_by(Intent.RETURN)

    def release(self, reason: str) -> None:
        """Send nothing from now on, for good."""
        self._released = self._released or reason
        self._mode_request = self._arm_request = None

    def _end_by(self, intent: Intent) -> Outcome:
        on_ground = self._land is not None and self._land.landed
        if self._status is not None and not self._status.armed and on_ground:
            return DONE
        blocked = self._not_flying()
        if blocked is not None:
            return blocked
        self._want(intent)
        return running() if self._confirmed else self._ask_mode()

    def _not_flying(self) -> Outcome | None:
        """Return why no request can be followed now, None if one can."""
        if self._released:
            return failed(self._released)
        if self._failsafe:
            return running(self._failsafe)
        if not self._in_command:
            return failed("the motors stopped")
        return None

    def _want(self, intent: Intent) -> None:
        """Change what PX4 is to do; until it does, the mode it is in remains legitimate."""
        if intent is self._intent:
            return
        self._modes = self._modes | OWN[intent].modes
        self._intent = intent
        self._confirmed = (
            self._status is not None and self._status.nav_state == OWN[intent].nav_state
        )
        self._mode_request = None
        if self._point is not None:  # a new target follows, or PX4's own mode: until then, brake
            self._target_ned_m = setpoint.stopping_place(self._point, self._limits)
            self._holding = True

    # --- what PX4 hears ----------------------------------------------------------------------

    def stream(self, now_ns: int) -> tuple[Output, ...]:
        """Return what to send now. Without a fresh position nothing: PX4's failsafe takes over."""
        self.at(now_ns)
        if self._released or self._intent is Intent.NOTHING:
            return ()
        outputs: list[Output] = []
        position = self._fresh_position()
        if (self._intent is Intent.OFFBOARD or not self._confirmed) and position is not None:
            outputs.append(self._next_setpoint(position))
        requests = () if self._failsafe else (self._mode_request, self._arm_request)
        outputs += [r.command for r in requests if r is not None and r.due(now_ns)]
        return tuple(outputs)

    def _next_setpoint(self, position: LocalPosition) -> Setpoint:
        now_ns = self._now_ns
        gap_s = (now_ns - self._streamed_ns) * 1e-9
        if self._stream_since_ns is None or gap_s > STREAM_GAP_S:
            self._stream_since_ns = now_ns
            self._point = None
        self._streamed_ns = now_ns
        flying = self._in_command and self._was_armed and not self._failsafe
        if not flying or self._point is None:
            self._point = setpoint.Moving(
                position.position_ned_m, np.zeros(3), position.heading_rad
            )
            x, y, z = position.position_ned_m
            return Setpoint((float(x), float(y), float(z)), NAN3, position.heading_rad)
        if self._target_ned_m is not None:
            self._point = setpoint.advance(
                self._point,
                self._target_ned_m,
                position.position_ned_m,
                speed_m_s=self._speed_m_s,
                dt_s=min(max(gap_s, 1e-3), STREAM_GAP_S),
                limits=self._limits,
                acceleration_m_s2=self._limits.brake_m_s2
                if self._holding
                else self._limits.acceleration_m_s2,
            )
        x, y, z = self._point.position_ned_m
        vx, vy, vz = self._point.velocity_ned_m_s
        return Setpoint(
            (float(x), float(y), float(z)),
            (float(vx), float(vy), float(vz)),
            self._point.yaw_ned_rad,
        )

    # --- freshness ---------------------------------------------------------------------------

    def _fresh_position(self) -> LocalPosition | None:
        position = self._position
        if position is None or not (position.xy_valid and position.z_valid):
            return None
        age_s = (self._now_ns - position.received_ns) * 1e-9
        return position if age_s <= self._limits.stale_s else None

    def _heard(self) -> bool:
        if self._status is None:
            return False
        return (self._now_ns - self._status.received_ns) * 1e-9 <= self._limits.silent_s

    def _streamed_s(self) -> float:
        if self._stream_since_ns is None:
            return 0.0
        return (self._streamed_ns - self._stream_since_ns) * 1e-9


def _stands(position: LocalPosition) -> bool:
    return float(np.linalg.norm(position.velocity_ned_m_s)) <= AT_REST_M_S
