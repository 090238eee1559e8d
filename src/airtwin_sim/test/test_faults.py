# SPDX-License-Identifier: Apache-2.0
"""Every fault does what it says, to the right aircraft, for as long as it says."""

from __future__ import annotations

import numpy as np
import pytest
import sim_script as script
from sim_script import Pilot

from airtwin_physics import dynamics
from airtwin_sim.link import Link
from airtwin_sim.scenario import Fault, Scenario, ScenarioError, VehicleSpec
from airtwin_sim.world import World


def _hovering(height_m: float = 8.0) -> Pilot:
    pilot = Pilot(World(script.one(seed=5, extra_topics=True)))
    pilot.take_off(height_m)
    return pilot


def _inject(pilot: Pilot, kind: str, **entries: object) -> None:
    pilot.world.inject(Fault(kind, pilot.vehicle, **entries))  # type: ignore[arg-type]


def _error(pilot: Pilot) -> float:
    return float(np.linalg.norm(pilot.world.pilots[0].nav.position[:2] - pilot.truth[:2]))


def test_gnss_loss_dead_reckons_then_gives_up_and_descends() -> None:
    pilot = _hovering()
    start = pilot.time_s
    _inject(pilot, "gnss_loss", duration_s=12.0)
    pilot.run(11.0)
    log = pilot.log
    assert log.when("gnss", "fixed", False, start) == pytest.approx(start + 0.1, abs=0.15)
    # PX4: no_aid_timeout 1 s, EKF2_NOAID_TOUT 5 s, reset_timeout 7 s
    assert log.when("position", "dead_reckoning", True, start) - start == pytest.approx(
        1.1, abs=0.2
    )
    assert log.when("position", "xy_valid", False, start) - start == pytest.approx(5.1, abs=0.25)
    assert log.when("flags", "gnss_position", False, start) - start == pytest.approx(7.1, abs=0.25)
    assert log.when("status", "nav_state", 12, start) - start == pytest.approx(5.1, abs=0.3)
    assert log.when("position", "z_valid", False, start) != log.when("position", "z_valid", False)
    pilot.run(3.0)  # it is back
    assert log.column("position", "xy_valid")[1][-1]
    assert pilot.nav_state == 14


def test_without_a_position_it_may_land_but_not_hold() -> None:
    pilot = _hovering(12.0)
    _inject(pilot, "gnss_loss")
    pilot.until(lambda: pilot.nav_state == 12, 8.0)
    assert pilot.send(script.HOLD) == 1
    assert pilot.send(script.LAND) == 0  # PX4 always takes it
    assert pilot.nav_state == 12  # and descends, for it cannot hold its place
    pilot.until(lambda: not pilot.world.pilots[0].commander.armed, 40.0)


def test_a_spoof_too_fast_to_believe_ends_in_a_velocity_reset() -> None:
    pilot = _hovering()
    resets = pilot.world.pilots[0].nav.resets.vxy
    start = pilot.time_s
    _inject(pilot, "gnss_drift", vector=(15.0, 0.0, 0.0))
    pilot.run(8.0)
    t, counts = pilot.log.column("position", "vxy_resets")
    assert t[np.flatnonzero(counts != resets)[0]] - start == pytest.approx(7.2, abs=0.4)


def test_a_slow_spoof_is_followed() -> None:
    pilot = _hovering()
    resets = pilot.world.pilots[0].nav.resets.xy
    _inject(pilot, "gnss_drift", vector=(0.4, 0.0, 0.0))
    pilot.run(20.0)
    # 8 m of drift: PX4 believes it, and the aircraft flies the other way
    assert _error(pilot) == pytest.approx(8.0, abs=1.0)
    assert pilot.truth[0] == pytest.approx(-8.0, abs=1.2)
    # the spoofer's Doppler agrees with his position: the aircraft flies south, GNSS sees it stand
    seen = np.mean(pilot.log.column("gnss", "velocity")[1][-80:], axis=0)
    assert seen[0] - np.mean(pilot.truth[3]) == pytest.approx(0.4, abs=0.15)
    assert pilot.world.pilots[0].nav.resets.xy == resets


