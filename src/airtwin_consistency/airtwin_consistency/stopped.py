# SPDX-License-Identifier: Apache-2.0
"""Which motors did PX4 stop in flight? Part of CON-ACT-1.

PX4 commands NaN to a motor that shall not turn. In flight on rotors it does so to one that its
failure detector found dead (``CA_FAILURE_MODE`` 1, ``ControlAllocator::handle_stopped_motors``)
and flies on with the others. All motors stopped together are a landing or a kill switch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NS = 1_000_000_000
_STOPPED_S = 0.1  # ten commands at PX4's 100 Hz and more: no single broken message


class Stopped:
    """Follows which of the motors that carried the aircraft are commanded no longer."""

    def __init__(self) -> None:
        self._ran: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._motors: tuple[int, ...] = ()
        self._newest_ns = 0
        self.since_ns = 0
        """When the first of them was stopped, vehicle clock."""

    def on_commands(
        self, running: npt.NDArray[np.int64], stamp_ns: int, *, flying: bool | None
    ) -> None:
        """Take the indices of the motors that are commanded, and whether rotors carry it."""
        if not flying:
            self._ran, self._motors = running[:0], ()
            return
        self._ran = np.union1d(self._ran, running)
        stopped = np.setdiff1d(self._ran, running) if running.size else running
        if stopped.size and not self._motors:
            self.since_ns = stamp_ns
        self._motors = tuple(int(i) for i in stopped)
        self._newest_ns = stamp_ns

    @property
    def motors(self) -> tuple[int, ...]:
        """Indices of the motors stopped while others turn, for long enough; mostly empty."""
        long = self._newest_ns - self.since_ns >= _STOPPED_S * _NS
        return self._motors if long else ()
