# SPDX-License-Identifier: Apache-2.0
"""Steady flight: the attitude and the inputs at which nothing changes but place and heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.dynamics.felt import HIGH_M
from airtwin_physics.dynamics.model import (
    AMBIENT_C,
    GRAVITY_M_S2,
    LEAST,
    MOST,
    POS,
    QUAT,
    RATE,
    ROTOR,
    SPEED_MAX,
    SPEED_MIN,
    TEMPERATURE,
    VEL,
    Model,
)
from airtwin_physics.dynamics.motion import battery, derivative

RESIDUAL = 1e-6  # [-] of g and of 1 rad/s^2: what is called balanced
WEIGHT = 1e-2  # [-] of inputs, roll and yaw against the residuals: picks one of many balances
PITCHES = (0.0, 0.15, 0.6, 1.2, 1.5)  # [rad] where the search starts, added to the climb angle


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
    one balances; of an aircraft with more inputs than needs, one with little of them, little
    sideslip and little roll beyond the turn's. ``stopped``: motors that stand still, ``neutral``:
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
        shares = values[3 : 3 + len(motors)]
        u = np.full(n + m, np.nan)
        span = model.rotors[motors, SPEED_MAX] - model.rotors[motors, SPEED_MIN]
        speeds = shares * model.rotors[motors, SPEED_MAX]
        x[[ROTOR + i for i in motors]] = speeds
        u[motors] = (speeds - model.rotors[motors, SPEED_MIN]) / span
        angles = values[3 + len(motors) :] * scale
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

    def cost(values: Array) -> Array:
        lean = [values[0] - bank, 10.0 * values[2]]
        return np.concatenate((left(values), WEIGHT * values[3:], np.multiply(lean, WEIGHT)))

    lower = np.concatenate(([-1.5, -1.5, -1.5], low, least / scale))
    upper = np.concatenate(([1.5, 1.6, 1.5], np.ones(len(motors)), most / scale))
    best, residual = np.zeros(0), np.inf
    for pitch in PITCHES:
        start = np.concatenate(
            ([bank, slope + pitch, 0.0], np.full(len(motors), 0.8), np.zeros(len(servos)))
        )
        start = np.clip(start, lower + 1e-3, upper - 1e-3)
        found = least_squares(cost, start, bounds=(lower, upper), x_scale="jac", max_nfev=100)
        polished = least_squares(left, found.x, bounds=(lower, upper), xtol=1e-15, max_nfev=50)
        off = float(np.max(np.abs(left(polished.x))))
        if off < residual:
            best, residual = polished.x, off
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
