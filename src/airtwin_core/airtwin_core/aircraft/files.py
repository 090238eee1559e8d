# SPDX-License-Identifier: Apache-2.0
"""Aircraft files: ``load`` reads one, ``write`` writes one with a source beside every value.

The one module of the core, with ``sdf``, that reads and writes files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from airtwin_core.aircraft.data import (
    Aircraft,
    AircraftError,
    BatteryCoefficients,
    GroundCoefficients,
    MassProperties,
    RotorCoefficients,
    Servo,
    Surface,
)
from airtwin_core.aircraft.sdf import FRD_FLU, mass_properties
from airtwin_core.types import Array

_SECTIONS = {"model", "mass", "rotors", "pushers", "effectiveness", "body", "battery", "ground"}
_SECTIONS |= {"servos", "surfaces"}


def folder(kind: str) -> Path:
    """Return the project's ``models`` or ``config`` folder: the checkout's, else the installed.

    Raises:
        AircraftError: there is neither.
    """
    places = [Path(__file__).resolve().parents[4] / kind]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places += [Path(prefix) / "share" / "airtwin_bringup" / kind for prefix in prefixes]
    for place in places:
        if place.is_dir():
            return place
    raise AircraftError(f"no folder {kind!r}; looked at {[str(p) for p in places]}")


def path_of(name_or_path: str | Path) -> Path:
    """Return the path of an aircraft file by its name in ``config/aircraft`` or as given.

    Raises:
        AircraftError: there is no such file.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        path = folder("config") / "aircraft" / f"{name_or_path}.yaml"
    if not path.is_file():
        raise AircraftError(f"no aircraft file {path}")
    return path


