# SPDX-License-Identifier: Apache-2.0
"""The controllers of one step for a block of lanes: ``control.track`` and ``control.multirotor``,
written without branches and without transcendental functions.

Each stage is a loop over lanes that LLVM turns into vector instructions; ``s``, ``r`` and the
constants are laid out in ``lanes``. Conditions are selections, a divisor that may be zero is kept
away from it, NaN is carried, not hidden.

Differences to the plain laws are those of rounding, except: sine and cosine are polynomials
(errors in ``vector``), and controllers see the state half a step ahead, for what they command is
held for a whole one.
"""

from __future__ import annotations

import math

from airtwin_core.types import Array
from airtwin_physics.control.multirotor import FADE_RAD_S, HOVER_1_S, HOVER_MAX, HOVER_MIN
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.control.track import NEAR_M, SETTLE_S, WAIT_FROM_M
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_physics.rollout.lanes import (
    ACC,
    CLIMB_MOST,
    DOWN_WANTED,
    GOAL,
    HOLDS_HEIGHT,
    HOVER,
    LEARNS,
    LEG_YAW,
    NEAR,
    POS,
    Q_WANTED,
    QUAT,
    RATE,
    RATE_DOT,
    RATE_INT,
    RATE_LP,
    SPEED,
    THRUST,
    THRUST_DOWN,
    THRUST_LEAST,
    THRUST_NED,
    TILT_MOST,
    TORQUE,
    TRACK,
    TURNING,
    UP_WANTED,
    VEL,
    VEL_DOT,
    VEL_INT,
    VEL_LAST,
    YAW,
    D,
    E,
    L,
    X,
    Y,
    Z,
)
from airtwin_physics.rollout.vector import half_angle, quarter_turn, sine_cosine, vector

PI = math.pi


@vector
def braking(distance: float, acceleration: float, jerk: float) -> float:
    """As ``control.track.braking``."""
    b = 2.0 * acceleration * acceleration / jerk
    speed = -0.5 * b + math.sqrt(0.25 * b * b + 2.0 * acceleration * distance)
    return min(speed, 1.5 * distance + 0.02)


@vector
def guide(s: Array, p: Px4Params, dt: float) -> None:
    """Move the track towards the goal and the yaw towards the leg's: ``control.track.guide``."""
    jerk, step = p.mpc_jerk_auto, p.mpc_jerk_auto * dt
    turn = p.mpc_yawrauto_max * (PI / 180.0) * dt
    hor, climb, sink = p.mpc_acc_hor, p.mpc_acc_up_max, p.mpc_acc_down_max
    lag = 1.0 / p.mpc_xy_err_max
    for i in range(L):
        lx, ly = s[TRACK + i] - s[POS + i], s[TRACK + E + i] - s[POS + E + i]
        behind = math.sqrt(lx * lx + ly * ly)
        waits = max(0.0, 1.0 - max(0.0, behind - WAIT_FROM_M) * lag)
        dx, dy = s[GOAL + i] - s[TRACK + i], s[GOAL + E + i] - s[TRACK + E + i]
        dz = s[GOAL + D + i] - s[TRACK + D + i]
        level = math.sqrt(dx * dx + dy * dy)
        pace = min(s[SPEED + i] * waits, braking(level, hor, jerk))
        share = pace / max(level, 1e-6)
        share = share if level > 1e-6 else 0.0
        up = min(s[UP_WANTED + i], braking(max(-dz, 0.0), climb, jerk))
        down = min(s[DOWN_WANTED + i], braking(max(dz, 0.0), sink, jerk))
        wanted = -up if dz < 0.0 else down
        for_z = climb if wanted < s[TRACK + 5 * L + i] else sink
        chase_axis(s, i, share * dx, hor, jerk, step, dt)
        chase_axis(s, E + i, share * dy, hor, jerk, step, dt)
        chase_axis(s, D + i, wanted, for_z, jerk, step, dt)
        ahead = s[LEG_YAW + i] - s[YAW + i]
        ahead = ahead - 2.0 * PI if ahead > PI else ahead
        ahead = ahead + 2.0 * PI if ahead < -PI else ahead
        yaw = s[YAW + i] + min(max(ahead, -turn), turn)
        yaw = yaw - 2.0 * PI if yaw > PI else yaw
        s[YAW + i] = yaw + 2.0 * PI if yaw < -PI else yaw


