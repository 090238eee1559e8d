# SPDX-License-Identifier: Apache-2.0
"""CON-ACT-1: a rotor that fails is told from own trim, torque, the ground and tumbling."""

from __future__ import annotations

import numpy as np
import pytest
from consistency_scene import Scene, hovering

from airtwin_consistency.stopped import Stopped
from airtwin_core.types import Verdict

LEVEL = np.array([0.50, 0.50, 0.50, 0.50])
YAW_PAIR = np.array([0.65, 0.62, 0.43, 0.47])  # as a public X500 hovers, motors tilted


def _faults(scene):
    return [(d.cause, d.evidence) for d in scene.opened if d.requirement == "CON-ACT-1"]


def _standing():
    """Return a scene that was seen on the ground and of which PX4 now says that it flies."""
    scene = Scene(landed=True, motors=np.full(4, 0.1)).run(5.0)
    scene.landed = False
    return scene.run(1.5)


def test_integrators_that_wind_up_against_the_ground_are_no_fault():
    scene = _standing()
    for motors in ([0.5, 0.8, 0.4, 0.9], [0.5, 0.8, 0.3, 1.0], [0.5, 0.5, 0.05, 1.0]):
        scene.motors = np.array(motors)
        scene.run(6.0)
    assert _faults(scene) == []
    check = scene.check("CON-ACT-1")
    assert check.verdict is Verdict.UNKNOWN
    assert "ground" in check.evidence


def test_once_it_has_left_the_ground_it_is_judged():
    scene = _standing()
    scene.velocity = np.array([0.0, 0.0, -1.5])
    scene.motors = LEVEL
    scene.run(3.0)
    scene.velocity = np.zeros(3)
    scene.run(6.0)
    scene.motors = np.array([0.5, 0.5, 0.75, 0.5])
    scene.run(3.0)
    assert [cause for cause, _ in _faults(scene)] == ["motor fault (rotor 3)"]


@pytest.mark.parametrize(
    "motors",
    [
        1.45 * YAW_PAIR,  # a hard climb: one of the raised pair reaches its limit first
        np.minimum(YAW_PAIR * np.array([1.7, 1.5, 0.7, 0.7]), 1.0),  # yaw asked for
        YAW_PAIR * np.array([1.3, 0.7, 1.0, 1.0]),  # wind along a diagonal: one up, one down
        YAW_PAIR * np.array([1.3, 0.8, 1.3, 0.8]),  # wind from ahead
    ],
    ids=["climb", "yaw", "diagonal", "ahead"],
)
def test_torque_on_an_aircraft_with_a_trim_of_its_own_is_no_rotors_fault(motors):
    scene = hovering(motors=YAW_PAIR)
    scene.motors = np.minimum(motors, 1.0)
    scene.run(4.0)
    assert _faults(scene) == []


@pytest.mark.parametrize("rotor", range(4))
@pytest.mark.parametrize("shake", [0.0, 3.0])
def test_a_loss_is_found_whatever_the_trim_and_though_the_aircraft_shakes(rotor, shake):
    scene = hovering(motors=YAW_PAIR, shake=shake, seconds=20.0)
    motors = YAW_PAIR.copy()
    motors[rotor] /= 1.0 - 0.3
    scene.motors = motors
    scene.run(3.0)
    ((cause, evidence),) = _faults(scene)
    assert cause == f"motor fault (rotor {rotor + 1})"
    assert f"motor {rotor + 1} " in evidence


def test_a_rotor_that_gives_too_little_at_its_limit_lets_the_aircraft_turn():
    motors = np.array([0.63, 1.0, 0.81, 0.81])  # half of rotor 2 is lost, simulated
    scene = hovering(motors=np.full(4, 0.73))
    scene.motors = motors
    scene.yaw_rate = -1.5
    scene.run(1.0)
    assert [cause for cause, _ in _faults(scene)] == ["motor fault (rotor 2)"]
    level = hovering(motors=np.full(4, 0.73))
    level.motors = motors
    level.run(2.0)
    assert _faults(level) == []


def test_a_pair_that_works_near_its_limit_reaches_it_one_before_the_other():
    scene = hovering(motors=np.array([0.78, 0.76, 0.62, 0.65]))
    scene.motors = np.array([1.0, 0.85, 0.60, 0.60])
    scene.yaw_rate = 0.8  # the yaw that is given up, so that it stays level
    scene.run(1.2)
    assert _faults(scene) == []


