# SPDX-License-Identifier: Apache-2.0
"""Flights of aircraft that are not as their file says, drawn at random, for the identification.

Everything that the identification estimates or considers is drawn from the belief that it starts
with (``IdentifyConfig``), and beside it what it takes for true: rotor lag; and sensor noise, wind,
gusts, the manoeuvres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from airtwin_core import aircraft
from airtwin_core.types import Array, Sample, TwinState
from airtwin_physics.dynamics import model as dynamics
from airtwin_physics.estimator import Estimator
from airtwin_physics.identify import prior, rows
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_sim.commander import Command
from airtwin_sim.samples import Flight
from airtwin_sim.scenario import Fault, Scenario, VehicleSpec, Wind
from airtwin_sim.sensors import SensorNoise
from airtwin_sim.world import World

NAME = "px4_1"
HOVER, LEGS, STEP = "hover", "legs", "wind steps"
KINDS = (HOVER, LEGS, STEP)
GROUND_S, CLIMB_S = 6.0, 8.0
NAN = float("nan")
_TICK_S = 0.1  # between setpoints


@dataclass(frozen=True, slots=True)
class Drawn:
    """One flight's truth: ``theta`` as in ``identify.rows``, level wind [m/s] in its place."""

    kind: str
    theta: Array
    gust: float
    lag: float  # ratio of the rotors' time constants to the file's
    noise: float  # ratio of all sensors' noise to the simulator's own
    legs: Array  # (k, 4): seconds, velocity NED
    step_s: float  # when the wind changes; inf: never
    step_ned_m_s: tuple[float, float, float]
    seed: int


