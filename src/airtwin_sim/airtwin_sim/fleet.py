# SPDX-License-Identifier: Apache-2.0
"""All aircraft as arrays, and one compiled call that advances them by one tick of 4 ms.

A tick: control acts on the estimate, the air moves, the aircraft fly, the IMU measures, the
estimator integrates. What happens less often (GNSS, barometer, compass, modes, messages) is done
between ticks, in Python.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import battery, dynamics, gusts
from airtwin_physics.control import multirotor as control
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import Model, member, step_into
from airtwin_sim import ins, sensors

TICK_US = 4000
TICK_S = TICK_US * 1e-6
SUBSTEPS = 2
NORMALS = sensors.IMU_NORMALS + gusts.GUST_NORMALS


@dataclass(slots=True)
class Fleet:
    """Arrays with one row an aircraft; the modules that own the columns name them."""

    model: Model
    shares: Array  # (n, r, 3) mixer
    x: Array  # (n, 14 + r) truth
    motors: Array  # (n, r) signals to the ESCs
    thrust_factor: Array  # (n, 1) by which they come from what is published as commanded thrust
    steady_ned_m_s: Array  # (n, 3)
    gust_intensity: Array  # (n,)
    gust_state: Array  # (n, 5)
    wind_ned_m_s: Array  # (n, 3) steady and gust, as it blows now
    imu_bias: Array  # (n, 6)
    imu: Array  # (n, 6) last sample
    estimate: Array  # (n, 24)
    history: Array  # (n, 64, 6)
    setpoint: Array  # (n, 16)
    control: Array  # (n, 26)
    torque: Array  # (n, 3) last normalised torque
    learning: Array  # (n,) 1 while the hover thrust is learnt
    noise: Array  # (2,) gyroscope, accelerometer


def build(
    aircraft: list[Aircraft],
    yaw_rad: Array,
    charge: Array,
    noise: sensors.SensorNoise,
    params: Px4Params,
) -> Fleet:
    """Return a fleet at rest on the ground, motors off."""
    models = [dynamics.pack(a) for a in aircraft]
    n, rotors = len(models), aircraft[0].rotor_count
    setpoint = np.full((n, control.N_SETPOINT), np.nan)
    setpoint[:, control.SP_MODE] = control.MOTORS_OFF
    estimate = np.zeros((n, ins.N_ESTIMATE))
    estimate[:, 6] = 1.0
    return Fleet(
        model=dynamics.stack(models),
        shares=np.stack([control.mixer(a) for a in aircraft]),
        x=np.stack(
            [
                dynamics.at_rest(m, charge=float(c), yaw_rad=float(y))
                for m, c, y in zip(models, charge, yaw_rad, strict=True)
            ]
        ),
        motors=np.full((n, rotors), np.nan),
        thrust_factor=np.array([[a.rotors.thrust_factor] for a in aircraft]),
        steady_ned_m_s=np.zeros((n, 3)),
        gust_intensity=np.zeros(n),
        gust_state=np.zeros((n, gusts.N_GUST)),
        wind_ned_m_s=np.zeros((n, 3)),
        imu_bias=np.zeros((n, 6)),
        imu=np.zeros((n, 6)),
        estimate=estimate,
        history=np.zeros((n, ins.HISTORY, 6)),
        setpoint=setpoint,
        control=np.stack([control.new_control(params) for _ in models]),
        torque=np.zeros((n, 3)),
        learning=np.zeros(n),
        noise=np.array([noise.gyro_rad_s, noise.accelerometer_m_s2]),
    )


def advance(fleet: Fleet, normals: Array, tick: int, params: Px4Params) -> None:
    """Advance the fleet by one tick; ``normals``: (n, 11) standard normal."""
    _tick(
        fleet.model,
        fleet.shares,
        fleet.x,
        fleet.motors,
        fleet.steady_ned_m_s,
        fleet.gust_intensity,
        fleet.gust_state,
        fleet.wind_ned_m_s,
        fleet.imu_bias,
        fleet.imu,
        fleet.estimate,
        fleet.history,
        fleet.setpoint,
        fleet.control,
        fleet.torque,
        fleet.learning,
        fleet.noise,
        normals,
        tick,
        params,
    )


@numba.njit(cache=True, error_model="numpy")
def _rest(x: Array, one: Model) -> None:
    """Let the battery of an aircraft that stands go on: it feeds, recovers and cools."""
    charge, polarisation, temperature = (
        dynamics.CHARGE,
        dynamics.POLARISATION,
        dynamics.TEMPERATURE,
    )
    _, current, swing, warming = battery.drained(
        one.battery,
        one.ocv,
        x[charge],
        x[polarisation],
        x[temperature],
        dynamics.load(x, one),
        dynamics.AMBIENT_C,
    )
    x[charge] += current * TICK_S
    x[polarisation] += swing * TICK_S
    x[temperature] += warming * TICK_S


@numba.njit(cache=True)
def _tick(
    model: Model,
    shares: Array,
    x: Array,
    motors: Array,
    steady: Array,
    intensity: Array,
    gust_state: Array,
    wind_ned: Array,
    imu_bias: Array,
    imu: Array,
    estimate: Array,
    history: Array,
    setpoint: Array,
    states: Array,
    torque: Array,
    learning: Array,
    noise: Array,
    normals: Array,
    tick: int,
    params: Px4Params,
) -> None:
    work = np.empty((5, x.shape[1]))
    before = np.empty(x.shape[1])
    for i in range(x.shape[0]):
        est, sp, con = estimate[i], setpoint[i], states[i]
        _command_motors(est, sp, con, torque[i], motors[i], shares[i], learning[i], tick, params)
        height = model.body[i, dynamics.GROUND_DOWN] - x[i, 2]
        gn, ge, gd = gusts.gust(
            gust_state[i], normals[i, 6:], steady[i], x[i, 3:6], height, intensity[i], TICK_S
        )
        wind_ned[i, 0], wind_ned[i, 1] = steady[i, 0] + gn, steady[i, 1] + ge
        wind_ned[i, 2] = steady[i, 2] + gd
        before[:] = x[i]
        one = member(model, i)
        if sp[control.SP_MODE] == control.MOTORS_OFF and _stands(x[i], one):
            # the contact's friction is smooth and lets wind push; what stands is held
            x[i, 3:6] = 0.0
            x[i, 10:13] = 0.0
            _rest(x[i], one)
        else:
            for _ in range(SUBSTEPS):
                step_into(x[i], motors[i], one, wind_ned[i], TICK_S / SUBSTEPS, work)
        sensors.imu_sample(imu[i], before, x[i], imu_bias[i], normals[i], noise, TICK_S)
        ins.predict(est, imu[i, :3], imu[i, 3:], TICK_S)
        history[i, tick % ins.HISTORY] = est[:6]


@numba.njit(cache=True)
def _stands(x: Array, model: Model) -> bool:
    """Return whether an aircraft rests on its feet with its rotors stopped."""
    slow = x[3] ** 2 + x[4] ** 2 + x[5] ** 2 < 0.05**2
    calm = x[10] ** 2 + x[11] ** 2 + x[12] ** 2 < 0.05**2
    level = 1.0 - 2.0 * (x[7] ** 2 + x[8] ** 2) > 0.999
    low = x[2] > 0.0  # the ground's plane is at down 0 of the centre of mass; springs give way
    return bool(slow and calm and level and low and np.max(x[dynamics.ROTOR :]) < 20.0)


@numba.njit(cache=True)
def _command_motors(
    est: Array,
    sp: Array,
    con: Array,
    torque: Array,
    motors: Array,
    shares: Array,
    learning: float,
    tick: int,
    params: Px4Params,
) -> None:
    mode = sp[control.SP_MODE]
    if mode != control.FLY:
        motors[:] = 0.0 if mode == control.MOTORS_IDLE else np.nan
        torque[:] = 0.0
        con[control.C_THRUST] = 0.0
        con[control.C_THRUST_DOWN] = 0.0
        control.reset_integrals(con)
        con[3:6] = est[3:6]
        return
    if tick % 2 == 0:  # PX4 runs it with the local position, at some 100 Hz
        yaw = np.arctan2(
            2 * (est[6] * est[9] + est[7] * est[8]), 1 - 2 * (est[8] ** 2 + est[9] ** 2)
        )
        control.position_control(con, sp, est[:3], est[3:6], yaw, params, 2 * TICK_S)
    if learning > 0.0:
        control.learn_hover_thrust(con, est[18], TICK_S)
    wanted = control.attitude_control(con, est[6:10], params)
    # the integrators wait for lift-off: on the ground the torques do not turn anything
    torque[:] = control.rate_control(con, wanted, est[19:22], learning > 0.0, params, TICK_S)
    control.mix(motors, shares, torque, con[control.C_THRUST])
