# SPDX-License-Identifier: Apache-2.0
"""What the twin believes.

What is made with every published state is a named tuple, the rest are frozen dataclasses: making
one of those takes three times as long, and ``TwinState`` was a tenth of a step of the filter.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from airtwin_core.types.base import Array, Origin

POS, VEL, ATT = slice(0, 3), slice(3, 6), slice(6, 9)
GYRO_BIAS, ACCEL_BIAS = slice(9, 12), slice(12, 15)
N_ERROR = 15


class Fusion(NamedTuple):
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


class Health(enum.IntEnum):
    """How a sensor fares: what the estimator makes of it at this instant."""

    MISSING = 0  # never seen, or silent for too long
    GOOD = 1
    NOISY = 2  # its innovations are larger than it claims; fused with the noise that they show
    REJECTED = 3  # its gate is shut
    STUCK = 4  # it repeats itself to the bit
    RECOVERED = 5  # taken at its word again after its gate was shut for long; lately


class SensorHealth(NamedTuple):
    """Health of one source of ``Fusion``. ``noise_factor``: measured over claimed sigma [-]."""

    source: str
    health: Health
    noise_factor: float


class WindEstimate(NamedTuple):
    """Horizontal wind (2,) [m/s] NE now, where the air goes to, and its covariance (2, 2).

    ``mean_*``: likewise without the gust of this moment, None where nobody told them apart.

    ``valid``: something that observes the wind (drag, airspeed) was fused lately and the
    covariance is small enough to speak of a wind.
    """

    velocity_ne_m_s: Array
    covariance: Array
    valid: bool
    mean_ne_m_s: Array | None = None
    mean_covariance: Array | None = None


class TwinState(NamedTuple):
    """The physical model's belief: nominal state, covariance of its error, and its evidence.

    ``covariance``: (15, 15), order POS, VEL, ATT, GYRO_BIAS, ACCEL_BIAS; the attitude error is a
    rotation vector [rad] in FRD: ``R_ned_frd_true = R_ned_frd @ exp(skew(error))``.
    ``*_valid`` is true only while a source that can observe the quantity has been fused lately.
    ``notice``: what the filter did of its own accord lately that a person should know, "" if
    nothing: a reset after a shut gate, dead reckoning by the model, a state lost.
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
    wind: WindEstimate | None = None
    health: tuple[SensorHealth, ...] = ()
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One slow property of the aircraft as identified in flight.

    ``prior``: value of the aircraft file. ``known``: this flight has told it (``sigma`` is well
    below the prior's); else ``why`` says what would have to be flown or measured.
    """

    name: str
    unit: str
    value: float
    sigma: float
    prior: float
    known: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Identification:
    """All parameters of one aircraft. ``suspect``: rotor, counted from 0, found weak; else -1."""

    stamp_ns: int
    received_ns: int
    parameters: tuple[Parameter, ...]
    suspect: int = -1


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
