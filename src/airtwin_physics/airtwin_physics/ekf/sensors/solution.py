# SPDX-License-Identifier: Apache-2.0
"""One GNSS fix at the border: what it says of the IMU, how sure that is, what of it is unusable.

All that judging and fusing a fix needs, made once, before anything is fused.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from airtwin_core.geodesy import check_coordinates
from airtwin_core.types import Array, GnssFix
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, models
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.correction import Held
from airtwin_physics.ekf.imu import ImuTrack, square
from airtwin_physics.ekf.sensors.antenna import ARM_MAX_M, Lever, Spin, lever
from airtwin_physics.ekf.steps import ACCELERATION, STRUCK, before
from airtwin_physics.ekf.tally import LATE_MAX_S, TOO_LATE

SPEED_MAX_M_S = 1e3
FAR = "far from the origin"
BEFORE_IMPACT = "may be of before an impact"
_RATTLE_S = 1.0  # impacts for longer are an IMU that rattles: no reason not to judge receivers
_BACK_S = 0.01  # a fix that much older than the state is held against what the IMU says was then
_DOWN_WORSE2 = 2.25  # variance of Doppler down over that across: sigma half as large again (EKF2)
_POSITION, _VELOCITY, _TURN = kernel.X_POSITION, kernel.X_VELOCITY, kernel.ATTITUDE
_NOWHERE = np.full(3, np.nan)


class Rows(NamedTuple):
    """Numbers measured at once, in one unit: slopes h (m, N), residual, variance (m,)."""

    h: Array
    residual: Array
    variance: Array

    def axes(self, which: slice) -> Rows:
        """Return some of them."""
        return Rows(self.h[which], self.residual[which], self.variance[which])


class Way(NamedTuple):
    """By how much the way since a late fix was no straight one at even acceleration.

    ``place`` (3,) [m], ``velocity`` (3,) [m/s] NED: where the IMU's steps lead back to, over where
    the models do; ``doubt``: variance [m^2/s^2] of the speed by what the steps may have missed.
    """

    place: Array
    velocity: Array
    doubt: float


_STRAIGHT = Way(np.zeros(3), np.zeros(3), 0.0)


class Solution(NamedTuple):
    """A fix as it can be used.

    ``stamp_ns``: its stamp; ``at_s``: the time of the belief; ``lag_s``: how long before that it
    was true. ``no_place``, ``no_speed``: why one cannot be used, "" if it can; ``struck``: an
    impact was so near that the fix may be of before. ``place`` (3,) [m], ``velocity`` (3,) [m/s]:
    of the IMU, NaN where unusable; ``sigma`` [m] NED, ``speed_sigma`` [m/s]: claimed, as far as
    a claim is ever believed. ``lever``: to its antenna, None if untold or at the IMU;
    ``swing_m_s``: by which an untold one may circle; ``held``: what the fix must not correct.
    ``way``: since it was true.
    """

    stamp_ns: int
    at_s: float
    lag_s: float
    no_place: str
    no_speed: str
    struck: bool
    place: Array
    velocity: Array
    sigma: tuple[float, float, float]
    speed_sigma: float
    lever: Lever | None
    swing_m_s: float
    held: Held
    way: Way

    @property
    def true_s(self) -> float:
        """When it was true [s]."""
        return self.at_s - self.lag_s


class Border:
    """Makes a ``Solution`` of each fix: asks what only the fixes before it can tell."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, anchor: Anchor, track: ImuTrack
    ) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self._track = track
        self.start_over()

    def start_over(self) -> None:
        """Forget how it spun and when it was struck."""
        self._spin = Spin()
        self._impacts = Impacts()

    def solve(
        self, fix: GnssFix, at_s: float, lag_s: float, *, stuck: tuple[str, str], located: bool
    ) -> Solution:
        """Return a fix as it can be used.

        stuck: why its place and its speed are the same as ever, "" if not; located: whether the
        filter knows a place.

        Where fixes have shown the origin wrong, it moves to where the belief fits them.
        """
        c, belief, track = self._config, self._belief, self._track
        fault = TOO_LATE if lag_s > LATE_MAX_S else place_fault(fix, c) or stuck[0]
        if not fault:
            then = partial(_stood, belief, lag_s) if located else None
            fault = "" if self._anchor.take(fix, at_s - lag_s, then) else FAR
        struck = self._impacts.near(at_s, belief.watch, c.gnss_delay_max_s)
        no_speed = fault or speed_fault(fix, c) or stuck[1] or (BEFORE_IMPACT if struck else "")
        place = _NOWHERE if fault else self._anchor.to_ned(fix)
        velocity = fix.velocity_ned_m_s
        if no_speed or velocity is None:
            velocity = _NOWHERE
        arm = None
        if fix.antenna_frd_m is not None and not fault:
            arm = lever(fix.antenna_frd_m, belief, track, lag_s)
            place, velocity = place - arm.place, velocity - arm.speed
        self._spin.look(at_s, belief, track, told=fix.antenna_frd_m is not None)
        eph = float(max(fix.eph_m, c.gnss_eph_min_m))
        epv = float(max(fix.epv_m, c.gnss_epv_min_m))
        return Solution(
            stamp_ns=fix.stamp_ns,
            at_s=at_s,
            lag_s=lag_s,
            no_place=fault,
            no_speed=no_speed,
            struck=struck,
            place=place,
            velocity=velocity,
            sigma=(eph, eph, epv),
            speed_sigma=max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s),
            lever=arm,
            swing_m_s=self._spin.swing_m_s,
            held=self._spin.held,
            way=_way(belief, track, at_s, lag_s),
        )


