# SPDX-License-Identifier: Apache-2.0
"""A flight without dynamics: a smooth path, and sensors with the errors that the filter assumes.

Independent of the estimator's code: motion is written down, not integrated; only the averages
that an IMU gives are formed from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from airtwin_core import frames
from airtwin_core.types import (
    Array,
    Attitude,
    Barometer,
    GnssFix,
    Imu,
    LandDetected,
    Magnetometer,
    Origin,
    Sample,
)
from airtwin_physics.magnetic import declination_rad

ORIGIN = Origin(47.397742, 8.545594, 488.0)
RATE_HZ = 250
DT_S = 1.0 / RATE_HZ
START_NS = 1_000_000_000
GRAVITY_NED = np.array([0.0, 0.0, 9.80665])
EARTH_RADIUS_M = 6371000.0  # PX4's sphere


@dataclass(frozen=True)
class Errors:
    """Sizes of what is wrong with the sensors; the defaults are what the filter assumes."""

    gyro_rad_s: float = 0.01  # of one sample
    accel_m_s2: float = 0.3
    gyro_bias_rad_s: float = 0.005
    gyro_bias_walk: float = 1e-4
    accel_bias_m_s2: float = 0.2
    accel_bias_walk: float = 3e-4
    eph_m: float = 1.0
    epv_m: float = 1.6
    white_share: float = 0.6
    wander_s: float = 60.0
    speed_m_s: float = 0.3
    delay_s: float = 0.08
    delay_sigma_s: float = 0.04
    barometer_m: float = 0.5
    barometer_walk: float = 0.05
    barometer_wash_m: float = 0.0  # of moving air; what lasts
    barometer_wash_s: float = 1.5
    barometer_suction: float = 0.0  # of the dynamic pressure
    heading_rad: float = 0.05
    heading_offset_rad: float = 0.15


@dataclass(frozen=True)
class Flight:
    """Samples in order of arrival, and the truth at the end of each IMU step (n, ...)."""

    samples: list[Sample]
    position: Array
    velocity: Array
    attitude: Array
    gyro_bias: Array
    accel_bias: Array
    delay_s: float
    landed_until_s: float = field(default=2.0)

    def index(self, stamp_ns: int) -> int:
        """Return the row of the truth at a stamp."""
        return round((stamp_ns - START_NS) * 1e-9 * RATE_HZ)


def stamp_ns(step: int) -> int:
    """Return the stamp of IMU step number ``step``."""
    return START_NS + step * (1_000_000_000 // RATE_HZ)


def geodetic(position_ned_m: Array) -> tuple[float, float, float]:
    """Return latitude, longitude [deg] and altitude [m]: inverse of PX4's map projection."""
    x, y = position_ned_m[0] / EARTH_RADIUS_M, position_ned_m[1] / EARTH_RADIUS_M
    lat0, lon0 = np.radians(ORIGIN.latitude_deg), np.radians(ORIGIN.longitude_deg)
    c = float(np.hypot(x, y))
    if c == 0.0:
        lat, lon = lat0, lon0
    else:
        lat = np.arcsin(np.cos(c) * np.sin(lat0) + x * np.sin(c) * np.cos(lat0) / c)
        lon = lon0 + np.arctan2(
            y * np.sin(c), c * np.cos(lat0) * np.cos(c) - x * np.sin(lat0) * np.sin(c)
        )
    altitude = ORIGIN.altitude_amsl_m - float(position_ned_m[2])
    return float(np.degrees(lat)), float(np.degrees(lon)), altitude


def path(seconds: float, *, rest_s: float = 2.0, size: float = 1.0) -> tuple[Array, Array, Array]:
    """Return position (n, 3), velocity (n, 3), q_ned_frd (n, 4) at 250 Hz; rest, then a weave."""
    n = round(seconds * RATE_HZ) + 1
    fine = 4
    t = np.arange((n - 1) * fine + 1) / (RATE_HZ * fine)
    s = np.clip((t - rest_s) / 4.0, 0.0, 1.0)
    window = s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
    p = np.stack(
        [
            12.0 * np.sin(0.5 * t) * window,
            9.0 * np.sin(0.37 * t + 1.0) * window,
            (-8.0 + 2.0 * np.sin(0.6 * t)) * window,
        ],
        axis=1,
    )
    p *= size
    step = 1.0 / (RATE_HZ * fine)
    v = np.gradient(p, step, axis=0)
    a = np.gradient(v, step, axis=0)
    down = GRAVITY_NED - a  # the thrust axis of a multirotor points against what it feels
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    yaw = 0.3 + 0.8 * np.sin(0.25 * t) * window
    ahead = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], axis=1)
    right = np.cross(down, ahead)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    axes = np.stack([np.cross(right, down), right, down], axis=2)[::fine]
    q = Rotation.from_matrix(axes).as_quat(canonical=True, scalar_first=True)
    return p[::fine], v[::fine], q


