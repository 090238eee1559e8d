# SPDX-License-Identifier: Apache-2.0
"""A million sequences of broken sensors through the whole Estimator.

A **chain** is one estimator that has followed a simulated flight (on the ground, climbing or
hovering) and then gets twenty **sequences** in a row. A sequence is what arrives in the next 0.2 s
of that flight, about 30 samples of all kinds that the Estimator takes, spoilt at random: values
that are NaN, infinite, zero, saturated, wildly wrong or frozen; stamps that jump back, forward or
into another epoch; samples missing, doubled, out of order; one kind dead or all broken. How much
is spoilt is drawn anew for each sequence, from a twentieth to everything. The filter's horizon of
0.2 s passes over what is spoilt within this sequence and the next. In half of the chains up to
three faults that last come over it, for some sequences each (``physics_fuzz_lasting``).

After each sequence either the state has been lost and said so (``resets`` counts it), or the
published state is finite, its covariance and the filter's whole covariance are finite, symmetric
to the bit and positive definite (Cholesky succeeds). Anything else, an exception included, is a
failure. Each chain is told by (block, number) and comes back the same from ``chain``.

- ``fuzz_sequences``: how many were flown; ``fuzz_failures``: how many failed.
- ``fuzz_states_lost``: in how many the filter said that it lost its state;
  ``fuzz_states_judged``: after how many it had one that was judged (else: aligning anew).
- ``fuzz_first_failures``: up to ten of the form ``block/chain/sequence: what``.
- ``fuzz_seconds``: how long it took, on as many processes as the machine has cores.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_core import frames
from airtwin_core.types import (
    Airspeed,
    Attitude,
    ExternalPose,
    Imu,
    LocalPosition,
    OpticalFlow,
    Rangefinder,
    Sample,
    TwinState,
)
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.warm import warm_up
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Scenario, VehicleSpec
from bench import physics_fuzz_lasting
from bench.physics_fuzz_spoilt import spoil

SEQUENCES = 1_000_000
PER_CHAIN = 20
CHAINS_PER_BLOCK = 250  # share one pool of spoilt samples
SEQUENCE_NS = 200_000_000
VARIANTS = 30  # spoilt forms of each sample of the flight in a pool
VALUE_VARIANTS = 20  # the first of them, whose stamps are good
BEGIN_S = (4.0, 9.0, 20.0)  # where chains branch off: on the ground, climbing, hovering
IMU_EVERY = 5  # of the simulator's 250 Hz
SHARES = (0.05, 0.2, 0.5, 1.0)

NAN, INF = float("nan"), float("inf")
ARM, TAKE_OFF, FORCE = 400, 22, 21196.0


@dataclass(frozen=True, slots=True)
class Branch:
    """A frozen estimator and the sequences of good samples that would come next."""

    estimator: bytes
    windows: tuple[tuple[Sample, ...], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of some sequences; ``failures``: (block, chain, sequence, what)."""

    sequences: int
    judged: int
    lost: int
    failures: tuple[tuple[int, int, int, str], ...]


def measure(console: Console, sequences: int = SEQUENCES) -> dict[str, Any]:
    """Return all figures."""
    blocks = -(-sequences // (PER_CHAIN * CHAINS_PER_BLOCK))
    cores = len(os.sched_getaffinity(0))
    began, done, judged, lost = time.perf_counter(), 0, 0, 0
    failures: list[tuple[int, int, int, str]] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=spawn) as pool:
        for outcome in pool.map(run, range(blocks)):
            done, lost = done + outcome.sequences, lost + outcome.lost
            judged += outcome.judged
            failures += outcome.failures
            if done % 100_000 < PER_CHAIN * CHAINS_PER_BLOCK:
                console.print(f"  {done} sequences, {len(failures)} failures", highlight=False)
    return {
        "fuzz_sequences": done,
        "fuzz_failures": len(failures),
        "fuzz_states_lost": lost,
        "fuzz_states_judged": judged,
        "fuzz_first_failures": [f"{b}/{c}/{s}: {what}" for b, c, s, what in failures[:10]],
        "fuzz_seconds": round(time.perf_counter() - began, 1),
    }


def run(block: int, chains: int = CHAINS_PER_BLOCK) -> Outcome:
    """Fly the first ``chains`` chains of one block."""
    spoilt = _pool(block)
    judged, lost, failures = 0, 0, []
    for number in range(chains):
        seen, forgotten, failed = chain(block, number, spoilt)
        judged, lost = judged + seen, lost + forgotten
        failures += [(block, number, at, what) for at, what in failed]
    return Outcome(chains * PER_CHAIN, judged, lost, tuple(failures))


