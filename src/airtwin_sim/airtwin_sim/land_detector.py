# SPDX-License-Identifier: Apache-2.0
"""PX4's multirotor land detector: ground contact, maybe landed, landed, a third of a second each.

Conditions after PX4 v1.18, MulticopterLandDetector, without a range finder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airtwin_physics.control.px4_params import Px4Params

STAGE_S = 1.0 / 3.0
FREEFALL_S = 0.3
LANDED_FACTOR = 2.5  # thresholds are wider once landed


@dataclass(frozen=True, slots=True)
class Motion:
    """What the detector looks at; thrust is PX4's normalised one, 0 to 1, upwards."""

    armed: bool
    thrust: float
    hover_thrust: float
    hover_known: bool
    climb_rate_controlled: bool
    descent_wanted_m_s: float  # NaN: no vertical speed is asked for
    speed_horizontal_m_s: float
    speed_vertical_m_s: float
    rate_horizontal_rad_s: float
    specific_force_m_s2: float
    velocity_valid: bool


@dataclass(slots=True)
class _Stage:
    """A state that turns true only after its condition has held for ``delay_s``."""

    delay_s: float
    state: bool = True
    since_s: float | None = None

    def update(self, wanted: bool, now_s: float) -> bool:
        if not wanted:
            self.state, self.since_s = False, None
        elif not self.state:
            self.since_s = now_s if self.since_s is None else self.since_s
            self.state = now_s - self.since_s >= self.delay_s
        return self.state


class LandDetector:
    """The flags of PX4's VehicleLandDetected."""

    def __init__(self, params: Px4Params) -> None:
        self._params = params
        self._contact, self._maybe, self._landed = (_Stage(STAGE_S) for _ in range(3))
        self._freefall = _Stage(FREEFALL_S, state=False)
        self.in_descend = False
        self.has_low_throttle = True
        self.vertical_movement = self.horizontal_movement = self.rotational_movement = False

    @property
    def landed(self) -> bool:
        """Return the last stage."""
        return self._landed.state

    @property
    def maybe_landed(self) -> bool:
        """Return the stage before."""
        return self._maybe.state

    @property
    def ground_contact(self) -> bool:
        """Return the first stage."""
        return self._contact.state

    @property
    def freefall(self) -> bool:
        """Return whether the aircraft has weighed nothing for 0.3 s."""
        return self._freefall.state

    def update(self, now_s: float, motion: Motion) -> None:
        """Look once, at some 50 Hz."""
        p = self._params
        wide = LANDED_FACTOR if self.landed else 1.0
        self.vertical_movement = not (
            motion.velocity_valid and abs(motion.speed_vertical_m_s) < p.lndmc_z_vel_max * wide
        )
        self.horizontal_movement = motion.speed_horizontal_m_s > p.lndmc_xy_vel_max
        self.rotational_movement = (
            motion.rate_horizontal_rad_s > np.radians(p.lndmc_rot_max) * wide
        )
        span = motion.hover_thrust - p.mpc_thr_min
        low = p.mpc_thr_min + span * (0.6 if motion.hover_known else 0.3)
        self.has_low_throttle = motion.thrust <= low
        contact = self.has_low_throttle
        self.in_descend = False
        if motion.climb_rate_controlled:
            self.in_descend = motion.descent_wanted_m_s >= 1.1 * p.lndmc_z_vel_max
            if not self.maybe_landed and not self.landed:
                contact = contact and self.in_descend
        contact = contact and not self.horizontal_movement and not self.vertical_movement
        self._freefall.update(motion.armed and motion.specific_force_m_s2 < 2.0, now_s)
        least = p.mpc_thr_min + 0.1 * span
        quiet = motion.thrust <= least and not self.freefall and not self.rotational_movement
        if not motion.armed:
            contact = quiet = True
        on_ground = self._contact.update(contact, now_s) or not motion.armed
        maybe = self._maybe.update(on_ground and quiet, now_s)
        self._landed.update(maybe or not motion.armed, now_s)
        if not motion.armed:
            self._contact.state = self._maybe.state = self._landed.state = True
