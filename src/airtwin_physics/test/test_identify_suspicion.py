# SPDX-License-Identifier: Apache-2.0
"""Who is named as a weak rotor, and who is not."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_physics.identify import bank, model, prior, rows, verdict
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.identifier import Identifier
from airtwin_physics.identify.suspicion import Suspicion

SIGMA = np.full(4, 0.03)
LOST = np.array([0.0, -0.2, 0.0, 0.0])


def watch(suspicion, misfit, seconds, effect=LOST, *, placed=True):
    for _ in range(round(10 * seconds)):
        suspicion.on(0.1, misfit, effect, SIGMA, placed=placed)
    return suspicion.rotor


def suspect(rotor=1):
    suspicion = Suspicion(IdentifyConfig())
    suspicion.changed(rotor, lost=True)
    return suspicion


def test_a_loss_that_goes_on_to_explain_the_flight_is_named_within_its_second():
    suspicion = suspect()
    assert watch(suspicion, 1.0, 0.2) == -1
    assert watch(suspicion, 1.0, 0.3) == 1
    assert watch(suspicion, 1.0, 0.1, effect=0.1 * LOST) == -1


def test_none_is_named_before_turns_have_shown_where_the_rotors_sit():
    suspicion = suspect()
    assert watch(suspicion, 1.0, 3.0, placed=False) == -1
    assert watch(suspicion, 1.0, 0.1) == 1


def test_turns_that_nobody_foresaw_at_first_do_not_acquit():
    suspicion = suspect()
    watch(suspicion, 10.0, 0.4)
    assert watch(suspicion, 1.0, 0.6) == 1


def test_the_least_bad_hypothesis_is_not_named_and_makes_the_file_strange():
    """A wrong file: one rotor's filter wins, and predicts badly all the same."""
    suspicion = suspect()
    assert watch(suspicion, 10.0, 3.0) == -1
    suspicion.changed(2, lost=True)
    watch(suspicion, 10.0, 3.0)
    assert suspicion.strange


@pytest.mark.parametrize(("apart_s", "strange"), [(5.0, True), (90.0, False)])
def test_rotors_that_change_again_and_again_are_another_aircrafts(apart_s, strange):
    suspicion, sound = Suspicion(IdentifyConfig()), np.zeros(4)
    for rotor in (0, 2, 1):
        watch(suspicion, 1.0, apart_s, effect=sound)
        suspicion.changed(rotor, lost=True)
    watch(suspicion, 1.0, 2.0)
    assert suspicion.strange is strange
    assert suspicion.rotor == (-1 if strange else 1)
    watch(suspicion, 1.0, 200.0)
    assert not suspicion.strange


@pytest.mark.parametrize("apart_s", [0.1, 3.0])
def test_a_rotor_that_breaks_piece_by_piece_is_one_that_breaks(apart_s):
    """A loss that begins late in a block is believed in twice; a broken rotor breaks further."""
    suspicion = Suspicion(IdentifyConfig())
    for piece in (1, 2, 3):
        suspicion.changed(1, lost=True)
        watch(suspicion, 1.0, apart_s, effect=piece / 3.0 * LOST)
        assert not suspicion.strange
    assert watch(suspicion, 1.0, 2.0) == 1


