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


@pytest.mark.parametrize("name", ["x500", "sihsim_quadx"])
def test_yaml_and_sdf_state_the_same_motor(name: str) -> None:
    rotors = aircraft.load(name).rotors
    model = ElementTree.parse(aircraft.folder("models") / name / "model.sdf")
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


def test_the_quad_of_sih_pushes_and_drags_as_px4_s_simulator_does() -> None:
    """Its parameters: 1 kg, 5 N a rotor in proportion to the command, 1 N/(m/s) of drag."""
    sih = aircraft.load("sihsim_quadx")
    assert sih.mass_kg == pytest.approx(1.0)
    np.testing.assert_allclose(np.diag(sih.inertia_frd_kg_m2), [0.025, 0.025, 0.03], rtol=1e-3)
    np.testing.assert_allclose(
        sih.rotor_positions_frd_m[:, :2], 0.2 * np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])
    )
    rotor, hover, thrust_max_n = sih.rotors, 9.80665 / 4 / 5.0, 5.0

    def speed(command: float) -> float:
        span = rotor.speed_max_rad_s - rotor.speed_min_rad_s
        return rotor.speed_min_rad_s + command * span

    for away in (-0.1, 0.0, 0.1):
        thrust_n = rotor.thrust_n_s2 * speed(hover + away) ** 2
        assert thrust_n == pytest.approx(thrust_max_n * (hover + away), rel=0.015)
    slope_n = rotor.thrust_n_s2 * (speed(hover + 0.01) ** 2 - speed(hover - 0.01) ** 2) / 0.02
    assert slope_n == pytest.approx(thrust_max_n, rel=0.002)
    assert rotor.moment_m * thrust_max_n == pytest.approx(0.1)
    for drag in (rotor.drag_n_s2_m, rotor.inflow_n_s2_m):
        assert 4 * drag * speed(hover) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: x500", "model: nowhere", "nowhere"),
        ("moment_m:", "momemt_m:", "missing \\['moment_m'\\], unknown \\['momemt_m'\\]"),
        ("capacity_ah: 5.0", "capacity_ah: -5.0", "capacity_ah is -5.0"),
        ("capacity_ah: 5.0", "capacity_ah: .nan", "capacity_ah is nan"),
        ("body:", "bodies:", r"unknown sections \['bodies'\]"),
        ("[3.27, 3.57", "[3.67, 3.57", "must rise"),
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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<mass>", "<mass>heavy ", "is 'heavy"),
        ("<mass>", "<mass>1e999</mass><was>", "inertial/mass of .* is '1e999'"),
        ("<ixx>", "<ixx>nan</ixx><was>", "ixx of .* is 'nan'"),
        ("<ixx>", "<ixx>-9</ixx><was>", "no body has this inertia"),
        ("<motorNumber>", "<motorNumber>one ", "motorNumber is 'one"),
        ("<radius>", "<radius>wide ", "radius is .wide"),
    ],
)
def test_a_model_of_no_body_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (aircraft.folder("models") / "x500" / "model.sdf").read_text(encoding="utf-8")
    at = text.index(old) + len(old)
    rest = text[at:].replace(f"</{old[1:]}", "</was>", 1) if "<was>" in new else text[at:]
    sdf = tmp_path / "model.sdf"
    sdf.write_text(text[: at - len(old)] + new + rest, encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match=said):
        aircraft.mass_properties(sdf)


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 700, encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match="nested too deeply"):
        aircraft.read(deep)


NAMES = sorted(p.stem for p in (aircraft.folder("config") / "aircraft").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_an_aircraft_can_be_written_and_read_again(name: str, tmp_path: Path) -> None:
    data = aircraft.read(name)
    data["mass"] = {"mass_kg": np.float64(1.5), "shift_frd_m": np.array([0.01, 0.0, 0.0])}
    data["rotors"]["thrust_n_s2"] = 1.25e-5
    path = tmp_path / "found.yaml"
    sources = {"rotors.thrust_n_s2": "fit of log a\n95 % within 1 %", "mass": "hover of log a"}
    aircraft.write(path, data, sources, headline="Found in flight.")
    again, before = aircraft.load(path), aircraft.load(name)
    assert again.mass_kg == 1.5
    assert again.rotors.thrust_n_s2 == 1.25e-5
    assert again.surfaces[:0] == before.surfaces[:0]
    assert len(again.surfaces) == len(before.surfaces)
    np.testing.assert_allclose(
        again.rotor_positions_frd_m, before.rotor_positions_frd_m - [0.01, 0.0, 0.0]
    )
    assert "  # 95 % within 1 %\n  thrust_n_s2: 1.25e-05" in path.read_text(encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match="sources for"):
        aircraft.write(path, data, {"rotors.nothing": "x"}, headline="x")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("servo: aileron", "servo: flaperon", "no servo 'flaperon'"),
        ("stall_rad: 0.47", "stall_rad: 4.7", "stall_rad in"),
        ("normal_frd: [0.0, 1.0, 0.0]", "normal_frd: [1.0, 0.0, 0.0]", "right angles"),
        ("area_m2: 0.0432", "area_m2: .nan", "area_m2 is nan"),
        ("aspect_ratio: 5.33", "aspect_ratio: 0", "aspect_ratio must be more than 0"),
        ("mirror: {gain: 1.0}", "mirror: {colour: red}", "mirror is"),
        ("least_rad: -0.4363", "least_rad: 0.5", "limits around 0"),
        ("span_m: 0.48\n", "span_m: 0.48\n    twist: 3\n", "unknown \\['twist'\\]"),
        ("downwash_of: wing", "downwash_of: fin", "downwash from 0 to 1, of one of"),
        ("downwash: 0.5034", "downwash: 1.5", "downwash from 0 to 1"),
        ("servos:", "servos: 3\nold:", "unknown sections"),
    ],
)
def test_a_broken_wing_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (aircraft.folder("config") / "aircraft" / "aerosonde.yaml").read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(aircraft.AircraftError, match=said):
        aircraft.load(broken)


def test_the_sdf_states_the_same_motors_for_all() -> None:
    for name in NAMES:
        craft = aircraft.load(name)
        model = ElementTree.parse(aircraft.folder("models") / name / "model.sdf")
        for plugin in model.iter("plugin"):
            said = {child.tag: child.text for child in plugin}
            rotor = craft.rotor(int(said["motorNumber"] or -1))
            assert float(said["motorConstant"] or "nan") == pytest.approx(rotor.thrust_n_s2)
            assert float(said["momentConstant"] or "nan") == pytest.approx(rotor.moment_m)
            assert float(said["maxRotVelocity"] or "nan") == rotor.speed_max_rad_s


def test_the_octocopter_has_px4s_numbering_and_the_tailsitter_pulls_forward() -> None:
    # PX4, src/lib/mixer/MultirotorMixer/geometries/octa_x.toml: clockwise 0, 1, 6, 7
    octo = aircraft.load("octocopter")
    np.testing.assert_array_equal(octo.rotor_turns, [1, 1, -1, -1, -1, -1, 1, 1])
    assert octo.rotor_positions_frd_m[0, :2] == pytest.approx(
        0.5225 * np.array([0.9239, 0.3827]), abs=1e-3
    )
    tail = aircraft.load("tailsitter")
    np.testing.assert_allclose(tail.rotor_axes_frd, [[1, 0, 0], [1, 0, 0]], atol=1e-12)
    vtol = aircraft.load("standard_vtol")
    assert vtol.rotor(4) is vtol.pushers
    np.testing.assert_allclose(vtol.rotor_axes_frd[:, 2], [-1, -1, -1, -1, 0], atol=1e-12)
