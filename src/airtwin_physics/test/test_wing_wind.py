# SPDX-License-Identifier: Apache-2.0
"""A wing in a wind that changes: the wind is learnt anew, heading and attitude stay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from airtwin_core import frames
from airtwin_core.types import Airspeed, Array, Sample, TwinState, VehicleStatus
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.air import Air
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.sensors.air import AirData, Flying
from airtwin_physics.estimator import Estimator

import driven  # isort: skip
import simulate  # isort: skip

AIRSPEED_M_S = 11.0
CHANGE_S, END_S = 60.0, 90.0
# a gyro that holds no heading for long
SHAKEN = simulate.Errors(gyro_rad_s=0.1, accel_m_s2=1.5, heading_offset_rad=0.03)


def _wing(wind_m_s: Array, change_m_s: Array, seed: int) -> tuple[simulate.Flight, list[Sample]]:
    """Return a flight of turns and legs, its nose always into the air that comes.

    The wind changes within a second at ``CHANGE_S``, while the aircraft flies straight on.
    """
    t = np.arange(round(END_S * simulate.RATE_HZ) + 1) * simulate.DT_S
    flying = np.clip((t - 2.0) / 6.0, 0.0, 1.0)[:, None] ** 2
    course = 1.25 * (1.0 - np.cos(2.0 * np.pi * np.minimum(t, CHANGE_S) / 30.0))
    changed = np.clip(t - CHANGE_S, 0.0, 1.0)[:, None]
    wind = np.r_[wind_m_s, 0.0] + changed * np.r_[change_m_s, 0.0]
    ahead = np.stack([np.cos(course), np.sin(course), np.zeros_like(t)], axis=1)
    before = AIRSPEED_M_S * ahead + np.r_[wind_m_s, 0.0]  # over ground it flies on as before
    v = flying * before
    p = np.cumsum(v, axis=0) * simulate.DT_S
    air = before - wind
    yaw = np.unwrap(np.arctan2(air[:, 1], air[:, 0]))
    bank = np.arctan2(np.gradient(course, t) * AIRSPEED_M_S, 9.81) * flying[:, 0]
    turn = Rotation.from_euler("ZYX", np.stack([yaw, np.zeros_like(t), bank], axis=1))
    q = turn.as_quat(canonical=True, scalar_first=True)
    rng = np.random.default_rng(seed)
    flight = simulate.along(rng, p, v, q, SHAKEN)
    samples: list[Sample] = list(flight.samples)
    for k in range(25, len(t), 25):
        at = simulate.stamp_ns(k)
        shown = float(np.linalg.norm(air[k])) + 0.3 * rng.normal()
        if t[k] > 8.0:
            samples.append(Airspeed(at, at, shown))
        if k % 250 == 0:
            samples.append(VehicleStatus(at, at, True, 3, False, 2, False, False, 1, True))
    return flight, driven.with_origin(sorted(samples, key=lambda s: s.received_ns))


def _yaw_off_deg(flight: simulate.Flight, state: TwinState) -> float:
    truth = frames.yaw_from_quat(flight.attitude[flight.index(state.stamp_ns)])
    return float(np.degrees(frames.wrap_pi(frames.yaw_from_quat(state.q_ned_frd) - truth)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("first_m_s", "then_m_s"),
    [((3.0, 0.0), (3.0, 7.0)), ((0.0, -5.0), (0.0, 5.0))],
)
def test_a_wind_that_changes_turns_no_wing(
    first_m_s: tuple[float, float], then_m_s: tuple[float, float], seed: int
) -> None:
    first, then = np.array(first_m_s), np.array(then_m_s)
    flight, samples = _wing(first, then - first, seed)
    states = driven.run(Estimator(), samples)
    after = [s for s in states if driven.seconds(s) > CHANGE_S]
    assert np.abs([_yaw_off_deg(flight, s) for s in after]).max() < 8.0
    for state in (s for s in after if driven.seconds(s) > CHANGE_S + 15.0):
        assert state.wind is not None
        assert np.hypot(*(state.wind.velocity_ne_m_s - then)) < EstimatorConfig().wind_valid_m_s
    wind = states[-1].wind
    assert wind is not None
    assert wind.valid
    assert wind.velocity_ne_m_s == pytest.approx(then, abs=1.5)


def test_no_wing_flies_sideways() -> None:
    """What shows no sideslip, as it is too large for that, places the wind anew after a while."""
    config = EstimatorConfig()
    belief = Belief(config, Air(config, None))
    belief.p[:] = np.eye(kernel.N)
    belief.x[6:10] = frames.quat_from_rotation_vector(np.array([0.0, 0.0, 0.3]))
    air = AirData(config, belief)
    ahead = np.array([np.cos(0.3), np.sin(0.3)])
    across = np.array([-ahead[1], ahead[0]])
    belief.wind.hold_wind(belief.x, belief.p)
    wind = slice(kernel.X_WIND, kernel.X_WIND + 2)
    belief.x[3:5] = 2.0 * ahead
    belief.x[wind] = belief.x[3:5] - 12.0 * across
    told = belief.x[wind].copy()
    times = np.arange(0.0, config.recover_s + 1.0, 0.1)
    for at_s in times[times < config.recover_s - 0.5]:
        air.watch(Flying.WING, at_s, 0, alone=False, turns=False)
    assert belief.x[wind] == pytest.approx(told)
    for at_s in times[times >= config.recover_s - 0.5]:
        air.watch(Flying.WING, at_s, 0, alone=False, turns=False)
    assert belief.x[wind] == pytest.approx(2.0 * ahead - 12.0 * ahead, abs=1e-6)
    assert belief.p[kernel.WIND, kernel.WIND] > 10.0
