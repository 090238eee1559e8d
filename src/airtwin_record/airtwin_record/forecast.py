# SPDX-License-Identifier: Apache-2.0
"""What a mission will probably be: a thousand flights of it, as figures and as curves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_mission import forecast
from airtwin_mission.plan import Mission, MissionError
from airtwin_physics.control.px4_params import Px4Params, wing_params
from airtwin_physics.rollout import draw, rollouts, start, wings
from airtwin_physics.rollout.plan import Act
from airtwin_physics.rollout.rollouts import LONGEST_S, Rollouts

# one sigma of the aircraft's own idea of where it is [m], north and east: GNSS without
# corrections, taken as one offset for a whole flight
PLACE_SIGMA_M = 1.0
ROWS_MOST = 600
SHARES = (0.025, 0.25, 0.5, 0.75, 0.975)  # of the envelopes: 95 % and 50 % of the flights
TABLE_SHARES = (0.05, 0.5, 0.95)
STATION_M = 1.0
STATIONS_MOST = 200  # a leg
DRAWN_FLIGHTS, DRAWN_POINTS = 60, 300


@dataclass(frozen=True, slots=True)
class Air:
    """The forecast of the wind: speed [m/s], where it comes from [deg], how sure, gusts [-]."""

    speed_m_s: float = 0.0
    from_deg: float = 0.0
    sigma_m_s: float = 1.0
    gust: float = 1.0

    def wind(self) -> draw.Wind:
        """Return it as what rollouts draw from, NED, where the air goes to."""
        away = math.radians(self.from_deg)
        north, east = -self.speed_m_s * math.cos(away), -self.speed_m_s * math.sin(away)
        var = self.sigma_m_s**2
        return draw.Wind(
            (north, east, 0.0), ((var, 0.0, 0.0), (0.0, var, 0.0), (0.0, 0.0, 0.0)), self.gust
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """The flights of one mission, where they really are, and what was asked."""

    mission: Mission
    aircraft: Aircraft
    air: Air
    flight: forecast.Flight
    fan: Rollouts
    charge: float
    reserve: float
    seed: int
    place_sigma_m: float

    @property
    def arrived(self) -> Array:
        """Return (n,) true for those that reached the last waypoint, or landed."""
        return np.asarray(np.isfinite(self.fan.reached_s[:, -1]) & self.fan.kept)

    @property
    def above_reserve(self) -> Array:
        """Return (n,) true for those that arrived with more than the reserve in the battery."""
        left = np.nan_to_num(self.fan.reached_left[:, -1], nan=-1.0)
        return np.asarray(np.logical_and(self.arrived, left >= self.reserve))


def run(
    mission: Mission,
    aircraft: Aircraft,
    air: Air,
    n: int,
    seed: int,
    *,
    charge: float = 1.0,
    reserve: float = 0.15,
    place_sigma_m: float = PLACE_SIGMA_M,
) -> Forecast:
    """Fly ``mission`` n times from its pad; ``charge``, ``reserve``: shares of the capacity [-].

    An aircraft takes its place to be off by a constant of ``place_sigma_m`` north and east: it
    keeps to the plan where it believes to be, and the fan returned is where it really is.

    Raises:
        MissionError: the mission cannot be flown by this aircraft, or takes longer than an hour.
        ValueError: n, air or shares that are none, or wings of unknown PX4 parameters.
    """
    if not (0.0 < charge <= 1.0 and 0.0 <= reserve < 1.0):
        raise ValueError(f"battery filled to {charge}, reserve {reserve}: expected shares of 1")
    params = Px4Params()
    flight, velocity = forecast.flight(mission, params), np.zeros(3)
    if aircraft.surfaces:
        wing = wing_params(aircraft.name)
        flight = forecast.on_wings(
            flight, wing.fw_airspd_trim, air.speed_m_s, hovers=wings.hovers(aircraft)
        )
    if flight.longest_s > LONGEST_S:
        raise MissionError(f"may take {flight.longest_s:.0f} s; forecasts are of an hour at most")
    interval_s = max(math.ceil(flight.longest_s / ROWS_MOST * 10.0) / 10.0, 0.1)
    begin = np.array(flight.start_ned_m)
    standing = flight.plan.waypoints[0].act is Act.TAKE_OFF
    first = np.array(flight.plan.waypoints[1 if standing else 0].position_ned_m) - begin
    heading = math.atan2(first[1], first[0])
    if not standing:
        along = np.array([math.cos(heading), math.sin(heading), 0.0])
        velocity = wing.fw_airspd_trim * along + np.array(air.wind().velocity_ned_m_s)
    sigmas = np.concatenate(([place_sigma_m, place_sigma_m], np.zeros(13)))
    fan = rollouts.rollout(
        start.supposed(begin, velocity, frames.quat_from_euler(0.0, 0.0, heading), sigmas),
        flight.plan,
        air.wind(),
        n,
        flight.longest_s,
        np.random.default_rng(seed),
        aircraft=aircraft,
        params=params,
        charge_c=(1.0 - charge) * 3600.0 * aircraft.battery.capacity_ah,
        interval_s=interval_s,
    )
    # it stands on its pad, and all that it believes is off by where it believes the pad to be
    off = (fan.position_ned_m[:, :1] - begin) * np.array([1.0, 1.0, 0.0])
    fan = replace(fan, position_ned_m=fan.position_ned_m - off)
    return Forecast(mission, aircraft, air, flight, fan, charge, reserve, seed, place_sigma_m)


def summary(found: Forecast) -> dict[str, Any]:
    """Return the figures as one JSON object; README.md of airtwin_record says what each key is."""
    fan, n = found.fan, found.fan.lost_s.size
    apart = farthest(found)
    kept = fan.position_ned_m[fan.kept]
    return {
        "aircraft": found.aircraft.name,
        "mission": found.mission.name,
        "flights": n,
        "seed": found.seed,
        "place_sigma_m": found.place_sigma_m,
        "wind": {
            "speed_m_s": found.air.speed_m_s,
            "from_deg": found.air.from_deg,
            "sigma_m_s": found.air.sigma_m_s,
            "gust": found.air.gust,
        },
        "battery": {"charge": found.charge, "reserve": found.reserve},
        "arrived": float(np.mean(found.arrived)),
        "arrived_above_reserve": float(np.mean(found.above_reserve)),
        "lost": float(np.mean(np.logical_not(fan.kept))),
        "came_to_ground": float(np.mean(fan.touched)),
        "watched_s": float(fan.times_s[-1]),
        "half_width_m": {
            "p50": _quantile(apart, 0.5),
            "p95": _quantile(apart, 0.95),
            "p99": _quantile(apart, 0.99),
        },
        "highest_m": _quantile(-kept[:, :, 2].min(axis=1), 0.95) if len(kept) else None,
        "waypoints": [
            {
                "name": name,
                "position_ned_m": list(point.position_ned_m),
                "reached": float(np.mean(np.isfinite(fan.reached_s[:, k]))),
                "time_s": _spread(fan.reached_s[:, k]),
                "energy_wh": _spread(fan.reached_j[:, k] / 3600.0),
                "battery_left": _spread(fan.reached_left[:, k]),
            }
            for k, (name, point) in enumerate(
                zip(found.flight.names, found.flight.plan.waypoints, strict=True)
            )
        ],
        "left_out": [*found.mission.notes, *found.flight.notes],
    }


def _spread(values: Array) -> dict[str, float | None]:
    return {f"p{round(100 * share)}": _quantile(values, share) for share in TABLE_SHARES}


def _quantile(values: Array, share: float) -> float | None:
    """Return a quantile of what is finite, None if nothing is."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else None


