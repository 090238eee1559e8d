# SPDX-License-Identifier: Apache-2.0
"""A real quad whose GNSS went wrong in flight: is that refused, and is the receiver heard again?

``f450_glitch``: positions 70 m off, speeds of 45 m/s, heights 90 m below the ground, agreeing with
one another. The barometer is the only witness: a fix is called bad where its height, less the
barometer's, is further than ``BAD_M`` from what it was before, or its speed is more than
``SPEED_MAX_M_S``.

- ``bad_fixes``, ``refused``: their number, and of how many the position was refused at least in
  part; ``began_s``, ``ended_s``: first and last bad fix of the first episode.
- ``rejected``: most bad fixes were refused, and height and speed stayed plausible: within
  ``BAD_M`` of the barometer, below ``SPEED_MAX_M_S``.
- ``recovered_s``: from the last bad fix of the first episode to the first fix whose position was
  fused whole, without a reset in between; null if there is none.
- ``speed_back_s``, ``place_back_s``, ``height_back_s``: likewise to the first fix of which that
  was fused.
- ``max_error_m``: largest difference of the twin's height from the barometer's from the glitch's
  beginning to the end; ``max_speed_m_s`` what the twin believed meanwhile; ``resets`` then.
- ``receiver_bad_until_end``: whether there is anything to recover: true if in no ``WINDOW_S``
  after the first bad fix the receiver was as good as it had always been before, in both
  ``receiver_slide_m_s``: by which its place slid from the integral of its own Doppler, and
  ``receiver_height_m``: mean height over the barometer's, less what was usual. Of either: the
  most before, the least and the last value after. No filter enters.

``f450_glitch_earlier``: since that receiver never got well, the first episode once more, on the
same flight where it had been well and stayed so: the errors of place, height and Doppler are added
to the fixes ``EARLIER_S`` before (the aircraft's own motion during the episode, some metres,
counts as error), and the log ends with the first bad fix. Held against that flight without them.

- ``earlier_s``; ``added``, ``refused``: fixes that were spoilt, and of how many the position was
  refused at least in part.
- ``speed_back_s``, ``place_back_s``, ``height_back_s``, ``recovered_s``, ``resets``: as above.
- ``max_place_m``, ``max_height_m``: largest difference from the flight without;
  ``end_place_m``, ``end_height_m``: at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from airtwin_core.geodesy import LocalFrame, px4_to_ned
from airtwin_core.types import Array, Barometer, GnssFix, Imu, Origin, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_record.errors import interpolate
from bench.physics_flights import states
from bench.physics_readers import Dataset, Series

FILE = "f450_glitch_log.zip"
BAD_M, SPEED_MAX_M_S = 10.0, 20.0
SETTLE_S = 20.0
WINDOW_S = 5.0  # a gap of so long between bad fixes ends an episode, too
EARLIER_S = (85.0, 65.0, 45.0)  # in a hover, a turn, fast along; half a minute is left after it


def measure(data: Dataset, published: Sequence[TwinState]) -> dict[str, Any]:
    """Return ``f450_glitch`` and ``f450_glitch_earlier`` of the flight and the twin's states."""
    figures = glitch_figures(data, published)
    figures |= receiver_figures(data)
    clean, _ = earlier(data, None)
    without = states(Estimator(), clean.samples)
    rows = [earlier_figures(data, by_s, without) for by_s in EARLIER_S]
    return {"f450_glitch": figures, "f450_glitch_earlier": rows}


# --- as it was -----------------------------------------------------------------------------------


def glitch_figures(data: Dataset, published: Sequence[TwinState]) -> dict[str, Any]:
    """Return ``f450_glitch``; ``rejected`` is None if the data show no bad fix."""
    fixes = _fixes(data)
    start_ns = next(s.stamp_ns for s in data.samples if isinstance(s, Imu))
    bad = bad_fixes(data)
    if not bad.any():
        return {"rejected": None, "recovered_s": None, "max_error_m": None, "bad_fixes": 0}
    first = int(np.flatnonzero(bad)[0])
    times = _times(fixes)
    ended = times[_last_of_first(times, bad)]
    passed = _passed_parts(fixes, published)
    refused = int(np.count_nonzero(bad & ~passed["recovered_s"]))
    after = [s for s in published if s.stamp_ns >= fixes[first].stamp_ns]
    error, speed = _height_errors(data, published, fixes[first].stamp_ns), 0.0
    for state in after:
        speed = max(speed, float(np.hypot(*state.velocity_ned_m_s[:2])))
    resets = _resets(published[-1]) - _resets(_before(published, fixes[first].stamp_ns))
    most = float(np.max(np.abs(error)))
    return {
        "rejected": refused > bad.sum() / 2 and most < BAD_M and speed < SPEED_MAX_M_S,
        **{name: _back_s(times[ok], ended, resets) for name, ok in passed.items()},
        "max_error_m": round(most, 1),
        "max_speed_m_s": round(speed, 1),
        "bad_fixes": int(bad.sum()),
        "refused": refused,
        "began_s": round(float(times[first]) - start_ns * 1e-9, 1),
        "ended_s": round(float(ended) - start_ns * 1e-9, 1),
        "resets": resets,
    }


