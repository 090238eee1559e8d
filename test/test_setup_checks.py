# SPDX-License-Identifier: Apache-2.0
"""The habits that tools can judge: ruff over everything, mypy --strict over the pure modules."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROS = re.compile(
    r"^\s*(?:from|import) (?:rclpy|\w+_msgs|builtin_interfaces|launch|launch_ros)\b", re.MULTILINE
)


def _pure_modules() -> list[str]:
    """Modules without ROS 2 in them: there a type checker knows everything."""
    modules = sorted((ROOT / "src").glob("airtwin_*/airtwin_*/**/*.py"))
    return [
        str(path.relative_to(ROOT))
        for path in modules
        if path.name != "node.py" and not ROS.search(path.read_text())
    ]


def _run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "args", [("check", "--quiet"), ("format", "--check", "--quiet")], ids=["lint", "layout"]
)
def test_ruff_is_content(args):
    result = _run("ruff", *args, ".")
    assert result.returncode == 0, f"./airtwin python -m ruff {' '.join(args)}\n{result.stdout}"


def test_pure_modules_are_typed_strictly():
    modules = _pure_modules()
    assert any("frames" in module for module in modules)
    result = _run("mypy", "--no-error-summary", *modules)
    assert result.returncode == 0, f"mypy --strict\n{result.stdout}{result.stderr}"
