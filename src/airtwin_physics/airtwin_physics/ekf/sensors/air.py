# SPDX-License-Identifier: Apache-2.0
"""The air: drag across the rotor discs, airspeed, no sideslip. They show velocity less wind."""

from __future__ import annotations

import enum

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Airspeed, Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import correction, kernel, models, symmetry, wind
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.source import Source
from airtwin_physics.ekf.steps import FORCED, FORCED_S, FORCED_SHAKEN
from airtwin_physics.ekf.tally import NEVER_S

PERIOD_S = 0.04  # of the drag, averaged over that time
_SLIP_PERIOD_S = 0.1
_CLEAR_S = 2.0  # in the air before drag counts: until then the ground holds or blows back
_LEARN_M_S = 1.0  # slower motion is the gusts' own doing, and teaches no drag; full from 2 m/s
_FORCED = slice(FORCED_S, FORCED_SHAKEN + 1)  # of ``watch``: all of the mean force
_GUESS_S = 1.0  # of force for the first guess of the wind
_GUESS_MAX_M_S = 30.0  # no guess beyond a storm
# beyond (PX4 climbs with 3 at most) it falls, and no disc is blown from ahead
_CLIMB_MAX_M_S = 5.0
_LOAD_MIN, _LOAD_MAX = 0.3, 2.5  # thrust over weight: beyond, rotors do not carry it
# an optimal filter's corrections of ln drag have the variance that they took off (Kailath, "An
# innovations approach to least-squares estimation", IEEE Trans. AC-13, 1968): from so many sigmas
# on their sum is no chance, the drag is far from the file's
_STRANGE = 5.0
_LASTS_S = 5.0  # over which sideslip shows that the wind is another


class Flying(enum.Enum):
    """What carries the aircraft now."""

    NOTHING = 0  # on the ground, in transition, or nobody says
    ROTORS = 1
    WING = 2


