# SPDX-License-Identifier: Apache-2.0
"""A Crazyflie 2.0 with three decks: its recorded discharges, its cell, the power of its motion.

Recordings: R. Craciun, Crazyflie-2.0-battery-data (github.com/RaresCraciun, CC BY-SA 4.0), the
onboard filter's position and the voltage at 100 Hz, no current. The first 15 of its 155 files are
in ``../shared/data/battery/crazyflie``; files 136 to 155 are one flight twenty times over.

``CELL`` and ``WEIGHTS`` were fitted by physics_crazyflie_fit.py to flights 16 to 136, none of
which is in ../shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import savgol_filter

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array
from airtwin_physics.battery import BatteryConfig

DT_S = 0.25  # voltage and power are averaged over this
LOGGED_S = 0.01
GRAVITY_M_S2 = 9.80665
WINDOW = 51  # samples of the local parabola that gives velocity and acceleration
LAG_S = 0.1  # the logged position comes later than the voltage by this (flights 16 to 136)

# Bitcraze wiki, misc:investigations:thrust: amperes and grams of thrust at sixteen steps, voltage
# beside them: 0.96 W at rest, and 0.237 W per gram from 10 to 37 g, a straight line
REST_W = 0.96
WATT_PER_GRAM = 0.237
REST_A = 0.25
# 27 g, Multi-ranger 2.3 g, Loco 3.3 g, Qi charger about 5 g (Bitcraze's data sheets)
MASS_G = 38.0
CAPACITY_AH = 0.25  # Bitcraze's 250 mAh cell

CELL = BatteryCoefficients(
    cells=1,
    capacity_ah=CAPACITY_AH,
    resistance_ohm=0.1647,
    resistance_activation_k=4726.0,
    resistance_empty=0.0366,
    resistance_empty_charge=0.0867,
    polarisation_ohm=0.0411,
    polarisation_s=9.34,
    heat_capacity_j_k=38.0,
    cooling_w_k=0.438,
    cutoff_cell_v=3.0,  # the firmware's PM_BAT_CRITICAL_LOW_VOLTAGE
    avionics_w=REST_W,
    speed_per_volt_rad_s_v=0.0,  # the motion gives the power
    ocv_cell_v=np.array([
        3.2672, 3.5949, 3.6684, 3.6882, 3.7120, 3.7374, 3.7582, 3.7784, 3.7992, 3.8203, 3.8461,
        3.8674, 3.8929, 3.9208, 3.9521, 3.9864, 4.0227, 4.0599, 4.0998, 4.1501, 4.2129,
    ]),
)  # fmt: skip
WEIGHTS = np.array([0.9386, -0.0052, 0.0365, -0.013])
# how flights 16 to 136 differ from each other, and the scatter of their voltage
CONFIG = BatteryConfig(
    ambient_c=24.0,
    ambient_sigma_c=2.0,
    scale_predicted=0.02,
    resistance_share=0.2,
    capacity_share=0.01,
    chart_spread=0.01,  # chart and polarisation are those fitted
    slow_share=0.001,
    warmth_predicted=0.01,
    table_cell_v=0.003,
    noise_cell_v=0.01,
    resistance_walk=0.005,
)


@dataclass(frozen=True, slots=True)
class Discharge:
    """One flight in steps of ``DT_S``, (n,) each.

    ``motion``: (n, 4) specific force over g less 1 [-], height above 1 m [m], climb [m/s], speed
    squared [m^2/s^2]; ``flying``: 0 until ``start``, then 1; ``rest_v``: before the motors run.
    """

    number: int
    voltage_v: Array
    motion: Array
    flying: Array
    start: int
    rest_v: float


def read(path: Path) -> Discharge:
    """Return one flight; its motion by local parabolas through the logged position."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    position, voltage = table[:, :3], table[:, 3]
    start = int(np.argmax(voltage < voltage[0] - 0.1))
    velocity = savgol_filter(position, WINDOW, 2, deriv=1, delta=LOGGED_S, axis=0)
    force = savgol_filter(position, WINDOW, 2, deriv=2, delta=LOGGED_S, axis=0)
    force[:, 2] += GRAVITY_M_S2
    motion = np.column_stack(
        (
            np.linalg.norm(force, axis=1) / GRAVITY_M_S2 - 1.0,
            position[:, 2] - 1.0,
            velocity[:, 2],
            np.sum(velocity**2, axis=1),
        )
    )
    lag = round(LAG_S / LOGGED_S)
    motion = np.concatenate((motion[lag:], np.repeat(motion[-1:], lag, axis=0)))
    flying = (np.arange(len(voltage)) >= start).astype(float)
    every = round(DT_S / LOGGED_S)
    n = len(voltage) // every
    columns = np.column_stack((voltage, motion, flying))[: n * every]
    means = columns.reshape(n, every, -1).mean(axis=1)
    return Discharge(
        number=int(path.stem.split("_")[-1]),
        voltage_v=means[:, 0],
        motion=means[:, 1:5],
        flying=means[:, 5],
        start=start // every,
        rest_v=float(voltage[:start].mean()),
    )


def power_w(flight: Discharge, weights: Array) -> Array:
    """Return (n,) the power [W] that the motion asks for; weights: (4,) of ``motion``."""
    return REST_W + flight.flying * WATT_PER_GRAM * MASS_G * (1.0 + flight.motion @ weights)
