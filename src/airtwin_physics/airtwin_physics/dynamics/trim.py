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
# [-] of inputs, roll and sideslip against the residuals, one after the other
WEIGHTS = (1e-2, 1e-3)
TOLERANCE = {"ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-14}
# [rad] where the search starts, added to the climb angle
PITCHES = (0.0, 0.15, 0.4, 0.8, 1.2, 1.5)


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
    what stands still. ``stopped``: motors that stand still, ``neutral``: servos held at 0.
    Unbalanced where the aircraft can't fly so: ``balanced`` says it.

    Raises:
        ValueError: climb faster than flight, or a motor or servo that is not there.
    """
    n, m = model.rotors.shape[0], model.servos.shape[0]
    if not (airspeed_m_s >= 0.0 and abs(climb_m_s) <= airspeed_m_s):
        raise ValueError(
            f"climb of {climb_m_s} m/s at an airspeed of {airspeed_m_s} m/s: expected an airspeed "
            ">= 0, and no climb or fall faster than it"
        )
    if not (set(stopped) <= set(range(n)) and set(neutral) <= set(range(m))):
        raise ValueError(
            f"stopped {tuple(stopped)}, neutral {tuple(neutral)}: there are motors 0..{n - 1} and "
            f"{m} servos"
        )
    flight = _Flight(model, airspeed_m_s, climb_m_s, turn_rate_rad_s, stopped, neutral)
    best, residual = np.zeros(0), np.inf
    for pitch in PITCHES:
        values = flight.found(flight.start(pitch))
        off = float(np.max(np.abs(flight.left(values))))
        if off < residual:
            best, residual = values, off
        if residual < RESIDUAL:
            break
    x, u = flight.place(best)
    voltage, current = battery(x, model)
    return Trim(
        x=x,
        u=u,
        power_w=voltage * current,
        roll_rad=float(best[0]),
        pitch_rad=float(best[1]),
        attack_rad=float(best[1]) - flight.slope_rad,
        residual=residual,
        balanced=residual < RESIDUAL,
    )


class _Flight:
    """The flight that is asked for, and the search for what flies it.

    Searched are ``values`` (3 + patterns + servos,): roll, pitch, yaw [rad], shares of the motors'
    patterns of full speed [-], deflections over the servos' larger limits [-].
    """

    def __init__(
        self,
        model: Model,
        airspeed_m_s: float,
        climb_m_s: float,
        turn_rate_rad_s: float,
        stopped: Sequence[int],
        neutral: Sequence[int],
    ) -> None:
        self._model, self._turn_rate = model, turn_rate_rad_s
        slope = float(np.arcsin(climb_m_s / airspeed_m_s)) if airspeed_m_s > 0.0 else 0.0
        self.slope_rad = slope
        level = airspeed_m_s * float(np.cos(slope))
        self._velocity = np.array([level, 0.0, -climb_m_s])
        # a circle at constant speed
        self._wanted = np.array([0.0, turn_rate_rad_s * level, 0.0])
        self._bank = float(np.arctan2(turn_rate_rad_s * level, GRAVITY_M_S2))
        n, m = model.rotors.shape[0], model.servos.shape[0]
        self._motors = [i for i in range(n) if i not in stopped]
        self._servos = [j for j in range(m) if j not in neutral]
        self._basis = _patterns(model.rotors[self._motors])
        rows = model.rotors[self._motors]
        self._low, self._high = rows[:, SPEED_MIN], rows[:, SPEED_MAX]
        self._least, self._most = (
            model.servos[self._servos, LEAST],
            model.servos[self._servos, MOST],
        )
        self._scale = np.maximum(self._most, -self._least)
        patterns = self._basis.shape[1]
        self._lower = np.concatenate(
            ([-1.5, -1.5, -1.5], np.full(patterns, -1.0), self._least / self._scale)
        )
        self._upper = np.concatenate(
            ([1.5, 1.6, 1.5], np.ones(patterns), self._most / self._scale)
        )

    def start(self, pitch_rad: float) -> Array:
        """Return where a search begins: all motors nearly full, ``pitch_rad`` above the path."""
        full = np.linalg.pinv(self._basis) @ np.full(len(self._motors), 0.98)
        start = np.concatenate(
            ([self._bank, self.slope_rad + pitch_rad, 0.0], full, np.zeros(len(self._servos)))
        )
        return np.asarray(np.clip(start, self._lower + 1e-3, self._upper - 1e-3))

    def found(self, values: Array) -> Array:
        """Return the balance next to ``values``, or what comes closest."""
        for weight in WEIGHTS:
            values = least_squares(
                self._cost,
                values,
                bounds=(self._lower, self._upper),
                args=(weight,),
                max_nfev=60,
                **TOLERANCE,
            ).x
        return _polish(self.left, values, self._lower, self._upper)

    def place(self, values: Array) -> tuple[Array, Array]:
        """Return the state (16 + n + m,) and the input (n + m,) of ``values``."""
        n, m = self._model.rotors.shape[0], self._model.servos.shape[0]
        roll, pitch, yaw = values[:3]
        x = np.zeros(ROTOR + n + m)
        x[POS], x[VEL], x[TEMPERATURE] = (0.0, 0.0, -HIGH_M), self._velocity, AMBIENT_C
        x[QUAT] = frames.quat_from_euler(roll, pitch, yaw)
        x[RATE] = self._turn_rate * np.array(
            [-np.sin(pitch), np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch)]
        )
        patterns = self._basis.shape[1]
        shares = np.clip(self._basis @ values[3 : 3 + patterns], self._low / self._high, 1.0)
        u = np.full(n + m, np.nan)
        speeds = shares * self._high
        x[[ROTOR + i for i in self._motors]] = speeds
        u[self._motors] = (speeds - self._low) / (self._high - self._low)
        angles = values[3 + patterns :] * self._scale
        x[[ROTOR + n + j for j in self._servos]] = angles
        limit = np.where(angles > 0.0, self._most, -self._least)
        u[[n + j for j in self._servos]] = np.divide(
            angles, limit, out=np.zeros_like(angles), where=limit > 0.0
        )
        return x, u

    def left(self, values: Array) -> Array:
        """Return the accelerations (6,) that are left, in g and in rad/s^2."""
        x, u = self.place(values)
        rate = derivative(x, u, self._model, np.zeros(3))
        return np.concatenate(((rate[VEL] - self._wanted) / GRAVITY_M_S2, rate[RATE]))

    def _cost(self, values: Array, weight: float) -> Array:
        lean = [values[0] - self._bank, 10.0 * self._slip(values)]
        return np.concatenate((self.left(values), weight * values[3:], np.multiply(lean, weight)))

    def _slip(self, values: Array) -> float:
        """Return the sine of the sideslip; in a hover the yaw [rad], as there is none."""
        speed = float(np.linalg.norm(self._velocity))
        if speed == 0.0:
            return float(values[2])
        right = frames.rotation_from_quat(frames.quat_from_euler(*values[:3]))[:, 1]
        return float(right @ self._velocity) / speed


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
