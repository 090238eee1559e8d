# SPDX-License-Identifier: Apache-2.0
"""The whole: repeatable to the bit, aircraft independent of each other, honest about the truth."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import sim_script as script
from sim_script import Pilot

from airtwin_core import aircraft, frames, geodesy, types
from airtwin_sim import scenario as scenarios
from airtwin_sim.aiding import SENSORS
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, ScenarioError, VehicleSpec, Wind
from airtwin_sim.world import World

WINDY = Wind((4.0, 2.0, 0.0), 1.0)


def _digest(world: World, vehicle: str = "px4_0", seconds: float = 12.0) -> str:
    """Fly a little and return a digest of all words of one aircraft."""
    row, total = world.row(vehicle), hashlib.sha256()
    for k in range(round(seconds / 0.004)):
        if k == 750:
            world.command(vehicle, script.TAKEOFF)
            world.command(vehicle, script.ARM)
        for batch in world.step():
            if row in batch.rows:
                place = batch.rows.index(row)
                total.update(batch.source.encode())
                for column in batch.values.values():
                    total.update(np.ascontiguousarray(column[place]).tobytes())
    return total.hexdigest()


def test_same_seed_same_flight_bit_for_bit() -> None:
    windy = script.one(wind=WINDY, extra_topics=True)
    first = _digest(World(windy))
    assert _digest(World(windy)) == first
    assert _digest(World(dataclasses.replace(windy, seed=2))) != first


def test_one_more_aircraft_changes_no_other() -> None:
    both = Scenario(
        vehicles=(VehicleSpec("px4_1", start_ned_m=(9.0, 0.0, 0.0)), VehicleSpec("px4_0")),
        wind=WINDY,
        faults=(Fault("gnss_loss", "px4_1", start_s=5.0),),
    )
    alone = Scenario(vehicles=(VehicleSpec("px4_0"),), wind=WINDY)
    assert _digest(World(both)) == _digest(World(alone))


def test_the_estimate_is_near_the_truth_and_says_how_near() -> None:
    pilot = Pilot(World(script.one(seed=4, wind=WINDY)))
    pilot.take_off(6.0)
    pilot.goal = np.array([20.0, -10.0, -8.0])
    offsets = []
    for _ in range(60):
        pilot.run(0.25)
        nav = pilot.world.pilots[0].nav
        assert nav.origin is not None
        true = pilot.truth
        frame = geodesy.LocalFrame(nav.origin)
        origin = frame.to_ned(*dataclasses.astuple(pilot.world.origins[0]))
        offsets.append(nav.position - (true[:3] + origin))
        tilt = frames.quat_multiply(frames.quat_conjugate(true[6:10]), nav.row[6:10])
        assert np.linalg.norm(frames.rotation_vector_from_quat(tilt)) < np.radians(4.0)
        assert np.linalg.norm(nav.velocity - true[3:6]) < 0.6
    assert np.sqrt(np.mean(np.square(offsets), axis=0)) == pytest.approx(np.zeros(3), abs=1.2)


def test_gnss_says_where_the_aircraft_was_when_it_measured() -> None:
    flight = Flight(script.one(seed=6, extra_topics=True))
    world = flight.world
    truth: dict[int, tuple[np.ndarray, types.Origin]] = {}
    errors, delays = [], []
    world_pilot = world.pilots[0]
    for k in range(5000):
        if k == 750:
            world.command("px4_0", script.takeoff_to(world.origins[0].altitude_amsl_m + 20.0))
            world.command("px4_0", script.ARM)
        for _, source, sample in flight.step():
            if source == "gnss":
                assert isinstance(sample, types.GnssFix)
                where, origin = truth[sample.stamp_ns]
                place = (sample.latitude_deg, sample.longitude_deg, sample.altitude_amsl_m)
                errors.append(geodesy.LocalFrame(origin).to_ned(*place) - where)
                delays.append((sample.received_ns - sample.stamp_ns) * 1e-9)
        now = flight.truth("px4_0")
        assert now.position_ned_m is not None
        assert now.origin is not None
        truth[now.stamp_ns] = (now.position_ned_m, now.origin)
    assert world_pilot.in_air
    assert delays == pytest.approx([0.1] * len(delays), abs=1e-6)
    assert len(errors) == pytest.approx(20 * 8, abs=3)
    assert np.all(np.abs(errors) < [1.5, 1.5, 2.5])
    assert np.std(np.diff(errors, axis=0), axis=0) == pytest.approx([0.05, 0.05, 0.06], abs=0.05)


def test_a_start_elsewhere_is_elsewhere_on_the_globe() -> None:
    spec = VehicleSpec("px4_0", start_ned_m=(500.0, -300.0, -20.0))
    world = World(Scenario(vehicles=(spec,)))
    home = geodesy.LocalFrame(world.scenario.origin)
    origin = world.origins[0]
    seen = home.to_ned(origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m)
    np.testing.assert_allclose(seen, spec.start_ned_m, atol=1e-3)


def test_samples_are_what_the_converter_makes_of_the_messages() -> None:
    """The pure path and the path through PX4's messages give the same values."""
    pytest.importorskip("px4_msgs.msg")
    from airtwin_ros import cdr, px4, px4_out
    from airtwin_sim.samples import _MAKERS

    writers = {w.source: w for w in px4_out.WRITERS}
    world = World(script.one(seed=8, extra_topics=True, sensors=SENSORS))
    seen = set()
    for k in range(1500):
        if k == 750:
            world.command("px4_0", script.ARM)
        for batch in world.step():
            if batch.source not in _MAKERS:
                continue
            writer = writers[batch.source]
            payload = writer.encode(
                batch.values,
                1,
                sample_us=batch.sample_us,
                said_us=batch.said_us,
                epoch_us=10**9,
            )[0]
            received = 5
            record = cdr.record(writer.kind, payload)
            through = px4.reader(batch.source).convert(record, received)
            pure = _MAKERS[batch.source](batch.values, 0, through.stamp_ns, received)
            assert type(pure) is type(through)
            for spec in dataclasses.fields(pure):
                a, b = getattr(pure, spec.name), getattr(through, spec.name)
                if isinstance(a, str):
                    assert a == b
                    continue
                if isinstance(a, types.Origin):
                    a, b = dataclasses.astuple(a), dataclasses.astuple(b)
                np.testing.assert_allclose(
                    np.asarray(a if a is not None else np.nan, dtype=float),
                    np.asarray(b if b is not None else np.nan, dtype=float),
                    rtol=2e-6,
                    atol=1e-6,
                    err_msg=f"{batch.source}.{spec.name}",
                )
            seen.add(batch.source)
    assert seen == set(_MAKERS)


