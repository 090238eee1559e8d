# SPDX-License-Identifier: Apache-2.0
"""Clocks that leap, drift or break: that of the whole vehicle, of one source, or the twin's own.

Each test flies the same path twice through the gate that nodes and replays use and the estimator,
once with the fault: what it costs in position against the truth is bounded, the state is not lost,
and the twin says what it found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from airtwin_core.intake import Intake
from airtwin_core.types import (
    Barometer,
    GnssFix,
    Imu,
    LandDetected,
    Magnetometer,
    Sample,
    TwinState,
)
from airtwin_physics.estimator import Estimator

import simulate  # isort: skip

SECONDS, FAULT_S = 21.0, 12.0
COST_M = 0.3  # what it costs to lose the IMU for 0.5 s there
SOURCES: dict[type, str] = {
    Imu: "imu",
    GnssFix: "gnss",
    Barometer: "barometer",
    Magnetometer: "magnetometer",
    LandDetected: "land_detected",
}
Fault = Callable[[list[Sample]], list[Sample]]


class Flown:
    """A flight as the twin followed it: error [m] and notice by when a sample really came."""

    def __init__(self, flight: simulate.Flight, fault: Fault, *, gate: bool = True) -> None:
        self.error_m: dict[int, float] = {}
        self.notices: set[str] = set()
        self.intake, self.estimator = Intake(), Estimator()
        real = [s.received_ns for s in flight.samples]
        spoilt = fault(flight.samples)
        if len(spoilt) != len(real):  # some were left out
            real = [s.received_ns for s in spoilt]
        for at_ns, sample in zip(real, spoilt, strict=True):
            if gate and not self.intake.admit(SOURCES[type(sample)], sample):
                continue
            state = self.estimator.on(sample)
            if state is not None:
                self._note(flight, at_ns, state)

    def _note(self, flight: simulate.Flight, at_ns: int, state: TwinState) -> None:
        if at_ns > _at(FAULT_S):
            off = state.position_ned_m - flight.position[flight.index(at_ns)]
            self.error_m[at_ns] = float(np.linalg.norm(off))
            self.notices.add(state.notice)

    def said(self, words: str) -> bool:
        return any(words in notice for notice in self.notices)

    def cost_m(self, good: Flown) -> float:
        """Return by how much this one was ever worse than a good flight then or just before."""
        usual = np.array(list(good.error_m.items()))
        return max(
            error - float(np.interp(at, usual[:, 0], usual[:, 1]))
            for at, error in self.error_m.items()
        )


def _at(seconds: float) -> int:
    return simulate.START_NS + int(seconds * 1e9)


def _moved(by_s: float, kinds: tuple[type, ...] = (), *, lone: bool = False) -> Fault:
    """Return a fault that moves the stamps of some kinds, all if none is named."""

    def fault(samples: list[Sample]) -> list[Sample]:
        out, hit = [], False
        for sample in samples:
            wanted = not kinds or isinstance(sample, kinds)
            if sample.received_ns >= _at(FAULT_S) and wanted and not (lone and hit):
                hit = True
                sample = replace(sample, stamp_ns=sample.stamp_ns + int(by_s * 1e9))
            out.append(sample)
        return out

    return fault


def _late_at(pause_s: float) -> Fault:
    """Return a link that hands over all at once, every ``pause_s``."""

    def fault(samples: list[Sample]) -> list[Sample]:
        out = []
        for sample in samples:
            came_s = (sample.received_ns - simulate.START_NS) * 1e-9
            if came_s > FAULT_S:
                came_s = np.ceil(came_s / pause_s - 1e-9) * pause_s
                sample = replace(sample, received_ns=_at(came_s))
            out.append(sample)
        return out

    return fault


def _drifting(ppm: float, kinds: tuple[type, ...] = (Sample,)) -> Fault:
    def fault(samples: list[Sample]) -> list[Sample]:
        return [
            replace(s, stamp_ns=s.stamp_ns + int((s.stamp_ns - simulate.START_NS) * ppm * 1e-6))
            if isinstance(s, kinds)
            else s
            for s in samples
        ]

    return fault


def _received(by_s: float) -> Fault:
    """Return a fault that sets the clock of the twin's own machine."""

    def fault(samples: list[Sample]) -> list[Sample]:
        by_ns = int(by_s * 1e9)
        return [
            replace(s, received_ns=s.received_ns + by_ns) if s.received_ns > _at(FAULT_S) else s
            for s in samples
        ]

    return fault


