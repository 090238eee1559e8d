# SPDX-License-Identifier: Apache-2.0
"""The origin against receivers that say the best of elsewhere, and against time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import (
    Array,
    Attitude,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    Magnetometer,
    Origin,
    Sample,
    TwinState,
    VehicleStatus,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.sensors.solution import FAR
from airtwin_physics.estimator import Estimator

import gnss_faults as faults  # isort: skip
import simulate  # isort: skip

RECOVER_S = EstimatorConfig().recover_s
DOUBT_S = EstimatorConfig().gnss_doubt_s


def _null_island(flight: simulate.Flight, from_s: float, to_s: float) -> simulate.Flight:
    """Return the flight with the fixes of a time at 0 N 0 E, with the best of claims."""
    samples = [
        replace(
            s,
            latitude_deg=1e-7 * (i % 7),  # not quite the same: that would be a stuck receiver
            longitude_deg=0.0,
            altitude_amsl_m=0.0,
            eph_m=0.5,
            epv_m=0.8,
        )
        if isinstance(s, GnssFix) and from_s <= faults.seconds(s.stamp_ns) < to_s
        else s
        for i, s in enumerate(flight.samples)
    ]
    return replace(flight, samples=samples)


def _fly(samples: list[Sample], estimator: Estimator | None = None) -> list[TwinState]:
    estimator = estimator or Estimator()
    return [state for sample in samples if (state := estimator.on(sample)) is not None]


@pytest.mark.parametrize("altitude_m", [1e30, float("nan"), -1e9])
def test_an_origin_that_is_no_place_moves_nothing_however_often_it_comes(
    altitude_m: float,
) -> None:
    anchor = Anchor(RECOVER_S, DOUBT_S)
    for _ in range(2):
        anchor.offer(simulate.ORIGIN)
    for broken in (
        replace(simulate.ORIGIN, altitude_amsl_m=altitude_m),
        replace(simulate.ORIGIN, latitude_deg=altitude_m),
        replace(simulate.ORIGIN, longitude_deg=altitude_m),
    ):
        assert [anchor.offer(broken) for _ in range(3)] == [None] * 3
    assert anchor.origin == simulate.ORIGIN


@pytest.mark.parametrize("arm_m", [float("nan"), float("inf"), 1e4])
def test_a_fix_of_an_impossible_antenna_is_refused(arm_m: float) -> None:
    flight = simulate.fly(np.random.default_rng(1), 6.0)
    arm = np.array([0.0, arm_m, 0.0])
    samples = [
        replace(s, antenna_frd_m=arm) if isinstance(s, GnssFix) else s for s in flight.samples
    ]
    fusion = _fly(samples)[-1].fusions[0]
    assert fusion.used == 0
    assert fusion.rejected["impossible antenna"] > 20


def _strays_m(flight: simulate.Flight, states: list[TwinState]) -> float:
    """Return by how much the difference to the truth ever moves from what it was at first."""
    missed = faults.misses(flight, states)
    return float(np.linalg.norm(missed - missed[0], axis=1).max())


@pytest.mark.parametrize(("for_s", "fixes"), [(0.12, 1), (3.0, 24)])
@pytest.mark.parametrize("told", [True, False])
def test_null_island_moves_nothing_and_is_counted(for_s: float, fixes: int, told: bool) -> None:
    flight = simulate.fly(np.random.default_rng(31), 30.0)
    wrong = _null_island(flight, 15.0, 15.0 + for_s)
    states = faults.fly(wrong) if told else _fly(wrong.samples)
    assert faults.refused(states[-1], FAR) == pytest.approx(fixes, abs=1)
    assert faults.refused(states[-1], FAR) >= 1
    assert not faults.resets(states)
    assert _strays_m(flight, faults.during(states, 14.0)) < 5.0
    assert states[-1].horizontal_valid
    assert states[-1].origin == faults.during(states, 14.0)[0].origin


def test_an_origin_that_moves_in_flight_is_said() -> None:
    flight = simulate.fly(np.random.default_rng(31), 36.0)
    states = faults.fly(_null_island(flight, 12.0, 36.0))
    before, after = faults.during(states, 11.0)[0], states[-1]
    assert before.origin == simulate.ORIGIN
    assert "origin moved" not in before.notice
    assert after.origin != before.origin
    # from 47.397742 N 8.545594 E to 0 N 0 E: 6371 km times acos(cos lat cos lon)
    assert "origin moved by 5335 km" in after.notice


@pytest.mark.parametrize("told", [True, False])
def test_a_first_origin_that_was_wrong_is_mended_without_a_jump(told: bool) -> None:
    flight = simulate.fly(np.random.default_rng(32), 40.0)
    wrong = _null_island(flight, 0.0, 1.0)
    samples = list(wrong.samples)
    if told:  # PX4 has its own from the first good fix on
        at = next(i for i, s in enumerate(samples) if faults.seconds(s.received_ns) > 3.0)
        words: list[Sample] = []
        for i, sample in enumerate(samples):
            words.append(sample)
            if i >= at and isinstance(sample, GnssFix):
                words.append(faults.told(sample.stamp_ns))
        samples = words
    states = _fly(samples)
    assert faults.refused(states[-1], FAR) == pytest.approx(8.0 * RECOVER_S, abs=4)
    right = faults.during(states, 1.0 + RECOVER_S + 1.0)
    for state in right:
        assert state.origin is not None
        assert abs(state.origin.latitude_deg - simulate.ORIGIN.latitude_deg) < 1e-3
        assert abs(state.origin.longitude_deg - simulate.ORIGIN.longitude_deg) < 1e-3
    assert right[-1].horizontal_valid
    if told:
        assert right[-1].origin == simulate.ORIGIN
        assert np.linalg.norm(faults.misses(flight, right[-200:]), axis=1).max() < 4.0
    else:  # seven seconds by IMU alone, then no step
        assert _strays_m(flight, right) < 4.0
        places = np.array([s.position_ned_m for s in states])
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 2.0


def _fix(latitude_deg: float, longitude_deg: float) -> GnssFix:
    return GnssFix(0, 0, latitude_deg, longitude_deg, 500.0, np.zeros(3), 1.0, 1.0, 0.3, 3, 12)


def test_the_way_from_one_origin_to_another_and_back_is_none() -> None:
    anchor, a, b = Anchor(RECOVER_S, DOUBT_S), Origin(60.0, 10.0, 100.0), Origin(60.2, 10.5, 130.0)
    here = _fix(60.1, 10.3)
    for origin in (a, a):
        anchor.offer(origin)
    assert anchor.take(here, 0.0, None)
    was = anchor.to_ned(here)
    shifts = [anchor.offer(origin) for origin in (b, b, a, a)]
    assert shifts[0] is None
    assert shifts[1] is not None
    assert shifts[3] is not None
    assert np.linalg.norm(shifts[1]) > 1e4
    np.testing.assert_allclose(shifts[1] + shifts[3], 0.0, atol=1e-6)
    for origin in (b, b):
        by = anchor.offer(origin)
    assert by is not None
    np.testing.assert_allclose(was + by, anchor.to_ned(here), atol=1e-6)


def test_far_fixes_that_do_not_agree_or_pause_never_become_the_origin() -> None:
    anchor = Anchor(RECOVER_S, DOUBT_S)
    assert anchor.take(_fix(47.0, 8.0), 0.0, None)
    for i in range(60):  # here and there
        assert not anchor.take(_fix(10.0 * (i % 2), 8.0), float(i), lambda: np.zeros(3))
    for i in range(60):  # never for long
        assert not anchor.take(_fix(1.0, 8.0), 100.0 + 4.0 * i, lambda: np.zeros(3))
    for i in range(60):  # good ones between
        assert not anchor.take(_fix(1.0, 8.0), 400.0 + i, lambda: np.zeros(3))
        assert anchor.take(_fix(47.0, 8.0), 400.5 + i, lambda: np.zeros(3))
    stood = np.array([300.0, -200.0, -40.0])
    there = [anchor.take(_fix(1.0, 8.0), 500.0 + i, lambda: stood) for i in range(8)]
    assert there == [False] * 7 + [True]  # none of the good ones followed another
    np.testing.assert_allclose(anchor.to_ned(_fix(1.0, 8.0)), stood, atol=1e-3)


@pytest.mark.parametrize(("borne_s", "wanted_s"), [(3, 7), (20, 20), (300, 60)])
def test_an_origin_is_moved_after_as_long_as_it_was_borne_out(borne_s: int, wanted_s: int) -> None:
    anchor = Anchor(RECOVER_S, DOUBT_S)
    for i in range(borne_s + 1):
        assert anchor.take(_fix(47.0, 8.0), float(i), None)
    begun_s = borne_s + 1.0
    there = [
        anchor.take(_fix(1.0, 8.0), begun_s + i, lambda: np.zeros(3)) for i in range(wanted_s + 1)
    ]
    assert there == [False] * wanted_s + [True]
    # what it is moved to has not been borne out yet
    back = [anchor.take(_fix(47.0, 8.0), 500.0 + i, lambda: np.zeros(3)) for i in range(8)]
    assert back == [False] * 7 + [True]


def _straight(seconds: float, speed_m_s: float) -> tuple[Array, Array]:
    """Return a path (n, 3) at one speed to the north-east, and its velocity."""
    n = round(seconds * simulate.RATE_HZ) + 1
    velocity = np.tile([0.6 * speed_m_s, 0.8 * speed_m_s, 0.0], (n, 1))
    start = np.array([100.0, -50.0, -30.0])
    return start + np.arange(n)[:, None] * simulate.DT_S * velocity, velocity


def _px4(flight: simulate.Flight, k: int, late_s: float) -> list[Sample]:
    at = simulate.stamp_ns(k)
    old = k - round(late_s * simulate.RATE_HZ)
    local = faults.told(simulate.stamp_ns(old))
    place, velocity = flight.position[old], flight.velocity[old]
    return [
        Attitude(at, at, flight.attitude[k], 0),
        replace(local, origin=None, position_ned_m=place, velocity_ned_m_s=velocity),
    ]


@pytest.mark.parametrize("late_s", [0.0, 0.2])
def test_a_twin_started_anew_at_speed_counts_from_where_px4_was_then(late_s: float) -> None:
    errors = simulate.Errors(eph_m=0.1, epv_m=0.1, speed_m_s=0.1, delay_sigma_s=0.0)
    p, v = _straight(20.0, 15.0)
    flight = simulate.along(np.random.default_rng(33), p, v, None, errors, rest_s=0.0)
    samples: list[Sample] = []
    for sample in (s for s in flight.samples if faults.seconds(s.received_ns) >= 5.0):
        samples.append(sample)
        if isinstance(sample, Imu) and (k := flight.index(sample.stamp_ns)) % 5 == 0:
            samples += _px4(flight, k, late_s)
    valid = [s for s in _fly(samples) if s.horizontal_valid and s.vertical_valid]
    missed = np.linalg.norm(faults.misses(flight, faults.during(valid, 10.0)), axis=1)
    assert len(missed) > 100
    assert missed.max() < 1.0


@pytest.mark.parametrize("knows", [True, False])
def test_a_twin_started_anew_goes_on_in_the_frame_of_the_twin_before(knows: bool) -> None:
    """While nobody told PX4 where it is, it drifted by 20 m, 5 of them in height."""
    errors = simulate.Errors(eph_m=0.1, epv_m=0.1, speed_m_s=0.1, delay_sigma_s=0.0)
    p, v = _straight(20.0, 5.0)
    flight = simulate.along(np.random.default_rng(33), p, v, None, errors, rest_s=0.0)
    drift = np.array([3.0, -19.0, 5.0])
    samples: list[Sample] = []
    for sample in (s for s in flight.samples if faults.seconds(s.received_ns) >= 5.0):
        samples.append(sample)
        if isinstance(sample, Imu) and (k := flight.index(sample.stamp_ns)) % 5 == 0:
            attitude, local = _px4(flight, k, 0.0)
            assert isinstance(local, LocalPosition)
            place = local.position_ned_m + drift
            samples += [attitude, replace(local, position_ned_m=place, xy_valid=knows)]
    estimator = Estimator()
    estimator.remember(simulate.ORIGIN)
    states = _fly(samples, estimator)
    valid = [s for s in states if s.horizontal_valid and s.vertical_valid]
    missed = np.linalg.norm(faults.misses(flight, faults.during(valid, 10.0)), axis=1)
    assert len(missed) > 100
    assert missed.max() < 1.0
    assert states[-1].origin == simulate.ORIGIN


def test_a_frame_far_from_where_px4_counts_is_not_taken_up() -> None:
    anchor, before = Anchor(RECOVER_S, DOUBT_S), Origin(47.0, 8.0, 480.0)
    anchor.remember(before)
    here = _fix(47.01, 8.0)  # 1.1 km on; PX4 has just started there
    anchor.stands(0.0, replace(faults.told(0), origin=None, position_ned_m=np.zeros(3)))
    assert anchor.take(here, 0.0, None)
    assert anchor.origin == Origin(47.01, 8.0, 500.0)


@pytest.mark.parametrize("why", ["old", "invalid", "not finite"])
def test_what_px4_does_not_know_is_no_place_to_start_from(why: str) -> None:
    flight = simulate.fly(np.random.default_rng(34), 8.0)
    far = np.array([3000.0, 0.0, 0.0])
    samples: list[Sample] = []
    for sample in flight.samples:
        samples.append(sample)
        if not isinstance(sample, Imu) or sample.stamp_ns % 20_000_000:
            continue
        local: LocalPosition = replace(faults.told(sample.stamp_ns), origin=None)
        local = replace(local, position_ned_m=far)
        if why == "old":
            local = replace(local, stamp_ns=sample.stamp_ns - 1_500_000_000)
        elif why == "invalid":
            local = replace(local, v_xy_valid=False)
        else:
            local = replace(local, velocity_ned_m_s=np.array([np.nan, 0.0, 0.0]))
        samples.append(local)
    last = _fly(samples)[-1]
    assert last.horizontal_valid
    assert abs(last.position_ned_m[0]) < 50.0


def _status(at_ns: int, *, armed: bool) -> VehicleStatus:
    return VehicleStatus(at_ns, at_ns, armed, 0, False, 2, False, False, 1, True)


@pytest.mark.parametrize("told", [False, True])
def test_the_words_of_an_autopilot_that_started_anew_are_forgotten(told: bool) -> None:
    """It said that it flew; started anew it has said nothing yet.

    told: the node says so (its intake has noticed), before any sample with the new clock.
    """
    estimator = Estimator()
    level = np.array([0.0, 0.0, -9.80665])

    def still(from_ms: int, to_ms: int) -> list[Sample]:
        stamps = [ms * 1_000_000 for ms in range(from_ms, to_ms, 4)]
        return [Imu(at, at, np.zeros(3), level, 0.004) for at in stamps]

    _fly([LandDetected(1, 1, False, False, False, False), _status(1, armed=True)], estimator)
    _fly(still(100_000, 101_500), estimator)
    assert not estimator.resets
    flying = _fly(still(101_500, 112_000), estimator)
    assert flying
    assert not flying[-1].velocity_valid  # said to fly: no rest
    if told:
        estimator.reset("the vehicle's clock restarted")
    states = _fly(still(1_000, 8_000), estimator)
    assert sum(estimator.resets.values()) == 1
    assert states[-1].velocity_valid  # still, and nothing says any more that it flies


def test_a_wrong_origin_told_before_any_fix_costs_one_fix() -> None:
    """A PX4 1.17 log with broken bytes begins with an origin 1100 km off."""
    anchor = Anchor(RECOVER_S, DOUBT_S)
    wrong = replace(simulate.ORIGIN, latitude_deg=simulate.ORIGIN.latitude_deg + 10.0)
    anchor.offer(wrong)
    assert anchor.offer(wrong) is not None
    fix = next(
        s for s in simulate.fly(np.random.default_rng(1), 4.0).samples if isinstance(s, GnssFix)
    )
    assert not anchor.take(fix, 1.0, None)
    assert anchor.take(fix, 2.0, None)
    assert np.linalg.norm(anchor.to_ned(fix)) < 1e-6


@pytest.mark.parametrize("origin_first", [True, False])
def test_where_px4_knows_no_altitude_of_its_origin_the_twin_keeps_to_px4s_z(
    origin_first: bool,
) -> None:
    """PX4 says 0 for it (two public logs: 488 m off)."""
    flight = simulate.fly(np.random.default_rng(35), 20.0)
    unknown = replace(simulate.ORIGIN, altitude_amsl_m=0.0)
    zero_m = 3.0  # PX4's z counts from the barometer, which is off a little
    samples: list[Sample] = []
    for s in flight.samples:
        samples.append(s)
        told = faults.seconds(s.received_ns) > (0.2 if origin_first else 1.0)
        if told and isinstance(s, Magnetometer):
            place = flight.position[flight.index(s.stamp_ns)] + [0.0, 0.0, zero_m]
            word = replace(faults.told(s.stamp_ns), origin=unknown, position_ned_m=place)
            samples.append(word)
    states = _fly(samples)
    down = [s.position_ned_m[2] - flight.position[flight.index(s.stamp_ns)][2] for s in states]
    assert np.max(np.abs(np.array(down[250:]) - zero_m)) < 6.0  # what one fix may err
    assert np.max(np.abs(np.diff(down[100:]))) < 1.0
    last = states[-1]
    assert last.origin is not None
    assert last.origin.altitude_amsl_m == pytest.approx(
        simulate.ORIGIN.altitude_amsl_m + zero_m, abs=6.0
    )
    assert "origin's altitude" in last.notice
    assert last.vertical_valid


def test_an_unknown_altitude_is_read_once_and_not_from_a_z_that_px4_does_not_know() -> None:
    anchor, unknown = Anchor(RECOVER_S, DOUBT_S), Origin(47.0, 8.0, 0.0)
    assert anchor.take(_fix(47.0, 8.0), 0.0, None)
    assert [anchor.offer(unknown) for _ in range(3)] == [None] * 3
    shift = anchor.offer(unknown, -2.0)
    assert shift is not None
    assert anchor.origin == Origin(47.0, 8.0, 498.0)  # the fix lies at 500 m
    assert [anchor.offer(unknown, -2.0 - k) for k in range(3)] == [None] * 3
    known = replace(unknown, altitude_amsl_m=480.0)
    assert anchor.offer(known, -20.0) is None
    assert anchor.offer(known, -20.0) is not None
    assert anchor.origin == known
