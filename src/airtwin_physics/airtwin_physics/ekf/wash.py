# SPDX-License-Identifier: Apache-2.0
"""How much the air that moves past a barometer adds to what it shows, held against the IMU.

Rotors, gusts and the ground below make a pressure error that lasts for a second or two. The filter
has a state for it, an Ornstein-Uhlenbeck process; how large it is differs by aircraft from nothing
(a simulator, a shielded sensor) to a metre, and is learnt here. Over spans T the second difference

    D(T) = r(t) - 2 r(t - T) + r(t - 2 T)        r = pressure altitude - height gained by the IMU

knows neither height nor speed, and little of the filter, its GNSS and its corrections:

    mean D(T)^2 = 6 white^2 + wash^2 g(T) + what the IMU errs       g = 6 - 8 e^(-T/tau) + 2 e^(-2T/tau)

so that a long span less a short one leaves the wash. A minute of flight tells it only within some
half of the white noise, so ahead of it stands a guess: air that makes one makes the other.
"""

from __future__ import annotations

import math
import os
from collections import deque
from typing import NamedTuple

_KEPT_S = 0.19  # between two samples that are kept: the short span
_SHORT_MAX_S = 0.6
_SPANS_S = (0.8, 1.6)
_NEAR = 0.25  # a span may differ from that by this share
_SHARE = float(os.environ.get('W_SHARE', '0.5'))  # wash^2 over white^2 to begin with
_SPREAD = 4.5  # [sqrt(s)] of one comparison, over white^2, times the root of how long it lasts
_SURE = 2.0  # standard errors from which on what is seen counts more than the guess
_MEMORY_S = float(os.environ.get('W_MEM', '60'))  # of flight that is remembered
_WHITE_S = 10.0  # over which white noise is learnt
_ROBUST = 9.0  # no span counts for more than three sigmas
_LEAST_M, _MOST_M = 0.03, 1.5


class _Sample(NamedTuple):
    at_s: float
    left_m: float  # r
    shaken: float  # what noise has added to the variance of the speed [m^2/s^2]


class Wash:
    """``size_m``: standard deviation of the wash [m]."""

    def __init__(self, white_m: float, lasts_s: float) -> None:
        """white_m: first guess of the white noise; lasts_s: correlation time of the wash."""
        self._first_m, self._lasts_s = white_m, lasts_s
        self.start_over()

    def start_over(self) -> None:
        """Go by the first guess."""
        self._white2, self._white_s = self._first_m**2, 1.0
        self._seen2, self._flown_s = 0.0, 0.0
        self.size_m = self._first_m * math.sqrt(_SHARE)
        self._kept: deque[_Sample] = deque()
        self._last = (math.nan, 0.0)  # time, speed down by the IMU
        self._sunk_m = 0.0

    def grown(self, span_s: float) -> float:
        """Return g [-]."""
        share = math.exp(-span_s / self._lasts_s)
        return 6.0 - 8.0 * share + 2.0 * share * share

    def take(
        self,
        at_s: float,
        altitude_m: float,
        down_m_s: float,
        shaken: float,
        bias2: float,
        *,
        flying: bool,
    ) -> None:
        """Take a pressure altitude and the speed down [m/s] that the IMU alone has integrated.

        shaken: sum of what the IMU's noise has added to the variance of the speed [m^2/s^2];
        bias2: variance of what its bias adds to the acceleration down [m^2/s^4].
        """
        before_s, before = self._last
        self._last = (at_s, down_m_s)
        kept = self._kept
        if at_s - before_s < _SHORT_MAX_S:
            self._sunk_m += 0.5 * (before + down_m_s) * (at_s - before_s)
        else:
            kept.clear()
        if kept and at_s - kept[-1].at_s < _KEPT_S:
            return
        kept.append(_Sample(at_s, altitude_m + self._sunk_m, shaken))
        while at_s - kept[0].at_s > 2.0 * (1.0 + _NEAR) * _SPANS_S[-1]:
            kept.popleft()
        if len(kept) < 3:
            return
        every_s = at_s - kept[-2].at_s
        bend2 = self._bend2(kept[-2], kept[-3], every_s)[0]
        size2, grown = self.size_m**2, self.grown(every_s)
        self._white_s = min(self._white_s + every_s, _WHITE_S)
        now2 = (bend2 - grown * size2) / 6.0
        self._white2 += every_s / self._white_s * (now2 - self._white2)
        self._white2 = max(self._white2, 0.1 * _LEAST_M**2)
        if flying:
            self._compare(bend2, grown, every_s, bias2)
        guess2 = _SHARE * self._white2
        beyond2 = self._seen2 - guess2
        error4 = (_SPREAD * self._white2) ** 2 / max(self._flown_s, 1.0)
        told2 = guess2 + beyond2 * beyond2**2 / (beyond2**2 + _SURE**2 * error4)
        self.size_m = math.sqrt(min(max(told2, _LEAST_M**2), _MOST_M**2))

    def _compare(self, bend2: float, grown: float, every_s: float, bias2: float) -> None:
        """Hold long spans against the short one."""
        now, found = self._kept[-1], []
        for span_s in _SPANS_S:
            middle, first = self._near(now.at_s - span_s), self._near(now.at_s - 2.0 * span_s)
            half_s = 0.5 * (now.at_s - first.at_s)
            if abs(half_s - span_s) > _NEAR * span_s or middle is first or middle is now:
                return
            long2, erred2 = self._bend2(middle, first, half_s, bias2)
            found.append((long2 - erred2 - bend2) / (self.grown(half_s) - grown))
        self._flown_s = min(self._flown_s + every_s, _MEMORY_S)
        seen2 = sum(found) / len(found)
        self._seen2 += every_s / self._flown_s * (seen2 - self._seen2)

    def _bend2(
        self, middle: _Sample, first: _Sample, span_s: float, bias2: float = 0.0
    ) -> tuple[float, float]:
        """Return D(T)^2, at most so many sigmas, and how much of it the IMU errs [m^2]."""
        now = self._kept[-1]
        share = (now.at_s - middle.at_s) / (middle.at_s - first.at_s)
        bend = now.left_m - middle.left_m - share * (middle.left_m - first.left_m)
        erred2 = (now.shaken - first.shaken) * span_s**2 / 3.0 + bias2 * span_s**4
        expected2 = 6.0 * self._white2 + self.grown(span_s) * self.size_m**2 + erred2
        bend2 = bend * bend * 3.0 / (1.0 + share + share * share)  # as with equal spans
        return min(bend2, _ROBUST * expected2), erred2

    def _near(self, at_s: float) -> _Sample:
        return min(self._kept, key=lambda sample: abs(sample.at_s - at_s))
