# SPDX-License-Identifier: Apache-2.0
"""One aircraft's slow properties, in flight. Pure: samples and twin states in, beliefs out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.frames import rotation_from_quat
from airtwin_core.types import (
    Array,
    Battery,
    Identification,
    Imu,
    LandDetected,
    MotorCommands,
    RotorSpeeds,
    Sample,
    TwinState,
    VehicleStatus,
)
from airtwin_physics.identify import bank, prior, verdict
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.digest import I_AT, I_DT, I_FORCE, I_RATE, N_IMU, digest, fresh
from airtwin_physics.identify.rows import (
    CENTRE_X,
    CENTRE_Y,
    EFFECT,
    FULL,
    MASS,
    RATE,
    ROTATION,
    ROTOR_DRAG,
    SPAN,
    SPEED_MAX,
    SPEED_MIN,
    VELOCITY,
    WIND,
    craft,
    width,
)

_WAITING = 512  # IMU samples between two commands at most
_BLOCKS = 64
_GUST_LENGTH_M = 50.0  # Dryden's L_u near the ground, see airtwin_sim.wind
_GUST_LEVEL, _GUST_UP = 0.2, 0.1  # sigma over the wind's speed, MIL-F-8785C near the ground
_GUST_FLOOR_M_S = 0.05
_FULL_MAX = 0.2  # share of a block at a limit, beyond which it teaches nothing
_CHANGE_SIGMA = 5.0
_UNSETTLED_S = 0.1
_USUAL_S = 20.0
_MEAN_WIND_S = 30.0
_FRESH_WIND_S = 10.0  # a mean that notices sooner when the wind freshens
_RECOVERED = 0.6  # of suspect_loss
_PAYLOAD_MIN, _PAYLOAD_MIN_M = 0.02, 0.002


class Blocks:
    """Samples of one aircraft as blocks of judged flight. ``take`` is called with each block."""

    def __init__(
        self, aircraft: Aircraft, config: IdentifyConfig, take: Callable[[Array, int, int], None]
    ) -> None:
        self.craft = craft(aircraft)
        self._config = config
        self._take = take
        self._rotors = aircraft.rotor_count
        self._handlers: dict[type, Callable[..., None]] = {
            Imu: self._on_imu,
            MotorCommands: self._on_motors,
            RotorSpeeds: self._on_speeds,
            TwinState: self._on_twin,
            Battery: self._on_battery,
            LandDetected: self._on_landed,
            VehicleStatus: self._on_status,
        }
        self._waiting = np.zeros((_WAITING, N_IMU))
        self._count = 0
        self._out = np.zeros((_BLOCKS, width(self._rotors)))
        self._zero_ns: int | None = None
        self._commands: Array | None = None
        self._command_s = 0.0
        self._pose = np.zeros(12)
        self._twin: TwinState | None = None
        self._twin_s = -1e9
        self._ground_m: float | None = None
        self._voltage = float("nan")
        self._landed = True
        self._landed_known = False
        self._armed = True
        self._newest: Imu | None = None
        self._state = fresh(self.craft)
        self.motors_seen = 0
        self.refused: dict[str, int] = {}
        self.take_offs = 0

    def on(self, value: Sample | TwinState) -> None:
        """Take one value, in the order of arrival."""
        handler = self._handlers.get(type(value))
        if handler is not None:
            handler(value)

    def _seconds(self, stamp_ns: int) -> float:
        if self._zero_ns is None:
            self._zero_ns = stamp_ns
        return (stamp_ns - self._zero_ns) * 1e-9

    def _on_imu(self, imu: Imu) -> None:
        at_s = self._seconds(imu.stamp_ns)
        before = self._newest
        step_s = imu.dt_s if before is None else (imu.stamp_ns - before.stamp_ns) * 1e-9
        twin = self._twin
        if twin is None or not 0.0 < step_s < 0.1 or imu.clipped:
            self._newest = imu
            self._break("IMU gap" if twin is not None else "no twin state")
            return
        self._newest = imu
        if self._count >= _WAITING:
            self._break("no motor commands")
        row = self._waiting[self._count]
        row[I_AT], row[I_DT] = at_s, step_s
        row[I_RATE : I_RATE + 3] = imu.rate_frd_rad_s - twin.gyro_bias_frd_rad_s
        row[I_FORCE : I_FORCE + 3] = imu.specific_force_frd_m_s2 - twin.accel_bias_frd_m_s2
        if not np.isfinite(row.sum()):
            self._break("IMU not finite")
            return
        self._count += 1

    def _break(self, cause: str) -> None:
        """Forget the running block; rotor speeds start again from the next command."""
        self.refused[cause] = self.refused.get(cause, 0) + 1
        self._count = 0
        self._commands = None
        self._state[:] = 0.0

    def _on_motors(self, sample: MotorCommands) -> None:
        n = self._rotors
        control = np.full(n, np.nan)
        given = sample.control[:n]
        control[: given.size] = given
        self.motors_seen = max(self.motors_seen, int(np.isfinite(sample.control).sum()))
        at_s = self._seconds(sample.stamp_ns)
        before, before_s = self._commands, self._command_s
        gap = before is None or not 0.0 <= at_s - before_s <= self._config.command_age_max_s
        if gap:
            self._break("gap in the motor commands")
            self._begin_speeds(control)
        elif self._count and before is not None:
            count, self._count = self._count, 0
            times = np.array([before_s, at_s])
            found = digest(
                self._state,
                self._waiting,
                count,
                before,
                control,
                times,
                self._pose,
                self._voltage,
                self.craft,
                self._config.block_s,
                self._out,
            )
            for k in range(found):
                self._judge(self._out[k])
        self._commands, self._command_s = control, at_s

    def _begin_speeds(self, control: Array) -> None:
        rotors = self.craft.rotors
        low, high = rotors[:, SPEED_MIN], rotors[:, SPEED_MAX]
        wide = width(self._rotors)
        start = low + np.clip(np.nan_to_num(control), 0.0, 1.0) * (high - low)
        self._state[wide : wide + self._rotors] = np.where(np.isnan(control), 0.0, start)

    def _on_speeds(self, sample: RotorSpeeds) -> None:
        """Take the ESC's word for what the lag only guesses."""
        wide, n = width(self._rotors), self._rotors
        told = np.full(n, np.nan)
        given = sample.speed_rad_s[:n]
        told[: given.size] = given
        speeds = self._state[wide : wide + n]
        good = np.isfinite(told) & (told >= 0.0)
        speeds[good] = told[good]

    def _on_twin(self, state: TwinState) -> None:
        self._twin = state
        self._twin_s = self._seconds(state.stamp_ns)
        self._pose[:3] = state.velocity_ned_m_s
        self._pose[3:] = rotation_from_quat(state.q_ned_frd).reshape(9)
        if self._landed and self._landed_known:
            self._ground_m = float(state.position_ned_m[2])

    def _on_battery(self, sample: Battery) -> None:
        self._voltage = sample.voltage_v if sample.voltage_v > 1.0 else float("nan")

    def _on_landed(self, sample: LandDetected) -> None:
        landed = sample.landed or sample.maybe_landed or sample.ground_contact
        if self._landed and not landed:
            self.take_offs += 1
        self._landed, self._landed_known = landed, True

    def _on_status(self, sample: VehicleStatus) -> None:
        self._armed = sample.armed

    def gust_height_m(self) -> float:
        """Return the length of vertical gusts: the height, 3 to 300 m; 10 m if it is unknown."""
        if self._ground_m is None or self._twin is None:
            return 10.0
        return min(max(self._ground_m - float(self._twin.position_ned_m[2]), 3.0), 300.0)

    def _judge(self, block: Array) -> None:
        """Hand over the block if it was flown in free air, by rotors, with everything known."""
        c, twin = self._config, self._twin
        newest = self._newest
        assert twin is not None
        assert newest is not None
        age_s = self._seconds(newest.stamp_ns) - self._twin_s
        height_m = np.inf
        if self._ground_m is not None:
            height_m = self._ground_m - float(twin.position_ned_m[2])
        rate = block[RATE : RATE + 3]
        checks = (
            (self._armed, "not armed"),
            (not self._landed, "on the ground"),
            (age_s <= c.twin_age_max_s and twin.velocity_valid, "no velocity"),
            (height_m >= c.height_min_m, "near the ground"),
            (block[ROTATION + 8] >= np.cos(c.tilt_max_rad), "tilted too far"),
            (float(rate @ rate) <= c.rate_max_rad_s**2, "turning too fast"),
            (block[FULL] <= _FULL_MAX, "a rotor at its limit"),
            (np.isfinite(block.sum()), "not finite"),
        )
        for good, cause in checks:
            if not good:
                self.refused[cause] = self.refused.get(cause, 0) + 1
                return
        self._take(block, newest.stamp_ns, newest.received_ns)


