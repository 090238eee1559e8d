# SPDX-License-Identifier: Apache-2.0
"""The bench itself: how parts are gathered, and the measures by which flights are judged."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from rich.console import Console

from airtwin_bringup import benches
from airtwin_core import stats
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import GnssFix, Imu, LandDetected, Origin
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from bench import physics, physics_flights, physics_outage, physics_rollouts
from bench.physics_claims import made_true
from bench.physics_flights import NoData
from bench.physics_nees import nees

QUIET = Console(quiet=True)


def _part(monkeypatch, name, measure):
    module = types.ModuleType(f"bench.physics_{name}")
    module.measure = measure
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return physics.Part(name, ("one", "two"))


def test_a_part_that_fails_is_named_and_the_others_go_on(monkeypatch):
    def broken(console):
        raise ValueError("no such thing")

    bad = _part(monkeypatch, "broken", broken)
    good = physics.Part("good", ("three",))
    _part(monkeypatch, "good", lambda console: {"three": 3})
    figures = physics.measure(QUIET, (bad, good))
    assert (figures["one"], figures["two"], figures["three"]) == (None, None, 3)
    assert figures["failed"] == {"broken": "ValueError: no such thing"}


def test_a_part_without_a_figure_it_owes_has_failed(monkeypatch):
    part = _part(monkeypatch, "half", lambda console: {"one": 1.0})
    figures = physics.measure(QUIET, (part,))
    assert figures["failed"] == {"half": "no figure for two"}


def test_absent_data_are_no_failure(monkeypatch):
    def absent(console):
        raise NoData("no data at ../shared")

    figures = physics.measure(QUIET, (_part(monkeypatch, "absent", absent),))
    assert figures["failed"] == {}
    assert figures["skipped"] == {"absent": "no data at ../shared"}
    assert figures["one"] is None


def test_tables_show_every_kind_of_figure():
    figures = {"a": 1.23456, "b": None, "c": {"d": True}, "e": [{"f": 1}, {"g": [1, 2]}], "h": []}
    console = Console(width=100, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    physics.show(console, figures)
    text = console.export_text()
    assert "1.235" in text
    assert "c.d" in text
    assert "[1, 2]" in text


def test_bench_names_what_there_is(tmp_path):
    with pytest.raises(KeyError, match=r'there are: foundation, physics"$'):
        benches.run("nothing", tmp_path / "x.json", QUIET)


def test_bench_writes_json_and_says_whether_it_is_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(physics, "measure", lambda console: {"one": 1, "failed": {"x": "y"}})
    assert not benches.run("physics", tmp_path / "a" / "b.json", QUIET)
    assert json.loads((tmp_path / "a" / "b.json").read_text())["one"] == 1


def _correlated(rng, n, lag, scale=1.0):
    keep = np.exp(-1.0 / lag) if lag else 0.0
    out = np.empty((n, 3))
    out[0] = rng.normal(size=3)
    for i in range(1, n):
        out[i] = keep * out[i - 1] + np.sqrt(1.0 - keep**2) * rng.normal(size=3)
    return scale * out


@pytest.mark.parametrize(("n", "lag"), [(400, 0), (400, 3), (800, 20)])
def test_nees_band_holds_what_it_says(n, lag):
    """Of honest filters, however correlated their errors, 95 % lie inside."""
    rng = np.random.default_rng(5)
    inside = [
        nees(_correlated(rng, n, lag), np.broadcast_to(np.eye(3), (n, 3, 3))).row("nees")
        for _ in range(200)
    ]
    assert 0.90 <= np.mean([row["nees_in_band"] for row in inside]) <= 0.99


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_nees_band_refuses_the_doubtful_and_the_conceited(scale):
    rng = np.random.default_rng(6)
    cov = np.broadcast_to(np.eye(3), (2000, 3, 3))
    rows = [nees(_correlated(rng, 2000, 20, scale), cov).row("nees") for _ in range(20)]
    assert not any(row["nees_in_band"] for row in rows)
    assert np.mean([row["nees"] for row in rows]) == pytest.approx(scale**2, rel=0.2)


def test_a_receiver_is_made_to_err_as_it_claims():
    """Over many fixes at 1 Hz: the size claimed, a share of it new each time, the rest of 60 s."""
    config = EstimatorConfig()
    fix = GnssFix(0, 0, 47.4, 8.5, 500.0, np.zeros(3), 1.5, 2.5, 0.4, 3, 12)
    flown = [dataclasses.replace(fix, stamp_ns=int(k * 1e9)) for k in range(20_000)]
    poor = dataclasses.replace(fix, fix_type=2)
    found = list(made_true([poor, *flown], np.random.default_rng(8), config))
    assert found[0] is poor
    frame = LocalFrame(Origin(47.4, 8.5, 500.0))
    at = [frame.to_ned(f.latitude_deg, f.longitude_deg, f.altitude_amsl_m) for f in found[1:]]
    error = np.array(at) / [1.5, 1.5, 2.5]
    assert error.std(axis=0) == pytest.approx(np.ones(3), rel=0.1)
    after = np.mean(error[1:] * error[:-1], axis=0)
    kept = (1.0 - config.gnss_white_share**2) * np.exp(-1.0 / config.gnss_wander_s)
    assert after == pytest.approx(np.full(3, kept), rel=0.1)
    speed = np.array([f.velocity_ned_m_s for f in found[1:]])
    assert speed.std(axis=0) == pytest.approx([0.4, 0.4, 0.6], rel=0.05)


def test_effective_count_of_known_processes():
    rng = np.random.default_rng(7)
    assert stats.effective_count(rng.normal(size=(1000, 3))) == pytest.approx(1000, rel=0.05)
    # a process of correlation exp(-1 / lag): sum of its squares gives coth(1 / lag)
    many = [stats.effective_count(_correlated(rng, 4000, 20)) for _ in range(20)]
    assert np.mean(many) == pytest.approx(4000 * np.tanh(1 / 20), rel=0.25)
    assert stats.effective_count(np.ones((500, 3))) < 1.5  # a lasting bias is one error


def test_mean_chi2_band_is_the_tables():
    # chi-square of 20 degrees of freedom: 9.591 and 34.170
    low, high = stats.mean_chi2_band(2, 10.0)
    assert (10 * low, 10 * high) == pytest.approx((9.591, 34.170), abs=1e-3)


def _hop(seconds, *, landed_s):
    """Samples of a flight at 50 Hz with 5 Hz GNSS, in the air until ``landed_s``."""
    out = []
    for i in range(int(50 * seconds)):
        t = i * 20_000_000 + 7
        if i == 0 or i == int(50 * landed_s):
            out.append(LandDetected(t, t, i > 0, False, False, False))
        if i % 10 == 0:
            out.append(GnssFix(t, t, 47.0, 8.0, 500.0, np.zeros(3), 1.0, 1.0, 0.3, 3, 12))
        out.append(Imu(t, t, np.zeros(3), np.array([0.0, 0.0, -9.8]), 0.02))
    return physics_flights.Flight("made", tuple(out))


def test_outages_lie_where_the_flight_leaves_room():
    cuts = physics_outage.places(_hop(80.0, landed_s=62.0))
    assert [round((cut.begin_ns - 7) * 1e-9) for cut in cuts] == [10, 20, 30]
    assert all(round((cut.end_ns - cut.begin_ns) * 1e-9, 1) == 30.0 for cut in cuts)
    assert not physics_outage.places(_hop(80.0, landed_s=39.0))


def test_outage_is_flown_from_a_copy_that_equals_the_original():
    """What is measured is a flight whose GNSS ended, not one with another past."""
    flight = _hop(45.0, landed_s=45.0)
    (cut,) = physics_outage.places(flight)
    (end,) = physics_outage._fly(flight, [cut], EstimatorConfig())
    lone = Estimator()
    for index, sample in enumerate(flight.samples[: cut.end + 1]):
        if index <= cut.begin or not isinstance(sample, GnssFix):
            lone.on(sample)
    state = lone.state()
    assert np.array_equal(end.position_ned_m, state.position_ned_m)
    assert np.array_equal(end.covariance, state.covariance)


def test_summary_of_outages():
    rows = [
        {"flight": f, "ratio": r, "drift_twin_m": d, "drift_inertial_m": 10.0, "inside": d < 5}
        for f, r, d in (("a", 0.1, 1.0), ("a", 0.3, 3.0), ("b", 0.9, 9.0))
    ]
    figures = physics_outage.summary(rows)
    assert figures["outage_drift_ratio_median"] == 0.3
    assert figures["outage_drift_ratio_flights"] == pytest.approx(0.55)
    assert figures["outage_drift_worst_m"] == 9.0
    assert figures["outage_inside_share"] == pytest.approx(2 / 3, abs=1e-3)
    assert physics_outage.summary([])["outage_drift_ratio_median"] is None


def test_a_peer_that_cannot_be_had_is_null_with_its_reason(monkeypatch, tmp_path):
    def refused(python, name, wants):
        raise subprocess.CalledProcessError(
            1, "pip", stderr="no network\nERROR: no such version\n"
        )

    monkeypatch.setattr(physics_rollouts, "_install", refused)
    assert physics_rollouts._peer("rotorpy") == (None, "rotorpy failed: ERROR: no such version")
    assert physics_rollouts._peer("nobody")[0] is None
    monkeypatch.setattr(physics_rollouts, "PEERS", tmp_path / "absent")
    monkeypatch.setattr(physics_rollouts, "_install", lambda *_: None)
    rate, why = physics_rollouts._peer("crazyflow")
    assert rate is None
    assert "could not be measured" in why
