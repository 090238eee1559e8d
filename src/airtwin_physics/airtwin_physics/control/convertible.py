# SPDX-License-Identifier: Apache-2.0
"""What aircraft that hover and fly on a wing have in common as they are commanded."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import virtual, wing, wing_path
from airtwin_physics.control.px4_params import Px4Params, Px4WingParams
from airtwin_physics.control.ticks import Ticks

HOVER, TO_WING, WING, TO_HOVER = 0.0, 1.0, 2.0, 3.0  # MODE
MODE, TIME, SINK, WANTED = range(4)  # of ``mode``; what follows is each aircraft's own


class Convertible(ABC):
    """An aircraft that hovers, goes over to the wing, flies legs and comes back to hover.

    ``x`` is the state of ``dynamics``; ``mode``, ``hover``, ``wing``, ``guide`` are those of the
    controllers. Same calls: same state, to the bit. It starts in hover, in the air.
    """

    hover_params: Px4Params
    params: Px4WingParams
    x: Array
    hover: Array
    mode: Array

    def _begin(self, position_ned_m: Array, yaw_rad: float, thrust: float) -> None:
        """Set the controllers up for a hover that needs this share of the thrust."""
        self.hover = law.new_control(self.hover_params)
        self.hover[law.C_HOVER] = self.hover[law.C_THRUST] = thrust
        self.hover[law.C_THRUST_DOWN] = -thrust
        self.wing = wing.new_control(self.params, -float(position_ned_m[2]), 0.0, 0.0)
        self.guide = np.zeros(wing_path.N_WING_GUIDE)
        self.legs = np.zeros((1, wing_path.N_WING_LEG))
        self.path = np.zeros(wing_path.N_WING_SETPOINT)
        self.setpoint = virtual.new_setpoint(self.hover_params)
        self.hold(position_ned_m, yaw_rad)
        self._ticks = Ticks()

    def hold(self, position_ned_m: Array, yaw_rad: float = np.nan) -> None:
        """Hover, if need be after a back transition, and hold ``position_ned_m`` (3,)."""
        self.mode[WANTED] = 0.0
        self.setpoint[law.SP_POS], self.setpoint[law.SP_YAW] = position_ned_m, yaw_rad

    def follow(self, legs: Array) -> None:
        """Go over to the wing, if it is not there yet, and fly along ``legs`` (k, 6) from here."""
        self.mode[WANTED] = 1.0
        self.legs = np.atleast_2d(np.asarray(legs, dtype=np.float64))
        self.guide[:] = 0.0
        self.guide[:2] = self.x[:2]
        yaw = frames.yaw_from_quat(self._level(self.x[6:10]))
        self.path[2], self.path[3] = np.cos(yaw), np.sin(yaw)

    def advance(self, duration_s: float, wind_ned_m_s: Array | None = None) -> None:
        """Fly ``duration_s``; time that does not fill a tick of 4 ms is kept for the next call."""
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        self._fly(wind, self._ticks.due(duration_s))

    @abstractmethod
    def _level(self, q: Array) -> Array:
        """Return the attitude (4,) that is level in hover for that of the body."""

    @abstractmethod
    def _fly(self, wind_ned_m_s: Array, ticks: int) -> None:
        """Let ticks pass."""
