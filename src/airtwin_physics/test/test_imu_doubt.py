# SPDX-License-Identifier: Apache-2.0
"""An IMU with wrong axes, signs or units is named, and what it carries is not valid meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from airtwin_core.types import Array, Attitude, GnssFix, Imu, Sample, TwinState
from airtwin_physics.ekf import imu_doubt
from airtwin_physics.ekf.imu import N_ENTRY
from airtwin_physics.ekf.kernel import GRAVITY_M_S2
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip
from driven import run, seconds, tilt_error_rad, with_origin  # isort: skip

WRONG_S = 15.0
SWAPPED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
ONE = np.eye(3)
NAMED = "IMU doubted"


def wrong(
    samples: list[Sample],
    force: Array = ONE,
    rate: Array = ONE,
    *,
    from_s: float = WRONG_S,
    to_s: float = np.inf,
) -> list[Sample]:
    """Return the samples with the IMU's vectors multiplied by a matrix for some time."""
    return [
        replace(
            s,
            specific_force_frd_m_s2=force @ s.specific_force_frd_m_s2,
            rate_frd_rad_s=rate @ s.rate_frd_rad_s,
        )
        if isinstance(s, Imu) and from_s <= (s.stamp_ns - simulate.START_NS) * 1e-9 < to_s
        else s
        for s in samples
    ]


def flown(
    seed: int, *, seconds: float = 40.0, rest_s: float = 2.0, px4: bool = True
) -> simulate.Flight:
    """Return a flight with PX4's attitude in it."""
    flight = simulate.fly(np.random.default_rng(seed), seconds, rest_s=rest_s)
    samples = simulate.with_px4_attitudes(flight) if px4 else flight.samples
    return replace(flight, samples=with_origin(samples))


def conceited_s(flight: simulate.Flight, states: list[TwinState]) -> float:
    """Return for how long [s] a state was called valid that was far beyond its own claim."""
    lies = 0
    for state in states:
        i = flight.index(state.stamp_ns)
        sigma = np.sqrt(np.diag(state.covariance)[:6])
        off = np.abs(state.position_ned_m - flight.position[i])
        far = off > np.maximum(4.0 * sigma[:3], 2.0)
        fast = np.abs(state.velocity_ned_m_s - flight.velocity[i])
        lie = (state.horizontal_valid and far[:2].any()) or (state.vertical_valid and far[2])
        lie = lie or (state.velocity_valid and (fast > np.maximum(4.0 * sigma[3:], 1.0)).any())
        tilted = tilt_error_rad(state, flight.attitude[i])
        lies += lie or (state.aligned and tilted > 0.35)
    return lies * 0.02


def test_two_velocities_part_as_the_formula_says() -> None:
    rng, kept = np.random.default_rng(4), 0
    rows, seen, tested = np.zeros((8, imu_doubt.N_PUSH)), [], 0
    for k in range(60):
        # first so often that the table is full, later so seldom that the oldest are forgotten
        at_s = (0.15 * k if k < 30 else 0.5 * k - 10.5) + 0.02 * rng.random()
        doppler, velocity, hidden = rng.normal(size=3), rng.normal(size=3), 0.01 * k
        to_ned, since = rng.normal(size=(3, 3)), 0.3 * rng.normal(size=imu_doubt.N_SINCE)
        carried = velocity + to_ned @ since[4:7] + [0.0, 0.0, GRAVITY_M_S2 * since[7]]
        assert imu_doubt.felt(velocity, to_ned, since) == pytest.approx(tuple(carried))
        kept, share, down = imu_doubt.pushed(
            rows, kept, doppler, velocity, to_ned, since, (at_s, hidden, 0.2)
        )
        seen = [row for row in seen if at_s - row[0] <= 2.2][-7:]
        expected = expected_down = -1.0
        if seen and at_s - seen[0][0] >= 1.0:
            first_s, first, _, then = seen[0]
            swing = max(np.linalg.norm(doppler - row[2]) for row in seen)
            allowed = 5.0 * np.sqrt(2.0 * 0.2**2 + hidden - then) + 1.5 * (at_s - first_s)
            allowed += 0.6 * swing / (at_s - first_s)
            apart = doppler - carried - first
            expected, expected_down = np.linalg.norm(apart) / allowed, abs(apart[2]) / allowed
            tested += 1
        assert (share, down) == pytest.approx((expected, expected_down))
        seen.append((at_s, doppler - carried, doppler, hidden))
        assert kept == len(seen)
    assert tested > 30


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("px4", [True, False])
def test_a_sound_imu_is_not_doubted(seed: int, px4: bool) -> None:
    flight = flown(seed, rest_s=5.0, px4=px4)
    states = run(Estimator(), flight.samples)
    assert not [s.notice for s in states if NAMED in s.notice]
    assert all(s.aligned for s in states)


