# SPDX-License-Identifier: Apache-2.0
"""The twin's position against PX4's, on every recording that knows better than both.

``logs``: one row for each such flight.

- ``file``: the recording (and the aircraft, if it has several).
- ``reference``: ``truth``, a simulator's; or ``gnss``, receivers of fix type 4 and above (PX4's
  count: 4 differential, 5 and 6 RTK). Such a fix is only evidence, and both filters have fused it.
- ``seconds``: length of what was compared, ``samples`` how many instants.
- ``rmse_twin_m``, ``rmse_px4_m``: root mean square position error of the twin as it published it
  live, and of PX4's EKF2 as it was logged, at the same instants and in the same frame
  (``airtwin_record.errors`` says which and why; the function is the replay's own). Against truth
  in three dimensions; against ``gnss`` horizontally (the altitude of such a fix is no better than
  a barometer), at the instants of the fixes, less the delay of the receiver that suits the judged
  filter best (0 to 0.3 s: the log does not tell it): the same favour for both.
- ``valid_share``: share of the instants at which PX4 calls its position valid (and the reference
  is there) at which the twin does so as well; only these are compared.
- ``rmse_held_out_m`` (``gnss`` only): the twin's error at fixes that it never got: the flight is
  flown twice, each time without every second fix. PX4 cannot be judged so, its log is what it is.
- ``nees``: mean normalised estimation error squared of the position over its 3 degrees of freedom:
  1 is perfect honesty, less is doubt without need, more is conceit. Null for ``gnss``: the slow
  error of a receiver is in the fix that judges as well as in the filter, so that it cannot show.
- ``nees_band``: what an honest filter's mean lies in with 95 %, given ``independent`` samples: how
  many the correlated errors are worth (``airtwin_core.stats.effective_count``).
- ``nees_in_band``: whether it does.
- ``nis``: likewise for the GNSS positions as they came in (3 degrees of freedom), over the flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from airtwin_core import stats
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, GnssFix, LocalPosition, Origin, Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_record import errors
from airtwin_record.errors import Track
from airtwin_record.flight import Times
from bench.physics_flights import Flight, flights, states

FIX_MIN = 4
FIXES_MIN = 10
DELAYS_S = np.arange(0.0, 0.301, 0.02)


def measure(console: Console) -> dict[str, Any]:
    """Return ``logs``.

    Raises:
        NoData: no recordings are at hand.
    """
    warm_up()
    rows = []
    for flight in flights():
        row = None
        if flight.truth is not None:
            row = against_truth(flight)
        elif has_good_fixes(flight):
            row = against_gnss(flight)
        if row is not None:
            console.print(
                f"  {row['file']}: twin {row['rmse_twin_m']} m, PX4 {row['rmse_px4_m']} m, "
                f"NEES {row['nees']}",
                highlight=False,
            )
            rows.append(row)
    return {"logs": rows}


@dataclass(frozen=True, slots=True)
class Pair:
    """Twin and PX4 over one flight, around the same origin."""

    twin: Track
    covariance: Array  # (n, 3, 3) [m^2] of the twin's position
    px4: Track
    origin: Origin | None


def pair(flown: Sequence[Sample], published: Sequence[TwinState]) -> Pair | None:
    """Bring both to arrays; None without either."""
    own = [s for s in flown if isinstance(s, LocalPosition)]
    if not own or not published:
        return None
    origin = published[-1].origin
    last = next((s.origin for s in reversed(own) if s.origin is not None), None)
    stamps, order = np.unique([s.stamp_ns for s in own], return_index=True)
    px4 = Track(
        stamps.astype(np.int64),
        np.array([own[i].position_ned_m for i in order]),
        np.array([own[i].xy_valid and own[i].z_valid for i in order])
        & np.array([own[i].origin in (None, last) for i in order]),
    )
    return Pair(track(published), np.array([s.covariance[:3, :3] for s in published]), px4, origin)


def track(published: Sequence[TwinState]) -> Track:
    """Return what the twin published; only around its last origin is it called valid."""
    origin = published[-1].origin
    return Track(
        np.array([s.stamp_ns for s in published], dtype=np.int64),
        np.array([s.position_ned_m for s in published]),
        np.array([s.horizontal_valid and s.vertical_valid for s in published])
        & np.array([s.origin == origin for s in published]),
    )


def against_truth(flight: Flight) -> dict[str, Any] | None:
    """Return the row of a flight whose truth is known; None without enough instants."""
    published = states(Estimator(), flight.samples)
    both = pair(flight.samples, published)
    truth = flight.truth
    if both is None or truth is None:
        return None
    start_ns = int(both.px4.stamp_ns[0])
    times_s = (both.px4.stamp_ns - start_ns) * 1e-9
    found = errors.compare(both.twin, both.px4, truth, both.origin, times_s=times_s)
    if found is None:
        return None
    everywhere = Track(
        both.twin.stamp_ns, both.twin.position_ned_m, np.ones(len(both.twin.valid), dtype=np.bool_)
    )
    wanted = errors.compare(everywhere, both.px4, truth, both.origin, times_s=times_s)
    assert wanted is not None
    at = start_ns + np.round(found.t * 1e9).astype(np.int64)
    twin_m, px4_m = found.rmse_m
    return {
        "file": flight.name,
        "reference": "truth",
        "seconds": _seconds(at),
        "samples": len(at),
        "rmse_twin_m": round(twin_m, 3),
        "rmse_px4_m": round(px4_m, 3),
        "valid_share": round(len(found.t) / len(wanted.t), 3),
        **nees(found.twin_ned_m, both.covariance[_nearest(both.twin.stamp_ns, at)]),
        "nis": mean_nis(published),
    }


def nees(error: Array, covariance: Array) -> dict[str, Any]:
    """Return the keys ``nees*`` of errors (n, k) with covariances (n, k, k), both in [m]."""
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, error[:, :, None])[:, :, 0]
    dof = error.shape[1]
    count = stats.effective_count(whitened)
    low, high = stats.mean_chi2_band(dof, count)
    mean = float(np.mean(np.sum(whitened**2, axis=1)))
    return {
        "nees": round(mean / dof, 2),
        "nees_band": [round(low / dof, 2), round(high / dof, 2)],
        "nees_in_band": low <= mean <= high,
        "independent": round(count, 1),
    }


def against_gnss(flight: Flight) -> dict[str, Any] | None:
    """Return the row of a flight with good GNSS but no truth; None without enough fixes."""
    published = states(Estimator(), flight.samples)
    whole = pair(flight.samples, published)
    fixes = [s for s in flight.samples if isinstance(s, GnssFix) and _is_good(s)]
    if whole is None or whole.origin is None or len(fixes) < FIXES_MIN:
        return None
    twin, twin_valid, _ = against_fixes(whole.twin, fixes, whole.origin)
    px4, px4_valid, _ = against_fixes(whole.px4, fixes, whole.origin)
    both = twin_valid & px4_valid
    if np.count_nonzero(both) < FIXES_MIN:
        return None
    held = _held_out(flight.samples, fixes)
    stamps = np.array([fix.stamp_ns for fix in fixes], dtype=np.int64)[both]
    return {
        "file": flight.name,
        "reference": "gnss",
        "seconds": _seconds(stamps),
        "samples": int(np.count_nonzero(both)),
        "rmse_twin_m": round(errors.rms_m(twin[both]), 3),
        "rmse_px4_m": round(errors.rms_m(px4[both]), 3),
        "valid_share": round(np.count_nonzero(both) / np.count_nonzero(px4_valid), 3),
        "rmse_held_out_m": round(errors.rms_m(held), 3),
        "nees": None,
        "nees_band": None,
        "nees_in_band": None,
        "nis": mean_nis(published),
    }


def mean_nis(published: Sequence[TwinState], source: str = "gnss_position") -> float | None:
    """Return the mean NIS of a source over its degrees of freedom; None without any."""
    seen: dict[int, float] = {}
    for state in published:
        for fusion in state.fusions:
            tested = fusion.used + sum(fusion.rejected.values())
            if fusion.source == source and np.isfinite(fusion.nis):
                seen[tested] = fusion.nis / fusion.nis_dof
    return round(float(np.mean(list(seen.values()))), 3) if seen else None


def _held_out(flown: Sequence[Sample], fixes: Sequence[GnssFix]) -> Array:
    """Fly twice, each time without every second fix; return errors (n, 2) at those withheld."""
    found = []
    for parity in (0, 1):
        hidden = fixes[parity::2]
        away = set(map(id, hidden))
        left = [s for s in flown if id(s) not in away]
        half = pair(left, states(Estimator(), left))
        if half is None or half.origin is None:
            continue
        error, valid, _ = against_fixes(half.twin, hidden, half.origin)
        found.append(error[valid])
    return np.concatenate(found) if found else np.empty((0, 2))


def against_fixes(
    track: Track, fixes: Sequence[GnssFix], origin: Origin
) -> tuple[Array, npt.NDArray[np.bool_], float]:
    """Return horizontal errors (n, 2) [m] at the fixes, where they hold, and the delay [s] of the
    receiver that makes them least."""
    stamps = np.array([fix.stamp_ns for fix in fixes], dtype=np.int64)
    seen = np.array([px4_to_ned(origin, fix.latitude_deg, fix.longitude_deg) for fix in fixes])
    least = float("inf")
    best = np.zeros((len(fixes), 2)), np.zeros(len(fixes), dtype=np.bool_), 0.0
    for delay_s in DELAYS_S.tolist():
        at = stamps - int(delay_s * 1e9)
        valid = errors.bridged(track.stamp_ns, at, track.valid)
        error = errors.interpolate(track.stamp_ns, track.position_ned_m[:, :2], at) - seen
        if valid.any() and errors.rms_m(error[valid]) < least:
            least, best = errors.rms_m(error[valid]), (error, valid, delay_s)
    return best


def has_good_fixes(flight: Flight) -> bool:
    """Return whether the flight can be judged by its receiver."""
    return sum(_is_good(sample) for sample in flight.samples) >= FIXES_MIN


def _is_good(sample: Sample) -> bool:
    return isinstance(sample, GnssFix) and sample.fix_type >= FIX_MIN


def _nearest(times: Times, at: Times) -> npt.NDArray[np.int64]:
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    return np.where(at - times[after - 1] < times[after] - at, after - 1, after)


def _seconds(stamps: Times) -> float:
    return round(float(stamps[-1] - stamps[0]) * 1e-9, 1)
