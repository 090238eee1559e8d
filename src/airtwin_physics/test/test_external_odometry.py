# SPDX-License-Identifier: Apache-2.0
"""What goes back to the aircraft: never on doubt, silence or NaN; and no loop through PX4."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core.types import (
    Deviation,
    ExternalPose,
    Fusion,
    Origin,
    Report,
    TwinState,
    Verdict,
)
from airtwin_physics.external_odometry import (
    DOUBTED,
    ExternalOdometry,
    OdometryLimits,
    quality,
    sent_variance,
)

SECOND = 1_000_000_000
STEP_NS = 20_000_000
START_NS = 1_700_000_000 * SECOND
LIMITS = OdometryLimits()
GOOD = Report(0, Verdict.CONSISTENT, (), ())
SPEED = np.array([3.0, -1.0, 0.5])


def state(t_ns: int, **changes: object) -> TwinState:
    """A twin that flies straight on, sure of itself, with a compass of its own."""
    base = TwinState(
        stamp_ns=t_ns,
        received_ns=t_ns,
        position_ned_m=SPEED * (t_ns - START_NS) / SECOND,
        velocity_ned_m_s=SPEED,
        q_ned_frd=np.array([1.0, 0.0, 0.0, 0.0]),
        rate_frd_rad_s=np.zeros(3),
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=np.diag([0.3, 0.4, 0.5, *[0.1] * 3, 0.02, 0.03, 0.05, *[0.01] * 6]) ** 2,
        origin=Origin(47.0, 8.0, 500.0),
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
        fusions=(Fusion("magnetometer", 9, {}, 1.0, 1, np.zeros(1), t_ns - SECOND // 10),),
    )
    return base._replace(**changes)


class Flight:
    """Feeds a gate at 50 Hz, with a monitor at 10 Hz that says ``report``."""

    def __init__(self) -> None:
        self.gate = ExternalOdometry(LIMITS)
        self.t_ns = START_NS
        self.report: Report | None = GOOD
        self.sent: list[ExternalPose] = []
        self.shift_m = 0.0

    def fly(self, seconds: float, **changes: object) -> list[ExternalPose]:
        before = len(self.sent)
        for k in range(round(seconds * SECOND / STEP_NS)):
            if self.report is not None and k % 5 == 0:
                self.gate.on_report(self.report, self.t_ns)
            now = state(self.t_ns, **changes)
            now = now._replace(position_ned_m=now.position_ned_m + self.shift_m)
            pose = self.gate.on_state(now, self.t_ns)
            if pose is not None:
                self.sent.append(pose)
            self.t_ns += STEP_NS
        return self.sent[before:]


def test_what_is_sent_is_the_state_and_its_variances() -> None:
    flight = Flight()
    sent = flight.fly(4.0)
    assert 2.0 * 0.9 / 0.04 <= len(sent) <= 2.0 / LIMITS.period_s
    pose = sent[-1]
    assert pose.position_ned_m == pytest.approx(SPEED * (pose.stamp_ns - START_NS) / SECOND)
    assert pose.velocity_ned_m_s == pytest.approx(SPEED)
    assert pose.q_ned_frd == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert pose.position_variance_m2 == pytest.approx([0.01] * 3), "see sent_variance"
    assert pose.velocity_variance_m2_s2 == pytest.approx([0.01] * 3)
    assert pose.orientation_variance_rad2 == pytest.approx([4e-4, 9e-4, 25e-4])
    assert not pose.local_frame
    assert {p.reset_counter for p in sent} == {0}
    assert quality(state(START_NS), LIMITS) == round(100 * (1.0 - 0.4 / 1.5))


def _covariance(index: int, sigma: float) -> np.ndarray:
    covariance = state(START_NS).covariance.copy()
    covariance[index, index] = sigma**2 if sigma >= 0.0 else -1.0
    return covariance


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aligned": False}, "attitude is not valid"),
        ({"velocity_valid": False}, "velocity is not valid"),
        ({"position_ned_m": np.array([np.nan, 0, 0])}, "not finite"),
        ({"velocity_ned_m_s": np.array([0, np.inf, 0])}, "not finite"),
        ({"q_ned_frd": np.full(4, np.nan)}, "not finite"),
        ({"covariance": _covariance(1, math.nan)}, "covariance is none"),
        ({"covariance": _covariance(1, -1.0)}, "covariance is none"),
        ({"covariance": np.full((15, 15), np.nan)}, "covariance is none"),
    ],
)
def test_a_state_that_is_not_good_enough_is_withheld(change: dict[str, object], why: str) -> None:
    flight = Flight()
    assert flight.fly(3.0)
    assert flight.fly(1.0, **change) == []
    assert why in flight.gate.withheld
    assert flight.fly(LIMITS.clear_s - 0.1) == []
    assert flight.fly(0.5)


@pytest.mark.parametrize(
    ("index", "sigma", "what"),
    [(0, 1.6, "horizontal position"), (2, 2.1, "height"), (4, 0.8, "velocity")],
)
def test_what_is_uncertain_for_a_moment_is_left_out_for_that_moment(
    index: int, sigma: float, what: str
) -> None:
    flight = Flight()
    assert flight.fly(3.0)
    assert flight.fly(0.2, covariance=_covariance(index, sigma)) == []
    assert flight.gate.withheld == f"the twin's {what} is too uncertain"
    assert flight.fly(0.2)[0].reset_counter == 0, "EKF2 went on: nothing to reset"
    assert flight.fly(1.0, covariance=_covariance(index, sigma)) == []
    assert flight.fly(0.2)[0].reset_counter == 1, "it did not"


@pytest.mark.parametrize("changes", [{"horizontal_valid": False}, {"vertical_valid": False}])
def test_without_an_absolute_position_the_velocity_goes_alone(changes: dict[str, object]) -> None:
    flight = Flight()
    pose = flight.fly(3.0, covariance=_covariance(0, 90.0), **changes)[-1]
    assert pose.position_ned_m is None
    assert np.isnan(pose.position_variance_m2).all()
    assert pose.velocity_ned_m_s == pytest.approx(SPEED)
    unplaced = state(flight.t_ns, covariance=_covariance(0, 90.0), **changes)
    assert quality(unplaced, LIMITS) == round(100 * (1.0 - 0.1 / 0.7)), "by the velocity alone"


def test_a_monitor_that_never_spoke_or_fell_silent() -> None:
    flight = Flight()
    flight.report = None
    assert flight.fly(10.0) == []
    assert flight.gate.withheld == "the consistency monitor has said nothing"
    flight.report = GOOD
    assert flight.fly(3.0)
    flight.report = None
    flight.fly(LIMITS.monitor_silent_s)
    assert flight.fly(5.0) == []
    assert flight.gate.withheld == "the consistency monitor is silent"
    flight.report = GOOD
    assert flight.fly(0.1), "a monitor that was held up has doubted nothing"


@pytest.mark.parametrize("factor", sorted(DOUBTED))
def test_a_doubt_about_the_twins_navigation(factor: str) -> None:
    flight = Flight()
    assert flight.fly(3.0)
    open_ = Deviation("a", factor, "CON-X", START_NS, None, "unknown", 2.0, 1.0, "")
    flight.report = Report(0, Verdict.INCONSISTENT, (), (), (open_,))
    flight.fly(0.1)
    assert flight.fly(5.0) == []
    assert factor in flight.gate.withheld


@pytest.mark.parametrize("factor", ["battery", "mode", "actuation", "clock", "gnss availability"])
def test_a_deviation_that_says_nothing_about_it_changes_nothing(factor: str) -> None:
    flight = Flight()
    open_ = Deviation("a", factor, "CON-X", START_NS, None, "unknown", 2.0, 1.0, "")
    flight.report = Report(0, Verdict.INCONSISTENT, (), (), (open_,))
    assert flight.fly(4.0)


def test_factors_that_stop_it_are_factors_of_the_monitor() -> None:
    modules = (Path(__file__).parents[2] / "airtwin_consistency").glob("airtwin_consistency/*.py")
    source = "\n".join(path.read_text() for path in modules)
    assert all(f'"{factor}"' in source for factor in DOUBTED)


def test_a_heading_that_rests_on_px4s_does_not_come_back_to_px4() -> None:
    flight = Flight()

    def heading(age_s: float) -> tuple[Fusion, ...]:
        used_ns = flight.t_ns - round(age_s * SECOND)
        return (Fusion("heading", 5, {}, 1.0, 1, np.zeros(1), used_ns),)

    pose = flight.fly(3.0, fusions=heading(0.1))[-1]
    assert pose.q_ned_frd is None
    assert np.isnan(pose.orientation_variance_rad2).all()
    assert pose.position_ned_m is not None
    assert flight.fly(0.5, fusions=heading(20.0))[-1].q_ned_frd is None
    assert flight.fly(0.5, fusions=heading(40.0))[-1].q_ned_frd is not None
    assert flight.fly(0.5, heading_valid=False)[-1].q_ned_frd is None
    assert flight.fly(0.5)[-1].q_ned_frd is not None
    assert flight.fly(0.5, covariance=_covariance(8, 0.3))[-1].q_ned_frd is None


HALF_A_RADIAN = np.array([math.cos(0.25), 0.0, 0.0, math.sin(0.25)])


@pytest.mark.parametrize(
    ("shift_m", "change"),
    [
        (40.0, {}),
        (0.4, {}),
        (0.0, {"q_ned_frd": HALF_A_RADIAN}),
        (0.0, {"origin": Origin(47.1, 8.0, 500.0)}),
    ],
)
def test_a_jump_of_the_twin_is_told_once(shift_m: float, change: dict[str, object]) -> None:
    flight = Flight()
    assert flight.fly(3.0)[-1].reset_counter == 0
    flight.shift_m = shift_m
    sent = flight.fly(0.4, **change)
    assert sent[-1].reset_counter == 1
    counts = [pose.reset_counter for pose in flight.sent]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1}


def test_what_ekf2_tracks_by_itself_is_no_jump() -> None:
    flight = Flight()
    flight.fly(3.0)
    flight.shift_m = 0.1
    assert flight.fly(0.4)[-1].reset_counter == 0


def test_a_velocity_that_jumps_ends_the_fusion_before_it_starts_anew() -> None:
    """EKF2 would refuse it for 1 s: a reset counter resets its place alone, not its velocity."""
    flight = Flight()
    before = flight.fly(3.0)[-1]
    faster = {"velocity_ned_m_s": SPEED + np.array([0.0, 2.0, 0.0])}
    sent = flight.fly(1.0, **faster)
    assert sent[0].stamp_ns - before.stamp_ns > 1.2 * LIMITS.gap_s * SECOND
    assert len(sent) > 5, "and then it goes on"
    assert {p.reset_counter for p in sent} == {1}


@pytest.mark.parametrize("passed", [0.0, 0.4, 1.0])
def test_a_step_of_px4s_clock_is_no_jump(passed: float) -> None:
    """Stamps run on by 0.2 s of which only a share, or nothing, has passed."""
    flight = Flight()
    sent = flight.fly(3.0)
    jump_ns = SECOND // 5
    lag_m = (1.0 - passed) * SPEED * jump_ns / SECOND
    for k in range(10):
        now = state(flight.t_ns + jump_ns + k * STEP_NS)
        now = now._replace(position_ned_m=now.position_ned_m - lag_m)
        pose = flight.gate.on_state(now, now.stamp_ns)
        sent += [] if pose is None else [pose]
    assert np.linalg.norm(lag_m) > LIMITS.jump_m or passed > 0.0
    assert {p.reset_counter for p in sent} == {0}


@pytest.mark.parametrize("place_m", [0.05, 0.7, 1.4])
@pytest.mark.parametrize("speed_m_s", [0.02, 0.1, 0.6])
def test_ekf2_follows_the_place_within_a_second(place_m: float, speed_m_s: float) -> None:
    """What a lasting error of 5 cm/s of the velocity leaves behind in EKF2's place."""
    covariance = np.diag([*[place_m] * 3, *[speed_m_s] * 3, *[0.02] * 3, *[0.01] * 6]) ** 2
    now = state(START_NS, covariance=covariance)
    assert (sent_variance(now, LIMITS) <= np.diagonal(covariance)[:3]).all(), "never more sure"
    floor = 0.1**2  # EKF2_EVP_NOISE and EKF2_EVV_NOISE
    noise = np.diag([max(sent_variance(now, LIMITS)[0], floor), max(speed_m_s**2, floor)])
    dt = 0.04
    move = np.array([[1.0, dt], [0.0, 1.0]])
    belief, error = np.eye(2), np.zeros(2)
    for _ in range(1500):
        belief = move @ belief @ move.T + np.diag([0.0, 0.35**2 * 0.01 * dt])  # EKF2_ACC_NOISE
        gain = belief @ np.linalg.inv(belief + noise)
        belief = (np.eye(2) - gain) @ belief
        error = move @ error
        error = error + gain @ (np.array([0.0, 0.05]) - error)
    assert abs(error[0]) < 0.06


