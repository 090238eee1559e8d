# SPDX-License-Identifier: Apache-2.0
"""The belief of now as it is published: a forecast from the filter's horizon to the newest IMU."""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array, SensorHealth, TwinState, WindEstimate
from airtwin_core.types.belief import N_ERROR
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel, wind
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.clocks import Clocks
from airtwin_physics.ekf.fusion import Sensors
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.imu_noise import LAST
from airtwin_physics.ekf.steps import forecast
from airtwin_physics.ekf.tally import NEVER_S

_LOOK_S = 0.1  # between two looks at the health of the sensors
_LOST_SAID_S = 10.0  # for so long a lost state is spoken of

# Places in the row that ``present`` writes: the nominal state first, then what follows from it.
_N = kernel.N_NOMINAL
_RATE, _ACCELERATION = _N, _N + 3
N_ROW = _N + 6
_POSITION, _VELOCITY = kernel.X_POSITION, kernel.X_VELOCITY
_QUATERNION = kernel.X_QUATERNION
_GYRO_BIAS, _ACCEL_BIAS = slice(10, 13), slice(13, 16)
_TURNING, _FORCED = slice(_RATE, _RATE + 3), slice(_ACCELERATION, _ACCELERATION + 3)

_acceleration = kernel.acceleration
_N_ERRORS, _Q = kernel.N, kernel.X_Q
_winds = wind.winds
_BIAS = kernel.X_GYRO_BIAS


@njit(cache=True)
def present(
    x: Array,
    p: Array,
    law: Array,
    ring: Array,
    first: int,
    last: int,
    constants: Array,
    rest: Array,
    aside: Array,
    row: Array,
    air: Array,
    covariance: Array,
) -> None:
    """Write the state of now into row (39,) and covariance (15, 15) of its first errors.

    x to constants: as of ``forecast``. rest: of ``imu_noise``, holds the IMU sample of now.
    aside (3, 3) [m^2]: doubt of the position that P does not hold. row: nominal state (N + 1,), q
    with w >= 0; rate (3,) [rad/s] FRD; acceleration (3,) [m/s^2] NED. air (6, 2): what
    ``wind.winds`` writes; law (6,): as there.
    """
    cov = np.empty((_N_ERRORS, _N_ERRORS))
    forecast(x, p, ring, first, last, constants, row[:_N], cov)
    _acceleration(row, rest[LAST + 3 : LAST + 6], row[_ACCELERATION : _ACCELERATION + 3])
    if not row[_Q] >= 0.0:
        for i in range(4):
            row[_Q + i] = -row[_Q + i]
    for i in range(3):
        row[_RATE + i] = rest[LAST + i] - row[_BIAS + i]
    _winds(row, cov, law, air)
    for i in range(N_ERROR):
        for j in range(N_ERROR):
            covariance[i, j] = cov[i, j]
    for i in range(3):
        for j in range(3):
            covariance[i, j] += aside[i, j]


class Output:
    """Makes the states; what changes slower than they are published is looked at less often."""

    def __init__(
        self,
        config: EstimatorConfig,
        track: ImuTrack,
        belief: Belief,
        sensors: Sensors,
        anchor: Anchor,
        clocks: Clocks,
    ) -> None:
        self._config = config
        self._track = track
        self._belief = belief
        self._sensors = sensors
        self._anchor = anchor
        self._clocks = clocks
        self.start_over()

    def start_over(self, lost: str = "") -> None:
        """Look anew at all; ``lost``: why the state was lost, which is said for a while."""
        self._lost, self._lost_s = lost, self._track.now_s
        self._looked_s = NEVER_S
        self._health: tuple[SensorHealth, ...] = ()
        self._wind_fits = False
        self._notice = ""

    def state(self) -> TwinState | None:
        """Return the belief at the newest IMU sample; None before the first attitude."""
        track, belief, sensors = self._track, self._belief, self._sensors
        imu = track.newest
        if not belief.begun or imu is None:
            return None
        row, air, covariance = np.empty(N_ROW), np.empty((6, 2)), np.empty((N_ERROR, N_ERROR))
        present(
            belief.x,
            belief.p,
            belief.wind.law,
            track.ring,
            track.first,
            track.last,
            belief.constants,
            track.rest,
            sensors.pose.aside,
            row,
            air,
            covariance,
        )
        at_s = track.reached_s
        since_s = at_s - self._config.valid_s
        if at_s - self._looked_s >= _LOOK_S:
            self._look(at_s)
        sound = not (track.crowded or sensors.imu.said)
        return TwinState(
            stamp_ns=imu.stamp_ns,
            received_ns=imu.received_ns,
            position_ned_m=row[_POSITION],
            velocity_ned_m_s=row[_VELOCITY],
            q_ned_frd=row[_QUATERNION],
            rate_frd_rad_s=row[_TURNING],
            acceleration_ned_m_s2=row[_FORCED],
            gyro_bias_frd_rad_s=row[_GYRO_BIAS],
            accel_bias_frd_m_s2=row[_ACCEL_BIAS],
            covariance=covariance,
            origin=self._anchor.origin,
            aligned=sound,
            horizontal_valid=sound and sensors.horizontal(since_s),
            vertical_valid=sound and sensors.vertical(since_s),
            velocity_valid=sound and sensors.velocity(since_s),
            heading_valid=sound and sensors.heading.passed_s > since_s,
            fusions=sensors.fusions(),
            wind=self._wind(air, at_s),
            health=self._health,
            notice=self._notice,
        )

    def _wind(self, air: Array, at_s: float) -> WindEstimate | None:
        """Return wind and gust, air (6, 2) of ``wind.winds``; None if nothing ever showed them."""
        shown_s = self._sensors.wind_shown_s()
        if shown_s == NEVER_S:
            return None
        c = self._config
        sure = air.item(2) + air.item(5) < 2.0 * c.wind_valid_m_s**2
        valid = sure and at_s - shown_s < c.valid_s and self._wind_fits
        return WindEstimate(air[0], air[1:3], valid, air[3], air[4:6])

    def _look(self, at_s: float) -> None:
        """Look how the sensors fare."""
        self._looked_s = at_s
        self._health = self._sensors.health(at_s)
        self._wind_fits = self._sensors.wind_fits(at_s)
        words = [self._clocks.notice(), self._sensors.notice(at_s)]
        if self._track.crowded:
            words.insert(0, "IMU samples cover more time than passes: two vehicles under one name")
        if self._lost and self._track.now_s - self._lost_s < _LOST_SAID_S:
            words.insert(0, f"state lost ({self._lost}) and found again")
        self._notice = "; ".join(filter(None, words))