def farthest(found: Forecast) -> Array:
    """Return (n,) [m] how far each flight came from the plan's line until it had arrived."""
    line = np.array(
        [
            found.flight.start_ned_m[:2],
            *(p.position_ned_m[:2] for p in found.flight.plan.waypoints),
        ]
    )
    place = found.fan.position_ned_m[:, :, :2]
    nearest = np.full(place.shape[:2], np.inf)
    for a, b in itertools.pairwise(line):
        way = b - a
        share = np.clip((place - a) @ way / max(float(way @ way), 1e-9), 0.0, 1.0)
        apart = np.linalg.norm(place - a - share[..., None] * way, axis=-1)
        nearest = np.minimum(nearest, apart)
    arrived = found.fan.reached_s[:, -1]
    under_way = found.fan.times_s <= np.where(np.isfinite(arrived), arrived, np.inf)[:, None]
    return np.asarray(np.max(nearest, axis=1, where=under_way, initial=0.0))


@dataclass(frozen=True, slots=True)
class Lane:
    """Envelope of one level leg: places along it (m,) [m] from ``origin``, quantiles across.

    ``across_m`` (5, m): + to the right of the leg, at ``SHARES``; ``along`` (2,) its direction.
    """

    origin_ne_m: Array
    along: Array
    at_m: Array
    across_m: Array
    before_m: float


def lanes(found: Forecast) -> list[Lane]:
    """Return the envelope of every leg over ground; flights count where they reached its end."""
    fan, points = found.fan, found.flight.plan.waypoints
    out: list[Lane] = []
    before = 0.0
    ends = np.array([found.flight.start_ned_m, *(point.position_ned_m for point in points)])[:, :2]
    for k in range(len(points)):
        a, b = ends[k], ends[k + 1]
        left = fan.reached_s[:, k - 1] if k > 0 else np.zeros(fan.lost_s.size)
        length = float(np.linalg.norm(b - a))
        there = np.flatnonzero(np.isfinite(fan.reached_s[:, k]) & fan.kept)
        if length < 2.0 * STATION_M or there.size < 2 or points[k].act is not Act.FLY:
            continue
        along = (b - a) / length
        at = np.linspace(0.0, length, min(int(length / STATION_M) + 1, STATIONS_MOST))
        across = np.empty((there.size, at.size))
        for row, i in enumerate(there):
            on = (fan.times_s >= left[i]) & (fan.times_s <= fan.reached_s[i, k])
            place = fan.position_ned_m[i, on, :2] - a
            if len(place) < 2:
                across[row] = np.nan
                continue
            along_m = np.maximum.accumulate(place @ along)
            side = place @ np.array([-along[1], along[0]])
            across[row] = np.interp(at, along_m, side)
        out.append(Lane(a, along, at, np.nanquantile(across, SHARES, axis=0), before))
        before += length
    return out
