# SPDX-License-Identifier: Apache-2.0
"""Foreign sensor logs (``../shared/data/ekf``) through the estimator, beside their own filters.

``datasets``: one row for each file.

- ``file``, ``seconds``; ``filter``: whose states are the reference: EKF2 (PX4's own expected
  states) or what flew (``onboard``). A reference is another estimate, not the truth.
- ``tilt_deg``, ``heading_deg``, ``velocity_m_s``, ``place_m``, ``height_m``: root mean square of
  the difference between twin and reference from ``SETTLE_S`` on, at the reference's stamps; null
  where the file has none. Place is horizontal. Of heading and height a constant is taken out:
  other declination, other zero.
- ``still_deg``: (twin, reference), root mean square angle between "down" and gravity by the
  accelerometer while the vehicle is still; ``course_deg``: likewise between heading and the course
  over ground by GNSS above ``FAST_M_S``, wind and sideslip left in. Independent witnesses: where
  twin and reference part, they tell whose attitude is wrong. Null where there is no such time.
- ``gnss_place_m``: the same against the GNSS positions as they came in (they are fused).
- ``nis_position``, ``nis_velocity``: mean NIS of GNSS over its degrees of freedom.
- ``fused``, ``refused``: how many of all measurements, without those never meant to be used.
- ``resets``: how often a gate shut for long was opened, or the state was lost; ``notes``.

``f450_glitch``: a real quad whose GNSS went wrong in flight (positions 70 m off, speeds of 45 m/s,
heights 90 m below the ground, agreeing with one another). The barometer is the only witness: a
fix is called bad where its height, less the barometer's, is further than ``BAD_M`` from what it
was before, or its speed is more than ``SPEED_MAX_M_S``.

- ``bad_fixes``, ``refused``: their number, and of how many the position was refused at least in
  part; ``began_s``, ``ended_s``: first and last bad fix of the first episode.
- ``rejected``: most bad fixes were refused, and height and speed stayed plausible: within
  ``BAD_M`` of the barometer, below ``SPEED_MAX_M_S``.
- ``recovered_s``: from the last bad fix of the first episode to the first fix whose position was
  fused whole, without a reset in between; null if there is none. Nor is there one in these data
  that should be: between its episodes the receiver's height is 6 to 10 m off and its place slides
  from its own Doppler by 1 to 5 m/s, and the log ends with the height 46 m off.
- ``speed_back_s``, ``place_back_s``, ``height_back_s``: likewise to the first fix of which that
  was fused.
- ``max_error_m``: largest difference of the twin's height from the barometer's from the glitch's
  beginning to the end; ``max_speed_m_s`` what the twin believed meanwhile; ``resets`` then.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_core import frames
from airtwin_core.geodesy import px4_to_ned
from airtwin_core.types import Array, Barometer, GnssFix, Imu, Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_record.errors import interpolate
from airtwin_record.flight import Times
from bench import physics_readers
from bench.physics_flights import NoData, shared, states
from bench.physics_logs import mean_nis
from bench.physics_readers import Dataset, Series

SETTLE_S = 20.0
FAST_M_S = 8.0
STILL_RAD_S, STILL_M_S2 = 0.1, 0.6  # spread of the IMU over half a second at rest
LEAST = 10
BAD_M, SPEED_MAX_M_S = 10.0, 20.0
GLITCH = "f450_glitch_log.zip"


def measure(console: Console) -> dict[str, Any]:
    """Return ``datasets`` and ``f450_glitch``.

    Raises:
        NoData: the folder is not at hand.
    """
    warm_up()
    rows, glitch = [], None
    for data in read_all(shared() / "data" / "ekf"):
        estimator = Estimator()
        published = states(estimator, data.samples)
        rows.append(row(data, published, estimator))
        console.print(f"  {data.name}: {rows[-1]}", highlight=False)
        if data.name == GLITCH:
            glitch = glitch_figures(data, published)
    return {"datasets": rows, "f450_glitch": glitch}


def read_all(folder: Path) -> list[Dataset]:
    """Return all data sets; SwissLog1.mat is left out, being InputFilesPX4.zip to the bit.

    Raises:
        NoData: there are none.
    """
    found = [
        physics_readers.px4_replay(path, path.parent.parent / "change_indication" / path.name)
        for path in sorted((folder / "px4_ekf2" / "replay_data").glob("*.csv"))
    ]
    nav = folder / "inertialnav"
    paths = [*sorted(nav.glob("*.zip")), *sorted(nav.glob("TestLog*.mat"))]
    found += [physics_readers.inertial_nav(path) for path in paths]
    if not found:
        raise NoData(f"no files at {folder}")
    return found


def row(data: Dataset, published: Sequence[TwinState], estimator: Estimator) -> dict[str, Any]:
    """Return one row of ``datasets``."""
    stamps = np.array([s.stamp_ns for s in published], dtype=np.int64)
    seconds = (data.samples[-1].stamp_ns - data.samples[0].stamp_ns) * 1e-9
    counts: collections.Counter[str] = collections.Counter()
    resets: collections.Counter[str] = collections.Counter(estimator.resets)
    for fusion in published[-1].fusions:
        counts["fused"] += fusion.used
        for cause, count in fusion.rejected.items():
            counts["refused"] += count
            if "reset" in cause:
                resets[f"{fusion.source} {cause}"] += count
    return {
        "file": data.name,
        "seconds": round(seconds, 1),
        "filter": data.filter_name,
        **_attitude(data, stamps, published),
        **witnesses(data, stamps, published),
        "velocity_m_s": _velocity(data.velocity_ned_m_s, stamps, published),
        "place_m": _place(data.place_deg, stamps, published),
        "height_m": _height(data.height_up_m, stamps, published),
        "gnss_place_m": _place(_fixes(data), stamps, published),
        "nis_position": mean_nis(published),
        "nis_velocity": mean_nis(published, "gnss_velocity"),
        "fused": counts["fused"],
        "refused": counts["refused"],
        "resets": dict(resets),
        "notes": "; ".join(data.notes),
    }


# --- twin against reference ----------------------------------------------------------------------


def _wanted(series: Series, stamps: Times) -> Any:
    """Rows of ``series`` within the twin's time, once it has settled."""
    inside = (series.stamp_ns >= stamps[0] + SETTLE_S * 1e9) & (series.stamp_ns <= stamps[-1])
    return np.flatnonzero(inside)


