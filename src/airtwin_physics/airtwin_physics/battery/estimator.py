# SPDX-License-Identifier: Apache-2.0
"""Follows one battery: charge left, resistance, capacity, time to empty, each with its sigma.

An extended Kalman filter over windows of ``window_s``, with the model of model.py. State:

    s     share of charge left [-]           c = ln(capacity / that of the aircraft file)
    u     polarisation [V]                   b   error of the open-circuit table, a cell [V]
    r = ln(resistance / that of the file)    k = ln(true current / the current that was told)

    I = e^k I_told          s <- s - I dt / (e^c C)         u <- u e^-a + e^r R_p g I (1 - e^-a)
    z = V = OCV(s) + cells b - u - e^r R g I                a = dt / tau_p, g = growth(s, T)

``b`` wanders with the charge drawn, because a table's error does: without it every sample would
count as new evidence and the filter would soon believe its table. ``k`` is what makes a predicted
current honest: its prior is narrow where the current is measured, wide where it comes from
predicted power, wider where there is neither; resistance and capacity then stay unknown of
themselves, while the time to empty, which needs only s e^c / e^k, does not. The noise of the
voltage is followed from the innovations. Plett, Battery Management Systems, volume 2 (2015),
ch. 3, has the same filter without b and k.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Array, Battery, Parameter
from airtwin_physics.battery import model

LEFT, POLAR, RES, CAP, TABLE, SCALE = range(6)
N = 6
NAN = float("nan")
MEASURED, PREDICTED, ASSUMED = "measured", "predicted", "assumed"


@dataclass(frozen=True, slots=True)
class BatteryConfig:
    """Settings of the estimator; sigmas of logarithms are shares (0.5: about half of it)."""

    window_s: float = 0.5  # [s] samples are averaged over this
    gap_s: float = 30.0  # [s] of silence, after which it may be another battery
    cell_least_v: float = 2.0  # [V] below, no cell of a pack that flies
    cell_most_v: float = 4.5  # [V] above, the pack has more cells than the file says
    ambient_c: float = 25.0  # [deg C] until a temperature is measured
    noise_cell_v: float = 0.003  # [V] least noise of the voltage, a cell
    resistance_share: float = 0.5  # [-] prior sigma of r: age and temperature
    capacity_share: float = 0.2  # [-] prior sigma of c: age
    noise_s: float = 20.0  # [s] over which the noise of the voltage is followed
    table_cell_v: float = 0.015  # [V] sigma of b: charts of makers differ by this
    table_charge: float = 0.2  # [-] share of charge over which b forgets itself
    scale_measured: float = 0.03  # [-] sigma of k: a power module, calibrated
    scale_predicted: float = 0.25  # [-] sigma of k: power of the motors from a model
    scale_assumed: float = 0.7  # [-] sigma of k: nobody knows
    assumed_rate_1_h: float = 4.0  # [1/h] capacity over hours where nobody knows: 15 min of flight
    resistance_walk: float = 0.02  # [-/sqrt(min)] how fast r may change
    gate_nis: float = 25.0  # [-] five sigmas
    shut_s: float = 5.0  # [s] of shut gate, after which the filter starts over
    load_s: float = 60.0  # [s] over which the load is averaged for the time to empty
    most_s: float = 14_400.0  # [s] longest time to empty that is told

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: a setting is not a positive number.
        """
        for name in self.__slots__:
            value = getattr(self, name)
            if not (value > 0.0 or name == "ambient_c") or not math.isfinite(value):
                raise ValueError(f"{name} is {value}, expected a number > 0")


@dataclass(frozen=True, slots=True)
class BatteryBelief:
    """What the estimator believes.

    ``left``: share of the charge; ``time_to_empty_s`` until the cut-off voltage under the load
    of the last ``load_s``; ``energy_left_j`` at the terminals until then; ``source`` of the
    current; ``restarts``: how often it had to start over.
    """

    stamp_ns: int
    received_ns: int
    left: float
    left_sigma: float
    ocv_v: float
    load_w: float
    time_to_empty_s: float
    time_to_empty_sigma_s: float
    energy_left_j: float
    temperature_c: float
    source: str
    restarts: int
    parameters: tuple[Parameter, ...]


