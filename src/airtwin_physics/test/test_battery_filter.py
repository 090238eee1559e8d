# SPDX-License-Identifier: Apache-2.0
"""The battery's filter: derivatives, the weighing of wobbles, the interval of its forecasts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Battery
from airtwin_physics import battery
from airtwin_physics.battery import BatteryConfig, BatteryEstimator, model
from airtwin_physics.battery.filter import LEFT, RES, WARM, WOBBLE, BatteryFilter, N, blend
from airtwin_physics.battery.forecast import Load

NAN = float("nan")
DT_S = 0.1
MODE_AT = np.linspace(0.0, 1.0, len(BatteryConfig().chart_mode_v))
STEPS = np.array([1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-3, 1e-5, 1e-5, 1e-5])
STATE = np.array([0.613, 0.03, 0.2, -0.1, 0.01, 0.05, 17.0, 0.02, 0.7, 0.04])
STRAIGHT = BatteryConfig(chart_mode_v=(0.0, 0.1))  # as the table: the slope is a secant


@pytest.fixture(scope="module")
def coefficients() -> BatteryCoefficients:
    return aircraft_files.load("x500").battery


@pytest.fixture(scope="module")
def straight(coefficients: BatteryCoefficients) -> BatteryCoefficients:
    """The open-circuit table without bends: the filter's slope is a secant over them."""
    return dataclasses.replace(coefficients, ocv_cell_v=np.linspace(3.5, 4.2, 21))


@pytest.mark.parametrize("charge", [0.613, 0.08])
@pytest.mark.parametrize("measured", [False, True])
def test_derivatives_are_those_of_finite_differences(
    charge: float, measured: bool, straight: BatteryCoefficients
) -> None:
    one = BatteryFilter(straight, STRAIGHT, 1)
    if measured:
        one.set_temperature(17.0)
    x = STATE.copy()
    x[LEFT] = charge
    _, f = one.transition(x, 20.0, 0.5)
    _, h = one.measurement(x, 20.0)
    for i, d in enumerate(np.diag(STEPS)):
        up, down = one.transition(x + d, 20.0, 0.5)[0], one.transition(x - d, 20.0, 0.5)[0]
        slope = (up - down) / (2.0 * STEPS[i])
        np.testing.assert_allclose(f[:, i], slope, rtol=0.02, atol=2e-6, err_msg=f"state {i}")
        rise = one.measurement(x + d, 20.0)[0] - one.measurement(x - d, 20.0)[0]
        assert h[i] == pytest.approx(rise / (2.0 * STEPS[i]), rel=0.02, abs=1e-6)


def test_transition_is_the_model(coefficients: BatteryCoefficients) -> None:
    """The filter's step against the kernel's, in small steps, at constant current."""
    one = BatteryFilter(coefficients, BatteryConfig(), 1)
    one.x[:] = (0.7, 0.05, 0.3, -0.1, 0.0, 0.1, 30.0, 0.0, 0.0, 0.0)
    vector, _, state = one.pack_at()
    current = 20.0 * np.exp(0.1)
    for _ in range(500):
        swing, warming = battery.rates(vector, *state, current, 25.0)
        state += 1e-3 * np.array([current, swing, warming])
    after, _ = one.transition(one.x, 20.0, 0.5)
    one.x = after
    np.testing.assert_allclose(one.pack_at()[2], state, rtol=2e-3)


def test_a_measured_temperature_is_believed(coefficients: BatteryCoefficients) -> None:
    one = BatteryFilter(coefficients, BatteryConfig(), 1)
    one.set_temperature(41.0)
    one.begin(15.5, 10.0)
    one.predict(20.0, 0.5)
    assert one.x[WARM] == 41.0
    assert one.ambient_c == 41.0


