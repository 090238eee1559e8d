# SPDX-License-Identifier: Apache-2.0
"""Sensors that only some aircraft have: off unless the scenario names them.

Rangefinder and flow camera look along FRD z from the centre of mass at flat ground. Figures: a
40 m laser rangefinder (LightWare, Benewake class); a PMW3901-class flow chip; visual-inertial
odometry or motion capture; a dual-antenna receiver with a 1 m baseline; all rounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_sim.sensors import GnssSolution

SENSORS = (
    "rangefinder",
    "flow",
    "vision",
    "gnss_heading",
    "airspeed",
    "rotor_speeds",
    "battery_temperature",
)
"""Their places are the ``index`` of the faults ``sensor_*``."""
TICK_S = 0.004
PERIOD_TICKS = {"rangefinder": 10, "flow": 5, "vision": 8, "airspeed": 25, "rotor_speeds": 25}
FLOW_S = PERIOD_TICKS["flow"] * TICK_S


@dataclass(frozen=True, slots=True)
class Aiding:
    """How good the optional sensors are; ``*_delay_s`` is how late they arrive."""

    rangefinder_m: float = 0.02  # and
    rangefinder_share: float = 0.005  # of the distance
    rangefinder_min_m: float = 0.1
    rangefinder_max_m: float = 40.0
    flow_rad_s: float = 0.06  # at full quality; grows as quality falls
    flow_gyro_rad_s: float = 0.005
    flow_min_m: float = 0.1
    flow_max_m: float = 30.0
    flow_rate_max_rad_s: float = 7.4
    flow_delay_s: float = 0.02
    vision_m: float = 0.02
    vision_m_s: float = 0.05
    vision_rad: float = 0.01
    vision_delay_s: float = 0.05
    vision_local: bool = False  # a frame of its own: zero and north drawn by chance
    gnss_heading_rad: float = 0.02
    antenna_yaw_rad: float = 0.0
    airspeed_m_s: float = 0.3
    rotor_share: float = 0.003

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name != "antenna_yaw_rad" and not value >= 0.0:
                raise ValueError(f"aiding {spec.name} is {value}")


@dataclass(slots=True)
class Trouble:
    """What is wrong with a sensor: nothing comes, it repeats itself, it shakes, it is off."""

    stopped: bool = False
    stuck: bool = False
    noise: float = 1.0
    shift: Array = field(default_factory=lambda: np.zeros(3))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sensor says: true at ``sample_us``, said at ``said_us``; PX4's meaning."""

    source: str
    sample_us: int
    said_us: int
    values: dict[str, Any]


