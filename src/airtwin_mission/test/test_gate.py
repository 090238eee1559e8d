# SPDX-License-Identifier: Apache-2.0
"""What may reach an aircraft at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airtwin_mission.gate import Gate, GateLimits
from airtwin_mission.ports import Setpoint, VehicleCommand
from airtwin_mission.px4_request import ARM, LAND, OFFBOARD, RETURN

AT = np.array([0.0, 0.0, -4.0])
HERE = Setpoint((0.0, 0.0, -5.0), (0.0, 0.0, 0.0), 0.0)


def gate(mode: str = "twin", *, arming: bool = True) -> Gate:
    return Gate(GateLimits(mode, arming))


@pytest.mark.parametrize("output", [ARM, LAND, OFFBOARD, RETURN, HERE])
def test_what_the_adapter_sends_passes_only_in_twin_mode(output: object) -> None:
    assert gate().refusal(output, 0, AT) == ""
    assert "commands nothing" in gate("shadow").refusal(output, 0, AT)
    assert "commands nothing" in gate("model").refusal(output, 0, AT)


def test_arming_needs_leave() -> None:
    assert "not allowed" in gate(arming=False).refusal(ARM, 0, AT)
    assert gate(arming=False).refusal(LAND, 0, AT) == ""


@pytest.mark.parametrize(
    "command",
    [
        VehicleCommand(400, 0.0, 21196.0),  # disarm in flight
        VehicleCommand(400, 1.0, 21196.0),  # arm past the checks
        VehicleCommand(400, 0.0, 0.0),
        VehicleCommand(185, 1.0),  # flight termination
        VehicleCommand(176, 1.0, 1.0),  # manual mode
        VehicleCommand(246, 1.0),  # reboot
    ],
)
def test_other_commands_never(command: VehicleCommand) -> None:
    assert gate().refusal(command, 0, AT)


@pytest.mark.parametrize(
    "setpoint",
    [
        Setpoint((math.nan, 0.0, -5.0)),
        Setpoint((math.inf, 0.0, -5.0)),
        Setpoint((1e9, 0.0, -5.0)),
        Setpoint((0.0, 0.0, -5.0), (100.0, 0.0, 0.0)),
        Setpoint((0.0, 0.0, -5.0), (math.nan, 500.0, 0.0)),
        Setpoint((0.0, 0.0, -5.0), (math.inf, math.nan, 0.0)),
        Setpoint((0.0, 0.0, -5.0), (0.0, 0.0, 0.0), math.inf),
        Setpoint((0.0, 23.0, -5.0)),
    ],
)
def test_setpoints_that_no_multirotor_flies(setpoint: Setpoint) -> None:
    assert gate().refusal(setpoint, 0, AT)


def test_velocity_may_be_left_to_px4() -> None:
    assert gate().refusal(Setpoint((1.0, 2.0, -5.0)), 0, AT) == ""


def test_rate() -> None:
    judge = gate()
    answers = [judge.refusal(LAND, i * 10_000_000, AT) for i in range(20)]
    assert [bool(a) for a in answers] == [False] * 10 + [True] * 10
    assert judge.refusal(HERE, 0, AT) == ""  # counted apart
    assert judge.refusal(LAND, 1_200_000_000, AT) == ""


def test_a_setpoint_passes_only_near_an_aircraft_whose_place_is_known() -> None:
    assert gate().refusal(HERE, 0, np.array([0.0, 21.0, -5.0])) == ""
    assert "from the aircraft" in gate().refusal(HERE, 0, np.array([0.0, 23.0, -5.0]))
    assert "nobody knows" in gate().refusal(HERE, 0, None)
    assert gate().refusal(HERE, 0, np.full(3, math.nan))
    assert gate().refusal(LAND, 0, None) == ""


def test_the_rate_starts_over_when_the_clock_is_set_back() -> None:
    judge = gate()
    assert any(judge.refusal(LAND, 10**15, AT) for _ in range(11))
    assert judge.refusal(LAND, 10**9, AT) == ""
    assert any(judge.refusal(LAND, 10**9, AT) for _ in range(10))
