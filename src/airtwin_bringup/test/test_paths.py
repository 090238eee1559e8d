# SPDX-License-Identifier: Apache-2.0
"""Where figures and pages go is looked at before anything is flown or measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from airtwin_bringup import paths


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for target in (tmp_path, tmp_path / "file" / "out.json"):
        with pytest.raises(paths.Unwritable, match=str(target)):
            paths.make_room(target)


def test_a_folder_is_made_and_a_file_left_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.json"
    paths.make_room(target)
    assert not target.exists()
    target.write_text("before", encoding="utf-8")
    paths.make_room(target)
    assert target.read_text(encoding="utf-8") == "before"
