# SPDX-License-Identifier: Apache-2.0
"""One set of parameters for whole flights: the filter of the flight, over and over.

The same model as in flight (gusts beside a mean wind, parameters that are only considered), but
nothing walks, nothing jumps but what ``changes`` saw jump, and each pass is linear at what the
last one found: at the end that is the most probable set of parameters (Gauss and Newton), with the
covariance of all of them together, held ones included (Schmidt). Noise is what the innovations of
the last pass show; innovations that hang together in time count as the few that they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify import bank, changes, damage, prior
from airtwin_physics.identify.changes import Change
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.level_wind import MAD, level_wind
from airtwin_physics.identify.rows import (
    GUST,
    K_THRUST,
    SPREAD,
    TURN_SPREAD,
    VELOCITY,
    WIND,
    Craft,
)

_LEAST_BLOCKS = 50
_PASSES = 5
_LAG_MAX = 200  # blocks
AXES = ("force x", "force y", "force z", "turn x", "turn y", "turn z")


class NothingToFit(ValueError):
    """Too little judged flight."""


@dataclass(frozen=True, slots=True)
class Fit:
    """``theta`` (N,), ``covariance`` (N, N) as in ``rows``; of the wind, that of the last block.

    ``winds``: per flight as in ``level_wind``; ``noise`` (6,) sigma of one block beyond the IMU's.
    """

    theta: Array
    covariance: Array
    winds: tuple[Array, ...]
    noise: Array
    blocks: int


def fit(
    flights: list[Array],
    craft: Craft,
    config: IdentifyConfig | None = None,
    changed: Sequence[tuple[Change, ...]] = (),
) -> Fit:
    """Fit all flights, each (blocks, width).

    ``changed``: of each flight, what changed abruptly (none: nothing); told is what was so at the
    end.

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
    n = craft.rotors.shape[0]
    first = prior.covariance(config, craft)
    learnt = prior.learnt(config, n)
    excited = [_drag_shows(flight, config) for flight in flights]
    freed = [changes.freed(c, config, n) for c in changed or [()] * len(flights)]
    floor = np.repeat([config.force_noise_m_s2**2, config.turn_noise_rad_s2**2], 3)
    noise, repeats = 4.0 * floor, np.ones(6)
    at = np.zeros(first.shape[0])
    for k in range(_PASSES):
        theta, p = np.zeros(first.shape[0]), first.copy()
        seen = []
        for flight, drag_shows, free in zip(flights, excited, freed, strict=True):
            _new_air(theta, p, first)
            innovations, variances = np.empty((len(flight), 6)), np.empty((len(flight), 6))
            edges = sorted({0, *free})
            for a, b in zip(edges, [*edges[1:], len(flight)], strict=True):
                p[np.diag_indices_from(p)] += free.get(a, 0.0)
                bank.over_flight(
                    theta, p, at, flight[a:b], drag_shows[a:b], noise * repeats, craft,
                    config.gate_sigma, learnt, config.wind_walk_m_s**2, k > 0,
                    innovations[a:b], variances[a:b],
                )  # fmt: skip
            seen.append((innovations, variances, flight))
        at = theta
        noise, repeats = _shown(seen, floor)
    before = first + np.diag(sum((v for free in freed for v in free.values()), np.zeros(len(p))))
    lifting: list[int] = np.flatnonzero(craft.rotors[:, K_THRUST]).tolist()
    theta, p = damage.told(theta, p, before, lifting, config)
    covariance = p + np.diag(prior.left_out(config, n) ** 2)
    winds = tuple(level_wind(theta, flight, craft, config) for flight in flights)
    return Fit(theta, covariance, winds, np.sqrt(noise), total)


def _drag_shows(flight: Array, config: IdentifyConfig) -> Array:
    usual = flight[0, VELOCITY : VELOCITY + 2].copy()
    shows = [prior.drag_shows(usual, block, config) for block in flight]
    return np.array(shows, dtype=np.float64)


def _new_air(theta: Array, p: Array, first: Array) -> None:
    """Another flight: nothing is known of its wind."""
    air = [*range(WIND, WIND + 3), GUST, GUST + 1]
    theta[air] = 0.0
    p[air, :] = 0.0
    p[:, air] = 0.0
    p[air, air] = first[air, air]


def _shown(seen: list[tuple[Array, Array, Array]], floor: Array) -> tuple[Array, Array]:
    """Return (6,) the noise [variance] and how many neighbours count as one."""
    noise, repeats = floor.copy(), np.ones(6)
    for k in range(6):
        spread = (SPREAD if k < 3 else TURN_SPREAD - 3) + k
        r = np.concatenate([i[:, k] for i, _, _ in seen])
        own = np.concatenate([v[:, k] + f[:, spread] for _, v, f in seen])
        sigma = MAD * float(np.median(np.abs(r)))
        noise[k] = max(sigma**2 - float(np.median(own)), floor[k])
        repeats[k] = max(_repeats(i[:, k] / np.sqrt(v[:, k] + noise[k])) for i, v, _ in seen)
    return noise, repeats


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
