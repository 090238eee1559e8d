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
- ``nees_px4``: that of PX4's position with the covariance that it logs (``eph``, ``epv``; half of
  eph squared for each of north and east), at the same instants.
- ``nees_claims_true``, ``nees_claims_true_band``, ``nees_claims_true_in_band``: the same flight
  flown ``CLAIM_SEEDS`` times with a receiver that errs as it claims (``physics_claims``): whether
  the filter is honest where its sensors are.
- ``fixes_hz``, ``imu_hz``: how often the log has a fix and an IMU sample (medians). PX4 had more
  of both where it was logged with less.
- ``nis``: likewise for the GNSS positions as they came in (3 degrees of freedom), over the flight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import (
    Array,
    GnssFix,
    Imu,
    LocalPosition,
    Origin,
    Sample,
    TwinState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_record import errors
from airtwin_record.errors import Track
from airtwin_record.flight import Times
from bench.physics_claims import made_true
from bench.physics_flights import Flight, flights, states
from bench.physics_nees import Nees, nees

FIX_MIN = 4
FIXES_MIN = 10
CLAIM_SEEDS = 20
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
            if row is not None:
                row |= claims_made_true(flight).row("nees_claims_true")
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
    px4_covariance: Array  # (n, 3, 3) [m^2], NaN where PX4 claims none
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
    claim = np.array([(own[i].eph_m, own[i].eph_m, own[i].epv_m) for i in order])
    claim_m2 = claim**2 * [0.5, 0.5, 1.0]  # EKF2's eph is of both horizontal axes together
    return Pair(
        twin=track(published),
        covariance=np.array([s.covariance[:3, :3] for s in published]),
        px4=px4,
        px4_covariance=claim_m2[:, :, None] * np.eye(3),
        origin=origin,
    )


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
    judged = _judge(flight, flight.samples, published)
    if judged is None:
        return None
    found, both, at = judged
    everywhere = Track(
        both.twin.stamp_ns, both.twin.position_ned_m, np.ones(len(both.twin.valid), dtype=np.bool_)
    )
    wanted = _compare(flight, dataclasses.replace(both, twin=everywhere))
    assert wanted is not None
    twin_m, px4_m = found.rmse_m
    honest = nees(found.twin_ned_m, both.covariance[_nearest(both.twin.stamp_ns, at)])
    claimed_m2 = both.px4_covariance[_nearest(both.px4.stamp_ns, at)]
    claims = bool(np.all(np.isfinite(claimed_m2)) and np.all(claimed_m2[:, [0, 2], [0, 2]] > 0.0))
    return {
        "file": flight.name,
        "reference": "truth",
        "seconds": _seconds(at),
        "samples": len(at),
        "rmse_twin_m": round(twin_m, 3),
        "rmse_px4_m": round(px4_m, 3),
        "valid_share": round(len(found.t) / len(wanted.t), 3),
        **honest.row("nees"),
        "independent": round(honest.count, 1),
        "nees_px4": nees(found.px4_ned_m, claimed_m2).per_dof if claims else None,
        **rates(flight.samples),
        "nis": mean_nis(published),
    }


def _judge(
    flight: Flight, flown: Sequence[Sample], published: Sequence[TwinState]
) -> tuple[errors.PositionErrors, Pair, Times] | None:
    """Return errors, tracks and the instants (n,) of the errors; None without enough of them."""
    both = pair(flown, published)
    found = None if both is None else _compare(flight, both)
    if both is None or found is None:
        return None
    start_ns = int(both.px4.stamp_ns[0])
    return found, both, start_ns + np.round(found.t * 1e9).astype(np.int64)


def _compare(flight: Flight, both: Pair) -> errors.PositionErrors | None:
    assert flight.truth is not None
    times_s = (both.px4.stamp_ns - both.px4.stamp_ns[0]) * 1e-9
    return errors.compare(both.twin, both.px4, flight.truth, both.origin, times_s=times_s)


def claims_made_true(flight: Flight) -> Nees:
    """Fly again and again with a receiver that errs as it claims; the truth is known."""
    config = EstimatorConfig()
    runs = []
    for seed in range(CLAIM_SEEDS):
        flown = tuple(made_true(flight.samples, np.random.default_rng(seed), config))
        judged = _judge(flight, flown, states(Estimator(config), flown))
        if judged is not None:
            found, both, at = judged
            covariance = both.covariance[_nearest(both.twin.stamp_ns, at)]
            runs.append(nees(found.twin_ned_m, covariance))
    return Nees(
        float(np.mean([run.mean for run in runs])), sum(run.count for run in runs), runs[0].dof
    )


def rates(flown: Sequence[Sample]) -> dict[str, Any]:
    """Return ``fixes_hz`` and ``imu_hz``."""
    found = {}
    for name, kind in (("fixes_hz", GnssFix), ("imu_hz", Imu)):
        stamps = np.array([s.stamp_ns for s in flown if isinstance(s, kind)], dtype=np.int64)
        found[name] = round(1e9 / float(np.median(np.diff(stamps))), 1)
    return found


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
        **rates(flight.samples),
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
