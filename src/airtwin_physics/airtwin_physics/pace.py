# SPDX-License-Identifier: Apache-2.0
"""Does the twin keep up? What of the IMU never came, and how long it waited. Pure.

A node that is too slow, or whose machine is, reads the newest of each queue and loses the rest: it
never falls behind, the filter doubts what it missed, and here it is said. Where little waits
though much is lost, it was lost on its way, or too much came at once for the queue.
"""

from __future__ import annotations

from airtwin_core.types import Imu

_WINDOW_NS = 2_000_000_000
_MISSED = 1.5  # times the integration time: beyond that samples are missing
_LOST_MOST = 0.05  # [-] of the IMU's time; the filter bridges that much unnoticed
_WAIT_MOST_S = 0.2  # [s] PX4 has no use for odometry older than this
_HERE_S = 0.05  # [s] what was lost while others waited so long was lost in a queue of this machine


class Pace:
    """Give it each IMU sample when it is read; ``said`` is what is wrong, "" while it keeps up."""

    def __init__(self) -> None:
        self.said = ""
        self._before: Imu | None = None
        self._begin_ns: int | None = None
        self._lost_s = self._wait_s = 0.0

    def on(self, imu: Imu, now_ns: int) -> None:
        """Take one sample; now_ns: by the clock of ``received_ns``."""
        before, self._before = self._before, imu
        self._wait_s = max(self._wait_s, (now_ns - imu.received_ns) * 1e-9)
        if before is not None:
            # a clock that leaps makes no time pass, nor does a link that holds samples up
            stamped, arrived = imu.stamp_ns - before.stamp_ns, imu.received_ns - before.received_ns
            passed_s = min(stamped, arrived) * 1e-9
            if passed_s > _MISSED * imu.dt_s:
                self._lost_s += passed_s - imu.dt_s
        if self._begin_ns is None or now_ns < self._begin_ns:
            self._begin_ns = now_ns
        if now_ns - self._begin_ns < _WINDOW_NS:
            return
        self.said = self._judge((now_ns - self._begin_ns) * 1e-9)
        self._begin_ns = now_ns
        self._lost_s = self._wait_s = 0.0

    def _judge(self, over_s: float) -> str:
        lost = min(self._lost_s / over_s, 1.0)
        if lost <= _LOST_MOST and self._wait_s <= _WAIT_MOST_S:
            return ""
        words = f"some {max(round(10.0 * lost), 1)}0 % of the IMU's time are lost"
        if self._wait_s <= _HERE_S:
            return f"{words}: on the link, or to a flood of messages"
        waited = f"samples wait up to {self._wait_s:.1f} s"
        return f"this machine is too slow: {waited}" + (f", {words}" if lost > _LOST_MOST else "")