FORCES = {
    "down is up": np.diag([1.0, 1.0, -1.0]),
    "x for z": SWAPPED[[2, 0, 1]],
    "in g": ONE / 9.80665,
    "reversed": -ONE,
}
RATES = {"in deg/s": ONE * 57.3, "reversed": -ONE, "x for y": SWAPPED, "dead": ONE * 0.0}


@pytest.mark.parametrize("name", FORCES)
def test_an_accelerometer_that_goes_wrong_is_named_and_nothing_is_valid(name: str) -> None:
    flight = flown(4)
    states = run(Estimator(), wrong(flight.samples, force=FORCES[name]))
    named = [s for s in states if NAMED in s.notice and "accelerometer" in s.notice]
    assert WRONG_S < seconds(named[0]) < WRONG_S + 3.0
    assert conceited_s(flight, states) < 2.5


@pytest.mark.parametrize("name", RATES)
def test_a_gyro_that_goes_wrong_is_named_and_little_is_valid(name: str) -> None:
    flight = flown(5)
    states = run(Estimator(), wrong(flight.samples, rate=RATES[name]))
    named = [s for s in states if NAMED in s.notice]
    assert WRONG_S < seconds(named[0]) < WRONG_S + 10.0  # it turns by 0.2 rad/s, and not always
    assert conceited_s(flight, states) < 6.0


def test_without_px4s_attitude_going_astray_again_and_again_names_it() -> None:
    flight = flown(6, px4=False)
    states = run(Estimator(), wrong(flight.samples, force=FORCES["down is up"]))
    named = [s for s in states if NAMED in s.notice]
    assert named
    assert "time and again" in named[-1].notice
    assert named[-1].aligned is named[-1].horizontal_valid is False


@pytest.mark.parametrize(
    ("name", "said"), [("down is up", "deg from PX4's at rest"), ("in g", "1.0 m/s^2")]
)
def test_a_wrong_accelerometer_is_named_on_the_ground(name: str, said: str) -> None:
    flight = flown(7, rest_s=10.0)
    states = run(Estimator(), wrong(flight.samples, force=FORCES[name], from_s=0.0))
    there = [s for s in states if 5.0 < seconds(s) < 10.0]
    assert there
    assert all(said in s.notice for s in there)
    assert not any(s.aligned for s in there)
    # nor does lifting off make it sound
    assert not any(s.aligned for s in states if 10.0 < seconds(s) < 14.0)


@pytest.mark.parametrize("name", ["gyro", "accelerometer"])
def test_what_repeats_itself_to_the_bit_in_motion_is_stuck(name: str) -> None:
    flight = flown(12)
    field = {"gyro": "rate_frd_rad_s", "accelerometer": "specific_force_frd_m_s2"}[name]
    samples: list[Sample] = []
    last = np.zeros(3)
    for s in flight.samples:
        if isinstance(s, Imu):
            if (s.stamp_ns - simulate.START_NS) * 1e-9 < WRONG_S:
                last = getattr(s, field)
            s = replace(s, **{field: last})
        samples.append(s)
    states = run(Estimator(), samples)
    named = [s for s in states if f"{name} is stuck" in s.notice]
    assert WRONG_S < seconds(named[0]) < WRONG_S + 1.0
    assert conceited_s(flight, states) < 1.0


ON_ITS_SIDE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # R_frd_level
ON_ITS_BACK = np.diag([1.0, -1.0, -1.0])


