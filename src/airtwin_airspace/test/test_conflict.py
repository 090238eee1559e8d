# SPDX-License-Identifier: Apache-2.0
"""The closed form against sampling in time, symmetries, DAIDALUS's figures, and rubbish."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_airspace.conflict import (
    Minima,
    Separation,
    against,
    all_pairs,
    encounter,
)
from airtwin_core.types import Array

SHARED = next(
    (p / "shared" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    Path("shared"),
)
DAIDALUS = SHARED / "data" / "daa" / "daidalus"
MINIMA = Minima(20.0, 8.0, 15.0)
NM_M, FT_M, KNOT_M_S = 1852.0, 0.3048, 1852.0 / 3600.0


def vectors(horizontal: float, vertical: float) -> st.SearchStrategy[Array]:
    """Give (3,) to the micrometre: at 1e-150 m/s sampling and formula may differ."""
    numbers = st.tuples(*[st.floats(-horizontal, horizontal)] * 2, st.floats(-vertical, vertical))
    return numbers.map(lambda xyz: np.round(np.array(xyz), 6))


places = vectors(150.0, 20.0)
speeds = vectors(20.0, 4.0)


def sampled(s: Array, v: Array, minima: Minima, n: int = 6001) -> tuple[float, float, float]:
    """Return (first, last lost instant, least distance) by looking at ``n`` instants."""
    t = np.linspace(0.0, minima.look_ahead_s, n)
    at = s + v * t[:, None]
    distance = np.hypot(at[:, 0], at[:, 1])
    lost = (distance < minima.horizontal_m) & (np.abs(at[:, 2]) < minima.vertical_m)
    if not lost.any():
        return math.nan, math.nan, float(distance.min())
    return float(t[lost][0]), float(t[lost][-1]), float(distance.min())


@settings(max_examples=400, deadline=None)
@given(places, speeds)
def test_closed_form_equals_sampling(s: Array, v: Array) -> None:
    found = encounter(s, v, MINIMA)
    first, last, least = sampled(s, v, MINIMA)
    step = MINIMA.look_ahead_s / 6000
    if math.isnan(first):
        # a loss shorter than two samples may hide between them
        if found.separation is Separation.LOST:
            assert found.last_s - found.first_s < 2 * step
    else:
        assert found.separation is Separation.LOST
        assert first - 2 * step <= found.first_s <= first
        assert last <= found.last_s <= last + 2 * step
    speed = float(np.hypot(v[0], v[1]))
    assert least - step * speed - 1e-9 <= found.closest_m <= least + 1e-9


@settings(deadline=None)
@given(places, speeds)
def test_the_other_aircraft_sees_the_same(s: Array, v: Array) -> None:
    assert repr(encounter(s, v, MINIMA)) == repr(encounter(-s, -v, MINIMA))


@settings(deadline=None)
@given(places, places, speeds, speeds, st.floats(-3.0, 3.0), places)
def test_translation_and_rotation_change_nothing(
    p: Array, q: Array, u: Array, v: Array, angle: float, shift: Array
) -> None:
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    one = encounter(q - p, v - u, MINIMA)
    other = encounter((turn @ q + shift) - (turn @ p + shift), turn @ v - turn @ u, MINIMA)
    assert other.closest_m == pytest.approx(one.closest_m, abs=1e-6)
    if one.separation is not other.separation:
        # only a touch of the cylinder may go either way
        lost = one if one.separation is Separation.LOST else other
        assert lost.last_s - lost.first_s < 1e-3 or abs(lost.first_s - 15.0) < 1e-3
    elif one.separation is Separation.LOST:
        assert other.first_s == pytest.approx(one.first_s, abs=1e-3)


@settings(deadline=None)
@given(places, speeds)
def test_diverging_aircraft_keep_what_they_have(s: Array, v: Array) -> None:
    outside = math.hypot(s[0], s[1]) >= MINIMA.horizontal_m
    diverging = s[0] * v[0] + s[1] * v[1] >= 0.0
    if outside and diverging:
        assert encounter(s, v, MINIMA).separation is Separation.KEPT


@settings(deadline=None)
@given(places, speeds, st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf, 1e200]))
def test_rubbish_is_never_separated(s: Array, v: Array, which: int, rubbish: float) -> None:
    numbers = np.concatenate([s, v])
    numbers[which] = rubbish
    found = encounter(numbers[:3], numbers[3:], MINIMA)
    assert found.separation is Separation.UNKNOWN
    assert math.isnan(found.first_s)
    assert math.isnan(found.closest_m)


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, 0.0, -1.0])
def test_minima_that_mean_nothing_are_unknown(rubbish: float) -> None:
    with pytest.raises(ValueError, match="not positive"):
        Minima(rubbish, 1.0, 1.0)
    (found,) = against(
        np.zeros(3),
        np.zeros(3),
        np.ones((1, 3)),
        np.zeros((1, 3)),
        np.array([rubbish]),
        np.array([8.0]),
        look_ahead_s=10.0,
    )
    assert found.separation is Separation.UNKNOWN


def test_tiny_relative_speed_inside_is_lost() -> None:
    # the squares underflow to zero: the formula alone would see no root
    found = encounter(np.array([1.0, 0.0, 0.0]), np.array([1e-180, 0.0, 0.0]), MINIMA)
    assert (found.separation, found.first_s, found.last_s) == (Separation.LOST, 0.0, 15.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_all_pairs_is_each_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 9
    position = rng.uniform(-100, 100, (n, 3)) * [1, 1, 0.1]
    velocity = rng.uniform(-10, 10, (n, 3)) * [1, 1, 0.1]
    position[3, 1] = np.nan
    horizontal, vertical = np.full((n, n), 20.0), np.full((n, n), 8.0)
    found = {
        (i, j): e
        for i, j, e in all_pairs(position, velocity, horizontal, vertical, look_ahead_s=15.0)
    }
    for i in range(n):
        for j in range(i + 1, n):
            alone = encounter(position[j] - position[i], velocity[j] - velocity[i], MINIMA)
            if alone.separation is Separation.KEPT:
                assert (i, j) not in found
            else:
                assert repr(found[(i, j)]) == repr(alone)
            assert (alone.separation is Separation.UNKNOWN) == (3 in (i, j))


def daidalus_example() -> tuple[Array, Array, float]:
    """Return the relative state of the first encounter of DaidalusExample, and its answer."""
    text = (DAIDALUS / "Regression" / "gold" / "DaidalusExample-cd3d.out").read_text()
    rows = {
        line.split(",")[0]: [float(x) for x in line.split(",")[1:7]]
        for line in text.splitlines()
        if re.match(r"(ownship|intruder), ", line)
    }
    answer = re.search(r"Corrective Volume with intruder: ([\d.]+)", text)
    assert answer is not None

    def state(lat: float, lon: float, alt: float, trk: float, gs: float, vs: float) -> Array:
        # DAIDALUS projects on a sphere whose arc minute is a nautical mile
        north = (lat - 33.95) * 60.0 * NM_M
        east = (lon + 96.7) * 60.0 * NM_M * math.cos(math.radians(33.95))
        track = math.radians(trk)
        return np.array(
            [
                north,
                east,
                -alt * FT_M,
                gs * KNOT_M_S * math.cos(track),
                gs * KNOT_M_S * math.sin(track),
                -vs * FT_M / 60.0,
            ]
        )

    apart = state(*rows["intruder"]) - state(*rows["ownship"])
    return apart[:3], apart[3:], float(answer[1])


@pytest.mark.skipif(not DAIDALUS.is_dir(), reason="no DAIDALUS data beside the project")
def test_daidalus_example_time_to_violation() -> None:
    s, v, answer_s = daidalus_example()
    found = encounter(s, v, Minima(5.0 * NM_M, 1000.0 * FT_M, 180.0))
    assert found.separation is Separation.LOST
    assert found.first_s == pytest.approx(answer_s, abs=0.5)


@pytest.mark.skipif(not DAIDALUS.is_dir(), reason="no DAIDALUS data beside the project")
def test_daidalus_head_on_passes_at_half_a_mile() -> None:
    """H0 was generated to have its closest approach of 0.5 nmi 100 s after its first row."""
    rows = [
        line.split(",")
        for line in (DAIDALUS / "Scenarios" / "H0_0_120.xyz").read_text().splitlines()
        if line.startswith(("Ownship", "Intruder"))
    ]
    for own, other in zip(rows[0::2], rows[1::2], strict=True):
        time_s = float(own[9 - 1])
        apart = []
        for row in (own, other):
            x, y, z, track, speed = (float(cell) for cell in row[1:6])
            heading = math.radians(track)
            apart.append(
                np.array(
                    [
                        y * NM_M,
                        x * NM_M,
                        -z * FT_M,
                        speed * KNOT_M_S * math.cos(heading),
                        speed * KNOT_M_S * math.sin(heading),
                        0.0,
                    ]
                )
            )
        s, v = (apart[1] - apart[0])[:3], (apart[1] - apart[0])[3:]
        time_s = float(own[9])
        if time_s > 100.0:
            continue
        found = encounter(s, v, Minima(1.0 * NM_M, 1000.0 * FT_M, 180.0))
        assert found.separation is Separation.LOST
        assert found.closest_m == pytest.approx(0.5 * NM_M, abs=2.0)
        assert found.closest_s == pytest.approx(100.0 - time_s, abs=0.1)
        # half the chord of the 1 nmi circle at 0.5 nmi, at 300 knots of closing speed
        half_s = math.sqrt(1.0 - 0.25) * NM_M / (300.0 * KNOT_M_S)
        assert found.first_s == pytest.approx(max(0.0, 100.0 - time_s - half_s), abs=0.1)