def test_every_scenario_file_can_be_flown() -> None:
    files = sorted((aircraft.folder("config") / "scenarios").glob("*.yaml"))
    assert len(files) >= 2
    for file in files:
        loaded = scenarios.load(file)
        World(loaded).step()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vehicles: []", "at least one"),
        ("vehicles: [{name: quad}]", "px4_0, px4_1"),
        ("vehicles: [{name: px4_01}]", "px4_0, px4_1"),
        ("vehicles: [{name: px4_0}, {name: px4_0}]", "repeat"),
        ("vehicles: [{name: px4_0, battery: 0}]", "charge"),
        ("vehicles: [{name: px4_0, colour: red}]", "colour"),
        ("vehicles: [{name: px4_0, start_ned_m: [1, 2]}]", "three numbers"),
        ("vehicles: [{name: px4_0}]\nwind: {gust: -1}", "gust"),
        ("vehicles: [{name: px4_0}]\nwinds: {}", "winds"),
        ("vehicles: [{name: px4_0}]\npx4: {MPC_WRONG: 1}", "MPC_WRONG"),
        ("vehicles: [{name: px4_0}]\nfaults: [{kind: mass, vehicle: px4_1}]", "px4_1"),
        (
            "vehicles: [{name: px4_0}]\n"
            "origin: {latitude_deg: 95, longitude_deg: 0, altitude_amsl_m: 0}",
            "latitude",
        ),
        ("vehicles: {", "line"),
        ("- 1", "mapping"),
    ],
)
def test_a_wrong_scenario_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=said) as caught:
        scenarios.load(file)
    assert "wrong.yaml" in str(caught.value)


def test_system_ids_and_namespaces_are_px4s() -> None:
    assert VehicleSpec("px4_0").namespace == ""
    assert VehicleSpec("px4_12").namespace == "/px4_12"
    assert VehicleSpec("px4_12").system_id == 13


def test_what_stands_on_the_ground_stays_there_in_a_storm() -> None:
    world = World(script.one(wind=Wind((11.0, 0.0, 0.0), 1.0)))
    start = world.fleet.x[0, :10].copy()
    for _ in range(2500):
        world.step()
    np.testing.assert_array_equal(world.fleet.x[0, :10], start)
    force = world.fleet.imu[0, 3:]
    np.testing.assert_allclose(force, [0.0, 0.0, -9.80665], atol=0.5)
    assert world.fleet.x[0, 13] == pytest.approx(10.0 * 8.0 / 16.8, rel=0.01)  # avionics
