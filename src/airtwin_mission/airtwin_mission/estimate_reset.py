# SPDX-License-Identifier: Apache-2.0
"""By how much PX4 moved its own estimate between two positions. Pure."""

from __future__ import annotations

import numpy as np

from airtwin_core.types import Array, LocalPosition

SLACK_M = 2.0


def shift_m(old: LocalPosition, new: LocalPosition) -> Array | None:
    """Return the shift, (3,) [m] NED; zero where nothing moved.

    A delta that PX4 tells counts only if it explains how far the position went. None: the position
    jumped and the delta does not explain it; nothing planned around the old one holds any more.
    """
    told = np.zeros(3)
    if new.xy_reset_counter != old.xy_reset_counter:
        told[:2] = new.delta_xy_m
    if new.z_reset_counter != old.z_reset_counter:
        told[2] = new.delta_z_m
    if not told.any():  # NaN counts as told
        return told
    went = new.position_ned_m - old.position_ned_m
    speed = max(float(np.linalg.norm(p.velocity_ned_m_s)) for p in (old, new))
    slack = SLACK_M + speed * (new.received_ns - old.received_ns) * 1e-9
    if np.linalg.norm(went - told) <= slack:  # never so with NaN
        return told
    return np.zeros(3) if np.linalg.norm(went) <= slack else None
