# SPDX-License-Identifier: Apache-2.0
"""IMU and motor commands as blocks: means over 0.1 s, rotor speeds by lag from the commands.

PX4 publishes commands more rarely than it makes them, so a command counts as a sample: the value
between two is interpolated, and IMU samples wait for the command after them.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array
from airtwin_physics.identify.rows import (
    FORCE,
    FULL,
    RATE,
    ROTATION,
    SPAN,
    SPEED_MAX,
    SPEED_MIN,
    SPREAD,
    SQUARE,
    STAMP,
    TAU_DOWN,
    TAU_UP,
    TURN,
    TURN_SPREAD,
    VELOCITY,
    Craft,
    width,
)

# columns of one IMU sample as it waits; rates and forces are free of their biases
I_AT, I_DT, I_RATE, I_FORCE = 0, 1, 2, 5
N_IMU = 8
# a running block: its row, then the rotor speeds, and what carries over
_CARRY = 16
_LIMIT = 0.98  # of what voltage or command allow: the rotor is at its limit


def fresh(craft: Craft) -> Array:
    """Return the state of an empty digest."""
    n = craft.rotors.shape[0]
    return np.zeros(width(n) + 3 * n + _CARRY)


@numba.njit(cache=True)
def digest(  # noqa: C901 - one loop over samples, as numba wants it
    state: Array,
    imu: Array,
    count: int,
    before: Array,
    after: Array,
    times: Array,
    pose: Array,
    voltage: float,
    craft: Craft,
    block_s: float,
    out: Array,
) -> int:
    """Take ``count`` IMU samples (.., 8) that lie between two commands; return blocks finished.

    ``before``, ``after``: (n,) commands at ``times`` (2,) [s]; NaN: stopped. ``pose`` (12,):
    velocity NED and rotation. ``voltage`` [V]: NaN unknown. ``out``: (m, width) room for blocks.
    """
    rotors = craft.rotors
    n = rotors.shape[0]
    wide = SQUARE + 3 * n
    speed = state[wide : wide + n]
    first = state[wide + n : wide + 2 * n]
    carry = state[wide + 3 * n :]
    # carry: 0 begun, 1:4 last rate, 4:7 rate at the block's start, 7:10 last force, 10 samples
    found = 0
    for s in range(count):
        dt = imu[s, I_DT]
        if carry[0] > 0.0 and state[SPAN] >= block_s - 0.5 * dt:
            span, samples = state[SPAN], max(carry[10], 1.0)
            row = out[found]
            for k in range(wide):
                row[k] = state[k] / span
            row[SPAN] = span
            row[STAMP] = imu[s, I_AT] - dt
            for k in range(3):
                edge = 0.5 * (carry[1 + k] + imu[s, I_RATE + k])
                row[TURN + k] = (edge - carry[4 + k]) / span
                carry[4 + k] = edge
                row[SPREAD + k] = 0.5 * state[SPREAD + k] / samples / samples
                # two edges of two samples each
                row[TURN_SPREAD + k] = 0.5 * state[TURN_SPREAD + k] / samples / (span * span)
            for i in range(n):
                row[SQUARE + 2 * n + i] = (speed[i] - first[i]) / span
                first[i] = speed[i]
            for k in range(wide):
                state[k] = 0.0
            carry[10] = 0.0
            found += 1
        if carry[0] == 0.0:
            for k in range(3):
                carry[4 + k] = imu[s, I_RATE + k]
            for i in range(n):
                first[i] = speed[i]
        share = 1.0
        if times[1] > times[0]:
            share = (imu[s, I_AT] - 0.5 * dt - times[0]) / (times[1] - times[0])
            share = min(max(share, 0.0), 1.0)
        full = 0.0
        for i in range(n):
            a, b = before[i], after[i]
            low, high = rotors[i, SPEED_MIN], rotors[i, SPEED_MAX]
            most = high
            if voltage == voltage:
                most = min(high, craft.speed_per_volt * voltage)
            if b != b:
                target = 0.0
            else:
                command = b if a != a else a + share * (b - a)
                command = min(max(command, 0.0), 1.0)
                target = low + command * (high - low)
                if target >= _LIMIT * most:
                    full = 1.0
                target = min(target, most)
            old = speed[i]
            tau = rotors[i, TAU_UP] if target > old else rotors[i, TAU_DOWN]
            new = target + (old - target) * np.exp(-dt / tau)
            speed[i] = new
            # exact means for the exponential differ from these by dt^2 / tau^2 / 12
            state[SQUARE + i] += dt * (old * old + old * new + new * new) / 3.0
            state[SQUARE + n + i] += dt * 0.5 * (old + new)
        state[FULL] += full * dt
        state[SPAN] += dt
        for k in range(3):
            state[FORCE + k] += dt * imu[s, I_FORCE + k]
            state[RATE + k] += dt * imu[s, I_RATE + k]
            state[VELOCITY + k] += dt * pose[k]
            if carry[0] > 0.0:
                state[SPREAD + k] += (imu[s, I_FORCE + k] - carry[7 + k]) ** 2
                state[TURN_SPREAD + k] += (imu[s, I_RATE + k] - carry[1 + k]) ** 2
            carry[1 + k] = imu[s, I_RATE + k]
            carry[7 + k] = imu[s, I_FORCE + k]
        for k in range(9):
            state[ROTATION + k] += dt * pose[3 + k]
        carry[10] += 1.0
        carry[0] = 1.0
    return found
