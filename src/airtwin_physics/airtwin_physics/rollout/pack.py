# SPDX-License-Identifier: Apache-2.0
"""Sampled aircraft as blocks of lanes, and as one model each for the plain reference."""

from __future__ import annotations

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics.battery import model as battery
from airtwin_physics.control import multirotor as law
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import GRAVITY_M_S2, Model
from airtwin_physics.dynamics import model as columns
from airtwin_physics.rollout import lanes
from airtwin_physics.rollout.draw import (
    F_CAPACITY,
    F_DRAG,
    F_MASS,
    F_RESISTANCE,
    F_ROTOR,
    F_THRUST,
)
from airtwin_physics.rollout.lanes import L


def varied(model: Model, factors: Array) -> Model:
    """Return the model of one sample, ``factors`` (5 + n,) as ``draw.factors`` has them."""
    body, rotors, cells = model.body.copy(), model.rotors.copy(), model.battery.copy()
    body[columns.MASS] *= factors[F_MASS]
    body[columns.CDA_X : columns.CDA_Z + 1] *= factors[F_DRAG]
    cells[columns.RESISTANCE] *= factors[F_RESISTANCE]
    cells[columns.CAPACITY_SHARE] *= factors[F_CAPACITY]
    rotors[:, columns.K_THRUST] *= factors[F_THRUST]
    rotors[:, columns.K_DRAG] *= factors[F_DRAG]
    rotors[:, columns.EFFECT] *= factors[F_ROTOR:]
    surfaces = model.surfaces.copy()
    surfaces[:, columns.DRAG_0] *= factors[F_DRAG]
    return model._replace(body=body, rotors=rotors, battery=cells, surfaces=surfaces)


def filters(params: Px4Params, dt_s: float, substeps: int) -> Array:
    """Return (3,): the smoothing of velocity, rate and rate's derivative."""
    inner = dt_s / substeps
    return np.array(
        [
            1.0 - np.exp(-2.0 * np.pi * params.mpc_veld_lp * dt_s),
            1.0 - np.exp(-2.0 * np.pi * params.imu_gyro_cutoff * inner),
            1.0 - np.exp(-2.0 * np.pi * params.imu_dgyro_cutoff * inner),
        ]
    )


def shared(
    aircraft: Aircraft, model: Model, inner_s: float, ground_down_m: float = 0.0
) -> tuple[Array, Array]:
    """Return (constants (24,), of rotors (n, 17)) of all lanes, for rotor steps of ``inner_s``.

    Raises:
        ValueError: not a multirotor with upright rotors: lanes know no wings and no tilt.
    """
    upright = np.allclose(model.rotors[:, columns.AX : columns.AZ + 1], (0.0, 0.0, -1.0))
    if model.surfaces.shape[0] > 0 or not upright:
        raise ValueError(
            f"{aircraft.name}: lanes are of multirotors with upright rotors, without wings"
        )
    k = np.zeros(lanes.N_CONSTANT)
    k[lanes.INERTIA : lanes.INERTIA + 9] = model.inertia.ravel()
    k[lanes.INVERSE : lanes.INVERSE + 9] = model.inertia_inverse.ravel()
    k[lanes.AVIONICS_W] = model.body[columns.AVIONICS_W]
    k[lanes.SPEED_PER_VOLT] = model.body[columns.SPEED_PER_VOLT]
    k[lanes.SPIN_INERTIA] = model.body[columns.SPIN_INERTIA]
    k[lanes.GROUND] = ground_down_m + model.body[columns.GROUND_DOWN]
    k[lanes.HUB] = np.mean(model.rotors[:, columns.RZ])
    k[lanes.RADIUS] = np.mean(model.rotors[:, columns.RADIUS])
    rotors = np.zeros((aircraft.rotor_count, lanes.N_ROTOR_CONSTANT))
    for column, source in (
        (lanes.RX, columns.RX),
        (lanes.RY, columns.RY),
        (lanes.RZ, columns.RZ),
        (lanes.TURN, columns.TURN),
        (lanes.K_MOMENT, columns.K_MOMENT),
        (lanes.K_ROLL, columns.K_ROLL),
        (lanes.K_INFLOW_2, columns.K_INFLOW_2),
        (lanes.SPEED_MIN, columns.SPEED_MIN),
        (lanes.K_POWER, columns.K_POWER),
    ):
        rotors[:, column] = model.rotors[:, source]
    rotors[:, lanes.SPEED_SPAN] = (
        model.rotors[:, columns.SPEED_MAX] - model.rotors[:, columns.SPEED_MIN]
    )
    for keep, mean, source in (
        (lanes.KEEP_UP, lanes.MEAN_UP, columns.TAU_UP),
        (lanes.KEEP_DOWN, lanes.MEAN_DOWN, columns.TAU_DOWN),
    ):
        tau = model.rotors[:, source]
        rotors[:, keep] = np.exp(-inner_s / tau)
        rotors[:, mean] = (1.0 - rotors[:, keep]) * tau / inner_s
    rotors[:, lanes.SHARE_ROLL : lanes.SHARE_YAW + 1] = law.mixer(aircraft)
    return k, rotors


