# SPDX-License-Identifier: Apache-2.0
"""``./airtwin sim``: the embedded simulator alone, as PX4 SITL would run."""

from __future__ import annotations

from pathlib import Path

import rclpy
from rclpy.context import Context
from rich.console import Console

from airtwin_bringup import graph
from airtwin_bringup.in_process import InProcess
from airtwin_sim.scenario import ScenarioError


def run(scenario: str, speed: float, lockstep: bool, seed: int, console: Console) -> int:
    """Simulate until Ctrl-C; return the exit code."""
    spec = graph.simulator(Path(scenario), speed=speed, lockstep=lockstep, seed=seed)
    context = Context()
    rclpy.init(context=context)
    try:
        with InProcess((spec,), context) as nodes:
            console.print(f"simulating {scenario}; Ctrl-C ends it", highlight=False)
            nodes.spin(lambda: False)
    except ScenarioError as error:
        console.print(f"[bold red]airtwin:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        context.try_shutdown()
    return 0
