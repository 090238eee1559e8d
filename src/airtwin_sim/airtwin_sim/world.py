# SPDX-License-Identifier: Apache-2.0
"""The whole simulation: aircraft, air, faults, links. No ROS, no clock: ``step`` makes 4 ms pass.

``step`` returns what the aircraft's PX4s say, as ``Batch`` of plain values; the node turns them
into messages, ``samples.Flight`` into AirTwin's own types. Same scenario and same calls: same
result, bit for bit.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from airtwin_core import aircraft as aircraft_files
from airtwin_core import frames
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Array, Origin
from airtwin_physics import dynamics
from airtwin_physics.control.px4_params import with_overrides
from airtwin_sim import faults, fleet, words
from airtwin_sim.aiding import AidingSuite
from airtwin_sim.autopilot import PERIOD_US, Autopilot
from airtwin_sim.commander import Command
from airtwin_sim.fleet import NORMALS, TICK_S, TICK_US
from airtwin_sim.link import Link
from airtwin_sim.navigator import GNSS_DT_S, Navigator
from airtwin_sim.scenario import Fault, Scenario, ScenarioError
from airtwin_sim.sensors import BLOCK, GnssSolution, Suite
from airtwin_sim.tasks import RETURN
from airtwin_sim.words import Batch, Values

BARO_TICKS, COMPASS_TICKS, PILOT_TICKS = 10, 5, PERIOD_US // TICK_US
SECOND_TICKS = 1_000_000 // TICK_US


class World:
    """N aircraft. Commands and setpoints in by vehicle name, time by ``step``, words out."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.names = tuple(spec.name for spec in scenario.vehicles)
        self._params = with_overrides(dict(scenario.px4))
        specs = scenario.vehicles
        n = len(specs)
        # a stream of its own for each aircraft and use, so that one more aircraft changes no other
        self._rngs = [np.random.default_rng([scenario.seed, s.system_id]) for s in specs]
        frame = LocalFrame(scenario.origin)
        self.origins = tuple(Origin(*frame.to_geodetic(np.array(s.start_ned_m))) for s in specs)
        self._suites = [
            Suite(np.random.default_rng([scenario.seed, s.system_id, 1]), origin, scenario.noise)
            for s, origin in zip(specs, self.origins, strict=True)
        ]
        self._aiding = [
            AidingSuite(
                np.random.default_rng([scenario.seed, s.system_id, 4]),
                scenario.sensors,
                scenario.aiding,
            )
            for s in specs
        ]
        crafts = [aircraft_files.load(s.aircraft) for s in specs]
        for spec, craft in zip(specs, crafts, strict=True):
            if craft.surfaces or craft.pushers is not None:
                raise ScenarioError(
                    f"{spec.name}: the simulator's autopilot flies multirotors, no {craft.name}"
                )
            if craft.rotor_count != crafts[0].rotor_count:
                raise ScenarioError(f"{spec.name}: all aircraft must have as many rotors")
        self.fleet = fleet.build(
            crafts,
            np.radians([s.yaw_deg for s in specs]),
            np.array([s.battery for s in specs]),
            scenario.noise,
            self._params,
        )
        self.fleet.steady_ned_m_s[:] = scenario.wind.steady_ned_m_s
        self.fleet.gust_intensity[:] = scenario.wind.gust
        self._links_out, self._links_in = (
            [Link[object](np.random.default_rng([scenario.seed, s.system_id, use])) for s in specs]
            for use in (2, 3)
        )
        self.pilots = [
            Autopilot(
                self.fleet,
                i,
                spec,
                Navigator(
                    self.fleet.estimate[i],
                    self.fleet.history[i],
                    self._suites[i].declination_rad,
                    self._params,
                ),
                self._params,
            )
            for i, spec in enumerate(specs)
        ]
        self._tick = 0
        self._normals = np.zeros((BLOCK, n, NORMALS))
        self._gnss_due: list[tuple[int, list[GnssSolution]]] = []
        self._schedule: list[tuple[int, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._faults_ahead = scenario.faults
        if scenario.faults_from == "start":
            self._take_faults()

    def warm_up(self) -> None:
        """Compile every kernel, on a throw-away world: nothing may compile in flight."""
        World(replace(self.scenario, faults=())).rehearse()

    def rehearse(self) -> None:
        """Touch every kernel once."""
        for pilot in self.pilots:
            pilot.tasks.enter(RETURN)
            pilot.tasks.rehearse()
        for _ in range(SECOND_TICKS):
            self.step()

    @property
    def time_us(self) -> int:
        """Return the time since the start [us]."""
        return self._tick * TICK_US

    def row(self, vehicle: str) -> int:
        """Return the place of a vehicle.

        Raises:
            ScenarioError: there is none of that name.
        """
        try:
            return self.names.index(vehicle)
        except ValueError:
            raise ScenarioError(f"no vehicle {vehicle!r}; there are {list(self.names)}") from None

    # --- in -------------------------------------------------------------------------------------

    def command(self, vehicle: str, command: Command, target_system: int | None = None) -> None:
        """Send a vehicle command; ``target_system`` None: the vehicle's own."""
        i = self.row(vehicle)
        pilot = self.pilots[i]
        system = pilot.spec.system_id if target_system is None else target_system
        self._through(i, lambda: pilot.order(self.time_us, command, system))

    def offboard_mode(
        self, vehicle: str, *, position: bool = False, velocity: bool = False
    ) -> None:
        """Send one heartbeat of offboard control."""
        i = self.row(vehicle)
        pilot = self.pilots[i]
        self._through(
            i, lambda: pilot.offboard_mode(self.time_us, position=position, velocity=velocity)
        )

    def setpoint(
        self,
        vehicle: str,
        position_ned_m: Array,
        velocity_ned_m_s: Array | None = None,
        acceleration_ned_m_s2: Array | None = None,
        *,
        yaw_rad: float = float("nan"),
        yaw_rate_rad_s: float = float("nan"),
    ) -> None:
        """Send one trajectory setpoint in the vehicle's local frame; NaN is not controlled."""
        i = self.row(vehicle)
        pilot = self.pilots[i]
        nothing = np.full(3, np.nan)
        v = nothing if velocity_ned_m_s is None else velocity_ned_m_s
        a = nothing if acceleration_ned_m_s2 is None else acceleration_ned_m_s2
        self._through(
            i,
            lambda: pilot.setpoint(self.time_us, position_ned_m, v, a, yaw_rad, yaw_rate_rad_s),
        )

    def _through(self, i: int, act: Callable[[], None]) -> None:
        link = self._links_in[i]
        if link.perfect:
            act()
        else:
            link.send(self.time_us, act)

    def _take_faults(self) -> None:
        """Put the scenario's faults on the schedule, their times counted from now."""
        for fault in self._faults_ahead:
            self.inject(replace(fault, start_s=fault.start_s + self.time_us * 1e-6))
        self._faults_ahead = ()

    def inject(self, fault: Fault) -> None:
        """Start a fault at its ``start_s``, or now if that has passed.

        Raises:
            ScenarioError: no such vehicle or motor.
        """
        rows = range(len(self.names)) if not fault.vehicle else (self.row(fault.vehicle),)
        for i in rows:
            if fault.kind == "motor_loss" and fault.index >= self.fleet.motors.shape[1]:
                raise ScenarioError(f"{fault.vehicle} has no motor {fault.index}")
            if fault.kind == "mass" and self.fleet.model.body[i, 0] + fault.magnitude <= 0.0:
                raise ScenarioError(f"{fault.vehicle} would weigh nothing")
            links = (self._links_out[i], self._links_in[i])
            target = faults.Target(self.fleet, i, self._suites[i], links, self._aiding[i])
            begin_us = max(round(fault.start_s * 1e6), self.time_us)
            self._at(begin_us, self._starter(fault, target))

    def _starter(self, fault: Fault, target: faults.Target) -> Callable[[], None]:
        def begin() -> None:
            undo = faults.start(fault, target)
            if fault.duration_s > 0.0:
                self._at(self.time_us + round(fault.duration_s * 1e6), undo)

        return begin

    def _at(self, when_us: int, act: Callable[[], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._schedule, (when_us, self._scheduled, act))

    # --- time -----------------------------------------------------------------------------------

    def step(self) -> list[Batch]:
        """Let one tick of 4 ms pass and return what arrives from the aircraft at its end."""
        if self._faults_ahead and any(pilot.commander.armed for pilot in self.pilots):
            self._take_faults()
        while self._schedule and self._schedule[0][0] <= self.time_us:
            heapq.heappop(self._schedule)[2]()
        place = self._tick % BLOCK
        if place == 0:
            for i, rng in enumerate(self._rngs):
                self._normals[:, i] = rng.standard_normal((BLOCK, NORMALS))
        if self._tick % SECOND_TICKS == 0:
            for suite in self._suites:
                suite.walk(1.0)
        for i, suite in enumerate(self._suites):
            self.fleet.imu_bias[i] = suite.imu_bias
        self._tick += 1
        fleet.advance(self.fleet, self._normals[place], self._tick, self._params)
        if self._tick == 1:
            self._align()
        said = self._sense()
        for link in self._links_in:
            if not link.perfect:
                for act in link.receive(self.time_us):
                    act()  # type: ignore[operator]
        said += self._speak()
        return self._transmit(said)

    def _align(self) -> None:
        for i, suite in enumerate(self._suites):
            field = suite.magnetometer(frames.rotation_from_quat(self.fleet.x[i, 6:10]))
            self.pilots[i].nav.align(self.fleet.imu[i, 3:], field)

    def _sense(self) -> list[Batch]:
        """Let the slow sensors measure and the estimators use them."""
        now, tick, x = self.time_us, self._tick, self.fleet.x
        extra = self.scenario.extra_topics
        said = []
        if tick % COMPASS_TICKS == 0:
            dt_s = COMPASS_TICKS * TICK_S
            fields = np.stack(
                [
                    suite.magnetometer(frames.rotation_from_quat(x[i, 6:10]))
                    for i, suite in enumerate(self._suites)
                ]
            )
            for pilot, field in zip(self.pilots, fields, strict=True):
                pilot.nav.on_compass(field, dt_s)
            if extra:
                said.append(self._batch("magnetometer", {"field": fields}))
        if tick % BARO_TICKS == 0:
            dt_s = BARO_TICKS * TICK_S
            altitudes = np.array(
                [s.barometer(float(x[i, 2]), dt_s) for i, s in enumerate(self._suites)]
            )
            for pilot, altitude in zip(self.pilots, altitudes, strict=True):
                pilot.nav.on_barometer(now, float(altitude), dt_s)
            heard = tuple(int(i) for i in np.flatnonzero(np.isfinite(altitudes)))
            if extra and heard:
                values = {"altitude": altitudes[list(heard)]}
                said.append(Batch("barometer", heard, now, now, values))
        if tick * 8 // SECOND_TICKS != (tick - 1) * 8 // SECOND_TICKS:
            solutions = [
                self._aiding[i].heading(
                    suite.gnss(now, x[i, 0:3], x[i, 3:6], GNSS_DT_S), x[i, 6:10]
                )
                for i, suite in enumerate(self._suites)
            ]
            self._gnss_due.append((now + round(self.scenario.noise.gnss_delay_s * 1e6), solutions))
        while self._gnss_due and self._gnss_due[0][0] <= now:
            _, solutions = self._gnss_due.pop(0)
            for pilot, solution in zip(self.pilots, solutions, strict=True):
                pilot.nav.on_gnss(now, tick, solution)
            rows = tuple(range(len(self.pilots)))
            said.append(Batch("gnss", rows, solutions[0].time_us, now, words.gnss(solutions)))
        for i, aiding in enumerate(self._aiding):
            ground_m = float(self.fleet.model.body[i, dynamics.GROUND_DOWN])
            said += [
                Batch(one.source, (i,), one.sample_us, one.said_us, words.aided(one))
                for one in aiding.sense(tick, now, x[i], ground_m, self.fleet.wind_ned_m_s[i])
            ]
        return said

    def _battery(self, pilots: list[Autopilot]) -> Values:
        """Return battery_status' values; all aircraft speak at once."""
        warmth = [
            aiding.temperature_c(x) for aiding, x in zip(self._aiding, self.fleet.x, strict=True)
        ]
        return words.battery(pilots, warmth)

    def _speak(self) -> list[Batch]:
        """Collect what is due by the clock and what changed."""
        tick, fleet_, pilots = self._tick, self.fleet, self.pilots
        said = [self._batch("imu", words.imu(fleet_))]
        if tick * 2 // 5 != (tick - 1) * 2 // 5:  # 100 Hz on a grid of 4 ms
            said.append(self._batch("odometry", words.odometry(fleet_, pilots)))
        if tick % PILOT_TICKS == 0:
            said += self._pilots_speak()
            said.append(self._batch("attitude", words.attitude(fleet_, pilots)))
            said.append(self._batch("position", words.position(fleet_, pilots)))
            located = [i for i, p in enumerate(pilots) if p.nav.origin is not None]
            if len(located) == len(pilots):
                said.append(self._batch("global", words.global_position(fleet_, pilots)))
            if self.scenario.extra_topics:
                said.append(self._batch("motors", words.motors(fleet_)))
        return said

    def _pilots_speak(self) -> list[Batch]:
        now, pilots = self.time_us, self.pilots
        second = self._tick % SECOND_TICKS == 0
        half = self._tick % (SECOND_TICKS // 2) < PILOT_TICKS
        changes = [pilot.update(now) for pilot in pilots]
        said: list[Batch] = []

        def say(source: str, who: list[bool], make: Callable[[list[Autopilot]], Values]) -> None:
            rows = tuple(i for i, speaks in enumerate(who) if speaks)
            if rows:
                said.append(Batch(source, rows, now, now, make([pilots[i] for i in rows])))

        say("status", [half or w.status for w in changes], words.status)
        say("control_mode", [half or w.control_mode for w in changes], words.control_mode)
        say("land_detected", [second or w.land_detected for w in changes], words.land_detected)
        say("flags", [second or w.flags for w in changes], words.flags)
        say("failsafe_flags", [half or w.failsafe_flags for w in changes], words.failsafe_flags)
        say("battery", [second] * len(pilots), self._battery)
        if second:
            said.append(self._batch("timesync", {}))
        for i, (pilot, changed) in enumerate(zip(pilots, changes, strict=True)):
            said += [Batch("ack", (i,), now, now, words.ack(word)) for word in changed.acks]
            if changed.home and pilot.home is not None:
                said.append(Batch("home", (i,), now, now, words.home(pilot.home)))
        return said

    def _batch(self, source: str, values: Values) -> Batch:
        rows = tuple(range(len(self.pilots)))
        return Batch(source, rows, self.time_us, self.time_us, values)

    def _transmit(self, said: list[Batch]) -> list[Batch]:
        """Pass the words through the links; almost always all of them go straight through."""
        bad = {i for i, link in enumerate(self._links_out) if not link.perfect}
        if not bad:
            return said
        arrived = []
        for batch in said:
            if bad.isdisjoint(batch.rows):
                arrived.append(batch)
                continue
            for k, i in enumerate(batch.rows):
                if i in bad:
                    self._links_out[i].send(self.time_us, batch.single(k))
                else:
                    arrived.append(batch.single(k))
        for i in sorted(bad):
            arrived += self._links_out[i].receive(self.time_us)  # type: ignore[arg-type]
        return arrived
