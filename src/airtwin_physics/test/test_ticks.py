# SPDX-License-Identifier: Apache-2.0
"""Durations as whole ticks: nothing is lost between calls, nothing flown twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airtwin_physics.control.ticks import TICK_S, Ticks


@given(st.lists(st.integers(min_value=0, max_value=50_000), min_size=1, max_size=40))
def test_pieces_of_a_duration_give_the_ticks_of_the_whole(pieces_us: list[int]) -> None:
    ticks = Ticks()
    assert sum(ticks.due(us * 1e-6) for us in pieces_us) == sum(pieces_us) // 4000


def test_another_flight_begins_with_a_whole_tick() -> None:
    ticks = Ticks()
    assert ticks.due(0.9 * TICK_S) == 0
    ticks.start_over()
    assert ticks.due(0.9 * TICK_S) == 0
    assert ticks.due(0.1 * TICK_S) == 1
