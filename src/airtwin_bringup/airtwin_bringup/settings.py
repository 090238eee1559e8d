# SPDX-License-Identifier: Apache-2.0
"""The values of ``config/`` for what runs without a node: replay judges as the nodes do."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import yaml

from airtwin_bringup import paths
from airtwin_consistency.limits import Limits
from airtwin_physics.config import EstimatorConfig


def node(name: str) -> dict[str, Any]:
    """Return the parameters of ``config/<name>.yaml``; empty if there is no such file.

    Raises:
        KeyError: the file's keys are not ``/**/<name>`` and ``ros__parameters``.
    """
    path = paths.config(f"{name}.yaml")
    if not path.exists():
        return {}
    document = yaml.safe_load(path.read_text()) or {}
    parameters: dict[str, Any] = document[f"/**/{name}"]["ros__parameters"]
    return parameters


def estimator() -> EstimatorConfig:
    """Return the estimator's configuration; the node has parameters beside it."""
    known = {spec.name for spec in fields(EstimatorConfig)}
    return EstimatorConfig(**{k: v for k, v in node("physics").items() if k in known})


def limits() -> Limits:
    """Return the monitor's thresholds."""
    return Limits(**node("consistency"))
