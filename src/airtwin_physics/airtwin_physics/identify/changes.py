# SPDX-License-Identifier: Apache-2.0
"""What changed abruptly in a recorded flight, and what is not alike in all of it. Pure.

The fit over whole flights takes everything for constant. A rotor that loses a third of its thrust
in the middle would then be told as a centre of mass that it never had: the moment is the same. So
the filters of the flight look first, and the fit lets go what they saw change. What they did not
see, two parts of the flights still tell differently, and then nobody knows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics.identify import prior
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.identifier import Identifier
from airtwin_physics.identify.rows import CENTRE_X, CENTRE_Y, EFFECT, MASS, ROTOR_DRAG, YAW_TRIM

UNSETTLED = 3  # blocks before a change is believed in, within which it began
_UNLIKE = 4.0  # sigmas
_WATCHED = {
    "thrust_over_mass": MASS,
    "mass": MASS,
    "centre_x": CENTRE_X,
    "centre_y": CENTRE_Y,
    "rotor_drag": ROTOR_DRAG,
    "yaw_trim": YAW_TRIM,
}


class Change(NamedTuple):
    """Before ``block`` of a flight ``rotor`` (from 0) had changed, -1: the load."""

    block: int
    rotor: int


class Seen(NamedTuple):
    """The changes of one flight.

    ``strange``: why the file is another aircraft's, "": it isn't; ``placed``: turns have shown
    that the rotors sit where the file says.
    """

    changes: tuple[Change, ...]
    strange: str
    placed: bool


def seen(flight: Array, aircraft: Aircraft, config: IdentifyConfig) -> Seen:
    """Return what the filters of the flight say of its blocks (b, width)."""
    identifier, found = Identifier(aircraft, config), []
    for index, block in enumerate(flight):
        changed = identifier.take(block.copy())
        if changed > 0:
            rotor = changed - 1 if changed <= aircraft.rotor_count else -1
            found.append(Change(index, rotor))
    for _ in range(2):
        identifier.report(0, 0)  # what lies far from the file is said by the second
    return Seen(tuple(found), identifier.strange, identifier.placed)


def freed(changes: tuple[Change, ...], config: IdentifyConfig, rotors: int) -> Mapping[int, Array]:
    """Return by block the variance (N,) that each parameter gets there: it may have changed.

    When within the ``UNSETTLED`` blocks it began nobody saw, so each of them may be the first.
    """
    jumps = prior.jumps(config, rotors)
    out: dict[int, Array] = {}
    for change in changes:
        jump = jumps[1 + change.rotor if change.rotor >= 0 else -1]
        for block in range(change.block - UNSETTLED, change.block + 1):
            out[max(block, 0)] = out.get(max(block, 0), 0.0) + jump
    return out


def longest(blocks: int, changes: tuple[Change, ...]) -> tuple[int, int]:
    """Return [first, last) of the longest piece of a flight in which nothing changed."""
    edges = [0, *(change.block + 1 for change in changes), blocks + UNSETTLED]
    pieces = [(first, last - UNSETTLED) for first, last in itertools.pairwise(edges)]
    return max(pieces, key=lambda piece: piece[1] - piece[0])


def unlike(one: tuple[Array, Array], other: tuple[Array, Array], rotors: int) -> dict[str, str]:
    """Return by name of a parameter why it is not the same in two parts of the flights.

    ``one``, ``other``: theta (N,) and covariance (N, N) of each part by itself.
    """
    watched = _WATCHED | {f"rotor_{i}_effectiveness": EFFECT + i for i in range(rotors)}
    apart = np.abs(one[0] - other[0])
    sigma = np.sqrt(np.diag(one[1]) + np.diag(other[1]))
    return {
        name: f"two parts of the flights tell it {apart[index] / sigma[index]:.0f} sigmas apart: "
        "something changed that no model here knows"
        for name, index in watched.items()
        if apart[index] > _UNLIKE * sigma[index]
    }