def _attitude(
    data: Dataset, stamps: Times, published: Sequence[TwinState]
) -> dict[str, float | None]:
    nothing: dict[str, float | None] = {"tilt_deg": None, "heading_deg": None}
    series = data.q_ned_frd
    if series is None or not len(index := _wanted(series, stamps)):
        return nothing
    near = np.clip(np.searchsorted(stamps, series.stamp_ns[index]), 0, len(stamps) - 1)
    tilts, turns = [], []
    for i, j in zip(index, near, strict=True):
        q = series.value[i] / np.linalg.norm(series.value[i])
        mirrored = [q, q * np.array([1.0, 1.0, 1.0, -1.0])] if data.sign_unknown else [q]
        down = frames.rotation_from_quat(published[j].q_ned_frd)[2]
        cosines = [float(frames.rotation_from_quat(each)[2] @ down) for each in mirrored]
        tilts.append(float(np.arccos(np.clip(max(cosines), -1.0, 1.0))))
        turns.append(frames.yaw_from_quat(published[j].q_ned_frd) - frames.yaw_from_quat(q))
    whole = np.exp(1j * np.array(turns))
    left = np.angle(whole / np.mean(whole))
    heading = None if data.sign_unknown else round(float(np.degrees(np.sqrt(np.mean(left**2)))), 2)
    tilt = round(float(np.degrees(np.sqrt(np.mean(np.square(tilts))))), 2)
    return {"tilt_deg": tilt, "heading_deg": heading}


def witnesses(
    data: Dataset, stamps: Times, published: Sequence[TwinState]
) -> dict[str, list[float] | None]:
    """Return ``still_deg`` and ``course_deg``: (twin, reference) against gravity and course."""
    found: dict[str, list[float] | None] = {"still_deg": None, "course_deg": None}
    series = data.q_ned_frd
    if series is None or data.sign_unknown:
        return found
    both = [(stamps, [s.q_ned_frd for s in published]), (series.stamp_ns, list(series.value))]
    inside = stamps[0] + SETTLE_S * 1e9
    still, course = _still(data.samples, inside), []
    for fix in (s for s in data.samples if isinstance(s, GnssFix) and s.stamp_ns > inside):
        v = fix.velocity_ned_m_s
        if v is not None and np.hypot(v[0], v[1]) > FAST_M_S:
            course.append((fix.stamp_ns, float(np.arctan2(v[1], v[0]))))
    if len(still) >= LEAST:
        found["still_deg"] = [
            _degrees([_off_gravity(_at(*one, when), force) for when, force in still])
            for one in both
        ]
    if len(course) >= LEAST:
        found["course_deg"] = [
            _degrees([frames.wrap_pi(frames.yaw_from_quat(_at(*one, t)) - c) for t, c in course])
            for one in both
        ]
    return found


