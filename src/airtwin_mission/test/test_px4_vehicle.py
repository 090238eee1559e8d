# SPDX-License-Identifier: Apache-2.0
"""The adapter and the executor against the fake PX4: what is sent when, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from fake_flight import MISSION, Flight
from fake_px4 import FakePx4

from airtwin_core.types import Advisory, AdvisoryAction, NavState, Phase
from airtwin_mission.limits import Limits
from airtwin_mission.ports import Setpoint, VehicleCommand
from airtwin_mission.px4_request import ARM, Request

NAN = float("nan")


def advisory(action: AdvisoryAction) -> Advisory:
    return Advisory("px4_1", action, "traffic", "px4_2", 10.0, 5.0, "loss of separation")


def commands(flight: Flight) -> list[int]:
    return [o.command for _, o in flight.sent if isinstance(o, VehicleCommand)]


def test_whole_mission() -> None:
    flight = Flight(FakePx4())
    flight.until_phase(Phase.DONE)
    assert commands(flight) == [176, 400, 21]
    phases = list(dict.fromkeys(b.phase for b in flight.beliefs))
    assert phases == [
        Phase.ARMING,
        Phase.TAKEOFF,
        Phase.ENROUTE,
        Phase.HOLD,
        Phase.LAND,
        Phase.DONE,
    ]
    assert not flight.px4.armed
    np.testing.assert_allclose(flight.px4.position, [40.0, 30.0, 0.0], atol=1.6)


def test_setpoints_precede_the_mode_switch_and_keep_20_hz() -> None:
    flight = Flight(FakePx4())
    flight.until_phase(Phase.LAND)
    first_mode = next(t for t, o in flight.sent if isinstance(o, VehicleCommand))
    stream = [t for t, o in flight.sent if isinstance(o, Setpoint)]
    assert first_mode - stream[0] > 1_000_000_000
    gaps_s = np.diff(stream) * 1e-9
    assert gaps_s.max() <= 0.0501


def test_flies_no_faster_than_planned() -> None:
    """A bare position setpoint would be flown at 12 m/s (MPC_XY_VEL_MAX)."""
    flight = Flight(FakePx4())
    flight.until_phase(Phase.LAND)
    assert 4.0 < flight.px4.fastest < 5.6


def test_progress_never_falls_and_ends_at_one() -> None:
    flight = Flight(FakePx4())
    flight.until_phase(Phase.DONE)
    progress = np.array([b.progress for b in flight.beliefs])
    assert (np.diff(progress) >= 0.0).all()
    assert progress[-1] == 1.0
    assert progress[-2] > 0.95


def test_eta_is_honest() -> None:
    """From the first leg on, the announced end is within 8 s of the real one."""
    flight = Flight(FakePx4())
    end = flight.until_phase(Phase.DONE).received_ns
    for belief in flight.beliefs:
        if belief.phase in (Phase.ENROUTE, Phase.HOLD):
            real_s = (end - belief.received_ns) * 1e-9
            assert belief.eta_s == pytest.approx(real_s, abs=8.0)


def test_holds_on_advisory_and_goes_on() -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(3.0)
    flight.executor.on(advisory(AdvisoryAction.HOLD))
    flight.run(5.0)
    assert flight.belief.phase is Phase.HOLD
    assert "loss of separation" in flight.belief.reason
    assert "px4_2" in flight.belief.reason
    stood = flight.px4.position.copy()
    flight.run(10.0)
    assert np.linalg.norm(flight.px4.position - stood) < 0.3
    assert flight.px4.armed
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.until_phase(Phase.DONE)
    assert commands(flight) == [176, 400, 21]


@pytest.mark.parametrize(
    ("action", "command", "phase"),
    [
        (AdvisoryAction.RETURN, 20, Phase.RETURN),
        (AdvisoryAction.LAND, 21, Phase.LAND),
    ],
)
def test_ends_on_advisory_and_does_not_go_on(
    action: AdvisoryAction, command: int, phase: Phase
) -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(4.0)
    flight.executor.on(advisory(action))
    assert flight.until_phase(phase).reason
    flight.executor.on(advisory(AdvisoryAction.CLEAR))
    flight.until_phase(Phase.ABORTED)
    assert commands(flight) == [176, 400, command]
    assert not flight.px4.armed


@pytest.mark.parametrize("mode", [NavState.POSCTL, NavState.MANUAL, NavState.LOITER, 23])
def test_pilot_wins_for_good(mode: int) -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(2.0)
    flight.px4.mode = mode
    flight.run(0.2)
    assert flight.belief.phase is Phase.ABORTED
    assert "pilot took over" in flight.belief.reason
    sent = len(flight.sent)
    flight.px4.mode = NavState.OFFBOARD
    flight.run(5.0)
    assert len(flight.sent) == sent
    assert flight.belief.phase is Phase.ABORTED


def test_pilot_wins_during_failsafe_and_during_return() -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.px4.mode, flight.px4.failsafe = NavState.POSCTL, True
    flight.run(0.2)
    assert "pilot took over" in flight.belief.reason

    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.executor.on(advisory(AdvisoryAction.RETURN))
    flight.until_phase(Phase.RETURN)
    flight.run(2.0)
    flight.px4.mode = NavState.ALTCTL
    flight.run(0.2)
    assert flight.belief.reason == "pilot took over: mode altctl"


def test_motors_stopped_by_somebody_else() -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.px4.armed = False
    flight.run(0.2)
    assert flight.belief.phase is Phase.ABORTED
    assert flight.belief.reason == "motors stopped by somebody else"
    assert flight.vehicle.view().pilot
    sent = len(flight.sent)
    flight.run(2.0)
    assert len(flight.sent) == sent


def test_offboard_loss_is_followed_and_survived() -> None:
    """The setpoints do not arrive for 3 s: PX4 returns, then gives offboard back."""
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.run(3.0)
    flight.deaf = True
    flight.run(3.0)
    assert flight.belief.phase is Phase.RETURN
    assert flight.belief.reason == "PX4 failsafe: rtl"
    flight.deaf = False
    flight.run(1.0)
    assert flight.belief.phase is Phase.ENROUTE
    flight.until_phase(Phase.DONE)


def test_failsafe_to_the_ground_ends_the_mission() -> None:
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.deaf = True
    belief = flight.until_phase(Phase.ABORTED)
    assert "failsafe" in belief.reason
    flight.deaf = False
    flight.run(5.0)
    assert not flight.px4.armed


def test_no_position_no_setpoints() -> None:
    """Blind setpoints are not sent: PX4's own failsafe is the safer pilot."""
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.px4.mute = True
    flight.run(1.6)
    sent = len(flight.sent)
    flight.run(2.0)
    assert len(flight.sent) == sent
    flight.px4.mute = False
    flight.until_phase(Phase.DONE)


