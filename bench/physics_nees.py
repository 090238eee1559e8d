# SPDX-License-Identifier: Apache-2.0
"""Normalised estimation error squared: whether a filter errs as much as it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from airtwin_core import stats
from airtwin_core.types import Array


@dataclass(frozen=True, slots=True)
class Nees:
    """Mean NEES over ``count`` independent samples of ``dof`` degrees of freedom."""

    mean: float
    count: float
    dof: int

    @property
    def per_dof(self) -> float:
        return round(self.mean / self.dof, 2)

    def row(self, name: str) -> dict[str, Any]:
        """Return the keys ``name``, ``name_band``, ``name_in_band``, over one degree each."""
        low, high = stats.mean_chi2_band(self.dof, self.count)
        return {
            name: self.per_dof,
            f"{name}_band": [round(low / self.dof, 2), round(high / self.dof, 2)],
            f"{name}_in_band": low <= self.mean <= high,
        }


def nees(error: Array, covariance: Array) -> Nees:
    """Judge errors (n, k) with covariances (n, k, k), both in [m]."""
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, error[:, :, None])[:, :, 0]
    mean = float(np.mean(np.sum(whitened**2, axis=1)))
    return Nees(mean, stats.effective_count(whitened), error.shape[1])
