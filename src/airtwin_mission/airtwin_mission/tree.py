# SPDX-License-Identifier: Apache-2.0
"""The behaviour tree: the mission is its last branch, each contingency one before it.

    decide (selector, the first that applies)
      +- step back          a pilot took over: nothing is sent any more
      +- over               the flight ended
      +- follow failsafe    PX4 decided by itself
      +- land here          an advisory, or the position is not to be trusted
      +- return             an advisory, an inconsistency, a leg that failed
      +- hold               an advisory, a silent monitor
      +- fly                ready, allowed, arm, legs in order: each is done once; arm asks
                            again whether it is ready and allowed
      +- give up            the flight cannot begin or go on

A leaf asks the ``Vehicle``, writes what it does into ``Situation`` and never blocks. A contingency
interrupts ``fly``; legs already done stay done (OneShot), so it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import py_trees
from py_trees.common import Status

from airtwin_core.types import Array, Phase
from airtwin_mission.plan import Mission
from airtwin_mission.ports import Outcome, Progress, Vehicle, View
from airtwin_mission.route import Flown, Route
from airtwin_mission.trust import Demand, Demanded

RETRY_NS = 5_000_000_000
"""Between two tries of a landing that PX4 refuses."""


@dataclass(slots=True)
class Situation:
    """What the branches decide on, and what the leaf that ran last says about itself."""

    now_ns: int = 0
    view: View = field(default_factory=View)
    demanded: Demanded = field(default_factory=Demanded)
    route: Route | None = None
    unresolved: str = ""  # why there is no route
    # Latched: an ending is not taken back, a failed leg is not tried again.
    ending: Demanded = field(default_factory=Demanded)
    failure: str = ""
    over: bool = False
    # What the last leaf says.
    phase: Phase = Phase.IDLE
    leg: int = 0
    target_ned_m: Array | None = None
    held_s: float = 0.0
    reason: str = ""


class Ask(py_trees.behaviour.Behaviour):
    """A leaf that asks for something until it is done; ``ask`` returns how it stands."""

    def __init__(self, name: str, ask: Callable[[], Outcome]) -> None:
        super().__init__(name)
        self._ask = ask

    def update(self) -> Status:
        """Ask once."""
        outcome = self._ask()
        self.feedback_message = outcome.reason
        return {
            Progress.RUNNING: Status.RUNNING,
            Progress.DONE: Status.SUCCESS,
            Progress.FAILED: Status.FAILURE,
        }[outcome.progress]


class When(py_trees.behaviour.Behaviour):
    """A condition."""

    def __init__(self, name: str, holds: Callable[[], bool]) -> None:
        super().__init__(name)
        self._holds = holds

    def update(self) -> Status:
        """Succeed if it holds."""
        return Status.SUCCESS if self._holds() else Status.FAILURE


def build(mission: Mission, situation: Situation, vehicle: Vehicle, legs: int) -> Branches:
    """Return the tree of ``mission`` with ``legs`` legs; ``.root`` is ticked."""
    return Branches(mission, situation, vehicle, legs)


class Branches:
    """Makes the leaves; they share one ``Situation`` and one ``Vehicle``."""

    def __init__(
        self, mission: Mission, situation: Situation, vehicle: Vehicle, legs: int
    ) -> None:
        self._mission = mission
        self._now = situation
        self._vehicle = vehicle
        self._hold_since_ns: dict[int, int] = {}
        self._refusal = ""
        self._retry_ns = 0
        self.root = py_trees.composites.Selector("decide", memory=False)
        self.root.add_children(
            [
                _branch("step back", lambda: bool(self._now.view.pilot), self._step_back),
                _branch("over", lambda: self._now.over, self._over),
                _branch("follow failsafe", lambda: bool(self._now.view.failsafe), self._follow),
                _branch("land here", lambda: self._ends(Demand.LAND), self._land_here),
                _branch("return", lambda: self._ends(Demand.RETURN), self._return),
                _branch("hold", self._must_hold, self._hold),
                self._fly(legs),
                _branch("give up", lambda: True, self._give_up),
            ]
        )

    def _fly(self, legs: int) -> py_trees.behaviour.Behaviour:
        fly = py_trees.composites.Sequence("fly", memory=True)
        steps: list[tuple[str, Callable[[], Outcome]]] = [
            ("ready", self._ready),
            ("allowed", self._allowed),
            ("arm", self._arm),
        ]
        steps += [(f"leg {n + 1}", self._leg(n)) for n in range(legs)]
        for name, ask in steps:
            once = py_trees.common.OneShotPolicy.ON_SUCCESSFUL_COMPLETION
            fly.add_child(py_trees.decorators.OneShot(f"{name} once", Ask(name, ask), once))
        fly.add_child(Ask("finish", self._finish))
        return fly

    # --- contingencies ---------------------------------------------------------------------

    def _step_back(self) -> Outcome:
        return self._end(Phase.ABORTED, self._now.view.pilot)

    def _over(self) -> Outcome:
        return _RUNNING

    def _follow(self) -> Outcome:
        now = self._now
        if now.view.armed is False:
            return self._end(Phase.ABORTED, f"{now.view.failsafe} ended the flight")
        if now.view.descending:
            self._say(Phase.LAND, now.view.failsafe, target=now.view.position_ned_m)
        else:
            self._say(Phase.RETURN, now.view.failsafe, target=now.view.home_ned_m)
        return _RUNNING

    def _ends(self, demand: Demand) -> bool:
        """Return whether the flight ends by ``demand``; latches it, the stronger one wins.

        An aircraft that is landing goes on landing: a return would climb again.
        """
        now = self._now
        flying = now.view.armed is not False and now.phase not in (Phase.IDLE, Phase.ARMING)
        least = Demand.RETURN if now.phase in (Phase.LAND, Phase.RETURN) else Demand.HOLD
        if flying and now.demanded.demand > max(now.ending.demand, least):
            now.ending = now.demanded
        return now.ending.demand is demand

    def _land_here(self) -> Outcome:
        self._end_by(self._vehicle.land, Phase.LAND, self._now.view.position_ned_m)
        return _RUNNING

    def _return(self) -> Outcome:
        now = self._now
        self._end_by(self._vehicle.return_home, Phase.RETURN, now.view.home_ned_m)
        if self._refusal:  # a return that PX4 refuses becomes a landing
            now.ending = Demanded(Demand.LAND, f"{now.ending.reason}; {self._refusal}")
            self._refusal, self._retry_ns = "", 0
        return _RUNNING

    def _end_by(self, ask: Callable[[], Outcome], phase: Phase, target: Array | None) -> None:
        """Ask for the ending; while PX4 refuses it, hold, say so, and ask again."""
        now = self._now
        if now.view.armed is False:
            stopped = "; the motors stopped in the air" if now.view.landed is False else ""
            self._end(Phase.ABORTED, f"{now.ending.reason}{stopped}")
            return
        if now.now_ns < self._retry_ns:
            self._vehicle.hold()
            self._say(Phase.HOLD, f"{now.ending.reason}; {self._refusal}", target=target)
            return
        outcome = ask()
        self._say(phase, now.ending.reason, target=target)
        if outcome.progress is Progress.DONE:
            self._end(Phase.ABORTED, now.ending.reason)
        elif outcome.progress is Progress.FAILED:
            self._refusal = outcome.reason
            self._retry_ns = now.now_ns + RETRY_NS

    def _must_hold(self) -> bool:
        now = self._now
        on_way = now.phase in (Phase.TAKEOFF, Phase.ENROUTE, Phase.HOLD)
        return on_way and now.demanded.demand is Demand.HOLD

    def _hold(self) -> Outcome:
        self._vehicle.hold()
        self._say(Phase.HOLD, self._now.demanded.reason, target=self._now.view.position_ned_m)
        return _RUNNING

    def _give_up(self) -> Outcome:
        now = self._now
        if now.view.armed and now.phase not in (Phase.IDLE, Phase.ARMING):
            now.ending = Demanded(Demand.RETURN, now.failure)
            return _RUNNING
        return self._end(Phase.ABORTED, now.failure)

    # --- the mission ---------------------------------------------------------------------------

    def _ready(self) -> Outcome:
        outcome = self._vehicle.ready()
        if outcome.progress is Progress.DONE and self._now.route is None:
            outcome = Outcome(Progress.RUNNING, self._now.unresolved)
        self._say(Phase.IDLE, outcome.reason)
        return self._noted(outcome)

    def _allowed(self) -> Outcome:
        """On the ground every demand means: stay there."""
        if self._now.demanded.demand is Demand.NONE:
            return _DONE
        self._say(Phase.IDLE, self._now.demanded.reason)
        return _RUNNING

    def _arm(self) -> Outcome:
        """Arm, unless something came up since the mission was ready and allowed."""
        now = self._now
        why = now.demanded.reason if now.demanded.demand is not Demand.NONE else ""
        if now.route is None:
            why = why or now.unresolved
        if why:
            self._vehicle.stay()
            on_ground_armed = now.view.armed and now.view.landed is not False
            self._say(Phase.ARMING if on_ground_armed else Phase.IDLE, why)
            return _RUNNING
        outcome = self._vehicle.arm()
        # in the air before it armed: another flies
        self._say(Phase.IDLE if now.view.landed is False else Phase.ARMING, outcome.reason)
        return self._noted(outcome)

    def _leg(self, number: int) -> Callable[[], Outcome]:
        def fly() -> Outcome:
            now = self._now
            if now.route is None:
                return self._noted(Outcome(Progress.FAILED, now.unresolved))
            flown = now.route.flown[number]
            leg = flown.leg
            now.leg = number
            now.held_s = 0.0
            outcome = self._asked(number)
            self._say(leg.phase, outcome.reason, target=flown.end_ned_m)
            return self._noted(outcome)

        return fly

    def _asked(self, number: int) -> Outcome:
        assert self._now.route is not None
        flown = self._now.route.flown[number]
        match flown.leg.phase:
            case Phase.LAND:
                return self._vehicle.land()
            case Phase.RETURN:
                return self._vehicle.return_home()
            case Phase.HOLD:
                return self._held(number, flown)
            case _:
                return self._go(flown)

    def _go(self, flown: Flown) -> Outcome:
        leg = flown.leg
        return self._vehicle.goto(
            flown.end_ned_m, speed_m_s=leg.speed_m_s, within_m=leg.within_m, at_rest=leg.level
        )

    def _held(self, number: int, flown: Flown) -> Outcome:
        outcome = self._go(flown)
        if outcome.progress is Progress.FAILED:
            return outcome
        seconds = flown.leg.seconds
        since = self._hold_since_ns.setdefault(number, self._now.now_ns)
        self._now.held_s = (self._now.now_ns - since) * 1e-9
        if self._now.held_s >= seconds:
            return _DONE
        return _ENDLESS if seconds == float("inf") else _RUNNING

    def _finish(self) -> Outcome:
        return self._end(Phase.DONE, "")

    # --- words ---------------------------------------------------------------------------------

    def _noted(self, outcome: Outcome) -> Outcome:
        if outcome.progress is Progress.FAILED:
            self._now.failure = outcome.reason
        return outcome

    def _say(self, phase: Phase, reason: str, *, target: Array | None = None) -> None:
        self._now.phase = phase
        self._now.reason = reason
        self._now.target_ned_m = target

    def _end(self, phase: Phase, reason: str) -> Outcome:
        self._say(phase, reason)
        self._now.over = True
        self._vehicle.release(reason or "the mission is over")
        return _RUNNING


_RUNNING = Outcome(Progress.RUNNING)
_DONE = Outcome(Progress.DONE)
_ENDLESS = Outcome(Progress.RUNNING, "the mission has no landing: holding until told otherwise")


def _branch(
    name: str, holds: Callable[[], bool], ask: Callable[[], Outcome]
) -> py_trees.behaviour.Behaviour:
    branch = py_trees.composites.Sequence(name, memory=False)
    branch.add_children([When(f"{name}?", holds), Ask(name, ask)])
    return branch