def test_a_turn_at_the_rate_that_it_tells_is_no_jump() -> None:
    flight = Flight()
    flight.fly(3.0)
    rate = 6.0
    for k in range(50):
        half = 0.5 * rate * k * STEP_NS / SECOND
        q = np.array([math.cos(half), 0.0, 0.0, math.sin(half)])
        flight.gate.on_report(GOOD, flight.t_ns)
        pose = flight.gate.on_state(
            state(flight.t_ns, q_ned_frd=q, rate_frd_rad_s=np.array([0.0, 0.0, rate])), flight.t_ns
        )
        flight.sent += [] if pose is None else [pose]
        flight.t_ns += STEP_NS
    assert flight.sent[-1].reset_counter == 0


def test_after_a_silence_px4_is_told_to_start_anew() -> None:
    flight = Flight()
    flight.fly(3.0)
    flight.fly(1.0, aligned=False)
    flight.fly(3.0)
    assert flight.sent[-1].reset_counter == 1


@pytest.mark.parametrize("lost_s", [LIMITS.gap_s + 0.1, 5.0, -0.5])
def test_after_lost_imu_samples_px4_relies_on_itself_first(lost_s: float) -> None:
    flight = Flight()
    flight.fly(3.0)
    flight.t_ns += round(lost_s * SECOND)
    assert flight.fly(LIMITS.clear_s - 0.1) == []
    assert flight.gate.withheld == "valid and undoubted for less than 2 s"
    assert flight.fly(1.0)[0].reset_counter > 0


