# SPDX-License-Identifier: Apache-2.0
"""Which of the identified values a person may trust, and what that rests on, in words. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from airtwin_core.types import Array, Parameter
from airtwin_physics.identify.fit import AXES
from airtwin_record.identify_names import name_of

_LIFT = re.compile(r"mass$|thrust_over_mass$|thrust_constant$")
_DRAG = re.compile(r"rotor_drag$|body_drag_area$")
_PLACES = re.compile(r"centre_|yaw_trim|rotor_\d")
_LIFT_M_S2 = 0.2  # force z missed by less than 2 % of gravity tells mass, however little it varied


class Trust(NamedTuple):
    """Values that rest on the same: ``names`` as a person reads them, ``good``, and ``why``."""

    names: tuple[str, ...]
    good: bool
    why: str


def judged(parameters: tuple[Parameter, ...], held_out: Array, how: str) -> tuple[Trust, ...]:
    """Return a verdict for each group of known values; what is unknown says why itself.

    ``held_out``: (3, 6) as ``level_wind.explained`` has it, of flight that the fit never saw;
    ``how``: which flight that is.
    """
    out: list[Trust] = []

    def add(group: re.Pattern[str], *, good: bool, why: str) -> None:
        names = tuple(name_of(p.name) for p in parameters if p.known and group.match(p.name))
        if names:
            out.append(Trust(names, good, why))

    share, missed = held_out[0], float(held_out[1, 2])
    lift = f"force z of {how} is foreseen to {missed:.2f} m/s², {_percent(share[2])} of its swings"
    add(_LIFT, good=bool(share[2] >= 0.0 or missed <= _LIFT_M_S2), why=lift)
    best = int(np.argmax(np.nan_to_num(share[:2], nan=-np.inf)))
    level = f"of the swings of {AXES[best]} {_percent(share[best])} are foreseen"
    add(_DRAG, good=bool(share[best] >= 0.0), why=level)
    places = "turns have gone with the commands as the file's places of the rotors say"
    unseen = [AXES[k] for k in (3, 4, 5) if not share[k] >= 0.0]
    if unseen:
        places += (
            f"; block by block {' and '.join(unseen)} cannot be foreseen (motor commands "
            "published too seldom, or an inertia that is not the file's), which the intervals hold"
        )
    add(_PLACES, good=True, why=places)  # known at all only where turns have shown it
    return tuple(out)


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %" if share >= 0.0 else "none"
