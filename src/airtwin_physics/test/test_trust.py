# SPDX-License-Identifier: Apache-2.0
"""How far a GNSS receiver is believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import GnssFix, Health, Sample
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.source import Gate
from airtwin_physics.estimator import Estimator

from driven import run, with_origin  # isort: skip
import simulate  # isort: skip

CONFIG = EstimatorConfig()
TRUSTED = 1.0 / 3.0


def _judged(gate: Gate, residual_m: float) -> bool:
    """Hand over one innovation of a position known within 1 cm, its noise a third of 0.6 m."""
    belief = Belief(CONFIG)
    belief.p[:] = 1e-4 * np.eye(kernel.N)
    h = np.zeros((1, kernel.N))
    h[0, 0] = 1.0
    return gate.judge(belief, h, np.array([residual_m]), np.array([0.04]), 0.0)[0]


def test_one_fix_that_trust_cannot_explain_takes_the_trust_back() -> None:
    gate = Gate(1, CONFIG, trusted=TRUSTED)
    assert _judged(gate, 0.5)
    assert gate.factor == pytest.approx(TRUSTED)
    assert _judged(gate, 2.0)  # 10 sigmas of what was trusted, 3.3 of the claim
    assert gate.factor == pytest.approx(1.0)


def test_what_the_claim_cannot_explain_stays_outside() -> None:
    gate = Gate(1, CONFIG, trusted=TRUSTED)
    assert not _judged(gate, 4.0)
    assert gate.factor == pytest.approx(1.0)  # refused, but trusted no more
    plain = Gate(1, CONFIG)
    assert not _judged(plain, 2.0)  # nothing was trusted, so nothing is taken back
    assert plain.factor == pytest.approx(1.0)


@pytest.mark.parametrize(("white", "low", "high"), [(0.02, 0.0, 0.4), (0.5, 0.6, 2.0)])
def test_a_receiver_shows_its_noise(white: float, low: float, high: float) -> None:
    """Smooth ones stay trusted, those as noisy as they claim are found out; none is refused."""
    errors = simulate.Errors(eph_m=1.0, epv_m=1.5, white_share=0.02)
    flight = simulate.fly(np.random.default_rng(3), 60.0, errors, gnss_hz=5.0)
    rng = np.random.default_rng(5)
    noisy: list[Sample] = []
    for sample in flight.samples:
        if isinstance(sample, GnssFix):
            north = white * rng.standard_normal() / simulate.EARTH_RADIUS_M
            east = white * rng.standard_normal() / simulate.EARTH_RADIUS_M
            latitude = sample.latitude_deg + np.degrees(north)
            longitude = sample.longitude_deg + np.degrees(east)
            sample = replace(sample, latitude_deg=latitude, longitude_deg=longitude)
        noisy.append(sample)
    last = run(Estimator(), with_origin(noisy))[-1]
    health = next(h for h in last.health if h.source == "gnss_position")
    assert health.health is Health.GOOD
    assert low < health.noise_factor < high
    used = next(f for f in last.fusions if f.source == "gnss_position")
    assert sum(used.rejected.values()) <= 2
