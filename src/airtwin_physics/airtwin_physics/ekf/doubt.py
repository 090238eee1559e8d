# SPDX-License-Identifier: Apache-2.0
"""Doubt of one thing that a receiver says, as a sequential test; and the trail of its place."""

from __future__ import annotations

import math

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


class Trail:
    """Place less the integral of its own Doppler, along some axes: it stays where it was."""

    def __init__(self, *axes: int) -> None:
        self._axes = axes
        self.begin()

    def begin(self) -> None:
        """Forget where it was."""
        self._home = [0.0, 0.0, 0.0]
        self._claim_m = 0.0  # largest of late
        self._followed_s = 0.0

    def shift(self, by_ned_m: list[float]) -> None:
        """Move with the origin of NED."""
        self._home = [a + b for a, b in zip(self._home, by_ned_m, strict=True)]

    def off(
        self, apart: list[float], claim_m: float, blur_m: float, step_s: float, usual_s: float
    ) -> float:
        """Return by how much the newest fix is off, as a share of its bound [-].

        apart (3,): place less integral [m] NED; claim_m: its sigma; blur_m: what else may differ;
        step_s: since the fix before; usual_s: over which it is learnt where the place is.
        """
        if self._followed_s == 0.0:
            self._home, self._claim_m = list(apart), claim_m
        home, axes = self._home, self._axes
        off = [apart[i] - home[i] for i in axes]
        blur_m += _DRIFT_M_S * self._followed_s
        share = math.hypot(*off) / (BOUND * max(claim_m, self._claim_m) + blur_m)
        if share <= 1.0:
            self._followed_s = min(self._followed_s + max(step_s, 1e-3), usual_s)
            learnt = min(step_s / self._followed_s, 1.0)
            for i, by in zip(axes, off, strict=True):
                home[i] += learnt * by
            fade = 1.0 - min(step_s / usual_s, 1.0)
            self._claim_m = max(claim_m, fade * self._claim_m)
        return share
