# SPDX-License-Identifier: Apache-2.0
"""The one dynamics function of a multirotor: ``derivative(x, u, model, wind_ned_m_s)``.

State ``x`` (14 + n,), n rotors::

    POS  0:3    [m] NED            VEL  3:6    [m/s] NED
    QUAT 6:10   q_ned_frd          RATE 10:13  [rad/s] FRD
    CHARGE 13   [C] drawn from the battery
    ROTOR 14:   [rad/s] rotor speeds

Input ``u`` (n,) [-]: motor commands, 0 idle to 1 full; NaN is a stopped motor.

Equations, per rotor i at r_i, speed w_i:

* thrust along -z of FRD: k w^2 e g(h) - k_in w v_z, never negative; v air-relative at the hub,
  e effectiveness, g ground effect after Cheeseman and Bennett (1955), h height of the hub;
* in-plane drag -k_d w (v_x, v_y) and rolling moment -k_r w (v_x, v_y) turned as in Gazebo's
  MulticopterMotorModel; reaction torque -turn k_m thrust; rotor inertia and its gyroscopic torque;
* speed: first-order lag towards the command, limited by the battery's voltage.

Body: flat-plate drag per axis. Ground: a plane; each foot and each rotor hub a spring, a damper,
Coulomb friction smoothed below 5 cm/s. Battery: open-circuit curve, internal resistance,
constant-power load.

``Model`` is an aircraft as arrays for numba; ``pack`` makes it, ``stack`` makes a fleet. The plain
numpy twin of the kernel is in the test. What is not modelled: README of airtwin_sim.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array

POS, VEL, QUAT, RATE = slice(0, 3), slice(3, 6), slice(6, 10), slice(10, 13)
CHARGE, ROTOR = 13, 14

GRAVITY_M_S2 = 9.80665
AIR_DENSITY_KG_M3 = 1.225  # ISA at sea level

# columns of Model.body
MASS, CDA_X, CDA_Y, CDA_Z = 0, 1, 2, 3
FOOT_K, FOOT_C, FOOT_MU = 4, 5, 6
CAPACITY_C, RESISTANCE, AVIONICS_W, SPEED_PER_VOLT, CELLS = 7, 8, 9, 10, 11
GROUND_DOWN, SPIN_INERTIA, CAPACITY_SHARE = 12, 13, 14
N_BODY = 15

# columns of Model.rotors
RX, RY, RZ, TURN, K_THRUST, K_MOMENT, K_DRAG, K_ROLL, K_INFLOW = range(9)
TAU_UP, TAU_DOWN, SPEED_MIN, SPEED_MAX, RADIUS, K_POWER, EFFECT = range(9, 16)
N_ROTOR = 16

FRICTION_SPEED_M_S = 0.05


class Model(NamedTuple):
    """An aircraft for the kernels; a fleet has one more axis in front of each array.

    ``body`` (15,), ``inertia``, ``inertia_inverse`` (3, 3) [kg m^2] FRD, ``rotors`` (n, 16),
    ``feet`` (k, 3) [m] FRD: what touches the ground, ``ocv`` (m,) [V] of one cell. What a fault
    changes (mass, effectiveness, share of capacity) is changed here, in place.
    """

    body: Array
    inertia: Array
    inertia_inverse: Array
    rotors: Array
    feet: Array
    ocv: Array


def pack(aircraft: Aircraft) -> Model:
    """Return the aircraft as arrays; its feet touch the ground at down 0 of its centre of mass."""
    rotor, battery = aircraft.rotors, aircraft.battery
    body = np.zeros(N_BODY)
    body[MASS] = aircraft.mass_kg
    body[CDA_X : CDA_Z + 1] = aircraft.drag_area_frd_m2
    body[FOOT_K] = aircraft.ground.stiffness_n_m
    body[FOOT_C] = aircraft.ground.damping_n_s_m
    body[FOOT_MU] = aircraft.ground.friction
    body[CAPACITY_C] = battery.capacity_ah * 3600.0
    body[RESISTANCE] = battery.resistance_ohm
    body[AVIONICS_W] = battery.avionics_w
    body[SPEED_PER_VOLT] = battery.speed_per_volt_rad_s_v
    body[CELLS] = battery.cells
    body[GROUND_DOWN] = float(np.max(aircraft.feet_frd_m[:, 2]))
    body[SPIN_INERTIA] = aircraft.rotor_inertia_kg_m2
    body[CAPACITY_SHARE] = 1.0
    rotors = np.zeros((aircraft.rotor_count, N_ROTOR))
    rotors[:, RX : RZ + 1] = aircraft.rotor_positions_frd_m
    rotors[:, TURN] = aircraft.rotor_turns
    rotors[:, K_THRUST] = rotor.thrust_n_s2
    rotors[:, K_MOMENT] = rotor.moment_m
    rotors[:, K_DRAG] = rotor.drag_n_s2_m
    rotors[:, K_ROLL] = rotor.rolling_moment_n_s2
    rotors[:, K_INFLOW] = rotor.inflow_n_s2_m
    rotors[:, TAU_UP] = rotor.time_constant_up_s
    rotors[:, TAU_DOWN] = rotor.time_constant_down_s
    rotors[:, SPEED_MIN] = rotor.speed_min_rad_s
    rotors[:, SPEED_MAX] = rotor.speed_max_rad_s
    rotors[:, RADIUS] = rotor.radius_m
    rotors[:, K_POWER] = rotor.power_w_s3
    rotors[:, EFFECT] = 1.0
    inertia = np.ascontiguousarray(aircraft.inertia_frd_kg_m2)
    return Model(
        body,
        inertia,
        np.ascontiguousarray(np.linalg.inv(inertia)),
        rotors,
        # a tumbled aircraft lies on its rotor hubs
        np.ascontiguousarray(np.vstack((aircraft.feet_frd_m, aircraft.rotor_positions_frd_m))),
        np.ascontiguousarray(battery.ocv_cell_v),
    )


def stack(models: list[Model]) -> Model:
    """Return a fleet of aircraft with equal numbers of rotors and feet."""
    return Model(*(np.ascontiguousarray(np.stack(arrays)) for arrays in zip(*models, strict=True)))


def at_rest(model: Model, *, charge: float = 1.0, yaw_rad: float = 0.0) -> Array:
    """Return the state of one aircraft on the ground, ``charge`` 0 to 1 of its capacity left."""
    x = np.zeros(ROTOR + model.rotors.shape[0])
    x[6], x[9] = np.cos(yaw_rad / 2.0), np.sin(yaw_rad / 2.0)
    x[CHARGE] = (1.0 - charge) * model.body[CAPACITY_C]
    weight = model.body[MASS] * GRAVITY_M_S2
    standing = np.sum(model.feet[:, 2] > model.body[GROUND_DOWN] - 1e-6)
    x[2] = weight / (standing * model.body[FOOT_K])  # the springs carry it from now on
    return x


@numba.njit(cache=True)
def _ocv(body: Array, ocv: Array, charge_c: float) -> float:
    """Return the open-circuit voltage [V] of the pack with ``charge_c`` [C] drawn."""
    left = 1.0 - charge_c / (body[CAPACITY_C] * body[CAPACITY_SHARE])
    place = min(max(left, 0.0), 1.0) * (ocv.shape[0] - 1)
    low = min(int(place), ocv.shape[0] - 2)
    cell = ocv[low] + (place - low) * (ocv[low + 1] - ocv[low])
    return float(body[CELLS] * cell)


@numba.njit(cache=True)
def battery(x: Array, model: Model) -> tuple[float, float]:
    """Return (voltage [V], current [A]) at the terminals under the load of the rotors.

    Constant power P at V = OCV - R I: I = (OCV - sqrt(OCV^2 - 4 R P)) / 2 R. Beyond the most that
    the pack can give, the current of that most.
    """
    body = model.body
    power = body[AVIONICS_W]
    for i in range(model.rotors.shape[0]):
        power += model.rotors[i, K_POWER] * x[ROTOR + i] ** 3
    ocv = _ocv(body, model.ocv, x[CHARGE])
    resistance = body[RESISTANCE]
    root = max(ocv * ocv - 4.0 * resistance * power, 0.0)
    if resistance > 0.0:
        current = (ocv - np.sqrt(root)) / (2.0 * resistance)
    else:
        current = power / max(ocv, 1e-3)
    return ocv - resistance * current, current


@numba.njit(cache=True)
def derivative_into(out: Array, x: Array, u: Array, model: Model, wind_ned_m_s: Array) -> None:
    """Write dx/dt of one aircraft; see ``derivative``."""
    body, rotors, feet = model.body, model.rotors, model.feet
    n = rotors.shape[0]
    qw, qx, qy, qz = x[6], x[7], x[8], x[9]
    p, q, r = x[10], x[11], x[12]
    # R_ned_frd
    r00, r01, r02 = 1 - 2 * (qy * qy + qz * qz), 2 * (qx * qy - qw * qz), 2 * (qx * qz + qw * qy)
    r10, r11, r12 = 2 * (qx * qy + qw * qz), 1 - 2 * (qx * qx + qz * qz), 2 * (qy * qz - qw * qx)
    r20, r21, r22 = 2 * (qx * qz - qw * qy), 2 * (qy * qz + qw * qx), 1 - 2 * (qx * qx + qy * qy)
    # air-relative velocity, NED then FRD
    an, ae, ad = x[3] - wind_ned_m_s[0], x[4] - wind_ned_m_s[1], x[5] - wind_ned_m_s[2]
    ax, ay = r00 * an + r10 * ae + r20 * ad, r01 * an + r11 * ae + r21 * ad
    az = r02 * an + r12 * ae + r22 * ad
    half_rho = 0.5 * AIR_DENSITY_KG_M3
    fx = -half_rho * body[CDA_X] * abs(ax) * ax
    fy = -half_rho * body[CDA_Y] * abs(ay) * ay
    fz = -half_rho * body[CDA_Z] * abs(az) * az
    mx, my, mz = 0.0, 0.0, 0.0
    height = body[GROUND_DOWN] - x[2]
    voltage, current = battery(x, model)
    speed_most = body[SPEED_PER_VOLT] * voltage
    spin = 0.0  # angular momentum of the rotors about z [kg m^2/s]
    for i in range(n):
        w = x[ROTOR + i]
        rx, ry, rz = rotors[i, RX], rotors[i, RY], rotors[i, RZ]
        vx, vy, vz = ax + q * rz - r * ry, ay + r * rx - p * rz, az + p * ry - q * rx
        hub = height - (r20 * rx + r21 * ry + r22 * rz)
        ratio = rotors[i, RADIUS] / (4.0 * max(hub, rotors[i, RADIUS]))
        lift = rotors[i, K_THRUST] * w * w * rotors[i, EFFECT] / (1.0 - ratio * ratio)
        # air coming from below (vz > 0: sinking) adds thrust, climbing takes it
        thrust = max(lift + rotors[i, K_INFLOW] * w * vz, 0.0)
        dx, dy = -rotors[i, K_DRAG] * w * vx, -rotors[i, K_DRAG] * w * vy
        fx += dx
        fy += dy
        fz -= thrust
        mx += ry * -thrust - rz * dy - rotors[i, K_ROLL] * w * vx
        my += rz * dx + rx * thrust - rotors[i, K_ROLL] * w * vy
        turn = rotors[i, TURN]
        command = u[i]
        if command == command:
            clipped = min(max(command, 0.0), 1.0)
            target = rotors[i, SPEED_MIN] + clipped * (rotors[i, SPEED_MAX] - rotors[i, SPEED_MIN])
            target = min(target, speed_most)
        else:
            target = 0.0
        tau = rotors[i, TAU_UP] if target > w else rotors[i, TAU_DOWN]
        acceleration = (target - w) / tau
        out[ROTOR + i] = acceleration
        spin += turn * body[SPIN_INERTIA] * w
        mz += (
            rx * dy
            - ry * dx
            - turn * (rotors[i, K_MOMENT] * thrust + body[SPIN_INERTIA] * acceleration)
        )
    mx -= q * spin
    my += p * spin
    fn = r00 * fx + r01 * fy + r02 * fz
    fe = r10 * fx + r11 * fy + r12 * fz
    fd = r20 * fx + r21 * fy + r22 * fz
    if height < 1.0:  # no foot of a small aircraft is further from its centre
        for k in range(feet.shape[0]):
            cx, cy, cz = feet[k, 0], feet[k, 1], feet[k, 2]
            depth = r20 * cx + r21 * cy + r22 * cz - height
            if depth <= 0.0:
                continue
            bx, by, bz = q * cz - r * cy, r * cx - p * cz, p * cy - q * cx
            vn = x[3] + r00 * bx + r01 * by + r02 * bz
            ve = x[4] + r10 * bx + r11 * by + r12 * bz
            vd = x[5] + r20 * bx + r21 * by + r22 * bz
            normal = max(body[FOOT_K] * depth + body[FOOT_C] * vd, 0.0)
            grip = body[FOOT_MU] * normal / (np.sqrt(vn * vn + ve * ve) + FRICTION_SPEED_M_S)
            gn, ge, gd = -grip * vn, -grip * ve, -normal
            fn += gn
            fe += ge
            fd += gd
            gx, gy = r00 * gn + r10 * ge + r20 * gd, r01 * gn + r11 * ge + r21 * gd
            gz = r02 * gn + r12 * ge + r22 * gd
            mx += cy * gz - cz * gy
            my += cz * gx - cx * gz
            mz += cx * gy - cy * gx
    mass = body[MASS]
    out[0], out[1], out[2] = x[3], x[4], x[5]
    out[3], out[4], out[5] = fn / mass, fe / mass, fd / mass + GRAVITY_M_S2
    out[6] = -0.5 * (qx * p + qy * q + qz * r)
    out[7] = 0.5 * (qw * p + qy * r - qz * q)
    out[8] = 0.5 * (qw * q + qz * p - qx * r)
    out[9] = 0.5 * (qw * r + qx * q - qy * p)
    inertia, inverse = model.inertia, model.inertia_inverse
    hx = inertia[0, 0] * p + inertia[0, 1] * q + inertia[0, 2] * r
    hy = inertia[1, 0] * p + inertia[1, 1] * q + inertia[1, 2] * r
    hz = inertia[2, 0] * p + inertia[2, 1] * q + inertia[2, 2] * r
    mx -= q * hz - r * hy
    my -= r * hx - p * hz
    mz -= p * hy - q * hx
    out[10] = inverse[0, 0] * mx + inverse[0, 1] * my + inverse[0, 2] * mz
    out[11] = inverse[1, 0] * mx + inverse[1, 1] * my + inverse[1, 2] * mz
    out[12] = inverse[2, 0] * mx + inverse[2, 1] * my + inverse[2, 2] * mz
    out[CHARGE] = current


@numba.njit(cache=True)
def derivative(x: Array, u: Array, model: Model, wind_ned_m_s: Array) -> Array:
    """Return dx/dt of one aircraft; x: (14 + n,), u: (n,), wind: (3,) [m/s] NED there."""
    out: Array = np.empty_like(x)
    derivative_into(out, x, u, model, wind_ned_m_s)
    return out


@numba.njit(cache=True)
def step_into(x: Array, u: Array, model: Model, wind: Array, dt_s: float, work: Array) -> None:
    """Advance ``x`` in place by one classical Runge-Kutta step; ``work``: (5, len(x))."""
    n = x.shape[0]
    derivative_into(work[0], x, u, model, wind)
    for i in range(n):
        work[4, i] = x[i] + 0.5 * dt_s * work[0, i]
    derivative_into(work[1], work[4], u, model, wind)
    for i in range(n):
        work[4, i] = x[i] + 0.5 * dt_s * work[1, i]
    derivative_into(work[2], work[4], u, model, wind)
    for i in range(n):
        work[4, i] = x[i] + dt_s * work[2, i]
    derivative_into(work[3], work[4], u, model, wind)
    for i in range(n):
        x[i] += dt_s / 6.0 * (work[0, i] + 2.0 * (work[1, i] + work[2, i]) + work[3, i])
    length = np.sqrt(x[6] ** 2 + x[7] ** 2 + x[8] ** 2 + x[9] ** 2)
    for i in range(6, 10):
        x[i] /= length
    for i in range(ROTOR, n):
        x[i] = max(x[i], 0.0)


@numba.njit(cache=True)
def step(x: Array, u: Array, model: Model, wind_ned_m_s: Array, dt_s: float) -> Array:
    """Return the state of one aircraft ``dt_s`` later, command and wind held."""
    out: Array = x.copy()
    step_into(out, u, model, wind_ned_m_s, dt_s, np.empty((5, x.shape[0])))
    return out


@numba.njit(cache=True)
def member(fleet: Model, i: int) -> Model:
    """Return aircraft ``i`` of a stacked fleet; its arrays are views."""
    return Model(
        fleet.body[i],
        fleet.inertia[i],
        fleet.inertia_inverse[i],
        fleet.rotors[i],
        fleet.feet[i],
        fleet.ocv[i],
    )


@numba.njit(cache=True)
def step_many(x: Array, u: Array, fleet: Model, wind: Array, dt_s: float, steps: int) -> None:
    """Advance a fleet in place; x: (m, 14 + n), u: (m, n), wind: (m, 3); ``steps`` of ``dt_s``."""
    work = np.empty((5, x.shape[1]))
    for i in range(x.shape[0]):
        model = member(fleet, i)
        for _ in range(steps):
            step_into(x[i], u[i], model, wind[i], dt_s, work)
