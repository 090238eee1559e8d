# SPDX-License-Identifier: Apache-2.0
"""From changes that the filters believe in to a rotor that is named. Pure.

A wrong aircraft file, or a manoeuvre that the model does not know, makes one filter of the bank
beat the others too: the least bad one. So a rotor is named only if the model then goes on to
explain the flight, with that rotor weak, for ``confirm_s``; and nobody is named where changes are
believed in so often that the file cannot be this aircraft's.
"""

from __future__ import annotations

from airtwin_core.types import Array
from airtwin_physics.identify.config import IdentifyConfig

_RECOVERED = 0.6  # of suspect_loss
_STILL = 0.8  # of suspect_loss, to be left when it is named
_MISFIT_CAP = 50.0
_MEMORY_S = 30.0
_CERTAIN = 4.0  # sigmas of a loss that nobody saw begin


class Suspicion:
    """``rotor``: named as weak, counted from 0; -1: none."""

    def __init__(self, config: IdentifyConfig) -> None:
        self._config = config
        self.rotor = -1
        self._candidate = -1
        self._seen_s = self._misfit = 0.0
        self._changes_s: list[float] = []

    def accuse(self, rotor: int) -> None:
        """Take a rotor whose loss somebody believes in, from now on to be confirmed."""
        self._candidate, self._seen_s, self._misfit = rotor, 0.0, 0.0

    def changed(self, at_s: float, rotor: int) -> None:
        """Take a change that was believed in at a time of flight; ``rotor`` -1: not a loss."""
        self._changes_s.append(at_s)
        if rotor >= 0:
            self.accuse(rotor)
        else:
            self._candidate = -1

    def on(self, at_s: float, dt: float, misfit: float, effect: Array, sigma: Array) -> None:
        """Take one block.

        ``misfit``: mean of its normalised squared innovations, 1 where the model is right;
        ``effect``, ``sigma`` (n,): what is believed of each rotor.
        """
        c = self._config
        self._changes_s = [s for s in self._changes_s if at_s - s < _MEMORY_S]
        if len(self._changes_s) > c.changes_max:
            self.rotor = self._candidate = -1
            return
        if self.rotor >= 0 and effect[self.rotor] > -_RECOVERED * c.suspect_loss:
            self.rotor = -1
        if self._candidate < 0:
            worst = int(effect.argmin())
            if self.rotor < 0 and effect[worst] + _CERTAIN * sigma[worst] < -c.suspect_loss:
                self.accuse(worst)
            return
        self._seen_s += dt
        self._misfit += dt * min(misfit, _MISFIT_CAP)
        if self._seen_s < c.confirm_s:
            return
        explained = self._misfit <= c.misfit_max * self._seen_s
        if explained and effect[self._candidate] < -_STILL * c.suspect_loss:
            self.rotor = self._candidate
        self._candidate = -1