def _stood(belief: Belief, lag_s: float) -> Array:
    """Return where the belief was lag_s ago (3,) [m]."""
    return belief.position_ned_m - belief.velocity_ned_m_s * lag_s


def _way(belief: Belief, track: ImuTrack, at_s: float, lag_s: float) -> Way:
    if not _BACK_S < lag_s <= LATE_MAX_S:
        return _STRAIGHT
    x, watch, then = belief.x, belief.watch, np.empty(kernel.N_NOMINAL)
    doubt = before(x, track.ring, track.first, track.last, watch, at_s - lag_s, then)
    return Way(
        then[_POSITION] - (x[_POSITION] - x[_VELOCITY] * lag_s),
        then[_VELOCITY] - (x[_VELOCITY] - watch[ACCELERATION] * lag_s),
        doubt,
    )


def place_rows(said: Solution, x: Array, config: EstimatorConfig) -> Rows:
    """Return the place against the state x (N + 1,), [m]: the claim's white share is its noise."""
    rows, way = Rows(np.empty((3, kernel.N)), np.empty(3), np.empty(3)), said.way
    noise = config.gnss_white_share, config.gnss_jitter_s, way.doubt
    fill_place(x, said.lag_s, said.place, way.place, said.sigma, noise, *rows)
    if said.lever is not None:
        rows.h[:, _TURN] = said.lever.place_by_turn
    return rows


def speed_rows(said: Solution, x: Array, acceleration: Array) -> Rows:
    """Return the velocity against x (N + 1,) [m/s]; acceleration (3,) [m/s^2] NED, smooth."""
    rows, way = Rows(np.empty((3, kernel.N)), np.empty(3), np.empty(3)), said.way
    noise = said.speed_sigma, said.swing_m_s, way.doubt
    fill_speed(x, acceleration, said.lag_s, said.velocity, way.velocity, noise, *rows)
    if said.lever is not None:
        rows.h[:, _TURN] = said.lever.speed_by_turn
    return rows


@njit(cache=True)
def fill_place(
    x: Array,
    lag: float,
    place: Array,
    bent: Array,
    sigma: tuple[float, float, float],
    noise: tuple[float, float, float],
    h: Array,
    residual: Array,
    variance: Array,
) -> None:
    """Write h (3, N), residual, variance (3,) of a place (3,) [m], ``lag`` [s] before x (N + 1,).

    bent (3,) [m]: over the model; sigma [m]: claimed. noise: share of it that is new [-];
    by which the time of a fix jitters [s]; variance of the speed since [m^2/s^2].
    """
    new, jitter, doubt = noise
    models.gnss_position(x, lag, h, residual)
    for i in range(3):
        residual[i] = place[i] - residual[i] - bent[i]
        white, late = new * sigma[i], jitter * x[kernel.X_VEL + i]
        variance[i] = white * white + late * late + doubt * lag * lag


@njit(cache=True)
def fill_speed(
    x: Array,
    acceleration: Array,
    lag: float,
    velocity: Array,
    bent: Array,
    noise: tuple[float, float, float],
    h: Array,
    residual: Array,
    variance: Array,
) -> None:
    """Write h (3, N), residual, variance (3,) of a velocity (3,) [m/s], ``lag`` [s] before x.

    acceleration (3,) [m/s^2] NED, smooth; bent (3,) [m/s]: over the model. noise: sigma claimed,
    swing of the antenna [m/s]; variance of the speed since [m^2/s^2].
    """
    sigma, swing, doubt = noise
    models.gnss_velocity(x, acceleration, lag, h, residual)
    for i in range(3):
        residual[i] = velocity[i] - residual[i] - bent[i]
        variance[i] = sigma * sigma + swing * swing + doubt
    variance[2] = _DOWN_WORSE2 * (sigma * sigma) + swing * swing + doubt


def place_fault(fix: GnssFix, config: EstimatorConfig) -> str:
    """Return why nothing of a fix can be used, or nothing."""
    if fix.fix_type < config.gnss_fix_min:
        return "no 3D fix"
    try:
        check_coordinates(fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m)
    except ValueError:
        return "impossible coordinates"
    arm = fix.antenna_frd_m
    if arm is not None and not square(arm) < ARM_MAX_M**2:
        return "impossible antenna"
    if not (fix.eph_m <= config.gnss_eph_max_m and fix.epv_m <= config.gnss_epv_max_m):
        return "accuracy too poor"
    return ""


def speed_fault(fix: GnssFix, config: EstimatorConfig) -> str:
    """Return why the velocity of a fix cannot be used, or nothing."""
    velocity = fix.velocity_ned_m_s
    if velocity is None:
        return "no velocity"
    if not square(velocity) < SPEED_MAX_M_S**2:
        return "impossible velocity"
    if not fix.speed_accuracy_m_s <= config.gnss_speed_max_m_s:
        return "accuracy too poor"
    return ""


class Impacts:
    """Tells which fixes may be of before an impact, unless impacts do not end."""

    def __init__(self) -> None:
        self._since_s = math.inf  # of those that have followed one another

    def near(self, at_s: float, watch: Array, delay_s: float) -> bool:
        """Return whether the last impact in ``watch`` (26,) was within delay_s of at_s."""
        struck_s = watch.item(STRUCK)
        struck = struck_s > 0.0 and at_s - struck_s < delay_s
        self._since_s = min(self._since_s, at_s) if struck else at_s
        return struck and at_s - self._since_s < _RATTLE_S
