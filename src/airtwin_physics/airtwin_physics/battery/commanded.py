# SPDX-License-Identifier: Apache-2.0
"""The power that motors are commanded to take, where no current is measured. Pure."""

from __future__ import annotations

import math

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.thrust_curve import signal
from airtwin_core.types import Array, MotorCommands

_COMMANDED_NS = 1_000_000_000  # motor commands older than this say nothing of the power drawn now


class CommandedPower:
    """What motors that do as commanded take, with the avionics; by the aircraft's file."""

    def __init__(self, aircraft: Aircraft) -> None:
        kinds = [aircraft.rotor(i) for i in range(aircraft.rotor_count)]
        self._least = np.array([kind.speed_min_rad_s for kind in kinds])
        self._most = np.array([kind.speed_max_rad_s for kind in kinds])
        self._cube = np.array([kind.power_w_s3 for kind in kinds])
        self._factor = aircraft.rotors.thrust_factor
        self._avionics_w = aircraft.battery.avionics_w
        self._sum_w, self._count, self._mean_w = 0.0, 0, math.nan
        self._newest_ns: int | None = None

    def on(self, sample: MotorCommands) -> None:
        """Take one command."""
        told = sample.thrust_factor
        power_w = self.of(signal(sample.control, self._factor if math.isnan(told) else told))
        if math.isfinite(power_w):
            self._sum_w += power_w
            self._count += 1
            self._newest_ns = sample.stamp_ns

    def of(self, control: Array) -> float:
        """Return the power [W] of steady signals (n,); NaN if they are not this aircraft's.

        A motor whose signal is NaN stands still.
        """
        n = self._cube.size
        if control.size < n or np.isfinite(control[n:]).any():
            return math.nan
        share = np.clip(control[:n], 0.0, 1.0)
        speed = np.nan_to_num(self._least + share * (self._most - self._least))
        return self._avionics_w + float(self._cube @ speed**3)

    def until(self, stamp_ns: int) -> float:
        """Return the mean power [W] since this was asked last; NaN without commands of late."""
        if self._newest_ns is None or abs(stamp_ns - self._newest_ns) > _COMMANDED_NS:
            return math.nan
        if self._count:
            self._mean_w = self._sum_w / self._count
            self._sum_w, self._count = 0.0, 0
        return self._mean_w
