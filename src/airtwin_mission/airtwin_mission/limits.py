# SPDX-License-Identifier: Apache-2.0
"""Every threshold of the mission executor and of its PX4 adapter; also parameters of the node."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

SPEED_MAX_M_S = 30.0
"""Fastest that any setpoint may be; not a parameter."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast to fly, how long to wait, and what to do when twin and aircraft disagree."""

    # Flying. Horizontal speed of missions that give none: MPC_XY_CRUISE of PX4.
    cruise_m_s: float = 5.0  # [m/s]
    climb_m_s: float = 2.0  # [m/s]
    descend_m_s: float = 1.5  # [m/s] between waypoints; PX4 lands at its own speed
    acceleration_m_s2: float = 1.5  # [m/s^2] of the moving setpoint
    brake_m_s2: float = 3.0  # [m/s^2] when told to hold; MPC_ACC_HOR of PX4
    yaw_rate_rad_s: float = 0.8  # [rad/s] of the heading setpoint
    lead_m: float = 4.0  # [m] the setpoint waits when the aircraft falls this far behind
    acceptance_m: float = 1.5  # [m] horizontal distance at which a waypoint is reached
    acceptance_height_m: float = 1.0  # [m]
    acceptance_pad_m: float = 0.5  # [m] horizontal distance to a landing place before landing
    # Talking to PX4.
    lead_in_s: float = 1.2  # [s] of setpoints before the mode switch; PX4 wants more than 1
    ack_timeout_s: float = 1.0  # [s] until a command is sent again
    tries: int = 5  # of one command
    preflight_wait_s: float = 30.0  # [s] for PX4's preflight checks to pass
    stale_s: float = 1.5  # [s] a position older than this is none
    silent_s: float = 3.0  # [s] without vehicle_status (2 Hz): link lost
    # Inconsistency: the factors of the consistency report that end the mission, and how.
    inconsistent_s: float = 2.0  # [s] a factor must disagree without a break
    return_factors: tuple[str, ...] = (
        "velocity",
        "tilt",
        "attitude",
        "height",
        "barometer",
        "actuation",
    )
    # Return would trust the position that is in doubt.
    land_factors: tuple[str, ...] = ("position", "gnss jump", "gnss drift")
    monitor_silent_s: float = 5.0  # [s] without a report, once there was one: hold
    # No take-off before these were heard. With monitor_required, also: hold in flight while the
    # reports have had no evidence on position or velocity for monitor_silent_s.
    monitor_required: bool = False
    airspace_required: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot be flown.

        Raises:
            ValueError: a limit is not positive, or the lead-in is too short for PX4.
        """
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, float) and not 0.0 < value < 1e6:
                raise ValueError(f"{spec.name} is {value}, must be positive")
        for name in ("cruise_m_s", "climb_m_s", "descend_m_s"):
            if getattr(self, name) > SPEED_MAX_M_S:
                raise ValueError(f"{name} is above the {SPEED_MAX_M_S:g} m/s that are sent")
        if self.lead_in_s <= 1.0:
            raise ValueError("lead_in_s must be above 1: PX4 refuses offboard before")
        if self.tries < 1:
            raise ValueError("tries must be at least 1")
        both = set(self.return_factors) & set(self.land_factors)
        if both:
            raise ValueError(f"{sorted(both)} in return_factors and in land_factors")
