# SPDX-License-Identifier: Apache-2.0
"""What a simulation is made of: aircraft, wind, faults, seed. Read from YAML, checked, frozen."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from airtwin_core.geodesy import check_coordinates
from airtwin_core.types import Origin
from airtwin_physics.control.px4_params import with_overrides
from airtwin_sim.aiding import SENSORS, Aiding
from airtwin_sim.sensors import SensorNoise

FAULT_KINDS = (
    "gnss_loss",
    "gnss_drift",
    "gnss_jump",
    "baro_stop",
    "imu_bias",
    "motor_loss",
    "wind",
    "mass",
    "battery_fade",
    "link_delay",
    "link_loss",
    "link_outage",
    "sensor_stop",
    "sensor_stuck",
    "sensor_noise",
    "sensor_jump",
)
FAULT_CLOCKS = ("start", "first_arming")
_SHARES = ("motor_loss", "battery_fade", "link_loss")  # magnitude is a share
_VECTORS = ("gnss_drift", "gnss_jump", "imu_bias", "wind", "sensor_jump")
_AIRCRAFT = re.compile(r"[A-Za-z0-9_-]+")
Vector = tuple[float, float, float]


class ScenarioError(ValueError):
    """A scenario that cannot be flown; names file and entry."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, as airtwin_msgs/SimFault has it. ``duration_s`` 0: for good."""

    kind: str
    vehicle: str = ""
    start_s: float = 0.0
    duration_s: float = 0.0
    vector: Vector = (0.0, 0.0, 0.0)
    magnitude: float = 0.0
    index: int = 0

    def __post_init__(self) -> None:
        _check_text("fault kind", self.kind)
        _check_text(f"fault {self.kind}: vehicle", self.vehicle)
        object.__setattr__(self, "vehicle", self.vehicle.strip("/"))
        object.__setattr__(self, "vector", tuple(float(v) for v in self.vector))
        if self.kind not in FAULT_KINDS:
            raise ScenarioError(f"fault kind {self.kind!r} is none of {', '.join(FAULT_KINDS)}")
        if not self.vehicle and self.kind != "wind":
            raise ScenarioError(f"fault {self.kind} names no vehicle")
        if not (0.0 <= self.start_s < np.inf and 0.0 <= self.duration_s < np.inf):
            raise ScenarioError(
                f"fault {self.kind}: start_s and duration_s must be finite and >= 0 (0: for good)"
            )
        if len(self.vector) != 3 or not np.all(np.isfinite(self.vector)):
            raise ScenarioError(f"fault {self.kind}: vector must be three numbers")
        if not np.isfinite(self.magnitude):
            raise ScenarioError(f"fault {self.kind}: magnitude is {self.magnitude}")
        if self.kind in _SHARES and not 0.0 <= self.magnitude <= 1.0:
            raise ScenarioError(f"fault {self.kind}: magnitude is a share, 0 to 1")
        if self.kind in ("link_delay", "sensor_noise") and not self.magnitude >= 0.0:
            raise ScenarioError(f"fault {self.kind}: magnitude must be >= 0")
        if self.kind in _VECTORS and self.magnitude != 0.0:
            raise ScenarioError(f"fault {self.kind} takes a vector, no magnitude")
        self._check_index()

    def _check_index(self) -> None:
        if self.kind == "imu_bias" and self.index not in (0, 1):
            raise ScenarioError("fault imu_bias: index is 0 (gyroscope) or 1 (accelerometer)")
        if self.kind.startswith("sensor_") and self.index >= len(SENSORS):
            raise ScenarioError(f"fault {self.kind}: index is a place in {', '.join(SENSORS)}")
        if self.index < 0:
            raise ScenarioError(f"fault {self.kind}: index must be >= 0")


@dataclass(frozen=True, slots=True)
class VehicleSpec:
    """One aircraft. ``start_ned_m``: north, east, down from the scenario's origin."""

    name: str
    aircraft: str = "x500"
    start_ned_m: Vector = (0.0, 0.0, 0.0)
    yaw_deg: float = 0.0
    battery: float = 1.0  # charge, 0 to 1

    def __post_init__(self) -> None:
        _check_text("vehicle name", self.name)
        _check_text(f"vehicle {self.name}: aircraft", self.aircraft)
        if _AIRCRAFT.fullmatch(self.aircraft) is None:
            raise ScenarioError(
                f"vehicle {self.name}: aircraft {self.aircraft!r} is no name of a file in "
                "config/aircraft (letters, digits, _ and -)"
            )
        object.__setattr__(self, "start_ned_m", tuple(float(v) for v in self.start_ned_m))
        stem, _, number = self.name.rpartition("_")
        if stem != "px4" or not number.isdigit() or str(int(number)) != number:
            raise ScenarioError(f"vehicle {self.name!r}: PX4's instances are px4_0, px4_1, ...")
        if int(number) > 254:
            raise ScenarioError(f"vehicle {self.name}: MAVLink has no system id {int(number) + 1}")
        if len(self.start_ned_m) != 3 or not np.all(np.isfinite(self.start_ned_m)):
            raise ScenarioError(f"vehicle {self.name}: start_ned_m must be three numbers")
        if not 0.0 < self.battery <= 1.0:
            raise ScenarioError(f"vehicle {self.name}: battery is a charge, above 0 to 1")
        if not np.isfinite(self.yaw_deg):
            raise ScenarioError(f"vehicle {self.name}: yaw_deg is {self.yaw_deg}")

    @property
    def system_id(self) -> int:
        """Return PX4's MAV_SYS_ID: instance + 1."""
        return int(self.name.rpartition("_")[2]) + 1

    @property
    def namespace(self) -> str:
        """Return the ROS namespace; the first instance of PX4 has none."""
        return "" if self.name == "px4_0" else f"/{self.name}"


