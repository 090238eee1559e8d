# SPDX-License-Identifier: Apache-2.0
"""Where a flight begins that nobody estimates yet: a belief made of what a plan supposes."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array, TwinState

ZERO = np.zeros(3)
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
# one sigma of position [m], velocity [m/s], attitude [rad], biases of gyro [rad/s] and
# accelerometer [m/s^2]: what the twin knows in flight with a usual GNSS receiver
SIGMAS = np.repeat([0.5, 0.2, 0.02, 0.001, 0.05], 3)


def supposed(
    position_ned_m: Array,
    velocity_ned_m_s: Array = ZERO,
    q_ned_frd: Array = LEVEL,
    sigmas: Array = SIGMAS,
) -> TwinState:
    """Return the belief in an aircraft that does not turn, all of it independent.

    position_ned_m, velocity_ned_m_s: (3,); q_ned_frd: (4,); sigmas: (15,) as ``SIGMAS``.
    """
    return TwinState(
        stamp_ns=0,
        received_ns=0,
        position_ned_m=np.asarray(position_ned_m, dtype=np.float64),
        velocity_ned_m_s=np.asarray(velocity_ned_m_s, dtype=np.float64),
        q_ned_frd=np.asarray(q_ned_frd, dtype=np.float64),
        rate_frd_rad_s=ZERO,
        acceleration_ned_m_s2=ZERO,
        gyro_bias_frd_rad_s=ZERO,
        accel_bias_frd_m_s2=ZERO,
        covariance=np.diag(np.asarray(sigmas, dtype=np.float64) ** 2),
        origin=None,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )
