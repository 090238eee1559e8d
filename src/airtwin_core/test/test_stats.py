# SPDX-License-Identifier: Apache-2.0
"""Detectors against tables and against the rates that they promise."""

import numpy as np
import pytest

from airtwin_core.stats import Cusum, WindowedChiSquare, chi2_limit, nis


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


def test_cusum_finds_a_shift_on_either_side_and_stays_quiet_without():
    rng = np.random.default_rng(2)
    quiet = Cusum(slack=0.5)
    assert max(quiet.update(x) for x in rng.standard_normal(2000)) < 15.0
    for sign in (1.0, -1.0):
        shifted = Cusum(slack=0.5)
        values = [shifted.update(x + 1.5 * sign) for x in rng.standard_normal(100)]
        assert values[-1] > 50.0
    assert np.isnan(quiet.update(float("nan")))


def test_window_passes_noise_and_fails_a_small_lasting_excess():
    rng = np.random.default_rng(3)
    window = WindowedChiSquare(length=50, dof=3, probability=0.9999)
    good = [window.update(float(r @ r)) for r in rng.standard_normal((2000, 3))]
    assert max(good) <= 1.0
    bad = [window.update(float(r @ r)) for r in 1.5 * rng.standard_normal((60, 3))]
    assert bad[-1] > 1.0
    assert np.isnan(window.update(float("nan")))
