# SPDX-License-Identifier: Apache-2.0
"""Where rollouts end: what the twin reports, what the ground does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_core.types import Array, Battery, Identification
from airtwin_physics.battery import BatteryEstimator
from airtwin_physics.control import px4_params
from airtwin_physics.identify import rows, verdict
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.rollout import draw, reference, rollouts, start
from airtwin_physics.rollout.plan import Corridor, Plan, Waypoint
from airtwin_physics.slow import battery_parameters

X500 = aircraft.load("x500")
P = px4_params.Px4Params()
CALM = draw.Wind()


def test_the_names_are_those_that_the_twin_reports() -> None:
    """A name that nobody reports would silently never be flown."""
    cells = BatteryEstimator(X500.battery)
    found = None
    for k in range(100):
        t_ns = (k + 1) * 100_000_000
        found = cells.on(Battery(t_ns, t_ns, 15.6, 20.0, np.nan, 0)) or found
    assert found is not None
    prior = np.eye(rows.size(X500.rotor_count))
    airframe = verdict.parameters(X500, IdentifyConfig(), prior, np.zeros(len(prior)), prior, 1.0)
    reported = (*airframe, *battery_parameters(found))
    used = {}
    for parameter in reported:
        known = dataclasses.replace(parameter, value=0.7 * parameter.prior, sigma=0.0, known=True)
        told = Identification(0, 0, (known,))
        rng = np.random.default_rng(0)
        drawn = draw.factors(rng, 1, X500.rotor_count, draw.Spread(), told, sampled=False)[0]
        if np.any(drawn != 1.0):
            assert drawn.min() == pytest.approx(0.7)
            used[parameter.name] = int(np.argmin(drawn))
    rotors = {f"rotor_{i}_effectiveness": draw.F_ROTOR + i for i in range(X500.rotor_count)}
    assert used == draw.NAMES | rotors
    held = {"moment_constant", "centre_x", "centre_y", "body_drag_area", "inertia_level"}
    held |= {"inertia_yaw", "yaw_trim", "time_to_empty"}
    assert {p.name for p in reported} - set(used) == held  # the README says so


def _error(height: float) -> Array:
    """Return (4, 3) [m] lanes less the model with its ground, each second of a flight so low."""
    belief = start.supposed(np.array([0.0, 0.0, -height]))
    legs = Plan((Waypoint((12.0, 0.0, -height), 4.0),)).legs(belief.position_ned_m, P)

    def one() -> draw.Draws:
        rng = np.random.default_rng(0)
        return draw.draws(rng, 1, 4, belief, CALM, draw.Spread(), None, sampled=False)

    fast = rollouts.fly(one(), legs, legs[:, :2], X500, P, 0.0, 0.0, 100, 5)
    assert not fast.touched.any()
    slow = [
        reference.fly(one(), legs, X500, P, 0.0, 0.0, float(t))[0][0, :3] for t in (1, 2, 3, 4)
    ]
    return np.asarray(fast.position_ned_m[0, 1:] - np.array(slow))


def test_where_the_zero_of_height_lies_changes_no_flight() -> None:
    """Gusts, the ground effect and who is lost go by the height above the ground alone."""
    windy, fans = draw.Wind((4.0, -5.0, 0.0), gust=1.0), []
    for ground in (0.0, 150.0, -150.0):
        belief = start.supposed(np.array([0.0, 0.0, ground - 12.0]))
        plan = Plan((Waypoint((30.0, 10.0, ground - 15.0), 8.0),))
        rng = np.random.default_rng(2)
        fan = rollouts.rollout(
            belief, plan, windy, 8, 6.0, rng, aircraft=X500, ground_down_m=ground
        )
        fans.append(fan.position_ned_m - [0.0, 0.0, ground])
    np.testing.assert_allclose(fans[1], fans[0], atol=1e-6)
    np.testing.assert_allclose(fans[2], fans[0], atol=1e-6)


def test_how_far_the_middle_of_the_cushion_is_from_that_of_each_rotor() -> None:
    """What lanes err at 40 m too is not the ground's."""
    far = _error(40.0)
    two, half, tenth = (
        float(np.max(np.linalg.norm(_error(height) - far, axis=1))) for height in (2.0, 0.5, 0.1)
    )
    assert two < 0.0001  # measured: 0.004 mm, 0.9 mm, 6.7 mm
    assert half < 0.002
    assert tenth < 0.02


def test_who_comes_to_the_ground_is_lost_there() -> None:
    belief = start.supposed(np.array([0.0, 0.0, -5.0]))
    down = Plan((Waypoint((0.0, 0.0, 3.0), 5.0),))

    def fly(**more: float) -> rollouts.Rollouts:
        rng = np.random.default_rng(3)
        return rollouts.rollout(belief, down, CALM, 40, 10.0, rng, aircraft=X500, **more)

    fan, free = fly(), fly(ground_down_m=np.inf)
    assert fan.touched.all()
    assert not fan.kept.any()
    assert np.all((fan.lost_s > 1.0) & (fan.lost_s < 9.0))
    assert np.all(fan.position_ned_m[:, :, 2] < 0.05)
    assert np.all((fan.lowest_down_m > 0.0) & (fan.lowest_down_m < 0.1))  # within 40 ms
    assert fan.leaves(Corridor()) == fan.descends_below(2.0) == 1.0
    # without a ground the same flights go on, and until then only its effect tells them apart
    assert free.kept.all()
    assert not free.touched.any()
    assert np.all(free.lowest_down_m > 1.0)
    before = fan.times_s < fan.lost_s.min()
    apart = fan.position_ned_m[:, before] - free.position_ned_m[:, before]
    assert np.max(np.abs(apart)) < 0.1
    # who stands does not fly: half of a belief on the ground is below it
    standing = belief._replace(position_ned_m=np.array([0.0, 0.0, 0.5]))
    rng = np.random.default_rng(3)
    fan = rollouts.rollout(standing, down, CALM, 4, 1.0, rng, aircraft=X500, sampled=False)
    assert np.all(fan.lost_s == 0.0)
