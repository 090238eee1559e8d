# SPDX-License-Identifier: Apache-2.0
"""Files with the rotors in other places: said, and before any rotor is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from identify_flights import X500, Watch, samples, values

from airtwin_core.aircraft import load
from airtwin_physics.identify import rows, verdict
from airtwin_physics.identify.identifier import Identifier
from airtwin_physics.identify.turns import Turns

BOUND = 4.6
# rotors of the x500: front right, rear left, front left, rear right
ORDERS = {
    "a quarter turned": [3, 2, 0, 1],
    "half turned": [1, 0, 3, 2],
    "rear for front": [3, 2, 1, 0],
    "left for right": [2, 3, 0, 1],
}


def renumbered(order):
    return replace(
        X500,
        rotor_positions_frd_m=X500.rotor_positions_frd_m[order],
        rotor_turns=X500.rotor_turns[order],
    )


def blocks(rng, count, follows):
    """Yield blocks of an x500 whose turns are a share of what its rotors do, and gusts."""
    craft = rows.craft(X500)
    k, r = craft.rotors[:, rows.K_THRUST], craft.rotors
    torque = np.stack(
        (-r[:, rows.RY] * k, r[:, rows.RX] * k, -r[:, rows.TURNS] * r[:, rows.K_MOMENT] * k)
    )
    hover = X500.mass_kg * 9.80665 / k.sum()
    for _ in range(count):
        block = np.zeros(rows.width(4))
        block[rows.SPAN] = 0.1
        square = hover * (1.0 + 0.01 * rng.normal(size=4))
        block[rows.SQUARE : rows.SQUARE + 4] = square
        turn = craft.inertia_inverse @ torque @ square
        block[rows.TURN : rows.TURN + 3] = follows * turn + 0.2 * rng.normal(size=3)
        yield block


@pytest.mark.parametrize("seed", range(5))
def test_turns_that_follow_the_commands_are_trusted(seed):
    turns = Turns(rows.craft(X500), BOUND)
    for block in blocks(np.random.default_rng(seed), 300, 0.4):
        turns.on(block)
        assert not turns.strange
    assert turns.trusted


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("seed", range(3))
def test_turns_of_rotors_elsewhere_are_strange(order, seed):
    turns = Turns(rows.craft(renumbered(order)), BOUND)
    for block in blocks(np.random.default_rng(seed), 300, 0.4):
        turns.on(block)
        assert not turns.trusted
    assert turns.strange


def test_turns_that_nothing_foresees_tell_little():
    """Commands published too seldom: rarely is the file called strange."""
    strange, trusted = 0, 0
    for seed in range(20):
        turns = Turns(rows.craft(X500), BOUND)
        for block in blocks(np.random.default_rng(seed), 300, 0.0):
            turns.on(block)
        strange += turns.strange
        trusted += turns.trusted
    assert strange <= 2
    assert trusted <= 7


@pytest.fixture(scope="module")
def flown():
    return values(samples(24.0, seed=12, windy=True))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_file_with_the_rotors_in_another_order_is_said_to_be_another_aircrafts(flown, order):
    watch = Watch(flown, Identifier(renumbered(order)))
    watch.identifier.report(0, 0)
    assert watch.identifier.strange.startswith(verdict.STRANGE)
    assert (watch.suspects == -1).all()


@pytest.mark.parametrize("ratio", [0.6, 0.8, 1.2, 1.4, 1.6])
def test_another_mass_is_a_mass_and_not_another_aircraft(flown, ratio):
    watch = Watch(flown, Identifier(replace(X500, mass_kg=X500.mass_kg / ratio)))
    parameters = {p.name: p for p in watch.identifier.report(0, 0).parameters}
    assert watch.identifier.strange == ""
    assert (watch.suspects == -1).all()
    for name, truth in (
        ("mass", X500.mass_kg),
        ("thrust_over_mass", X500.rotors.thrust_n_s2 / X500.mass_kg),
    ):
        told = parameters[name]
        assert told.known
        assert abs(told.value - truth) < 3.0 * told.sigma
        assert told.value == pytest.approx(truth, rel=0.04)


def test_a_file_with_another_number_of_motors_is_said_at_once(flown):
    watch = Watch(flown, Identifier(load("octocopter")))
    report = watch.identifier.report(0, 0)
    assert watch.identifier.strange == verdict.STRANGE + "4 motors are commanded"
    assert not any(p.known for p in report.parameters)
    assert (watch.suspects == -1).all()
