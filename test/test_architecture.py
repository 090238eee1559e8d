# SPDX-License-Identifier: Apache-2.0
"""The layout holds: import contracts, and the small rules that no linter knows."""

import ast
import re
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for p in (ROOT / "src").glob("airtwin_*/airtwin_*/**/*.py"))


def test_imports_point_one_way(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exit_code = cli.lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True)
    assert exit_code == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_each_file_is_licensed_explained_and_short(path):
    text = path.read_text()
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(ast.parse(text)), "a module says what it is for"
    assert len(text.splitlines()) <= 500, "a file that needs a table of contents is two files"


def test_nobody_is_called_utils():
    names = {p.stem for p in SOURCES} | {p.parent.name for p in SOURCES}
    assert not names & {"utils", "util", "common", "helpers", "misc", "manager_v2"}


def test_nodes_hold_no_mathematics():
    """A shell may stack and compare values; it may not compute them."""
    for path in SOURCES:
        if path.name != "node.py":
            continue
        calls = re.findall(
            r"np\.(linalg|cross|dot|sin|cos|sqrt|hypot|arctan2|matmul)", path.read_text()
        )
        assert not calls, f"{path} computes: {calls}"
