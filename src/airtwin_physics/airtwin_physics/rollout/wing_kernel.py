# SPDX-License-Identifier: Apache-2.0
"""Fly one aircraft with wings along a plan with gusts: the virtual one in pieces of 20 ms."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import (
    sortie,
    tailsitter,
    track,
    vtol,
    wing_aircraft,
    wing_path,
    wing_sortie,
)
from airtwin_physics.control.convertible import ARRIVED, ARRIVES, CAME, STAGE, TAKES_OFF, Rows
from airtwin_physics.control.ticks import TICK_S
from airtwin_physics.control.wing import Indices
from airtwin_physics.dynamics import Model
from airtwin_physics.dynamics.model import FOOT_MU, FOOT_ROLL, GROUND_DOWN
from airtwin_physics.gusts import gust
from airtwin_physics.rollout.kernel import GUST_S, LOST_RATE_RAD_S, LOST_SPEED_M_S, OUT_ENERGY

PIECE_S = 0.02  # [s] guidance's time, in which the wind is held
TICKS = 5  # of TICK_S in a piece
SUBSTEPS = 1  # of Runge-Kutta in a tick: in the air nothing is stiff
NEAR_M = 3.0  # from the ground there are two: its springs are
GUST_PIECES = 2  # pieces between two gusts: GUST_S

TAIL_SUBSTEPS = 2  # the virtual aircraft's


@numba.njit(cache=True)
def _blown(
    state: Array, normals: Array, piece: int, x: Array, steady: Array, strength: float, wind: Array
) -> None:
    """Renew ``wind`` (3,) [m/s NED]; ``state`` (5,) and ``normals`` (looks, 5) of ``gusts``."""
    if piece % GUST_PIECES != 0:
        return
    row = normals[piece // GUST_PIECES]
    north, east, down = gust(state, row, steady, x[3:6], -x[2], strength, GUST_S)
    wind[0], wind[1], wind[2] = steady[0] + north, steady[1] + east, steady[2] + down


@numba.njit(cache=True)
def _left_the_model(x: Array) -> bool:
    """Return whether this is no flight any more."""
    speed = x[3] ** 2 + x[4] ** 2 + x[5] ** 2
    rate = x[10] ** 2 + x[11] ** 2 + x[12] ** 2
    sound = speed < LOST_SPEED_M_S**2 and rate < LOST_RATE_RAD_S**2
    for value in x:
        sound = sound and abs(value) < 1e9
    return not sound


@numba.njit(cache=True)
def _write(out: Array, at: int, x: Array, energy: float) -> None:
    for column in range(OUT_ENERGY):  # copying as a whole would compile for two seconds more
        out[at, column] = x[column]
    out[at, OUT_ENERGY] = energy


@numba.njit(cache=True)
def _stay(out: Array, piece: int, every: int, x: Array, energy: float) -> None:
    """Fill the rows from ``piece`` on with the last one; with ``x`` if it ends where it began."""
    at = (piece + every - 1) // every
    if at == 0:
        _write(out, at, x, energy)
        at = 1
    for rest in range(at, out.shape[0]):
        for column in range(out.shape[1]):
            out[rest, column] = out[at - 1, column]


@numba.njit(cache=True)
def _note(reached: Array, leg: int, now_s: float, energy: float, x: Array) -> None:
    if leg < reached.shape[0] and reached[leg, 0] != reached[leg, 0]:
        reached[leg, 0], reached[leg, 1] = now_s, energy
        reached[leg, 2] = x[dynamics.CHARGE]


@numba.njit(cache=True)
def _scrapes(x: Array, model: Model) -> bool:
    """Return whether it touches the ground with something else than its wheels, or its feet."""
    if x[2] < -NEAR_M:
        return False
    q, feet = x[6:10], model.feet.shape[0]
    down_x, down_y = 2.0 * (q[1] * q[3] - q[0] * q[2]), 2.0 * (q[2] * q[3] + q[0] * q[1])
    down_z = 1.0 - 2.0 * (q[1] ** 2 + q[2] ** 2)
    rolls = np.any(model.feet[:, FOOT_ROLL] != model.body[FOOT_MU])
    for k in range(feet):
        foot = model.feet[k]
        # the last rows are the hubs of the rotors
        stands = k < feet - model.rotors.shape[0]
        if rolls:
            stands = foot[FOOT_ROLL] != model.body[FOOT_MU]
        low = x[2] + down_x * foot[0] + down_y * foot[1] + down_z * foot[2]
        if low > model.body[GROUND_DOWN] and not stands:
            return True
    return False


@numba.njit(cache=True)
def fly_wing(
    rows: wing_aircraft.Rows,
    craft: wing_aircraft.Craft,
    waypoints: Indices,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    reached: Array,
) -> tuple[float, bool, float]:
    """Fly as ``wing_aircraft.advance``; return when it was lost [s] or NaN, touched, lowest down.

    waypoints (m,): the plan's waypoint that each leg leads to, every: pieces between two rows of
    out (T, 11), reached (k, 3) as in ``kernel``.
    """
    state, wind, energy, lowest = np.zeros(5), steady.copy(), 0.0, -np.inf
    x, last = rows.x, waypoints.shape[0] - 1
    for piece in range((out.shape[0] - 1) * every + 1):
        phase = rows.flight[wing_sortie.PHASE]
        touched = (x[2] > 0.0 and phase == wing_sortie.AIR) or _scrapes(x, craft.model)
        over = phase == wing_sortie.OFF
        lowest = max(lowest, x[2])
        if touched or over or _left_the_model(x):
            _stay(out, piece, every, x, energy)
            return (np.nan if over else piece * PIECE_S), touched, lowest
        if piece % every == 0:
            _write(out, piece // every, x, energy)
        _blown(state, normals, piece, x, steady, strength, wind)
        charge = x[dynamics.CHARGE]
        wing_aircraft.advance(rows, craft, wind, TICK_S, 2 if x[2] > -NEAR_M else SUBSTEPS, TICKS)
        energy += dynamics.battery(x, craft.model)[0] * (x[dynamics.CHARGE] - charge)
        for passed in range(int(rows.guide[wing_path.WG_LEG])):
            _note(reached, waypoints[passed], (piece + 1) * PIECE_S, energy, x)
        if rows.flight[wing_sortie.PHASE] == wing_sortie.LANDED:
            _note(reached, waypoints[last], (piece + 1) * PIECE_S, energy, x)
    return np.nan, False, lowest


@numba.njit(cache=True)
def _before(rows: Rows, energy: float, now_s: float, waypoints: Indices, reached: Array) -> None:
    """Note the waypoints that a flight from pad to pad has passed."""
    stage, x = rows.voyage[STAGE], rows.x
    if stage == TAKES_OFF:
        return
    if rows.first.shape[0] > 0:
        _note(reached, 0, now_s, energy, x)
    for passed in range(int(rows.guide[wing_path.WG_LEG])):
        _note(reached, waypoints[passed], now_s, energy, x)
    for k in range(int(rows.voyage[CAME])):
        _note(reached, waypoints[waypoints.shape[0] - 1] + k, now_s, energy, x)


@numba.njit(cache=True)
def _ends(rows: Rows, model: Model) -> tuple[bool, bool]:
    """Return whether it came to the ground where it should not, and whether the flight is over."""
    stage, flight = rows.voyage[STAGE], rows.follower[track.G_FLIGHT]
    leg = int(rows.follower[track.G_LEG])
    lands = rows.voyage[ARRIVED] > 0.0 and rows.last[leg, track.L_KIND] == track.LAND
    touched = rows.x[2] > 0.0 and stage != TAKES_OFF and not lands
    touched = touched or _scrapes(rows.x, model)
    return touched, stage == ARRIVES and flight[sortie.PHASE] == sortie.OFF


@numba.njit(cache=True)
def _look(
    rows: Rows,
    model: Model,
    waypoints: Indices,
    piece: int,
    every: int,
    energy: float,
    out: Array,
    reached: Array,
) -> tuple[bool, float, bool]:
    """Write what is due of a flight from pad to pad before a piece of it.

    Returns whether it ends here, when it was lost [s] or NaN, and whether it touched.
    """
    now_s = piece * PIECE_S
    _before(rows, energy, now_s, waypoints, reached)
    touched, over = _ends(rows, model)
    if touched or over or _left_the_model(rows.x):
        _stay(out, piece, every, rows.x, energy)
        return True, (np.nan if over else now_s), touched
    if piece % every == 0:
        _write(out, piece // every, rows.x, energy)
    return False, np.nan, False


@numba.njit(cache=True)
def fly_vtol(
    rows: Rows,
    craft: vtol.Craft,
    waypoints: Indices,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    reached: Array,
) -> tuple[float, bool, float]:
    """Fly a quad-plane from pad to pad; see ``fly_wing``."""
    state, wind, energy, lowest = np.zeros(5), steady.copy(), 0.0, -np.inf
    x, model = rows.x, craft.wing.model
    for piece in range((out.shape[0] - 1) * every + 1):
        lowest = max(lowest, x[2])
        ends, lost_s, touched = _look(rows, model, waypoints, piece, every, energy, out, reached)
        if ends:
            return lost_s, touched, lowest
        _blown(state, normals, piece, x, steady, strength, wind)
        charge = x[dynamics.CHARGE]
        vtol.advance(rows, craft, wind, TICK_S, 2 if x[2] > -NEAR_M else SUBSTEPS, TICKS)
        energy += dynamics.battery(x, model)[0] * (x[dynamics.CHARGE] - charge)
    return np.nan, False, lowest


@numba.njit(cache=True)
def fly_tailsitter(
    rows: Rows,
    craft: tailsitter.Craft,
    waypoints: Indices,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    reached: Array,
) -> tuple[float, bool, float]:
    """Fly a tailsitter from pad to pad; see ``fly_wing``."""
    state, wind, energy, lowest = np.zeros(5), steady.copy(), 0.0, -np.inf
    x, model = rows.x, craft.wing.model
    for piece in range((out.shape[0] - 1) * every + 1):
        lowest = max(lowest, x[2])
        ends, lost_s, touched = _look(rows, model, waypoints, piece, every, energy, out, reached)
        if ends:
            return lost_s, touched, lowest
        _blown(state, normals, piece, x, steady, strength, wind)
        charge = x[dynamics.CHARGE]
        tailsitter.advance(rows, craft, wind, TICK_S, TAIL_SUBSTEPS, TICKS)
        energy += dynamics.battery(x, model)[0] * (x[dynamics.CHARGE] - charge)
    return np.nan, False, lowest
