# SPDX-License-Identifier: Apache-2.0
"""What the estimator makes of a receiver, whole and broken, and of the origin of its frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import GnssFix, Origin, Sample
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

from driven import STEP_NS, local, miss_m, run, seconds, still, tilt_error_rad, with_origin  # isort: skip
import simulate  # isort: skip


def test_a_receiver_that_settles_is_followed() -> None:
    """From a claim of 20 m and 15 m off to 0.7 m in the first minute, as after a cold start."""
    errors = simulate.Errors(eph_m=0.3, epv_m=0.5, white_share=0.99, speed_m_s=0.1)
    flight = simulate.fly(np.random.default_rng(1), 70.0, errors, rest_s=50.0, gnss_hz=5.0)
    settling: list[Sample] = []
    for sample in flight.samples:
        if isinstance(sample, GnssFix):
            left = np.exp(-(sample.stamp_ns - simulate.START_NS) / 15e9)
            eph = max(0.7, 20.0 * left)
            north_deg = np.degrees(15.0 * left / simulate.EARTH_RADIUS_M)
            latitude = sample.latitude_deg + north_deg
            sample = replace(sample, latitude_deg=latitude, eph_m=eph, epv_m=1.5 * eph)
        settling.append(sample)
    states = run(Estimator(), with_origin(settling))
    for state in states:
        if seconds(state) > 40.0:
            left_m = 15.0 * np.exp(-seconds(state) / 15.0)
            assert miss_m(flight, state) < left_m + 1.5
            assert miss_m(flight, state) < 3.0 * np.sqrt(state.covariance[0, 0])
            claim_m = max(0.7, 20.0 * np.exp(-seconds(state) / 15.0))
            assert np.sqrt(state.covariance[0, 0]) < 2.5 * claim_m


@pytest.mark.parametrize("delay_s", [0.0, 0.11, 0.2])
def test_delayed_fixes_do_not_drag_the_position(delay_s: float) -> None:
    errors = simulate.Errors(
        eph_m=0.5, epv_m=0.8, speed_m_s=0.25, delay_s=delay_s, delay_sigma_s=0.0
    )
    flight = simulate.fly(np.random.default_rng(4), 40.0, errors)
    states = run(Estimator(), with_origin(flight.samples))
    lag = []
    for state in states:
        k = flight.index(state.stamp_ns)
        v = flight.velocity[k][:2]
        if seconds(state) > 20.0 and np.linalg.norm(v) > 3.0:
            late = flight.position[k][:2] - state.position_ned_m[:2]
            lag.append(float(late @ v / (v @ v)))
    assert len(lag) > 100
    assert abs(np.mean(lag)) < 0.05  # seconds behind the truth


def test_a_jump_is_refused_and_its_innovations_are_told() -> None:
    """What is made of it later: test_gnss_faults.py."""
    flight = simulate.fly(np.random.default_rng(5), 30.0)
    spoof = simulate.spoofed(flight, np.array([40.0, -30.0, 0.0]), from_s=20.0)
    states = [s for s in run(Estimator(), with_origin(spoof.samples)) if seconds(s) > 20.5]
    assert max(miss_m(flight, s) for s in states) < 5.0
    position = states[-1].fusions[0]
    assert position.source == "gnss_position"
    assert position.rejected["horizontal gate"] + position.rejected["its place is astray"] > 60
    assert position.nis > 100.0
    assert np.linalg.norm(position.innovation[:2]) > 40.0


def test_lost_gnss_is_said_and_the_covariance_grows() -> None:
    flight = simulate.fly(np.random.default_rng(6), 40.0)
    lost = [
        s
        for s in flight.samples
        if not (isinstance(s, GnssFix) and s.stamp_ns > simulate.START_NS + int(20e9))
    ]
    states = run(Estimator(), with_origin(lost))
    before = next(s for s in states if seconds(s) > 19.0)
    end = states[-1]
    assert before.horizontal_valid
    assert not end.horizontal_valid
    assert end.vertical_valid
    assert end.covariance[0, 0] > 50.0 * before.covariance[0, 0]
    assert miss_m(flight, end) < 4.0 * np.sqrt(end.covariance[0, 0] + end.covariance[1, 1])
    assert tilt_error_rad(end, flight.attitude[flight.index(end.stamp_ns)]) < 0.05
    speed = flight.velocity[flight.index(end.stamp_ns)]
    assert np.linalg.norm(end.velocity_ned_m_s - speed) < 3.0


def test_fixes_that_cannot_be_used_are_counted_by_cause() -> None:
    flight = simulate.fly(np.random.default_rng(7), 8.0)
    fixes = [s for s in flight.samples if isinstance(s, GnssFix)]
    bad = {
        id(fixes[3]): ("no 3D fix", {"fix_type": 2}),
        id(fixes[4]): ("impossible coordinates", {"altitude_amsl_m": float("nan")}),
        id(fixes[5]): ("accuracy too poor", {"eph_m": 99.0}),
        id(fixes[6]): ("accuracy too poor", {"epv_m": float("nan")}),
        id(fixes[7]): ("older than the filter's window", {"received_ns": 1, "stamp_ns": 1}),
    }
    changed = [replace(s, **bad[id(s)][1]) if id(s) in bad else s for s in flight.samples]
    rejected = run(Estimator(), changed)[-1].fusions[0].rejected
    assert rejected == {
        "no 3D fix": 1,
        "impossible coordinates": 1,
        "accuracy too poor": 2,
        "older than the filter's window": 1,
    }


def test_px4s_origin_moves_the_frame_and_a_broken_one_does_not() -> None:
    flight = simulate.fly(np.random.default_rng(8), 16.0)
    estimator = Estimator()
    states = run(estimator, flight.samples)
    own = states[-1]
    assert own.origin is not None  # the first fix
    at = own.stamp_ns
    estimator.on(local(at, simulate.ORIGIN))
    assert estimator.state().origin == own.origin  # type: ignore[union-attr]
    estimator.on(local(at, simulate.ORIGIN))
    moved = estimator.state()
    assert moved is not None
    assert moved.origin == simulate.ORIGIN
    expected = flight.position[flight.index(at)]
    assert np.linalg.norm(moved.position_ned_m[:2] - expected[:2]) < 4.0
    far = Origin(51.9, -85.7, 100.0)
    estimator.on(local(at, far))
    estimator.on(local(at, far))
    assert estimator.state().origin == simulate.ORIGIN  # type: ignore[union-attr]


def test_without_gnss_down_is_counted_from_px4s_zero_once() -> None:
    estimator = Estimator()
    run(estimator, (still(i) for i in range(1, 800)))
    estimator.on(local(800 * STEP_NS, None, -12.0))
    estimator.on(local(801 * STEP_NS, None, -90.0))
    state = estimator.state()
    assert state is not None
    assert state.position_ned_m[2] == pytest.approx(-12.0, abs=0.5)


def _gnss_late(samples: list[Sample], late_s: list[float]) -> list[Sample]:
    """Return the samples with each fix arriving so much later, its stamp as before."""
    out, fixes = [], 0
    for order, sample in enumerate(samples):
        moved_ns = 0
        if isinstance(sample, GnssFix):
            moved_ns = int(late_s[fixes % len(late_s)] * 1e9)
            fixes += 1
            sample = replace(sample, received_ns=sample.received_ns + moved_ns)
        out.append((sample.stamp_ns + moved_ns, order, sample))
    return [item[2] for item in sorted(out, key=lambda item: item[:2])]


def test_fixes_100_to_300_ms_late_and_out_of_order_give_the_same_path() -> None:
    """A stamp says when a fix was true; the filter waits as long as the latest of late was."""
    errors = simulate.Errors(delay_s=0.0, delay_sigma_s=0.0)
    flight = simulate.fly(np.random.default_rng(4), 20.0, errors, gnss_hz=10.0)
    late = _gnss_late(flight.samples, [0.1, 0.3, 0.12, 0.25])
    arrived = [s.stamp_ns for s in late if isinstance(s, GnssFix)]
    assert arrived != sorted(arrived)  # 0.3 s and 0.12 s at 10 Hz: they overtake one another
    told = EstimatorConfig(gnss_delay_sigma_s=1e-3, horizon_s=0.4)
    all_late = run(Estimator(told), with_origin(_gnss_late(flight.samples, [0.3])))
    shuffled = run(Estimator(told), with_origin(late))
    # after the first late one only the delay's estimate, taken on arrival, differs
    for a, b in zip(all_late[300::50], shuffled[300::50], strict=True):
        np.testing.assert_allclose(a.position_ned_m, b.position_ned_m, atol=0.1)
        np.testing.assert_allclose(a.velocity_ned_m_s, b.velocity_ned_m_s, atol=0.1)
    # where the filter may not wait so long, the IMU leads back to when a later one was true
    for horizon_s in (0.1, EstimatorConfig().horizon_s):
        short = EstimatorConfig(gnss_delay_sigma_s=1e-3, horizon_s=horizon_s)
        carried = run(Estimator(short), with_origin(late))
        for a, b in zip(all_late[300::50], carried[300::50], strict=True):
            np.testing.assert_allclose(a.position_ned_m, b.position_ned_m, atol=0.3)
            np.testing.assert_allclose(a.velocity_ned_m_s, b.velocity_ned_m_s, atol=0.3)


def _behind_s(flown: list[Sample]) -> float:
    estimator = Estimator()
    run(estimator, flown)
    return estimator._arrivals.behind_s


def test_the_filter_waits_as_long_as_its_latest_sensor_needs() -> None:
    errors = simulate.Errors(delay_s=0.0, delay_sigma_s=0.0)
    flight = simulate.fly(np.random.default_rng(4), 20.0, errors, gnss_hz=5.0)
    prompt = _behind_s(with_origin(flight.samples))
    waits = _behind_s(with_origin(_gnss_late(flight.samples, [0.18])))
    assert 0.05 <= prompt < 0.12
    assert 0.16 < waits <= EstimatorConfig().horizon_s
    # one that was late once is waited for no longer than it is remembered
    once = sum(isinstance(s, GnssFix) for s in flight.samples) * [0.0]
    once[10] = 0.3
    assert _behind_s(with_origin(_gnss_late(flight.samples, once))) < 0.12
