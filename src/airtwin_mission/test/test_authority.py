# SPDX-License-Identifier: Apache-2.0
"""Who may fly: nothing is taken from a person, nothing is begun while somebody says no."""

from __future__ import annotations

import numpy as np
import pytest
from fake_flight import MISSION, Flight
from fake_px4 import FakePx4

from airtwin_core.types import Advisory, AdvisoryAction, Check, NavState, Phase, Report, Verdict
from airtwin_mission.limits import Limits
from airtwin_mission.plan import MissionError
from airtwin_mission.ports import Setpoint, VehicleCommand

REQUIRED = Limits(monitor_required=True, airspace_required=True)


def advisory(action: AdvisoryAction) -> Advisory:
    return Advisory("px4_1", action, "traffic", "px4_2", 10.0, 5.0, "loss of separation")


def report(verdict: Verdict) -> Report:
    factors = ("position", "velocity")
    checks = tuple(Check(f"CON-{f}", f, 0.0, 1.0, verdict) for f in factors)
    return Report(0, verdict, checks, ())


def commands(flight: Flight) -> list[int]:
    return [o.command for _, o in flight.sent if isinstance(o, VehicleCommand)]


def by_hand(px4: FakePx4) -> None:
    """A pilot takes off and is 20 m up."""
    px4.armed, px4.mode = True, NavState.POSCTL
    px4.position, px4._landed_ns = np.array([0.0, 0.0, -20.0]), None


@pytest.mark.parametrize("arming", [True, False])
def test_a_pilot_who_took_off_while_the_mission_waited_keeps_the_aircraft(arming: bool) -> None:
    flight = Flight(FakePx4(), arming=arming)
    flight.executor.on(advisory(AdvisoryAction.HOLD))
    flight.run(3.0)
    by_hand(flight.px4)
    flight.run(3.0)
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.run(5.0)
    assert flight.sent == []
    assert flight.px4.mode == NavState.POSCTL
    assert "not taking over" in flight.belief.reason
    assert flight.belief.phase is Phase.IDLE


def test_a_pilot_who_takes_off_during_the_lead_in_keeps_the_aircraft() -> None:
    flight = Flight(FakePx4())
    flight.run(0.8)
    assert flight.sent
    assert not commands(flight)
    by_hand(flight.px4)
    flight.run(0.5)
    sent = len(flight.sent)
    flight.run(5.0)
    assert len(flight.sent) == sent
    assert flight.px4.mode == NavState.POSCTL


def test_sticks_on_the_ground() -> None:
    """In a pilot's mode nothing is begun, but where the pilot is to arm it is."""
    flight = Flight(FakePx4(mode=NavState.POSCTL))
    flight.run(3.0)
    assert flight.sent == []
    assert "posctl" in flight.belief.reason
    flight = Flight(FakePx4(mode=NavState.POSCTL), arming=False)
    flight.run(3.0)
    assert flight.belief.reason == "waiting for the pilot to arm"


@pytest.mark.parametrize(
    "action", [AdvisoryAction.HOLD, AdvisoryAction.RETURN, AdvisoryAction.LAND]
)
@pytest.mark.parametrize("begun_s", [0.5, 3.0])
def test_does_not_arm_against_an_advisory(action: AdvisoryAction, begun_s: float) -> None:
    """It comes after the mission was ready and allowed: before or after offboard mode."""
    flight = Flight(FakePx4(preflight=False))
    flight.run(begun_s)
    flight.executor.on(advisory(action))
    flight.px4.preflight = True
    flight.run(5.0)
    assert not flight.px4.armed
    assert 400 not in commands(flight)
    assert "loss of separation" in flight.belief.reason
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.until_phase(Phase.DONE)


def test_motors_stopped_on_the_ground_are_not_started_again() -> None:
    flight = Flight(FakePx4())
    flight.run(60.0, lambda: flight.px4.armed)
    flight.executor.on(advisory(AdvisoryAction.HOLD))
    flight.run(0.5)
    flight.px4.armed = False
    flight.run(0.5)
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.run(5.0)
    assert not flight.px4.armed
    assert flight.belief.phase is Phase.ABORTED


