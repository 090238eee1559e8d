# SPDX-License-Identifier: Apache-2.0
"""A new aircraft file out of flights: what changes, what stays, and what is refused aloud."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from airtwin_core import aircraft as aircraft_files
from airtwin_core.types import Parameter
from airtwin_physics import battery
from airtwin_physics.identify import fit as fitting
from airtwin_physics.identify import level_wind, rows
from airtwin_physics.identify.aircraft_text import Change, rewritten
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_record import identify, identify_battery
from airtwin_record.flight import UnusableFlight
from airtwin_record.flight_blocks import FlightBlocks

X500 = aircraft_files.load("x500")
X500_TEXT = (aircraft_files.folder("config") / "aircraft" / "x500.yaml").read_text()
SHARED = Path(__file__).parents[4] / "shared"
SQUARE = SHARED / "px4" / "recordings" / "px4_1.18_sih_quad_offboard_square.ulg"
OCTO = SHARED / "data" / "ulog" / "px4_v1.8_octo_baro_failure_in_flight.ulg"
WING = SHARED / "data" / "ulog" / "px4_v1.11_fixedwing_takeoff_rtkgps_airspeed.ulg"


def test_a_change_keeps_all_other_lines_and_the_old_value():
    changes = (
        Change("rotors.drag_n_s2_m", "1.0e-04", "identified from a.ulg"),
        Change("mass.mass_kg", "2.5", "weighed"),
        Change("mass.shift_frd_m", "[0.01, 0.0, 0.0]", "identified from a.ulg"),
        Change("battery.ocv_cell_v", "[3.0, 4.2]", "measured"),
    )
    text = rewritten(X500_TEXT, changes, "made by a test")
    before, after = yaml.safe_load(X500_TEXT), yaml.safe_load(text)
    assert after["mass"] == {"mass_kg": 2.5, "shift_frd_m": [0.01, 0.0, 0.0]}
    assert float(after["rotors"]["drag_n_s2_m"]) == 1.0e-4
    assert after["battery"]["ocv_cell_v"] == [3.0, 4.2]
    for section, values in before.items():
        if isinstance(values, dict):
            rest = {k: v for k, v in values.items() if k not in ("drag_n_s2_m", "ocv_cell_v")}
            assert rest.items() <= after[section].items()
    assert "was 8.06428e-05 ([N s^2/(m rad)] rotorDragCoefficient" in text
    lost = set(X500_TEXT.splitlines()) - set(text.splitlines())
    assert all("drag_n_s2_m" in x or "ocv_cell" in x or "3.85" in x for x in lost)
    assert text.splitlines()[0].startswith("# SPDX")


def blocks(rng, count, theta, winds):
    """Return blocks (count, width) that obey the model of ``theta`` to the sensors' noise."""
    craft, n = rows.craft(X500), X500.rotor_count
    out = np.zeros((count, rows.width(n)))
    t = 0.1 * np.arange(count)
    out[:, rows.SPAN], out[:, rows.STAMP] = 0.1, t
    out[:, rows.HEIGHT] = 10.0
    out[:, rows.VELOCITY] = 7.0 * np.sin(0.5 * t)
    out[:, rows.VELOCITY + 1] = 7.0 * np.sin(0.31 * t + 1.0)
    out[:, rows.ROTATION : rows.ROTATION + 9] = np.eye(3).ravel()
    speed = 770.0 + 15.0 * rng.normal(size=(count, n))
    out[:, rows.SQUARE : rows.SQUARE + n] = speed**2
    out[:, rows.SQUARE + n : rows.SQUARE + 2 * n] = speed
    expected = level_wind.expected(theta, winds, out, craft)[0]
    noise = rng.normal(size=(count, 6)) * [0.05, 0.05, 0.05, 0.2, 0.2, 0.05]
    out[:, rows.FORCE : rows.FORCE + 3] = (expected + noise)[:, :3]
    out[:, rows.TURN : rows.TURN + 3] = (expected + noise)[:, 3:]
    return out


def test_the_fit_finds_what_was_put_in_and_its_errors_are_of_its_sigmas():
    """Truth drawn from the prior; normalised error squared over flights as chi-square has it."""
    config, craft = IdentifyConfig(), rows.craft(X500)
    names = [rows.MASS, rows.CENTRE_X, rows.CENTRE_Y, rows.ROTOR_DRAG, rows.EFFECT + 1]
    total = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = np.zeros(rows.size(X500.rotor_count))
        truth[rows.MASS] = 0.2 * rng.normal()
        truth[[rows.CENTRE_X, rows.CENTRE_Y]] = 0.01 * rng.normal(size=2)
        truth[rows.ROTOR_DRAG] = 0.2 * rng.normal()
        effect = 0.04 * rng.normal(size=X500.rotor_count)
        truth[rows.EFFECT :] = effect - effect.mean()
        wind = np.array([[0.0, 3.0, -2.0], [60.0, 4.0, -1.0]])
        found = fitting.fit([blocks(rng, 200, truth, wind)], craft, config)
        error = (found.theta - truth)[names]
        total.append(error**2 / np.diag(found.covariance)[names])
    mean = np.mean(total, axis=0)
    # chi-square, 5 degrees of freedom over 5: 99.9 % lie below 4.1; thrust is held at its truth
    assert (mean < 4.1).all(), mean
    assert mean[1:].mean() > 0.05


