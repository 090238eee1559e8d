# SPDX-License-Identifier: Apache-2.0
"""The PX4-like front of one aircraft: commands and setpoints in, what PX4 would say out.

Runs every 20 ms between the ticks of ``fleet``; ``Said`` are its words in plain values, which
``airtwin_ros.px4_out`` turns into PX4's messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from airtwin_core import geodesy
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import multirotor as control
from airtwin_physics.control.px4_params import Px4Params
from airtwin_sim import commander, tasks
from airtwin_sim.commander import Command, Commander, Health
from airtwin_sim.fleet import Fleet
from airtwin_sim.land_detector import LandDetector, Motion
from airtwin_sim.navigator import Navigator
from airtwin_sim.projection import to_degrees
from airtwin_sim.scenario import VehicleSpec
from airtwin_sim.tasks import HOLD, OFFBOARD, Offboard, Tasks

PERIOD_US = 20_000
# PX4's voltage-based charge: BAT1_V_EMPTY and BAT1_V_CHARGED, [V] a cell
CELL_EMPTY_V, CELL_CHARGED_V = 3.6, 4.05
BATTERY_TIME_S = 3.0  # low-pass of the charge shown


def _finite_or_nan(value: Array | float) -> Array:
    array = np.asarray(value, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


class Ack(NamedTuple):
    """PX4's VehicleCommandAck."""

    command: int
    result: int


class Home(NamedTuple):
    """PX4's HomePosition."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    local_ned_m: tuple[float, float, float]
    yaw_rad: float
    updates: int


class BatteryWord(NamedTuple):
    """PX4's BatteryStatus."""

    voltage_v: float
    current_a: float
    discharged_mah: float
    remaining: float
    warning: int
    cells: int
    resistance_ohm: float


@dataclass(slots=True)
class Words:
    """What changed in the last 20 ms and must be said at once."""

    acks: list[Ack]
    status: bool = False
    control_mode: bool = False
    land_detected: bool = False
    flags: bool = False
    failsafe_flags: bool = False
    home: bool = False


