# SPDX-License-Identifier: Apache-2.0
"""From changes that the filters believe in to a rotor that is named. Pure.

The file of another aircraft, or a manoeuvre that the model does not know, makes one filter of the
bank beat the others too: the least bad one. So two hypotheses are held against each other, by the
logarithm of their odds: the file is this aircraft's, or it is another's. Under the first, abrupt
changes are rare and what comes after one is foreseen; under the other, changes are needed again
and again (Poisson), and innovations stay large. A rotor is named as soon as that test is over for
its loss (Wald, "Sequential tests of statistical hypotheses", Ann. Math. Stat. 16, 1945).
"""

from __future__ import annotations

import math

from airtwin_core.types import Array
from airtwin_physics.identify.config import IdentifyConfig

_RECOVERED = 0.6  # of suspect_loss
_STILL = 0.8  # of suspect_loss, to be left when it is named
_CERTAIN = 4.0  # sigmas of a loss that nobody saw begin
_ROWS = 4  # lift and three turns, that misfit is the mean of
_TRIAL_S = 2.0  # within which a loss has to explain the flight
_OUTLIERS = 0.02  # of blocks that may be anything, whatever the file


class Suspicion:
    """``rotor``: named as weak, counted from 0; -1: none. ``strange``: the file is another's.

    ``bound``: logarithm of the odds at which one or the other is said.
    """

    def __init__(self, config: IdentifyConfig) -> None:
        self._config = c = config
        self.rotor = -1
        self.strange = False
        self._candidate = -1
        self._broken: set[int] = set()  # rotors that changed: they may go on changing
        # since the candidate's loss: time, and logarithm of the odds by what came after it
        self._trial_s = self._seen = 0.0
        self._own = self._begin = -_logit(c.strange)  # likewise that the file is this aircraft's
        self._change = math.log(c.strange_rate / c.fault_rate)
        self.bound = _logit(c.sure)
        # log of chi-square of 4 degrees over the same, stretched: 2 ln s - y / 2 (1 - 1 / s)
        s = c.misfit_strange
        self._stretch, self._slope = 0.5 * _ROWS * math.log(s), 0.5 * _ROWS * (1.0 - 1.0 / s)

    def accuse(self, rotor: int) -> None:
        """Take a rotor whose loss somebody believes in, from now on to be confirmed."""
        self._candidate, self._seen, self._trial_s = rotor, 0.0, 0.0

    def changed(self, rotor: int, *, lost: bool, grown: bool = False) -> None:
        """Take a change that was believed in: of a rotor, from 0, or of the load, -1.

        Loads are put on and dropped, and take up what wind does to a body that the model does not
        know: their changes tell nothing of the file. Nor does what a rotor does that is broken
        already: it goes on breaking as fast as it likes, and a loss that begins late in a block is
        believed in piece by piece. That a sound one changes is rare, and so is that any grows
        beyond what the file says (``grown``); but no rarer, as an outlier knows no sign.
        """
        self._candidate = -1
        if rotor >= 0 and (grown or rotor not in self._broken):
            self._own -= self._change
            self._broken.add(rotor)
        if lost:
            self.accuse(rotor)

    def look(self, effect: Array, sigma: Array) -> None:
        """Accuse a rotor whose loss is certain, though nobody saw it begin; (n,) as in ``on``."""
        worst = int(effect.argmin())
        idle = self._candidate < 0 and self.rotor < 0
        if idle and effect[worst] + _CERTAIN * sigma[worst] < -self._config.suspect_loss:
            self.accuse(worst)

    def on(self, dt: float, misfit: float, effect: Array, sigma: Array, *, placed: bool) -> None:
        """Take one block.

        ``misfit``: mean of its normalised squared innovations, 1 where the model is right;
        ``effect``, ``sigma`` (n,): what is believed of each rotor; ``placed``: turns have shown
        that the rotors sit where the file says (``turns``). Until then none is named.
        """
        c = self._config
        self._own = min(self._own + dt * (c.strange_rate - c.fault_rate), self._begin)
        if self._own < -self.bound:
            self.strange = True
        elif self._own > 0.0:
            self.strange = False
        if self.strange or (self.rotor >= 0 and effect[self.rotor] > -_RECOVERED * c.suspect_loss):
            self.rotor = -1
        if self._candidate < 0:
            self.look(effect, sigma)
            return
        self._trial_s += dt
        ratio = math.exp(self._stretch - self._slope * misfit)
        seen = self._seen + math.log((1.0 - _OUTLIERS) * ratio + _OUTLIERS)
        # turns just after a loss are badly foreseen with any file: it may begin anew (Page)
        self._seen = min(max(seen, 0.0), 2.0 * self.bound)
        if self._own + self._seen > self.bound:
            if not placed:
                return
            if effect[self._candidate] < -_STILL * c.suspect_loss:
                self.rotor = self._candidate
            self._candidate = -1
        elif self._trial_s >= _TRIAL_S:
            if self._seen < self.bound:
                self._own -= self.bound
            self._candidate = -1


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))
