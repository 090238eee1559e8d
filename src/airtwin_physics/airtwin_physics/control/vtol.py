# SPDX-License-Identifier: Apache-2.0
"""The virtual quad-plane: hover by the multirotor's cascade, wing by the wing's, and between them.

Laws after PX4 v1.18 (vtol_att_control/standard.cpp, FlightTaskTransition). Deterministic; the
state and the wind themselves are what the controllers see.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import euler, wing, wing_aircraft, wing_path
from airtwin_physics.control import multirotor as law
from airtwin_physics.control.convertible import (
    FREE,
    HOVER,
    MODE,
    SINK,
    STAGE,
    TIME,
    TO_HOVER,
    TO_WING,
    WAIT,
    WANTED,
    WING,
    Convertible,
    Rows,
    voyage,
)
from airtwin_physics.control.px4_params import (
    HOVER_AIRFRAMES,
    Px4Params,
    Px4WingParams,
    wing_params,
    with_overrides,
)
from airtwin_physics.control.ticks import SUBSTEPS, TICK_S
from airtwin_physics.control.wing import Indices
from airtwin_physics.dynamics import GRAVITY_M_S2, Model, step_into
from airtwin_physics.dynamics.model import AZ, K_MOMENT, RX, RY, TURN

V_PUSHER, V_WEIGHT, V_TILT = range(4, 7)
N_VTOL = 7
BLEND_S = 1.0  # the pusher goes over to TECS' throttle in this after a front transition
SINK_S = 0.5  # the wanted sink rate goes to 0 so in a transition (PX4: a filter of its own)
TILT_MOST = 0.3  # [rad] limit of the back transition's integrator
LIFTING = -0.7  # share of its thrust along z below which a motor lifts


def lift_shares(model: Model, lifters: Indices) -> Array:
    """Return (k, 3): the lifting motors' shares of torque, as multirotor.mixer makes them."""
    rows = model.rotors[lifters]
    return law.allocation(rows[:, RX : RY + 1], -rows[:, TURN] * rows[:, K_MOMENT])


class Craft(NamedTuple):
    """What flies: ``wing`` its model, pushers, surfaces; lifters (k,), their shares (k, 3)."""

    wing: wing_aircraft.Craft
    lifters: Indices
    lift: Array
    hover_params: Px4Params


@numba.njit(cache=True, forceinline=True)
def switch_mode(rows: Rows, airspeed: float, craft: Craft) -> None:
    """Move between the modes as standard.cpp does."""
    state, x, hover, row = rows.mode, rows.x, rows.hover, rows.wing
    p, w = craft.hover_params, craft.wing.params
    mode, wing_wanted = state[MODE], state[WANTED] > 0.0
    begun = False
    if wing_wanted:
        if mode in (HOVER, TO_HOVER):
            state[MODE], state[V_PUSHER], begun = TO_WING, 0.0, True
        elif mode == TO_WING:
            if airspeed >= w.vt_arsp_trans and state[TIME] > w.vt_trans_min_tm:
                state[MODE], state[TIME] = WING, 0.0
                row[wing.W_TAS], row[wing.W_TAS_DOT] = airspeed, 0.0
                row[wing.W_HEIGHT], row[wing.W_CLIMB] = -x[2], -x[5]
                row[wing.W_ENERGY_DOT] = -GRAVITY_M_S2 * x[5]
                row[wing.W_PITCH_INT], row[wing.W_THROTTLE_INT] = 0.0, 0.0
                row[wing.W_THROTTLE] = min(max(state[V_PUSHER], w.fw_thr_min), w.fw_thr_max)
                row[wing.W_AIRSPEED] = min(max(airspeed, w.fw_airspd_min), w.fw_airspd_max)
            elif state[TIME] > w.vt_trans_timeout:
                state[MODE], state[WANTED], state[V_PUSHER] = HOVER, 0.0, 0.0
    elif mode == WING:
        state[MODE], begun = TO_HOVER, True
        law.reset_integrals(hover)
        hover[law.C_VEL_LAST], hover[law.C_VEL_DOT] = x[3:6], 0.0
        hover[law.C_RATE], hover[law.C_RATE_DOT] = x[10:13], 0.0
    elif mode == TO_WING:
        state[MODE], state[V_PUSHER] = HOVER, 0.0
    elif mode == TO_HOVER:
        north, east, down = euler.nose(x[6:10])
        ahead = north * x[3] + east * x[4] + down * x[5]
        if ahead < p.mpc_xy_cruise or state[TIME] > w.vt_b_trans_dur:
            state[MODE] = HOVER
    if begun:
        state[TIME], state[V_TILT], state[SINK] = 0.0, 0.0, x[5]
        if state[MODE] == TO_WING:
            row[wing.W_RATE_INT] = 0.0
            row[wing.W_ROLL] = 0.0


