# SPDX-License-Identifier: Apache-2.0
"""The frame that one twin leaves to the next: by file, and by two nodes after each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from airtwin_core.types import Origin
from airtwin_physics.frame_memory import KEPT_S, PERIOD_S, FrameMemory, file_of

HERE = Origin(47.397742123456, 8.545594, 489.4)
NOW_S = 1.7e9


def test_what_is_kept_is_recalled_for_a_while(tmp_path: Path) -> None:
    file = file_of("px4_3", 42, str(tmp_path / "new"))
    assert FrameMemory(file).recall(NOW_S) is None
    FrameMemory(file).keep(HERE, NOW_S)
    assert FrameMemory(file).recall(NOW_S + 10.0) == HERE
    assert FrameMemory(file).recall(NOW_S + KEPT_S + 1.0) is None
    assert FrameMemory(file).recall(NOW_S - 1.0) is None, "written by another clock"
    assert FrameMemory(file_of("px4_3", 43, str(tmp_path / "new"))).recall(NOW_S) is None


def test_it_is_written_now_and_then_and_when_it_moves(tmp_path: Path) -> None:
    file = tmp_path / "frame.json"
    memory = FrameMemory(file)
    memory.keep(HERE, NOW_S)
    file.unlink()
    memory.keep(HERE, NOW_S + 0.9 * PERIOD_S)
    assert not file.exists()
    memory.keep(HERE, NOW_S + 1.1 * PERIOD_S)
    assert FrameMemory(file).recall(NOW_S + 1.1 * PERIOD_S) == HERE
    there = Origin(47.4, 8.5, 400.0)
    memory.keep(there, NOW_S + 1.2 * PERIOD_S)
    assert FrameMemory(file).recall(NOW_S + 1.2 * PERIOD_S) == there


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2]", "{}", "null", '{"latitude": 91, "longitude": 0, "altitude": 0, "time": 1.7e9}']
    + [
        f'{{"latitude": 1, "longitude": 1, "altitude": {x}, "time": 1.7e9}}'
        for x in ("NaN", '"a"')
    ],
)
def test_a_broken_file_is_no_memory(tmp_path: Path, text: str) -> None:
    file = tmp_path / "frame.json"
    file.write_text(text)
    assert FrameMemory(file).recall(NOW_S) is None


def test_a_folder_that_cannot_be_written_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    memory = FrameMemory(tmp_path / "taken" / "frame.json")
    memory.keep(HERE, NOW_S)
    assert memory.recall(NOW_S) is None
