# SPDX-License-Identifier: Apache-2.0
"""The aircraft of one step for a block of lanes: mixer and ``dynamics``,
written without branches and without transcendental functions.

Each stage is a loop over lanes that LLVM turns into vector instructions; ``s``, ``r`` and the
constants are laid out in ``lanes``. Conditions are selections, a divisor that may be zero is kept
away from it, NaN is carried, not hidden.

Differences to the plain ones are those of rounding, except: the rigid body is integrated by
the midpoint rule, rotors by the exact exponential, the ground effect is that of the middle of
the rotors, and who stands on the ground stands still (``stand``).
"""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import AIR_DENSITY_KG_M3, GRAVITY_M_S2
from airtwin_physics.rollout.cascade import attitude_and_rate, position, wanted_attitude
from airtwin_physics.rollout.lanes import (
    ACC,
    AIR,
    AVIONICS_W,
    CHARGE,
    COMMAND,
    DRAG,
    DROP,
    ENERGY,
    FORCE,
    GROUND,
    GROUND_EFFECT,
    HIGH,
    HUB,
    IN_PLANE,
    INERTIA,
    INFLOW,
    INNER,
    INVERSE,
    K_INFLOW_2,
    K_MOMENT,
    K_POWER,
    K_ROLL,
    KEEP,
    KEEP_DOWN,
    KEEP_UP,
    LIFT,
    LOW,
    MASS,
    MEAN_DOWN,
    MEAN_UP,
    MOMENT,
    OBEYS,
    POS,
    POWER,
    QUAT,
    RADIUS,
    RATE,
    RESISTANCE,
    ROT,
    ROTOR,
    RX,
    RY,
    RZ,
    SHARE,
    SHARE_PITCH,
    SHARE_ROLL,
    SHARE_YAW,
    SPEED_MIN,
    SPEED_MOST,
    SPEED_PER_VOLT,
    SPEED_SPAN,
    SPIN,
    SPIN_INERTIA,
    STANDS,
    THRUST,
    TORQUE,
    TURN,
    TURNING,
    TURNS,
    VEL,
    WIND,
    D,
    E,
    L,
    X,
    Y,
    Z,
)
from airtwin_physics.rollout.vector import vector


@vector
def mix_level(s: Array, r: Array, k: Array) -> None:
    """Give one rotor thrust, roll and pitch; the extremes of all go to LOW and HIGH."""
    roll, pitch = k[SHARE_ROLL], k[SHARE_PITCH]
    for i in range(L):
        out = s[THRUST + i] + roll * s[TORQUE + i] + pitch * s[TORQUE + E + i]
        r[COMMAND + i] = out
        s[LOW + i] = min(s[LOW + i], out)
        s[HIGH + i] = max(s[HIGH + i], out)


@vector
def mix_desaturate(s: Array) -> None:
    """Find how far thrust gives way (DROP) and how much of roll and pitch is kept (KEEP)."""
    for i in range(L):
        thrust = s[THRUST + i]
        drop = max(min(s[HIGH + i] - 1.0, thrust), 0.0)
        thrust -= drop
        low = s[LOW + i] - drop
        span = thrust - low
        keep = thrust / max(span, 1e-9)
        keep = keep if span > 1e-9 else 1.0
        s[KEEP + i] = keep if low < 0.0 else 1.0
        s[DROP + i] = drop
        s[SHARE + i] = 1.0


@vector
def mix_yaw_share(s: Array, r: Array, k: Array) -> None:
    """Take thrust back; find how much of the yaw torque all rotors can give (SHARE)."""
    share = k[SHARE_YAW]
    for i in range(L):
        thrust = s[THRUST + i] - s[DROP + i]
        out = thrust + s[KEEP + i] * (r[COMMAND + i] - s[DROP + i] - thrust)
        r[COMMAND + i] = out
        turn = share * s[TORQUE + D + i]
        room = max(1.0 - out, 0.0) if turn > 0.0 else max(out, 0.0)
        size = abs(turn)
        fits = min(s[SHARE + i], room / max(size, 1e-12))
        s[SHARE + i] = fits if size > 1e-12 else s[SHARE + i]