@numba.njit(cache=True, forceinline=True)
def transition(
    rows: Rows, setpoint: Array, airspeed: float, acceleration: Array, craft: Craft,
    wind: Array, dt_s: float,
) -> None:  # fmt: skip
    """Write thrust, attitude and weights of a transition.

    acceleration: (3,) [m/s^2] NED of the last tick, setpoint: (16,) is overwritten.
    """
    state, x, hover, row, path = rows.mode, rows.x, rows.hover, rows.wing, rows.path
    p, w = craft.hover_params, craft.wing.params
    q = x[6:10]
    yaw = euler.yaw(q)
    state[SINK] -= min(dt_s / SINK_S, 1.0) * state[SINK]
    setpoint[law.SP_WANTED] = np.nan
    setpoint[law.SP_VEL][2], setpoint[law.SP_YAW_RATE] = state[SINK], 0.0
    front = state[MODE] == TO_WING
    if front:
        tilt, bn, be = np.radians(w.fw_psp_off), -np.cos(yaw), -np.sin(yaw)
    else:
        speed = np.sqrt(x[3] ** 2 + x[4] ** 2)
        bn, be = (-x[3] / speed, -x[4] / speed) if speed > 1e-6 else (0.0, 0.0)
        slowing = acceleration[0] * bn + acceleration[1] * be
        change = w.vt_b_dec_i * (w.vt_b_dec_mss - slowing) * dt_s
        state[V_TILT] = min(max(state[V_TILT] + change, 0.0), TILT_MOST)
        tilt = state[V_TILT]
    setpoint[law.SP_ACC][0] = np.tan(tilt) * GRAVITY_M_S2 * bn
    setpoint[law.SP_ACC][1] = np.tan(tilt) * GRAVITY_M_S2 * be
    law.position_control(hover, setpoint, x[:3], x[3:6], yaw, p, dt_s)
    if row[wing.W_TICK] % wing_aircraft.GUIDE_TICKS == 0:
        wing.lateral_control(row, path, x[:3], x[3:6], wind, w, dt_s * wing_aircraft.GUIDE_TICKS)
    row[wing.W_TICK] = (row[wing.W_TICK] + 1) % wing_aircraft.GUIDE_TICKS
    roll, pitch = euler.roll(hover[law.C_Q]), euler.pitch(hover[law.C_Q])
    weight = 1.0
    if front:
        most = max(w.vt_f_trans_thr, 0.0)
        ramp = state[V_PUSHER] + w.vt_psher_slew * dt_s if w.vt_psher_slew > 0.0 else most
        state[V_PUSHER] = min(ramp, most)
        margin = w.vt_arsp_trans - w.vt_arsp_blend
        if margin > 0.0 and airspeed >= w.vt_arsp_blend and state[TIME] > w.vt_trans_min_tm:
            weight = 1.0 - (airspeed - w.vt_arsp_blend) / margin
        weight = min(max(weight, 0.0), 1.0)
        roll, pitch = row[wing.W_ROLL], np.radians(w.fw_psp_off) * (1.0 - weight)
    else:
        if w.vt_b_trans_ramp > 0.0:
            weight = min(max(state[TIME] / min(w.vt_b_trans_ramp, w.vt_b_trans_dur), 0.0), 1.0)
        roll = weight * roll + (1.0 - weight) * row[wing.W_ROLL]
        state[V_PUSHER] = 0.0
    state[V_WEIGHT] = weight
    row[wing.W_PITCH] = pitch
    hover[law.C_Q] = euler.quaternion(roll, pitch, yaw)
    rates = wing.attitude_control(q, roll, pitch, airspeed, w)
    wing.rate_control(row, rates, x[10:13], airspeed, w, dt_s)


