# SPDX-License-Identifier: Apache-2.0
"""Rotations against scipy, and the two frame conventions against known directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from airtwin_core import frames

ANGLE = st.floats(-3.1, 3.1)
VECTOR = st.tuples(ANGLE, ANGLE, ANGLE).map(np.array)


def scipy_quat(q):
    return Rotation.from_quat([q[1], q[2], q[3], q[0]])


@given(VECTOR, VECTOR)
def test_product_and_matrix_agree_with_scipy(a, b):
    qa, qb = frames.quat_from_rotation_vector(a), frames.quat_from_rotation_vector(b)
    expected = Rotation.from_rotvec(a) * Rotation.from_rotvec(b)
    product = frames.quat_multiply(qa, qb)
    np.testing.assert_allclose(
        frames.rotation_from_quat(product), expected.as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(
        frames.rotation_from_quat(frames.quat_conjugate(product)),
        expected.inv().as_matrix(),
        atol=1e-12,
    )


@given(VECTOR)
def test_matrix_and_rotation_vector_round_trip(v):
    q = frames.quat_normalise(frames.quat_from_rotation_vector(v))
    np.testing.assert_allclose(
        frames.quat_from_rotation(frames.rotation_from_quat(q)), q, atol=1e-9
    ) if q[0] > 1e-6 else None
    back = frames.rotation_vector_from_quat(q)
    np.testing.assert_allclose(
        Rotation.from_rotvec(back).as_matrix(), scipy_quat(q).as_matrix(), atol=1e-9
    )


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_euler_is_yaw_pitch_roll(roll, pitch, yaw):
    q = frames.quat_from_euler(roll, pitch, yaw)
    expected = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    np.testing.assert_allclose(frames.rotation_from_quat(q), expected, atol=1e-12)
    np.testing.assert_allclose(frames.euler_from_quat(q), (roll, pitch, yaw), atol=1e-6)
    assert frames.yaw_from_quat(q) == pytest.approx(yaw, abs=1e-6)
    down_frd = expected.T @ np.array([0.0, 0.0, 1.0])
    assert frames.tilt_from_quat(q) == pytest.approx(
        np.arccos(np.clip(down_frd[2], -1, 1)), abs=1e-6
    )


@given(VECTOR)
def test_enu_flu_shows_the_same_body_axes(v):
    q_ned_frd = frames.quat_normalise(frames.quat_from_rotation_vector(v))
    forward_ned = frames.rotation_from_quat(q_ned_frd) @ np.array([1.0, 0.0, 0.0])
    left_ned = frames.rotation_from_quat(q_ned_frd) @ np.array([0.0, -1.0, 0.0])
    rotation_enu_flu = frames.rotation_from_quat(frames.quat_enu_flu_from_ned_frd(q_ned_frd))
    np.testing.assert_allclose(rotation_enu_flu[:, 0], frames.ned_to_enu(forward_ned), atol=1e-12)
    np.testing.assert_allclose(rotation_enu_flu[:, 1], frames.ned_to_enu(left_ned), atol=1e-12)
    back = frames.quat_ned_frd_from_enu_flu(frames.quat_enu_flu_from_ned_frd(q_ned_frd))
    np.testing.assert_allclose(abs(back @ q_ned_frd), 1.0, atol=1e-12)


def test_north_in_ros_is_a_quarter_turn():
    """REP-103: yaw 0 is east in ENU; an aircraft that looks north has yaw +90 degrees there."""
    q = frames.quat_enu_flu_from_ned_frd(np.array([1.0, 0.0, 0.0, 0.0]))
    assert Rotation.from_quat([q[1], q[2], q[3], q[0]]).as_euler("ZYX")[0] == pytest.approx(
        np.pi / 2
    )
    np.testing.assert_array_equal(
        frames.enu_to_ned(frames.ned_to_enu(np.arange(3.0))), np.arange(3.0)
    )


@given(st.floats(-1e4, 1e4))
def test_wrap_pi_keeps_the_direction(angle):
    wrapped = frames.wrap_pi(angle)
    assert -np.pi <= wrapped <= np.pi
    assert np.cos(wrapped) == pytest.approx(np.cos(angle), abs=1e-6)


@pytest.mark.parametrize("bad", [[0.0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 0]])
def test_a_quaternion_without_direction_is_refused(bad):
    with pytest.raises(ValueError, match="no direction"):
        frames.quat_normalise(np.array(bad))