def test_a_jump_is_rejected_then_taken_with_a_reset() -> None:
    pilot = _hovering()
    start = pilot.time_s
    resets = pilot.world.pilots[0].nav.resets.xy
    _inject(pilot, "gnss_jump", vector=(25.0, 0.0, 0.0))
    pilot.run(6.0)
    assert pilot.world.pilots[0].nav.resets.xy == resets
    assert _error(pilot) < 2.0
    assert pilot.log.column("flags", "gnss_fault")[1][-1]
    pilot.run(3.0)
    t, counts = pilot.log.column("position", "xy_resets")
    reset = t[np.flatnonzero(counts != resets)[0]]
    assert reset - start == pytest.approx(7.2, abs=0.4)
    assert counts[-1] == resets + 1
    delta = pilot.log.column("position", "delta_xy")[1][-1]
    np.testing.assert_allclose(delta, [25.0, 0.0], atol=1.5)


def test_a_reset_does_not_move_an_aircraft_in_hold() -> None:
    pilot = _hovering()
    assert pilot.send(script.HOLD) == 0
    pilot.run(2.0)
    before = pilot.truth[:2].copy()
    resets = pilot.world.pilots[0].nav.resets.xy
    _inject(pilot, "gnss_jump", vector=(25.0, 0.0, 0.0))
    pilot.run(14.0)
    assert pilot.world.pilots[0].nav.resets.xy == resets + 1
    assert np.linalg.norm(pilot.truth[:2] - before) < 3.0  # offboard would fly the 25 m back


def test_a_jump_that_ends_in_time_leaves_no_trace() -> None:
    pilot = _hovering()
    resets = pilot.world.pilots[0].nav.resets.xy
    _inject(pilot, "gnss_jump", vector=(0.0, 30.0, 0.0), duration_s=3.0)
    pilot.run(8.0)
    assert pilot.world.pilots[0].nav.resets.xy == resets
    assert _error(pilot) < 1.5


def test_a_stopped_barometer_ends_in_a_height_reset() -> None:
    pilot = _hovering()
    start = pilot.time_s
    resets = pilot.world.pilots[0].nav.resets.z
    _inject(pilot, "baro_stop")
    pilot.run(8.0)
    times, _ = pilot.log.column("barometer", "altitude")
    assert times[-1] == pytest.approx(start, abs=0.05)  # silence, not rubbish
    t, counts = pilot.log.column("position", "z_resets")
    assert t[np.flatnonzero(counts != resets)[0]] - start == pytest.approx(5.1, abs=0.3)
    assert not pilot.log.column("flags", "baro_height")[1][-1]
    assert pilot.log.column("flags", "gnss_height")[1][-1]
    assert pilot.log.column("flags", "baro_fault")[1][-1]
    assert pilot.truth[2] == pytest.approx(-8.0, abs=2.5)


def test_a_barometer_that_comes_back_leads_again_without_a_jump() -> None:
    pilot = _hovering()
    _inject(pilot, "baro_stop", duration_s=8.0)
    pilot.run(7.9)
    before = float(pilot.world.pilots[0].nav.position[2])
    resets = pilot.world.pilots[0].nav.resets.z
    pilot.run(2.0)
    assert pilot.log.column("flags", "baro_height")[1][-1]
    assert not pilot.log.column("flags", "baro_fault")[1][-1]
    assert pilot.world.pilots[0].nav.resets.z == resets
    assert pilot.world.pilots[0].nav.position[2] == pytest.approx(before, abs=0.6)