def read(name_or_path: str | Path) -> dict[str, Any]:
    """Return the sections of an aircraft file as they stand there; ``write`` takes them again.

    Raises:
        AircraftError: no such file, no YAML, a section that is not known.
    """
    path = path_of(name_or_path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AircraftError(f"{path}: {error}") from error
    except RecursionError:
        raise AircraftError(f"{path}: nested too deeply to be an aircraft file") from None
    if not isinstance(data, dict) or "model" not in data:
        raise AircraftError(f"{path}: no entry 'model'")
    unknown = sorted(str(key) for key in data if key not in _SECTIONS)
    if unknown:
        raise AircraftError(f"{path}: unknown sections {unknown}")
    return data


def load(name_or_path: str | Path) -> Aircraft:
    """Load ``config/aircraft/<name>.yaml`` (or that path) and the SDF model that it names.

    Raises:
        AircraftError: a file or field is missing or makes no sense.
    """
    path = path_of(name_or_path)
    data = read(path)
    model = Path(str(data["model"]))
    if model.suffix != ".sdf":
        model = folder("models") / str(data["model"]) / "model.sdf"
    mass = _measured_mass(mass_properties(model), data, path)
    centre_frd = mass.centre_flu_m @ FRD_FLU
    count = int(mass.rotor_turns.size)
    battery = {"learned_discharges": 0} | _section(data, "battery", path)
    battery["ocv_cell_v"] = _vector(battery.get("ocv_cell_v", []), path, "battery.ocv_cell_v")
    if battery["ocv_cell_v"].size < 2 or np.any(np.diff(battery["ocv_cell_v"]) < 0.0):
        raise AircraftError(f"{path}: battery.ocv_cell_v must rise with charge")
    drag_area = _vector(
        _section(data, "body", path).get("drag_area_frd_m2", []), path, "drag area"
    )
    if drag_area.shape != (3,) or not np.all(drag_area >= 0.0):
        raise AircraftError(f"{path}: body.drag_area_frd_m2 must be three areas")
    pushers, motors = _pushers(data, count, path)
    effect = _vector(data.get("effectiveness", [1.0] * count), path, "effectiveness")
    if effect.shape != (count,) or not np.all((effect >= 0.0) & (effect <= 2.0)):
        raise AircraftError(f"{path}: effectiveness must be {count} numbers from 0 to 2")
    filled: BatteryCoefficients = _fill(BatteryCoefficients, battery, path)
    if not (filled.cells > 0 and filled.capacity_ah > 0.0):
        raise AircraftError(f"{path}: battery.cells and capacity_ah must be more than 0")
    servos = tuple(_servo(item, path) for item in _items(data, "servos", path))
    return Aircraft(
        name=path.stem,
        mass_kg=mass.mass_kg,
        inertia_frd_kg_m2=mass.inertia_frd_kg_m2,
        rotor_positions_frd_m=mass.rotor_positions_frd_m,
        rotor_turns=mass.rotor_turns,
        rotor_inertia_kg_m2=mass.rotor_inertia_kg_m2,
        feet_frd_m=mass.feet_frd_m,
        rotors=_rotor(_section(data, "rotors", path), path),
        drag_area_frd_m2=drag_area,
        battery=filled,
        ground=_fill(GroundCoefficients, _section(data, "ground", path), path),
        rotor_axes_frd=mass.rotor_axes_frd,
        foot_rolls=mass.foot_rolls,
        foot_servos=_steering(mass, servos, path),
        rotor_effectiveness=effect,
        pushers=pushers,
        pusher_motors=motors,
        surfaces=_surfaces(data, servos, centre_frd, count, path),
        servos=servos,
    )


def write(
    path: Path, data: Mapping[str, Any], sources: Mapping[str, str], *, headline: str
) -> None:
    """Write an aircraft file: ``data`` as from ``read``, ``sources`` by "section.name".

    What ``sources`` does not name is written without a comment. ``load`` reads it back.

    Raises:
        AircraftError: a source for something that is not there, or the file can't be written.
    """
    known = {f"{s}.{n}" for s, values in data.items() if isinstance(values, dict) for n in values}
    unknown = sorted(set(sources) - known - set(data))
    if unknown:
        raise AircraftError(f"{path}: sources for {unknown}, which the aircraft does not have")
    lines = ["# SPDX-License-Identifier: Apache-2.0", *(f"# {x}" for x in headline.splitlines())]
    for section, values in data.items():
        lines.append("")
        lines += [f"# {x}" for x in sources.get(section, "").splitlines()]
        if not isinstance(values, dict):
            lines += yaml.safe_dump({section: _plain(values)}, sort_keys=False).splitlines()
            continue
        lines.append(f"{section}:")
        for name, value in values.items():
            lines += [f"  # {x}" for x in sources.get(f"{section}.{name}", "").splitlines()]
            flow = yaml.safe_dump(_plain(value), default_flow_style=True, width=80)
            first, *more = flow.removesuffix("...\n").splitlines()
            lines += [f"  {name}: {first}", *(f"    {x}" for x in more)]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise AircraftError(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """Return what YAML can write: lists and floats for arrays."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _measured_mass(mass: MassProperties, data: dict[str, Any], path: Path) -> MassProperties:
    """Return the SDF's mass properties with what the file's section ``mass`` knows better.

    ``mass_kg``; ``shift_frd_m``: the centre of mass lies there from the SDF's. The inertia is
    scaled with the mass and not moved: shifts are small.
    """
    if "mass" not in data:
        return mass
    section = _section(data, "mass", path)
    if not set(section) <= {"mass_kg", "shift_frd_m"}:
        raise AircraftError(f"{path}: mass has {sorted(section)}, expected mass_kg, shift_frd_m")
    kg = _number(section.get("mass_kg", mass.mass_kg), path, "mass.mass_kg")
    shift = _vector(section.get("shift_frd_m", [0.0, 0.0, 0.0]), path, "mass.shift_frd_m")
    if not kg > 0.0 or shift.shape != (3,):
        raise AircraftError(f"{path}: mass.mass_kg must be more than 0, shift_frd_m three lengths")
    return MassProperties(
        mass_kg=kg,
        centre_flu_m=mass.centre_flu_m + shift @ FRD_FLU,
        inertia_frd_kg_m2=mass.inertia_frd_kg_m2 * (kg / mass.mass_kg),
        rotor_positions_frd_m=mass.rotor_positions_frd_m - shift,
        rotor_turns=mass.rotor_turns,
        rotor_inertia_kg_m2=mass.rotor_inertia_kg_m2,
        feet_frd_m=mass.feet_frd_m - shift,
        rotor_axes_frd=mass.rotor_axes_frd,
        foot_rolls=mass.foot_rolls,
        foot_steered=mass.foot_steered,
    )


def _steering(mass: MassProperties, servos: tuple[Servo, ...], path: Path) -> Array:
    """Return (k,) the servo of each foot: that named ``wheel`` for wheels named ``*_steered``."""
    names = [servo.name for servo in servos]
    if mass.foot_steered.any() and "wheel" not in names:
        raise AircraftError(f"{path}: a wheel is steered, and no servo is named 'wheel': {names}")
    wheel = names.index("wheel") if "wheel" in names else -1
    return np.where(mass.foot_steered, wheel, -1)


def _pushers(
    data: dict[str, Any], count: int, path: Path
) -> tuple[RotorCoefficients | None, tuple[int, ...]]:
    if "pushers" not in data:
        return None, ()
    section = dict(_section(data, "pushers", path))
    motors = section.pop("motors", None)
    if not isinstance(motors, list) or not motors or not set(motors) <= set(range(count)):
        raise AircraftError(f"{path}: pushers.motors is {motors}, expected some of 0..{count - 1}")
    return _rotor(section, path), tuple(int(motor) for motor in motors)


def _rotor(section: dict[str, Any], path: Path) -> RotorCoefficients:
    rotor: RotorCoefficients = _fill(RotorCoefficients, {"thrust_factor": 0.0} | section, path)
    for name in ("time_constant_up_s", "time_constant_down_s", "radius_m"):
        if not getattr(rotor, name) > 0.0:
            raise AircraftError(f"{path}: {name} must be more than 0")
    if not rotor.speed_max_rad_s > rotor.speed_min_rad_s:
        raise AircraftError(f"{path}: speed_max_rad_s must be more than speed_min_rad_s")
    if not 0.0 <= rotor.thrust_factor <= 1.0:
        raise AircraftError(f"{path}: thrust_factor (PX4's THR_MDL_FAC) must be 0 to 1")
    return rotor


def _servo(item: dict[str, Any], path: Path) -> Servo:
    names = {spec.name for spec in fields(Servo)}
    if set(item) != names:
        raise AircraftError(f"{path}: a servo has {sorted(item)}, expected {sorted(names)}")
    least, most, tau = (
        _number(item[key], path, f"servo {item['name']}: {key}")
        for key in ("least_rad", "most_rad", "time_constant_s")
    )
    if not (least <= 0.0 <= most and least < most and tau > 0.0):
        raise AircraftError(f"{path}: servo {item['name']}: limits around 0, time constant > 0")
    return Servo(str(item["name"]), least, most, tau)


_BY_DEFAULT: dict[str, Any] = {"servo": None, "gain": 1.0, "flap": 0.0, "flap_moment": 0.0}
_BY_DEFAULT |= {"wash_rotor": -1, "wash": 0.0, "moment_0": 0.0, "lift_0": 0.0, "mirror": None}
_BY_DEFAULT |= {"downwash_of": None, "downwash": 0.0}
_NO_NUMBERS = ("name", "servo", "place_frd_m", "forward_frd", "normal_frd")


def _surfaces(
    data: dict[str, Any], servos: tuple[Servo, ...], centre: Array, count: int, path: Path
) -> tuple[Surface, ...]:
    """Return the surfaces; one with ``mirror`` gets a twin on the left.

    ``mirror`` names what is different there: ``servo``, ``gain``, ``wash_rotor``, or nothing.
    """
    found: list[Surface] = []
    for item in _items(data, "surfaces", path):
        names = {spec.name for spec in fields(Surface)}
        missing = sorted(names - set(item) - set(_BY_DEFAULT))
        unknown = sorted(set(item) - names - set(_BY_DEFAULT))
        if missing or unknown:
            raise AircraftError(
                f"{path}: surface {item.get('name')}: missing {missing}, unknown {unknown}"
            )
        full = _BY_DEFAULT | item
        mirror = full.pop("mirror")
        ahead = [surface.name for surface in found]
        found.append(_surface(full, servos, centre, count, ahead, path))
        if mirror is None:
            continue
        if not isinstance(mirror, dict) or not set(mirror) <= {"servo", "gain", "wash_rotor"}:
            raise AircraftError(f"{path}: surface {item['name']}: mirror is {mirror}")
        twin = full | mirror | {"name": f"{full['name']}_left"}
        for key in ("place_frd_m", "forward_frd", "normal_frd"):
            twin[key] = (_vector(full[key], path, key) * [1.0, -1.0, 1.0]).tolist()
        found.append(_surface(twin, servos, centre, count, ahead, path))
    return tuple(found)


def _surface(
    item: dict[str, Any],
    servos: tuple[Servo, ...],
    centre: Array,
    count: int,
    ahead: list[str],
    path: Path,
) -> Surface:
    what = f"surface {item['name']}"
    values: dict[str, Any] = {
        key: _number(value, path, f"{what}: {key}")
        for key, value in item.items()
        if key not in (*_NO_NUMBERS, "wash_rotor", "downwash_of")
    }
    for key in ("area_m2", "chord_m", "span_m", "aspect_ratio", "oswald", "lift_slope"):
        if not values[key] > 0.0:
            raise AircraftError(f"{path}: {what}: {key} must be more than 0")
    if not (0.0 < values["stall_rad"] < math.pi / 2 and 0.0 < values["stall_sharpness"] <= 100.0):
        raise AircraftError(f"{path}: {what}: stall_rad in (0, pi/2), sharpness in (0, 100]")
    if not (values["drag_0"] >= 0.0 and 0.0 <= values["wash"] <= 1.0):
        raise AircraftError(f"{path}: {what}: drag_0 must be at least 0, wash from 0 to 1")
    for key in ("place_frd_m", "forward_frd", "normal_frd"):
        values[key] = _vector(item[key], path, f"{what}: {key}")
        if values[key].shape != (3,):
            raise AircraftError(f"{path}: {what}: {key} must be three numbers")
    values["place_frd_m"] = values["place_frd_m"] - centre
    for key in ("forward_frd", "normal_frd"):
        length = float(np.linalg.norm(values[key]))
        if not length > 0.0:
            raise AircraftError(f"{path}: {what}: {key} has no length")
        values[key] = values[key] / length
    if abs(values["forward_frd"] @ values["normal_frd"]) > 1e-3:
        raise AircraftError(f"{path}: {what}: forward_frd and normal_frd must be at right angles")
    servo_names = [servo.name for servo in servos]
    if item["servo"] is not None and item["servo"] not in servo_names:
        raise AircraftError(f"{path}: {what}: no servo {item['servo']!r} among {servo_names}")
    wash_rotor = item["wash_rotor"]
    if not isinstance(wash_rotor, int) or not -1 <= wash_rotor < count:
        raise AircraftError(f"{path}: {what}: wash_rotor is {wash_rotor}")
    return Surface(
        name=str(item["name"]),
        servo=-1 if item["servo"] is None else servo_names.index(item["servo"]),
        wash_rotor=wash_rotor,
        downwash_of=_wing_ahead(item, ahead, path),
        **values,
    )


def _wing_ahead(item: dict[str, Any], ahead: list[str], path: Path) -> int:
    """Return which of the surfaces ``ahead`` turns the flow down, or -1."""
    wing, downwash = item["downwash_of"], item["downwash"]
    if (wing is not None and wing not in ahead) or not 0.0 <= downwash <= 1.0:
        raise AircraftError(
            f"{path}: surface {item['name']}: downwash from 0 to 1, of one of {ahead}"
        )
    return -1 if wing is None else ahead.index(wing)


def _items(data: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    items = data.get(name, [])
    if not isinstance(items, list) or not all(isinstance(i, dict) and "name" in i for i in items):
        raise AircraftError(f"{path}: {name} must be a list of entries with a name")
    return items


def _section(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = data.get(name)
    if not isinstance(section, dict):
        raise AircraftError(f"{path}: no section {name!r}")
    return section


def _number(value: Any, path: Path, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AircraftError(f"{path}: {name} is {value!r}, expected a number")
    return float(value)


def _vector(value: Any, path: Path, name: str) -> Array:
    if not isinstance(value, list):
        raise AircraftError(f"{path}: {name} is {value!r}, expected a list of numbers")
    return np.array([_number(item, path, name) for item in value], dtype=np.float64)


def _fill(kind: type[Any], section: dict[str, Any], path: Path) -> Any:
    names = {spec.name for spec in fields(kind)}
    if names != set(section):
        missing, unknown = sorted(names - set(section)), sorted(set(section) - names)
        raise AircraftError(f"{path}: {kind.__name__}: missing {missing}, unknown {unknown}")
    for name, value in section.items():
        for number in value if isinstance(value, np.ndarray) else [_number(value, path, name)]:
            if not number >= 0.0:
                raise AircraftError(f"{path}: {name} is {value}, expected a number >= 0")
    return kind(**section)