@vector
def body(s: Array, k: Array, dt: float) -> None:
    """Turn to the middle of the step; air, drag of the body, the ground effect; clear sums.

    Velocity and attitude are those half a step ahead, by the last acceleration and the rate.
    """
    half_rho = 0.5 * AIR_DENSITY_KG_M3
    ground, hub, radius = k[GROUND], k[HUB], k[RADIUS]
    h = 0.25 * dt
    for i in range(L):
        a, b, c, d = s[QUAT + i], s[QUAT + X + i], s[QUAT + Y + i], s[QUAT + Z + i]
        p, q, r = h * s[RATE + i], h * s[RATE + E + i], h * s[RATE + D + i]
        w, x = a - b * p - c * q - d * r, b + a * p + c * r - d * q
        y, z = c + a * q + d * p - b * r, d + a * r + b * q - c * p
        n = 2.0 / (w * w + x * x + y * y + z * z)
        xx, yy, zz, xy, xz, yz = x * x * n, y * y * n, z * z * n, x * y * n, x * z * n, y * z * n
        wx, wy, wz = w * x * n, w * y * n, w * z * n
        r00, r01, r02 = 1.0 - (yy + zz), xy - wz, xz + wy
        r10, r11, r12 = xy + wz, 1.0 - (xx + zz), yz - wx
        r20, r21, r22 = xz - wy, yz + wx, 1.0 - (xx + yy)
        s[ROT + i], s[ROT + L + i], s[ROT + 2 * L + i] = r00, r01, r02
        s[ROT + 3 * L + i], s[ROT + 4 * L + i], s[ROT + 5 * L + i] = r10, r11, r12
        s[ROT + 6 * L + i], s[ROT + 7 * L + i], s[ROT + 8 * L + i] = r20, r21, r22
        an = s[VEL + i] + 0.5 * dt * s[ACC + i] - s[WIND + i]
        ae = s[VEL + E + i] + 0.5 * dt * s[ACC + E + i] - s[WIND + E + i]
        ad = s[VEL + D + i] + 0.5 * dt * s[ACC + D + i] - s[WIND + D + i]
        ax, ay = r00 * an + r10 * ae + r20 * ad, r01 * an + r11 * ae + r21 * ad
        az = r02 * an + r12 * ae + r22 * ad
        s[AIR + i], s[AIR + E + i], s[AIR + D + i] = ax, ay, az
        height = ground - s[POS + D + i] - r22 * hub
        near = 0.25 * radius * max(r22, 0.0) / max(height, radius)
        s[GROUND_EFFECT + i] = 1.0 / (1.0 - near * near)
        s[FORCE + i] = -half_rho * s[DRAG + i] * abs(ax) * ax
        s[FORCE + E + i] = -half_rho * s[DRAG + E + i] * abs(ay) * ay
        s[FORCE + D + i] = -half_rho * s[DRAG + D + i] * abs(az) * az
        s[MOMENT + i], s[MOMENT + E + i], s[MOMENT + D + i] = 0.0, 0.0, 0.0
        s[SPIN + i], s[POWER + i] = 0.0, 0.0


