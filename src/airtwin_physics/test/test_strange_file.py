# SPDX-License-Identifier: Apache-2.0
"""The twin of an aircraft whose file is another's: it notices, says so, and learns drag anew."""

from __future__ import annotations

import numpy as np
from identify_flights import X500, there_and_back

from airtwin_physics import dynamics
from airtwin_physics.ekf import kernel
from airtwin_physics.estimator import Estimator
from airtwin_sim.scenario import Fault

STEADY = (3.0, -2.0, 0.0)  # [m/s]


def flown(factor: float, seed: int, *, windy: bool) -> tuple[Estimator, list]:
    """Fly there and back, drag ``factor`` times the file's; ``windy``: gusts, else steady wind."""

    def thick(world):
        world.fleet.model.rotors[0, :, dynamics.K_DRAG] *= factor
        if not windy:
            world.inject(Fault(kind="wind", start_s=1.0, vector=STEADY))

    estimator, states = Estimator(aircraft=X500), []
    for sample in there_and_back(16.0, seed=seed, windy=windy, change=thick):
        state = estimator.on(sample)
        if state is not None:
            states.append(state)
    return estimator, states


def test_drag_far_from_the_files_is_said_and_learnt_without_it():
    estimator, states = flown(6.0, seed=3, windy=False)
    assert "the aircraft file does not fit: drag" in states[-1].notice
    wind = states[-1].wind
    assert wind.valid
    assert np.hypot(*(wind.mean_ne_m_s - np.array(STEADY[:2]))) < 1.5
    # another start knows the drag no better than without a file
    estimator.reset("test")
    assert estimator._belief.air.drag_sigma == estimator._config.drag_sigma


def test_the_right_file_is_not_doubted_in_gusts():
    _, states = flown(1.0, seed=4, windy=True)
    assert not any("does not fit" in state.notice for state in states)


def test_what_the_identification_says_of_the_file_widens_drag_once():
    estimator, _ = flown(1.0, seed=6, windy=False)
    p = estimator._belief.p
    before = p[kernel.DRAG, kernel.DRAG]
    estimator.doubt_file("the aircraft file does not fit: mass")
    estimator.doubt_file("the aircraft file does not fit: mass")
    more = estimator._config.drag_sigma**2 - estimator._config.drag_file_sigma**2
    assert np.isclose(p[kernel.DRAG, kernel.DRAG] - before, more, rtol=1e-9)
    assert np.linalg.eigvalsh(p).min() > -1e-9
    assert "mass" in estimator._sensors.notice(1e9)
    unknown = Estimator()
    unknown.doubt_file("a file that there is not")
    assert not unknown._sensors.air.strange
