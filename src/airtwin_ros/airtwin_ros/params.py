# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node are one frozen dataclass; this declares and reads them.

rclpy ignores a misspelt key in a YAML file; ``test/test_config.py`` compares keys with fields.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from rclpy.node import Node

Params = TypeVar("Params")


def declare(node: Node, kind: type[Params]) -> Params:
    """Declare each field of the dataclass ``kind`` on ``node`` and return the values set.

    Tuples travel as ROS arrays.

    Raises:
        ValueError: a value is out of range (``kind.__post_init__``).
    """
    values = {}
    for spec in dataclasses.fields(kind):  # type: ignore[arg-type]
        default = spec.default
        if default is dataclasses.MISSING:
            default = spec.default_factory()  # type: ignore[misc]
        wire = list(default) if isinstance(default, tuple) else default
        value = node.declare_parameter(spec.name, wire).value
        values[spec.name] = tuple(value) if isinstance(default, tuple) else value
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"parameters of {node.get_fully_qualified_name()}: {error}") from error
