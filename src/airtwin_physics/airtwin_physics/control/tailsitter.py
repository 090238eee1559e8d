# SPDX-License-Identifier: Apache-2.0
"""The virtual tailsitter: hover on its tail, a ramp of the pitch to the wing, and back.

Laws after PX4 v1.18 (vtol_att_control/tailsitter.cpp, fw_rate_control in its hover frame). Two
motors side by side and two elevons in their slipstream. Deterministic; the state and the wind
themselves are what the controllers see. The hover frame H is the body's, pitched by -90 deg: x_H
= z, z_H = -x, so that it is level when the aircraft stands on its tail.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.control import euler, virtual, vtol, wing, wing_aircraft, wing_path
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
from airtwin_physics.dynamics import GRAVITY_M_S2, Model, step_into
from airtwin_physics.dynamics.model import AX, RY

T_THRUST = 4
T_START, T_AXIS = slice(5, 9), slice(9, 12)  # attitude of H as a transition begins; its axis, NED
N_TAIL = 12
PITCH_TO_WING, PITCH_TO_HOVER = -1.05, -0.26  # [rad] of H, where a transition may end
THRUST_BLEND_S = 0.5  # a back transition begins with the wing's throttle
UPRIGHT_RAD = 0.01  # tilt below which a back transition turns no further
HALF = np.sqrt(0.5)


class Craft(NamedTuple):
    """What flies: ``wing`` its model, motors (as pushers) and elevons; lift (n, 3) shares.

    Of the motors' shares of thrust in the torques, the first column counts.
    """

    wing: wing_aircraft.Craft
    lift: Array
    hover_params: Px4Params


@numba.njit(cache=True)
def in_hover_frame(q: Array) -> Array:
    """Return the attitude (4,) of H for that of the body: q * (-90 deg about y)."""
    out = np.empty(4)
    out[0], out[2] = HALF * (q[0] + q[2]), HALF * (q[2] - q[0])
    out[1], out[3] = HALF * (q[1] + q[3]), HALF * (q[3] - q[1])
    return out


@numba.njit(cache=True)
def rates_in_hover_frame(rate: Array) -> Array:
    """Return the turn rate (3,) in H for that in FRD."""
    return np.array([rate[2], rate[1], -rate[0]])


@numba.njit(cache=True)
def begin_transition(state: Array, x: Array, hover: Array, row: Array, to_wing: bool) -> None:
    """Note the attitude of H from which the pitch is ramped, wings level, and the axis, NED."""
    state[TIME], state[SINK] = 0.0, x[5]
    if to_wing:
        wanted = hover[law.C_Q]
        state[T_START] = euler.quaternion(0.0, euler.pitch(wanted), euler.yaw(wanted))
        north, east, _ = euler.nose(in_hover_frame(x[6:10]))
        turn = 1.0  # the nose goes down
    else:
        north, east, _ = euler.nose(x[6:10])
        level = euler.quaternion(0.0, row[wing.W_PITCH], np.arctan2(east, north))
        state[T_START] = in_hover_frame(level)
        turn = -1.0
    length = max(np.sqrt(north * north + east * east), 1e-9)
    state[T_AXIS] = turn * np.array([east / length, -north / length, 0.0])


@numba.njit(cache=True)
def switch_mode(rows: Rows, airspeed: float, craft: Craft) -> None:
    """Move between the modes as tailsitter.cpp does."""
    state, x, hover, row = rows.mode, rows.x, rows.hover, rows.wing
    w = craft.wing.params
    mode = state[MODE]
    pitch = euler.pitch(in_hover_frame(x[6:10]))
    if state[WANTED] > 0.0:
        if mode in (HOVER, TO_HOVER):
            state[MODE] = TO_WING
            begin_transition(state, x, hover, row, True)
        elif mode == TO_WING and state[TIME] > w.vt_trans_timeout:
            state[MODE], state[WANTED] = HOVER, 0.0
        elif mode == TO_WING and pitch <= PITCH_TO_WING and airspeed >= w.vt_arsp_trans:
            state[MODE], state[TIME], state[T_THRUST] = WING, 0.0, hover[law.C_THRUST]
            fresh = wing_row(row, w, x, airspeed)
            row[:] = fresh
    elif mode == WING:
        state[MODE], state[T_THRUST] = TO_HOVER, row[wing.W_THROTTLE]
        begin_transition(state, x, hover, row, False)
        law.reset_integrals(hover)
        hover[law.C_VEL_LAST], hover[law.C_VEL_DOT], hover[law.C_RATE_DOT] = x[3:6], 0.0, 0.0
        hover[law.C_RATE] = rates_in_hover_frame(x[10:13])
    elif mode != HOVER and (
        mode == TO_WING or pitch >= PITCH_TO_HOVER or state[TIME] > w.vt_b_trans_dur
    ):
        state[MODE] = HOVER


@numba.njit(cache=True)
def wing_row(row: Array, w: Px4WingParams, x: Array, airspeed: float) -> Array:
    """Return the wing's controllers as they begin after a front transition, (21,)."""
    fresh = np.zeros(wing.N_WING)
    wing.usual_limits(fresh, w)
    fresh[wing.W_TAS], fresh[wing.W_HEIGHT], fresh[wing.W_CLIMB] = airspeed, -x[2], -x[5]
    fresh[wing.W_ENERGY_DOT] = -GRAVITY_M_S2 * x[5]
    fresh[wing.W_THROTTLE], fresh[wing.W_BOUND] = w.fw_thr_max, row[wing.W_BOUND]
    fresh[wing.W_PITCH] = np.radians(w.fw_psp_off)
    fresh[wing.W_AIRSPEED] = min(max(airspeed, w.fw_airspd_min), w.fw_airspd_max)
    return fresh


