# SPDX-License-Identifier: Apache-2.0
"""Where things stand: the parameter vector, one block of a flight, the aircraft as arrays.

``theta`` (18 + n,), n rotors: natural logarithms of ratios to the aircraft file for ``MASS``,
``THRUST``, ``MOMENT``, ``ROTOR_DRAG``, ``BODY_DRAG``, ``INERTIA_LEVEL``, ``INERTIA_YAW``,
``INFLOW``, ``ROLLING``, ``LAG`` (of the rotors); the centre of mass off the file's ``CENTRE_X``,
``CENTRE_Y`` [m] FRD; ``YAW_TRIM`` [N m]; ``WIND`` (3) [m/s] NED, its level part the mean,
``GUST`` (2) what blows beside it; north and east of both times the ratio ``ROTOR_DRAG``, so that
drag is linear in all of them (an EKF on wind and drag themselves would learn from its own
linearisation). ``ROTOR_DRAG`` scales all drag, ``BODY_DRAG`` the body's against the rotors'.
``EFFECT`` on: (n,) effectiveness less one.

A block is one row (``width(n)``,) of means over some 0.1 s of flight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array

MASS, THRUST, MOMENT, CENTRE_X, CENTRE_Y = 0, 1, 2, 3, 4
ROTOR_DRAG, BODY_DRAG, INERTIA_LEVEL, INERTIA_YAW, YAW_TRIM = 5, 6, 7, 8, 9
WIND, GUST, INFLOW, ROLLING, LAG, EFFECT = 10, 13, 15, 16, 17, 18

# one block
SPAN = 0  # [s]
FORCE, TURN, RATE = 1, 4, 7  # specific force [m/s^2], angular acceleration, rate FRD (3 each)
VELOCITY, ROTATION = 10, 13  # NED (3) [m/s]; R_ned_frd (9) by rows
SPREAD = 22  # variance of the block's mean specific force by the IMU's own noise (3)
TURN_SPREAD = 25  # likewise of the angular acceleration (3)
FULL = 28  # [-] share of the time in which a rotor was at a limit
STAMP = 29  # [s] end of the block since the first
HEIGHT = 30  # [m] above the ground
SQUARE = 31  # mean of the squared speeds [rad^2/s^2] (n), then of the speeds (n), then their
# change per second (n)


def width(rotors: int) -> int:
    """Return the length of a block's row."""
    return SQUARE + 3 * rotors


def size(rotors: int) -> int:
    """Return the number of parameters."""
    return EFFECT + rotors


# columns of Craft.rotors
RX, RY, RZ, TURNS, K_THRUST, K_MOMENT, K_DRAG, K_ROLL, K_INFLOW = range(9)
_UP = -0.9  # of a rotor's axis along FRD z: pushes up, tilted by 25 deg at most
TAU_UP, TAU_DOWN, SPEED_MIN, SPEED_MAX = range(9, 13)


class Craft(NamedTuple):
    """An aircraft for the kernels: ``rotors`` (n, 13), ``drag_area`` (3,) [m^2]."""

    mass_kg: float
    inertia: Array
    inertia_inverse: Array
    drag_area: Array
    spin_inertia: float
    speed_per_volt: float
    rotors: Array


def lifting(aircraft: Aircraft) -> NDArray[np.bool_]:
    """Return (n,): which rotors push up; pushers and the rotors of tailsitters do not."""
    return np.asarray(aircraft.rotor_axes_frd[:, 2] < _UP)


def craft(aircraft: Aircraft) -> Craft:
    """Return what the kernels need of an aircraft; rotors that do not lift count for nothing."""
    kind, n = aircraft.rotors, aircraft.rotor_count
    rotors = np.zeros((n, 13))
    rotors[:, RX : RZ + 1] = aircraft.rotor_positions_frd_m
    rotors[:, TURNS] = aircraft.rotor_turns
    # effectiveness below is relative to the file's
    rotors[:, K_THRUST] = kind.thrust_n_s2 * aircraft.rotor_effectiveness
    rotors[:, K_MOMENT] = kind.moment_m
    rotors[:, K_DRAG] = kind.drag_n_s2_m
    rotors[:, K_ROLL] = kind.rolling_moment_n_s2
    rotors[:, K_INFLOW] = kind.inflow_n_s2_m
    rotors[:, TAU_UP] = kind.time_constant_up_s
    rotors[:, TAU_DOWN] = kind.time_constant_down_s
    rotors[:, SPEED_MIN] = kind.speed_min_rad_s
    rotors[:, SPEED_MAX] = kind.speed_max_rad_s
    rotors[:, K_THRUST : K_INFLOW + 1] *= lifting(aircraft)[:, None]
    inertia = np.ascontiguousarray(aircraft.inertia_frd_kg_m2)
    return Craft(
        float(aircraft.mass_kg),
        inertia,
        np.ascontiguousarray(np.linalg.inv(inertia)),
        np.ascontiguousarray(aircraft.drag_area_frd_m2),
        float(aircraft.rotor_inertia_kg_m2),
        float(aircraft.battery.speed_per_volt_rad_s_v),
        rotors,
    )
