# SPDX-License-Identifier: Apache-2.0
"""The Commander in flight: arming, modes, failsafes, as PX4 v1.18 and its recordings have them."""

from __future__ import annotations

import numpy as np
import pytest
import sim_script as script
from sim_script import NAN, Pilot

from airtwin_core import geodesy
from airtwin_physics import dynamics
from airtwin_sim.commander import ACCEPTED, DENIED, TEMPORARILY_REJECTED, UNSUPPORTED, Command
from airtwin_sim.scenario import Scenario, VehicleSpec, Wind
from airtwin_sim.world import World

HOLD, RETURN, DESCEND, OFFBOARD, TAKEOFF, LAND = 4, 5, 12, 14, 17, 18


def _pilot(**entries: object) -> Pilot:
    return Pilot(World(script.one(**entries)))


def test_it_does_not_arm_before_it_knows_where_it_is() -> None:
    pilot = _pilot()
    pilot.run(0.1)
    assert pilot.send(script.ARM) == TEMPORARILY_REJECTED
    pilot.run(3.0)
    assert pilot.log.column("status", "ready")[1][-1]
    assert pilot.send(script.ARM) == ACCEPTED


def test_offboard_needs_its_stream_to_arm() -> None:
    pilot = _pilot()
    pilot.run(3.0)
    # PX4 takes any mode while disarmed, but then refuses to arm
    assert pilot.send(script.OFFBOARD) == ACCEPTED
    assert pilot.nav_state == OFFBOARD
    assert pilot.send(script.ARM) == TEMPORARILY_REJECTED
    pilot.goal = np.array([0.0, 0.0, -5.0])
    pilot.run(0.2)
    assert pilot.send(script.ARM) == ACCEPTED


def test_commands_for_another_system_are_ignored() -> None:
    pilot = Pilot(World(Scenario(vehicles=(VehicleSpec("px4_3"),))), "px4_3")
    pilot.run(3.0)
    for system, acks in ((1, 0), (3, 0), (4, 1), (0, 2)):
        pilot.world.command("px4_3", script.HOLD, system)
        pilot.run(0.1)
        assert len(pilot.log.words.get("ack", [])) == acks


def test_answers_to_odd_commands() -> None:
    pilot = _pilot()
    pilot.run(3.0)
    nothing = (0.0,) * 7
    assert pilot.send(Command(400, (3.0, *nothing[1:]))) == DENIED
    assert pilot.send(Command(400, (NAN, *nothing[1:]))) == DENIED
    assert pilot.send(Command(176, (1.0, 7.0, *nothing[2:]))) == TEMPORARILY_REJECTED
    assert pilot.send(Command(31000, nothing)) == UNSUPPORTED
    assert pilot.send(Command(512, nothing)) is None  # PX4 never answers it
    assert pilot.send(Command(192, nothing)) == ACCEPTED  # in hold, without a mode switch


def test_take_off_hold_reposition_return() -> None:
    pilot = _pilot(px4=(("RTL_RETURN_ALT", 12.0), ("RTL_DESCEND_ALT", 6.0)))
    pilot.run(3.0)
    origin = pilot.world.pilots[0].nav.origin
    assert origin is not None
    assert pilot.send(script.takeoff_to(origin.altitude_amsl_m + 6.0)) == ACCEPTED
    assert pilot.nav_state == TAKEOFF
    assert pilot.send(script.ARM) == ACCEPTED
    pilot.until(lambda: pilot.nav_state == HOLD, 20.0)
    pilot.run(3.0)
    assert pilot.truth[2] == pytest.approx(-6.0, abs=1.0)
    climb = np.max(-pilot.log.column("position", "velocity")[1][:, 2])
    assert climb < 1.5 + 0.5  # MPC_TKO_SPEED
    assert pilot.send(script.DISARM) == TEMPORARILY_REJECTED  # in the air
    there = geodesy.LocalFrame(origin).to_geodetic(np.array([30.0, 10.0, -8.0]))
    reposition = Command(192, (-1.0, 1.0, 0.0, NAN, *there))
    assert pilot.send(reposition) == ACCEPTED
    pilot.run(14.0)
    np.testing.assert_allclose(pilot.truth[:3], [30.0, 10.0, -8.0], atol=1.0)
    speeds = np.linalg.norm(pilot.log.column("position", "velocity")[1][:, :2], axis=1)
    assert 4.0 < np.max(speeds) < 5.5  # MPC_XY_CRUISE
    assert pilot.send(script.RETURN) == ACCEPTED
    assert pilot.nav_state == RETURN
    highest = 0.0

    def down() -> bool:
        nonlocal highest
        highest = min(highest, float(pilot.truth[2]))
        return not pilot.world.pilots[0].commander.armed

    pilot.until(down, 60.0)
    assert -highest == pytest.approx(12.0, abs=1.0)  # RTL_RETURN_ALT
    np.testing.assert_allclose(pilot.truth[:2], 0.0, atol=1.0)
    assert pilot.nav_state == HOLD  # as before: take-off and return do not outlive the flight


def test_a_reposition_takes_the_aircraft_out_of_offboard() -> None:
    pilot = _pilot()
    pilot.take_off(5.0)
    origin = pilot.world.pilots[0].nav.origin
    assert origin is not None
    there = geodesy.LocalFrame(origin).to_geodetic(np.array([0.0, 12.0, -5.0]))
    assert pilot.send(Command(192, (-1.0, 1.0, 0.0, NAN, *there))) == ACCEPTED
    assert pilot.nav_state == HOLD
    pilot.run(9.0)
    np.testing.assert_allclose(pilot.truth[:3], [0.0, 12.0, -5.0], atol=1.0)


