# SPDX-License-Identifier: Apache-2.0
"""The estimator as its users drive it: samples in, states out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import (
    Array,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    Magnetometer,
    Origin,
    Sample,
    TwinState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

STEP_NS = 4_000_000
LEVEL = np.array([0.0, 0.0, -9.80665])


def _still(i: int) -> Imu:
    return Imu(i * STEP_NS, i * STEP_NS, np.zeros(3), LEVEL, 0.004)


def _local(at_ns: int, origin: Origin | None, down_m: float = 0.0) -> LocalPosition:
    position = np.array([0.0, 0.0, down_m])
    flags = (True, True, True, True)
    return LocalPosition(
        at_ns, at_ns, position, np.zeros(3), 0.0, *flags, origin,
        1.0, 1.0, 0.1, 0.1, False, 0, 0, 0, 0, 0, np.zeros(2), 0.0, 0.0,
    )  # fmt: skip


def _with_origin(samples: Iterable[Sample]) -> list[Sample]:
    """Tell PX4's origin twice at the start, so that positions compare with the truth."""
    out = list(samples)
    out[1:1] = [_local(simulate.START_NS, simulate.ORIGIN)] * 2
    return out


def _run(estimator: Estimator, samples: Iterable[Sample]) -> list[TwinState]:
    return [state for sample in samples if (state := estimator.on(sample)) is not None]


def _seconds(state: TwinState) -> float:
    return (state.stamp_ns - simulate.START_NS) * 1e-9


def _miss_m(flight: simulate.Flight, state: TwinState) -> float:
    truth = flight.position[flight.index(state.stamp_ns)]
    return float(np.linalg.norm(state.position_ned_m[:2] - truth[:2]))


def _tilt_error_rad(state: TwinState, truth: Array) -> float:
    turn = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), truth)
    down = frames.rotation_from_quat(truth)[2]
    theta = frames.rotation_vector_from_quat(turn)
    return float(np.linalg.norm(theta - (theta @ down) * down))


# --- alignment and publishing -----------------------------------------------------------------


def test_state_appears_after_alignment_and_at_most_at_the_publish_period() -> None:
    states = _run(Estimator(EstimatorConfig()), (_still(i) for i in range(1, 1500)))
    assert states
    assert np.diff([s.stamp_ns for s in states]).min() >= 20_000_000
    assert states[-1].aligned
    assert not states[-1].horizontal_valid
    assert not states[-1].heading_valid
    assert states[-1].velocity_valid  # it stands, and nothing says that it flies


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="gyro_noise"):
        EstimatorConfig(gyro_noise=-1.0)
    with pytest.raises(ValueError, match="horizon_s"):
        EstimatorConfig(horizon_s=float("nan"))
    with pytest.raises(ValueError, match="gate_probability"):
        EstimatorConfig(gate_probability=1.0)


def test_alignment_at_rest_finds_tilt_and_heading() -> None:
    q = frames.quat_from_euler(0.2, -0.1, 1.0)
    r = frames.rotation_from_quat(q)
    declination = simulate.declination_rad(47.4, 8.5)
    north = np.array([0.2 * np.cos(declination), 0.2 * np.sin(declination), 0.43])
    estimator, states = Estimator(), []
    estimator.on(_local(0, simulate.ORIGIN))
    estimator.on(_local(0, simulate.ORIGIN))
    estimator.on(LandDetected(1, 1, True, False, False, False))
    for i in range(1, 300):
        at = i * STEP_NS
        imu = Imu(at, at, np.array([0.01, -0.02, 0.03]), r.T @ LEVEL, 0.004)
        if (state := estimator.on(imu)) is not None:
            states.append(state)
        if i % 25 == 0:
            estimator.on(Magnetometer(at, at, r.T @ north))
    turn = frames.quat_multiply(frames.quat_conjugate(q), states[0].q_ned_frd)
    assert np.linalg.norm(frames.rotation_vector_from_quat(turn)) < 0.01
    np.testing.assert_allclose(states[0].gyro_bias_frd_rad_s, [0.01, -0.02, 0.03], atol=1e-9)
    assert states[-1].heading_valid


def test_log_that_starts_in_the_air_takes_px4s_attitude() -> None:
    flight = simulate.fly(np.random.default_rng(2), 30.0)
    start = 12.0
    cut = [
        s
        for s in simulate.with_px4_attitudes(flight)
        if s.stamp_ns >= simulate.START_NS + start * 1e9
    ]
    assert np.linalg.norm(flight.velocity[flight.index(cut[0].stamp_ns)]) > 2.0
    states = _run(Estimator(), _with_origin(cut))
    assert _seconds(states[0]) < start + 1.0
    for state in states[250:]:
        # twice the sigma of the first guess
        assert _tilt_error_rad(state, flight.attitude[flight.index(state.stamp_ns)]) < 0.1
        assert _miss_m(flight, state) < 4.0


