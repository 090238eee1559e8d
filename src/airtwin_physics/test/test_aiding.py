# SPDX-License-Identifier: Apache-2.0
"""Rangefinder, optical flow and heading by antennas, as a user drives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import (
    Array,
    Barometer,
    ExternalPose,
    GnssFix,
    Health,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
    Sample,
)
from airtwin_physics.ekf import kernel
from airtwin_physics.estimator import Estimator

import aided  # isort: skip
import simulate  # isort: skip

from aided_flight import (
    SECONDS,
    between,
    changed,
    fly,
    fusion,
    health,
    miss,
    rms,
    run,
    speed_miss,
    yaw_miss,
)  # isort: skip

# --- rangefinder and flow ---------------------------------------------------------------------


@pytest.mark.parametrize("gyro", [True, False])
def test_flow_and_range_bridge_an_outage_of_gnss(gyro: bool) -> None:
    drifts = np.empty((2, 2))
    for k, seed in enumerate((11, 12)):
        flight, rng = fly(seed)
        out = aided.outage(flight, 15.0, 36.0)
        more = aided.flows(flight, rng, gyro=gyro) + aided.distances(flight, rng)
        flown = [run(aided.merged(out, more)), run(out)]
        for i, states in enumerate(flown):
            misses = miss(flight, between(states, 15.2, 36.0))[:, :2]
            drifts[i, k] = np.abs(misses - misses[0]).max()
    bridged, alone = (between(states, 33.0, 36.0) for states in flown)
    assert drifts[0].max() < 2.0
    assert drifts[0].sum() < 0.5 * drifts[1].sum()  # some outages drift little without them
    assert rms(speed_miss(flight, bridged)) < 0.4
    assert all(state.velocity_valid for state in bridged)
    assert not any(state.velocity_valid for state in alone)
    assert not any(state.horizontal_valid for state in bridged)  # no place is shown by them
    assert health(bridged[-1], "flow") is Health.GOOD


def test_height_over_ground_is_known_where_the_barometer_walks() -> None:
    flight, rng = fly(12)
    grounds: list[tuple[float, float]] = []

    def watch(estimator: Estimator) -> None:
        belief = estimator._belief
        grounds.append((belief.x[kernel.X_TERRAIN] - belief.x[2], estimator._track.reached_s))

    run(aided.merged(flight, aided.distances(flight, rng)), watch=watch)
    begin = (flight.samples[0].stamp_ns - simulate.START_NS) * 1e-9
    misses = []
    for height, reached_s in grounds[500:]:
        k = round((reached_s + begin) * simulate.RATE_HZ)
        misses.append(height - (aided.GROUND_M - flight.position[k, 2]))
    assert np.std(misses) < 0.25  # of one sample: 0.1 m and 5 % of 8 m
    assert abs(np.mean(misses)) < 0.1


def test_range_holds_the_height_without_gnss_and_barometer() -> None:
    """Only the ground tells the height, as far as it is believed to be level."""
    flight, rng = fly(13)
    bare = aided.without(aided.outage(flight, 14.0, 40.0), Barometer)
    aiding = aided.merged(bare, aided.distances(flight, rng))
    height_alone = miss(flight, between(run(bare), 35.0, 39.0))[:, 2]
    height = miss(flight, between(run(aiding), 35.0, 39.0))[:, 2]
    assert np.abs(height).max() < 0.5 * np.abs(height_alone).max()


def test_a_step_of_the_ground_moves_the_ground_and_not_the_aircraft() -> None:
    flight, _ = fly(14)

    def roof(p: Array) -> float:
        return aided.GROUND_M - (3.0 if p[0] > 5.0 else 0.0)

    flat = aided.merged(flight, aided.distances(flight, np.random.default_rng(1)))
    rough = aided.merged(flight, aided.distances(flight, np.random.default_rng(1), ground_m=roof))
    a, b = run(flat), run(rough)
    apart = np.abs([s.position_ned_m[2] - t.position_ned_m[2] for s, t in zip(a, b, strict=True)])
    assert apart.max() < 0.7
    assert fusion(b[-1], "rangefinder").rejected["reset after a shut gate"] >= 1
    assert "reset after a shut gate" not in fusion(a[-1], "rangefinder").rejected


def test_ground_that_is_no_longer_seen_is_left_behind() -> None:
    """Seen while slow and low, then never again: by now it may be anything."""
    flight, rng = fly(15)
    off = simulate.START_NS + 2_200_000_000
    lost = [
        replace(s, valid=False) if isinstance(s, Rangefinder) and s.stamp_ns > off else s
        for s in aided.distances(flight, rng)
    ]
    estimators: list[Estimator] = []
    run(aided.merged(flight, lost), watch=estimators.append)
    last = estimators[-1]
    way_s = SECONDS - 2.2
    walked_m = last._config.terrain_walk * np.sqrt(way_s)
    assert np.sqrt(last._belief.p[kernel.TERRAIN, kernel.TERRAIN]) > 0.8 * walked_m
    last.reset("another ground")
    rough = last._config.terrain_walk
    assert last._belief.constants[kernel.DENSITY][8] == rough


def test_bad_flow_is_refused_and_said() -> None:
    flight, rng = fly(15)

    def broken(sample: Any) -> Any:
        if isinstance(sample, OpticalFlow):
            return replace(sample, flow_rad=sample.flow_rad + 0.1)  # 5 rad/s
        return sample

    more = aided.distances(flight, rng) + changed(aided.flows(flight, rng), 15.0, 25.0, broken)
    states = run(aided.merged(flight, more))
    good = run(aided.merged(flight, aided.distances(flight, rng)))
    assert fusion(states[-1], "flow").rejected["gate"] > 300
    assert rms(speed_miss(flight, between(states, 15.5, 21.0))) < 0.3
    assert health(between(states, 18.0, 19.0)[0], "flow") is Health.REJECTED
    assert rms(speed_miss(flight, between(states, 30.0, 39.0))) < 1.3 * rms(
        speed_miss(flight, between(good, 30.0, 39.0))
    )


@pytest.mark.parametrize(
    ("change", "source", "cause"),
    [
        ({"quality": 0.0}, "flow", "quality too poor"),
        ({"flow_rad": np.array([np.nan, 0.0])}, "flow", "impossible flow"),
        ({"farthest_m": 1.0}, "flow", "too far from the ground"),
        ({"distance_m": float("nan")}, "rangefinder", "not finite"),
        ({"distance_m": 4.0}, "rangefinder", "stuck"),
        ({"valid": False}, "rangefinder", "the sensor doubts it"),
    ],
)
def test_each_refusal_has_its_cause(change: dict[str, Any], source: str, cause: str) -> None:
    flight, rng = fly(16, 20.0)
    kind = OpticalFlow if source == "flow" else Rangefinder

    def worse(sample: Any) -> Any:
        return replace(sample, **change) if isinstance(sample, kind) else sample

    more = changed(aided.distances(flight, rng) + aided.flows(flight, rng), 10.0, 20.0, worse)
    states = run(aided.merged(flight, more))
    assert fusion(states[-1], source).rejected[cause] > 50
    assert np.abs(miss(flight, states[400:])).max() < 4.0
    assert np.isfinite(states[-1].covariance).all()


# --- an antenna away from the IMU ---------------------------------------------------------------


def test_an_arm_to_the_antenna_is_taken_out_where_it_is_told() -> None:
    """The same noise three times: without arm, with one of 1.2 m, with one that nobody told."""
    flight, _ = fly(36)
    arm = np.array([1.0, 0.4, -0.6])
    plain, told, untold = (
        run(one)
        for one in (
            flight,
            aided.with_arm(flight, arm, told=True),
            aided.with_arm(flight, arm, told=False),
        )
    )
    for kind, most in ((miss, 0.06), (speed_miss, 0.03)):
        flown = kind(flight, between(plain, 6.0, 40.0))
        assert rms(kind(flight, between(told, 6.0, 40.0)) - flown) < most
    moved = miss(flight, between(untold, 6.0, 40.0)) - miss(flight, between(plain, 6.0, 40.0))
    assert np.linalg.norm(moved, axis=1).mean() == pytest.approx(np.linalg.norm(arm), rel=0.1)


# --- heading by antennas ------------------------------------------------------------------------


@pytest.mark.parametrize("antenna_yaw_rad", [0.0, 1.5])
def test_two_antennas_show_the_heading_without_a_magnetometer(antenna_yaw_rad: float) -> None:
    flight, rng = fly(31)
    states = run(aided.with_antennas(flight, rng, antenna_yaw_rad))
    late = between(states, 8.0, 40.0)
    assert np.degrees(np.abs(yaw_miss(flight, late)).max()) < 4.0
    assert all(state.heading_valid for state in late)
    assert fusion(states[-1], "gnss_heading").used > 250


def test_a_heading_that_jumps_is_refused_then_taken_back_aloud() -> None:
    flight, rng = fly(32)
    bent = aided.with_antennas(flight, rng)

    def turned(sample: Any) -> Any:
        if isinstance(sample, GnssFix):
            return replace(sample, heading_rad=float(frames.wrap_pi(sample.heading_rad + 1.5)))
        return sample

    states = run(replace(bent, samples=changed(bent.samples, 15.0, 20.0, turned)))
    rejected = fusion(states[-1], "gnss_heading").rejected
    assert rejected["gate"] > 30
    assert "reset after a shut gate" not in rejected  # it was wrong for 5 s, not for 7
    assert np.degrees(np.abs(yaw_miss(flight, between(states, 15.0, 39.0))).max()) < 6.0
    states = run(replace(bent, samples=changed(bent.samples, 15.0, 41.0, turned)))
    assert fusion(states[-1], "gnss_heading").rejected["reset after a shut gate"] >= 1
    assert any(health(s, "gnss_heading") is Health.RECOVERED for s in states)


def test_a_compass_beside_antennas_does_not_turn_the_aircraft() -> None:
    """Its offset is 0.15 rad; antennas have none, and the filter finds that out."""
    flight, rng = fly(33)
    both = aided.with_antennas(flight, rng)
    compass = [s for s in flight.samples if isinstance(s, Magnetometer)]
    states = run(aided.merged(both, list(compass)))
    late = between(states, 15.0, 40.0)
    assert np.degrees(np.abs(yaw_miss(flight, late)).max()) < 4.0


# --- honesty ------------------------------------------------------------------------------------


def test_nees_with_all_of_them_lies_where_it_should() -> None:
    """Position, velocity over flights without GNSS, by pose; by flow and range: velocity."""
    by_pose, by_flow = [], []
    for seed in range(41, 45):
        flight, rng = fly(seed, 25.0)
        no_gnss = aided.without(flight, GnssFix)
        states = between(run(aided.merged(no_gnss, aided.poses(flight, rng)), origin=False), 8, 25)
        errors = np.hstack([miss(flight, states), speed_miss(flight, states)])
        covs = [s.covariance[:6, :6] for s in states]
        by_pose.append(
            np.mean([e @ np.linalg.solve(c, e) for e, c in zip(errors, covs, strict=True)])
        )
        out = aided.outage(flight, 12.0, 25.0)
        more = aided.flows(flight, rng) + aided.distances(flight, rng)
        states = between(run(aided.merged(out, more)), 14, 25)
        errors, covs = speed_miss(flight, states), [s.covariance[3:6, 3:6] for s in states]
        by_flow.append(
            np.mean([e @ np.linalg.solve(c, e) for e, c in zip(errors, covs, strict=True)])
        )
    # chi-square means of 6 and 3, correlated in time: a handful of independent values a flight
    assert 4.0 < np.mean(by_pose) < 8.0
    assert 1.8 < np.mean(by_flow) < 4.6


def test_rubbish_of_every_kind_leaves_the_filter_finite() -> None:
    flight, rng = fly(51, 12.0)
    values = [np.nan, np.inf, -np.inf, 0.0, 1e-30, 1e30, -1.0, 1.0, 5.0]

    def any_of(n: int) -> Array:
        return rng.choice(values, size=n)

    more: list[Sample] = []
    for k in range(500, 3000, 2):
        at = simulate.stamp_ns(k)
        v = any_of(30)
        more.append(Rangefinder(at, at, v[0], v[1], bool(k % 3)))
        more.append(OpticalFlow(at, at, v[2:4], v[4:7], v[7], v[8], v[9], v[10], v[11]))
        q = v[12:16] if k % 5 == 0 else np.array([1.0, 0.0, 0.0, 0.0])
        more.append(
            ExternalPose(
                at, at, v[16:19] if k % 3 else None, v[19:22] if k % 4 else None, q, any_of(3),
                any_of(3), any_of(3), bool(k % 7), k % 11, any_of(3) if k % 13 == 0 else None,
            )
        )  # fmt: skip
    spun = [
        replace(s, heading_rad=any_of(1)[0], heading_accuracy_rad=any_of(1)[0],
                antenna_yaw_frd_rad=any_of(1)[0])
        if isinstance(s, GnssFix) else s
        for s in flight.samples
    ]  # fmt: skip
    states = run(aided.merged(replace(flight, samples=spun), more))
    for state in states:
        assert np.isfinite(state.position_ned_m).all()
        assert (np.linalg.eigvalsh(state.covariance) > 0.0).all()
