# SPDX-License-Identifier: Apache-2.0
"""The extended Kalman filter of one battery: charge, polarisation, temperature and what is off.

    s     share of charge left [-]           c = ln(capacity / that of the aircraft file)
    u     polarisation [V]                   m   kind of cell: how far off its chart lies [V]
    r = ln(resistance / that of the file)    b   what is left of the chart's error, a cell [V]
    T     temperature [deg C]                k = ln(true current / the current that was told)
    d     slow polarisation [V] (diffusion)

    I = e^k I_told          s <- s - I dt / (e^c C)         u <- u e^-a + e^r R_p g I (1 - e^-a)
    T <- T + dt (e^r R g I^2 + u^2 / (e^r R_p g) - k_c (T - T_air)) / C_h
    z = V = OCV(s) + cells (m + b) - u - d - e^r R g I   a = dt / tau_p, g = growth(s, T)

``m`` has the sigma by which open-circuit charts of cells differ there (``chart_mode_v``) and gains
what that gains as the charge falls: a pack whose chart nobody measured may be of any kind, and
what looks like a smaller pack may be one of those.
``b`` wanders with the charge drawn, because the rest does: without it every sample would
count as new evidence and the filter would soon believe its table. ``k`` makes a predicted current
honest. ``T`` matters where nobody measures it: a small pack warms by ten kelvin in a minute, its
resistance falls by a third, and its voltage falls slower than its charge says. Plett, Battery
Management Systems, volume 2 (2015), ch. 3, has the same filter without m, b, k and T.

``d`` <- d e^(-dt / tau_d), noise sigma_d^2 (1 - e^(-2 dt / tau_d)), sigma_d a share of e^r R g I:
diffusion adds to the sag over minutes, how much no short change of load tells (Chen & Rincon-Mora
have a pair of 223 s; the simulator has none), so a pack under load may be fuller than it looks.

``w`` [V] is a wobble of the voltage that no load explains (a propeller that drags, a contact):
w <- w e^(-dt / tau_w), noise sigma_w^2 (1 - e^(-2 dt / tau_w)), and z holds + w. How large it is
nobody knows beforehand: each filter assumes a size and keeps its ``evidence``, the logarithm of
the likelihood of the voltages that it saw, so that a bank of them can be weighed (multiple-model
estimation, Bar-Shalom, Li, Kirubarajan (2001), ch. 11.6). White noise is followed from the
innovations.
"""

from __future__ import annotations

import copy
import math

import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array
from airtwin_physics.battery import model
from airtwin_physics.battery.config import BatteryConfig

LEFT, POLAR, RES, CAP, TABLE, SCALE, WARM, WOBBLE, KIND, SLOW = range(10)
N = 10
_LEAST = np.array([0.0, -100.0, -3.0, -2.0, -1.0, -2.0, model.COLD_C, -1.0, -5.0, -100.0])
_MOST = np.array([1.0, 100.0, 3.0, 2.0, 1.0, 2.0, model.HOT_C, 1.0, 5.0, 100.0])


