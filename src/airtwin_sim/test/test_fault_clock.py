# SPDX-License-Identifier: Apache-2.0
"""Faults that wait for the first arming: a slow start of the twins changes nothing."""

import dataclasses

import pytest

from airtwin_sim.commander import Command
from airtwin_sim.scenario import Fault, Scenario, ScenarioError, VehicleSpec
from airtwin_sim.world import World

ARM = Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0))
BREEZE = Fault(kind="wind", start_s=1.0, vector=(5.0, 0.0, 0.0))


def wind_begins_s(world, arm_at_s):
    """Return when the wind begins [s], None within 12 s; the vehicle is armed at ``arm_at_s``."""
    asked = False
    while world.time_us < 12_000_000:
        if not asked and world.time_us >= arm_at_s * 1e6:
            world.command("px4_1", ARM)
            asked = True
        world.step()
        if world.fleet.steady_ned_m_s[0, 0] > 0.0:
            return world.time_us * 1e-6
    return None


def scenario(faults_from):
    return Scenario((VehicleSpec("px4_1"),), faults=(BREEZE,), faults_from=faults_from)


def test_from_the_start_they_come_whatever_the_aircraft_do():
    assert wind_begins_s(World(scenario("start")), 100.0) == pytest.approx(1.0, abs=0.02)


def test_from_the_first_arming_they_wait_for_it():
    assert wind_begins_s(World(scenario("first_arming")), 6.0) == pytest.approx(7.0, abs=0.3)
    assert wind_begins_s(World(scenario("first_arming")), 100.0) is None


def test_another_clock_is_refused():
    with pytest.raises(ScenarioError, match="faults_from"):
        dataclasses.replace(scenario("start"), faults_from="lunch")