@pytest.mark.parametrize("index", [0, 1])
def test_imu_bias_step(index: int) -> None:
    pilot = _hovering()
    step = np.array([0.02, 0.0, -0.01]) if index == 0 else np.array([0.3, -0.2, 0.0])

    def gyro_error() -> np.ndarray:
        rows = []
        for _ in range(500):
            before = pilot.truth[10:13].copy()
            pilot.tick()
            rows.append(pilot.world.fleet.imu[0, :3] - 0.5 * (before + pilot.truth[10:13]))
        return np.mean(rows, axis=0)

    error = gyro_error()
    _inject(pilot, "imu_bias", vector=tuple(step), index=index, duration_s=4.0)
    pilot.run(0.004)
    seen = pilot.world.fleet.imu_bias[0, 3 * index : 3 * index + 3].copy()
    np.testing.assert_allclose(
        gyro_error() - error, step if index == 0 else np.zeros(3), atol=2e-3
    )
    pilot.run(3.0)
    gone = pilot.world.fleet.imu_bias[0, 3 * index : 3 * index + 3]
    np.testing.assert_allclose(seen - gone, step, atol=5e-3)


def test_motor_loss_is_flown_through_by_more_command() -> None:
    pilot = _hovering()
    before = np.mean(pilot.log.column("motors", "control")[1][-100:], axis=0)
    _inject(pilot, "motor_loss", index=2, magnitude=0.2)
    pilot.run(6.0)
    after = np.mean(pilot.log.column("motors", "control")[1][-100:], axis=0)
    assert np.argmax(after - before) == 2
    assert after[2] - before[2] > 0.05
    assert abs(pilot.truth[2] + 8.0) < 1.0
    assert pilot.world.fleet.model.rotors[0, 2, dynamics.EFFECT] == pytest.approx(0.8)


def test_a_dead_motor_brings_it_down() -> None:
    pilot = _hovering()
    _inject(pilot, "motor_loss", index=0, magnitude=1.0)
    pilot.run(5.0)
    assert pilot.truth[2] > -0.5
    assert np.all(np.isfinite(pilot.truth))


def test_added_mass_needs_more_thrust() -> None:
    pilot = _hovering()
    before = np.mean(pilot.log.column("motors", "control")[1][-100:])
    _inject(pilot, "mass", magnitude=0.4, duration_s=8.0)
    pilot.run(7.5)
    after = np.mean(pilot.log.column("motors", "control")[1][-100:])
    # speed^2 carries mass, speed = 150 + 850 u
    expected = (150 + 850 * before) * np.sqrt(2.464 / 2.064)
    assert 150 + 850 * after == pytest.approx(expected, rel=0.02)
    pilot.run(4.0)
    assert pilot.world.fleet.model.body[0, 0] == pytest.approx(2.0643, abs=1e-3)


def test_battery_fade_takes_charge_away() -> None:
    pilot = _hovering()
    voltage, left = (pilot.log.column("battery", n)[1][-1] for n in ("voltage", "remaining"))
    fleet = pilot.world.fleet
    fleet.x[0, dynamics.CHARGE] = 0.4 * fleet.model.battery[0, dynamics.CAPACITY_C]
    _inject(pilot, "battery_fade", magnitude=0.5)
    pilot.run(10.0)
    assert pilot.log.column("battery", "voltage")[1][-1] < voltage - 1.0
    assert pilot.log.column("battery", "remaining")[1][-1] < left - 0.4


def test_wind_change_for_one_and_for_all() -> None:
    vehicles = tuple(VehicleSpec(f"px4_{i}") for i in range(2))
    world = World(Scenario(vehicles=vehicles))
    world.inject(Fault("wind", "px4_1", vector=(5.0, 0.0, 0.0)))
    world.step()
    np.testing.assert_array_equal(world.fleet.steady_ned_m_s, [[0, 0, 0], [5, 0, 0]])
    world.inject(Fault("wind", vector=(0.0, 7.0, 0.0), duration_s=0.1))
    world.step()
    np.testing.assert_array_equal(world.fleet.steady_ned_m_s, [[0, 7, 0], [0, 7, 0]])
    for _ in range(30):
        world.step()
    np.testing.assert_array_equal(world.fleet.steady_ned_m_s, [[0, 0, 0], [5, 0, 0]])