def block(
    model: Model,
    params: Px4Params,
    factors: Array,
    starts: Array,
    trims: Array,
    charge_c: float,
    *,
    standing: bool = False,
) -> tuple[Array, Array]:
    """Return (s (ROWS L,), r (n, ROTOR_ROWS L)) of L lanes that have flown for a while, or stand.

    factors: (L, 5 + n), starts: (L, 13), trims: (L, 2) [m/s^2 north, east] what the velocity's
    integral holds against drag.
    """
    n = model.rotors.shape[0]
    s, r = np.zeros((lanes.ROWS, L)), np.zeros((n, lanes.ROTOR_ROWS, L))

    def put(row: int, values: Array) -> None:
        wide = np.atleast_2d(values)
        s[row // L : row // L + wide.shape[0]] = wide

    mass = model.body[columns.MASS] * factors[:, F_MASS]
    lift = (
        (model.rotors[:, columns.K_THRUST] * model.rotors[:, columns.EFFECT])[:, None]
        * factors[:, F_THRUST]
        * factors[:, F_ROTOR:].T
    )
    speed = np.sqrt(mass * GRAVITY_M_S2 / np.sum(lift, axis=0))
    low, high = model.rotors[0, columns.SPEED_MIN], model.rotors[0, columns.SPEED_MAX]
    hover = np.clip((speed - low) / (high - low), law.HOVER_MIN, law.HOVER_MAX)
    if standing:  # what PX4 believes before it has flown
        hover, speed, trims = np.full(L, params.mpc_thr_hover), np.zeros(L), np.zeros((L, 2))
    put(lanes.POS, starts.T)
    put(lanes.CHARGE, np.full(L, charge_c))
    put(lanes.VEL_INT, trims.T)
    put(lanes.VEL_LAST, starts[:, 3:6].T)
    put(lanes.RATE_LP, starts[:, 10:13].T)
    put(lanes.HOVER, hover)
    put(lanes.TRACK, starts[:, :6].T)
    q = starts[:, 6:10]
    yaw = np.arctan2(
        2 * (q[:, 0] * q[:, 3] + q[:, 1] * q[:, 2]), 1 - 2 * (q[:, 2] ** 2 + q[:, 3] ** 2)
    )
    put(lanes.YAW, yaw)
    put(lanes.CLIMB_MOST, np.full(L, params.mpc_z_vel_max_up))
    put(lanes.THRUST_LEAST, np.full(L, params.mpc_thr_min))
    put(lanes.TILT_MOST, np.full(L, np.tan(np.radians(params.mpc_tiltmax_air))))
    put(lanes.HOLDS_HEIGHT, np.ones((4, L)))  # and obeys, learns, turns
    put(lanes.UP_WANTED, np.full(L, params.mpc_z_v_auto_up))
    put(lanes.DOWN_WANTED, np.full(L, params.mpc_z_v_auto_dn))
    put(lanes.SPEED_MOST, np.full(L, 1e4))  # the battery is looked at after a step
    put(lanes.MASS, mass)
    put(lanes.DRAG, np.outer(model.body[columns.CDA_X : columns.CDA_Z + 1], factors[:, F_DRAG]))
    r[:, lanes.ROTOR // L] = speed
    r[:, lanes.LIFT // L] = lift
    r[:, lanes.IN_PLANE // L] = np.outer(model.rotors[:, columns.K_DRAG], factors[:, F_DRAG])
    r[:, lanes.INFLOW // L] = model.rotors[:, columns.K_INFLOW][:, None]
    return s.ravel(), r.reshape(n, lanes.ROTOR_ROWS * L)


def batteries(model: Model, factors: Array) -> Array:
    """Return (L, 12): each lane's battery as ``battery.model`` takes it."""
    cells = np.tile(model.battery, (factors.shape[0], 1))
    cells[:, battery.RESISTANCE] *= factors[:, F_RESISTANCE]
    cells[:, battery.CAPACITY_SHARE] *= factors[:, F_CAPACITY]
    return cells


def level_drag(model: Model, factors: Array, velocity: Array, winds: Array) -> Array:
    """Return (L, 2) [m/s^2 north, east]: what it takes against drag, level, nose to the north.

    The same as minus ``dynamics.derivative`` with the rotors at trim.
    """
    air = velocity[:, :2] - winds[:, :2]
    mass = model.body[columns.MASS] * factors[:, F_MASS]
    lift = model.rotors[:, columns.K_THRUST] * model.rotors[:, columns.EFFECT]
    total = factors[:, F_THRUST] * (factors[:, F_ROTOR:] @ lift)
    speed = np.sqrt(mass * GRAVITY_M_S2 / total)
    flat = 0.5 * columns.AIR_DENSITY_KG_M3 * model.body[columns.CDA_X : columns.CDA_X + 2]
    disc = np.sum(model.rotors[:, columns.K_DRAG]) * speed
    force = flat * np.abs(air) * air + disc[:, None] * air
    return np.asarray(force * (factors[:, F_DRAG] / mass)[:, None])
