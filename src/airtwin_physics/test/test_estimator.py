# SPDX-License-Identifier: Apache-2.0
"""The estimator as its users drive it: samples in, states out."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Imu
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

STEP_NS = 4_000_000


def _still(i: int) -> Imu:
    return Imu(i * STEP_NS, i * STEP_NS, np.zeros(3), np.array([0.0, 0.0, -9.81]), 0.004)


def test_state_appears_after_alignment_and_at_most_at_the_publish_period() -> None:
    estimator = Estimator(EstimatorConfig())
    states = [s for i in range(1, 1500) if (s := estimator.on(_still(i))) is not None]
    assert states
    gaps = np.diff([s.stamp_ns for s in states])
    assert gaps.min() >= 20_000_000
    assert states[-1].aligned
    assert not states[-1].horizontal_valid
    assert not states[-1].heading_valid


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="gyro_noise"):
        EstimatorConfig(gyro_noise=-1.0)
    with pytest.raises(ValueError, match="horizon_s"):
        EstimatorConfig(horizon_s=float("nan"))
    with pytest.raises(ValueError, match="gate_probability"):
        EstimatorConfig(gate_probability=1.0)
