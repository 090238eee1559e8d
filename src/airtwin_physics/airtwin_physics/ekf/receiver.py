# SPDX-License-Identifier: Apache-2.0
"""One GNSS receiver as one witness: does it agree with itself, the IMU and the barometer?

Position, height and Doppler velocity of a fix come from one solution: where one of them is
contradicted, none is believed. What the filter believes enters only as far as it does not matter
for the answer, so a filter that is itself wrong does not make a receiver look bad:

- *itself*: place less the integral of Doppler stays where it was, but for the claimed wander;
- *IMU*: Doppler less what the IMU integrated (corrections taken out) runs on as it did. A wrong
  attitude or a wrong gyro makes a ramp that bends slowly, a receiver that loses its way a step;
- *barometer*: height less pressure altitude stays where it was, asked only where the barometer
  agrees with the filter and the receiver's height does not: two of three.

A contradiction that lasts is a *tear*. After one the receiver has to be of one piece for as long
as it had been believed before, within bounds: what it says now against what it said then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.kernel import GRAVITY_M_S2
from airtwin_physics.ekf.tally import NEVER_S

ITSELF = "its place does not move as its speed says"
BY_IMU = "its speed stepped as the IMU did not"
BY_BAROMETER = "its height parted from the barometer's"

_GAP_S = 3.0  # without fixes for so long nothing links them
_LAST_S = 1.0  # a contradiction lasts so long before it counts: single outliers are the gate's
_SIGMAS = 5.0
_CLAIM_MIN_M = 1.0  # multipath of every day
_LATE_S = 0.2  # by which a receiver's place and its speed may be of different times
_DRIFT_M_S = 0.1  # by which a sound receiver's place and Doppler part for long
_NEW_S, _OLD_S = 0.45, 1.45  # what may have stepped, and what it is held against: 5 Hz will do
_LEAST_OLD = 3
_MISSES = 16  # kept of them, 10 Hz fill 1.45 s; fixes that come sooner are passed over
_SPACING_S = 0.095
_BEND_M_S3 = 3.0  # how the error of an IMU's acceleration may grow: 0.3 rad/s off, times gravity
_PRESSURE_SHARE = 0.2  # of the dynamic pressure that a static port may see


@njit(cache=True)
def leaves_trend(
    misses: Array,
    kept: int,
    velocity: Array,
    inertial: Array,
    look: tuple[float, float, float],
    sigma: float,
    delay: float,
) -> tuple[int, bool]:
    """Note a difference of two velocities; return how many are kept, and whether they stepped.

    misses (n, 6), the first ``kept`` hold, oldest first: time [s], difference (3,) [m/s], size of
    the acceleration [m/s^2], sum of turns [rad]. The newest comes from velocity and inertial (3,)
    [m/s]; look: its other columns. sigma [m/s] of the velocity, delay [s] that it may have.
    """
    when = look[0]
    gone = max(kept - misses.shape[0] + 1, 0)
    while gone < kept and when - misses[gone, 0] > _OLD_S:
        gone += 1
    kept -= gone
    for i in range(kept):
        for k in range(6):
            misses[i, k] = misses[i + gone, k]
    misses[kept, 0] = when
    for k in range(3):
        misses[kept, 1 + k] = velocity[k] - inertial[k]
    misses[kept, 4], misses[kept, 5] = look[1], look[2]
    kept += 1
    old = 0
    then, now, most = 0.0, 0.0, 0.0
    for i in range(kept):
        at = misses[i, 0] - when
        if at <= -_NEW_S:
            old += 1
            then += at
        else:
            now += at
        most = max(most, misses[i, 4])
    if old < _LEAST_OLD:
        return kept, False
    new = kept - old
    then /= old
    ahead = now / new - then
    spread = 0.0
    for i in range(old):
        spread += (misses[i, 0] - when - then) ** 2
    beyond2 = 0.0
    for k in range(1, 4):
        slope, before, after = 0.0, 0.0, 0.0
        for i in range(old):
            slope += (misses[i, 0] - when - then) * misses[i, k]
            before += misses[i, k]
        for i in range(old, kept):
            after += misses[i, k]
        beyond2 += (after / new - before / old - slope / spread * ahead) ** 2
    # noise of both means and of the trend carried ahead
    variance = 1.0 / new + 1.0 / old + ahead * ahead / spread
    accel = misses[0, 4] + most
    hidden = GRAVITY_M_S2 * (look[2] - misses[0, 5]) + accel
    hidden = min(hidden + 0.5 * _BEND_M_S3 * ahead, 2.0 * GRAVITY_M_S2)
    allowed = _SIGMAS * sigma * math.sqrt(variance) + hidden * ahead + accel * delay
    return kept, beyond2 > allowed * allowed


@dataclass(frozen=True, slots=True)
class Look:
    """One fix and what the others say at its time.

    ``when_s``: when it was true; ``place``, ``velocity`` (3,) NED [m], [m/s]; ``doppler``:
    whether that velocity is its own; ``claim``: sigmas of horizontal place, height [m] and speed
    [m/s]; ``inertial`` (3,): the filter's velocity [m/s] without its corrections;
    ``turned_rad``: sum of the filter's corrections of attitude; ``accel_m_s2``: size of the
    acceleration; ``believed`` (3,): the filter's velocity [m/s]; ``altitude_m``: by pressure, NaN
    without; ``outvoted``: barometer and filter agree on the height, and not with the receiver.
    """

    when_s: float
    place: Array
    velocity: Array
    doppler: bool
    claim: tuple[float, float, float]
    inertial: Array
    turned_rad: float
    accel_m_s2: float
    believed: Array
    altitude_m: float
    outvoted: bool


class Receiver:
    """What is believed of one receiver; ``torn`` names the last tear's kind, "" if forgiven.

    ``leapt``: its newest height has left the path, and nobody knows yet whether for long.
    """

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self.start_over()

    def start_over(self) -> None:
        """Forget all fixes."""
        self.torn = ""
        self.torn_s = self._doubted_s = NEVER_S  # the last tear, the first of those unforgiven
        self.level = False  # its height runs as the barometer's
        self._whole_s = NEVER_S
        self._record_s = 0.0  # for how long it was believed, at most gnss_doubt_s
        self._patience_s = 0.0  # that record at the tear
        self._credit_s = 0.0  # for how long it agreed with the filter since
        self._at_s, self._step_s = NEVER_S, 0.0  # of the newest fix
        self._velocity = [0.0, 0.0, 0.0]
        self._above_m = float("nan")  # usual height over pressure altitude
        self._apart_s = math.inf  # since when the barometer outvotes it
        self._begin()

    def _begin(self) -> None:
        self._path = [0.0, 0.0, 0.0]
        self._home = [0.0, 0.0, 0.0]  # usual place less path
        self._claim = (0.0, 0.0)  # largest of late, horizontal and vertical [m]
        self._followed_s = 0.0
        self._off_s = math.inf  # since when place and path have parted
        self.leapt = False  # in height: where the place is then shows within a second
        self._misses = np.zeros((_MISSES, 6))  # of Doppler from the IMU, see ``leaves_trend``
        self._kept = 0

    def shift(self, by_ned_m: Array) -> None:
        """Move with the origin of NED."""
        self._home = [a + b for a, b in zip(self._home, by_ned_m.tolist(), strict=True)]
        self._above_m -= float(by_ned_m[2])

    def struck(self) -> None:
        """Begin anew: Doppler and IMU show an impact late and in part."""
        self._begin()

    def take(self, look: Look) -> None:
        """Judge by one more fix; those out of order are passed over."""
        at_s, before = look.when_s, self._velocity
        step_s = at_s - self._at_s
        if -_GAP_S < step_s <= 0.0:
            self._step_s = 0.0
            return
        place, velocity = look.place.tolist(), look.velocity.tolist()
        turned2 = 0.0
        if not 0.0 < step_s < _GAP_S:
            self._begin()
            self._whole_s = at_s
            step_s = 0.0
        else:
            for axis in range(3):
                self._path[axis] += 0.5 * step_s * (velocity[axis] + before[axis])
                turned2 += (velocity[axis] - before[axis]) ** 2
        self._at_s, self._step_s, self._velocity = at_s, step_s, velocity
        claim = (max(look.claim[0], _CLAIM_MIN_M), max(look.claim[1], _CLAIM_MIN_M))
        cause = ""
        if self._sinks(look, claim[1]):
            cause = BY_BAROMETER
        elif look.doppler and self._steps(look):
            cause = BY_IMU
        elif self._slips(look, place, claim, math.sqrt(turned2)):
            cause = ITSELF
        if cause:
            self._tear(cause, at_s)

    def _tear(self, cause: str, at_s: float) -> None:
        if at_s - self.torn_s >= self._patience_s:
            self._patience_s = max(self._record_s, self._config.recover_s)
        self._record_s = self._credit_s = 0.0
        if not self.torn:
            self._doubted_s = at_s
        if not self.torn or cause != BY_IMU:
            self.torn = cause
        self.torn_s = at_s
        self._whole_s = at_s
        self._begin()

    def _slips(
        self, look: Look, place: list[float], claim: tuple[float, float], turned_m_s: float
    ) -> bool:
        """Hold place against the integral of Doppler; return whether they parted for long.

        turned_m_s: change of Doppler since the last fix.
        """
        usual_s = self._config.gnss_doubt_s / 3.0 if look.doppler else _LAST_S
        if self._followed_s == 0.0:
            self._home, self._claim = [place[i] - self._path[i] for i in range(3)], claim
        off = [place[i] - self._path[i] - self._home[i] for i in range(3)]
        # curves between fixes, a place later than its speed, a speed that is a little wrong
        blur = 0.25 * self._step_s * turned_m_s + _LATE_S * math.hypot(*self._velocity)
        blur += _DRIFT_M_S * self._followed_s
        across = _SIGMAS * max(claim[0], self._claim[0]) + blur
        up = _SIGMAS * max(claim[1], self._claim[1]) + blur
        self.leapt = abs(off[2]) > up
        if self.leapt or math.hypot(off[0], off[1]) > across:
            self._off_s = min(self._off_s, look.when_s)
            return look.when_s - self._off_s >= _LAST_S
        self._off_s = math.inf
        self._followed_s = min(self._followed_s + max(self._step_s, 1e-3), usual_s)
        share = min(self._step_s / self._followed_s, 1.0)
        self._home = [self._home[i] + share * off[i] for i in range(3)]
        fade = 1.0 - min(self._step_s / usual_s, 1.0)
        self._claim = (max(claim[0], fade * self._claim[0]), max(claim[1], fade * self._claim[1]))
        return False

    def _sinks(self, look: Look, claim: float) -> bool:
        """Hold height against pressure; return whether the barometer has outvoted it for long."""
        above = -look.place.item(2) - look.altitude_m
        if above != above:
            self.level = False
            return False
        if self._above_m != self._above_m:
            self._above_m = above
        north, east, down = look.believed.tolist()
        speed2 = north * north + east * east + down * down
        late = self._config.gnss_delay_max_s * abs(down)
        pressure = _PRESSURE_SHARE * speed2 / (2.0 * GRAVITY_M_S2)
        self.level = abs(above - self._above_m) <= _SIGMAS * claim + late + pressure
        if not self.level and look.outvoted:
            self._apart_s = min(self._apart_s, look.when_s)
            # a height that stays wrong for longer leaves the rest in doubt no more
            return _LAST_S <= look.when_s - self._apart_s < self._config.gnss_doubt_s
        self._apart_s = math.inf
        share = min(self._step_s / (self._config.gnss_doubt_s / 3.0), 1.0)
        self._above_m += share * (above - self._above_m)
        return False

    def _steps(self, look: Look) -> bool:
        """Return whether Doppler less the IMU's velocity left its trend at once."""
        if self._kept and look.when_s - self._misses.item(self._kept - 1, 0) < _SPACING_S:
            return False
        self._kept, stepped = leaves_trend(
            self._misses,
            self._kept,
            look.velocity,
            look.inertial,
            (look.when_s, look.accel_m_s2, look.turned_rad),
            look.claim[2],
            self._config.gnss_delay_max_s,
        )
        return stepped

    # --- what follows ---------------------------------------------------------------------------

    def agreed(self, *, place: bool) -> None:
        """Note that filter and newest fix agree on the motion, and whether on the place.

        A step of the speed alone is forgiven for speeds that agree: where the filter is
        elsewhere then, it went astray meanwhile. A place that jumped is not.
        """
        self._record_s = min(self._record_s + self._step_s, self._config.gnss_doubt_s)
        if self.torn and (place or self.torn == BY_IMU):
            self._credit_s += self._step_s
            if self._credit_s >= self._config.recover_s:
                self.torn = ""

    def followed(self) -> None:
        """Note that the filter took its speed: what was believed before counts no more."""
        self.torn = ""
        self._record_s = 0.0

    def whole_for_s(self, at_s: float) -> float:
        """Return for how long it has been of one piece [s]."""
        return at_s - self._whole_s

    @property
    def wanted_s(self) -> float:
        """For how long it has to be of one piece before the filter follows it [s]."""
        return max(self._patience_s if self.torn else 0.0, self._config.recover_s)

    def astray(self, at_s: float, *, exhausted: bool) -> bool:
        """Return whether it was torn so lately that no fix is used.

        exhausted: nothing else is left. A receiver that is torn all the time is better then.
        """
        if not self.torn or at_s - self.torn_s >= self._config.recover_s:
            return False
        return not (exhausted and at_s - self._doubted_s >= self._config.gnss_doubt_s)
