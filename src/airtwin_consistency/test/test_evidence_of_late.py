# SPDX-License-Identifier: Apache-2.0
"""Nothing passes on what is old, absent or of another clock."""

from __future__ import annotations

import types

import numpy as np
import pytest
from consistency_scene import NS, Scene, hovering

from airtwin_consistency.evidence import Evidence
from airtwin_consistency.gnss import GnssChecks
from airtwin_consistency.limits import Limits
from airtwin_core.types import Check, GnssFix, LandDetected, Verdict

T0 = 10**15
DEG_M = 111_000.0  # a degree of latitude, near enough


def _fix(t_ns, north_m=0.0, altitude_m=500.0, velocity=None, eph_m=1.0, epv_m=1.0):
    latitude = 47.0 + north_m / DEG_M
    return GnssFix(t_ns, t_ns, latitude, 8.0, altitude_m, velocity, eph_m, epv_m, 0.3, 3, 12)


def _flying():
    seen = Evidence()
    seen.landed = LandDetected(T0, T0, False, False, False, False)
    return seen


def _checks(gnss: GnssChecks, seen: Evidence, now_ns: int) -> dict[str, Check]:
    return {f.check.requirement: f.check for f in gnss.check(seen, now_ns)}


# --- the overall verdict ---------------------------------------------------------------------


def test_without_a_twin_nothing_is_consistent():
    scene = hovering(silent={"vtol", "twin"}, seconds=30.0)
    assert scene.check("CON-MOD-1").verdict is Verdict.CONSISTENT
    assert scene.report.verdict is Verdict.UNKNOWN


def test_a_twin_that_stops_ends_agreement_at_once():
    scene = hovering()
    assert scene.report.verdict is Verdict.CONSISTENT
    scene.silent.add("twin")
    scene.run(1.1)
    assert scene.report.verdict is not Verdict.CONSISTENT


def test_a_check_that_fails_but_has_not_lasted_is_no_agreement():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(1.0)
    assert scene.opened == []
    assert scene.report.verdict is Verdict.UNKNOWN


def test_what_was_forgotten_is_not_agreed_until_evidence_returns():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(3.0)
    scene.xy_valid = False
    scene.run(12.0)
    assert [d.requirement for d in scene.closed] == ["CON-POS-1"]
    assert scene.check("CON-ATT-1").verdict is Verdict.CONSISTENT
    assert scene.report.verdict is Verdict.UNKNOWN
    scene.px4_shift, scene.xy_valid = np.zeros(3), True
    scene.run(11.0)
    assert scene.report.verdict is Verdict.CONSISTENT


# --- words of the vehicle that grow old ------------------------------------------------------


@pytest.mark.parametrize(
    ("requirement", "source"),
    [
        ("CON-BAT-1", "battery"),
        ("CON-MOD-1", "status"),
        ("CON-PHS-1", "status"),
        ("CON-PHS-1", "land_detected"),
        ("CON-RST-1", "position"),
        ("CON-RST-2", "position"),
    ],
)
def test_a_word_of_long_ago_is_no_evidence(requirement, source):
    scene = hovering()
    scene.silent.add(source)
    scene.run(4.0)
    assert scene.check(requirement).verdict is Verdict.CONSISTENT
    scene.run(3.0)
    assert scene.check(requirement).verdict is Verdict.UNKNOWN


def test_a_topic_that_is_slow_by_nature_may_be_old():
    scene = Scene(silent={"vtol", "battery"})
    for _ in range(6):  # every 4 s
        scene.silent.discard("battery")
        scene.run(1.0)
        scene.silent.add("battery")
        scene.run(6.0)
    assert scene.check("CON-BAT-1").verdict is Verdict.CONSISTENT


# --- GNSS ------------------------------------------------------------------------------------


def test_the_last_fix_says_nothing_later():
    gnss, seen = GnssChecks(Limits()), _flying()
    for i in range(60):
        now_ns = T0 + i * NS // 5
        gnss.on_fix(_fix(now_ns, north_m=0.1 * (i % 2), velocity=np.zeros(3)))
    checks = _checks(gnss, seen, now_ns)
    assert checks["CON-GNS-2"].verdict is checks["CON-GNS-3"].verdict is Verdict.CONSISTENT
    assert checks["CON-GNS-2"].statistic > 0.0
    for check in _checks(gnss, seen, now_ns + 4 * NS).values():
        assert check.verdict is not Verdict.CONSISTENT


