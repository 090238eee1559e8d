# SPDX-License-Identifier: Apache-2.0
"""Sessions of a file whose time is broken in the ways that were seen in real logs."""

from __future__ import annotations

import numpy as np

from airtwin_record import timeline


def _steps(begin_us: int, count: int) -> np.ndarray:
    return begin_us + 4000 * np.arange(count, dtype=np.int64)


def test_a_whole_log_is_one_session() -> None:
    (only,) = timeline.sessions(_steps(5_000_000, 1000))
    assert only.index.tolist() == list(range(1000))
    assert only.begin_us == 5_000_000
    assert only.duration_s == 3.996


def test_time_that_runs_backwards_splits_and_the_longest_comes_first() -> None:
    stamps = np.concatenate([_steps(5_488_000_000, 300), _steps(5_402_000_000, 900)])
    longest, other = timeline.sessions(stamps)
    assert longest.begin_us == 5_402_000_000
    assert longest.index.tolist() == list(range(300, 1200))
    assert len(other.index) == 300


def test_a_rubbish_stamp_does_not_cut_the_flight() -> None:
    for rubbish in (0, 7, 10**9, 2**61, 1_000_000 + 500 * 4000 + 30_000_000):
        stamps = _steps(1_000_000, 1000)
        stamps[500] = rubbish
        found = timeline.sessions(stamps)
        assert len(found[0].index) == 999, rubbish
        assert 500 not in found[0].index


def test_a_burst_of_rubbish_stamps_does_not_cut_the_flight() -> None:
    stamps = _steps(1_000_000, 1000)
    stamps[400:420] = 2**60 + np.arange(20)
    longest, other = timeline.sessions(stamps)
    assert len(longest.index) == 980
    assert len(other.index) == 20


def test_small_disorder_is_sorted_not_split() -> None:
    stamps = _steps(1_000_000, 100)
    stamps[[40, 41, 42]] = stamps[[42, 40, 41]]
    (only,) = timeline.sessions(stamps)
    assert np.all(np.diff(stamps[only.index]) > 0)


def test_a_gap_within_a_minute_is_the_same_flight() -> None:
    stamps = np.concatenate([_steps(1_000_000, 100), _steps(31_000_000, 100)])
    assert len(timeline.sessions(stamps)) == 1
    stamps = np.concatenate([_steps(1_000_000, 100), _steps(200_000_000, 100)])
    assert len(timeline.sessions(stamps)) == 2


def test_nothing_is_no_session() -> None:
    assert timeline.sessions(np.array([], dtype=np.int64)) == []