@numba.njit(cache=True, forceinline=True)
def lift(
    rows: Rows,
    own: Array,
    motors: Array,
    airspeed: float,
    acceleration: Array,
    craft: Craft,
    wind: Array,
    dt_s: float,
) -> None:
    """Let the cascade of hover and transitions act once; own (16,), motors (k,) are scratch.

    airspeed [m/s], acceleration (3,) [m/s^2] NED: as before the mode was switched.
    """
    state, x, hover, u, setpoint = rows.mode, rows.x, rows.hover, rows.u, rows.setpoint
    p, hovers = craft.hover_params, rows.mode[MODE] == HOVER
    if hovers:
        state[V_WEIGHT], state[V_PUSHER] = 1.0, 0.0
        law.position_control(hover, setpoint, x[:3], x[3:6], euler.yaw(x[6:10]), p, dt_s)
        if setpoint[law.SP_THRUST_MIN] > 0.0:  # not in the take-off's ramp
            law.learn_hover_thrust(hover, acceleration[2], dt_s)
    else:
        own[:] = setpoint
        transition(rows, own, airspeed, acceleration, craft, wind, dt_s)
        wing.mix(u, rows.wing, craft.wing.pushers, craft.wing.shares, state[V_PUSHER])
    rates = law.attitude_control(hover, x[6:10], p)
    torque = law.rate_control(hover, rates, x[10:13], True, p, dt_s)
    weight = state[V_WEIGHT]
    torque *= weight
    thrust = weight * hover[law.C_THRUST]
    if p.mc_airmode > 0.0 and hovers:
        thrust = law.airmode(craft.lift, torque, thrust)
    law.mix(motors, craft.lift, torque, thrust)
    if hovers:
        u[craft.wing.model.rotors.shape[0] :] = 0.0  # VT_ELEV_MC_LOCK
        if setpoint[law.SP_MODE] != law.FLY:
            motors[:] = 0.0 if setpoint[law.SP_MODE] == law.MOTORS_IDLE else np.nan
            law.reset_integrals(hover)
    for i in range(craft.lifters.shape[0]):
        u[craft.lifters[i]] = motors[i]


@numba.njit(cache=True)
def advance(rows: Rows, craft: Craft, wind: Array, dt_s: float, substeps: int, ticks: int) -> None:
    """Let ``ticks`` pass, in place."""
    state, x, hover, row, u = rows.mode, rows.x, rows.hover, rows.wing, rows.u
    w, flies = craft.wing.params, craft.wing
    work = np.empty((5, x.shape[0]))
    motors, own = np.empty(craft.lifters.shape[0]), rows.setpoint.copy()
    guided_s = dt_s * wing_aircraft.GUIDE_TICKS
    for _ in range(ticks):
        if rows.voyage[STAGE] != FREE:
            if rows.voyage[WAIT] == 0.0:
                voyage(rows, euler.yaw(x[6:10]), craft.hover_params, w, guided_s)
            rows.voyage[WAIT] = (rows.voyage[WAIT] + 1.0) % wing_aircraft.GUIDE_TICKS
        airspeed = wing_aircraft.airspeed_ahead(x, wind)
        acceleration = (x[3:6] - hover[law.C_VEL_LAST]) / dt_s
        switch_mode(rows, airspeed, craft)
        if state[MODE] != HOVER and row[wing.W_TICK] % wing_aircraft.GUIDE_TICKS == 0:
            bound = row[wing.W_BOUND]
            wing_path.guide(rows.guide, rows.path, x[:3], bound, rows.legs, w, guided_s)
        u[:] = np.nan
        if state[MODE] == WING:
            hover[law.C_VEL_LAST] = x[3:6]
            wing_aircraft.fly_wing(x, row, rows.path, u, flies, wind, dt_s)
            if state[TIME] < BLEND_S:
                share = state[TIME] / BLEND_S
                throttle = share * row[wing.W_THROTTLE] + (1.0 - share) * state[V_PUSHER]
                wing.mix(u, row, flies.pushers, flies.shares, throttle)
        else:
            lift(rows, own, motors, airspeed, acceleration, craft, wind, dt_s)
        state[TIME] += dt_s
        for _ in range(substeps):
            step_into(x, u, flies.model, wind, dt_s / substeps, work)