@pytest.mark.parametrize(
    ("result", "words", "tries"),
    [
        (2, "arm: denied by PX4 (5 tries)", 5),
        (3, "arm: PX4 does not support command 400", 1),
        (None, "arm: no answer from PX4 (5 tries)", 5),
    ],
)
def test_arming_refused(result: int | None, words: str, tries: int) -> None:
    flight = Flight(FakePx4(answer=lambda c: result if c.command == 400 else 0))
    belief = flight.until_phase(Phase.ABORTED, within_s=20.0)
    assert belief.reason == words
    assert commands(flight).count(400) == tries
    sent = len(flight.sent)
    flight.run(3.0)
    assert len(flight.sent) == sent


def test_accepted_but_nothing_changes() -> None:
    px4 = FakePx4()
    flight = Flight(px4)
    px4.answer = lambda c: 5 if c.command == 176 else 0
    belief = flight.until_phase(Phase.ABORTED, within_s=20.0)
    assert belief.reason == "offboard mode: accepted by PX4, but nothing changed (5 tries)"


def test_lost_commands_are_sent_again() -> None:
    lost: list[int] = []

    def answer(command: VehicleCommand) -> int | None:
        lost.append(command.command)
        return None if lost.count(command.command) < 3 else 0

    flight = Flight(FakePx4(answer=answer))
    flight.until_phase(Phase.DONE)
    assert commands(flight) == [176] * 3 + [400] * 3 + [21] * 3


def test_a_request_is_sent_so_often_and_no_more() -> None:
    request = Request(ARM, Limits())
    sent_s = [i / 10 for i in range(100) if request.due(i * 100_000_000)]
    assert sent_s == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert request.failure(10_000_000_000)


def test_landing_denied_holds_and_says_so() -> None:
    flight = Flight(FakePx4(answer=lambda c: 2 if c.command in (20, 21) else 0))
    flight.until_leg(1)
    flight.executor.on(advisory(AdvisoryAction.LAND))
    flight.run(8.0)
    assert flight.belief.phase is Phase.HOLD
    assert "land: denied" in flight.belief.reason
    assert flight.px4.armed
    assert np.linalg.norm(flight.px4.velocity) < 0.2


@pytest.mark.parametrize("arming", [True, False])
def test_does_not_take_over_a_flight(arming: bool) -> None:
    px4 = FakePx4(armed=True, mode=NavState.POSCTL, position=np.array([0.0, 0.0, -20.0]))
    flight = Flight(px4, arming=arming)
    flight.run(5.0)
    assert flight.belief.phase is Phase.IDLE
    assert "not taking over" in flight.belief.reason
    assert not flight.sent


def test_without_arming_a_person_arms() -> None:
    flight = Flight(FakePx4(), arming=False)
    flight.run(5.0)
    assert flight.belief.reason == "waiting for the pilot to arm"
    assert 400 not in commands(flight)
    flight.px4.armed = True
    flight.until_phase(Phase.DONE)


def test_preflight_checks_never_pass() -> None:
    flight = Flight(FakePx4(preflight=False))
    belief = flight.until_phase(Phase.ABORTED, within_s=40.0)
    assert "preflight checks did not pass" in belief.reason
    assert 400 not in commands(flight)


def test_estimate_reset_does_not_move_the_aircraft() -> None:
    """EKF2 moves its position by 5 m while holding: the setpoint moves along."""
    flight = Flight(FakePx4())
    flight.until_leg(1)
    flight.executor.on(advisory(AdvisoryAction.HOLD))
    flight.run(6.0)
    before = flight.px4.position.copy()
    shift = np.array([3.0, -4.0, 1.0])
    flight.px4.move_estimate(shift)
    flight.px4.fastest = 0.0
    flight.run(5.0)
    np.testing.assert_allclose(flight.px4.position, before + shift, atol=0.2)
    # One setpoint is on its way when the reset comes; flying the 5 m back takes 4 m/s.
    assert flight.px4.fastest < 1.0


def test_geographic_mission_waits_for_an_origin() -> None:
    text = MISSION.replace(
        "ned_m: [40.0, 0.0, -8.0]",
        "latitude_deg: 47.398, longitude_deg: 8.5456, altitude_m: 8.0, datum: home",
    )
    flight = Flight(FakePx4(origin=None), text)
    flight.run(5.0)
    assert "no GNSS fix" in flight.belief.reason
    assert not flight.sent
    flight.px4.origin = FakePx4().origin
    flight.until_phase(Phase.DONE)
