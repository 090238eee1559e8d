# SPDX-License-Identifier: Apache-2.0
"""Contact with level ground: each foot, wheel and rotor hub a spring, a damper and friction."""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.dynamics.model import (
    FOOT_C,
    FOOT_K,
    FOOT_MU,
    FOOT_ROLL,
    FOOT_SERVO,
    ROTOR,
    Model,
)

FRICTION_SPEED_M_S = 0.05  # Coulomb friction is smoothed below; there is no sticking

Rotation = tuple[float, float, float, float, float, float, float, float, float]


@numba.njit(cache=True)
def contact(
    x: Array, model: Model, height_m: float, rotation: Rotation
) -> tuple[float, float, float, float, float, float]:
    """Return force [N] NED and moment [N m] FRD; ``height_m`` of the centre of mass.

    ``rotation``: R_ned_frd row by row. A wheel has its own friction along the aircraft's x; there
    and across, each takes its share of the same normal force (a rolling wheel still holds
    sideways). A steered wheel's x is turned to the right by its servo's deflection.
    """
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    p, q, r = x[10], x[11], x[12]
    body, feet = model.body, model.feet
    fn, fe, fd, mx, my, mz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(feet.shape[0]):
        cx, cy, cz = feet[k, 0], feet[k, 1], feet[k, 2]
        depth = r20 * cx + r21 * cy + r22 * cz - height_m
        if depth <= 0.0:
            continue
        bx, by, bz = q * cz - r * cy, r * cx - p * cz, p * cy - q * cx
        vn = x[3] + r00 * bx + r01 * by + r02 * bz
        ve = x[4] + r10 * bx + r11 * by + r12 * bz
        vd = x[5] + r20 * bx + r21 * by + r22 * bz
        normal = max(body[FOOT_K] * depth + body[FOOT_C] * vd, 0.0)
        level = np.sqrt(r00 * r00 + r10 * r10)
        if feet[k, FOOT_ROLL] != body[FOOT_MU] and level > 1e-6:
            tn, te = r00 / level, r10 / level  # where the wheel rolls to
            if feet[k, FOOT_SERVO] >= 0.0:
                turned = x[ROTOR + model.rotors.shape[0] + int(feet[k, FOOT_SERVO])]
                c, s = np.cos(turned), np.sin(turned)
                tn, te = c * tn - s * te, c * te + s * tn
            along, across = vn * tn + ve * te, ve * tn - vn * te
            rolling = feet[k, FOOT_ROLL] * normal * along / (abs(along) + FRICTION_SPEED_M_S)
            slipping = body[FOOT_MU] * normal * across / (abs(across) + FRICTION_SPEED_M_S)
            gn, ge = -rolling * tn + slipping * te, -rolling * te - slipping * tn
        else:
            grip = body[FOOT_MU] * normal / (np.sqrt(vn * vn + ve * ve) + FRICTION_SPEED_M_S)
            gn, ge = -grip * vn, -grip * ve
        fn += gn
        fe += ge
        fd -= normal
        gx, gy = r00 * gn + r10 * ge - r20 * normal, r01 * gn + r11 * ge - r21 * normal
        gz = r02 * gn + r12 * ge - r22 * normal
        mx += cy * gz - cz * gy
        my += cz * gx - cx * gz
        mz += cx * gy - cy * gx
    return fn, fe, fd, mx, my, mz
