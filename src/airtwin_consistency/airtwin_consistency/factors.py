# SPDX-License-Identifier: Apache-2.0
"""Context factors of motion: what PX4 believes against what the twin believes.

Both use the same sensors, so the claimed variances are added as if they were independent: the
statistic is then too small, never too large. A difference counts only if it is beyond its claimed
accuracy (chi-square) and beyond a metric bound; the statistic is the smaller of the two ratios.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from airtwin_consistency.evidence import Evidence, age_s
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core import frames, stats
from airtwin_core.types import (
    ATT,
    POS,
    VEL,
    Array,
    ContextFactor,
    LocalPosition,
    Origin,
    TwinState,
)

POSITION = Requirement("CON-POS-1", "position", Pace.COMPARISON)
HEIGHT = Requirement("CON-POS-2", "height", Pace.COMPARISON)
VELOCITY = Requirement("CON-VEL-1", "velocity", Pace.COMPARISON)
TILT = Requirement("CON-ATT-1", "tilt", Pace.ATTITUDE)
HEADING = Requirement("CON-ATT-2", "heading", Pace.COMPARISON)

_NS = 1_000_000_000
_STEEP_RAD = 1.2  # beyond this tilt a heading means little


def far_apart(difference: Array, variance: Array, bound: float, probability: float) -> float:
    """Return the smaller of two ratios [-]: normalised distance and distance to their limits.

    difference: (n,), unit u; variance: (n,), unit u^2; bound: unit u. NaN in, NaN out.
    """
    nis = float(difference @ (difference / variance))
    distance = math.sqrt(float(difference @ difference))
    if not (math.isfinite(nis) and math.isfinite(distance)):
        return float("nan")
    return min(math.sqrt(nis / _limit(difference.size, probability)), distance / bound)


@functools.lru_cache(maxsize=16)
def _limit(dof: int, probability: float) -> float:
    return stats.chi2_limit(dof, probability)


class MotionChecks:
    """CON-POS-1, CON-POS-2, CON-VEL-1, CON-ATT-1, CON-ATT-2."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._valid_since: dict[str, int] = {}

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the five findings."""
        limits, twin, px4 = self._limits, seen.twin, seen.position
        if twin is None or not age_s(twin, now_ns) <= limits.fresh_s:
            why = "no state of the twin"
            return [unknown(r, why) for r in (POSITION, HEIGHT, VELOCITY, TILT, HEADING)]
        if px4 is None or not age_s(px4, now_ns) <= limits.fresh_s:
            findings = [unknown(r, "no position of PX4") for r in (POSITION, HEIGHT, VELOCITY)]
        else:
            at = seen.twin_at(px4.stamp_ns, limits.skew_s)
            findings = [
                self._position(at, px4, now_ns),
                self._height(at, px4, now_ns),
                self._velocity(at, px4, now_ns),
            ]
        attitude = seen.attitude
        if attitude is None or not age_s(attitude, now_ns) <= limits.fresh_s:
            findings += [unknown(r, "no attitude of PX4") for r in (TILT, HEADING)]
        else:
            at = seen.twin_at(attitude.stamp_ns, limits.skew_s)
            findings += [
                self._tilt(at, attitude.q_ned_frd, attitude.stamp_ns, now_ns),
                self._heading(at, attitude.q_ned_frd, attitude.stamp_ns, seen, now_ns),
            ]
        return findings

    def _settled(self, name: str, valid: bool, now_ns: int) -> bool:
        """Return whether ``name`` has been valid for long enough to be judged."""
        if not valid:
            self._valid_since.pop(name, None)
            return False
        since = self._valid_since.setdefault(name, now_ns)
        return now_ns - since >= self._limits.settle_s * _NS

    def _position(self, twin: TwinState | None, px4: LocalPosition, now_ns: int) -> Finding:
        limits = self._limits
        if twin is None:
            return unknown(POSITION, "no common time")
        common = px4.origin is not None and _same(px4.origin, twin.origin)
        valid = px4.xy_valid and twin.horizontal_valid and common
        if not self._settled("position", valid, now_ns):
            return unknown(POSITION, _why(px4.xy_valid, twin.horizontal_valid, common))
        skew_s = (px4.stamp_ns - twin.stamp_ns) / _NS
        believed = twin.position_ned_m[:2] + skew_s * twin.velocity_ned_m_s[:2]
        variance_twin = np.diagonal(twin.covariance)[POS][:2]
        claim = px4.eph_m if np.isfinite(px4.eph_m) else limits.unclaimed_position_m
        blur = (limits.stamp_error_s * np.linalg.norm(twin.velocity_ned_m_s[:2])) ** 2
        sigma2 = limits.position_sigma_m**2
        variance_px4 = np.full(2, max(claim * claim, sigma2) + blur)
        difference = px4.position_ned_m[:2] - believed
        statistic = far_apart(
            difference,
            variance_px4 + np.maximum(variance_twin, sigma2),
            limits.position_bound_m,
            limits.probability,
        )
        return judge(
            POSITION,
            statistic,
            1.0,
            f"PX4 and twin {np.linalg.norm(difference):.1f} m apart (bound "
            f"{limits.position_bound_m:.1f} m), PX4 claims {claim:.1f} m, twin "
            f"{np.sqrt(variance_twin.max()):.1f} m",
            factors=_pair("position", "m", px4.position_ned_m[:2], variance_px4, px4.stamp_ns,
                          believed, variance_twin, twin.stamp_ns),
        )  # fmt: skip

    def _height(self, twin: TwinState | None, px4: LocalPosition, now_ns: int) -> Finding:
        limits = self._limits
        if twin is None:
            return unknown(HEIGHT, "no common time")
        common = twin.origin is None if px4.origin is None else _same(px4.origin, twin.origin)
        valid = px4.z_valid and twin.vertical_valid and common
        if not self._settled("height", valid, now_ns):
            return unknown(HEIGHT, _why(px4.z_valid, twin.vertical_valid, common))
        skew_s = (px4.stamp_ns - twin.stamp_ns) / _NS
        believed = twin.position_ned_m[2:] + skew_s * twin.velocity_ned_m_s[2:]
        variance_twin = np.diagonal(twin.covariance)[POS][2:]
        claim = px4.epv_m if np.isfinite(px4.epv_m) else limits.unclaimed_position_m
        blur = (limits.stamp_error_s * float(twin.velocity_ned_m_s[2])) ** 2
        sigma2 = limits.height_sigma_m**2
        variance_px4 = np.full(1, max(claim * claim, sigma2) + blur)
        difference = px4.position_ned_m[2:] - believed
        statistic = far_apart(
            difference,
            variance_px4 + np.maximum(variance_twin, sigma2),
            limits.height_bound_m,
            limits.probability,
        )
        return judge(
            HEIGHT,
            statistic,
            1.0,
            f"PX4 {-difference[0]:+.1f} m above the twin (bound {limits.height_bound_m:.1f} m), "
            f"PX4 claims {claim:.1f} m, twin {np.sqrt(variance_twin[0]):.1f} m",
            factors=_pair("height", "m", px4.position_ned_m[2:], variance_px4, px4.stamp_ns,
                          believed, variance_twin, twin.stamp_ns),
        )  # fmt: skip

    def _velocity(self, twin: TwinState | None, px4: LocalPosition, now_ns: int) -> Finding:
        limits = self._limits
        if twin is None:
            return unknown(VELOCITY, "no common time")
        valid = px4.v_xy_valid and px4.v_z_valid and twin.velocity_valid
        if not self._settled("velocity", valid, now_ns):
            return unknown(VELOCITY, _why(px4.v_xy_valid, twin.velocity_valid, True))
        skew_s = (px4.stamp_ns - twin.stamp_ns) / _NS
        believed = twin.velocity_ned_m_s + skew_s * twin.acceleration_ned_m_s2
        variance_twin = np.diagonal(twin.covariance)[VEL]
        claims = np.array([px4.evh_m_s, px4.evh_m_s, px4.evv_m_s])
        claims = np.where(np.isfinite(claims), claims, limits.unclaimed_velocity_m_s)
        blur = (limits.stamp_error_s * np.linalg.norm(twin.acceleration_ned_m_s2)) ** 2
        sigma2 = limits.velocity_sigma_m_s**2
        variance_px4 = np.maximum(claims**2, sigma2) + min(float(blur), 9.0)
        difference = px4.velocity_ned_m_s - believed
        statistic = far_apart(
            difference,
            variance_px4 + np.maximum(variance_twin, sigma2),
            limits.velocity_bound_m_s,
            limits.probability,
        )
        return judge(
            VELOCITY,
            statistic,
            1.0,
            f"PX4 and twin {np.linalg.norm(difference):.1f} m/s apart (bound "
            f"{limits.velocity_bound_m_s:.1f} m/s), twin claims "
            f"{np.sqrt(variance_twin.max()):.1f} m/s",
            factors=_pair("velocity", "m/s", px4.velocity_ned_m_s, variance_px4, px4.stamp_ns,
                          believed, variance_twin, twin.stamp_ns),
        )  # fmt: skip

    def _tilt(self, twin: TwinState | None, q: Array, stamp_ns: int, now_ns: int) -> Finding:
        limits = self._limits
        if twin is None:
            return unknown(TILT, "no common time")
        if not self._settled("tilt", twin.aligned, now_ns):
            return unknown(TILT, "twin not aligned for long enough")
        down_px4 = frames.rotation_from_quat(q)[2]
        down_twin = frames.rotation_from_quat(_attitude_at(twin, stamp_ns))[2]
        angle = np.array([np.arccos(np.clip(down_px4 @ down_twin, -1.0, 1.0))])
        sigma2 = limits.tilt_sigma_rad**2
        variance_twin = np.full(1, np.diagonal(twin.covariance)[ATT].max())
        turn = limits.stamp_error_s * float(np.linalg.norm(twin.rate_frd_rad_s))
        variance = np.maximum(variance_twin, sigma2) + sigma2 + min(turn, 0.5) ** 2
        statistic = far_apart(angle, variance, limits.tilt_bound_rad, limits.probability)
        return judge(
            TILT,
            statistic,
            1.0,
            f"verticals of PX4 and twin {np.degrees(angle[0]):.1f} deg apart (bound "
            f"{np.degrees(limits.tilt_bound_rad):.0f} deg)",
            factors=_pair("tilt", "", down_px4, np.full(3, sigma2), stamp_ns,
                          down_twin, np.full(3, variance_twin[0]), twin.stamp_ns),
        )  # fmt: skip

    def _heading(
        self, twin: TwinState | None, q: Array, stamp_ns: int, seen: Evidence, now_ns: int
    ) -> Finding:
        limits = self._limits
        if twin is None:
            return unknown(HEADING, "no common time")
        if not seen.flying:
            return unknown(HEADING, "not flying: PX4 aligns its heading after take-off")
        if not self._settled("heading", twin.aligned and twin.heading_valid, now_ns):
            return unknown(HEADING, "twin without heading for long enough")
        q_twin = _attitude_at(twin, stamp_ns)
        if frames.tilt_from_quat(q) > _STEEP_RAD or frames.tilt_from_quat(q_twin) > _STEEP_RAD:
            return unknown(HEADING, "too steep for a heading")
        yaw_px4, yaw_twin = frames.yaw_from_quat(q), frames.yaw_from_quat(q_twin)
        angle = np.array([frames.wrap_pi(yaw_px4 - yaw_twin)])
        sigma2 = limits.heading_sigma_rad**2
        # heading is the error about down, which is ``down_body`` in FRD
        down_body = frames.rotation_from_quat(q_twin)[2]
        variance_twin = np.full(1, down_body @ twin.covariance[ATT, ATT] @ down_body)
        turn = limits.stamp_error_s * float(np.linalg.norm(twin.rate_frd_rad_s))
        variance_px4 = np.full(1, sigma2 + min(turn, 1.0) ** 2)
        variance = np.maximum(variance_twin, sigma2) + variance_px4
        statistic = far_apart(angle, variance, limits.heading_bound_rad, limits.probability)
        borrowed = _used(twin, "heading") > 0 and _used(twin, "magnetometer") == 0
        if borrowed and statistic <= 1.0:
            return unknown(HEADING, "the twin's heading is PX4's own, agreement proves nothing")
        return judge(
            HEADING,
            statistic,
            1.0,
            f"headings of PX4 and twin {np.degrees(angle[0]):.0f} deg apart (bound "
            f"{np.degrees(limits.heading_bound_rad):.0f} deg)",
            factors=_pair("heading", "rad", np.array([yaw_px4]), variance_px4, stamp_ns,
                          np.array([yaw_twin]), variance_twin, twin.stamp_ns),
        )  # fmt: skip


def _attitude_at(twin: TwinState, stamp_ns: int) -> Array:
    """Return the twin's attitude (4,) turned on by its rate to ``stamp_ns``."""
    turn = twin.rate_frd_rad_s * ((stamp_ns - twin.stamp_ns) / _NS)
    return frames.quat_multiply(twin.q_ned_frd, frames.quat_from_rotation_vector(turn))