Pool = list[list[list[list[Sample]]]]
"""By branch, window, sample: its spoilt forms."""


def chain(
    block: int, number: int, spoilt: Pool | None = None
) -> tuple[int, int, list[tuple[int, str]]]:
    """Fly one chain; return (states judged, states lost, failures as (sequence, what)).

    A failure ends the chain: what comes after it would be its echo.
    """
    spoilt = _pool(block) if spoilt is None else spoilt
    rng = np.random.default_rng((block, number))
    which = int(rng.integers(len(BEGIN_S)))
    branch = branches()[which]
    estimator: Estimator = pickle.loads(branch.estimator)
    judged, lost, had = 0, 0, True
    lasting: list[physics_fuzz_lasting.Change] = []
    haunted = rng.random() < 0.5
    for at in range(PER_CHAIN):
        if haunted:
            lasting = physics_fuzz_lasting.follow(lasting, rng)
        resets = sum(estimator.resets.values())
        try:
            for sample in _sequence(branch.windows[at], spoilt[which][at], rng):
                for change in lasting:
                    sample = change(sample)
                estimator.on(sample)
            state = estimator.state()
            said = sum(estimator.resets.values()) > resets
            what = ""
            if state is not None:
                judged += 1
                what = flaw(state, estimator)
            elif had and not said:
                what = "the state is gone and nobody said so"
        except Exception as error:  # noqa: BLE001 - whatever is raised is a finding
            return judged, lost, [(at, f"{type(error).__name__}: {error}")]
        had = state is not None
        lost += said
        if what:
            return judged, lost, [(at, what)]
    return judged, lost, []


def flaw(state: TwinState, estimator: Estimator) -> str:
    """Return what is wrong with a published state or the filter behind it, else nothing."""
    for name, value in state._asdict().items():
        if isinstance(value, np.ndarray) and not np.all(np.isfinite(value)):
            return f"{name} is not finite"
    belief = estimator._belief  # the whole filter is judged, not only what it shows
    if not np.all(np.isfinite(belief.x)):
        return "x is not finite"
    covariances = [("published", state.covariance), ("inner", belief.p)]
    if state.wind is not None:
        if not np.all(np.isfinite(state.wind.velocity_ne_m_s)):
            return "wind is not finite"
        covariances.append(("wind", state.wind.covariance))
    for name, p in covariances:
        if not np.all(np.isfinite(p)):
            return f"{name} covariance is not finite"
        if not np.array_equal(p, p.T):
            return f"{name} covariance is not symmetric"
        try:
            np.linalg.cholesky(p)
        except np.linalg.LinAlgError:
            return f"{name} covariance is not positive definite"
    if not abs(float(state.q_ned_frd @ state.q_ned_frd) - 1.0) < 1e-9:
        return "the quaternion has lost its length"
    return ""


def _sequence(
    window: tuple[Sample, ...], spoilt: list[list[Sample]], rng: np.random.Generator
) -> list[Sample]:
    """Return the window as it arrives: each sample as it is, spoilt, doubled, late or not."""
    n = len(window)
    share = SHARES[int(rng.integers(len(SHARES)))]
    dice = rng.random(n) / share
    # half of the sequences leave the clocks alone: a broken one soon costs the state, said aloud,
    # and what comes after that meets no filter
    clocks = rng.random() < 0.5
    pick = rng.integers(VARIANTS if clocks else VALUE_VARIANTS, size=n)
    dead = type(window[int(rng.integers(n))]) if rng.random() < 0.2 else None
    broken = type(window[int(rng.integers(n))]) if rng.random() < 0.2 else None
    out: list[Sample] = []
    for i, sample in enumerate(window):
        kind = type(sample)
        if kind is dead:
            continue
        d = dice[i]
        if kind is broken or d < 0.7:
            out.append(spoilt[i][pick[i]])
        elif d < 0.8:
            out += [sample, sample]
        elif d < 0.9:
            out.insert(max(len(out) - int(pick[i]), 0), sample)
        elif d >= 1.0:
            out.append(sample)
    return out


