# SPDX-License-Identifier: Apache-2.0
"""The wind as the filter keeps it: under rotors as the force that it makes, on a wing as itself.

A hovering aircraft shows the force of the wind, c (w + B w^2), and nothing else: wind and drag c
can't be told apart until it moves. A filter that kept w beside c would think that it can, since
each gust puts its slopes elsewhere (Huang, Mourikis, Roumeliotis, "Observability-based rules for
designing consistent EKF SLAM estimators", IJRR 29(5), 2010, on the same trouble with headings).
So the states WIND and GUST hold s, the wind that would make this force if drag were c_0, the drag
believed when the aircraft took to its rotors: c (w + B w^2) = c_0 (s + B s^2). In a hover the
force is then free of c. On a wing, where airspeed shows w itself, the states hold w. ``law`` (6,):
ln c_0 [ln 1/s]; B [s/m] of this change of variables; B along FRD x and y; 1 if force is held, else
0; how large gusts are that drag shows, of what MIL-F-8785C has in this wind [-].
"""

from __future__ import annotations

import numpy as np
from numba import njit

from airtwin_core.types import Array
from airtwin_physics.ekf.kernel import (
    ACCEL_BIAS,
    ATT,
    DRAG,
    GRAVITY_M_S2,
    GUST,
    LEAN,
    SIGMA,
    TAU,
    TERRAIN,
    VEL,
    WIND,
    X_ACCEL_BIAS,
    X_DRAG,
    X_GUST,
    X_LEAN,
    X_POS,
    X_Q,
    X_TERRAIN,
    X_VEL,
    X_WIND,
    acceleration,
    rotation,
)
from airtwin_physics.ekf.steps import FORCED, FORCED_S, FORCED_SHAKEN
from airtwin_physics.ekf.symmetry import blind
from airtwin_physics.gusts import scales

N_BLOWN = 7
_STILL_M_S = 1e-9
_BLOWS_M_S = 5.0  # downwash in a hover, sqrt(T / 2 rho A), of 30 to 100 N/m^2: 3.5 to 6.4
_WINDS = (WIND, WIND + 1, DRAG, GUST, GUST + 1)
_GUST_MIN_M_S = 0.2
_LAW_M_S = 0.5  # what else the law of drag leaves out and that lasts counts as a gust
_GUST_MAX_S = 20.0
_GUSTS_S = 20.0  # over which their size is learnt
_GUSTS_LEAST, _GUSTS_MOST = 0.3, 2.0  # of those of MIL-F-8785C; beyond it is no wind
_GUST_HEIGHT_M = 30.0  # above ground, where nobody knows it to that
_ACROSS = 0.8  # across the wind Dryden's gusts are quicker: 2/3 at high frequency
_GUST_SIGMA, _GUST_TAU = SIGMA.start + 4, TAU.start + 4  # north's, east's follows


@njit(cache=True)
def blown(north: float, east: float, share: float, bend: float, out: Array) -> None:
    """Write the wind of a state s = (north, east) [m/s], and its slopes.

    share: c_0 / c [-]; bend: B [s/m]. out (7,): w north, east [m/s]; d w / d s as its places
    (0, 0), (0, 1) = (1, 0), (1, 1) [-]; d w / d ln c north, east [m/s].
    """
    s = np.sqrt(north * north + east * east)
    if s < _STILL_M_S:
        out[0], out[1] = share * north, share * east
        out[2], out[3], out[4] = share, 0.0, share
        out[5], out[6] = -out[0], -out[1]
        return
    force = share * s * (1.0 + bend * s)  # over c
    w = 2.0 * force / (1.0 + np.sqrt(1.0 + 4.0 * bend * force))
    steep = 1.0 + 2.0 * bend * w
    along = share * (1.0 + 2.0 * bend * s) / steep
    across = w / s
    n, e = north / s, east / s
    out[0], out[1] = w * n, w * e
    out[2] = across + (along - across) * n * n
    out[3] = (along - across) * n * e
    out[4] = across + (along - across) * e * e
    out[5], out[6] = -force / steep * n, -force / steep * e


@njit(cache=True)
def _through_air(x: Array, r: Array, north: float, east: float) -> tuple[float, float, float]:
    """Return R^T (v - w) FRD [m/s], r: R (3, 3), w: a level wind [m/s]."""
    n, e, d = x[X_VEL] - north, x[X_VEL + 1] - east, x[X_VEL + 2]
    return (
        r[0, 0] * n + r[1, 0] * e + r[2, 0] * d,
        r[0, 1] * n + r[1, 1] * e + r[2, 1] * d,
        r[0, 2] * n + r[1, 2] * e + r[2, 2] * d,
    )


