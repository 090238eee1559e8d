# SPDX-License-Identifier: Apache-2.0
"""What the airspace manager goes by; also the parameters of its node."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Minima between aircraft, margins around zones, times.

    No rule of the air gives minima between small unmanned aircraft; these are chosen for
    multicopters of 1 to 5 kg at up to 10 m/s. 20 m: both stop from 5 m/s in 10 m (``stop_s``) and
    twice that is left for the link's and the mission's delay. 8 m: two barometric heights may
    drift apart by 2 to 3 m each. 12 s: 2 s to stop, 4 s to obey, and as much again to see
    whether it does. Whoever flies faster or heavier states larger ones.

    Raises:
        ValueError: one is not finite or negative, or the release margin is below one.
    """

    horizontal_m: float = 20.0  # [m] least horizontal distance between two flying aircraft
    vertical_m: float = 8.0  # [m] least vertical distance
    ground_horizontal_m: float = 5.0  # [m] the same to an aircraft that stands on the ground
    ground_vertical_m: float = 3.0  # [m] the same, vertical
    look_ahead_s: float = 12.0  # [s] how far a loss of separation is looked for
    sigma_k: float = 2.0  # [-] standard deviations of position added to minima and margins
    zone_horizontal_m: float = 5.0  # [m] margin around zones
    zone_vertical_m: float = 3.0  # [m] margin above and below zones
    zone_look_ahead_s: float = 6.0  # [s] how far a zone entry is looked for
    track_age_max_s: float = 1.0  # [s] an older track is unknown
    belief_age_max_s: float = 1.0  # [s] what a mission said longer ago counts no more (10 Hz)
    stale_growth_m_s: float = 5.0  # [m/s] an unknown aircraft may be so much farther each second
    stale_max_m: float = 300.0  # [m] at most
    confirm_s: float = 0.3  # [s] a distant conflict must last before somebody holds
    stop_s: float = 2.0  # [s] an aircraft needs to stop
    obey_s: float = 4.0  # [s] after that a holding aircraft that still moves is reckoned to move
    release_margin: float = 1.3  # [-] minima and look-ahead times this before one is let go
    release_s: float = 2.0  # [s] nothing must be in the way before one is let go
    cruise_m_s: float = 5.0  # [m/s] speed at which a holding aircraft is expected to go on
    patience_s: float = 8.0  # [s] one that waits for what does not move is sent back

    def __post_init__(self) -> None:
        for item in fields(Limits):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{item.name} is {value}, expected a finite number >= 0")
        for name in (
            "horizontal_m",
            "vertical_m",
            "ground_horizontal_m",
            "ground_vertical_m",
            "look_ahead_s",
        ):
            if getattr(self, name) == 0.0:
                raise ValueError(f"{name} is 0")
        if self.release_margin < 1.0:
            raise ValueError(f"release_margin is {self.release_margin}, expected >= 1")
