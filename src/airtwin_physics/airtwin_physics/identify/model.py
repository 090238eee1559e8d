# SPDX-License-Identifier: Apache-2.0
"""What the IMU should have felt over one block, and how that depends on each parameter.

The equations are those of ``airtwin_physics.dynamics``, averaged over the block, with rotor speeds
given: six of them, specific force and angular acceleration. See README.md beside this file.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import AIR_DENSITY_KG_M3
from airtwin_physics.identify.rows import (
    BODY_DRAG,
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    GUST,
    INERTIA_LEVEL,
    INERTIA_YAW,
    INFLOW,
    K_DRAG,
    K_INFLOW,
    K_MOMENT,
    K_ROLL,
    K_THRUST,
    LAG,
    MASS,
    MOMENT,
    RATE,
    ROLLING,
    ROTATION,
    ROTOR_DRAG,
    RX,
    RY,
    RZ,
    SQUARE,
    TAU_DOWN,
    TAU_UP,
    THRUST,
    TURNS,
    VELOCITY,
    WIND,
    YAW_TRIM,
    Craft,
)


@numba.njit(cache=True)
def through_air(theta: Array, block: Array, gust: float, air: Array) -> None:
    """Write the velocity through the air (3,) [m/s] FRD; ``gust`` 1: with level gusts, 0: not."""
    turn = block[ROTATION : ROTATION + 9]
    drag = np.exp(theta[ROTOR_DRAG])
    vn = block[VELOCITY] - (theta[WIND] + gust * theta[GUST]) / drag
    ve = block[VELOCITY + 1] - (theta[WIND + 1] + gust * theta[GUST + 1]) / drag
    vd = block[VELOCITY + 2] - theta[WIND + 2]
    for k in range(3):
        air[k] = turn[k] * vn + turn[3 + k] * ve + turn[6 + k] * vd


@numba.njit(cache=True)
def felt(  # noqa: C901 - one pass over the rotors, as numba wants it
    theta: Array, block: Array, airspeed: Array, craft: Craft, out: Array, jacobian: Array
) -> None:
    """Write ``out`` (6,): specific force [m/s^2] and angular acceleration [rad/s^2], FRD.

    ``airspeed`` (3,) [m/s]: size of the velocity through the mean wind along each axis, by
    ``through_air``, held here: the body's drag is this times the mean velocity, and twice this
    times the gust. Were it differentiated by the mean wind too, a gust in hover would seem to tell
    wind from drag; did it hold the gust, its noise would be squared.

    ``jacobian``: (6, N), the derivative of ``out``; by ``INFLOW`` and ``BODY_DRAG`` in an air
    without the gust that the same forces teach. They are only considered, but their slopes go into
    the weight of every block: with a gust's estimate in them the weight would follow the
    innovations before it, and as no gust is quite as modelled, its error would not average away.
    """
    rotors = craft.rotors
    n = rotors.shape[0]
    p, q, r = block[RATE], block[RATE + 1], block[RATE + 2]
    turn = block[ROTATION : ROTATION + 9]
    kappa, moment_scale = np.exp(theta[THRUST]), np.exp(theta[MOMENT])
    rotor_drag, body_drag = np.exp(theta[ROTOR_DRAG]), np.exp(theta[BODY_DRAG])
    inflow_scale, rolling_scale = np.exp(theta[INFLOW]), np.exp(theta[ROLLING])
    later = np.exp(theta[LAG])
    air, steady, flats = np.empty(3), np.empty(3), np.empty(3)
    through_air(theta, block, 1.0, air)
    through_air(theta, block, 0.0, steady)
    wrench = np.zeros(6)  # force [N], torque [N m]
    # d wrench / d theta; the wind's three columns first as d / d air velocity
    slope = np.zeros((6, theta.shape[0]))
    spin = 0.0
    for i in range(n):
        lx, ly = rotors[i, RX] - theta[CENTRE_X], rotors[i, RY] - theta[CENTRE_Y]
        lz = rotors[i, RZ]
        square, w = block[SQUARE + i], block[SQUARE + n + i]
        # the mean of w^2 falls behind by the time constant times its slope, 2 w dw/dt
        faster = block[SQUARE + 2 * n + i]
        behind = 2.0 * w * faster * rotors[i, TAU_UP if faster > 0.0 else TAU_DOWN]
        square -= (later - 1.0) * behind
        vx, vy = air[0] + q * lz - r * ly, air[1] + r * lx - p * lz
        vz = air[2] + p * ly - q * lx
        per_effect = rotors[i, K_THRUST] * kappa * square
        lift = per_effect * (1.0 + theta[EFFECT + i])
        inflow = rotors[i, K_INFLOW] * inflow_scale * w
        drag, roll = rotors[i, K_DRAG] * rotor_drag * w, rotors[i, K_ROLL] * rolling_scale * w
        thrust = lift + inflow * vz
        dx, dy = -drag * vx, -drag * vy
        reaction = rotors[i, TURNS] * rotors[i, K_MOMENT] * moment_scale
        spin += rotors[i, TURNS] * craft.spin_inertia * w
        wrench[0] += dx
        wrench[1] += dy
        wrench[2] -= thrust
        wrench[3] += -ly * thrust - lz * dy - roll * vx
        wrench[4] += lz * dx + lx * thrust - roll * vy
        wrench[5] += lx * dy - ly * dx - reaction * thrust
        wrench[5] -= rotors[i, TURNS] * craft.spin_inertia * block[SQUARE + 2 * n + i]
        slope[2, THRUST] -= lift
        slope[3, THRUST] -= ly * lift
        slope[4, THRUST] += lx * lift
        slope[5, THRUST] -= reaction * lift
        slope[5, MOMENT] -= reaction * thrust
        lost = rotors[i, K_THRUST] * kappa * (1.0 + theta[EFFECT + i]) * later * behind
        slope[2, LAG] += lost
        slope[3, LAG] += ly * lost
        slope[4, LAG] -= lx * lost
        slope[5, LAG] += reaction * lost
        slope[0, ROTOR_DRAG] += dx
        slope[1, ROTOR_DRAG] += dy
        slope[3, ROTOR_DRAG] -= lz * dy
        slope[4, ROTOR_DRAG] += lz * dx
        slope[5, ROTOR_DRAG] += lx * dy - ly * dx
        up = inflow * (vz + turn[8] * theta[WIND + 2])
        slope[2, INFLOW] -= up
        slope[3, INFLOW] -= ly * up
        slope[4, INFLOW] += lx * up
        slope[5, INFLOW] -= reaction * up
        slope[3, ROLLING] -= roll * vx
        slope[4, ROLLING] -= roll * vy
        j = EFFECT + i
        slope[2, j] = -per_effect
        slope[3, j] = -ly * per_effect
        slope[4, j] = lx * per_effect
        slope[5, j] = -reaction * per_effect
        # centre of mass: lx, ly fall by one, the hub's velocity turns with them
        up = inflow * q
        slope[1, CENTRE_X] += drag * r
        slope[2, CENTRE_X] -= up
        slope[3, CENTRE_X] += -ly * up - lz * drag * r
        slope[4, CENTRE_X] += -thrust + lx * up + roll * r
        slope[5, CENTRE_X] += -dy + lx * drag * r - reaction * up
        up = -inflow * p
        slope[0, CENTRE_Y] -= drag * r
        slope[2, CENTRE_Y] -= up
        slope[3, CENTRE_Y] += thrust - ly * up - roll * r
        slope[4, CENTRE_Y] += lx * up - lz * drag * r
        slope[5, CENTRE_Y] += dx + ly * drag * r - reaction * up
        # velocity through the air along FRD
        slope[0, WIND] -= drag
        slope[4, WIND] -= lz * drag
        slope[3, WIND] -= roll
        slope[5, WIND] += ly * drag
        slope[1, WIND + 1] -= drag
        slope[3, WIND + 1] += lz * drag
        slope[4, WIND + 1] -= roll
        slope[5, WIND + 1] -= lx * drag
        slope[2, WIND + 2] -= inflow
        slope[3, WIND + 2] -= ly * inflow
        slope[4, WIND + 2] += lx * inflow
        slope[5, WIND + 2] -= reaction * inflow
    drag = body_drag * rotor_drag
    for k in range(3):
        flat = 0.5 * AIR_DENSITY_KG_M3 * craft.drag_area[k] * drag * airspeed[k]
        flats[k] = flat
        push = flat * (2.0 * air[k] - steady[k])
        wrench[k] -= push
        slope[k, BODY_DRAG] = -flat * (steady[k] + turn[6 + k] * theta[WIND + 2])
        slope[k, ROTOR_DRAG] -= push
        slope[k, WIND + k] -= flat
    wrench[3] -= q * spin
    wrench[4] += p * spin
    wrench[5] += theta[YAW_TRIM]
    slope[5, YAW_TRIM] = 1.0
    # from air velocity in FRD to wind in NED: air = R^T (v - wind)
    for row in range(6):
        sx, sy, sz = slope[row, WIND], slope[row, WIND + 1], slope[row, WIND + 2]
        for k in range(3):
            slope[row, WIND + k] = -(
                sx * turn[3 * k] + sy * turn[3 * k + 1] + sz * turn[3 * k + 2]
            )
        # theta holds the level wind times the drag's ratio
        for k in range(2):
            slope[row, WIND + k] /= rotor_drag
            slope[row, GUST + k] = slope[row, WIND + k]
            if row < 3:
                slope[row, GUST + k] += flats[row] * turn[3 * k + row] / rotor_drag
            slope[row, ROTOR_DRAG] -= theta[WIND + k] * slope[row, WIND + k]
            slope[row, ROTOR_DRAG] -= theta[GUST + k] * slope[row, GUST + k]
    lighter = np.exp(-theta[MASS]) / craft.mass_kg
    for k in range(3):
        out[k] = wrench[k] * lighter
        for j in range(theta.shape[0]):
            jacobian[k, j] = slope[k, j] * lighter
        jacobian[k, MASS] = -out[k]
    inertia, inverse = craft.inertia, craft.inertia_inverse
    hx = inertia[0, 0] * p + inertia[0, 1] * q + inertia[0, 2] * r
    hy = inertia[1, 0] * p + inertia[1, 1] * q + inertia[1, 2] * r
    hz = inertia[2, 0] * p + inertia[2, 1] * q + inertia[2, 2] * r
    gx, gy, gz = q * hz - r * hy, r * hx - p * hz, p * hy - q * hx
    for k in range(3):
        which = INERTIA_YAW if k == 2 else INERTIA_LEVEL
        lazier = np.exp(-theta[which])
        turned = 0.0
        for m in range(3):
            turned += inverse[k, m] * wrench[3 + m]
        out[3 + k] = lazier * turned - (
            inverse[k, 0] * gx + inverse[k, 1] * gy + inverse[k, 2] * gz
        )
        for j in range(theta.shape[0]):
            total = 0.0
            for m in range(3):
                total += inverse[k, m] * slope[3 + m, j]
            jacobian[3 + k, j] = lazier * total
        jacobian[3 + k, which] = -lazier * turned


@numba.njit(cache=True)
def felt_all(
    theta: Array, level: Array, flight: Array, craft: Craft, out: Array, slopes: Array
) -> None:
    """Write ``felt`` of every block of a flight, each with its own level wind and no other.

    ``level`` (b, 2): wind [m/s] north and east; ``out`` (b, 6), ``slopes`` (b, 6, N): by that wind
    itself, not by its product with the drag's ratio.
    """
    one, airspeed = theta.copy(), np.empty(3)
    one[WIND + 2] = one[GUST] = one[GUST + 1] = 0.0
    drag = np.exp(theta[ROTOR_DRAG])
    for i in range(flight.shape[0]):
        one[WIND], one[WIND + 1] = level[i, 0] * drag, level[i, 1] * drag
        through_air(one, flight[i], 0.0, airspeed)
        airspeed[:] = np.abs(airspeed)
        felt(one, flight[i], airspeed, craft, out[i], slopes[i])
        for k in range(6):
            for axis in range(2):
                slopes[i, k, WIND + axis] *= drag
                slopes[i, k, ROTOR_DRAG] += slopes[i, k, WIND + axis] * level[i, axis]
