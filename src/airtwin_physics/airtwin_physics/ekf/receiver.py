# SPDX-License-Identifier: Apache-2.0
"""One GNSS receiver as a witness: is what it says of place, height and speed to be believed?

Three doubts, one for each, each fed by whoever can contradict it:

- *place* (north, east): by the integral of its own Doppler, from which it may only wander;
- *height* (with the Doppler downwards): likewise; by pressure altitude, asked where barometer and
  filter agree and the receiver does not (two of three); by the IMU, as the speed;
- *speed* (north, east): by what the IMU integrated, corrections taken out. A wrong attitude or a
  wrong gyro makes a ramp that bends slowly, a receiver that loses its way a step.

What the filter believes enters only as far as it does not matter for the answer, so a filter that
is itself wrong does not make a receiver look bad.

A doubt is a sequential test between "sound" and "torn" (Wald, "Sequential tests of statistical
hypotheses", Ann. Math. Stat. 16(2), 1945). What is torn is *not heard* until it has shown itself
sound. All three come from one solution: where one tears, the others are suspected and have to
show that they are sound, which takes half as long. Being heard is not yet being followed: where
the filter's gate refuses what is heard, the filter gives way only to a receiver that has been of
one piece for as long as it had been believed before, within bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.doubt import BOUND, NEUTRAL, Doubt, Trail
from airtwin_physics.ekf.kernel import GRAVITY_M_S2
from airtwin_physics.ekf.tally import NEVER_S

ITSELF = "its place does not move as its speed says"
BY_IMU = "its speed stepped as the IMU did not"
BY_BAROMETER = "its height parted from the barometer's"

_GAP_S = 3.0  # without fixes for so long nothing links them
_CLAIM_MIN_M = 1.0  # multipath of every day
_LATE_S = 0.2  # by which a receiver's place and its speed may be of different times
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
) -> tuple[int, float, float]:
    """Note a difference of two velocities; return how many are kept, and how far they stepped.

    The step is that of the newest 0.45 s over the trend of a second before, as a share of its
    bound [-]: across (north, east) and down. 0 where too few are kept to tell.

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
        return kept, 0.0, 0.0
    new = kept - old
    then /= old
    ahead = now / new - then
    spread = 0.0
    for i in range(old):
        spread += (misses[i, 0] - when - then) ** 2
    beyond2 = np.zeros(3)
    for k in range(3):
        slope, before, after = 0.0, 0.0, 0.0
        for i in range(old):
            slope += (misses[i, 0] - when - then) * misses[i, 1 + k]
            before += misses[i, 1 + k]
        for i in range(old, kept):
            after += misses[i, 1 + k]
        beyond2[k] = (after / new - before / old - slope / spread * ahead) ** 2
    # noise of both means and of the trend carried ahead
    variance = 1.0 / new + 1.0 / old + ahead * ahead / spread
    accel = misses[0, 4] + most
    hidden = GRAVITY_M_S2 * (look[2] - misses[0, 5]) + accel
    hidden = min(hidden + 0.5 * _BEND_M_S3 * ahead, 2.0 * GRAVITY_M_S2)
    allowed = BOUND * sigma * math.sqrt(variance) + hidden * ahead + accel * delay
    return kept, math.sqrt(beyond2[0] + beyond2[1]) / allowed, math.sqrt(beyond2[2]) / allowed


