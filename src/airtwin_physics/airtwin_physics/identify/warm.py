# SPDX-License-Identifier: Apache-2.0
"""Compiles the identification's kernels, or loads them from numba's cache, before a flight."""

from __future__ import annotations

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Imu, LandDetected, MotorCommands, TwinState, VehicleStatus
from airtwin_physics.identify.identifier import Identifier

_STEPS, _STEP_NS = 200, 4_000_000
_MOTORS_EVERY = 5
_GRAVITY_M_S2 = 9.80665


def warm_up(aircraft: Aircraft) -> None:
    """Hover for 0.8 s in memory: every kernel runs with the types that a flight has."""
    identifier = Identifier(aircraft)
    identifier.on(VehicleStatus(0, 0, True, 14, False, 1, False, False, 1, True))
    identifier.on(LandDetected(0, 0, False, False, False, False))
    force = np.array([0.0, 0.0, -_GRAVITY_M_S2])
    for step in range(_STEPS):
        now_ns = 1 + step * _STEP_NS
        if step % _MOTORS_EVERY == 0:
            identifier.on(_hover(now_ns))
            identifier.on(MotorCommands(now_ns, now_ns, np.full(aircraft.rotor_count, 0.5)))
        identifier.on(Imu(now_ns, now_ns, np.zeros(3), force, _STEP_NS * 1e-9))


def _hover(now_ns: int) -> TwinState:
    zero = np.zeros(3)
    return TwinState(
        now_ns,
        now_ns,
        *(np.array([0.0, 0.0, -10.0]), zero, np.array([1.0, 0.0, 0.0, 0.0])),
        *(zero, zero, zero, zero),
        np.eye(15) * 0.01,
        None,
        *(True,) * 5,
    )
