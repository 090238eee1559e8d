# SPDX-License-Identifier: Apache-2.0
"""A battery under a constant-power load: voltage, current, heat, how long it lasts.

Three states: charge drawn [C], polarisation [V], temperature [deg C]. With E(s) the open-circuit
voltage over the share s of charge left (table of the aircraft file, one cell, times cells), and
R(s, T) = R_25 exp(T_a (1/T - 1/T_25)) (1 + r_e exp(-s / s_e)), P the power taken at the terminals:

* U = E(s) - u,  I = (U - sqrt(U^2 - 4 R P)) / 2 R,  V = U - R I; beyond the most that the pack
  can give (P > U^2 / 4 R) the current of that most, U / 2 R;
* dq/dt = I;  du/dt = (R_p I - u) / tau_p, R_p scaled by the same factor as R;
* dT/dt = (R I^2 + u^2 / R_p - k (T - T_ambient)) / C.

One RC pair after Plett, Battery Management Systems (2015), ch. 2 ("Thevenin model"). The exponent
in temperature: R of a LiPo measured at 0, 10 and 30 deg C follows exp(3131 K / T) (rcex.cz,
"Battery and Temperature", 2010). The kernels take plain floats, so that any state layout will do;
slow reference in test_battery.py.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array

ZERO_C_K = 273.15
REFERENCE_K = 298.15

# places in the vector of ``pack``
CELLS, CAPACITY_C, CAPACITY_SHARE, RESISTANCE, ACTIVATION_K = 0, 1, 2, 3, 4
EMPTY_SHARE, EMPTY_CHARGE, POLARISATION, POLARISATION_S = 5, 6, 7, 8
HEAT_J_K, COOLING_W_K, CUTOFF_V = 9, 10, 11
N_PACK = 12

COLD_C, HOT_C = -40.0, 120.0  # outside, no LiPo works and the exponential is no model


def pack(coefficients: BatteryCoefficients) -> tuple[Array, Array]:
    """Return (vector (12,), open-circuit table (m,) [V] of one cell) for the kernels.

    ``vector[CAPACITY_SHARE]`` is 1; an aged or a smaller pack has less. ``CUTOFF_V`` [V] is of
    the whole pack, under load.
    """
    vector = np.zeros(N_PACK)
    vector[CELLS] = coefficients.cells
    vector[CAPACITY_C] = coefficients.capacity_ah * 3600.0
    vector[CAPACITY_SHARE] = 1.0
    vector[RESISTANCE] = coefficients.resistance_ohm
    vector[ACTIVATION_K] = coefficients.resistance_activation_k
    vector[EMPTY_SHARE] = coefficients.resistance_empty
    vector[EMPTY_CHARGE] = coefficients.resistance_empty_charge
    vector[POLARISATION] = coefficients.polarisation_ohm
    vector[POLARISATION_S] = coefficients.polarisation_s
    vector[HEAT_J_K] = coefficients.heat_capacity_j_k
    vector[COOLING_W_K] = coefficients.cooling_w_k
    vector[CUTOFF_V] = coefficients.cells * coefficients.cutoff_cell_v
    return vector, np.ascontiguousarray(coefficients.ocv_cell_v, dtype=np.float64)


@numba.njit(cache=True, error_model="numpy")
def left(battery: Array, charge_c: float) -> float:
    """Return the share of charge left [-], 0 to 1, with ``charge_c`` [C] drawn."""
    share = 1.0 - charge_c / (battery[CAPACITY_C] * battery[CAPACITY_SHARE])
    return float(min(max(share, 0.0), 1.0))


@numba.njit(cache=True, error_model="numpy")
def ocv(battery: Array, table: Array, charge_c: float) -> float:
    """Return the open-circuit voltage [V] of the pack with ``charge_c`` [C] drawn."""
    place = left(battery, charge_c) * (table.shape[0] - 1)
    low = min(int(place), table.shape[0] - 2)
    cell = table[low] + (place - low) * (table[low + 1] - table[low])
    return float(battery[CELLS] * cell)


@numba.njit(cache=True, error_model="numpy")
def growth(battery: Array, charge_c: float, temperature_c: float) -> float:
    """Return what the resistances are multiplied by [-]: 1 at 25 deg C and a full pack."""
    kelvin = min(max(temperature_c, COLD_C), HOT_C) + ZERO_C_K
    factor = np.exp(battery[ACTIVATION_K] * (1.0 / kelvin - 1.0 / REFERENCE_K))
    if battery[EMPTY_CHARGE] > 0.0:
        share = left(battery, charge_c)
        factor *= 1.0 + battery[EMPTY_SHARE] * np.exp(-share / battery[EMPTY_CHARGE])
    return float(factor)


@numba.njit(cache=True, error_model="numpy")
def terminal(
    battery: Array,
    table: Array,
    charge_c: float,
    polarisation_v: float,
    temperature_c: float,
    power_w: float,
) -> tuple[float, float]:
    """Return (voltage [V], current [A]) at the terminals with ``power_w`` [W] taken there."""
    factor = growth(battery, charge_c, temperature_c)
    return _loaded(battery, factor, ocv(battery, table, charge_c) - polarisation_v, power_w)


@numba.njit(cache=True, error_model="numpy")
def rates(
    battery: Array,
    charge_c: float,
    polarisation_v: float,
    temperature_c: float,
    current_a: float,
    ambient_c: float,
) -> tuple[float, float]:
    """Return d/dt of (polarisation [V/s], temperature [K/s]); that of the charge is the current.

    Without polarisation or heat capacity in the aircraft file these stand still.
    """
    factor = growth(battery, charge_c, temperature_c)
    return _settling(battery, factor, polarisation_v, temperature_c, current_a, ambient_c)


@numba.njit(cache=True, error_model="numpy")
def drained(
    battery: Array,
    table: Array,
    charge_c: float,
    polarisation_v: float,
    temperature_c: float,
    power_w: float,
    ambient_c: float,
) -> tuple[float, float, float, float]:
    """Return ``terminal`` and ``rates`` of the same state; ``growth``, the dear part, once."""
    factor = growth(battery, charge_c, temperature_c)
    inner = ocv(battery, table, charge_c) - polarisation_v
    voltage, current = _loaded(battery, factor, inner, power_w)
    swing, warming = _settling(battery, factor, polarisation_v, temperature_c, current, ambient_c)
    return voltage, current, swing, warming


@numba.njit(cache=True, error_model="numpy")
def _loaded(battery: Array, factor: float, inner_v: float, power_w: float) -> tuple[float, float]:
    resistance = battery[RESISTANCE] * factor
    if resistance > 0.0:
        root = np.sqrt(max(inner_v * inner_v - 4.0 * resistance * power_w, 0.0))
        current = (inner_v - root) / (2.0 * resistance)
    else:
        current = power_w / max(inner_v, 1e-3)
    return inner_v - resistance * current, current


@numba.njit(cache=True, error_model="numpy")
def _settling(
    battery: Array,
    factor: float,
    polarisation_v: float,
    temperature_c: float,
    current_a: float,
    ambient_c: float,
) -> tuple[float, float]:
    heat = battery[RESISTANCE] * factor * current_a * current_a
    swing = 0.0
    if battery[POLARISATION] > 0.0 and battery[POLARISATION_S] > 0.0:
        slow = battery[POLARISATION] * factor
        swing = (slow * current_a - polarisation_v) / battery[POLARISATION_S]
        heat += polarisation_v * polarisation_v / slow
    warming = 0.0
    if battery[HEAT_J_K] > 0.0:
        warming = (heat - battery[COOLING_W_K] * (temperature_c - ambient_c)) / battery[HEAT_J_K]
    return swing, warming


@numba.njit(cache=True)
def discharge(
    battery: Array, table: Array, start: Array, power_w: Array, ambient_c: float, dt_s: float
) -> Array:
    """Return (n, 5): charge, polarisation, temperature, voltage, current at each of n steps.

    start: (3,) charge [C], polarisation [V], temperature [deg C]; power_w: (n,) [W], held for
    ``dt_s`` [s] each. Row i holds the state before the i-th power, and its voltage and current.
    """
    out: Array = np.empty((power_w.shape[0], 5))
    charge, polarisation, temperature = start[0], start[1], start[2]
    for i in range(power_w.shape[0]):
        voltage, current, swing, warming = drained(
            battery, table, charge, polarisation, temperature, power_w[i], ambient_c
        )
        out[i, 0], out[i, 1], out[i, 2] = charge, polarisation, temperature
        out[i, 3], out[i, 4] = voltage, current
        charge += dt_s * current
        polarisation += dt_s * swing
        temperature += dt_s * warming
    return out


@numba.njit(cache=True)
def endurance(
    battery: Array,
    table: Array,
    start: Array,
    power_w: float,
    ambient_c: float,
    dt_s: float,
    most_s: float,
) -> tuple[float, float]:
    """Return (time [s], energy [J] at the terminals) until the voltage falls to the cut-off.

    start: (3,) as for ``discharge``; constant power. (0, 0) if it is there already or the pack
    can't give that power; ``most_s`` bounds time and work, where nothing is drawn too.
    """
    charge, polarisation, temperature = start[0], start[1], start[2]
    time, before = 0.0, 0.0
    while time < most_s:
        voltage, current, swing, warming = drained(
            battery, table, charge, polarisation, temperature, power_w, ambient_c
        )
        if not (voltage > battery[CUTOFF_V] and voltage * current >= 0.999 * power_w):
            if time > 0.0 and voltage < before:  # where between the last two steps
                share = (before - battery[CUTOFF_V]) / (before - voltage)
                time -= dt_s * (1.0 - min(max(share, 0.0), 1.0))
            return time, time * power_w
        before = voltage
        charge += dt_s * current
        polarisation += dt_s * swing
        temperature += dt_s * warming
        time += dt_s
    return most_s, most_s * power_w