def test_waits_for_those_who_are_required() -> None:
    flight = Flight(FakePx4(), limits=REQUIRED)
    flight.run(2.0)
    assert flight.belief.reason == "waits for the airspace manager"
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.run(0.1)
    assert flight.belief.reason == "waits for the consistency monitor"
    assert flight.sent == []
    flight.executor.on(report(Verdict.UNKNOWN))
    flight.run(2.0)
    assert 176 in commands(flight)


def listened(flight: Flight, seconds: float, verdict: Verdict) -> None:
    for _ in range(round(seconds / 0.1)):
        flight.executor.on(report(verdict))
        flight.run(0.1)


def test_a_required_twin_without_evidence_holds() -> None:
    flight = Flight(FakePx4(), limits=REQUIRED)
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    listened(flight, 10.0, Verdict.CONSISTENT)
    assert flight.belief.phase in (Phase.TAKEOFF, Phase.ENROUTE)
    listened(flight, 4.5, Verdict.UNKNOWN)
    assert flight.belief.reason == ""
    listened(flight, 1.0, Verdict.UNKNOWN)
    assert flight.belief.phase is Phase.HOLD
    assert flight.belief.reason == "the twin has no evidence on position"
    listened(flight, 1.0, Verdict.CONSISTENT)
    assert flight.belief.reason == ""
    flight.run(6.0)
    assert flight.belief.reason == "consistency monitor is silent"


def test_a_required_twin_that_never_has_evidence_holds() -> None:
    """A monitor that was just started settles first."""
    flight = Flight(FakePx4(), limits=REQUIRED)
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    listened(flight, 14.5, Verdict.UNKNOWN)
    assert flight.belief.phase is Phase.ENROUTE
    listened(flight, 1.5, Verdict.UNKNOWN)
    assert flight.belief.reason == "the twin has no evidence on position"


def test_nothing_is_asked_of_px4_during_its_failsafe() -> None:
    px4 = FakePx4(answer=lambda c: 1 if c.command == 20 else 0)
    flight = Flight(px4)
    flight.until_phase(Phase.ENROUTE)
    flight.executor.on(advisory(AdvisoryAction.RETURN))
    flight.run(0.4)
    asked = len(commands(flight))
    px4.mode, px4.failsafe = NavState.DESCEND, True
    flight.run(4.0)
    assert len(commands(flight)) == asked
    assert "failsafe" in flight.belief.reason


def test_motors_killed_in_the_air_while_it_lands() -> None:
    flight = Flight(FakePx4())
    flight.until_phase(Phase.ENROUTE)
    flight.run(3.0)
    flight.executor.on(advisory(AdvisoryAction.LAND))
    flight.run(0.6)
    flight.px4.armed = False
    flight.run(1.0)
    assert flight.belief.phase is Phase.ABORTED
    assert "motors stopped in the air" in flight.belief.reason


@pytest.mark.parametrize("delta", [1e5, np.inf, np.nan])
def test_a_reset_that_did_not_happen_moves_nothing(delta: float) -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(2.0)
    flight.px4._shift = np.array([delta, 0.0, 0.0])
    flight.px4._resets += 1
    flight.run(1.0)
    point = [o for _, o in flight.sent if isinstance(o, Setpoint)][-1]
    assert np.linalg.norm(point.position_ned_m - flight.px4.position) < 5.0
    assert flight.px4.fastest < 5.6


def test_a_jump_that_px4_does_not_explain_begins_anew_from_there() -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(2.0)
    flight.px4.move_estimate(np.array([0.0, 50.0, 0.0]))
    flight.px4._shift = np.array([0.0, -50.0, 0.0])
    flight.run(1.0)
    point = [o for _, o in flight.sent if isinstance(o, Setpoint)][-1]
    assert np.linalg.norm(point.position_ned_m - flight.px4.position) < 5.0
    assert flight.px4.fastest < 5.6


@pytest.mark.parametrize(
    "text",
    [
        MISSION.replace("steps:", "speed_m_s: 50\nsteps:"),
        MISSION.replace("  - hold", "  - speed: {m_s: 31.0}\n  - hold"),
    ],
)
def test_faster_than_the_gate_is_refused_before_the_flight(text: str) -> None:
    with pytest.raises(MissionError, match="AirTwin flies at most 30 m/s"):
        Flight(FakePx4(), text)
