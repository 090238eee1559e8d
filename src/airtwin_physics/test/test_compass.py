# SPDX-License-Identifier: Apache-2.0
"""A compass that shows no north, or another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Attitude, Imu, Magnetometer, Sample, TwinState
from airtwin_physics.estimator import Estimator

from driven import run, seconds  # isort: skip
import simulate  # isort: skip


def _off_rad(flight: simulate.Flight, state: TwinState) -> float:
    truth = flight.attitude[flight.index(state.stamp_ns)]
    turn = frames.quat_multiply(frames.quat_conjugate(state.q_ned_frd), truth)
    return float(np.linalg.norm(frames.rotation_vector_from_quat(turn)))


def test_near_a_magnetic_pole_the_compass_is_not_taken_for_the_heading() -> None:
    """At a dip of 89 deg half a degree of tilt turns the level field anywhere."""
    flight = simulate.fly(np.random.default_rng(5), 30.0, compass=False)
    samples: list[Sample] = []
    for sample in flight.samples:
        samples.append(sample)
        if isinstance(sample, Imu) and (k := flight.index(sample.stamp_ns)) % 25 == 0:
            down = frames.rotation_from_quat(flight.attitude[k]).T @ np.array([0.01, 0.0, 0.5])
            samples.append(Magnetometer(sample.stamp_ns, sample.stamp_ns, down))
    states = run(Estimator(), samples)
    assert not states[0].heading_valid
    assert max(_off_rad(flight, state) for state in states if seconds(state) > 15.0) < 0.1


def _heading_error_rad(flight: simulate.Flight, state: TwinState) -> float:
    truth = frames.yaw_from_quat(flight.attitude[flight.index(state.stamp_ns)])
    return abs(frames.wrap_pi(frames.yaw_from_quat(state.q_ned_frd) - truth))


def test_px4s_heading_serves_without_a_compass_and_only_then() -> None:
    flight = simulate.fly(np.random.default_rng(13), 25.0, compass=False)
    without = run(Estimator(), simulate.with_px4_attitudes(flight))
    assert without[-1].fusions[4].used > 80
    assert without[-1].heading_valid
    assert max(_heading_error_rad(flight, s) for s in without[100:]) < 0.2
    flight = simulate.fly(np.random.default_rng(13), 25.0)
    beside = run(Estimator(), simulate.with_px4_attitudes(flight))
    assert beside[-1].fusions[4].used == 0
    assert beside[-1].fusions[3].used > 200


def test_compass_that_turns_away_is_replaced_by_px4s_heading() -> None:
    flight = simulate.fly(np.random.default_rng(14), 40.0)
    quarter = frames.rotation_from_quat(frames.quat_from_euler(0.0, 0.0, 2.0))
    turned: list[Sample] = []
    for s in simulate.with_px4_attitudes(flight):
        if isinstance(s, Magnetometer) and s.stamp_ns > simulate.START_NS + int(15e9):
            # about down: neither strength nor dip tells
            r = frames.rotation_from_quat(flight.attitude[flight.index(s.stamp_ns)])
            s = replace(s, field_frd_gauss=r.T @ quarter @ r @ s.field_frd_gauss)
        turned.append(s)
    states = run(Estimator(), turned)
    end = states[-1]
    assert end.fusions[3].rejected["field is disturbed"] > 200
    assert end.fusions[4].used > 20
    assert max(_heading_error_rad(flight, s) for s in states[100:]) < 0.35


def test_what_was_learnt_of_a_compass_is_not_taken_off_px4s_heading() -> None:
    """The compass is 0.6 rad off, the motion shows it, then the compass falls silent."""
    flight = simulate.fly(np.random.default_rng(6), 45.0)
    turn = frames.rotation_from_quat(frames.quat_from_euler(0.0, 0.0, 0.6))
    samples: list[Sample] = []
    for sample in flight.samples:
        at = sample.stamp_ns
        if isinstance(sample, Magnetometer):
            samples.append(Attitude(at, at, flight.attitude[flight.index(at)], 0))
            if at > simulate.START_NS + 28_000_000_000:
                continue
            sample = replace(sample, field_frd_gauss=turn @ sample.field_frd_gauss)
        samples.append(sample)
    states = run(Estimator(), samples)
    assert _off_rad(flight, states[0]) > 0.5
    assert max(_off_rad(flight, state) for state in states if seconds(state) > 34.0) < 0.15


def _late_compass(flight: simulate.Flight, off_rad: float) -> list[Sample]:
    """Return the flight from 12 s on, its compass turned and silent for the first 13 s of that."""
    turn = frames.rotation_from_quat(frames.quat_from_euler(0.0, 0.0, off_rad))
    samples: list[Sample] = []
    for sample in flight.samples:
        at_s = (sample.stamp_ns - simulate.START_NS) * 1e-9
        if isinstance(sample, Magnetometer):
            sample = replace(sample, field_frd_gauss=turn @ sample.field_frd_gauss)
        if at_s > 12.0 and (at_s > 25.0 or not isinstance(sample, Magnetometer)):
            samples.append(sample)
    return samples


@pytest.mark.parametrize(
    ("off_rad", "refused"),
    [(0.0, "on probation"), (1.0, "on probation"), (2.5, "field is disturbed")],
)
def test_a_compass_that_first_speaks_in_flight_is_held_against_the_heading_so_far(
    off_rad: float, refused: str
) -> None:
    """No attitude of PX4 either: GNSS and IMU alone have shown north by then.

    One that is far off turns with the aircraft, unlike Earth's field: that is seen first.
    """
    flight = simulate.fly(np.random.default_rng(9), 45.0)
    states = run(Estimator(), _late_compass(flight, off_rad))
    late = [s for s in states if seconds(s) > 24.0]
    assert max(_heading_error_rad(flight, s) for s in late) < 0.3
    assert "contradicted" not in " ".join(s.notice for s in late)
    compass = next(f for f in late[-1].fusions if f.source == "magnetometer")
    assert compass.rejected[refused] > 50
    assert (compass.used > 100) is not bool(off_rad)


def test_a_compass_that_first_speaks_on_the_ground_is_believed_at_once() -> None:
    flight = simulate.fly(np.random.default_rng(9), 12.0, rest_s=8.0)
    samples = [
        s
        for s in flight.samples
        if not isinstance(s, Magnetometer) or s.stamp_ns > simulate.START_NS + int(5e9)
    ]
    states = run(Estimator(), samples)
    assert not next(s for s in states if seconds(s) > 4.5).heading_valid
    found = next(s for s in states if seconds(s) > 5.6)
    assert found.heading_valid
    assert _heading_error_rad(flight, found) < 0.4


def test_a_compass_that_speaks_just_after_px4_is_believed_at_once() -> None:
    """As in many logs: PX4's attitude begins the heading, the first field comes a little later.

    On probation for 7 s, a flight whose motors drown the compass was left to PX4's heading.
    """
    flight = simulate.fly(np.random.default_rng(9), 12.0, rest_s=8.0)
    first_ns = simulate.START_NS + int(2.5e9)
    samples = [
        s
        for s in simulate.with_px4_attitudes(flight)
        if not isinstance(s, Magnetometer) or s.stamp_ns > first_ns
    ]
    states = run(Estimator(), samples)
    compass = next(f for f in states[-1].fusions if f.source == "magnetometer")
    assert "on probation" not in compass.rejected
    early = next(s for s in states if seconds(s) > 5.0)
    assert next(f for f in early.fusions if f.source == "magnetometer").used > 10
