# SPDX-License-Identifier: Apache-2.0
"""Sensors that ``simulate`` leaves out, with the errors that the filter assumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from airtwin_core import frames
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import (
    Array,
    ExternalPose,
    GnssFix,
    Magnetometer,
    OpticalFlow,
    Origin,
    Rangefinder,
    Sample,
)

import simulate  # isort: skip

GROUND_M = 0.1
"""Down coordinate of level ground: the aircraft stands at zero."""
RANGE_STEPS, FLOW_STEPS, POSE_STEPS = 12, 5, 8
_NAN3 = np.full(3, np.nan)


def merged(flight: simulate.Flight, more: list[Sample]) -> simulate.Flight:
    """Return the flight with more samples in the order of arrival."""
    samples = sorted([*flight.samples, *more], key=lambda s: s.received_ns)
    return replace(flight, samples=samples)


def without(flight: simulate.Flight, *kinds: type) -> simulate.Flight:
    """Return the flight without some kinds of samples."""
    return replace(flight, samples=[s for s in flight.samples if not isinstance(s, kinds)])


def outage(flight: simulate.Flight, from_s: float, to_s: float) -> simulate.Flight:
    """Return the flight without GNSS for a time."""
    begin, end = (simulate.START_NS + int(t * 1e9) for t in (from_s, to_s))
    kept = [s for s in flight.samples if not (isinstance(s, GnssFix) and begin < s.stamp_ns < end)]
    return replace(flight, samples=kept)


def distances(
    flight: simulate.Flight,
    rng: np.random.Generator,
    *,
    ground_m: Callable[[Array], float] = lambda p: GROUND_M,
) -> list[Sample]:
    """Return a rangefinder's samples."""
    out: list[Sample] = []
    for k in range(RANGE_STEPS, len(flight.position), RANGE_STEPS):
        at = simulate.stamp_ns(k)
        down = frames.rotation_from_quat(flight.attitude[k])[2, 2]
        true = (ground_m(flight.position[k]) - flight.position[k, 2]) / down
        shown = true + rng.normal() * np.hypot(0.1, 0.05 * true)
        out.append(Rangefinder(at, at, float(shown), float("nan"), bool(0.05 < shown < 40.0)))
    return out


def flows(
    flight: simulate.Flight,
    rng: np.random.Generator,
    *,
    gyro: bool = True,
    sigma_rad_s: float = 0.15,
    delay_s: float = 0.02,
) -> list[Sample]:
    """Return a flow camera's samples: written down from the truth, no model of the filter's."""
    out: list[Sample] = []
    dt_s = FLOW_STEPS * simulate.DT_S
    late = round(delay_s * 1e9)
    for k in range(FLOW_STEPS, len(flight.position), FLOW_STEPS):
        slip, turn = np.zeros(2), np.zeros(3)
        for j in range(k - FLOW_STEPS, k):
            q = flight.attitude[j]
            turn += frames.rotation_vector_from_quat(
                frames.quat_multiply(frames.quat_conjugate(q), flight.attitude[j + 1])
            )
            r = frames.rotation_from_quat(q)
            v = r.T @ flight.velocity[j]
            distance = (GROUND_M - flight.position[j, 2]) / r[2, 2]
            slip += np.array([-v[1], v[0]]) / distance * simulate.DT_S
        flow = slip + turn[:2] + rng.normal(size=2) * sigma_rad_s * dt_s
        own = turn + rng.normal(size=3) * 0.01 * dt_s + 0.01 * dt_s  # with a bias of its own
        stamp = simulate.stamp_ns(k)
        out.append(
            OpticalFlow(stamp, stamp + late, flow, own if gyro else _NAN3, dt_s, 1.0, _NAN3[0])
        )
    # the camera says its stamp when it hands over, as PX4's drivers do: EKF2_OF_DELAY
    return [replace(s, stamp_ns=s.stamp_ns + late) for s in out]