@dataclass(slots=True)  # to freeze it would take longer than to judge by it
class Look:
    """One fix and what the others say at its time.

    ``when_s``: when it was true; ``place``, ``velocity`` (3,) NED [m], [m/s]; ``doppler``:
    whether that velocity is its own; ``claim``: sigmas of horizontal place, height [m] and speed
    [m/s]; ``inertial`` (3,): the filter's velocity [m/s] without its corrections;
    ``turned_rad``: sum of the filter's corrections of attitude; ``accel_m_s2``: size of the
    acceleration; ``believed`` (3,): the filter's velocity [m/s]; ``altitude_m``: by pressure, NaN
    without; ``outvoted``: barometer and filter agree on the height, and not with the receiver;
    ``refused``: how far the filter's velocity and that of the fix before were apart, as a share
    of what its gate passes [-]; ``stuck``: whether its Doppler is.
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
    refused: float = 0.0
    stuck: bool = False


class Receiver:
    """What is believed of one receiver: ``place``, ``height``, ``speed`` are its doubts.

    ``torn`` names the last tear's kind, "" if forgiven; ``leapt``: its newest height has left its
    trail, and nobody knows yet whether for long; ``level``: its height runs as the barometer's.
    """

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self.start_over()

    def start_over(self) -> None:
        """Forget all fixes."""
        patience_s = self._config.recover_s
        self.place, self.height, self.speed = (Doubt(patience_s) for _ in range(3))
        self.torn = ""
        self.level = False
        self._doubted_s = NEVER_S  # the first tear of those unforgiven
        self._linked_s = NEVER_S  # since when its fixes follow one another
        self._record_s = 0.0  # for how long it was believed, at most gnss_doubt_s
        self._patience_s = 0.0  # that record at the tear
        self._credit_s = 0.0  # for how long it agreed with the filter since
        self._at_s, self._step_s = NEVER_S, 0.0  # of the newest fix
        self._stuck = False  # its Doppler
        self._velocity = [0.0, 0.0, 0.0]
        self._above_m = float("nan")  # usual height over pressure altitude
        self._across, self._up = Trail(0, 2), Trail(2, 3)
        self._misses = np.zeros((_MISSES, 6))  # of Doppler from the IMU, see ``leaves_trend``
        self._begin()

    def _begin(self) -> None:
        self._path = [0.0, 0.0, 0.0]
        self._across.begin()
        self._up.begin()
        self.leapt = False  # in height: where the place is then shows within a second
        self._forget_steps()

    def _forget_steps(self) -> None:
        self._kept = 0
        self._steps = (0.0, 0.0)  # across, down: shares of their bound

    def shift(self, by_ned_m: Array) -> None:
        """Move with the origin of NED."""
        self._across.shift(by_ned_m)
        self._up.shift(by_ned_m)
        self._above_m -= float(by_ned_m[2])

    def struck(self) -> None:
        """Begin anew: Doppler and IMU show an impact late and in part."""
        self._begin()

    # --- evidence -------------------------------------------------------------------------------

    def take(self, look: Look) -> None:
        """Judge by one more fix; those out of order are passed over."""
        if look.stuck and not self._stuck:
            self._acquit()
        self._stuck = look.stuck
        at_s, before, velocity = look.when_s, self._velocity, look.velocity.tolist()
        step_s = at_s - self._at_s
        if -_GAP_S < step_s <= 0.0:
            self._step_s = 0.0
            return
        if not 0.0 < step_s < _GAP_S:
            self._begin()
            self._linked_s, step_s, before = at_s, 0.0, velocity
        north, east, down = velocity
        was_north, was_east, was_down = before
        path, half_s = self._path, 0.5 * step_s
        path[0] += half_s * (north + was_north)
        path[1] += half_s * (east + was_east)
        path[2] += half_s * (down + was_down)
        turned = (north - was_north, east - was_east, down - was_down)
        self._at_s, self._step_s, self._velocity = at_s, step_s, velocity
        across, up = self._against_itself(look, turned)
        sunk = self._against_barometer(look)
        stepped, heaved = self._against_imu(look)
        # a step is a mean already, and its bound is wide: one is enough
        if heaved > 1.0 and self.height.tear(at_s):
            self._tear(self.height, BY_IMU)
        elif self.height.weigh(max(sunk, up), step_s, at_s):
            self._tear(self.height, BY_BAROMETER if sunk > up else ITSELF)
        if stepped > 1.0 and self.speed.tear(at_s):
            self._tear(self.speed, BY_IMU)
        else:
            # accused by its place it has to agree with the filter, too
            accused = self.place.torn and self.place.since_s >= self._doubted_s
            refused = look.refused if accused else 0.0
            self.speed.weigh(max(stepped, refused), step_s, at_s)
        if self.place.weigh(across, step_s, at_s):
            self._tear(self.place, ITSELF)
        self.leapt = up > 1.0 and not self.height.torn

    def _tear(self, doubt: Doubt, cause: str) -> None:
        """Note that one thing has torn: what is suspected with it, what begins anew."""
        if not self.torn:
            self._doubted_s, self._patience_s = self._at_s, 0.0
            for each in (self.place, self.height, self.speed):
                each.suspect()
        self._patience_s = max(self._patience_s, self._record_s, self._config.recover_s)
        self._record_s = self._credit_s = 0.0
        if not self.torn or cause != BY_IMU:
            self.torn = cause
        if cause == BY_IMU:
            self._forget_steps()
        elif doubt is self.place:
            self.speed.suspect()  # which of the two is wrong, they do not tell
            self._across.begin()
        else:
            self._up.begin()

    def _acquit(self) -> None:
        """Believe all that its own Doppler accused: that is stuck, and speaks for itself alone."""
        self.place.trust()
        self.speed.trust()
        if self.torn != BY_BAROMETER:
            self.height.trust()
            self.torn = ""
        self._begin()

    def _against_itself(
        self, look: Look, turned: tuple[float, float, float]
    ) -> tuple[float, float]:
        """Hold place against the integral of Doppler; return shares of the bounds [-]: across, up.

        turned (3,): change of Doppler since the last fix [m/s].
        """
        step_s, (north, east, down) = self._step_s, self._velocity
        usual_s = self._config.gnss_doubt_s / 3.0 if look.doppler else 1.0
        place, path = look.place.tolist(), self._path
        apart = (place[0] - path[0], place[1] - path[1], place[2] - path[2])
        # curves between fixes, a place later than its speed
        blur = 0.25 * step_s * math.hypot(turned[0], turned[1]) + _LATE_S * math.hypot(north, east)
        across = self._across.off(apart, max(look.claim[0], _CLAIM_MIN_M), blur, step_s, usual_s)
        blur = 0.25 * step_s * abs(turned[2]) + _LATE_S * abs(down)
        up = self._up.off(apart, max(look.claim[1], _CLAIM_MIN_M), blur, step_s, usual_s)
        return across, up

    def _against_barometer(self, look: Look) -> float:
        """Hold height against pressure; return the share of its bound [-]."""
        above = -look.place.item(2) - look.altitude_m
        if above != above:
            self.level = False
            return 0.0
        if self._above_m != self._above_m:
            self._above_m = above
        north, east, down = look.believed.tolist()
        speed2 = north * north + east * east + down * down
        late = self._config.gnss_delay_max_s * abs(down)
        pressure = _PRESSURE_SHARE * speed2 / (2.0 * GRAVITY_M_S2)
        off = above - self._above_m
        bound = BOUND * max(look.claim[1], _CLAIM_MIN_M) + late + pressure
        share: float = abs(off) / bound
        self.level = share <= 1.0
        # what is usual is learnt from a height that is believed, or that has been wrong for long
        doubted = self.height.torn or (look.outvoted and not self.level)
        if not doubted or self.lasts(look.when_s):
            self._above_m += min(self._step_s / (self._config.gnss_doubt_s / 3.0), 1.0) * off
        return share if look.outvoted else min(share, NEUTRAL)

    def _against_imu(self, look: Look) -> tuple[float, float]:
        """Return how far Doppler less the IMU's velocity left its trend: across, down.

        As ``leaves_trend``; 0 as long as there are too few fixes to tell.
        """
        newest_s = self._misses.item(self._kept - 1, 0) if self._kept else NEVER_S
        if look.doppler and look.when_s - newest_s >= _SPACING_S:
            self._kept, across, down = leaves_trend(
                self._misses,
                self._kept,
                look.velocity,
                look.inertial,
                (look.when_s, look.accel_m_s2, look.turned_rad),
                look.claim[2],
                self._config.gnss_delay_max_s,
            )
            self._steps = across, down
        return self._steps

    # --- what follows ---------------------------------------------------------------------------

    @property
    def heard(self) -> bool:
        """Whether all of it is heard."""
        return not (self.place.torn or self.height.torn or self.speed.torn)

    def agreed(self, *, place: bool) -> None:
        """Note that filter and newest fix agree on the motion, and whether on the place.

        A step of the speed alone is forgiven for speeds that agree: where the filter is
        elsewhere then, it went astray meanwhile. A place that jumped is not.
        """
        self._record_s = min(self._record_s + self._step_s, self._config.gnss_doubt_s)
        if self.torn and self.heard and (place or self.torn == BY_IMU):
            self._credit_s += self._step_s
            if self._credit_s >= self._config.recover_s:
                self.torn = ""

    def followed(self) -> None:
        """Note that the filter took its speed: what was believed before counts no more."""
        self.torn = ""
        self._record_s = 0.0
        for doubt in (self.place, self.height, self.speed):
            doubt.trust()

    def whole_for_s(self, at_s: float, *, height: bool = False) -> float:
        """Return for how long place and speed, and the height, have been of one piece [s]."""
        torn_s = max(self._linked_s, self.place.since_s, self.speed.since_s)
        return at_s - (max(torn_s, self.height.since_s) if height else torn_s)

    @property
    def wanted_s(self) -> float:
        """For how long it has to be of one piece before the filter follows it [s]."""
        return max(self._patience_s if self.torn else 0.0, self._config.recover_s)

    def lasts(self, at_s: float) -> bool:
        """Return whether it is doubted for so long that it may be better than nothing."""
        return self.torn != "" and at_s - self._doubted_s >= self._config.gnss_doubt_s
