# SPDX-License-Identifier: Apache-2.0
"""What the battery's estimator is told beforehand. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatteryConfig:
    """Settings of the estimator; sigmas of logarithms are shares (0.5: about half of it)."""

    window_s: float = 0.5  # [s] samples are averaged over this
    gap_s: float = 30.0  # [s] of silence, after which it may be another battery
    cell_least_v: float = 2.0  # [V] below, no cell of a pack that flies
    cell_most_v: float = 4.5  # [V] above, the pack has more cells than the file says
    ambient_c: float = 25.0  # [deg C] until a temperature is measured
    ambient_sigma_c: float = 10.0  # [K] of the pack's temperature then
    sensor_sigma_c: float = 2.0  # [K] a measured temperature is that of the skin
    noise_cell_v: float = 0.003  # [V] least noise of the voltage, a cell
    noise_s: float = 20.0  # [s] over which the noise of the voltage is followed
    wobble_cell_v: tuple[float, ...] = (0.003, 0.01, 0.03)  # [V] sizes of w, a cell, weighed
    wobble_s: float = 10.0  # [s] tau_w
    # [-/sqrt(min)] least walk of r with each of them: what shakes a voltage may as well stay
    wobble_walk: tuple[float, ...] = (0.005, 0.03, 0.1)
    evidence_s: float = 30.0  # [s] over which the evidence for one of them fades
    step_share: float = 0.05  # [-] of a change of polarisation that the model has wrong
    step_predicted: float = 0.05  # [-] the same of the sag where the load is only predicted
    resistance_share: float = 0.5  # [-] prior sigma of r: age
    resistance_walk: float = 0.02  # [-/sqrt(min)] how fast r may change
    warmth_predicted: float = (
        0.5  # [-] doubt of what warmth does to ln R: estimates of C_h, k_c, T_a
    )
    warmth_measured: float = (
        0.3  # [-] the same where T is measured: T_a is of one pack, to 30 deg C
    )
    slow_share: float = 0.5  # [-] sigma of d over the sag: Chen & Rincon-Mora's slow pair is 0.67
    slow_s: float = 220.0  # [s] tau_d: their 0.050 Ohm times 4475 F
    capacity_share: float = 0.2  # [-] prior sigma of c: age
    # [V] a cell, at even steps of charge from 0 to 1: how charts of cells differ, one sigma. First
    # principal component (89 % of the variance) of six published curves, see the README
    chart_mode_v: tuple[float, ...] = (
        0.0, 0.070, 0.083, 0.073, 0.062, 0.052, 0.049, 0.047, 0.046, 0.047, 0.047,
        0.043, 0.034, 0.032, 0.028, 0.021, 0.017, 0.017, 0.012, 0.002, 0.0,
    )  # fmt: skip
    chart_spread: float = 1.4  # [-] sigma of m: mean and size of the mode are known from six only
    table_cell_v: float = 0.016  # [V] sigma of b: what the mode leaves of the six curves
    table_charge: float = 0.2  # [-] share of charge over which b forgets itself, of the same
    meter_noise_1_h: float = (
        0.1  # [1/h] of capacity: a meter's noise, about 1 % of what it can show
    )
    meter_s: float = 5.0  # [s] over which a load below that noise is averaged
    scale_measured: float = 0.03  # [-] sigma of k: a power module, calibrated
    scale_predicted: float = 0.25  # [-] sigma of k: power of the motors from a model
    scale_assumed: float = 0.7  # [-] sigma of k: nobody knows
    current_hold_s: float = 5.0  # [s] the last current stands if its source is silent; then k anew
    assumed_rate_1_h: float = 4.0  # [1/h] capacity over hours where nobody knows: 15 min of flight
    gate_nis: float = 25.0  # [-] five sigmas
    shut_s: float = 5.0  # [s] of shut gate, after which the filter starts over
    load_s: float = 60.0  # [s] over which the load is averaged for the time to empty
    load_short_s: float = 5.0  # [s] of the mean that shows another load: take-off, landing
    load_step: float = 0.5  # [-] share by which it must differ: gusts and climbs do by less
    most_s: float = 14_400.0  # [s] longest time to empty that is told
    resistance_known: float = 0.10  # [-] sigma of r at most to be known: 10 K change R by a third
    capacity_known: float = 0.07  # [-] sigma of c at most to be known: a third of its prior
    # [-] share drawn before that: charts agree where they are full and, by definition, empty
    capacity_drawn: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: a setting is not a positive number, or no wobble is left to weigh, or one
                has no walk.
        """
        for name in self.__slots__:
            told = getattr(self, name)
            values = told if isinstance(told, tuple) else (told,)
            signed = name in ("ambient_c", "chart_mode_v")
            right = all(v > 0.0 or signed for v in values)
            if not (values and right and all(math.isfinite(v) for v in values)):
                raise ValueError(f"{name} is {told}, expected a number > 0")
        if len(self.wobble_walk) != len(self.wobble_cell_v):
            raise ValueError("wobble_walk and wobble_cell_v differ in length")


# A pack whose numbers were learnt from its own discharges (learning.py): what may differ in the
# next one. Capacity moves with temperature, current and age (or it is the next pack of that kind:
# less doubt would not see that, more takes diffusion for a smaller pack, see the README); the
# chart's error is that of the fit, and holds most of the slow polarisation that its discharge had.
# What half and twice of each cost: README.
LEARNED = BatteryConfig(
    capacity_share=0.08,
    chart_spread=0.1,
    table_cell_v=0.01,
    resistance_share=0.3,
    slow_share=0.2,
)
