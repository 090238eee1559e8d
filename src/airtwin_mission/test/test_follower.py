# SPDX-License-Identifier: Apache-2.0
"""Shadow mode: the follower watches what an executor flies, and must come to the same belief."""

from __future__ import annotations

import numpy as np
from fake_flight import MISSION, Flight
from fake_px4 import FakePx4

from airtwin_core.types import Advisory, AdvisoryAction, NavState, Phase
from airtwin_mission import mission_file, plan
from airtwin_mission.executor import Executor
from airtwin_mission.follower import Follower
from airtwin_mission.limits import Limits
from airtwin_mission.model_vehicle import ModelVehicle


class Watched(Flight):
    """A flight with a follower beside it, which may join late."""

    def __init__(self, px4: FakePx4, *, join_after_s: float = 0.0) -> None:
        super().__init__(px4)
        self.follower = Follower(mission_file.parse(MISSION, name="m.yaml"), Limits())
        self.seen: list = []
        self._joins_ns = px4.now_ns + round(join_after_s * 1e9)
        step = px4.step

        def overheard(outputs: tuple) -> list:
            samples = step(outputs)
            if px4.now_ns >= self._joins_ns:
                for sample in samples:
                    self.follower.on(sample)
                self.seen.append(self.follower.tick(px4.now_ns))
            return samples

        px4.step = overheard  # type: ignore[method-assign]


def test_same_phases_legs_and_progress() -> None:
    flight = Watched(FakePx4())
    flight.until_phase(Phase.DONE)
    flight.run(1.0)
    phases = list(dict.fromkeys(b.phase for b in flight.seen))
    expected = [Phase.IDLE, *dict.fromkeys(b.phase for b in flight.beliefs)]
    assert phases == expected
    known = {b.received_ns: b for b in flight.beliefs}
    pairs = [(b, known[b.received_ns]) for b in flight.seen if b.received_ns in known]
    assert np.mean([mine.leg == theirs.leg for mine, theirs in pairs]) > 0.9
    assert max(abs(m.progress - t.progress) for m, t in pairs) < 0.1
    progress = [b.progress for b in flight.seen]
    assert (np.diff(progress) >= 0.0).all()
    assert progress[-1] == 1.0


def test_joins_in_flight() -> None:
    flight = Watched(FakePx4(), join_after_s=13.0)
    flight.until_leg(3)
    flight.run(3.0)
    assert flight.seen[0].leg == 1
    assert flight.seen[-1].leg == 3


def test_says_that_it_came_back_early() -> None:
    flight = Watched(FakePx4())
    flight.until_leg(1)
    flight.run(4.0)
    flight.executor.on(Advisory("px4_1", AdvisoryAction.RETURN, "zone", "Z1", 5.0, 0.0, "zone"))
    flight.run(3.0)
    assert flight.seen[-1].phase is Phase.RETURN
    assert "before its last leg" in flight.seen[-1].reason
    flight.until_phase(Phase.ABORTED)
    flight.run(1.0)
    assert flight.seen[-1].phase is Phase.ABORTED


def test_names_a_mode_that_is_flown_by_hand() -> None:
    flight = Watched(FakePx4())
    flight.until_leg(1)
    flight.px4.mode = NavState.POSCTL
    flight.run(1.0)
    assert flight.seen[-1].reason == "flown in mode posctl"


def test_model_mode_flies_by_itself() -> None:
    limits = Limits()
    mission = mission_file.parse(MISSION, name="m.yaml")
    executor = Executor(mission, ModelVehicle(limits, plan.reference(mission)), limits)
    beliefs = [executor.tick(i * 100_000_000) for i in range(700)]
    phases = list(dict.fromkeys(b.phase for b in beliefs))
    assert phases[-2:] == [Phase.LAND, Phase.DONE]
    progress = np.array([b.progress for b in beliefs])
    assert (np.diff(progress) >= 0.0).all()
    # 8 m up, 40 m, 2 s, 30 m, 8 m down: some 40 s
    seconds = next(i for i, b in enumerate(beliefs) if b.phase is Phase.DONE) / 10.0
    assert 30.0 < seconds < 50.0
