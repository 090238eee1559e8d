# SPDX-License-Identifier: Apache-2.0
"""An accelerometer shaken beyond its range: what it cuts off is one-sided, and so adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Array, Imu
from airtwin_physics.ekf import imu, imu_noise
from airtwin_physics.estimator import Estimator

from driven import run, seconds, with_origin  # isort: skip
import simulate  # isort: skip

DT_S = 0.005
DOUBT = np.array([0.3, 3.0, 20.0, 80.0])
ENDS_M_S2 = -30.0, 78.5


def _hidden_m_s(clipped: Array) -> float:
    """Return the standard deviation of the speed after samples of which some are clipped."""
    ring, rest = np.zeros((1, imu.N_ENTRY)), np.zeros(imu_noise.N_REST)
    variance = 0.0
    for k, cut in enumerate(clipped.tolist()):
        args = np.zeros(3), np.array([0.0, 0.0, -9.8]), DT_S, DT_S, k * DT_S
        imu.take(ring, 0, rest, *args, bool(cut), DOUBT)
        variance += ring[0, 10]
    return float(np.sqrt(variance))


def test_clipping_that_goes_on_adds_up() -> None:
    """A second of it may hide some 20 m/s^2 for a second; scattered samples hardly anything."""
    all_of_them = _hidden_m_s(np.ones(200))
    half = _hidden_m_s(np.arange(200) % 2 == 0)
    scattered = _hidden_m_s(np.arange(200) % 50 == 0)
    assert 12.0 < all_of_them < 25.0
    assert 5.0 < half < 0.75 * all_of_them
    assert scattered < 0.6


def test_clipping_of_long_ago_is_forgotten() -> None:
    lone = np.zeros(1000)
    lone[-1] = 1.0
    after = lone.copy()
    after[:200] = 1.0
    before = after.copy()
    before[-1] = 0.0
    more = _hidden_m_s(after) ** 2 - _hidden_m_s(before) ** 2
    assert more == pytest.approx(_hidden_m_s(lone) ** 2, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_rotors_that_shake_the_sensor_to_its_end_do_not_carry_the_twin_away(seed: int) -> None:
    """The range ends nearer on the side of the thrust, so the mean force is wrong for seconds.

    In a fast turn of a real quadrotor 50 to 90 % of the samples of 3 s were cut off, by some
    20 m/s^2 in the mean; Doppler, GNSS height and barometer were all refused, and the twin fell.
    """
    flight = simulate.fly(np.random.default_rng(seed), 40.0, gnss_hz=2.0)
    rng = np.random.default_rng(100 + seed)
    shaken = [_shaken(s, rng) if isinstance(s, Imu) else s for s in flight.samples]
    states = [s for s in run(Estimator(), with_origin(shaken)) if seconds(s) > 19.0]
    truth = np.array([flight.index(s.stamp_ns) for s in states])
    height_m = np.array([s.position_ned_m[2] for s in states]) - flight.position[truth, 2]
    speed_m_s = np.array([s.velocity_ned_m_s[2] for s in states]) - flight.velocity[truth, 2]
    assert np.abs(height_m).max() < 8.0
    assert np.sqrt(np.mean(speed_m_s**2)) < 4.0


def _shaken(sample: Imu, rng: np.random.Generator) -> Imu:
    """Return what a sensor that averages four readings shows, shaken by 130 m/s^2 for 3 s."""
    if not 20.0 < (sample.stamp_ns - simulate.START_NS) * 1e-9 < 23.0:
        return sample
    force = sample.specific_force_frd_m_s2.copy()
    seen = np.clip(force[2] + 130.0 * np.sin(2.0 * np.pi * rng.uniform(size=4)), *ENDS_M_S2)
    force[2] = seen.mean()
    cut = bool(np.isin(seen, ENDS_M_S2).any())
    return replace(sample, specific_force_frd_m_s2=force, clipped=cut)
