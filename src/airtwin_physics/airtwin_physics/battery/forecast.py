# SPDX-License-Identifier: Apache-2.0
"""How long a believed battery lasts, and how sure that is. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from airtwin_core.types import Array
from airtwin_physics.battery import model
from airtwin_physics.battery.filter import SCALE, BatteryFilter, N

SIGMAS_95 = 1.96


class Load:
    """Mean load [W] of the last ``memory_s`` at most, or since it became another (take-off).

    Another it is where the mean of ``short_s`` differs by more than ``step`` of the larger.
    """

    def __init__(self, memory_s: float, short_s: float, step: float) -> None:
        self.mean_w = 0.0
        self._short_w, self._age_s = 0.0, 0.0
        self._memory_s, self._short_s, self._step = memory_s, short_s, step

    def on(self, power_w: float, dt_s: float) -> None:
        """Take the mean power [W] of the next ``dt_s`` [s]."""
        self._age_s = min(self._age_s + dt_s, self._memory_s)
        self.mean_w += min(dt_s / self._age_s, 1.0) * (power_w - self.mean_w)
        short_s = min(self._short_s, self._age_s)
        self._short_w += min(dt_s / short_s, 1.0) * (power_w - self._short_w)
        larger = max(abs(self._short_w), abs(self.mean_w))
        if abs(self._short_w - self.mean_w) > self._step * larger:
            self.mean_w = self._short_w = power_w
            self._age_s = dt_s


class Endurance(NamedTuple):
    """Time [s] and energy [J] at the terminals until empty; sigma and 95 % interval of the time.

    The interval is not symmetric: it ends where the state is 1.96 sigmas off in the direction
    that matters to the time; a voltage that wobbles at the same load, a resistance that walks on
    until then, or a chart that is off down there in another way than here, may cross early or
    late. All NaN where so little is drawn that no end is in sight: aircraft at rest.
    """

    time_s: float
    sigma_s: float
    low_s: float
    high_s: float
    energy_j: float


def endurance(
    belief: BatteryFilter, power_w: float, *, most_s: float, empty_v: float | None = None
) -> Endurance:
    """Return how long the pack holds ``power_w`` [W], as told, above ``empty_v`` [V].

    empty_v: of the pack under that load; the file's cut-off if None. most_s: [s] bounds it; what
    would last longer is not told.
    """

    step_s = _step_s(belief, power_w)

    chart_v = belief.chart_doubt()

    def lasts(x: Array, sigmas: float = 0.0, level_v: float = 0.0) -> tuple[float, float]:
        """Return time and energy; with level and chart ahead so many sigmas too low."""
        vector, table, start = belief.pack_at(x)
        if empty_v is not None:
            vector[model.CUTOFF_V] = empty_v
        vector[model.CUTOFF_V] += sigmas * level_v
        table = table - sigmas * chart_v
        load = power_w * math.exp(x[SCALE])
        return model.endurance(vector, table, start, load, belief.ambient_c, step_s, most_s)

    time, energy = lasts(belief.x)
    if not time < most_s:
        return Endurance(*(math.nan,) * 5)
    sigmas = np.sqrt(np.diag(belief.p))
    slope = np.zeros(N)  # [s] for one sigma of each
    for i in range(N):
        away = np.zeros(N)
        away[i] = sigmas[i]
        slope[i] = 0.5 * (lasts(belief.x + away)[0] - lasts(belief.x - away)[0])
    level = math.hypot(belief.wobble_v, belief.sag_doubt(power_w, time))
    late = 0.5 * (lasts(belief.x, -1.0, level)[0] - lasts(belief.x, 1.0, level)[0])
    gradient = np.divide(slope, sigmas, out=np.zeros(N), where=sigmas > 0.0)
    sigma = math.hypot(late, math.sqrt(max(float(gradient @ belief.p @ gradient), 0.0)))
    if sigma == 0.0:
        return Endurance(time, 0.0, time, time, energy)
    along = SIGMAS_95 * belief.p @ gradient / sigma
    drop = SIGMAS_95 * late / sigma
    low = lasts(belief.x - along, drop, level)[0]
    high = lasts(belief.x + along, -drop, level)[0]
    return Endurance(time, sigma, min(low, time), max(high, time), energy)


def _step_s(belief: BatteryFilter, power_w: float) -> float:
    """Return a step [s] of which some 300 empty the pack, far below the polarisation's time."""
    vector, _, start = belief.pack_at()
    charge = vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE] - start[0]
    rough_s = charge * belief.ocv_v() / max(power_w * math.exp(belief.x[SCALE]), 1e-3)
    settling_s = vector[model.POLARISATION_S] if vector[model.POLARISATION] > 0.0 else math.inf
    return float(min(max(rough_s / 300.0, 0.1), 10.0, max(0.25 * settling_s, 0.1)))