def test_landing_slows_down_on_the_way() -> None:
    """MPC_Z_V_AUTO_DN above MPC_LAND_ALT1, MPC_LAND_SPEED below MPC_LAND_ALT2."""
    pilot = _pilot()
    pilot.take_off(18.0)
    assert pilot.send(script.LAND) == ACCEPTED
    pilot.until(lambda: not pilot.world.pilots[0].commander.armed, 60.0)
    _, p = pilot.log.column("position", "position")
    _, v = pilot.log.column("position", "velocity")
    landing = slice(int(np.argmin(p[:, 2])), None)
    height, sink = -p[landing, 2], v[landing, 2]
    assert np.mean(sink[(height > 10.5) & (height < 13.0)]) == pytest.approx(1.5, abs=0.15)
    assert np.mean(sink[(height > 1.0) & (height < 4.0)]) == pytest.approx(0.7, abs=0.1)


def test_speed_command() -> None:
    pilot = _pilot()
    pilot.take_off(5.0)
    assert pilot.send(script.HOLD) == ACCEPTED
    assert pilot.send(Command(178, (1.0, 2.0, -1.0, 0.0, 0.0, 0.0, 0.0))) == ACCEPTED
    origin = pilot.world.pilots[0].nav.origin
    assert origin is not None
    lat, lon, _ = geodesy.LocalFrame(origin).to_geodetic(np.array([40.0, 0.0, 0.0]))
    start = pilot.time_s
    assert pilot.send(Command(192, (-1.0, 1.0, 0.0, NAN, lat, lon, NAN))) == ACCEPTED
    pilot.run(12.0)
    t, v = pilot.log.column("position", "velocity")
    assert np.max(v[t > start + 1.0, 0]) == pytest.approx(2.0, abs=0.4)


def test_a_lost_stream_returns_and_comes_back() -> None:
    pilot = _pilot()
    pilot.take_off(5.0)
    goal, pilot.goal = pilot.goal, None
    lost = pilot.until(lambda: pilot.nav_state == RETURN, 3.0)
    assert lost == pytest.approx(1.0, abs=0.1)  # COM_OF_LOSS_T
    pilot.run(0.5)
    assert pilot.log.column("status", "failsafe")[1][-1]
    assert pilot.log.column("status", "intention")[1][-1] == OFFBOARD
    pilot.goal = goal
    assert pilot.until(lambda: pilot.nav_state == OFFBOARD, 1.0) < 0.2
    pilot.run(0.6)
    assert not pilot.log.column("status", "failsafe")[1][-1]


def test_velocity_setpoints() -> None:
    pilot = _pilot()
    pilot.take_off(5.0)
    pilot.goal, pilot.velocity = np.full(3, NAN), np.array([3.0, 0.0, 0.0])
    pilot.run(5.0)
    np.testing.assert_allclose(pilot.truth[3:6], [3.0, 0.0, 0.0], atol=0.4)


def test_a_setpoint_of_nothing_stops_the_aircraft() -> None:
    pilot = _pilot()
    pilot.take_off(5.0)
    pilot.goal = np.full(3, NAN)
    pilot.run(5.0)
    assert np.linalg.norm(pilot.truth[3:6]) < 0.4
    assert pilot.nav_state == OFFBOARD


def _draw(pilot: Pilot, share: float) -> None:
    """Take a share of its capacity out of the first aircraft's battery."""
    fleet = pilot.world.fleet
    fleet.x[0, dynamics.CHARGE] = share * fleet.model.battery[0, dynamics.CAPACITY_C]


def test_low_battery_returns_then_lands() -> None:
    pilot = Pilot(World(Scenario(vehicles=(VehicleSpec("px4_0", battery=0.2),))))
    pilot.take_off(5.0)
    pilot.goal = np.array([40.0, 0.0, -5.0])
    pilot.run(8.0)
    # the cells lose what is left of their charge
    _draw(pilot, 0.965)
    pilot.until(lambda: pilot.nav_state == RETURN, 30.0)
    assert pilot.world.pilots[0].commander.battery_warning == 2
    _draw(pilot, 0.985)
    pilot.until(lambda: pilot.nav_state == LAND, 30.0)
    pilot.until(lambda: not pilot.world.pilots[0].commander.armed, 60.0)
    assert pilot.send(script.ARM) == TEMPORARILY_REJECTED


def test_the_user_may_overrule_the_battery() -> None:
    pilot = Pilot(World(Scenario(vehicles=(VehicleSpec("px4_0", battery=0.2),))))
    pilot.take_off(5.0)
    _draw(pilot, 0.85)  # critical, not yet an emergency
    pilot.until(lambda: pilot.nav_state == RETURN, 30.0)
    assert pilot.send(script.HOLD) == ACCEPTED
    pilot.run(1.0)
    assert pilot.nav_state == HOLD


def test_armed_and_forgotten_disarms() -> None:
    pilot = _pilot()
    pilot.run(3.0)
    assert pilot.send(script.ARM) == ACCEPTED
    idle = pilot.until(lambda: not pilot.world.pilots[0].commander.armed, 15.0)
    assert idle == pytest.approx(10.0, abs=0.5)  # COM_DISARM_PRFLT
    pilot.run(0.3)
    assert pilot.log.column("status", "disarming_reason")[1][-1] == 7


def test_it_holds_its_place_in_wind_and_gusts() -> None:
    pilot = _pilot(wind=Wind((6.0, -3.0, 0.0), 1.0))
    pilot.take_off(10.0)
    pilot.run(5.0)
    worst = 0.0
    for _ in range(20):
        pilot.run(1.0)
        worst = max(worst, float(np.linalg.norm(pilot.truth[:3] - [0.0, 0.0, -10.0])))
    assert worst < 2.5
    assert np.std(pilot.world.fleet.wind_ned_m_s[0]) > 0.0
