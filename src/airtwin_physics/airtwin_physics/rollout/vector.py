# SPDX-License-Identifier: Apache-2.0
"""How the loops over lanes are compiled, and angles without transcendental functions."""

from __future__ import annotations

import math

import numba

# nsz and contract (fused multiply-add) keep NaN and infinity as they are; numpy's division does
# not raise, which would be a branch
vector = numba.njit(cache=True, error_model="numpy", fastmath={"nsz", "contract"})


@vector
def sine_cosine(angle: float) -> tuple[float, float]:
    """Return (sin, cos) of an angle within -pi to pi, error < 2e-9: Taylor at half the angle."""
    h = 0.5 * angle
    h2 = h * h
    s = h * (
        1.0
        + h2
        * (
            -1.0 / 6.0
            + h2
            * (
                1.0 / 120.0
                + h2
                * (
                    -1.0 / 5040.0
                    + h2 * (1.0 / 362880.0 + h2 * (-1.0 / 39916800.0 + h2 / 6227020800.0))
                )
            )
        )
    )
    c = 1.0 + h2 * (
        -0.5
        + h2
        * (
            1.0 / 24.0
            + h2
            * (
                -1.0 / 720.0
                + h2
                * (
                    1.0 / 40320.0
                    + h2 * (-1.0 / 3628800.0 + h2 * (1.0 / 479001600.0 - h2 / 87178291200.0))
                )
            )
        )
    )
    return 2.0 * s * c, c * c - s * s


@vector
def half_angle(c: float, s: float) -> tuple[float, float]:
    """Return (cos, sin) of half the angle whose cosine and sine are given."""
    big = math.sqrt(0.5 * (1.0 + abs(c)))
    small = 0.5 * s / big
    signed = big if s >= 0.0 else -big
    return (big if c >= 0.0 else abs(small)), (small if c >= 0.0 else signed)


@vector
def quarter_turn(c: float, s: float) -> float:
    """Return the angle within -pi/2 to pi/2 of (cos, sin), cos >= 0; error < 2e-6 rad.

    Twice twice the arc tangent of the tangent of a quarter of it, which is at most tan(pi/8).
    """
    t = s / (1.0 + c)
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    t2 = t * t
    tan = t * (
        1.0
        + t2
        * (
            -1.0 / 3.0
            + t2 * (0.2 + t2 * (-1.0 / 7.0 + t2 * (1.0 / 9.0 + t2 * (-1.0 / 11.0 + t2 / 13.0))))
        )
    )
    return 4.0 * tan
