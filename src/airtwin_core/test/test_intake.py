# SPDX-License-Identifier: Apache-2.0
"""Which time stamps are believed: the facts of PX4's time synchronisation, played back."""

from dataclasses import dataclass

import pytest

from airtwin_core.intake import BACKWARDS, DUPLICATE, WRONG_CLOCK, Intake

S = 1_000_000_000
EPOCH = 1_700_000_000 * S


@dataclass(frozen=True)
class Sample:
    stamp_ns: int
    received_ns: int


def stream(intake, start_s, end_s, offset_s=0.0, step_s=0.02, source="imu"):
    admitted = 0
    for i in range(round((end_s - start_s) / step_s)):
        now = EPOCH + round((start_s + i * step_s) * S)
        admitted += intake.admit(source, Sample(now + round(offset_s * S), now))
    return admitted


def test_sawtooth_of_px4_passes_and_a_boot_time_stamp_does_not():
    intake = Intake()
    assert stream(intake, 0.0, 10.0, offset_s=-0.2) == 500
    boot = Sample(30 * S, EPOCH + 10 * S)
    assert not intake.admit("imu", boot)
    assert stream(intake, 10.02, 12.0, offset_s=0.0) == 99
    assert intake.counts["imu"] == {"used": 599, WRONG_CLOCK: 1}
    assert intake.epoch == 0


def test_a_real_restart_is_believed_after_a_second():
    intake = Intake()
    stream(intake, 0.0, 5.0)
    admitted = stream(intake, 5.0, 8.0, offset_s=-1000.0)
    assert intake.epoch == 1
    assert 95 <= admitted <= 101


def test_duplicates_and_backwards_are_counted_per_source():
    intake = Intake()
    assert intake.admit("gnss", Sample(EPOCH + 2, EPOCH + 2))
    assert not intake.admit("gnss", Sample(EPOCH + 2, EPOCH + 3))
    assert not intake.admit("gnss", Sample(EPOCH + 1, EPOCH + 4))
    assert intake.admit("imu", Sample(EPOCH + 1, EPOCH + 4))
    assert intake.counts["gnss"] == {"used": 1, DUPLICATE: 1, BACKWARDS: 1}


def test_stamps_that_alternate_between_two_wrong_clocks_are_never_believed():
    intake = Intake()
    stream(intake, 0.0, 1.0)
    for i in range(400):
        now = EPOCH + S + i * S // 50
        assert not intake.admit("imu", Sample(now + (100 + 100 * (i % 2)) * S, now))


def test_a_clock_that_snaps_back_by_seconds_is_followed_too():
    """PX4 at four times real time with SYNCT=1 runs 8 s ahead, then snaps back."""
    intake = Intake()
    stream(intake, 0.0, 5.0, offset_s=8.0)
    assert stream(intake, 5.0, 10.0) == 248
    assert (intake.epoch, intake.moves) == (0, 1)
    assert intake.moved_s == pytest.approx(-8.0)


def vehicle(intake, start_s, end_s, offset_s=0.0, gnss_offset_s=None):
    """Play imu at 50 Hz and gnss at 5 Hz; return how many of each were admitted."""
    admitted = {"imu": 0, "gnss": 0}
    for i in range(round((end_s - start_s) * 50)):
        now = EPOCH + round((start_s + i * 0.02) * S)
        admitted["imu"] += intake.admit("imu", Sample(now + round(offset_s * S), now))
        if i % 10 == 0:
            offset = offset_s if gnss_offset_s is None else gnss_offset_s
            admitted["gnss"] += intake.admit("gnss", Sample(now + round(offset * S), now))
    return admitted


@pytest.mark.parametrize("ahead_s", [1.1, 3.0, 9.0, 900.0])
def test_one_stamp_of_the_future_is_refused_and_blocks_nothing(ahead_s):
    intake = Intake()
    vehicle(intake, 0.0, 2.0)
    assert vehicle(intake, 2.0, 2.2, gnss_offset_s=ahead_s) == {"imu": 10, "gnss": 0}
    assert vehicle(intake, 2.2, 12.2) == {"imu": 500, "gnss": 50}
    assert intake.counts["gnss"][WRONG_CLOCK] == 1
    assert intake.epoch == 0


