# SPDX-License-Identifier: Apache-2.0
"""Who is wrong, receiver or filter? Decided by witnesses, and said.

Real receivers: test/test_real_receivers.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import Array, GnssFix, Health, Imu, Origin
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import receiver
from airtwin_physics.estimator import Estimator

import aided  # isort: skip
import gnss_faults as faults  # isort: skip
import simulate  # isort: skip

RECOVER_S = EstimatorConfig().recover_s
UP = np.array([0.0, 0.0, -1.0])


def _said(states, words):
    return [faults.seconds(s.stamp_ns) for s in states if words in s.notice]


def test_a_receiver_that_runs_away_is_refused_and_taken_back_without_a_reset():
    """As in f450_glitch_log: 50 m/s within two seconds, place and height along with it."""
    flight = simulate.fly(np.random.default_rng(21), 60.0)
    wrong = faults.runaway(np.array([40.0, 20.0, 25.0]), 25.0, 2.0, 5.0, 32.0)
    states = faults.fly(faults.shown(flight, wrong))
    assert not faults.resets(states)
    assert _said(states, "GNSS doubted")[0] == pytest.approx(25.5, abs=1.0)
    astray = faults.during(states, 26.0, 32.0 + RECOVER_S)
    assert astray[-1].fusions[0].used - astray[0].fusions[0].used <= 1
    missed = faults.misses(flight, faults.during(states, 25.0))
    # 14 s of dead reckoning in gentle flight
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 15.0
    assert np.abs(missed[:, 2]).max() < 3.0
    end = faults.during(states, 52.0)
    assert np.abs(faults.misses(flight, end)).max() < 4.0
    assert end[-1].fusions[0].used - end[0].fusions[0].used > 50
    assert not end[-1].notice


def test_a_place_that_jumps_is_followed_only_after_it_was_believed_as_long_as_before():
    flight = simulate.fly(np.random.default_rng(5), 50.0)
    moved = faults.jump(np.array([40.0, -30.0, 0.0]), 16.0)
    states = faults.fly(faults.shown(flight, moved))
    # believed for some 15 s, torn at 17 s
    held = faults.during(states, 16.0, 30.0)
    across = faults.misses(flight, held)[:, :2]
    assert np.hypot(across[:, 0], across[:, 1]).max() < 5.0
    assert min(_said(held, receiver.ITSELF)) == pytest.approx(17.1, abs=0.5)
    assert faults.resets(states) == {"gnss_position horizontal reset after a shut gate": 1}
    assert _said(states, "gnss_position taken at its word")[0] == pytest.approx(33.0, abs=2.5)
    assert np.linalg.norm(faults.misses(flight, states[-1:])[0, :2]) == pytest.approx(50.0, abs=5)


def test_a_jump_that_goes_back_leaves_nothing_behind():
    flight = simulate.fly(np.random.default_rng(22), 50.0)
    moved = faults.jump(np.array([25.0, 0.0, 10.0]), 20.0, 28.0)
    states = faults.fly(faults.shown(flight, moved))
    assert not faults.resets(states)
    across = faults.misses(flight, faults.during(states, 15.0))
    assert np.hypot(across[:, 0], across[:, 1]).max() < 8.0
    assert np.linalg.norm(faults.misses(flight, states[-1:])) < 3.0
    assert not states[-1].notice


def test_single_fixes_elsewhere_are_the_gates_matter():
    flight = simulate.fly(np.random.default_rng(23), 40.0)
    wrong = lambda t: (np.array([30.0, 0, 0]) * (t % 4.0 < 0.2), np.zeros(3))  # noqa: E731
    states = faults.fly(faults.shown(flight, wrong))
    assert faults.refused(states[-1], "horizontal gate") >= 8
    assert not faults.refused(states[-1], "its place is astray")
    assert np.abs(faults.misses(flight, faults.during(states, 10.0))).max() < 5.0


def test_a_place_that_drifts_off_while_its_doppler_stays_is_caught():
    """The spoofer moves the place at walking pace and forgets the Doppler."""
    flight = simulate.fly(np.random.default_rng(24), 60.0)
    drift = faults.drag_off(np.array([0.1, 0.1, 0.0]), 1.0, 20.0)
    states = faults.fly(faults.shown(flight, drift, doppler=False))
    assert 25.0 < _said(states, receiver.ITSELF)[0] < 50.0
    missed = faults.misses(flight, faults.during(states, 20.0))
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 0.6 * 35.0  # the spoof is 35 m by then


def test_a_false_speed_is_held_by_what_sees_the_ground():
    """Alone the filter would follow after as long as it was believed: 18 s."""
    flight = simulate.fly(np.random.default_rng(25), 60.0)
    rng = np.random.default_rng(26)
    seen = aided.merged(flight, [*aided.flows(flight, rng), *aided.distances(flight, rng)])
    false = faults.drag_off(np.array([40.0, 0.0, 0.0]), 8.0, 20.0)
    states = faults.fly(faults.shown(seen, false))
    assert not faults.resets(states)
    missed = faults.misses(flight, faults.during(states, 20.0))
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 20.0  # the spoof is 320 m away
    alone = faults.fly(faults.shown(flight, false))
    assert np.linalg.norm(faults.misses(flight, alone[-1:])) > 250.0


def test_a_height_that_jumps_is_outvoted_by_barometer_and_imu():
    flight = simulate.fly(np.random.default_rng(27), 60.0)
    states = faults.fly(faults.shown(flight, faults.jump(40.0 * UP, 20.0)))
    assert not faults.resets(states)
    assert np.abs(faults.misses(flight, faults.during(states, 10.0))[:, 2]).max() < 3.0
    assert _said(states, "GNSS doubted")[0] < 22.5


def test_a_climb_that_goes_with_a_torn_height_is_shown_but_not_fused():
    flight = simulate.fly(np.random.default_rng(27), 60.0)
    sinks = faults.runaway(np.array([0.0, 0.0, 8.0]), 20.0, 2.0, np.inf, np.inf)
    late = faults.during(faults.fly(faults.shown(flight, sinks)), 30.0)
    assert np.abs(faults.misses(flight, late)).max() < 3.0
    before, after = (
        next(f for f in state.fusions if f.source == "gnss_velocity")
        for state in late[:: len(late) - 1]
    )
    assert after.used - before.used > 50
    assert after.innovation[2] == pytest.approx(8.0, abs=1.0)


def test_a_barometer_that_fails_is_retied_and_the_receiver_stays_believed():
    flight = simulate.fly(np.random.default_rng(28), 50.0)
    failed = faults.pressure(flight, lambda t: 30.0 if t > 20.0 else 0.0)
    states = faults.fly(failed)
    assert faults.resets(states) == {"barometer reset after a shut gate": 1}
    assert not _said(states, "GNSS doubted")
    assert np.abs(faults.misses(flight, faults.during(states, 10.0))[:, 2]).max() < 4.0
    assert _said(states, "barometer taken at its word")[0] == pytest.approx(27.0, abs=0.5)


def test_a_receiver_back_after_an_outage_is_taken_at_once_or_in_seconds():
    flight = simulate.fly(np.random.default_rng(29), 75.0)
    states = faults.fly(aided.outage(flight, 25.0, 55.0))
    assert not _said(states, "GNSS doubted")
    back = faults.during(states, 55.0 + RECOVER_S + 2.0)
    assert np.abs(faults.misses(flight, back)).max() < 5.0


def test_an_accelerometer_that_goes_wrong_is_not_the_receivers_fault():
    flight = simulate.fly(np.random.default_rng(30), 60.0)
    broken = [
        replace(s, specific_force_frd_m_s2=s.specific_force_frd_m_s2 + np.array([0.0, 0.0, -4.0]))
        if isinstance(s, Imu) and faults.seconds(s.stamp_ns) > 20.0
        else s
        for s in flight.samples
    ]
    states = faults.fly(replace(flight, samples=broken))
    assert "taken at its word" in "".join(s.notice for s in states)
    late = faults.during(states, 50.0)
    assert np.abs(faults.misses(flight, late)).max() < 5.0
    assert late[-1].accel_bias_frd_m_s2[2] == pytest.approx(-4.0, abs=0.7)


def _doppler(flight: simulate.Flight, shown: Callable[[GnssFix], Array]) -> simulate.Flight:
    """Return the flight with another velocity in its fixes from 15 s on."""
    samples = [
        replace(s, velocity_ned_m_s=shown(s))
        if isinstance(s, GnssFix) and faults.seconds(s.stamp_ns) > 15.0
        else s
        for s in flight.samples
    ]
    return replace(flight, samples=samples)


@pytest.mark.parametrize("seed", [31, 33])
def test_a_doppler_that_lies_costs_the_place_only_until_nothing_else_is_left(seed):
    """It shows rest in flight: which of the two is wrong, place and Doppler do not tell."""
    flight = simulate.fly(np.random.default_rng(seed), 150.0)
    rng = np.random.default_rng(seed)
    states = faults.fly(_doppler(flight, lambda _: rng.normal(0.0, 0.02, 3)))
    assert _said(states, receiver.ITSELF)
    missed = faults.misses(flight, faults.during(states, 120.0))
    # of four seeds 22 to 107 m; doubted as a whole it was 58 to 316 m
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 80.0


@pytest.mark.parametrize("at_m_s", [np.zeros(3), np.array([2.0, -1.0, 0.3])])
def test_a_doppler_that_is_stuck_to_the_bit_costs_nothing_but_itself(at_m_s):
    flight = simulate.fly(np.random.default_rng(33), 60.0)
    states = faults.fly(_doppler(flight, lambda _: at_m_s))
    missed = faults.misses(flight, faults.during(states, 15.0))
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 5.0  # 2.7 m; 63 m where it was believed
    health = {h.source: h.health for h in states[-1].health}
    assert health["gnss_velocity"] is Health.STUCK
    assert health["gnss_position"] is Health.GOOD
    assert not faults.resets(states)


def test_a_place_that_jumps_beside_a_stuck_doppler_is_still_refused():
    flight = simulate.fly(np.random.default_rng(33), 40.0)
    moved = faults.shown(flight, faults.jump(np.array([60.0, 0.0, 0.0]), 30.0))
    states = faults.fly(_doppler(moved, lambda _: np.zeros(3)))
    missed = faults.misses(flight, faults.during(states, 30.0))
    assert np.hypot(missed[:, 0], missed[:, 1]).max() < 10.0
    assert not faults.resets(states)


def test_an_origin_told_in_flight_is_no_jump_of_the_receiver():
    flight = simulate.fly(np.random.default_rng(32), 30.0)
    estimator, at = Estimator(), simulate.START_NS + int(15e9)
    here = simulate.ORIGIN
    away = Origin(here.latitude_deg + 0.001, here.longitude_deg, here.altitude_amsl_m - 40.0)
    states = []
    for sample in flight.samples:
        if sample.stamp_ns > at:
            for _ in range(2):
                estimator.on(faults.told(sample.stamp_ns, away))
            at = 2**62
        state = estimator.on(sample)
        states += [] if state is None else [state]
    assert states[-1].origin == away
    assert not _said(states, "GNSS doubted")


def test_a_speed_that_stepped_is_followed_soon_where_an_imu_alone_says_otherwise():
    """Its place moved along. Drag or flow would hold the filter longer."""
    flight = simulate.fly(np.random.default_rng(33), 45.0)
    false = faults.drag_off(np.array([40.0, 0.0, 0.0]), 12.0, 25.0)
    states = faults.fly(faults.shown(flight, false))
    assert _said(states, receiver.BY_IMU)[0] == pytest.approx(25.5, abs=0.5)
    taken = _said(states, "gnss_velocity taken at its word")
    assert taken[0] == pytest.approx(25.5 + RECOVER_S, abs=1.0)