@pytest.fixture(scope="module")
def flight() -> simulate.Flight:
    return simulate.fly(np.random.default_rng(9), SECONDS)


@pytest.fixture(scope="module")
def good(flight: simulate.Flight) -> Flown:
    return Flown(flight, list)


def _bounded(flown: Flown, good: Flown) -> None:
    assert flown.estimator.resets == {}
    assert flown.intake.epoch == 0
    assert len(flown.error_m) > 0.95 * len(good.error_m)
    assert flown.cost_m(good) < COST_M


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("by_s", [0.1, 0.9, 100.0, -0.05, -0.5, -0.9, -5.0, -100.0])
def test_a_vehicles_clock_that_is_set_costs_nothing_and_is_said(
    flight: simulate.Flight, good: Flown, by_s: float, gate: bool
) -> None:
    flown = Flown(flight, _moved(by_s), gate=gate)
    _bounded(flown, good)
    usual = 0.0 < by_s < 0.3  # PX4's own filter does that every 25 s
    assert flown.said(f"clock moved by {by_s:+.2f} s") is not usual
    assert flown.estimator.clock_leaps == ({} if usual else {"imu": 1})


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("by_s", [0.05, 0.2, 0.9, 100.0, -0.5, -100.0])
def test_one_wrong_stamp_of_the_imu_shuts_nothing_out(
    flight: simulate.Flight, good: Flown, by_s: float, gate: bool
) -> None:
    flown = Flown(flight, _moved(by_s, (Imu,), lone=True), gate=gate)
    _bounded(flown, good)
    refused = flown.intake.counts.get("imu", {}), flown.estimator.imu_refused
    assert sum(sum(n for c, n in counts.items() if c != "used") for counts in refused) in (1, 3)


@pytest.mark.parametrize("by_s", [0.2, 0.5, 20.0, -0.2, -0.5, -0.9, -20.0])
@pytest.mark.parametrize("kind", [Imu, GnssFix, Barometer, Magnetometer])
def test_one_source_whose_clock_is_set_is_taken_by_arrival(
    flight: simulate.Flight, good: Flown, kind: type, by_s: float
) -> None:
    flown = Flown(flight, _moved(by_s, (kind,)))
    _bounded(flown, good)
    if kind is Imu:  # it is the others that are off then
        assert flown.said(f"are {-by_s:+.1f} s off the IMU's: taken by arrival")
    elif kind is not Magnetometer or abs(by_s) > 0.3:
        name = SOURCES[kind]
        assert flown.said(f"stamps of {name} are {by_s:+.1f} s off the IMU's: taken by arrival")
        assert flown.estimator.clock_leaps == {name: 1}


@pytest.mark.parametrize("ppm", [200.0, -200.0])
@pytest.mark.parametrize("kinds", [(Sample,), (Imu,), (GnssFix,)])
def test_a_clock_that_drifts_is_no_event(
    flight: simulate.Flight, good: Flown, ppm: float, kinds: tuple[type, ...]
) -> None:
    flown = Flown(flight, _drifting(ppm, kinds))
    _bounded(flown, good)
    assert flown.notices == good.notices


def _slow(by_s: float, scatter_s: float, until_s: float) -> Fault:
    """Return a receiver whose fixes come later by so much, unevenly, for a while."""

    def fault(samples: list[Sample]) -> list[Sample]:
        rng = np.random.default_rng(3)
        out = []
        for sample in samples:
            if isinstance(sample, GnssFix) and _at(FAULT_S) < sample.received_ns < _at(until_s):
                late_s = by_s + scatter_s * rng.uniform(-1.0, 1.0)
                sample = replace(sample, received_ns=sample.received_ns + int(late_s * 1e9))
            out.append(sample)
        return sorted(out, key=lambda one: one.received_ns)

    return fault


