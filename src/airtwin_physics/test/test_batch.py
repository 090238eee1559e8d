# SPDX-License-Identifier: Apache-2.0
"""Many filters at once: the same as one by one, and honest over a hundred simulated flights.

Source of the Monte Carlo test: Bar-Shalom, Li, Kirubarajan, "Estimation with applications to
tracking and navigation" (2001), section 5.4.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.ekf import batch, correction, kernel, models, reference

import simulate  # isort: skip

FLIGHTS, SECONDS = 100, 14.0
N = kernel.N
NEVER = 1e9  # no gate: what is refused would bias the statistics
ERRORS = simulate.Errors()
WASH_M, WASH_S = 0.8, 1.5
OFFSETS = np.sqrt(1 - ERRORS.white_share**2) * np.array([ERRORS.eph_m, ERRORS.eph_m, ERRORS.epv_m])
FIX_SIGMA = np.concatenate(
    [
        ERRORS.white_share * np.array([ERRORS.eph_m, ERRORS.eph_m, ERRORS.epv_m]),
        np.full(3, ERRORS.speed_m_s),
    ]
)
FIRST_SIGMA = np.concatenate(
    [
        np.repeat([2.0, 0.5, 0.05, 3e-3, 0.2], 3),
        [1.0, *OFFSETS, ERRORS.heading_offset_rad, 1e-6],
        [6.0, 6.0, 0.5, 0.1, 10.0, 1.0, 1.0, WASH_M, 0.25, 0.02, 0.02],
    ]
)
BLOCKS = {
    "position": slice(0, 3),
    "velocity": slice(3, 6),
    "attitude": slice(6, 9),
    "gyro bias": slice(9, 12),
    "accelerometer bias": slice(12, 15),
    "all of TwinState": slice(0, 15),
}


def _constants() -> Array:
    constants = np.full(kernel.N_CONSTANTS, 1e12)
    walks = [ERRORS.gyro_bias_walk, ERRORS.accel_bias_walk, ERRORS.barometer_walk]
    constants[kernel.DENSITY] = [0.0, 0.0, *walks, *[0.0] * 6]
    constants[kernel.SIGMA] = [*OFFSETS, ERRORS.heading_offset_rad, 1.0, 1.0, WASH_M]
    constants[kernel.TAU] = [ERRORS.wander_s] * 3 + [100.0, 5.0, 5.0, WASH_S]
    return constants


@pytest.fixture(scope="module")
def flown() -> tuple[Array, dict[str, Array]]:
    """Return errors and covariances as NEES by block (times, flights), and NIS by source."""
    rng = np.random.default_rng(7)
    p_true, v_true, q_true = simulate.path(SECONDS, rest_s=0.5)
    gyro, accel = simulate._imu_averages(v_true, q_true)
    constants, dt = _constants(), simulate.DT_S
    decay = np.exp(-dt / constants[kernel.TAU])
    truth = np.zeros((FLIGHTS, kernel.N_NOMINAL))
    truth[:, 0:3], truth[:, 3:6], truth[:, 6:10] = p_true[0], v_true[0], q_true[0]
    drawn = rng.normal(size=(FLIGHTS, N)) * FIRST_SIGMA
    truth[:, 17:21] = rng.normal(size=(FLIGHTS, 4)) * constants[kernel.SIGMA][:4]
    washed = rng.spawn(1)[0]
    truth[:, kernel.X_WASH] = washed.normal(size=FLIGHTS) * WASH_M
    truth[:, kernel.X_SUCTION] = 0.3
    x = np.stack([reference.boxplus(t, -d) for t, d in zip(truth, drawn, strict=True)])
    p = np.repeat(np.diag(FIRST_SIGMA**2)[None], FLIGHTS, axis=0)
    shaken = np.array([(ERRORS.gyro_rad_s * dt) ** 2] * 3 + [(ERRORS.accel_m_s2 * dt) ** 2])
    nees: dict[str, list[list[float]]] = {name: [] for name in BLOCKS}
    nis: dict[str, list[Array]] = {"gnss": [], "barometer": [], "magnetometer": []}
    every, three = np.ones(FLIGHTS, dtype=bool), np.empty((FLIGHTS, 3))
    for k in range(1, len(p_true)):
        white = rng.normal(size=(FLIGHTS, 6))
        walk = rng.normal(size=(FLIGHTS, 11)) * np.sqrt(dt)
        imu = np.empty((FLIGHTS, 11))
        imu[:, 0] = dt
        imu[:, 1:4] = gyro[k - 1] + truth[:, 10:13] + ERRORS.gyro_rad_s * white[:, :3]
        imu[:, 4:7] = accel[k - 1] + truth[:, 13:16] + ERRORS.accel_m_s2 * white[:, 3:]
        imu[:, 7:] = shaken
        batch.predict(x, p, imu, constants)
        truth[:, 10:13] += ERRORS.gyro_bias_walk * walk[:, 0:3]
        truth[:, 13:16] += ERRORS.accel_bias_walk * walk[:, 3:6]
        truth[:, 16] += ERRORS.barometer_walk * walk[:, 6]
        size = constants[kernel.SIGMA][:4] * np.sqrt(1 - decay[:4] ** 2) / np.sqrt(dt)
        truth[:, 17:21] = truth[:, 17:21] * decay[:4] + size * walk[:, 7:11]
        wash = WASH_M * np.sqrt(1 - decay[6] ** 2) * washed.normal(size=FLIGHTS)
        truth[:, kernel.X_WASH] = truth[:, kernel.X_WASH] * decay[6] + wash
        if k % 50 == 0:
            fix = np.tile(np.concatenate([p_true[k], v_true[k]]), (FLIGHTS, 1))
            fix[:, :3] += truth[:, 17:20]
            fix += rng.normal(size=(FLIGHTS, 6)) * FIX_SIGMA
            still = np.zeros((FLIGHTS, 3))
            fixes = batch.Fixes(fix, np.tile(FIX_SIGMA**2, (FLIGHTS, 1)), np.zeros(FLIGHTS), still)
            batch.gnss(x, p, fixes, every, (NEVER, NEVER, NEVER), three)
            nis["gnss"].append(three.sum(axis=1))
        if k % 13 == 0:
            head_m = float(v_true[k] @ v_true[k]) / (2.0 * kernel.GRAVITY_M_S2)
            altitude = -p_true[k, 2] + truth[:, 16] + truth[:, kernel.X_WASH]
            altitude += truth[:, kernel.X_SUCTION] * head_m
            altitude += ERRORS.barometer_m * rng.normal(size=FLIGHTS)
            one = np.empty(FLIGHTS)
            noise = np.full(FLIGHTS, ERRORS.barometer_m**2)
            batch.barometer(x, p, altitude, noise, every, NEVER, one)
            nis["barometer"].append(one)
        if k % 25 == 0:
            angle = truth[:, 20] + ERRORS.heading_rad * rng.normal(size=FLIGHTS)
            ned = np.stack([0.21 * np.cos(angle), 0.21 * np.sin(angle), np.full(FLIGHTS, 0.43)])
            field = (frames.rotation_from_quat(q_true[k]).T @ ned).T.copy()
            one = np.empty(FLIGHTS)
            noise = np.full(FLIGHTS, ERRORS.heading_rad**2)
            batch.magnetometer(x, p, field, np.zeros(FLIGHTS), noise, every, NEVER, one)
            nis["magnetometer"].append(one)
        if k % 250 == 0 and k > 500:
            truth[:, 0:3], truth[:, 3:6], truth[:, 6:10] = p_true[k], v_true[k], q_true[k]
            error = np.stack([reference.boxminus(t, y) for t, y in zip(truth, x, strict=True)])
            for name, block in BLOCKS.items():
                solved = np.linalg.solve(p[:, block, block], error[:, block, None])[..., 0]
                nees[name].append((error[:, block] * solved).sum(axis=1).tolist())
    return (
        {name: np.array(values) for name, values in nees.items()},
        {name: np.concatenate(values[10:]) for name, values in nis.items()},
    )


@pytest.mark.parametrize("name", list(BLOCKS))
def test_nees_over_a_hundred_flights_is_inside_its_band(
    name: str, flown: tuple[dict[str, Array], dict[str, Array]]
) -> None:
    values = flown[0][name]
    dof = BLOCKS[name].stop - BLOCKS[name].start
    low, high = stats.chi2.ppf([0.001, 0.999], dof * FLIGHTS) / FLIGHTS
    over_flights = values.mean(axis=1)
    # each time is a test of its own at 99.8 %: none may fail
    assert np.all((over_flights > low) & (over_flights < high)), (over_flights, low, high)


@pytest.mark.parametrize(("source", "dof"), [("gnss", 6), ("barometer", 1), ("magnetometer", 1)])
def test_nis_over_a_hundred_flights(
    source: str, dof: int, flown: tuple[dict[str, Array], dict[str, Array]]
) -> None:
    values = flown[1][source]
    margin = 4.0 * np.sqrt(2.0 / (dof * len(values)))
    assert values.mean() < dof * (1.0 + margin)
    # the compass takes the tilt's doubt as noise of its own: on the safe side
    assert values.mean() > dof * (0.6 if source == "magnetometer" else 1.0 - margin)


def test_batch_is_one_after_another_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    n = 5
    x = np.zeros((n, kernel.N_NOMINAL))
    x[:, kernel.X_Q] = 1.0
    x[:, 0:6] = rng.normal(size=(n, 6))
    p = np.repeat(np.diag(FIRST_SIGMA**2)[None], n, axis=0)
    imu = np.abs(rng.normal(size=(n, 11))) * 0.01
    constants, due = _constants(), np.array([True, False, True, True, False])
    altitude, field = rng.normal(size=n), rng.normal(size=(n, 3))
    fixes = batch.Fixes(
        rng.normal(size=(n, 6)), np.ones((n, 6)), np.full(n, 0.1), rng.normal(size=(n, 3))
    )
    lone_x, lone_p = x.copy(), p.copy()
    one, three, noise = np.empty(n), np.empty((n, 3)), np.full(n, 0.3)
    batch.predict(x, p, imu, constants)
    batch.gnss(x, p, fixes, due, (9.0, 9.0, 9.0), three)
    batch.barometer(x, p, altitude, noise, due, 9.0, one)
    batch.magnetometer(x, p, field, np.zeros(n), noise, due, 1e-9, one)
    assert np.array_equal(np.isnan(one), ~due)
    assert np.array_equal(np.isnan(three[:, 0]), ~due)
    for k in range(n):
        a, b = lone_x[k], lone_p[k]
        kernel.predict(a, b, imu[k], constants)
        if not due[k]:
            continue
        h, shown, measured = np.empty((3, N)), np.empty(3), fixes.measured[k]
        models.gnss_position(a, 0.1, h, shown)
        correction.judge(a, b, h[:2], measured[:2] - shown[:2], np.ones(2), 9.0)
        models.gnss_position(a, 0.1, h, shown)
        correction.judge(a, b, h[2:], measured[2:3] - shown[2:], np.ones(1), 9.0)
        models.gnss_velocity(a, fixes.acceleration[k], 0.1, h, shown)
        correction.judge(a, b, h, measured[3:] - shown, np.ones(3), 9.0)
        head_m, unsure_m2 = models.head(a, b, np.zeros((3, 2)))
        residual = np.array([altitude[k] - models.barometer(a, 0.0, head_m, h[0])])
        unsure_m2 *= a[kernel.X_SUCTION] ** 2 + b[kernel.SUCTION, kernel.SUCTION]
        correction.judge(a, b, h[:1], residual, noise[:1] + unsure_m2, 9.0)
    np.testing.assert_array_equal(x, lone_x)  # the compass was gated away
    np.testing.assert_array_equal(p, lone_p)