def test_a_few_lost_imu_samples_change_nothing() -> None:
    flight = Flight()
    flight.fly(3.0)
    flight.t_ns += round(0.3 * SECOND)
    assert flight.fly(0.1)[-1].reset_counter == 0


@given(st.lists(st.sampled_from(["good", "nan", "lost", "doubt", "mute", "jump"]), max_size=12))
@settings(max_examples=40, deadline=None)
def test_nothing_bad_is_ever_sent(words: list[str]) -> None:
    flight = Flight()
    doubt = Deviation("a", "gnss jump", "CON-GNS-2", 0, None, "", 2.0, 1.0, "")
    for word in words:
        flight.report = {
            "mute": None,
            "doubt": Report(0, Verdict.INCONSISTENT, (), (), (doubt,)),
        }.get(word, GOOD)
        changes = {
            "nan": {"velocity_ned_m_s": np.full(3, np.nan)},
            "lost": {"velocity_valid": False, "horizontal_valid": False},
            "jump": {"velocity_ned_m_s": SPEED + 9.0},
        }.get(word, {})
        sent = flight.fly(1.2, **changes)
        if word in ("nan", "lost", "doubt"):
            assert not sent
        for pose in sent:
            assert np.isfinite(pose.velocity_ned_m_s).all()
            assert 0 <= pose.reset_counter <= 255