@pytest.mark.parametrize("scatter_s", [0.0, 0.08])
@pytest.mark.parametrize("by_s", [0.25, 0.3, 0.5])
def test_a_receiver_that_comes_late_and_then_in_time_again_is_no_clock(
    flight: simulate.Flight, by_s: float, scatter_s: float
) -> None:
    """Its fixes are as old as they say; taken by arrival they would be wrong by a second's way."""
    flown = Flown(flight, _slow(by_s, scatter_s, FAULT_S + 6.0))
    assert flown.estimator.resets == {}
    assert flown.estimator.clock_leaps == {}
    assert not flown.said("taken by arrival")


@pytest.mark.parametrize("pause_s", [0.1, 0.3])
def test_a_link_that_hands_over_in_bursts_is_no_clock(
    flight: simulate.Flight, pause_s: float
) -> None:
    """Nothing moves: late samples are as old as their stamps say."""
    flown = Flown(flight, _late_at(pause_s))
    assert flown.estimator.resets == {}
    assert flown.estimator.clock_leaps == {}
    assert not flown.said("clock")
    assert not flown.said("taken by arrival")
    assert max(flown.error_m.values()) < 4.0


@pytest.mark.parametrize("by_s", [0.5, 100.0, -0.5, -100.0])
def test_the_twins_own_clock_may_be_set(flight: simulate.Flight, good: Flown, by_s: float) -> None:
    """The stamps run on evenly, so nothing has happened."""
    flown = Flown(flight, _received(by_s))
    _bounded(flown, good)
    assert not flown.said("clock")


def test_a_clock_that_goes_back_while_nothing_comes_is_a_restart(
    flight: simulate.Flight,
) -> None:
    """The aircraft was switched off and on: what was believed of it says nothing."""

    def fault(samples: list[Sample]) -> list[Sample]:
        gap = [s for s in samples if not _at(FAULT_S) <= s.received_ns < _at(FAULT_S + 3.0)]
        return _moved(-8.0)(gap)

    flown = Flown(flight, fault)
    assert flown.estimator.resets == {"clock went back": 1}
    assert flown.said("state lost (clock went back) and found again")


def test_leaps_one_after_the_other_do_not_add_up(flight: simulate.Flight, good: Flown) -> None:
    """PX4's clock filter falls behind and leaps, here by 80 ms every 4 s; then it is set back."""

    def fault(samples: list[Sample]) -> list[Sample]:
        out = []
        for sample in samples:
            since_s = (sample.received_ns - _at(FAULT_S)) * 1e-9
            behind_s = 0.0 if since_s < 0.0 else 0.02 * (since_s % 4.0) + (since_s > 5.0)
            out.append(replace(sample, stamp_ns=sample.stamp_ns - int(behind_s * 1e9)))
        return out

    flown = Flown(flight, fault)
    assert flown.estimator.resets == {}
    assert flown.cost_m(good) < 2.0 * COST_M
    assert not flown.said("taken by arrival")


@pytest.mark.parametrize("rate", [4.0, 0.4])
def test_a_simulation_that_runs_faster_or_slower_than_time_has_no_clock_fault(
    flight: simulate.Flight, good: Flown, rate: float
) -> None:
    """Arrivals, scattered by 20 ms, say nothing then: at four times real time that is 0.08 s."""

    def fault(samples: list[Sample]) -> list[Sample]:
        late_s, out = np.random.default_rng(0).exponential(0.02, len(samples)), []
        came: dict[type, int] = {}
        for sample, late in zip(samples, late_s.tolist(), strict=True):
            passed_s = (sample.received_ns - simulate.START_NS) * 1e-9
            at_ns = max(_at(passed_s / rate + late), came.get(type(sample), 0))
            came[type(sample)] = at_ns
            out.append(replace(sample, received_ns=at_ns))
        return out

    flown = Flown(flight, fault)
    _bounded(flown, good)
    assert flown.estimator.clock_leaps == {}
