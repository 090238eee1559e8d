# SPDX-License-Identifier: Apache-2.0
"""One step of the closed loop for a block of lanes: the laws of ``control.multirotor``,
``control.track`` and ``dynamics``, written without branches and without transcendental functions.

Each stage is a loop over lanes that LLVM turns into vector instructions; ``s``, ``r`` and the
constants are laid out in ``lanes``. Conditions are selections, a divisor that may be zero is
kept away from it, NaN is carried, not hidden. Differences to the plain laws are those of rounding,
except: sine and cosine are polynomials (error < 2e-9), the rigid body is integrated by the
midpoint rule, rotors by the exact exponential, controllers see the state half a step ahead (what
they command is held for a whole one), and there is no ground.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.control.track import NEAR_M, WAIT_FROM_M
from airtwin_physics.dynamics import AIR_DENSITY_KG_M3, GRAVITY_M_S2
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
    GOAL,
    HIGH,
    HOVER,
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
    LEG_YAW,
    LIFT,
    LOW,
    MASS,
    MEAN_DOWN,
    MEAN_UP,
    MOMENT,
    NEAR,
    POS,
    POWER,
    Q_WANTED,
    QUAT,
    RATE,
    RATE_DOT,
    RATE_INT,
    RATE_LP,
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
    SPEED,
    SPEED_MIN,
    SPEED_MOST,
    SPEED_PER_VOLT,
    SPEED_SPAN,
    SPIN,
    SPIN_INERTIA,
    THRUST,
    THRUST_DOWN,
    THRUST_NED,
    TORQUE,
    TRACK,
    TURN,
    TURNING,
    VEL,
    VEL_DOT,
    VEL_INT,
    VEL_LAST,
    WIND,
    YAW,
    D,
    E,
    L,
    X,
    Y,
    Z,
)

PI = math.pi
FADE_RATE = math.radians(400.0)

# nsz and contract (fused multiply-add) keep NaN and infinity as they are; numpy's division does
# not raise, which would be a branch
vector = numba.njit(cache=True, error_model="numpy", fastmath={"nsz", "contract"})


@vector
def sine_cosine(angle: float) -> tuple[float, float]:
    """Return (sin, cos) of an angle within -pi to pi, error < 2e-9: Taylor at half the angle."""
    h = 0.5 * angle
    h2 = h * h
    s = h * (
        1.0
        + h2
        * (
            -1.0 / 6.0
            + h2
            * (
                1.0 / 120.0
                + h2
                * (
                    -1.0 / 5040.0
                    + h2 * (1.0 / 362880.0 + h2 * (-1.0 / 39916800.0 + h2 / 6227020800.0))
                )
            )
        )
    )
    c = 1.0 + h2 * (
        -0.5
        + h2
        * (
            1.0 / 24.0
            + h2
            * (
                -1.0 / 720.0
                + h2
                * (
                    1.0 / 40320.0
                    + h2 * (-1.0 / 3628800.0 + h2 * (1.0 / 479001600.0 - h2 / 87178291200.0))
                )
            )
        )
    )
    return 2.0 * s * c, c * c - s * s


@vector
def half_angle(c: float, s: float) -> tuple[float, float]:
    """Return (cos, sin) of half the angle whose cosine and sine are given."""
    big = math.sqrt(0.5 * (1.0 + abs(c)))
    small = 0.5 * s / big
    signed = big if s >= 0.0 else -big
    return (big if c >= 0.0 else abs(small)), (small if c >= 0.0 else signed)


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
    most_up, most_down = p.mpc_z_v_auto_up, p.mpc_z_v_auto_dn
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
        up = min(most_up, braking(max(-dz, 0.0), climb, jerk))
        down = min(most_down, braking(max(dz, 0.0), sink, jerk))
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
    size = min(math.sqrt(2.0 * jerk * abs(gap)), most)
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
def position(s: Array, p: Px4Params, smooth: float, tan_tilt: float, dt: float) -> None:
    """As ``control.multirotor.position_control`` with all of the setpoint given."""
    g, back = GRAVITY_M_S2, 2.0 / p.mpc_xy_vel_p_acc
    xy_p, z_p, most = p.mpc_xy_p, p.mpc_z_p, p.mpc_xy_vel_max
    v_p, v_i, v_d = p.mpc_xy_vel_p_acc, p.mpc_xy_vel_i_acc, p.mpc_xy_vel_d_acc
    w_p, w_i, w_d = p.mpc_z_vel_p_acc, p.mpc_z_vel_i_acc, p.mpc_z_vel_d_acc
    up, down = p.mpc_z_vel_max_up, p.mpc_z_vel_max_dn
    thr_min, thr_max, marg = p.mpc_thr_min, p.mpc_thr_max, p.mpc_thr_xy_marg
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
        tz = z_p * (s[TRACK + D + i] - pd) + s[TRACK + 5 * L + i]
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
        tz = max(min(tz, down), -up)
        int_z = min(max(s[VEL_INT + D + i], -g), g)
        ex, ey, ez = tx - vn, ty - ve, tz - vd
        ax = v_p * ex + s[VEL_INT + i] - v_d * dn + s[TRACK + 6 * L + i]
        ay = v_p * ey + s[VEL_INT + E + i] - v_d * de + s[TRACK + 7 * L + i]
        az = w_p * ez + int_z - w_d * dd + s[TRACK + 8 * L + i]
        hover = s[HOVER + i]
        acc2 = ax * ax + ay * ay
        tilt = math.sqrt(acc2) / g
        cut = tan_tilt / max(tilt, 1e-9)
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
        after = min(max(hover + 0.3 * dt * surprise / g * hover, 0.1), 0.9)
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
        # y axis: perpendicular to z and to the heading's direction
        yx, yy, yz = -zz * sy, zz * cy, zx * sy - zy * cy
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
def quarter_turn(c: float, s: float) -> float:
    """Return the angle within -pi/2 to pi/2 of (cos, sin), cos >= 0; error < 2e-6 rad.

    Twice twice the arc tangent of the tangent of a quarter of it, which is at most tan(pi/8).
    """
    t = s / (1.0 + c)
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    t2 = t * t
    tan = t * (
        1.0
        + t2
        * (
            -1.0 / 3.0
            + t2 * (0.2 + t2 * (-1.0 / 7.0 + t2 * (1.0 / 9.0 + t2 * (-1.0 / 11.0 + t2 / 13.0))))
        )
    )
    return 4.0 * tan


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
    fade = max(0.0, 1.0 - (error / FADE_RATE) * (error / FADE_RATE))
    s[RATE_INT + i] = min(max(total + fade * gain_i * error * dt, -limit), limit)


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
def body(s: Array, dt: float) -> None:
    """Turn to the middle of the step; air, drag of the body; clear the sums over rotors.

    Velocity and attitude are those half a step ahead, by the last acceleration and the rate.
    """
    half_rho = 0.5 * AIR_DENSITY_KG_M3
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
        target = min(slowest + min(max(command, 0.0), 1.0) * span, s[SPEED_MOST + i])
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
        thrust = max(r[LIFT + i] * w * w - loss, 0.0)
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
        s[SPEED_MOST + i] = per_volt * voltage
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
def step(
    s: Array,
    r: Array,
    k: Array,
    rotor_k: Array,
    p: Px4Params,
    filters: Array,
    dt: float,
    substeps: int,
) -> None:
    """One step of ``dt``: the position loop once, all that is inside of it ``substeps`` times.

    s: (ROWS L,), r: (n, ROTOR_ROWS L), k: (N_CONSTANT,), rotor_k: (n, N_ROTOR_CONSTANT) made for
    dt / substeps; filters: (4,) smoothing of velocity, rate, rate's derivative; tan of the tilt.
    """
    position(s, p, filters[0], filters[3], dt)
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
        body(s, inner)
        for j in range(r.shape[0]):
            rotor(s, r[j], rotor_k[j], k[SPIN_INERTIA], inner)
        move(s, k, inner)