class Autopilot:
    """One aircraft's Commander, land detector, estimator and flight tasks around row ``i``."""

    def __init__(
        self, fleet: Fleet, i: int, spec: VehicleSpec, nav: Navigator, params: Px4Params
    ) -> None:
        self.spec = spec
        self.nav = nav
        self.commander = Commander(params)
        self.land = LandDetector(params)
        self.tasks = Tasks(fleet.setpoint[i], fleet.control[i], nav, params)
        self.stream = Offboard()
        self.home: Home | None = None
        self.stream_alive = False
        self._fleet, self._i, self._params = fleet, i, params
        self._one = dynamics.Model(*(array[i] for array in fleet.model))
        self._orders: list[tuple[int, Command]] = []
        self._said: dict[str, object] = {}
        self._home_pending = False
        self.flag_changes = 12  # PX4's count after its start, as recorded
        self.battery = self._measure_battery(None, 0.0)

    # --- what arrives ---------------------------------------------------------------------------

    def order(self, now_us: int, command: Command, target_system: int) -> None:
        """Take a vehicle command; PX4 ignores those for another system (0 is for all)."""
        if target_system in (0, self.spec.system_id):
            self._orders.append((now_us, command))

    def offboard_mode(self, now_us: int, *, position: bool, velocity: bool) -> None:
        """Take one OffboardControlMode."""
        self.stream.mode_us = now_us
        self.stream.position, self.stream.velocity = position, velocity

    def setpoint(
        self,
        now_us: int,
        position_ned_m: Array,
        velocity_ned_m_s: Array,
        acceleration_ned_m_s2: Array,
        yaw_rad: float,
        yaw_rate_rad_s: float,
    ) -> None:
        """Take one TrajectorySetpoint; what is not finite is not controlled."""
        stream = self.stream
        stream.setpoint_us = now_us
        stream.position_ned_m = _finite_or_nan(position_ned_m)
        stream.velocity_ned_m_s = _finite_or_nan(velocity_ned_m_s)
        stream.acceleration_ned_m_s2 = _finite_or_nan(acceleration_ned_m_s2)
        stream.yaw_rad = float(_finite_or_nan(yaw_rad))
        stream.yaw_rate_rad_s = float(_finite_or_nan(yaw_rate_rad_s))

    # --- every 20 ms ----------------------------------------------------------------------------

    def update(self, now_us: int) -> Words:
        """Let 20 ms pass and return what must be said at once."""
        now_s, dt_s = now_us * 1e-6, PERIOD_US * 1e-6
        fleet, i = self._fleet, self._i
        self.nav.update(now_us, dt_s)
        mode_us = self.stream.mode_us
        loss_us = self._params.com_of_loss_t * 1e6
        self.stream_alive = (
            mode_us is not None
            and now_us - mode_us <= loss_us
            and (self.stream.position or self.stream.velocity)
        )
        self.battery = self._measure_battery(self.battery, dt_s)
        health = self._health()
        words = Words(acks=[])
        was_armed = self.commander.armed
        if self.home is None and not was_armed and self.nav.xy_valid:
            words.home = self._set_home()
        for when_us, command in self._orders:
            result = self.commander.handle(when_us, command, health)
            if result == commander.ACCEPTED:
                self._obey(command)
            if result is not None:
                words.acks.append(Ack(command.command, result))
        self._orders.clear()
        self.commander.update(now_us, health)
        armed = self.commander.armed
        if armed and not was_armed:
            words.home = self._set_home()
            self._home_pending = True
        self.land.update(now_s, self._motion())
        if self._home_pending and not self.land.landed:
            words.home = self._set_home()  # PX4 corrects home at take-off
            self._home_pending = False
        self.tasks.write(
            now_s,
            self.commander.nav_state,
            armed=armed,
            landed=self.land.landed,
            contact=self.land.ground_contact,
            stream=self.stream,
        )
        tilt_cos = 1.0 - 2.0 * float(np.sum(fleet.estimate[i, 7:9] ** 2))
        # what stands while it should sink is on the ground, and teaches nothing
        stands = self.land.in_descend and not self.land.vertical_movement
        airborne = self.tasks.flying and not self.land.ground_contact and not stands
        fleet.learning[i] = float(airborne and tilt_cos > 0.5)
        self._note_changes(now_us, words)
        return words

    def _health(self) -> Health:
        return Health(
            position_valid=self.nav.xy_valid and self.nav.z_valid,
            stream_alive=self.stream_alive,
            battery_remaining=self.battery.remaining,
            landed=self.land.landed,
            maybe_landed=self.land.maybe_landed,
            takeoff_done=self.tasks.takeoff_done,
        )

    def _motion(self) -> Motion:
        fleet, i = self._fleet, self._i
        row, con = fleet.setpoint[i], fleet.control[i]
        velocity, rate = self.nav.velocity, fleet.control[i, control.C_RATE]
        return Motion(
            armed=self.commander.armed,
            thrust=-float(con[control.C_THRUST_DOWN]),
            hover_thrust=float(con[control.C_HOVER]),
            hover_known=self.tasks.flying,
            climb_rate_controlled=True,
            descent_wanted_m_s=float(row[5]),
            speed_horizontal_m_s=float(np.hypot(velocity[0], velocity[1])),
            speed_vertical_m_s=float(velocity[2]),
            rate_horizontal_rad_s=float(np.hypot(rate[0], rate[1])),
            specific_force_m_s2=float(np.linalg.norm(fleet.imu[i, 3:])),
            velocity_valid=self.nav.v_z_valid,
        )

    def _measure_battery(self, last: BatteryWord | None, dt_s: float) -> BatteryWord:
        """Measure as PX4's power module and its charge by voltage, compensated for the load."""
        x = self._fleet.x[self._i]
        voltage, current = dynamics.battery(x, self._one)
        cells = int(self._one.battery[dynamics.CELLS])
        resistance = float(self._one.battery[dynamics.RESISTANCE])
        at_rest = (voltage + resistance * current) / cells
        seen = float(np.clip((at_rest - CELL_EMPTY_V) / (CELL_CHARGED_V - CELL_EMPTY_V), 0.0, 1.0))
        keep = float(np.exp(-dt_s / BATTERY_TIME_S))
        remaining = seen if last is None else keep * last.remaining + (1.0 - keep) * seen
        drawn_mah = float(x[dynamics.CHARGE]) / 3.6
        warning = 0 if last is None else self.commander.battery_warning
        return BatteryWord(voltage, current, drawn_mah, remaining, warning, cells, resistance)

    def _set_home(self) -> bool:
        """Make this place home; false while there is no position."""
        origin = self.nav.origin
        if origin is None:
            return False
        x, y, z = (float(v) for v in self.nav.position)
        place = to_degrees(
            np.array([origin.latitude_deg]),
            np.array([origin.longitude_deg]),
            np.array([x]),
            np.array([y]),
        )[0]
        count = 1 if self.home is None else self.home.updates + 1
        altitude = origin.altitude_amsl_m - z
        self.home = Home(
            float(place[0]), float(place[1]), altitude, (x, y, z), self.nav.yaw_rad, count
        )
        self.tasks.home_ned_m = np.array([x, y, z])
        return True

    def _obey(self, order: Command) -> None:
        """Hand the numbers of an accepted command to the flight tasks, as PX4's Navigator does."""
        p, origin = order.params, self.nav.origin
        if order.command == commander.CMD_TAKEOFF:
            self.tasks.takeoff_height_m = self._params.mis_takeoff_alt
            if origin is not None and np.isfinite(p[6]):
                here = origin.altitude_amsl_m - float(self.nav.position[2])
                # PX4 never takes off to below its minimum height
                self.tasks.takeoff_height_m = max(p[6] - here, self._params.mis_takeoff_alt)
        elif order.command == commander.CMD_CHANGE_SPEED and p[1] > 0.0 and p[0] in (0.0, 1.0):
            self.tasks.speed_m_s = min(p[1], self._params.mpc_xy_vel_max)
        elif order.command == commander.CMD_REPOSITION and origin is not None:
            if p[0] > 0.0:
                self.tasks.speed_m_s = min(p[0], self._params.mpc_xy_vel_max)
            goal = np.full(3, np.nan)
            if np.isfinite(p[4]) and np.isfinite(p[5]):
                goal[:2] = geodesy.px4_to_ned(origin, p[4], p[5])
            if np.isfinite(p[6]):
                goal[2] = origin.altitude_amsl_m - p[6]
            self.tasks.enter(HOLD)
            self.tasks.reposition(goal, p[3])

    def _note_changes(self, now_us: int, words: Words) -> None:
        c, land, nav = self.commander, self.land, self.nav
        shown_armed = c.armed and now_us >= c.status_visible_us
        words.status = self._changed(
            "status", (shown_armed, c.nav_state, c.failsafe, c.takeoff_us)
        )
        words.control_mode = self._changed("control_mode", (c.armed, c.nav_state))
        stages = (land.landed, land.maybe_landed, land.ground_contact, land.freefall)
        words.land_detected = self._changed("land", stages)
        sources = (nav.gnss_position, nav.gnss_velocity, nav.baro_height, nav.gnss_height)
        faults = (nav.baro_fault, nav.gnss_fault, nav.dead_reckoning, self.in_air)
        words.flags = self._changed("flags", (sources, faults))
        self.flag_changes += words.flags
        words.failsafe_flags = self._changed(
            "failsafe", (self.stream_alive, nav.xy_valid, nav.z_valid, c.battery_warning)
        )

    def _changed(self, what: str, value: object) -> bool:
        before = self._said.get(what)
        self._said[what] = value
        return before is not None and before != value

    @property
    def in_air(self) -> bool:
        """Return what EKF2 takes for flying."""
        return self.commander.armed and not self.land.landed

    @property
    def shown_armed(self) -> bool:
        """Return whether the status on the wire says armed: it comes later than the ack."""
        return bool(self._said.get("status", (False,))[0])  # type: ignore[index]

    @property
    def ready(self) -> bool:
        """Return PX4's pre_flight_checks_pass."""
        if self.commander.armed:
            return True
        return self.commander.can_arm(self._health())

    @property
    def controls_offboard(self) -> bool:
        """Return whether setpoints of the companion are followed now."""
        return self.commander.nav_state == OFFBOARD

    @property
    def descending_blind(self) -> bool:
        """Return whether it sinks without a position to hold."""
        return self.commander.nav_state == tasks.DESCEND
