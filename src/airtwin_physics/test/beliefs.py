# SPDX-License-Identifier: Apache-2.0
"""Beliefs from which the tests of rollouts begin."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array, TwinState

ZERO = np.zeros(3)
SIGMAS = np.array([0.5] * 2 + [0.8] + [0.2] * 3 + [0.02] * 3 + [0.001] * 3 + [0.05] * 3)


def level_flight(
    velocity: Array = ZERO, q: Array | None = None, sigmas: Array = SIGMAS
) -> TwinState:
    """Return an aircraft 40 m up that flies level unless told otherwise."""
    level = np.array([1.0, 0.0, 0.0, 0.0]) if q is None else q
    return TwinState(
        stamp_ns=0,
        received_ns=0,
        position_ned_m=np.array([0.0, 0.0, -40.0]),
        velocity_ned_m_s=velocity,
        q_ned_frd=level,
        rate_frd_rad_s=ZERO,
        acceleration_ned_m_s2=ZERO,
        gyro_bias_frd_rad_s=ZERO,
        accel_bias_frd_m_s2=ZERO,
        covariance=np.diag(sigmas**2),
        origin=None,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )
