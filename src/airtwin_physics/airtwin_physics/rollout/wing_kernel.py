# SPDX-License-Identifier: Apache-2.0
"""Fly one wing or quad-plane along a plan with gusts: the virtual aircraft in pieces of 20 ms."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import convertible, sortie, track, vtol, wing_aircraft, wing_path
from airtwin_physics.control import multirotor as law
from airtwin_physics.control.px4_params import Px4Params, Px4WingParams
from airtwin_physics.control.ticks import TICK_S
from airtwin_physics.control.wing import Indices
from airtwin_physics.dynamics import Model
from airtwin_physics.gusts import gust
from airtwin_physics.rollout.kernel import GUST_S, LOST_RATE_RAD_S, LOST_SPEED_M_S, OUT_ENERGY

PIECE_S = 0.02  # [s] guidance's time, in which the wind is held
TICKS = 5  # of TICK_S in a piece
SUBSTEPS = 1  # of Runge-Kutta in a tick: in the air nothing is stiff
NEAR_M = 3.0  # from the ground there are two: its springs are
GUST_PIECES = 2  # pieces between two gusts: GUST_S

TAKES_OFF, WING, ARRIVES, GAVE_UP = 0.0, 1.0, 2.0, 3.0  # stages of a quad-plane's flight


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
def _stay(out: Array, at: int, x: Array, energy: float) -> None:
    """Fill the rows from ``at`` on with the last one, which is ``x`` if it ends where it began."""
    if at == 0:
        _write(out, 0, x, energy)
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
def fly_wing(
    x: Array,
    control: Array,
    setpoint: Array,
    guide: Array,
    legs: Array,
    waypoints: Indices,
    u: Array,
    model: Model,
    pushers: Indices,
    shares: Array,
    p: Px4WingParams,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    reached: Array,
) -> tuple[float, bool, float]:
    """Fly as ``wing_aircraft.advance``; return when it was lost [s] or NaN, touched, lowest down.

    legs (m, 6) of ``wing_path``, waypoints (m,) the plan's waypoint that each leg leads to, every:
    pieces between two rows of out (T, 11), reached (k, 3) as in ``kernel``.
    """
    state, wind, energy, lowest = np.zeros(5), steady.copy(), 0.0, -np.inf
    row = 0
    for piece in range((out.shape[0] - 1) * every + 1):
        touched = x[2] > 0.0
        lowest = max(lowest, x[2])
        if touched or _left_the_model(x):
            _stay(out, row, x, energy)
            return piece * PIECE_S, touched, lowest
        if piece % every == 0:
            _write(out, row, x, energy)
            row += 1
        _blown(state, normals, piece, x, steady, strength, wind)
        charge = x[dynamics.CHARGE]
        wing_aircraft.advance(
            x, control, setpoint, guide, legs, u, model, pushers, shares, p, wind,
            TICK_S, SUBSTEPS, TICKS,
        )  # fmt: skip
        energy += dynamics.battery(x, model)[0] * (x[dynamics.CHARGE] - charge)
        for passed in range(int(guide[wing_path.WG_LEG])):
            _note(reached, waypoints[passed], (piece + 1) * PIECE_S, energy, x)
    return np.nan, False, lowest


@numba.njit(cache=True)
def _stopping_m(x: Array, w: Px4WingParams) -> float:
    """Return from how far PX4 begins the back transition to a place (MissionBlock)."""
    return float((x[3] ** 2 + x[4] ** 2) / (2.0 * max(w.vt_b_dec_mss, 0.1)))


@numba.njit(cache=True)
def _heading(x: Array) -> float:
    return float(np.arctan2(2 * (x[6] * x[9] + x[7] * x[8]), 1 - 2 * (x[8] ** 2 + x[9] ** 2)))


@numba.njit(cache=True)
def _take_off(
    x: Array,
    mode: Array,
    hover: Array,
    setpoint: Array,
    path: Array,
    guide: Array,
    follower: Array,
    first: Array,
    p: Px4Params,
) -> bool:
    """Fly the take-off ``first`` (1, 7); at its height go over to the wing and return true."""
    sortie.guide(follower, setpoint, x, hover, first, p, PIECE_S)
    phase = follower[track.G_FLIGHT][sortie.PHASE]
    if phase != sortie.AIR or abs(first[0, 2] - x[2]) > p.nav_mc_alt_rad:
        return False
    mode[convertible.WANTED] = 1.0
    guide[:], guide[0], guide[1] = 0.0, x[0], x[1]
    path[2], path[3] = np.cos(_heading(x)), np.sin(_heading(x))
    return True


@numba.njit(cache=True)
def _leave_wing(x: Array, mode: Array, setpoint: Array, goal: Array, w: Px4WingParams) -> float:
    """Return the stage after the wing's: begun where it can still stop before ``goal``."""
    dn, de = goal[0] - x[0], goal[1] - x[1]
    if mode[convertible.MODE] == convertible.HOVER and mode[convertible.WANTED] == 0.0:
        setpoint[law.SP_WANTED] = np.nan  # the transition took too long: it stays
        setpoint[law.SP_POS] = x[:3]
        return GAVE_UP
    if np.sqrt(dn * dn + de * de) < _stopping_m(x, w):
        mode[convertible.WANTED] = 0.0
        return ARRIVES
    return WING


