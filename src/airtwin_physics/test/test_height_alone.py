# SPDX-License-Identifier: Apache-2.0
"""Without GNSS, barometer against IMU: who is wrong shows in how they part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Array, Barometer, Imu, Sample
from airtwin_physics.estimator import Estimator

import aided  # isort: skip
import driven  # isort: skip
import simulate  # isort: skip

LOST_S, WRONG_S, END_S = 15.0, 20.0, 75.0


def _alone(seed: int) -> simulate.Flight:
    flight = simulate.fly(np.random.default_rng(seed), END_S)
    return aided.outage(flight, LOST_S, END_S)


def _misses_m(flight: simulate.Flight, samples: list[Sample], from_s: float) -> Array:
    """Return how far the height is off (n,) [m], positive downwards."""
    states = driven.run(Estimator(), driven.with_origin(samples))
    late = [s for s in states if driven.seconds(s) > from_s]
    assert late[-1].vertical_valid
    return np.array(
        [s.position_ned_m[2] - flight.position[flight.index(s.stamp_ns)][2] for s in late]
    )


@pytest.mark.parametrize("accel_m_s2", [2.0, -4.0])
def test_an_imu_that_goes_wrong_carries_the_height_away_for_seconds_only(
    accel_m_s2: float,
) -> None:
    flight = _alone(31)
    wrong = np.array([0.0, 0.0, accel_m_s2])
    broken = [
        replace(s, specific_force_frd_m_s2=s.specific_force_frd_m_s2 + wrong)
        if isinstance(s, Imu) and s.stamp_ns > simulate.START_NS + int(WRONG_S * 1e9)
        else s
        for s in flight.samples
    ]
    off_m = _misses_m(flight, broken, END_S - 15.0)
    assert np.abs(off_m).max() < 6.0  # what its offset may be, and the wash


@pytest.mark.parametrize("step_m", [12.0, -30.0])
def test_a_pressure_that_steps_moves_nothing(step_m: float) -> None:
    flight = _alone(32)
    stepped = [
        replace(s, altitude_m=s.altitude_m + step_m)
        if isinstance(s, Barometer) and s.stamp_ns > simulate.START_NS + int(WRONG_S * 1e9)
        else s
        for s in flight.samples
    ]
    off_m = _misses_m(flight, stepped, WRONG_S)
    assert np.abs(off_m).max() < 6.0
