# SPDX-License-Identifier: Apache-2.0
"""The newest of everything that the checks look at, and what follows from it directly."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from airtwin_consistency.detectors import Rate
from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    Battery,
    EstimatorFlags,
    GnssFix,
    Imu,
    LandDetected,
    LocalPosition,
    Sample,
    Timesync,
    TwinState,
    VehicleStatus,
    VtolState,
)

_NS = 1_000_000_000
_TWIN_STATES = 40  # 0.8 s at 50 Hz: PX4's samples lag by up to 0.2 s
_ROTARY, _WING = 1, 2  # PX4's vehicle_type
_SILENCE_S = 0.5  # no sample of any kind for so long: the link's fault, not a sensor's
_VTOL_ROTORS = 3  # PX4's vehicle_vtol_state: rotor flight
_AHEAD_S = 0.5  # the nodes' clocks part by less; a sample further ahead is of another clock
_WORDS = (VehicleStatus, LandDetected, Battery, LocalPosition)
_WORD_AGE_S, _WORD_PERIODS, _LEARN = 5.0, 5.0, 10


@dataclass(slots=True)
class Evidence:
    """A cache; every field is None until the first sample of its kind."""

    imu: Imu | None = None
    gnss: GnssFix | None = None
    barometer: Barometer | None = None
    airspeed: Airspeed | None = None
    attitude: Attitude | None = None
    position: LocalPosition | None = None
    status: VehicleStatus | None = None
    vtol: VtolState | None = None
    landed: LandDetected | None = None
    battery: Battery | None = None
    flags: EstimatorFlags | None = None
    timesync: Timesync | None = None
    twins: deque[TwinState] = field(default_factory=lambda: deque(maxlen=_TWIN_STATES))
    newest: Sample | None = None
    resumed_ns: int = 0  # arrival of the first sample after nothing at all was heard
    rates: dict[type, Rate] = field(default_factory=lambda: {k: Rate(_LEARN) for k in _WORDS})

    def hear(self, sample: Sample) -> None:
        """Note that the aircraft talks."""
        newest = self.newest
        if newest is None or sample.received_ns - newest.received_ns > _SILENCE_S * _NS:
            self.resumed_ns = sample.received_ns
        self.newest = sample
        rate = self.rates.get(type(sample))
        if rate is not None:
            rate.on(sample.received_ns)

    def current(
        self, sample: VehicleStatus | LandDetected | Battery | LocalPosition | None, now_ns: int
    ) -> bool:
        """Return whether the vehicle's last word on this still counts.

        Such topics come seldom, some only on change: 5 s, or 5 periods of their own, is silence.
        """
        if sample is None:
            return False
        return age_s(sample, now_ns) <= self.rates[type(sample)].limit_s(
            _WORD_AGE_S, _WORD_PERIODS
        )

    def heard_s(self, now_ns: int) -> float:
        """Return for how long the aircraft has talked without a break [s]; 0 in a break."""
        newest = self.newest
        if newest is None or now_ns - newest.received_ns > _SILENCE_S * _NS:
            return 0.0
        return (now_ns - self.resumed_ns) / _NS

    @property
    def twin(self) -> TwinState | None:
        """Return the twin's newest state."""
        return self.twins[-1] if self.twins else None

    def twin_at(self, stamp_ns: int, skew_s: float) -> TwinState | None:
        """Return the twin's state nearest in vehicle time, None if none is within ``skew_s``."""
        best: TwinState | None = None
        least = int(skew_s * _NS) + 1
        for state in self.twins:
            distance = abs(state.stamp_ns - stamp_ns)
            if distance < least:
                best, least = state, distance
        return best

    def vehicle_ns(self, now_ns: int) -> int:
        """Return the vehicle's clock at ``now_ns`` of the twin's clock, by the newest sample."""
        if self.newest is None:
            return now_ns
        return self.newest.stamp_ns + (now_ns - self.newest.received_ns)

    @property
    def armed(self) -> bool | None:
        """Return whether the vehicle says it is armed; None if it has not said."""
        return None if self.status is None else self.status.armed

    @property
    def flying(self) -> bool | None:
        """Return whether the vehicle says it is in the air; None if it has not said."""
        if self.landed is not None:
            in_air = not self.landed.landed
        elif self.flags is not None:
            in_air = self.flags.in_air
        else:
            return None
        return in_air and self.armed is not False

    @property
    def wing_flight(self) -> bool:
        """Return whether a wing carries the aircraft, wholly or in part."""
        if self.vtol is not None and self.vtol.state not in (0, _VTOL_ROTORS):
            return True
        status = self.status
        return status is not None and (status.vehicle_type == _WING or status.in_transition)

    @property
    def rotor_flight(self) -> bool:
        """Return whether rotors alone carry the aircraft, as far as the vehicle says."""
        status = self.status
        return status is not None and status.vehicle_type == _ROTARY and not self.wing_flight


def age_s(sample: Sample | TwinState | None, now_ns: int) -> float:
    """Return the time since the sample arrived [s]; infinite if there is none of this clock."""
    if sample is None:
        return float("inf")
    age = (now_ns - sample.received_ns) / _NS
    return age if age >= -_AHEAD_S else float("inf")