@vector
def chase_axis(
    s: Array, i: int, wanted: float, most: float, jerk: float, step: float, dt: float
) -> None:
    """As one axis of ``control.track.chase``; ``i``: lane, and L or 2 L for the axis."""
    gap = wanted - s[TRACK + 3 * L + i]
    soft = jerk * SETTLE_S
    size = min(math.sqrt(soft * soft + 2.0 * jerk * abs(gap)) - soft, most)
    acc = size if gap >= 0.0 else -size
    now = s[TRACK + 6 * L + i]
    now += min(max(acc - now, -step), step)
    speed = s[TRACK + 3 * L + i] + dt * now
    s[TRACK + 6 * L + i] = now
    s[TRACK + 3 * L + i] = speed
    s[TRACK + i] += dt * speed


@vector
def near(s: Array, p: Px4Params) -> None:
    """Say who is at its goal."""
    for i in range(L):
        dx, dy = s[GOAL + i] - s[POS + i], s[GOAL + E + i] - s[POS + E + i]
        dz = abs(s[GOAL + D + i] - s[POS + D + i])
        close = 1.0 if dx * dx + dy * dy < NEAR_M * NEAR_M else 0.0
        s[NEAR + i] = close if dz < p.nav_mc_alt_rad else 0.0


@vector
def position(s: Array, p: Px4Params, smooth: float, dt: float) -> None:
    """As ``control.multirotor.position_control`` with all of the setpoint given."""
    g, back = GRAVITY_M_S2, 2.0 / p.mpc_xy_vel_p_acc
    xy_p, z_p, most = p.mpc_xy_p, p.mpc_z_p, p.mpc_xy_vel_max
    v_p, v_i, v_d = p.mpc_xy_vel_p_acc, p.mpc_xy_vel_i_acc, p.mpc_xy_vel_d_acc
    w_p, w_i, w_d = p.mpc_z_vel_p_acc, p.mpc_z_vel_i_acc, p.mpc_z_vel_d_acc
    down = p.mpc_z_vel_max_dn
    thr_max, marg = p.mpc_thr_max, p.mpc_thr_xy_marg
    per_s, half = 1.0 / dt, 0.5 * dt
    for i in range(L):
        vn, ve, vd = s[VEL + i], s[VEL + E + i], s[VEL + D + i]
        pn, pe = s[POS + i] + half * vn, s[POS + E + i] + half * ve
        pd = s[POS + D + i] + half * vd
        vn, ve = vn + half * s[ACC + i], ve + half * s[ACC + E + i]
        vd = vd + half * s[ACC + D + i]
        raw = (vd - s[VEL_LAST + D + i]) * per_s
        dn = s[VEL_DOT + i]
        de = s[VEL_DOT + E + i]
        dd = s[VEL_DOT + D + i]
        dn += smooth * ((vn - s[VEL_LAST + i]) * per_s - dn)
        de += smooth * ((ve - s[VEL_LAST + E + i]) * per_s - de)
        dd += smooth * (raw - dd)
        s[VEL_DOT + i], s[VEL_DOT + E + i], s[VEL_DOT + D + i] = dn, de, dd
        s[VEL_LAST + i], s[VEL_LAST + E + i], s[VEL_LAST + D + i] = vn, ve, vd
        fx = xy_p * (s[TRACK + i] - pn)
        fy = xy_p * (s[TRACK + E + i] - pe)
        rx, ry = s[TRACK + 3 * L + i], s[TRACK + 4 * L + i]
        tz = s[HOLDS_HEIGHT + i] * z_p * (s[TRACK + D + i] - pd) + s[TRACK + 5 * L + i]
        # the position's share goes before the rest within the horizontal speed
        base2 = fx * fx + fy * fy
        base = math.sqrt(base2)
        a = max(rx * rx + ry * ry, 1e-12)
        b = fx * rx + fy * ry
        share = (-b + math.sqrt(max(b * b - a * (base2 - most * most), 0.0))) / a
        whole = (fx + rx) * (fx + rx) + (fy + ry) * (fy + ry)
        share = 1.0 if whole <= most * most else share
        shrink = most / max(base, 1e-9)
        tx = fx + share * rx
        ty = fy + share * ry
        alone = base >= most
        over = whole > most * most
        tx = (fx * shrink if alone else tx) if over else tx
        ty = (fy * shrink if alone else ty) if over else ty
        tz = max(min(tz, down), -s[CLIMB_MOST + i])
        thr_min = s[THRUST_LEAST + i]
        int_z = min(max(s[VEL_INT + D + i], -g), g)
        ex, ey, ez = tx - vn, ty - ve, tz - vd
        ax = v_p * ex + s[VEL_INT + i] - v_d * dn + s[TRACK + 6 * L + i]
        ay = v_p * ey + s[VEL_INT + E + i] - v_d * de + s[TRACK + 7 * L + i]
        az = w_p * ez + int_z - w_d * dd + s[TRACK + 8 * L + i]
        hover = s[HOVER + i]
        acc2 = ax * ax + ay * ay
        tilt = math.sqrt(acc2) / g
        cut = s[TILT_MOST + i] / max(tilt, 1e-9)
        cut = min(1.0, cut) / g
        bx, by = -ax * cut, -ay * cut
        length = math.sqrt(bx * bx + by * by + 1.0)
        collective = (az * hover / g - hover) * length
        collective = min(collective, -max(thr_min, 1e-3)) / length
        nx, ny, nz = bx * collective, by * collective, collective
        stuck_low = (1.0 if ez >= 0.0 else 0.0) if nz >= -thr_min else 0.0
        stuck_high = (1.0 if ez <= 0.0 else 0.0) if nz <= -thr_max else 0.0
        ez = 0.0 if stuck_low + stuck_high > 0.0 else ez
        side = math.sqrt(nx * nx + ny * ny)
        kept = min(side, marg)
        nz = max(nz, -math.sqrt(thr_max * thr_max - kept * kept))
        side_most = math.sqrt(max(thr_max * thr_max - nz * nz, 0.0))
        fit = min(side_most / max(side, 1e-9), 1.0)
        nx, ny = nx * fit, ny * fit
        mx, my = nx * g / hover, ny * g / hover
        wound = back if acc2 > mx * mx + my * my else 0.0
        ex -= wound * (ax - mx)
        ey -= wound * (ay - my)
        s[VEL_INT + i] += v_i * ex * dt
        s[VEL_INT + E + i] += v_i * ey * dt
        int_z += w_i * ez * dt
        thrust = math.sqrt(nx * nx + ny * ny + nz * nz)
        s[THRUST + i], s[THRUST_DOWN + i] = thrust, nz
        s[THRUST_NED + i], s[THRUST_NED + E + i], s[THRUST_NED + D + i] = nx, ny, nz
        # learn_hover_thrust
        surprise = raw - g * (nz / hover + 1.0)
        change = s[LEARNS + i] * HOVER_1_S * dt * surprise / g * hover
        after = min(max(hover + change, HOVER_MIN), HOVER_MAX)
        made = (nz + hover) * g / hover
        s[VEL_INT + D + i] = int_z + (made - g) * hover / after + g - made
        s[HOVER + i] = after


