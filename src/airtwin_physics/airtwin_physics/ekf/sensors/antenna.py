# SPDX-License-Identifier: Apache-2.0
"""Where the antenna of GNSS is: the lever that was told, and what an untold one looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import correction, kernel
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.correction import Held
from airtwin_physics.ekf.imu import ImuTrack

ARM_MAX_M = 100.0  # from the IMU to an antenna: no aircraft is larger
_ARM_M = 0.05  # from the IMU to the antenna of a small aircraft, along each axis, if nobody tells
_SPIN_RAD_S = 3.0  # what turns slower tells arm and bias apart sooner than it suffers (EKF2)
_SPIN_S = 2.0  # over which a rate lasts, if it is a spin: what wobbles tells arm and bias apart


@dataclass(frozen=True, slots=True)
class Lever:
    """From the IMU to the antenna, at the time of a fix: NED (3,) [m], [m/s].

    ``by_turn``: (3, 3), how they change with the attitude error: -R [l]x, -R [w x l]x.
    """

    place: Array
    speed: Array
    place_by_turn: Array
    speed_by_turn: Array


def lever(arm_frd_m: Array, belief: Belief, track: ImuTrack, lag_s: float) -> Lever:
    """Return where the antenna was; arm_frd_m (3,) from the IMU, lag_s: how late the fix is."""
    x = belief.x
    rotation = frames.rotation_from_quat(x[kernel.X_Q : kernel.X_Q + 4])
    rate = track.rate_frd() - x[kernel.X_GYRO_BIAS : kernel.X_GYRO_BIAS + 3]
    swing = np.cross(rate, arm_frd_m)
    then = arm_frd_m - swing * lag_s
    return Lever(
        place=rotation @ then,
        speed=rotation @ swing,
        place_by_turn=np.cross(then, rotation),
        speed_by_turn=np.cross(swing, rotation),
    )


class Spin:
    """Learns no bias where an arm that nobody told looks like one.

    Turning on and on at rate w, an arm a across the axis moves the antenna by w a, which a bias
    of w^2 a does too: as far as the arm is unknown so is the bias. From 3 rad/s on, as EKF2
    (``EKF2_ABL_GYRLIM``). ``swing_m_s``: by which the antenna may circle about the IMU;
    ``held``: what its fixes must not correct.
    """

    def __init__(self) -> None:
        self.swing_m_s = 0.0
        self.held: Held = correction.FREE
        self._rate = (0.0, 0.0, 0.0)  # that lasts [rad/s] FRD
        self._looked_s = 0.0

    def look(self, at_s: float, belief: Belief, track: ImuTrack, *, told: bool) -> None:
        """Look at the rates of late; told: somebody said where the antenna is."""
        x, p, at = belief.x, belief.p, kernel.ACCEL_BIAS
        share = min(max(at_s - self._looked_s, 0.0) / _SPIN_S, 1.0)
        off_x, off_y, off_z = x[kernel.X_GYRO].tolist()
        rate_x, rate_y, rate_z = track.mean_rate_frd.tolist()
        roll, pitch, yaw = self._rate
        roll += share * (rate_x - off_x - roll)
        pitch += share * (rate_y - off_y - pitch)
        yaw += share * (rate_z - off_z - yaw)
        self._rate, self._looked_s = (roll, pitch, yaw), at_s
        roll2, pitch2, yaw2 = roll * roll, pitch * pitch, yaw * yaw
        self.swing_m_s, self.held = 0.0, correction.FREE
        if told or roll2 + pitch2 + yaw2 <= _SPIN_RAD_S**2:
            return
        self.swing_m_s = _ARM_M * math.sqrt(roll2 + pitch2 + yaw2)
        level = _ARM_M * (max(pitch2, roll2) + yaw2) > math.sqrt(min(p[at, at], p[at + 1, at + 1]))
        down = _ARM_M * (roll2 + pitch2) > math.sqrt(p[at + 2, at + 2])
        if down:
            self.held = correction.BIAS_HELD
        elif level:
            self.held = correction.LEVEL_BIAS_HELD