class BatteryEstimator:
    """One battery; ``on`` each sample, in order of arrival. Says None until it has a voltage."""

    def __init__(
        self, coefficients: BatteryCoefficients, config: BatteryConfig | None = None
    ) -> None:
        self._c = coefficients
        self._config = config or BatteryConfig()
        self._pack, self._table = model.pack(coefficients)
        self.refused: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self._x = np.zeros(N)
        self._p = np.eye(N)
        self._source = ""
        self._known_at: int | None = None  # stamp of the window's begin
        self._newest = 0
        self._behind = 0
        self._sum = np.zeros(3)  # of voltage, current and samples in the window
        self._metered = False
        self._temperature = self._ambient = 0.0  # ambient NaN: the temperature is measured
        self._noise = self._load = self._shut = self._drawn = 0.0
        self._forget()

    def on(self, sample: Battery, power_w: float = NAN) -> BatteryBelief | None:
        """Take one sample; return the belief once a window is full, else None.

        power_w: [W] predicted for the motors and all else, taken where no current is measured.
        """
        cause = self._flaw(sample)
        if cause:
            self.refused[cause] += 1
            return None
        if self._newest and sample.stamp_ns - self._newest > self._config.gap_s * 1e9:
            self._restart("silence")
        self._newest = sample.stamp_ns
        current, source = self._current(sample, power_w)
        if math.isfinite(sample.temperature_c) and -60.0 < sample.temperature_c < 120.0:
            self._temperature, self._ambient = sample.temperature_c, NAN
        self._sum += np.array([sample.voltage_v, current, 1.0])
        if source != self._source:
            self._take_source(source)
        if self._known_at is None:
            self._known_at = sample.stamp_ns
            self._begin(sample.voltage_v, current)
            return None
        dt = (sample.stamp_ns - self._known_at) * 1e-9
        if dt < self._config.window_s:
            return None
        voltage, current = self._sum[0] / self._sum[2], self._sum[1] / self._sum[2]
        self._known_at, self._sum = sample.stamp_ns, np.zeros(3)
        self._predict(current, dt)
        self._update(voltage, current, dt)
        share = 1.0 - math.exp(-dt / self._config.load_s)
        power = voltage * current
        self._load = power if not self._load else self._load + share * (power - self._load)
        return self._belief(sample)

    def _flaw(self, sample: Battery) -> str:
        """Return why a sample can't be used, else nothing."""
        config = self._config
        if not math.isfinite(sample.voltage_v) or sample.voltage_v <= 0.0:
            return "no voltage"
        cell = sample.voltage_v / self._c.cells
        if not config.cell_least_v < cell < config.cell_most_v:
            return f"not the voltage of {self._c.cells} cells"
        if sample.stamp_ns <= self._newest:
            self._behind += 1
            if self._behind < 5:
                return "not newer"
            self._restart("clock went back")
        self._behind = 0
        return ""

    def _current(self, sample: Battery, power_w: float) -> tuple[float, str]:
        """Return the best current [A] there is and where it comes from."""
        most = 200.0 * self._c.capacity_ah  # no pack gives 200 times its capacity an hour
        told = sample.current_a
        if math.isfinite(told) and 0.0 <= told < most and (told > 0.0 or self._metered):
            self._metered = True  # until a current was seen, 0 is what PX4 says without a sensor
            return told, MEASURED
        if math.isfinite(power_w) and 0.0 <= power_w / sample.voltage_v < most:
            return power_w / sample.voltage_v, PREDICTED
        return self._config.assumed_rate_1_h * self._c.capacity_ah, ASSUMED

    def _restart(self, cause: str) -> None:
        self.restarts[cause] += 1
        self._forget()

    def _forget(self) -> None:
        self._known_at, self._newest, self._source = None, 0, ""
        self._sum, self._metered = np.zeros(3), False
        self._temperature = self._ambient = self._config.ambient_c
        self._noise = (self._c.cells * self._config.noise_cell_v) ** 2 * 4.0
        self._load, self._shut, self._drawn = 0.0, 0.0, 0.0

    def _take_source(self, source: str) -> None:
        """Give the scale of the current the prior of its new source."""
        config = self._config
        self._source = source
        sigma = {MEASURED: config.scale_measured, PREDICTED: config.scale_predicted}
        self._x[SCALE] = 0.0
        self._p[SCALE, :] = self._p[:, SCALE] = 0.0
        self._p[SCALE, SCALE] = sigma.get(source, config.scale_assumed) ** 2

    def _begin(self, voltage: float, current: float) -> None:
        """Read the charge off the table, the sag by the file's resistance taken off."""
        config, pack = self._config, self._pack
        scale_var = self._p[SCALE, SCALE]
        factor = model.growth(pack, 0.0, self._temperature)
        both = (pack[model.RESISTANCE] + pack[model.POLARISATION]) * factor
        cell = (voltage + pack[model.RESISTANCE] * factor * current) / self._c.cells
        grid = np.linspace(0.0, 1.0, self._table.size)
        left = float(np.interp(cell, self._table, grid))
        slope = max(self._slope(left), 0.2 * self._c.cells)
        sag = both * current * math.sqrt(config.resistance_share**2 + scale_var)
        doubt = math.hypot(self._c.cells * config.table_cell_v, sag) / slope
        self._x = np.array([left, 0.0, 0.0, 0.0, 0.0, self._x[SCALE]])
        self._p = np.diag(
            [
                min(doubt, 0.4) ** 2,
                max(pack[model.POLARISATION] * factor * current, 1e-3) ** 2,
                config.resistance_share**2,
                config.capacity_share**2,
                config.table_cell_v**2,
                scale_var,
            ]
        )

    def _slope(self, left: float) -> float:
        """Return d OCV / d share [V] of the pack, over a twentieth of the charge."""
        capacity = self._pack[model.CAPACITY_C]
        low, high = max(left - 0.025, 0.0), min(left + 0.025, 1.0)
        upper = model.ocv(self._pack, self._table, (1.0 - high) * capacity)
        lower = model.ocv(self._pack, self._table, (1.0 - low) * capacity)
        return float((upper - lower) / (high - low))

    def _predict(self, told_a: float, dt: float) -> None:
        config, pack, x = self._config, self._pack, self._x
        capacity = pack[model.CAPACITY_C] * math.exp(x[CAP])
        current = told_a * math.exp(x[SCALE])
        factor = model.growth(pack, self._charge(), self._temperature) * math.exp(x[RES])
        tau = max(pack[model.POLARISATION_S], 1e-3)
        decay = math.exp(-dt / tau)
        step, rise = current * dt / capacity, pack[model.POLARISATION] * factor * current
        rise *= 1.0 - decay
        fade = math.exp(-step / config.table_charge)
        f = np.eye(N)
        f[LEFT, CAP], f[LEFT, SCALE] = step, -step
        f[POLAR, POLAR], f[POLAR, RES], f[POLAR, SCALE] = decay, rise, rise
        f[TABLE, TABLE] = fade
        x[LEFT] -= step
        x[POLAR] = decay * x[POLAR] + rise
        x[TABLE] *= fade
        q = np.zeros(N)
        q[LEFT] = (1e-3 * step) ** 2 + 1e-12
        q[POLAR] = (0.05 * rise) ** 2 + 1e-10
        q[RES] = config.resistance_walk**2 * dt / 60.0
        q[TABLE] = config.table_cell_v**2 * (1.0 - fade * fade)
        self._p = f @ self._p @ f.T + np.diag(q)
        self._drawn += step
        if math.isfinite(self._ambient):  # no sensor: as the model warms
            _, warming = model.rates(
                pack, self._charge(), x[POLAR], self._temperature, current, self._ambient
            )
            self._temperature = min(max(self._temperature + warming * dt, -40.0), 100.0)

    def _charge(self) -> float:
        """Return the charge drawn [C] of a pack with the file's capacity, at the same share."""
        return float((1.0 - self._x[LEFT]) * self._pack[model.CAPACITY_C])

    def _expected(self, told_a: float) -> tuple[float, Array]:
        """Return the voltage [V] that the state says, and its derivative (6,)."""
        pack, x = self._pack, self._x
        current = told_a * math.exp(x[SCALE])
        sag = pack[model.RESISTANCE] * math.exp(x[RES]) * current
        grown = model.growth(pack, self._charge(), self._temperature)
        capacity = pack[model.CAPACITY_C]
        fuller = model.growth(pack, self._charge() - 0.01 * capacity, self._temperature)
        voltage = model.ocv(pack, self._table, self._charge()) + self._c.cells * x[TABLE]
        h = np.zeros(N)
        h[LEFT] = self._slope(x[LEFT]) - sag * (fuller - grown) / 0.01
        h[POLAR], h[RES], h[TABLE], h[SCALE] = -1.0, -sag * grown, self._c.cells, -sag * grown
        return voltage - x[POLAR] - sag * grown, h

    def _update(self, voltage: float, told_a: float, dt: float) -> None:
        config = self._config
        expected, h = self._expected(told_a)
        innovation = voltage - expected
        spread = float(h @ self._p @ h)
        total = spread + self._noise
        if innovation * innovation > config.gate_nis * total:
            self.refused["voltage far from what was expected"] += 1
            self._shut += dt
            if self._shut > config.shut_s:
                self._restart("voltage jumped")
                return
            self._noise *= 1.0 + 0.1 * dt
            return
        self._shut = 0.0
        share = 1.0 - math.exp(-dt / config.noise_s)
        least = (self._c.cells * config.noise_cell_v) ** 2
        self._noise += share * (max(innovation * innovation - spread, least) - self._noise)
        gain = self._p @ h / total
        self._x = self._x + gain * innovation
        keep = np.eye(N) - np.outer(gain, h)
        self._p = keep @ self._p @ keep.T + self._noise * np.outer(gain, gain)
        self._p = 0.5 * (self._p + self._p.T)
        self._x[LEFT] = min(max(self._x[LEFT], 0.0), 1.0)
        self._x[RES] = min(max(self._x[RES], -3.0), 3.0)
        self._x[CAP] = min(max(self._x[CAP], -2.0), 2.0)
        self._x[SCALE] = min(max(self._x[SCALE], -2.0), 2.0)

    def pack_at(self, x: Array | None = None) -> tuple[Array, Array, Array]:
        """Return (vector, table, start) as believed, for ``discharge`` and ``endurance``.

        x: (6,) another state than the believed one, for derivatives.
        """
        x = self._x if x is None else x
        vector = self._pack.copy()
        vector[[model.RESISTANCE, model.POLARISATION]] *= math.exp(x[RES])
        vector[model.CAPACITY_SHARE] = math.exp(x[CAP])
        drawn = (1.0 - x[LEFT]) * vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
        return vector, self._table + x[TABLE], np.array([drawn, x[POLAR], self._temperature])

    def scale(self) -> float:
        """Return true over told current [-] as believed: what predicted power is multiplied by."""
        return math.exp(self._x[SCALE])

    def _endurance(self, x: Array) -> tuple[float, float]:
        vector, table, start = self.pack_at(x)
        ambient = self._ambient if math.isfinite(self._ambient) else self._temperature
        load = self._load * math.exp(x[SCALE])
        return model.endurance(vector, table, start, load, ambient, 1.0, self._config.most_s)

    def _belief(self, sample: Battery) -> BatteryBelief | None:
        if self._known_at is None:
            return None  # it has just started over
        time, energy = self._endurance(self._x)
        gradient = np.zeros(N)
        for i in range(N):
            sigma = math.sqrt(self._p[i, i])
            up, down = self._x.copy(), self._x.copy()
            up[i] += sigma
            down[i] -= sigma
            gradient[i] = (self._endurance(up)[0] - self._endurance(down)[0]) / (2.0 * sigma)
        doubt = math.sqrt(max(float(gradient @ self._p @ gradient), 0.0))
        return BatteryBelief(
            stamp_ns=sample.stamp_ns,
            received_ns=sample.received_ns,
            left=min(max(float(self._x[LEFT]), 0.0), 1.0),  # a step may run a hair past empty
            left_sigma=math.sqrt(self._p[LEFT, LEFT]),
            ocv_v=model.ocv(self._pack, self._table, self._charge()),
            load_w=self._load * self.scale(),
            time_to_empty_s=time,
            time_to_empty_sigma_s=doubt,
            energy_left_j=energy,
            temperature_c=self._temperature,
            source=self._source,
            restarts=self.restarts.total(),
            parameters=self.parameters(),
        )

    def parameters(self) -> tuple[Parameter, ...]:
        """Return resistance (25 deg C) and capacity; known where this flight has told them."""
        why = "" if self._source == MEASURED else f"the current is {self._source}, not measured"
        still = why or "the load has not changed enough"
        more = why or f"only {100.0 * self._drawn:.0f} % of the charge was drawn so far"
        return (
            self._parameter("battery_resistance", "Ohm", RES, self._c.resistance_ohm, 0.10, still),
            self._parameter("battery_capacity", "Ah", CAP, self._c.capacity_ah, 0.07, more),
        )

    def _parameter(
        self, name: str, unit: str, place: int, prior: float, limit: float, why: str
    ) -> Parameter:
        value, share = prior * math.exp(self._x[place]), math.sqrt(self._p[place, place])
        known = self._known_at is not None and share <= limit
        return Parameter(name, unit, value, value * share, prior, known, "" if known else why)
