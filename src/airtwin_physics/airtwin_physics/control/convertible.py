# SPDX-License-Identifier: Apache-2.0
"""What aircraft that hover and fly on a wing have in common as they are commanded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numba
import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import sortie, track, virtual, wing, wing_path
from airtwin_physics.control.px4_params import Px4Params, Px4WingParams
from airtwin_physics.control.ticks import Ticks

HOVER, TO_WING, WING, TO_HOVER = 0.0, 1.0, 2.0, 3.0  # MODE
MODE, TIME, SINK, WANTED = range(4)  # of ``mode``; what follows is each aircraft's own

# a row of voyage: stage, whether the last hover has begun, how many of its goals were reached,
# ticks until the stage is looked at again
STAGE, ARRIVED, CAME, WAIT = range(4)
N_VOYAGE = 4
LONG_S = 1e3  # on the wing for so long that no transition echoes
FREE, TAKES_OFF, ON_WING, ARRIVES, GAVE_UP = 0.0, 1.0, 2.0, 3.0, 4.0  # STAGE


class Rows(NamedTuple):
    """What changes in flight: x (16 + n + m,) of ``dynamics``, u (n + m,) the inputs.

    mode (7 or 12,): of the aircraft's kind; hover (26,) and wing (32,): the multirotor's and the
    wing's controllers; setpoint (16,) rules in hover; path (7,), guide (4,), legs (k, 6) of
    ``wing_path`` on the wing. A flight from pad to pad: voyage (4,), follower (15,), first (0 or
    1, 7) and last (b, 7) of ``track``, flown in hover before and after ``legs``.
    """

    mode: Array
    x: Array
    hover: Array
    wing: Array
    setpoint: Array
    path: Array
    guide: Array
    legs: Array
    u: Array
    voyage: Array
    follower: Array
    first: Array
    last: Array


@numba.njit(cache=True)
def voyage(rows: Rows, yaw: float, p: Px4Params, w: Px4WingParams, dt_s: float) -> None:
    """Go on with a flight from pad to pad, ``dt_s`` after the last time; yaw [rad] in hover."""
    state, x, mode = rows.voyage, rows.x, rows.mode
    hovers = mode[MODE] == HOVER
    if state[STAGE] == TAKES_OFF:
        sortie.guide(rows.follower, rows.setpoint, x, rows.hover, rows.first, p, dt_s)
        phase = rows.follower[track.G_FLIGHT][sortie.PHASE]
        if phase == sortie.AIR and abs(rows.first[0, 2] - x[2]) <= p.nav_mc_alt_rad:
            state[STAGE], mode[WANTED] = ON_WING, 1.0
            rows.guide[:], rows.guide[0], rows.guide[1] = 0.0, x[0], x[1]
            rows.path[2], rows.path[3] = np.cos(yaw), np.sin(yaw)
    elif state[STAGE] == ON_WING:
        end = rows.legs.shape[0] - 1
        goal = rows.legs[end]
        stopping = (x[3] ** 2 + x[4] ** 2) / (2.0 * max(w.vt_b_dec_mss, 0.1))  # MissionBlock
        if hovers and mode[WANTED] == 0.0:  # the transition took too long: it stays
            state[STAGE] = GAVE_UP
            rows.setpoint[law.SP_WANTED] = np.nan
            rows.setpoint[law.SP_POS] = x[:3]
        elif (hovers or int(rows.guide[wing_path.WG_LEG]) == end) and (
            np.sqrt((goal[0] - x[0]) ** 2 + (goal[1] - x[1]) ** 2) < stopping
        ):
            state[STAGE], mode[WANTED] = ARRIVES, 0.0
    elif state[STAGE] == ARRIVES and hovers:
        follower = rows.follower
        if state[ARRIVED] == 0.0:
            follower[:] = 0.0
            follower[:6] = x[:6]
            follower[track.G_YAW] = yaw
            sortie.begin(follower[track.G_FLIGHT], track.FLY)
            state[ARRIVED] = 1.0
        sortie.guide(follower, rows.setpoint, x, rows.hover, rows.last, p, dt_s)
        if follower[track.G_FLIGHT][sortie.PHASE] >= sortie.LANDED:
            state[CAME] = 2.0
        elif follower[track.G_LEG] > 0.0 or follower[track.G_WAITED] > 0.0:
            state[CAME] = 1.0


class Convertible(ABC):
    """An aircraft that hovers, goes over to the wing, flies legs and comes back to hover.

    ``x`` is the state of ``dynamics``; ``mode``, ``hover``, ``wing``, ``guide`` are those of the
    controllers. Same calls: same state, to the bit. It starts in hover, in the air.
    """

    hover_params: Px4Params
    params: Px4WingParams
    model: dynamics.Model
    x: Array
    u: Array
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
        self.voyage, self.follower = np.zeros(N_VOYAGE), np.zeros(track.N_GUIDE)
        self.first = self.last = np.zeros((0, track.N_LEG))
        self.hold(position_ned_m, yaw_rad)
        self._ticks = Ticks()

    def hold(self, position_ned_m: Array, yaw_rad: float = np.nan) -> None:
        """Hover, if need be after a back transition, and hold ``position_ned_m`` (3,)."""
        self.mode[WANTED] = self.voyage[STAGE] = 0.0
        self.setpoint[law.SP_POS], self.setpoint[law.SP_YAW] = position_ned_m, yaw_rad

    def follow(self, legs: Array) -> None:
        """Go over to the wing, if it is not there yet, and fly along ``legs`` (k, 6) from here."""
        self.mode[WANTED], self.voyage[:] = 1.0, 0.0
        self.legs = np.atleast_2d(np.asarray(legs, dtype=np.float64))
        self.guide[:] = 0.0
        self.guide[:2] = self.x[:2]
        yaw = frames.yaw_from_quat(self._level(self.x[6:10]))
        self.path[2], self.path[3] = np.cos(yaw), np.sin(yaw)

    def advance(self, duration_s: float, wind_ned_m_s: Array | None = None) -> None:
        """Fly ``duration_s``; time that does not fill a tick of 4 ms is kept for the next call."""
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        self._fly(wind, self._ticks.due(duration_s))

    def stand(self, position_ned_m: Array, yaw_rad: float = 0.0) -> None:
        """Stand at ``position_ned_m`` (its down does not count), motors off, nothing learnt."""
        self.start(position_ned_m, yaw_rad)
        standing = dynamics.at_rest(self.model, yaw_rad=yaw_rad)
        standing[:2] = position_ned_m[:2]
        self.x[:] = standing
        self.hover = law.new_control(self.hover_params)

    def fly(self, first: Array, legs: Array, last: Array) -> None:
        """Fly from pad to pad: ``first`` in hover, ``legs`` on the wing, ``last`` in hover.

        first (0 or 1, 7): a take-off of ``track``, from standing; legs (k, 6) of ``wing_path``;
        last (b, 7): its first goal is the last of ``legs``, where it leaves the wing.

        Raises:
            ValueError: nothing to fly on the wing or to arrive at.
        """
        if len(legs) == 0 or len(last) == 0 or len(first) > 1:
            raise ValueError(
                f"no flight from pad to pad: {len(first)} legs to take off (expected 0 or 1), "
                f"{len(legs)} on the wing and {len(last)} to arrive (expected some)"
            )
        yaw = frames.yaw_from_quat(self._level(self.x[6:10]))
        self.first, self.last = np.ascontiguousarray(first), np.ascontiguousarray(last)
        self.follower = track.new_guide(self.x[:3], np.zeros(3), yaw)
        self.follow(legs)
        self.voyage[STAGE] = ON_WING
        if len(first) > 0:
            self.voyage[STAGE], self.mode[WANTED] = TAKES_OFF, 0.0
            sortie.begin(self.follower[track.G_FLIGHT], track.TAKE_OFF)

    def cruise(self, airspeed_m_s: float) -> None:
        """Be on the wing where it is, the motors that lift it standing."""
        height, climb = -float(self.x[2]), -float(self.x[5])
        self.mode[MODE], self.mode[TIME] = WING, LONG_S
        self.wing = wing.new_control(self.params, height, climb, airspeed_m_s)

    def rows(self) -> Rows:
        """Return what changes in flight; the arrays are this aircraft's own."""
        return Rows(
            self.mode, self.x, self.hover, self.wing, self.setpoint, self.path, self.guide,
            self.legs, self.u, self.voyage, self.follower, self.first, self.last,
        )  # fmt: skip

    @abstractmethod
    def start(self, position_ned_m: Array, yaw_rad: float = 0.0) -> None:
        """Begin in hover over ``position_ned_m`` (3,)."""

    @abstractmethod
    def _level(self, q: Array) -> Array:
        """Return the attitude (4,) that is level in hover for that of the body."""

    @abstractmethod
    def _fly(self, wind_ned_m_s: Array, ticks: int) -> None:
        """Let ticks pass."""
