# SPDX-License-Identifier: Apache-2.0
"""Wind, parameters, health, notices: from states to summary and report, unknown said as such."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from airtwin_core.types import (
    Health,
    Identification,
    Parameter,
    SensorHealth,
    TwinState,
    WindEstimate,
)
from airtwin_record import findings
from airtwin_record.history import History

S = 1_000_000_000
MASS = Parameter("mass", "kg", 2.4, 0.02, 2.0, True)
DRAG = Parameter("rotor_drag", "N s^2/m", 1e-5, 1e-5, 1e-5, False, "fly fast, there and back")
WEAK = Parameter("rotor_2_effectiveness", "-", 0.8, 0.01, 1.0, True)
TRIM = Parameter("yaw_trim", "N m", 0.01, 0.02, 0.0, False, "hover")


def state(t_s: float, **changes: object) -> TwinState:
    base = TwinState(
        round(t_s * S),
        round(t_s * S),
        *(np.zeros(n) for n in (3, 3, 4, 3, 3, 3, 3)),
        np.eye(15),
        None,
        *(True,) * 5,
    )
    return base._replace(**changes)


def wind(north: float, east: float, variance: float, *, valid: bool) -> WindEstimate:
    return WindEstimate(np.array([north, east]), np.eye(2) * variance, valid)


def test_the_last_wind_that_was_valid_is_the_flights() -> None:
    history = History(0)
    for k in range(100):
        sure = 20 <= k < 60
        history.on_state(state(k * 0.1, wind=wind(3.0, -4.0 + 0.01 * k, 0.25, valid=sure)))
    found = findings.summary(history)["wind"]
    assert found["time_s"] == pytest.approx(5.8, abs=0.11)
    assert found["north_m_s"] == 3.0
    assert found["sigma_east_m_s"] == 0.5
    chart = findings.data(history, 10.0)["wind"]
    assert len(chart["t"]) == 50
    sure, unsure = chart["north"], chart["north_unsure"]
    assert all((a is None) != (b is None) for a, b in zip(sure, unsure, strict=True))
    assert sum(v is not None for v in sure) == 20
    assert chart["north_high"][0] == 4.0


def test_a_flight_without_wind_says_so() -> None:
    history = History(0)
    history.on_state(state(1.0))
    assert findings.summary(history)["wind"] is None
    assert findings.data(history, 2.0)["wind"]["t"] == []


def test_health_is_told_in_runs_and_what_was_never_heard_apart() -> None:
    history = History(0)
    for k in range(40):
        now = Health.GOOD if k < 20 else Health.REJECTED
        health = (
            SensorHealth("gnss_position", now, 1.0),
            SensorHealth("airspeed", Health.MISSING, math.nan),
        )
        notice = "gnss_position refused for 1 s" if k == 30 else ""
        history.on_state(state(k * 0.1, health=health, notice=notice))
    (row,) = findings.data(history, 5.0)["health"]
    assert row["source"] == "gnss position"
    assert [(r["begin"], r["end"], r["health"]) for r in row["runs"]] == [
        (0.0, 1.9, "good"),
        (1.9, 5.0, "rejected"),
    ]
    assert findings.never_heard(history) == ["airspeed"]
    assert findings.summary(history)["notices"] == [
        {"time_s": 3.0, "text": "gnss_position refused for 1 s"}
    ]


def flown(*parameters: Parameter, suspect: int = -1) -> History:
    history = History(0, "x500")
    for k in range(10):
        history.on_identification(Identification(k * S, k * S, parameters, suspect))
    return history


def test_what_is_known_has_a_change_and_what_is_not_has_a_reason() -> None:
    history = flown(MASS, DRAG, WEAK, TRIM, suspect=2)
    mass, drag, weak, trim = findings.parameter_rows(history)
    assert (mass["value"], mass["interval"], mass["deviation"]) == (
        "2.400 kg",
        "± 0.040",
        "+20.0 %",
    )
    assert mass["why"] == ""
    assert weak["name"] == "rotor 3 effectiveness"
    assert (drag["deviation"], drag["why"]) == ("", "fly fast, there and back")
    assert trim["bar"] is not None
    found = findings.summary(history)
    assert found["aircraft"] == "x500"
    assert found["suspect_rotor"] == 2
    assert [p["known"] for p in found["parameters"]] == [True, False, True, False]
    curves = findings.data(history, 10.0)["identified"]
    assert [c["name"] for c in curves] == ["mass", "rotor 3 effectiveness"]
    assert curves[0]["deviation"] == [20.0] * 10


def test_bars_stay_inside_their_row_and_meet_the_interval() -> None:
    history = flown(MASS, DRAG, WEAK, TRIM)
    assert findings.scale_pct((MASS, DRAG, WEAK, TRIM)) == 30.0
    for row in findings.parameter_rows(history):
        bar = row["bar"]
        assert 0.0 <= bar["left"] <= bar["place"] <= bar["left"] + bar["width"] <= 100.6
    mass = findings.parameter_rows(history)[0]["bar"]
    assert mass["left"] == pytest.approx(50 + 50 * (18 / 30), abs=0.1)
    assert mass["width"] == pytest.approx(50 * (4 / 30), abs=0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_figure_that_is_none_is_shown_as_none(bad: float) -> None:
    history = flown(dataclasses.replace(MASS, value=bad, sigma=bad))
    (row,) = findings.parameter_rows(history)
    assert (row["value"], row["bar"]) == ("–", None)
    assert findings.summary(history)["parameters"][0]["value"] is None


def test_time_to_empty_is_drawn_while_it_is_known() -> None:
    history = flown(Parameter("time_to_empty", "s", 600.0, 30.0, math.nan, True))
    chart = findings.data(history, 10.0)["endurance"]
    assert chart["minutes"] == [10.0] * 10
    assert chart["low"][0] == 9.0
    assert findings.data(history, 10.0)["identified"] == []


@pytest.mark.parametrize(
    ("value", "sigma", "text"),
    [
        (2.0, 0.0123, "2.000"),
        (2.0, 1.23, "2.0"),
        (1234.0, 50.0, "1234"),
        (8.55e-6, 1e-7, "8.55·10⁻⁶"),
        (0.0, 0.01, "0"),
        (2.5, math.nan, "2.5"),
        (-0.25, 0.05, "-0.250"),
    ],
)
def test_figures_say_as_much_as_is_known(value: float, sigma: float, text: str) -> None:
    assert findings.figures(value, sigma) == text


def test_units_are_set_as_in_a_book() -> None:
    assert findings.with_unit(8.55e-6, 1e-7, "N s^2/rad^2") == "8.55·10⁻⁶ N s²/rad²"
    assert findings.with_unit(0.5, 0.1, "-") == "0.50"
    assert findings.with_unit(math.nan, 0.1, "kg") == "–"
