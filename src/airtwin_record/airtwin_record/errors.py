# SPDX-License-Identifier: Apache-2.0
"""How far twin and PX4 were from the truth, at the same instants, where a log knows the truth.

The instants are those of PX4's local position: of the three series it is the one that must not be
interpolated, for it is judged and often logged at 10 Hz, while the twin publishes at 50 Hz. The
truth, interpolated to them, is then the same for both. The frame is local NED around PX4's origin,
which the twin takes over: what either believes of its place on Earth is judged, so the truth
comes in by its latitude and longitude. The simulator's own local truth counts from where the
simulator began, 1 to 7 cm from PX4's origin in the logs at hand; against that, whoever errs with
the origin would win. The twin's positions are those that it published, not smoothed afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, Origin
from airtwin_record.flight import Times, Truth
from airtwin_record.history import History

_GAP_MAX_NS = 200_000_000  # never interpolate over more
_POINTS_MAX = 2000
_LEAST = 10
_SAME_DATUM_M = 5.0  # altitudes that part further from the local height count from elsewhere
_MIRRORED_MIN_M = 1.0  # of climb, before its sense can be judged


@dataclass(frozen=True, slots=True)
class Track:
    """Positions that somebody published. ``valid``: (n,), whether called so by who did."""

    stamp_ns: Times  # (n,) of the vehicle's clock, in order
    position_ned_m: Array  # (n, 3) around the origin
    valid: npt.NDArray[np.bool_]  # (n,)


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
        return rms_m(self.twin_ned_m), rms_m(self.px4_ned_m)


def rms_m(error: Array) -> float:
    """Return the root mean square length [m] of error vectors (n, k) [m]."""
    return float(np.sqrt(np.mean(np.sum(error**2, axis=1))))


def position_errors(history: History, truth: Truth | None) -> PositionErrors | None:
    """Compare what a replay left; None without truth or without enough instants."""
    if truth is None or not history.twin or not history.px4_position:
        return None
    table = np.array([(r[0], *r[2:5], r[8], r[9]) for r in history.px4_position], dtype=np.float64)
    stamp = np.array([r[1] for r in history.px4_position], dtype=np.int64)
    px4 = Track(stamp, table[:, 1:4], np.all(table[:, 4:6] > 0.0, axis=1))
    columns = history.twin_columns()
    valid = np.all(columns["valid"] > 0.0, axis=1)
    twin = Track(history.twin_stamps(), columns["position"], valid)
    return compare(twin, px4, truth, history.origin, times_s=table[:, 0])


def compare(
    twin: Track, px4: Track, truth: Truth, origin: Origin | None, *, times_s: Array
) -> PositionErrors | None:
    """Judge two tracks at PX4's instants; None without enough of them.

    ``origin``: where both tracks are zero. ``times_s``: (n,) of ``px4`` from the log's start.
    """
    if truth.position_ned_m is None or not len(twin.stamp_ns) or len(truth.stamp_ns) < 2:
        return None
    stamp = px4.stamp_ns
    good = bridged(twin.stamp_ns, stamp, twin.valid) & bridged(truth.stamp_ns, stamp)
    good &= np.isfinite(px4.position_ned_m).all(axis=1)
    remarks = []
    if px4.valid.any():
        good &= px4.valid
    else:
        remarks.append("PX4 never calls its position valid; its estimate is measured all the same")
    index = np.flatnonzero(good)
    if len(index) < _LEAST:
        return None
    index = index[:: max(1, len(index) // _POINTS_MAX)]
    where = interpolate(twin.stamp_ns, twin.position_ned_m, stamp[index])
    real = truth_at(truth, stamp[index], origin)
    flown = px4.position_ned_m[index]
    if _mirrored(real[:, 2], flown[:, 2]):
        # the simulators of PX4 1.7 gave height where down belongs
        real[:, 2] *= -1.0
        remarks.append("the log's true height has the wrong sign; it was turned")
    return PositionErrors(times_s[index], real, where - real, flown - real, tuple(remarks))


def bridged(
    times: Times, at: Times, valid: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return where ``at`` lies between two close, valid neighbours of ``times``."""
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    good: npt.NDArray[np.bool_] = (
        (times[after] - times[after - 1] <= _GAP_MAX_NS) & (at >= times[0]) & (at <= times[-1])
    )
    if valid is not None:
        good &= valid[after] & valid[after - 1]
    return good


def _mirrored(real_down_m: Array, flown_down_m: Array) -> bool:
    """Whether the truth sinks by what PX4 climbs."""
    if np.ptp(real_down_m) < _MIRRORED_MIN_M or np.ptp(flown_down_m) < _MIRRORED_MIN_M:
        return False
    return bool(np.corrcoef(real_down_m, flown_down_m)[0, 1] < -0.9)


def truth_at(truth: Truth, stamp: Times, origin: Origin | None) -> Array:
    """Return the truth (n, 3) NED [m] at (n,) stamps.

    The motion is the local truth's, which is logged more often; the geographic one, where there
    is one, shifts it to ``origin``.
    """
    assert truth.position_ned_m is not None
    ned = interpolate(truth.stamp_ns, truth.position_ned_m, stamp)
    if truth.geodetic is None or truth.geodetic_stamp_ns is None or origin is None:
        return ned
    when = truth.geodetic_stamp_ns
    local = interpolate(truth.stamp_ns, truth.position_ned_m, when)
    placed = np.array(
        [
            (*px4_to_ned(origin, latitude, longitude), origin.altitude_amsl_m - altitude)
            for latitude, longitude, altitude in truth.geodetic.tolist()
        ]
    )
    shift = placed - local
    if abs(float(np.median(shift[:, 2]))) > _SAME_DATUM_M:
        shift[:, 2] = 0.0
    return ned + interpolate(when, shift, stamp)


def interpolate(times: Times, table: Array, at: Times) -> Array:
    """Return the columns of ``table`` (n, k), known at ``times`` (n,) [ns], at ``at`` (m,)."""
    # relative to the first: a float holds an epoch in ns to 128 ns only
    x, new = (times - times[0]).astype(np.float64), (at - times[0]).astype(np.float64)
    return np.stack([np.interp(new, x, column) for column in table.T], axis=1)
