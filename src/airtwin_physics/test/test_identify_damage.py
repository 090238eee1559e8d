# SPDX-License-Identifier: Apache-2.0
"""A rotor that was weak before anybody looked, against the same by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identify_flights import X500, Watch, samples, values

from airtwin_physics import dynamics
from airtwin_physics.identify import damage, prior, rows
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.identifier import Identifier

CONFIG = IdentifyConfig()
CRAFT = rows.craft(X500)
FIRST = prior.covariance(CONFIG, CRAFT)
ROTORS = np.arange(4)
EACH = CONFIG.damaged / 4  # a rotor's chance of having been weak


def posterior(first, slopes, noise2, measured):
    """Return mean, covariance and logarithm of the evidence of a linear flight."""
    s = slopes @ first @ slopes.T + noise2 * np.eye(len(measured))
    gain = np.linalg.solve(s, slopes @ first).T
    evidence = -0.5 * (measured @ np.linalg.solve(s, measured) + np.linalg.slogdet(s)[1])
    return gain @ measured, first - gain @ slopes @ first, evidence


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_each_hypothesis_is_what_a_broader_first_belief_gives(seed):
    """Measured is what all rotors weaker and an aircraft as much heavier leave alike."""
    rng = np.random.default_rng(seed)
    alike = np.zeros(len(FIRST))
    alike[rows.EFFECT :], alike[rows.MASS] = 0.25, 0.25
    slopes = rng.normal(size=(5, len(FIRST)))
    slopes -= np.outer(slopes @ alike, alike) / (alike @ alike)
    measured = 0.1 * rng.normal(size=5)
    theta, p, evidence = posterior(FIRST, slopes, 0.01, measured)
    weights, means, covariances = [1.0 - CONFIG.damaged], [theta], [p]
    for rotor in ROTORS:
        wide = FIRST.copy()
        wide[rows.EFFECT + rotor, rows.EFFECT + rotor] += CONFIG.fault_jump**2
        mean, covariance, other = posterior(wide, slopes, 0.01, measured)
        # of the shift itself only its losing half counts
        s = slopes @ wide @ slopes.T + 0.01 * np.eye(5)
        column = CONFIG.fault_jump**2 * slopes[:, rows.EFFECT + rotor]
        shift = column @ np.linalg.solve(s, measured)
        spread = CONFIG.fault_jump**2 - column @ np.linalg.solve(s, column)
        losing = damage.math.erfc(shift / np.sqrt(2.0 * spread))
        weights.append(EACH * losing * np.exp(other - evidence))
        means.append(mean)
        covariances.append(covariance)
    weight = np.array(weights) / np.sum(weights)
    mean = weight @ np.array(means)
    apart = np.array(means) - mean
    whole = np.einsum("h,hij->ij", weight, np.array(covariances))
    whole += np.einsum("h,hi,hj->ij", weight, apart, apart)
    told, covariance = damage.told(theta, p, FIRST, ROTORS, CONFIG)
    np.testing.assert_allclose(told, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(covariance, whole, rtol=1e-3, atol=1e-6)


def test_before_the_flight_only_the_rotors_are_less_sure():
    told, p = damage.told(np.zeros(len(FIRST)), FIRST, FIRST, ROTORS, CONFIG)
    assert np.allclose(told, 0.0)
    grown = np.diag(p) - np.diag(FIRST)
    assert np.allclose(grown[rows.EFFECT :], EACH * CONFIG.fault_jump**2, rtol=0.05)
    assert np.allclose(grown[: rows.EFFECT], 0.0)


@pytest.mark.parametrize("sure_of", [0, -1], ids=["nothing changed", "the load changed"])
def test_whoever_lets_no_rotor_jump_knows_that_one_may_have_been_weak(sure_of):
    """The load's filter won for whole flights, and told a rotor 7 sigmas wrong."""
    identifier = Identifier(X500)
    identifier._weight[:] = 0.0
    identifier._weight[sure_of] = 1.0
    more = np.diag(identifier.covariance - identifier._p[sure_of])[rows.EFFECT :]
    np.testing.assert_allclose(more, EACH * CONFIG.fault_jump**2, rtol=0.1)


@pytest.mark.parametrize("rotor", [0, 3])
def test_a_rotor_weak_from_the_start_is_no_centre_of_mass_and_is_named(rotor):
    """A third of its thrust is missing at take-off: centre and rotor would explain the moment."""

    def weak(world):
        world.fleet.model.rotors[0, rotor, dynamics.EFFECT] *= 0.65

    watch = Watch(
        values(samples(24.0, seed=40 + rotor, windy=False, change=weak)), Identifier(X500)
    )
    theta, p = watch.identifier.theta, watch.identifier.covariance
    for index, truth in ((rows.CENTRE_X, 0.0), (rows.CENTRE_Y, 0.0), (rows.EFFECT + rotor, -0.35)):
        assert abs(theta[index] - truth) < 3.0 * np.sqrt(p[index, index])
    assert abs(theta[rows.CENTRE_X]) < 0.006
    assert set(watch.suspects) <= {-1, rotor}
    assert watch.suspects[-1] == rotor
