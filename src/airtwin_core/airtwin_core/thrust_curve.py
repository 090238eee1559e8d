# SPDX-License-Identifier: Apache-2.0
"""What PX4 makes of a commanded thrust before an ESC sees it. Pure.

PX4's parameter THR_MDL_FAC, f: relative thrust = f x^2 + (1 - f) x of the ESC's signal x, both 0
to 1 (v1.18, src/lib/mixer_module/functions/FunctionMotors.hpp). actuator_motors holds the thrust,
and speed goes with the signal; 0, the default, leaves them alike.
"""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array


def signal(thrust: Array, factor: float | Array) -> Array:
    """Return the ESC's signal for commanded thrusts (n,); NaN stays, below 0 it is mirrored."""
    f, size = np.asarray(factor, dtype=np.float64), np.abs(thrust)
    # the quadratic's root without a difference, so that a small factor loses no digits
    below = 1.0 - f + np.sqrt((1.0 - f) ** 2 + 4.0 * f * size)
    return np.asarray(2.0 * thrust / np.where(below > 0.0, below, 1.0))


def thrust(signal: Array, factor: float | Array) -> Array:
    """Return the commanded thrust that gives an ESC's signal: the inverse of ``signal``."""
    f = np.asarray(factor, dtype=np.float64)
    return np.asarray(signal * (f * np.abs(signal) + (1.0 - f)))
