# SPDX-License-Identifier: Apache-2.0
"""Runs ``bench/<name>.py``: every published figure comes from there.

A bench is a module with ``measure(console) -> dict`` of figures and, if it likes, ``show(console,
figures)``, which prints them for a person. The project's root is on Python's path meanwhile, so
that a bench imports its parts as ``from bench import physics_logs``.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from airtwin_bringup import paths


def run(name: str, target: Path, console: Console) -> bool:
    """Measure ``name``, write one JSON object to ``target``; return whether all was measured.

    What could not be measured stands in the object's ``failed``, by part, with the reason.

    Raises:
        KeyError: there is no such bench; the message lists those that there are.
        Unwritable: ``target`` can't be written.
    """
    folder = paths.root() / "bench"
    path = folder / f"{name}.py"
    if not path.is_file() or path.parent != folder:
        # the parts of a bench are called <bench>_<part>
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py") if "_" not in p.stem))
        raise KeyError(f"no bench {name!r}; there are: {known}")
    paths.make_room(target)
    with _importable(folder.parent):
        module = importlib.import_module(f"bench.{name}")
        figures = module.measure(console)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    target.write_text(json.dumps({"bench": name, "machine": machine, **figures}, indent=2) + "\n")
    if hasattr(module, "show"):
        module.show(console, figures)
    else:
        console.print_json(data=figures)
    return not figures.get("failed")


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