@njit(cache=True)
def drag(x: Array, thrust: float, law: Array, h: Array, predicted: Array) -> None:
    """Write what an accelerometer shows across the rotor discs, (2,) [m/s^2] FRD x and y.

    thrust e_i - c (1 + B_i |a_i|) a_i + accelerometer bias; e the lean [-], c = exp(state) [1/s],
    a the velocity through the air. thrust [m/s^2]: along FRD -z. h (2, N): its rows without the
    gust.

    Source: PX4 v1.18, EKF2, ``drag_fusion.cpp``: a linear (rotors) and a quadratic (body) part,
    neither of which goes with the thrust. Here one factor scales both.
    """
    r = np.empty((3, 3))
    rotation(x[X_Q : X_Q + 4], r)
    wind = np.empty(N_BLOWN)
    c, share = np.exp(x[X_DRAG]), np.exp(law[0] - x[X_DRAG])
    blown(x[X_WIND] + x[X_GUST], x[X_WIND + 1] + x[X_GUST + 1], share, law[1], wind)
    air = _through_air(x, r, wind[0], wind[1])
    h[:, :] = 0.0
    for i in range(2):
        predicted[i] = -c * (1.0 + law[2 + i] * abs(air[i])) * air[i] + x[X_ACCEL_BIAS + i]
        predicted[i] += thrust * x[X_LEAN + i]
    # slopes as if no gust blew: with those of each moment, bias and wind seem to part in a hover
    blown(x[X_WIND], x[X_WIND + 1], share, law[1], wind)
    air = _through_air(x, r, wind[0], wind[1])
    for i in range(2):
        size = abs(air[i])
        slope = -c * (1.0 + 2.0 * law[2 + i] * size)
        for j in range(3):
            h[i, VEL + j] = slope * r[j, i]
        h[i, WIND] = -slope * (r[0, i] * wind[2] + r[1, i] * wind[3])
        h[i, WIND + 1] = -slope * (r[0, i] * wind[3] + r[1, i] * wind[4])
        h[i, GUST], h[i, GUST + 1] = h[i, WIND], h[i, WIND + 1]
        # what c changes beyond a hover at this tilt: there the state is the force
        blows = r[0, i] * wind[0] + r[1, i] * wind[1]
        lessened = r[0, i] * wind[5] + r[1, i] * wind[6]
        moved = air[i] + blows + law[2 + i] * (size * air[i] + abs(blows) * blows)
        h[i, DRAG] = c * (2.0 * law[2 + i] * (size - abs(blows)) * lessened - moved)
        h[i, ACCEL_BIAS + i] = 1.0
        h[i, LEAN + i] = thrust
        side = 1.0 - 2.0 * i  # d (R^T a) / d theta = [R^T a]x
        h[i, ATT + 1 - i] = -side * slope * air[2]
        h[i, ATT + 2] = side * slope * air[1 - i]
    # without the gust in the slopes, drag would seem to show the heading by it
    blind(x, h)


@njit(cache=True)
def drag_shown(
    x: Array,
    watch: Array,
    law: Array,
    noise: float,
    teaches: float,
    h: Array,
    residual: Array,
    variance: Array,
) -> None:
    """Write rows h (2, N), innovation (2,) [m/s^2] of the mean force since the last look, and
    its variance (2,) [m^2/s^4].

    watch: see ``steps``; noise [m/s^2] of it beside vibration and what is doubtful of the law;
    teaches [m/s]: slower motion teaches no drag, as it is the gusts' own doing, in full from 1 m/s
    more; below zero all does.

    The law is one of hovers. Drag of a rotor goes with its speed, thus with the root of the
    thrust, that of a body does not, and nobody knows the shares: so much is doubted. Where the
    aircraft climbs or falls as fast as its rotors blow, the flow is another.
    """
    seconds = watch[FORCED_S]
    thrust = max(-watch[FORCED + 2] / seconds, 0.0)
    # the mean force goes with the speed half way: at the end it holds what the gust just did
    force, change = np.empty(3), np.empty(3)
    for i in range(3):
        force[i] = watch[FORCED + i] / seconds
    acceleration(x, force, change)
    for i in range(3):
        change[i] *= 0.5 * seconds
        x[X_VEL + i] -= change[i]
    drag(x, thrust, law, h, residual)
    for i in range(3):
        x[X_VEL + i] += change[i]
    grown = np.sqrt(thrust / GRAVITY_M_S2) - 1.0  # drag of the rotors, beyond that of a hover
    axial = np.exp(x[X_DRAG]) * x[X_VEL + 2] ** 2 / _BLOWS_M_S
    for i in range(2):
        rotors = grown * (residual[i] - x[X_ACCEL_BIAS + i] - thrust * x[X_LEAN + i])
        variance[i] = noise * noise + rotors * rotors + axial * axial
        variance[i] += watch[FORCED_SHAKEN] / (seconds * seconds)
        residual[i] = watch[FORCED + i] / seconds - residual[i]
    if teaches >= 0.0:
        speed = np.hypot(x[X_VEL], x[X_VEL + 1])
        for i in range(2):
            h[i, DRAG] *= min(max(speed - teaches, 0.0), 1.0)


