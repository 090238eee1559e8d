# SPDX-License-Identifier: Apache-2.0
"""Lets tests import their helpers from this folder; compiles ahead what takes long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
_MANY = 1000  # tests: fewer are done before a kernel is
_ahead: list[subprocess.Popen[bytes]] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let another process compile what the last tests need, while the first ones run."""
    if len(session.items) > _MANY and not session.config.option.collectonly:
        command = [sys.executable, str(HERE / "compile_ahead.py")]
        _ahead.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))


def pytest_sessionfinish() -> None:
    """Leave no process behind."""
    for process in _ahead:
        process.kill()
        process.wait()