def _still(samples: Sequence[Sample], since_ns: float) -> list[tuple[int, Array]]:
    """Return when half a second of the IMU showed rest, and the mean specific force then."""
    imus = [s for s in samples if isinstance(s, Imu) and s.stamp_ns > since_ns]
    found = []
    count = max(10, round(0.5 / float(np.median([s.dt_s for s in imus])))) if imus else 10
    for first in range(0, len(imus) - count, count):
        window = imus[first : first + count]
        rates = np.array([s.rate_frd_rad_s for s in window])
        forces = np.array([s.specific_force_frd_m_s2 for s in window])
        if np.ptp(rates, axis=0).max() < STILL_RAD_S and np.ptp(forces, axis=0).max() < STILL_M_S2:
            found.append((window[count // 2].stamp_ns, forces.mean(axis=0)))
    return found


def _off_gravity(q: Array, force: Array) -> float:
    up = -force / np.linalg.norm(force)
    return float(np.arccos(np.clip(frames.rotation_from_quat(q)[2] @ up, -1.0, 1.0)))


def _at(stamps: Times, values: Sequence[Array], when: int) -> Array:
    found = values[min(int(np.searchsorted(stamps, when)), len(values) - 1)]
    return found / np.linalg.norm(found)


def _degrees(angles: Sequence[float]) -> float:
    return round(float(np.degrees(np.sqrt(np.mean(np.square(angles))))), 1)


def _velocity(
    series: Series | None, stamps: Times, published: Sequence[TwinState]
) -> float | None:
    if series is None or not len(index := _wanted(series, stamps)):
        return None
    own = np.array([s.velocity_ned_m_s for s in published])
    return _rms(interpolate(stamps, own, series.stamp_ns[index]) - series.value[index])


def _place(series: Series | None, stamps: Times, published: Sequence[TwinState]) -> float | None:
    origin = published[-1].origin
    if series is None or origin is None or not len(index := _wanted(series, stamps)):
        return None
    own = np.array([s.position_ned_m[:2] for s in published])
    there = np.array([px4_to_ned(origin, *series.value[i].tolist()) for i in index])
    return _rms(interpolate(stamps, own, series.stamp_ns[index]) - there)


def _height(series: Series | None, stamps: Times, published: Sequence[TwinState]) -> float | None:
    if series is None or not len(index := _wanted(series, stamps)):
        return None
    own = np.array([-s.position_ned_m[2:] for s in published])
    left = interpolate(stamps, own, series.stamp_ns[index]) - series.value[index]
    return _rms(left - np.median(left))


def _fixes(data: Dataset) -> Series | None:
    fixes = [s for s in data.samples if isinstance(s, GnssFix) and s.fix_type >= 3]
    if not fixes:
        return None
    stamps = np.array([fix.stamp_ns for fix in fixes], dtype=np.int64)
    return Series(stamps, np.array([(fix.latitude_deg, fix.longitude_deg) for fix in fixes]))


def _rms(left: Array) -> float:
    return round(float(np.sqrt(np.mean(np.sum(left**2, axis=1)))), 3)


# --- the glitch ----------------------------------------------------------------------------------


def glitch_figures(data: Dataset, published: Sequence[TwinState]) -> dict[str, Any]:
    """Return ``f450_glitch``; ``rejected`` is None if the data show no bad fix."""
    fixes = [s for s in data.samples if isinstance(s, GnssFix)]
    start_ns = next(s.stamp_ns for s in data.samples if isinstance(s, Imu))
    bad = bad_fixes(data)
    if not bad.any():
        return {"rejected": None, "recovered_s": None, "max_error_m": None, "bad_fixes": 0}
    first = int(np.flatnonzero(bad)[0])
    # an episode ends where five seconds hold no bad fix
    times = np.array([fix.stamp_ns for fix in fixes]) * 1e-9
    later = times[bad]
    breaks = np.flatnonzero(np.diff(later) > 5.0)
    ended = later[breaks[0]] if len(breaks) else later[-1]
    passed = _passed(fixes, published, "gnss_position")
    refused = int(np.count_nonzero(bad & ~passed))
    after = [s for s in published if s.stamp_ns >= fixes[first].stamp_ns]
    error, speed = _height_errors(data, published, fixes[first].stamp_ns), 0.0
    for state in after:
        speed = max(speed, float(np.hypot(*state.velocity_ned_m_s[:2])))
    parts = {
        "recovered_s": passed,
        "speed_back_s": _passed(fixes, published, "gnss_velocity"),
        "place_back_s": _passed(fixes, published, "gnss_position", but=("vertical", "its height")),
        "height_back_s": _passed(
            fixes, published, "gnss_position", but=("horizontal", "its place")
        ),
    }
    resets = _resets(published[-1]) - _resets(_before(published, fixes[first].stamp_ns))
    most = float(np.max(np.abs(error)))
    return {
        "rejected": refused > bad.sum() / 2 and most < BAD_M and speed < SPEED_MAX_M_S,
        **{name: _back_s(times[ok], ended, resets) for name, ok in parts.items()},
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
    fixes = [s for s in data.samples if isinstance(s, GnssFix)]
    stamps = np.array([fix.stamp_ns for fix in fixes], dtype=np.int64)
    pressure = _barometer(data)
    above = np.array([fix.altitude_amsl_m for fix in fixes])
    above -= interpolate(pressure.stamp_ns, pressure.value, stamps)[:, 0]
    speed = np.array(
        [
            0.0 if fix.velocity_ned_m_s is None else float(np.linalg.norm(fix.velocity_ned_m_s))
            for fix in fixes
        ]
    )
    usual = np.median(above[stamps <= stamps[0] + SETTLE_S * 1e9])
    return (np.abs(above - usual) > BAD_M) | (speed > SPEED_MAX_M_S)


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
