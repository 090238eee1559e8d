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

The f450's glitch is judged in ``physics_glitch``.
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
from airtwin_core.types import Array, GnssFix, Imu, Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_record.errors import interpolate
from airtwin_record.flight import Times
from bench import physics_glitch, physics_readers
from bench.physics_flights import NoData, shared, states
from bench.physics_logs import mean_nis
from bench.physics_readers import Dataset, Series

SETTLE_S = 20.0
FAST_M_S = 8.0
STILL_RAD_S, STILL_M_S2 = 0.1, 0.6  # spread of the IMU over half a second at rest
LEAST = 10


def measure(console: Console) -> dict[str, Any]:
    """Return ``datasets``, ``f450_glitch`` and ``f450_glitch_earlier``.

    Raises:
        NoData: the folder is not at hand.
    """
    warm_up()
    rows: list[dict[str, Any]] = []
    glitch: dict[str, Any] = {}
    for data in read_all(shared() / "data" / "ekf"):
        estimator = Estimator()
        published = states(estimator, data.samples)
        rows.append(row(data, published, estimator))
        console.print(f"  {data.name}: {rows[-1]}", highlight=False)
        if data.name == physics_glitch.FILE:
            glitch = physics_glitch.measure(data, published)
            console.print(f"  {glitch}", highlight=False)
    return {"datasets": rows, **glitch}


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
