# SPDX-License-Identifier: Apache-2.0
"""A step of the Doppler is one only where the receiver's own claim does not explain it."""

from __future__ import annotations

import numpy as np
import pytest
from consistency_scene import NS, Scene

from airtwin_consistency.innovations import Innovations
from airtwin_consistency.limits import Limits
from airtwin_core.types import Fusion

RATE_HZ = 5


def _largest_ratio(noise_m_s, claim_m_s, step_m_s=0.0, seconds=60, seed=0):
    """Fly with white innovations; return the largest ratio of a step to its limit."""
    rng = np.random.default_rng(seed)
    found, watch, twin = [], Innovations(Limits()), Scene()._twin(0, 0)
    for i in range(seconds * RATE_HZ):
        now_ns = (i + 1) * NS // RATE_HZ
        away = np.array([step_m_s if i > seconds * RATE_HZ // 2 else 0.0, 0.0, 0.0])
        seen = noise_m_s * rng.standard_normal(3) + away
        fusion = Fusion("gnss_velocity", i + 1, {}, 3.0, 3, seen, now_ns)
        state = twin._replace(stamp_ns=now_ns, received_ns=now_ns, fusions=(fusion,))
        watch.on_twin(state, claim_m_s)
        sign = watch.step(now_ns)
        found.append(0.0 if sign is None else sign.ratio)
    return max(found)


@pytest.mark.parametrize("claim_m_s", [0.3, 1.5, 3.0])
def test_noise_as_claimed_is_no_step(claim_m_s):
    noise = min(claim_m_s, 1.0) * 0.3 if claim_m_s < 1.0 else claim_m_s
    for seed in range(5):
        assert _largest_ratio(noise, claim_m_s, seed=seed) < 1.0


def test_a_step_beyond_the_claim_is_one():
    assert _largest_ratio(0.1, 0.3, step_m_s=1.0) > 1.0
    assert _largest_ratio(0.1, 0.3, step_m_s=0.2) < 1.0
    assert _largest_ratio(1.5, 1.5, step_m_s=12.0) > 1.0


def test_a_claim_that_has_just_become_good_does_not_hide_the_noise_before():
    watch, twin = Innovations(Limits()), Scene()._twin(0, 0)
    rng = np.random.default_rng(3)
    for i in range(100):
        now_ns = (i + 1) * NS // RATE_HZ
        bad = i < 98
        seen = (2.0 if bad else 0.05) * rng.standard_normal(3)
        fusion = Fusion("gnss_velocity", i + 1, {}, 3.0, 3, seen, now_ns)
        state = twin._replace(stamp_ns=now_ns, received_ns=now_ns, fusions=(fusion,))
        watch.on_twin(state, 2.0 if bad else 0.2)
    sign = watch.step(now_ns)
    assert sign is not None
    assert sign.ratio < 1.0
