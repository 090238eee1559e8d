# SPDX-License-Identifier: Apache-2.0
"""An aircraft as arrays for the kernels, and the layout of its state.

State ``x`` (16 + n + m,), n rotors, m servos::

    POS  0:3    [m] NED            VEL  3:6    [m/s] NED
    QUAT 6:10   q_ned_frd          RATE 10:13  [rad/s] FRD
    CHARGE 13   [C] drawn from the battery
    POLARISATION 14 [V], TEMPERATURE 15 [deg C] of the battery
    ROTOR 16:   [rad/s] rotor speeds, then [rad] deflections of the servos

Input ``u`` (n + m,) [-]: motors 0 idle to 1 full, NaN a stopped motor; servos -1 to 1, NaN is
neutral.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from airtwin_core.aircraft import Aircraft, Surface
from airtwin_core.types import Array
from airtwin_physics.battery import model as battery_model
from airtwin_physics.battery.model import CAPACITY_C, CAPACITY_SHARE, CELLS, RESISTANCE

__all__ = ["CAPACITY_C", "CAPACITY_SHARE", "CELLS", "RESISTANCE"]  # columns of Model.battery

POS, VEL, QUAT, RATE = slice(0, 3), slice(3, 6), slice(6, 10), slice(10, 13)
CHARGE, POLARISATION, TEMPERATURE, ROTOR = 13, 14, 15, 16

GRAVITY_M_S2 = 9.80665
AIR_DENSITY_KG_M3 = 1.225  # ISA at sea level
AMBIENT_C = 25.0  # where the battery's resistances are given

# columns of Model.body
MASS, CDA_X, CDA_Y, CDA_Z = 0, 1, 2, 3
FOOT_K, FOOT_C, FOOT_MU, REACH = 4, 5, 6, 7
AVIONICS_W, SPEED_PER_VOLT, GROUND_DOWN, SPIN_INERTIA, REST_PITCH = 8, 9, 10, 11, 12
N_BODY = 13

# columns of Model.rotors
RX, RY, RZ, AX, AY, AZ, TURN, K_THRUST, K_MOMENT, K_DRAG, K_ROLL, K_INFLOW = range(12)
K_INFLOW_2, TAU_UP, TAU_DOWN, SPEED_MIN, SPEED_MAX, RADIUS, K_POWER, EFFECT = range(12, 20)
N_ROTOR = 20

# columns of Model.surfaces: place, forward, normal, span axis (FRD), then numbers
SX, FX, NX, YX = 0, 3, 6, 9
AREA, CHORD, SPAN, INDUCED, LIFT_0, LIFT_SLOPE, DRAG_0, MOMENT_0 = range(12, 20)
STALL, SHARPNESS, PLATE, SERVO, GAIN, FLAP, FLAP_MOMENT, WASH_ROTOR, WASH = range(20, 29)
DOWNWASH, WING_STALL, WING_SHARPNESS = range(29, 32)  # the latter of the wing ahead
N_SURFACE = 32

# columns of Model.servos
LEAST, MOST, TAU_SERVO = range(3)
N_SERVO = 3

# columns of Model.feet
FOOT_ROLL, FOOT_SERVO = 3, 4  # friction along x; servo that steers it or -1
N_FOOT = 5


class Model(NamedTuple):
    """An aircraft for the kernels; a fleet has one more axis in front of each array.

    ``body`` (13,), ``inertia``, ``inertia_inverse`` (3, 3) [kg m^2] FRD, ``rotors`` (n, 20),
    ``feet`` (k, 5) [m] FRD, friction along x [-], servo: what touches the ground, ``battery``
    (12,) and ``ocv`` (m,) [V] of one cell as in airtwin_physics.battery, ``surfaces`` (s, 32),
    ``servos`` (m, 3). What a fault changes (mass, effectiveness, share of capacity) is changed
    here, in place.
    """

    body: Array
    inertia: Array
    inertia_inverse: Array
    rotors: Array
    feet: Array
    battery: Array
    ocv: Array
    surfaces: Array
    servos: Array


def pack(aircraft: Aircraft) -> Model:
    """Return the aircraft as arrays; its feet touch the ground at down 0 of its centre of mass."""
    ground = aircraft.ground
    # a tumbled aircraft lies on its rotor hubs, and they do not roll
    feet = np.zeros((aircraft.feet_frd_m.shape[0] + aircraft.rotor_count, N_FOOT))
    feet[:, :3] = np.vstack((aircraft.feet_frd_m, aircraft.rotor_positions_frd_m))
    feet[:, FOOT_ROLL] = ground.friction
    feet[: aircraft.foot_rolls.size, FOOT_ROLL][aircraft.foot_rolls > 0] = ground.rolling_friction
    feet[:, FOOT_SERVO] = -1.0
    feet[: aircraft.foot_servos.size, FOOT_SERVO] = aircraft.foot_servos
    body = np.zeros(N_BODY)
    body[MASS] = aircraft.mass_kg
    body[CDA_X : CDA_Z + 1] = aircraft.drag_area_frd_m2
    body[FOOT_K] = ground.stiffness_n_m
    body[FOOT_C] = ground.damping_n_s_m
    body[FOOT_MU] = ground.friction
    body[REACH] = np.max(np.linalg.norm(feet[:, :3], axis=1))
    body[AVIONICS_W] = aircraft.battery.avionics_w
    body[SPEED_PER_VOLT] = aircraft.battery.speed_per_volt_rad_s_v
    body[REST_PITCH] = ground.rest_pitch_rad
    body[GROUND_DOWN] = np.max(_down(aircraft.feet_frd_m, ground.rest_pitch_rad))
    body[SPIN_INERTIA] = aircraft.rotor_inertia_kg_m2
    rotors = np.zeros((aircraft.rotor_count, N_ROTOR))
    rotors[:, RX : RZ + 1] = aircraft.rotor_positions_frd_m
    rotors[:, AX : AZ + 1] = aircraft.rotor_axes_frd
    rotors[:, TURN] = aircraft.rotor_turns
    rotors[:, EFFECT] = aircraft.rotor_effectiveness
    for i, row in enumerate(rotors):
        rotor = aircraft.rotor(i)
        row[K_THRUST] = rotor.thrust_n_s2
        row[K_MOMENT] = rotor.moment_m
        row[K_DRAG] = rotor.drag_n_s2_m
        row[K_ROLL] = rotor.rolling_moment_n_s2
        row[K_INFLOW] = rotor.inflow_n_s2_m
        row[K_INFLOW_2] = rotor.inflow_square_n_s2_m2
        row[TAU_UP] = rotor.time_constant_up_s
        row[TAU_DOWN] = rotor.time_constant_down_s
        row[SPEED_MIN] = rotor.speed_min_rad_s
        row[SPEED_MAX] = rotor.speed_max_rad_s
        row[RADIUS] = rotor.radius_m
        row[K_POWER] = rotor.power_w_s3
    battery, ocv = battery_model.pack(aircraft.battery)
    inertia = np.ascontiguousarray(aircraft.inertia_frd_kg_m2)
    servos = [(s.least_rad, s.most_rad, s.time_constant_s) for s in aircraft.servos]
    return Model(
        body,
        inertia,
        np.ascontiguousarray(np.linalg.inv(inertia)),
        rotors,
        feet,
        battery,
        ocv,
        np.array([_surface(s, aircraft) for s in aircraft.surfaces]).reshape(-1, N_SURFACE),
        np.array(servos, dtype=np.float64).reshape(-1, N_SERVO),
    )


def _down(places_frd_m: Array, pitch_rad: float) -> Array:
    """Return how far down places (k, 3) FRD lie [m] when the aircraft is pitched up."""
    down: Array = places_frd_m[:, 2] * np.cos(pitch_rad) - places_frd_m[:, 0] * np.sin(pitch_rad)
    return down


def _surface(surface: Surface, aircraft: Aircraft) -> Array:
    row = np.zeros(N_SURFACE)
    row[SX : SX + 3] = surface.place_frd_m
    row[FX : FX + 3] = surface.forward_frd
    row[NX : NX + 3] = surface.normal_frd
    row[YX : YX + 3] = np.cross(surface.forward_frd, surface.normal_frd)
    row[AREA], row[CHORD], row[SPAN] = surface.area_m2, surface.chord_m, surface.span_m
    row[INDUCED] = 1.0 / (np.pi * surface.oswald * surface.aspect_ratio)
    row[LIFT_0], row[LIFT_SLOPE] = surface.lift_0, surface.lift_slope
    row[DRAG_0], row[MOMENT_0] = surface.drag_0, surface.moment_0
    row[STALL], row[SHARPNESS] = surface.stall_rad, surface.stall_sharpness
    row[PLATE] = 0.41 * (1.0 - np.exp(-17.0 / surface.aspect_ratio))
    row[SERVO], row[GAIN], row[FLAP] = surface.servo, surface.gain, surface.flap
    row[FLAP_MOMENT] = surface.flap_moment
    row[WASH_ROTOR], row[WASH] = surface.wash_rotor, surface.wash
    if surface.downwash_of >= 0:
        wing = aircraft.surfaces[surface.downwash_of]
        row[DOWNWASH] = surface.downwash
        row[WING_STALL], row[WING_SHARPNESS] = wing.stall_rad, wing.stall_sharpness
    return row


def stack(models: list[Model]) -> Model:
    """Return a fleet of aircraft with equal numbers of rotors, feet, surfaces and servos."""
    return Model(*(np.ascontiguousarray(np.stack(arrays)) for arrays in zip(*models, strict=True)))


@numba.njit(cache=True)
def member(fleet: Model, i: int) -> Model:
    """Return aircraft ``i`` of a stacked fleet; its arrays are views."""
    return Model(
        fleet.body[i],
        fleet.inertia[i],
        fleet.inertia_inverse[i],
        fleet.rotors[i],
        fleet.feet[i],
        fleet.battery[i],
        fleet.ocv[i],
        fleet.surfaces[i],
        fleet.servos[i],
    )


def at_rest(model: Model, *, charge: float = 1.0, yaw_rad: float = 0.0) -> Array:
    """Return the state of one aircraft on the ground, ``charge`` 0 to 1 of its capacity left."""
    x = np.zeros(ROTOR + model.rotors.shape[0] + model.servos.shape[0])
    half_pitch, half_yaw = 0.5 * model.body[REST_PITCH], 0.5 * yaw_rad
    x[6], x[7] = np.cos(half_yaw) * np.cos(half_pitch), -np.sin(half_yaw) * np.sin(half_pitch)
    x[8], x[9] = np.cos(half_yaw) * np.sin(half_pitch), np.sin(half_yaw) * np.cos(half_pitch)
    x[CHARGE] = (1.0 - charge) * model.battery[CAPACITY_C]
    x[TEMPERATURE] = AMBIENT_C
    down = _down(model.feet[:, :3], model.body[REST_PITCH])
    standing = np.sum(down > model.body[GROUND_DOWN] - 1e-6)
    # the springs carry it from now on
    x[2] = model.body[MASS] * GRAVITY_M_S2 / (standing * model.body[FOOT_K])
    return x
