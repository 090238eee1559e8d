# SPDX-License-Identifier: Apache-2.0
"""One aircraft's slow properties, in flight. Pure: samples and twin states in, beliefs out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, Identification, Sample, TwinState
from airtwin_physics.identify import bank, damage, prior, verdict
from airtwin_physics.identify.blocks import Blocks
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.rows import (
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    MASS,
    ROTOR_DRAG,
    SPAN,
    VELOCITY,
    lifting,
)
from airtwin_physics.identify.suspicion import Suspicion
from airtwin_physics.identify.turns import Turns

_CHANGE_SIGMA, _CHANGE_FLOOR = 5.0, 0.01
_PAYLOAD_MIN, _PAYLOAD_MIN_M = 0.02, 0.002


class Identifier:
    """Recursive Bayesian estimate of one aircraft's slow properties; see README.md here.

    ``on`` takes samples and the estimator's states in the order of arrival, and returns a report
    about once a second of vehicle time. Nothing is raised for bad samples.
    """

    def __init__(self, aircraft: Aircraft, config: IdentifyConfig | None = None) -> None:
        self._config = c = config or IdentifyConfig()
        self._aircraft = aircraft
        self._blocks = Blocks(aircraft, c, lambda block, stamp, received: self.take(block))
        self._craft = self._blocks.craft
        n = aircraft.rotor_count
        self._first = prior.covariance(c, self._craft)
        count = n + 2
        self._theta = np.zeros((count, self._first.shape[0]))
        self._p = np.tile(self._first, (count, 1, 1))
        for i in range(n):
            self._p[1 + i, EFFECT + i, EFFECT + i] += c.fault_jump**2
        self._walks = prior.walks(c, n)
        self._weight = np.full(count, c.fault_rate)
        self._weight[0] = 1.0 - c.fault_rate * (count - 1)
        self._learnt = prior.learnt(c, n)
        self._lifting: list[int] = np.flatnonzero(lifting(aircraft)).tolist()
        self._jumps = prior.jumps(c, n)
        self._freed = np.zeros(self._first.shape[0])  # variance by changes that were believed in
        self._usual_m_s = np.zeros(2)
        floor = np.repeat([c.force_noise_m_s2**2, c.turn_noise_rad_s2**2], 3)
        self._floor = floor
        self._noise = 4.0 * floor
        self._published_ns: int | None = None
        self._flights = 0
        self.flown_s = self._since_s = 0.0
        self._suspicion = Suspicion(c)
        self._turns = Turns(self._craft, self._suspicion.bound)
        self._contradicted, self._doubted = "", False

    @property
    def refused(self) -> dict[str, int]:
        """What was not used, by cause."""
        return self._blocks.refused

    @property
    def suspect(self) -> int:
        """Return the rotor, from 0, that is named as weak; -1: none."""
        return -1 if self.strange else self._suspicion.rotor

    @property
    def strange(self) -> str:
        """Return by what the aircraft shows that the file is another's, "" if it does not.

        What lies far from the file is looked at with each report, and said by the second.
        """
        if not self._blocks.motors_fit:
            return verdict.STRANGE + f"{self._blocks.motors_seen} motors are commanded"
        if self._turns.strange:
            return verdict.STRANGE + "turns follow the commands as if rotors sat elsewhere"
        if self._suspicion.strange:
            return verdict.STRANGE + "abrupt changes again and again"
        return self._contradicted

    @property
    def placed(self) -> bool:
        """Return whether turns have shown that the rotors sit where the file says."""
        return self._turns.trusted

    @property
    def theta(self) -> Array:
        """Return the estimate (N,), as in ``rows``: the mean over what may have changed."""
        return self._told()[0]

    @property
    def covariance(self) -> Array:
        """Return the covariance of ``theta`` (N, N): of each hypothesis, and between them."""
        return self._told()[1]

    def _told(self) -> tuple[Array, Array]:
        """Return mean and covariance over all filters.

        In those that let no rotor jump, the first and the load's, any may have been weak from the
        start; the others say what changed.
        """
        first = np.diag(self._freed + self._walks[0] * self.flown_s) + self._first
        faster = (self._walks[-1] - self._walks[0]) * self.flown_s
        means, within = self._theta.copy(), self._p.copy()
        for f, before in ((0, first), (-1, first + np.diag(self._jumps[-1] + faster))):
            means[f], within[f] = damage.told(
                self._theta[f], self._p[f], before, self._lifting, self._config
            )
        theta = np.asarray(self._weight @ means)
        apart = means - theta
        p = np.einsum("f,fij->ij", self._weight, within)
        return theta, p + np.einsum("f,fi,fj->ij", self._weight, apart, apart)

    @property
    def weights(self) -> Array:
        """Return the probability (2 + n,) of: nothing abrupt, rotor i, payload."""
        return self._weight

    def on(self, value: Sample | TwinState) -> Identification | None:
        """Take one value; returns a report at most every ``publish_period_s``."""
        self._blocks.on(value)
        if not isinstance(value, TwinState):
            return None
        last = self._published_ns
        period_ns = int(self._config.publish_period_s * 1e9)
        if last is not None and 0 <= value.stamp_ns - last < period_ns:
            return None
        self._published_ns = value.stamp_ns
        return self.report(value.stamp_ns, value.received_ns)

    def report(self, stamp_ns: int, received_ns: int) -> Identification:
        """Return what is believed now; nothing is known by a file that is another aircraft's."""
        theta, p = self._told()
        self._suspicion.look(theta[EFFECT:], np.sqrt(np.diag(p)[EFFECT:]))
        parameters = verdict.parameters(
            self._aircraft, self._config, self._first, theta, p, self.flown_s
        )
        if self.flown_s > 0.0 and not self._turns.trusted:
            parameters = tuple(map(verdict.unplaced, parameters))
        if self._weight[0] > 0.5:
            # while something seems to change nothing is said of the file; twice running is enough
            found = verdict.contradicted(self._first, theta, p)
            self._contradicted, self._doubted = (found if self._doubted else ""), bool(found)
        nothing = self.strange or ("" if self._blocks.heard else verdict.DEAF)
        if nothing:
            parameters = tuple(replace(p, known=False, why=nothing) for p in parameters)
        return Identification(stamp_ns, received_ns, parameters, self.suspect)

    def take(self, block: Array) -> int:
        """Take one judged block; return the filter whose abrupt change is believed in, 0: none."""
        c, dt = self._config, float(block[SPAN])
        if self._blocks.take_offs > self._flights:
            self._reload()
        added = self._walks * dt
        if self.flown_s == 0.0:
            self._usual_m_s = block[VELOCITY : VELOCITY + 2].copy()
        self._learnt[0:2, ROTOR_DRAG] = prior.drag_shows(self._usual_m_s, block, c)
        misfit = bank.step(
            self._theta,
            self._p,
            self._weight,
            added,
            block,
            self._noise,
            self._floor,
            self._craft,
            c.gate_sigma,
            self._learnt,
            c.fault_rate * dt,
            2.0 * dt / c.noise_memory_s,
        )
        self.flown_s += dt
        effect, sigma = self._theta[0, EFFECT:], np.sqrt(np.diag(self._p[0])[EFFECT:])
        self._turns.on(block)
        self._suspicion.on(dt, misfit, effect, sigma, placed=self._turns.trusted)
        # after that: the block that shows a change is not one that the change has to foresee
        changed = self._decide()
        self._suppose(dt)
        return changed

    def _suppose(self, dt: float) -> None:
        """Let hypotheses that have lost suppose a change that begins now."""
        c = self._config
        self._since_s += dt
        if self._since_s < c.suppose_s or self._weight[0] < 0.5:
            return
        self._since_s = 0.0
        for f in range(1, self._weight.size):
            if self._weight[f] < c.fault_rate:
                self._theta[f] = self._theta[0]
                self._p[f] = self._p[0] + np.diag(self._jumps[f])
                self._weight[f] = c.fault_rate * c.suppose_s
        self._weight /= self._weight.sum()

    def _reload(self) -> None:
        """A new take-off: somebody may have changed the load on the ground."""
        first_flight, self._flights = self._flights == 0, self._blocks.take_offs
        if first_flight:
            return
        for index in (MASS, CENTRE_X, CENTRE_Y):
            self._p[:, index, index] += self._first[index, index]
            self._freed[index] += self._first[index, index]

    def _decide(self) -> int:
        c = self._config
        best = int(np.argmax(self._weight))
        if not (best > 0 and self._weight[best] >= c.decide and self._moved(best)):
            return 0
        if best <= self._aircraft.rotor_count:
            grown = self._theta[best, EFFECT + best - 1] > c.suspect_loss
            lost = self._change(best - 1)[0] < -c.suspect_loss
            self._suspicion.changed(best - 1, lost=lost, grown=bool(grown))
        else:
            self._suspicion.changed(-1, lost=False)
        self._adopt(best)
        return best

    def _change(self, rotor: int) -> tuple[float, float]:
        """Return by how much the rotor's own filter has it changed, and the sigma of that.

        Of eight rotors each alone is hardly known, before and after: what a change adds to the
        variance is known far better.
        """
        index = EFFECT + rotor
        own = 1 + rotor
        more = max(self._p[own, index, index] - self._p[0, index, index], 0.0)
        change = self._theta[own, index] - self._theta[0, index]
        return float(change), float(np.sqrt(more + _CHANGE_FLOOR**2))

    def _moved(self, best: int) -> bool:
        """Return whether that filter believes in a change that is worth the name."""
        theta, p = self._theta[best], np.diag(self._p[best])
        if best <= self._aircraft.rotor_count:
            change, sigma = self._change(best - 1)
            return abs(change) > _CHANGE_SIGMA * sigma
        change = np.abs(theta - self._theta[0])
        return bool(
            change[MASS] > max(_PAYLOAD_MIN, 2.0 * np.sqrt(p[MASS]))
            or change[CENTRE_X] > max(_PAYLOAD_MIN_M, 2.0 * np.sqrt(p[CENTRE_X]))
            or change[CENTRE_Y] > max(_PAYLOAD_MIN_M, 2.0 * np.sqrt(p[CENTRE_Y]))
        )

    def _adopt(self, best: int) -> None:
        """Let all filters go on from the one that explains what happened."""
        change = self._theta[best] - self._theta[0]
        self._freed += self._jumps[best]
        self._theta[:] = self._theta[best].copy()
        p = self._p[best].copy()
        changed = self._walks[best] > self._walks[0]
        # the block in which it began holds some of both, any share of it
        p[changed, changed] += change[changed] ** 2 / 12.0
        self._p[:] = p
        self._weight[:] = self._config.fault_rate
        self._weight[0] = 1.0 - self._config.fault_rate * (self._weight.size - 1)
