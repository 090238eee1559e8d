# SPDX-License-Identifier: Apache-2.0
"""Spoilt samples: values, stamps, or both, of one sample of any kind."""

from __future__ import annotations

import dataclasses
from dataclasses import fields, replace
from typing import Any

import numpy as np

from airtwin_core.types import Sample

NAN, INF = float("nan"), float("inf")
RUBBISH = (NAN, INF, -INF, 0.0, -0.0, -1.0, 1.0, 1e-300, 1e-9, 35.0, -35.0, 157.0, -157.0, 1e4,
           1e6, -1e12, 1e30, 1e155, -1e308, 3.4e38)  # fmt: skip
JUMPS_NS = (0, 1, -1, -4_000_000, 30_000_000, -100_000_000, 200_000_000, -300_000_000,
            1_000_000_000, -1_000_000_000, 40_000_000_000, -(10**15), 10**18)  # fmt: skip


def spoil(
    sample: Sample, alike: list[Sample], rng: np.random.Generator, *, stamps: bool
) -> Sample:
    """Return the sample with stamps or values spoilt, or frozen at those of another time."""
    names = [spec.name for spec in fields(sample)]
    dice = rng.random()
    if dice < 0.15:  # frozen: an earlier one's values under this stamp
        other = alike[int(rng.integers(len(alike)))]
        return replace(other, stamp_ns=sample.stamp_ns, received_ns=sample.received_ns)
    changes: dict[str, Any] = {}
    if stamps:
        jump = JUMPS_NS[int(rng.integers(len(JUMPS_NS)))]
        for name in ("stamp_ns", "received_ns"):
            if rng.random() < 0.7:
                changes[name] = max(0, getattr(sample, name) + jump)
        if rng.random() < 0.7:
            return replace(sample, **changes)
    values = [name for name in names if not name.endswith("_ns")]
    count = 1 if rng.random() < 0.6 else int(rng.integers(1, len(values) + 1))
    for at in rng.permutation(len(values))[:count]:
        changes[values[at]] = _wrong(getattr(sample, values[at]), rng)
    return replace(sample, **changes)


def _wrong(value: Any, rng: np.random.Generator) -> Any:
    """Return another value of the same type."""
    if isinstance(value, np.ndarray):
        dice = rng.random()
        if dice < 0.2:
            return np.full(value.shape, _number(1.0, rng))
        if dice < 0.4:
            return value * _scale(rng)
        spoilt = value.astype(np.float64)
        at = int(rng.integers(value.size))
        spoilt[at] = _number(float(value[at]), rng)
        return spoilt
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return int(rng.integers(-2, 260))
    if isinstance(value, float):
        return _number(value, rng)
    if value is not None and dataclasses.is_dataclass(value):  # an origin
        return (
            None
            if rng.random() < 0.3
            else replace(
                value, **{s.name: _wrong(getattr(value, s.name), rng) for s in fields(value)}
            )
        )
    return value


def _number(value: float, rng: np.random.Generator) -> float:
    dice = rng.random()
    if dice < 0.5:
        return RUBBISH[int(rng.integers(len(RUBBISH)))]
    if dice < 0.75:
        return float(rng.normal() * 10.0 ** rng.uniform(-12.0, 12.0))
    return value * _scale(rng)


def _scale(rng: np.random.Generator) -> float:
    return float(rng.normal() * 10.0 ** rng.uniform(-2.0, 3.0))
