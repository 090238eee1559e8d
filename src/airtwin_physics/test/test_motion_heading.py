# SPDX-License-Identifier: Apache-2.0
"""A compass that points anywhere: motion finds out, and the filter begins anew by it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, GnssFix, Imu, Magnetometer, Sample, TwinState
from airtwin_physics.ekf import motion_heading
from airtwin_physics.ekf.imu import N_ENTRY
from airtwin_physics.estimator import TURNED, Estimator

import simulate  # isort: skip

SECONDS = 24.0


def _about_down(degrees: float) -> Array:
    return frames.quat_from_euler(0.0, 0.0, np.radians(degrees))


def _with_compass_off(flight: simulate.Flight, degrees: float) -> list[Sample]:
    turn = frames.rotation_from_quat(_about_down(degrees))
    return [
        replace(s, field_frd_gauss=turn @ s.field_frd_gauss) if isinstance(s, Magnetometer) else s
        for s in flight.samples
    ]


def _with_px4_off(flight: simulate.Flight, samples: list[Sample], degrees: float) -> list[Sample]:
    out = []
    for sample in samples:
        out.append(sample)
        if isinstance(sample, Imu) and flight.index(sample.stamp_ns) % 5 == 0:
            q = frames.quat_multiply(
                _about_down(degrees), flight.attitude[flight.index(sample.stamp_ns)]
            )
            out.append(Attitude(sample.stamp_ns, sample.stamp_ns, q, 0))
    return out


def _run(samples: list[Sample]) -> tuple[Estimator, list[TwinState]]:
    estimator = Estimator()
    states = [state for sample in samples if (state := estimator.on(sample)) is not None]
    return estimator, states


def _turn_deg(flight: simulate.Flight, state: TwinState) -> float:
    true = flight.attitude[flight.index(state.stamp_ns)]
    miss = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), true)
    return float(np.degrees(np.linalg.norm(frames.rotation_vector_from_quat(miss))))


def _after(flight: simulate.Flight, states: list[TwinState], seconds: float) -> list[TwinState]:
    return [s for s in states if flight.index(s.stamp_ns) * simulate.DT_S > seconds]


@pytest.mark.parametrize(
    ("compass_deg", "px4_deg", "refused_as"),
    [
        (155, None, "on probation"),
        # PX4's heading is right and takes over: against it the field is no more than disturbed
        (-170, 0, "field is disturbed"),
        (170, 170, "on probation"),
    ],
)
def test_a_wrong_compass_is_found_out_by_motion(
    compass_deg: float, px4_deg: float | None, refused_as: str
) -> None:
    """At rest until 2 s, under way from 3 s on; PX4's heading may be from the same compass."""
    flight = simulate.fly(np.random.default_rng(51), SECONDS)
    samples = _with_compass_off(flight, compass_deg)
    if px4_deg is not None:
        samples = _with_px4_off(flight, samples, px4_deg)
    estimator, states = _run(samples)
    assert estimator.resets == {TURNED: 1}
    late = _after(flight, states, 9.0)
    assert max(_turn_deg(flight, s) for s in late) < 8.0
    assert all(s.heading_valid for s in late)
    assert any(TURNED in s.notice for s in states)
    refused = next(f for f in states[-1].fusions if f.source == "magnetometer").rejected
    assert refused[refused_as] > 80
    if px4_deg:
        refused = next(f for f in states[-1].fusions if f.source == "heading").rejected
        assert refused["contradicted by motion"] > 50