class AirData:
    """Fuses what the air does to the aircraft, with the wind as a state."""

    def __init__(self, config: EstimatorConfig, belief: Belief) -> None:
        self._config = config
        self._belief = belief
        # the errors of a model last, so they never count as small because they look smooth
        self.drag = Source("drag", 2, config, least=1.0)
        self.airspeed = Source("airspeed", 1, config, least=1.0)
        self.sideslip = Source("sideslip", 1, config, least=1.0)
        self._flying = Flying.NOTHING
        self._turns = False
        self.strange = ""  # by what the aircraft's file was found not to fit
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self._slip_s = self._carried_s = NEVER_S
        self._guess = np.zeros(4)  # time [s], force times it (3,) [m/s]
        self._guessed = False
        self._taught, self._taught2 = 0.0, 0.0
        self._slips_rad = 0.0  # mean innovation of the sideslip of late
        for source in (self.drag, self.airspeed, self.sideslip):
            source.start_over()

    @property
    def passed_s(self) -> float:
        """When the air last showed the velocity through it."""
        return max(self.drag.gate.passed_s, self.airspeed.gate.passed_s)

    def watch(
        self, flying: Flying, at_s: float, stamp_ns: int, *, alone: bool, turns: bool
    ) -> None:
        """Fuse the mean force since the last call as drag, or the lack of sideslip of a wing.

        alone: nothing else shows the motion over ground, so drag may correct it. A law of drag is
        wrong in a way that lasts, on an aircraft that nobody measured more so: else it teaches
        wind and drag only. Whether the law holds is learnt before: where it needed gusts as there
        are none it does not lead, and alone it can't regain that trust.
        turns: airspeed and sideslip may correct the motion whatever they show. Where the wind
        changes, both are off for as long as the filter believes the old one, and would turn the
        aircraft instead; so else they may only while the sideslip is as expected.
        """
        belief, self._flying, self._turns = self._belief, flying, turns
        seconds = belief.watch.item(FORCED_S)
        shown_s = 0.0
        if flying is Flying.ROTORS:
            belief.wind.hold_force(belief.x, belief.p)
        elif flying is Flying.WING:
            belief.wind.hold_wind(belief.x, belief.p)
        if flying is not Flying.ROTORS:
            self._carried_s = at_s
        elif seconds > 0.0 and at_s - self._carried_s > _CLEAR_S:
            leads = alone and belief.wind.gusts_likely
            shown = self._fuse_drag(seconds, at_s, stamp_ns, leads=leads)
            shown_s = seconds if shown and not alone else 0.0
        belief.watch[_FORCED] = 0.0
        belief.gusts(shown_s)
        if flying is Flying.WING and at_s - self._slip_s > _SLIP_PERIOD_S - 1e-3:
            self._slip_s = at_s
            self._fuse_sideslip(at_s, stamp_ns)

    def _fuse_drag(self, seconds: float, at_s: float, stamp_ns: int, *, leads: bool) -> bool:
        """Fuse the mean force over ``seconds``; return whether it passed."""
        belief, source = self._belief, self.drag
        load = -belief.watch.item(FORCED + 2) / seconds / kernel.GRAVITY_M_S2
        source.seen_s = at_s
        if not _LOAD_MIN < load < _LOAD_MAX:
            source.tally.refuse("thrust is far from hover")
            return False
        if not abs(belief.x.item(kernel.X_VEL + 2)) < _CLIMB_MAX_M_S:
            source.tally.refuse("climbs or falls too fast")
            return False
        if not self._guessed and not self._guess_wind(seconds):
            return False
        h, residual, variance = np.empty((2, kernel.N)), np.empty(2), np.empty(2)
        noise, teaches = self._config.drag_noise_m_s2, -1.0 if leads else _LEARN_M_S
        held = correction.FREE if leads else correction.MOTION_HELD
        law = belief.wind.law
        wind.drag_shown(belief.x, belief.watch, law, noise, teaches, h, residual, variance)
        before, doubt2 = belief.x.item(kernel.X_DRAG), belief.p.item(kernel.DRAG, kernel.DRAG)
        if source.judge(belief, h, residual, variance, at_s, stamp_ns, held, north=False):
            self._taught += belief.x.item(kernel.X_DRAG) - before
            self._taught2 += max(doubt2 - belief.p.item(kernel.DRAG, kernel.DRAG), 0.0)
            if self._taught * self._taught > _STRANGE**2 * self._taught2 > 0.0:
                self.doubt_file("the aircraft file does not fit: drag")
            return True
        self._recover(source, at_s)
        return False

    def doubt_file(self, why: str) -> None:
        """Learn drag as without an aircraft file; ``why``: said, by what it is contradicted."""
        belief, c = self._belief, self._config
        if self.strange or not belief.air.by_file:
            return
        self.strange = why
        more = c.drag_sigma**2 - belief.air.drag_sigma**2
        belief.air.drag_sigma = c.drag_sigma
        if belief.begun:
            belief.widen(kernel.DRAG, more)

    def _guess_wind(self, seconds: float) -> bool:
        """Place the wind where a second of force puts it; the filter's slopes are good there.

        From zero wind its first steps would overshoot, since drag is not linear in the wind, and
        what they learn of the biases on the way would stay. The covariance is left alone: the
        guess is no measurement.
        """
        belief, guess = self._belief, self._guess
        guess[0] += seconds
        guess[1:4] += belief.watch[FORCED : FORCED + 3]
        if guess[0] < _GUESS_S:
            return False
        x = belief.x
        force = guess[1:4] / guess[0] - x[kernel.X_ACCEL_BIAS : kernel.X_ACCEL_BIAS + 3]
        force[:2] += force[2] * x[kernel.X_LEAN : kernel.X_LEAN + 2]
        over_c = np.abs(force[:2]) / np.exp(x[kernel.X_DRAG])
        # v + B v^2 = f / c, without the cancellation of the usual formula
        through = 2.0 * over_c / (1.0 + np.sqrt(1.0 + 4.0 * belief.wind.law[2:4] * over_c))
        through = -np.sign(force[:2]) * through
        r = frames.rotation_from_quat(x[6:10])
        level = np.linalg.solve(r.T[:2, :2], through - r.T[:2, 2] * x[5])
        if float(level @ level) < _GUESS_MAX_M_S**2:
            at, before = slice(kernel.X_WIND, kernel.X_WIND + 2), x.copy()
            x[at] = belief.wind.state_of(x[3:5] - level, x)
            belief.gusts()
            for i in (kernel.GUST, kernel.GUST + 1):
                correction.forget(belief.p, i, float(belief.sigma[4] ** 2))
            symmetry.carry(before, x, belief.p)
        guess[:] = 0.0
        self._guessed = True
        return True

    def fuse(self, sample: Airspeed, at_s: float, lag_s: float) -> None:
        """Fuse a true airspeed, in flight on a wing only."""
        c, belief, source = self._config, self._belief, self.airspeed
        if source.unusable(at_s, lag_s, sample.true_airspeed_m_s, belief):
            return
        if self._flying is not Flying.WING:
            source.tally.refuse("not flying on a wing")
            return
        if not c.airspeed_min_m_s < sample.true_airspeed_m_s < 1e3:
            source.tally.refuse("too slow for a pitot tube")
            return
        h = np.empty((1, kernel.N))
        residual = np.array([sample.true_airspeed_m_s - models.airspeed(belief.x, h[0])])
        variance = np.array([c.airspeed_noise_m_s**2])
        stamp_ns, held = sample.stamp_ns, self._held_on_wing()
        if not source.judge(belief, h, residual, variance, at_s, stamp_ns, held, north=False):
            self._recover(source, at_s)

    def _fuse_sideslip(self, at_s: float, stamp_ns: int) -> None:
        c, belief, source = self._config, self._belief, self.sideslip
        rows, h = np.empty((3, kernel.N)), np.empty((1, kernel.N))
        air = models.air_velocity(belief.x, rows)
        source.seen_s = at_s
        if not np.hypot(air[0], air[1]) > c.airspeed_min_m_s:
            source.tally.refuse("too slow for a wing")
            return
        if not air[0] > c.airspeed_min_m_s:
            source.tally.refuse("no wing flies sideways")
            source.gate.shut(at_s)
        else:
            residual = np.array([-models.sideslip(belief.x, h[0])])
            variance = np.array([c.sideslip_noise_rad**2])
            self._doubt_wind(h[0, kernel.WIND : kernel.WIND + 2], residual.item())
            held = self._held_on_wing()
            if source.judge(belief, h, residual, variance, at_s, stamp_ns, held, north=False):
                return
        if self._recover(source, at_s):
            self._turn_wind()

    def _held_on_wing(self) -> correction.Held:
        """Return what airspeed and sideslip may not correct."""
        steady = self._slips_rad**2 < self._mean_slip_variance()
        return correction.FREE if self._turns or steady else correction.MOTION_HELD

    def _mean_slip_variance(self) -> float:
        """Return the variance [rad^2] of the mean innovation if the wind walks as expected."""
        return 0.5 * _SLIP_PERIOD_S / _LASTS_S * self._config.sideslip_noise_rad**2

    def _turn_wind(self) -> None:
        """Place the wind where it comes from ahead, as fast through the air as believed."""
        x = self._belief.x
        before, at = x.copy(), slice(kernel.X_WIND, kernel.X_WIND + 2)
        ahead = frames.rotation_from_quat(x[6:10])[:2, 0]
        through = x[3:5] - x[at]
        x[at] = x[3:5] - np.hypot(*through) * ahead / np.hypot(*ahead)
        symmetry.carry(before, x, self._belief.p)

    def _doubt_wind(self, shows: Array, slip_rad: float) -> None:
        """Doubt the wind across as much as innovations agree that it is another one.

        shows (2,): slope of the sideslip by the wind [rad s/m]; slip_rad: one innovation. While
        the wind is doubted a little only, a change takes the filter half a minute.
        """
        self._slips_rad += _SLIP_PERIOD_S / _LASTS_S * (slip_rad - self._slips_rad)
        slope2, mean2 = float(shows @ shows), self._slips_rad**2
        if mean2 > _STRANGE**2 * self._mean_slip_variance() and slope2 > 0.0:
            at = slice(kernel.WIND, kernel.WIND + 2)
            self._belief.p[at, at] += mean2 / slope2**2 * np.outer(shows, shows)
            self._slips_rad = 0.0

    def _recover(self, source: Source, at_s: float) -> bool:
        """Forget the wind where a gate was shut for too long; return whether it was."""
        if not source.gate.shut_for_s(at_s) > self._config.recover_s:
            return False
        self._belief.forget_wind()
        self._guessed = False
        source.take_back(at_s)
        return True
