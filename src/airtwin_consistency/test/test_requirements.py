# SPDX-License-Identifier: Apache-2.0
"""Each requirement fails on its fault, passes without it, and is unknown without evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from consistency_scene import NS, Scene, hovering

from airtwin_consistency.monitor import REQUIREMENTS, Monitor
from airtwin_core.types import Verdict

IDS = [requirement.id for requirement in REQUIREMENTS]


def _reset(scene: Scene, name: str) -> None:
    scene.resets[name] = scene.resets.get(name, 0) + 1


def _shift_xy(s: Scene) -> None:
    s.px4_shift = np.array([8.0, 0.0, 0.0])


def _shift_z(s: Scene) -> None:
    s.px4_shift = np.array([0.0, 0.0, -9.0])


def _speed(s: Scene) -> None:
    s.px4_velocity_shift = np.array([0.0, 4.0, 0.0])


def _jump(s: Scene) -> None:
    s.gnss_shift = np.array([20.0, 0.0, 0.0])


def _doppler(s: Scene) -> None:
    s.velocity_innovation = np.array([1.2, 0.0, 0.0])


def _xy_reset(s: Scene) -> None:
    s.delta_xy = np.array([5.0, 0.0])
    _reset(s, "xy")


def _z_reset(s: Scene) -> None:
    s.delta_z = -6.0
    _reset(s, "z")


def _heading_reset(s: Scene) -> None:
    s.delta_heading = 0.6
    _reset(s, "heading")


def _switch(s: Scene) -> None:
    for name in ("xy", "z", "vxy", "vz", "heading"):
        _reset(s, name)


def _set(**knobs: object) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for name, value in knobs.items():
            assert hasattr(scene, name)
            setattr(scene, name, value)

    return change


def _silence(*sources: str) -> Callable[[Scene], None]:
    return lambda scene: scene.silent.update(sources)


def _loud(source: str, **knobs: object) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        scene.silent.discard(source)
        _set(**knobs)(scene)

    return change


# requirement, what goes wrong, cause, seconds until decided at the latest
FAULTS = [
    ("CON-POS-1", _shift_xy, "unknown", 2.3),
    ("CON-POS-2", _shift_z, "unknown", 2.3),
    ("CON-VEL-1", _speed, "unknown", 2.3),
    ("CON-ATT-1", _set(px4_tilt_rad=0.4), "unknown", 1.3),
    ("CON-ATT-2", _set(px4_yaw_rad=1.2), "unknown", 2.3),
    ("CON-ATT-3", _set(tilt_rad=1.6), "loss of control", 0.6),
    ("CON-GNS-1", _set(fix_type=1), "GNSS lost", 2.3),
    ("CON-GNS-1", _silence("gnss"), "GNSS lost", 2.3),
    ("CON-GNS-2", _jump, "GNSS jump (spoofing or multipath)", 0.3),
    ("CON-GNS-3", _doppler, "GNSS drift (spoofing)", 1.0),
    ("CON-GNS-4", _set(eph_gnss=9.0), "GNSS poor (multipath or interference)", 2.5),
    ("CON-BAR-1", _silence("barometer"), "barometer stopped", 1.3),
    ("CON-BAR-2", _set(baro_innovation=7.0), "barometer fault", 4.5),
    ("CON-IMU-1", _set(accel_bias=np.array([0.6, 0.0, 0.0])), "IMU fault", 2.3),
    ("CON-IMU-1", _set(gyro_bias=np.array([0.05, 0.0, 0.0])), "IMU fault", 2.3),
    ("CON-LNK-1", _silence("imu", "attitude", "position", "odometry", "twin", "motors",
                           "barometer", "gnss", "status", "flags", "land_detected", "battery",
                           "timesync"), "link outage", 1.3),
    ("CON-LNK-1", _silence("position"), "topic stopped", 1.3),
    ("CON-LNK-1", _silence("twin"), "twin stopped", 1.3),
    ("CON-CLK-1", _set(clock_ns=2 * NS), "clock jump", 0.6),
    ("CON-CLK-1", _set(clock_ns=-2 * NS), "link delay", 0.6),
    ("CON-CLK-1", _set(round_trip_s=0.9), "link delay", 1.6),
    ("CON-RST-1", _xy_reset, "PX4 position reset", 0.2),
    ("CON-RST-1", _z_reset, "PX4 height reset", 0.2),
    ("CON-RST-1", _heading_reset, "PX4 heading reset", 0.2),
    ("CON-RST-2", _switch, "PX4 estimator switch", 0.2),
    ("CON-MOD-1", _set(failsafe=True), "autopilot failsafe", 0.7),
    ("CON-MOD-1", _set(nav_state=12), "autopilot failsafe", 0.7),
    ("CON-MOD-1", _loud("vtol", wing_failure=True), "VTOL transition failure", 0.7),
    ("CON-BAT-1", _set(warning=1), "battery low", 1.2),
    ("CON-PHS-1", _set(armed=False), "unknown", 5.0),
    ("CON-PHS-1", _set(landed=True, velocity=np.array([6.0, 0.0, 0.0])),
     "land detector wrong", 2.5),
    ("CON-ACT-1", _set(motors=np.array([0.5, 0.5, 0.75, 0.5])), "motor fault (rotor 3)", 3.0),
    ("CON-ACT-1", _set(motors=np.array([1.0, 0.6, 0.6, 0.6])), "motor fault (rotor 1)", 1.0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("requirement", "fault", "cause", "within_s"),
    FAULTS,
    ids=[f"{row[0]}-{row[2]}" for row in FAULTS],
)
def test_a_fault_opens_its_deviation_in_time_with_its_cause(requirement, fault, cause, within_s):
    scene = hovering()
    assert scene.opened == []
    before_s = scene.seconds(scene.now_ns)
    fault(scene)
    scene.run(within_s)
    found = [d for d in scene.opened if d.requirement == requirement]
    assert found, [(d.requirement, d.evidence) for d in scene.opened]
    assert found[0].cause == cause
    assert found[0].end_ns is None
    assert not found[0].statistic <= found[0].limit
    assert scene.report.verdict is Verdict.INCONSISTENT
    # onset: when it began, not when it was decided (clock faults move the clock itself)
    if requirement not in ("CON-CLK-1", "CON-PHS-1"):
        assert before_s - 1.1 <= scene.seconds(found[0].start_ns) <= before_s + 1.6


def test_dead_reckoning_called_valid_is_no_position_source():
    scene = hovering()
    _silence("gnss")(scene)
    scene.dead_reckoning = True
    scene.run(15.0)
    assert "CON-POS-3" not in {d.requirement for d in scene.opened}  # PX4 may bridge a while
    scene.run(10.0)
    found = next(d for d in scene.opened if d.requirement == "CON-POS-3")
    assert found.cause == "no absolute position source"


@pytest.mark.parametrize(("knob", "value"), [("eph", 500.0), ("px4_velocity_shift", 60.0)])
def test_a_position_that_cannot_be_is_no_position(knob, value):
    scene = hovering()
    setattr(scene, knob, value if knob == "eph" else np.array([value, 0.0, 0.0]))
    scene.run(1.5)
    assert "CON-POS-3" in {d.requirement for d in scene.opened}


def test_without_deviation_all_that_has_evidence_passes():
    scene = hovering(noise=0.1, seconds=30.0)
    assert scene.opened == []
    assert scene.report.verdict is Verdict.CONSISTENT
    unknown = [c.requirement for c in scene.report.checks if c.verdict is Verdict.UNKNOWN]
    assert unknown == []
    assert [c.requirement for c in scene.report.checks] == IDS
    for check in scene.report.checks:
        assert check.verdict is Verdict.CONSISTENT, check
        assert check.statistic <= check.limit
        assert check.evidence


@pytest.mark.parametrize(
    "motors",
    # as flown by sound aircraft, two quads and a quad-plane: they ask for more yaw than there is
    [(0.57, 0.57, 0.86, 1.0), (0.62, 0.61, 0.89, 1.0), (0.45, 0.84, 0.61, 1.0)],
)
def test_yaw_that_cannot_be_met_is_no_motor_fault(motors):
    scene = hovering(seconds=6.0)
    scene.motors = np.array(motors)
    scene.run(5.0)
    told = [d.cause for d in scene.opened if d.requirement == "CON-ACT-1"]
    assert not any("rotor" in cause for cause in told), told


def test_without_any_sample_everything_is_unknown():
    report, changed = Monitor().tick(5 * NS)
    assert changed == ()
    assert report.verdict is Verdict.UNKNOWN
    assert [c.requirement for c in report.checks] == IDS
    for check in report.checks:
        assert check.verdict is Verdict.UNKNOWN
        assert np.isnan(check.statistic)
        assert check.evidence.startswith("no evidence")


NEEDS = [
    ("CON-POS-1", "position"), ("CON-POS-1", "twin"), ("CON-POS-2", "position"),
    ("CON-POS-3", "position"), ("CON-VEL-1", "twin"), ("CON-ATT-1", "attitude"),
    ("CON-ATT-2", "attitude"), ("CON-ATT-3", "attitude"), ("CON-GNS-1", "gnss"),
    ("CON-GNS-2", "gnss"), ("CON-GNS-3", "gnss"), ("CON-GNS-4", "gnss"),
    ("CON-BAR-1", "barometer"), ("CON-BAR-2", "twin"), ("CON-IMU-1", "twin"),
    ("CON-RST-1", "position"), ("CON-RST-2", "position"), ("CON-MOD-1", "status"),
    ("CON-BAT-1", "battery"), ("CON-PHS-1", "land_detected"), ("CON-ACT-1", "motors"),
]  # fmt: skip


@pytest.mark.parametrize(("requirement", "source"), NEEDS)
def test_a_check_without_its_source_is_unknown_never_passed(requirement, source):
    scene = hovering(silent={"vtol", source})
    assert scene.check(requirement).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("requirement", "knobs"),
    [
        ("CON-POS-1", {"xy_valid": False}),
        ("CON-POS-1", {"twin_valid": False}),
        ("CON-VEL-1", {"twin_valid": False}),
        ("CON-ATT-2", {"magnetometer_used": 0}),  # the twin's heading is PX4's own
        ("CON-ATT-3", {"vehicle_type": 2}),
        ("CON-ACT-1", {"velocity": np.array([8.0, 0.0, 0.0])}),
        ("CON-GNS-1", {"landed": True, "armed": False}),
    ],
)
def test_what_cannot_be_judged_is_unknown(requirement, knobs):
    assert hovering(**knobs).check(requirement).verdict is Verdict.UNKNOWN


def test_heading_that_leaves_the_twins_borrowed_heading_still_fails():
    scene = hovering(magnetometer_used=0)
    scene.px4_yaw_rad = 1.5
    scene.run(3.0)
    assert "CON-ATT-2" in {d.requirement for d in scene.opened}


@pytest.mark.parametrize(
    ("knob", "value", "requirement"),
    [
        ("px4_shift", np.full(3, np.nan), "CON-POS-1"),
        ("px4_velocity_shift", np.full(3, np.nan), "CON-VEL-1"),
        ("px4_shift", np.full(3, np.nan), "CON-POS-2"),
        ("twin_sigma", np.nan, "CON-POS-1"),
        ("baro_innovation", np.nan, "CON-BAR-2"),
        ("delta_z", np.nan, "CON-RST-1"),
        ("round_trip_s", np.nan, "CON-CLK-1"),
        ("accel_bias", np.full(3, np.nan), "CON-IMU-1"),
    ],
)
def test_nan_never_passes(knob, value, requirement):
    scene = hovering()
    setattr(scene, knob, value)
    if requirement == "CON-RST-1":
        _reset(scene, "z")
    scene.run(1.0 if requirement == "CON-RST-1" else 5.0)
    assert scene.check(requirement).verdict is not Verdict.CONSISTENT
