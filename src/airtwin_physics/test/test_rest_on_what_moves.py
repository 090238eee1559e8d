# SPDX-License-Identifier: Apache-2.0
"""Standing on a ship is not standing still: the receiver says so, and has to be of one piece."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Array, GnssFix, Sample, TwinState
from airtwin_physics.estimator import Estimator

import gnss_faults as faults  # isort: skip
import simulate  # isort: skip
from driven import run, seconds, with_origin  # isort: skip

REST_S = 20.0
SAID = "the ground it stands on moves"


def _aboard(seed: int, velocity: Array, seconds_: float = 40.0) -> simulate.Flight:
    """Return a flight that begins and goes on with a steady velocity (3,) over the ground."""
    flight = simulate.fly(np.random.default_rng(seed), seconds_, rest_s=REST_S)
    times = np.arange(len(flight.position))[:, None] * simulate.DT_S
    moved = faults.shown(flight, lambda t: (velocity * t, velocity))
    return replace(
        moved, position=flight.position + velocity * times, velocity=flight.velocity + velocity
    )


def _off_m(flight: simulate.Flight, state: TwinState) -> float:
    i = flight.index(state.stamp_ns)
    return float(np.linalg.norm((state.position_ned_m - flight.position[i])[:2]))


@pytest.mark.parametrize("speed_m_s", [0.7, 1.5, 4.0, 12.0])
def test_what_stands_on_a_ship_is_where_the_ship_is(speed_m_s: float) -> None:
    flight = _aboard(21, speed_m_s * np.array([0.6, -0.8, 0.0]))
    states = run(Estimator(), with_origin(flight.samples))
    late = [s for s in states if seconds(s) > 2.0 + 12.0 / speed_m_s]
    assert SAID in late[0].notice
    assert SAID not in states[-1].notice  # it has taken off
    assert max(_off_m(flight, s) for s in late) < 5.0  # the receiver's own error: 1.6 m of 95 %
    for s in late:
        off = s.velocity_ned_m_s - flight.velocity[flight.index(s.stamp_ns)]
        assert np.linalg.norm(off[:2]) < 1.0
    assert all(s.horizontal_valid and s.velocity_valid for s in late)


@pytest.mark.parametrize("seed", range(4))
def test_what_stands_still_is_at_rest_however_long(seed: int) -> None:
    flight = simulate.fly(np.random.default_rng(seed), 60.0, rest_s=58.0)
    states = run(Estimator(), with_origin(flight.samples))
    assert not any(SAID in s.notice for s in states)
    speeds = [np.linalg.norm(s.velocity_ned_m_s) for s in states if 10.0 < seconds(s) < 58.0]
    assert max(speeds) < 0.1


def _told(flight: simulate.Flight, velocity: Array, *, place: bool) -> list[Sample]:
    """Return samples whose Doppler, or place, alone says that it moves."""
    out: list[Sample] = []
    for s in flight.samples:
        if isinstance(s, GnssFix) and s.velocity_ned_m_s is not None:
            t = faults.seconds(s.stamp_ns)
            if place:
                s = replace(
                    s, latitude_deg=s.latitude_deg + math.degrees(velocity[0] * t / 6371000.0)
                )
            else:
                s = replace(s, velocity_ned_m_s=s.velocity_ned_m_s + velocity)
        out.append(s)
    return with_origin(out)


@pytest.mark.parametrize("place", [True, False])
def test_a_receiver_that_contradicts_itself_carries_nobody(place: bool) -> None:
    flight = simulate.fly(np.random.default_rng(5), 18.0, rest_s=20.0)
    velocity = np.array([3.0, 0.0, 0.0])
    states = run(Estimator(), _told(flight, velocity, place=place))
    late = [s for s in states if seconds(s) > 12.0]
    speeds = [float(np.linalg.norm(s.velocity_ned_m_s)) for s in late]
    assert max(speeds) < 0.3