def _used(twin: TwinState, source: str) -> int:
    return next((fusion.used for fusion in twin.fusions if fusion.source == source), 0)


def _same(a: Origin | None, b: Origin | None) -> bool:
    """Return whether two local frames are the same to a centimetre or so.

    Where PX4 does not know its origin's altitude, the twin has put it where PX4's height fits.
    """
    if a is None or b is None:
        return False
    told = a.altitude_told and b.altitude_told
    return (
        abs(a.latitude_deg - b.latitude_deg) < 1e-7
        and abs(a.longitude_deg - b.longitude_deg) < 1e-7
        and not (told and abs(a.altitude_amsl_m - b.altitude_amsl_m) >= 0.05)
    )


def _why(px4_valid: bool, twin_valid: bool, common: bool) -> str:
    if not px4_valid:
        return "PX4 calls it invalid"
    if not twin_valid:
        return "the twin has nothing to observe it"
    return "not yet settled" if common else "no common origin"


def _pair(
    name: str,
    unit: str,
    physical: Array,
    physical_variance: Array,
    physical_ns: int,
    virtual: Array,
    virtual_variance: Array,
    virtual_ns: int,
) -> tuple[ContextFactor, ...]:
    return (
        ContextFactor(name, "physical", physical_ns, physical, physical_variance, unit),
        ContextFactor(name, "virtual", virtual_ns, virtual, virtual_variance, unit),
    )