def test_log_that_starts_in_the_air_without_px4_converges() -> None:
    flight = simulate.fly(np.random.default_rng(3), 40.0)
    cut = [s for s in flight.samples if s.stamp_ns >= simulate.START_NS + int(12.0 * 1e9)]
    states = _run(Estimator(), _with_origin(cut))
    late = [s for s in states if _seconds(s) > 30.0]
    tilt = [_tilt_error_rad(s, flight.attitude[flight.index(s.stamp_ns)]) for s in late]
    assert max(tilt) < 0.06


# --- GNSS ------------------------------------------------------------------------------------


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
    states = _run(Estimator(), _with_origin(settling))
    for state in states:
        if _seconds(state) > 40.0:
            left_m = 15.0 * np.exp(-_seconds(state) / 15.0)
            assert _miss_m(flight, state) < left_m + 1.5
            assert _miss_m(flight, state) < 3.0 * np.sqrt(state.covariance[0, 0])
            claim_m = max(0.7, 20.0 * np.exp(-_seconds(state) / 15.0))
            assert np.sqrt(state.covariance[0, 0]) < 2.5 * claim_m


@pytest.mark.parametrize("delay_s", [0.0, 0.11, 0.2])
def test_delayed_fixes_do_not_drag_the_position(delay_s: float) -> None:
    errors = simulate.Errors(
        eph_m=0.5, epv_m=0.8, speed_m_s=0.25, delay_s=delay_s, delay_sigma_s=0.0
    )
    flight = simulate.fly(np.random.default_rng(4), 40.0, errors)
    states = _run(Estimator(), _with_origin(flight.samples))
    lag = []
    for state in states:
        k = flight.index(state.stamp_ns)
        v = flight.velocity[k][:2]
        if _seconds(state) > 20.0 and np.linalg.norm(v) > 3.0:
            late = flight.position[k][:2] - state.position_ned_m[:2]
            lag.append(float(late @ v / (v @ v)))
    assert len(lag) > 100
    assert abs(np.mean(lag)) < 0.05  # seconds behind the truth


def test_a_jump_is_refused_and_its_innovations_are_told() -> None:
    """What is made of it later: test_gnss_faults.py."""
    flight = simulate.fly(np.random.default_rng(5), 30.0)
    spoof = simulate.spoofed(flight, np.array([40.0, -30.0, 0.0]), from_s=20.0)
    states = [s for s in _run(Estimator(), _with_origin(spoof.samples)) if _seconds(s) > 20.5]
    assert max(_miss_m(flight, s) for s in states) < 5.0
    position = states[-1].fusions[0]
    assert position.source == "gnss_position"
    assert position.rejected["horizontal gate"] + position.rejected["receiver astray"] > 60
    assert position.nis > 100.0
    assert np.linalg.norm(position.innovation[:2]) > 40.0


def test_lost_gnss_is_said_and_the_covariance_grows() -> None:
    flight = simulate.fly(np.random.default_rng(6), 40.0)
    lost = [
        s
        for s in flight.samples
        if not (isinstance(s, GnssFix) and s.stamp_ns > simulate.START_NS + int(20e9))
    ]
    states = _run(Estimator(), _with_origin(lost))
    before = next(s for s in states if _seconds(s) > 19.0)
    end = states[-1]
    assert before.horizontal_valid
    assert not end.horizontal_valid
    assert end.vertical_valid
    assert end.covariance[0, 0] > 50.0 * before.covariance[0, 0]
    assert _miss_m(flight, end) < 4.0 * np.sqrt(end.covariance[0, 0] + end.covariance[1, 1])
    assert _tilt_error_rad(end, flight.attitude[flight.index(end.stamp_ns)]) < 0.05
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
    rejected = _run(Estimator(), changed)[-1].fusions[0].rejected
    assert rejected == {
        "no 3D fix": 1,
        "impossible coordinates": 1,
        "accuracy too poor": 2,
        "older than the filter's window": 1,
    }


