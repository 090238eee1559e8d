# SPDX-License-Identifier: Apache-2.0
"""Runs ``bench/<name>.py``: every published figure comes from there."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from pathlib import Path

from rich.console import Console

from airtwin_bringup import paths


def run(name: str, target: Path, console: Console) -> None:
    """Measure ``name`` and write one JSON object to ``target``.

    Raises:
        KeyError: there is no such bench; the message lists those that there are.
    """
    folder = paths.root() / "bench"
    path = folder / f"{name}.py"
    if not path.is_file() or path.parent != folder:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py")))
        raise KeyError(f"no bench {name!r}; there are: {known}")
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    figures = module.measure(console)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"bench": name, "machine": machine, **figures}, indent=2) + "\n")
    console.print_json(data=figures)
