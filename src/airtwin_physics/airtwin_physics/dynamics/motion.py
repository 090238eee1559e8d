# SPDX-License-Identifier: Apache-2.0
"""The one dynamics function: ``derivative(x, u, model, wind_ned_m_s)``; equations in README.md."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.battery import model as cells
from airtwin_physics.dynamics import ground, rotors, wings
from airtwin_physics.dynamics.model import (
    AIR_DENSITY_KG_M3,
    AMBIENT_C,
    AREA,
    AVIONICS_W,
    AX,
    CDA_X,
    CDA_Y,
    CDA_Z,
    CHARGE,
    CHORD,
    DOWNWASH,
    FX,
    GAIN,
    GRAVITY_M_S2,
    GROUND_DOWN,
    K_DRAG,
    K_MOMENT,
    K_POWER,
    K_ROLL,
    LEAST,
    MASS,
    MOST,
    NX,
    POLARISATION,
    RADIUS,
    REACH,
    ROTOR,
    RX,
    SERVO,
    SPEED_PER_VOLT,
    SPIN_INERTIA,
    SX,
    TAU_SERVO,
    TEMPERATURE,
    TURN,
    WASH,
    WASH_ROTOR,
    WING_SHARPNESS,
    WING_STALL,
    YX,
    Model,
)

STILL_M2_S2 = 1e-12  # slower air than this makes no force, and has no direction


@numba.njit(cache=True, error_model="numpy")
def battery(x: Array, model: Model) -> tuple[float, float]:
    """Return (voltage [V], current [A]) at the terminals under the load of the rotors."""
    voltage, current = cells.terminal(
        model.battery, model.ocv, x[CHARGE], x[POLARISATION], x[TEMPERATURE], load(x, model)
    )
    return voltage, current


@numba.njit(cache=True, error_model="numpy")
def load(x: Array, model: Model) -> float:
    """Return what is taken from the battery [W]: the avionics and the rotors."""
    power = model.body[AVIONICS_W]
    for i in range(model.rotors.shape[0]):
        speed = x[ROTOR + i]
        power += model.rotors[i, K_POWER] * speed * speed * speed
    return float(power)


@numba.njit(cache=True, error_model="numpy", forceinline=True)
def derivative_into(out: Array, x: Array, u: Array, model: Model, wind_ned_m_s: Array) -> None:
    """Write dx/dt of one aircraft; see ``derivative``."""
    body, blades, servos = model.body, model.rotors, model.servos
    n = blades.shape[0]
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
    voltage, out[CHARGE], out[POLARISATION], out[TEMPERATURE] = cells.drained(
        model.battery, model.ocv, x[CHARGE], x[POLARISATION], x[TEMPERATURE], load(x, model),
        AMBIENT_C,
    )  # fmt: skip
    speed_most = body[SPEED_PER_VOLT] * voltage
    spin_x, spin_y, spin_z = 0.0, 0.0, 0.0  # angular momentum of the rotors [kg m^2/s]
    for i in range(n):
        w = x[ROTOR + i]
        rx, ry, rz = blades[i, RX], blades[i, RX + 1], blades[i, RX + 2]
        bx, by, bz = blades[i, AX], blades[i, AX + 1], blades[i, AX + 2]
        vx, vy, vz = ax + q * rz - r * ry, ay + r * rx - p * rz, az + p * ry - q * rx
        axial = vx * bx + vy * by + vz * bz
        hub = height - (r20 * rx + r21 * ry + r22 * rz)
        upright = -(r20 * bx + r21 * by + r22 * bz)
        near = rotors.ground_effect(blades[i, RADIUS], hub, upright)
        push = rotors.thrust(blades, i, w, axial, near)
        # in the disc's plane
        vx, vy, vz = vx - axial * bx, vy - axial * by, vz - axial * bz
        drag, roll = blades[i, K_DRAG] * w, blades[i, K_ROLL] * w
        hx, hy, hz = push * bx - drag * vx, push * by - drag * vy, push * bz - drag * vz
        faster = rotors.acceleration(blades, i, w, rotors.target(blades, i, u[i], speed_most))
        out[ROTOR + i] = faster
        turn = blades[i, TURN]
        torque = turn * (blades[i, K_MOMENT] * push + body[SPIN_INERTIA] * faster)
        fx += hx
        fy += hy
        fz += hz
        mx += ry * hz - rz * hy - roll * vx + torque * bx
        my += rz * hx - rx * hz - roll * vy + torque * by
        mz += rx * hy - ry * hx - roll * vz + torque * bz
        momentum = -turn * body[SPIN_INERTIA] * w
        spin_x += momentum * bx
        spin_y += momentum * by
        spin_z += momentum * bz
    for j in range(servos.shape[0]):
        command = u[n + j]
        wanted = 0.0
        if command == command:
            clipped = min(max(command, -1.0), 1.0)
            wanted = clipped * servos[j, MOST] if clipped > 0.0 else -clipped * servos[j, LEAST]
        out[ROTOR + n + j] = (wanted - x[ROTOR + n + j]) / servos[j, TAU_SERVO]
    if model.surfaces.shape[0] > 0:
        sx, sy, sz, tx, ty, tz = surfaces(x, model, ax, ay, az, height, r20, r21, r22)
        fx, fy, fz = fx + sx, fy + sy, fz + sz
        mx, my, mz = mx + tx, my + ty, mz + tz
    fn = r00 * fx + r01 * fy + r02 * fz
    fe = r10 * fx + r11 * fy + r12 * fz
    fd = r20 * fx + r21 * fy + r22 * fz
    if height < body[REACH]:
        gn, ge, gd, tx, ty, tz = ground.contact(
            x, model, height, (r00, r01, r02, r10, r11, r12, r20, r21, r22)
        )
        fn, fe, fd = fn + gn, fe + ge, fd + gd
        mx, my, mz = mx + tx, my + ty, mz + tz
    light = 1.0 / body[MASS]
    out[0], out[1], out[2] = x[3], x[4], x[5]
    out[3], out[4], out[5] = fn * light, fe * light, fd * light + GRAVITY_M_S2
    out[6] = -0.5 * (qx * p + qy * q + qz * r)
    out[7] = 0.5 * (qw * p + qy * r - qz * q)
    out[8] = 0.5 * (qw * q + qz * p - qx * r)
    out[9] = 0.5 * (qw * r + qx * q - qy * p)
    inertia, inverse = model.inertia, model.inertia_inverse
    hx = inertia[0, 0] * p + inertia[0, 1] * q + inertia[0, 2] * r + spin_x
    hy = inertia[1, 0] * p + inertia[1, 1] * q + inertia[1, 2] * r + spin_y
    hz = inertia[2, 0] * p + inertia[2, 1] * q + inertia[2, 2] * r + spin_z
    mx -= q * hz - r * hy
    my -= r * hx - p * hz
    mz -= p * hy - q * hx
    out[10] = inverse[0, 0] * mx + inverse[0, 1] * my + inverse[0, 2] * mz
    out[11] = inverse[1, 0] * mx + inverse[1, 1] * my + inverse[1, 2] * mz
    out[12] = inverse[2, 0] * mx + inverse[2, 1] * my + inverse[2, 2] * mz


@numba.njit(cache=True, error_model="numpy")
def surfaces(
    x: Array,
    model: Model,
    ax: float,
    ay: float,
    az: float,
    height: float,
    r20: float,
    r21: float,
    r22: float,
) -> tuple[float, float, float, float, float, float]:
    """Return force [N] and moment [N m] FRD of all surfaces; (ax, ay, az): air-relative, FRD."""
    n = model.rotors.shape[0]
    p, q, r = x[10], x[11], x[12]
    fx, fy, fz, mx, my, mz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(model.surfaces.shape[0]):
        row = model.surfaces[k]
        px, py, pz = row[SX], row[SX + 1], row[SX + 2]
        vx, vy, vz = ax + q * pz - r * py, ay + r * px - p * pz, az + p * py - q * px
        if row[WASH_ROTOR] >= 0.0:
            i = int(row[WASH_ROTOR])
            blades = model.rotors
            hx, hy, hz = blades[i, RX], blades[i, RX + 1], blades[i, RX + 2]
            bx, by, bz = blades[i, AX], blades[i, AX + 1], blades[i, AX + 2]
            axial = (ax + q * hz - r * hy) * bx + (ay + r * hx - p * hz) * by
            axial += (az + p * hy - q * hx) * bz
            push = rotors.thrust(blades, i, x[ROTOR + i], axial, 1.0)
            wash = row[WASH] * rotors.slipstream(blades, i, push, axial)
            vx, vy, vz = vx + wash * bx, vy + wash * by, vz + wash * bz
        ahead = vx * row[FX] + vy * row[FX + 1] + vz * row[FX + 2]
        sink = -(vx * row[NX] + vy * row[NX + 1] + vz * row[NX + 2])
        if row[DOWNWASH] > 0.0:
            front = ax * row[FX] + ay * row[FX + 1] + az * row[FX + 2]
            below = -(ax * row[NX] + ay * row[NX + 1] + az * row[NX + 2])
            angle = np.arctan2(below, front)
            stalled = wings.separated(angle, row[WING_STALL], row[WING_SHARPNESS])
            sink -= row[DOWNWASH] * (1.0 - stalled) * below
        square = ahead * ahead + sink * sink
        if square < STILL_M2_S2:
            continue
        deflection = 0.0
        if row[SERVO] >= 0.0:
            deflection = row[GAIN] * x[ROTOR + n + int(row[SERVO])]
        place = height - (r20 * px + r21 * py + r22 * pz)
        c_lift, c_drag, c_moment = wings.coefficients(
            row, np.arctan2(sink, ahead), deflection, wings.ground_effect(row, place)
        )
        speed = np.sqrt(square)
        pressure = 0.5 * AIR_DENSITY_KG_M3 * speed * row[AREA]
        # lift across, drag along the flow in the plane of forward and normal
        forward = pressure * (c_lift * sink - c_drag * ahead)
        normal = pressure * (c_lift * ahead + c_drag * sink)
        gx = forward * row[FX] + normal * row[NX]
        gy = forward * row[FX + 1] + normal * row[NX + 1]
        gz = forward * row[FX + 2] + normal * row[NX + 2]
        pitching = pressure * speed * row[CHORD] * c_moment
        fx, fy, fz = fx + gx, fy + gy, fz + gz
        mx += py * gz - pz * gy + pitching * row[YX]
        my += pz * gx - px * gz + pitching * row[YX + 1]
        mz += px * gy - py * gx + pitching * row[YX + 2]
    return fx, fy, fz, mx, my, mz


@numba.njit(cache=True, error_model="numpy")
def derivative(x: Array, u: Array, model: Model, wind_ned_m_s: Array) -> Array:
    """Return dx/dt of one aircraft; x: (16 + n + m,), u: (n + m,), wind: (3,) [m/s] NED there."""
    out: Array = np.empty_like(x)
    derivative_into(out, x, u, model, wind_ned_m_s)
    return out
