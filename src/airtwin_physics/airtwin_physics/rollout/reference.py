# SPDX-License-Identifier: Apache-2.0
"""The same rollout, slowly: ``dynamics`` by classical Runge-Kutta, ``control`` at every step.

What the kernel of lanes is held against, in the tests and in the bench.
"""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as law
from airtwin_physics.control import sortie, track, virtual
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.gusts import gust
from airtwin_physics.rollout import kernel, pack
from airtwin_physics.rollout.draw import Draws


def fly(
    drawn: Draws,
    legs: Array,
    aircraft: Aircraft,
    params: Px4Params,
    strength: float,
    charge_c: float,
    horizon_s: float,
    dt_s: float = 0.001,
) -> tuple[Array, Array]:
    """Return (final states (n, 14 + rotors), ways flown (n,) [m]).

    Track at 50 Hz and gusts at 25 Hz, as they are in the kernel; all else every ``dt_s``.
    """
    nominal, shares = dynamics.pack(aircraft), law.mixer(aircraft)
    n = drawn.starts.shape[0]
    pieces, ticks = round(horizon_s / kernel.GUST_S), round(kernel.GUST_S / dt_s)
    normals = np.zeros((n, kernel.looks(pieces * kernel.SLOW_STEPS), 5))
    if drawn.gusts is not None:
        drawn.gusts.standard_normal(out=normals)
    else:
        strength = 0.0
    states, ways = np.zeros((n, dynamics.ROTOR + aircraft.rotor_count)), np.zeros(n)
    for i in range(n):
        model, wind = pack.varied(nominal, drawn.factors[i]), drawn.winds[i]
        standing = legs[0, track.L_KIND] == track.TAKE_OFF
        x, control = virtual.in_flight(model, params, drawn.starts[i], wind, charge_c)
        if standing:
            x, control = virtual.standing(model, params, drawn.starts[i], charge_c)
        guide = track.new_guide(x[:3], x[3:6], frames.yaw_from_quat(x[6:10]))
        sortie.begin(guide[track.G_FLIGHT], legs[0, track.L_KIND])
        motors = np.zeros(aircraft.rotor_count)
        rows = virtual.Rows(x, control, virtual.new_setpoint(params), motors)
        craft = virtual.Craft(model, shares, params)
        state = np.zeros(5)
        for piece in range(pieces):
            blow = gust(state, normals[i, piece], wind, x[3:6], -x[2], strength, kernel.GUST_S)
            ways[i] += virtual.advance_along(
                rows, guide, legs, craft, wind + np.array(blow), dt_s, 1, ticks
            )
        states[i] = x
    return states, ways