def told(
    coefficients: BatteryCoefficients, wobble_v: float, rng: np.random.Generator
) -> BatteryEstimator:
    """Return the estimator after 90 s of a pack whose voltage wobbles for 10 s each time.

    It is a pack whose chart and polarisation were measured: else these doubts hide the wobble's.
    """
    vector, table = battery.pack(coefficients)
    n = round(90.0 / DT_S)
    power = 220.0 + 60.0 * np.repeat(rng.normal(size=n // 20), 20)
    run = battery.discharge(vector, table, np.array([600.0, 0.0, 25.0]), power, 25.0, DT_S)
    config = BatteryConfig(chart_spread=0.01, slow_share=0.01)
    estimator, wobble = BatteryEstimator(coefficients, config), 0.0
    keep = np.exp(-DT_S / 10.0)
    for i in range(n):
        wobble = keep * wobble + wobble_v * np.sqrt(1.0 - keep**2) * rng.normal()
        at = round((i + 1) * DT_S * 1e9)
        voltage = run[i, 3] + wobble + 0.01 * rng.normal()
        estimator.on(Battery(at, at, voltage, run[i, 4], NAN, 0))
    return estimator


def test_the_likeliest_wobble_speaks(coefficients: BatteryCoefficients) -> None:
    rng = np.random.default_rng(3)
    cells = coefficients.cells
    calm = told(coefficients, 0.0, rng)
    shaken = told(coefficients, 0.03 * cells, rng)
    assert calm.filter.wobble_v == pytest.approx(0.003 * cells, rel=0.01)
    assert shaken.filter.wobble_v == pytest.approx(0.03 * cells, rel=0.01)
    assert shaken.endurance(220.0).sigma_s > 1.1 * calm.endurance(220.0).sigma_s


def test_all_of_the_bank_speak_as_one_mixture(coefficients: BatteryCoefficients) -> None:
    """Its mean and covariance are those of numbers drawn from the weighed normals."""
    rng = np.random.default_rng(4)
    bank = tuple(BatteryFilter(coefficients, BatteryConfig(), i) for i in range(3))
    share = np.array([0.2, 0.5, 0.3])
    for k, one in enumerate(bank):
        one.evidence = 7.0 + np.log(share[k])
        one.x = rng.normal(size=N)
        root = 0.5 * rng.normal(size=(N, N))
        one.p = root @ root.T
    mixed = blend(bank)
    drawn = np.concatenate([
        rng.multivariate_normal(one.x, one.p, size=round(100_000 * k))
        for k, one in zip(share, bank, strict=True)
    ])  # fmt: skip
    spread = np.sqrt(np.diag(mixed.p))
    np.testing.assert_allclose(mixed.x, drawn.mean(axis=0), atol=0.02 * spread.max())
    np.testing.assert_allclose(mixed.p, np.cov(drawn.T), atol=0.03 * spread.max() ** 2)
    assert bank[0].wobble_v < mixed.wobble_v < bank[2].wobble_v


def test_a_contact_that_went_bad_is_believed(coefficients: BatteryCoefficients) -> None:
    """60 mV a cell are gone at once and stay so: ten seconds later the forecast knows of half."""
    vector, table = battery.pack(coefficients)
    rng = np.random.default_rng(8)
    n, bad = round(190.0 / DT_S), round(180.0 / DT_S)
    power = 220.0 + 60.0 * np.repeat(rng.normal(size=n // 20), 20)
    run = battery.discharge(vector, table, np.array([600.0, 0.0, 25.0]), power, 25.0, DT_S)
    estimator = BatteryEstimator(coefficients, BatteryConfig(chart_spread=0.01, slow_share=0.01))
    for i in range(n):
        at = round((i + 1) * DT_S * 1e9)
        voltage = run[i, 3] - (0.24 if i >= bad else 0.0) + 0.01 * rng.normal()
        estimator.on(Battery(at, at, voltage, run[i, 4], NAN, 0))
    steady = np.full(300, 220.0)
    found = battery.discharge(*estimator.filter.pack_at(), steady, 25.0, DT_S)
    whole = battery.discharge(vector, table, run[-1, :3].copy(), steady, 25.0, DT_S)
    assert 0.12 < (whole - found)[:, 3].mean() < 0.30
    assert estimator.restarts.total() == 0


@pytest.mark.parametrize(
    ("size", "told", "walk"), [(0, True, 0.02), (2, True, 0.1), (2, False, 0.02)]
)
def test_what_shakes_a_voltage_may_stay(
    size: int, told: bool, walk: float, coefficients: BatteryCoefficients
) -> None:
    """The resistance walks with the wobble, not where it may be the load that nobody measures."""
    one = BatteryFilter(coefficients, BatteryConfig(), size)
    one.set_source(0.03, told=told, step=0.0)
    one.begin(15.5, 10.0)
    before = one.p[RES, RES]
    for _ in range(120):
        one.predict(0.0, 0.5)
    assert one.p[RES, RES] - before == pytest.approx(walk**2, rel=0.01)


def test_a_predicted_step_of_the_load_is_known_to_a_twentieth(
    coefficients: BatteryCoefficients,
) -> None:
    config = BatteryConfig()
    variances = []
    for after in (10.0, 60.0):
        one = BatteryFilter(coefficients, config, 0)
        one.set_source(0.25, told=True, step=0.05)
        one.begin(15.5, 10.0)
        one.predict(after, 1e-3)
        variances.append(one.p[WOBBLE, WOBBLE])
    sag = coefficients.resistance_ohm * 50.0
    warm = model.growth(battery.pack(coefficients)[0], 0.0, 25.0)
    assert variances[0] == pytest.approx((0.003 * coefficients.cells) ** 2, rel=1e-3)
    gained = variances[1] - variances[0]
    assert gained == pytest.approx((0.05 * sag * warm) ** 2, rel=0.02)


@pytest.mark.parametrize("hover", [220.0, 60.0])
def test_the_load_is_that_since_the_motors_run(hover: float) -> None:
    """A minute on the ground must not halve it; gusts leave the mean of a minute."""
    load = Load(60.0, 5.0, 0.5)
    for _ in range(120):
        load.on(10.0, 0.5)
    assert load.mean_w == pytest.approx(10.0)
    rng = np.random.default_rng(2)
    for i in range(240):
        load.on(hover * (1.0 + 0.2 * rng.normal()), 0.5)
        assert i < 12 or load.mean_w == pytest.approx(hover, rel=0.15)
    assert load.mean_w == pytest.approx(hover, rel=0.05)


def test_the_interval_holds_the_truth(coefficients: BatteryCoefficients) -> None:
    """Packs, charts and meters drawn from the prior; 16 of them, binomial bound at 1 in 1000."""
    config, rng, inside = BatteryConfig(), np.random.default_rng(11), 0
    for _ in range(16):
        vector, table = battery.pack(coefficients)
        vector[[model.RESISTANCE, model.POLARISATION]] *= np.exp(0.5 * rng.normal())
        vector[model.CAPACITY_SHARE] = np.exp(config.capacity_share * rng.normal())
        mode = np.interp(np.linspace(0.0, 1.0, table.size), MODE_AT, config.chart_mode_v)
        table = np.maximum.accumulate(table + config.chart_spread * rng.normal() * mode)
        capacity = vector[model.CAPACITY_C] * vector[model.CAPACITY_SHARE]
        start = np.array([0.1 * capacity, 0.0, 25.0])
        power = 200.0 + 60.0 * np.repeat(rng.normal(size=40), 20)
        run = battery.discharge(vector, table, start, power, 25.0, DT_S)
        truth, _ = battery.endurance(vector, table, run[-1, :3].copy(), 200.0, 25.0, 0.5, 2e4)
        estimator, meter = BatteryEstimator(coefficients), 1.0 + 0.03 * rng.normal()
        for i, row in enumerate(run):
            at = round((i + 1) * DT_S * 1e9)
            voltage = row[3] + 0.03 * rng.normal()
            estimator.on(Battery(at, at, voltage, meter * row[4], NAN, 0))
        low, high = estimator.endurance(200.0 * meter)[2:4]
        assert low <= high
        inside += low <= truth <= high
    assert inside >= 12


def test_the_doubt_of_the_chart_ahead(coefficients: BatteryCoefficients) -> None:
    """None where the cell is now or behind, none at empty, most in the flat end of the chart."""
    config = BatteryConfig()
    one = BatteryFilter(coefficients, config, 1)
    one.begin(coefficients.cells * 4.2, 0.0)
    doubt = one.chart_doubt()
    grid = np.linspace(0.0, 1.0, doubt.size)
    assert doubt[0] == 0.0
    assert doubt[grid >= one.x[LEFT]].max() == pytest.approx(0.0, abs=1e-6)
    worst = config.chart_spread * max(config.chart_mode_v)
    assert worst <= doubt.max() <= np.hypot(worst, config.table_cell_v)
    one.x[LEFT] = 0.2
    assert one.chart_doubt().max() < 0.75 * doubt.max()


def test_settings_without_sense() -> None:
    for wrong in (
        {"wobble_cell_v": ()},
        {"wobble_cell_v": (0.01, NAN)},
        {"noise_s": 0.0},
        {"wobble_walk": (0.1,)},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BatteryConfig(**wrong)
