# SPDX-License-Identifier: Apache-2.0
"""Whether, and how, the twin's estimate goes back to the aircraft as external odometry. Pure.

PX4's EKF2 fuses it as "external vision" (EKF2_EV_CTRL). Nothing here opens a gate that the twin
itself holds shut: what is not valid, too uncertain, doubted by the monitor, or not judged at all
is withheld, and PX4's own failsafe decides what an aircraft without a position does. Without an
absolute position (optical flow alone) the velocity goes alone.

No loop: PX4's position and velocity are not fused by the twin, but without a magnetometer its
heading is. An attitude that rests on PX4's heading would come back to PX4 as if somebody else had
measured it, so it is left out until another source has carried the heading for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airtwin_core import frames
from airtwin_core.types import ATT, POS, VEL, Array, ExternalPose, Report, TwinState

PX4_HEADING = "heading"
"""Name of PX4's own heading among the twin's sources (``Fusion.source``)."""
LOOP_FREE_NS = 30_000_000_000
"""The heading must have stood without PX4's for so long; the memory of it fades in that time."""
DOUBTED = frozenset(
    (
        "position",
        "height",
        "velocity",
        "tilt",
        "gnss jump",
        "gnss drift",
        "barometer height",
        "imu bias",
    )
)
"""Factors of the monitor that question the twin's own navigation, or what it rests on.

Not the clock: a state carries the stamp of its IMU sample, which PX4 reads by the offset that it
wrote it with, so a shift of all stamps moves nothing; where they jump, the gate waits (``gap_s``).
"""


@dataclass(frozen=True, slots=True)
class OdometryLimits:
    """What may be sent. Sigmas are the largest of the axes that they name.

    A jump is what the twin's state moves between two of its samples beyond its own velocity,
    acceleration and rate: PX4 must reset to it, not fight it (``reset_counter``). It is told from
    3 sigmas of what EKF2 believes of such odometry on (EKF2_EVP_NOISE 0.1 m; it refuses 5). A
    speed cannot be told so: EKF2 resets it only where it starts anew (``ev_vel_control.cpp``), so
    after such a jump the gate waits as after a doubt.
    """

    sigma_max_m: float = 1.5  # [m] of north and east
    height_sigma_max_m: float = 2.0  # [m]
    speed_sigma_max_m_s: float = 0.7  # [m/s]
    attitude_sigma_max_rad: float = 0.2  # [rad] beyond it the attitude stays at home
    period_s: float = 0.033  # [s] between two; EKF2 wants at least 5 a second
    clear_s: float = 2.0  # [s] state valid, undoubted, without gap for so long before it is sent
    monitor_silent_s: float = 1.0  # [s] the monitor speaks ten times a second
    follow_s: float = 1.0  # [s] within which EKF2 is to follow the place, see ``sent_variance``
    jump_m: float = 0.3  # [m]
    jump_m_s: float = 1.0  # [m/s]
    jump_rad: float = 0.2  # [rad]
    pause_s: float = 0.6  # [s] after a jump of the velocity: EKF2 ends its fusion after 0.4
    gap_s: float = 0.4  # [s] EKF2 stops its fusion after such a silence; IMU lost for so long