@numba.njit(cache=True)
def ramp(state: Array, hover: Array, w: Px4WingParams) -> None:
    """Write the attitude of H in a transition: the start's, pitched on with time."""
    to_wing = state[MODE] == TO_WING
    duration = w.vt_f_trans_dur if to_wing else w.vt_b_trans_dur
    angle = state[TIME] * 0.5 * np.pi / max(duration, 0.1)
    wanted, start = hover[law.C_Q], state[T_START]
    pitch = euler.pitch(start)
    if to_wing:
        angle = min(angle, max(0.5 * np.pi - np.radians(w.fw_psp_off) + pitch, 0.0))
    else:
        angle = min(angle, max(-pitch - UPRIGHT_RAD, 0.0))
    half = np.sin(0.5 * angle)
    turn = np.empty(4)
    turn[0] = np.cos(0.5 * angle)
    turn[1:] = half * state[T_AXIS]
    wanted[:] = law.multiply(turn, start)
    hover[law.C_YAW_RATE] = 0.0


@numba.njit(cache=True)
def fly_upright(rows: Rows, setpoint: Array, airspeed: float, craft: Craft, dt_s: float) -> None:
    """Let the cascade of hover and transitions act once, along ``setpoint`` (16,)."""
    state, x, hover, row, u = rows.mode, rows.x, rows.hover, rows.wing, rows.u
    p, w, lift = craft.hover_params, craft.wing.params, craft.lift
    motors, shares = craft.wing.pushers, craft.wing.shares
    upright = in_hover_frame(x[6:10])
    yaw = euler.yaw(upright)
    acceleration_down = (x[5] - hover[law.C_VEL_LAST][2]) / dt_s
    law.position_control(hover, setpoint, x[:3], x[3:6], yaw, p, dt_s)
    if state[MODE] != HOVER:
        ramp(state, hover, w)
    elif setpoint[law.SP_THRUST_MIN] > 0.0:  # not in the take-off's ramp
        law.learn_hover_thrust(hover, acceleration_down, dt_s)
    rates = law.attitude_control(hover, upright, p)
    torque = law.rate_control(hover, rates, rates_in_hover_frame(x[10:13]), True, p, dt_s)
    thrust = hover[law.C_THRUST]
    if state[MODE] == TO_HOVER:
        share = min(state[TIME] / THRUST_BLEND_S, 1.0)
        thrust = share * thrust + (1.0 - share) * state[T_THRUST]
    command = np.empty(motors.shape[0])
    law.mix(command, lift, torque, thrust)
    # the elevons obey the wing's rate loop, without its integral
    row[wing.W_RATE_INT] = 0.0
    wing.rate_control(row, (-rates[2], rates[1], rates[0]), x[10:13], airspeed, w, dt_s)
    row[wing.W_RATE_INT] = 0.0
    wing.mix(u, row, motors, shares, hover[law.C_THRUST])
    if state[MODE] == HOVER and setpoint[law.SP_MODE] != law.FLY:
        command[:] = 0.0 if setpoint[law.SP_MODE] == law.MOTORS_IDLE else np.nan
        law.reset_integrals(hover)
        u[:] = 0.0
    for i in range(motors.shape[0]):
        u[motors[i]] = command[i]


