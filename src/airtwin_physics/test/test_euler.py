# SPDX-License-Identifier: Apache-2.0
"""The compiled Euler angles are those of ``frames``."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import frames
from airtwin_physics.control import euler

angles = st.floats(-3.1, 3.1)


@settings(deadline=None)
@given(roll=angles, pitch=st.floats(-1.57, 1.57), yaw=angles)
def test_they_are_those_of_frames(roll: float, pitch: float, yaw: float) -> None:
    q = euler.quaternion(roll, pitch, yaw)
    np.testing.assert_allclose(q, frames.quat_from_euler(roll, pitch, yaw), atol=1e-15)
    found = euler.roll(q), euler.pitch(q), euler.yaw(q)
    np.testing.assert_allclose(found, frames.euler_from_quat(q), atol=1e-12)
    np.testing.assert_allclose(euler.nose(q), frames.rotation_from_quat(q)[:, 0], atol=1e-12)
