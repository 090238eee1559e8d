# SPDX-License-Identifier: Apache-2.0
"""Futures of aircraft with wings, one after the other: the virtual aircraft in sampled air."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import track
from airtwin_physics.control.px4_params import Px4WingParams
from airtwin_physics.control.tailsitter import TailsitterAircraft
from airtwin_physics.control.vtol import VtolAircraft
from airtwin_physics.control.wing import Indices
from airtwin_physics.control.wing_aircraft import WingAircraft, pushing
from airtwin_physics.rollout import kernel, pack
from airtwin_physics.rollout import wing_kernel as kernels
from airtwin_physics.rollout.draw import Draws
from airtwin_physics.rollout.plan import Act, Plan

Flown = tuple[Array, Array, Array, Array, Array]


def hovers(aircraft: Aircraft) -> bool:
    """Return whether an aircraft with wings stands on its tail, or some of its rotors lift it."""
    return (
        stands_on_its_tail(aircraft)
        or len(pushing(dynamics.pack(aircraft))) < aircraft.rotor_count
    )


def stands_on_its_tail(aircraft: Aircraft) -> bool:
    """Return whether the nose of an aircraft at rest points up."""
    return aircraft.ground.rest_pitch_rad > 1.0


def wing_legs(plan: Plan, p: Px4WingParams, *, wing_only: bool) -> tuple[Array, Indices]:
    """Return legs (m, 6) of ``wing_path`` and the waypoint (m,) that each leads to.

    A hold is a circle of NAV_LOITER_RAD, flown clockwise. ``wing_only``: take-off and landing are
    legs too, and an end in the air is a circle; else they are flown in hover.
    """
    rows, waypoints = [], []
    for k, point in enumerate(plan.waypoints):
        flies = point.act is Act.FLY
        if not (flies or wing_only):
            continue
        speed = np.nan if point.speed_m_s is None else point.speed_m_s
        rows.append([*point.position_ned_m, speed, 0.0, 0.0])
        waypoints.append(k)
        stays = wing_only and k == len(plan.waypoints) - 1 and point.act is not Act.LAND
        if (flies and point.hold_s > 0.0) or stays:
            hold = np.inf if stays else point.hold_s
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
            aircraft or a plan that the laws cannot fly.
    """
    if every % round(kernels.PIECE_S / kernel.STEP_S) != 0:
        raise ValueError(
            f"an interval of {every * kernel.STEP_S:g} s: rollouts of wings are looked at every "
            f"{kernels.PIECE_S:g} s, or a number of that"
        )
    pieces = round(every * kernel.STEP_S / kernels.PIECE_S)
    n = drawn.starts.shape[0]
    out, reached = np.empty((n, rows, kernel.N_OUT)), np.full((n, len(plan.waypoints), 3), np.nan)
    lost, touched, lowest = np.empty((3, n))
    normals = np.zeros((kernel.looks((rows - 1) * every) + 1, 5))
    model = dynamics.pack(aircraft)
    one: _Wing | _Convertible
    one = _Convertible(aircraft, plan) if hovers(aircraft) else _Wing(aircraft, plan)
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
        self._plane = WingAircraft(aircraft)
        acts = [point.act for point in plan.waypoints]
        self._takes_off, self._lands = Act.TAKE_OFF in acts[:1], Act.LAND in acts[-1:]
        self._legs, self._waypoints = wing_legs(plan, self._plane.params, wing_only=True)
        if len(self._legs) < 1 + self._takes_off + self._lands:
            raise ValueError(
                f"{aircraft.name}: nothing to fly on the wing, the plan needs a waypoint beside "
                "take-off and landing"
            )

    def begin(self, model: dynamics.Model, start: Array, wind: Array, charge_c: float) -> None:
        self._plane.model = model
        if self._takes_off:
            self._plane.stand(start[:3], frames.yaw_from_quat(start[6:10]), charge_c)
        else:
            self._plane.take(start, wind, charge_c)
        self._plane.follow(self._legs, takes_off=self._takes_off, lands=self._lands)

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
            a.rows(), a.craft(), self._waypoints, wind, strength, normals, pieces, out, reached
        )
        return found


class _Convertible:
    """One quad-plane or tailsitter begun anew for each future, in hover or on the wing."""

    def __init__(self, aircraft: Aircraft, plan: Plan) -> None:
        self._plane: VtolAircraft | TailsitterAircraft
        upright = stands_on_its_tail(aircraft)
        self._plane = a = TailsitterAircraft(aircraft) if upright else VtolAircraft(aircraft)
        self._legs, self._waypoints = wing_legs(plan, a.params, wing_only=False)
        if len(self._legs) == 0:
            raise ValueError(
                f"{aircraft.name}: nothing to fly on the wing, the plan needs a waypoint beside "
                "take-off and landing"
            )
        rows = plan.legs(np.zeros(3), a.hover_params)
        rows[:, track.L_SPEED] = a.hover_params.mpc_xy_cruise
        self._standing = plan.waypoints[0].act is Act.TAKE_OFF
        self._first = rows[:1] if self._standing else np.zeros((0, track.N_LEG))
        self._last = rows[self._waypoints[-1] :].copy()
        self._last[:, track.L_YAW] = np.nan

    def begin(self, model: dynamics.Model, start: Array, wind: Array, charge_c: float) -> None:
        a = self._plane
        a.model = model
        yaw = frames.yaw_from_quat(start[6:10])
        if self._standing:
            a.stand(start[:3], yaw)
        else:
            a.start(start[:3], yaw)
            a.x[:13] = start
            a.hover[law.C_VEL_LAST], a.hover[law.C_RATE] = start[3:6], start[10:13]
        a.x[dynamics.CHARGE] = charge_c
        airspeed = float(np.linalg.norm(start[3:6] - wind))
        if not self._standing and airspeed > a.params.vt_arsp_trans:
            a.cruise(airspeed)
        a.fly(self._first, self._legs, self._last)

    def fly(
        self,
        wind: Array,
        strength: float,
        normals: Array,
        pieces: int,
        out: Array,
        reached: Array,
    ) -> tuple[float, bool, float]:
        a, rest = self._plane, (wind, strength, normals, pieces, out, reached)
        found: tuple[float, bool, float]
        if isinstance(a, VtolAircraft):
            found = kernels.fly_vtol(a.rows(), a.craft(), self._waypoints, *rest)
        else:
            found = kernels.fly_tailsitter(a.rows(), a.craft(), self._waypoints, *rest)
        return found
