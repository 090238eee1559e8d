# SPDX-License-Identifier: Apache-2.0
"""Where rollouts begin and with which aircraft: samples of a belief, of parameters, of the wind.

Each kind of number has its own stream, one row a rollout, so that rollout i is the same however
many others are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_core.types import Array, Identification, TwinState

# columns of factors, each 1 for the aircraft as its file has it; then one effectiveness a rotor
F_MASS, F_THRUST, F_DRAG, F_RESISTANCE, F_CAPACITY, F_ROTOR = range(6)

FACTOR_MIN, FACTOR_MAX = 0.05, 4.0
# what ``airtwin_physics.slow`` reports, and what it scales
NAMES = {
    "mass": F_MASS,
    "thrust_constant": F_THRUST,
    "thrust_over_mass": F_THRUST,
    "rotor_drag": F_DRAG,
    "battery_resistance": F_RESISTANCE,
    "battery_capacity": F_CAPACITY,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """How far an aircraft may be from its file, one sigma as a share of the value [-].

    Estimates: mass by scales and payload, thrust by air density (5 % between 0 and 30 deg C is
    twice this) and propellers, drag unknown to a third, batteries by age.
    """

    mass: float = 0.02
    thrust: float = 0.03
    drag: float = 0.15
    resistance: float = 0.2
    capacity: float = 0.05
    rotor: float = 0.02


@dataclass(frozen=True, slots=True)
class Wind:
    """Mean wind (3,) [m/s NED], where the air goes to, its covariance (3, 3), and gusts.

    ``gust``: intensity of the Dryden turbulence (``airtwin_physics.gusts``), 1: MIL-F-8785C with
    the mean wind as that at 20 ft; 0: none.
    """

    velocity_ned_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    covariance: tuple[tuple[float, float, float], ...] = ((0.0,) * 3,) * 3
    gust: float = 0.0


@dataclass(frozen=True, slots=True)
class Draws:
    """What makes n rollouts: ``factors`` (n, 5 + rotors), ``starts`` (n, 13), ``winds`` (n, 3).

    ``gusts``: the stream of their normals, ``looks`` rows of 5 a rollout, None without gusts.
    """

    factors: Array
    starts: Array
    winds: Array
    gusts: np.random.Generator | None


def draws(
    rng: np.random.Generator,
    n: int,
    rotors: int,
    belief: TwinState,
    wind: Wind,
    spread: Spread,
    identified: Identification | None,
    *,
    sampled: bool,
) -> Draws:
    """Return what makes n rollouts; not ``sampled``: the means, no gusts.

    Raises:
        ValueError: something is not finite, a covariance or the gusts' intensity negative.
    """
    if not wind.gust >= 0.0:
        raise ValueError(f"gusts of {wind.gust}: expected a number >= 0")
    streams = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=4)]
    return Draws(
        factors(streams[0], n, rotors, spread, identified, sampled=sampled),
        starts(streams[1], n, belief, sampled=sampled),
        winds(streams[2], n, wind, sampled=sampled),
        streams[3] if sampled and wind.gust > 0.0 else None,
    )


def factors(
    rng: np.random.Generator,
    n: int,
    rotors: int,
    spread: Spread,
    identified: Identification | None,
    *,
    sampled: bool,
) -> Array:
    """Return (n, 5 + rotors) factors: around the file, or what flight has told where it is known.

    Log-normal, except the rotors' effectiveness, which is normal; all within 0.05 to 4. Where
    thrust over mass is known, thrust goes with the mass drawn: a hover tells it better than both.
    """
    sigma = np.array([spread.mass, spread.thrust, spread.drag, spread.resistance, spread.capacity])
    sigma = np.concatenate((sigma, np.full(rotors, spread.rotor)))
    mean, goes_with_mass = np.ones(sigma.size), False
    parameters = () if identified is None else identified.parameters
    # thrust over mass last: it says more of the thrust than the thrust constant does
    for parameter in sorted(parameters, key=lambda one: one.name == "thrust_over_mass"):
        column = NAMES.get(parameter.name, -1)
        for i in range(rotors):
            column = F_ROTOR + i if parameter.name == f"rotor_{i}_effectiveness" else column
        scale = parameter.prior
        if column >= 0 and parameter.known and scale > 0.0 and parameter.value > 0.0:
            mean[column] = parameter.value / scale
            sigma[column] = parameter.sigma / parameter.value
            goes_with_mass = goes_with_mass or parameter.name == "thrust_over_mass"
    z = rng.standard_normal((n, sigma.size)) if sampled else np.zeros((n, sigma.size))
    drawn = mean * np.exp(sigma * z)
    drawn[:, F_ROTOR:] = mean[F_ROTOR:] * (1.0 + sigma[F_ROTOR:] * z[:, F_ROTOR:])
    if goes_with_mass:
        # told is the thrust of all rotors together, weak ones among them
        drawn[:, F_THRUST] *= drawn[:, F_MASS] / drawn[:, F_ROTOR:].mean(axis=1)
    return np.clip(drawn, FACTOR_MIN, FACTOR_MAX)


def starts(rng: np.random.Generator, n: int, belief: TwinState, *, sampled: bool) -> Array:
    """Return (n, 13): position, velocity [m, m/s NED], q_ned_frd, rate [rad/s FRD].

    Position, velocity and attitude are drawn together; a rate's error is the gyroscope bias's.

    Raises:
        ValueError: belief or covariance not finite, or the covariance negative.
    """
    mean = np.concatenate(
        (belief.position_ned_m, belief.velocity_ned_m_s, belief.q_ned_frd, belief.rate_frd_rad_s)
    )
    if not np.all(np.isfinite(mean)) or not np.all(np.isfinite(belief.covariance)):
        raise ValueError(f"the belief or its covariance is not finite: {mean}")
    out = np.tile(mean, (n, 1))
    if sampled:
        error = rng.standard_normal((n, 12)) @ root(belief.covariance[:12, :12]).T
        out[:, :6] += error[:, :6]
        out[:, 6:10] = _turned(mean[6:10], error[:, 6:9])
        out[:, 10:13] -= error[:, 9:12]
    out[:, 6:10] /= np.linalg.norm(out[:, 6:10], axis=1, keepdims=True)
    return out


def standing(starts: Array, ground_down_m: float) -> Array:
    """Return ``starts`` (n, 13) put on the ground, level and still, where each has its place."""
    out = np.zeros_like(starts)
    out[:, :2], out[:, 2] = starts[:, :2], ground_down_m
    w, x, y, z = starts[:, 6:10].T
    half = 0.5 * np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    out[:, 6], out[:, 9] = np.cos(half), np.sin(half)
    return out


def winds(rng: np.random.Generator, n: int, wind: Wind, *, sampled: bool) -> Array:
    """Return (n, 3) mean winds [m/s NED].

    Raises:
        ValueError: not finite, or the covariance negative.
    """
    mean = np.array(wind.velocity_ned_m_s, dtype=np.float64)
    covariance = np.array(wind.covariance, dtype=np.float64)
    finite = np.all(np.isfinite(mean)) and np.all(np.isfinite(covariance))
    if mean.shape != (3,) or covariance.shape != (3, 3) or not finite:
        raise ValueError(f"no wind: {wind}, expected 3 finite numbers and a (3, 3) covariance")
    out = np.tile(mean, (n, 1))
    if sampled:
        out += rng.standard_normal((n, 3)) @ root(covariance).T
    return out


def root(covariance: Array) -> Array:
    """Return A with A A^T = covariance, which may be singular.

    Raises:
        ValueError: an eigenvalue is clearly negative.
    """
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    if values[0] < -1e-9 * max(float(values[-1]), 1e-12):
        raise ValueError(
            f"no covariance: it has the eigenvalue {values[0]}, expected none below 0"
        )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _turned(q: Array, turns: Array) -> Array:
    """Return (n, 4): ``q`` followed by each rotation vector (n, 3) [rad] of the body."""
    size = np.linalg.norm(turns, axis=1, keepdims=True)
    x, y, z = (0.5 * np.sinc(size / (2.0 * np.pi)) * turns).T
    w = np.cos(0.5 * size[:, 0])
    a, b, c, d = q
    return np.stack(
        (
            a * w - b * x - c * y - d * z,
            b * w + a * x + c * z - d * y,
            c * w + a * y + d * x - b * z,
            d * w + a * z + b * y - c * x,
        ),
        axis=1,
    )