def test_px4s_origin_moves_the_frame_and_a_broken_one_does_not() -> None:
    flight = simulate.fly(np.random.default_rng(8), 16.0)
    estimator = Estimator()
    states = _run(estimator, flight.samples)
    own = states[-1]
    assert own.origin is not None  # the first fix
    at = own.stamp_ns
    estimator.on(_local(at, simulate.ORIGIN))
    assert estimator.state().origin == own.origin  # type: ignore[union-attr]
    estimator.on(_local(at, simulate.ORIGIN))
    moved = estimator.state()
    assert moved is not None
    assert moved.origin == simulate.ORIGIN
    expected = flight.position[flight.index(at)]
    assert np.linalg.norm(moved.position_ned_m[:2] - expected[:2]) < 4.0
    far = Origin(51.9, -85.7, 100.0)
    estimator.on(_local(at, far))
    estimator.on(_local(at, far))
    assert estimator.state().origin == simulate.ORIGIN  # type: ignore[union-attr]


def test_without_gnss_down_is_counted_from_px4s_zero_once() -> None:
    estimator = Estimator()
    _run(estimator, (_still(i) for i in range(1, 800)))
    estimator.on(_local(800 * STEP_NS, None, -12.0))
    estimator.on(_local(801 * STEP_NS, None, -90.0))
    state = estimator.state()
    assert state is not None
    assert state.position_ned_m[2] == pytest.approx(-12.0, abs=0.5)


# --- time --------------------------------------------------------------------------------------


def test_jump_of_px4s_clock_shift_moves_nothing() -> None:
    """Stamps leap by 0.2 s while no time passes: README of the recordings, "Time"."""
    flight = simulate.fly(np.random.default_rng(9), 30.0)
    leap_at = simulate.START_NS + int(15e9)
    leapt = [
        replace(s, stamp_ns=s.stamp_ns + 200_000_000) if s.received_ns >= leap_at else s
        for s in flight.samples
    ]
    smooth = _run(Estimator(), _with_origin(flight.samples))
    jumped = _run(Estimator(), _with_origin(leapt))
    for a, b in zip(smooth, jumped, strict=True):
        assert np.linalg.norm(a.position_ned_m - b.position_ned_m) < 0.6
        assert np.linalg.norm(a.velocity_ned_m_s - b.velocity_ned_m_s) < 0.3


def test_lost_imu_samples_are_bridged() -> None:
    flight = simulate.fly(np.random.default_rng(10), 30.0)
    gap = (simulate.START_NS + int(15e9), simulate.START_NS + int(15.4e9))
    left = [s for s in flight.samples if not gap[0] < s.stamp_ns < gap[1]]
    estimator = Estimator()
    states = _run(estimator, _with_origin(left))
    assert not estimator.resets
    assert max(_miss_m(flight, s) for s in states if _seconds(s) > 3.0) < 4.0


@pytest.mark.parametrize("delay_s", [0.0, 0.12, 0.3])
def test_an_impact_that_leaves_the_range_of_the_imu_is_believed_of_the_others(
    delay_s: float,
) -> None:
    """A fall of 1.2 s stops within a sample that shows 0.6 of its 11.8 m/s."""
    rest, fall = 4 * simulate.RATE_HZ, round(1.2 * simulate.RATE_HZ)
    v = np.zeros((rest + fall + 3 * simulate.RATE_HZ, 3))
    v[rest : rest + fall, 2] = 9.80665 * simulate.DT_S * np.arange(fall)
    errors = simulate.Errors(speed_m_s=0.05, delay_s=delay_s, delay_sigma_s=0.0)
    p = np.cumsum(v, axis=0) * simulate.DT_S
    flight = simulate.along(np.random.default_rng(3), p, v, errors=errors)
    hit = simulate.stamp_ns(rest + fall)
    samples = [
        replace(s, specific_force_frd_m_s2=np.array([0.0, 0.0, -150.0]), clipped=True)
        if isinstance(s, Imu) and s.stamp_ns == hit
        else s
        for s in flight.samples
    ]
    states = _run(Estimator(), _with_origin(samples))
    told = next(s for s in states if s.stamp_ns >= hit)  # the filter itself is still before it
    assert np.all(np.diag(told.covariance)[3:6] > 10.0**2)
    after = [s for s in states if s.stamp_ns > hit + 900_000_000]
    assert max(np.linalg.norm(s.velocity_ned_m_s) for s in after) < 1.0
    assert max(abs(s.position_ned_m[2] - flight.position[-1, 2]) for s in after) < 3.0