@vector
def wanted_attitude(s: Array) -> None:
    """Write the attitude whose down axis is against the thrust and whose heading is YAW.

    As ``control.multirotor``, as a product: the shortest turn of the down axis, then a turn about
    it. Same up to the sign.
    """
    for i in range(L):
        scale = -1.0 / s[THRUST + i]
        zx, zy = s[THRUST_NED + i] * scale, s[THRUST_NED + E + i] * scale
        zz = s[THRUST_NED + D + i] * scale
        sy, cy = sine_cosine(s[YAW + i])
        # y axis: the level direction to the right of the heading, less what of it is along z
        along = zy * cy - zx * sy
        yx, yy, yz = -sy - along * zx, cy - along * zy, -along * zz
        norm = 1.0 / math.sqrt(yx * yx + yy * yy + yz * yz)
        yx, yy, yz = yx * norm, yy * norm, yz * norm
        # the shortest turn of (0, 0, 1) to z is (w, -zy, zx, 0) / sqrt(2 (1 + zz))
        k = 1.0 / (1.0 + zz)
        # y seen from there gives the turn about z
        ux, uy = yx - k * yz * zx, yy - k * yz * zy
        c, h = half_angle(uy, -ux)
        w = math.sqrt(0.5 * (1.0 + zz))
        tx, ty = -0.5 * zy / w, 0.5 * zx / w
        s[Q_WANTED + i] = w * c
        s[Q_WANTED + X + i] = tx * c + ty * h
        s[Q_WANTED + Y + i] = ty * c - tx * h
        s[Q_WANTED + Z + i] = w * h