@njit(cache=True)
def winds(x: Array, p: Array, law: Array, out: Array) -> None:
    """Write wind now (2,) [m/s] NE, its covariance (2, 2), mean wind (2,), its covariance (2, 2).

    x (N + 1,) or more, P (N, N). out (6, 2), row by row.
    """
    wind = np.empty(N_BLOWN)
    share = np.exp(law[0] - x[X_DRAG])
    for k in range(2):
        gust = 1.0 - k
        north, east = x[X_WIND] + gust * x[X_GUST], x[X_WIND + 1] + gust * x[X_GUST + 1]
        if law[4] > 0.0:
            blown(north, east, share, law[1], wind)
        else:
            wind[0], wind[1], wind[2], wind[3], wind[4] = north, east, 1.0, 0.0, 1.0
            wind[5], wind[6] = 0.0, 0.0
        nn = p[WIND, WIND] + gust * (2.0 * p[WIND, GUST] + p[GUST, GUST])
        ne = p[WIND, WIND + 1] + gust * (p[WIND, GUST + 1] + p[WIND + 1, GUST])
        ne += gust * p[GUST, GUST + 1]
        ee = p[WIND + 1, WIND + 1] + gust * (2.0 * p[WIND + 1, GUST + 1] + p[GUST + 1, GUST + 1])
        dn = p[WIND, DRAG] + gust * p[GUST, DRAG]
        de = p[WIND + 1, DRAG] + gust * p[GUST + 1, DRAG]
        at = 3 * k
        out[at, 0], out[at, 1] = wind[0], wind[1]
        for i in range(2):
            an, ae, ad = wind[2 + i], wind[3 + i], wind[5 + i]
            for j in range(i + 1):
                bn, be, bd = wind[2 + j], wind[3 + j], wind[5 + j]
                value = an * (nn * bn + ne * be + dn * bd) + ae * (ne * bn + ee * be + de * bd)
                value += ad * (dn * bn + de * be + p[DRAG, DRAG] * bd)
                out[at + 1 + i, j] = value
                out[at + 1 + j, i] = value


@njit(cache=True)
def gusts(
    x: Array, p: Array, law: Array, constants: Array, intensity: float, shown: float
) -> None:
    """Let gusts be as strong and as quick as the wind and the speed through it make them.

    Writes SIGMA and TAU of the gust into ``constants``. intensity [-] multiplies the gusts
    of MIL-F-8785C. shown [s]: for so long drag has shown gusts since the last call. Their size is
    held against what was seen of them in the last ``_GUSTS_S`` by one step of expectation and
    maximisation (Shumway, Stoffer 1982): the variance of a gust is the mean of its square and of
    its doubt.
    """
    if shown > 0.0:
        seen = 0.0
        for i in range(2):
            seen += 0.5 * (x[X_GUST + i] ** 2 + p[GUST + i, GUST + i])
        change = min(seen / constants[_GUST_SIGMA] ** 2, 9.0) - 1.0
        share = law[5] * np.sqrt(1.0 + change * shown / _GUSTS_S)
        law[5] = min(max(share, _GUSTS_LEAST), _GUSTS_MOST)
    mean = np.empty(N_BLOWN)
    mean[0], mean[1] = x[X_WIND], x[X_WIND + 1]
    wind_m_s = np.hypot(mean[0], mean[1])
    by_force = law[4] > 0.0
    if by_force:
        blown(mean[0], mean[1], np.exp(law[0] - x[X_DRAG]), law[1], mean)
    through_m_s = np.hypot(x[X_VEL] - mean[0], x[X_VEL + 1] - mean[1])
    height_m = _GUST_HEIGHT_M
    if p[TERRAIN, TERRAIN] < _GUST_HEIGHT_M**2:
        height_m = x[X_TERRAIN] - x[X_POS + 2]
    length_m, _, sigma_m_s, _ = scales(height_m, intensity * wind_m_s)
    if by_force:
        sigma_m_s = law[5] * max(sigma_m_s, _LAW_M_S)
    lasts_s = _ACROSS * length_m / max(through_m_s, 1.0)
    for i in range(2):
        constants[_GUST_SIGMA + i] = max(sigma_m_s, _GUST_MIN_M_S)
        constants[_GUST_TAU + i] = min(lasts_s, _GUST_MAX_S)


