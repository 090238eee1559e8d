# SPDX-License-Identifier: Apache-2.0
"""The moving setpoint: limits kept, target reached, no overshoot, waits for the aircraft."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_mission import setpoint
from airtwin_mission.limits import Limits

LIMITS = Limits()
DT_S = 0.05


def start(*velocity: float) -> setpoint.Moving:
    return setpoint.Moving(np.zeros(3), np.array(velocity or (0.0, 0.0, 0.0)), 0.0)


def fly(
    point: setpoint.Moving, target: np.ndarray, speed: float, steps: int, acceleration: float = 1.5
) -> list[setpoint.Moving]:
    points = [point]
    for _ in range(steps):
        point = setpoint.advance(
            point,
            target,
            point.position_ned_m,
            speed_m_s=speed,
            dt_s=DT_S,
            limits=LIMITS,
            acceleration_m_s2=acceleration,
        )
        points.append(point)
    return points


coordinate = st.floats(-200.0, 200.0)


@given(st.tuples(coordinate, coordinate, st.floats(-60.0, 60.0)), st.floats(0.5, 15.0))
@settings(max_examples=60, deadline=None)
def test_limits_hold_and_the_target_is_reached(
    target: tuple[float, float, float], speed: float
) -> None:
    end = np.array(target)
    distance = float(np.linalg.norm(end))
    # The slowest component decides: speed, climb or descent; braking adds some seconds.
    seconds = distance / speed + abs(end[2]) / LIMITS.descend_m_s + speed + 10.0
    points = fly(start(), end, speed, round(seconds / DT_S))
    velocity = np.array([p.velocity_ned_m_s for p in points])
    size = np.linalg.norm(velocity, axis=1)
    assert size.max() <= speed * 1.001
    assert velocity[:, 2].max() <= LIMITS.descend_m_s * 1.001
    assert velocity[:, 2].min() >= -LIMITS.climb_m_s * 1.001
    change = np.linalg.norm(np.diff(velocity, axis=0), axis=1) / DT_S
    assert change.max() <= 1.5 * 1.001
    np.testing.assert_allclose(points[-1].position_ned_m, end, atol=0.05)
    along = np.array([p.position_ned_m for p in points]) @ (end / max(distance, 1e-9))
    assert along.max() <= distance + 0.05


def test_straight_line() -> None:
    points = fly(start(), np.array([30.0, 40.0, -10.0]), 5.0, 300)
    positions = np.array([p.position_ned_m for p in points])
    off = np.cross(positions, np.array([30.0, 40.0, -10.0]) / np.linalg.norm([30, 40, -10]))
    assert np.abs(off).max() < 1e-9


def test_waits_for_an_aircraft_that_does_not_follow() -> None:
    point = start()
    for _ in range(400):
        point = setpoint.advance(
            point,
            np.array([100.0, 0.0, 0.0]),
            np.zeros(3),
            speed_m_s=5.0,
            dt_s=DT_S,
            limits=LIMITS,
            acceleration_m_s2=1.5,
        )
    braking_m = 5.0**2 / (2.0 * 1.5)
    assert 0.5 * LIMITS.lead_m < point.position_ned_m[0] < LIMITS.lead_m + braking_m
    assert np.linalg.norm(point.velocity_ned_m_s) < 0.01


def test_stopping_place_is_where_it_stops() -> None:
    moving = start(5.0, 0.0, 0.0)
    place = setpoint.stopping_place(moving, LIMITS)
    points = fly(moving, place, 5.0, 200, LIMITS.brake_m_s2)
    assert max(p.position_ned_m[0] for p in points) <= place[0] + 0.05
    np.testing.assert_allclose(points[-1].position_ned_m, place, atol=0.05)


def test_turns_the_short_way_at_its_rate() -> None:
    point = setpoint.Moving(np.zeros(3), np.zeros(3), np.pi - 0.1)
    target = np.array([-100.0, -10.0, 0.0])  # course just beyond 180 degrees
    points = fly(point, target, 5.0, 20)
    turned = np.array([p.yaw_ned_rad for p in points])
    steps = np.abs((np.diff(turned) + np.pi) % (2 * np.pi) - np.pi)
    assert steps.max() <= LIMITS.yaw_rate_rad_s * DT_S + 1e-12
    assert points[-1].yaw_ned_rad == pytest.approx(np.arctan2(-10.0, -100.0), abs=0.02)
