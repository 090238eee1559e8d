# SPDX-License-Identifier: Apache-2.0
"""Dryden gusts against MIL-F-8785C: scales, variances, spectra; and against a finer step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from airtwin_core.types import Array
from airtwin_physics import gusts as dryden

FOOT = 0.3048


def test_scales_are_the_standards() -> None:
    # MIL-F-8785C, figure 10 and 3.7.3.4 at 100 ft: L_u = 100 / (0.177 + 0.0823)^1.2 = 505 ft
    l_u, l_w, sigma_u, sigma_w = dryden.scales(100 * FOOT, 10.0)
    assert l_u / FOOT == pytest.approx(505.0, abs=1.0)
    assert l_w / FOOT == pytest.approx(100.0)
    assert sigma_w == pytest.approx(1.0)
    assert sigma_u == pytest.approx(1.0 / 0.2593**0.4, rel=1e-4)
    # at 1000 ft both reach the isotropic values: L = 1000 ft, sigmas equal
    l_u, l_w, sigma_u, sigma_w = dryden.scales(1000 * FOOT, 10.0)
    assert l_u == pytest.approx(l_w, rel=1e-9)
    assert sigma_u == pytest.approx(sigma_w, rel=1e-9)
    assert dryden.scales(0.0, 10.0) == dryden.scales(10 * FOOT, 10.0)


def _gusts(steps: int, dt_s: float, seed: int = 1, airspeed: float = 20.0) -> Array:
    rng = np.random.default_rng(seed)
    state = np.zeros(dryden.N_GUST)
    steady = np.array([8.0, 0.0, 0.0])
    velocity = np.array([8.0 + airspeed, 0.0, 0.0])
    out = np.empty((steps, 3))
    for k in range(steps):
        out[k] = dryden.gust(state, rng.standard_normal(5), steady, velocity, 30.48, 1.0, dt_s)
    return out


def test_variances_are_the_sigmas_squared() -> None:
    gusts = _gusts(200_000, 0.1)
    _, _, sigma_u, sigma_w = dryden.scales(30.48, 8.0)
    # 20,000 s of some 5 s correlation: the deviation of the estimate is 2 %
    assert np.std(gusts[:, 0]) == pytest.approx(sigma_u, rel=0.06)
    assert np.std(gusts[:, 1]) == pytest.approx(sigma_u, rel=0.06)
    assert np.std(gusts[:, 2]) == pytest.approx(sigma_w, rel=0.06)


def test_spectra_have_drydens_shape() -> None:
    dt = 0.05
    gusts = _gusts(400_000, dt)
    l_u, _, sigma_u, _ = dryden.scales(30.48, 8.0)
    tau = l_u / 20.0
    freq, psd = signal.welch(gusts[:, :2], fs=1.0 / dt, nperseg=8192, axis=0)
    band = (freq > 0.01) & (freq < 0.5)
    w = 2.0 * np.pi * freq[band]
    # one-sided spectra over frequency [Hz]: 2 |H|^2, H in the module's docstring
    along = 2.0 * sigma_u**2 * 2.0 * tau / (1.0 + (tau * w) ** 2)
    across = 2.0 * sigma_u**2 * tau * (1.0 + 3.0 * (tau * w) ** 2) / (1.0 + (tau * w) ** 2) ** 2
    for got, expected in ((psd[band, 0], along), (psd[band, 1], across)):
        ratio = got / expected
        assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)
        assert np.all(np.abs(np.log(ratio)) < np.log(2.0))


def test_the_step_is_exact() -> None:
    """The discretisation is exact, so the autocorrelation does not depend on the step."""
    l_u, l_w, _, _ = dryden.scales(30.48, 8.0)
    lag_s = 1.0
    for column, tau, expected in (
        (0, l_u / 20.0, lambda a: np.exp(-a)),
        (1, l_u / 20.0, lambda a: np.exp(-a) * (1.0 - a / 2.0)),
        (2, l_w / 20.0, lambda a: np.exp(-a) * (1.0 - a / 2.0)),
    ):
        for dt in (0.05, 0.5):
            g = _gusts(100_000, dt, seed=5)[:, column]
            n = round(lag_s / dt)
            got = np.mean(g[n:] * g[:-n]) / np.mean(g * g)
            # Dryden's longitudinal and transverse correlation functions
            assert got == pytest.approx(expected(lag_s / tau), abs=0.05)


def test_no_wind_no_gusts() -> None:
    state = np.zeros(dryden.N_GUST)
    calm = dryden.gust(state, np.ones(5), np.zeros(3), np.zeros(3), 5.0, 1.0, 0.004)
    assert calm == (0.0, 0.0, 0.0)
    assert not state.any()
