# SPDX-License-Identifier: Apache-2.0
"""Follows one battery: charge left, resistance, capacity, time to empty, each with its sigma.

Takes samples as they come: judges them, averages them over windows, finds the best current there
is, starts over when it must be another battery. What is believed is in filter.py: one filter for
each size of wobble, weighed by how likely the voltages are under it. How long that lasts is in
forecast.py.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Battery, Parameter
from airtwin_physics.battery import model
from airtwin_physics.battery.config import LEARNED, BatteryConfig
from airtwin_physics.battery.filter import CAP, LEFT, RES, SCALE, WARM, BatteryFilter, blend
from airtwin_physics.battery.forecast import Endurance, Load, endurance

NAN = float("nan")
MEASURED, PREDICTED, ASSUMED = "measured", "predicted", "assumed"
_SOURCES = (MEASURED, PREDICTED, ASSUMED)  # the best first


@dataclass(frozen=True, slots=True)
class BatteryBelief:
    """What the estimator believes.

    ``left``: share of the charge; ``time_to_empty_s`` until the cut-off voltage under the load
    of the last ``load_s`` (or since take-off), with its 95 % interval; ``energy_left_j`` at the
    terminals until then; ``source`` of the current; ``restarts``: how often it had to start over.
    """

    stamp_ns: int
    received_ns: int
    left: float
    left_sigma: float
    ocv_v: float
    load_w: float
    time_to_empty_s: float
    time_to_empty_sigma_s: float
    time_to_empty_95_s: tuple[float, float]
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
        usual = LEARNED if coefficients.learned_discharges > 0.0 else BatteryConfig()
        self._config = config or usual
        self._bank = self._filters()
        self._mixed: BatteryFilter | None = None  # until the next sample
        self.refused: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self._source = ""
        self._told = (0.0, 0)  # current [A] and stamp of the last that its source told
        self._known_at: int | None = None  # stamp of the window's begin
        self._newest = 0
        self._behind = 0
        self._sum = np.zeros(3)  # of voltage, current and samples in the window
        self._metered = False
        self._shut = 0.0
        self._load = self._no_load()
        self._calm, self._stir = NAN, 0.0  # mean [A] of the current and variance [A^2] about it

    def _filters(self) -> tuple[BatteryFilter, ...]:
        sizes = range(len(self._config.wobble_cell_v))
        return tuple(BatteryFilter(self._c, self._config, size) for size in sizes)

    def _no_load(self) -> Load:
        config = self._config
        return Load(config.load_s, config.load_short_s, config.load_step)

    @property
    def filter(self) -> BatteryFilter:
        """What all filters believe together, each weighed by its evidence."""
        if self._mixed is None:
            self._mixed = blend(self._bank)
        return self._mixed

    def on(self, sample: Battery, power_w: float = NAN) -> BatteryBelief | None:
        """Take one sample; return the belief once a window is full, else None.

        power_w: [W] predicted for the motors and all else, taken where no current is measured.
        """
        self._mixed = None
        cause = self._flaw(sample)
        if cause:
            self.refused[cause] += 1
            return None
        if self._newest and sample.stamp_ns - self._newest > self._config.gap_s * 1e9:
            self._restart("silence")
        self._newest = sample.stamp_ns
        current, source = self._steady(sample, power_w)
        if model.COLD_C <= sample.temperature_c <= model.HOT_C:
            for one in self._bank:
                one.set_temperature(sample.temperature_c)
        self._sum += np.array([sample.voltage_v, current, 1.0])
        if source != self._source:
            self._take_source(source)
        if self._known_at is None:
            self._known_at = sample.stamp_ns
            for one in self._bank:
                one.begin(sample.voltage_v, current)
            return None
        dt = (sample.stamp_ns - self._known_at) * 1e-9
        if dt < self._config.window_s:
            return None
        voltage, current = self._sum[0] / self._sum[2], self._sum[1] / self._sum[2]
        self._known_at, self._sum = sample.stamp_ns, np.zeros(3)
        self._follow(voltage, current, dt)
        return self._belief(sample) if self._known_at is not None else None

    def _follow(self, voltage: float, current: float, dt: float) -> None:
        """Take one window's mean voltage [V] and current [A]."""
        for one in self._bank:
            one.predict(current, dt)
        felt = self._without_noise(current, dt)
        taken = [one.update(voltage, felt, dt) for one in self._bank]
        if any(taken):
            self._shut = 0.0
        else:
            self.refused["voltage far from what was expected"] += 1
            self._shut += dt
            if self._shut > self._config.shut_s:
                loaded = self._source == MEASURED
                if not (loaded and all(b.blame_resistance(voltage, felt) for b in self._bank)):
                    self._restart("voltage jumped")
                    return
                self._shut = 0.0
        self._load.on(voltage * current, dt)

    def _without_noise(self, current: float, dt: float) -> float:
        """Return the current [A] that is likeliest given a meter's noise.

        Under a steady load the meter's noise moves no voltage, and taken for a load that changes
        it would say that the resistance is nothing. So what deviates from the mean of the last
        seconds is shrunk by the share of its variance that noise explains (regression calibration,
        Carroll et al., Measurement Error in Nonlinear Models, 2006, ch. 4).
        """
        if self._source != MEASURED:
            return current
        if not math.isfinite(self._calm):
            self._calm = current
        away = current - self._calm
        share = 1.0 - math.exp(-dt / self._config.meter_s)
        self._stir += share * (away * away - self._stir)
        noise = self._config.meter_noise_1_h * self._c.capacity_ah
        real = max(0.0, 1.0 - noise * noise / max(self._stir, 1e-12))
        self._calm += share * away
        return current - (1.0 - real) * away

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

    def current(self, sample: Battery, power_w: float = NAN) -> tuple[float, str]:
        """Return the best current [A] there is and where it comes from."""
        most = 200.0 * self._c.capacity_ah  # no pack gives 200 times its capacity an hour
        told = sample.current_a
        if math.isfinite(told) and 0.0 <= told < most and (told > 0.0 or self._metered):
            self._metered = True  # until a current was seen, 0 is what PX4 says without a sensor
            return told, MEASURED
        if math.isfinite(power_w) and 0.0 <= power_w / sample.voltage_v < most:
            return power_w / sample.voltage_v, PREDICTED
        return self._config.assumed_rate_1_h * self._c.capacity_ah, ASSUMED

    def _steady(self, sample: Battery, power_w: float) -> tuple[float, str]:
        """Return ``current``; the last one while a better source has only just fallen silent.

        A new source begins with a new belief of its scale: a sample that lacks the current now
        and then must not throw away what was learnt.
        """
        current, source = self.current(sample, power_w)
        last, told_at = self._told
        silent_ns = sample.stamp_ns - told_at
        worse = self._source and _SOURCES.index(source) > _SOURCES.index(self._source)
        if worse and silent_ns <= self._config.current_hold_s * 1e9:
            return last, self._source
        self._told = current, sample.stamp_ns
        return current, source

    def _restart(self, cause: str) -> None:
        self.restarts[cause] += 1
        self._bank = self._filters()
        self._known_at, self._newest, self._source = None, 0, ""
        self._sum, self._metered = np.zeros(3), False
        self._load, self._shut = self._no_load(), 0.0
        self._calm, self._stir = NAN, 0.0

    def _take_source(self, source: str) -> None:
        """Give the scale of the current the prior of its new source."""
        config = self._config
        self._source = source
        self._calm, self._stir = NAN, 0.0
        sigma = {MEASURED: config.scale_measured, PREDICTED: config.scale_predicted}
        for one in self._bank:
            one.set_source(
                sigma.get(source, config.scale_assumed),
                told=source in sigma,
                step=config.step_predicted if source == PREDICTED else 0.0,
            )

    def scale(self) -> float:
        """Return true over told current [-] as believed: what predicted power is multiplied by."""
        return math.exp(self.filter.x[SCALE])

    def endurance(self, power_w: float | None = None, empty_v: float | None = None) -> Endurance:
        """Return how long ``power_w`` [W], as told, can be held; see forecast.py.

        power_w: of what is still to be flown, where somebody knows it; else the load of the last
        ``load_s`` goes on.
        """
        load = self._load.mean_w if power_w is None else power_w
        return endurance(self.filter, load, most_s=self._config.most_s, empty_v=empty_v)

    def _belief(self, sample: Battery) -> BatteryBelief:
        lasts, believed = self.endurance(), self.filter
        return BatteryBelief(
            stamp_ns=sample.stamp_ns,
            received_ns=sample.received_ns,
            left=float(believed.x[LEFT]),
            left_sigma=math.sqrt(believed.p[LEFT, LEFT]),
            ocv_v=believed.ocv_v(),
            load_w=self._load.mean_w * self.scale(),
            time_to_empty_s=lasts.time_s,
            time_to_empty_sigma_s=lasts.sigma_s,
            time_to_empty_95_s=(lasts.low_s, lasts.high_s),
            energy_left_j=lasts.energy_j,
            temperature_c=float(believed.x[WARM]),
            source=self._source,
            restarts=self.restarts.total(),
            parameters=self.parameters(),
        )

    def parameters(self) -> tuple[Parameter, ...]:
        """Return resistance (25 deg C) and capacity; known where this flight has told them."""
        config, drawn = self._config, self.filter.drawn
        why = "" if self._source == MEASURED else f"the current is {self._source}, not measured"
        still = why or "the load has not changed enough"
        more = why or f"only {100.0 * drawn:.0f} % of the charge was drawn so far"
        if drawn < config.capacity_drawn and not why:
            more += f", {100.0 * config.capacity_drawn:.0f} % are needed"
        firm = self._share(RES) <= config.resistance_known
        full = self._share(CAP) <= config.capacity_known and drawn >= config.capacity_drawn
        return (
            self._parameter("battery_resistance", "Ohm", RES, self._c.resistance_ohm, firm, still),
            self._parameter("battery_capacity", "Ah", CAP, self._c.capacity_ah, full, more),
        )

    def _share(self, place: int) -> float:
        return math.sqrt(self.filter.p[place, place])

    def _parameter(
        self, name: str, unit: str, place: int, prior: float, enough: bool, why: str
    ) -> Parameter:
        value = prior * math.exp(self.filter.x[place])
        sigma, known = value * self._share(place), enough and self._known_at is not None
        return Parameter(name, unit, value, sigma, prior, known, "" if known else why)