@dataclass(frozen=True, slots=True)
class Wind:
    """Steady wind [m/s] NED (where it blows to); ``gust`` scales Dryden's sigmas, 0: none."""

    steady_ned_m_s: Vector = (0.0, 0.0, 0.0)
    gust: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steady_ned_m_s", tuple(float(v) for v in self.steady_ned_m_s))
        if len(self.steady_ned_m_s) != 3 or not np.all(np.isfinite(self.steady_ned_m_s)):
            raise ScenarioError("wind.steady_ned_m_s must be three numbers")
        if not 0.0 <= self.gust < np.inf:
            raise ScenarioError(f"wind.gust is {self.gust}, expected a finite number >= 0")


# PX4's default home, Zurich Irchel
DEFAULT_ORIGIN = Origin(47.397743, 8.545594, 488.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides a run: the same scenario gives the same flight, bit for bit."""

    vehicles: tuple[VehicleSpec, ...]
    origin: Origin = DEFAULT_ORIGIN
    wind: Wind = Wind()
    faults: tuple[Fault, ...] = ()
    faults_from: str = "start"  # their start_s counts from the start, or from the first_arming
    seed: int = 1
    extra_topics: bool = False
    noise: SensorNoise = field(default_factory=SensorNoise)
    sensors: tuple[str, ...] = ()  # which of aiding.SENSORS the aircraft have
    aiding: Aiding = field(default_factory=Aiding)
    px4: tuple[tuple[str, float], ...] = ()  # PX4 parameters that differ from the default

    def __post_init__(self) -> None:
        names = [v.name for v in self.vehicles]
        if not names:
            raise ScenarioError("a scenario needs at least one vehicle")
        if len(set(names)) != len(names):
            raise ScenarioError(f"vehicle names repeat: {names}")
        for fault in self.faults:
            if fault.vehicle and fault.vehicle not in names:
                raise ScenarioError(f"fault {fault.kind}: no vehicle {fault.vehicle!r}")
        object.__setattr__(self, "sensors", tuple(self.sensors))
        unknown = [name for name in self.sensors if name not in SENSORS]
        if unknown:
            raise ScenarioError(f"sensors: no {unknown}; there are {', '.join(SENSORS)}")
        if self.faults_from not in FAULT_CLOCKS:
            raise ScenarioError(f"faults_from must be one of {', '.join(FAULT_CLOCKS)}")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ScenarioError(f"seed is {self.seed!r}, expected a whole number >= 0")
        try:
            check_coordinates(
                self.origin.latitude_deg, self.origin.longitude_deg, self.origin.altitude_amsl_m
            )
            with_overrides(dict(self.px4))
        except ValueError as error:
            raise ScenarioError(str(error)) from error

    def sends(self, source: str, *, extra: bool, aiding: bool) -> bool:
        """Return whether PX4 would have the topic of ``source`` on its bridge."""
        if aiding:
            return source in self.sensors
        return self.extra_topics or not extra


def adjusted(scenario: Scenario, *, seed: int, extra_topics: bool) -> Scenario:
    """Return the scenario with another seed and choice of topics."""
    return dataclasses.replace(scenario, seed=seed, extra_topics=extra_topics)


def load(path: Path) -> Scenario:
    """Read a scenario file (see config/scenarios/).

    Raises:
        ScenarioError: the file is missing, no YAML, or an entry is unknown or impossible.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text at byte {error.start}") from error
    except (OSError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    except RecursionError:
        raise ScenarioError(f"{path}: nested too deeply to be a scenario") from None
    try:
        return parse(data)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def parse(data: Any) -> Scenario:
    """Return the scenario of a mapping as YAML gives it.

    Raises:
        ScenarioError: an entry is unknown or impossible.
    """
    entries = _mapping(data, "scenario")
    entries.pop("description", None)
    known: dict[str, Any] = {}
    try:
        for name, part, what in (("vehicles", VehicleSpec, "vehicle"), ("faults", Fault, "fault")):
            listed = entries.pop(name, [])
            if not isinstance(listed, list):
                raise ScenarioError(f"{name} must be a list, not {type(listed).__name__}")
            known[name] = tuple(_build(part, item, what) for item in listed)
        for name, kind in (
            ("origin", Origin),
            ("wind", Wind),
            ("noise", SensorNoise),
            ("aiding", Aiding),
        ):
            if name in entries:
                known[name] = _build(kind, entries.pop(name), name)
        known["px4"] = tuple(sorted(_mapping(entries.pop("px4", {}), "px4").items()))
        scenario: Scenario = _build(Scenario, known | entries, "scenario")
    except ScenarioError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ScenarioError(str(error)) from error
    return scenario


def _check_text(what: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ScenarioError(f"{what} must be text, not {value!r}")


def _mapping(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ScenarioError(f"{what} must be a mapping, not {type(data).__name__}")
    return dict(data)


def _build(kind: type[Any], data: Any, what: str) -> Any:
    entries = _mapping(data, what)
    names = {spec.name for spec in dataclasses.fields(kind)}
    unknown = sorted(str(entry) for entry in set(entries) - names)
    if unknown:
        raise ScenarioError(f"{what}: unknown entry {unknown}; there are {sorted(names)}")
    return kind(**entries)
