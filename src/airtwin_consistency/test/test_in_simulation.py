# SPDX-License-Identifier: Apache-2.0
"""The embedded simulator injects faults; the monitor must find them, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from airtwin_consistency.monitor import Monitor
from airtwin_core.types import Deviation
from airtwin_physics.estimator import Estimator

commander = pytest.importorskip("airtwin_sim.commander")
samples = pytest.importorskip("airtwin_sim.samples")
scenario = pytest.importorskip("airtwin_sim.scenario")

START_NS = 1_000_000_000
ARM = commander.Command(400, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
OFFBOARD = commander.Command(176, (1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0))
FAULT_S = 30.0


class Watched:
    """One simulated aircraft with its twin and monitor."""

    def __init__(self) -> None:
        self.estimator, self.monitor = Estimator(), Monitor()
        self.decided: list[tuple[float, Deviation]] = []

    def tick(self, now_ns: int) -> None:
        _, changed = self.monitor.tick(now_ns)
        now_s = (now_ns - START_NS) * 1e-9
        self.decided += [(now_s, d) for d in changed if d.end_ns is None]


def fly(faults, *, seed, seconds, aircraft, gust=0.5, square=False):
    """Fly ``aircraft`` quads in hover or along squares; return a ``Watched`` for each."""
    names = [f"px4_{i + 1}" for i in range(aircraft)]
    specs = tuple(
        scenario.VehicleSpec(name, start_ned_m=(50.0 * i, 0.0, 0.0), yaw_deg=40.0 * i)
        for i, name in enumerate(names)
    )
    flight = samples.Flight(
        scenario.Scenario(
            vehicles=specs, faults=tuple(faults), seed=seed, extra_topics=True,
            wind=scenario.Wind((3.0, -2.0, 0.0), gust),
        ),
        start_ns=START_NS,
    )  # fmt: skip
    watched = {name: Watched() for name in names}
    world, tick_us = flight.world, 0
    while world.time_us < seconds * 1e6:
        t = world.time_us * 1e-6
        for name in names:
            if world.time_us % 52_000 == 0 and t > 4.0:
                world.offboard_mode(name, position=True)
                world.setpoint(name, _place(t, square=square))
            if world.time_us == 6_000_000:
                world.command(name, OFFBOARD)
            if world.time_us == 6_500_000:
                world.command(name, ARM)
        arrived = flight.step()
        if world.time_us - tick_us >= 100_000:
            tick_us = world.time_us
            for one in watched.values():
                one.tick(START_NS + world.time_us * 1000)
        for name, _, sample in arrived:
            one = watched[name]
            one.monitor.on(sample)
            state = one.estimator.on(sample)
            if state is not None:
                one.monitor.on(state)
    return watched


def _place(t, *, square):
    if not square or t < 18.0:
        return np.array([0.0, 0.0, -8.0])
    corners = np.array([[0.0, 0.0], [12.0, 0.0], [12.0, 12.0], [0.0, 12.0], [0.0, 0.0]])
    leg, along = divmod((t - 18.0) / 4.0 % 4.0, 1.0)
    xy = corners[int(leg)] + along * (corners[int(leg) + 1] - corners[int(leg)])
    return np.array([*xy, -8.0])


def test_no_false_alarm_in_gusts():
    for watched in fly((), seed=12, seconds=38.0, aircraft=3, gust=1.0, square=True).values():
        assert [(s, d.requirement, d.evidence) for s, d in watched.decided] == []


# kind, rest of the fault, requirement, cause, latency [s]
FAULTS = [
    ({"kind": "baro_stop"}, "CON-BAR-1", "barometer stopped", 1.2),
    ({"kind": "gnss_loss"}, "CON-GNS-1", "GNSS lost", 2.4),
    ({"kind": "gnss_jump", "vector": (15.0, 0.0, 0.0)}, "CON-GNS-2",
     "GNSS jump (spoofing or multipath)", 0.5),
    ({"kind": "gnss_drift", "vector": (0.7, 0.7, 0.0)}, "CON-GNS-3", "GNSS drift (spoofing)", 1.2),
    ({"kind": "motor_loss", "magnitude": 0.3, "index": 2}, "CON-ACT-1", "motor fault (rotor 3)",
     4.0),
    ({"kind": "motor_loss", "magnitude": 1.0, "index": 1}, "CON-ATT-3", "motor fault (rotor 2)",
     1.5),
    ({"kind": "link_outage", "duration_s": 4.0}, "CON-LNK-1", "link outage", 1.3),
    ({"kind": "link_delay", "duration_s": 4.0, "magnitude": 0.9}, "CON-CLK-1", "link delay", 1.5),
]  # fmt: skip


@pytest.fixture(scope="module")
def faulty():
    faults = [
        scenario.Fault(vehicle=f"px4_{i + 1}", start_s=FAULT_S, **row[0])
        for i, row in enumerate(FAULTS)
    ]
    return fly(faults, seed=5, seconds=FAULT_S + 5.0, aircraft=len(FAULTS))


@pytest.mark.parametrize(
    "number", range(len(FAULTS)), ids=[f"{row[0]['kind']}-{row[1]}" for row in FAULTS]
)
def test_an_injected_fault_is_found_in_time_with_its_cause(faulty, number):
    _, requirement, cause, latency_s = FAULTS[number]
    decided = faulty[f"px4_{number + 1}"].decided
    assert decided, "nothing found"
    assert all(s >= FAULT_S for s, _ in decided), decided
    s, deviation = next((s, d) for s, d in decided if d.requirement == requirement)
    assert deviation.cause == cause
    assert s <= FAULT_S + latency_s
    assert (deviation.start_ns - START_NS) * 1e-9 == pytest.approx(FAULT_S, abs=1.2)
