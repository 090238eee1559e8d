# SPDX-License-Identifier: Apache-2.0
"""From samples and twin states to blocks of flight that may be judged; the rest is counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.frames import rotation_from_quat
from airtwin_core.thrust_curve import signal
from airtwin_core.types import (
    Array,
    Battery,
    Imu,
    LandDetected,
    MotorCommands,
    Rangefinder,
    RotorSpeeds,
    Sample,
    TwinState,
    VehicleStatus,
)
from airtwin_physics.identify.config import IdentifyConfig
from airtwin_physics.identify.digest import I_AT, I_DT, I_FORCE, I_RATE, N_IMU, digest, fresh
from airtwin_physics.identify.rows import (
    FULL,
    HEIGHT,
    K_MOMENT,
    K_THRUST,
    RATE,
    ROTATION,
    RX,
    RY,
    SPEED_MAX,
    SPEED_MIN,
    SPREAD,
    SQUARE,
    TURN_SPREAD,
    VELOCITY,
    craft,
    lifting,
    width,
)

HEIGHT_UNKNOWN = "height above the ground unknown"
_WAITING = 512  # IMU samples between two commands at most
_BLOCKS = 64
_UPRIGHT_MIN = 0.8
_FULL_MAX = 0.2  # share of a block at a limit, beyond which it teaches less
_FULL_SIGMA = 0.2  # of such a rotor's thrust: speed per volt is an estimate, good to a tenth
_GAP = 3.5  # usual steps without an IMU sample: what the commands did meanwhile nobody integrates
_USUAL = 0.02  # share of one step in the usual one
ESC_MOST = 2.0  # ratio of told to foreseen speeds that battery, propeller or poles can make
_ESC_MEMORY_S = 3.0  # ESCs' speeds against those of the commands: jitter is out, sag is not


class Blocks:
    """Samples of one aircraft as blocks of judged flight. ``take`` is called with each block.

    ``ground_m``: where the ground is, down in the twin's NED [m], of a log that begins in the air
    and lands later; else standing on it or a rangefinder tells, and before that nothing is judged.
    """

    def __init__(
        self,
        aircraft: Aircraft,
        config: IdentifyConfig,
        take: Callable[[Array, int, int], object],
        *,
        ground_m: float | None = None,
    ) -> None:
        self.craft = craft(aircraft)
        self._config = config
        self._take = take
        self._rotors = aircraft.rotor_count
        self._lifting = lifting(aircraft)
        self._wings = bool(aircraft.surfaces)
        self._handlers: dict[type, Callable[..., None]] = {
            Imu: self._on_imu,
            MotorCommands: self._on_motors,
            RotorSpeeds: self._on_speeds,
            TwinState: self._on_twin,
            Battery: self._on_battery,
            LandDetected: self._on_landed,
            VehicleStatus: self._on_status,
            Rangefinder: self._on_range,
        }
        self._waiting = np.zeros((_WAITING, N_IMU))
        self._count = 0
        self._out = np.zeros((_BLOCKS, width(self._rotors)))
        self._zero_ns: int | None = None
        # motor commands (time, signals): the IMU is digested up to the first, the rest waits
        self._commands: list[tuple[float, Array]] = []
        self._pose = np.zeros(12)
        self._twin: TwinState | None = None
        self._twin_s = -1e9
        self.ground_m = ground_m
        self._voltage = float("nan")
        self._landed = True
        self._landed_known = False
        self._armed = True
        self._newest: Imu | None = None
        self._usual_s = 0.0  # between two IMU samples
        self._state = fresh(self.craft)
        self._turning = self.craft  # its speeds are those that the ESCs tell, where they do
        self._told, self._foreseen = np.zeros(2), np.zeros(2)  # [rad/s] of late, in the air
        self._told_s = 0.0
        self.thrust_factor = aircraft.rotors.thrust_factor  # the log's, where it tells
        self.motors_seen = 0
        self.heard = False  # whether motor commands come at all
        self._fits = False  # whether those are the file's
        self.refused: dict[str, int] = {}
        self.take_offs = 0

    @property
    def motors_fit(self) -> bool:
        """Return whether the motors commanded so far, if any, can be the file's."""
        return self._fits or self.motors_seen == 0

    @property
    def esc_ratio(self) -> float:
        """Return how fast ESCs say that rotors turn in the air, by commands and file; else NaN."""
        return float(self._told[1] / self._foreseen[1]) if self._foreseen[1] > 0.0 else np.nan

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
        usual_s = self._usual_s if self._usual_s > 0.0 else step_s
        gap = not 0.0 < step_s < min(0.1, _GAP * usual_s)
        if 0.0 < step_s < 0.1:
            self._usual_s = usual_s + _USUAL * (min(step_s, _GAP * usual_s) - usual_s)
        if twin is None or gap or imu.clipped:
            self._newest = imu
            self._break("IMU gap" if twin is not None else "no twin state")
            return
        self._newest = imu
        if self._commands and at_s <= self._commands[0][0]:
            return  # it was on its way when the commands began
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
        self._advance(at_s)

    def _break(self, cause: str) -> None:
        """Forget the running block; rotor speeds start again from the next command."""
        self.refused[cause] = self.refused.get(cause, 0) + 1
        self._count = 0
        self._commands.clear()
        self._state[:] = 0.0

    def _on_motors(self, sample: MotorCommands) -> None:
        self.heard = True
        n = self._rotors
        control = np.full(n, np.nan)
        told = sample.thrust_factor
        if np.isfinite(told):
            self.thrust_factor = told
        given = signal(sample.control[:n], self.thrust_factor)
        control[: given.size] = given
        commanded = np.isfinite(sample.control)
        if commanded.sum() > self.motors_seen:
            # a pusher stands still in hover: PX4 says NaN
            self.motors_seen = int(commanded.sum())
            lifts = commanded[:n].size == n and bool(commanded[:n][self._lifting].all())
            self._fits = lifts and not commanded[n:].any()
        at_s = self._seconds(sample.stamp_ns)
        before_s = self._commands[-1][0] if self._commands else -np.inf
        gap = not 0.0 <= at_s - before_s <= self._config.command_age_max_s
        if gap or len(self._commands) >= _WAITING:
            self._break("gap in the motor commands")
            self._begin_speeds(control)
        self._commands.append((at_s, control))
        if self._newest is not None:
            self._advance(self._seconds(self._newest.stamp_ns))

    def _advance(self, newest_s: float) -> None:
        """Digest what lies between two commands, once the IMU has come to the second.

        By stamps, not by arrival: on a machine that is late IMU and commands arrive in bursts, and
        what turned the aircraft would be looked for in the commands of a tenth of a second later.
        """
        while len(self._commands) > 1 and newest_s >= self._commands[1][0]:
            (before_s, before), (at_s, control) = self._commands[:2]
            waiting = self._waiting[: self._count]
            count = int(np.searchsorted(waiting[:, I_AT], at_s, side="right"))
            found = 0
            if count:
                found = digest(
                    self._state,
                    self._waiting,
                    count,
                    before,
                    control,
                    np.array([before_s, at_s]),
                    self._pose,
                    self._voltage,
                    self._turning,
                    self._config.block_s,
                    self._out,
                )
                self._count -= count
                self._waiting[: self._count] = waiting[count:].copy()
            del self._commands[0]
            for k in range(found):
                self._judge(self._out[k])

    def _begin_speeds(self, control: Array) -> None:
        wide = width(self._rotors)
        self._state[wide : wide + self._rotors] = self._commanded(control, self._turning.rotors)

    def _commanded(self, control: Array, rotors: Array) -> Array:
        """Return the speeds (n,) [rad/s] that commands lead to; a rotor without stands still."""
        low, high = rotors[:, SPEED_MIN], rotors[:, SPEED_MAX]
        speeds = low + np.clip(np.nan_to_num(control), 0.0, 1.0) * (high - low)
        return np.where(np.isnan(control), 0.0, speeds)

    def _on_speeds(self, sample: RotorSpeeds) -> None:
        """Take the ESC's word for what the lag only guesses, and go on from it at its scale.

        But not where it is of another unit: PX4's Gazebo bridge publishes rad/s as esc_rpm.

        Commands lead to another speed than the file's where battery, propeller or file differ. If
        only the samples themselves were believed, speeds between them would be of two scales.
        """
        wide, n = width(self._rotors), self._rotors
        told = np.full(n, np.nan)
        given = sample.speed_rad_s[:n]
        told[: given.size] = given
        good = np.isfinite(told) & (told >= 0.0)
        if not self._commands:
            return
        commanded = self._commands[0][1]
        turns = good & (told > 0.0) & np.isfinite(commanded) & self._lifting
        at_s, before_s = self._seconds(sample.stamp_ns), self._told_s
        self._told_s = at_s
        fades = np.array([np.exp(-max(at_s - before_s, 0.0) / _ESC_MEMORY_S), 1.0])
        counts = np.array([1.0, not self._landed])
        foreseen = self._commanded(commanded, self.craft.rotors)
        self._told = self._told * fades + counts * told[turns].sum()
        self._foreseen = self._foreseen * fades + counts * foreseen[turns].sum()
        if self._foreseen[0] > 0.0:
            scale = self._told[0] / self._foreseen[0]
            if not 1.0 / ESC_MOST < scale < ESC_MOST:
                self._turning = self.craft
                return
            self._state[wide : wide + n][good] = told[good]
            rotors = self.craft.rotors.copy()
            rotors[:, [SPEED_MIN, SPEED_MAX]] *= scale
            per_volt = self.craft.speed_per_volt * scale
            self._turning = self.craft._replace(rotors=rotors, speed_per_volt=per_volt)

    def _on_twin(self, state: TwinState) -> None:
        self._twin = state
        self._twin_s = self._seconds(state.stamp_ns)
        self._pose[:3] = state.velocity_ned_m_s
        self._pose[3:] = rotation_from_quat(state.q_ned_frd).reshape(9)
        if self._landed and self._landed_known:
            self.ground_m = float(state.position_ned_m[2])

    def _on_battery(self, sample: Battery) -> None:
        self._voltage = sample.voltage_v if sample.voltage_v > 1.0 else float("nan")

    def _on_landed(self, sample: LandDetected) -> None:
        landed = sample.landed or sample.maybe_landed or sample.ground_contact
        if self._landed and not landed:
            self.take_offs += 1
        self._landed, self._landed_known = landed, True

    def _on_range(self, sample: Rangefinder) -> None:
        twin = self._twin
        if sample.valid and 0.0 < sample.distance_m < np.inf and twin is not None:
            upright = self._pose[11]  # share of the beam that goes straight down
            if upright > _UPRIGHT_MIN:
                down_m = float(twin.position_ned_m[2])
                self.ground_m = down_m + upright * sample.distance_m

    def _on_status(self, sample: VehicleStatus) -> None:
        self._armed = sample.armed

    def _judge(self, block: Array) -> None:
        """Hand over the block if it was flown in free air, by rotors, with everything known."""
        c, twin = self._config, self._twin
        newest = self._newest
        assert twin is not None
        assert newest is not None
        age_s = self._seconds(newest.stamp_ns) - self._twin_s
        # NaN where nobody knows: no comparison lets it pass
        height_m = np.nan
        if self.ground_m is not None and twin.vertical_valid:
            height_m = self.ground_m - float(twin.position_ned_m[2])
        speed_m_s = float(np.linalg.norm(block[VELOCITY : VELOCITY + 3]))
        rate = block[RATE : RATE + 3]
        checks = (
            (self._fits, "another number of motors than the file's"),
            (bool(self._lifting.any()), "no rotor pushes up"),
            (self._armed, "not armed"),
            (self._landed_known, "not known whether on the ground"),
            (not self._landed, "on the ground"),
            (age_s <= c.twin_age_max_s and twin.velocity_valid, "no velocity"),
            (not self._wings or speed_m_s <= c.wing_speed_m_s, "on its wings"),
            (np.isfinite(height_m), HEIGHT_UNKNOWN),
            (height_m >= c.height_min_m, "near the ground"),
            (block[ROTATION + 8] >= np.cos(c.tilt_max_rad), "tilted too far"),
            (float(rate @ rate) <= c.rate_max_rad_s**2, "turning too fast"),
            (
                block[FULL] <= _FULL_MAX or np.isfinite(self._voltage),
                "a rotor at its limit, voltage unknown",
            ),
            (np.isfinite(block.sum()), "not finite"),
        )
        for good, cause in checks:
            if not good:
                self.refused[cause] = self.refused.get(cause, 0) + 1
                return
        block[HEIGHT] = height_m
        if block[FULL] > _FULL_MAX:
            self._widen(block)
        self._take(block, newest.stamp_ns, newest.received_ns)

    def _widen(self, block: Array) -> None:
        """Let the block's forces and turns be as unsure as the thrust of a rotor at its limit.

        Which rotor that is the block does not say: the one that lifts most, on the longest arm.
        """
        craft, n = self.craft, self._rotors
        thrust_n = np.max(craft.rotors[:, K_THRUST] * block[SQUARE : SQUARE + n])
        arms = np.abs(craft.rotors[:, [RY, RX, K_MOMENT]]).max(axis=0)
        unsure = _FULL_SIGMA * thrust_n * np.array([1.0, *arms])
        block[SPREAD + 2] += (unsure[0] / craft.mass_kg) ** 2
        turns = craft.inertia_inverse**2 @ unsure[1:] ** 2
        block[TURN_SPREAD : TURN_SPREAD + 3] += turns
