# SPDX-License-Identifier: Apache-2.0
"""What may reach an aircraft at all."""

from __future__ import annotations

import math

import pytest

from airtwin_mission.gate import Gate, GateLimits
from airtwin_mission.ports import Setpoint, VehicleCommand
from airtwin_mission.px4_request import ARM, LAND, OFFBOARD, RETURN

HERE = Setpoint((0.0, 0.0, -5.0), (0.0, 0.0, 0.0), 0.0)


def gate(mode: str = "twin", *, arming: bool = True) -> Gate:
    return Gate(GateLimits(mode, arming))


@pytest.mark.parametrize("output", [ARM, LAND, OFFBOARD, RETURN, HERE])
def test_what_the_adapter_sends_passes_only_in_twin_mode(output: object) -> None:
    assert gate().refusal(output, 0) == ""
    assert "commands nothing" in gate("shadow").refusal(output, 0)
    assert "commands nothing" in gate("model").refusal(output, 0)


def test_arming_needs_leave() -> None:
    assert "not allowed" in gate(arming=False).refusal(ARM, 0)
    assert gate(arming=False).refusal(LAND, 0) == ""


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
    assert gate().refusal(command, 0)


@pytest.mark.parametrize(
    "setpoint",
    [
        Setpoint((math.nan, 0.0, -5.0)),
        Setpoint((math.inf, 0.0, -5.0)),
        Setpoint((1e9, 0.0, -5.0)),
        Setpoint((0.0, 0.0, -5.0), (100.0, 0.0, 0.0)),
    ],
)
def test_setpoints_that_no_multirotor_flies(setpoint: Setpoint) -> None:
    assert gate().refusal(setpoint, 0)


def test_velocity_may_be_left_to_px4() -> None:
    assert gate().refusal(Setpoint((1.0, 2.0, -5.0)), 0) == ""


def test_rate() -> None:
    judge = gate()
    answers = [judge.refusal(LAND, i * 10_000_000) for i in range(20)]
    assert [bool(a) for a in answers] == [False] * 10 + [True] * 10
    assert judge.refusal(HERE, 0) == ""  # counted apart
    assert judge.refusal(LAND, 1_200_000_000) == ""