class VtolAircraft(Convertible):
    """One virtual quad-plane.

    Raises:
        ValueError: not wings, lifting motors and pushing motors; no balanced flight on the wing.
    """

    def __init__(
        self,
        aircraft: Aircraft,
        hover_params: Px4Params | None = None,
        params: Px4WingParams | None = None,
    ) -> None:
        given = with_overrides(HOVER_AIRFRAMES.get(aircraft.name, {}))
        self.hover_params = given if hover_params is None else hover_params
        self.model = dynamics.pack(aircraft)
        self.pushers = wing_aircraft.pushing(self.model)
        self.lifters = np.flatnonzero(self.model.rotors[:, AZ] < LIFTING).astype(np.int64)
        engines = len(self.pushers), len(self.lifters)
        if 0 in engines or sum(engines) != aircraft.rotor_count or not len(self.model.surfaces):
            raise ValueError(
                f"{aircraft.name} is no quad-plane: of {aircraft.rotor_count} motors {engines[0]} "
                f"push and {engines[1]} lift, {len(self.model.surfaces)} surfaces"
            )
        self.params = wing_params(aircraft.name) if params is None else params
        self.lift = lift_shares(self.model, self.lifters)
        self.shares = wing_aircraft.surface_shares(self.model, self.params.fw_airspd_trim)
        self.u = np.zeros(aircraft.rotor_count + len(self.model.servos))
        self.start(np.array([0.0, 0.0, -50.0]))

    def start(self, position_ned_m: Array, yaw_rad: float = 0.0) -> None:
        """Begin in hover over ``position_ned_m`` (3,), rotors at the speed that carries it."""
        self.x = dynamics.at_rest(self.model)
        self.x[:3], self.x[6:10] = position_ned_m, frames.quat_from_euler(0.0, 0.0, yaw_rad)
        rows = self.model.rotors[self.lifters]
        lift = float(np.sum(rows[:, dynamics.K_THRUST] * rows[:, dynamics.EFFECT]))
        speed = np.sqrt(self.model.body[dynamics.MASS] * GRAVITY_M_S2 / lift)
        self.x[dynamics.ROTOR + self.lifters] = speed
        low, high = rows[0, dynamics.SPEED_MIN], rows[0, dynamics.SPEED_MAX]
        self.mode = np.zeros(N_VTOL)
        self.mode[V_WEIGHT] = 1.0
        self._begin(position_ned_m, yaw_rad, (speed - low) / (high - low))

    def cruise(self, airspeed_m_s: float) -> None:
        super().cruise(airspeed_m_s)
        self.mode[V_WEIGHT] = 0.0
        self.x[dynamics.ROTOR + self.lifters] = 0.0

    def _level(self, q: Array) -> Array:
        return q

    def _fly(self, wind_ned_m_s: Array, ticks: int) -> None:
        advance(self.rows(), self.craft(), wind_ned_m_s, TICK_S, SUBSTEPS, ticks)

    def craft(self) -> Craft:
        """Return what flies, as the kernels take it."""
        flies = wing_aircraft.Craft(self.model, self.pushers, self.shares, -1, self.params)
        return Craft(flies, self.lifters, self.lift, self.hover_params)