def fly(
    rng: np.random.Generator,
    seconds: float = 40.0,
    errors: Errors | None = None,
    *,
    rest_s: float = 2.0,
    gnss_hz: float = 8.0,
    compass: bool = True,
    barometer: bool = True,
    size: float = 1.0,
) -> Flight:
    """Return one flight with errors drawn from ``rng``; size: of the weave, so of its speed."""
    p, v, q = path(seconds, rest_s=rest_s, size=size)
    return along(
        rng, p, v, q, errors, rest_s=rest_s, gnss_hz=gnss_hz, compass=compass, barometer=barometer
    )


def along(
    rng: np.random.Generator,
    p: Array,
    v: Array,
    q: Array | None = None,
    errors: Errors | None = None,
    *,
    rest_s: float = 2.0,
    gnss_hz: float = 8.0,
    compass: bool = True,
    barometer: bool = True,
) -> Flight:
    """Return one flight along a path, level and to the north without ``q``."""
    e = errors or Errors()
    n = len(p)
    q = np.tile([1.0, 0.0, 0.0, 0.0], (n, 1)) if q is None else q
    gyro, accel = _imu_averages(v, q)
    gyro_bias = _walk(rng, n, e.gyro_bias_rad_s, e.gyro_bias_walk)
    accel_bias = _walk(rng, n, e.accel_bias_m_s2, e.accel_bias_walk)
    gyro = gyro + gyro_bias[1:] + rng.normal(size=gyro.shape) * e.gyro_rad_s
    accel = accel + accel_bias[1:] + rng.normal(size=accel.shape) * e.accel_m_s2
    delay_s = float(np.clip(e.delay_s + rng.normal() * e.delay_sigma_s, 0.0, 0.2))
    arrivals: list[tuple[float, int, Sample]] = []
    landed_until = round(rest_s * RATE_HZ)
    for k in range(1, n):
        at = stamp_ns(k)
        arrivals.append((k, 0, Imu(at, at, gyro[k - 1], accel[k - 1], DT_S)))
        if k % RATE_HZ == 1 or k == landed_until:
            arrivals.append((k, 1, LandDetected(at, at, k < landed_until, False, False, False)))
    arrivals += _gnss(rng, p, v, e, gnss_hz, delay_s)
    if barometer:
        arrivals += _barometer(rng, p, v, e)
    if compass:
        arrivals += _magnetometer(rng, q, e)
    arrivals.sort(key=lambda item: item[:2])
    samples = [item[2] for item in arrivals]
    return Flight(samples, p, v, q, gyro_bias, accel_bias, delay_s, rest_s)


def spoofed(flight: Flight, offset_ned_m: Array, *, from_s: float) -> Flight:
    """Return the flight with every fix from ``from_s`` on moved by an offset."""
    lat0, lon0, alt0 = geodetic(np.zeros(3))
    lat1, lon1, alt1 = geodetic(offset_ned_m)
    moved = [
        replace(
            s,
            latitude_deg=s.latitude_deg + lat1 - lat0,
            longitude_deg=s.longitude_deg + lon1 - lon0,
            altitude_amsl_m=s.altitude_amsl_m + alt1 - alt0,
        )
        if isinstance(s, GnssFix) and s.stamp_ns >= START_NS + int(from_s * 1e9)
        else s
        for s in flight.samples
    ]
    return replace(flight, samples=moved)


def _imu_averages(v: Array, q: Array) -> tuple[Array, Array]:
    """Return mean angular rate and specific force (n - 1, 3) of each step."""
    attitude = Rotation.from_quat(q, scalar_first=True)
    theta = (attitude[:-1].inv() * attitude[1:]).as_rotvec()
    middle = attitude[:-1] * Rotation.from_rotvec(0.5 * theta)
    force_ned = np.diff(v, axis=0) / DT_S - GRAVITY_NED
    return theta / DT_S, middle.inv().apply(force_ned)