def test_a_rotor_that_is_restless_all_along_is_not_judged_as_a_quiet_one():
    more = np.array([np.exp(0.17), 1.0, 1.0, 1.0])
    quiet, restless = hovering(), Scene()
    for k in range(16):
        restless.motors = LEVEL * np.array([np.exp(0.12 * (-1) ** k), 1.0, 1.0, 1.0])
        restless.run(1.0)
    for scene in (quiet, restless):
        scene.motors = LEVEL * more
        scene.run(6.0)
    assert [cause for cause, _ in _faults(quiet)] == ["motor fault (rotor 1)"]
    assert _faults(restless) == []
    restless.motors = LEVEL * np.array([1.5, 1.0, 1.0, 1.0])  # a third is lost
    restless.run(3.0)
    assert [cause for cause, _ in _faults(restless)] == ["motor fault (rotor 1)"]


def _fall(scene, steps):
    for tilt_deg, motors in steps:
        scene.tilt_rad = np.radians(tilt_deg)
        scene.motors = np.array(motors)
        scene.run(0.1)
    return scene.run(0.5)


def test_it_tips_over_the_rotor_that_is_asked_for_most_until_it_lies():
    lost = [(4, [0.3, 1.0, 0.6, 0.6]), (20, [0.1, 0.9, 0.4, 0.4]), (45, [0.0, 0.3, 0.1, 0.1])]
    scene = _fall(hovering(), [*lost, (65, [0.0, 0.0, 0.0, 0.0])])
    ((cause, evidence),) = _faults(scene)
    assert cause == "motor fault (rotor 2)"
    assert "motor 2 alone" in evidence
    assert [d.cause for d in scene.opened if d.requirement == "CON-ATT-3"] == [cause]


def test_a_rotor_that_throws_the_aircraft_over_is_not_lost():
    thrown = [(1, [0.1, 1.0, 0.6, 0.6]), (25, [0.6, 0.2, 0.9, 0.5]), (50, [0.4, 0.0, 1.0, 0.5])]
    scene = _fall(_standing(), [*thrown, (70, [0.4, 0.0, 1.0, 0.5])])
    assert _faults(scene) == []
    assert [d.cause for d in scene.opened if d.requirement == "CON-ATT-3"] == ["loss of control"]


def test_a_dead_rotor_at_take_off_is_named_while_the_aircraft_leans():
    scene = _standing()
    for tilt_deg in (2.0, 10.0, 20.0, 35.0, 40.0):
        scene.tilt_rad = np.radians(tilt_deg)
        scene.motors = np.array([1.0, 0.4, 0.6, 0.7])
        scene.run(0.3)
    assert [cause for cause, _ in _faults(scene)] == ["motor fault (rotor 1)"]


def test_the_first_rotor_keeps_the_blame_and_the_evidence_speaks_of_it():
    scene = hovering()
    scene.motors = np.array([0.5, 0.5, 0.8, 0.5])
    scene.run(2.0)
    scene.motors = np.array([0.5, 0.5, 0.5, 1.0])
    scene.run(3.0)
    (deviation,) = (d for d in scene.report.open_deviations if d.requirement == "CON-ACT-1")
    assert deviation.cause == "motor fault (rotor 3)"
    assert "motor 3 " in deviation.evidence


@pytest.mark.parametrize("stopped", [0, 4])
def test_a_motor_that_px4_stops_in_flight_is_named_and_the_others_are_judged_on(stopped):
    scene = hovering(motors=np.full(6, 0.5))
    motors = np.full(6, 0.6)
    motors[stopped] = np.nan
    scene.motors = motors
    scene.run(0.5)
    ((cause, evidence),) = _faults(scene)
    assert cause == f"motor fault (rotor {stopped + 1})"
    assert f"stopped motor {stopped + 1} in flight" in evidence
    scene.motors = np.full(6, 0.5)  # PX4 takes it in again
    scene.run(12.0)
    assert scene.check("CON-ACT-1").verdict is Verdict.CONSISTENT


def test_one_broken_command_stops_no_motor():
    stopped, six, five = Stopped(), np.arange(6), np.arange(5)
    said = []
    for k, running in enumerate((six, five, six, five, *[five] * 10)):
        stopped.on_commands(running, k * 10_000_000, flying=True)
        said.append(stopped.motors)
    assert said == [()] * 13 + [(5,)]
    assert stopped.since_ns == 30_000_000


def test_motors_that_stop_together_or_on_the_ground_are_no_fault():
    scene = hovering(motors=np.full(6, 0.5))
    scene.motors = np.full(6, np.nan)
    scene.run(1.0)
    assert _faults(scene) == []
    scene = Scene(landed=True, motors=np.full(6, 0.1)).run(5.0)
    scene.motors = np.array([0.1, 0.1, 0.1, 0.1, 0.1, np.nan])
    scene.run(2.0)
    assert _faults(scene) == []