# --- the good flight -----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def branches() -> tuple[Branch, ...]:
    """Return where chains begin; the same in every process."""
    warm_up()
    flown = _flight()
    begin_ns = flown[0].stamp_ns
    found = []
    for seconds in BEGIN_S:
        # published seldom: what is judged is asked for at the end of each sequence
        estimator = Estimator(EstimatorConfig(publish_period_s=0.2))
        split = begin_ns + int(seconds * 1e9)
        windows: list[list[Sample]] = [[] for _ in range(PER_CHAIN)]
        for sample in flown:
            if sample.received_ns < split:
                estimator.on(sample)
            elif (at := (sample.received_ns - split) // SEQUENCE_NS) < PER_CHAIN:
                windows[at].append(sample)
        assert estimator.state() is not None
        found.append(Branch(pickle.dumps(estimator, -1), tuple(map(tuple, windows))))
    return tuple(found)


def _flight() -> list[Sample]:
    """Return a take-off and hover with all that an Estimator may take, IMU at 50 Hz."""
    flight = Flight(Scenario((VehicleSpec("px4_1"),), extra_topics=True))
    out: list[Sample] = []
    attitude: Attitude | None = None
    imu: list[Imu] = []

    def take(samples: Any) -> None:
        nonlocal attitude
        for _, _, sample in samples:
            if isinstance(sample, Imu):
                imu.append(sample)
                if len(imu) == IMU_EVERY:
                    out.append(_mean(imu))
                    imu.clear()
                continue
            out.append(sample)
            if isinstance(sample, Attitude):
                attitude = sample
            elif isinstance(sample, LocalPosition) and attitude is not None:
                out.extend(_extras(sample, attitude))

    take(flight.run(5.0))
    flight.world.command("px4_1", Command(ARM, (1.0, FORCE, 0.0, 0.0, 0.0, 0.0, 0.0)))
    take(flight.run(1.0))
    flight.world.command("px4_1", Command(TAKE_OFF, (NAN,) * 7))
    take(flight.run(BEGIN_S[-1] + PER_CHAIN * SEQUENCE_NS * 1e-9 - 5.0))
    return _thinned(out)


def _thinned(samples: list[Sample]) -> list[Sample]:
    """Return at most 10 samples a second of each kind but the IMU."""
    last: dict[type, int] = {}
    out: list[Sample] = []
    for sample in samples:
        kind = type(sample)
        if kind is Imu or sample.received_ns - last.get(kind, -(10**18)) >= 99_000_000:
            last[kind] = sample.received_ns
            out.append(sample)
    return out


def _mean(imu: list[Imu]) -> Imu:
    rate = np.mean([s.rate_frd_rad_s for s in imu], axis=0)
    force = np.mean([s.specific_force_frd_m_s2 for s in imu], axis=0)
    return replace(
        imu[-1],
        rate_frd_rad_s=rate,
        specific_force_frd_m_s2=force,
        dt_s=sum(s.dt_s for s in imu),
    )


def _extras(seen: LocalPosition, attitude: Attitude) -> list[Sample]:
    """Return what sensors that the simulator lacks would say there."""
    at, then = seen.stamp_ns, seen.received_ns
    velocity, q = seen.velocity_ned_m_s, attitude.q_ned_frd
    height = max(0.1 - float(seen.position_ned_m[2]), 0.1)
    vx, vy, _ = frames.rotation_from_quat(q).T @ velocity
    small = np.full(3, 0.01)
    return [
        Airspeed(at, then, float(np.linalg.norm(velocity))),
        Rangefinder(at, then, height, 1e-4, True),
        OpticalFlow(
            at,
            then,
            np.array([-vy, vx]) / height * 0.05,
            np.zeros(3),
            0.05,
            0.9,
            height,
        ),
        ExternalPose(at, then, seen.position_ned_m, velocity, q, small, small, small, False, 0),
    ]


# --- spoilt samples ------------------------------------------------------------------------------


def _pool(block: int) -> Pool:
    rng = np.random.default_rng(block)
    pool: Pool = []
    for branch in branches():
        by_kind: dict[type, list[Sample]] = {}
        for sample in (s for window in branch.windows for s in window):
            by_kind.setdefault(type(sample), []).append(sample)
        pool.append(
            [
                [
                    [
                        spoil(sample, by_kind[type(sample)], rng, stamps=k >= VALUE_VARIANTS)
                        for k in range(VARIANTS)
                    ]
                    for sample in window
                ]
                for window in branch.windows
            ]
        )
    return pool
