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
_POINTS_MAX = 2000
_LEAST = 10
_SAME_DATUM_M = 5.0  # altitudes that part further from the local height count from elsewhere
_MIRRORED_MIN_M = 1.0  # of climb, before its sense can be judged


@dataclass(frozen=True, slots=True)
class PositionErrors:
    """At (n,) instants at which PX4 and twin both call their position valid; NED [m]."""

    t: Array  # (n,) [s] from the log's first sample
    truth_ned_m: Array  # (n, 3)
    twin_ned_m: Array  # (n, 3), estimate minus truth
    px4_ned_m: Array  # (n, 3)
    remarks: tuple[str, ...] = ()

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
    valid = np.all(twin["valid"] > 0.0, axis=1)
    good = near & inside & valid[after] & valid[after - 1] & np.isfinite(px4[:, 1:4]).all(axis=1)
    claimed = np.all(px4[:, 4:6] > 0.0, axis=1)
    remarks = []
    if claimed.any():
        good &= claimed
    else:
        remarks.append("PX4 never calls its position valid; its estimate is measured all the same")
    if truth.position_ned_m is None:
        return None
    times = truth.stamp_ns
    index = np.flatnonzero(good & (stamp >= times[0]) & (stamp <= times[-1]))
    if len(index) < _LEAST:
        return None
    index = index[:: max(1, len(index) // _POINTS_MAX)]
    where = _interpolate(twin_stamp, twin["position"], stamp[index])
    real = _truth_at(truth, stamp[index], history.origin)
    flown = px4[index, 1:4]
    if _mirrored(real[:, 2], flown[:, 2]):
        # the simulators of PX4 1.7 gave height where down belongs
        real[:, 2] *= -1.0
        remarks.append("the log's true height has the wrong sign; it was turned")
    return PositionErrors(px4[index, 0], real, where - real, flown - real, tuple(remarks))


def _mirrored(real_down_m: Array, flown_down_m: Array) -> bool:
    """Whether the truth sinks by what PX4 climbs."""
    if np.ptp(real_down_m) < _MIRRORED_MIN_M or np.ptp(flown_down_m) < _MIRRORED_MIN_M:
        return False
    return bool(np.corrcoef(real_down_m, flown_down_m)[0, 1] < -0.9)


def _truth_at(truth: Truth, stamp: npt.NDArray[np.int64], origin: Origin | None) -> Array:
    """Return the truth (n, 3) NED [m] at (n,) stamps.

    Geographic truth is preferred where there is one: the simulator's local origin is not PX4's.
    """
    assert truth.position_ned_m is not None
    ned = _interpolate(truth.stamp_ns, truth.position_ned_m, stamp)
    if truth.geodetic is None or truth.geodetic_stamp_ns is None or origin is None:
        return ned
    rows = _interpolate(truth.geodetic_stamp_ns, truth.geodetic, stamp)
    parted_m = origin.altitude_amsl_m - rows[:, 2] - ned[:, 2]
    same_datum = abs(float(np.median(parted_m))) < _SAME_DATUM_M
    for i, (latitude, longitude, altitude) in enumerate(rows.tolist()):
        ned[i, :2] = px4_to_ned(origin, latitude, longitude)
        if same_datum:
            ned[i, 2] = origin.altitude_amsl_m - altitude
    return ned


def _interpolate(times: npt.NDArray[np.int64], table: Array, at: npt.NDArray[np.int64]) -> Array:
    # relative to the first: a float holds an epoch in ns to 128 ns only
    x, new = (times - times[0]).astype(np.float64), (at - times[0]).astype(np.float64)
    return np.stack([np.interp(new, x, column) for column in table.T], axis=1)