def test_link_faults_delay_lose_and_cut() -> None:
    pilot = Pilot(World(script.one(seed=2)))
    pilot.run(3.0)
    _inject(pilot, "link_delay", magnitude=0.3, duration_s=2.0)
    pilot.run(0.004)
    start = pilot.time_s
    seen = len(pilot.log.words["imu"])
    pilot.run(0.28)
    assert len(pilot.log.words["imu"]) <= seen + 1
    pilot.run(0.1)
    assert len(pilot.log.words["imu"]) > seen + 10
    pilot.world.command("px4_0", script.HOLD)
    pilot.run(1.0)
    acked = pilot.log.words["ack"][-1][0]
    assert acked - start - 0.38 == pytest.approx(0.6, abs=0.05)  # there and back
    pilot.run(1.5)
    _inject(pilot, "link_loss", magnitude=0.5, duration_s=4.0)
    seen = len(pilot.log.words["imu"])
    pilot.run(4.0)
    assert (len(pilot.log.words["imu"]) - seen) / 1000 == pytest.approx(0.5, abs=0.06)
    _inject(pilot, "link_outage", duration_s=1.0)
    pilot.run(0.1)
    seen = len(pilot.log.words["imu"])
    assert pilot.send(script.HOLD) is None
    assert len(pilot.log.words["imu"]) == seen
    pilot.run(1.0)
    assert len(pilot.log.words["imu"]) > seen
    assert pilot.send(script.HOLD) == 0


def test_a_link_keeps_order() -> None:
    link: Link[int] = Link(np.random.default_rng(1), delay_s=0.5)
    link.send(0, 1)
    link.delay_s = 0.0
    link.send(100_000, 2)
    assert list(link.receive(400_000)) == []
    assert list(link.receive(500_000)) == [1, 2]
    assert link.perfect
    link.delay_s = 0.1
    link.send(600_000, 3)
    link.out = True
    assert list(link.receive(700_000)) == []  # swallowed by the outage
    link.out = False
    assert list(link.receive(800_000)) == []


def test_faults_of_the_scenario_start_by_themselves() -> None:
    fault = Fault("mass", "px4_0", start_s=1.0, duration_s=1.0, magnitude=0.5)
    world = World(script.one(faults=(fault,)))
    mass = []
    for _ in range(625):
        world.step()
        mass.append(float(world.fleet.model.body[0, 0]))
    changed = 1 + np.flatnonzero(np.diff(mass))
    np.testing.assert_allclose(0.004 * changed, [1.0, 2.0], atol=0.005)


@pytest.mark.parametrize(
    ("kind", "entries", "said"),
    [
        ("gnss_los", {}, "is none of"),
        ("motor_loss", {"magnitude": 1.5}, "share"),
        ("motor_loss", {"magnitude": float("nan")}, "magnitude"),
        ("gnss_jump", {"vector": (float("inf"), 0.0, 0.0)}, "three numbers"),
        ("imu_bias", {"index": 2}, "index"),
        ("mass", {"start_s": -1.0, "magnitude": 0.1}, "start_s"),
        ("link_delay", {"magnitude": -0.1}, "magnitude"),
    ],
)
def test_an_impossible_fault_is_refused(kind: str, entries: dict[str, object], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        Fault(kind, "px4_0", **entries)  # type: ignore[arg-type]


def test_a_fault_for_nobody_is_refused() -> None:
    world = World(script.one())
    with pytest.raises(ScenarioError, match="px4_7"):
        world.inject(Fault("gnss_loss", "px4_7"))
    with pytest.raises(ScenarioError, match="no motor 4"):
        world.inject(Fault("motor_loss", "px4_0", index=4, magnitude=0.5))
    with pytest.raises(ScenarioError, match="weigh nothing"):
        world.inject(Fault("mass", "px4_0", magnitude=-5.0))
