# SPDX-License-Identifier: Apache-2.0
"""Where north is by motion alone: what the IMU feels against what Doppler shows.

A compass that is mounted or calibrated wrong drags the filter along, and so does PX4's heading,
which comes from the same compass. This is a second opinion that neither has touched: a level frame
of unknown azimuth, held by the gyro and slowly levelled by gravity, in which the IMU's horizontal
changes of velocity are formed. Doppler shows the same changes in north and east; the turn between
the two sets is the azimuth. EKF2 has a bank of five filters for this (its emergency yaw, EKF-GSF);
the turn that fits two sets of vectors best has a closed form (Wahba's problem in the plane).
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numba import njit

from airtwin_core import frames
from airtwin_core.types import Array, GnssFix
from airtwin_physics.ekf import alignment, kernel
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.kernel import GRAVITY_M_S2, rotation, turn

SPAN_S = 1.0  # over which a change of velocity is formed
_GAP_S = 3.0
_MEMORY_S = 20.0  # the gyro's bias turns the frame by a few degrees in that time
_MEMORY_RAD = 20.0  # and an error of its scale in so many turns
_LEVELLING_1_S = 0.1  # EKF-GSF: 0.2
_FORCE_OFF = 0.5  # specific force this share away from g levels nothing
_LEAST_M_S = 0.3  # what a change of velocity may be wrong by whatever Doppler claims
_SIGMA_MAX_RAD = 0.25
_OFF_MIN_RAD = 0.8  # less the filter finds and mends by itself
_SIGMAS = 4.0
_LOOKS = 3  # in a row
_TILT_SIGMA_RAD = 0.1


@njit(cache=True)
def follow(q: Array, moved: Array, ring: Array, begin: int, end: int, bias: Array) -> None:
    """Carry the level frame along the steps begin to end of the ring.

    q (4,): attitude towards the level frame, its z axis down; moved (3,): velocity [m/s] along its
    x and y, and the sum of all turns [rad]; ring (n, >= 7): dt [s], rate (3,) [rad/s], specific
    force (3,) [m/s^2] FRD of each step; bias (3,) [rad/s] of the gyro.
    """
    size = ring.shape[0]
    r = np.empty((3, 3))
    force = np.empty(3)
    for index in range(begin, end):
        entry = ring[index % size]
        dt = entry[0]
        x, y, z = entry[1] - bias[0], entry[2] - bias[1], entry[3] - bias[2]
        moved[2] += np.sqrt(x * x + y * y + z * z) * dt
        turn(q, x * dt, y * dt, z * dt)
        rotation(q, r)
        total = 0.0
        for i in range(3):
            force[i] = r[i, 0] * entry[4] + r[i, 1] * entry[5] + r[i, 2] * entry[6]
            total += force[i] * force[i]
        moved[0] += force[0] * dt
        moved[1] += force[1] * dt
        total = np.sqrt(total)
        weight = 1.0 - abs(total / GRAVITY_M_S2 - 1.0) / _FORCE_OFF
        if weight > 0.0:
            # turn the force upright about a level axis, which leaves the azimuth alone
            gain = weight * _LEVELLING_1_S * dt / total
            x, y = -gain * force[1], gain * force[0]
            turn(
                q,
                r[0, 0] * x + r[1, 0] * y,
                r[0, 1] * x + r[1, 1] * y,
                r[0, 2] * x + r[1, 2] * y,
            )


class MotionHeading:
    """The second opinion of one aircraft; ``sigma_rad`` of it, infinite before it has any."""

    def __init__(self, track: ImuTrack) -> None:
        self._track = track
        self._q = np.zeros(4)
        self._moved = np.zeros(3)
        self._bias = np.zeros(3)
        self.start_over()

    def start_over(self) -> None:
        """Forget all: the chain of IMU samples broke."""
        self._next = -1
        self._pair: tuple[float, complex, complex, float] | None = None
        self._match = 0j
        self._felt = self._shown = self._count = 0.0
        self._looks = 0
        self.sigma_rad = math.inf

    def follow(self, x: Array) -> None:
        """Carry the level frame to the filter's horizon; x: the state, where it begins."""
        track = self._track
        if self._next < 0 or track.first - self._next > len(track.ring):
            self.start_over()
            self._q[:] = x[kernel.X_QUATERNION]
            self._bias[:] = x[kernel.X_GYRO]
        else:
            follow(self._q, self._moved, track.ring, self._next, track.first, self._bias)
        self._next = track.first

    def take(self, fix: GnssFix, at_s: float, x: Array, speed_sigma_m_s: float) -> bool:
        """Learn from a fix true at the horizon; return whether a heading has been contradicted.

        fix: with a velocity that is possible, or none. x: the filter's state, whose attitude is
        judged.
        """
        self.follow(x)
        doppler = fix.velocity_ned_m_s
        if doppler is None:
            return False
        before = self._pair
        if before is not None and at_s - before[0] < SPAN_S:
            return False
        felt, shown, turned = complex(*self._moved[:2]), complex(*doppler[:2]), self._moved.item(2)
        self._pair = (at_s, felt, shown, turned)
        if before is None:
            return False
        age = (at_s - before[0]) / _MEMORY_S + (turned - before[3]) / _MEMORY_RAD
        if at_s - before[0] > _GAP_S:
            self._age(math.exp(-age))
            return False
        self._learn(math.exp(-age), felt - before[1], shown - before[2], speed_sigma_m_s)
        wrong = abs(self.off_rad(x)) > max(_SIGMAS * self.sigma_rad, _OFF_MIN_RAD)
        self._looks = self._looks + 1 if wrong and self.sigma_rad < _SIGMA_MAX_RAD else 0
        return self._looks >= _LOOKS

    def _age(self, kept: float) -> None:
        """Keep a share of what was learnt: while no fix came the frame has turned unseen."""
        self._match *= kept
        self._felt *= kept
        self._shown *= kept
        self._count *= kept

    def _learn(self, kept: float, felt: complex, shown: complex, sigma_m_s: float) -> None:
        self._age(kept)
        self._match += felt.conjugate() * shown
        self._felt += abs(felt) ** 2
        self._shown += abs(shown) ** 2
        self._count += 1.0
        left = self._felt + self._shown - 2.0 * abs(self._match)
        variance = max(left / (2.0 * self._count), 2.0 * sigma_m_s**2, _LEAST_M_S**2)
        # of the angle of the match: noise across it, over its length. Where the two sets do not
        # fit, as of a level frame that vibration holds tilted, the match is short
        self.sigma_rad = math.sqrt(variance * self._felt) / max(abs(self._match), 1e-9)

    def off_rad(self, x: Array) -> float:
        """Return by how much the state's heading has to be turned to be that of the motion."""
        to_ned = frames.quat_multiply(x[kernel.X_QUATERNION], frames.quat_conjugate(self._q))
        return frames.wrap_pi(
            cmath.phase(self._match) - 2.0 * math.atan2(float(to_ned[3]), float(to_ned[0]))
        )

    def agrees(self, x: Array) -> bool:
        """Return whether motion shows a heading, and this one."""
        sure = self.sigma_rad < _SIGMA_MAX_RAD
        return sure and abs(self.off_rad(x)) < max(_SIGMAS * self.sigma_rad, _OFF_MIN_RAD)

    def attitude(self) -> alignment.FirstAttitude:
        """Return the attitude at the horizon that gravity and motion show."""
        q = alignment.turned(self._q, cmath.phase(self._match))
        r = frames.rotation_from_quat(q)
        about_ned = np.diag([_TILT_SIGMA_RAD**2, _TILT_SIGMA_RAD**2, self.sigma_rad**2])
        return alignment.FirstAttitude(q, r.T @ about_ned @ r, heading_by="")