@vector
def rotor(s: Array, r: Array, k: Array, spin_inertia: float, dt: float) -> None:
    """Finish one rotor's command, let it follow by the exact exponential, add force and moment.

    Thrust, drag and power are those of the rotor's mean speed over the step.
    """
    rx, ry, rz, turn = k[RX], k[RY], k[RZ], k[TURN]
    moment, roll, power = k[K_MOMENT], k[K_ROLL], k[K_POWER]
    slowest, span, yaw = k[SPEED_MIN], k[SPEED_SPAN], k[SHARE_YAW]
    up, down, mean_up, mean_down = k[KEEP_UP], k[KEEP_DOWN], k[MEAN_UP], k[MEAN_DOWN]
    per_s, square = 1.0 / dt, k[K_INFLOW_2]
    for i in range(L):
        command = r[COMMAND + i] + s[SHARE + i] * yaw * s[TORQUE + D + i]
        command = s[OBEYS + i] * min(max(command, 0.0), 1.0)
        target = min(slowest + command * span, s[SPEED_MOST + i])
        before = r[ROTOR + i]
        rises = target > before
        left = before - target
        after = target + left * (up if rises else down)
        w = target + left * (mean_up if rises else mean_down)
        r[ROTOR + i] = after
        p, q, n = s[RATE + i], s[RATE + E + i], s[RATE + D + i]
        vx, vy = s[AIR + i] + q * rz - n * ry, s[AIR + E + i] + n * rx - p * rz
        vz = s[AIR + D + i] + p * ry - q * rx
        climb = max(-vz, 0.0)
        loss = square * climb * climb - r[INFLOW + i] * w * vz
        thrust = max(r[LIFT + i] * s[GROUND_EFFECT + i] * w * w - loss, 0.0)
        dx, dy = -r[IN_PLANE + i] * w * vx, -r[IN_PLANE + i] * w * vy
        s[FORCE + i] += dx
        s[FORCE + E + i] += dy
        s[FORCE + D + i] -= thrust
        s[MOMENT + i] += -ry * thrust - rz * dy - roll * w * vx
        s[MOMENT + E + i] += rz * dx + rx * thrust - roll * w * vy
        s[MOMENT + D + i] += (
            rx * dy - ry * dx - turn * (moment * thrust + spin_inertia * (after - before) * per_s)
        )
        s[SPIN + i] += turn * spin_inertia * w
        s[POWER + i] += power * w * w * w


@vector
def move(s: Array, k: Array, dt: float) -> None:
    """Battery, then velocity, place, rate and attitude by the midpoint rule."""
    j0, j1, j2, j4, j5, j8 = k[INERTIA], k[1], k[2], k[4], k[5], k[8]
    i0, i1, i2 = k[INVERSE], k[INVERSE + 1], k[INVERSE + 2]
    i4, i5, i8 = k[INVERSE + 4], k[INVERSE + 5], k[INVERSE + 8]
    avionics, per_volt = k[AVIONICS_W], k[SPEED_PER_VOLT]
    for i in range(L):
        power = s[POWER + i] + avionics
        inner, resistance = s[INNER + i], max(s[RESISTANCE + i], 1e-9)
        root = math.sqrt(max(inner * inner - 4.0 * resistance * power, 0.0))
        current = (inner - root) / (2.0 * resistance)
        voltage = inner - resistance * current
        s[CHARGE + i] += dt * current
        s[ENERGY + i] += dt * current * voltage
        s[SPEED_MOST + i] = per_volt * voltage * s[TURNS + i]
        fx, fy, fz = s[FORCE + i], s[FORCE + E + i], s[FORCE + D + i]
        light = 1.0 / s[MASS + i]
        an = (s[ROT + i] * fx + s[ROT + L + i] * fy + s[ROT + 2 * L + i] * fz) * light
        ae = (s[ROT + 3 * L + i] * fx + s[ROT + 4 * L + i] * fy + s[ROT + 5 * L + i] * fz) * light
        ad = (s[ROT + 6 * L + i] * fx + s[ROT + 7 * L + i] * fy + s[ROT + 8 * L + i] * fz) * light
        ad += GRAVITY_M_S2
        s[ACC + i], s[ACC + E + i], s[ACC + D + i] = an, ae, ad
        s[POS + i] += dt * (s[VEL + i] + 0.5 * dt * an)
        s[POS + E + i] += dt * (s[VEL + E + i] + 0.5 * dt * ae)
        s[POS + D + i] += dt * (s[VEL + D + i] + 0.5 * dt * ad)
        s[VEL + i] += dt * an
        s[VEL + E + i] += dt * ae
        s[VEL + D + i] += dt * ad
        p, q, r = s[RATE + i], s[RATE + E + i], s[RATE + D + i]
        hx, hy, hz = j0 * p + j1 * q + j2 * r, j1 * p + j4 * q + j5 * r, j2 * p + j5 * q + j8 * r
        mx = s[MOMENT + i] - q * s[SPIN + i] - (q * hz - r * hy)
        my = s[MOMENT + E + i] + p * s[SPIN + i] - (r * hx - p * hz)
        mz = s[MOMENT + D + i] - (p * hy - q * hx)
        ap, aq = i0 * mx + i1 * my + i2 * mz, i1 * mx + i4 * my + i5 * mz
        ar = i2 * mx + i5 * my + i8 * mz
        s[TURNING + i], s[TURNING + E + i], s[TURNING + D + i] = ap, aq, ar
        s[RATE + i], s[RATE + E + i], s[RATE + D + i] = p + dt * ap, q + dt * aq, r + dt * ar
        # the turn of the step: its mean rate, half the angle, tangent to second order
        p, q = 0.5 * dt * (p + 0.5 * dt * ap), 0.5 * dt * (q + 0.5 * dt * aq)
        r = 0.5 * dt * (r + 0.5 * dt * ar)
        grow = 1.0 + (p * p + q * q + r * r) * (1.0 / 3.0)
        p, q, r = p * grow, q * grow, r * grow
        a, b, c, d = s[QUAT + i], s[QUAT + X + i], s[QUAT + Y + i], s[QUAT + Z + i]
        w, x = a - b * p - c * q - d * r, b + a * p + c * r - d * q
        y, z = c + a * q + d * p - b * r, d + a * r + b * q - c * p
        n = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
        s[QUAT + i], s[QUAT + X + i], s[QUAT + Y + i], s[QUAT + Z + i] = w * n, x * n, y * n, z * n


