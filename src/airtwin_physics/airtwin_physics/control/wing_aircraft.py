# SPDX-License-Identifier: Apache-2.0
"""The virtual fixed-wing aircraft: the one dynamics under PX4's laws of the wing.

Deterministic: no sensors, no noise; state and wind themselves are what the controllers see.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import euler, wing, wing_path, wing_sortie
from airtwin_physics.control.px4_params import Px4WingParams, wing_params
from airtwin_physics.control.ticks import SUBSTEPS, TICK_S, Ticks
from airtwin_physics.control.virtual import believed_motion
from airtwin_physics.control.wing import Indices
from airtwin_physics.dynamics import ROTOR, Model, step_into
from airtwin_physics.dynamics.model import AX
from airtwin_physics.dynamics.trim import trim

GUIDE_TICKS = 5  # guidance and energy at 50 Hz, as PX4's local position comes
FORWARD = 0.7  # share of its thrust along x from which a motor pushes
PROBE = 0.05  # [rad] of a servo's deflection, to find what it turns


def surface_shares(model: Model, airspeed_m_s: float) -> Array:
    """Return (m, 3): which servo obeys roll, pitch or yaw torque, and with which sign.

    Each servo belongs to the axis that it accelerates most at ``airspeed_m_s``, level, and takes
    the whole command: what PX4's allocator makes of one elevator, one rudder and a pair of
    ailerons.
    """
    turns = servo_turns(model, airspeed_m_s)
    shares = np.zeros_like(turns)
    for share, turn in zip(shares, turns, strict=True):
        axis = int(np.argmax(np.abs(turn)))
        share[axis] = np.sign(turn[axis])
    return shares


def servo_turns(model: Model, airspeed_m_s: float) -> Array:
    """Return (m, 3) [rad/s^2] FRD: how a servo turns the aircraft, level at ``airspeed_m_s``.

    The difference between deflections of PROBE and -PROBE.
    """
    n, m = model.rotors.shape[0], model.servos.shape[0]
    x = np.zeros(ROTOR + n + m)
    x[2], x[3], x[6] = -1e3, airspeed_m_s, 1.0
    u = np.full(n + m, np.nan)
    turns = np.zeros((m, 3))
    for j in range(m):
        for sign in (1.0, -1.0):
            turned = x.copy()
            turned[ROTOR + n + j] = sign * PROBE
            turns[j] += sign * dynamics.derivative(turned, u, model, np.zeros(3))[dynamics.RATE]
    return turns


def pushing(model: Model) -> Indices:
    """Return the numbers (k,) of the motors that push forward."""
    return np.flatnonzero(model.rotors[:, AX] > FORWARD).astype(np.int64)


class Craft(NamedTuple):
    """What flies on the wing: pushers (k,), shares (m, 3) of the servos in the three torques.

    wheel: the servo that steers on the ground, or -1.
    """

    model: Model
    pushers: Indices
    shares: Array
    wheel: int
    params: Px4WingParams


class Rows(NamedTuple):
    """What changes in flight: x (16 + n + m,) of ``dynamics``, u (n + m,) the inputs.

    control (32,) of ``wing``, setpoint (7,), guide (4,), legs (k, 6) of ``wing_path``, flight
    (21,) of ``wing_sortie``.
    """

    x: Array
    control: Array
    setpoint: Array
    guide: Array
    flight: Array
    legs: Array
    u: Array


@numba.njit(cache=True)
def airspeed_ahead(x: Array, wind: Array) -> float:
    """Return what a pitot tube along the nose sees [m/s], never less than nothing."""
    north, east, down = euler.nose(x[6:10])
    ahead = north * (x[3] - wind[0]) + east * (x[4] - wind[1]) + down * (x[5] - wind[2])
    return float(max(ahead, 0.0))


@numba.njit(cache=True, forceinline=True)
def fly_wing(
    x: Array, control: Array, setpoint: Array, u: Array, craft: Craft, wind: Array, dt_s: float
) -> None:
    """Let the whole cascade act once, in place; ``u`` (n + m,) is written; see ``Rows``."""
    p, q = craft.params, x[6:10]
    airspeed = airspeed_ahead(x, wind)
    if control[wing.W_TICK] % GUIDE_TICKS == 0:
        dt = dt_s * GUIDE_TICKS
        bank = euler.roll(q)
        wing.wanted_airspeed(control, setpoint[wing_path.WS_AIRSPEED], bank, p, dt)
        wing.height_reference(control, -setpoint[wing_path.WS_DOWN], -x[2], p, dt)
        wing.energy_control(control, -x[2], -x[5], airspeed, bank, p, dt)
        wing.lateral_control(control, setpoint, x[:3], x[3:6], wind, p, dt)
    control[wing.W_TICK] = (control[wing.W_TICK] + 1) % GUIDE_TICKS
    pitch, throttle = control[wing.W_PITCH], control[wing.W_THROTTLE]
    if control[wing.W_PITCH_DIRECT] == control[wing.W_PITCH_DIRECT]:
        pitch = control[wing.W_PITCH_DIRECT]
    if control[wing.W_THROTTLE_DIRECT] == control[wing.W_THROTTLE_DIRECT]:
        throttle = control[wing.W_THROTTLE_DIRECT]
    wanted = wing.attitude_control(q, control[wing.W_ROLL], pitch, airspeed, p)
    wing.rate_control(control, wanted, x[10:13], airspeed, p, dt_s)
    wing.mix(u, control, craft.pushers, craft.shares, throttle)


@numba.njit(cache=True)
def advance(rows: Rows, craft: Craft, wind: Array, dt_s: float, substeps: int, ticks: int) -> None:
    """Let ``ticks`` pass with the wind held, along the legs; with none, the setpoint is held."""
    x, control, flight = rows.x, rows.control, rows.flight
    work = np.empty((5, x.shape[0]))
    for _ in range(ticks):
        if rows.legs.shape[0] > 0 and control[wing.W_TICK] % GUIDE_TICKS == 0:
            dt, airspeed = dt_s * GUIDE_TICKS, airspeed_ahead(x, wind)
            wing_sortie.guide(
                flight, control, rows.setpoint, rows.guide, rows.legs, x, airspeed,
                craft.params, dt,
            )  # fmt: skip
        fly_wing(x, control, rows.setpoint, rows.u, craft, wind, dt_s)
        if craft.wheel >= 0:
            steered = wing_sortie.wheel(flight, x, craft.params, dt_s)
            rows.u[craft.model.rotors.shape[0] + craft.wheel] = steered
        if flight[wing_sortie.PHASE] == wing_sortie.OFF:
            rows.u[:] = np.nan
        for _ in range(substeps):
            step_into(x, rows.u, craft.model, wind, dt_s / substeps, work)


class WingAircraft:
    """One fixed-wing aircraft that does what it was told, from runway to runway.

    ``x`` (16 + n + m,) is the state of ``dynamics``, ``control`` (32,) that of the controllers,
    ``guide`` (4,) that of the follower, ``flight`` (21,) that of take-off and landing: copies of
    them are a snapshot. Same calls: same state, to the bit.

    Raises:
        ValueError: no wings, or motors that lift, or no balanced flight at FW_AIRSPD_TRIM.
    """

    def __init__(self, aircraft: Aircraft, params: Px4WingParams | None = None) -> None:
        self.model = dynamics.pack(aircraft)
        self.pushers = pushing(self.model)
        if self.model.surfaces.shape[0] == 0 or len(self.pushers) != aircraft.rotor_count:
            raise ValueError(f"{aircraft.name} is no aircraft of wings and pushing motors only")
        self.params = wing_params(aircraft.name) if params is None else params
        self.cruise = trim(self.model, airspeed_m_s=self.params.fw_airspd_trim)
        if not self.cruise.balanced:
            raise ValueError(f"{aircraft.name} can't fly at {self.params.fw_airspd_trim} m/s")
        self.shares = surface_shares(self.model, self.params.fw_airspd_trim)
        self.wheel = int(np.max(aircraft.foot_servos, initial=-1))
        self.u = np.zeros(self.cruise.u.shape)
        self.guide = np.zeros(wing_path.N_WING_GUIDE)
        self.legs = np.zeros((0, wing_path.N_WING_LEG))
        self.flight = np.zeros(wing_sortie.N_FLIGHT)
        self.setpoint = np.full(wing_path.N_WING_SETPOINT, np.nan)
        self.x: Array = self.cruise.x.copy()
        self._ticks = Ticks()
        self._flying = False
        self.start(np.array([0.0, 0.0, -100.0]))

    def start(
        self, position_ned_m: Array, course_rad: float = 0.0, wind_ned_m_s: Array | None = None
    ) -> None:
        """Begin in level cruise over ``position_ned_m`` (3,), its nose towards ``course_rad``.

        The battery is full; nothing is kept of an earlier flight.
        """
        self._flying = False
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        q = frames.quat_from_euler(0.0, self.cruise.pitch_rad, course_rad)
        speed = self.params.fw_airspd_trim
        ahead = speed * np.array([np.cos(course_rad), np.sin(course_rad), 0.0])
        motion = np.concatenate((position_ned_m, ahead + wind, q, np.zeros(3)))
        self.take(motion, wind)

    def stand(
        self, position_ned_m: Array, course_rad: float = 0.0, charge_c: float | None = None
    ) -> None:
        """Stand on the runway at ``position_ned_m``, whose down does not count.

        The nose points to ``course_rad``, the motor stands, the controllers know nothing.
        ``charge_c`` [C] drawn from the battery; None: as it is.
        """
        charge = self.x[dynamics.CHARGE] if charge_c is None else charge_c
        self.x = dynamics.at_rest(self.model, yaw_rad=course_rad)
        self.x[:2], self.x[dynamics.CHARGE] = position_ned_m[:2], charge
        self._unlearnt()

    def launch(self, position_ned_m: Array, course_rad: float, speed_m_s: float) -> None:
        """Leave the rail of a catapult, or the hand: flying along the nose, the motor standing.

        The nose is FW_TKO_PITCH_MIN above the horizon; ``speed_m_s`` over the ground.
        """
        pitch = float(np.radians(self.params.fw_tko_pitch_min))
        self.x = dynamics.at_rest(self.model)
        self.x[:3] = position_ned_m
        self.x[6:10] = frames.quat_from_euler(0.0, pitch, course_rad)
        self.x[3:6] = speed_m_s * frames.rotation_from_quat(self.x[6:10])[:, 0]
        self._unlearnt()
        self.control[wing.W_PITCH] = pitch

    def _unlearnt(self) -> None:
        """Begin with controllers as they are after arming."""
        x, self._flying = self.x, False
        speed = float(np.linalg.norm(x[3:6]))
        self.control = wing.new_control(self.params, -float(x[2]), -float(x[5]), speed)
        self.control[wing.W_ENERGY_DOT] = 0.0
        self._ticks.start_over()

    def resync(self, belief: TwinState, wind_ned_m_s: Array | None = None) -> None:
        """Take place, motion and attitude from ``belief``; keep charge, motor and integrators.

        The first time the rest is that of cruise: motor, surfaces and integrators at trim.

        Raises:
            ValueError: the belief is not finite.
        """
        motion = believed_motion(belief)
        if self._flying:
            # the reference of height moves along, or the energy would see a jump
            self.control[wing.W_HEIGHT] -= motion[2] - self.x[2]
            self.x[:13] = motion
            return
        self.take(motion, np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s))

    def take(self, motion: Array, wind: Array, charge_c: float | None = None) -> None:
        """Begin with ``motion`` (13,) in ``wind`` (3,) as after minutes of cruise.

        ``charge_c`` [C] drawn from the battery; None: as it is.
        """
        p, charge = self.params, dynamics.CHARGE
        kept = (self.x if self._flying else self.cruise.x)[charge : charge + 3].copy()
        self.x = self.cruise.x.copy()
        self.x[charge : charge + 3] = kept
        if charge_c is not None:
            self.x[charge] = charge_c
        self.x[:13] = motion
        airspeed = float(np.linalg.norm(motion[3:6] - wind))
        control = wing.new_control(p, -float(motion[2]), -float(motion[5]), airspeed)
        # what PX4's integrators have learnt after minutes of cruise
        roll, pitch, _ = frames.euler_from_quat(motion[6:10])
        control[wing.W_ROLL], control[wing.W_PITCH] = roll, pitch
        control[wing.W_PITCH_INT] = self.cruise.pitch_rad - np.radians(p.fw_psp_off)
        throttle = float(np.max(self.cruise.u[self.pushers]))
        control[wing.W_THROTTLE], control[wing.W_THROTTLE_INT] = throttle, throttle - p.fw_thr_trim
        servos = self.cruise.u[self.model.rotors.shape[0] :]
        learnt = servos @ self.shares / np.maximum(np.sum(np.abs(self.shares), axis=0), 1.0)
        learnt -= (p.trim_roll, p.trim_pitch, p.trim_yaw)
        limit = (p.fw_rr_imax, p.fw_pr_imax, p.fw_yr_imax)
        control[wing.W_RATE_INT] = np.clip(learnt, np.negative(limit), limit)
        self.control = control
        self._ticks.start_over()

    def follow(self, legs: Array, *, takes_off: bool = False, lands: bool = False) -> None:
        """Fly along ``legs`` (k, 6) of ``wing_path`` from here on, the first line from here.

        takes_off: the first goal is climbed to along the line to it, from the runway or after a
        launch. lands: the last goal is the point on the ground to which the slope from the goal
        before it leads; its height does not count.

        Raises:
            ValueError: no such legs, or nothing between or beside a take-off and a landing.
        """
        self.legs = np.atleast_2d(np.asarray(legs, dtype=np.float64))
        if self.legs.shape[1] != wing_path.N_WING_LEG or len(self.legs) < 1 + takes_off + lands:
            raise ValueError(
                f"{self.legs.shape} are no legs (k, {wing_path.N_WING_LEG}) with take-off "
                f"{takes_off}, landing {lands}: one more than these is needed"
            )
        self.guide[:] = 0.0
        self.guide[:2] = self.x[:2]
        yaw = frames.yaw_from_quat(self.x[6:10])
        self.setpoint[2], self.setpoint[3] = np.cos(yaw), np.sin(yaw)
        phase = wing_sortie.AIR
        if takes_off:
            moving = self.x[dynamics.VEL].any()
            phase = wing_sortie.LAUNCHED if moving else wing_sortie.RAMP
        wing_sortie.begin(self.flight, self.x, yaw, self.legs, phase, lands)

    def advance(
        self, duration_s: float, wind_ned_m_s: Array | None = None, setpoint: Array | None = None
    ) -> None:
        """Fly ``duration_s`` along what ``follow`` said, or with ``setpoint`` (7,) held.

        Time that does not fill a tick of 4 ms is kept for the next call.

        Raises:
            ValueError: nothing was commanded yet.
        """
        legs = np.zeros((0, wing_path.N_WING_LEG)) if setpoint is not None else self.legs
        if setpoint is None and len(legs) == 0:
            raise ValueError("no legs to follow and no setpoint")
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        held = self.setpoint if setpoint is None else np.asarray(setpoint, dtype=np.float64)
        rows = self.rows()._replace(setpoint=held, legs=legs)
        advance(rows, self.craft(), wind, TICK_S, SUBSTEPS, self._ticks.due(duration_s))
        self._flying = True

    def craft(self) -> Craft:
        """Return what flies, as the kernels take it."""
        return Craft(self.model, self.pushers, self.shares, self.wheel, self.params)

    def rows(self) -> Rows:
        """Return what changes in flight; the arrays are this aircraft's own."""
        return Rows(
            self.x, self.control, self.setpoint, self.guide, self.flight, self.legs, self.u
        )
