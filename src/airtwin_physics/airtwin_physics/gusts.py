# SPDX-License-Identifier: Apache-2.0
"""Wind: a steady vector and Dryden gusts for low altitude, discretised exactly.

Source: MIL-F-8785C (1980), 3.7.2 and 3.7.3.4, the same as MIL-HDBK-1797 for low altitude:
L_w = h, L_u = L_v = h / (0.177 + 0.000823 h)^1.2, sigma_w = 0.1 W20,
sigma_u = sigma_v = sigma_w / (0.177 + 0.000823 h)^0.4, h [ft] above ground within 10 to 1000 ft,
W20 the wind at 20 ft. Forming filters with V the airspeed, tau = L / V:
H_u = sigma sqrt(2 tau) / (1 + tau s), H_v,w = sigma sqrt(tau) (1 + sqrt(3) tau s) / (1 + tau s)^2,
driven by white noise of unit intensity, so the gusts' variances are the sigmas squared. Rotational
gusts are left out: an x500 is small against L.
"""

from __future__ import annotations

import numba
import numpy as np

from airtwin_core.types import Array

FOOT_M = 0.3048
N_GUST = 5  # u, and two states each of v and w
GUST_NORMALS = 5
AIRSPEED_MIN_M_S = 1.0  # a hovering aircraft still meets gusts: the field drifts past it


@numba.njit(cache=True)
def scales(height_m: float, wind_20ft_m_s: float) -> tuple[float, float, float, float]:
    """Return (L_u, L_w [m], sigma_u, sigma_w [m/s]) at a height above ground."""
    h = min(max(height_m / FOOT_M, 10.0), 1000.0)
    shape = 0.177 + 0.000823 * h
    sigma_w = 0.1 * wind_20ft_m_s
    return h / shape**1.2 * FOOT_M, h * FOOT_M, sigma_w / shape**0.4, sigma_w


@numba.njit(cache=True)
def _second_order(
    state: Array, tau: float, sigma: float, n0: float, n1: float, dt_s: float
) -> float:
    """Advance H = sigma sqrt(tau) (1 + sqrt(3) tau s) / (1 + tau s)^2 exactly; return its output.

    Companion form z'' = (w - 2 tau z' - z) / tau^2, whose stationary covariance under unit noise
    is diag(1 / 4 tau, 1 / 4 tau^3). The states kept are z and z' over their stationary deviations,
    so a change of tau (the aircraft speeds up) does not shake them; the noise of one step is then
    I - Phi Phi^T, without an integral.
    """
    a = dt_s / tau
    e = np.exp(-a)
    f00, f01, f10, f11 = e * (1.0 + a), e * a, -e * a, e * (1.0 - a)
    q00 = 1.0 - f00 * f00 - f01 * f01
    q01 = -f00 * f10 - f01 * f11
    q11 = 1.0 - f10 * f10 - f11 * f11
    l11 = np.sqrt(max(q11, 0.0))
    l01 = q01 / l11 if l11 > 0.0 else 0.0
    l00 = np.sqrt(max(q00 - l01 * l01, 0.0))
    z, dz = state[0], state[1]
    state[0] = f00 * z + f01 * dz + l00 * n0 + l01 * n1
    state[1] = f10 * z + f11 * dz + l11 * n1
    return float(0.5 * sigma * (state[0] + np.sqrt(3.0) * state[1]))


@numba.njit(cache=True)
def gust(
    state: Array,
    normals: Array,
    wind_ned_m_s: Array,
    velocity_ned_m_s: Array,
    height_m: float,
    intensity: float,
    dt_s: float,
) -> tuple[float, float, float]:
    """Advance ``state`` (5,) and return the gust (north, east, down) [m/s].

    u is along the mean wind, v across it, w down. ``intensity`` scales the sigmas (1: MIL-F-8785C
    with W20 the steady wind). ``normals``: (5,) standard normal.
    """
    north, east = wind_ned_m_s[0], wind_ned_m_s[1]
    speed = np.sqrt(north * north + east * east)
    if speed <= 0.0 or intensity <= 0.0:
        return 0.0, 0.0, 0.0
    scale_u, scale_w, sigma_u, sigma_w = scales(height_m, speed * intensity)
    an, ae = velocity_ned_m_s[0] - north, velocity_ned_m_s[1] - east
    airspeed = max(np.sqrt(an * an + ae * ae), AIRSPEED_MIN_M_S)
    tau = scale_u / airspeed
    # sigma may change with height, so the filters' states are kept at unit variance
    e = np.exp(-dt_s / tau)
    state[0] = e * state[0] + np.sqrt(1.0 - e * e) * normals[0]
    along = sigma_u * state[0]
    across = _second_order(state[1:3], tau, sigma_u, normals[1], normals[2], dt_s)
    tau = scale_w / airspeed
    down = _second_order(state[3:5], tau, sigma_w, normals[3], normals[4], dt_s)
    cn, ce = north / speed, east / speed
    return along * cn - across * ce, along * ce + across * cn, down