@vector
def stand(s: Array, ground: float) -> None:
    """Hold those still that the ground carries, at down ``ground`` [m] of their centre of mass.

    Stiff legs that grip: who comes down stays, who is lifted leaves. Springs need steps of 2 ms.
    """
    for i in range(L):
        deep = s[STANDS + i] * (s[POS + D + i] - ground)
        free = 0.0 if deep > 0.0 else 1.0
        s[POS + D + i] = s[POS + D + i] if free > 0.0 else ground
        s[VEL + i], s[VEL + E + i] = free * s[VEL + i], free * s[VEL + E + i]
        s[VEL + D + i] = s[VEL + D + i] if free > 0.0 else min(s[VEL + D + i], 0.0)
        for row in range(3):
            s[ACC + row * L + i] *= free
            s[RATE + row * L + i] *= free
            s[TURNING + row * L + i] *= free


@vector
def step(
    s: Array,
    r: Array,
    k: Array,
    rotor_k: Array,
    p: Px4Params,
    filters: Array,
    dt: float,
    substeps: int,
    ground: float,
) -> None:
    """One step of ``dt``: the position loop once, all that is inside of it ``substeps`` times.

    s: (ROWS L,), r: (n, ROTOR_ROWS L), k: (N_CONSTANT,), rotor_k: (n, N_ROTOR_CONSTANT) made for
    dt / substeps; filters: (3,) smoothing of velocity, rate, rate's derivative; ground: down [m]
    of the centre of mass of a standing aircraft.
    """
    position(s, p, filters[0], dt)
    wanted_attitude(s)
    inner = dt / substeps
    for _ in range(substeps):
        attitude_and_rate(s, p, filters[1], filters[2], inner)
        s[LOW : LOW + L] = np.inf
        s[HIGH : HIGH + L] = -np.inf
        for j in range(r.shape[0]):
            mix_level(s, r[j], rotor_k[j])
        mix_desaturate(s)
        for j in range(r.shape[0]):
            mix_yaw_share(s, r[j], rotor_k[j])
        body(s, k, inner)
        for j in range(r.shape[0]):
            rotor(s, r[j], rotor_k[j], k[SPIN_INERTIA], inner)
        move(s, k, inner)
        stand(s, ground)