def test_a_flight_gives_a_file_that_loads_predicts_better_and_a_report(tmp_path, monkeypatch):
    """Blocks of an aircraft with 15 % more mass, 30 % more drag and its load 8 mm forward."""
    truth = np.zeros(rows.size(X500.rotor_count))
    truth[rows.MASS], truth[rows.ROTOR_DRAG] = math.log(1.15), math.log(1.3)
    truth[rows.CENTRE_X] = 0.008
    wind = np.array([[0.0, 3.0, -2.0], [60.0, 4.0, -1.0]])
    flight = blocks(np.random.default_rng(8), 500, truth, wind)
    log = SimpleNamespace(vehicles=[None])
    monkeypatch.setattr(identify.replay, "read", lambda path: log)
    monkeypatch.setattr(
        identify, "blocks_of", lambda path, *_: FlightBlocks(path.name, "", flight, {})
    )
    seen = []
    out = tmp_path / "x500_flown.yaml"
    outcome = identify.run(
        [Path("a.ulg")], X500, X500_TEXT, out, lambda done, what: seen.append(done)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    known = {p.name: p for p in outcome.parameters if p.known}
    loaded = aircraft_files.load(out)
    assert loaded.mass_kg == pytest.approx(known["mass"].value, rel=1e-4)
    assert loaded.mass_kg == pytest.approx(1.15 * X500.mass_kg, rel=0.02)
    assert loaded.rotors.drag_n_s2_m == pytest.approx(known["rotor_drag"].value, rel=1e-5)
    places = X500.rotor_positions_frd_m - loaded.rotor_positions_frd_m
    assert np.allclose(places[:, 0], 0.008, atol=0.002)
    assert "thrust_constant" not in known
    none, config = np.zeros(truth.size), IdentifyConfig()
    before = level_wind.explained(none, [flight], rows.craft(X500), config)
    after = level_wind.explained(none, [flight], rows.craft(loaded), config)
    assert (after[1, [2, 4]] < 0.5 * before[1, [2, 4]]).all()
    page = outcome.report_path.read_text()
    assert "Not known from these flights" in page
    assert "http://" not in page.split("<script>")[0]
    # it goes on from its own file, and finds nothing new
    again = identify.run([Path("a.ulg")], loaded, out.read_text(), tmp_path / "again.yaml")
    twice = {p.name: p for p in again.parameters}
    assert abs(twice["mass"].value / loaded.mass_kg - 1.0) < 0.005
    assert abs(twice["centre_x"].value) < 0.001


def a_flight(monkeypatch, tmp_path, parts):
    """Identify one flight that is of each truth (N,) of ``parts`` for 30 s."""
    wind = np.array([[0.0, 3.0, -2.0], [60.0, 3.0, -2.0]])
    rng = np.random.default_rng(12)
    flight = np.vstack([blocks(rng, 300, truth, wind) for truth in parts])
    flight[:, rows.STAMP] = 0.1 * np.arange(len(flight))
    log = SimpleNamespace(vehicles=[None])
    monkeypatch.setattr(identify.replay, "read", lambda path: log)
    monkeypatch.setattr(
        identify, "blocks_of", lambda path, *_: FlightBlocks(path.name, "", flight, {})
    )
    return identify.run([Path("a.ulg")], X500, X500_TEXT, tmp_path / "out.yaml")


def test_a_rotor_that_fails_in_flight_is_no_centre_of_mass(tmp_path, monkeypatch):
    """A third of a rotor's thrust is lost half way: both explain the moment, one explains all."""
    weak = np.zeros(rows.size(X500.rotor_count))
    weak[rows.EFFECT + 2] = -0.35
    outcome = a_flight(monkeypatch, tmp_path, (np.zeros(weak.size), weak))
    told = {p.name: p for p in outcome.parameters}
    for name, truth in (("centre_x", 0.0), ("centre_y", 0.0), ("rotor_2_effectiveness", 0.65)):
        assert abs(told[name].value - truth) < 3.0 * told[name].sigma, told[name]
    assert told["rotor_2_effectiveness"].known
    assert abs(told["centre_x"].value) < 0.003
    assert any("rotor 3 changed" in note for note in outcome.notes)
    assert "rotor 3 changed" in outcome.report_path.read_text()


def test_what_two_parts_of_a_flight_tell_otherwise_is_said():
    """Drag that doubles: no model here knows that it may."""
    thick = np.zeros(rows.size(X500.rotor_count))
    thick[rows.ROTOR_DRAG] = math.log(2.0)
    wind, rng = np.array([[0.0, 3.0, -2.0], [60.0, 3.0, -2.0]]), np.random.default_rng(12)
    parts = [blocks(rng, 200, truth, wind) for truth in (0.0 * thick, 0.0 * thick, thick)]
    craft, config = rows.craft(X500), IdentifyConfig()
    same = FlightBlocks("a", "", np.vstack([*parts[:2], parts[0]]), {})
    other = FlightBlocks("b", "", np.vstack(parts), {})
    assert identify._held_out([same], [()], craft, config)[2] == {}
    assert identify._held_out([other], [()], craft, config)[2].keys() == {"rotor_drag"}


@pytest.mark.skipif(not SQUARE.exists(), reason="no recorded flights here")
def test_another_aircrafts_file_is_not_believed(tmp_path):
    """PX4's SIH weighs 1 kg, its thrust is linear: the x500's file predicts its force badly."""
    outcome = identify.run([SQUARE], X500, X500_TEXT, tmp_path / "no.yaml")
    told = {p.name: p for p in outcome.parameters}
    assert outcome.held_out[0, 2] < -0.3  # worse than the mean of the force
    for name in ("mass", "thrust_over_mass", "rotor_drag", "rotor_0_effectiveness"):
        assert not told[name].known
        assert "file does not fit" in told[name].why
    assert aircraft_files.load(outcome.aircraft_path).mass_kg == X500.mass_kg


@pytest.mark.skipif(not SQUARE.exists(), reason="no recorded flights here")
def test_px4_s_sih_has_the_mass_of_its_parameters(tmp_path):
    """SIH_MASS is 1 kg, SIH_T_MAX 5 N at the 10,000 rpm that its ESCs tell."""
    sih = aircraft_files.load("sihsim_quadx")
    text = (aircraft_files.folder("config") / "aircraft" / "sihsim_quadx.yaml").read_text()
    outcome = identify.run([SQUARE], sih, text, tmp_path / "sih.yaml")
    told = {p.name: p for p in outcome.parameters}
    assert told["mass"].known
    assert told["mass"].value == pytest.approx(1.0, abs=0.03)
    per_mass = 5.0 / (2.0 * math.pi * 10_000 / 60.0) ** 2
    assert told["thrust_over_mass"].value == pytest.approx(per_mass, rel=0.01)
    assert not any("ESCs" in note for note in outcome.notes)


@pytest.mark.skipif(not SQUARE.exists(), reason="no recorded flights here")
@pytest.mark.parametrize(("path", "factor"), [(SQUARE, 0.0), (OCTO, 0.0)])
def test_a_log_tells_what_px4_makes_of_a_commanded_thrust(path, factor):
    """By its parameter THR_MDL_FAC; outputs of before 1.13 are what ESCs get already."""
    log = identify.replay.read(path).vehicles[0]
    (motors,) = (table for table in log.tables if table.source == "motors")
    assert (motors.columns["thrust_factor"] == factor).all()


def test_px4_s_thrust_curve_goes_into_the_file(tmp_path, monkeypatch):
    flight = blocks(np.random.default_rng(8), 200, np.zeros(rows.size(4)), np.zeros((2, 3)))
    log = SimpleNamespace(vehicles=[None])
    monkeypatch.setattr(identify.replay, "read", lambda path: log)
    told = FlightBlocks("a", "", flight, {}, thrust_factor=0.3)
    monkeypatch.setattr(identify, "blocks_of", lambda path, *_: told)
    identify.run([Path("a.ulg")], X500, X500_TEXT, tmp_path / "out.yaml")
    assert aircraft_files.load(tmp_path / "out.yaml").rotors.thrust_factor == 0.3


def test_batteries_of_flights_count_the_first_belief_once():
    """Two flights that each say the same: the mean of what they add, and a smaller sigma."""
    share, said, noise = 0.5, math.log(0.8), 0.2
    weight = 1.0 / share**2 + 1.0 / noise**2
    mean = said / noise**2 / weight
    value, sigma = 0.02 * math.exp(mean), 0.02 * math.exp(mean) / math.sqrt(weight)
    one = Parameter("battery_resistance", "Ohm", value, sigma, 0.02, False, "why")
    other = Parameter("battery_capacity", "Ah", 5.0, 1.0, 5.0, False, "why")
    both = identify_battery.together([(one, other), (), (one, other)])[0]
    exact = 1.0 / share**2 + 2.0 / noise**2
    assert both.value == pytest.approx(0.02 * math.exp(2.0 * said / noise**2 / exact))
    assert both.sigma == pytest.approx(both.value / math.sqrt(exact))
    assert identify_battery.together([(), ()]) == ()


def test_a_flight_that_adds_nothing_moves_nothing():
    """Its sigma is above the one that it began with."""
    told = Parameter("battery_resistance", "Ohm", 0.018, 0.004, 0.02, False, "why")
    nothing = Parameter("battery_resistance", "Ohm", 0.04, 0.024, 0.02, False, "why")
    other = Parameter("battery_capacity", "Ah", 5.0, 1.5, 5.0, False, "why")
    alone = identify_battery.together([(told, other)])
    assert identify_battery.together([(told, other), (nothing, other)]) == alone
    unmoved = identify_battery.together([(nothing, other)])[0]
    assert unmoved.value == pytest.approx(0.02)
    assert unmoved.sigma == pytest.approx(0.01)


def test_of_several_aircraft_one_must_be_chosen(tmp_path, monkeypatch):
    """No two weigh alike, and one of them may have a weak rotor."""
    logs = tuple(SimpleNamespace(name=name) for name in ("px4_1", "px4_2"))

    def judged(path, log, *rest):
        raise UnusableFlight(f"{log.name} it is")

    monkeypatch.setattr(identify.replay, "read", lambda path: SimpleNamespace(vehicles=logs))
    monkeypatch.setattr(identify, "blocks_of", judged)
    out = tmp_path / "a.yaml"
    with pytest.raises(UnusableFlight, match="px4_1, px4_2: choose one by --vehicle"):
        identify.run([Path("a.mcap")], X500, X500_TEXT, out)
    with pytest.raises(UnusableFlight, match="no vehicle px4_3; there is px4_1, px4_2"):
        identify.run([Path("a.mcap")], X500, X500_TEXT, out, vehicle="px4_3")
    with pytest.raises(UnusableFlight, match="px4_2 it is"):
        identify.run([Path("a.mcap")], X500, X500_TEXT, out, vehicle="/px4_2")


@pytest.mark.skipif(not OCTO.exists(), reason="no recorded flights here")
def test_the_wrong_aircraft_and_logs_without_motors_are_named(tmp_path):
    with pytest.raises(UnusableFlight, match="8 motors are commanded, x500 has 4"):
        identify.run([OCTO], X500, X500_TEXT, tmp_path / "a.yaml")
    with pytest.raises(UnusableFlight, match="no motor commands"):
        identify.run([WING], X500, X500_TEXT, tmp_path / "a.yaml")
    wing = replace(X500, pushers=X500.rotors, pusher_motors=(0,))
    with pytest.raises(UnusableFlight, match="only multirotors"):
        identify.run([OCTO], wing, X500_TEXT, tmp_path / "a.yaml")
    assert not list(tmp_path.iterdir())


def test_a_discharge_to_empty_is_written_to_the_file_as_the_packs_own(tmp_path):
    """A pack with 0.8 of the capacity and 40 mV less a cell; half of it would write nothing."""
    true = replace(
        X500.battery,
        capacity_ah=0.8 * X500.battery.capacity_ah,
        ocv_cell_v=X500.battery.ocv_cell_v - np.linspace(0.04, 0.0, 21),
    )
    vector, table = battery.pack(true)
    power = 200.0 + 40.0 * np.repeat(np.random.default_rng(0).normal(size=300), 4)
    power[:5] = 10.0
    run = battery.discharge(vector, table, np.array([0.0, 0.0, 25.0]), power, 25.0, 1.0)
    end = int(np.argmax(run[:, 3] < 13.0))
    drain = battery.Drain(run[:end, 3], power[:end], 25.0, emptied=True)
    written = identify_battery.learnt([None, drain], X500.battery)
    path = tmp_path / "x500_flown.yaml"
    path.write_text(rewritten(X500_TEXT, written, "Identified"))
    pack = aircraft_files.load(path).battery
    assert pack.learned_discharges == 1
    assert X500.battery.learned_discharges == 0
    assert pack.capacity_ah == pytest.approx(true.capacity_ah, rel=0.05)
    assert np.abs(pack.ocv_cell_v - true.ocv_cell_v)[4:].max() < 0.02
    half = battery.Drain(run[: end // 2, 3], power[: end // 2], 25.0, emptied=False)
    assert identify_battery.learnt([half], X500.battery) == ()