@vector
def attitude_and_rate(s: Array, p: Px4Params, smooth: float, smooth_dot: float, dt: float) -> None:
    """As ``attitude_control`` and ``rate_control`` of ``control.multirotor``, without yaw rate."""
    weight = p.mc_yaw_weight
    to_rad = PI / 180.0
    ahead = 0.25 * dt  # half of the angle turned in half a step
    for i in range(L):
        a, b, c, d = s[QUAT + i], s[QUAT + X + i], s[QUAT + Y + i], s[QUAT + Z + i]
        p1, q1, r1 = ahead * s[RATE + i], ahead * s[RATE + E + i], ahead * s[RATE + D + i]
        a, b, c, d = (
            a - b * p1 - c * q1 - d * r1,
            b + a * p1 + c * r1 - d * q1,
            c + a * q1 + d * p1 - b * r1,
            d + a * r1 + b * q1 - c * p1,
        )
        n = 1.0 / math.sqrt(a * a + b * b + c * c + d * d)
        a, b, c, d = a * n, b * n, c * n, d * n
        e, f = s[Q_WANTED + i], s[Q_WANTED + X + i]
        g, h = s[Q_WANTED + Y + i], s[Q_WANTED + Z + i]
        zx, zy, zz = 2.0 * (b * d + a * c), 2.0 * (c * d - a * b), 1.0 - 2.0 * (b * b + c * c)
        wx, wy, wz = 2.0 * (f * h + e * g), 2.0 * (g * h - e * f), 1.0 - 2.0 * (f * f + g * g)
        r0 = 1.0 + zx * wx + zy * wy + zz * wz
        r1, r2, r3 = zy * wz - zz * wy, zz * wx - zx * wz, zx * wy - zy * wx
        length = math.sqrt(r0 * r0 + r1 * r1 + r2 * r2 + r3 * r3)
        upside = length <= 1e-6
        n = 1.0 / max(length, 1e-6)
        r0, r1, r2, r3 = r0 * n, r1 * n, r2 * n, r3 * n
        t0 = r0 * a - r1 * b - r2 * c - r3 * d
        t1 = r0 * b + r1 * a + r2 * d - r3 * c
        t2 = r0 * c - r1 * d + r2 * a + r3 * b
        t3 = r0 * d + r1 * c - r2 * b + r3 * a
        t0, t1 = (e if upside else t0), (f if upside else t1)
        t2, t3 = (g if upside else t2), (h if upside else t3)
        # what is left is a turn about the body's down axis: (m0, 0, 0, m3)
        m0 = t0 * e + t1 * f + t2 * g + t3 * h
        m3 = t0 * h - t1 * g + t2 * f - t3 * e
        m3 = m3 if m0 >= 0.0 else -m3
        half = quarter_turn(min(abs(m0), 1.0), min(max(m3, -1.0), 1.0)) * weight
        k3, k0 = sine_cosine(half)
        g0, g1 = t0 * k0 - t3 * k3, t1 * k0 + t2 * k3
        g2, g3 = t2 * k0 - t1 * k3, t3 * k0 + t0 * k3
        e0 = a * g0 + b * g1 + c * g2 + d * g3
        e1 = a * g1 - b * g0 - c * g3 + d * g2
        e2 = a * g2 + b * g3 - c * g0 - d * g1
        e3 = a * g3 - b * g2 + c * g1 - d * g0
        sign = 2.0 if e0 >= 0.0 else -2.0
        most = p.mc_rollrate_max * to_rad
        want_x = min(max(p.mc_roll_p * sign * e1, -most), most)
        most = p.mc_pitchrate_max * to_rad
        want_y = min(max(p.mc_pitch_p * sign * e2, -most), most)
        most = p.mc_yawrate_max * to_rad
        want_z = min(max(p.mc_yaw_p / max(weight, 1e-3) * sign * e3, -most), most)
        lim = p.mc_rr_int_lim
        rate_axis(
            s, i, want_x, p.mc_rollrate_p, p.mc_rollrate_i, p.mc_rollrate_d, smooth, smooth_dot,
            lim, dt,
        )  # fmt: skip
        rate_axis(
            s, E + i, want_y, p.mc_pitchrate_p, p.mc_pitchrate_i, p.mc_pitchrate_d, smooth,
            smooth_dot, lim, dt,
        )  # fmt: skip
        rate_axis(
            s, D + i, want_z, p.mc_yawrate_p, p.mc_yawrate_i, p.mc_yawrate_d, smooth, smooth_dot,
            lim, dt,
        )  # fmt: skip


@vector
def rate_axis(
    s: Array,
    i: int,
    wanted: float,
    gain_p: float,
    gain_i: float,
    gain_d: float,
    smooth: float,
    smooth_dot: float,
    limit: float,
    dt: float,
) -> None:
    """As one axis of ``rate_control``; ``i``: lane, and L or 2 L for the axis."""
    last = s[RATE_LP + i]
    now = last + smooth * (s[RATE + i] + 0.5 * dt * s[TURNING + i] - last)
    dot = s[RATE_DOT + i]
    dot += smooth_dot * ((now - last) / dt - dot)
    s[RATE_LP + i], s[RATE_DOT + i] = now, dot
    error = wanted - now
    total = s[RATE_INT + i]
    s[TORQUE + i] = gain_p * error + total - gain_d * dot
    fade = max(0.0, 1.0 - (error / FADE_RAD_S) * (error / FADE_RAD_S))
    s[RATE_INT + i] = min(max(total + fade * gain_i * error * dt, -limit), limit)
