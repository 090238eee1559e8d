# SPDX-License-Identifier: Apache-2.0
"""Futures of aircraft with wings, one after the other: the virtual aircraft in sampled air."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import convertible, sortie, track, vtol, wing
from airtwin_physics.control import multirotor as law
from airtwin_physics.control.px4_params import Px4WingParams
from airtwin_physics.control.vtol import VtolAircraft
from airtwin_physics.control.wing import Indices
from airtwin_physics.control.wing_aircraft import WingAircraft, pushing
from airtwin_physics.rollout import kernel, pack
from airtwin_physics.rollout import wing_kernel as kernels
from airtwin_physics.rollout.draw import Draws
from airtwin_physics.rollout.plan import Act, Plan

Flown = tuple[Array, Array, Array, Array, Array]


def hovers(aircraft: Aircraft) -> bool:
    """Return whether some rotors of an aircraft with wings lift it, whatever its name."""
    return len(pushing(dynamics.pack(aircraft))) < aircraft.rotor_count


def wing_legs(plan: Plan, p: Px4WingParams, *, loiters: bool) -> tuple[Array, Indices]:
    """Return legs (m, 6) of ``wing_path`` and the waypoint (m,) that each leads to.

    A hold is a circle of NAV_LOITER_RAD, flown clockwise; so is the end, if it ``loiters``.
    """
    rows, waypoints = [], []
    for k, point in enumerate(plan.waypoints):
        if point.act is not Act.FLY:
            continue
        speed = np.nan if point.speed_m_s is None else point.speed_m_s
        rows.append([*point.position_ned_m, speed, 0.0, 0.0])
        waypoints.append(k)
        last = k == len(plan.waypoints) - 1
        if point.hold_s > 0.0 or (last and loiters):
            hold = np.inf if last and loiters else point.hold_s
            rows.append([*point.position_ned_m, speed, p.nav_loiter_rad, hold])
            waypoints.append(k)
    return np.array(rows).reshape(-1, 6), np.array(waypoints, dtype=np.int64)


def fly(
    drawn: Draws,
    plan: Plan,
    aircraft: Aircraft,
    strength: float,
    charge_c: float,
    every: int,
    rows: int,
) -> Flown:
    """Return out (n, T, 11), lost (n,), touched (n,), lowest (n,), reached (n, k, 3).

    every: steps of 10 ms between two rows of output, an even number.

    Raises:
        ValueError: an odd interval, unknown PX4 parameters, nothing to fly on the wing, or an
            aircraft or a plan that the laws cannot fly: a fixed wing neither takes off nor lands.
    """
    if every % round(kernels.PIECE_S / kernel.STEP_S) != 0:
        raise ValueError(f"rollouts of wings are looked at every {kernels.PIECE_S} s at best")
    pieces = round(every * kernel.STEP_S / kernels.PIECE_S)
    n = drawn.starts.shape[0]
    out, reached = np.empty((n, rows, kernel.N_OUT)), np.full((n, len(plan.waypoints), 3), np.nan)
    lost, touched, lowest = np.empty((3, n))
    normals = np.zeros((kernel.looks((rows - 1) * every) + 1, 5))
    model = dynamics.pack(aircraft)
    if aircraft.ground.rest_pitch_rad > 1.0:
        raise ValueError(f"{aircraft.name}: there are no rollouts of tailsitters")
    one: _Wing | _QuadPlane
    one = _QuadPlane(aircraft, plan) if hovers(aircraft) else _Wing(aircraft, plan)
    for i in range(n):
        if drawn.gusts is not None:
            drawn.gusts.standard_normal(out=normals)
        one.begin(pack.varied(model, drawn.factors[i]), drawn.starts[i], drawn.winds[i], charge_c)
        blow = strength if drawn.gusts is not None else 0.0
        lost[i], touched[i], lowest[i] = one.fly(
            drawn.winds[i], blow, normals, pieces, out[i], reached[i]
        )
    return out, lost, touched, lowest, reached


class _Wing:
    """One fixed wing that is begun anew for each future."""

    def __init__(self, aircraft: Aircraft, plan: Plan) -> None:
        if any(point.act is not Act.FLY for point in plan.waypoints) or not plan.waypoints:
            raise ValueError(
                f"{aircraft.name}: a fixed wing flies waypoints, it does not take off or land"
            )
        self._plane = WingAircraft(aircraft)
        self._legs, self._waypoints = wing_legs(plan, self._plane.params, loiters=True)

    def begin(self, model: dynamics.Model, start: Array, wind: Array, charge_c: float) -> None:
        self._plane.model = model
        self._plane.take(start, wind, charge_c)
        self._plane.follow(self._legs)

    def fly(
        self,
        wind: Array,
        strength: float,
        normals: Array,
        pieces: int,
        out: Array,
        reached: Array,
    ) -> tuple[float, bool, float]:
        a = self._plane
        found: tuple[float, bool, float] = kernels.fly_wing(
            a.x, a.control, a.setpoint, a.guide, self._legs, self._waypoints, a.u, a.model,
            a.pushers, a.shares, a.params, wind, strength, normals, pieces, out, reached,
        )  # fmt: skip
        return found


class _QuadPlane:
    """One quad-plane that is begun anew for each future: hover or wing, as its airspeed is."""

    def __init__(self, aircraft: Aircraft, plan: Plan) -> None:
        self._plane = a = VtolAircraft(aircraft)
        self._legs, self._waypoints = wing_legs(plan, a.params, loiters=False)
        if len(self._legs) == 0:
            raise ValueError(f"{aircraft.name}: nothing to fly on the wing")
        rows = plan.legs(np.zeros(3), a.hover_params)
        rows[:, track.L_SPEED] = a.hover_params.mpc_xy_cruise
        takes_off = plan.waypoints[0].act is Act.TAKE_OFF
        self._first = rows[:1] if takes_off else np.zeros((0, track.N_LEG))
        self._last = rows[self._waypoints[-1] :].copy()
        self._last[:, track.L_YAW] = np.nan
        self._follower = np.zeros(track.N_GUIDE)
        self._standing = takes_off

    def begin(self, model: dynamics.Model, start: Array, wind: Array, charge_c: float) -> None:
        a = self._plane
        a.model = model
        yaw = frames.yaw_from_quat(start[6:10])
        a.start(start[:3], yaw)
        airspeed = float(np.linalg.norm(start[3:6] - wind))
        if self._standing:
            place = dynamics.at_rest(model, yaw_rad=yaw)
            a.x[2], a.x[6:10], a.x[dynamics.ROTOR :] = place[2], place[6:10], 0.0
            a.hover = law.new_control(a.hover_params)
        else:
            a.x[:13] = start
            a.hover[law.C_VEL_LAST], a.hover[law.C_RATE] = start[3:6], start[10:13]
        a.x[dynamics.CHARGE] = charge_c
        self._follower = track.new_guide(a.x[:3], np.zeros(3), yaw)
        if self._standing:
            sortie.begin(self._follower[track.G_FLIGHT], track.TAKE_OFF)
            return
        if airspeed > a.params.vt_arsp_trans:
            a.mode[convertible.MODE], a.mode[vtol.V_WEIGHT] = convertible.WING, 0.0
            a.x[dynamics.ROTOR + a.lifters] = 0.0
            height, climb = -float(start[2]), -float(start[5])
            a.wing = wing.new_control(a.params, height, climb, airspeed)
            a.mode[convertible.TIME] = vtol.BLEND_S
        a.follow(self._legs)

    def fly(
        self,
        wind: Array,
        strength: float,
        normals: Array,
        pieces: int,
        out: Array,
        reached: Array,
    ) -> tuple[float, bool, float]:
        a = self._plane
        found: tuple[float, bool, float] = kernels.fly_vtol(
            a.x, a.mode, a.hover, a.wing, a.setpoint, a.path, a.guide, self._follower, self._first,
            self._legs, self._waypoints, self._last, a.u, a.model, a.lifters, a.lift, a.pushers,
            a.shares, a.hover_params, a.params, wind, strength, normals, pieces, out, reached,
        )  # fmt: skip
        return found
