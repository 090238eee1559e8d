# SPDX-License-Identifier: Apache-2.0
"""Receivers that go wrong in flight: what they show is moved by a function of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from airtwin_core.types import Array, Barometer, GnssFix, LocalPosition, Origin, TwinState
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

Wrong = Callable[[float], tuple[Array, Array]]
"""Time [s] to what is added to place (3,) [m] and velocity (3,) [m/s] NED."""


def shown(flight: simulate.Flight, wrong: Wrong, *, doppler: bool = True) -> simulate.Flight:
    """Return the flight with its fixes moved; without ``doppler`` their velocity stays true."""
    out = []
    lat0, lon0, alt0 = simulate.geodetic(np.zeros(3))
    for s in flight.samples:
        if isinstance(s, GnssFix):
            place, speed = wrong(seconds(s.stamp_ns))
            lat1, lon1, alt1 = simulate.geodetic(place)
            assert s.velocity_ned_m_s is not None
            s = replace(
                s,
                latitude_deg=s.latitude_deg + lat1 - lat0,
                longitude_deg=s.longitude_deg + lon1 - lon0,
                altitude_amsl_m=s.altitude_amsl_m + alt1 - alt0,
                velocity_ned_m_s=s.velocity_ned_m_s + (speed if doppler else 0.0),
            )
        out.append(s)
    return replace(flight, samples=out)


def jump(by_m: Array, from_s: float, to_s: float = np.inf) -> Wrong:
    """Return a jump of the place, the speed as it was."""
    return lambda t: (by_m if from_s <= t < to_s else np.zeros(3), np.zeros(3))


def runaway(speed_m_s: Array, from_s: float, rise_s: float, fall_s: float, to_s: float) -> Wrong:
    """Return a speed that rises and falls again, the place with it; right again from ``to_s``."""

    def wrong(t: float) -> tuple[Array, Array]:
        if not from_s <= t < to_s:
            return np.zeros(3), np.zeros(3)
        up, down = min(t - from_s, rise_s), np.clip(t - from_s - rise_s, 0.0, fall_s)
        left = 1.0 - down / fall_s
        way = 0.5 * up * up / rise_s + down - 0.5 * down * down / fall_s
        return speed_m_s * way, speed_m_s * (up / rise_s if down == 0.0 else left)

    return wrong


def drag_off(accel_m_s2: Array, most_m_s: float, from_s: float) -> Wrong:
    """Return a spoofer that begins slowly: a growing speed, the place with it."""
    size = float(np.linalg.norm(accel_m_s2))
    rise_s = most_m_s / size

    def wrong(t: float) -> tuple[Array, Array]:
        up, on = np.clip(t - from_s, 0.0, rise_s), max(t - from_s - rise_s, 0.0)
        return accel_m_s2 * (0.5 * up * up + rise_s * on), accel_m_s2 * up

    return wrong


def pressure(flight: simulate.Flight, by_m: Callable[[float], float]) -> simulate.Flight:
    """Return the flight with its pressure altitudes moved by a function of time [s]."""
    samples = [
        replace(s, altitude_m=s.altitude_m + by_m(seconds(s.stamp_ns)))
        if isinstance(s, Barometer)
        else s
        for s in flight.samples
    ]
    return replace(flight, samples=samples)


def seconds(stamp_ns: int) -> float:
    """Return the time of a stamp since the beginning [s]."""
    return (stamp_ns - simulate.START_NS) * 1e-9


def told(at_ns: int, origin: Origin = simulate.ORIGIN) -> LocalPosition:
    """Return PX4's word of its origin."""
    flags = (True, True, True, True)
    return LocalPosition(
        at_ns, at_ns, np.zeros(3), np.zeros(3), 0.0, *flags, origin,
        1.0, 1.0, 0.1, 0.1, False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
    )  # fmt: skip


def fly(flight: simulate.Flight) -> list[TwinState]:
    """Return what the twin says of a flight whose origin PX4 has told."""
    estimator = Estimator()
    samples = [flight.samples[0], *[told(simulate.START_NS)] * 2, *flight.samples[1:]]
    return [state for sample in samples if (state := estimator.on(sample)) is not None]


def during(states: Iterable[TwinState], from_s: float, to_s: float = np.inf) -> list[TwinState]:
    """Return the states of a time."""
    return [s for s in states if from_s <= seconds(s.stamp_ns) < to_s]


def misses(flight: simulate.Flight, states: Iterable[TwinState]) -> Array:
    """Return (n, 3) by how much place and truth differ [m]."""
    return np.array([s.position_ned_m - flight.position[flight.index(s.stamp_ns)] for s in states])


def resets(states: list[TwinState]) -> dict[str, int]:
    """Return how often gates were opened by taking a sensor's word, by source and cause."""
    return {
        f"{fusion.source} {cause}": count
        for fusion in states[-1].fusions
        for cause, count in fusion.rejected.items()
        if "reset" in cause
    }


def refused(state: TwinState, cause: str) -> int:
    """Return how many positions of GNSS were refused for a cause so far."""
    return state.fusions[0].rejected.get(cause, 0)
