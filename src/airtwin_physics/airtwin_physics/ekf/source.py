# SPDX-License-Identifier: Apache-2.0
"""One source of measurements: its gates, the noise that it shows, its counts, its health."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from airtwin_core import stats
from airtwin_core.types import Array, Health, SensorHealth
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction
from airtwin_physics.ekf.correction import FREE, Held
from airtwin_physics.ekf.tally import LATE_MAX_S, NEVER_S, RESET, TOO_LATE, Tally

if TYPE_CHECKING:
    from airtwin_physics.ekf.belief import Belief

STUCK = "stuck"
RECOVERED_S = 10.0  # for so long a recovery is spoken of
_SHUT_S = 1.0  # a gate shut for so long makes a source rejected
_STUCK_S = 2.0  # the same to the bit for so long, in motion
_MOVING_M_S = 0.5
_PRIOR = 50.0  # samples that the claim itself is worth


def moves(belief: Belief) -> bool:
    """Return whether it is believed to move."""
    north, east, down = belief.velocity_ned_m_s.tolist()
    return bool(north * north + east * east + down * down > _MOVING_M_S**2)


class Gate:
    """One chi-square gate, and how the innovations that pass it compare with the noise claimed.

    ``scale`` multiplies the claimed variance: an exponentially forgetting mean of
    (r^2 - h P h^T) / claim over what has passed, in the bounds of the configuration (variance
    matching: Mehra, "Approaches to adaptive filtering", IEEE TAC 17(5), 1972). A refused
    innovation teaches nothing, and none counts for more than three sigmas, so a jump stays one.
    ``least``: no factor of sigma below it. ``trusted``: the sensor begins as so much better than
    claimed, in sigma; an innovation that says otherwise takes that back at once.
    """

    def __init__(
        self, dof: int, config: EstimatorConfig, *, least: float = 0.0, trusted: float = 1.0
    ) -> None:
        c = config
        self.limit = stats.chi2_limit(dof, c.gate_probability)
        self._trusted = trusted
        least, most = max(least, c.adapt_min) ** 2, (c.adapt_max / trusted) ** 2
        self._bounds = np.array([least, most, c.adapt_samples, _MOVING_M_S**2])
        self.start_over()

    def start_over(self) -> None:
        """Forget that anything ever passed, and what the noise was."""
        self.shut_since_s: float | None = None
        self.passed_s = NEVER_S
        self.recovered_s = NEVER_S
        self._noise = np.array([1.0, 1.0, _PRIOR])

    @property
    def scale(self) -> float:
        """The factor of the variance handed over [-]."""
        return float(self._noise[0])

    @property
    def factor(self) -> float:
        """Sigma of the noise over the sigma claimed [-]."""
        return self._trusted * math.sqrt(self._noise.item(0))

    def judge(
        self,
        belief: Belief,
        h: Array,
        residual: Array,
        variance: Array,
        at_s: float,
        held: Held = FREE,
        *,
        north: bool = True,
    ) -> tuple[bool, float]:
        """Gate and fuse; return whether it passed and the statistic. h (m, N), others (m,).

        north: whether they can show it; false for what is alike at any heading (``symmetry``).
        """
        of = (belief.x, belief.p, h, residual, variance, self.limit, held)
        nis: float = correction.gate(*of, self._noise, self._bounds, north)
        if nis > self.limit and self._trusted < 1.0 and self.factor < 1.0:
            self._noise[:2] = 1.0 / self._trusted**2  # it is no better than it claims
            nis = correction.gate(*of, self._noise, self._bounds, north)
        if nis <= self.limit:
            self.open(at_s)
            return True, nis
        self.shut(at_s)
        return False, nis

    def refuse(
        self, belief: Belief, h: Array, residual: Array, variance: Array, at_s: float
    ) -> float:
        """Fuse nothing, whatever the statistic; return it."""
        self.shut(at_s)
        scale = max(self.scale, 1.0 / self._trusted**2) if self._trusted < 1.0 else self.scale
        return correction.statistic(belief.p, h, residual, variance * scale)

    def shut(self, at_s: float) -> None:
        """Note that something did not pass."""
        if self.shut_since_s is None:
            self.shut_since_s = at_s

    def shut_for_s(self, at_s: float) -> float:
        """Return for how long nothing has passed although samples came [s]."""
        return 0.0 if self.shut_since_s is None else at_s - self.shut_since_s

    def parted(self, within_s: float) -> bool:
        """Return whether it is shut, and was within so long [s] after something had passed."""
        return self.shut_since_s is not None and self.shut_since_s - self.passed_s < within_s

    def open(self, at_s: float) -> None:
        """Open the gate: what it guards was just taken from the sensor itself."""
        self.shut_since_s = None
        self.passed_s = at_s

    def recover(self, at_s: float) -> None:
        """Open the gate after it was shut for too long; its noise is the claim again."""
        self.start_over()
        self.open(at_s)
        self.recovered_s = at_s


class Source:
    """A source with one gate of its own; ``seen_s``: when its last sample came."""

    def __init__(
        self, name: str, dof: int, config: EstimatorConfig, *, least: float = 0.0
    ) -> None:
        self._config = config
        self.tally = Tally(name, dof, innovation=np.full(dof, np.nan))
        self.gate = Gate(dof, config, least=least)
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self.gate.start_over()
        self.seen_s = NEVER_S
        self._last: object = None
        self._since_s = NEVER_S
        self._is_stuck = False

    def stuck(self, at_s: float, value: object, belief: Belief) -> str:
        """Note one sample; return a cause if it has been the same for long while all moves."""
        self.seen_s = at_s
        if value != self._last or not moves(belief):
            self._last = value
            self._since_s = at_s
        self._is_stuck = at_s - self._since_s > _STUCK_S
        return STUCK if self._is_stuck else ""

    def unusable(self, at_s: float, lag_s: float, value: object, belief: Belief) -> bool:
        """Note one sample; count and return true if it is too late or stuck."""
        cause = self.stuck(at_s, value, belief)
        if lag_s > LATE_MAX_S:
            cause = TOO_LATE
        if cause:
            self.tally.refuse(cause)
        return cause != ""

    def judge(
        self,
        belief: Belief,
        h: Array,
        residual: Array,
        variance: Array,
        at_s: float,
        stamp_ns: int,
        held: Held = FREE,
        *,
        north: bool = True,
    ) -> bool:
        """Gate, fuse and count, see ``Gate.judge``; return whether it passed."""
        passed, nis = self.gate.judge(belief, h, residual, variance, at_s, held, north=north)
        self.tally.tested(nis, residual)
        if passed:
            self.tally.fused(stamp_ns)
        else:
            self.tally.refuse("gate")
        return passed

    def refuse(
        self,
        belief: Belief,
        h: Array,
        residual: Array,
        variance: Array,
        at_s: float,
        cause: str,
    ) -> None:
        """Test and count, fuse nothing. h (m, N), residual, variance (m,)."""
        nis = self.gate.refuse(belief, h, residual, variance, at_s)
        self.tally.tested(nis, residual)
        self.tally.refuse(cause)

    def take_back(self, at_s: float) -> None:
        """Count that the sensor was taken at its word after its gate was shut for too long."""
        self.gate.recover(at_s)
        self.tally.refuse(RESET)

    def fits(self, at_s: float, factor: float) -> bool:
        """Return whether its innovations look as expected: gate open, noise up to ``factor``."""
        gate = self.gate
        steady = gate.shut_for_s(at_s) <= _SHUT_S and at_s - gate.recovered_s > RECOVERED_S
        return steady and gate.factor < factor

    def health(self, at_s: float, *gates: Gate) -> SensorHealth:
        """Return how the source fares; ``gates`` in place of its own, the worst counts."""
        c = self._config
        shut = recovered = False
        factor = 0.0
        for gate in gates or (self.gate,):
            shut = shut or gate.shut_for_s(at_s) > _SHUT_S
            recovered = recovered or at_s - gate.recovered_s < RECOVERED_S
            factor = max(factor, gate.factor)
        if at_s - self.seen_s > c.valid_s:
            health = Health.MISSING
        elif self._is_stuck:
            health = Health.STUCK
        elif shut:
            health = Health.REJECTED
        elif recovered:
            health = Health.RECOVERED
        else:
            health = Health.NOISY if factor > c.noisy_factor else Health.GOOD
        return SensorHealth(self.tally.source, health, factor)
