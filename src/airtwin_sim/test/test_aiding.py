# SPDX-License-Identifier: Apache-2.0
"""Optional sensors: off by default, true to the truth, broken as the scenario says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message

from airtwin_core import frames
from airtwin_core.types import Array, Sample
from airtwin_physics import dynamics
from airtwin_physics.battery import model
from airtwin_ros import px4, px4_out
from airtwin_sim.aiding import SENSORS, Aiding
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, ScenarioError, VehicleSpec, parse

GROUND_M = float(
    Flight(Scenario((VehicleSpec("px4_0"),))).world.fleet.model.body[0, dynamics.GROUND_DOWN]
)
"""How far below the centre of mass the feet are: its plane is where rangefinders look to."""
ONE = (VehicleSpec("px4_0"),)
QUIET = Aiding(
    rangefinder_m=0.0, rangefinder_share=0.0, flow_rad_s=0.0, flow_gyro_rad_s=0.0,
    vision_m=0.0, vision_m_s=0.0, vision_rad=0.0, gnss_heading_rad=0.0, rotor_share=0.0,
    antenna_yaw_rad=0.5,
)  # fmt: skip


def _fly(scenario: Scenario, seconds: float) -> list[tuple[str, Sample, Array]]:
    """Arm, take off and drift; returns (source, sample, truth's state) from 15 s on."""
    flight = Flight(scenario)
    out = []
    for k in range(round(seconds / 0.004)):
        if k == 750:
            flight.world.command("px4_0", Command(22, (np.nan,) * 7))
            flight.world.command("px4_0", Command(400, (1.0,) + (0.0,) * 6))
        for _, source, sample in flight.step():
            if k > 3750:
                out.append((source, sample, flight.world.fleet.x[0].copy()))
    return out


def _of(samples: list[tuple[str, Sample, Array]], source: str) -> list[tuple[Any, Array]]:
    return [(sample, x) for name, sample, x in samples if name == source]


@pytest.fixture(scope="module")
def quiet() -> list[tuple[str, Sample, Array]]:
    return _fly(Scenario(ONE, sensors=SENSORS, aiding=QUIET, seed=3), 18.0)


def test_nothing_changes_where_no_sensor_is_named() -> None:
    bare, with_all = Flight(Scenario(ONE)), Flight(Scenario(ONE, sensors=SENSORS))
    for _ in range(500):
        known = {source for _, source, _ in bare.step()}
        assert known.isdisjoint(SENSORS)
        with_all.step()
    np.testing.assert_array_equal(bare.world.fleet.x, with_all.world.fleet.x)
    np.testing.assert_array_equal(bare.world.fleet.imu, with_all.world.fleet.imu)


def test_each_shows_the_truth(quiet: list[tuple[str, Sample, Array]]) -> None:
    for echo, x in _of(quiet, "rangefinder"):
        down = frames.rotation_from_quat(x[6:10])[2, 2]
        assert echo.valid
        assert echo.distance_m * down == pytest.approx(GROUND_M - x[2], abs=0.02)
    for pose, _ in _of(quiet, "vision"):
        assert pose.received_ns - pose.stamp_ns >= 50_000_000
    for fix, x in _of(quiet, "gnss"):
        ahead = frames.rotation_from_quat(x[6:10]) @ (np.cos(0.5), np.sin(0.5), 0.0)
        heading = np.arctan2(ahead[1], ahead[0]) - 0.5
        assert fix.heading_rad == pytest.approx(heading, abs=0.03)  # it was 0.1 s ago
        assert fix.antenna_yaw_frd_rad == pytest.approx(0.5)
    for rotors, x in _of(quiet, "rotor_speeds"):
        np.testing.assert_allclose(rotors.speed_rad_s, x[dynamics.ROTOR :], atol=0.06)
    packs = _of(quiet, "battery")
    warm = [word.temperature_c for word, _ in packs]
    assert dynamics.AMBIENT_C < warm[0] < warm[-1]
    for word, x in packs:  # the same temperature that the resistance follows
        assert word.temperature_c == pytest.approx(x[dynamics.TEMPERATURE], abs=0.01)


def test_flow_is_velocity_over_distance_and_the_own_turn() -> None:
    """Pushed by wind in hold: the scene slides as PX4's pixel_flow says."""
    wind = replace(Scenario(ONE).wind, steady_ned_m_s=(4.0, -3.0, 0.0))
    scenario = Scenario(ONE, wind=wind, sensors=("flow",), aiding=QUIET, seed=4)
    flight = Flight(scenario)
    errors, sizes = [], []
    past: list[Array] = []
    for k in range(round(12.0 / 0.004)):
        if k == 750:
            flight.world.command("px4_0", Command(22, (np.nan,) * 7))
            flight.world.command("px4_0", Command(400, (1.0,) + (0.0,) * 6))
        for _, source, sample in flight.step():
            if source != "flow" or k < 2250:
                continue
            x = past[-5 - 3]  # 20 ms late, and the middle of 20 ms
            r = frames.rotation_from_quat(x[6:10])
            v = r.T @ x[3:6]
            distance = (GROUND_M - x[2]) / r[2, 2]
            still = sample.flow_rad - sample.turn_frd_rad[:2]
            expected = np.array([-v[1], v[0]]) / distance * sample.dt_s
            errors.append(still - expected)
            sizes.append(expected)
        past.append(flight.world.fleet.x[0].copy())
    assert np.abs(sizes).max() > 0.001
    np.testing.assert_allclose(errors, 0.0, atol=2e-4)


@pytest.mark.parametrize("kind", ["sensor_stop", "sensor_stuck", "sensor_noise", "sensor_jump"])
def test_faults_do_what_they_say_and_end(kind: str) -> None:
    vector = (3.0, 0.0, 0.0) if kind == "sensor_jump" else (0.0, 0.0, 0.0)
    fault = Fault(
        kind, "px4_0", start_s=16.0, duration_s=1.0, vector=vector,
        magnitude=20.0 if kind == "sensor_noise" else 0.0,
    )  # fmt: skip
    flown = _fly(Scenario(ONE, sensors=("rangefinder",), faults=(fault,), seed=5), 18.0)
    echoes = _of(flown, "rangefinder")
    start_ns = 1_000_000_000
    at = np.array([(e.stamp_ns - start_ns) * 1e-9 for e, _ in echoes])
    miss = np.array([e.distance_m - GROUND_M + x[2] for e, x in echoes])
    bad, good = (at > 16.05) & (at < 17.0), at > 17.1
    assert np.std(miss[good]) < 0.1
    if kind == "sensor_stop":
        assert not bad.any()
    elif kind == "sensor_stuck":
        assert len({e.distance_m for (e, _), b in zip(echoes, bad, strict=True) if b}) == 1
    elif kind == "sensor_noise":
        assert np.std(miss[bad]) > 0.2
    else:
        assert np.mean(miss[bad]) == pytest.approx(3.0, abs=0.1)


def test_messages_read_back_as_the_samples() -> None:
    flight = Flight(Scenario(ONE, sensors=SENSORS, seed=6))
    writers = {writer.source: writer for writer in px4_out.WRITERS if writer.aiding}
    seen = set()
    for _ in range(100):
        for batch in flight.world.step():
            if batch.source not in writers:
                continue
            writer = writers[batch.source]
            (payload,) = writer.encode(
                batch.values, 1, sample_us=batch.sample_us, said_us=batch.said_us, epoch_us=10**9
            )
            reader = px4.reader(batch.source)
            assert reader.topic == writer.topic
            sample = reader.convert(deserialize_message(payload, writer.kind), 7)
            assert sample.stamp_ns >= 10**12
            seen.add(batch.source)
    assert seen == set(writers)


def test_a_scenario_names_sensors_and_says_which_there_are() -> None:
    entries = {"vehicles": [{"name": "px4_0"}], "sensors": ["rangefinder", "vision"]}
    scenario = parse(entries | {"aiding": {"vision_local": True}})
    assert scenario.sensors == ("rangefinder", "vision")
    assert scenario.aiding.vision_local
    with pytest.raises(ScenarioError, match="lidar"):
        parse(entries | {"sensors": ["lidar"]})
    with pytest.raises(ScenarioError, match="vision_m is -1"):
        parse(entries | {"aiding": {"vision_m": -1.0}})
    with pytest.raises(ScenarioError, match="place in rangefinder"):
        Fault("sensor_stop", "px4_0", index=9)


def test_a_pack_that_has_landed_recovers_and_cools() -> None:
    flight = Flight(Scenario(ONE))
    x, pack = flight.world.fleet.x[0], flight.world.fleet.model.battery[0]
    for _ in range(50):
        flight.step()
    x[dynamics.POLARISATION], x[dynamics.TEMPERATURE] = 0.03, 60.0
    for _ in range(2500):
        flight.step()
    assert x[dynamics.POLARISATION] == pytest.approx(
        0.03 * np.exp(-10.0 / pack[model.POLARISATION_S]), rel=0.05
    )
    cooled = 35.0 * (1.0 - np.exp(-10.0 * pack[model.COOLING_W_K] / pack[model.HEAT_J_K]))
    assert 60.0 - x[dynamics.TEMPERATURE] == pytest.approx(cooled, rel=0.05)