class WindStates:
    """What the states WIND and GUST of one belief mean now; see above."""

    def __init__(self, drag_1_s: float, bend_s_m: Array) -> None:
        """``drag_1_s``: c_0 of the first flight; ``bend_s_m`` (2,): B along FRD x and y."""
        self.law: Array = np.array([np.log(drag_1_s), bend_s_m.mean(), *bend_s_m, 1.0, 1.0])
        self._first = float(self.law[0])

    @property
    def by_force(self) -> bool:
        """Whether the states hold the force."""
        return self.law.item(4) > 0.0

    @property
    def gusts_likely(self) -> bool:
        """Whether the gusts that drag shows are such as there are."""
        return self.law.item(5) < _GUSTS_MOST

    def start_over(self) -> None:
        """Hold the force, by the drag that the aircraft is expected to have."""
        self.law[0], self.law[4], self.law[5] = self._first, 1.0, 1.0

    def _slopes(self, x: Array) -> tuple[Array, Array, Array]:
        """Return mean, now (2,) and their slopes (4, 5) by ``_WINDS``."""
        mean = x[X_WIND : X_WIND + 2]
        total = mean + x[X_GUST : X_GUST + 2]
        slopes = np.zeros((4, 5))
        if not self.by_force:
            slopes[:2, :2] = slopes[2:, :2] = slopes[2:, 3:] = np.eye(2)
            return mean.copy(), total, slopes
        out = np.empty(N_BLOWN)
        share, bend = np.exp(self.law[0] - x[X_DRAG]), self.law.item(1)
        blown(mean[0], mean[1], share, bend, out)
        slopes[:2, :2] = [[out[2], out[3]], [out[3], out[4]]]
        slopes[:2, 2] = out[5:7]
        found = out[0:2].copy()
        blown(total[0], total[1], share, bend, out)
        slopes[2:, :2] = slopes[2:, 3:] = [[out[2], out[3]], [out[3], out[4]]]
        slopes[2:, 2] = out[5:7]
        return found, out[0:2].copy(), slopes

    def state_of(self, wind_ne_m_s: Array, x: Array) -> Array:
        """Return the state (2,) that stands for a wind; the inverse of ``blown``."""
        if not self.by_force:
            return wind_ne_m_s
        out = np.empty(N_BLOWN)
        share = np.exp(x[X_DRAG] - self.law[0])
        blown(wind_ne_m_s[0], wind_ne_m_s[1], share, self.law.item(1), out)
        return out[0:2]

    def hold_wind(self, x: Array, p: Array) -> None:
        """Let the states hold the wind itself: the aircraft flies on its wing."""
        if self.by_force:
            mean, now, slopes = self._slopes(x)
            _turn(p, _by_states(slopes))
            x[X_WIND : X_WIND + 2], x[X_GUST : X_GUST + 2] = mean, now - mean
            self.law[4] = 0.0

    def hold_force(self, x: Array, p: Array) -> None:
        """Let the states hold the force: the aircraft took to its rotors."""
        if not self.by_force:
            # by this drag the numbers stay as they are, only their errors change
            self.law[0], self.law[4] = x[X_DRAG], 1.0
            back: Array = np.array(np.linalg.inv(_by_states(self._slopes(x)[2])), dtype=np.float64)
            _turn(p, back)


def _by_states(slopes: Array) -> Array:
    """Return d (mean, drag, gust) / d states (5, 5) from those of mean and mean + gust (4, 5)."""
    out: Array = np.eye(5)
    out[:2], out[3:] = slopes[:2], slopes[2:] - slopes[:2]
    return out


def _turn(p: Array, by: Array) -> None:
    """Replace P by T P T^T, T ``by`` (5, 5) for ``_WINDS`` and else the identity."""
    at = list(_WINDS)
    p[at, :] = by @ p[at, :]
    p[:, at] = p[:, at] @ by.T
    p[:] = 0.5 * (p + p.T)