def test_long_gap_and_clock_going_back_align_again() -> None:
    estimator = Estimator()
    _run(estimator, (_still(i) for i in range(1, 500)))
    _run(estimator, (_still(i) for i in range(1500, 1600)))
    assert estimator.resets == {"IMU gap": 1}
    _run(estimator, (_still(i) for i in range(1, 900)))
    assert estimator.resets == {"IMU gap": 1, "clock went back": 1}
    state = estimator.state()
    assert state is not None
    assert state.aligned


def test_decimated_imu_is_survived() -> None:
    flight = simulate.fly(np.random.default_rng(11), 40.0)
    thin = [
        s
        for i, s in enumerate(flight.samples)
        if not isinstance(s, Imu) or flight.index(s.stamp_ns) % 25 == 0
    ]
    estimator = Estimator()
    states = _run(estimator, _with_origin(thin))
    assert not estimator.resets
    assert states[-1].fusions[0].used > 250
    assert max(_miss_m(flight, s) for s in states if _seconds(s) > 3.0) < 5.0


def test_same_input_gives_the_same_bits() -> None:
    flight = simulate.fly(np.random.default_rng(12), 12.0)
    one, two = (_run(Estimator(), flight.samples) for _ in range(2))
    assert len(one) == len(two) > 300
    for a, b in zip(one, two, strict=True):
        assert a.covariance.tobytes() == b.covariance.tobytes()
        assert a.position_ned_m.tobytes() == b.position_ned_m.tobytes()
        assert a.q_ned_frd.tobytes() == b.q_ned_frd.tobytes()


# --- IMU and rest ------------------------------------------------------------------------------


def test_gyro_that_goes_wrong_in_flight_is_said_and_learnt() -> None:
    flight = simulate.fly(np.random.default_rng(16), 50.0)
    step = np.array([0.0, 0.05, 0.0])
    broken: list[Sample] = [
        replace(s, rate_frd_rad_s=s.rate_frd_rad_s + step)
        if isinstance(s, Imu) and s.stamp_ns > simulate.START_NS + int(12e9)
        else s
        for s in flight.samples
    ]
    states = _run(Estimator(), _with_origin(broken))
    end = states[-1]
    assert end.fusions[1].rejected["reset after a shut gate"] >= 1
    late = [s for s in states if _seconds(s) > 42.0]
    assert max(_miss_m(flight, s) for s in late) < 5.0
    assert end.gyro_bias_frd_rad_s[1] - flight.gyro_bias[-1][1] == pytest.approx(0.05, abs=0.02)


def test_landed_and_still_holds_velocity_and_position() -> None:
    estimator = Estimator()
    rng = np.random.default_rng(15)
    estimator.on(LandDetected(1, 1, True, False, False, False))
    end = None
    for i in range(1, 250 * 60):
        shaken = LEVEL + 0.05 + rng.normal(size=3) * 0.05
        imu = Imu(i * STEP_NS, i * STEP_NS, rng.normal(size=3) * 0.005, shaken, 0.004)
        end = estimator.on(imu) or end
    assert end is not None
    assert np.linalg.norm(end.velocity_ned_m_s) < 0.1
    assert np.linalg.norm(end.position_ned_m) < 1.0
    assert end.velocity_valid


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
    """A stamp says when a fix was true: beyond the horizon's 0.2 s it is carried back."""
    errors = simulate.Errors(delay_s=0.0, delay_sigma_s=0.0)
    flight = simulate.fly(np.random.default_rng(4), 20.0, errors, gnss_hz=10.0)
    late = _gnss_late(flight.samples, [0.1, 0.3, 0.12, 0.25])
    arrived = [s.stamp_ns for s in late if isinstance(s, GnssFix)]
    assert arrived != sorted(arrived)  # 0.3 s and 0.12 s at 10 Hz: they overtake one another
    prompt = _gnss_late(flight.samples, [0.1])
    told = EstimatorConfig(gnss_delay_sigma_s=1e-3)
    inside = _run(Estimator(told), _with_origin(_gnss_late(flight.samples, [0.1, 0.19])))
    in_order, shuffled = (_run(Estimator(told), _with_origin(s)) for s in (prompt, late))
    # within the horizon only the delay's estimate, taken on arrival, differs
    for a, b in zip(in_order[300::50], inside[300::50], strict=True):
        np.testing.assert_allclose(a.position_ned_m, b.position_ned_m, atol=0.1)
    for a, b in zip(in_order[300::50], shuffled[300::50], strict=True):
        np.testing.assert_allclose(a.position_ned_m, b.position_ned_m, atol=0.3)
        np.testing.assert_allclose(a.velocity_ned_m_s, b.velocity_ned_m_s, atol=0.3)