def draw(seed: int, kind: str, name: str = "x500") -> Drawn:
    """Return a flight: truth from the first belief, mass cut at 1.8 sigmas (it must take off)."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    craft = rows.craft(aircraft.load(name))
    first = prior.logarithms(IdentifyConfig(), craft)
    theta, drawn = np.zeros(first.shape[0]), np.arange(first.shape[0]) != rows.LAG
    some = first[np.ix_(drawn, drawn)]
    theta[drawn] = rng.multivariate_normal(np.zeros(len(some)), some, method="cholesky")
    sigma = float(np.sqrt(first[rows.MASS, rows.MASS]))
    # heavier than 1.27 times, the x500 has no thrust left to steer with in gusts
    theta[rows.MASS] = np.clip(theta[rows.MASS], -1.8 * sigma, 0.8 * sigma)
    theta[rows.YAW_TRIM] = 0.0  # the simulator knows none
    theta[rows.GUST : rows.GUST + 2] = 0.0
    speed = rng.uniform(0.0, 9.0)
    theta[rows.WIND : rows.WIND + 3] = _level(rng, speed)
    # up first: the simulator takes off to 2.5 m only
    legs = [np.array([4.0, 0.0, 0.0, -2.0])]
    legs += [np.array([rng.uniform(3.0, 6.0), *_leg(rng)]) for _ in range(12)]
    return Drawn(
        kind,
        theta,
        rng.uniform(0.0, 1.2),
        float(np.exp(0.2 * rng.normal())),
        float(np.exp(rng.uniform(np.log(0.5), np.log(2.0)))),
        np.array(legs),
        GROUND_S + CLIMB_S + rng.uniform(2.0, 15.0) if kind == STEP else np.inf,
        tuple((_level(rng, speed) + _level(rng, rng.uniform(2.0, 6.0))).tolist()),
        seed,
    )


def _level(rng: np.random.Generator, speed: float) -> Array:
    angle = rng.uniform(-np.pi, np.pi)
    return np.array([speed * np.cos(angle), speed * np.sin(angle), 0.0])


def _leg(rng: np.random.Generator) -> Array:
    velocity = _level(rng, rng.uniform(2.0, 8.0))
    velocity[2] = rng.choice([0.0, 0.0, -1.0, 0.7])
    return velocity


def alter(world: World, drawn: Drawn) -> None:
    """Make the simulated aircraft the drawn one."""
    theta, model = drawn.theta, world.fleet.model
    ratio = np.exp(theta)
    drag = ratio[rows.ROTOR_DRAG]
    model.body[0, dynamics.MASS] *= ratio[rows.MASS]
    model.body[0, dynamics.CDA_X : dynamics.CDA_Z + 1] *= drag * ratio[rows.BODY_DRAG]
    rotors = model.rotors[0]
    rotors[:, dynamics.K_THRUST] *= ratio[rows.THRUST]
    rotors[:, dynamics.EFFECT] *= 1.0 + theta[rows.EFFECT :]
    rotors[:, dynamics.K_MOMENT] *= ratio[rows.MOMENT]
    rotors[:, dynamics.K_DRAG] *= drag
    rotors[:, dynamics.RX] -= theta[rows.CENTRE_X]
    rotors[:, dynamics.RY] -= theta[rows.CENTRE_Y]
    rotors[:, dynamics.TAU_UP] *= drawn.lag
    rotors[:, dynamics.TAU_DOWN] *= drawn.lag
    rotors[:, dynamics.K_INFLOW] *= ratio[rows.INFLOW]
    rotors[:, dynamics.K_ROLL] *= ratio[rows.ROLLING]
    lazy = np.sqrt(ratio[[rows.INERTIA_LEVEL, rows.INERTIA_LEVEL, rows.INERTIA_YAW]])
    model.inertia[0] *= np.outer(lazy, lazy)
    model.inertia_inverse[0] /= np.outer(lazy, lazy)


def samples(
    drawn: Drawn, seconds: float, faults: tuple[Fault, ...] = (), name: str = "x500"
) -> Iterator[Sample]:
    """Yield what a twin gets of that flight from power-up on."""
    wind = Wind(tuple(drawn.theta[rows.WIND : rows.WIND + 3].tolist()), drawn.gust)
    quiet = SensorNoise()
    noise = {f.name: drawn.noise * getattr(quiet, f.name) for f in fields(quiet)}
    for kept in ("gnss_time_s", "gnss_delay_s", "barometer_drift_time_s"):
        noise[kept] = getattr(quiet, kept)
    scenario = Scenario(
        (VehicleSpec(NAME, name),),
        seed=drawn.seed,
        wind=wind,
        noise=replace(quiet, **noise),
        extra_topics=True,
    )
    flight = Flight(scenario)
    world = flight.world
    alter(world, drawn)
    if np.isfinite(drawn.step_s):
        world.inject(Fault("wind", NAME, drawn.step_s, vector=drawn.step_ned_m_s))
    for fault in faults:
        world.inject(fault)

    def run(span_s: float) -> Iterator[Sample]:
        for _, _, sample in flight.run(span_s):
            yield sample

    yield from run(GROUND_S - 1.0)
    world.command(NAME, Command(400, (1.0, 21196.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    yield from run(1.0)
    world.command(NAME, Command(22, (NAN,) * 7))
    yield from run(CLIMB_S)
    left_s = seconds - GROUND_S - CLIMB_S
    if drawn.kind == HOVER:
        yield from run(left_s)
        return
    ends = np.cumsum(drawn.legs[:, 0])
    for k in range(round(left_s / _TICK_S)):
        leg = min(int(np.searchsorted(ends, k * _TICK_S, side="right")), len(ends) - 1)
        world.offboard_mode(NAME, velocity=True)
        world.setpoint(NAME, np.full(3, NAN), drawn.legs[leg, 1:], yaw_rad=0.0)
        if k == 5:
            world.command(NAME, Command(176, (1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
        yield from run(_TICK_S)


def values(stream: Iterator[Sample]) -> Iterator[Sample | TwinState]:
    """Yield the samples with the estimator's states among them."""
    estimator = Estimator()
    for sample in stream:
        yield sample
        state = estimator.on(sample)
        if state is not None:
            yield state
