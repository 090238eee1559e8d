# SPDX-License-Identifier: Apache-2.0
"""What a person is told to trust, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core.types import Parameter
from airtwin_record.identify_trust import judged

HOW = "the last third of the flight"


def told(*known):
    """Return a parameter of each group, known or not."""
    names = ("mass", "rotor_drag", "centre_x", "rotor_0_effectiveness", "inertia_yaw")
    return tuple(Parameter(n, "-", 1.0, 0.1, 1.0, n in known, "") for n in names)


def held(*shares, missed=0.05):
    """Return what was foreseen of the flight held back, force z missed by ``missed``."""
    return np.array([shares, [0.05, 0.05, missed, 0.5, 0.5, 0.1], [0.2] * 6])


def test_turns_that_cannot_be_foreseen_take_nothing_from_mass_and_rotors():
    """As of commands at 50 Hz: a right file once was told not to be trusted for it."""
    known = told("mass", "rotor_0_effectiveness")
    trust = judged(known, held(0.9, 0.2, 0.9, -2.3, 0.6, 0.5), HOW)
    assert [(one.names, one.good) for one in trust] == [
        (("Mass",), True),
        (("Rotor 1, effectiveness",), True),
    ]
    assert "turn x cannot be foreseen" in trust[1].why


@pytest.mark.parametrize(
    ("share", "missed", "good"), [(-0.4, 0.05, True), (-0.4, 0.5, False), (0.1, 0.5, True)]
)
def test_a_mass_is_trusted_by_a_force_that_varies_or_that_is_hardly_missed(share, missed, good):
    (one,) = judged(told("mass"), held(0.0, 0.0, share, 0.0, 0.0, 0.0, missed=missed), HOW)
    assert one.good is good


def test_drag_that_foresees_no_force_is_not_to_be_trusted():
    (one,) = judged(told("rotor_drag"), held(-0.1, -0.2, 0.9, 0.5, 0.5, 0.5), HOW)
    assert one.names == ("Rotor drag",)
    assert not one.good


def test_what_is_unknown_gets_no_verdict():
    assert judged(told("inertia_yaw"), held(*[0.9] * 6), HOW) == ()


def test_drag_is_judged_by_the_axis_that_swung():
    """A flight north and south never moves force y: of that nothing can be said."""
    (one,) = judged(told("rotor_drag"), held(0.6, np.nan, 0.9, 0.5, 0.5, 0.5), HOW)
    assert one.good
    assert "force x 60 %" in one.why
