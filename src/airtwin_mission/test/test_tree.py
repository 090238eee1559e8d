# SPDX-License-Identifier: Apache-2.0
"""The tree with the perfect vehicle: what is asked, in which order, and what wins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    Check,
    Deviation,
    MissionBelief,
    Origin,
    Phase,
    Report,
    Verdict,
)
from airtwin_mission import mission_file, plan
from airtwin_mission.executor import Executor
from airtwin_mission.limits import Limits
from airtwin_mission.perfect import PerfectVehicle
from airtwin_mission.ports import Outcome, Progress

MISSION = """mission: 1
speed_m_s: 4.0
steps:
  - take_off: {height_m: 10.0}
  - go_to: {ned_m: [30.0, 0.0, -10.0]}
  - hold: {seconds: 1.0}
  - speed: {m_s: 6.0}
  - go_to: {ned_m: [30.0, 40.0, -12.0]}
  - land: {}
"""
TICK_NS = 100_000_000


class Ticker:
    """Ticks an executor ten times a second."""

    def __init__(self, text: str = MISSION) -> None:
        self.vehicle = PerfectVehicle(Origin(47.0, 8.0, 400.0))
        self.executor = Executor(mission_file.parse(text, name="m.yaml"), self.vehicle, Limits())
        self.now_ns = 10**15

    def tick(self, count: int = 1) -> MissionBelief:
        for _ in range(count):
            self.now_ns += TICK_NS
            belief = self.executor.tick(self.now_ns)
        return belief

    def to_phase(self, phase: Phase) -> MissionBelief:
        for _ in range(100):
            belief = self.tick()
            if belief.phase is phase:
                return belief
        raise AssertionError(f"{phase} not reached: {belief}")

    def see(self, **changes: object) -> None:
        self.vehicle.seen = replace(self.vehicle.seen, **changes)


def advisory(action: AdvisoryAction) -> Advisory:
    return Advisory("px4_1", action, "traffic", "px4_2", 10.0, 5.0, "loss of separation")


def report(**verdicts: Verdict) -> Report:
    checks = tuple(
        Check(f"CON-{factor}", factor, 9.0, 1.0, verdict) for factor, verdict in verdicts.items()
    )
    worst = max(verdicts.values(), default=Verdict.UNKNOWN)
    return Report(0, worst, checks, ())


def test_asks_the_mission_in_order() -> None:
    ticker = Ticker()
    belief = ticker.to_phase(Phase.DONE)
    assert ticker.vehicle.asked == [
        "arm",
        "goto 0 0 -10 at 2",
        "goto 30 0 -10 at 4",
        "goto 30 40 -12 at 6",
        "land",
    ]
    assert belief.progress == 1.0
    assert ticker.vehicle.released


def test_progress_follows_the_distance() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.HOLD)
    # 10 m climb, 30 m, then 40.05 m and 12 m down are the whole way.
    assert ticker.tick().progress == pytest.approx(40.0 / (40.0 + np.hypot(40.0, 2.0) + 12.0))


def test_hold_takes_its_time() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.HOLD)
    began = ticker.now_ns
    while ticker.tick().leg == 2:
        pass
    assert (ticker.now_ns - began) * 1e-9 == pytest.approx(1.0, abs=0.15)


def test_legs_done_stay_done_after_a_hold() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.HOLD)
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    belief = ticker.tick(20)
    assert belief.phase is Phase.HOLD
    assert "airspace" in belief.reason
    ticker.executor.on(advisory(AdvisoryAction.CLEAR))
    ticker.to_phase(Phase.DONE)
    asked = [a for a in ticker.vehicle.asked if a != "hold"]
    assert asked.count("arm") == 1
    assert asked.count("goto 0 0 -10 at 2") == 1
    assert asked[-2:] == ["goto 30 40 -12 at 6", "land"]


def test_stays_on_the_ground_until_allowed() -> None:
    ticker = Ticker()
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    belief = ticker.tick(5)
    assert belief.phase is Phase.IDLE
    assert "loss of separation" in belief.reason
    assert ticker.vehicle.asked == []
    ticker.executor.on(advisory(AdvisoryAction.CLEAR))
    ticker.to_phase(Phase.DONE)


def test_a_return_on_the_ground_is_forgotten_when_it_is_taken_back() -> None:
    ticker = Ticker()
    ticker.executor.on(advisory(AdvisoryAction.RETURN))
    assert ticker.tick(5).phase is Phase.IDLE
    ticker.executor.on(advisory(AdvisoryAction.CLEAR))
    ticker.to_phase(Phase.DONE)
    assert "return" not in ticker.vehicle.asked


def test_progress_does_not_fall_when_the_wind_pushes_back() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    ticker.see(position_ned_m=np.array([20.0, 0.0, -10.0]))
    before = ticker.tick().progress
    ticker.see(position_ned_m=np.array([5.0, 0.0, -10.0]))
    assert ticker.tick().progress == before > 0.3


@pytest.mark.parametrize(
    ("factor", "asked", "phase"),
    [("velocity", "return", Phase.RETURN), ("position", "land", Phase.LAND)],
)
def test_lasting_inconsistency_ends_the_mission(factor: str, asked: str, phase: Phase) -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    phases = []
    for _ in range(30):
        ticker.executor.on(report(**{factor: Verdict.INCONSISTENT, "clock": Verdict.CONSISTENT}))
        ticker.executor.on(advisory(AdvisoryAction.HOLD))  # keeps it from finishing first
        belief = ticker.tick()
        phases.append(belief.phase)
        if belief.phase is Phase.ABORTED:
            break
    assert phases.index(phase) == pytest.approx(Limits().inconsistent_s * 10, abs=1)
    assert ticker.vehicle.asked[-1] == asked
    assert belief.phase is Phase.ABORTED
    assert factor in belief.reason


def test_short_or_uncertain_inconsistency_changes_nothing() -> None:
    """UNKNOWN breaks the run: 1.5 s bad, 0.1 s without evidence, 1.5 s bad."""
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    for verdict in [*[Verdict.INCONSISTENT] * 15, Verdict.UNKNOWN, *[Verdict.INCONSISTENT] * 15]:
        ticker.executor.on(report(velocity=verdict))
        assert ticker.tick().phase is Phase.HOLD
    assert "return" not in ticker.vehicle.asked


def test_an_open_deviation_counts_while_its_check_has_no_evidence() -> None:
    """The monitor keeps a deviation open by its own hysteresis; the check beside it flickers."""
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    still_open = Deviation("CON-POS-1/1", "position", "CON-POS-1", 0, None, "", 9.0, 1.0, "")
    for i in range(25):
        verdict = Verdict.INCONSISTENT if i % 3 else Verdict.UNKNOWN
        ticker.executor.on(replace(report(position=verdict), open_deviations=(still_open,)))
        belief = ticker.tick()
    assert belief.phase is Phase.ABORTED
    assert ticker.vehicle.asked[-1] == "land"


def test_a_return_does_not_interrupt_a_landing() -> None:
    """It would climb from just above the pad."""
    ticker = Ticker()
    ticker.to_phase(Phase.LAND)
    ticker.executor.on(advisory(AdvisoryAction.RETURN))
    ticker.to_phase(Phase.DONE)
    assert "return" not in ticker.vehicle.asked


def test_every_factor_named_is_one_that_the_monitor_judges() -> None:
    monitor = pytest.importorskip("airtwin_consistency.monitor")
    judged = {requirement.factor for requirement in monitor.REQUIREMENTS}
    assert {*Limits().return_factors, *Limits().land_factors} <= judged


def test_factors_not_named_change_nothing() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    for _ in range(50):
        ticker.executor.on(report(clock=Verdict.INCONSISTENT))
        assert ticker.tick().phase is Phase.HOLD


def test_silent_monitor_holds_and_lets_go() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.HOLD)
    ticker.executor.on(report(velocity=Verdict.CONSISTENT))
    ticker.executor.on(advisory(AdvisoryAction.HOLD))
    ticker.tick(40)
    ticker.executor.on(advisory(AdvisoryAction.CLEAR))
    ticker.now_ns += 2_000_000_000
    assert ticker.tick().reason == "consistency monitor is silent"
    ticker.executor.on(report(velocity=Verdict.CONSISTENT))
    ticker.to_phase(Phase.DONE)


def test_land_outranks_return_and_neither_is_taken_back() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.vehicle.return_home = lambda: Outcome(Progress.RUNNING)  # type: ignore[method-assign]
    ticker.vehicle.land = lambda: Outcome(Progress.RUNNING)  # type: ignore[method-assign]
    ticker.executor.on(advisory(AdvisoryAction.RETURN))
    assert ticker.tick().phase is Phase.RETURN
    ticker.executor.on(advisory(AdvisoryAction.LAND))
    assert ticker.tick().phase is Phase.LAND
    ticker.executor.on(advisory(AdvisoryAction.RETURN))
    assert ticker.tick().phase is Phase.LAND
    ticker.executor.on(advisory(AdvisoryAction.CLEAR))
    assert ticker.tick().phase is Phase.LAND


def test_pilot_outranks_everything() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    ticker.executor.on(advisory(AdvisoryAction.LAND))
    ticker.see(pilot="pilot took over: mode posctl", failsafe="PX4 failsafe: rtl")
    before = list(ticker.vehicle.asked)
    belief = ticker.tick(3)
    assert belief.phase is Phase.ABORTED
    assert belief.reason == "pilot took over: mode posctl"
    assert ticker.vehicle.released == "pilot took over: mode posctl"
    assert ticker.vehicle.asked == before


def test_return_refused_becomes_a_landing() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.ENROUTE)
    refused = Outcome(Progress.FAILED, "return: denied by PX4")
    ticker.vehicle.return_home = lambda: refused  # type: ignore[method-assign]
    ticker.executor.on(advisory(AdvisoryAction.RETURN))
    ticker.tick()
    belief = ticker.to_phase(Phase.ABORTED)
    assert ticker.vehicle.asked[-1] == "land"
    assert "return: denied by PX4" in belief.reason


def test_a_leg_that_fails_returns() -> None:
    ticker = Ticker()
    ticker.to_phase(Phase.HOLD)
    failed = Outcome(Progress.FAILED, "no reason at all")
    ticker.vehicle.goto = lambda *_, **__: failed  # type: ignore[method-assign]
    belief = ticker.to_phase(Phase.ABORTED)
    assert ticker.vehicle.asked[-1] == "return"
    assert belief.reason == "no reason at all"


def test_mission_without_landing_holds_and_says_so() -> None:
    ticker = Ticker(MISSION.replace("  - land: {}\n", ""))
    ticker.tick(200)
    belief = ticker.tick()
    assert belief.phase is Phase.HOLD
    assert "no landing" in belief.reason
    assert np.isnan(belief.eta_s)


def test_refuses_what_it_cannot_fly() -> None:
    with pytest.raises(plan.MissionError, match="take-off"):
        Ticker("mission: 1\nsteps:\n  - go_to: {ned_m: [1.0, 2.0, -3.0]}\n")
