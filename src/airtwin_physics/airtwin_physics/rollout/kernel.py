# SPDX-License-Identifier: Apache-2.0
"""Fly one block of lanes along a plan: the stages step after step, and what is rare in between.

What cannot be vectorised (which leg a lane is on, gusts, the battery's curve, who is lost) is done
lane by lane, seldom.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from airtwin_core.types import Array
from airtwin_physics.battery import model as battery
from airtwin_physics.control import sortie, track
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics.model import AMBIENT_C
from airtwin_physics.gusts import gust
from airtwin_physics.rollout import cascade, lanes, stages
from airtwin_physics.rollout.lanes import L

IntArray = npt.NDArray[np.int64]

STEP_S = 0.01
SUBSTEPS = 1  # of the rate loop and the rigid body in a step
GUIDE_STEPS = 2  # steps between two renewals of the track: ``track.GUIDE_S``
SLOW_STEPS = 4  # steps between two gusts, looks at the battery and at who is lost
GUST_S = SLOW_STEPS * STEP_S

# columns of what is returned at each interval
OUT_POS, OUT_VEL, OUT_QUAT, OUT_ENERGY = slice(0, 3), slice(3, 6), slice(6, 10), 10
N_OUT = 11

# beyond these an aircraft of this kind does not fly any more
LOST_SPEED_M_S, LOST_RATE_RAD_S = 100.0, 60.0


def looks(steps: int) -> int:
    """Return how many gusts there are in a flight of ``steps``, its end included."""
    return steps // SLOW_STEPS + 1


@numba.njit(cache=True)
def _begin_leg(s: Array, lane: int, leg: Array, p: Px4Params) -> None:
    s[lanes.GOAL + lane], s[lanes.GOAL + lanes.E + lane] = leg[0], leg[1]
    s[lanes.GOAL + lanes.D + lane] = leg[2]
    s[lanes.SPEED + lane] = leg[track.L_SPEED]
    yaw, kind = leg[track.L_YAW], leg[track.L_KIND]
    s[lanes.LEG_YAW + lane] = yaw if yaw == yaw else s[lanes.YAW + lane]
    s[lanes.HOLDS_HEIGHT + lane] = 0.0 if kind == track.LAND else 1.0
    s[lanes.STANDS + lane] = 0.0 if kind == track.FLY else 1.0
    s[lanes.UP_WANTED + lane] = sortie.climb_wanted(kind, p)
    s[lanes.DOWN_WANTED + lane] = p.mpc_z_v_auto_dn


@numba.njit(cache=True)
def _advance_flights(
    s: Array, legs: Array, at: IntArray, flights: Array, ground_m: float, p: Px4Params, dt_s: float
) -> None:
    """Let ``sortie`` say what each lane's phase allows; ``flights`` (L, 3)."""
    for lane in range(L):
        flight, kind = flights[lane], legs[at[lane], track.L_KIND]
        before = flight[sortie.PHASE]
        if before == sortie.AIR and kind != track.LAND:
            continue
        vn, ve = s[lanes.VEL + lane], s[lanes.VEL + lanes.E + lane]
        turn_x, turn_y = s[lanes.RATE + lane], s[lanes.RATE + lanes.E + lane]
        sortie.advance(
            flight,
            kind,
            s[lanes.THRUST + lane],
            s[lanes.HOVER + lane],
            s[lanes.TRACK + 5 * L + lane],
            np.sqrt(vn * vn + ve * ve),
            s[lanes.VEL + lanes.D + lane],
            np.sqrt(turn_x * turn_x + turn_y * turn_y),
            p,
            dt_s,
        )
        phase = flight[sortie.PHASE]
        ramp, flies = phase == sortie.RAMP, phase in (sortie.RAMP, sortie.AIR)
        s[lanes.OBEYS + lane] = 1.0 if flies else 0.0
        s[lanes.TURNS + lane] = 0.0 if phase == sortie.OFF else 1.0
        s[lanes.LEARNS + lane] = 1.0 if phase == sortie.AIR else 0.0
        s[lanes.CLIMB_MOST + lane] = sortie.climb_most(flight, p)
        s[lanes.THRUST_LEAST + lane] = 0.0 if ramp else p.mpc_thr_min
        tilt = p.mpc_tiltmax_lnd if ramp else p.mpc_tiltmax_air
        s[lanes.TILT_MOST + lane] = np.tan(np.radians(tilt))
        height = ground_m - s[lanes.POS + lanes.D + lane]
        s[lanes.DOWN_WANTED + lane] = sortie.sink_wanted(kind, height, p)
        if before == sortie.RAMP and phase == sortie.AIR:
            s[lanes.TRACK + 2 * L + lane] = s[lanes.POS + lanes.D + lane]
            s[lanes.TRACK + 5 * L + lane] = s[lanes.VEL + lanes.D + lane]
            s[lanes.TRACK + 8 * L + lane] = 0.0
            s[lanes.GOAL + lane], s[lanes.GOAL + lanes.E + lane] = legs[0, 0], legs[0, 1]
        elif phase < sortie.AIR:  # straight up, to the goal itself
            for axis in range(2):
                s[lanes.GOAL + axis * L + lane] = s[lanes.TRACK + axis * L + lane]
            s[lanes.TRACK + 2 * L + lane] = s[lanes.GOAL + lanes.D + lane]
        if not flies:
            for axis in range(3):
                s[lanes.VEL_INT + axis * L + lane] = s[lanes.RATE_INT + axis * L + lane] = 0.0


