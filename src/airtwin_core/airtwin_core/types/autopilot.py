# SPDX-License-Identifier: Apache-2.0
"""What the autopilot believes, and what a simulator knows."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airtwin_core.types.base import Array, Origin


@dataclass(frozen=True, slots=True)
class Attitude:
    """PX4's attitude (4,) and the count of its resets."""

    stamp_ns: int
    received_ns: int
    q_ned_frd: Array
    reset_counter: int


@dataclass(frozen=True, slots=True)
class LocalPosition:
    """PX4's position (3,) [m] and velocity (3,) [m/s], NED around ``origin`` (None: no origin).

    ``eph_m``, ``epv_m``, ``evh_m_s``, ``evv_m_s``: PX4's own one-sigma claims, NaN if unknown.
    A counter that changed says that PX4 moved its estimate; the ``delta`` beside it by how much.
    """

    stamp_ns: int
    received_ns: int
    position_ned_m: Array
    velocity_ned_m_s: Array
    heading_rad: float
    xy_valid: bool
    z_valid: bool
    v_xy_valid: bool
    v_z_valid: bool
    origin: Origin | None
    eph_m: float
    epv_m: float
    evh_m_s: float
    evv_m_s: float
    dead_reckoning: bool
    xy_reset_counter: int
    z_reset_counter: int
    vxy_reset_counter: int
    vz_reset_counter: int
    heading_reset_counter: int
    delta_xy_m: Array
    delta_z_m: float
    delta_heading_rad: float


@dataclass(frozen=True, slots=True)
class Odometry:
    """PX4's ``vehicle_odometry``: pose and twist with variances (NaN where PX4 gives none)."""

    stamp_ns: int
    received_ns: int
    position_ned_m: Array
    velocity_ned_m_s: Array
    q_ned_frd: Array
    rate_frd_rad_s: Array
    position_variance_m2: Array
    velocity_variance_m2_s2: Array
    orientation_variance_rad2: Array
    reset_counter: int


class NavState(enum.IntEnum):
    """PX4's navigation states that AirTwin names; any other value is kept as a plain int."""

    MANUAL = 0
    ALTCTL = 1
    POSCTL = 2
    MISSION = 3
    LOITER = 4
    RTL = 5
    ACRO = 10
    DESCEND = 12
    TERMINATION = 13
    OFFBOARD = 14
    STABILIZED = 15
    TAKEOFF = 17
    LAND = 18


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """Arming, mode and failsafe. ``vehicle_type``: PX4's (1 rotary, 2 fixed wing, 3 rover)."""

    stamp_ns: int
    received_ns: int
    armed: bool
    nav_state: int
    failsafe: bool
    vehicle_type: int
    is_vtol: bool
    in_transition: bool
    system_id: int
    preflight_checks_pass: bool


@dataclass(frozen=True, slots=True)
class VtolState:
    """Phase of a VTOL: PX4's (1 transition to wing, 2 back, 3 rotors, 4 wing), and its alarm."""

    stamp_ns: int
    received_ns: int
    state: int
    fixed_wing_failure: bool


@dataclass(frozen=True, slots=True)
class LandDetected:
    """PX4's land detector."""

    stamp_ns: int
    received_ns: int
    landed: bool
    maybe_landed: bool
    ground_contact: bool
    freefall: bool


@dataclass(frozen=True, slots=True)
class Battery:
    """Voltage [V], current [A], remaining 0 to 1, temperature [deg C]; NaN where not measured.

    ``warning``: PX4's.
    """

    stamp_ns: int
    received_ns: int
    voltage_v: float
    current_a: float
    remaining: float
    warning: int
    temperature_c: float = float("nan")


@dataclass(frozen=True, slots=True)
class EstimatorFlags:
    """What PX4's EKF2 says that it fuses and mistrusts."""

    stamp_ns: int
    received_ns: int
    gnss_position: bool
    gnss_velocity: bool
    baro_height: bool
    gnss_height: bool
    baro_fault: bool
    gnss_fault: bool
    mag_fault: bool
    in_air: bool
    inertial_dead_reckoning: bool


@dataclass(frozen=True, slots=True)
class Timesync:
    """PX4's view of the clock offset to the agent [ns] and the round trip [s]."""

    stamp_ns: int
    received_ns: int
    estimated_offset_ns: int
    round_trip_s: float


@dataclass(frozen=True, slots=True)
class HomePosition:
    """Where return goes."""

    stamp_ns: int
    received_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float


@dataclass(frozen=True, slots=True)
class CommandAck:
    """PX4's answer to a vehicle command. ``result``: 0 accepted, 1 temporarily rejected, ..."""

    stamp_ns: int
    received_ns: int
    command: int
    result: int


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Where a simulator says the aircraft really was; None where the log has no such topic."""

    stamp_ns: int
    received_ns: int
    position_ned_m: Array | None
    velocity_ned_m_s: Array | None
    q_ned_frd: Array | None
    origin: Origin | None