class BatteryFilter:
    """State ``x`` (10,) and covariance ``p`` (10, 10) of one pack; see the module."""

    def __init__(
        self, coefficients: BatteryCoefficients, config: BatteryConfig, size: int
    ) -> None:
        """size: which of the wobbles in ``config`` it assumes."""
        self._cells = coefficients.cells
        self._config = config
        self._pack, self._table = model.pack(coefficients)
        self._grid = np.linspace(0.0, 1.0, self._table.size)
        steps = np.linspace(0.0, 1.0, len(config.chart_mode_v))
        self._spread = config.chart_spread * np.interp(self._grid, steps, config.chart_mode_v)
        self._least = (self._cells * config.noise_cell_v) ** 2
        self.x = np.zeros(N)
        self.p = np.eye(N)
        self.measured_c = False
        self.drawn, self._sag, self._step = 0.0, 0.0, 0.0
        self._first_c, self._warmth = config.ambient_c, 0.0
        self.wobble_v = self._cells * config.wobble_cell_v[size]
        self._contact, self._walk = config.wobble_walk[size], config.resistance_walk
        self.evidence = 0.0
        self._noise = 4.0 * self._least

    @property
    def ambient_c(self) -> float:
        """Temperature [deg C] of the air: of the pack itself where that is measured."""
        return float(self.x[WARM]) if self.measured_c else self._config.ambient_c

    def begin(self, voltage: float, current: float) -> None:
        """Read the charge off the table, the sag by the file's resistance taken off.

        SCALE, and a measured temperature, stay.
        """
        config, pack = self._config, self._pack
        scale, scale_var = self.x[SCALE], self.p[SCALE, SCALE]
        warm, warm_var = config.ambient_c, config.ambient_sigma_c**2
        if self.measured_c:
            warm, warm_var = float(self.x[WARM]), config.sensor_sigma_c**2
        factor = model.growth(pack, 0.0, warm)
        both = (pack[model.RESISTANCE] + pack[model.POLARISATION]) * factor
        cell = (voltage + pack[model.RESISTANCE] * factor * current) / self._cells
        left = float(np.interp(cell, self._table, self._grid))
        slope = max(self._slope(left), 0.2 * self._cells)
        sag = both * current * math.sqrt(config.resistance_share**2 + scale_var)
        kind = self._spread_at(left)
        chart = self._cells * math.hypot(config.table_cell_v, kind)
        doubt = math.hypot(chart, sag) / slope
        swing = max(pack[model.POLARISATION] * factor * current, 1e-3)
        self.x = np.array([left, 0.0, 0.0, 0.0, 0.0, scale, warm, 0.0, 0.0, 0.0])
        self.p = np.diag(
            [
                min(doubt, 0.4) ** 2,
                swing**2,
                config.resistance_share**2,
                config.capacity_share**2,
                config.table_cell_v**2,
                scale_var,
                warm_var,
                self.wobble_v**2,
                kind**2,
                (config.slow_share * pack[model.RESISTANCE] * factor * current) ** 2,
            ]
        )
        self.drawn, self._sag = 0.0, pack[model.RESISTANCE] * factor * current
        self._first_c, self._warmth = warm, 0.0
        self._noise = 4.0 * self._least

    def set_source(self, sigma: float, *, told: bool, step: float) -> None:
        """Give the scale of the current the prior of a new source.

        told: the source knows the load. What shakes the voltage then is the pack or its contacts,
        and may stay: r walks; else it is the load.
        step: share by which a change of the sag is wrong.
        """
        self._isolate(SCALE, 0.0, sigma)
        self._walk = max(self._config.resistance_walk, self._contact if told else 0.0)
        self._step = step

    def set_temperature(self, temperature_c: float) -> None:
        """Take a measured temperature [deg C]; from now on it is not predicted."""
        self.measured_c = True
        self._isolate(WARM, temperature_c, self._config.sensor_sigma_c)

    def _isolate(self, place: int, value: float, sigma: float) -> None:
        self.x[place] = value
        self.p[place, :] = self.p[:, place] = 0.0
        self.p[place, place] = sigma**2

    def predict(self, told_a: float, dt: float) -> None:
        """Go on by ``dt`` [s] with ``told_a`` [A] drawn."""
        config = self._config
        before = self.x
        self.x, f = self.transition(before, told_a, dt)
        step = float(before[LEFT] - self.x[LEFT])
        q = np.zeros(N)
        q[LEFT] = (1e-3 * step) ** 2 + 1e-12
        swing = self.x[POLAR] - f[POLAR, POLAR] * before[POLAR]
        q[POLAR] = (config.step_share * swing) ** 2 + 1e-10
        q[RES] = self._walk**2 * dt / 60.0 + self._warmth_doubt()
        q[TABLE] = config.table_cell_v**2 * (1.0 - f[TABLE, TABLE] ** 2)
        grown = math.exp(before[RES] + before[SCALE]) * self._growth(before)[0]
        sag = self._pack[model.RESISTANCE] * grown * told_a
        q[WOBBLE] = self.wobble_v**2 * (1.0 - f[WOBBLE, WOBBLE] ** 2)
        q[WOBBLE] += (self._step * (sag - self._sag)) ** 2
        self._sag, slow = sag, config.slow_share * sag
        more = self._spread_at(self.x[LEFT]) ** 2 - self._spread_at(before[LEFT]) ** 2
        q[KIND] = max(more, 0.0)
        q[SLOW] = slow**2 * (1.0 - f[SLOW, SLOW] ** 2)
        self.p = f @ self.p @ f.T + np.diag(q)
        self.drawn += step
        self._bound()

    def _warmth_doubt(self) -> float:
        """Return what a new most of warming adds to the variance of r.

        However far the pack has warmed or cooled since ``begin``, a share of what that did to
        the logarithm of its resistance is doubted: one error, so its sigma grows with the warmth.
        """
        config = self._config
        share = config.warmth_measured if self.measured_c else config.warmth_predicted
        activation = self._pack[model.ACTIVATION_K]
        now = activation / (self.x[WARM] + model.ZERO_C_K)
        warmth = share * abs(now - activation / (self._first_c + model.ZERO_C_K))
        before, self._warmth = self._warmth, max(self._warmth, warmth)
        return self._warmth**2 - before**2

    def transition(self, x: Array, told_a: float, dt: float) -> tuple[Array, Array]:
        """Return the state after ``dt`` [s] and its derivative (10, 10) by the one before."""
        vector = self._aged(x)
        capacity = vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
        current = told_a * math.exp(x[SCALE])
        charge = (1.0 - x[LEFT]) * capacity
        grown, by_left, by_warm = self._growth(x)
        slow = vector[model.POLARISATION] * grown
        decay = math.exp(-dt / max(vector[model.POLARISATION_S], 1e-3))
        step, rise = current * dt / capacity, slow * current * (1.0 - decay)
        fade = math.exp(-step / self._config.table_charge)
        f = np.eye(N)
        f[LEFT, CAP], f[LEFT, SCALE] = step, -step
        f[POLAR, [POLAR, RES, SCALE]] = decay, rise, rise
        f[POLAR, LEFT], f[POLAR, WARM] = rise * by_left, rise * by_warm
        f[TABLE, TABLE] = fade
        f[WOBBLE, WOBBLE] = math.exp(-dt / self._config.wobble_s)
        f[SLOW, SLOW] = math.exp(-dt / self._config.slow_s)
        f[TABLE, [CAP, SCALE]] = np.array([1.0, -1.0]) * x[TABLE] * fade * step
        f[TABLE, [CAP, SCALE]] /= self._config.table_charge
        after = x.copy()
        after[LEFT] -= step
        after[POLAR] = decay * x[POLAR] + rise
        after[TABLE] *= fade
        after[WOBBLE] *= f[WOBBLE, WOBBLE]
        after[SLOW] *= f[SLOW, SLOW]
        if not self.measured_c and vector[model.HEAT_J_K] > 0.0:
            _, warming = model.rates(
                vector, charge, x[POLAR], x[WARM], current, self._config.ambient_c
            )
            after[WARM] += warming * dt
            per_k = dt / vector[model.HEAT_J_K]
            fast = vector[model.RESISTANCE] * grown * current**2 * per_k
            settling = x[POLAR] ** 2 / slow * per_k if slow > 0.0 else 0.0
            f[WARM, SCALE], f[WARM, RES] = 2.0 * fast, fast - settling
            f[WARM, POLAR] = 2.0 * x[POLAR] / slow * per_k if slow > 0.0 else 0.0
            f[WARM, LEFT] = (fast - settling) * by_left
            f[WARM, WARM] = 1.0 + (fast - settling) * by_warm - vector[model.COOLING_W_K] * per_k
        return after, f

    def measurement(self, x: Array, told_a: float) -> tuple[float, Array]:
        """Return the voltage [V] that a state says, and its derivative (10,)."""
        vector = self._aged(x)
        grown, by_left, by_warm = self._growth(x)
        sag = vector[model.RESISTANCE] * grown * told_a * math.exp(x[SCALE])
        charge = (1.0 - x[LEFT]) * self._pack[model.CAPACITY_C]
        inner = model.ocv(self._pack, self._table, charge) + self._cells * (x[KIND] + x[TABLE])
        h = np.zeros(N)
        h[LEFT] = self._slope(x[LEFT]) - sag * by_left
        h[[POLAR, RES, TABLE, SCALE, WARM]] = -1.0, -sag, self._cells, -sag, -sag * by_warm
        h[WOBBLE], h[SLOW], h[KIND] = 1.0, -1.0, self._cells
        return inner - x[POLAR] - x[SLOW] - sag + x[WOBBLE], h

    def update(self, voltage: float, told_a: float, dt: float) -> bool:
        """Take the mean voltage [V] of the last ``dt`` [s]; False if it is too far off."""
        config = self._config
        expected, h = self.measurement(self.x, told_a)
        innovation = voltage - expected
        spread = float(h @ self.p @ h)
        if innovation * innovation > config.gate_nis * (spread + self._noise):
            self._weigh(config.gate_nis, spread + self._noise, dt)
            self._noise *= 1.0 + 0.1 * dt
            return False
        total, share = spread + self._noise, 1.0 - math.exp(-dt / config.noise_s)
        self._weigh(innovation**2 / total, total, dt)
        self._noise += share * (max(innovation**2 - spread, self._least) - self._noise)
        gain = self.p @ h / (spread + self._noise)
        self.x = self.x + gain * innovation
        keep = np.eye(N) - np.outer(gain, h)
        self.p = keep @ self.p @ keep.T + self._noise * np.outer(gain, gain)
        self.p = 0.5 * (self.p + self.p.T)
        self._bound()
        return True

    def blame_resistance(self, voltage: float, told_a: float) -> bool:
        """Take the resistance [Ohm] that a voltage [V] under load asks for; False if none does.

        Nobody exchanges a pack while it gives current. Old, cold or badly joined ones have many
        times the resistance of the file: more than ``_MOST`` allows is not asked of it.
        """
        expected, h = self.measurement(self.x, told_a)
        sag = float(self.x[POLAR] - h[RES])
        lacks = expected - voltage
        if not (lacks > 0.0 and sag > 0.0):
            return False
        grown = math.log1p(lacks / sag)
        if self.x[RES] + grown >= _MOST[RES]:
            return False
        self.x[POLAR] *= math.exp(grown)
        self._isolate(RES, float(self.x[RES]) + grown, self._config.resistance_share)
        return True

    def _weigh(self, nis: float, variance: float, dt: float) -> None:
        """Add a window's log-likelihood to the evidence, which fades."""
        self.evidence *= math.exp(-dt / self._config.evidence_s)
        self.evidence -= 0.5 * (nis + math.log(variance))

    def _bound(self) -> None:
        self.x = np.minimum(np.maximum(self.x, _LEAST), _MOST)

    def _growth(self, x: Array) -> tuple[float, float, float]:
        """Return ``growth`` and its relative derivatives by the share left and by kelvin."""
        pack, by_left = self._pack, 0.0
        grown = model.growth(pack, (1.0 - x[LEFT]) * pack[model.CAPACITY_C], x[WARM])
        if pack[model.EMPTY_CHARGE] > 0.0:
            near = pack[model.EMPTY_SHARE] * math.exp(-x[LEFT] / pack[model.EMPTY_CHARGE])
            by_left = -near / pack[model.EMPTY_CHARGE] / (1.0 + near)
        kelvin = min(max(x[WARM], model.COLD_C), model.HOT_C) + model.ZERO_C_K
        return grown, by_left, -pack[model.ACTIVATION_K] / kelvin**2

    def _spread_at(self, left: float) -> float:
        """Return the sigma [V] of m at a share of charge."""
        return float(np.interp(left, self._grid, self._spread))

    def _slope(self, left: float) -> float:
        """Return d OCV / d share [V] of the pack, over a twentieth of the charge."""
        capacity = self._pack[model.CAPACITY_C]
        low, high = max(left - 0.025, 0.0), min(left + 0.025, 1.0)
        upper = model.ocv(self._pack, self._table, (1.0 - high) * capacity)
        lower = model.ocv(self._pack, self._table, (1.0 - low) * capacity)
        return float((upper - lower) / (high - low))

    def _aged(self, x: Array) -> Array:
        """Return the pack's vector with resistances and capacity as the state has them."""
        vector: Array = self._pack.copy()
        vector[[model.RESISTANCE, model.POLARISATION]] *= math.exp(x[RES])
        vector[model.CAPACITY_SHARE] = math.exp(x[CAP])
        return vector

    def pack_at(self, x: Array | None = None) -> tuple[Array, Array, Array]:
        """Return (vector, table, start) as believed, for ``discharge`` and ``endurance``.

        The table is that of the charge to come, under a load that goes on: b fades from it as it
        does from the state, d stays. w fades, as does the polarisation, with which it starts.
        x: (10,) another state than the believed one, for derivatives.
        """
        x = self.x if x is None else x
        vector = self._aged(x)
        drawn = (1.0 - x[LEFT]) * vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
        here, ahead = self._spread_at(x[LEFT]), self._ahead(x[LEFT])
        kind = x[KIND] * np.minimum(1.0, self._spread / max(here, 1e-9))
        table = self._table + kind + x[TABLE] * np.exp(-ahead) - x[SLOW] / self._cells
        table[0] = self._table[0] - x[SLOW] / self._cells  # where all charts end, by definition
        return vector, table, np.array([drawn, x[POLAR] - x[WOBBLE], x[WARM]])

    def chart_doubt(self) -> Array:
        """Return the sigma (m,) [V] of one cell's chart ahead that no state of now tells: m and b.

        At the empty end it is none: a chart begins where a cell counts as empty.
        """
        here = self._spread_at(self.x[LEFT])
        kind = np.maximum(self._spread**2 - here**2, 0.0) * (self._grid < self.x[LEFT])
        rest = self._config.table_cell_v**2 * (1.0 - np.exp(-2.0 * self._ahead(self.x[LEFT])))
        doubt: Array = np.sqrt(kind + rest)
        doubt[0] = 0.0
        return doubt

    def sag_doubt(self, power_w: float, seconds: float) -> float:
        """Return how far [V] the sag of ``power_w`` [W] may walk in ``seconds`` [s], one sigma."""
        current = power_w * math.exp(self.x[SCALE]) / max(self.ocv_v(), 1e-3)
        ohm = self._pack[model.RESISTANCE] * math.exp(self.x[RES]) * self._growth(self.x)[0]
        return float(ohm * current * self._walk * math.sqrt(seconds / 60.0))

    def _ahead(self, left: float) -> Array:
        """Return how far ahead of ``left`` the table's charges lie, in ``table_charge``."""
        ahead: Array = np.maximum(left - self._grid, 0.0) / self._config.table_charge
        return ahead

    def ocv_v(self) -> float:
        """Return the pack's open-circuit voltage [V] by the file's table."""
        charge = (1.0 - self.x[LEFT]) * self._pack[model.CAPACITY_C]
        return model.ocv(self._pack, self._table, charge)


def blend(bank: tuple[BatteryFilter, ...]) -> BatteryFilter:
    """Return one filter with mean and covariance of all, each weighed by its evidence.

    Moments of a mixture: Bar-Shalom, Li, Kirubarajan (2001), ch. 1.4.16. All else is that of
    the likeliest.
    """
    told = np.array([one.evidence for one in bank])
    share = np.exp(told - told.max())
    share /= share.sum()
    mixed = copy.copy(bank[int(np.argmax(told))])
    mixed.x = sum((k * one.x for k, one in zip(share, bank, strict=True)), np.zeros(N))
    mixed.p = np.zeros((N, N))
    for k, one in zip(share, bank, strict=True):
        mixed.p += k * (one.p + np.outer(one.x - mixed.x, one.x - mixed.x))
    mixed.wobble_v = math.sqrt(float(share @ [one.wobble_v**2 for one in bank]))
    mixed._walk = math.sqrt(float(share @ [one._walk**2 for one in bank]))
    return mixed
