# SPDX-License-Identifier: Apache-2.0
"""Gaps, leaps of clocks, impacts, thin logs: samples that are not all there or not in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Imu
from airtwin_physics.estimator import Estimator

from driven import miss_m, run, seconds, still, with_origin  # isort: skip
import simulate  # isort: skip


def test_jump_of_px4s_clock_shift_moves_nothing() -> None:
    """Stamps leap by 0.2 s while no time passes: README of the recordings, "Time"."""
    flight = simulate.fly(np.random.default_rng(9), 30.0)
    leap_at = simulate.START_NS + int(15e9)
    leapt = [
        replace(s, stamp_ns=s.stamp_ns + 200_000_000) if s.received_ns >= leap_at else s
        for s in flight.samples
    ]
    smooth = run(Estimator(), with_origin(flight.samples))
    jumped = run(Estimator(), with_origin(leapt))
    for a, b in zip(smooth, jumped, strict=True):
        assert np.linalg.norm(a.position_ned_m - b.position_ned_m) < 0.6
        assert np.linalg.norm(a.velocity_ned_m_s - b.velocity_ned_m_s) < 0.3


def test_lost_imu_samples_are_bridged() -> None:
    flight = simulate.fly(np.random.default_rng(10), 30.0)
    gap = (simulate.START_NS + int(15e9), simulate.START_NS + int(15.4e9))
    left = [s for s in flight.samples if not gap[0] < s.stamp_ns < gap[1]]
    estimator = Estimator()
    states = run(estimator, with_origin(left))
    assert not estimator.resets
    assert max(miss_m(flight, s) for s in states if seconds(s) > 3.0) < 4.0


@pytest.mark.parametrize("delay_s", [0.0, 0.12, 0.3])
def test_an_impact_that_leaves_the_range_of_the_imu_is_believed_of_the_others(
    delay_s: float,
) -> None:
    """A fall of 1.2 s stops within a sample that shows 0.6 of its 11.8 m/s."""
    rest, fall = 4 * simulate.RATE_HZ, round(1.2 * simulate.RATE_HZ)
    v = np.zeros((rest + fall + 3 * simulate.RATE_HZ, 3))
    v[rest : rest + fall, 2] = 9.80665 * simulate.DT_S * np.arange(fall)
    errors = simulate.Errors(speed_m_s=0.05, delay_s=delay_s, delay_sigma_s=0.0)
    p = np.cumsum(v, axis=0) * simulate.DT_S
    flight = simulate.along(np.random.default_rng(3), p, v, errors=errors)
    hit = simulate.stamp_ns(rest + fall)
    samples = [
        replace(s, specific_force_frd_m_s2=np.array([0.0, 0.0, -150.0]), clipped=True)
        if isinstance(s, Imu) and s.stamp_ns == hit
        else s
        for s in flight.samples
    ]
    states = run(Estimator(), with_origin(samples))
    told = next(s for s in states if s.stamp_ns >= hit)  # the filter itself is still before it
    assert np.all(np.diag(told.covariance)[3:6] > 10.0**2)
    after = [s for s in states if s.stamp_ns > hit + 900_000_000]
    assert max(np.linalg.norm(s.velocity_ned_m_s) for s in after) < 1.0
    assert max(abs(s.position_ned_m[2] - flight.position[-1, 2]) for s in after) < 3.0


def test_long_gap_and_clock_going_back_align_again() -> None:
    estimator = Estimator()
    run(estimator, (still(i) for i in range(1, 500)))
    run(estimator, (still(i) for i in range(1500, 1600)))
    assert estimator.resets == {"IMU gap": 1}
    run(estimator, (still(i) for i in range(1, 900)))
    assert estimator.resets == {"IMU gap": 1, "clock went back": 1}
    state = estimator.state()
    assert state is not None
    assert state.aligned


def test_decimated_imu_is_survived() -> None:
    flight = simulate.fly(np.random.default_rng(11), 40.0)
    thin = [
        s
        for i, s in enumerate(flight.samples)
        if not isinstance(s, Imu) or flight.index(s.stamp_ns) % 25 == 0
    ]
    estimator = Estimator()
    states = run(estimator, with_origin(thin))
    assert not estimator.resets
    assert states[-1].fusions[0].used > 250
    assert max(miss_m(flight, s) for s in states if seconds(s) > 3.0) < 5.0


def test_two_vehicles_under_one_name_are_said_and_nothing_is_valid() -> None:
    """Two PX4s in one namespace: their IMU samples come by turns, each for all of the time."""
    one = simulate.fly(np.random.default_rng(13), 12.0)
    two = simulate.fly(np.random.default_rng(14), 12.0)
    late_ns = 1_700_000
    theirs = [
        replace(s, stamp_ns=s.stamp_ns + late_ns, received_ns=s.received_ns + late_ns)
        for s in two.samples
    ]
    mixed = sorted(one.samples + theirs, key=lambda s: s.received_ns)
    alone = run(Estimator(), with_origin(one.samples))
    assert alone[-1].horizontal_valid
    assert not any("two vehicles" in s.notice for s in alone)
    late = [s for s in run(Estimator(), with_origin(mixed)) if seconds(s) > 6.0]
    assert all("two vehicles under one name" in s.notice for s in late)
    for s in late:
        valid = s.horizontal_valid, s.vertical_valid, s.velocity_valid, s.heading_valid
        assert valid == (False, False, False, False)


def test_same_input_gives_the_same_bits() -> None:
    flight = simulate.fly(np.random.default_rng(12), 12.0)
    one, two = (run(Estimator(), flight.samples) for _ in range(2))
    assert len(one) == len(two) > 300
    for a, b in zip(one, two, strict=True):
        assert a.covariance.tobytes() == b.covariance.tobytes()
        assert a.position_ned_m.tobytes() == b.position_ned_m.tobytes()
        assert a.q_ned_frd.tobytes() == b.q_ned_frd.tobytes()