@numba.njit(cache=True)
def advance(rows: Rows, craft: Craft, wind: Array, dt_s: float, substeps: int, ticks: int) -> None:
    """Let ``ticks`` pass, in place."""
    state, x, hover, row, u = rows.mode, rows.x, rows.hover, rows.wing, rows.u
    w, motors = craft.wing.params, craft.wing.pushers
    work = np.empty((5, x.shape[0]))
    own = rows.setpoint.copy()
    guided_s = dt_s * wing_aircraft.GUIDE_TICKS
    for _ in range(ticks):
        if rows.voyage[STAGE] != FREE:
            if rows.voyage[WAIT] == 0.0:
                yaw = euler.yaw(in_hover_frame(x[6:10]))
                voyage(rows, yaw, craft.hover_params, w, guided_s)
            rows.voyage[WAIT] = (rows.voyage[WAIT] + 1.0) % wing_aircraft.GUIDE_TICKS
        airspeed = wing_aircraft.airspeed_ahead(x, wind)
        switch_mode(rows, airspeed, craft)
        if state[MODE] == WING:
            if row[wing.W_TICK] % wing_aircraft.GUIDE_TICKS == 0:
                bound = row[wing.W_BOUND]
                wing_path.guide(rows.guide, rows.path, x[:3], bound, rows.legs, w, guided_s)
            hover[law.C_VEL_LAST] = x[3:6]
            wing_aircraft.fly_wing(x, row, rows.path, u, craft.wing, wind, dt_s)
            share = min(state[TIME] / vtol.BLEND_S, 1.0)
            throttle = share * row[wing.W_THROTTLE] + (1.0 - share) * state[T_THRUST]
            for i in range(motors.shape[0]):  # VT_FW_DIFTHR_EN 1: the motors yaw it
                turn = w.vt_fw_difthr_s_y * row[wing.W_TORQUE][2] * craft.lift[i, 0]
                u[motors[i]] = min(max(throttle + turn, 0.0), 1.0)
        elif state[MODE] == HOVER:
            fly_upright(rows, rows.setpoint, airspeed, craft, dt_s)
        else:
            state[SINK] -= min(dt_s / vtol.SINK_S, 1.0) * state[SINK]
            own[:] = rows.setpoint
            own[law.SP_WANTED] = np.nan
            own[law.SP_VEL][2] = state[SINK]
            own[law.SP_ACC][:2] = 0.0
            own[law.SP_YAW_RATE] = 0.0
            fly_upright(rows, own, airspeed, craft, dt_s)
        state[TIME] += dt_s
        for _ in range(substeps):
            step_into(x, u, craft.wing.model, wind, dt_s / substeps, work)


class TailsitterAircraft(Convertible):
    """One virtual tailsitter.

    Raises:
        ValueError: not two motors along the nose and two elevons on a wing.
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
        self.motors = np.flatnonzero(self.model.rotors[:, AX] > 0.99).astype(np.int64)
        sides = self.model.rotors[:, RY]
        stands = self.model.body[dynamics.model.REST_PITCH] > 1.0
        if not stands or len(self.motors) != 2 or aircraft.rotor_count != 2 or sides.sum() != 0.0:
            raise ValueError(
                f"{aircraft.name} is no tailsitter of two motors: expected a nose up at rest and "
                f"one motor on either side, found {aircraft.rotor_count} motors"
            )
        self.params = wing_params(aircraft.name) if params is None else params
        self.lift = np.zeros((2, 3))
        self.lift[:, 0] = -np.sign(sides) * HALF
        self.shares = elevon_shares(self.model, self.params.fw_airspd_trim)
        self.u = np.zeros(2 + len(self.model.servos))
        self.start(np.array([0.0, 0.0, -50.0]))

    def start(self, position_ned_m: Array, yaw_rad: float = 0.0) -> None:
        """Begin in hover over ``position_ned_m`` (3,), belly towards ``yaw_rad``."""
        self.x = dynamics.at_rest(self.model, yaw_rad=yaw_rad)
        self.x[:3] = position_ned_m
        speed = virtual.trim_speed(self.model)
        self.x[dynamics.ROTOR : dynamics.ROTOR + 2] = speed
        self.mode = np.zeros(N_TAIL)
        self._begin(position_ned_m, yaw_rad, speed / self.model.rotors[0, dynamics.SPEED_MAX])
        self.hover[law.C_Q] = in_hover_frame(self.x[6:10])

    def _level(self, q: Array) -> Array:
        return np.asarray(in_hover_frame(q))

    def _fly(self, wind_ned_m_s: Array, ticks: int) -> None:
        advance(self.rows(), self.craft(), wind_ned_m_s, TICK_S, SUBSTEPS, ticks)

    def craft(self) -> Craft:
        """Return what flies, as the kernels take it."""
        flies = wing_aircraft.Craft(self.model, self.motors, self.shares, -1, self.params)
        return Craft(flies, self.lift, self.hover_params)


def elevon_shares(model: Model, airspeed_m_s: float) -> Array:
    """Return (m, 3): with which sign each elevon obeys roll and pitch torque, both in full."""
    shares = np.sign(wing_aircraft.servo_turns(model, airspeed_m_s))
    shares[:, 2] = 0.0
    return shares
