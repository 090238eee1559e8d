# SPDX-License-Identifier: Apache-2.0
"""A place that leaps in height is not followed aside while it is being settled who is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Array, GnssFix
from airtwin_physics.ekf.sensors.gnss import LEAPT

import gnss_faults as faults  # isort: skip
import simulate  # isort: skip

FROM_S = 20.0


def _leap(t: float) -> tuple[Array, Array]:
    """Return what a spoofer adds: 47 m up at once, from there aside with 3 m/s (place only)."""
    if t < FROM_S:
        return np.zeros(3), np.zeros(3)
    return np.array([0.0, 3.0 * (t - FROM_S), -47.0]), np.zeros(3)


@pytest.mark.parametrize("doppler", [True, False])
def test_a_leap_in_height_takes_the_place_with_it_out_of_use_at_once(doppler: bool) -> None:
    flight = simulate.fly(np.random.default_rng(41), 24.0, simulate.Errors(delay_sigma_s=0.0))
    spoofed = faults.shown(flight, _leap)
    if not doppler:
        samples = [
            replace(s, velocity_ned_m_s=np.zeros(3))
            if isinstance(s, GnssFix) and faults.seconds(s.stamp_ns) >= FROM_S
            else s
            for s in spoofed.samples
        ]
        spoofed = replace(spoofed, samples=samples)
    states = faults.fly(spoofed)
    before = faults.during(states, FROM_S - 0.5, FROM_S)[-1].fusions[0].used
    # what was of before the leap has been fused 0.3 s later
    settled = faults.during(states, FROM_S + 0.4)
    assert settled[0].fusions[0].used <= before + 4
    assert settled[-1].fusions[0].used == settled[0].fusions[0].used
    assert faults.refused(states[-1], LEAPT) >= 5


def test_one_outlier_of_a_good_receiver_costs_one_fix() -> None:
    flight = simulate.fly(np.random.default_rng(42), 30.0)
    wrong = faults.jump(np.array([0.0, 0.0, -30.0]), 20.0, 20.1)
    clean, states = faults.fly(flight), faults.fly(faults.shown(flight, wrong))
    lost = clean[-1].fusions[0].used - states[-1].fusions[0].used
    assert 0 <= lost <= 1
    assert "doubted" not in " ".join(s.notice for s in states)
