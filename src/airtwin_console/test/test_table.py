# SPDX-License-Identifier: Apache-2.0
"""The live table: always 100 columns, always as high, says what must be said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from airtwin_console.table import LINES_BELOW, WIDTH, Board
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    Check,
    Deviation,
    Identification,
    MissionBelief,
    Origin,
    Parameter,
    Phase,
    Report,
    TwinState,
    Verdict,
    WindEstimate,
)

SECOND = 1_000_000_000


PAD = Origin(47.0, 8.0, 400.0)


def twin_state(
    position: tuple[float, ...], now_ns: int = SECOND, speed: float = 0.0, origin: Origin = PAD
) -> TwinState:
    return TwinState(
        stamp_ns=now_ns,
        received_ns=now_ns,
        position_ned_m=np.array(position, dtype=np.float64),
        velocity_ned_m_s=np.array([speed, 0.0, 0.0]),
        q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
        rate_frd_rad_s=np.zeros(3),
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=np.eye(15) * 0.01,
        origin=origin,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )


def lines(board: Board, now_s: float) -> list[str]:
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        console.print(board.render(now_s))
    return capture.get().rstrip("\n").split("\n")


def report(verdict: Verdict, factor: str = "gnss") -> Report:
    return Report(0, verdict, (Check("CON-GNSS-1", factor, 24.0, 16.3, verdict),), ())


def deviation(number: int, end_ns: int | None = None) -> Deviation:
    return Deviation(
        f"d{number}", "gnss", f"CON-GNSS-{number}", SECOND, end_ns, "spoof", 24.0, 16.3, ""
    )


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(numbers, numbers, numbers),
    numbers,
    st.sampled_from(Verdict),
    st.sampled_from(Phase),
    st.sampled_from(AdvisoryAction),
    numbers,
    st.text(max_size=200),
    st.integers(0, 6),
)
def test_width_and_height_never_change(
    position: tuple[float, ...],
    speed: float,
    verdict: Verdict,
    phase: Phase,
    action: AdvisoryAction,
    progress: float,
    text: str,
    opened: int,
) -> None:
    board = Board("a run", ("px4_1", "px4_2"))
    high = len(lines(board, 0.0))
    board.on_state("px4_1", twin_state(position, speed=speed))
    board.on_report("px4_1", report(verdict, text))
    board.on_belief("px4_1", MissionBelief(0, 0, phase, 3, 7, progress, None, 0.0, text))
    board.on_advisory(Advisory("px4_1", action, "traffic", text, math.nan, math.nan, text))
    board.on_note(text)
    for number in range(opened):
        board.on_deviation("px4_1", deviation(number))
    shown = lines(board, 1.0)
    assert len(shown) == high
    assert {cell_len(line) for line in shown} == {WIDTH}
    assert len(board.plain_line(2.0).split("\n")) <= 6 + opened


def test_a_new_aircraft_adds_one_row_and_no_more() -> None:
    board = Board("a run", ("px4_1",))
    high = len(lines(board, 0.0))
    board.on_state("px4_10", twin_state((0, 0, 0)))
    board.on_state("px4_2", twin_state((0, 0, 0)))
    shown = lines(board, 0.1)
    assert len(shown) == high + 2
    order = [line.split()[1] for line in shown if line.split()[1:2][0:1] and "px4_" in line]
    assert order[:3] == ["px4_1", "px4_2", "px4_10"]


def test_what_is_shown() -> None:
    board = Board("a run", ("px4_1",))
    lines(board, 10.0)
    board.on_state("px4_1", twin_state((1.25, -2.5, -10.04), speed=5.0))
    board.on_report("px4_1", report(Verdict.INCONSISTENT))
    board.on_belief("px4_1", MissionBelief(0, 0, Phase.HOLD, 1, 4, 0.5, None, 0.0, "advisory"))
    board.on_advisory(
        Advisory("px4_1", AdvisoryAction.HOLD, "traffic", "px4_2", 8.0, 3.0, "would pass at 3 m")
    )
    board.on_deviation("px4_1", deviation(1))
    shown = "\n".join(lines(board, 10.2))
    for word in (
        "hold",
        "2/4",
        "-2.5",
        "10.0",
        "INCONSISTENT",
        "HOLD px4_2",
        "aircraft and twin disagree: gnss",
        "airspace says HOLD for px4_2: would pass at 3 m",
        "CON-GNSS-1 gnss: 24 over 16.3, spoof",
    ):
        assert word in shown
    board.on_deviation("px4_1", deviation(1, end_ns=3 * SECOND))
    shown = "\n".join(lines(board, 10.4))
    assert "open" not in shown
    assert "agrees after 2.0 s" in shown


def test_places_are_told_from_the_first_pad_and_heights_from_each_ones_own() -> None:
    """0.001 degrees of latitude are 111.2 m; px4_2 stands there, 50 m higher."""
    board = Board("a run")
    far = Origin(47.001, 8.0, 450.0)
    board.on_state("px4_2", twin_state((10.0, 20.0, -5.0), origin=far))
    assert "n=10.0 e=20.0 h=5.0m" in board.plain_line(0.0)
    board.on_state("px4_1", twin_state((1.0, 2.0, -3.0)))
    line = board.plain_line(0.1)
    assert "px4_1 n=1.0 e=2.0 h=3.0m" in line
    assert "px4_2 n=121.2 e=20.0 h=5.0m" in line
    board.on_state("px4_1", twin_state((1.0, 2.0, -3.0), origin=Origin(math.nan, 8.0, 0.0)))
    assert "px4_2 n=nan" in board.plain_line(0.2)


def test_no_report_is_not_consistent_and_silence_is_said() -> None:
    board = Board("a run")
    lines(board, 0.0)
    board.on_state("px4_1", twin_state((0, 0, 0)))
    assert "consistent" not in "\n".join(lines(board, 0.2))
    board.on_report("px4_1", report(Verdict.CONSISTENT))
    assert "consistent" in "\n".join(lines(board, 0.4))
    shown = "\n".join(lines(board, 3.0))
    assert "silent" in shown
    assert "consistent" not in shown
    assert "silent" in board.plain_line(3.0)


def test_an_open_deviation_is_named_when_no_check_fails_now() -> None:
    board = Board("a run")
    board.on_report("px4_1", Report(0, Verdict.INCONSISTENT, (), (), (deviation(1),)))
    assert "aircraft and twin disagree: gnss" in board.plain_line(0.0)


def test_events_carry_the_time_at_which_they_came() -> None:
    board = Board("a run")
    board.on_state("px4_1", twin_state((0, 0, 0), SECOND))
    board.plain_line(20.0)
    board.on_state("px4_1", twin_state((0, 0, 0), SECOND + 1_300_000_000))
    board.on_note("wind rises")
    board.on_state("px4_1", twin_state((0, 0, 0), 3 * SECOND))
    first, last = board.plain_line(22.0).split("\n")
    assert first == "00:21.3 wind rises"
    assert last.startswith("00:22.0 px4_1 n=0.0 e=0.0")
    assert board.plain_line(24.0).count("\n") == 0


@pytest.mark.parametrize("action", [AdvisoryAction.CLEAR, AdvisoryAction.HOLD])
def test_the_first_clear_is_no_event(action: AdvisoryAction) -> None:
    board = Board("a run")
    board.on_advisory(Advisory("px4_1", action, "clear", "", math.nan, math.nan, "no conflict"))
    assert ("airspace" in board.plain_line(0.0)) == (action is AdvisoryAction.HOLD)


def test_only_the_newest_events_are_shown() -> None:
    board = Board("a run")
    for number in range(30):
        board.on_note(f"event {number}.")
    shown = "\n".join(lines(board, 0.0))
    assert "event 29." in shown
    assert f"event {30 - LINES_BELOW}." in shown
    assert f"event {29 - LINES_BELOW}." not in shown


@pytest.mark.parametrize(
    ("north", "east", "text"),
    [(5.0, 0.0, "↑5.0"), (0.0, 5.0, "→5.0"), (-4.0, -4.0, "↙5.7"), (60.0, 80.0, "↗100")],
)
def test_the_wind_blows_where_the_arrow_points(north: float, east: float, text: str) -> None:
    board = Board("a run", ("px4_1",))
    wind = WindEstimate(np.array([north, east]), np.eye(2), valid=True)
    board.on_state("px4_1", twin_state((0, 0, 0))._replace(wind=wind))
    assert text in "\n".join(lines(board, 0.1))
    assert f"wind={math.hypot(north, east):.1f}m/s" in board.plain_line(0.2)


def test_a_wind_that_is_a_guess_is_not_told_as_one() -> None:
    board = Board("a run", ("px4_1",))
    for wind in (None, WindEstimate(np.full(2, np.nan), np.eye(2), valid=False)):
        board.on_state("px4_1", twin_state((0, 0, 0))._replace(wind=wind))
        lines(board, 0.1)
        assert "wind=" not in board.plain_line(0.2)


def test_what_the_estimator_says_aloud_is_an_event_once() -> None:
    board = Board("a run", ("px4_1",))
    for notice in (
        "",
        "GNSS refused for 7 s: position reset",
        "GNSS refused for 7 s: position reset",
    ):
        board.on_state("px4_1", twin_state((0, 0, 0))._replace(notice=notice))
    assert board.plain_line(0.2).count("estimator: GNSS refused") == 1


def test_a_weak_rotor_is_named_while_it_is_weak() -> None:
    board = Board("a run", ("px4_1",))
    share = Parameter("rotor_2_effectiveness", "-", 0.8, 0.02, 1.0, True)
    board.on_identification("px4_1", Identification(0, 0, (share,), -1))
    assert "rotor" not in board.plain_line(0.1)
    board.on_identification("px4_1", Identification(0, 0, (share,), 2))
    told = "rotor 3 gives less thrust than it is commanded: 80 ± 2 %"
    shown = "\n".join(lines(board, 0.2))
    assert shown.count(told) == 2, "as what is open, and as an event"
    assert "rotor 3 weak" in board.plain_line(0.3)
    board.on_identification("px4_1", Identification(0, 0, (), -1))
    shown = "\n".join(lines(board, 0.4))
    assert "rotor 3 gives its thrust again" in shown
    assert "open" not in shown
