# SPDX-License-Identifier: Apache-2.0
"""Rotor losses that the simulator does not fly: of a hexacopter and of a quad-plane in hover.

Flights of ``airtwin_physics.control``'s virtual aircraft at 20 m in wind with gusts. The laws see
the state itself, and so does the identification, but for 0.05 m/s of noise on the velocity; the
IMU has the simulator's noise and biases. No estimator: what it adds, the other flights hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from airtwin_core import aircraft
from airtwin_core.aircraft import Aircraft
from airtwin_core.frames import rotation_from_quat
from airtwin_core.types import (
    Array,
    Imu,
    LandDetected,
    MotorCommands,
    Rangefinder,
    Sample,
    TwinState,
)
from airtwin_physics import dynamics, gusts
from airtwin_physics.control import multirotor, virtual
from airtwin_physics.control.virtual import VirtualAircraft
from airtwin_physics.control.vtol import VtolAircraft
from airtwin_physics.identify.identifier import Identifier
from airtwin_sim.sensors import IMU_NORMALS, SensorNoise, imu_sample

TICK_S, TICK_NS, HEIGHT_M = 0.004, 4_000_000, 20.0
COMMAND_TICKS, TWIN_TICKS, RANGE_TICKS = 5, 5, 25  # 50, 50 and 10 Hz
LOSS_S, AFTER_S, QUIET_S = 20.0, 6.0, 60.0
SEEDS = (4021, 4022)
WINDS = {"hexacopter": (6.0, -5.3, 0.0), "standard_vtol": (2.0, -2.2, 0.0)}  # [m/s] NED
VELOCITY_M_S = 0.05


def hexacopter() -> Aircraft:
    """Return the octocopter's hull with six of its motors, lighter by two of 0.6 kg."""
    eight = aircraft.load("octocopter")
    angle = np.radians(30.0 + 60.0 * np.arange(6))
    arm, down = np.hypot(*eight.rotor_positions_frd_m[0, :2]), eight.rotor_positions_frd_m[0, 2]
    return replace(
        eight,
        name="hexacopter",
        mass_kg=eight.mass_kg - 1.2,
        rotor_positions_frd_m=np.stack(
            (arm * np.cos(angle), arm * np.sin(angle), np.full(6, down)), axis=1
        ),
        rotor_turns=np.array([1.0, -1.0] * 3),
        rotor_axes_frd=eight.rotor_axes_frd[:6],
        rotor_effectiveness=np.ones(6),
    )


class Hexacopter:
    """The virtual multirotor, held in its place."""

    def __init__(self) -> None:
        self.craft = hexacopter()
        self.plane = VirtualAircraft(self.craft)
        self.model = self.plane.model
        place = np.array([0.0, 0.0, -HEIGHT_M])
        self.plane.resync(_state(0, place, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
        self.setpoint = virtual.new_setpoint(self.plane.params)
        self.setpoint[multirotor.SP_POS], self.setpoint[multirotor.SP_YAW] = place, 0.0

    def tick(self, wind: Array) -> tuple[Array, Array]:
        """Fly 4 ms; return the state and the commands of all motors."""
        self.plane.advance(self.setpoint, TICK_S, wind)
        return self.plane.x, self.plane.motors


class QuadPlane:
    """The virtual quad-plane in hover, its pusher idle."""

    def __init__(self) -> None:
        self.craft = aircraft.load("standard_vtol")
        self.plane = VtolAircraft(self.craft)
        self.model = self.plane.model
        self.plane.start(np.array([0.0, 0.0, -HEIGHT_M]))

    def tick(self, wind: Array) -> tuple[Array, Array]:
        """Fly 4 ms; return the state and the commands of all motors."""
        self.plane.advance(TICK_S, wind)
        return self.plane.x, self.plane.u[: self.craft.rotor_count]


def values(
    plane: Hexacopter | QuadPlane, wind: Array, seconds: float, seed: int, rotor: int
) -> Iterator[Sample | TwinState]:
    """Yield what the identification gets; ``rotor`` falls to 80 % at ``LOSS_S``; -1: none."""
    rng, quiet = np.random.default_rng(seed), SensorNoise()
    noise = np.array([quiet.gyro_rad_s, quiet.accelerometer_m_s2])
    bias = np.repeat([quiet.gyro_bias_rad_s, quiet.accelerometer_bias_m_s2], 3)
    bias *= rng.normal(size=6)
    air, imu = np.zeros(gusts.N_GUST), np.zeros(6)
    x, _ = plane.tick(wind)
    yield LandDetected(0, 0, False, False, False, False)
    for k in range(1, round(seconds / TICK_S)):
        now, before = k * TICK_NS, x.copy()
        if rotor >= 0 and k == round(LOSS_S / TICK_S):
            plane.model.rotors[rotor, dynamics.EFFECT] *= 0.8
        blow = gusts.gust(
            air, rng.normal(size=gusts.GUST_NORMALS), wind, before[3:6], HEIGHT_M, 1.0, TICK_S
        )
        x, motors = plane.tick(wind + np.array(blow))
        imu_sample(imu, before, x, bias, rng.normal(size=IMU_NORMALS), noise, TICK_S)
        yield Imu(now, now, imu[:3].copy(), imu[3:].copy(), TICK_S)
        if k % TWIN_TICKS == 0:
            told = x[3:6] + VELOCITY_M_S * rng.normal(size=3)
            yield _state(now, x[:3].copy(), told, x[6:10].copy())
        if k % RANGE_TICKS == 0:
            upright = float(rotation_from_quat(x[6:10])[2, 2])
            yield Rangefinder(now, now, -float(x[2]) / upright, 0.01, True)
        if k % COMMAND_TICKS == 0:
            control = np.full(12, np.nan)
            control[: motors.size] = motors
            yield MotorCommands(now, now, control)


def _state(now: int, position: Array, velocity: Array, q: Array) -> TwinState:
    zero = np.zeros(3)
    return TwinState(
        now, now, position, velocity, q, zero, zero, zero, zero, np.eye(15), None, *(True,) * 5
    )


def found(kind: type[Hexacopter] | type[QuadPlane]) -> tuple[list[float], int]:
    """Return the seconds until each lifting rotor was named, NaN: not, and false alarms.

    An alarm is false before the loss, of another rotor, or in a flight of ``QUIET_S`` without one.
    """
    after, alarms = [], 0
    for seed in SEEDS:
        lifting = np.flatnonzero(kind().craft.rotor_axes_frd[:, 2] < -0.9)
        for rotor in (*lifting.tolist(), -1):
            plane = kind()
            wind = np.array(WINDS[plane.craft.name])
            identifier, name_s = Identifier(plane.craft), float("nan")
            seconds = QUIET_S if rotor < 0 else LOSS_S + AFTER_S
            for value in values(plane, wind, seconds, seed, rotor):
                identifier.on(value)
                if identifier.suspect >= 0:
                    at_s = value.stamp_ns * 1e-9 - LOSS_S
                    if identifier.suspect == rotor and at_s > 0.0:
                        name_s = at_s
                    else:
                        alarms += 1
                    break
            if rotor >= 0:
                after.append(name_s)
    return after, alarms
