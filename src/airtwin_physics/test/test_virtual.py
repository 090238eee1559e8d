# SPDX-License-Identifier: Apache-2.0
"""The virtual multirotor: it follows its setpoints, and begins where a belief is."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_core import aircraft
from airtwin_core.types import Array, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import px4_params, track, virtual
from airtwin_physics.rollout import kernel, pack, start

X500 = aircraft.load("x500")
P = px4_params.Px4Params()


def level_flight(velocity_ned_m_s: Array = start.ZERO) -> TwinState:
    return start.supposed(np.array([0.0, 0.0, -40.0]), velocity_ned_m_s)


def test_the_virtual_aircraft_follows_its_setpoint() -> None:
    one, two = virtual.VirtualAircraft(X500), virtual.VirtualAircraft(X500)
    setpoint = virtual.new_setpoint(P)
    setpoint[law.SP_POS], setpoint[law.SP_YAW] = (5.0, -3.0, -42.0), 1.0
    for flown in (one, two):
        flown.resync(level_flight(), np.array([4.0, 0.0, 0.0]))
    for _ in range(200):
        one.advance(setpoint, 0.1, np.array([4.0, 0.0, 0.0]))
    two.advance(setpoint, 20.0, np.array([4.0, 0.0, 0.0]))
    np.testing.assert_allclose(one.x[:3], (5.0, -3.0, -42.0), atol=0.05)
    assert np.array_equal(one.x, two.x)
    velocity = virtual.new_setpoint(P)
    velocity[law.SP_VEL] = (2.0, 0.0, 0.0)  # NaN elsewhere: position and heading not controlled
    one.advance(velocity, 6.0, np.array([4.0, 0.0, 0.0]))
    np.testing.assert_allclose(one.x[3:6], (2.0, 0.0, 0.0), atol=0.1)


def test_resync_moves_without_a_kick() -> None:
    flown = virtual.VirtualAircraft(X500)
    flown.resync(level_flight())
    setpoint = virtual.new_setpoint(P)
    setpoint[3:6] = 0.0
    flown.advance(setpoint, 2.0)
    motors, rotors = flown.motors.copy(), flown.x[dynamics.ROTOR :].copy()
    flown.resync(level_flight(flown.x[3:6] + np.array([0.3, 0.0, 0.0])))
    assert np.array_equal(flown.x[dynamics.ROTOR :], rotors)
    flown.advance(setpoint, 0.004)
    assert (
        np.max(np.abs(flown.motors - motors)) < 0.05
    )  # the speed asked for, not a derivative's jump
    with pytest.raises(ValueError, match="not finite"):
        flown.resync(level_flight(np.array([np.nan, 0.0, 0.0])))


def test_steady_flight_in_wind_begins_trimmed() -> None:
    wind, fresh = np.array([5.0, 2.0, 0.0]), virtual.VirtualAircraft(X500)
    fresh.resync(level_flight(), wind)
    trim = pack.level_drag(dynamics.pack(X500), np.ones((1, 9)), np.zeros((1, 3)), wind[None])
    np.testing.assert_allclose(fresh.control[:2], trim[0], rtol=1e-9)
    assert track.GUIDE_S == kernel.GUIDE_STEPS * kernel.STEP_S