def bad_fixes(data: Dataset) -> Any:
    """Return (n,) which fixes are bad, by barometer and speed alone."""
    fixes = _fixes(data)
    speed = np.array(
        [
            0.0 if fix.velocity_ned_m_s is None else float(np.linalg.norm(fix.velocity_ned_m_s))
            for fix in fixes
        ]
    )
    return (np.abs(_above(data, fixes)) > BAD_M) | (speed > SPEED_MAX_M_S)


def _fixes(data: Dataset) -> list[GnssFix]:
    return [s for s in data.samples if isinstance(s, GnssFix)]


def _times(fixes: Sequence[GnssFix]) -> Array:
    return np.array([fix.stamp_ns for fix in fixes]) * 1e-9


def _last_of_first(times_s: Array, bad: Any) -> int:
    """Return the last bad fix of the first episode."""
    at = np.flatnonzero(bad)
    breaks = np.flatnonzero(np.diff(times_s[at]) > WINDOW_S)
    return int(at[breaks[0]] if len(breaks) else at[-1])


def _above(data: Dataset, fixes: Sequence[GnssFix]) -> Array:
    """Return (n,) [m]: height over the barometer's, less what was usual at first."""
    stamps = np.array([fix.stamp_ns for fix in fixes], dtype=np.int64)
    pressure = _barometer(data)
    above = np.array([fix.altitude_amsl_m for fix in fixes])
    above -= interpolate(pressure.stamp_ns, pressure.value, stamps)[:, 0]
    return above - np.median(above[stamps <= stamps[0] + SETTLE_S * 1e9])


def _barometer(data: Dataset) -> Series:
    samples = [s for s in data.samples if isinstance(s, Barometer)]
    stamps = np.array([s.stamp_ns for s in samples], dtype=np.int64)
    return Series(stamps, np.array([[s.altitude_m] for s in samples]))


def _height_errors(data: Dataset, published: Sequence[TwinState], since_ns: int) -> Array:
    pressure = _barometer(data)
    stamps = np.array([s.stamp_ns for s in published], dtype=np.int64)
    own = np.array([-s.position_ned_m[2] for s in published])
    left = own - interpolate(pressure.stamp_ns, pressure.value, stamps)[:, 0]
    settled = (stamps > stamps[0] + SETTLE_S * 1e9) & (stamps < since_ns)
    return left[stamps >= since_ns] - np.median(left[settled])


def _passed_parts(fixes: Sequence[GnssFix], published: Sequence[TwinState]) -> dict[str, Any]:
    """Return (n,) each: of which fixes all was used, and the speed, the place, the height."""
    height, place = ("vertical", "its height"), ("horizontal", "its place")
    return {
        "recovered_s": _passed(fixes, published, "gnss_position"),
        "speed_back_s": _passed(fixes, published, "gnss_velocity"),
        "place_back_s": _passed(fixes, published, "gnss_position", but=height),
        "height_back_s": _passed(fixes, published, "gnss_position", but=place),
    }


def _passed(
    fixes: Sequence[GnssFix],
    published: Sequence[TwinState],
    source: str,
    *,
    but: tuple[str, ...] = (),
) -> Any:
    """Return (n,) of which fixes nothing was refused, as the counts of the states tell.

    but: causes that begin so do not count.
    """
    used: set[int] = set()
    refused_at: set[int] = set()
    before = None
    for state in published:
        fusion = next(f for f in state.fusions if f.source == source)
        count = sum(n for cause, n in fusion.rejected.items() if not cause.startswith(but))
        if fusion.used_stamp_ns:
            used.add(fusion.used_stamp_ns)
        if before is not None and count > before:
            refused_at.add(fusion.used_stamp_ns)
        before = count
    return np.array([fix.stamp_ns in used and fix.stamp_ns not in refused_at for fix in fixes])


def _back_s(times_s: Array, ended_s: float, resets: int) -> float | None:
    later = times_s[times_s > ended_s]
    return None if resets or not len(later) else round(float(later[0] - ended_s), 1)


def _resets(state: TwinState) -> int:
    return sum(
        count
        for fusion in state.fusions
        for cause, count in fusion.rejected.items()
        if "reset" in cause
    )


def _before(published: Sequence[TwinState], stamp_ns: int) -> TwinState:
    return next((s for s in reversed(published) if s.stamp_ns < stamp_ns), published[0])


# --- the receiver by itself ----------------------------------------------------------------------


