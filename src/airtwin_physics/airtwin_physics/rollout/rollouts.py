# SPDX-License-Identifier: Apache-2.0
"""Many futures of one aircraft: sampled state, aircraft and wind, flown in closed loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, Identification, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import track
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.dynamics import Model
from airtwin_physics.rollout import draw, kernel, pack, wings
from airtwin_physics.rollout.draw import Draws, Spread, Wind
from airtwin_physics.rollout.lanes import L
from airtwin_physics.rollout.plan import Corridor, Plan

LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What n aircraft do: T times from 0 to the horizon.

    ``times_s`` (T,); ``position_ned_m``, ``velocity_ned_m_s`` (n, T, 3); ``q_ned_frd`` (n, T, 4);
    ``energy_j`` (n, T) taken from the battery; ``lost_s`` (n,) when the aircraft left what the
    model knows, NaN if never: its numbers stand still from then on and are in no distribution.
    ``touched`` (n,) true where that was because it came to the ground in flight, seen within
    40 ms; ``lowest_down_m`` (n,) the largest down met until then; ``factors`` (n, 5 + rotors) and
    ``winds_ned_m_s`` (n, 3) what was drawn; ``line_ne_m`` (k + 1, 2) the start and the plan.
    ``reached_s``, ``reached_j``, ``reached_left`` (n, k): when each waypoint was reached (a
    landing: when PX4 says so), what had been taken from the battery, and the share of its
    capacity that was left; NaN if never.
    """

    times_s: Array
    position_ned_m: Array
    velocity_ned_m_s: Array
    q_ned_frd: Array
    energy_j: Array
    lost_s: Array
    touched: Array
    lowest_down_m: Array
    factors: Array
    winds_ned_m_s: Array
    line_ne_m: Array
    reached_s: Array
    reached_j: Array
    reached_left: Array

    @property
    def kept(self) -> Array:
        """Return (n,) true for those that were not lost."""
        return np.isnan(self.lost_s)

    def mean_ned_m(self) -> Array:
        """Return (T, 3) the mean position; NaN if all were lost."""
        kept = self.position_ned_m[self.kept]
        return kept.mean(axis=0) if kept.size else np.full(self.position_ned_m.shape[1:], np.nan)

    def covariance_m2(self) -> Array:
        """Return (T, 3, 3) the covariance of the position [m^2]; NaN with fewer than two kept."""
        kept = self.position_ned_m[self.kept]
        if kept.shape[0] < 2:
            return np.full((self.times_s.size, 3, 3), np.nan)
        away = kept - kept.mean(axis=0)
        total = np.einsum("nti,ntj->tij", away, away)
        return np.asarray(total / (kept.shape[0] - 1))

    def quantiles_ned_m(self, shares: tuple[float, ...] = (0.05, 0.5, 0.95)) -> Array:
        """Return (len(shares), T, 3): quantiles of each coordinate; NaN if all were lost."""
        kept = self.position_ned_m[self.kept]
        if not kept.size:
            return np.full((len(shares), *self.position_ned_m.shape[1:]), np.nan)
        return np.asarray(np.quantile(kept, shares, axis=0))

    def leaves(self, corridor: Corridor) -> float:
        """Return the probability that the corridor is left at one of the times; lost has left."""
        outside = corridor.outside(self.position_ned_m, self.line_ne_m).any(axis=1)
        return float(np.mean(np.logical_or(outside, np.logical_not(self.kept))))

    def descends_below(self, down_m: float) -> float:
        """Return the probability of being lower than ``down_m`` once; lost counts as lower."""
        stayed = np.logical_and(self.lowest_down_m <= down_m, self.kept)
        return float(np.mean(np.logical_not(stayed)))


def rollout(
    belief: TwinState,
    plan: Plan,
    wind: Wind,
    n: int,
    horizon_s: float,
    rng: np.random.Generator,
    *,
    aircraft: Aircraft,
    params: Px4Params | None = None,
    spread: Spread | None = None,
    identified: Identification | None = None,
    charge_c: float = 0.0,
    ground_down_m: float = 0.0,
    interval_s: float = 0.1,
    sampled: bool = True,
) -> Rollouts:
    """Fly ``plan`` from ``belief`` for ``horizon_s`` [s], n times; state every ``interval_s``.

    Sampled are the belief's position, velocity, attitude and rate, the aircraft (``identified``
    where known, else ``spread`` around its file), the mean wind and gusts; ``sampled`` false is
    the nominal prediction. Rollout i depends on the rng and i, not on n. ``charge_c`` [C] is what
    was drawn from the battery already; ``ground_down_m`` [m] is the down of the centre of mass of
    a standing aircraft, infinite where there is no ground: who comes there is lost. Aircraft
    with wings fly one after the other (``wings``), their ground is at 0, their parameters PX4's
    for the airframe, their ``interval_s`` a number of 20 ms.

    Raises:
        ValueError: n < 1, a horizon or interval that is no number of steps of 10 ms, a belief,
            plan or wind that is not finite, a ground that is NaN, a negative covariance, or a
            plan that this aircraft cannot fly.
    """
    params = Px4Params() if params is None else params
    every = round(interval_s / kernel.STEP_S) if 0.0 < interval_s <= LONGEST_S else 0
    rows = int(horizon_s / interval_s + 1e-6) + 1 if 0.0 < horizon_s <= LONGEST_S else 0
    if n < 1 or every < 1 or rows < 2 or abs(every * kernel.STEP_S - interval_s) > 1e-9:
        raise ValueError(
            f"no rollouts: n {n}, horizon {horizon_s} s, interval {interval_s} s; expected "
            f"n >= 1, up to {LONGEST_S:g} s, an interval of a number of {kernel.STEP_S:g} s"
        )
    if not (np.isfinite(charge_c) and charge_c >= 0.0):
        raise ValueError(f"charge drawn {charge_c} C: expected a number >= 0")
    if np.isnan(ground_down_m):
        raise ValueError("the ground's down is NaN; infinite where there is none")
    drawn = draw.draws(
        rng,
        n,
        aircraft.rotor_count,
        belief,
        wind,
        spread or Spread(),
        identified,
        sampled=sampled,
    )
    legs = plan.legs(belief.position_ned_m, params)
    line = np.vstack((belief.position_ned_m[None, :2], legs[:, :2]))
    if aircraft.surfaces:
        if ground_down_m != 0.0:
            raise ValueError(f"the ground of wings is at down 0, not {ground_down_m}")
        flown = wings.fly(drawn, plan, aircraft, wind.gust, charge_c, every, rows)
        return _told(drawn, line, dynamics.pack(aircraft), every, *flown)
    return fly(
        drawn, legs, line, aircraft, params, wind.gust, charge_c, every, rows, ground_down_m
    )


