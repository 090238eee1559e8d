# SPDX-License-Identifier: Apache-2.0
"""A twin on a busy machine: what came meanwhile is handed over late; or it is started anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Attitude, GnssFix, Imu, LocalPosition, Sample, TwinState
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

SECOND = 1_000_000_000
DRAINED = 32  # messages of one topic before the next one's (``in_process.DRAIN_MAX``)


def _stalled(
    samples: list[Sample], from_s: float, for_s: float, *, imu_first: bool, kept: int = 10_000
) -> list[Sample]:
    """Hand over at its end what came in a stall; of each topic only the newest ``kept``."""
    begin, end = (simulate.START_NS + int(t * 1e9) for t in (from_s, from_s + for_s))
    during = [replace(s, received_ns=end) for s in samples if begin <= s.received_ns < end]
    kinds = sorted({type(s) for s in during}, key=lambda k: ((k is Imu) != imu_first, k.__name__))
    waiting = [[s for s in during if isinstance(s, kind)][-kept:] for kind in kinds]
    burst: list[Sample] = []
    while any(waiting):
        for queue in waiting:
            burst += queue[:DRAINED]
            del queue[:DRAINED]
    before = [s for s in samples if s.received_ns < begin]
    return before + burst + [s for s in samples if s.received_ns >= end]


@pytest.mark.parametrize("for_s", [0.9, 5.0])
@pytest.mark.parametrize("left", [1, 4])
def test_what_waited_before_the_hole_does_not_hide_it(for_s: float, left: int) -> None:
    """A stopped process finds the last samples before the hole and the first after it together.

    Both arrive at once, so no time seems to have passed between them; stepped over as a jump of
    PX4's clock, the hole left the twin metres behind, and its receiver doubted for 7 s.
    """
    flight = simulate.fly(np.random.default_rng(9), 30.0)
    stalled = _stalled(flight.samples, 14.0, for_s, imu_first=True, kept=32)
    begin, end = (simulate.START_NS + int(t * 1e9) for t in (14.0, 14.0 + for_s))
    waited = [s for s in flight.samples if isinstance(s, Imu) and begin <= s.received_ns < end]
    waited = [replace(s, received_ns=end) for s in waited[:left]]
    at = next(k for k, s in enumerate(stalled) if s.received_ns >= end)
    honest, states = _states(stalled), _states(stalled[:at] + waited + stalled[at:])
    since = [s for s in states if s > end + SECOND and s in honest]
    assert len(since) > 300
    for stamp in since:
        assert states[stamp].velocity_valid == honest[stamp].velocity_valid
        off_m = states[stamp].position_ned_m - honest[stamp].position_ned_m
        assert np.linalg.norm(off_m) < 0.5


def _states(samples: list[Sample]) -> dict[int, TwinState]:
    estimator = Estimator()
    states = (estimator.on(sample) for sample in samples)
    return {state.stamp_ns: state for state in states if state is not None}


@pytest.mark.parametrize("imu_first", [True, False])
@pytest.mark.parametrize("for_s", [0.9, 1.5])
def test_what_is_read_late_but_whole_costs_nothing(imu_first: bool, for_s: float) -> None:
    flight = simulate.fly(np.random.default_rng(9), 25.0)
    smooth = _states(flight.samples)
    late = _states(_stalled(flight.samples, 14.0, for_s, imu_first=imu_first))
    shared = [s for s in smooth if s in late and s > simulate.START_NS + int((14.0 + for_s) * 1e9)]
    assert len(shared) > 300
    for stamp in shared:
        a, b = smooth[stamp], late[stamp]
        assert np.linalg.norm(a.position_ned_m - b.position_ned_m) < 0.7
        assert np.linalg.norm(a.velocity_ned_m_s - b.velocity_ned_m_s) < 0.6


@pytest.mark.parametrize("kept", [32, 10_000])
def test_old_fixes_are_never_news(kept: int) -> None:
    """Fixes as old as their stamps say, against one that teleports them to their arrival."""
    flight = simulate.fly(np.random.default_rng(9), 25.0)
    stalled = _stalled(flight.samples, 14.0, 0.9, imu_first=True, kept=kept)
    end_ns = simulate.START_NS + int(14.9e9)
    honest = [s for s in stalled if not (isinstance(s, GnssFix) and s.received_ns == end_ns)]
    with_old, without = _states(stalled), _states(honest)
    for stamp in (s for s in with_old if s > end_ns and s in without):
        truth = flight.velocity[flight.index(stamp)]
        error = np.linalg.norm(with_old[stamp].velocity_ned_m_s - truth)
        assert error < np.linalg.norm(without[stamp].velocity_ned_m_s - truth) + 0.5


def test_a_source_of_another_clock_is_taken_by_arrival() -> None:
    flight = simulate.fly(np.random.default_rng(9), 20.0)
    other = [
        replace(s, stamp_ns=s.stamp_ns - 700_000_000_000) if isinstance(s, GnssFix) else s
        for s in flight.samples
    ]
    states = _states(other)
    last = states[max(states)]
    assert last.horizontal_valid
    fusion = next(f for f in last.fusions if f.source == "gnss_position")
    fixes = sum(isinstance(s, GnssFix) for s in flight.samples)
    assert fusion.used > 0.7 * fixes


def _px4(flight: simulate.Flight, k: int) -> list[Sample]:
    """PX4 on external odometry: attitude and position, but no origin."""
    at, flags = simulate.stamp_ns(k), (True, True, True, True)
    return [
        Attitude(at, at, flight.attitude[k], 0),
        LocalPosition(
            at, at, flight.position[k], flight.velocity[k], 0.0, *flags, None,
            0.3, 0.3, 0.1, 0.1, False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
        ),
    ]  # fmt: skip


def test_a_twin_started_anew_in_flight_counts_from_where_px4_does() -> None:
    flight = simulate.fly(np.random.default_rng(9), 30.0)
    begin = simulate.START_NS + int(15e9)
    samples: list[Sample] = []
    for sample in (s for s in flight.samples if s.received_ns >= begin):
        samples.append(sample)
        if isinstance(sample, Imu) and (k := flight.index(sample.stamp_ns)) % 5 == 0:
            samples += _px4(flight, k)
    valid = {t: s for t, s in _states(samples).items() if s.horizontal_valid and s.vertical_valid}
    assert min(valid) < begin + int(2e9)
    for stamp, state in valid.items():
        error = state.position_ned_m - flight.position[flight.index(stamp)]
        assert np.linalg.norm(error) < 4.0, "what GNSS itself is off"
    assert np.linalg.norm(flight.position[flight.index(begin)]) > 8.0
