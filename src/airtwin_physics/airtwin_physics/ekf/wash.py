# SPDX-License-Identifier: Apache-2.0
"""How much moving air adds to what a barometer shows: held against the IMU, and nothing else.

Rotors, gusts and the ground below make an error of pressure that lasts for a second or two. The
filter has a state for it (``kernel.WASH``), an Ornstein-Uhlenbeck process. Its size is the
aircraft's, from nothing (a simulator, a sheltered sensor) to a metre, and is learnt here. The
second difference over spans T

    D(T) = r(t) - 2 r(t - T) + r(t - 2 T)        r = pressure altitude + what the IMU says it sank

knows neither height nor speed, so neither GNSS nor what the filter makes of it matter:

    mean D(T)^2 = 6 white^2 + g(T) wash^2 + what the IMU errs
    g(T) = 6 - 8 exp(-T/tau) + 2 exp(-2 T/tau)

Long spans less the shortest leave the wash. A minute of flight tells its variance only within some
half of the white one's, so it begins with a guess (air that makes one makes the other), from which
it goes only as far as it is sure.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from operator import attrgetter
from typing import NamedTuple

_KEPT_S = 0.19  # between two samples that are kept: the shortest span
_SHORT_MAX_S = 0.6  # samples further apart tell nothing
_SPANS_S = (0.8, 1.6)
_NEAR = 0.25  # a span may differ from that by this share
_LONGER = 1.25  # times the shortest, or nothing of the wash is left in the difference
_OLDEST_S = 2.0 * (1.0 + _NEAR) * _SPANS_S[-1]
_SHARE = 0.5  # guess of wash^2 / white^2: mean of 16 flights of real multirotors
_WHITE_S, _GUESS_S = 10.0, 0.4  # over which the white noise is learnt; worth of its first guess
_MEMORY_S = 60.0  # of flight, over which the wash is
_SPREAD = 4.5  # [sqrt(s)] standard error of the wash^2 that 1 s of flight shows, over white^2
_SURE = 2.0  # standard errors from which on what is seen counts for more than the guess
_ROBUST = 9.0  # no D(T) counts for more than three sigmas
_LEAST_M, _MOST_M = 0.03, 1.5


class Sample(NamedTuple):
    """A pressure altitude, and what the IMU says without any correction.

    ``shaken``: sum of what noise has added to the variance of the speed [m^2/s^2].
    """

    at_s: float
    altitude_m: float
    sinks_m_s: float
    shaken: float


class _Kept(NamedTuple):
    at_s: float
    r_m: float
    shaken: float


_TIME = attrgetter("at_s")


class Wash:
    """``size_m``: standard deviation of the wash [m]."""

    def __init__(self, white_m: float, lasts_s: float) -> None:
        """white_m: first guess of the white noise; lasts_s: correlation time of the wash."""
        self._first_m, self._lasts_s = white_m, lasts_s
        self.start_over()

    def start_over(self) -> None:
        """Go by the first guess."""
        self._white2, self._white_s = self._first_m**2, _GUESS_S
        self._seen2, self._flown_s = 0.0, 0.0
        self.size_m = self._first_m * math.sqrt(_SHARE)
        self._kept: list[_Kept] = []  # of the last spans
        self._last: Sample | None = None
        self._sunk_m = 0.0

    def take(self, sample: Sample, bias_m_s2: float, *, flying: bool) -> None:
        """Take a pressure altitude; bias_m_s2: how unsure the accelerometer's bias is.

        Not flying, only the white noise is learnt.
        """
        at_s, last, kept = sample.at_s, self._last, self._kept
        self._last = sample
        if last is not None and at_s - last.at_s < _SHORT_MAX_S:
            self._sunk_m += 0.5 * (last.sinks_m_s + sample.sinks_m_s) * (at_s - last.at_s)
        else:
            kept.clear()
        if kept and at_s - kept[-1].at_s < _KEPT_S:
            return
        kept.append(_Kept(at_s, sample.altitude_m + self._sunk_m, sample.shaken))
        while at_s - kept[0].at_s > _OLDEST_S:
            del kept[0]
        if len(kept) < 3:
            return
        every_s = at_s - kept[-2].at_s
        short2, _ = self._bend2(kept[-2], kept[-3], every_s, 0.0)
        self._white_s = min(self._white_s + every_s, _WHITE_S)
        white2 = (short2 - self._grown(every_s) * self.size_m**2) / 6.0
        self._white2 += every_s / self._white_s * (white2 - self._white2)
        self._white2 = max(self._white2, _LEAST_M**2)
        if flying:
            self._compare(short2, every_s, bias_m_s2)
        self._conclude()

    def _compare(self, short2: float, every_s: float, bias_m_s2: float) -> None:
        """Hold long spans against the shortest."""
        now, seen2 = self._kept[-1], 0.0
        for span_s in _SPANS_S:
            middle, first = self._near(now.at_s - span_s), self._near(now.at_s - 2.0 * span_s)
            half_s = 0.5 * (now.at_s - first.at_s)
            if abs(half_s - span_s) > _NEAR * span_s or half_s < _LONGER * every_s:
                return
            if middle is first or middle is now:
                return
            long2, erred2 = self._bend2(middle, first, half_s, bias_m_s2)
            grown = self._grown(half_s) - self._grown(every_s)
            seen2 += (long2 - erred2 - short2) / grown / len(_SPANS_S)
        self._flown_s = min(self._flown_s + every_s, _MEMORY_S)
        self._seen2 += every_s / self._flown_s * (seen2 - self._seen2)

    def _conclude(self) -> None:
        guess2 = _SHARE * self._white2
        beyond2 = self._seen2 - guess2 if self._flown_s else 0.0
        error2 = _SPREAD * self._white2 / math.sqrt(max(self._flown_s, 1.0))
        sure = beyond2**2 / (beyond2**2 + (_SURE * error2) ** 2)
        self.size_m = math.sqrt(min(max(guess2 + sure * beyond2, _LEAST_M**2), _MOST_M**2))

    def _bend2(
        self, middle: _Kept, first: _Kept, span_s: float, bias_m_s2: float
    ) -> tuple[float, float]:
        """Return D(T)^2 as with equal spans, and how much of it the IMU errs [m^2]."""
        now = self._kept[-1]
        ratio = (now.at_s - middle.at_s) / (middle.at_s - first.at_s)
        bend = now.r_m - middle.r_m - ratio * (middle.r_m - first.r_m)
        erred2 = (now.shaken - first.shaken) * span_s**2 / 3.0 + bias_m_s2**2 * span_s**4
        expected2 = 6.0 * self._white2 + self._grown(span_s) * self.size_m**2 + erred2
        return min(bend * bend * 3.0 / (1.0 + ratio + ratio**2), _ROBUST * expected2), erred2

    def _grown(self, span_s: float) -> float:
        """Return g [-]."""
        share = math.exp(-span_s / self._lasts_s)
        return 6.0 - 8.0 * share + 2.0 * share * share

    def _near(self, at_s: float) -> _Kept:
        kept = self._kept
        after = min(bisect_left(kept, at_s, key=_TIME), len(kept) - 1)
        nearer = after > 0 and at_s - kept[after - 1].at_s < kept[after].at_s - at_s
        return kept[after - 1 if nearer else after]
