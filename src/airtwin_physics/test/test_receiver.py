# SPDX-License-Identifier: Apache-2.0
"""Doppler against the IMU, compiled, beside the same in plain numpy."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import GRAVITY_M_S2
from airtwin_physics.ekf.receiver import leaves_trend

DELAY_S, SIGMA_M_S = 0.35, 0.25


class Plain:
    """The step of a trend: the mean of the newest 0.45 s against a line through 1 s before."""

    def __init__(self) -> None:
        self._rows: deque[Array] = deque(maxlen=16)

    def take(self, miss: Array, when_s: float, accel: float, turned: float) -> tuple[float, float]:
        """Return the squared step [m^2/s^2] and the square that is allowed; 0, 1 if too few."""
        self._rows.append(np.array([when_s, *miss, accel, turned]))
        while when_s - self._rows[0][0] > 1.45:
            self._rows.popleft()
        rows = np.array(self._rows)
        times = rows[:, 0] - when_s
        old = times <= -0.45
        if old.sum() < 3:
            return 0.0, 1.0
        now = times[~old].mean()
        line = [np.polyval(np.polyfit(times[old], rows[old, k], 1), now) for k in (1, 2, 3)]
        beyond = rows[~old, 1:4].mean(axis=0) - line
        ahead = now - times[old].mean()
        spread = ((times[old] - times[old].mean()) ** 2).sum()
        variance = 1.0 / (~old).sum() + 1.0 / old.sum() + ahead**2 / spread
        hardest = rows[0, 4] + rows[:, 4].max()
        hidden = GRAVITY_M_S2 * (turned - rows[0, 5]) + hardest + 1.5 * ahead
        hidden = min(hidden, 2.0 * GRAVITY_M_S2)
        allowed = 5.0 * SIGMA_M_S * np.sqrt(variance) + hidden * ahead + hardest * DELAY_S
        return float(beyond @ beyond), float(allowed**2)


@pytest.mark.parametrize("period_s", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_the_speed_is_found_as_in_plain_numpy(seed: int, period_s: float) -> None:
    rng = np.random.default_rng(seed)
    plain, misses, kept = Plain(), np.zeros((16, 6)), 0
    turned, found = 0.0, 0
    for k in range(120):
        when_s = 3.0 + k * period_s + rng.uniform(0.0, 0.01)
        inertial = np.array([0.3 * when_s, 1.0, -0.2])
        miss = rng.normal(size=3) * 0.1 + (k // 40) * np.array([6.0, -2.0, 1.0])
        accel, turned = rng.uniform(0.0, 0.3), turned + rng.uniform(0.0, 0.001)
        velocity = inertial + miss
        kept, stepped = leaves_trend(
            misses, kept, velocity, inertial, (when_s, accel, turned), SIGMA_M_S, DELAY_S
        )
        step2, allowed2 = plain.take(velocity - inertial, when_s, accel, turned)
        assert abs(step2 - allowed2) > 1e-6
        assert stepped == (step2 > allowed2)
        found += stepped
    assert 0 < found < 60
