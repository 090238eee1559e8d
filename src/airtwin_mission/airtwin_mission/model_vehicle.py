# SPDX-License-Identifier: Apache-2.0
"""A point that flies as the mission asks: the aircraft of mode ``model``, where none is linked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airtwin_core.types import Array, Origin, Sample
from airtwin_mission import setpoint
from airtwin_mission.limits import Limits
from airtwin_mission.ports import DONE, Outcome, View, running
from airtwin_mission.route import LAND_M_S


class ModelVehicle:
    """Follows its own setpoint exactly; lands at PX4's landing speed. No wind, no dynamics."""

    def __init__(self, limits: Limits, origin: Origin | None) -> None:
        self._limits = limits
        self._now_ns: int | None = None
        self._dt_s = 0.0
        self._point = setpoint.Moving(np.zeros(3), np.zeros(3), 0.0)
        self._view = View(origin=origin, home_ned_m=np.zeros(3), armed=False, landed=True)

    def on(self, sample: Sample) -> None:
        """Hear nothing."""

    def at(self, now_ns: int) -> None:
        """Let time pass; movement happens in the requests."""
        self._dt_s = 0.0 if self._now_ns is None else (now_ns - self._now_ns) * 1e-9
        self._now_ns = now_ns

    def view(self) -> View:
        """Return what is known now: everything."""
        return replace(
            self._view,
            position_ned_m=self._point.position_ned_m,
            velocity_ned_m_s=self._point.velocity_ned_m_s,
        )

    def ready(self) -> Outcome:
        """Always ready."""
        return DONE

    def arm(self) -> Outcome:
        """Arm at once."""
        self._view = replace(self._view, armed=True)
        return DONE

    def stay(self) -> None:
        """Nothing is asked for: it is armed at once."""

    def goto(
        self, position_ned_m: Array, *, speed_m_s: float, within_m: float, at_rest: bool
    ) -> Outcome:
        """Move there."""
        self._view = replace(self._view, landed=False)
        self._move(position_ned_m, speed_m_s)
        miss = float(np.linalg.norm(position_ned_m - self._point.position_ned_m))
        return DONE if miss <= within_m else running()

    def hold(self) -> Outcome:
        """Brake and stay."""
        self._move(setpoint.stopping_place(self._point, self._limits), self._limits.cruise_m_s)
        return DONE

    def land(self) -> Outcome:
        """Sink to the ground."""
        x, y, z = self._point.position_ned_m
        self._move(np.array([x, y, 0.0]), LAND_M_S)
        if z < -0.1:
            return running()
        self._view = replace(self._view, armed=False, landed=True)
        return DONE

    def return_home(self) -> Outcome:
        """Fly home at this height, then land."""
        x, y, z = self._point.position_ned_m
        if np.hypot(x, y) < self._limits.acceptance_m:
            return self.land()
        self._move(np.array([0.0, 0.0, z]), self._limits.cruise_m_s)
        return running()

    def release(self, reason: str) -> None:
        """Nothing to let go of."""

    def _move(self, target_ned_m: Array, speed_m_s: float) -> None:
        if self._dt_s <= 0.0:
            return
        self._point = setpoint.advance(
            self._point,
            target_ned_m,
            self._point.position_ned_m,
            speed_m_s=speed_m_s,
            dt_s=self._dt_s,
            limits=self._limits,
            acceleration_m_s2=self._limits.brake_m_s2,
        )
