# SPDX-License-Identifier: Apache-2.0
"""The equations of airtwin_physics/dynamics/README.md once more: vectors, no tricks, no numba.

Reads the aircraft, not the kernel's arrays, so that a wrong column shows.
"""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft, Surface
from airtwin_core.types import Array

RHO, GRAVITY = 1.225, np.array([0.0, 0.0, 9.80665])


def battery(x: Array, a: Aircraft) -> tuple[float, float, float, float]:
    """Return voltage, current, d polarisation / dt, d temperature / dt at 25 deg C ambient."""
    b = a.battery
    charge, polarisation, celsius = x[13:16]
    speeds = x[16 : 16 + a.rotor_count]
    power = b.avionics_w + sum(a.rotor(i).power_w_s3 * w**3 for i, w in enumerate(speeds))
    left = np.clip(1.0 - charge / (b.capacity_ah * 3600.0), 0.0, 1.0)
    table = b.ocv_cell_v
    inner = b.cells * np.interp(left, np.linspace(0.0, 1.0, table.size), table) - polarisation
    kelvin = np.clip(celsius, -40.0, 120.0) + 273.15
    grown = np.exp(b.resistance_activation_k * (1.0 / kelvin - 1.0 / 298.15))
    if b.resistance_empty_charge > 0.0:
        grown *= 1.0 + b.resistance_empty * np.exp(-left / b.resistance_empty_charge)
    res = b.resistance_ohm * grown
    if res > 0.0:
        current = (inner - np.sqrt(max(inner**2 - 4.0 * res * power, 0.0))) / (2.0 * res)
    else:
        current = power / max(inner, 1e-3)
    heat, swing, warming = res * current**2, 0.0, 0.0
    if b.polarisation_ohm > 0.0 and b.polarisation_s > 0.0:
        swing = (b.polarisation_ohm * grown * current - polarisation) / b.polarisation_s
        heat += polarisation**2 / (b.polarisation_ohm * grown)
    if b.heat_capacity_j_k > 0.0:
        warming = (heat - b.cooling_w_k * (celsius - 25.0)) / b.heat_capacity_j_k
    return inner - res * current, current, swing, warming


def thrust(a: Aircraft, i: int, speed: float, axial: float, near: float) -> float:
    """Return the thrust of rotor ``i`` [N]."""
    c = a.rotor(i)
    force = c.thrust_n_s2 * speed**2 * a.rotor_effectiveness[i] * near
    force -= c.inflow_n_s2_m * speed * axial + c.inflow_square_n_s2_m2 * max(axial, 0.0) ** 2
    return max(force, 0.0)


def stalled(s: Surface, a: float) -> float:
    """Return the share of separated flow at an angle of attack: Beard and McLain's own form."""
    up = np.exp(-s.stall_sharpness * (a - s.stall_rad))
    down = np.exp(s.stall_sharpness * (a + s.stall_rad))
    return float((1.0 + up + down) / ((1.0 + up) * (1.0 + down)))


def coefficients(s: Surface, angle: float, deflection: float, share: float) -> Array:
    """Return lift, drag, moment coefficient; ``share`` of induced drag left near the ground."""
    a = angle + s.flap * deflection
    cl = s.lift_0 + s.lift_slope * a
    attached = np.array(
        [
            cl,
            s.drag_0 + share * cl**2 / (np.pi * s.oswald * s.aspect_ratio),
            s.moment_0 + s.flap_moment * deflection,
        ]
    )
    blend = stalled(s, a)
    slender = 0.41 * (1.0 - np.exp(-17.0 / s.aspect_ratio))
    cn = 1.98 * np.sin(a) * (1.0 / (0.56 + 0.44 * abs(np.sin(a))) - slender)
    ct = s.drag_0 * np.cos(a)
    plate = np.array(
        [
            cn * np.cos(a) - ct * np.sin(a),
            cn * np.sin(a) + ct * np.cos(a),
            -cn * (0.25 - 7.0 / 40.0 * (1.0 - 2.0 / np.pi * min(abs(a), np.pi))),
        ]
    )
    return (1.0 - blend) * attached + blend * plate


def _lift(
    x: Array, a: Aircraft, air: Array, rotation: Array, height: float
) -> tuple[Array, Array]:
    omega, n = x[10:13], a.rotor_count
    force, moment = np.zeros(3), np.zeros(3)
    for s in a.surfaces:
        v = air + np.cross(omega, s.place_frd_m)
        if s.wash_rotor >= 0:
            i = s.wash_rotor
            axis = a.rotor_axes_frd[i]
            along = axis @ (air + np.cross(omega, a.rotor_positions_frd_m[i]))
            pull = thrust(a, i, x[16 + i], along, 1.0)
            disc = np.pi * a.rotor(i).radius_m ** 2
            ahead = max(along, 0.0)
            v = v + s.wash * (np.sqrt(ahead**2 + 2.0 * pull / (RHO * disc)) - ahead) * axis
        if s.downwash_of >= 0:
            wing = a.surfaces[s.downwash_of]
            alpha = np.arctan2(-air @ s.normal_frd, air @ s.forward_frd)
            share = 1.0 - stalled(wing, alpha)
            v = v - s.downwash * share * (air @ s.normal_frd) * s.normal_frd
        flat = (v @ s.forward_frd) * s.forward_frd + (v @ s.normal_frd) * s.normal_frd
        speed = np.linalg.norm(flat)
        if speed < 1e-6:
            continue
        angle = np.arctan2(-v @ s.normal_frd, v @ s.forward_frd)
        deflection = 0.0 if s.servo < 0 else s.gain * x[16 + n + s.servo]
        ratio = 16.0 * max(height - (rotation @ s.place_frd_m)[2], 0.0) / s.span_m
        cl, cd, cm = coefficients(s, angle, deflection, ratio**2 / (1.0 + ratio**2))
        pitch_axis = np.cross(s.forward_frd, s.normal_frd)
        pressure = 0.5 * RHO * speed**2 * s.area_m2
        here = pressure * (cl * np.cross(flat / speed, -pitch_axis) - cd * flat / speed)
        force = force + here
        moment = moment + np.cross(s.place_frd_m, here) + pressure * s.chord_m * cm * pitch_axis
    return force, moment


