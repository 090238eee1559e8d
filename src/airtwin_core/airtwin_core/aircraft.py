# SPDX-License-Identifier: Apache-2.0
"""An aircraft as data: mass properties and places from SDF, coefficients from YAML.

SDF is in FLU around the model's origin; everything here is FRD around the centre of mass. This is
the one pure module of the core that reads files; what it returns is frozen.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from airtwin_core.types import Array

_FRD_FLU = np.diag([1.0, -1.0, -1.0])


class AircraftError(ValueError):
    """A model or configuration file that does not describe an aircraft; names file and field."""


@dataclass(frozen=True, slots=True)
class MassProperties:
    """All links of an SDF model as one rigid body.

    ``centre_flu_m`` (3,): centre of mass in the model's frame; ``inertia_frd_kg_m2`` (3, 3):
    about the centre of mass; the others relative to the centre of mass, FRD [m].
    """

    mass_kg: float
    centre_flu_m: Array
    inertia_frd_kg_m2: Array
    rotor_positions_frd_m: Array
    rotor_turns: Array
    rotor_inertia_kg_m2: float
    feet_frd_m: Array


@dataclass(frozen=True, slots=True)
class RotorCoefficients:
    """One kind of rotor; units in the names, meaning and sources in config/aircraft/*.yaml."""

    thrust_n_s2: float
    moment_m: float
    drag_n_s2_m: float
    rolling_moment_n_s2: float
    inflow_n_s2_m: float
    time_constant_up_s: float
    time_constant_down_s: float
    speed_min_rad_s: float
    speed_max_rad_s: float
    radius_m: float
    power_w_s3: float


@dataclass(frozen=True, slots=True)
class BatteryCoefficients:
    """A battery; ``ocv_cell_v``: open-circuit voltage at evenly spaced charge, 0 to 1.

    Equations in airtwin_physics/battery/model.py. Resistances are the pack's at 25 deg C, well
    charged; ``polarisation_*``: one RC pair; ``cutoff_cell_v``: empty, under load.
    """

    cells: int
    capacity_ah: float
    resistance_ohm: float
    resistance_activation_k: float
    resistance_empty: float
    resistance_empty_charge: float
    polarisation_ohm: float
    polarisation_s: float
    heat_capacity_j_k: float
    cooling_w_k: float
    cutoff_cell_v: float
    avionics_w: float
    speed_per_volt_rad_s_v: float
    ocv_cell_v: Array


@dataclass(frozen=True, slots=True)
class GroundCoefficients:
    """Contact of one foot: spring, damper, Coulomb friction."""

    stiffness_n_m: float
    damping_n_s_m: float
    friction: float


@dataclass(frozen=True, slots=True)
class Aircraft:
    """A multirotor. ``rotor_positions_frd_m``: (n, 3) [m] from the centre of mass.

    ``rotor_turns``: (n,), +1 turns clockwise seen from above (angular momentum down, FRD z).
    ``drag_area_frd_m2``: (3,) cd * A [m^2]. ``feet_frd_m``: (k, 3), lowest points.
    """

    name: str
    mass_kg: float
    inertia_frd_kg_m2: Array
    rotor_positions_frd_m: Array
    rotor_turns: Array
    rotor_inertia_kg_m2: float
    feet_frd_m: Array
    rotors: RotorCoefficients
    drag_area_frd_m2: Array
    battery: BatteryCoefficients
    ground: GroundCoefficients

    @property
    def rotor_count(self) -> int:
        """Return the number of rotors."""
        return int(self.rotor_turns.shape[0])


def folder(kind: str) -> Path:
    """Return the project's ``models`` or ``config`` folder: the checkout's, else the installed.

    Raises:
        AircraftError: there is neither.
    """
    places = [Path(__file__).resolve().parents[3] / kind]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places += [Path(prefix) / "share" / "airtwin_bringup" / kind for prefix in prefixes]
    for place in places:
        if place.is_dir():
            return place
    raise AircraftError(f"no folder {kind!r}; looked at {[str(p) for p in places]}")


def load(name_or_path: str | Path) -> Aircraft:
    """Load ``config/aircraft/<name>.yaml`` (or that path) and the SDF model that it names.

    Raises:
        AircraftError: a file or field is missing or makes no sense.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        path = folder("config") / "aircraft" / f"{name_or_path}.yaml"
    if not path.is_file():
        raise AircraftError(f"no aircraft file {path}")
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or "model" not in data:
        raise AircraftError(f"{path}: no entry 'model'")
    model = Path(str(data["model"]))
    if model.suffix != ".sdf":
        model = folder("models") / str(data["model"]) / "model.sdf"
    mass = mass_properties(model)
    battery = dict(_section(data, "battery", path))
    battery["ocv_cell_v"] = np.array(battery.get("ocv_cell_v", []), dtype=np.float64)
    drag_area = np.array(_section(data, "body", path).get("drag_area_frd_m2", []), dtype=float)
    if drag_area.shape != (3,) or not np.all(drag_area >= 0.0):
        raise AircraftError(f"{path}: body.drag_area_frd_m2 must be three areas")
    if battery["ocv_cell_v"].size < 2 or np.any(np.diff(battery["ocv_cell_v"]) < 0.0):
        raise AircraftError(f"{path}: battery.ocv_cell_v must rise with charge")
    return Aircraft(
        name=path.stem,
        mass_kg=mass.mass_kg,
        inertia_frd_kg_m2=mass.inertia_frd_kg_m2,
        rotor_positions_frd_m=mass.rotor_positions_frd_m,
        rotor_turns=mass.rotor_turns,
        rotor_inertia_kg_m2=mass.rotor_inertia_kg_m2,
        feet_frd_m=mass.feet_frd_m,
        rotors=_fill(RotorCoefficients, _section(data, "rotors", path), path),
        drag_area_frd_m2=drag_area,
        battery=_fill(BatteryCoefficients, battery, path),
        ground=_fill(GroundCoefficients, _section(data, "ground", path), path),
    )


def _section(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = data.get(name)
    if not isinstance(section, dict):
        raise AircraftError(f"{path}: no section {name!r}")
    return section


def _fill(kind: type[Any], section: dict[str, Any], path: Path) -> Any:
    names = {spec.name for spec in fields(kind)}
    if names != set(section):
        missing, unknown = sorted(names - set(section)), sorted(set(section) - names)
        raise AircraftError(f"{path}: {kind.__name__}: missing {missing}, unknown {unknown}")
    for name, value in section.items():
        if not np.all(np.asarray(value, dtype=np.float64) >= 0.0):
            raise AircraftError(f"{path}: {name} is {value}, expected a number >= 0")
    return kind(**section)


def mass_properties(path: Path) -> MassProperties:
    """Read one SDF model: links as one body, rotors by MulticopterMotorModel, feet by name.

    Raises:
        AircraftError: no such file, no mass, a rotor without link.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise AircraftError(f"{path}: {error}") from error
    model = root.find("model")
    if model is None:
        raise AircraftError(f"{path}: no <model>")
    links = {str(link.get("name")): link for link in model.findall("link")}
    masses, centres, inertias = [], [], []
    for name, link in links.items():
        masses.append(_number(link, "inertial/mass", path, name))
        centres.append(_pose(link)[:3] + _pose(link.find("inertial"))[:3])
        inertias.append(_inertia(link, path, name))
        if np.any(_pose(link)[3:]) or np.any(_pose(link.find("inertial"))[3:]):
            raise AircraftError(f"{path}: link {name} is turned; only translated links are read")
    mass = float(np.sum(masses))
    if not mass > 0.0:
        raise AircraftError(f"{path}: mass is {mass} kg")
    centre = np.asarray(masses) @ np.asarray(centres) / mass
    inertia = np.zeros((3, 3))
    for link_mass, link_centre, link_inertia in zip(masses, centres, inertias, strict=True):
        arm = link_centre - centre  # parallel axes (Steiner)
        inertia += link_inertia + link_mass * ((arm @ arm) * np.eye(3) - np.outer(arm, arm))
    positions, turns, spin = _rotors(model, links, path)
    feet = [
        _pose(shape)[:3] - [0.0, 0.0, float(shape.findtext("geometry/sphere/radius", "0"))]
        for shape in model.iter("collision")
        if str(shape.get("name")).startswith("foot_")
    ]
    if not feet:
        raise AircraftError(f"{path}: no collision named foot_*")
    return MassProperties(
        mass_kg=mass,
        centre_flu_m=centre,
        inertia_frd_kg_m2=_FRD_FLU @ inertia @ _FRD_FLU,
        rotor_positions_frd_m=(positions - centre) @ _FRD_FLU,
        rotor_turns=turns,
        rotor_inertia_kg_m2=spin,
        feet_frd_m=(np.array(feet) - centre) @ _FRD_FLU,
    )


def _rotors(
    model: ElementTree.Element, links: dict[str, ElementTree.Element], path: Path
) -> tuple[Array, Array, float]:
    """Return places (n, 3) FLU, turns (n,), inertia about the axis, in order of motorNumber."""
    found: dict[int, tuple[Array, float, float]] = {}
    for plugin in model.findall("plugin"):
        if not str(plugin.get("name")).endswith("MulticopterMotorModel"):
            continue
        link = links.get(plugin.findtext("linkName", ""))
        if link is None:
            raise AircraftError(f"{path}: motor without link {plugin.findtext('linkName')!r}")
        number = int(plugin.findtext("motorNumber", "-1"))
        clockwise = plugin.findtext("turningDirection", "") == "cw"
        spin = float(_inertia(link, path, f"motor {number}")[2, 2])
        found[number] = (_pose(link)[:3], 1.0 if clockwise else -1.0, spin)
    if sorted(found) != list(range(len(found))) or not found:
        raise AircraftError(f"{path}: motor numbers are {sorted(found)}, expected 0, 1, ...")
    rows = [found[number] for number in sorted(found)]
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), rows[0][2]


def _pose(element: ElementTree.Element | None) -> Array:
    text = "" if element is None else element.findtext("pose", "")
    values = np.array([float(word) for word in text.split()], dtype=np.float64)
    return values if values.size == 6 else np.zeros(6)


def _number(element: ElementTree.Element, tag: str, path: Path, name: str) -> float:
    text = element.findtext(tag)
    if text is None:
        raise AircraftError(f"{path}: link {name} has no <{tag}>")
    return float(text)


def _inertia(link: ElementTree.Element, path: Path, name: str) -> Array:
    base = "inertial/inertia/"
    xx, yy, zz = (_number(link, base + tag, path, name) for tag in ("ixx", "iyy", "izz"))
    xy, xz, yz = (float(link.findtext(base + tag, "0")) for tag in ("ixy", "ixz", "iyz"))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
