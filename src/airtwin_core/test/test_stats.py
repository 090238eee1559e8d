# SPDX-License-Identifier: Apache-2.0
"""Detectors against tables and against the rates that they promise."""

import numpy as np
import pytest

from airtwin_core.stats import chi2_limit, nis


def test_limit_is_the_tables():
    """Standard chi-square table: 95 % of 1, 99.9 % of 3 degrees of freedom."""
    assert chi2_limit(1, 0.95) == pytest.approx(3.841, abs=1e-3)
    assert chi2_limit(3, 0.999) == pytest.approx(16.266, abs=1e-3)


def test_nis_is_chi_square_for_honest_residuals():
    rng = np.random.default_rng(1)
    factor = np.array([[2.0, 0, 0], [0.5, 1.0, 0], [-1.0, 0.3, 0.7]])
    values = [nis(factor @ rng.standard_normal(3), factor @ factor.T) for _ in range(4000)]
    assert np.mean(values) == pytest.approx(3.0, abs=0.15)
    assert np.mean(np.array(values) > chi2_limit(3, 0.95)) == pytest.approx(0.05, abs=0.015)
    with pytest.raises(np.linalg.LinAlgError):
        nis(np.ones(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
