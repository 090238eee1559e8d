# SPDX-License-Identifier: Apache-2.0
"""The demo's weak motor, from simulated samples to what the report says of it."""

from __future__ import annotations

import pytest

from airtwin_core import aircraft
from airtwin_core.types import Identification
from airtwin_physics.estimator import Estimator
from airtwin_physics.slow import SlowProperties
from airtwin_record import findings
from airtwin_record.history import History
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind

NAME, NAN = "px4_2", float("nan")
ROTOR, LOSS, AT_S = 2, 0.35, 19.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_motor_that_weakens_in_gusts_is_named_by_the_report_and_the_file_trusted(seed):
    wind = Wind((6.0, -3.0, 0.0), 0.5)
    flight = Flight(Scenario((VehicleSpec(NAME),), seed=seed, wind=wind, extra_topics=True))
    # each seed at another place within the block of 0.1 s
    at_s = AT_S + 0.03 * seed
    flight.world.inject(Fault("motor_loss", NAME, at_s, magnitude=LOSS, index=ROTOR))
    estimator, slow = Estimator(), SlowProperties(aircraft.load("x500"))
    history, zero_ns = History(0, "x500"), 0
    for seconds, order in (
        (5.0, Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0))),
        (1.0, Command(22, (NAN,) * 7)),
        (AT_S - 6.0 + 4.0, None),
    ):
        for _, _, sample in flight.run(seconds):
            zero_ns = zero_ns or sample.stamp_ns
            for value in (sample, estimator.on(sample)):
                found = None if value is None else slow.on(value)
                if isinstance(found, Identification):
                    history.on_identification(found)
                    before = found.stamp_ns - zero_ns < AT_S * 1e9
                    assert found.suspect in ((-1,) if before else (-1, ROTOR))
            assert slow.strange == ""
        if order is not None:
            flight.world.command(NAME, order)
    summary = findings.summary(history)
    assert summary["suspect_rotor"] == ROTOR
    weak = next(p for p in summary["parameters"] if p["name"] == f"rotor_{ROTOR}_effectiveness")
    assert weak["known"]
    assert abs(weak["value"] - (1.0 - LOSS)) < 3.0 * weak["sigma"]