@pytest.mark.parametrize("over", [ON_ITS_SIDE, ON_ITS_BACK])
def test_what_lies_otherwise_than_it_stands_by_px4_too_is_told_and_believed(over: Array) -> None:
    flight = flown(13, seconds=9.0, rest_s=10.0)
    q = Rotation.from_matrix(over.T).as_quat(scalar_first=True)
    samples = [
        replace(s, q_ned_frd=q) if isinstance(s, Attitude) else s
        for s in wrong(flight.samples, force=over, from_s=0.0)
    ]
    states = run(Estimator(), samples)
    assert "on its back" in states[-1].notice
    assert states[-1].aligned


def test_an_imu_that_is_right_again_is_believed_again() -> None:
    flight = flown(8, seconds=60.0)
    samples = wrong(flight.samples, force=FORCES["down is up"], to_s=WRONG_S + 1.5)
    states = run(Estimator(), samples)
    assert any(not s.aligned for s in states)
    last = states[-1]
    assert NAMED not in last.notice
    assert last.aligned
    assert last.horizontal_valid


def test_px4_alone_does_not_make_it_doubted() -> None:
    flight = flown(9)
    rng = np.random.default_rng(9)
    tumbling = Rotation.random(len(flight.samples), rng=rng).as_quat(scalar_first=True)
    samples = [
        replace(s, q_ned_frd=tumbling[i])
        if isinstance(s, Attitude) and s.stamp_ns > simulate.START_NS + int(WRONG_S * 1e9)
        else s
        for i, s in enumerate(flight.samples)
    ]
    states = run(Estimator(), samples)
    assert not [s.notice for s in states if NAMED in s.notice]


@pytest.mark.parametrize("leap_m_s", [3.0, 30.0])
def test_a_receiver_that_loses_its_way_does_not_make_it_doubted(leap_m_s: float) -> None:
    flight = flown(10)
    samples = [
        replace(s, velocity_ned_m_s=s.velocity_ned_m_s + np.array([leap_m_s, 0.0, 0.0]))
        if isinstance(s, GnssFix)
        and s.velocity_ned_m_s is not None
        and 15.0 < (s.stamp_ns - simulate.START_NS) * 1e-9 < 25.0
        else s
        for s in flight.samples
    ]
    states = run(Estimator(), samples)
    doubted = [s for s in states if NAMED in s.notice]
    assert len(doubted) < 50  # a second at most, until the receiver is


def test_follow_is_rotation_by_rotation() -> None:
    rng = np.random.default_rng(3)
    ring = rng.normal(size=(40, N_ENTRY))
    ring[:, 0] = rng.uniform(0.002, 0.01, 40)
    since = np.zeros(imu_doubt.N_SINCE)
    since[0] = 1.0
    imu_doubt.follow(since, ring, 45, 75)  # over the ring's end
    q, velocity, turned = Rotation.identity(), np.zeros(3), 0.0
    steps = ring[np.arange(45, 75) % 40]
    for step in steps:
        velocity += q.apply(step[4:7]) * step[0]
        q = q * Rotation.from_rotvec(step[1:4] * step[0])
        turned += np.linalg.norm(step[1:4]) * step[0]
    shown = Rotation.from_quat(since[0:4], scalar_first=True)
    assert (shown.inv() * q).magnitude() < 1e-9
    assert np.allclose(since[4:7], velocity, atol=1e-9)
    sums = [steps[:, 0].sum(), turned, steps[:, 7:10].sum(), steps[:, 0].max(), steps[:, 10].sum()]
    assert np.allclose(since[7:], sums)


def test_a_sound_rest_clears_what_rest_showed() -> None:
    """Rest asks anew each time: a word of the first rest does not outlive a sound one."""
    flight = flown(11, rest_s=14.0)
    samples = wrong(flight.samples, force=FORCES["in g"], from_s=0.0, to_s=5.0)
    states = run(Estimator(), samples)
    at_rest = [s for s in states if 12.0 < seconds(s) < 14.0]
    assert not [s.notice for s in at_rest if "at rest" in s.notice]
