# SPDX-License-Identifier: Apache-2.0
"""Which rotor was at its limit as the aircraft tipped over? Part of CON-ACT-1.

A rotor that gives nothing lets its corner fall: the controller asks it for all it has while the
aircraft is still upright, and for more than any other until it lies on its side. Other upsets (a
gust, a touch, integrators wound up against the ground) look otherwise: the rotor that threw the
aircraft over is let go as it falls, and those that should catch it reach their limit when it is
far over already. Which corner it is needs no geometry.
"""

from __future__ import annotations

import numpy as np

from airtwin_consistency.evidence import Evidence, age_s
from airtwin_consistency.limits import Limits
from airtwin_core import frames
from airtwin_core.types import Array

_NS = 1_000_000_000
_TIP_S = 1.0  # from the limit to 60 deg: a rotor of four that is lost takes 0.4 s
_UPRIGHT = 0.5  # of the tilt that is an upset: what begins beyond it does not cause it
_MORE = 0.05  # [-] of full thrust, by which another must be asked for more to take its place


class Tipping:
    """Follows which rotor is at its limit; names it when the aircraft tips over."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._candidate = -1
        self._began_ns = 0
        self._full_ns = 0  # when it was last at its limit
        self._over = False
        self.rotor = -1
        """Index of the rotor by which the aircraft tipped over, -1 while there is none."""
        self.since_ns = 0
        """When that rotor reached its limit, vehicle clock."""
        self.after_s = 0.0
        """From then to the upset [s]."""

    def on_commands(self, commands: Array, stamp_ns: int, seen: Evidence, now_ns: int) -> None:
        """Take one command (n,); the attitude is the newest in ``seen``."""
        self.look(seen, now_ns, on_ground=False)
        full = commands >= self._limits.saturated
        old = self._candidate
        if old >= 0 and float(commands.max()) > commands[old] + _MORE:
            self._candidate = -1
        if self._candidate >= 0 and full[old]:
            self._full_ns = stamp_ns
        elif full.sum() == 1:
            tilt = _tilt(seen, now_ns, self._limits)
            if tilt is not None and tilt <= _UPRIGHT * self._limits.tilt_max_rad:
                self._candidate = int(np.argmax(full))
                self._began_ns = self._full_ns = stamp_ns

    def look(self, seen: Evidence, now_ns: int, *, on_ground: bool) -> None:
        """Look whether the aircraft has tipped over by the newest attitude.

        What has not left the ground need not lie on its side: it leans, and the rotor has been
        asked to lift it for long.
        """
        tilt = _tilt(seen, now_ns, self._limits)
        tilt_max = self._limits.tilt_max_rad
        if tilt is None or seen.attitude is None:
            return
        stamp_ns = seen.attitude.stamp_ns
        long = (self._full_ns - self._began_ns) / _NS > self._limits.saturated_s
        leans = on_ground and long and tilt > _UPRIGHT * tilt_max
        over = tilt > tilt_max or leans
        if over and not self._over:
            self._blame(stamp_ns)
        elif not over:
            self.rotor = -1
        self._over = over

    def _blame(self, tipped_ns: int) -> None:
        late = tipped_ns - self._full_ns > _TIP_S * _NS
        if self._candidate < 0 or late or tipped_ns <= self._began_ns:
            return
        self.rotor, self.since_ns = self._candidate, self._began_ns
        self.after_s = (tipped_ns - self._began_ns) / _NS


def _tilt(seen: Evidence, now_ns: int, limits: Limits) -> float | None:
    """Return the angle [rad] between down and the body's, None without attitude of late."""
    attitude = seen.attitude
    if attitude is None or not age_s(attitude, now_ns) <= limits.fresh_s:
        return None
    return frames.tilt_from_quat(attitude.q_ned_frd)
