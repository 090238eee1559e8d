# SPDX-License-Identifier: Apache-2.0
"""Coefficients of the dynamics from a table of one flight: commands, motion, accelerations.

For tables as ethz-asl/data-driven-dynamics publishes them (``resources/*_model.csv``): NED
velocity, attitude, body rates, specific force and angular acceleration in FRD, actuators. Each
axis is linear in its coefficients, once the rotors' lag is given; the lag is the one that explains
most of the part that is fitted. The flight is cut into twelve pieces; every third judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from airtwin_core.types import Array

AXES = ("force x", "force y", "force z", "turn x", "turn y", "turn z")
_LAGS_S = (0.005, 0.0125, 0.02, 0.03, 0.05, 0.08)
_PWM_LEAST, _PWM_SPAN = 1000.0, 1000.0
_SPEED_LEAST, _SPEED_SPAN = (
    100.0,
    1000.0,
)  # PX4's Gazebo iris: rad/s at PWM 1000, and added to 2000
_NO_CHANGE = 1e-9
_PIECES = 12  # of the flight; every third judges and is not fitted


@dataclass(frozen=True, slots=True)
class TableFit:
    """``explained``: axis to share of variance on the pieces that were held out.

    ``rms``: RMS residual there; ``coefficients``: axis to values, in the order of the regressors.
    """

    explained: dict[str, float]
    rms: dict[str, float]
    coefficients: dict[str, Array]
    lag_s: float


def body_velocity(table: Mapping[str, Array]) -> Array:
    """Return (n, 3) [m/s] FRD."""
    w, x, y, z = (table[f"q{k}"] for k in range(4))
    n, e, d = table["vx"], table["vy"], table["vz"]
    return np.stack(
        (
            (1 - 2 * (y * y + z * z)) * n + 2 * (x * y + w * z) * e + 2 * (x * z - w * y) * d,
            2 * (x * y - w * z) * n + (1 - 2 * (x * x + z * z)) * e + 2 * (y * z + w * x) * d,
            2 * (x * z + w * y) * n + 2 * (y * z - w * x) * e + (1 - 2 * (x * x + y * y)) * d,
        ),
        axis=1,
    )


def quadrotor(table: Mapping[str, Array], places_frd_m: Array, turns: Array) -> TableFit:
    """Fit rotors and drag of a quad.

    Regressors: forces along the discs w v, |v| v; along the axis w^2, w v, |v| v; turns w^2 times
    lever, its sum (the centre of mass), damping w times rate, the gyroscopic product of rates and,
    about z, the change of the speeds.
    """
    pwm = np.stack([table[f"u{k}"] for k in range(len(turns))], axis=1)
    goal = _SPEED_LEAST + _SPEED_SPAN * (pwm - _PWM_LEAST) / _PWM_SPAN
    dt_s = float(np.median(np.diff(table["timestamp"]))) * 1e-6
    v = body_velocity(table)
    p, q, r = (table[f"ang_vel_{a}"] for a in "xyz")
    x, y = places_frd_m[:, 0], places_frd_m[:, 1]
    fits = []
    for lag_s in _LAGS_S:
        w = _lagged(goal, dt_s / lag_s)
        square, total = w**2, w.sum(axis=1)
        change = np.gradient(w, dt_s, axis=0)
        sum2 = square.sum(axis=1)
        regressors = {
            "force x": (total * v[:, 0], np.abs(v[:, 0]) * v[:, 0]),
            "force y": (total * v[:, 1], np.abs(v[:, 1]) * v[:, 1]),
            "force z": (sum2, total * v[:, 2], np.abs(v[:, 2]) * v[:, 2]),
            "turn x": (-square @ y, sum2, total * p, q * r, total * v[:, 1], total * v[:, 0]),
            "turn y": (square @ x, sum2, total * q, p * r, total * v[:, 0], total * v[:, 1]),
            "turn z": (-square @ turns, -change @ turns, total * r, p * q, sum2),
        }
        fits.append(_judged(table, regressors, lag_s))
    return max(fits, key=lambda one: one[0])[1]


def fixed_wing(table: Mapping[str, Array]) -> TableFit:
    """Fit lift, drag and pitching moment of an aeroplane that flies along its plane of symmetry.

    With V the airspeed, a the angle of attack, d the elevator: forces V^2 (1, a, a^2, d), turn
    V^2 (1, a, d) and V times rate. The polar is the parabola below stall.
    """
    v = body_velocity(table)
    square = np.sum(v**2, axis=1)
    alpha = np.arctan2(v[:, 2], v[:, 0])
    elevator, rate = table["elevator"], table["ang_vel_y"]
    force = (square, square * alpha, square * alpha**2, square * elevator)
    turn = (square, square * alpha, square * elevator, np.sqrt(square) * rate)
    regressors = {"force x": force, "force z": force, "turn y": turn}
    return _judged(table, regressors, 0.0)[1]


def _judged(
    table: Mapping[str, Array],
    regressors: Mapping[str, tuple[Array, ...]],
    lag_s: float,
) -> tuple[float, TableFit]:
    """Return (share of the fitted pieces that is explained, the fit judged on the others)."""
    explained, rms, coefficients, inside = {}, {}, {}, []
    for axis, columns in regressors.items():
        kind, letter = axis.split()
        y = table[f"acc_b_{letter}" if kind == "force" else f"ang_acc_b_{letter}"]
        a = np.stack(columns, axis=1)
        judge = np.arange(len(y)) * _PIECES // len(y) % 3 == 2
        fit = ~judge
        scale = np.maximum(np.sqrt(np.mean(a[fit] ** 2, axis=0)), _NO_CHANGE)
        value = np.linalg.lstsq(a[fit] / scale, y[fit], rcond=None)[0] / scale
        inside.append(_share(y[fit], a[fit] @ value))
        explained[axis] = _share(y[judge], a[judge] @ value)
        rms[axis] = float(np.sqrt(np.mean((y[judge] - a[judge] @ value) ** 2)))
        coefficients[axis] = value
    return float(np.mean(inside)), TableFit(explained, rms, coefficients, lag_s)


def _share(y: Array, model: Array) -> float:
    return 1.0 - float(np.sum((y - model) ** 2) / np.sum((y - np.mean(y)) ** 2))


def _lagged(goal: Array, steps: float) -> Array:
    """Return first-order lag of (n, k) over a time constant of 1 / ``steps`` samples."""
    share = 1.0 - float(np.exp(-steps))
    out: Array = goal.copy()
    for i in range(1, len(goal)):
        out[i] = out[i - 1] + share * (goal[i] - out[i - 1])
    return out
