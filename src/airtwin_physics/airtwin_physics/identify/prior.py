# SPDX-License-Identifier: Apache-2.0
"""What is believed before the flight, how fast it may change, and the names of it all."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import GRAVITY_M_S2
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.rows import (
    BODY_DRAG,
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    GUST,
    INERTIA_LEVEL,
    INERTIA_YAW,
    INFLOW,
    K_MOMENT,
    LAG,
    MASS,
    MOMENT,
    ROLLING,
    ROTOR_DRAG,
    SPAN,
    THRUST,
    VELOCITY,
    WIND,
    YAW_TRIM,
    Craft,
    size,
)

_CONSIDERED = (MOMENT, BODY_DRAG, INERTIA_LEVEL, INERTIA_YAW, INFLOW, ROLLING, LAG)
_LEFT_OUT_S = 30.0
_USUAL_S = 20.0


def covariance(config: IdentifyConfig, craft: Craft) -> Array:
    """Return (N, N) of what the filters start from.

    That is ``logarithms``; but a ratio e^x that is only considered never moves, so it counts by
    its distance from the file's, E (e^x - 1)^2 = e^(2 s^2) - 2 e^(s^2 / 2) + 1 for x of variance
    s^2: half as much or twice as much is more than a half to either side.
    """
    p = logarithms(config, craft)
    for i in _CONSIDERED:
        square = p[i, i]
        p[i, i] = np.exp(2.0 * square) - 2.0 * np.exp(0.5 * square) + 1.0
    return p


def logarithms(config: IdentifyConfig, craft: Craft) -> Array:
    """Return (N, N) of the parameters before the first flight.

    Effectiveness is relative: the prior lets no mean of all rotors vary, that is ``THRUST``.
    """
    c, n = config, craft.rotors.shape[0]
    sigma = np.zeros(size(n))
    sigma[MASS], sigma[THRUST], sigma[MOMENT] = c.mass_sigma, c.thrust_sigma, c.moment_sigma
    sigma[CENTRE_X] = sigma[CENTRE_Y] = c.centre_sigma_m
    sigma[ROTOR_DRAG], sigma[BODY_DRAG] = c.rotor_drag_sigma, c.body_drag_sigma
    sigma[INERTIA_LEVEL] = sigma[INERTIA_YAW] = c.inertia_sigma
    sigma[INFLOW], sigma[ROLLING], sigma[LAG] = c.inflow_sigma, c.rolling_sigma, c.lag_sigma
    reaction = craft.mass_kg * GRAVITY_M_S2 * float(np.max(craft.rotors[:, K_MOMENT]))
    sigma[YAW_TRIM] = c.yaw_trim_sigma * reaction
    sigma[WIND : WIND + 2] = c.wind_sigma_m_s
    sigma[WIND + 2] = 0.3
    sigma[GUST : GUST + 2] = 1e-3  # grows with the wind
    p = np.diag(sigma**2)
    p[EFFECT:, EFFECT:] = c.effect_sigma**2 * (np.eye(n) - 1.0 / n) + 1e-8 * np.eye(n)
    return p


def walks(config: IdentifyConfig, rotors: int) -> Array:
    """Return (2 + n, N): variance per second of each parameter in each filter of the bank."""
    c = config
    slow = np.zeros(size(rotors))
    slow[MASS], slow[THRUST] = c.mass_walk, c.thrust_walk
    coefficients = [
        MOMENT,
        ROTOR_DRAG,
        BODY_DRAG,
        INERTIA_LEVEL,
        INERTIA_YAW,
        INFLOW,
        ROLLING,
        LAG,
    ]
    slow[coefficients] = c.coefficient_walk
    slow[WIND : WIND + 2] = c.wind_walk_m_s
    slow[CENTRE_X] = slow[CENTRE_Y] = c.centre_walk_m
    slow[EFFECT:] = c.effect_walk
    out = np.tile(slow**2, (2 + rotors, 1))
    for i in range(rotors):
        out[1 + i, EFFECT + i] = c.fault_walk**2
    out[-1, MASS] = c.payload_walk**2
    out[-1, [CENTRE_X, CENTRE_Y]] = c.payload_centre_walk_m**2
    return out


def jumps(config: IdentifyConfig, rotors: int) -> Array:
    """Return (2 + n, N): variance that the abrupt change of each filter adds."""
    out = np.zeros((2 + rotors, size(rotors)))
    for i in range(rotors):
        out[1 + i, EFFECT + i] = config.fault_jump**2
    out[-1, MASS] = config.mass_sigma**2
    out[-1, [CENTRE_X, CENTRE_Y]] = config.centre_sigma_m**2
    return out


def learnt(config: IdentifyConfig, rotors: int) -> Array:
    """Return (6, N): 1 where a measurement may teach a parameter, 0 where it is only considered.

    PX4 publishes every fifth command or so. Between two samples the commands jitter with the
    gyro's noise, and a regression on noisy inputs comes out too small: inertia would look large,
    and rotors weak. So what only turns can tell keeps its first belief. Mass and thrust constant
    share one ratio in everything but turns: the surer of the two keeps its first belief as well.
    Wind and drag are learnt where they act first, along the rotors' discs; through torque and
    inflow they would be learnt from coefficients that nobody measures. The body's drag, of second
    order in the wind, is left to the fit over whole flights.
    """
    out = np.zeros((6, size(rotors)))
    out[0:2, WIND : WIND + 2] = 1.0
    out[0:2, GUST : GUST + 2] = 1.0
    out[0:2, ROTOR_DRAG] = 1.0
    out[2, MASS if config.thrust_sigma <= config.mass_sigma else THRUST] = 1.0
    out[2, WIND + 2] = 1.0
    out[2:6, EFFECT:] = 1.0
    out[3:6, [CENTRE_X, CENTRE_Y, YAW_TRIM]] = 1.0
    return out


def left_out(config: IdentifyConfig, rotors: int) -> Array:
    """Return (N,) sigmas of what the model leaves out, which no length of flight averages away.

    What walks in flight (see ``walks``) is taken as it is after ``_LEFT_OUT_S`` of flight.
    """
    return np.asarray(np.sqrt(walks(config, rotors)[0] * _LEFT_OUT_S))


def drag_shows(usual: Array, block: Array, config: IdentifyConfig) -> bool:
    """Return whether the aircraft flies so that its drag shows.

    In hover a gust pushes the aircraft along: speed and wind go together, and what the gusts'
    model leaves out would be taken for drag. ``usual`` (2,) [m/s] NE: mean velocity, goes on here.
    """
    level = block[VELOCITY : VELOCITY + 2]
    usual += min(block[SPAN] / _USUAL_S, 1.0) * (level - usual)
    off = level - usual
    return bool(off @ off > config.drag_speed_m_s**2)
