# SPDX-License-Identifier: Apache-2.0
"""Does the aircraft turn as its commands say, by the file's places and turns of the rotors? Pure.

A file with rotors in another order, or another aircraft's, foresees a roll where a pitch or the
opposite comes. How much of a turn is foreseen says little: gusts turn the aircraft too, the
autopilot answers them, and commands are published seldom. But the right file's foreseen roll goes
with a measured roll, and with little else. So the (3, 3) correlations r of turns measured with
turns foreseen, over n blocks, are held against hypotheses, each element by itself, normal:

    the file's geometry:    own axis 0.4, sigma 0.2                other axes 0, sigma 0.25
    another, one in five:   all 0, sigma 0.4                       each and 2 / n of noise
    mirrored, one in five:  own axis 0.4 or -0.4, sigma 0.2        other axes 0, sigma 0.25
    swapped, the rest:      likewise, but two axes for each other  (roll and pitch: a quarter turn)

An answer to gusts goes against the turn, so r may be nothing with the right file; then neither
wins but by chance (of 40 flights without any correlation, 30 s each, seven were trusted at some
time and two called strange).

It is a sequential test (Wald, 1945): once one of them has won, that stands for the flight.
"""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify.rows import (
    K_MOMENT,
    K_THRUST,
    RX,
    RY,
    SPAN,
    SQUARE,
    TURN,
    TURNS,
    Craft,
)

_OWN, _OWN_SIGMA2, _CROSS2, _OTHER2 = 0.4, 0.2**2, 0.25**2, 0.4**2
# where turns go with turns if the rotors sit elsewhere: (3, 3) each
_MOVED = [np.eye(3)[list(axes)] > 0.0 for axes in ((0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1))]
_SLOW_S = 1.0  # what lasts longer is trim, wind, or a rotor that is weak
_MEMORY_S = 30.0
_LIMIT = 2.0  # sigmas, beyond which a turn counts no more
_FITS = 2.8  # logarithm of the odds from which on the geometry is the file's; 3.7 is the most
_TRUSTED = 1.5  # from which on a rotor may be named
_BLOCKS_MIN = 10  # before, correlations are anything
_ALIKE = 2.0  # neighbouring blocks that count as one


class Turns:
    """``odds``: logarithm of the odds that the rotors sit where the file says.

    ``trusted``: turns have gone with commands so far that a rotor may be named; a loss that comes
    later spoils the correlations, and takes nothing of that back.
    """

    def __init__(self, craft: Craft, bound: float) -> None:
        """``bound``: logarithm of the odds at which the file is called another's."""
        rotors, self._bound = craft.rotors, bound
        k = rotors[:, K_THRUST]
        torque = np.stack(
            (-rotors[:, RY] * k, rotors[:, RX] * k, -rotors[:, TURNS] * rotors[:, K_MOMENT] * k)
        )
        self._turn = craft.inertia_inverse @ torque  # (3, n) [rad/s^2] per squared speed
        self._mean: Array | None = None
        self._variance = np.zeros((2, 3))
        self._square = np.zeros((2, 3))
        self._product = np.zeros((3, 3))
        self._count = 0.0
        self.odds = 0.0
        self.decided = self.trusted = False

    @property
    def strange(self) -> bool:
        """Return whether the rotors sit elsewhere."""
        return self.decided and self.odds < 0.0

    def on(self, block: Array) -> None:
        """Take one block."""
        if self.decided:
            return
        dt, n = float(block[SPAN]), self._turn.shape[1]
        both = np.stack((block[TURN : TURN + 3], self._turn @ block[SQUARE : SQUARE + n]))
        if self._mean is None:
            self._mean = both
            return
        away = both - self._mean
        self._mean = self._mean + min(dt / _SLOW_S, 1.0) * away
        forget = dt / _MEMORY_S
        if self._count == 0.0:
            self._variance = away**2 + 1e-4
        share = max(forget, 1.0 / (2.0 + self._count))
        most = (2.0 * _LIMIT) ** 2 * self._variance
        self._variance += share * (np.minimum(away**2, most) - self._variance)
        told, foreseen = np.clip(away / np.sqrt(self._variance + 1e-12), -_LIMIT, _LIMIT)
        keep = 1.0 - forget
        self._count = keep * self._count + 1.0
        self._square = keep * self._square + np.stack((told, foreseen)) ** 2
        self._product = keep * self._product + np.outer(told, foreseen)
        if self._count >= _BLOCKS_MIN:
            self._judge()

    def _judge(self) -> None:
        r = self._product / np.sqrt(np.outer(*self._square) + 1e-9)
        noise = _ALIKE / self._count
        follows = _log_normal(r, _OWN, _OWN_SIGMA2 + noise)
        either = np.logaddexp(follows, _log_normal(r, -_OWN, _OWN_SIGMA2 + noise)) - np.log(2.0)
        nothing = _log_normal(r, 0.0, _CROSS2 + noise)
        others = [float(_log_normal(r, 0.0, _OTHER2 + noise).sum())]
        others += [float(np.where(axes, either, nothing).sum()) for axes in _MOVED]
        most = max(others)
        other = most + float(np.log(np.mean(np.exp(np.array(others) - most))))
        self.odds = float(np.where(np.eye(3) > 0.0, follows, nothing).sum()) - other
        self.trusted = self.trusted or self.odds > _TRUSTED
        self.decided = self.odds > _FITS or self.odds < -self._bound


def _log_normal(values: Array, mean: float, variance: float) -> Array:
    """Return the logarithm of the normal density, less the constant."""
    return np.asarray(-0.5 * ((values - mean) ** 2 / variance + np.log(variance)))