def _walk(rng: np.random.Generator, n: int, start: float, walk: float) -> Array:
    steps = rng.normal(size=(n, 3)) * walk * np.sqrt(DT_S)
    steps[0] = rng.normal(size=3) * start
    return np.asarray(np.cumsum(steps, axis=0))


def _wander(rng: np.random.Generator, n: int, dt_s: float, tau_s: float, size: Array) -> Array:
    decay = np.exp(-dt_s / tau_s)
    out = np.empty((n, len(size)))
    out[0] = rng.normal(size=len(size)) * size
    for i in range(1, n):
        out[i] = decay * out[i - 1] + rng.normal(size=len(size)) * size * np.sqrt(1 - decay**2)
    return out


def _gnss(
    rng: np.random.Generator, p: Array, v: Array, e: Errors, hz: float, delay_s: float
) -> list[tuple[float, int, Sample]]:
    every = round(RATE_HZ / hz)
    taken = range(every, len(p) - round(0.25 * RATE_HZ), every)
    sigma = np.array([e.eph_m, e.eph_m, e.epv_m])
    share = e.white_share
    wander = _wander(rng, len(taken), 1.0 / hz, e.wander_s, np.sqrt(1 - share**2) * sigma)
    out: list[tuple[float, int, Sample]] = []
    for i, k in enumerate(taken):
        place = p[k] + wander[i] + rng.normal(size=3) * share * sigma
        speed = v[k] + rng.normal(size=3) * e.speed_m_s * np.array([1.0, 1.0, 1.5])
        arrival = k + round(delay_s * RATE_HZ)
        at = stamp_ns(arrival)
        fix = GnssFix(at, at, *geodetic(place), speed, e.eph_m, e.epv_m, e.speed_m_s, 3, 12)
        out.append((arrival, 2, fix))
    return out


def _barometer(
    rng: np.random.Generator, p: Array, v: Array, e: Errors
) -> list[tuple[float, int, Sample]]:
    every = RATE_HZ // 20 + 1
    steps = range(every, len(p), every)
    walk = np.cumsum(rng.normal(size=len(steps))) * e.barometer_walk * np.sqrt(every * DT_S)
    size, lasts_s = np.array([e.barometer_wash_m]), e.barometer_wash_s
    wash = _wander(rng.spawn(1)[0], len(steps), every * DT_S, lasts_s, size)[:, 0]
    sucked = e.barometer_suction * np.sum(v**2, axis=1) / (2.0 * GRAVITY_NED[2])
    out: list[tuple[float, int, Sample]] = []
    for i, k in enumerate(steps):
        altitude = 500.0 - p[k, 2] + walk[i] + wash[i] + rng.normal() * e.barometer_m + sucked[k]
        out.append((k, 3, Barometer(stamp_ns(k), stamp_ns(k), float(altitude))))
    return out


def _magnetometer(
    rng: np.random.Generator, q: Array, e: Errors
) -> list[tuple[float, int, Sample]]:
    every = RATE_HZ // 10
    steps = range(every, len(q), every)
    offset = _wander(rng, len(steps), every * DT_S, 100.0, np.array([e.heading_offset_rad]))
    north = declination_rad(ORIGIN.latitude_deg, ORIGIN.longitude_deg)
    out: list[tuple[float, int, Sample]] = []
    for i, k in enumerate(steps):
        angle = north + offset[i, 0] + rng.normal() * e.heading_rad
        field_ned = np.array([0.21 * np.cos(angle), 0.21 * np.sin(angle), 0.43])
        field_frd = frames.rotation_from_quat(q[k]).T @ field_ned
        out.append((k, 4, Magnetometer(stamp_ns(k), stamp_ns(k), field_frd)))
    return out


def with_px4_attitudes(flight: Flight) -> list[Sample]:
    """Return the samples with the true attitude beside them at 10 Hz, as PX4's."""
    out: list[Sample] = list(flight.samples)
    for k in range(25, len(flight.attitude), 25):
        at = stamp_ns(k)
        out.append(Attitude(at, at, flight.attitude[k], 0))
    return sorted(out, key=lambda s: s.stamp_ns)