class AidingSuite:
    """The optional sensors of one aircraft. ``sense`` is called each tick of 4 ms."""

    def __init__(self, rng: np.random.Generator, sensors: tuple[str, ...], aiding: Aiding) -> None:
        self._rng = rng
        self._on = sensors
        self._aiding = aiding
        self.trouble = {name: Trouble() for name in SENSORS}
        self._last: dict[str, dict[str, Any]] = {}
        self._under_way: dict[str, deque[Reading]] = {}
        self._turn = np.zeros(3)
        self._slip = np.zeros(2)  # scene's angle about x and y by translation alone
        own = rng.normal(size=3) * (5.0, 5.0, 1.0), rng.uniform(-np.pi, np.pi)
        self._zero, self._north = own if aiding.vision_local else (np.zeros(3), 0.0)

    def sense(
        self, tick: int, now_us: int, x: Array, ground_down_m: float, wind_ned: Array
    ) -> list[Reading]:
        """Return what arrives now. x: state of the dynamics, (14 + r,)."""
        if not self._on:
            return []
        rotation = frames.rotation_from_quat(x[6:10])
        height_m = ground_down_m - float(x[2])
        range_m = height_m / rotation[2, 2] if rotation[2, 2] > 0.2 else np.inf
        if "flow" in self._on:
            self._watch(x, rotation, range_m)
        for name in self._on:
            period = PERIOD_TICKS.get(name)
            if period is None or tick % period:
                continue
            if name == "rangefinder":
                values, delay_s = self._rangefinder(range_m), 0.0
            elif name == "flow":
                values, delay_s = self._flow(range_m), self._aiding.flow_delay_s
            elif name == "vision":
                values, delay_s = self._vision(x), self._aiding.vision_delay_s
            elif name == "airspeed":
                values, delay_s = self._airspeed(x, rotation, wind_ned), 0.0
            else:
                values, delay_s = self._rotors(x), 0.0
            self._say(name, now_us, now_us + round(delay_s * 1e6), values)
        out: list[Reading] = []
        for queue in self._under_way.values():
            while queue and queue[0].said_us <= now_us:
                out.append(queue.popleft())
        return out

    def _say(self, name: str, sample_us: int, said_us: int, values: dict[str, Any]) -> None:
        trouble = self.trouble[name]
        if trouble.stuck and name in self._last:
            values = self._last[name]
        self._last[name] = values
        if not trouble.stopped:
            queue = self._under_way.setdefault(name, deque())
            queue.append(Reading(name, sample_us, said_us, values))

    def _noise(self, name: str, sigma: float, size: int) -> Array:
        return self._rng.standard_normal(size) * sigma * self.trouble[name].noise

    def _rangefinder(self, range_m: float) -> dict[str, Any]:
        a = self._aiding
        true = range_m if np.isfinite(range_m) else a.rangefinder_max_m + 1.0
        sigma = float(np.hypot(a.rangefinder_m, a.rangefinder_share * true))
        shown = true + float(self._noise("rangefinder", sigma, 1)[0])
        shown += float(self.trouble["rangefinder"].shift[0])
        good = a.rangefinder_min_m <= shown <= a.rangefinder_max_m
        return {
            "distance": max(shown, 0.0),
            "min": a.rangefinder_min_m,
            "max": a.rangefinder_max_m,
            "quality": 100 if good else 0,
        }

    def _watch(self, x: Array, rotation: Array, range_m: float) -> None:
        """Add up what the camera sees in one tick."""
        velocity_frd = rotation.T @ x[3:6]
        distance = max(range_m, self._aiding.flow_min_m)
        self._turn += x[10:13] * TICK_S
        self._slip += np.array([-velocity_frd[1], velocity_frd[0]]) * (TICK_S / distance)

    def _flow(self, range_m: float) -> dict[str, Any]:
        a = self._aiding
        flow = self._turn[:2] + self._slip
        rate = float(np.hypot(flow[0], flow[1])) / FLOW_S
        # texture shrinks with height, and smears with rate
        sharp = 1.0 - max(range_m / a.flow_max_m - 0.5, 0.0) / 0.5
        quality = min(sharp, 1.0 - max(rate / a.flow_rate_max_rad_s - 0.5, 0.0) / 0.5)
        quality = float(np.clip(quality, 0.0, 1.0)) if range_m >= a.flow_min_m else 0.0
        sigma = a.flow_rad_s * (1.0 + 3.0 * (1.0 - quality))
        flow = flow + self._noise("flow", sigma, 2) * FLOW_S
        flow = flow + self.trouble["flow"].shift[:2] * FLOW_S
        turn = self._turn + self._noise("flow", a.flow_gyro_rad_s, 3) * FLOW_S
        self._turn, self._slip = np.zeros(3), np.zeros(2)
        return {
            "flow": flow,
            "turn": turn,
            "dt": FLOW_S,
            "quality": round(255.0 * quality),
            "rate_max": a.flow_rate_max_rad_s,
            "min": a.flow_min_m,
            "max": a.flow_max_m,
        }

    def _vision(self, x: Array) -> dict[str, Any]:
        a = self._aiding
        to_own = frames.quat_from_euler(0.0, 0.0, -self._north)
        turn = frames.rotation_from_quat(to_own)
        tilt = frames.quat_from_rotation_vector(self._noise("vision", a.vision_rad, 3))
        return {
            "local": a.vision_local,
            "position": turn @ (x[0:3] - self._zero)
            + self._noise("vision", a.vision_m, 3)
            + self.trouble["vision"].shift,
            "velocity": turn @ x[3:6] + self._noise("vision", a.vision_m_s, 3),
            "q": frames.quat_multiply(frames.quat_multiply(to_own, x[6:10]), tilt),
            "variance": np.square([a.vision_m, a.vision_m_s, a.vision_rad]),
        }

    def heading(self, solution: GnssSolution, q_ned_frd: Array) -> GnssSolution:
        """Return the solution of a dual-antenna receiver: with a heading, if it has one."""
        trouble, a = self.trouble["gnss_heading"], self._aiding
        if "gnss_heading" not in self._on or trouble.stopped:
            return solution
        line = (np.cos(a.antenna_yaw_rad), np.sin(a.antenna_yaw_rad), 0.0)
        north, east, _ = frames.rotation_from_quat(q_ned_frd) @ line
        shown = float(np.arctan2(east, north)) - a.antenna_yaw_rad
        shown += float(self._noise("gnss_heading", a.gnss_heading_rad, 1)[0])
        shown += float(trouble.shift[0])
        said = {
            "heading_rad": float(frames.wrap_pi(shown)),
            "heading_accuracy_rad": a.gnss_heading_rad,
            "antenna_yaw_rad": a.antenna_yaw_rad,
        }
        if trouble.stuck and "gnss_heading" in self._last:
            said = self._last["gnss_heading"]
        self._last["gnss_heading"] = said
        return replace(
            solution,
            heading_rad=said["heading_rad"],
            heading_accuracy_rad=said["heading_accuracy_rad"],
            antenna_yaw_rad=said["antenna_yaw_rad"],
        )

    def _airspeed(self, x: Array, rotation: Array, wind_ned: Array) -> dict[str, Any]:
        ahead = float(rotation[:, 0] @ (x[3:6] - wind_ned))
        shift = float(self.trouble["airspeed"].shift[0])
        noise = float(self._noise("airspeed", self._aiding.airspeed_m_s, 1)[0])
        return {"speed": max(ahead + shift + noise, 0.0)}

    def _rotors(self, x: Array) -> dict[str, Any]:
        speed = np.abs(x[dynamics.ROTOR :])
        noise = self._noise("rotor_speeds", self._aiding.rotor_share, len(speed))
        return {"rpm": np.round(speed * (1.0 + noise) * 60.0 / (2.0 * np.pi))}

    def temperature_c(self, x: Array) -> float:
        """Return the pack's temperature [deg C], as PX4's battery_status; NaN if not told."""
        if "battery_temperature" not in self._on or self.trouble["battery_temperature"].stopped:
            return float("nan")
        return float(x[dynamics.TEMPERATURE])
