# SPDX-License-Identifier: Apache-2.0
"""Statistics that decide: normalised innovations, their limits, and detectors over time."""

from __future__ import annotations

import numpy as np
from scipy import special

from airtwin_core.types import Array


def nis(residual: Array, cov: Array) -> float:
    """Return r^T S^-1 r [-]; residual (n,), cov (n, n), same frame and unit.

    Chi-square with n degrees of freedom if both estimates are honest and independent; sensors
    that they share make it too small.

    Raises:
        numpy.linalg.LinAlgError: cov is not positive definite.
    """
    whitened = np.linalg.solve(np.linalg.cholesky(cov), residual)
    return float(whitened @ whitened)


def chi2_limit(dof: int, probability: float) -> float:
    """Return the value that a chi-square of ``dof`` stays below with ``probability``."""
    return float(special.chdtri(dof, 1.0 - probability))


_CHANCE_MAX = 0.3  # [-] a series of a few correlation lengths still shows this much


def effective_count(whitened: Array) -> float:
    """Return how many independent samples a correlated series is worth, 1 to n.

    ``whitened``: (n, k) errors divided by their claimed covariance's root (``L^-1 e``), at even
    steps, in order of time: independent axes of unit variance if the claim is honest. The mean of
    their squared lengths (NEES, NIS) then varies like that of so many independent chi-squares:
    n / (1 + 2 sum (1 - l/n) r(l)), where r(l) = |C(l)|_F^2 / |C(0)|_F^2 because the covariance of
    two squares of Gaussians is twice the square of theirs (Isserlis). Autocovariances C(l) (k, k)
    are taken about zero, not about the mean: a lasting bias is one error, not many. The sum ends
    at the first lag whose r is what chance gives a series of that length and correlation.

    Sources: Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and
    Navigation" (2001), 5.4.2, for the tests of NEES and NIS, which presuppose independent
    samples; Bartlett, "On the theoretical specification and sampling properties of
    autocorrelated time-series" (1946), for the variance of a mean of dependent ones.
    """
    n, k = whitened.shape
    scale = float(np.sum((whitened.T @ whitened / n) ** 2))
    if n < 2 or not scale > 0.0:
        return float(min(n, 1))
    total = 1.0
    for lag in range(1, n):
        cov = whitened[:-lag].T @ whitened[lag:] / (n - lag)
        r = float(np.sum(cov**2)) / scale
        if r <= min(k * total / n, _CHANCE_MAX):
            break
        total += 2.0 * (1.0 - lag / n) * min(r, 1.0)
    return float(np.clip(n / total, 1.0, n))


def mean_chi2_band(dof: int, count: float, probability: float = 0.95) -> tuple[float, float]:
    """Return where the mean of ``count`` independent chi-squares of ``dof`` lies, two-sided.

    ``count`` need not be whole. Source: Bar-Shalom et al. (2001), 5.4.2.
    """
    tail = 0.5 * (1.0 - probability)
    low, high = (special.gammaincinv(0.5 * dof * count, p) for p in (tail, 1.0 - tail))
    return 2.0 * float(low) / count, 2.0 * float(high) / count