def fly(
    drawn: Draws,
    legs: Array,
    line_ne_m: Array,
    aircraft: Aircraft,
    params: Px4Params,
    strength: float,
    charge_c: float,
    every: int,
    rows: int,
    ground_down_m: float = 0.0,
) -> Rollouts:
    """Fly what was drawn: ``rows`` of output, ``every`` steps of 10 ms apart."""
    n = drawn.starts.shape[0]
    model = dynamics.pack(aircraft)
    filters = pack.filters(params, kernel.STEP_S, kernel.SUBSTEPS)
    k, rotor_k = pack.shared(aircraft, model, kernel.STEP_S / kernel.SUBSTEPS, ground_down_m)
    standing = bool(legs[0, track.L_KIND] == track.TAKE_OFF)
    if standing and not np.isfinite(ground_down_m):
        raise ValueError(
            f"the plan takes off, but ground_down_m is {ground_down_m}: there is no ground"
        )
    begin = draw.standing(drawn.starts, ground_down_m) if standing else drawn.starts
    looks = kernel.looks((rows - 1) * every)
    normals = np.zeros((L, looks, 5))
    out = np.empty((-(-n // L) * L, rows, kernel.N_OUT))
    lost, touched, lowest = np.empty((3, out.shape[0]))
    reached = np.empty((out.shape[0], legs.shape[0], 3))
    for first in range(0, n, L):
        # a block that is not full is filled with the last rollout
        who, part = np.minimum(np.arange(first, first + L), n - 1), slice(first, first + L)
        factors, starts, winds = drawn.factors[who], begin[who], drawn.winds[who]
        trims = pack.level_drag(model, factors, starts[:, 3:6], winds)
        s, r = pack.block(model, params, factors, starts, trims, charge_c, standing=standing)
        cells = pack.batteries(model, factors)
        if drawn.gusts is not None:
            drawn.gusts.standard_normal(out=normals)
        out[part, 0, :10], out[part, 0, kernel.OUT_ENERGY] = starts[:, :10], 0.0
        kernel.fly_block(
            s, r, k, rotor_k, params, filters, legs, cells, model.ocv, winds,
            strength if drawn.gusts is not None else 0.0, normals, every, out[part], lost[part],
            touched[part], lowest[part], reached[part], ground_down_m,
        )  # fmt: skip
    return _told(
        drawn, line_ne_m, model, every, out[:n], lost[:n], touched[:n], lowest[:n], reached[:n]
    )


def _told(
    drawn: Draws,
    line_ne_m: Array,
    model: Model,
    every: int,
    out: Array,
    lost: Array,
    touched: Array,
    lowest: Array,
    reached: Array,
) -> Rollouts:
    """Return what was flown as ``Rollouts``; arrays as the kernels write them."""
    share = model.battery[dynamics.CAPACITY_SHARE] * drawn.factors[:, draw.F_CAPACITY]
    capacity_c = model.battery[dynamics.CAPACITY_C] * share
    return Rollouts(
        times_s=np.arange(out.shape[1], dtype=np.float64) * (every * kernel.STEP_S),
        position_ned_m=out[:, :, kernel.OUT_POS],
        velocity_ned_m_s=out[:, :, kernel.OUT_VEL],
        q_ned_frd=out[:, :, kernel.OUT_QUAT],
        energy_j=out[:, :, kernel.OUT_ENERGY],
        lost_s=lost,
        touched=np.asarray(touched > 0.0),
        lowest_down_m=lowest,
        factors=drawn.factors,
        winds_ned_m_s=drawn.winds,
        line_ne_m=line_ne_m,
        reached_s=reached[:, :, 0],
        reached_j=reached[:, :, 1],
        reached_left=1.0 - reached[:, :, 2] / capacity_c[:, None],
    )
