# SPDX-License-Identifier: Apache-2.0
"""What PX4 says of the aircraft beside its estimate: whether it stands, and what carries it."""

from __future__ import annotations

from airtwin_core.types import LandDetected, VehicleStatus, VtolState
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.sensors.air import Flying

_ROTARY, _WING = 1, 2  # PX4's vehicle_type
_VTOL_ROTORS, _VTOL_WING = 3, 4  # PX4's vtol_state


class Autopilot:
    """Keeps PX4's last word on each; nothing of it is a measurement."""

    def __init__(self, config: EstimatorConfig) -> None:
        self._config = config
        self.start_over()

    def start_over(self) -> None:
        """Forget its words: they are of an autopilot that runs no more."""
        self._landed: bool | None = None
        self._status: VehicleStatus | None = None
        self._vtol_state = 0

    def on_land_detected(self, sample: LandDetected) -> None:
        """Take PX4's land detector; its first signs will do, since the IMU must be still too."""
        self._landed = sample.landed or sample.maybe_landed or sample.ground_contact

    def on_status(self, sample: VehicleStatus) -> None:
        """Take the vehicle's status: armed, and of which kind."""
        self._status = sample

    def on_vtol(self, sample: VtolState) -> None:
        """Take what a VTOL flies on."""
        self._vtol_state = sample.state

    @property
    def spoke(self) -> bool:
        """Whether it ever said if the aircraft stands."""
        return self._landed is not None or self._status is not None

    @property
    def on_ground(self) -> bool:
        """Whether it has nothing to say against being on the ground."""
        if self._landed is None:
            return self._status is None or not self._status.armed
        return self._landed

    @property
    def flying(self) -> Flying:
        """What carries the aircraft, as far as PX4 says."""
        status = self._status
        if not self._config.model_aiding or status is None or not status.armed:
            return Flying.NOTHING
        if self._landed is not False:
            return Flying.NOTHING
        if status.is_vtol:
            if self._vtol_state == _VTOL_ROTORS and not status.in_transition:
                return Flying.ROTORS
            wing = self._vtol_state == _VTOL_WING and not status.in_transition
            return Flying.WING if wing else Flying.NOTHING
        if status.vehicle_type == _ROTARY:
            return Flying.ROTORS
        return Flying.WING if status.vehicle_type == _WING else Flying.NOTHING