class ExternalOdometry:
    """One aircraft's gate; give it every state and report, in the order of arrival.

    ``withheld`` says why the last state was not sent, "" if it was. Times are of the twin's
    clock [ns] (``received_ns`` of states), so that a silent monitor is noticed.
    """

    def __init__(self, limits: OdometryLimits | None = None) -> None:
        self._limits = limits or OdometryLimits()
        self._report: tuple[int, Report] | None = None
        self._before: TwinState | None = None
        self._sent: TwinState | None = None
        self._clear_since_ns: int | None = None
        self._wrong = "nothing yet"  # why the last state was none that could be sent
        self._leapt_ns: int | None = None  # stamp of the last state whose velocity jumped
        self._resets = 0
        self.withheld = "nothing is known yet"

    def on_report(self, report: Report, now_ns: int) -> None:
        """Take what the consistency monitor says."""
        self._report = (now_ns, report)

    def on_state(self, state: TwinState, now_ns: int) -> ExternalPose | None:
        """Return what to send for this state; None if nothing now (see ``withheld``)."""
        before, self._before = self._before, state
        # IMU samples were lost, or the vehicle's clock jumped: for a while PX4's own dead
        # reckoning, which lost nothing, is better than a filter that guesses what it missed
        gap = before is not None and not 0.0 < _apart_s(before, state) <= self._limits.gap_s
        wrong = invalid(state)
        if before is not None and not wrong and not self._wrong:
            self._compare(before, state)
        self._wrong = wrong
        reason = wrong or self._doubt()
        if reason or gap:
            self._clear_since_ns = None
        if reason:
            self.withheld = reason
            return None
        if self._clear_since_ns is None or now_ns < self._clear_since_ns:
            self._clear_since_ns = now_ns
        if now_ns - self._clear_since_ns < self._limits.clear_s * 1e9:
            self.withheld = f"valid and undoubted for less than {self._limits.clear_s:g} s"
            return None
        # A moment's uncertainty, or a monitor that a busy machine holds up, is no doubt and needs
        # no waiting time: EKF2 lives through a few messages that are missing.
        self.withheld = (
            self._silence(now_ns) or uncertain(state, self._limits) or self._pause(state)
        )
        if self.withheld:
            return None
        since_s = math.inf if self._sent is None else _apart_s(self._sent, state)
        if 0.0 <= since_s < self._limits.period_s - 1e-3:
            return None
        if self._sent is not None and not 0.0 <= since_s <= self._limits.gap_s:
            self._resets += 1  # EKF2 gave up in between and must not fight what it finds
        self._sent = state
        return self._pose(state)

    def _compare(self, before: TwinState, state: TwinState) -> None:
        """Note by what the twin's state is not where the one before was heading."""
        moved_m, faster_m_s, turned_rad = leap(before, state)
        limits = self._limits
        if before.origin != state.origin or not (
            moved_m <= limits.jump_m and turned_rad <= limits.jump_rad
        ):
            self._resets += 1
        if not faster_m_s <= limits.jump_m_s:
            self._leapt_ns = state.stamp_ns

    def _pause(self, state: TwinState) -> str:
        """Return why EKF2 has to lose the odometry for a moment, "" if it need not."""
        if self._leapt_ns is None or self._sent is None:
            return ""
        if 0 <= state.stamp_ns - self._leapt_ns < self._limits.pause_s * 1e9:
            return "the twin's velocity jumped: EKF2 takes a new one only where it starts anew"
        return ""

    def _silence(self, now_ns: int) -> str:
        if self._report is None:
            return "the consistency monitor has said nothing"
        if not 0 <= now_ns - self._report[0] <= self._limits.monitor_silent_s * 1e9:
            return "the consistency monitor is silent"
        return ""

    def _doubt(self) -> str:
        if self._report is None:
            return ""
        doubted = {d.factor for d in self._report[1].open_deviations} & DOUBTED
        if doubted:
            return f"the consistency monitor doubts: {', '.join(sorted(doubted))}"
        return ""

    def _pose(self, state: TwinState) -> ExternalPose:
        variance = np.diagonal(state.covariance)
        placed, unknown = is_placed(state), np.full(3, np.nan)
        sure = float(variance[ATT].max()) <= self._limits.attitude_sigma_max_rad**2
        own = sure and heading_is_own(state)
        return ExternalPose(
            stamp_ns=state.stamp_ns,
            received_ns=state.received_ns,
            position_ned_m=state.position_ned_m if placed else None,
            velocity_ned_m_s=state.velocity_ned_m_s,
            q_ned_frd=frames.quat_normalise(state.q_ned_frd) if own else None,
            position_variance_m2=sent_variance(state, self._limits) if placed else unknown,
            velocity_variance_m2_s2=variance[VEL].copy(),
            orientation_variance_rad2=variance[ATT].copy() if own else unknown,
            local_frame=False,
            reset_counter=self._resets % 256,
        )


def invalid(state: TwinState) -> str:
    """Return why the state is none that could be sent, "" if it is. NaN never is."""
    for valid, what in ((state.aligned, "attitude"), (state.velocity_valid, "velocity")):
        if not valid:
            return f"the twin's {what} is not valid"
    values = (state.position_ned_m, state.velocity_ned_m_s, state.q_ned_frd)
    if not all(np.isfinite(value).all() for value in values):
        return "the twin's state is not finite"
    if not (np.diagonal(state.covariance)[:9] > 0.0).all():
        return "the twin's covariance is none"
    return ""


