# SPDX-License-Identifier: Apache-2.0
"""Who is named as a weak rotor, and who is not."""

from __future__ import annotations

import numpy as np

from airtwin_core import aircraft
from airtwin_physics.identify import rows
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.suspicion import Suspicion

SIGMA = np.full(4, 0.03)
LOST = np.array([0.0, -0.2, 0.0, 0.0])


def watch(suspicion, misfit, seconds, at_s=10.0, effect=LOST):
    for k in range(round(10 * seconds)):
        suspicion.on(at_s + 0.1 * k, 0.1, misfit, effect, SIGMA)
    return suspicion.rotor


def test_a_loss_that_goes_on_to_explain_the_flight_is_named_within_its_second():
    suspicion = Suspicion(IdentifyConfig())
    suspicion.changed(10.0, 1)
    assert watch(suspicion, 1.0, 0.8) == -1
    assert watch(suspicion, 1.0, 0.4, at_s=10.8) == 1
    assert watch(suspicion, 1.0, 1.0, at_s=12.0, effect=0.1 * LOST) == -1


def test_the_least_bad_hypothesis_is_not_named():
    """A wrong file: one rotor's filter wins, and predicts badly all the same."""
    suspicion = Suspicion(IdentifyConfig())
    suspicion.changed(10.0, 1)
    assert watch(suspicion, 10.0, 3.0) == -1


def test_a_model_that_changes_all_the_time_names_nobody():
    config = IdentifyConfig()
    suspicion = Suspicion(config)
    for k in range(int(config.changes_max) + 1):
        suspicion.changed(10.0 + k, 1)
    assert watch(suspicion, 1.0, 3.0, at_s=17.0) == -1


def test_only_rotors_that_push_up_count():
    vtol = aircraft.load("standard_vtol")
    lifts = rows.lifting(vtol)
    assert lifts.tolist() == [i not in vtol.pusher_motors for i in range(vtol.rotor_count)]
    packed = rows.craft(vtol).rotors
    assert (packed[lifts, rows.K_THRUST] > 0.0).all()
    assert (packed[~lifts, rows.K_THRUST : rows.K_INFLOW + 1] == 0.0).all()
    assert not rows.lifting(aircraft.load("tailsitter")).any()
