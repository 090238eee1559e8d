# SPDX-License-Identifier: Apache-2.0
"""Every converter there and back, through the real serialisation."""

import dataclasses
import math

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from airtwin_core import types as t
from airtwin_ros import convert

NOW_NS = 1_700_000_000_000_000_000
STATE = t.TwinState(
    stamp_ns=NOW_NS - 5_000,
    received_ns=NOW_NS,
    position_ned_m=np.array([1.0, -2.0, 3.5]),
    velocity_ned_m_s=np.array([0.1, 0.2, 0.3]),
    q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
    rate_frd_rad_s=np.zeros(3),
    acceleration_ned_m_s2=np.ones(3),
    gyro_bias_frd_rad_s=np.full(3, 0.01),
    accel_bias_frd_m_s2=np.full(3, -0.02),
    covariance=np.diag(np.arange(1.0, 16.0)),
    origin=t.Origin(47.4, 8.5, 488.0),
    aligned=True,
    horizontal_valid=True,
    vertical_valid=False,
    velocity_valid=True,
    heading_valid=True,
    fusions=(t.Fusion("gnss", 5, {"gate": 2}, 1.5, 3, np.array([0.5]), NOW_NS - 10_000),),
    wind=t.WindEstimate(
        np.array([3.0, -4.0]),
        np.array([[0.2, 0.1], [0.1, 0.3]]),
        True,
        np.array([2.0, -3.0]),
        np.array([[0.5, 0.2], [0.2, 0.6]]),
    ),
    health=(
        t.SensorHealth("gnss_position", t.Health.RECOVERED, 1.5),
        t.SensorHealth("barometer", t.Health.MISSING, math.nan),
    ),
    notice="gnss_position taken at its word again after 7 s",
)
FOUND = t.Identification(
    NOW_NS - 5_000,
    NOW_NS,
    (
        t.Parameter("mass", "kg", 2.4, 0.02, 2.0, True),
        t.Parameter("drag", "kg/s", 0.3, 0.2, 0.3, False, "never flew faster than 2 m/s"),
    ),
    2,
)
CHECK = t.Check("CON-POS-1", "position", 2.5, 16.0, t.Verdict.CONSISTENT, "1.2 m apart")
FACTOR = t.ContextFactor("position", "virtual", NOW_NS, np.ones(3), np.ones(3), "m")
DEVIATION = t.Deviation(
    "px4_1-1", "gnss", "CON-GNS-2", NOW_NS, None, "GNSS jump", 99.0, 16.0, "31 m in 0.1 s"
)
BELIEF = t.MissionBelief(NOW_NS, NOW_NS, t.Phase.HOLD, 1, 4, 0.25, np.ones(3), 30.0, "traffic")
ADVISORY = t.Advisory("px4_2", t.AdvisoryAction.HOLD, "traffic", "px4_1", 12.5, 3.0, "crossing")
REPORT = t.Report(NOW_NS, t.Verdict.INCONSISTENT, (CHECK,), (FACTOR,), (DEVIATION,))


def same(a, b):
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return np.allclose(a, b)
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b))
    return a == b


@pytest.mark.parametrize(
    ("value", "to_msg", "from_msg"),
    [
        (STATE, lambda v: convert.twin_state_msg(v, "px4_1"), convert.twin_state),
        (
            STATE._replace(origin=None, fusions=(), wind=None, health=(), notice=""),
            lambda v: convert.twin_state_msg(v, "px4_1"),
            convert.twin_state,
        ),
        (FOUND, lambda v: convert.identification_msg(v, "px4_1"), convert.identification),
        (
            t.Identification(NOW_NS, NOW_NS, ()),
            lambda v: convert.identification_msg(v, "px4_1"),
            convert.identification,
        ),
        (REPORT, lambda v: convert.report_msg(v, "px4_1", now_ns=NOW_NS), convert.report),
        (DEVIATION, lambda v: convert.deviation_msg(v, "px4_1"), convert.deviation),
        (
            dataclasses.replace(DEVIATION, end_ns=NOW_NS + 1_000_000, statistic=math.nan),
            lambda v: convert.deviation_msg(v, "px4_1"),
            convert.deviation,
        ),
        (BELIEF, lambda v: convert.belief_msg(v, "px4_1"), convert.belief),
        (
            dataclasses.replace(BELIEF, target_ned_m=None, eta_s=math.nan),
            lambda v: convert.belief_msg(v, "px4_1"),
            convert.belief,
        ),
        (ADVISORY, lambda v: convert.advisory_msg(v, now_ns=NOW_NS), convert.advisory),
    ],
)
def test_there_and_back(value, to_msg, from_msg):
    msg = to_msg(value)
    wire = deserialize_message(serialize_message(msg), type(msg))
    assert same(value, from_msg(wire))


def test_a_health_of_another_version_is_refused_by_name():
    msg = convert.twin_state_msg(STATE, "px4_1")
    msg.health[0].health = 99
    with pytest.raises(ValueError, match="99"):
        convert.twin_state(msg)


def test_what_two_states_share_is_told_alike_and_what_is_new_anew() -> None:
    first = convert.twin_state_msg(STATE, "px4_1")
    fresh = STATE.fusions[0]._replace(used=STATE.fusions[0].used + 1)
    bad = (t.SensorHealth("gnss", t.Health.REJECTED, 2.0),)
    for state in (
        STATE._replace(notice="later"),
        STATE._replace(fusions=(fresh, *STATE.fusions[1:])),
        STATE._replace(fusions=(fresh, *STATE.fusions), health=bad),
        STATE._replace(fusions=(), health=()),
    ):
        told = convert.twin_state_msg(state, "px4_1", (STATE, first))
        assert same(convert.twin_state(told), state)
    assert same(convert.twin_state(first), STATE)  # as it was
