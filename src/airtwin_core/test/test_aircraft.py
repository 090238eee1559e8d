# SPDX-License-Identifier: Apache-2.0
"""The aircraft files: against hand calculation, against each other, and when they are broken."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from airtwin_core import aircraft


def test_x500_is_the_aircraft_that_its_sources_say() -> None:
    x500 = aircraft.load("x500")
    assert x500.mass_kg == pytest.approx(2.0 + 4 * 0.0160769)
    # rotors 0.06 m above the hull's centre lift the centre of mass by 4 * m * 0.06 / M
    lift = 4 * 0.0160769 * 0.06 / x500.mass_kg
    assert x500.rotor_positions_frd_m[0] == pytest.approx([0.174, 0.174, -(0.06 - lift)])
    # PX4's numbering: 0 front right and 1 rear left turn counter-clockwise, 2 and 3 clockwise
    np.testing.assert_array_equal(x500.rotor_turns, [-1, -1, 1, 1])
    np.testing.assert_array_equal(
        np.sign(x500.rotor_positions_frd_m[:, :2]), [[1, 1], [-1, -1], [1, -1], [-1, 1]]
    )
    # Steiner: yaw inertia is the hull's, the rotors' own, and four masses at 0.174 * sqrt(2)
    yaw = 0.04 + 4 * (2.6498582e-05 + 0.0160769 * 2 * 0.174**2)
    assert x500.inertia_frd_kg_m2[2, 2] == pytest.approx(yaw)
    assert np.all(np.linalg.eigvalsh(x500.inertia_frd_kg_m2) > 0.0)
    assert x500.feet_frd_m[:, 2] == pytest.approx(np.full(4, 0.227 + lift))


def test_yaml_and_sdf_state_the_same_motor() -> None:
    rotors = aircraft.load("x500").rotors
    model = ElementTree.parse(aircraft.folder("models") / "x500" / "model.sdf")
    for plugin in model.iter("plugin"):
        said = {child.tag: child.text for child in plugin}
        assert float(said["motorConstant"]) == rotors.thrust_n_s2
        assert float(said["momentConstant"]) == rotors.moment_m
        assert float(said["rotorDragCoefficient"]) == rotors.drag_n_s2_m
        assert float(said["maxRotVelocity"]) == rotors.speed_max_rad_s


def test_hover_is_where_gazebo_has_it() -> None:
    # ../shared/gazebo/README: some 770 rad/s on all rotors is hover
    x500 = aircraft.load("x500")
    hover = np.sqrt(x500.mass_kg * 9.80665 / 4 / x500.rotors.thrust_n_s2)
    assert hover == pytest.approx(770, abs=3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: x500", "model: nowhere", "nowhere"),
        ("moment_m:", "momemt_m:", "missing \\['moment_m'\\], unknown \\['momemt_m'\\]"),
        ("capacity_ah: 5.0", "capacity_ah: -5.0", "capacity_ah is -5.0"),
        ("capacity_ah: 5.0", "capacity_ah: .nan", "capacity_ah is nan"),
        ("body:", "bodies:", r"unknown sections \['bodies'\]"),
        ("[3.27, 3.61", "[3.67, 3.61", "must rise"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (aircraft.folder("config") / "aircraft" / "x500.yaml").read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match=said):
        aircraft.load(broken)


def test_a_model_without_mass_is_refused(tmp_path: Path) -> None:
    sdf = tmp_path / "model.sdf"
    sdf.write_text("<sdf><model><link name='a'/></model></sdf>", encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match="link a has no <inertial/mass>"):
        aircraft.mass_properties(sdf)
