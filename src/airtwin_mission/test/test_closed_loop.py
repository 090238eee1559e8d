# SPDX-License-Identifier: Apache-2.0

"""The executor flies the embedded simulator: PX4's cascade, wind, sensors, failsafes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airtwin_core.types import Advisory, AdvisoryAction, Origin, Phase
from airtwin_mission import mission_file

pytest.importorskip("airtwin_sim.world")

from sim_flight import SimFlight

from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind

MISSIONS = Path(__file__).resolve().parents[3] / "config" / "missions"
ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
PADS = {"px4_1": (0.0, 0.0), "px4_2": (80.0, 0.0), "px4_3": (0.0, 60.0)}
GOALS = {"px4_1": (80.0, 80.0), "px4_2": (0.0, 80.0), "px4_3": (0.0, 130.0)}
FILES = {"px4_1": "demo_px4_1.plan", "px4_2": "demo_px4_2.yaml", "px4_3": "demo_px4_3.yaml"}


def fly(*vehicles: str, faults: tuple[Fault, ...] = ()) -> SimFlight:
    scenario = Scenario(
        vehicles=tuple(VehicleSpec(v, start_ned_m=(*PADS[v], 0.0)) for v in vehicles),
        origin=ORIGIN,
        wind=Wind((3.0, -1.0, 0.0), 1.0),
        faults=faults,
        seed=7,
        px4=(("RTL_RETURN_ALT", 12.0), ("RTL_DESCEND_ALT", 8.0)),
    )
    return SimFlight(scenario, {v: mission_file.load(MISSIONS / FILES[v]) for v in vehicles})


def track(flight: SimFlight, vehicle: str) -> np.ndarray:
    """Return (n, 3) [m], the true positions around the common origin, ten a second."""
    return np.array(flight.truth[vehicle])[:, :3] + np.array([*PADS[vehicle], 0.0])


def take_off_s(flight: SimFlight, vehicle: str) -> float:
    phases = [b.phase for b in flight.beliefs[vehicle]]
    return phases.index(Phase.TAKEOFF) / 10.0


def end_s(flight: SimFlight, vehicle: str, phase: Phase = Phase.DONE) -> float:
    phases = [b.phase for b in flight.beliefs[vehicle]]
    assert phase in phases, flight.beliefs[vehicle][-1]
    return phases.index(phase) / 10.0


def hold(vehicle: str, action: AdvisoryAction) -> Advisory:
    return Advisory(vehicle, action, "traffic", "px4_2", 8.0, 2.0, "loss of separation")


@pytest.fixture(name="demo", scope="module")
def _demo() -> SimFlight:
    flight = fly(*PADS)
    flight.run(80.0)
    return flight


@pytest.mark.parametrize("vehicle", PADS)
def test_demo_missions_end_on_their_pads_in_time(demo: SimFlight, vehicle: str) -> None:
    """As demo_px4_2.yaml promises: 60 to 75 s from take-off, within 1.5 m of the pad."""
    seconds = end_s(demo, vehicle) - take_off_s(demo, vehicle)
    assert 60.0 < seconds < 75.0
    miss = track(demo, vehicle)[-1, :2] - GOALS[vehicle]
    assert np.linalg.norm(miss) < 1.5
    assert demo.commands[vehicle] == [176, 400, 21]
    assert not demo.world.pilots[demo.world.row(vehicle)].commander.armed


def test_demo_aircraft_1_and_2_meet(demo: SimFlight) -> None:
    """Without an airspace manager they would collide 25 to 35 s after take-off."""
    apart = np.linalg.norm(track(demo, "px4_1") - track(demo, "px4_2"), axis=1)
    assert apart.min() < 5.0
    assert 25.0 < apart.argmin() / 10.0 - take_off_s(demo, "px4_1") < 35.0
    for other in ("px4_1", "px4_2"):
        level = (track(demo, "px4_3") - track(demo, other))[:, :2]
        assert np.linalg.norm(level, axis=1).min() > 40.0


def test_flown_as_planned(demo: SimFlight) -> None:
    """Truth: speed and height stay near what the mission says, cruise within 1.5 m of the line."""
    states = np.array(demo.truth["px4_1"])
    assert np.linalg.norm(states[:, 3:5], axis=1).max() < 5.0 * 1.25
    legs = np.array([b.leg for b in demo.beliefs["px4_1"]])
    cruise = track(demo, "px4_1")[legs == 3]
    np.testing.assert_allclose(cruise[:, 2], -10.0, atol=1.0)
    line = np.array([80.0, 105.0]) / np.hypot(80.0, 105.0)
    off = cruise[:, 0] * line[1] - (cruise[:, 1] + 25.0) * line[0]
    assert np.abs(off).max() < 3.0  # just after the corner
    assert np.abs(off[100:]).max() < 1.5


def test_belief_tells_the_truth(demo: SimFlight) -> None:
    for vehicle, beliefs in demo.beliefs.items():
        progress = np.array([b.progress for b in beliefs])
        assert (np.diff(progress) >= 0.0).all()
        end = end_s(demo, vehicle)
        for i, belief in enumerate(beliefs):
            if belief.phase in (Phase.ENROUTE, Phase.LAND):
                assert belief.eta_s == pytest.approx(end - i / 10.0, abs=5.0), vehicle


def test_one_holds_and_both_arrive() -> None:
    flight = fly("px4_1", "px4_2")
    flight.run(24.0)
    flight.executors["px4_1"].on(hold("px4_1", AdvisoryAction.HOLD))
    flight.run(16.0)
    stood = track(flight, "px4_1")[-80:]
    assert np.ptp(stood[:, :2], axis=0).max() < 1.5
    assert flight.beliefs["px4_1"][-1].phase is Phase.HOLD
    flight.executors["px4_1"].on(hold("px4_1", AdvisoryAction.CLEAR))
    flight.run(50.0)
    assert end_s(flight, "px4_1") > end_s(flight, "px4_2")
    apart = np.linalg.norm(track(flight, "px4_1") - track(flight, "px4_2"), axis=1)
    assert apart.min() > 10.0


def test_return_ends_at_home() -> None:
    flight = fly("px4_2")
    flight.run(25.0)
    flight.executors["px4_2"].on(hold("px4_2", AdvisoryAction.RETURN))
    flight.run(70.0)
    assert end_s(flight, "px4_2", Phase.ABORTED)
    assert np.linalg.norm(track(flight, "px4_2")[-1, :2] - PADS["px4_2"]) < 2.5
    assert flight.commands["px4_2"] == [176, 400, 20]


def test_link_outage_is_survived() -> None:
    """Nothing passes in either direction for 4 s: PX4 returns, then the mission goes on."""
    outage = Fault("link_outage", "px4_2", start_s=25.0, duration_s=4.0)
    flight = fly("px4_2", faults=(outage,))
    flight.run(90.0)
    assert "PX4 has no valid position" in {b.reason for b in flight.beliefs["px4_2"]}
    assert end_s(flight, "px4_2")
    assert np.linalg.norm(track(flight, "px4_2")[-1, :2] - GOALS["px4_2"]) < 1.5


def test_gnss_lost_for_good_is_left_to_px4() -> None:
    """PX4 descends without a position; the mission says so and commands nothing more."""
    flight = fly("px4_2", faults=(Fault("gnss_loss", "px4_2", start_s=25.0),))
    flight.run(36.0)
    last = flight.beliefs["px4_2"][-1]
    assert last.phase is Phase.LAND
    assert last.reason == "PX4 failsafe: descend"
    sent = len(flight.commands["px4_2"])
    flight.run(10.0)
    assert len(flight.commands["px4_2"]) == sent
    assert flight.commands["px4_2"] == [176, 400]