class Identifier:
    """Recursive Bayesian estimate of one aircraft's slow properties; see README.md here.

    ``on`` takes samples and the estimator's states in the order of arrival, and returns a report
    about once a second of vehicle time. Nothing is raised for bad samples.
    """

    def __init__(self, aircraft: Aircraft, config: IdentifyConfig | None = None) -> None:
        self._config = c = config or IdentifyConfig()
        self._aircraft = aircraft
        self._blocks = Blocks(aircraft, c, self._on_block)
        self._craft = self._blocks.craft
        n = aircraft.rotor_count
        self._first = prior.covariance(c, self._craft)
        count = n + 2
        self._theta = np.zeros((count, self._first.shape[0]))
        self._p = np.tile(self._first, (count, 1, 1))
        for i in range(n):
            self._p[1 + i, EFFECT + i, EFFECT + i] += c.fault_jump**2
        self._walks = prior.walks(c, n)
        self._weight = np.full(count, c.fault_rate)
        self._weight[0] = 1.0 - c.fault_rate * (count - 1)
        self._learnt = prior.learnt(c, n)
        floor = np.repeat([c.force_noise_m_s2**2, c.turn_noise_rad_s2**2], 3)
        self._floor = floor
        self._usual_m_s, self._mean_wind_m_s = np.zeros(2), np.zeros(2)
        self._fresh_wind_m_s = np.zeros(2)
        self._noise = 4.0 * floor
        self._published_ns: int | None = None
        self._flights = 0
        self.flown_s = self._since_s = 0.0
        self.suspect = -1
        self.adopted: list[tuple[float, int]] = []

    @property
    def refused(self) -> dict[str, int]:
        """What was not used, by cause."""
        return self._blocks.refused

    @property
    def theta(self) -> Array:
        """Return the best estimate (N,), as in ``rows``."""
        return np.asarray(self._theta[int(np.argmax(self._weight))])

    @property
    def covariance(self) -> Array:
        """Return the covariance of ``theta`` (N, N)."""
        return np.asarray(self._p[int(np.argmax(self._weight))])

    @property
    def weights(self) -> Array:
        """Return the probability (2 + n,) of: nothing abrupt, rotor i, payload."""
        return self._weight

    def on(self, value: Sample | TwinState) -> Identification | None:
        """Take one value; returns a report at most every ``publish_period_s``."""
        self._blocks.on(value)
        if not isinstance(value, TwinState):
            return None
        last = self._published_ns
        period_ns = int(self._config.publish_period_s * 1e9)
        if last is not None and 0 <= value.stamp_ns - last < period_ns:
            return None
        self._published_ns = value.stamp_ns
        return self.report(value.stamp_ns, value.received_ns)

    def report(self, stamp_ns: int, received_ns: int) -> Identification:
        """Return what is believed now."""
        parameters = verdict.parameters(
            self._aircraft, self._config, self._first, self.theta, self.covariance, self.flown_s
        )
        return Identification(stamp_ns, received_ns, parameters, self.suspect)

    def _on_block(self, block: Array, stamp_ns: int, received_ns: int) -> None:
        c, dt = self._config, float(block[SPAN])
        if self._blocks.take_offs > self._flights:
            self._reload()
        best = self.theta
        drag = float(np.exp(best[ROTOR_DRAG]))
        # gusts go by the mean wind: by the wind of now a wrong drag would excuse itself
        share = min(dt / min(self.flown_s + dt, _MEAN_WIND_S), 1.0)
        self._mean_wind_m_s += share * (best[WIND : WIND + 2] / drag - self._mean_wind_m_s)
        share = min(dt / min(self.flown_s + dt, _FRESH_WIND_S), 1.0)
        self._fresh_wind_m_s += share * (best[WIND : WIND + 2] / drag - self._fresh_wind_m_s)
        wind = float(np.hypot(*self._mean_wind_m_s))
        gust = _GUST_LEVEL * wind * np.sqrt(2.0 * wind / _GUST_LENGTH_M)
        added = self._walks * dt
        added[:, WIND : WIND + 2] = (c.wind_walk_m_s**2 + gust**2) * drag**2 * dt
        self._learnt[0:2, ROTOR_DRAG] = self._excited(block, dt)
        if not self._calm():
            # a mean lags: what freshened before it showed may have been taken for drag
            doubt = self._first[ROTOR_DRAG, ROTOR_DRAG]
            self._p[:, ROTOR_DRAG, ROTOR_DRAG] = np.maximum(
                self._p[:, ROTOR_DRAG, ROTOR_DRAG], doubt
            )
        gust_s = self._blocks.gust_height_m() / max(wind, 1.0)
        sigma = _GUST_FLOOR_M_S + _GUST_UP * wind
        bank.step(
            self._theta,
            self._p,
            self._weight,
            added,
            block,
            self._noise,
            self._floor,
            self._craft,
            float(np.exp(-dt / gust_s)),
            sigma**2,
            c.gate_sigma,
            self._learnt,
            c.fault_rate * dt,
            2.0 * dt / c.noise_memory_s,
        )
        self.flown_s += dt
        self._decide()
        self._suppose(dt)

    def _suppose(self, dt: float) -> None:
        """Let hypotheses that have lost suppose a change that begins now."""
        c = self._config
        self._since_s += dt
        if self._since_s < c.suppose_s or self._weight[0] < 0.5:
            return
        self._since_s = 0.0
        jumps = prior.jumps(c, self._aircraft.rotor_count)
        for f in range(1, self._weight.size):
            if self._weight[f] < c.fault_rate:
                self._theta[f] = self._theta[0]
                self._p[f] = self._p[0] + np.diag(jumps[f])
                self._weight[f] = c.fault_rate * c.suppose_s
        self._weight /= self._weight.sum()

    def _excited(self, block: Array, dt: float) -> float:
        """Return 1 while the aircraft flies so that its drag shows, else 0.

        In hover a gust pushes the aircraft along, so that its speed and the wind go together:
        that would be taken for little drag. In wind with its gusts the same holds at any speed.
        """
        level = block[VELOCITY : VELOCITY + 2]
        if self.flown_s == 0.0:
            self._usual_m_s = level.copy()
        self._usual_m_s += min(dt / _USUAL_S, 1.0) * (level - self._usual_m_s)
        off = level - self._usual_m_s
        return float(off @ off > self._config.drag_speed_m_s**2 and self._calm())

    def _calm(self) -> bool:
        winds = (self._mean_wind_m_s, self._fresh_wind_m_s)
        return max(float(np.hypot(*wind)) for wind in winds) < self._config.drag_wind_max_m_s

    def _reload(self) -> None:
        """A new take-off: somebody may have changed the load on the ground."""
        first_flight, self._flights = self._flights == 0, self._blocks.take_offs
        if first_flight:
            return
        for index in (MASS, CENTRE_X, CENTRE_Y):
            self._p[:, index, index] += self._first[index, index]

    def _decide(self) -> None:
        c = self._config
        best = int(np.argmax(self._weight))
        if best > 0 and self._weight[best] >= c.decide and self._moved(best):
            self._adopt(best)
        effect = self._theta[0, EFFECT:]
        sigma = np.sqrt(np.diag(self._p[0])[EFFECT:])
        if self.suspect >= 0 and effect[self.suspect] > -_RECOVERED * c.suspect_loss:
            self.suspect = -1
        worst = int(np.argmin(effect))
        if self.suspect < 0 and effect[worst] + 4.0 * sigma[worst] < -c.suspect_loss:
            self.suspect = worst

    def _moved(self, best: int) -> bool:
        """Return whether that filter believes in a change that is worth the name."""
        theta, p = self._theta[best], np.diag(self._p[best])
        n = self._aircraft.rotor_count
        if best <= n:
            index = EFFECT + best - 1
            change = theta[index] - self._theta[0, index]
            return bool(
                min(theta[index] + 4.0 * np.sqrt(p[index]), 0.0) < -self._config.suspect_loss
                or abs(change) > _CHANGE_SIGMA * np.sqrt(p[index])
            )
        change = np.abs(theta - self._theta[0])
        return bool(
            change[MASS] > max(_PAYLOAD_MIN, 2.0 * np.sqrt(p[MASS]))
            or change[CENTRE_X] > max(_PAYLOAD_MIN_M, 2.0 * np.sqrt(p[CENTRE_X]))
            or change[CENTRE_Y] > max(_PAYLOAD_MIN_M, 2.0 * np.sqrt(p[CENTRE_Y]))
        )

    def _adopt(self, best: int) -> None:
        """Let all filters go on from the one that explains what happened."""
        self.adopted.append((self.flown_s, best))
        self._theta[:] = self._theta[best].copy()
        p = self._p[best].copy()
        changed = self._walks[best] > self._walks[0]
        # the blocks around the change hold some of both; what comes after may say it better
        p[changed, changed] += self._walks[best][changed] * _UNSETTLED_S
        self._p[:] = p
        self._weight[:] = self._config.fault_rate
        self._weight[0] = 1.0 - self._config.fault_rate * (self._weight.size - 1)
