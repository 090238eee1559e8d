# SPDX-License-Identifier: Apache-2.0
"""The level wind of a recorded flight, everything else of the aircraft given.

Values ``_WIND_S`` apart, straight lines between them, neighbours alike to ``_WIND_STEP_M_S``: a
wind for a person's eyes and for judging a set of parameters on a flight that it never saw. What
blows faster stays in the residual.
"""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.model import felt_all
from airtwin_physics.identify.rows import FORCE, STAMP, TURN, WIND, Craft

_WIND_S = 5.0  # between two values of the wind
_WIND_STEP_M_S = 1.0  # sigma of their difference
_HUBER = 2.0  # sigmas from which on a residual counts less
MAD = 1.4826  # of a normal distribution, sigma over median of absolute deviations
_NOISE_MIN_M_S2 = 1e-3
_ITERATIONS = 6


def measured(flight: Array) -> Array:
    """Return (n, 6): specific force and angular acceleration of each block."""
    return np.asarray(np.hstack((flight[:, FORCE : FORCE + 3], flight[:, TURN : TURN + 3])))


def expected(theta: Array, wind: Array, flight: Array, craft: Craft) -> tuple[Array, Array]:
    """Return (n, 6) what the model expects and (n, 6, N) its slopes.

    ``wind`` (k, 3) as ``level_wind`` has it; slopes are by the level wind itself, not by its
    product with the drag's ratio.
    """
    n = theta.size
    out, slopes = np.zeros((len(flight), 6)), np.zeros((len(flight), 6, n))
    level = np.stack([np.interp(flight[:, STAMP], wind[:, 0], wind[:, k]) for k in (1, 2)], 1)
    felt_all(theta, np.ascontiguousarray(level), flight, craft, out, slopes)
    return out, slopes


def level_wind(theta: Array, flight: Array, craft: Craft, config: IdentifyConfig) -> Array:
    """Return (k, 3): times [s] over the flight, wind north and east [m/s].

    Robust least squares (Huber) on the two forces along the rotors' discs, by Gauss and Newton.
    """
    start, end = float(flight[0, STAMP]), float(flight[-1, STAMP])
    count = max(2, round((end - start) / _WIND_S) + 1)
    wind = np.zeros((count, 3))
    wind[:, 0] = np.linspace(start, max(end, start + 1.0), count)
    knot = np.clip(np.searchsorted(wind[:, 0], flight[:, STAMP]), 1, count - 1)
    after = (flight[:, STAMP] - wind[knot - 1, 0]) / (wind[knot, 0] - wind[knot - 1, 0])
    after = np.clip(after, 0.0, 1.0)
    steps = (np.eye(count)[1:] - np.eye(count)[:-1]) / _WIND_STEP_M_S
    one_axis = np.vstack((np.eye(count)[:1] / config.wind_sigma_m_s, steps))
    prior = np.kron(one_axis.T @ one_axis, np.eye(2))  # knot by knot: north, east
    index = np.arange(len(flight))
    for _ in range(_ITERATIONS):
        h, slopes = expected(theta, wind, flight, craft)
        residual = (measured(flight) - h)[:, :2]
        rows = np.zeros((len(flight), 2, count, 2))
        for axis in range(2):
            rows[index, :, knot - 1, axis] += slopes[:, :2, WIND + axis] * (1.0 - after)[:, None]
            rows[index, :, knot, axis] += slopes[:, :2, WIND + axis] * after[:, None]
        noise = MAD * np.median(np.abs(residual - np.median(residual, axis=0)), axis=0)
        noise = np.maximum(noise, _NOISE_MIN_M_S2)
        far = np.maximum(np.abs(residual / noise), _HUBER)
        weight = (_HUBER / far / noise**2).ravel()
        flat = rows.reshape(-1, 2 * count)
        x = wind[:, 1:].ravel()
        push = flat.T @ (weight * residual.ravel()) - prior @ x
        x = x + np.linalg.solve((flat.T * weight) @ flat + prior, push)
        wind[:, 1:] = x.reshape(count, 2)
    return wind


def explained(theta: Array, flights: list[Array], craft: Craft, config: IdentifyConfig) -> Array:
    """Return (3, 6): share of variance explained, RMS residual, RMS about the mean, per axis.

    The wind of these flights is fitted, as nobody knows it; all else is ``theta``.
    """
    residuals, values = [], []
    for flight in flights:
        wind = level_wind(theta, flight, craft, config)
        residuals.append(measured(flight) - expected(theta, wind, flight, craft)[0])
        values.append(measured(flight))
    r, y = np.vstack(residuals), np.vstack(values)
    around = y - y.mean(axis=0)
    return np.stack(
        (
            1.0 - np.sum(r**2, axis=0) / np.maximum(np.sum(around**2, axis=0), 1e-12),
            np.sqrt(np.mean(r**2, axis=0)),
            np.sqrt(np.mean(around**2, axis=0)),
        )
    )
