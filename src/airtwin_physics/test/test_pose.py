# SPDX-License-Identifier: Apache-2.0
"""A pose from outside, as a user drives it: alone, through an outage, broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airtwin_core.types import (
    ExternalPose,
    GnssFix,
    Magnetometer,
)

import aided  # isort: skip
from aided_flight import (  # isort: skip
    between,
    changed,
    fly,
    fusion,
    miss,
    rms,
    run,
    speed_miss,
    yaw_miss,
)


@pytest.mark.parametrize(
    ("velocity", "attitude", "compass"),
    [("ned", True, False), ("frd", True, False), ("none", True, False), ("none", False, True)],
)
def test_a_pose_alone_is_enough(velocity: str, attitude: bool, compass: bool) -> None:
    flight, rng = fly(21)
    gone = (GnssFix,) if compass else (GnssFix, Magnetometer)
    more = aided.poses(flight, rng, velocity=velocity, attitude=attitude)
    states = run(aided.merged(aided.without(flight, *gone), more), origin=False)
    late = between(states, 8.0, 40.0)
    assert rms(miss(flight, late)) < 0.15
    assert rms(speed_miss(flight, late)) < 0.2
    assert np.degrees(np.abs(yaw_miss(flight, late)).max()) < 5.0
    assert all(s.horizontal_valid and s.vertical_valid and s.heading_valid for s in late)


@pytest.mark.parametrize("velocity", ["ned", "frd"])
def test_a_local_frame_carries_the_position_through_an_outage(velocity: str) -> None:
    flight, rng = fly(22)
    out = aided.outage(flight, 18.0, 34.0)
    more = aided.poses(
        flight, rng, local=True, zero_m=np.array([30.0, -20.0, 2.0]), north_rad=1.2,
        velocity=velocity,
    )  # fmt: skip
    states = run(aided.merged(out, more))
    before = miss(flight, between(states, 16.0, 18.0))[:, :2].mean(axis=0)
    during = between(states, 19.0, 34.0)
    assert np.abs(miss(flight, during)[:, :2] - before).max() < 1.0
    assert all(state.horizontal_valid for state in during)
    # what the tie is wrong by stays in the claim
    errors, claims = miss(flight, during)[:, :2], [s.covariance[:2, :2] for s in during]
    nees = [e @ np.linalg.solve(c, e) for e, c in zip(errors, claims, strict=True)]
    assert max(nees) < 14.0
    after = between(states, 36.0, 39.0)
    assert rms(miss(flight, after)[:, :2]) < 2.0
    assert fusion(states[-1], "gnss_position").rejected == {}


def test_a_frame_that_jumps_with_its_counter_moves_nothing() -> None:
    flight, rng = fly(23)
    out = aided.outage(flight, 15.0, 40.0)

    def moved(sample: Any) -> Any:
        place = sample.position_ned_m + np.array([8.0, -6.0, 1.0])
        return replace(sample, position_ned_m=place, reset_counter=1)

    more = aided.poses(flight, rng, local=True)
    states = run(aided.merged(out, changed(more, 25.0, 41.0, moved)))
    for a, b in zip(
        between(states, 24.0, 30.0)[:-1], between(states, 24.0, 30.0)[1:], strict=True
    ):
        step = b.position_ned_m - a.position_ned_m - 0.02 * a.velocity_ned_m_s
        assert np.abs(step[:2]).max() < 0.5
    assert fusion(states[-1], "pose_position").rejected["frame reset by the source"] == 1


@pytest.mark.parametrize("fault", ["jump", "nan", "stuck"])
def test_a_broken_pose_is_rejected_and_said(fault: str) -> None:
    flight, rng = fly(24)

    def broken(sample: Any) -> Any:
        if fault == "jump":
            return replace(
                sample, position_ned_m=sample.position_ned_m + np.array([5.0, 0.0, 0.0])
            )
        if fault == "nan":
            return replace(sample, position_ned_m=np.full(3, np.nan))
        return replace(frozen, stamp_ns=sample.stamp_ns, received_ns=sample.received_ns)

    more = aided.poses(flight, rng)
    frozen = more[len(more) // 2]
    assert isinstance(frozen, ExternalPose)
    no_gnss = aided.without(flight, GnssFix)
    states = run(aided.merged(no_gnss, changed(more, 20.0, 24.0, broken)), origin=False)
    rejected = fusion(states[-1], "pose_position").rejected
    cause = {"jump": "gate", "nan": "impossible pose", "stuck": "stuck"}[fault]
    assert rejected[cause] > 50
    during = between(states, 20.0, 24.0)
    assert np.abs(miss(flight, during)[:, :2]).max() < 2.5  # by the IMU and what is left
    late = between(states, 27.0, 39.0)
    assert rms(miss(flight, late)) < 0.3
