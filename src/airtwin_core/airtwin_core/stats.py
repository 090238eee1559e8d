# SPDX-License-Identifier: Apache-2.0
"""Statistics that decide: normalised innovations, their limits, and detectors over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Cusum:
    """Two-sided cumulative sum of a normalised residual (unit variance when all is well).

    ``slack`` [-] is half the shift to find, ``value`` the larger of the two sums. Source: Page,
    "Continuous inspection schemes", Biometrika 41 (1954).
    """

    slack: float
    high: float = 0.0
    low: float = 0.0

    def update(self, normalised: float) -> float:
        """Add one residual and return the larger sum [-]; NaN in, NaN out."""
        if not np.isfinite(normalised):
            return float("nan")
        self.high = max(0.0, self.high + normalised - self.slack)
        self.low = max(0.0, self.low - normalised - self.slack)
        return max(self.high, self.low)

    def reset(self) -> None:
        """Forget the sums."""
        self.high = self.low = 0.0


@dataclass(slots=True)
class WindowedChiSquare:
    """Sum of the last ``length`` NIS values of ``dof`` each, as ratio to its limit.

    The ratio passes while it is <= 1. Until ``length`` values are in, the limit is that of the
    values that are.
    """

    length: int
    dof: int
    probability: float
    _values: deque[float] = field(default_factory=deque)

    def update(self, value: float) -> float:
        """Add one NIS [-] and return sum / limit [-]; NaN in, NaN out."""
        if not np.isfinite(value):
            return float("nan")
        self._values.append(value)
        if len(self._values) > self.length:
            self._values.popleft()
        return sum(self._values) / chi2_limit(self.dof * len(self._values), self.probability)

    def reset(self) -> None:
        """Forget the window."""
        self._values.clear()
