# SPDX-License-Identifier: Apache-2.0
"""The one vocabulary: what an aircraft's topics say, and what its twin believes.

Every value is frozen and carries two times, both int64 nanoseconds:

* ``stamp_ns``: when the vehicle says that it was true (PX4's ``timestamp_sample``), vehicle clock;
* ``received_ns``: when the twin got it, clock of the twin (a log's time in replay).

Frames: local NED around ``Origin``; body FRD; ``q_ned_frd`` is Hamilton, w first, and turns FRD
into NED. SI units, angles in radians, geographic coordinates in degrees. Arrays are float64.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where local NED is zero. Altitude [m] AMSL as the vehicle's GNSS reports it."""

    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float


# --- what the sensors say ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imu:
    """Averages over ``dt_s``: angular rate (3,) [rad/s] FRD, specific force (3,) [m/s^2] FRD."""

    stamp_ns: int
    received_ns: int
    rate_frd_rad_s: Array
    specific_force_frd_m_s2: Array
    dt_s: float
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class GnssFix:
    """One GNSS solution. ``velocity_ned_m_s`` is None where the receiver gives none.

    ``fix_type``: PX4's (1 none, 2 2D, 3 3D, 4 DGPS, 5 RTK float, 6 RTK fixed). ``eph_m``,
    ``epv_m``, ``speed_accuracy_m_s``: one standard deviation as the receiver claims it.
    """

    stamp_ns: int
    received_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float
    velocity_ned_m_s: Array | None
    eph_m: float
    epv_m: float
    speed_accuracy_m_s: float
    fix_type: int
    satellites: int


@dataclass(frozen=True, slots=True)
class Barometer:
    """Pressure altitude [m] of the standard atmosphere; its zero wanders with the weather."""

    stamp_ns: int
    received_ns: int
    altitude_m: float


@dataclass(frozen=True, slots=True)
class Magnetometer:
    """Earth field (3,) [gauss] FRD, calibrated by the vehicle."""

    stamp_ns: int
    received_ns: int
    field_frd_gauss: Array


@dataclass(frozen=True, slots=True)
class Airspeed:
    """True airspeed [m/s]; NaN where the vehicle has none."""

    stamp_ns: int
    received_ns: int
    true_airspeed_m_s: float


@dataclass(frozen=True, slots=True)
class MotorCommands:
    """Commanded thrust of each motor (n,), 0 to 1; NaN for a motor that does not exist."""

    stamp_ns: int
    received_ns: int
    control: Array


# --- what the autopilot believes ---------------------------------------------------------------


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
    """Voltage [V], current [A], remaining 0 to 1; NaN where not measured. ``warning``: PX4's."""

    stamp_ns: int
    received_ns: int
    voltage_v: float
    current_a: float
    remaining: float
    warning: int


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


Sample = (
    Imu
    | GnssFix
    | Barometer
    | Magnetometer
    | Airspeed
    | MotorCommands
    | Attitude
    | LocalPosition
    | Odometry
    | VehicleStatus
    | VtolState
    | LandDetected
    | Battery
    | EstimatorFlags
    | Timesync
    | HomePosition
    | CommandAck
    | GroundTruth
)


# --- what the twin believes --------------------------------------------------------------------

POS, VEL, ATT = slice(0, 3), slice(3, 6), slice(6, 9)
GYRO_BIAS, ACCEL_BIAS = slice(9, 12), slice(12, 15)
N_ERROR = 15


@dataclass(frozen=True, slots=True)
class Fusion:
    """How one source fares in the estimator since the start of the flight.

    ``rejected`` maps cause to count; ``nis`` is the last normalised innovation squared [-] of
    ``nis_dof`` degrees of freedom, ``innovation`` (n,) the last innovation in the source's unit;
    ``used_stamp_ns`` the stamp of the last one fused (0: never).
    """

    source: str
    used: int
    rejected: dict[str, int]
    nis: float
    nis_dof: int
    innovation: Array
    used_stamp_ns: int


@dataclass(frozen=True, slots=True)
class TwinState:
    """The physical model's belief: nominal state, covariance of its error, and its evidence.

    ``covariance``: (15, 15), order POS, VEL, ATT, GYRO_BIAS, ACCEL_BIAS; the attitude error is a
    rotation vector [rad] in FRD: ``R_ned_frd_true = R_ned_frd @ exp(skew(error))``.
    ``*_valid`` is true only while a source that can observe the quantity has been fused lately.
    """

    stamp_ns: int
    received_ns: int
    position_ned_m: Array
    velocity_ned_m_s: Array
    q_ned_frd: Array
    rate_frd_rad_s: Array
    acceleration_ned_m_s2: Array
    gyro_bias_frd_rad_s: Array
    accel_bias_frd_m_s2: Array
    covariance: Array
    origin: Origin | None
    aligned: bool
    horizontal_valid: bool
    vertical_valid: bool
    velocity_valid: bool
    heading_valid: bool
    fusions: tuple[Fusion, ...] = ()


class Phase(enum.Enum):
    """What the behavioural model believes the aircraft is doing."""

    IDLE = "idle"
    ARMING = "arming"
    TAKEOFF = "takeoff"
    ENROUTE = "enroute"
    HOLD = "hold"
    RETURN = "return"
    LAND = "land"
    DONE = "done"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class MissionBelief:
    """The behavioural model's belief: phase, leg, progress 0 to 1, where it wants to be."""

    stamp_ns: int
    received_ns: int
    phase: Phase
    leg: int
    legs: int
    progress: float
    target_ned_m: Array | None
    eta_s: float
    reason: str


# --- what the monitor says ---------------------------------------------------------------------


class Verdict(enum.IntEnum):
    """UNKNOWN is not CONSISTENT: without evidence nothing passes."""

    UNKNOWN = 0
    CONSISTENT = 1
    INCONSISTENT = 2


@dataclass(frozen=True, slots=True)
class ContextFactor:
    """(name, value, variance or symbol, time, source): one side of a comparison.

    ``source``: "physical" (the aircraft), "sensor" (raw) or "virtual" (the twin). Numbers go in
    ``value`` and ``variance`` (n,), unit in ``unit``; a discrete factor has a ``symbol``.
    """

    name: str
    source: str
    stamp_ns: int
    value: Array
    variance: Array
    unit: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement judged once. ``passed`` is ``statistic <= limit``: NaN never passes."""

    requirement: str
    factor: str
    statistic: float
    limit: float
    verdict: Verdict
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A time in which one factor disagreed. ``end_ns`` is None while it lasts."""

    id: str
    factor: str
    requirement: str
    start_ns: int
    end_ns: int | None
    cause: str
    statistic: float
    limit: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks at one instant, the factors that they compared, the deviations now open."""

    stamp_ns: int
    verdict: Verdict
    checks: tuple[Check, ...]
    factors: tuple[ContextFactor, ...]
    open_deviations: tuple[Deviation, ...] = field(default=())


# --- what the airspace says --------------------------------------------------------------------


class AdvisoryAction(enum.IntEnum):
    """What the airspace manager asks of one aircraft; the newest holds until the next."""

    CLEAR = 0
    HOLD = 1
    RETURN = 2
    LAND = 3


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advice. ``time_to_s`` to the loss of separation or zone entry, ``distance_m`` the
    predicted least horizontal distance; NaN where there is none. ``kind``: traffic, zone, clear.
    """

    vehicle: str
    action: AdvisoryAction
    kind: str
    other: str
    time_to_s: float
    distance_m: float
    reason: str
