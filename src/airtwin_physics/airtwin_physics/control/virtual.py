# SPDX-License-Identifier: Apache-2.0
"""The virtual aircraft: the one dynamics under PX4's cascade, following what was commanded.

Deterministic: no sensors, no noise, the state itself is what the controllers see.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array, TwinState
from airtwin_physics import dynamics
from airtwin_physics.control import euler, sortie, track
from airtwin_physics.control import multirotor as law
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.control.ticks import SUBSTEPS, TICK_S, Ticks
from airtwin_physics.dynamics import GRAVITY_M_S2, Model, step_into


def new_setpoint(params: Px4Params) -> Array:
    """Return a row (16,) that controls nothing yet, with the limits of flight."""
    row = np.full(law.N_SETPOINT, np.nan)
    row[law.SP_V_UP], row[law.SP_V_DOWN] = params.mpc_z_vel_max_up, params.mpc_z_vel_max_dn
    row[law.SP_TILT] = np.radians(params.mpc_tiltmax_air)
    row[law.SP_THRUST_MIN], row[law.SP_MODE] = params.mpc_thr_min, law.FLY
    return row


class Craft(NamedTuple):
    """What flies: its model, the motors' shares (n, 3) of ``mixer``, PX4's parameters."""

    model: Model
    shares: Array
    params: Px4Params


class Rows(NamedTuple):
    """What changes in flight: x (16 + n,) of ``dynamics``, motors (n,) the inputs.

    control (26,) and setpoint (16,) of ``multirotor``.
    """

    x: Array
    control: Array
    setpoint: Array
    motors: Array


@numba.njit(cache=True)
def tick(rows: Rows, craft: Craft, wind: Array, dt_s: float, substeps: int, work: Array) -> None:
    """Let the whole cascade act once and the aircraft fly for ``dt_s``, in place.

    wind: (3,) [m/s NED], work: (5, 16 + n). An acceleration is what the velocity made of the last
    tick.
    """
    x, control, setpoint, motors = rows
    p = craft.params
    if setpoint[law.SP_MODE] != law.FLY:
        motors[:] = 0.0 if setpoint[law.SP_MODE] == law.MOTORS_IDLE else np.nan
        law.reset_integrals(control)
        control[law.C_VEL_LAST] = x[3:6]
    else:
        yaw = euler.yaw(x[6:10])
        acceleration_down = (x[5] - control[law.C_VEL_LAST][2]) / dt_s
        law.position_control(control, setpoint, x[:3], x[3:6], yaw, p, dt_s)
        if setpoint[law.SP_THRUST_MIN] > 0.0:  # not in the take-off's ramp: the ground carries
            law.learn_hover_thrust(control, acceleration_down, dt_s)
        wanted = law.attitude_control(control, x[6:10], p)
        torque = law.rate_control(control, wanted, x[10:13], True, p, dt_s)
        law.mix(motors, craft.shares, torque, control[law.C_THRUST])
    for _ in range(substeps):
        step_into(x, motors, craft.model, wind, dt_s / substeps, work)


@numba.njit(cache=True)
def advance(rows: Rows, craft: Craft, wind: Array, dt_s: float, substeps: int, ticks: int) -> None:
    """Let ``ticks`` pass with setpoint and wind held; see ``tick``."""
    work = np.empty((5, rows.x.shape[0]))
    for _ in range(ticks):
        tick(rows, craft, wind, dt_s, substeps, work)


@numba.njit(cache=True)
def advance_along(
    rows: Rows,
    guide: Array,
    legs: Array,
    craft: Craft,
    wind: Array,
    dt_s: float,
    substeps: int,
    ticks: int,
) -> float:
    """Let ``ticks`` pass along ``legs`` (k, 7) of ``track``; return the way flown [m].

    guide: (15,) of ``track``. The track is renewed (``sortie.guide``) at the first tick and then
    every ``track.GUIDE_S``.
    """
    x = rows.x
    work = np.empty((5, x.shape[0]))
    way, every = 0.0, round(track.GUIDE_S / dt_s)
    for i in range(ticks):
        if i % every == 0:
            sortie.guide(guide, rows.setpoint, x, rows.control, legs, craft.params, every * dt_s)
        tick(rows, craft, wind, dt_s, substeps, work)
        way += dt_s * np.sqrt(x[3] ** 2 + x[4] ** 2 + x[5] ** 2)
    return way


def believed_motion(belief: TwinState) -> Array:
    """Return (13,) position, velocity [m, m/s NED], q_ned_frd, rate [rad/s FRD] of a belief.

    Raises:
        ValueError: one of them is not finite.
    """
    motion = np.concatenate(
        (belief.position_ned_m, belief.velocity_ned_m_s, belief.q_ned_frd, belief.rate_frd_rad_s)
    )
    if not np.all(np.isfinite(motion)):
        raise ValueError(f"the belief is not finite: {motion}")
    return motion


def trim_speed(model: Model) -> float:
    """Return the rotor speed [rad/s] that carries the aircraft in still air, level."""
    lift = float(np.sum(model.rotors[:, dynamics.K_THRUST] * model.rotors[:, dynamics.EFFECT]))
    return float(np.sqrt(model.body[dynamics.MASS] * GRAVITY_M_S2 / lift))


def in_flight(
    model: Model, params: Px4Params, motion: Array, wind: Array, charge_c: float
) -> tuple[Array, Array]:
    """Return (x (16 + n,), control (26,)) of an aircraft that has flown like this for a while.

    motion: (13,) position, velocity [m, m/s NED], q_ned_frd, rate [rad/s FRD]. Rotors turn at
    trim, the hover thrust is learnt, the velocity's integral holds against drag: PX4 does not
    tell them, and a second of flight forgets the difference.
    """
    x = dynamics.at_rest(model)
    x[:13] = motion
    x[dynamics.CHARGE] = charge_c
    speed = trim_speed(model)
    low, high = model.rotors[0, dynamics.SPEED_MIN], model.rotors[0, dynamics.SPEED_MAX]
    x[dynamics.ROTOR :] = speed
    command = float(np.clip((speed - low) / (high - low), law.HOVER_MIN, law.HOVER_MAX))
    control = law.new_control(params)
    control[law.C_HOVER] = control[law.C_THRUST] = command
    control[law.C_THRUST_DOWN] = -command
    control[law.C_VEL_LAST], control[law.C_RATE] = x[3:6], x[10:13]
    level = x.copy()
    level[2] = -1e3  # no ground
    level[6:10], level[10:13] = (1.0, 0.0, 0.0, 0.0), 0.0
    motors = np.full(model.rotors.shape[0], command)
    drag = dynamics.derivative(level, motors, model, np.asarray(wind, dtype=np.float64))[3:6]
    control[law.C_VEL_INT][:2] = -drag[:2]
    return x, control


def standing(
    model: Model, params: Px4Params, motion: Array, charge_c: float
) -> tuple[Array, Array]:
    """Return (x (16 + n,), control (26,)) of an aircraft on the ground that has not flown yet.

    motion: (13,), of which the place and the heading count.
    """
    x = dynamics.at_rest(model, yaw_rad=frames.yaw_from_quat(motion[6:10]))
    x[:2], x[dynamics.CHARGE] = motion[:2], charge_c
    return x, law.new_control(params)


class VirtualAircraft:
    """One aircraft that does what it was told: ``resync`` to a belief, then ``advance``.

    It begins at rest on the ground, whose plane is at down 0; ``follow`` flies a whole plan.

    ``x`` (16 + n,) is the state of ``dynamics``, ``control`` (26,) that of the controllers; a
    copy of both is a snapshot. Same calls: same state, to the bit.

    Raises:
        ValueError: the aircraft has wings: ``wing_aircraft`` and ``vtol`` fly those.
    """

    def __init__(self, aircraft: Aircraft, params: Px4Params | None = None) -> None:
        self.params = Px4Params() if params is None else params
        self.model = dynamics.pack(aircraft)
        if self.model.surfaces.shape[0] > 0:
            raise ValueError(
                f"{aircraft.name} has wings; only multirotors can be flown here: see "
                "wing_aircraft.WingAircraft, vtol.VtolAircraft, tailsitter.TailsitterAircraft"
            )
        self.shares = law.mixer(aircraft)
        self.x = dynamics.at_rest(self.model)
        self.control = law.new_control(self.params)
        self.motors = np.full(aircraft.rotor_count, np.nan)
        self.guide = track.new_guide(self.x[:3], np.zeros(3), 0.0)
        self.legs = np.zeros((0, track.N_LEG))
        self.setpoint = new_setpoint(self.params)
        self._flying = False
        self._ticks = Ticks()

    def resync(self, belief: TwinState, wind_ned_m_s: Array | None = None) -> None:
        """Take place, motion and attitude from ``belief``; keep charge, rotors, integrators.

        The first time, or after the motors were off, the rest is that of steady flight in
        ``wind_ned_m_s`` (3,).

        Raises:
            ValueError: the belief is not finite.
        """
        motion = believed_motion(belief)
        if not self._flying:
            wind = np.zeros(3) if wind_ned_m_s is None else wind_ned_m_s
            charge = float(self.x[dynamics.CHARGE])
            self.x, self.control = in_flight(self.model, self.params, motion, wind, charge)
            self._flying = True
            return
        # what the derivative terms remember moves along, or they would see a jump
        self.control[law.C_VEL_LAST] += belief.velocity_ned_m_s - self.x[3:6]
        self.control[law.C_RATE] += belief.rate_frd_rad_s - self.x[10:13]
        self.x[:13] = motion

    def follow(self, legs: Array) -> None:
        """Fly along ``legs`` (k, 7) of ``track`` from here on; ``phase`` says how far it is."""
        self.legs = np.atleast_2d(np.asarray(legs, dtype=np.float64))
        yaw = frames.yaw_from_quat(self.x[6:10])
        self.guide = track.new_guide(self.x[:3], self.x[3:6], yaw)
        sortie.begin(self.guide[track.G_FLIGHT], self.legs[0, track.L_KIND])

    @property
    def phase(self) -> float:
        """Return where the flight of ``follow`` is: a phase of ``sortie``."""
        return float(self.guide[track.G_FLIGHT][sortie.PHASE])

    def advance_along(self, duration_s: float, wind_ned_m_s: Array | None = None) -> float:
        """Fly ``duration_s``, a number of 20 ms, along what ``follow`` said; return the way [m].

        Raises:
            ValueError: nothing to follow, or no number of renewals of the track.
        """
        ticks = round(duration_s / TICK_S)
        if len(self.legs) == 0 or ticks % round(track.GUIDE_S / TICK_S) != 0:
            raise ValueError(
                f"{len(self.legs)} legs to follow for {duration_s} s: expected some, and a number "
                f"of {track.GUIDE_S:g} s"
            )
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        rows, craft = self._rows(self.setpoint), self._craft()
        way = advance_along(rows, self.guide, self.legs, craft, wind, TICK_S, SUBSTEPS, ticks)
        return float(way)

    def advance(
        self, setpoint: Array, duration_s: float, wind_ned_m_s: Array | None = None
    ) -> None:
        """Fly ``duration_s`` with ``setpoint`` (16,) held, as ``new_setpoint`` makes it.

        Time that does not fill a tick of 4 ms is kept for the next call.
        """
        wind = np.zeros(3) if wind_ned_m_s is None else np.asarray(wind_ned_m_s, dtype=float)
        ticks = self._ticks.due(duration_s)
        advance(self._rows(setpoint), self._craft(), wind, TICK_S, SUBSTEPS, ticks)
        self._flying = bool(setpoint[law.SP_MODE] == law.FLY)

    def _rows(self, setpoint: Array) -> Rows:
        return Rows(self.x, self.control, setpoint, self.motors)

    def _craft(self) -> Craft:
        return Craft(self.model, self.shares, self.params)