def test_without_any_velocity_steps_are_unknown():
    gnss, seen = GnssChecks(Limits()), _flying()
    for i in range(60):
        gnss.on_fix(_fix(T0 + i * NS // 5, velocity=np.zeros(3)))
    for i in range(60, 110):
        now_ns = T0 + i * NS // 5
        gnss.on_fix(_fix(now_ns, north_m=200.0 * (i - 60)))
    checks = _checks(gnss, seen, now_ns)
    assert checks["CON-GNS-2"].verdict is checks["CON-GNS-3"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("speed_m_s", "requirement"), [(100.0, "CON-GNS-2"), (8.0, "CON-GNS-3")])
def test_without_doppler_the_twins_velocity_takes_its_place(speed_m_s, requirement):
    scene = hovering(seconds=15.0)
    fixes = []

    def without_doppler(fix):
        fixes.append(fix)
        shift = np.array([speed_m_s * (fix.stamp_ns - fixes[0].stamp_ns) / NS, 0.0, 0.0])
        return _fix(fix.stamp_ns, north_m=shift[0])

    plain = scene._gnss
    scene._gnss = lambda stamp, received: without_doppler(plain(stamp, received))
    scene.run(8.0)
    found = [d for d in scene.opened if d.requirement == requirement]
    assert found, [(d.requirement, d.evidence) for d in scene.opened]
    assert "the twin's velocity" in found[0].evidence


def test_honest_fixes_without_doppler_raise_nothing():
    scene = hovering(seconds=15.0, noise=0.1, velocity=np.array([5.0, 0.0, 0.0]))
    plain = scene._gnss

    def without_doppler(stamp, received):
        fix = plain(stamp, received)
        return GnssFix(
            stamp, received, fix.latitude_deg, fix.longitude_deg, fix.altitude_amsl_m, None,
            0.9, 1.8, 0.4, 3, 12,
        )  # fmt: skip

    scene._gnss = without_doppler
    scene.run(20.0)
    assert scene.opened == []
    assert scene.check("CON-GNS-2").verdict is Verdict.CONSISTENT


@pytest.mark.parametrize("claim", ["eph_m", "epv_m"])
def test_a_jump_without_claimed_accuracy_is_still_a_jump(claim):
    gnss, seen = GnssChecks(Limits()), _flying()
    jump = {"north_m": 400.0} if claim == "eph_m" else {"altitude_m": 900.0}
    gnss.on_fix(_fix(T0, velocity=np.zeros(3), **{claim: float("nan")}))
    gnss.on_fix(_fix(T0 + NS, velocity=np.zeros(3), **jump, **{claim: float("nan")}))
    check = _checks(gnss, seen, T0 + NS)["CON-GNS-2"]
    assert check.verdict is Verdict.INCONSISTENT
    assert check.statistic > 10.0


# --- clocks that start over ------------------------------------------------------------------


def test_when_the_vehicles_clock_restarts_what_is_open_closes_and_ids_go_on():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(3.0)
    before_ns = scene.now_ns
    scene.monitor.restart()
    scene.clock_ns = 10 * NS - scene.now_ns
    scene.run(0.2)
    assert [(d.id, d.end_ns) for d in scene.closed] == [("CON-POS-1/1", before_ns)]
    scene.run(14.0)
    second = next(d for d in scene.opened if d.id == "CON-POS-1/2")
    assert 10 * NS < second.start_ns < 30 * NS  # of the new clock, not held at the old one's end
    assert "CON-CLK-1" in {d.requirement for d in scene.opened}  # a restart in flight is told


def test_a_clock_of_arrival_that_runs_back_starts_over_instead_of_blinding():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(1.5)  # fails, not open yet
    scene.now_ns = 5 * NS
    scene.run(14.0)
    found = [d for d in scene.opened if d.requirement == "CON-POS-1"]
    assert [d.id for d in found] == ["CON-POS-1/1"]
    assert 5 * NS < found[0].start_ns < 19 * NS


def test_a_sample_of_the_future_is_of_another_clock():
    scene = hovering()
    report, _ = scene.monitor.tick(scene.now_ns)
    assert report.verdict is Verdict.CONSISTENT
    scene.monitor._last_ns = None  # as if no tick had come before the clock ran back
    report, _ = scene.monitor.tick(scene.now_ns - 10 * NS)
    assert report.verdict is Verdict.UNKNOWN


def test_replay_starts_the_monitor_over_with_the_intake(monkeypatch):
    follow = pytest.importorskip("airtwin_record.follow")
    scene = Scene(silent={"vtol", "twin"}, tilt_rad=1.6)

    def arriving(log, intake):
        for i in range(500):
            if i == 250:
                scene.clock_ns = 10 * NS - scene.now_ns
            scene.now_ns += NS // 50
            scene._step += 1
            for value in scene.values():
                source = type(value).__name__
                if intake.admit(source, value):
                    yield value.received_ns, source, value

    monkeypatch.setattr(follow, "samples", arriving)
    log = types.SimpleNamespace(start_ns=scene.now_ns, tables=())
    history, intake = follow.follow(log)
    assert intake.epoch == 1
    upset = {d.id: d for d in history.deviations.values() if d.requirement == "CON-ATT-3"}
    assert list(upset) == ["CON-ATT-3/1", "CON-ATT-3/2"]
    assert upset["CON-ATT-3/1"].end_ns >= 1_000 * NS
    assert upset["CON-ATT-3/2"].start_ns < 100 * NS
