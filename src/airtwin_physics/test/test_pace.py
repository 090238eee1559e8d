# SPDX-License-Identifier: Apache-2.0
"""A twin that does not keep up says so, and whose fault it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from airtwin_core.types import Imu
from airtwin_physics.pace import Pace

MS = 1_000_000
PERIOD_NS = 4 * MS


def imu(k: int) -> Imu:
    t_ns = 10**18 + k * PERIOD_NS
    return Imu(t_ns, t_ns + 10 * MS, np.zeros(3), np.zeros(3), 4e-3)


def samples(seconds: float) -> Iterator[Imu]:
    return map(imu, range(int(seconds * 250)))


def read(busy_ms: int, *, queue: int = 32, seconds: float = 8.0) -> Pace:
    """Read every ``busy_ms`` what a queue so deep holds by then."""
    pace, held = Pace(), []
    end_ns = imu(0).received_ns + busy_ms * MS
    for sample in samples(seconds):
        while sample.received_ns > end_ns:
            for waiting in held[-queue:]:
                pace.on(waiting, end_ns)
            held, end_ns = [], end_ns + busy_ms * MS
        held.append(sample)
    return pace


@pytest.mark.parametrize("busy_ms", [10, 50, 120])
def test_who_keeps_up_says_nothing(busy_ms: int) -> None:
    assert read(busy_ms).said == ""


@pytest.mark.parametrize(("busy_ms", "lost"), [(260, 50), (640, 80)])
def test_who_reads_too_late_says_what_is_lost_and_that_it_is_this_machine(
    busy_ms: int, lost: int
) -> None:
    said = read(busy_ms).said
    assert "this machine is too slow" in said
    assert f"some {lost} % of the IMU's time" in said


def test_a_deep_queue_loses_nothing_and_is_late() -> None:
    said = read(400, queue=1000).said
    assert said == "this machine is too slow: samples wait up to 0.4 s"


def test_what_never_came_was_lost_on_the_link() -> None:
    pace = Pace()
    for k, sample in enumerate(samples(8.0)):
        if k % 100 < 60:
            pace.on(sample, sample.received_ns + 5 * MS)
    words = "some 40 % of the IMU's time are lost: on the link, or to a flood of messages"
    assert pace.said == words


def test_it_is_over_when_it_is_over() -> None:
    pace = read(640)
    for sample in samples(20.0):
        late = dataclasses.replace(
            sample, stamp_ns=sample.stamp_ns, received_ns=sample.received_ns
        )
        pace.on(late, late.received_ns + 5 * MS)
    assert pace.said == ""


def test_a_clock_that_leaps_and_a_link_that_holds_up_lose_nothing() -> None:
    pace = Pace()
    for k, sample in enumerate(samples(10.0)):
        leapt_ns = 200 * MS if k > 1250 else 0
        # every 0.2 s all that was held up comes at once
        come_ns = sample.received_ns // (200 * MS) * (200 * MS) + 200 * MS
        moved = dataclasses.replace(
            sample, stamp_ns=sample.stamp_ns + leapt_ns, received_ns=come_ns
        )
        pace.on(moved, come_ns)
        assert pace.said == ""
