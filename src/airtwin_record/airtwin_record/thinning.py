# SPDX-License-Identifier: Apache-2.0
"""Columns thinned to what a screen can show, and numbers as JSON has them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from airtwin_core.types import Array


def every(count: int, points: int) -> npt.NDArray[np.int64]:
    """Return indices of about ``points`` rows, evenly, the last included."""
    if count <= points:
        return np.arange(count, dtype=np.int64)
    return np.unique(np.linspace(0, count - 1, points).astype(np.int64))


def peaks(size: Array, points: int) -> npt.NDArray[np.int64]:
    """Return the index of the largest ``size`` in each of ``points`` bins: no spike is lost."""
    if len(size) <= points:
        return np.arange(len(size), dtype=np.int64)
    edges = np.linspace(0, len(size), points + 1).astype(np.int64)
    loud = np.where(np.isfinite(size), size, -1.0)
    return np.array([a + int(np.argmax(loud[a:b])) for a, b in itertools.pairwise(edges)])


def series(values: Any, digits: int = 3) -> list[float | None]:
    """Return numbers as JSON has them: NaN is null."""
    array = np.round(np.asarray(values, dtype=np.float64), digits)
    if np.isfinite(array).all():
        return array.tolist()  # type: ignore[no-any-return]
    return [value if np.isfinite(value) else None for value in array.tolist()]


def number(value: float, digits: int = 4) -> float | None:
    """Return a number that JSON can hold: NaN and infinities are null."""
    return round(float(value), digits) if math.isfinite(value) else None
