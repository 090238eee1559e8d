# SPDX-License-Identifier: Apache-2.0
"""Faults that last for some sequences of ``physics_fuzz``: coherent, so no gate sees a lone one.

Each is drawn with its parameters once and then changes every sample of its kind in the same way:
clocks that are set, drift, or hand over in bursts; a compass beside iron; antennas, calibrations,
second receivers, poses that begin anew; claims that are absurd; an origin that moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    ExternalPose,
    GnssFix,
    Imu,
    LocalPosition,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
    Sample,
)

Change = Callable[[Sample], Sample]

_KINDS: tuple[type, ...] = (
    Imu, GnssFix, Barometer, Magnetometer, Attitude, Airspeed, Rangefinder, OpticalFlow,
    ExternalPose, LocalPosition,
)  # fmt: skip
_CLAIMS = (0.0, -0.0, -1.0, 1e-30, 1e-3, 1.0, 30.0, 1e30, math.inf, math.nan)
_EARTH_M = 6371000.0


def _draw(rng: np.random.Generator) -> Change:
    """Return a fault, drawn with its parameters."""
    return _FAULTS[int(rng.integers(len(_FAULTS)))](rng)


def follow(lasting: list[Change], rng: np.random.Generator) -> list[Change]:
    """Return the faults of the next sequence: some of those before, and perhaps a new one."""
    kept = [change for change in lasting if rng.random() < 0.8]
    if len(kept) < 3 and rng.random() < 0.4:
        kept.append(_draw(rng))
    return kept


def _clock_set(rng: np.random.Generator) -> Change:
    """The clock of the vehicle, of one kind, or of the twin, set by 0.05 to 100 s."""
    by_ns = int(rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-1.3, 2.0) * 1e9)
    which = int(rng.integers(len(_KINDS) + 3))
    name = "received_ns" if which == len(_KINDS) else "stamp_ns"
    kinds = (_KINDS[which],) if which < len(_KINDS) else _KINDS

    def change(sample: Sample) -> Sample:
        if not isinstance(sample, kinds):
            return sample
        return replace(sample, **{name: max(0, getattr(sample, name) + by_ns)})

    return change


def _clock_drifts(rng: np.random.Generator) -> Change:
    """Stamps that run by up to 10 % too fast or slow, from the first such sample on."""
    rate, begun = float(rng.uniform(-0.1, 0.1)), 0
    kinds = _KINDS if rng.random() < 0.5 else (_KINDS[int(rng.integers(len(_KINDS)))],)

    def change(sample: Sample) -> Sample:
        nonlocal begun
        begun = begun or sample.stamp_ns
        if not isinstance(sample, kinds):
            return sample
        off_ns = int(rate * (sample.stamp_ns - begun))
        return replace(sample, stamp_ns=max(0, sample.stamp_ns + off_ns))

    return change


def _bursts(rng: np.random.Generator) -> Change:
    pause_ns = int(rng.uniform(0.05, 0.5) * 1e9)
    return lambda sample: replace(
        sample, received_ns=-(-sample.received_ns // pause_ns) * pause_ns
    )


def _iron(rng: np.random.Generator) -> Change:
    """A field of another strength, with iron that is fixed to the aircraft."""
    scale = float(10.0 ** rng.uniform(-0.6, 0.6))
    iron = rng.normal(size=3) * 10.0 ** rng.uniform(-2.0, 0.0)

    def other(s: Magnetometer) -> dict[str, Any]:
        with np.errstate(over="ignore"):
            return {"field_frd_gauss": scale * s.field_frd_gauss + iron}

    return _of(Magnetometer, other)


def _antenna(rng: np.random.Generator) -> Change:
    arm = rng.normal(size=3) * 10.0 ** rng.uniform(-2.0, 3.0)
    if rng.random() < 0.2:
        arm[int(rng.integers(3))] = _CLAIMS[int(rng.integers(len(_CLAIMS)))]
    return _of(GnssFix, lambda s: {"antenna_frd_m": arm})


def _antennas(rng: np.random.Generator) -> Change:
    """A heading by two antennas, true or not, of any claim."""
    heading, yaw = rng.uniform(-np.pi, np.pi, size=2)
    claim = _CLAIMS[int(rng.integers(len(_CLAIMS)))]
    return _of(
        GnssFix,
        lambda s: {
            "heading_rad": float(heading),
            "antenna_yaw_frd_rad": float(yaw),
            "heading_accuracy_rad": claim,
        },
    )


def _two_receivers(rng: np.random.Generator) -> Change:
    """Every other fix from another receiver: elsewhere, later, with other claims."""
    north, up = rng.normal(size=2) * 10.0 ** rng.uniform(-1.0, 2.0)
    speed = rng.normal(size=3) * 10.0 ** rng.uniform(-2.0, 1.0)
    late_ns, share = int(rng.uniform(0.0, 0.3) * 1e9), float(10.0 ** rng.uniform(-1.0, 1.0))
    odd = False

    def other(s: GnssFix) -> dict[str, Any]:
        nonlocal odd
        odd = not odd
        if not odd:
            return {}
        velocity = s.velocity_ned_m_s
        return {
            "stamp_ns": max(0, s.stamp_ns - late_ns),
            "latitude_deg": s.latitude_deg + math.degrees(north / _EARTH_M),
            "altitude_amsl_m": s.altitude_amsl_m + up,
            "velocity_ned_m_s": None if velocity is None else velocity + speed,
            "eph_m": s.eph_m * share,
            "epv_m": s.epv_m * share,
        }

    return _of(GnssFix, other)


def _calibrated(rng: np.random.Generator) -> Change:
    """An IMU that was calibrated anew, once or with each sample, and reads other values."""
    each, count = bool(rng.random() < 0.2), int(rng.integers(1, 100))
    gyro, accel = rng.normal(size=3) * 0.02, rng.normal(size=3) * 0.3

    def other(s: Imu) -> dict[str, Any]:
        nonlocal count
        count += each
        return {
            "calibration": count,
            "rate_frd_rad_s": s.rate_frd_rad_s + gyro,
            "specific_force_frd_m_s2": s.specific_force_frd_m_s2 + accel,
        }

    return _of(Imu, other)


def _pose_anew(rng: np.random.Generator) -> Change:
    """A pose whose frame jumps and turns, which its reset counter says, says ever anew, or not."""
    jump = rng.normal(size=3) * 10.0 ** rng.uniform(-1.0, 4.0)
    each, count = bool(rng.random() < 0.2), int(rng.integers(0, 256))
    local, body = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    about = rng.normal(size=4)

    def other(s: ExternalPose) -> dict[str, Any]:
        nonlocal count
        count = (count + each) % 256
        changes: dict[str, Any] = {"reset_counter": count, "local_frame": local}
        if s.position_ned_m is not None:
            changes["position_ned_m"] = s.position_ned_m + jump
        if local:
            changes["q_ned_frd"] = about / np.linalg.norm(about)
        if body:
            changes |= {"velocity_ned_m_s": None, "velocity_frd_m_s": s.velocity_ned_m_s}
        return changes

    return _of(ExternalPose, other)


def _claims(rng: np.random.Generator) -> Change:
    """One claim for all claims of a kind."""
    claim = _CLAIMS[int(rng.integers(len(_CLAIMS)))]
    kind = (GnssFix, ExternalPose, Rangefinder, LocalPosition)[int(rng.integers(4))]
    names = [
        spec.name
        for spec in fields(kind)
        if spec.name.startswith(("eph", "epv", "evh", "evv", "speed_acc"))
        or "variance" in spec.name
    ]

    def other(s: Any) -> dict[str, Any]:
        return {
            name: np.full(3, claim) if isinstance(getattr(s, name), np.ndarray) else claim
            for name in names
        }

    return _of(kind, other)


def _origin(rng: np.random.Generator) -> Change:
    """PX4's origin elsewhere, by 0.1 m to 100 km, told at least twice; or none any more."""
    if rng.random() < 0.2:
        return _of(LocalPosition, lambda s: {"origin": None})
    north, east, up = rng.normal(size=3) * 10.0 ** rng.uniform(-1.0, 5.0)
    walks, times = bool(rng.random() < 0.2), 1

    def other(s: LocalPosition) -> dict[str, Any]:
        nonlocal times
        times += walks
        if s.origin is None:
            return {}
        way = (times // 2 + 1) / _EARTH_M
        return {
            "origin": replace(
                s.origin,
                latitude_deg=s.origin.latitude_deg + math.degrees(north * way),
                longitude_deg=s.origin.longitude_deg + math.degrees(east * way),
                altitude_amsl_m=s.origin.altitude_amsl_m + up,
            )
        }

    return _of(LocalPosition, other)


def _of(kind: type, other: Callable[[Any], dict[str, Any]]) -> Change:
    """Return what changes the samples of one kind and no other."""
    return lambda sample: replace(sample, **other(sample)) if type(sample) is kind else sample


_FAULTS = (
    _clock_set, _clock_set, _clock_set, _clock_drifts, _bursts, _iron, _antenna, _antennas,
    _two_receivers, _calibrated, _pose_anew, _claims, _origin,
)  # fmt: skip