@numba.njit(cache=True)
def _advance_legs(
    s: Array,
    legs: Array,
    at: IntArray,
    waited: Array,
    flights: Array,
    reached: Array,
    now_s: float,
    p: Px4Params,
    dt_s: float,
) -> None:
    """Note who has come to its goal, and give it the next one after its hold.

    reached: (L, m, 3) time [s], energy [J], charge [C], NaN before.
    """
    last = legs.shape[0] - 1
    for lane in range(L):
        leg, phase = at[lane], flights[lane, sortie.PHASE]
        landing = legs[leg, track.L_KIND] == track.LAND
        there = phase >= sortie.LANDED
        if not landing:
            there = phase == sortie.AIR and s[lanes.NEAR + lane] > 0.0
        if not there:
            continue
        if reached[lane, leg, 0] != reached[lane, leg, 0]:
            reached[lane, leg, 0] = now_s
            reached[lane, leg, 1] = s[lanes.ENERGY + lane]
            reached[lane, leg, 2] = s[lanes.CHARGE + lane]
        if leg == last:
            continue
        waited[lane] += dt_s
        if waited[lane] > legs[leg, track.L_HOLD]:
            at[lane] += 1
            waited[lane] = 0.0
            _begin_leg(s, lane, legs[at[lane]], p)


@numba.njit(cache=True)
def look(s: Array, cells: Array, curve: Array, inside: Array, last_c: Array, dt_s: float) -> None:
    """Renew what each battery gives: open-circuit voltage less polarisation, and resistance.

    cells: (L, 12) of ``battery.model``; inside: (L, 2) polarisation [V] and temperature [deg C],
    which move by the mean current since the charge was ``last_c`` (L,) [C], ``dt_s`` ago.
    """
    for lane in range(L):
        cell, charge = cells[lane], s[lanes.CHARGE + lane]
        current = (charge - last_c[lane]) / dt_s
        volts, heat = inside[lane, 0], inside[lane, 1]
        swing, warming = battery.rates(cell, charge, volts, heat, current, AMBIENT_C)
        volts, heat = volts + dt_s * swing, heat + dt_s * warming
        inside[lane, 0], inside[lane, 1] = volts, heat
        last_c[lane] = charge
        s[lanes.INNER + lane] = battery.ocv(cell, curve, charge) - volts
        factor = battery.growth(cell, charge, heat)
        s[lanes.RESISTANCE + lane] = cell[battery.RESISTANCE] * factor


@numba.njit(cache=True)
def blow(
    s: Array,
    state: Array,
    normals: Array,
    at: int,
    steady: Array,
    strength: float,
    ground_m: float,
) -> None:
    """Renew each lane's wind, the mean and a gust of where it is.

    state: (L, 5) and normals: (L, ``looks``, 5), of which row ``at`` counts, of ``gusts``; steady:
    (L, 3) [m/s NED]; ground_m: down of the ground, above which heights count.
    """
    velocity = np.empty(3)
    for lane in range(L):
        for axis in range(3):
            velocity[axis] = s[lanes.VEL + axis * L + lane]
        height = ground_m - s[lanes.POS + lanes.D + lane]
        wind = steady[lane]
        n, e, d = gust(state[lane], normals[lane, at], wind, velocity, height, strength, GUST_S)
        s[lanes.WIND + lane] = wind[0] + n
        s[lanes.WIND + lanes.E + lane] = wind[1] + e
        s[lanes.WIND + lanes.D + lane] = wind[2] + d


