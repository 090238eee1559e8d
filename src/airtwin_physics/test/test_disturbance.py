# SPDX-License-Identifier: Apache-2.0
"""Iron and currents near the compass: what they change of the field tells what they may turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, GnssFix, Magnetometer, Sample, TwinState
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import disturbance, kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.kernel import N
from airtwin_physics.ekf.sensors.heading import Heading
from airtwin_physics.estimator import Estimator

import aided  # isort: skip
import simulate  # isort: skip
from filter_states import random_covariance, random_state  # isort: skip


def _field(level: Array, down: Array, memory: float = 1e4, unsure2: float = 0.01) -> Array:
    """Return what is seen of level fields (n,), real or north + i east, and down parts (n,)."""
    field = np.zeros(disturbance.N_SEEN)
    for across, below in zip(level.tolist(), down.tolist(), strict=True):
        seen = complex(across)
        disturbance.see(field, seen.real, seen.imag, below, unsure2, 1e-4, memory)
    return field


def _lasting2(field: Array) -> float:
    return disturbance.turned2(field)[0]


def _now2(field: Array) -> float:
    return disturbance.turned2(field)[1]


def test_means_and_scatter_are_those_of_the_formulas() -> None:
    rng = np.random.default_rng(7)
    fields, unsure2, noise2, memory = rng.normal(0.3, 0.2, size=(40, 3)), 0.02, 0.03, 25.0
    seen, mean = np.zeros(disturbance.N_SEEN), np.zeros(4)  # north, east, level size, down
    scatter = np.zeros(3)  # along, across, down
    for k, (north, east, down) in enumerate(fields):
        now = np.array([north, east, np.hypot(north, east), down])
        off, share, size2 = now - mean, 1.0 / min(k + 1, memory), mean[2] ** 2
        across2 = off[:2] @ off[:2] - off[2] ** 2 - unsure2 * size2
        one = np.array([off[2] ** 2, across2, off[3] ** 2])
        scatter += share * (one * (1.0 - share) - scatter)
        mean += share * off
        if across2 <= 9.0 * (unsure2 + noise2) * mean[2] ** 2:
            one[1] = 0.0
        disturbance.see(seen, north, east, down, unsure2, noise2, memory)
        np.testing.assert_allclose(seen[1:5], mean, rtol=1e-12)
        shown = disturbance.turned2(seen)
        for of, turned2 in zip((scatter, one * (1.0 - share) ** 2), shown, strict=True):
            turning2 = max(of[0], 0.5 * (of[0] + of[2]), of[1])
            assert turned2 == pytest.approx(turning2 / mean[2] ** 2, rel=1e-9)


def test_a_look_takes_from_a_field_what_the_models_and_the_attitude_say() -> None:
    rng = np.random.default_rng(8)
    x, p, field = random_state(rng), random_covariance(rng), np.array([0.2, -0.1, 0.4])
    seen, by_hand = np.zeros(disturbance.N_SEEN), np.zeros(disturbance.N_SEEN)
    h, row, tilted, out = np.empty(N), np.empty(N), np.empty(N), np.empty(disturbance.N_LOOK)
    for k in range(5):
        field[k % 3] += 0.1
        assert disturbance.look(x, p, field, 0.01, seen, 50.0, h, out)
        shown = models.magnetic_declination(x, field, row, tilted)
        np.testing.assert_array_equal(h, row)
        row[kernel.HEADING] = 0.0
        known2, unsure2 = 0.01 + tilted @ p @ tilted, row @ p @ row
        ned = frames.rotation_from_quat(x[kernel.X_Q : kernel.X_Q + 4]) @ field
        disturbance.see(by_hand, *ned, unsure2, known2, 50.0)
        beyond = [max(turned2 - known2, 0.0) for turned2 in disturbance.turned2(by_hand)]
        np.testing.assert_allclose(out, [shown, known2, unsure2, *beyond], rtol=1e-9, atol=1e-12)
    x[kernel.X_Q : kernel.X_Q + 4] = [1.0, 0.0, 0.0, 0.0]
    assert not disturbance.look(x, p, np.array([0.01, 0.0, 0.4]), 0.01, seen, 50.0, h, out)


def test_iron_on_a_turning_aircraft_shows_as_much_along_the_field_as_across_it() -> None:
    turn = np.linspace(0.0, 6.0 * np.pi, 600)
    seen = 0.2 + 0.05 * np.exp(1j * turn)  # level field and iron, seen from the north
    field = _field(np.abs(seen), np.full(600, 0.43))
    assert np.sqrt(_lasting2(field)) == pytest.approx(np.angle(seen).std(), rel=0.1)


def test_currents_show_in_all_directions_alike() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3, 4000)) * 0.02
    field = _field(0.3 + noise[0], 0.4 + noise[1])
    assert np.sqrt(_lasting2(field)) == pytest.approx(np.std(noise[2]) / 0.3, rel=0.1)


def test_a_steady_field_is_undisturbed_and_a_step_is_seen_at_once() -> None:
    level, down = np.full(500, 0.2), np.full(500, 0.4)
    field = _field(level, down)
    assert _lasting2(field) == _now2(field) == 0.0
    disturbance.see(field, 0.3, 0.0, 0.4, 0.01, 1e-4, 1e4)
    assert np.sqrt(_now2(field)) == pytest.approx(0.5, rel=0.05)


def test_what_turns_the_field_alone_is_seen_where_the_gyro_holds_the_heading() -> None:
    turned = 0.2 * np.exp(1j * np.where(np.arange(600) < 300, 0.0, 2.5))
    steady = np.full(600, 0.4)
    at_once = _field(turned[:301], steady[:301])
    assert np.sqrt(_now2(at_once)) == pytest.approx(2.0 * np.sin(1.25), rel=0.05)
    assert np.sqrt(_lasting2(_field(turned, steady))) > 0.5
    unsure = _field(turned[:301], steady[:301], unsure2=9.0)
    assert _now2(unsure) == pytest.approx(0.0, abs=1e-12)  # its strength has not changed


def test_one_field_that_lies_across_by_chance_is_excused_by_nothing() -> None:
    field = _field(np.full(500, 0.2), np.full(500, 0.4))
    for angle, seen in ((0.25, 0.0), (0.5, 0.5)):  # 2.5 and 5 of its sigmas, 0.1 rad
        one = 0.2 * np.exp(1j * angle)
        disturbance.see(field, one.real, one.imag, 0.4, 0.0, 0.01, 1e4)
        assert np.sqrt(max(_now2(field), 0.0)) == pytest.approx(seen, abs=0.02)


def test_a_heading_that_is_found_to_be_another_disturbs_nothing() -> None:
    field = _field(np.full(300, 0.2 + 0j), np.full(300, 0.4))
    disturbance.turn(field, 0.7)
    after = 0.2 * np.exp(0.7j)
    for _ in range(300):
        disturbance.see(field, after.real, after.imag, 0.4, 0.0, 1e-4, 1e4)
    assert _lasting2(field) == pytest.approx(0.0, abs=1e-12)


def test_what_was_is_forgotten() -> None:
    rng = np.random.default_rng(2)
    level = 0.2 + np.where(np.arange(3000) < 500, rng.normal(size=3000) * 0.05, 0.0)
    field = _field(level, np.full(3000, 0.4), memory=100.0)
    assert np.sqrt(_lasting2(field)) < 0.01


def _changed(flight: simulate.Flight, change: Callable[[float], Array]) -> list[Sample]:
    """Return the samples with ``change`` (seconds) added to the field in body axes."""
    samples: list[Sample] = []
    for s in flight.samples:
        if isinstance(s, Magnetometer):
            at_s = (s.stamp_ns - simulate.START_NS) * 1e-9
            s = replace(s, field_frd_gauss=s.field_frd_gauss + change(at_s))
        samples.append(s)
    return samples


def _headings(flight: simulate.Flight, samples: list[Sample]) -> tuple[Array, Array]:
    """Return errors of heading and their claimed sigmas (n,) [rad]."""
    estimator = Estimator()
    states: list[TwinState] = [s for x in samples if (s := estimator.on(x)) is not None]
    off, sigma = [], []
    for s in states[50:]:
        truth = frames.yaw_from_quat(flight.attitude[flight.index(s.stamp_ns)])
        off.append(frames.wrap_pi(frames.yaw_from_quat(s.q_ned_frd) - truth))
        down = frames.rotation_from_quat(s.q_ned_frd)[2]
        sigma.append(np.sqrt(down @ s.covariance[6:9, 6:9] @ down))
    return np.array(off), np.array(sigma)


def test_a_compass_with_iron_beside_it_is_doubted_as_far_as_it_errs() -> None:
    clean = simulate.Errors(heading_offset_rad=0.0, heading_rad=0.02)
    iron = np.array([0.06, 0.07, 0.0])  # of a level field of 0.21
    ratios = []
    for seed in range(4):
        flight = simulate.fly(np.random.default_rng(seed), 40.0, clean)
        off, sigma = _headings(flight, _changed(flight, lambda _: iron))
        ratios.append(np.sqrt(np.mean((off / sigma) ** 2)))
        assert np.max(np.abs(off) / sigma) < 4.0
    assert np.mean(ratios) < 1.6


def test_iron_is_another_offset_at_another_heading() -> None:
    config = EstimatorConfig()
    belief = Belief(config)
    heading = Heading(config, belief, Anchor(config.recover_s, config.gnss_doubt_s))
    belief.x[6:10] = frames.quat_from_euler(0.0, 0.0, 0.0)
    belief.p[:] = 1e-6 * np.eye(kernel.N)
    lasting2 = 0.04

    def doubted2(yaw_rad: float) -> float:
        belief.x[6:10] = frames.quat_from_euler(0.1, -0.2, yaw_rad)
        heading._allow_for(lasting2)
        return float(belief.p[kernel.HEADING, kernel.HEADING])

    straight = doubted2(0.0)
    assert straight == pytest.approx(lasting2, rel=0.01)
    turned = doubted2(0.3)
    assert turned - straight == pytest.approx(2.0 * lasting2 * 0.3, rel=1e-6)
    assert doubted2(0.3) == turned  # who flies straight on meets nothing new
    about = max(doubted2(k) for k in np.arange(0.3, 40.0, 0.3))
    assert about == pytest.approx(config.magnetometer_offset_rad**2 + 2.0 * lasting2)
    others = np.delete(np.delete(belief.p, kernel.HEADING, 0), kernel.HEADING, 1)
    np.testing.assert_array_equal(others, 1e-6 * np.eye(kernel.N - 1))


def test_currents_that_drown_the_field_leave_the_heading_to_px4() -> None:
    flight = aided.without(simulate.fly(np.random.default_rng(5), 40.0), GnssFix)
    rng = np.random.default_rng(6)

    def currents(at_s: float) -> Array:
        return rng.normal(size=3) * 0.3 + [0.05, -0.25, 0.0] if at_s > 5.0 else np.zeros(3)

    samples: list[Sample] = []
    for s in _changed(flight, currents):
        samples.append(s)
        if isinstance(s, Magnetometer):
            q = flight.attitude[flight.index(s.stamp_ns)]
            samples.append(Attitude(s.stamp_ns, s.received_ns, q, 0))
    off, _ = _headings(flight, samples)
    assert np.max(np.abs(off[-100:])) < 0.3


@pytest.mark.parametrize("turned_by_px4", [True, False])
def test_currents_that_turn_the_compass_at_take_off_turn_neither_heading_nor_claim(
    turned_by_px4: bool,
) -> None:
    """As on two real flights: by 150 deg, the strength hardly changed, and PX4 goes along."""
    flight = aided.without(simulate.fly(np.random.default_rng(7), 40.0), GnssFix)
    away, began_s = np.radians(150.0), 8.0
    samples: list[Sample] = []
    for s in flight.samples:
        if isinstance(s, Magnetometer):
            at_s = (s.stamp_ns - simulate.START_NS) * 1e-9
            q = flight.attitude[flight.index(s.stamp_ns)]
            if at_s > began_s:
                rotation = frames.rotation_from_quat(q)
                wrong = frames.rotation_from_quat(frames.quat_from_euler(0.0, 0.0, away))
                field = rotation.T @ wrong @ rotation @ s.field_frd_gauss
                s = replace(s, field_frd_gauss=1.15 * field)
            px4 = q
            if turned_by_px4 and at_s > began_s + 5.0:  # after that its filter gives in
                about = frames.quat_from_euler(0.0, 0.0, -away)
                px4 = frames.quat_multiply(about, q)
            samples.append(Attitude(s.stamp_ns, s.received_ns, px4, 0))
        samples.append(s)
    off, sigma = _headings(flight, samples)
    assert np.max(np.abs(off)) < 0.5
    assert np.max(np.abs(off) / sigma) < 4.0