def receiver_figures(data: Dataset) -> dict[str, Any]:
    """Return ``receiver_bad_until_end`` and what it stands on."""
    fixes, bad = _fixes(data), bad_fixes(data)
    times, first = _times(fixes), int(np.argmax(bad))
    place, velocity = _place(fixes), _velocity(fixes)
    step_s = np.diff(times)[:, None]
    path = np.zeros_like(place)
    path[1:] = np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * step_s, axis=0)
    apart, above = (place - path)[:, :2], _above(data, fixes)
    ends = np.searchsorted(times, times + WINDOW_S)
    windows = [(i, int(j)) for i, j in enumerate(ends) if j < len(times)]
    slide = np.array([np.linalg.norm(apart[j] - apart[i]) / WINDOW_S for i, j in windows])
    height = np.array([abs(float(np.mean(above[i : j + 1]))) for i, j in windows])
    before = np.array([j < first for _, j in windows])
    after = np.array([i >= first for i, _ in windows])
    worse = (slide > slide[before].max()) | (height > height[before].max())
    figures: dict[str, Any] = {"receiver_bad_until_end": bool(worse[after].all())}
    for name, of in (("receiver_slide_m_s", slide), ("receiver_height_m", height)):
        most, least, last = of[before].max(), of[after].min(), of[-1]
        figures[name] = {
            "most_before": round(float(most), 2),
            "least_after": round(float(least), 2),
            "last": round(float(last), 2),
        }
    return figures


def _place(fixes: Sequence[GnssFix]) -> Array:
    """Return (n, 3) [m] NED around the first."""
    zero = Origin(fixes[0].latitude_deg, fixes[0].longitude_deg, fixes[0].altitude_amsl_m)
    return np.array(
        [
            (
                *px4_to_ned(zero, f.latitude_deg, f.longitude_deg),
                zero.altitude_amsl_m - f.altitude_amsl_m,
            )
            for f in fixes
        ]
    )


def _velocity(fixes: Sequence[GnssFix]) -> Array:
    """Return (n, 3) [m/s] NED, zero where there is none."""
    still = np.zeros(3)
    return np.array([still if f.velocity_ned_m_s is None else f.velocity_ned_m_s for f in fixes])


# --- the same on a sound receiver ----------------------------------------------------------------


def earlier(data: Dataset, by_s: float | None) -> tuple[Dataset, Any]:
    """Return the flight up to the glitch with its first episode by_s earlier (None: not at all).

    With it, which fixes (n,) were spoilt.
    """
    fixes, bad = _fixes(data), bad_fixes(data)
    times, first = _times(fixes), int(np.argmax(bad))
    sound = first - 1
    last = _last_of_first(times, bad)
    off_place = _place(fixes)[first : last + 1] - _place(fixes)[sound]
    off_velocity = _velocity(fixes)[first : last + 1] - _velocity(fixes)[sound]
    samples, spoilt = [], []
    for sample in data.samples:
        if sample.stamp_ns >= fixes[first].stamp_ns:
            break
        if isinstance(sample, GnssFix):
            then = sample.stamp_ns * 1e-9 + (by_s or 0.0)
            hit = by_s is not None and times[first] <= then <= times[last]
            spoilt.append(hit)
            if hit:
                k = int(np.argmin(np.abs(times[first : last + 1] - then)))
                sample = _moved(sample, off_place[k], off_velocity[k])
        samples.append(sample)
    return dataclasses.replace(data, samples=tuple(samples)), np.array(spoilt)


def _moved(fix: GnssFix, by_m: Array, by_m_s: Array) -> GnssFix:
    at = Origin(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
    latitude, longitude, altitude = LocalFrame(at).to_geodetic(by_m)
    velocity = fix.velocity_ned_m_s
    return dataclasses.replace(
        fix,
        latitude_deg=latitude,
        longitude_deg=longitude,
        altitude_amsl_m=altitude,
        velocity_ned_m_s=None if velocity is None else velocity + by_m_s,
    )


def earlier_figures(data: Dataset, by_s: float, without: Sequence[TwinState]) -> dict[str, Any]:
    """Return one row of ``f450_glitch_earlier``; without: the twin's states of the flight without.

    Raises:
        ValueError: by_s reaches back before the first fix or leaves no fix after the episode.
    """
    spoilt_data, spoilt = earlier(data, by_s)
    published = states(Estimator(), spoilt_data.samples)
    fixes = _fixes(spoilt_data)
    times = _times(fixes)
    if not spoilt.any() or spoilt[0] or spoilt[-1]:
        raise ValueError(f"{by_s:g} s earlier the receiver was not well before and after")
    ended = times[spoilt][-1]
    passed = _passed_parts(fixes, published)
    resets = _resets(published[-1])
    away = np.array(
        [a.position_ned_m - b.position_ned_m for a, b in zip(published, without, strict=True)]
    )
    place, height = np.hypot(away[:, 0], away[:, 1]), np.abs(away[:, 2])
    return {
        "earlier_s": by_s,
        "added": int(spoilt.sum()),
        "refused": int(np.count_nonzero(spoilt & ~passed["recovered_s"])),
        **{name: _back_s(times[ok], ended, resets) for name, ok in passed.items()},
        "max_place_m": round(float(place.max()), 1),
        "end_place_m": round(float(place[-1]), 1),
        "max_height_m": round(float(height.max()), 1),
        "end_height_m": round(float(height[-1]), 1),
        "resets": resets,
    }