@numba.njit(cache=True)
def _find_lost(
    s: Array, r: Array, lost_s: Array, touched: Array, ground_m: float, now_s: float, place: Array
) -> None:
    """Note who has left what the model knows and put it to rest, so that no number runs away.

    Whoever is below the ground has: ``touched`` (L,) then becomes 1.
    """
    for lane in range(L):
        speed = rate = 0.0
        for axis in range(3):
            speed += s[lanes.VEL + axis * L + lane] ** 2
            rate += s[lanes.RATE + axis * L + lane] ** 2
        sound = speed < LOST_SPEED_M_S**2 and rate < LOST_RATE_RAD_S**2
        for row in range(lanes.ROT // L):
            sound = sound and abs(s[row * L + lane]) < 1e9
        for i in range(r.shape[0]):
            sound = sound and abs(r[i, lanes.ROTOR + lane]) < 1e6
        low = s[lanes.POS + lanes.D + lane] > ground_m and s[lanes.STANDS + lane] == 0.0
        if sound and not low:
            continue
        if lost_s[lane] != lost_s[lane]:
            lost_s[lane] = now_s
            touched[lane] = 1.0 if sound else 0.0
        rest(s, r, lane)
        for axis in range(3):
            s[lanes.POS + axis * L + lane] = s[lanes.TRACK + axis * L + lane] = place[lane, axis]
            s[lanes.GOAL + axis * L + lane] = place[lane, axis]


@numba.njit(cache=True)
def rest(s: Array, r: Array, lane: int) -> None:
    """Clear what moves of one lane: level, still, hover thrust a half; what it weighs stays."""
    for row in range(lanes.MASS // L):
        s[row * L + lane] = 0.0
    s[lanes.QUAT + lane], s[lanes.HOVER + lane], s[lanes.SPEED_MOST + lane] = 1.0, 0.5, 1e4
    s[lanes.INNER + lane], s[lanes.RESISTANCE + lane] = 16.0, 0.02
    for i in range(r.shape[0]):
        r[i, lanes.ROTOR + lane] = 500.0


@numba.njit(cache=True)
def _record(s: Array, out: Array, at: int, lost_s: Array, flights: Array) -> None:
    for lane in range(L):
        over = lost_s[lane] == lost_s[lane] or flights[lane, sortie.PHASE] == sortie.OFF
        if over and at > 0:
            for row in range(N_OUT):  # copying as a whole would compile for two seconds more
                out[lane, at, row] = out[lane, at - 1, row]
            continue
        for row in range(10):
            out[lane, at, row] = s[lanes.POS + row * L + lane]
        out[lane, at, OUT_ENERGY] = s[lanes.ENERGY + lane]


@numba.njit(cache=True)
def _all_over(lost_s: Array, flights: Array) -> bool:
    for lane in range(L):
        if lost_s[lane] != lost_s[lane] and flights[lane, sortie.PHASE] != sortie.OFF:
            return False
    return True


@numba.njit(cache=True)
def fly_block(
    s: Array,
    r: Array,
    k: Array,
    rotor_k: Array,
    p: Px4Params,
    filters: Array,
    legs: Array,
    cells: Array,
    curve: Array,
    steady: Array,
    strength: float,
    normals: Array,
    every: int,
    out: Array,
    lost_s: Array,
    touched: Array,
    lowest_m: Array,
    reached: Array,
    ground_m: float,
) -> None:
    """Fly all lanes along ``legs`` (m, 7) of ``track`` and write ``out`` (L, T, 11).

    s, r, k, rotor_k, filters: see ``stages.step``; cells: (L, 12) and curve: the batteries of
    ``battery.model``; steady: (L, 3) [m/s NED]; strength: of the gusts [-]; normals: (L,
    ``looks``, 5); every: steps between two rows of ``out``, the first is the start; lost_s: (L,)
    [s] NaN unless lost; touched: (L,) 1 if by the ground, which is at down ``ground_m``; lowest_m:
    (L,) [m] the largest down met; reached: (L, m, 3) of ``_advance_legs``. Who has landed and
    stopped its motors stays as it is.
    """
    at, waited = np.zeros(L, dtype=np.int64), np.zeros(L)
    gusts, flights = np.zeros((L, 5)), np.zeros((L, 3))
    for lane in range(L):
        sortie.begin(flights[lane], legs[0, track.L_KIND])
        _begin_leg(s, lane, legs[0], p)
    inside, last_c = np.zeros((L, 2)), s[lanes.CHARGE : lanes.CHARGE + L].copy()
    inside[:, 1] = AMBIENT_C
    lost_s[:], touched[:], reached[:] = np.nan, 0.0, np.nan
    lowest_m[:] = -np.inf
    rows = 0
    for i in range((out.shape[1] - 1) * every + 1):
        if i % SLOW_STEPS == 0:
            for lane in range(L):
                if lost_s[lane] != lost_s[lane]:
                    lowest_m[lane] = max(lowest_m[lane], s[lanes.POS + lanes.D + lane])
            before = out[:, max(rows - 1, 0), :3]
            _find_lost(s, r, lost_s, touched, ground_m, i * STEP_S, before)
            look(s, cells, curve, inside, last_c, GUST_S)
            blow(s, gusts, normals, i // SLOW_STEPS, steady, strength, ground_m)
        if i % SLOW_STEPS == 0 and rows > 0 and _all_over(lost_s, flights):
            for row in range(rows, out.shape[1]):
                _record(s, out, row, lost_s, flights)
            return
        if i % every == 0:
            _record(s, out, rows, lost_s, flights)
            rows += 1
        if i % GUIDE_STEPS == 0:
            cascade.near(s, p)
            dt = GUIDE_STEPS * STEP_S
            _advance_flights(s, legs, at, flights, ground_m, p, dt)
            _advance_legs(s, legs, at, waited, flights, reached, i * STEP_S, p, dt)
            cascade.guide(s, p, GUIDE_STEPS * STEP_S)
        stages.step(s, r, k, rotor_k, p, filters, STEP_S, SUBSTEPS, ground_m)
