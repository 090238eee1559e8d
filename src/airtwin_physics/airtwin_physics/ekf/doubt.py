# SPDX-License-Identifier: Apache-2.0
"""Doubt of one thing that a receiver says, as a sequential test; and the trail of its place."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.tally import NEVER_S

BOUND = 5.0  # times what is claimed: the bound of what a sound receiver does
_DRIFT_M_S = 0.1  # by which a sound receiver's place and Doppler part for long

# Errors of what is sound are normal, the bound being three sigmas of them; errors of what is torn
# are anywhere within 20 sigmas. Both last for about a second, so a second's fixes are one draw.
_AT_BOUND = 3.0
_TORN_SIGMAS = 20.0
_SOUND_1_S = math.log(2.0 * _TORN_SIGMAS / math.sqrt(2.0 * math.pi))  # gained by no error at all
NEUTRAL = math.sqrt(2.0 * _SOUND_1_S) / _AT_BOUND  # of the bound: speaks for neither
_MOST_SIGMAS = 5.0  # no fix counts for more
_MOST_S = 0.4  # nor for a longer time against it: three are needed
_SURE = -3.0 * _SOUND_1_S  # no sounder than after three seconds: it may tear any time
_SUSPECTED = 0.5  # of what a tear weighs


class Doubt:
    """Is one thing torn that a receiver says? ``odds``: ln p(torn) / p(sound) [-].

    ``torn``: its odds rose above even and have not come down to even since; ``since_s``: when it
    was last found torn.
    """

    def __init__(self, patience_s: float) -> None:
        """patience_s: once torn it must show no error at all for so long to be heard again."""
        self._most = _SOUND_1_S * patience_s
        self.torn = False
        self.odds = _SURE
        self.since_s = NEVER_S

    def weigh(self, share: float, step_s: float, at_s: float) -> bool:
        """Take an error as a share of its bound [-], step_s after the last; return if it tore.

        What is torn tears anew where it is contradicted as much as it can be.
        """
        sigmas = min(_AT_BOUND * share, _MOST_SIGMAS)
        gain = 0.5 * sigmas * sigmas - _SOUND_1_S
        self.odds += gain * (min(step_s, _MOST_S) if gain > 0.0 else step_s)
        if self.odds > (self._most if self.torn else 0.0):
            return self.tear(at_s)
        self.odds = max(self.odds, _SURE)
        self.torn = self.torn and self.odds > 0.0
        return False

    def tear(self, at_s: float) -> bool:
        """Doubt it as much as can be; return true."""
        self.torn, self.odds, self.since_s = True, self._most, at_s
        return True

    def suspect(self) -> None:
        """Doubt it because what comes of the same solution has torn."""
        self.torn, self.odds = True, max(self.odds, _SUSPECTED * self._most)

    def trust(self) -> None:
        """Believe it, though it may tear at any time."""
        self.torn, self.odds = False, min(self.odds, 0.0)


_N_TRAIL = 5
_CLAIM, _FOLLOWED = 3, 4  # of a trail; before them the place less the integral


@njit(cache=True)
def stray(
    trail: Array,
    apart: tuple[float, float, float],
    axes: tuple[int, int],
    claim: float,
    blur: float,
    step: float,
    usual: float,
) -> float:
    """Return by how much a fix is off a trail, as a share of its bound [-]; let the trail learn.

    trail (5,): where the place less the integral was NED [m], the largest claim of late [m], for
    how long it was followed [s]. apart: the place less the integral now; axes: from which up to
    which; claim [m]: sigma of the place; blur [m]: what else may differ; step [s]: since the fix
    before; usual [s]: over which it is learnt where the place is.
    """
    followed = trail[_FOLLOWED]
    if followed == 0.0:
        for i in range(3):
            trail[i] = apart[i]
        trail[_CLAIM] = claim
    off = 0.0
    for i in range(axes[0], axes[1]):
        off = math.hypot(off, apart[i] - trail[i])
    blur += _DRIFT_M_S * followed
    share: float = off / (BOUND * max(claim, trail[_CLAIM]) + blur)
    if share <= 1.0:
        followed = min(followed + max(step, 1e-3), usual)
        learnt = min(step / followed, 1.0)
        for i in range(axes[0], axes[1]):
            trail[i] += learnt * (apart[i] - trail[i])
        fade = 1.0 - min(step / usual, 1.0)
        trail[_CLAIM] = max(claim, fade * trail[_CLAIM])
        trail[_FOLLOWED] = followed
    return share


class Trail:
    """Place less the integral of its own Doppler, along some axes: it stays where it was."""

    def __init__(self, first: int, end: int) -> None:
        """first, end: its axes of NED, from one up to another."""
        self._axes = first, end
        self._trail = np.zeros(_N_TRAIL)  # see ``stray``

    def begin(self) -> None:
        """Forget where it was."""
        self._trail[:] = 0.0

    def shift(self, by_ned_m: Array) -> None:
        """Move with the origin of NED."""
        self._trail[:3] += by_ned_m

    def off(
        self,
        apart: tuple[float, float, float],
        claim_m: float,
        blur_m: float,
        step_s: float,
        usual_s: float,
    ) -> float:
        """Return by how much the newest fix is off, as a share of its bound [-]; see ``stray``."""
        share: float = stray(self._trail, apart, self._axes, claim_m, blur_m, step_s, usual_s)
        return share
