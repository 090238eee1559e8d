# SPDX-License-Identifier: Apache-2.0
"""Figures of the rollouts; a part of ``./airtwin bench physics``.

Keys. ``rollouts_per_s_core``: ten-second closed-loop x500 rollouts at 100 Hz for each second of
CPU time on one core, all of ``rollout`` counted: drawing, wind with gusts, two legs at 12 m/s, a
row of output every 0.1 s. ``rollout_final_error_pct``: the worst final position against the same
rollouts by classical Runge-Kutta and the whole cascade at 1 kHz, as a share of the way flown;
``rollout_final_error_median_pct``, ``rollout_final_error_p99_pct`` of the same;
``rollout_final_velocity_error_m_s`` and ``rollout_final_attitude_error_deg``: worst and median.
``rollout_error_flights``: how many, each with random legs of 3 to 12 m/s, holds, start, wind up to
8 m/s, gusts, aircraft. ``rollouts_ratio_rotorpy``, ``rollouts_ratio_crazyflow``: our figure over
the peer's, for the peer's best batch, on one core, in CPU time; null where the peer can't be
installed or run, with the reason in ``rollouts_peer_notes``. Peers simulate less (no
battery, gusts, waypoints, no output), and their own quad and controller.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_core import aircraft, frames
from airtwin_core.types import Array, TwinState
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.rollout import draw, reference, rollouts, start
from airtwin_physics.rollout.plan import Plan, Waypoint

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".cache" / "peers"
INSTALL_S, RUN_S = 1200.0, 600.0
FLIGHTS, EACH = 60, 8
HORIZON_S = 10.0


def measure(console: Console) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {}
    with _one_core():
        console.print("measuring rollouts ...", highlight=False)
        figures |= _speed()
        console.print("measuring rollouts against 1 kHz ...", highlight=False)
        figures |= _error()
        notes = {}
        for name in ("rotorpy", "crazyflow"):
            console.print(f"measuring {name} ...", highlight=False)
            rate, notes[name] = _peer(name)
            ratio = figures["rollouts_per_s_core"] / rate if rate else None
            figures[f"rollouts_ratio_{name}"] = None if ratio is None else round(ratio, 1)
    return figures | {"rollouts_peer_notes": notes}


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process and those that it starts on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _belief(velocity_ned_m_s: Array, yaw_rad: float) -> TwinState:
    q = frames.quat_from_euler(0.0, 0.0, yaw_rad)
    return start.supposed(np.array([0.0, 0.0, -40.0]), velocity_ned_m_s, q)


def _speed() -> dict[str, Any]:
    x500 = aircraft.load("x500")
    plan = Plan((Waypoint((60.0, 0.0, -42.0), 12.0), Waypoint((60.0, 60.0, -38.0), 12.0)))
    wind = draw.Wind((4.0, 3.0, 0.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 0.04)), gust=1.0)
    best = 0.0
    for n in (64, 1024, 1024, 1024):  # the first compiles or loads
        began = time.process_time()
        rollouts.rollout(
            _belief(np.zeros(3), 0.0),
            plan,
            wind,
            n,
            HORIZON_S,
            np.random.default_rng(1),
            aircraft=x500,
        )
        best = max(best, n / (time.process_time() - began))
    return {"rollouts_per_s_core": round(best)}


def _error() -> dict[str, Any]:
    rng, params = np.random.default_rng(20260), Px4Params()
    x500 = aircraft.load("x500")
    place, speed, turn = [], [], []
    for _ in range(FLIGHTS):
        velocity = rng.normal(0.0, (2.0, 2.0, 0.6))
        belief = _belief(velocity, rng.uniform(-np.pi, np.pi))
        plan, wind = _random_plan(rng), _random_wind(rng)
        legs, seed = plan.legs(belief.position_ned_m, params), int(rng.integers(2**31))

        def drawn(
            seed: int = seed, belief: TwinState = belief, wind: draw.Wind = wind
        ) -> draw.Draws:
            return draw.draws(
                np.random.default_rng(seed),
                EACH,
                x500.rotor_count,
                belief,
                wind,
                draw.Spread(),
                None,
                sampled=True,
            )

        fast = rollouts.fly(drawn(), legs, legs[:, :2], x500, params, wind.gust, 0.0, 100, 11)
        slow, way = reference.fly(drawn(), legs, x500, params, wind.gust, 0.0, HORIZON_S)
        apart = np.linalg.norm(fast.position_ned_m[:, -1] - slow[:, :3], axis=1)
        # a lost rollout is wholly wrong
        place += list(np.where(fast.kept, apart / way, 1.0) * 100.0)
        speed += list(np.linalg.norm(fast.velocity_ned_m_s[:, -1] - slow[:, 3:6], axis=1))
        same = np.abs(np.sum(fast.q_ned_frd[:, -1] * slow[:, 6:10], axis=1))
        turn += list(2.0 * np.degrees(np.arccos(np.clip(same, 0.0, 1.0))))
    return {
        "rollout_final_error_pct": round(float(np.max(place)), 3),
        "rollout_final_error_median_pct": round(float(np.median(place)), 4),
        "rollout_final_error_p99_pct": round(float(np.quantile(place, 0.99)), 3),
        "rollout_final_velocity_error_m_s": _worst_and_median(speed),
        "rollout_final_attitude_error_deg": _worst_and_median(turn),
        "rollout_error_flights": FLIGHTS * EACH,
    }


def _worst_and_median(values: list[float]) -> list[float]:
    return [round(float(np.max(values)), 3), round(float(np.median(values)), 4)]


def _random_plan(rng: np.random.Generator) -> Plan:
    place, points = np.array([0.0, 0.0, -40.0]), []
    for _ in range(int(rng.integers(1, 4))):
        bearing, far = rng.uniform(-np.pi, np.pi), rng.uniform(15.0, 90.0)
        place = place + np.array(
            [far * np.cos(bearing), far * np.sin(bearing), rng.uniform(-5, 5)]
        )
        speed, hold = rng.choice([3.0, 5.0, 8.0, 12.0]), rng.choice([0.0, 0.0, 1.0])
        points.append(
            Waypoint(
                (float(place[0]), float(place[1]), float(place[2])), float(speed), float(hold)
            )
        )
    return Plan(tuple(points))


def _random_wind(rng: np.random.Generator) -> draw.Wind:
    speed, towards = rng.uniform(0.0, 8.0), rng.uniform(-np.pi, np.pi)
    return draw.Wind(
        (float(speed * np.cos(towards)), float(speed * np.sin(towards)), 0.0),
        ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 0.04)),
        gust=float(rng.choice([0.0, 1.0])),
    )


def _peer(name: str) -> tuple[float | None, str]:
    """Return (rollouts a second, or None) of a peer and what to know about it."""
    python = PEERS / "bin" / "python"
    limits = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    limits["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    try:
        wants = _wanted(name)
        _install(python, name, wants)
        done = subprocess.run(
            [str(python), str(HERE / f"peer_{name}.py")],
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=True,
            cwd=PEERS,  # some write logs where they stand
            env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")} | limits,
        )
        said = json.loads(done.stdout.strip().splitlines()[-1])
        rate = float(said["rollouts_per_s"])
        if not rate > 0.0:
            return None, f"{name} measured {rate}"
        return rate, f"{' '.join(wants)}: {rate:.0f} rollouts/s, batch {said['batch']}"
    except subprocess.CalledProcessError as error:
        return None, f"{name} failed: {_last_line(error.stderr)}"
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, IndexError) as error:
        return None, f"{name} could not be measured: {error}"


def _wanted(name: str) -> list[str]:
    """Return the pinned packages of a peer."""
    for line in (HERE / "peers.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return line.split()
    raise ValueError(f"no line for {name} in peers.txt")


def _install(python: Path, name: str, wants: list[str]) -> None:
    """Make the peers' environment and put the peer there, unless it is there already."""
    stamp = PEERS / f"{name}.stamp"
    if stamp.is_file() and stamp.read_text(encoding="utf-8").split() == wants:
        return
    steps = [] if python.is_file() else [[sys.executable, "-m", "venv", str(PEERS)]]
    steps.append([str(python), "-m", "pip", "install", "--quiet", "--no-input", *wants])
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    for step in steps:
        subprocess.run(
            step, capture_output=True, text=True, timeout=INSTALL_S, check=True, env=clean
        )
    stamp.write_text(" ".join(wants), encoding="utf-8")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
