# SPDX-License-Identifier: Apache-2.0
"""The receiver as a witness, fix by fix; what the filter makes of it: test_gnss_faults.py."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core.types import Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.doubt import Doubt, Trail
from airtwin_physics.ekf.kernel import GRAVITY_M_S2
from airtwin_physics.ekf.receiver import (
    BY_BAROMETER,
    BY_IMU,
    ITSELF,
    Look,
    Receiver,
    leaves_trend,
)

HZ = 8.0
CONFIG = EstimatorConfig()


def _look(t: float) -> Look:
    """Return what a sound receiver shows on a circle of 20 m at 5 m/s, the IMU being right."""
    w = 0.25
    place = np.array([20.0 * np.cos(w * t), 20.0 * np.sin(w * t), -30.0])
    velocity = np.array([-5.0 * np.sin(w * t), 5.0 * np.cos(w * t), 0.0])
    return Look(t, place, velocity, True, (1.0, 2.0, 0.3), velocity, 0.0, 1.25, velocity, 530.0,
                False)  # fmt: skip


def _run(receiver, looks):
    """Return when it was torn first, None if never, and the last time."""
    first = None
    for look in looks:
        receiver.take(look)
        if receiver.torn and first is None:
            first = look.when_s
    return first


def _times(seconds, since=0.0):
    return since + np.arange(1, int(seconds * HZ) + 1) / HZ


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 5.0, 10.0]))
def test_a_sound_receiver_is_never_torn(seed, hz):
    """Errors as claimed: white noise of place and speed, and wander of the place."""
    rng, receiver = np.random.default_rng(seed), Receiver(CONFIG)
    wander = rng.normal(size=3) * [0.8, 0.8, 1.6]
    keep = np.exp(-1.0 / hz / CONFIG.gnss_wander_s)
    for t in np.arange(1, int(120 * hz)) / hz:
        look = _look(t)
        wander = keep * wander + np.sqrt(1 - keep**2) * rng.normal(size=3) * [0.8, 0.8, 1.6]
        place = look.place + wander + rng.normal(size=3) * [0.6, 0.6, 1.2]
        speed = look.velocity + rng.normal(size=3) * 0.3
        receiver.take(
            replace(look, place=place, velocity=speed, outvoted=bool(rng.random() < 0.1))
        )
        assert not receiver.torn


def test_a_filter_that_is_wrong_does_not_make_a_receiver_look_bad():
    """Its velocity is off by a bent ramp: a gyro 0.2 rad/s wrong. And by a wrong heading."""
    receiver = Receiver(CONFIG)
    looks = []
    for t in _times(4.0):
        off = np.array([0.0, 0.98 * t * t, 0.0])
        looks.append(replace(_look(t), inertial=_look(t).velocity + off))
    assert _run(receiver, looks) is None
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    looks = [replace(_look(t), inertial=turned @ _look(t).velocity) for t in _times(30.0)]
    assert _run(Receiver(CONFIG), looks) is None


def test_what_the_filter_corrects_of_its_attitude_explains_a_bend():
    def bent(t, turned):
        off = np.array([0.0, 7.0 * max(t - 10.0, 0.0), 0.0])  # turned by 0.8 rad at 10 s
        angle = 0.8 if turned and t > 10.0 else 0.0
        return replace(
            _look(t), inertial=_look(t).velocity + off, turned_rad=angle, accel_m_s2=0.0
        )

    assert _run(Receiver(CONFIG), [bent(t, True) for t in _times(12.0)]) is None
    receiver = Receiver(CONFIG)
    assert _run(receiver, [bent(t, False) for t in _times(12.0)]) is not None
    assert receiver.torn == BY_IMU


def test_a_step_of_the_speed_a_slip_of_the_place_and_a_height_outvoted_are_told_apart():
    east, up = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])
    step, slip, sink = Receiver(CONFIG), Receiver(CONFIG), Receiver(CONFIG)
    for t in _times(20.0):
        look = _look(t)
        late = max(t - 15.0, 0.0)
        stepped = look.velocity + 6.0 * east * (late > 0.0)
        step.take(replace(look, velocity=stepped, place=look.place + 6.0 * east * late))
        slip.take(replace(look, place=look.place + 12.0 * east * (late > 0.0)))
        # the speed moves along, so only the barometer tells
        risen = replace(
            look, place=look.place + 9.0 * up * late, velocity=look.velocity + 9.0 * up
        )
        sink.take(replace(risen, inertial=risen.velocity, outvoted=True) if late else look)
    assert (step.torn, slip.torn, sink.torn) == (BY_IMU, ITSELF, BY_BAROMETER)
    assert step.speed.since_s == pytest.approx(15.5, abs=0.5)
    assert slip.place.since_s == pytest.approx(16.0, abs=0.3)
    assert sink.height.since_s == pytest.approx(20.0, abs=0.2)  # and it still is


@pytest.mark.parametrize("hz", [5.0, 10.0, 20.0, 30.0, 50.0])
def test_a_step_of_the_speed_is_seen_at_each_rate(hz: float) -> None:
    receiver = Receiver(CONFIG)
    east, looks = np.array([0.0, 9.0, 0.0]), []
    for t in np.arange(1, int(20.0 * hz)) / hz:
        look, late = _look(t), max(t - 15.0, 0.0)
        velocity = look.velocity + east * (late > 0.0)
        looks.append(replace(look, velocity=velocity, place=look.place + east * late))
    assert _run(receiver, looks) == pytest.approx(15.6, abs=0.5)
    assert receiver.torn == BY_IMU


def test_a_height_that_nobody_outvotes_is_the_barometers_matter():
    receiver = Receiver(CONFIG)
    looks = [replace(_look(t), altitude_m=530.0 + 50.0 * (t > 10.0)) for t in _times(20.0)]
    assert _run(receiver, looks) is None
    assert not receiver.level


def test_it_is_wanted_whole_for_as_long_as_it_was_believed():
    receiver = Receiver(CONFIG)
    for t in _times(25.0):
        receiver.take(_look(t))
        receiver.agreed(place=True)
    assert receiver.wanted_s == CONFIG.recover_s
    jumped = [replace(_look(t), place=_look(t).place + 40.0) for t in _times(10.0, since=25.0)]
    torn_s = _run(receiver, jumped)
    assert torn_s == pytest.approx(26.0, abs=0.3)
    assert receiver.wanted_s == pytest.approx(25.0, abs=1.5)
    assert receiver.whole_for_s(35.0) == pytest.approx(35.0 - torn_s, abs=1.0)
    receiver.followed()
    assert receiver.torn == ""
    assert receiver.heard
    assert receiver.wanted_s == CONFIG.recover_s


def test_what_has_torn_is_heard_after_it_was_right_for_long_what_was_suspected_sooner() -> None:
    receiver = Receiver(CONFIG)
    _run(receiver, [_look(t) for t in _times(20.0)])
    heard = {}
    for t in _times(20.0, since=20.0):
        receiver.take(replace(_look(t), place=_look(t).place + 40.0 * np.array([1.0, 0.0, 0.0])))
        for name in ("place", "height", "speed"):
            if getattr(receiver, name).torn:
                heard[name] = t
    torn_s = receiver.place.since_s
    assert torn_s == pytest.approx(21.0, abs=0.3)
    assert heard["place"] - torn_s == pytest.approx(CONFIG.recover_s, abs=0.5)
    assert heard["height"] - torn_s == pytest.approx(0.5 * CONFIG.recover_s, abs=0.5)
    assert heard["speed"] - torn_s == pytest.approx(0.5 * CONFIG.recover_s, abs=0.5)


def test_a_height_that_keeps_running_off_costs_the_place_only_until_it_has_shown_itself() -> None:
    """The second and later contradictions of one thing say nothing new of the others."""
    receiver, up = Receiver(CONFIG), np.array([0.0, 0.0, -9.0])
    for t in _times(40.0):
        look, late = _look(t), max(t - 15.0, 0.0)
        velocity = look.velocity + up * (late > 0.0)
        risen = replace(look, place=look.place + up * late, velocity=velocity, inertial=velocity)
        receiver.take(replace(risen, outvoted=late > 0.0))
        if t > 25.0:
            assert receiver.height.torn
            assert not receiver.place.torn
            assert not receiver.speed.torn


@given(st.floats(0.0, 3.0), st.floats(0.05, 0.4))
def test_a_lasting_error_tears_beyond_three_quarters_of_its_bound_only(
    share: float, step_s: float
) -> None:
    """Where a sound receiver is as likely as a torn one; nearer, either takes long to tell."""
    doubt = Doubt(CONFIG.recover_s)
    tore = [doubt.weigh(share, step_s, k * step_s) for k in range(int(60.0 / step_s))]
    if share < 0.75:
        assert not any(tore)
    elif share > 0.9:
        # three fixes at the least, however large the error
        assert 2 <= tore.index(True) <= 10.0 / step_s


@given(st.lists(st.tuples(st.floats(0.0, 1e9), st.floats(0.0, 3.0)), max_size=50))
def test_more_error_is_never_less_doubt(seen: list[tuple[float, float]]) -> None:
    less, more = Doubt(CONFIG.recover_s), Doubt(CONFIG.recover_s)
    for k, (share, step_s) in enumerate(seen):
        less.weigh(share, step_s, float(k))
        more.weigh(1.1 * share, step_s, float(k))
        assert more.odds >= less.odds
        assert more.torn >= less.torn


def test_agreement_forgives_a_step_of_the_speed_but_a_jump_only_with_the_place():
    for cause, place, forgiven in (
        (BY_IMU, False, True),
        (ITSELF, False, False),
        (ITSELF, True, True),
    ):
        receiver = Receiver(CONFIG)
        _run(receiver, [_look(t) for t in _times(5.0)])
        receiver.torn = cause
        for t in _times(1.2 * CONFIG.recover_s, since=5.0):
            receiver.take(_look(t))
            receiver.agreed(place=place)
        assert (receiver.torn == "") is forgiven


def test_a_gap_and_a_moved_origin_are_no_tears():
    receiver = Receiver(CONFIG)
    _run(receiver, [_look(t) for t in _times(10.0)])
    by = np.array([500.0, -300.0, 80.0])
    receiver.shift(by)
    moved = [replace(_look(t), place=_look(t).place + by) for t in _times(5.0, since=10.0)]
    assert _run(receiver, moved) is None
    far = [replace(_look(t), place=_look(t).place + 9 * by) for t in _times(5.0, since=20.0)]
    assert _run(receiver, far) is None
    assert receiver.whole_for_s(25.0) == pytest.approx(5.0, abs=0.2)


DELAY_S, SIGMA_M_S = 0.35, 0.25


class Plain:
    """The step of a trend: the mean of the newest 0.45 s against a line through 1 s before."""

    def __init__(self) -> None:
        self._rows: deque[Array] = deque(maxlen=16)

    def take(self, miss: Array, when_s: float, accel: float, turned: float) -> tuple[float, float]:
        """Return the step across and down over what is allowed [-]; 0, 0 if too few."""
        self._rows.append(np.array([when_s, *miss, accel, turned]))
        while when_s - self._rows[0][0] > 1.45:
            self._rows.popleft()
        rows = np.array(self._rows)
        times = rows[:, 0] - when_s
        old = times <= -0.45
        if old.sum() < 3:
            return 0.0, 0.0
        now = times[~old].mean()
        line = [np.polyval(np.polyfit(times[old], rows[old, k], 1), now) for k in (1, 2, 3)]
        beyond = rows[~old, 1:4].mean(axis=0) - line
        ahead = now - times[old].mean()
        spread = ((times[old] - times[old].mean()) ** 2).sum()
        variance = 1.0 / (~old).sum() + 1.0 / old.sum() + ahead**2 / spread
        hardest = rows[0, 4] + rows[:, 4].max()
        hidden = GRAVITY_M_S2 * (turned - rows[0, 5]) + hardest + 1.5 * ahead
        hidden = min(hidden, 2.0 * GRAVITY_M_S2)
        allowed = 5.0 * SIGMA_M_S * np.sqrt(variance) + hidden * ahead + hardest * DELAY_S
        return float(np.hypot(*beyond[:2]) / allowed), float(abs(beyond[2]) / allowed)


@pytest.mark.parametrize("period_s", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_the_speed_is_found_as_in_plain_numpy(seed: int, period_s: float) -> None:
    rng = np.random.default_rng(seed)
    plain, misses, kept = Plain(), np.zeros((16, 6)), 0
    turned, found = 0.0, 0
    for k in range(120):
        when_s = 3.0 + k * period_s + rng.uniform(0.0, 0.01)
        inertial = np.array([0.3 * when_s, 1.0, -0.2])
        miss = rng.normal(size=3) * 0.1 + (k // 40) * np.array([6.0, -2.0, 1.0])
        accel, turned = rng.uniform(0.0, 0.3), turned + rng.uniform(0.0, 0.001)
        velocity = inertial + miss
        kept, across, down = leaves_trend(
            misses, kept, velocity, inertial, (when_s, accel, turned), SIGMA_M_S, DELAY_S
        )
        assert (across, down) == pytest.approx(
            plain.take(velocity - inertial, when_s, accel, turned)
        )
        found += across > 1.0
    assert 0 < found < 60


class PlainTrail:
    """Where place less path is usually, and how far from there each fix lies."""

    def __init__(self, axes: list[int]) -> None:
        self.axes, self.claim_m, self.followed_s = axes, 0.0, 0.0

    def off(self, apart: Array, claim_m: float, blur_m: float, step_s: float) -> float:
        """Return the share of the bound [-]; what is usual is learnt over 20 s."""
        if self.followed_s == 0.0:
            self.home, self.claim_m = apart.copy(), claim_m
        off = (apart - self.home)[self.axes]
        blur_m += 0.1 * self.followed_s
        share = float(np.linalg.norm(off)) / (5.0 * max(claim_m, self.claim_m) + blur_m)
        if share <= 1.0:
            self.followed_s = min(self.followed_s + max(step_s, 1e-3), 20.0)
            self.home[self.axes] += min(step_s / self.followed_s, 1.0) * off
            self.claim_m = max(claim_m, (1.0 - min(step_s / 20.0, 1.0)) * self.claim_m)
        return share


@pytest.mark.parametrize("axes", [[0, 1], [2]])
def test_a_trail_is_left_and_learnt_as_in_plain_numpy(axes: list[int]) -> None:
    rng = np.random.default_rng(7)
    plain, trail, left = PlainTrail(axes), Trail(axes[0], axes[-1] + 1), 0
    for k in range(300):
        if k in (120, 240):
            trail.begin()
            plain = PlainTrail(axes)
        apart = rng.normal(size=3) * 4.0 + 30.0 * (k % 50 > 40)
        claim_m, blur_m = rng.uniform(1.0, 3.0), rng.uniform(0.0, 1.0)
        step_s = 0.0 if k % 7 == 0 else rng.uniform(0.05, 3.0)
        north, east, down = apart.tolist()
        share = trail.off((north, east, down), claim_m, blur_m, step_s, 20.0)
        assert share == pytest.approx(plain.off(apart, claim_m, blur_m, step_s), rel=1e-12)
        left += share > 1.0
        if k == 60:
            trail.shift(np.array([100.0, -50.0, 7.0]))
            plain.home += [100.0, -50.0, 7.0]
    assert 20 < left < 200