def test_a_compass_that_is_right_again_comes_back() -> None:
    flight = simulate.fly(np.random.default_rng(52), SECONDS)
    wrong = _with_compass_off(flight, 150.0)
    until_ns = simulate.START_NS + int(8e9)
    mended = [
        w if w.received_ns < until_ns else s for w, s in zip(wrong, flight.samples, strict=True)
    ]
    estimator, states = _run(mended)
    assert estimator.resets == {TURNED: 1}
    used = [next(f for f in s.fusions if f.source == "magnetometer").used for s in states]
    assert used[-1] > used[len(used) // 2] + 20
    # its own lasting error is drawn from 9 deg
    assert max(_turn_deg(flight, s) for s in _after(flight, states, 10.0)) < 20.0


@pytest.mark.parametrize("compass_deg", [0.0, 30.0])
def test_a_compass_no_worse_than_usual_is_left_alone(compass_deg: float) -> None:
    flight = simulate.fly(np.random.default_rng(53), SECONDS)
    estimator, states = _run(_with_compass_off(flight, compass_deg))
    assert estimator.resets == {}
    motion = estimator._sensors.motion
    assert motion.sigma_rad < 0.15
    # 20 s without any aid from a filter, gyro bias and all
    assert abs(motion.off_rad(estimator._belief.x)) < 0.15
    assert not any(TURNED in s.notice for s in states)


def test_without_motion_or_doppler_it_knows_nothing() -> None:
    flight = simulate.fly(np.random.default_rng(54), 8.0, rest_s=8.0)
    assert _run(flight.samples)[0]._sensors.motion.sigma_rad > 0.5
    flight = simulate.fly(np.random.default_rng(55), 12.0)
    silent = [
        replace(s, velocity_ned_m_s=None) if isinstance(s, GnssFix) else s for s in flight.samples
    ]
    assert _run(silent)[0]._sensors.motion.sigma_rad == np.inf


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1e308, 1e155, 1e4])
def test_a_broken_doppler_teaches_nothing_and_ends_nothing(broken: float) -> None:
    flight = simulate.fly(np.random.default_rng(58), 12.0)
    estimator, _ = _run(flight.samples)
    sure = estimator._sensors.motion.sigma_rad
    spoilt = [
        replace(s, velocity_ned_m_s=np.array([broken, 0.0, 0.0]))
        if isinstance(s, GnssFix) and flight.index(s.stamp_ns) % 7 == 0
        else s
        for s in flight.samples
    ]
    assert sum(a is not b for a, b in zip(spoilt, flight.samples, strict=True)) > 5
    estimator, _ = _run(spoilt)
    assert estimator._sensors.motion.sigma_rad == pytest.approx(sure, rel=0.5)


def test_fixes_may_be_further_apart_than_the_queue_is_long() -> None:
    """Once a second, with an IMU that fills the queue of 512 steps in less."""
    flight = simulate.fly(np.random.default_rng(59), 30.0, gnss_hz=1.0)
    split: list[Sample] = []
    for sample in flight.samples:
        if isinstance(sample, Imu):  # each step in four
            for k in (3, 2, 1):
                at = sample.stamp_ns - k * 1_000_000
                split.append(replace(sample, stamp_ns=at, received_ns=at, dt_s=0.001))
            sample = replace(sample, dt_s=0.001)
        split.append(sample)
    estimator, _ = _run(split)
    motion = estimator._sensors.motion
    assert motion.sigma_rad < 0.2
    assert abs(motion.off_rad(estimator._belief.x)) < 0.2


def test_what_was_shown_before_an_outage_is_old_after_it() -> None:
    """A gyro's bias that nobody knows turns the frame by 40 deg in half a minute."""
    flight = simulate.fly(np.random.default_rng(60), 70.0)
    drift = np.array([0.0, 0.0, 0.022])

    def goes(s: Sample) -> bool:
        t = (s.stamp_ns - simulate.START_NS) * 1e-9
        return isinstance(s, GnssFix) and 25.0 < t < 60.0

    samples = [
        replace(s, rate_frd_rad_s=s.rate_frd_rad_s + drift)
        if isinstance(s, Imu) and s.stamp_ns > simulate.START_NS + 5_000_000_000
        else s
        for s in flight.samples
        if not goes(s)
    ]
    estimator, states = _run(samples)
    assert TURNED not in estimator.resets
    assert abs(_turn_deg(flight, states[-1])) < 20.0


