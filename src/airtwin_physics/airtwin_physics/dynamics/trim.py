# SPDX-License-Identifier: Apache-2.0
"""Steady flight: the attitude and the inputs at which nothing changes but place and heading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.dynamics.felt import HIGH_M
from airtwin_physics.dynamics.model import (
    AMBIENT_C,
    AX,
    GRAVITY_M_S2,
    LEAST,
    MOST,
    POS,
    QUAT,
    RATE,
    ROTOR,
    RX,
    SPEED_MAX,
    SPEED_MIN,
    TEMPERATURE,
    TURN,
    VEL,
    Model,
)
from airtwin_physics.dynamics.motion import battery, derivative

RESIDUAL = 1e-6  # [-] of g and of 1 rad/s^2: what is called balanced
WEIGHTS = (1e-2, 1e-3)  # [-] of inputs, roll and yaw against the residuals, one after the other
TOLERANCE = {"ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-14}
PITCHES = (
    0.0,
    0.15,
    0.4,
    0.8,
    1.2,
    1.5,
)  # [rad] where the search starts, added to the climb angle


@dataclass(frozen=True, slots=True)
class Trim:
    """A steady state ``x``, its input ``u``, power at the battery's terminals [W].

    ``residual`` [-]: largest acceleration left, in g or rad/s^2; ``balanced``: it is nothing.
    Angles [rad]: roll and pitch of the attitude, ``attack`` from the path to the nose.
    """

    x: Array
    u: Array
    power_w: float
    roll_rad: float
    pitch_rad: float
    attack_rad: float
    residual: float
    balanced: bool


def trim(
    model: Model,
    *,
    airspeed_m_s: float,
    climb_m_s: float = 0.0,
    turn_rate_rad_s: float = 0.0,
    stopped: Sequence[int] = (),
    neutral: Sequence[int] = (),
) -> Trim:
    """Return steady flight northwards through calm air, turning right by ``turn_rate_rad_s``.

    Least squares over roll, pitch, yaw, motor speeds and deflections, from several pitches till
    one balances, with little of the inputs, little sideslip and little roll beyond the turn's.
    More than four rotors with one axis are driven by four patterns (thrust, roll, pitch, yaw).
    An aircraft with more inputs than needs has many balances, and one of them is returned: say
    what stands still. ``stopped``: motors that stand still, ``neutral``:
    servos held at 0. Unbalanced where the aircraft can't fly so: ``balanced`` says it.

    Raises:
        ValueError: climb faster than flight, or a motor or servo that is not there.
    """
    n, m = model.rotors.shape[0], model.servos.shape[0]
    if not (airspeed_m_s >= 0.0 and abs(climb_m_s) <= airspeed_m_s):
        raise ValueError(f"climb of {climb_m_s} m/s at an airspeed of {airspeed_m_s} m/s")
    if not (set(stopped) <= set(range(n)) and set(neutral) <= set(range(m))):
        raise ValueError(f"there are motors 0..{n - 1} and servos 0..{m - 1}")
    slope = float(np.arcsin(climb_m_s / airspeed_m_s)) if airspeed_m_s > 0.0 else 0.0
    level = airspeed_m_s * float(np.cos(slope))
    velocity = np.array([level, 0.0, -climb_m_s])
    wanted = np.array([0.0, turn_rate_rad_s * level, 0.0])  # a circle at constant speed
    bank = float(np.arctan2(turn_rate_rad_s * level, GRAVITY_M_S2))
    motors = [i for i in range(n) if i not in stopped]
    servos = [j for j in range(m) if j not in neutral]
    basis = _patterns(model.rotors[motors])
    patterns = basis.shape[1]
    low = model.rotors[motors, SPEED_MIN] / model.rotors[motors, SPEED_MAX]
    least, most = model.servos[servos, LEAST], model.servos[servos, MOST]
    scale = np.maximum(most, -least)

    def place(values: Array) -> tuple[Array, Array]:
        roll, pitch, yaw = values[:3]
        x = np.zeros(ROTOR + n + m)
        x[POS], x[VEL], x[TEMPERATURE] = (0.0, 0.0, -HIGH_M), velocity, AMBIENT_C
        x[QUAT] = frames.quat_from_euler(roll, pitch, yaw)
        x[RATE] = turn_rate_rad_s * np.array(
            [-np.sin(pitch), np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch)]
        )
        shares = np.clip(basis @ values[3 : 3 + patterns], low, 1.0)
        u = np.full(n + m, np.nan)
        span = model.rotors[motors, SPEED_MAX] - model.rotors[motors, SPEED_MIN]
        speeds = shares * model.rotors[motors, SPEED_MAX]
        x[[ROTOR + i for i in motors]] = speeds
        u[motors] = (speeds - model.rotors[motors, SPEED_MIN]) / span
        angles = values[3 + patterns :] * scale
        x[[ROTOR + n + j for j in servos]] = angles
        limit = np.where(angles > 0.0, most, -least)
        u[[n + j for j in servos]] = np.divide(
            angles, limit, out=np.zeros_like(angles), where=limit > 0.0
        )
        return x, u

    def left(values: Array) -> Array:
        x, u = place(values)
        rate = derivative(x, u, model, np.zeros(3))
        return np.concatenate(((rate[VEL] - wanted) / GRAVITY_M_S2, rate[RATE]))

    def cost(values: Array, weight: float) -> Array:
        lean = [values[0] - bank, 10.0 * values[2]]
        return np.concatenate((left(values), weight * values[3:], np.multiply(lean, weight)))

    lower = np.concatenate(([-1.5, -1.5, -1.5], np.full(patterns, -1.0), least / scale))
    upper = np.concatenate(([1.5, 1.6, 1.5], np.ones(patterns), most / scale))
    full = np.linalg.pinv(basis) @ np.full(len(motors), 0.98)
    best, residual = np.zeros(0), np.inf
    for pitch in PITCHES:
        start = np.concatenate(([bank, slope + pitch, 0.0], full, np.zeros(len(servos))))
        start = np.clip(start, lower + 1e-3, upper - 1e-3)
        for weight in WEIGHTS:
            start = least_squares(
                cost, start, bounds=(lower, upper), args=(weight,), max_nfev=60, **TOLERANCE
            ).x
        polished = _polish(left, start, lower, upper)
        off = float(np.max(np.abs(left(polished))))
        if off < residual:
            best, residual = polished, off
        if residual < RESIDUAL:
            break
    x, u = place(best)
    voltage, current = battery(x, model)
    return Trim(
        x=x,
        u=u,
        power_w=voltage * current,
        roll_rad=float(best[0]),
        pitch_rad=float(best[1]),
        attack_rad=float(best[1]) - slope,
        residual=residual,
        balanced=residual < RESIDUAL,
    )


def _patterns(rotors: Array) -> Array:
    """Return what the search varies (rotors, patterns): single rotors, or four of many alike."""
    columns: list[Array] = []
    axes = np.round(rotors[:, AX : AX + 3], 6)
    for axis in np.unique(axes, axis=0):
        group = np.flatnonzero(np.all(axes == axis, axis=1))
        if group.size <= 4:
            columns += list(np.eye(rotors.shape[0])[group])
            continue
        places, turns = rotors[group, RX : RX + 3], rotors[group, TURN]
        arms = np.cross(places, axis)
        for pattern in (np.ones(group.size), *arms.T, turns):
            if np.ptp(pattern) > 0.0 or pattern[0] == 1.0:
                column = np.zeros(rotors.shape[0])
                column[group] = pattern / np.max(np.abs(pattern))
                columns.append(column)
    return np.stack(columns, axis=1) if columns else np.zeros((rotors.shape[0], 0))


def _polish(left: Callable[[Array], Array], values: Array, lower: Array, upper: Array) -> Array:
    """Return the balance next to ``values``: Newton's steps of least length, within bounds."""
    for _ in range(10):
        off = left(values)
        if np.max(np.abs(off)) < 1e-3 * RESIDUAL:
            break
        steps = 1e-6 * np.eye(values.size)
        slope = np.stack([(left(values + h) - left(values - h)) / 2e-6 for h in steps], axis=1)
        values = np.clip(values - np.linalg.pinv(slope, rcond=1e-6) @ off, lower, upper)
    return values
