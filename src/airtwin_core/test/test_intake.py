# SPDX-License-Identifier: Apache-2.0
"""Which time stamps are believed: the facts of PX4's time synchronisation, played back."""

from dataclasses import dataclass

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
    assert 190 <= stream(intake, 5.0, 10.0) <= 201
    assert intake.epoch == 1
