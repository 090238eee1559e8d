# SPDX-License-Identifier: Apache-2.0
"""The identification in simulated flights: what it must find, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest
from identify_flights import FAULT_S, X500, Watch, samples, values

from airtwin_core.types import Identification, Imu, TwinState
from airtwin_physics.identify.identifier import Identifier
from airtwin_sim.scenario import Fault

MASS = 0.2 * X500.mass_kg


@pytest.mark.parametrize("windy", [False, True], ids=["calm", "wind"])
@pytest.mark.parametrize("at_s", [0.0, FAULT_S], ids=["from the start", "in hover"])
def test_20_percent_more_mass_is_found_within_3_percent_in_10_s(windy, at_s):
    faults = (Fault("mass", "px4_1", at_s, magnitude=MASS),)
    stream = values(samples(31.0, seed=11, windy=windy, faults=faults))
    watch = Watch(stream, Identifier(X500))
    judged = watch.times >= 30.0 if at_s else watch.flown_s >= 10.0
    assert abs(watch.masses[judged][0] / 1.2 - 1.0) < 0.03
    assert (watch.suspects == -1).all()


@pytest.mark.parametrize("rotor", range(4))
def test_a_weak_rotor_is_found_on_the_right_rotor_within_3_s(rotor):
    faults = (Fault("motor_loss", "px4_1", FAULT_S, magnitude=0.2, index=rotor),)
    stream = values(samples(24.0, seed=20 + rotor, windy=rotor % 2 == 1, faults=faults))
    watch = Watch(stream, Identifier(X500))
    after_s, who = watch.found()
    assert 0.0 < after_s < 3.0
    assert who == rotor
    assert watch.suspects[-1] == rotor


def test_a_calm_flight_and_a_rough_one_raise_no_suspicion():
    for windy in (False, True):
        watch = Watch(values(samples(40.0, seed=30, windy=windy)), Identifier(X500))
        assert (watch.suspects == -1).all()
        assert abs(watch.masses[-1] - 1.0) < 0.03


def test_reports_come_once_a_second_and_say_what_is_not_known():
    identifier = Identifier(X500)
    stream = values(samples(25.0, seed=1, windy=False))
    reports = [r for r in map(identifier.on, stream) if isinstance(r, Identification)]
    states = [value for value in stream if isinstance(value, TwinState)]
    seconds = (states[-1].stamp_ns - states[0].stamp_ns) * 1e-9
    assert seconds - 1.0 <= len(reports) <= seconds + 2.0
    assert not any(p.known for p in reports[0].parameters)
    last = {p.name: p for p in reports[-1].parameters}
    assert last["mass"].known
    assert not last["thrust_constant"].known
    assert not last["rotor_drag"].known
    assert all(p.why for p in last.values() if not p.known)
    assert all(np.isfinite([p.value, p.sigma]).all() for p in last.values())


def test_the_same_flight_gives_the_same_bits():
    stream = values(samples(16.0, seed=2, windy=True))
    first, second = Identifier(X500), Identifier(X500)
    for value in stream:
        first.on(value)
        second.on(value)
    assert np.array_equal(first.theta, second.theta)
    assert np.array_equal(first.covariance, second.covariance)


def test_gaps_and_nonsense_leave_it_finite():
    """Every third second of commands lost, IMU samples not finite or jumping in time."""
    identifier = Identifier(X500)
    rng = np.random.default_rng(3)
    for value in values(samples(25.0, seed=3, windy=False)):
        kind = type(value).__name__
        second = int(value.stamp_ns * 1e-9)
        if kind == "MotorCommands" and second % 3 == 0:
            continue
        if kind == "Imu" and rng.random() < 0.01:
            bad = np.full(3, [np.nan, np.inf, 1e30][int(rng.integers(3))])
            value = Imu(value.stamp_ns, value.received_ns, bad, bad, 0.004)
        if kind == "Imu" and rng.random() < 0.001:
            value = Imu(
                value.stamp_ns - 5_000_000_000,
                value.received_ns,
                value.rate_frd_rad_s,
                value.specific_force_frd_m_s2,
                0.004,
            )
        identifier.on(value)
    assert np.isfinite(identifier.theta).all()
    assert np.linalg.eigvalsh(identifier.covariance).min() > 0.0
    assert identifier.refused["gap in the motor commands"] > 0
    assert identifier.flown_s > 2.0
