# SPDX-License-Identifier: Apache-2.0
"""How far twin and PX4 were from the truth, at the same instants, where a log knows the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, Origin

from airtwin_record.flight import Truth
from airtwin_record.history import History

_GAP_MAX_NS = 200_000_000  # never interpolate the twin over more
_POINTS_MAX = 3000
_LEAST = 10


@dataclass(frozen=True, slots=True)
class PositionErrors:
    """At (n,) instants at which PX4 and twin both call their position valid; NED [m]."""

    t: Array  # (n,) [s] from the log's first sample
    truth_ned_m: Array  # (n, 3)
    twin_ned_m: Array  # (n, 3), estimate minus truth
    px4_ned_m: Array  # (n, 3)

    @property
    def rmse_m(self) -> tuple[float, float]:
        """Root mean square of the distance: (twin, PX4)."""
        return _rms(self.twin_ned_m), _rms(self.px4_ned_m)


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(error**2, axis=1))))


def position_errors(history: History, truth: Truth | None) -> PositionErrors | None:
    """Compare; None without truth or without enough instants."""
    if truth is None or not history.twin or not history.px4_position:
        return None
    px4 = np.array([(r[0], *r[2:5], r[8], r[9]) for r in history.px4_position], dtype=np.float64)
    stamp = np.array([r[1] for r in history.px4_position], dtype=np.int64)
    twin_stamp, twin = history.twin_stamps(), history.twin_columns()
    after = np.clip(np.searchsorted(twin_stamp, stamp), 1, len(twin_stamp) - 1)
    near = twin_stamp[after] - twin_stamp[after - 1] <= _GAP_MAX_NS
    inside = (stamp >= twin_stamp[0]) & (stamp <= twin_stamp[-1])
    valid = twin["valid"].all(axis=1)
    good = near & inside & valid[after] & valid[after - 1] & (px4[:, 4:6] > 0.0).all(axis=1)
    places, covered = _truth_at(truth, stamp, history.origin)
    index = np.flatnonzero(good & covered)
    if len(index) < _LEAST:
        return None
    index = index[:: max(1, len(index) // _POINTS_MAX)]
    where = _interpolate(twin_stamp, twin["position"], stamp[index])
    real = places(index)
    return PositionErrors(px4[index, 0], real, where - real, px4[index, 1:4] - real)


def _truth_at(
    truth: Truth, stamp: npt.NDArray[np.int64], origin: Origin | None
) -> tuple[_Places, npt.NDArray[np.bool_]]:
    """Return the truth at chosen stamps, and which stamps it covers.

    Geographic truth is preferred: the simulator's local origin is not PX4's.
    """
    if truth.geodetic is not None and truth.geodetic_stamp_ns is not None and origin is not None:
        times, table = truth.geodetic_stamp_ns, truth.geodetic
    elif truth.position_ned_m is not None:
        times, table, origin = truth.stamp_ns, truth.position_ned_m, None
    else:
        return _Places(stamp[:0], np.zeros((0, 3)), stamp, None), np.zeros(len(stamp), dtype=bool)
    return _Places(times, table, stamp, origin), (stamp >= times[0]) & (stamp <= times[-1])


@dataclass(frozen=True, slots=True)
class _Places:
    times: npt.NDArray[np.int64]
    table: Array
    stamp: npt.NDArray[np.int64]
    origin: Origin | None

    def __call__(self, index: npt.NDArray[np.int64]) -> Array:
        rows = _interpolate(self.times, self.table, self.stamp[index])
        if self.origin is None:
            return rows
        ned = np.empty_like(rows)
        for i, (latitude, longitude, altitude) in enumerate(rows.tolist()):
            ned[i, :2] = px4_to_ned(self.origin, latitude, longitude)
            ned[i, 2] = self.origin.altitude_amsl_m - altitude
        return ned


def _interpolate(
    times: npt.NDArray[np.int64], table: Array, at: npt.NDArray[np.int64]
) -> Array:
    # relative to the first: a float holds an epoch in ns to 128 ns only
    x, new = (times - times[0]).astype(np.float64), (at - times[0]).astype(np.float64)
    return np.stack([np.interp(new, x, column) for column in table.T], axis=1)
