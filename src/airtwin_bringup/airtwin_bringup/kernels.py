# SPDX-License-Identifier: Apache-2.0
"""Compiles every kernel before anything flies: once, then they come from the cache."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console


def warm() -> None:
    """Touch every kernel once: compiled, or loaded from the cache."""
    # imported here, so that ``ready`` costs nothing where all is compiled
    from airtwin_airspace import conflict
    from airtwin_physics import warm as physics
    from airtwin_sim.scenario import Scenario, VehicleSpec
    from airtwin_sim.world import World

    physics.warm_up()
    conflict.warm_up()
    World(Scenario((VehicleSpec("px4_1"),), extra_topics=True)).warm_up()


def ready(console: Console) -> None:
    """Compile what is not compiled yet; processes that start together would each do it."""
    cache = os.environ.get("NUMBA_CACHE_DIR")
    stamp = Path(cache) / "compiled" if cache else None
    if stamp is not None and stamp.exists():
        return
    with console.status("compiling the kernels, this once"):
        warm()
    if stamp is not None:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
