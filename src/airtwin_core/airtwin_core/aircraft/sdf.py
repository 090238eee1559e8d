# SPDX-License-Identifier: Apache-2.0
"""Mass properties and places from an SDF model: FLU around its origin in, FRD out."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from airtwin_core.aircraft.data import AircraftError, MassProperties
from airtwin_core.types import Array

FRD_FLU = np.diag([1.0, -1.0, -1.0])


def mass_properties(path: Path) -> MassProperties:
    """Read one SDF model: links as one body, rotors by MulticopterMotorModel, feet by name.

    Raises:
        AircraftError: no such file, no mass, no number, an inertia of no body, a rotor without
            link.
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
        here, inside = _pose(link, path), _pose(link.find("inertial"), path)
        centres.append(here[:3] + inside[:3])
        inertias.append(_inertia(link, path, name))
        if np.any(here[3:]) or np.any(inside[3:]):
            raise AircraftError(f"{path}: link {name} is turned; only translated links are read")
    mass = float(np.sum(masses))
    if not mass > 0.0:
        raise AircraftError(f"{path}: mass is {mass} kg")
    centre = np.asarray(masses) @ np.asarray(centres) / mass
    inertia = np.zeros((3, 3))
    for link_mass, link_centre, link_inertia in zip(masses, centres, inertias, strict=True):
        arm = link_centre - centre  # parallel axes (Steiner)
        inertia += link_inertia + link_mass * ((arm @ arm) * np.eye(3) - np.outer(arm, arm))
    if not np.linalg.eigvalsh(inertia)[0] > 0.0:
        raise AircraftError(f"{path}: no body has this inertia: an axis with none, or less")
    positions, axes, turns, spin = _rotors(model, links, path)
    feet, rolls, steered = [], [], []
    for shape in model.iter("collision"):
        kind = str(shape.get("name")).partition("_")[0]
        if kind in ("foot", "wheel"):
            radius = _scalar(shape.findtext("geometry/sphere/radius", "0"), path, "radius")
            feet.append(_pose(shape, path)[:3] - radius * _lowest(shape))
            rolls.append(1.0 if kind == "wheel" else 0.0)
            steered.append(kind == "wheel" and str(shape.get("name")).endswith("_steered"))
    if not feet:
        raise AircraftError(f"{path}: no collision named foot_* or wheel_*")
    return MassProperties(
        mass_kg=mass,
        centre_flu_m=centre,
        inertia_frd_kg_m2=FRD_FLU @ inertia @ FRD_FLU,
        rotor_positions_frd_m=(positions - centre) @ FRD_FLU,
        rotor_turns=turns,
        rotor_inertia_kg_m2=spin,
        feet_frd_m=(np.array(feet) - centre) @ FRD_FLU,
        rotor_axes_frd=axes @ FRD_FLU,
        foot_rolls=np.array(rolls),
        foot_steered=np.array(steered),
    )


def _rotors(
    model: ElementTree.Element, links: dict[str, ElementTree.Element], path: Path
) -> tuple[Array, Array, Array, float]:
    """Return places (n, 3), axes (n, 3) FLU, turns (n,), inertia about the axis, by motorNumber.

    The axis is the joint's; thrust acts along it, as in Gazebo's MulticopterMotorModel.
    """
    found: dict[int, tuple[Array, Array, float, float]] = {}
    joints = {str(joint.get("name")): joint for joint in model.findall("joint")}
    for plugin in model.findall("plugin"):
        if not str(plugin.get("name")).endswith("MulticopterMotorModel"):
            continue
        link = links.get(plugin.findtext("linkName", ""))
        if link is None:
            raise AircraftError(f"{path}: motor without link {plugin.findtext('linkName')!r}")
        number = int(_scalar(plugin.findtext("motorNumber", "-1"), path, "motorNumber"))
        clockwise = plugin.findtext("turningDirection", "") == "cw"
        joint = joints.get(plugin.findtext("jointName", ""))
        words = "" if joint is None else joint.findtext("axis/xyz", "")
        axis = _values(words, path, "axis/xyz")
        if axis.shape != (3,) or not np.linalg.norm(axis) > 0.0:
            raise AircraftError(f"{path}: motor {number} has no joint with an axis")
        axis /= np.linalg.norm(axis)
        spin = float(axis @ _inertia(link, path, f"motor {number}") @ axis)
        found[number] = (_pose(link, path)[:3], axis, 1.0 if clockwise else -1.0, spin)
    if sorted(found) != list(range(len(found))) or not found:
        raise AircraftError(f"{path}: motor numbers are {sorted(found)}, expected 0, 1, ...")
    rows = [found[number] for number in sorted(found)]
    if any(abs(row[3] - rows[0][3]) > 1e-9 for row in rows):
        raise AircraftError(f"{path}: rotors of different inertia are not modelled")
    places, axes, turns = (np.array([row[k] for row in rows]) for k in range(3))
    return places, axes, turns, rows[0][3]


def _lowest(shape: ElementTree.Element) -> Array:
    """Return the direction (3,) FLU from a foot's centre away from the ground it stands on.

    Up; for a foot below a tail (its name ends in ``_aft``) forward, as it stands nose up.
    """
    if str(shape.get("name")).endswith("_aft"):
        return np.array([1.0, 0.0, 0.0])
    return np.array([0.0, 0.0, 1.0])


def _pose(element: ElementTree.Element | None, path: Path) -> Array:
    values = _values("" if element is None else element.findtext("pose", ""), path, "pose")
    return values if values.size == 6 else np.zeros(6)


def _values(text: str, path: Path, what: str) -> Array:
    try:
        values = np.array([float(word) for word in text.split()], dtype=np.float64)
    except ValueError:
        raise AircraftError(f"{path}: {what} is {text!r}, not a number") from None
    if not np.isfinite(values).all():
        raise AircraftError(f"{path}: {what} is {text!r}")
    return values


def _scalar(text: str, path: Path, what: str) -> float:
    values = _values(text, path, what)
    if values.size != 1:
        raise AircraftError(f"{path}: {what} is {text!r}, not one number")
    return float(values[0])


def _number(element: ElementTree.Element, tag: str, path: Path, name: str) -> float:
    text = element.findtext(tag)
    if text is None:
        raise AircraftError(f"{path}: link {name} has no <{tag}>")
    return _scalar(text, path, f"{tag} of {name}")


def _inertia(link: ElementTree.Element, path: Path, name: str) -> Array:
    base = "inertial/inertia/"
    xx, yy, zz = (_number(link, base + tag, path, name) for tag in ("ixx", "iyy", "izz"))
    xy, xz, yz = (
        _scalar(link.findtext(base + tag, "0"), path, f"{tag} of {name}")
        for tag in ("ixy", "ixz", "iyz")
    )
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