def test_turns_on_the_spot_make_what_was_shown_old() -> None:
    """A gyro's scale is wrong by a per cent or so: after ten turns the azimuth is a guess."""
    estimator, _ = _run(simulate.fly(np.random.default_rng(56), 16.0).samples)
    motion, x = estimator._sensors.motion, estimator._belief.x
    before = motion.sigma_rad
    fix = GnssFix(0, 0, 47.0, 8.0, 500.0, np.zeros(3), 1.0, 1.0, 0.3, 3, 12)
    motion.take(fix, 100.0, x, 0.3)
    for k in range(1, 40):
        motion._moved[2] += 2.0
        assert not motion.take(fix, 100.0 + k, x, 0.3)
    assert motion.sigma_rad > 5.0 * before


def test_the_level_frame_is_that_of_a_plain_integration() -> None:
    rng = np.random.default_rng(57)
    ring = np.zeros((8, N_ENTRY))
    ring[:, 0] = 0.004
    ring[:, 1:4] = rng.normal(size=(8, 3))
    ring[:, 4:7] = rng.normal(loc=[1.0, -2.0, -9.0], size=(8, 3))
    bias = np.array([0.01, -0.02, 0.03])
    start = Rotation.from_rotvec([0.3, -0.2, 1.0])
    q = start.as_quat(canonical=True, scalar_first=True)
    moved = np.zeros(3)
    motion_heading.follow(q, moved, ring, 5, 11, bias)
    r, velocity, turned = start, np.zeros(2), 0.0
    for index in range(5, 11):
        dt, rate, force = ring[index % 8, 0], ring[index % 8, 1:4] - bias, ring[index % 8, 4:7]
        r = r * Rotation.from_rotvec(rate * dt)
        turned += float(np.linalg.norm(rate)) * dt
        level = r.apply(force)
        velocity += level[:2] * dt
        size = float(np.linalg.norm(level))
        weight = max(1.0 - abs(size / 9.80665 - 1.0) / 0.5, 0.0)
        upright = np.cross(level / size, [0.0, 0.0, -1.0]) * [1.0, 1.0, 0.0]
        r = Rotation.from_rotvec(0.1 * weight * dt * upright) * r
    np.testing.assert_allclose(moved, [*velocity, turned], rtol=1e-9)
    np.testing.assert_allclose(
        Rotation.from_quat(q, scalar_first=True).as_matrix(), r.as_matrix(), atol=1e-9
    )


def test_levelling_ends_upright_and_leaves_the_azimuth() -> None:
    ring = np.zeros((4, N_ENTRY))
    ring[:, 0] = 0.02
    ring[:, 4:7] = [0.0, 0.0, -9.80665]  # stands level
    q = Rotation.from_euler("ZYX", [0.7, 0.2, -0.1]).as_quat(canonical=True, scalar_first=True)
    motion_heading.follow(q, np.zeros(3), ring, 0, 4000, np.zeros(3))
    yaw, pitch, roll = Rotation.from_quat(q, scalar_first=True).as_euler("ZYX")
    assert abs(pitch) < 0.001
    assert abs(roll) < 0.001
    assert yaw == pytest.approx(0.7, abs=0.02)


class _Felt(motion_heading.MotionHeading):
    """What the IMU feels is put in by hand."""

    def follow(self, x: Array) -> None:
        pass

    def feel(self, change: complex) -> None:
        self._moved[:2] += change.real, change.imag


@pytest.mark.parametrize("fits", [True, False])
def test_motion_that_does_not_fit_shows_no_heading(fits: bool) -> None:
    """Vibration can hold the level frame tilted: it feels 3.7 m/s each second, Doppler none."""
    rng = np.random.default_rng(3)
    motion = _Felt(SimpleNamespace(ring=np.zeros((4, N_ENTRY)), first=0))  # type: ignore[arg-type]
    motion._q[0] = 1.0
    x, velocity, told = np.zeros(40), np.zeros(3), []
    x[6] = 1.0
    for second in range(40):
        shown = complex(*rng.normal(0.0, 0.7, 2))
        motion.feel(1j * shown if fits else 3.7)
        velocity = velocity + np.array([shown.real, shown.imag, 0.0])
        fix = SimpleNamespace(velocity_ned_m_s=velocity)
        told.append(motion.take(fix, second, x, 0.1))  # type: ignore[arg-type]
    assert any(told) == fits
    assert (motion.sigma_rad < 0.1) == fits
    assert (motion.sigma_rad > 0.5) != fits
