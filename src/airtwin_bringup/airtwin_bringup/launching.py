# SPDX-License-Identifier: Apache-2.0
"""The graph for ``ros2 launch``: each spec becomes one ``launch_ros`` action.

Imported by the files of ``launch/`` only: ``launch_ros`` exists on a full ROS 2 machine alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from launch_ros.actions import Node

from airtwin_bringup import paths
from airtwin_bringup.graph import NodeSpec


def actions(specs: Iterable[NodeSpec]) -> list[Node]:
    """Return the actions; a node that dies is started again after a second."""
    return [_action(spec) for spec in specs]


def _action(spec: NodeSpec) -> Node:
    config = paths.config(spec.config)
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in spec.parameters.items()}
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        # Before each line of output; launch would say "node-7" for all.
        exec_name=".".join(filter(None, (spec.namespace, spec.name))),
        parameters=[str(config), values] if config.exists() else [values],
        output="screen",
        respawn=True,
        respawn_delay=1.0,
    )
