# SPDX-License-Identifier: Apache-2.0
"""Deviations open and close with hysteresis; same input, same output; the usual is no event."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from consistency_scene import NS, Scene, hovering
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_consistency.limits import Limits
from airtwin_consistency.monitor import REQUIREMENTS
from airtwin_core.types import Attitude, Verdict

README = Path(__file__).parents[1] / "README.md"


def test_a_moment_is_no_deviation():
    scene = hovering()
    for _ in range(5):
        scene.px4_shift = np.array([9.0, 0.0, 0.0])
        scene.run(1.5)
        scene.px4_shift = np.zeros(3)
        scene.run(0.5)
    assert scene.opened == []


def test_a_deviation_ends_when_agreement_began_and_lasted():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(4.0)
    scene.px4_shift = np.zeros(3)
    back_s = scene.seconds(scene.now_ns)
    scene.run(2.5)
    assert [d.requirement for d in scene.report.open_deviations] == ["CON-POS-1"]
    scene.run(1.5)
    assert scene.report.open_deviations == ()
    assert len(scene.closed) == 1
    assert scene.seconds(scene.closed[0].end_ns) == pytest.approx(back_s, abs=0.2)
    assert scene.closed[0].id == scene.opened[0].id
    assert scene.report.verdict is Verdict.CONSISTENT


def test_just_below_the_limit_does_not_end_it():
    scene = hovering(Limits(position_bound_m=5.0))
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(4.0)
    scene.px4_shift = np.array([4.5, 0.0, 0.0])  # passes, but above 0.8 of the limit
    scene.run(10.0)
    assert scene.check("CON-POS-1").verdict is Verdict.CONSISTENT
    assert [d.requirement for d in scene.report.open_deviations] == ["CON-POS-1"]
    assert scene.report.verdict is Verdict.INCONSISTENT


def test_the_worst_is_kept_and_ids_are_unique():
    scene = hovering()
    for size in (9.0, 30.0):
        scene.px4_shift = np.array([size, 0.0, 0.0])
        scene.run(3.0)
        scene.px4_shift = np.array([size / 1.5, 0.0, 0.0])
        scene.run(1.0)
        scene.px4_shift = np.zeros(3)
        scene.run(5.0)
    assert [d.id for d in scene.closed] == ["CON-POS-1/1", "CON-POS-1/2"]
    assert scene.closed[1].statistic > 2.0 * scene.closed[0].statistic
    assert scene.closed[0].end_ns <= scene.closed[1].start_ns


def test_what_is_open_at_the_end_is_returned_open():
    scene = hovering()
    scene.px4_shift = np.array([9.0, 0.0, 0.0])
    scene.run(4.0)
    assert [d.end_ns for d in scene.monitor.finish(scene.now_ns)] == [None]


def test_an_honest_claim_of_bad_accuracy_is_no_deviation():
    scene = hovering(eph=30.0)
    scene.px4_shift = np.array([20.0, 0.0, 0.0])
    scene.run(5.0)
    assert scene.opened == []


def test_cause_follows_from_what_happened_before():
    scene = hovering()
    scene.delta_z = -8.0
    scene.resets["z"] = 1
    scene.px4_shift = np.array([0.0, 0.0, -8.0])
    scene.run(4.0)
    causes = {d.requirement: d.cause for d in scene.opened}
    assert causes == {"CON-RST-1": "PX4 height reset", "CON-POS-2": "PX4 height reset"}


def test_resets_on_the_ground_and_small_ones_are_alignment():
    ground = hovering(landed=True, armed=False)
    ground.delta_z, ground.delta_heading = 12.0, 1.0
    ground.resets.update(z=1, heading=1)
    ground.run(2.0)
    small = hovering()
    small.delta_z, small.delta_heading = 0.8, 0.15  # the second is the in-flight alignment
    small.resets.update(z=1, heading=1)
    small.run(2.0)
    assert ground.opened == small.opened == []


def test_the_bench_is_quiet():
    scene = Scene(
        landed=True, armed=False, xy_valid=False, fix_type=0, eph_gnss=99.0, nav_state=4, warning=2
    )
    scene.run(20.0)
    scene.silent.add("gnss")
    scene.run(20.0)
    assert scene.opened == []


def test_px4s_sawtooth_and_boot_time_stamps_are_counted_not_alarmed():
    scene = hovering()
    for _ in range(4):
        for lag_ms in range(0, 200, 4):
            scene.clock_ns = -lag_ms * 1_000_000
            scene.run(0.1)
        boot = scene.now_ns - 900 * NS
        scene.monitor.on(Attitude(boot, scene.now_ns, np.array([1.0, 0.0, 0.0, 0.0]), 0))
        scene.monitor.on(dataclasses.replace(scene._imu(boot, scene.now_ns)))
        scene.clock_ns = 0
        scene.run(0.1)
    assert scene.opened == []
    assert "4 passing glitches" in scene.check("CON-CLK-1").evidence


def test_simulation_at_four_times_real_time_is_no_clock_jump():
    scene = Scene()
    for _ in range(1500):  # stamps run four times as fast as arrivals
        scene.clock_ns += 3 * NS // 50
        scene.run(0.02)
    assert [d for d in scene.opened if d.requirement == "CON-CLK-1"] == []


def test_after_a_link_outage_no_sensor_is_blamed():
    scene = hovering()
    scene.silent = set(scene.silent) | {
        "imu", "attitude", "position", "odometry", "twin", "motors", "barometer", "gnss",
        "status", "flags", "land_detected", "battery", "timesync",
    }  # fmt: skip
    scene.run(8.0)
    scene.silent = {"vtol"}
    scene.run(6.0)
    assert {d.requirement for d in scene.opened} == {"CON-LNK-1"}
    assert scene.seconds(scene.closed[0].start_ns) == pytest.approx(15.0, abs=0.1)
    assert scene.seconds(scene.closed[0].end_ns) == pytest.approx(23.0, abs=0.2)


def test_low_battery_that_comes_and_goes_is_one_deviation():
    scene = hovering()
    for _ in range(4):
        scene.warning = 1
        scene.run(2.0)
        scene.warning = 0
        scene.run(4.0)
    scene.run(30.0)
    assert [d.requirement for d in scene.closed] == ["CON-BAT-1"]


def test_transition_and_wing_flight_tilt_as_they_like():
    scene = hovering(silent=set(), vehicle_type=2, vtol_state=4)
    scene.tilt_rad = 1.5
    scene.run(3.0)
    assert "CON-ATT-3" not in {d.requirement for d in scene.opened}


def test_a_rover_drives_while_landed():
    scene = hovering(vehicle_type=3, landed=True, velocity=np.array([8.0, 0.0, 0.0]))
    scene.run(5.0)
    assert scene.opened == []


def test_optical_flow_needs_no_gnss():
    scene = hovering(silent={"vtol", "gnss"}, seconds=40.0)
    assert scene.opened == []


def test_all_rotors_alike_is_the_battery_and_pairs_are_no_single_rotor():
    scene = hovering()
    scene.motors = np.full(4, 0.56)
    scene.run(5.0)
    assert scene.opened == []
    scene.motors = np.array([0.62, 0.62, 0.45, 0.45])
    scene.run(5.0)
    assert [d.cause for d in scene.opened if d.requirement == "CON-ACT-1"] in ([], ["unknown"])


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 0.3))
def test_noise_within_its_claims_never_opens_anything(seed, noise):
    scene = Scene(rng=np.random.default_rng(seed), noise=noise)
    scene.run(20.0)
    assert scene.opened == []


@settings(max_examples=25, deadline=None)
@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        ["eph", "epv", "delta_z", "delta_heading", "tilt_rad", "twin_sigma", "round_trip_s",
         "baro_innovation", "velocity_nis", "eph_gnss"]
    ),
)  # fmt: skip
def test_no_value_breaks_the_monitor_and_checks_are_what_they_say(value, knob):
    scene = hovering(seconds=1.0)
    setattr(scene, knob, value)
    scene.resets.update(z=1, heading=1)
    with np.errstate(all="ignore"):
        scene.run(1.0)
    for check in scene.report.checks:
        if check.verdict is Verdict.CONSISTENT:
            assert check.statistic <= check.limit
        elif check.verdict is Verdict.INCONSISTENT:
            assert not check.statistic <= check.limit


def test_same_input_gives_the_same_output_bit_for_bit():
    def story():
        scene = Scene(noise=0.2)
        scene.run(12.0)
        scene.px4_shift = np.array([9.0, 1.0, 0.0])
        scene.run(4.0)
        return repr((scene.report, scene.opened, scene.closed))

    assert story() == story()


@pytest.mark.parametrize(
    "wrong", [{"persist_s": -1.0}, {"persist_s": float("nan")}, {"probability": 1.0},
              {"clear_ratio": 1.5}, {"position_bound_m": 0.0}],
)  # fmt: skip
def test_limits_refuse_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)


def test_the_readme_lists_every_requirement_once():
    lines = README.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| CON-")]
    assert rows == [requirement.id for requirement in REQUIREMENTS]


def test_the_configuration_repeats_the_defaults():
    path = Path(__file__).parents[3] / "config" / "consistency.yaml"
    values = yaml.safe_load(path.read_text())["/**/consistency"]["ros__parameters"]
    assert Limits(**values) == Limits()