def poses(
    flight: simulate.Flight,
    rng: np.random.Generator,
    *,
    local: bool = False,
    zero_m: Array | None = None,
    north_rad: float = 0.0,
    late_s: float = 0.05,
    velocity: str = "ned",
    attitude: bool = True,
) -> list[Sample]:
    """Return poses in a frame whose zero and north are elsewhere; velocity: ned, frd or none."""
    zero = np.zeros(3) if zero_m is None else zero_m
    back = frames.quat_from_euler(0.0, 0.0, -north_rad)
    turn = frames.rotation_from_quat(back)
    out: list[Sample] = []
    for k in range(POSE_STEPS, len(flight.position), POSE_STEPS):
        at = simulate.stamp_ns(k)
        place = turn @ (flight.position[k] - zero) + rng.normal(size=3) * 0.1
        speed = turn @ flight.velocity[k] + rng.normal(size=3) * 0.1
        body = frames.rotation_from_quat(flight.attitude[k]).T @ flight.velocity[k]
        body = body + rng.normal(size=3) * 0.1
        error = frames.quat_from_rotation_vector(rng.normal(size=3) * 0.1)
        q = frames.quat_multiply(frames.quat_multiply(back, flight.attitude[k]), error)
        out.append(
            ExternalPose(
                at,
                at + int(late_s * 1e9),
                place,
                speed if velocity == "ned" else None,
                q if attitude else None,
                np.full(3, 0.01),
                np.full(3, 0.01),
                np.full(3, 0.01),
                local,
                0,
                body if velocity == "frd" else None,
            )
        )
    return out


def with_antennas(
    flight: simulate.Flight, rng: np.random.Generator, antenna_yaw_rad: float = 0.0
) -> simulate.Flight:
    """Return the flight whose fixes have a heading, and no magnetometer."""
    line = np.array([np.cos(antenna_yaw_rad), np.sin(antenna_yaw_rad), 0.0])
    out: list[Sample] = []
    for sample in flight.samples:
        if isinstance(sample, Magnetometer):
            continue
        if isinstance(sample, GnssFix):
            true = flight.index(sample.stamp_ns) - round(flight.delay_s * simulate.RATE_HZ)
            north, east, _ = frames.rotation_from_quat(flight.attitude[true]) @ line
            heading = np.arctan2(east, north) - antenna_yaw_rad + rng.normal() * 0.1
            sample = replace(
                sample,
                heading_rad=float(frames.wrap_pi(heading)),
                heading_accuracy_rad=0.1,
                antenna_yaw_frd_rad=antenna_yaw_rad,
            )
        out.append(sample)
    return replace(flight, samples=out)


def with_arm(flight: simulate.Flight, arm_frd_m: Array, *, told: bool) -> simulate.Flight:
    """Return the flight with the antenna away from the IMU; told: the fixes say so."""
    out: list[Sample] = []
    for sample in flight.samples:
        if isinstance(sample, GnssFix) and sample.velocity_ned_m_s is not None:
            true = flight.index(sample.stamp_ns) - round(flight.delay_s * simulate.RATE_HZ)
            steps = np.clip([true - 1, true, true + 1], 0, len(flight.attitude) - 1)
            arm = [frames.rotation_from_quat(flight.attitude[k]) @ arm_frd_m for k in steps]
            speed = (arm[2] - arm[0]) / (2.0 * simulate.DT_S)
            at = Origin(sample.latitude_deg, sample.longitude_deg, sample.altitude_amsl_m)
            latitude, longitude, altitude = LocalFrame(at).to_geodetic(arm[1])
            sample = replace(
                sample,
                latitude_deg=latitude,
                longitude_deg=longitude,
                altitude_amsl_m=altitude,
                velocity_ned_m_s=sample.velocity_ned_m_s + speed,
                antenna_frd_m=arm_frd_m if told else None,
            )
        out.append(sample)
    return replace(flight, samples=out)