def _contact(x: Array, a: Aircraft, rotation: Array, ground: float) -> tuple[Array, Array]:
    omega, force, moment = x[10:13], np.zeros(3), np.zeros(3)
    places = np.vstack((a.feet_frd_m, a.rotor_positions_frd_m))
    wheels = np.concatenate((a.foot_rolls, np.zeros(a.rotor_count)))
    servos = np.concatenate((a.foot_servos, np.full(a.rotor_count, -1))).astype(int)
    for place, wheel, servo in zip(places, wheels, servos, strict=True):
        depth = (x[:3] + rotation @ place)[2] - ground
        if depth <= 0.0:
            continue
        v = x[3:6] + rotation @ np.cross(omega, place)
        normal = max(a.ground.stiffness_n_m * depth + a.ground.damping_n_s_m * v[2], 0.0)
        push = np.array([0.0, 0.0, -normal])
        slide = np.array([v[0], v[1], 0.0])
        if wheel and a.ground.rolling_friction != a.ground.friction:
            ahead = rotation[:, 0] * [1.0, 1.0, 0.0]
            ahead = ahead / np.linalg.norm(ahead)
            if servo >= 0:
                angle = x[16 + a.rotor_count + servo]
                ahead = frames.rotation_from_quat(frames.quat_from_euler(0, 0, angle)) @ ahead
            side = np.array([-ahead[1], ahead[0], 0.0])
            for way, friction in (
                (ahead, a.ground.rolling_friction),
                (side, a.ground.friction),
            ):
                push = push - friction * normal * way * (v @ way) / (abs(v @ way) + 0.05)
        else:
            push = push - a.ground.friction * normal * slide / (np.linalg.norm(slide) + 0.05)
        force = force + push
        moment = moment + np.cross(place, rotation.T @ push)
    return force, moment


def derivative(x: Array, u: Array, a: Aircraft, wind: Array) -> Array:
    """Return dx/dt."""
    rotation = frames.rotation_from_quat(x[6:10])
    omega, n = x[10:13], a.rotor_count
    air = rotation.T @ (x[3:6] - wind)
    force = -0.5 * RHO * a.drag_area_frd_m2 * np.abs(air) * air
    moment = np.zeros(3)
    stand = a.ground.rest_pitch_rad
    level = a.feet_frd_m @ np.array([-np.sin(stand), 0.0, np.cos(stand)])
    ground = float(np.max(level))
    voltage, current, swing, warming = battery(x, a)
    spin, rates = np.zeros(3), []
    for i in range(n):
        c, place, axis = a.rotor(i), a.rotor_positions_frd_m[i], a.rotor_axes_frd[i]
        w, turn = x[16 + i], a.rotor_turns[i]
        v = air + np.cross(omega, place)
        height = ground - (x[:3] + rotation @ place)[2]
        upright = max(-(rotation @ axis)[2], 0.0)
        ratio = c.radius_m / (4.0 * max(height, c.radius_m)) * upright
        pull = thrust(a, i, w, v @ axis, 1.0 / (1.0 - ratio**2))
        in_plane = v - (v @ axis) * axis
        hub = pull * axis - c.drag_n_s2_m * w * in_plane
        span = c.speed_max_rad_s - c.speed_min_rad_s
        target = 0.0 if np.isnan(u[i]) else c.speed_min_rad_s + np.clip(u[i], 0, 1) * span
        if not np.isnan(u[i]):
            target = min(target, a.battery.speed_per_volt_rad_s_v * voltage)
        rates.append(
            (target - w) / (c.time_constant_up_s if target > w else c.time_constant_down_s)
        )
        force = force + hub
        moment = moment + np.cross(place, hub) - c.rolling_moment_n_s2 * w * in_plane
        moment = moment + turn * axis * (c.moment_m * pull + a.rotor_inertia_kg_m2 * rates[-1])
        spin = spin - turn * axis * a.rotor_inertia_kg_m2 * w
    turns = []
    for j, servo in enumerate(a.servos):
        wish = 0.0 if np.isnan(u[n + j]) else np.clip(u[n + j], -1.0, 1.0)
        wish *= servo.most_rad if wish > 0.0 else -servo.least_rad
        turns.append((wish - x[16 + n + j]) / servo.time_constant_s)
    lift, pitching = _lift(x, a, air, rotation, ground - x[2])
    touch, rocking = _contact(x, a, rotation, ground)
    total = rotation @ (force + lift) + touch
    momentum = a.inertia_frd_kg_m2 @ omega + spin
    net = moment + pitching + rocking - np.cross(omega, momentum)
    return np.concatenate(
        (
            x[3:6],
            total / a.mass_kg + GRAVITY,
            0.5 * frames.quat_multiply(x[6:10], np.concatenate(([0.0], omega))),
            np.linalg.solve(a.inertia_frd_kg_m2, net),
            [current, swing, warming],
            rates,
            turns,
        )
    )
