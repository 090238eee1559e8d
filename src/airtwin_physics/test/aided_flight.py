# SPDX-License-Identifier: Apache-2.0
"""Flights with the sensors of ``aided``: flown through the estimator, and how far off it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.types import (
    Array,
    Fusion,
    Health,
    LocalPosition,
    Sample,
    TwinState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

SECONDS = 40.0
CONFIG = EstimatorConfig(gyro_noise=1e-6, accel_noise=1e-6, gyro_bias_sigma=3e-4)


def fly(seed: int, seconds: float = SECONDS) -> tuple[simulate.Flight, np.random.Generator]:
    """Return a flight, and the generator for the noise of more sensors."""
    rng = np.random.default_rng(seed)
    return simulate.fly(rng, seconds), rng


def run(
    flight: simulate.Flight,
    *,
    origin: bool = True,
    watch: Callable[[Estimator], None] | None = None,
) -> list[TwinState]:
    """Return all published states; ``origin``: PX4 tells one, ``watch`` sees each state."""
    estimator = Estimator(CONFIG)
    samples: list[Sample] = list(flight.samples)
    if origin:
        at, flags = simulate.START_NS, (True, True, True, True)
        samples[1:1] = [
            LocalPosition(
                at, at, np.zeros(3), np.zeros(3), 0.0, *flags, simulate.ORIGIN,
                1.0, 1.0, 0.1, 0.1, False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
            )
        ] * 2  # fmt: skip
    states = []
    for sample in samples:
        state = estimator.on(sample)
        if state is not None:
            states.append(state)
            if watch is not None:
                watch(estimator)
    return states


def _at(state: TwinState) -> float:
    return (state.stamp_ns - simulate.START_NS) * 1e-9


def between(states: list[TwinState], from_s: float, to_s: float) -> list[TwinState]:
    """Return the states within a time since the start."""
    return [state for state in states if from_s < _at(state) < to_s]


def miss(flight: simulate.Flight, states: list[TwinState]) -> Array:
    """Errors of position (n, 3) [m]."""
    rows = [flight.index(s.stamp_ns) for s in states]
    return np.asarray(flight.position[rows] - np.array([s.position_ned_m for s in states]))


def speed_miss(flight: simulate.Flight, states: list[TwinState]) -> Array:
    """Errors of velocity (n, 3) [m/s]."""
    rows = [flight.index(s.stamp_ns) for s in states]
    return np.asarray(flight.velocity[rows] - np.array([s.velocity_ned_m_s for s in states]))


def yaw_miss(flight: simulate.Flight, states: list[TwinState]) -> Array:
    """Errors of the turn about the body's down axis (n,) [rad]."""
    out = []
    for s in states:
        turn = frames.quat_multiply(
            frames.quat_conjugate(s.q_ned_frd), flight.attitude[flight.index(s.stamp_ns)]
        )
        out.append(frames.rotation_vector_from_quat(turn)[2])
    return np.array(out)


def rms(errors: Array) -> float:
    """Return the root of the mean squared length of rows (n, m)."""
    return float(np.sqrt(np.mean(np.sum(np.atleast_2d(errors) ** 2, axis=-1))))


def fusion(state: TwinState, source: str) -> Fusion:
    """Return how a source has fared."""
    return next(fusion for fusion in state.fusions if fusion.source == source)


def health(state: TwinState, source: str) -> Health:
    """Return its health; a source that is not fitted is missing."""
    found = {health.source: health.health for health in state.health}
    return found.get(source, Health.MISSING)


def changed(samples: list[Sample], from_s: float, to_s: float, change: Any) -> list[Sample]:
    """Return the samples with those of a time changed."""
    begin, end = (simulate.START_NS + int(t * 1e9) for t in (from_s, to_s))
    return [change(s) if begin < s.stamp_ns < end else s for s in samples]
