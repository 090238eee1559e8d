# SPDX-License-Identifier: Apache-2.0
"""The estimator driven by samples as its users do it, and how far its states are off."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array, Imu, LocalPosition, Origin, Sample, TwinState
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

STEP_NS = 4_000_000
LEVEL = np.array([0.0, 0.0, -9.80665])


def still(i: int) -> Imu:
    """Return the IMU sample number ``i`` of an aircraft that stands level."""
    return Imu(i * STEP_NS, i * STEP_NS, np.zeros(3), LEVEL, 0.004)


def local(at_ns: int, origin: Origin | None, down_m: float = 0.0) -> LocalPosition:
    """Return PX4's local position at rest."""
    position = np.array([0.0, 0.0, down_m])
    flags = (True, True, True, True)
    return LocalPosition(
        at_ns, at_ns, position, np.zeros(3), 0.0, *flags, origin,
        1.0, 1.0, 0.1, 0.1, False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
    )  # fmt: skip


def with_origin(samples: Iterable[Sample]) -> list[Sample]:
    """Tell PX4's origin twice at the start, so that positions compare with the truth."""
    out = list(samples)
    out[1:1] = [local(simulate.START_NS, simulate.ORIGIN)] * 2
    return out


def run(estimator: Estimator, samples: Iterable[Sample]) -> list[TwinState]:
    """Return the states that are published."""
    return [state for sample in samples if (state := estimator.on(sample)) is not None]


def seconds(state: TwinState) -> float:
    """Return the time [s] since the start of the flight."""
    return (state.stamp_ns - simulate.START_NS) * 1e-9


def miss_m(flight: simulate.Flight, state: TwinState) -> float:
    """Return how far the horizontal position is from the truth [m]."""
    truth = flight.position[flight.index(state.stamp_ns)]
    return float(np.linalg.norm(state.position_ned_m[:2] - truth[:2]))


def tilt_error_rad(state: TwinState, truth: Array) -> float:
    """Return how far the attitude is from that of the truth (4,), the heading set aside."""
    turn = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), truth)
    down = frames.rotation_from_quat(truth)[2]
    theta = frames.rotation_vector_from_quat(turn)
    return float(np.linalg.norm(theta - (theta @ down) * down))