@pytest.mark.parametrize("off_s", [3.0, -3.0, 100.0, -100.0])
def test_one_source_whose_clock_moves_is_followed_after_three_and_the_others_are_not(off_s):
    intake = Intake()
    vehicle(intake, 0.0, 2.0)
    assert vehicle(intake, 2.0, 12.0, gnss_offset_s=off_s) == {"imu": 500, "gnss": 48}
    # what comes back to the time of the others is believed, unless it runs backwards
    assert vehicle(intake, 12.0, 22.0) == {"imu": 500, "gnss": 48 if off_s > 0.0 else 50}
    assert intake.epoch == 0


def test_one_source_of_quite_another_clock_is_never_believed():
    intake = Intake()
    vehicle(intake, 0.0, 2.0)
    assert vehicle(intake, 2.0, 12.0, gnss_offset_s=3000.0) == {"imu": 500, "gnss": 0}
    assert (intake.epoch, intake.moves) == (0, 0)


@pytest.mark.parametrize("jump_s", [0.5, 3.0, 100.0, -0.1, -0.5, -3.0, -100.0])
def test_a_vehicle_whose_clock_moves_is_followed_at_once(jump_s):
    """Its sources share one clock: where the fastest has shown that it moved, none else waits."""
    intake = Intake()
    vehicle(intake, 0.0, 5.0)
    admitted = vehicle(intake, 5.0, 8.0, offset_s=jump_s)
    assert (intake.epoch, intake.moves) == (0, 1)
    assert intake.moved_s == pytest.approx(jump_s)
    assert admitted["imu"] == 148
    assert admitted["gnss"] >= 14


@pytest.mark.parametrize("ahead_s", [0.25, 0.9, 50.0])
def test_a_stamp_ahead_shuts_out_none_that_follow(ahead_s):
    intake = Intake()
    stream(intake, 0.0, 2.0)
    stream(intake, 2.0, 2.02, offset_s=ahead_s)
    assert stream(intake, 2.02, 4.0) >= 97
    assert intake.epoch == 0


def test_a_few_that_overtook_each_other_are_no_moved_clock():
    intake = Intake()
    for order in (0, 1, 2, 5, 3, 4, 6, 8, 7, 9):
        at = EPOCH + order * 20_000_000
        intake.admit("imu", Sample(at, at + 60_000_000))
    assert intake.counts["imu"] == {"used": 7, BACKWARDS: 3}
    assert intake.moves == 0


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_whole_vehicle_that_jumps_is_believed_after_a_second(jump_s):
    intake = Intake()
    vehicle(intake, 0.0, 5.0)
    admitted = vehicle(intake, 5.0, 8.0, offset_s=jump_s)
    assert intake.epoch == 1
    assert 95 <= admitted["imu"] <= 101
    assert 9 <= admitted["gnss"] <= 11


def test_a_source_that_is_wrong_for_good_does_not_hide_a_restart():
    """Nor is it believed instead: the imu has more to say."""
    intake = Intake()
    vehicle(intake, 0.0, 5.0)
    admitted = vehicle(intake, 5.0, 8.0, offset_s=-1000.0, gnss_offset_s=500.0)
    assert intake.epoch == 1
    assert 95 <= admitted["imu"] <= 101
    assert admitted["gnss"] == 0


def test_a_link_that_is_late_for_a_minute_and_then_is_not_loses_nothing():
    intake = Intake()
    stream(intake, 0.0, 2.0)
    assert stream(intake, 9.0, 60.0, offset_s=-6.0) == 2550
    assert stream(intake, 60.0, 62.0) == 100
    assert intake.epoch == 0


def test_one_late_source_does_not_stop_the_others():
    intake = Intake()
    vehicle(intake, 0.0, 2.0)
    assert vehicle(intake, 12.0, 22.0, gnss_offset_s=-9.0) == {"imu": 500, "gnss": 50}
    assert intake.epoch == 0


def test_a_simulator_that_runs_faster_or_slower_is_followed():
    for rate in (4.0, 0.5):
        intake = Intake()
        for i in range(3000):
            now = EPOCH + i * S // 50
            assert intake.admit("imu", Sample(EPOCH + round(i * S / 50 * rate), now))
