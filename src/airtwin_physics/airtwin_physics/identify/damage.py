# SPDX-License-Identifier: Apache-2.0
"""A rotor that was weak before anybody looked. Pure.

Rotors of one aircraft are alike to a few percent, but one may be damaged, and may have been before
take-off, where no filter of the bank saw it fall. Its moment is that of a centre of
mass that lies elsewhere; only yaw, lift and what rotors are like tell them apart. So what is
believed is held against n more hypotheses: rotor i was weak. Nothing is filtered again: all is
linear and Gaussian, and what a broader first belief would have given follows from the last one.

With P0, P the covariance before and after, theta the mean after, and a shift along e of unknown
size delta ~ N(0, v), g = P0^-1 e: the flight's evidence on delta is a = e g - g P g of
information and b = g theta, so delta ~ N(s^2 b, s^2), s^2 = 1 / (a + 1 / v); given delta, theta
moves by P g delta. The odds against no shift: exp(s^2 b^2 / 2) / sqrt(1 + v a).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.rows import EFFECT, MASS, THRUST


def told(
    theta: Array, p: Array, first: Array, lifting: Sequence[int], config: IdentifyConfig
) -> tuple[Array, Array]:
    """Return theta (N,) and P (N, N) as they are if any rotor may have been weak from the start.

    ``first``: (N, N) the belief before, with what was freed since; ``lifting``: the rotors.
    """
    n = theta.size - EFFECT
    share, v = config.damaged / max(len(lifting), 1), config.fault_jump**2
    weights, means, spreads = [1.0 - config.damaged], [np.zeros_like(theta)], [0.0 * p]
    for rotor in lifting:
        # all rotors weaker and an aircraft heavier by as much look alike: along e the mean stays
        e, alike = np.zeros_like(theta), np.zeros_like(theta)
        alike[EFFECT:] = 1.0 / n
        if config.thrust_sigma <= config.mass_sigma:
            alike[MASS] = 1.0 / n
        else:
            alike[THRUST] = -1.0 / n
        e[EFFECT + rotor] = 1.0
        e -= alike
        g = np.linalg.solve(first, e)
        through = p @ g
        a, b = max(float(e @ g - g @ through), 0.0), float(g @ theta)
        s2 = 1.0 / (a + 1.0 / v)
        delta = s2 * b
        # a rotor is damaged by losing
        losing = math.erfc(delta / math.sqrt(2.0 * s2))
        odds = math.exp(min(0.5 * delta * b, 300.0)) / math.sqrt(1.0 + v * a)
        weights.append(share * losing * odds)
        along = through + alike
        means.append(along * delta)
        spreads.append(np.outer(along, along) * s2)
    weight = np.array(weights) / np.sum(weights)
    mean = weight @ np.array(means)
    apart = np.array(means) - mean
    more = np.einsum("h,hij->ij", weight, np.array(spreads))
    more += np.einsum("h,hi,hj->ij", weight, apart, apart)
    return theta + mean, p + more