def uncertain(state: TwinState, limits: OdometryLimits) -> str:
    """Return what of a valid state is too uncertain, "" if nothing."""
    sigma = np.sqrt(np.diagonal(state.covariance)[:6])
    places = (
        (sigma[POS][:2].max(), limits.sigma_max_m, "horizontal position"),
        (sigma[POS][2], limits.height_sigma_max_m, "height"),
    )
    for size, limit, what in (
        *(places if is_placed(state) else ()),
        (sigma[VEL].max(), limits.speed_sigma_max_m_s, "velocity"),
    ):
        if not size <= limit:
            return f"the twin's {what} is too uncertain"
    return ""


def is_placed(state: TwinState) -> bool:
    """Tell whether the position goes along: it must be an absolute one on all three axes."""
    return state.horizontal_valid and state.vertical_valid


def heading_is_own(state: TwinState) -> bool:
    """Tell whether the twin's heading rests on something else than PX4's."""
    since_px4_ns = math.inf
    for fusion in state.fusions:
        if fusion.source == PX4_HEADING and fusion.used_stamp_ns > 0:
            since_px4_ns = state.stamp_ns - fusion.used_stamp_ns
    return state.heading_valid and since_px4_ns > LOOP_FREE_NS


def leap(before: TwinState, after: TwinState) -> tuple[float, float, float]:
    """Return by what ``after`` is not where ``before`` was heading: [m], [m/s], [rad].

    PX4's clock shift jumps without time passing (0.2 s, every 25 s in simulation), so nothing is
    a leap that is explained by any time up to that between the two stamps.
    """
    dt_s = max(_apart_s(before, after), 0.0)
    velocity, gain = before.velocity_ned_m_s, dt_s * before.acceleration_ned_m_s2
    way_m = dt_s * (velocity + 0.5 * gain)
    turn = frames.rotation_from_quat(before.q_ned_frd).T @ frames.rotation_from_quat(
        after.q_ned_frd
    )
    turned_rad = math.acos(min(1.0, max(-1.0, 0.5 * (float(np.trace(turn)) - 1.0))))
    rate_rad_s = max(np.linalg.norm(before.rate_frd_rad_s), np.linalg.norm(after.rate_frd_rad_s))
    return (
        _off_way(after.position_ned_m - before.position_ned_m, way_m),
        _off_way(after.velocity_ned_m_s - velocity, gain),
        max(turned_rad - float(rate_rad_s) * dt_s, 0.0),
    )


def _off_way(moved: Array, way: Array) -> float:
    """Return how far a step ends from the nearest point of the way (3,) before it."""
    length2 = float(way @ way)
    share = min(max(float(moved @ way) / length2, 0.0), 1.0) if length2 > 0.0 else 0.0
    return float(np.linalg.norm(moved - share * way))


def sent_variance(state: TwinState, limits: OdometryLimits) -> Array:
    """Return the variance (3,) [m^2] NED that makes EKF2 follow the twin's place.

    EKF2 takes the error of each message as new. The twin's lasts for a minute, so with its whole
    variance (0.7 m beside 0.1 m/s) EKF2 leaned on the velocity, whose error of a few cm/s it
    summed up for sigma_place / sigma_velocity = 7 s and more: 0.4 m beside a twin that was 0.1 m
    off. That quotient is the time in which it follows the place (steady state of a filter that
    measures both), so it is held at ``follow_s``. How wrong the place may be is what the gate
    and ``quality`` go by.
    """
    variance = np.diagonal(state.covariance)
    return np.minimum(variance[POS], limits.follow_s**2 * variance[VEL])


def quality(state: TwinState, limits: OdometryLimits) -> int:
    """Return EKF2's quality, 1 (about to be withheld) to 100, for EKF2_EV_QMIN."""
    sigma = np.sqrt(np.diagonal(state.covariance)[:6])
    shares = sigma[VEL] / limits.speed_sigma_max_m_s
    if is_placed(state):
        most_m = (limits.sigma_max_m, limits.sigma_max_m, limits.height_sigma_max_m)
        shares = np.concatenate([shares, sigma[POS] / most_m])
    return max(1, min(100, round(100.0 * (1.0 - float(shares.max())))))


def _apart_s(before: TwinState, after: TwinState) -> float:
    return (after.stamp_ns - before.stamp_ns) * 1e-9
