# SPDX-License-Identifier: Apache-2.0
"""One set of parameters for whole flights: robust least squares over their blocks.

Two steps, as in flight: the two forces along the rotors' discs tell drag and a wind that wanders
(``_WIND_S`` apart); the force along the axis and the three turns then tell mass, centre of mass,
trim and effectiveness. What flights cannot tell (the surer of mass and thrust constant, inertia,
moment constant) stays at its first belief and adds to the covariance (consider covariance: Tapley,
Schutz, Born, Statistical Orbit Determination, 2004, ch. 6). Residuals that hang together in time
count as the few that they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from airtwin_core.types import Array
from airtwin_physics.identify import prior
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.model import felt_all
from airtwin_physics.identify.rows import (
    BODY_DRAG,
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    FORCE,
    INERTIA_LEVEL,
    INERTIA_YAW,
    MASS,
    MOMENT,
    ROTOR_DRAG,
    STAMP,
    THRUST,
    TURN,
    WIND,
    YAW_TRIM,
    Craft,
    size,
)

_WIND_S = 5.0  # between two values of the wind
_WIND_STEP_M_S = 1.0  # sigma of their difference
_HUBER = 2.0  # sigmas from which on a residual counts less
_MAD = 1.4826  # of a normal distribution, sigma over median of absolute deviations
_LEAST_BLOCKS = 50
_LAG_MAX = 200  # blocks
AXES = ("force x", "force y", "force z", "turn x", "turn y", "turn z")


class NothingToFit(ValueError):
    """Too little judged flight."""


@dataclass(frozen=True, slots=True)
class Fit:
    """``theta`` (N,), ``covariance`` (N, N) as in ``rows``; the level wind is in m/s NED itself.

    ``winds``: per flight (k, 3) time [s], north, east; ``noise`` (6,) sigma of one block.
    """

    theta: Array
    covariance: Array
    winds: tuple[Array, ...]
    noise: Array
    blocks: int


def measured(flight: Array) -> Array:
    """Return (n, 6): specific force and angular acceleration of each block."""
    return np.asarray(np.hstack((flight[:, FORCE : FORCE + 3], flight[:, TURN : TURN + 3])))


def expected(theta: Array, wind: Array, flight: Array, craft: Craft) -> tuple[Array, Array]:
    """Return (n, 6) what the model expects and (n, 6, N) its slopes; ``wind`` as in ``Fit``."""
    n = theta.size
    out, slopes = np.zeros((len(flight), 6)), np.zeros((len(flight), 6, n))
    level = np.stack([np.interp(flight[:, STAMP], wind[:, 0], wind[:, k]) for k in (1, 2)], 1)
    felt_all(theta, np.ascontiguousarray(level), flight, craft, out, slopes)
    return out, slopes


def fit(flights: list[Array], craft: Craft, config: IdentifyConfig | None = None) -> Fit:
    """Fit all flights, each (blocks, width).

    Raises:
        NothingToFit: fewer than 50 blocks (5 s) of judged flight.
    """
    config = config or IdentifyConfig()
    total = sum(len(flight) for flight in flights)
    if total < _LEAST_BLOCKS:
        raise NothingToFit(
            f"only {total * config.block_s:.1f} s of judged flight in free air, "
            f"need {_LEAST_BLOCKS * config.block_s:.0f} s"
        )
    first = prior.covariance(config, craft)
    theta = np.zeros(first.shape[0])
    winds = [still_wind(flight) for flight in flights]
    covariance = first.copy()
    noise = np.full(6, 1.0)
    drags = [ROTOR_DRAG, BODY_DRAG]
    for _ in range(3):  # each step uses what the other found
        theta, winds, noise[:2], covariance = _drag(
            theta, winds, flights, craft, config, first, drags, covariance
        )
        theta, noise[2:], covariance = _rest(
            theta, winds, flights, craft, config, first, covariance
        )
    return Fit(theta, covariance, tuple(winds), noise, total)


def still_wind(flight: Array) -> Array:
    """Return (k, 3): times [s] over a flight, and no wind."""
    start, end = float(flight[0, STAMP]), float(flight[-1, STAMP])
    count = max(2, round((end - start) / _WIND_S) + 1)
    wind = np.zeros((count, 3))
    wind[:, 0] = np.linspace(start, max(end, start + 1.0), count)
    return wind


def fit_wind(theta: Array, flight: Array, craft: Craft, config: IdentifyConfig) -> Array:
    """Return the wind (k, 3) of one flight, all other parameters given."""
    wind = [still_wind(flight)]
    first = prior.covariance(config, craft)
    return _drag(theta, wind, [flight], craft, config, first, [], first)[1][0]


def _drag(
    theta: Array,
    winds: list[Array],
    flights: list[Array],
    craft: Craft,
    config: IdentifyConfig,
    first: Array,
    free: list[int],
    covariance: Array,
) -> tuple[Array, list[Array], Array, Array]:
    """Step one: ``free`` (drags) and the wind of each flight from the forces along the discs."""
    counts = [len(w) for w in winds]
    offsets = len(free) + 2 * np.concatenate(([0], np.cumsum(counts)))
    sigma = np.sqrt(np.diag(first))

    def unpack(x: Array) -> tuple[Array, list[Array]]:
        one = theta.copy()
        one[free] = x[: len(free)]
        out = []
        for wind, start, count in zip(winds, offsets, counts, strict=False):
            new = wind.copy()
            new[:, 1:] = x[start : start + 2 * count].reshape(count, 2)
            out.append(new)
        return one, out

    def data(x: Array) -> tuple[Array, Array]:
        one, all_winds = unpack(x)
        residuals, rows = [], []
        for flight, wind, start in zip(flights, all_winds, offsets, strict=False):
            h, slopes = expected(one, wind, flight, craft)
            residuals.append((measured(flight) - h)[:, :2].ravel())
            row = np.zeros((len(flight), 2, x.size))
            row[:, :, : len(free)] = slopes[:, :2, free]
            place = np.clip(np.searchsorted(wind[:, 0], flight[:, STAMP]), 1, len(wind) - 1)
            after = (flight[:, STAMP] - wind[place - 1, 0]) / (wind[place, 0] - wind[place - 1, 0])
            after = np.clip(after, 0.0, 1.0)
            for axis in range(2):
                for knot, share in ((place - 1, 1.0 - after), (place, after)):
                    column = start + 2 * knot + axis
                    index = np.arange(len(flight))
                    for r in range(2):
                        row[index, r, column] += slopes[:, r, WIND + axis] * share
            rows.append(row.reshape(-1, x.size))
        return np.concatenate(residuals), np.vstack(rows)

    lines = _before([float(sigma[k]) for k in free], counts, config.wind_sigma_m_s)
    x = np.concatenate([theta[free], *(w[:, 1:].ravel() for w in winds)])
    x, noise, information, _ = _solve(x, data, lines, 2)
    new, new_winds = unpack(x)
    covariance = covariance.copy()
    if free:
        covariance[np.ix_(free, free)] = np.linalg.inv(information)[: len(free), : len(free)]
    return new, new_winds, noise, covariance


def _before(sigmas: list[float], counts: list[int], wind_sigma_m_s: float) -> Array:
    """Return rows whose products with x have unit variance: drags, first winds, their steps."""
    total = len(sigmas) + 2 * sum(counts)
    lines = [np.eye(total)[k] / sigma for k, sigma in enumerate(sigmas)]
    start = len(sigmas)
    for count in counts:
        for axis in range(2):
            lines.append(np.eye(total)[start + axis] / wind_sigma_m_s)
            for knot in range(1, count):
                line = np.zeros(total)
                line[start + 2 * knot + axis] = 1.0 / _WIND_STEP_M_S
                line[start + 2 * (knot - 1) + axis] = -1.0 / _WIND_STEP_M_S
                lines.append(line)
        start += 2 * count
    return np.array(lines)


def _rest(
    theta: Array,
    winds: list[Array],
    flights: list[Array],
    craft: Craft,
    config: IdentifyConfig,
    first: Array,
    covariance: Array,
) -> tuple[Array, Array, Array]:
    """Step two: mass or thrust, centre of mass, trim, effectiveness."""
    teaches = prior.learnt(config, craft.rotors.shape[0])
    ratio = MASS if teaches[2, MASS] > 0.0 else THRUST
    free = [ratio, CENTRE_X, CENTRE_Y, YAW_TRIM, *range(EFFECT, size(craft.rotors.shape[0]))]
    held = [k for k in (MASS, THRUST, MOMENT, INERTIA_LEVEL, INERTIA_YAW) if k not in free]
    rows: list[Array] = []

    def data(x: Array) -> tuple[Array, Array]:
        one = theta.copy()
        one[free] = x
        residuals = []
        rows.clear()
        for flight, wind in zip(flights, winds, strict=True):
            h, slopes = expected(one, wind, flight, craft)
            residuals.append((measured(flight) - h)[:, 2:].ravel())
            rows.append(slopes[:, 2:, :].reshape(-1, theta.size))
        slope = np.vstack(rows)[:, free].copy()
        # along the axis only the ratio and the rotors teach, see prior.learnt
        slope[0::4, 1:4] = 0.0
        slope[np.arange(len(slope)) % 4 != 0, 0] = 0.0
        return np.concatenate(residuals), slope

    root = np.linalg.cholesky(np.linalg.inv(first[np.ix_(free, free)])).T
    x, noise, information, weights = _solve(theta[free], data, root, 4)
    inverse = np.linalg.inv(information)
    # what is held is uncertain too, and so is the drag
    others = [*held, ROTOR_DRAG, BODY_DRAG]
    data(x)
    whole = np.vstack(rows)
    taught = whole[:, free].copy()
    taught[0::4, 1:4] = 0.0
    taught[np.arange(len(taught)) % 4 != 0, 0] = 0.0
    response = -inverse @ (taught.T * weights) @ whole[:, others]
    known = inverse + response @ covariance[np.ix_(others, others)] @ response.T
    new = theta.copy()
    new[free] = x
    covariance = covariance.copy()
    covariance[np.ix_(free, free)] = known
    return new, noise, covariance


def _solve(x: Array, data, lines: Array, channels: int):  # type: ignore[no-untyped-def]
    """Return (x, noise (channels,), information, weight of each residual) of the robust fit.

    ``data(x)``: residuals and slopes of the model, channel by channel within each block;
    ``lines @ x`` has unit variance before the flight.
    """
    noise = np.ones(channels)
    for _ in range(2):
        residuals = data(x)[0].reshape(-1, channels)
        spread = _MAD * np.median(np.abs(residuals - np.median(residuals, axis=0)), axis=0)
        noise = np.maximum(spread, 1e-3)
        scale = np.tile(1.0 / noise, len(residuals))

        def cost(x: Array, scale: Array = scale) -> Array:
            weighted = data(x)[0] * scale
            far = np.abs(weighted)
            # the square root of Huber's cost, so that priors stay squares
            beyond = np.maximum(far, _HUBER)
            huber = np.where(far > _HUBER, np.sqrt(2 * _HUBER * beyond - _HUBER**2), far)
            return np.concatenate((np.sign(weighted) * huber, lines @ x))

        def slope(x: Array, scale: Array = scale) -> Array:
            residual, rows = data(x)
            beyond = np.maximum(np.abs(residual * scale), _HUBER)
            huber = _HUBER / np.sqrt(2 * _HUBER * beyond - _HUBER**2)
            return np.vstack((-rows * (scale * huber)[:, None], lines))

        x = least_squares(cost, x, jac=slope, method="trf", x_scale="jac", max_nfev=30).x
    residual, rows = data(x)
    table = residual.reshape(-1, channels)
    alike = np.array([_repeats(column) for column in table.T])
    far = np.maximum(np.abs(table / noise), 1e-12)
    weights = (np.minimum(1.0, _HUBER / far) / (noise**2 * alike)).ravel()
    information = (rows.T * weights) @ rows + lines.T @ lines
    return x, noise, information, weights


def _repeats(residuals: Array) -> float:
    """Return how many neighbouring residuals count as one: 1 + 2 sum of the autocorrelation.

    The sum ends where the correlation first falls below zero (Geyer, 1992, first positive run).
    """
    r = residuals - np.mean(residuals)
    power = float(r @ r)
    if power <= 0.0:
        return 1.0
    total = 1.0
    for lag in range(1, min(_LAG_MAX, len(r) // 4)):
        value = float(r[lag:] @ r[:-lag]) / power
        if value <= 0.0:
            break
        total += 2.0 * value
    return total


def explained(theta: Array, flights: list[Array], craft: Craft, config: IdentifyConfig) -> Array:
    """Return (3, 6): share of variance explained, RMS residual, RMS about the mean, per axis.

    The wind of these flights is fitted, as nobody knows it; all else is ``theta``.
    """
    residuals, values = [], []
    for flight in flights:
        wind = fit_wind(theta, flight, craft, config)
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
