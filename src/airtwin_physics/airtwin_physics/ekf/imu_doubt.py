# SPDX-License-Identifier: Apache-2.0
"""Is the IMU itself to be believed? Judged by what owes the filter nothing.

An axis, a sign or a unit that is wrong (a board mounted otherwise than told, a log converted
badly, a broken sensor) breaks the filter within a second, while every gate that it shuts looks as
if the others were to blame. Six things tell:

- *rest*: on the ground nothing but gravity is felt, and where it points PX4's attitude says, too;
- *turns*: the gyro turns as PX4's attitude does. Only how it changes is asked, so a heading that
  is off for long does not matter;
- *pushes*: the accelerometer, turned to NED by PX4's tilt and the filter's heading, changes the
  velocity as a receiver shows it that is of one piece;
- *stuck*: a sample that repeats itself to the bit in motion;
- *tilt*: of filter and PX4, if they part by 20 deg;
- *resets*: whoever is taken at its word in flight, because the filter had gone astray, has cured
  it. Where it is astray again soon, what carries it is broken.

PX4's attitude is of the same IMU, but comes another way: by its own choice of sensor, calibration
and rotation. What PX4 hears as wrongly as the twin, only rest and resets show. Turns, pushes and
tilt count only where nothing bears the filter out: PX4 may be the one that errs.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from airtwin_core import frames
from airtwin_core.types import Array, Attitude, GnssFix
from airtwin_physics.ekf import alignment
from airtwin_physics.ekf.doubt import BOUND, Doubt
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.kernel import GRAVITY_M_S2, rotation, turn
from airtwin_physics.ekf.tally import NEVER_S

_SPAN_S = 0.4  # over which turns are compared
_GAP_S = 1.0  # beyond it nothing is compared
_TURN_RAD = 0.05  # by which two sound attitudes may turn differently ...
_TURN_RAD_S = 0.1  # ... and in time: a gyro's bias that nobody has learnt, PX4's corrections
_TURN_SHARE = 0.1  # ... and of the turn: scale, and when each is true
_PUSH_S, _PUSH_MOST_S = 1.0, 2.2  # over which changes of velocity are compared
_PUSH_M_S2 = 1.5  # by which they may differ: PX4's tilt 0.05 rad, bias, vibration
_DELAY_S = 0.3  # that a receiver's velocity may have
_REST_S = 2.0  # rest is believed
_FORCE_OFF_M_S2 = 1.0  # at rest, from gravity: five times the sigma of the bias
_DOWN_OFF_RAD = 0.35  # at rest, from PX4's attitude
N_SINCE, N_PUSH = 12, 8
_AT, _APART, _DOPPLER, _HIDDEN = 0, 1, 4, 7  # of a push; see ``pushed``
_KEPT = 64  # of them: a receiver at 25 Hz fills the time
_STUCK_S = 0.35  # seen four times in a row
_PARTS = {"gyro": slice(0, 24), "accelerometer": slice(24, 48)}  # bytes of a sample
_AGAIN_S = 30.0  # a filter cured twice within it has a broken IMU


@njit(cache=True)
def follow(since: Array, ring: Array, begin: int, end: int) -> None:
    """Add the steps begin to end of the ring to ``since`` (12,).

    since: turn (4,) from the body of now to that of then; change of velocity (3,) [m/s] by the
    specific force, FRD of then; time [s]; sum of all turns [rad]; variance of the turn [rad^2] by
    what the steps hide; longest step [s]; variance of the velocity [m^2/s^2]. ring: as ``steps``.
    """
    size = ring.shape[0]
    q = since[0:4]
    r = np.empty((3, 3))
    for index in range(begin, end):
        step = ring[index % size]
        dt = step[0]
        rotation(q, r)
        for i in range(3):
            total = r[i, 0] * step[4] + r[i, 1] * step[5] + r[i, 2] * step[6]
            since[4 + i] += total * dt
            since[9] += step[7 + i]
        since[7] += dt
        rate2 = step[1] * step[1] + step[2] * step[2] + step[3] * step[3]
        since[8] += np.sqrt(rate2) * dt
        since[10] = max(since[10], dt)
        since[11] += step[10]
        turn(q, step[1] * dt, step[2] * dt, step[3] * dt)


@njit(cache=True)
def felt(velocity: Array, to_ned: Array, since: Array) -> tuple[float, float, float]:
    """Return a velocity (3,) [m/s] NED that the accelerometer and gravity have carried on.

    to_ned (3, 3): of the body when ``since`` began; since (12,): see ``follow``.
    """
    moved = (since[4], since[5], since[6])
    north = to_ned[0, 0] * moved[0] + to_ned[0, 1] * moved[1] + to_ned[0, 2] * moved[2]
    east = to_ned[1, 0] * moved[0] + to_ned[1, 1] * moved[1] + to_ned[1, 2] * moved[2]
    down = to_ned[2, 0] * moved[0] + to_ned[2, 1] * moved[1] + to_ned[2, 2] * moved[2]
    down += GRAVITY_M_S2 * since[7]
    return velocity[0] + north, velocity[1] + east, velocity[2] + down


@njit(cache=True)
def pushed(
    pushes: Array,
    kept: int,
    doppler: Array,
    velocity: Array,
    to_ned: Array,
    since: Array,
    look: tuple[float, float, float],
) -> tuple[int, float, float]:
    """Note a receiver's velocity (3,) [m/s] beside the accelerometer's, which is ``felt``.

    Returns how many are kept, and by how much they have parted since the oldest, and parted down,
    as shares of the bound [-]; -1 where that is too young. pushes (n, 8), the first ``kept`` hold,
    oldest first: time [s], the one less the other (3,), the receiver's (3,) [m/s], variance of
    the accelerometer's [m^2/s^2]. look: the newest's time, that variance, sigma of the receiver
    [m/s].
    """
    when, hidden, sigma = look
    gone = max(kept - pushes.shape[0] + 1, 0)
    while gone < kept and when - pushes[gone, _AT] > _PUSH_MOST_S:
        gone += 1
    kept -= gone
    for i in range(kept):
        for k in range(N_PUSH):
            pushes[i, k] = pushes[i + gone, k]
    now, then, carried = pushes[kept], pushes[0], felt(velocity, to_ned, since)
    now[_AT], now[_HIDDEN] = when, hidden
    for k in range(3):
        now[_DOPPLER + k] = doppler[k]
        now[_APART + k] = doppler[k] - carried[k]
    span = when - then[_AT]
    if not span >= _PUSH_S:
        return kept + 1, -1.0, -1.0
    swing2, apart2 = 0.0, 0.0
    for i in range(kept):
        total = 0.0
        for k in range(_DOPPLER, _DOPPLER + 3):
            total += (now[k] - pushes[i, k]) ** 2
        swing2 = max(swing2, total)
    for k in range(_APART, _APART + 3):
        apart2 += (now[k] - then[k]) ** 2
    noise = np.sqrt(2.0 * sigma * sigma + hidden - then[_HIDDEN])
    allowed = BOUND * noise + _PUSH_M_S2 * span + 2.0 * _DELAY_S * np.sqrt(swing2) / span
    down = abs(now[_APART + 2] - then[_APART + 2])
    return kept + 1, np.sqrt(apart2) / allowed, down / allowed


class ImuDoubt:
    """What speaks against one aircraft's IMU; ``said``: that in words, "" while it is believed.

    ``inverted``: it rests on its back or side, or the IMU does; tailsitters stand on their tail.
    """

    def __init__(self, track: ImuTrack, patience_s: float) -> None:
        """patience_s: borne out for so long it is believed again."""
        self._track = track
        self._patience_s = patience_s
        self._since = np.zeros(N_SINCE)
        self._pushed = np.zeros((_KEPT, N_PUSH))
        self.start_over()

    def start_over(self) -> None:
        """Believe it: the chain of its samples broke."""
        self._next = -1
        self._turns, self._pushes, self._tilts = (Doubt(self._patience_s) for _ in range(3))
        self._before: Attitude | None = None
        self._before_s = NEVER_S
        self._sinks = False  # it is contradicted in down, where no heading matters
        self._to_ned = np.eye(3)  # R_ned_frd: tilt by PX4, heading by the filter
        self._velocity = np.zeros(3)  # by the accelerometer, up to _before
        self._hidden = 0.0  # its variance
        self._kept = 0  # of _pushed
        self._resting_s = self._cured_s = self._contested_s = NEVER_S
        self._repeats: dict[str, tuple[bytes, float]] = {}  # newest value, since when
        self._at_rest = self._astray = self._accused = ""
        self.said = ""
        self.inverted = False

    def turned_over(self) -> None:
        """Take back what a wrong heading accounts for, which is nothing down."""
        if self._sinks:
            return
        self._pushes = Doubt(self._patience_s)
        self._kept = 0
        self._accused = ""

    # --- evidence -------------------------------------------------------------------------------

    def attitude(self, sample: Attitude, at_s: float, q: Array, cov: Array) -> None:
        """Hold gyro and filter against how PX4's attitude, true at the horizon, has turned.

        q (4,): the filter's attitude; cov (3, 3): covariance of its error [rad^2] FRD.
        """
        before, since = self._before, self._since
        self._follow()
        step_s = at_s - self._before_s
        if before is not None and 0.0 <= step_s < _SPAN_S:
            return
        if before is None or step_s > _GAP_S or sample.reset_counter != before.reset_counter:
            self._kept = 0
        else:
            told = frames.quat_multiply(frames.quat_conjugate(before.q_ned_frd), sample.q_ned_frd)
            off = frames.quat_multiply(frames.quat_conjugate(since[0:4]), told)
            angle = 2.0 * math.atan2(math.dist(off[1:].tolist(), (0.0, 0.0, 0.0)), abs(off[0]))
            turned, variance, longest_s = since[8:11].tolist()
            smeared = 2.0 * longest_s * turned / step_s
            allowed = _TURN_RAD + _TURN_RAD_S * step_s + _TURN_SHARE * turned + smeared
            self._turns.weigh(angle / (allowed + BOUND * math.sqrt(variance)), step_s, at_s)
            up = _up(q)
            sigma_rad = math.sqrt(max(float(np.trace(cov) - up @ cov @ up), 0.0))
            angle = _between(up, _up(sample.q_ned_frd))
            self._tilts.weigh(angle / (_DOWN_OFF_RAD + BOUND * sigma_rad), step_s, at_s)
            self._velocity = np.array(felt(self._velocity, self._to_ned, since))
            self._hidden += since.item(11)
        twist = frames.quat_multiply(q, frames.quat_conjugate(sample.q_ned_frd))
        azimuth = 2.0 * math.atan2(float(twist[3]), float(twist[0]))
        self._to_ned = frames.rotation_from_quat(alignment.turned(sample.q_ned_frd, azimuth))
        self._before, self._before_s = sample, at_s
        since[:] = 0.0
        since[0] = 1.0

    def velocity(self, fix: GnssFix, at_s: float, sigma_m_s: float) -> None:
        """Hold the accelerometer against a receiver's velocity, true at the horizon."""
        self._follow()
        doppler, since = fix.velocity_ned_m_s, self._since
        if doppler is None or self._before is None or at_s - self._before_s > _GAP_S:
            self._kept = 0
            return
        newest_s = self._pushed.item(self._kept - 1, _AT)
        look = at_s, self._hidden + since.item(11), sigma_m_s
        self._kept, share, down = pushed(
            self._pushed, self._kept, doppler, self._velocity, self._to_ned, since, look
        )
        if share >= 0.0:
            self._pushes.weigh(share, at_s - newest_s, at_s)
            self._sinks = down > 1.0 or (self._sinks and self._pushes.torn)

    def rest(self, at_s: float, *, standing: bool, px4: Attitude | None) -> None:
        """Hold the accelerometer against gravity; standing: on the ground, and quiet."""
        if not standing:
            self._resting_s = NEVER_S
            self.inverted = False
            return
        if self._resting_s == NEVER_S:
            self._resting_s = at_s
        if at_s - self._resting_s < _REST_S:
            return
        self._astray, before, fault = "", self._at_rest, ""
        force = self._track.mean_force_frd
        size = float(np.linalg.norm(force))
        self.inverted = force.item(2) > 0.5 * size or abs(force.item(1)) > 0.8 * size
        if abs(size - GRAVITY_M_S2) > _FORCE_OFF_M_S2:
            fault = f"accelerometer shows {size:.1f} m/s^2 at rest (unit or scale?)"
        elif px4 is not None:
            angle = _between(force / size, _up(px4.q_ned_frd))
            if angle > _DOWN_OFF_RAD:
                fault = (
                    f"accelerometer's up is {math.degrees(angle):.0f} deg from PX4's at rest "
                    "(axes or sign?)"
                )
        self._at_rest = (before or fault) if fault else ""  # words that stay the same

    def stuck(self, at_s: float, *, moving: bool) -> None:
        """Look whether gyro or accelerometer repeats itself to the bit while all moves."""
        newest = self._track.last_imu.tobytes()
        for name, there in _PARTS.items():
            value = newest[there]
            before, since_s = self._repeats.get(name, (b"", at_s))
            same = moving and value == before
            self._repeats[name] = (value, since_s if same else at_s)

    def cured(self, at_s: float) -> None:
        """Note that the filter had gone astray, and followed somebody else in part."""
        since_s = at_s - self._cured_s
        if since_s < self._patience_s:
            return  # place and speed are cured one after the other
        if since_s < _AGAIN_S:
            self._astray = "the filter went astray with it time and again"
        self._cured_s = at_s

    def conclude(self, at_s: float, *, borne_out: bool, receiver_sound: bool) -> None:
        """Weigh it all; borne_out: what shows the motion agrees with the filter."""
        if not borne_out or self._resting_s > NEVER_S:
            self._contested_s = at_s
        accused = [
            f"{name} is stuck"
            for name, (_, since_s) in self._repeats.items()
            if at_s - since_s > _STUCK_S
        ]
        if not borne_out:
            if self._turns.torn:
                accused.append("gyro does not turn as PX4's attitude does (axes, sign or unit?)")
            if self._pushes.torn and receiver_sound:
                accused.append("accelerometer does not push as GNSS moves (axes, sign or unit?)")
            if self._tilts.torn:
                accused.append("its attitude parts from PX4's, and nothing bears it out")
        if at_s - self._contested_s > self._patience_s:
            self._at_rest = self._astray = self._accused = ""
        if accused or not receiver_sound:
            self._accused = ", ".join(accused)
        self.said = ", ".join(filter(None, (self._at_rest, self._astray, self._accused)))

    # --- parts ----------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Carry what the IMU did to the filter's horizon."""
        track = self._track
        if self._next < 0 or track.first - self._next > len(track.ring):
            self._before = None
        else:
            follow(self._since, track.ring, self._next, track.first)
        self._next = track.first


def _up(q_ned_frd: Array) -> Array:
    """Return the direction (3,) FRD of what is felt at rest."""
    down: Array = frames.rotation_from_quat(q_ned_frd)[2]
    return -down


def _between(one: Array, other: Array) -> float:
    """Return the angle [rad] between two directions (3,)."""
    return math.acos(min(max(float(one @ other), -1.0), 1.0))