def hover_blocks(rng, loss, share):
    """Return blocks of a hover of 4.4 s; the rotor of index 2 weakens ``share`` before 3.1 s."""
    x500 = aircraft.load("x500")
    craft, n, begin = rows.craft(x500), x500.rotor_count, 30
    square = x500.mass_kg * GRAVITY_M_S2 / (n * x500.rotors.thrust_n_s2)
    still, slopes = np.zeros(3), np.empty((6, rows.size(n)))
    out = np.zeros((44, rows.width(n)))
    for k, block in enumerate(out):
        block[rows.SPAN], block[rows.STAMP], block[rows.HEIGHT] = 0.1, 0.1 * (k + 1), 5.0
        block[rows.ROTATION : rows.ROTATION + 9] = np.eye(3).ravel()
        squares = np.full(n, square)
        # the autopilot gives it more from the next but one block on, over half a second
        squares *= 1.0 + 0.02 * rng.normal(size=n)  # commands jitter, and the aircraft follows
        squares[2] *= 1.0 + np.clip((k - begin - 1) / 5.0, 0.0, 1.0) * loss / (1.0 - loss)
        block[rows.SQUARE : rows.SQUARE + n] = squares
        block[rows.SQUARE + n : rows.SQUARE + 2 * n] = np.sqrt(squares)
        theta = np.zeros(rows.size(n))
        theta[rows.EFFECT + 2] = -loss * (k > begin or share * (k == begin))
        bank.swept(theta, block, still)
        model.felt(theta, block, still, craft, block[rows.FORCE : rows.RATE], slopes)
        block[rows.FORCE : rows.RATE] += rng.normal(size=6) * [0.03, 0.03, 0.03, 0.15, 0.15, 0.07]
    return out


@pytest.mark.parametrize("loss", [0.35, 0.5])
@pytest.mark.parametrize("share", [0.06, 0.12, 0.24, 0.9])
def test_whenever_a_loss_begins_within_a_block_it_is_named_and_the_file_trusted(loss, share):
    """A first tenth of it is a change of its own, big enough to be believed in."""
    for seed in range(3):
        identifier = Identifier(aircraft.load("x500"))
        for block in hover_blocks(np.random.default_rng(seed), loss, share):
            identifier.take(block)
            assert identifier.strange == ""
        assert identifier.suspect == 2


def test_a_rotor_that_grows_is_no_rotors_doing():
    """Once may be an outlier; that it goes on is another aircraft, whichever rotor it is."""
    suspicion = Suspicion(IdentifyConfig())
    for strange in (False, True):
        suspicion.changed(1, lost=False, grown=True)
        watch(suspicion, 1.0, 0.1)
        assert suspicion.strange is strange


def test_loads_may_come_and_go():
    suspicion = Suspicion(IdentifyConfig())
    for _ in range(5):
        suspicion.changed(-1, lost=False)
        watch(suspicion, 1.0, 1.0, effect=0.1 * LOST)
    assert not suspicion.strange
    suspicion.changed(1, lost=True)
    assert watch(suspicion, 1.0, 0.5) == 1


@pytest.mark.parametrize(
    ("index", "value", "said"),
    [
        (rows.MASS, 0.6, ""),  # heavily loaded
        (rows.MASS, -1.4, "mass"),
        (rows.CENTRE_Y, 0.08, "centre of mass"),
        (rows.EFFECT + 2, -0.5, ""),  # one weak rotor
    ],
)
def test_what_no_aircraft_of_the_file_would_be_is_said(index, value, said):
    config = IdentifyConfig()
    first = prior.covariance(config, rows.craft(aircraft.load("x500")))
    theta = np.zeros(len(first))
    theta[index] = value
    assert verdict.contradicted(first, theta, 0.01 * first) == (said and verdict.STRANGE + said)


def test_two_rotors_half_gone_are_another_aircraft():
    config = IdentifyConfig()
    first = prior.covariance(config, rows.craft(aircraft.load("octocopter")))
    theta = np.zeros(len(first))
    theta[rows.EFFECT : rows.EFFECT + 2] = -0.5
    assert verdict.contradicted(first, theta, 0.01 * first) == verdict.STRANGE + "rotors"


def test_only_rotors_that_push_up_count():
    vtol = aircraft.load("standard_vtol")
    lifts = rows.lifting(vtol)
    assert lifts.tolist() == [i not in vtol.pusher_motors for i in range(vtol.rotor_count)]
    packed = rows.craft(vtol).rotors
    assert (packed[lifts, rows.K_THRUST] > 0.0).all()
    assert (packed[~lifts, rows.K_THRUST : rows.K_INFLOW + 1] == 0.0).all()
    assert not rows.lifting(aircraft.load("tailsitter")).any()
