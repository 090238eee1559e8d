# SPDX-License-Identifier: Apache-2.0
"""Ten thousand of the bench's sequences of broken sensors, and that its judge can fail."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from airtwin_core.types import TwinState
from airtwin_physics.estimator import Estimator
from bench import physics_fuzz

CHAINS = 250


@pytest.mark.parametrize("block", [1_000_000, 1_000_001])
def test_filter_stays_sound_or_says_that_it_lost_its_state(block: int) -> None:
    """Blocks that the bench does not fly."""
    outcome = physics_fuzz.run(block, CHAINS)
    assert outcome.failures == ()
    assert outcome.judged > 0.5 * outcome.sequences
    assert 0 < outcome.lost < 0.5 * outcome.sequences


def test_a_chain_comes_back_the_same() -> None:
    assert physics_fuzz.chain(7, 3) == physics_fuzz.chain(7, 3)


def _spoil_quaternion(state: TwinState, estimator: Estimator) -> TwinState:
    return state._replace(q_ned_frd=state.q_ned_frd * 1.01)


def _spoil_place(state: TwinState, estimator: Estimator) -> TwinState:
    return state._replace(position_ned_m=np.array([0.0, np.nan, 0.0]))


def _spoil_published(state: TwinState, estimator: Estimator) -> TwinState:
    p = state.covariance.copy()
    p[0, 1] += 1e-6
    return state._replace(covariance=p)


def _spoil_inner(state: TwinState, estimator: Estimator) -> TwinState:
    p = estimator._belief.p
    p[20, 3] = p[3, 20] = 2.0 * np.sqrt(p[3, 3] * p[20, 20])
    return state


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_spoil_quaternion, "length"),
        (_spoil_place, "position_ned_m is not finite"),
        (_spoil_published, "published covariance is not symmetric"),
        (_spoil_inner, "inner covariance is not positive definite"),
    ],
)
def test_judge_finds(spoil: Callable[[TwinState, Estimator], TwinState], what: str) -> None:
    estimator: Estimator = pickle.loads(physics_fuzz.branches()[0].estimator)
    state = estimator.state()
    assert state is not None
    assert physics_fuzz.flaw(state, estimator) == ""
    assert what in physics_fuzz.flaw(spoil(state, estimator), estimator)