@numba.njit(cache=True)
def _arrive(
    x: Array,
    hover: Array,
    setpoint: Array,
    follower: Array,
    last: Array,
    arrived: bool,
    p: Px4Params,
) -> int:
    """Fly ``last`` (b, 7) in hover, from here if not ``arrived``; return how many it reached."""
    if not arrived:
        follower[:], follower[:3], follower[3:6] = 0.0, x[:3], x[3:6]
        follower[track.G_YAW] = _heading(x)
        sortie.begin(follower[track.G_FLIGHT], track.FLY)
    sortie.guide(follower, setpoint, x, hover, last, p, PIECE_S)
    if follower[track.G_FLIGHT][sortie.PHASE] >= sortie.LANDED:
        return 2
    return 1 if follower[track.G_LEG] > 0.0 or follower[track.G_WAITED] > 0.0 else 0


@numba.njit(cache=True)
def fly_vtol(
    x: Array,
    mode: Array,
    hover: Array,
    row: Array,
    setpoint: Array,
    path: Array,
    guide: Array,
    follower: Array,
    first: Array,
    legs: Array,
    waypoints: Indices,
    last: Array,
    u: Array,
    model: Model,
    lifters: Indices,
    lift: Array,
    pushers: Indices,
    shares: Array,
    p: Px4Params,
    w: Px4WingParams,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    reached: Array,
) -> tuple[float, bool, float]:
    """Fly a quad-plane: ``first`` in hover, ``legs`` on the wing, ``last`` in hover.

    first (0 or 1, 7), last (b, 7) of ``track``, legs (m, 6) of ``wing_path``; follower (15,) of
    ``track``; the first goal of ``last`` is the last of the wing. See ``fly_wing``.
    """
    state, wind, energy, lowest = np.zeros(5), steady.copy(), 0.0, -np.inf
    at, stage, end = 0, TAKES_OFF if first.shape[0] > 0 else WING, legs.shape[0] - 1
    arrived, flight = False, follower[track.G_FLIGHT]
    for piece in range((out.shape[0] - 1) * every + 1):
        lands = arrived and last[int(follower[track.G_LEG]), track.L_KIND] == track.LAND
        touched = x[2] > 0.0 and stage != TAKES_OFF and not lands
        over = stage == ARRIVES and flight[sortie.PHASE] == sortie.OFF
        lowest = max(lowest, x[2])
        if touched or over or _left_the_model(x):
            _stay(out, at, x, energy)
            return (np.nan if over else piece * PIECE_S), touched, lowest
        if piece % every == 0:
            _write(out, at, x, energy)
            at += 1
        now_s, hovers = piece * PIECE_S, mode[convertible.MODE] == convertible.HOVER
        if stage == TAKES_OFF:
            if _take_off(x, mode, hover, setpoint, path, guide, follower, first, p):
                stage = WING
                _note(reached, 0, now_s, energy, x)
        elif stage == WING:
            for passed in range(int(guide[wing_path.WG_LEG])):
                _note(reached, waypoints[passed], now_s, energy, x)
            if int(guide[wing_path.WG_LEG]) == end or hovers:
                stage = _leave_wing(x, mode, setpoint, legs[end], w)
        elif stage == ARRIVES and hovers:
            came = _arrive(x, hover, setpoint, follower, last, arrived, p)
            arrived = True
            for k in range(came):
                _note(reached, waypoints[end] + k, now_s, energy, x)
        _blown(state, normals, piece, x, steady, strength, wind)
        charge = x[dynamics.CHARGE]
        vtol.advance(
            mode, x, hover, row, setpoint, path, guide, legs, u, model, lifters, lift, pushers,
            shares, p, w, wind, TICK_S, 2 if x[2] > -NEAR_M else SUBSTEPS, TICKS,
        )  # fmt: skip
        energy += dynamics.battery(x, model)[0] * (x[dynamics.CHARGE] - charge)
    return np.nan, False, lowest
