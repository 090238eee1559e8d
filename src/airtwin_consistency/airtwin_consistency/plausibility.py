# SPDX-License-Identifier: Apache-2.0
"""Is what is claimed possible at all? CON-POS-3, CON-PHS-1, CON-ATT-3, CON-IMU-1."""

from __future__ import annotations

import numpy as np

from airtwin_consistency.evidence import Evidence, age_s
from airtwin_consistency.findings import Finding, Pace, Requirement, judge, unknown
from airtwin_consistency.limits import Limits
from airtwin_core import frames
from airtwin_core.types import Array, ContextFactor, GnssFix, LocalPosition, NavState, TwinState

SOURCE = Requirement("CON-POS-3", "position source", Pace.ATTITUDE)
PHASE = Requirement("CON-PHS-1", "flight phase", Pace.ATTITUDE)
UPSET = Requirement("CON-ATT-3", "attitude", Pace.ALARM)
IMU = Requirement("CON-IMU-1", "imu bias", Pace.COMPARISON)

_NS = 1_000_000_000
_FIX_3D = 3


class PlausibilityChecks:
    """Remembers since when something impossible is claimed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fix: GnssFix | None = None
        self._unaided_since: tuple[int, int] | None = None  # stamp, received
        self._was_armed = False
        self._disarmed_flying_ns: int | None = None
        self._upright_ns: int | None = None
        self._bias_since_ns: int | None = None
        self._bias_ref: tuple[Array, Array] | None = None

    def on_fix(self, fix: GnssFix) -> None:
        """Remember the newest absolute position."""
        if fix.fix_type >= _FIX_3D:
            self._fix = fix

    def on_position(self, sample: LocalPosition) -> None:
        """Note since when PX4 calls a dead-reckoned position valid."""
        fix = self._fix
        aided = fix is not None and (
            sample.received_ns - fix.received_ns <= self._limits.unaided_s * _NS
        )
        if aided or not (sample.xy_valid and sample.dead_reckoning):
            self._unaided_since = None
        elif self._unaided_since is None:
            self._unaided_since = (sample.stamp_ns, sample.received_ns)

    def check(self, seen: Evidence, now_ns: int) -> list[Finding]:
        """Return the four findings."""
        return [
            self._source(seen, now_ns),
            self._phase(seen, now_ns),
            self._upset(seen, now_ns),
            self._imu(seen, now_ns),
        ]

    def _source(self, seen: Evidence, now_ns: int) -> Finding:
        limits, px4 = self._limits, seen.position
        if px4 is None or not age_s(px4, now_ns) <= limits.fresh_s:
            return unknown(SOURCE, "no position of PX4")
        if not px4.xy_valid:
            return unknown(SOURCE, "PX4 claims no horizontal position")
        since_ns = px4.stamp_ns
        unaided_s = 0.0
        if self._unaided_since is not None:
            since_ns, received_ns = self._unaided_since
            unaided_s = (now_ns - received_ns) / _NS
        claim = px4.eph_m if np.isfinite(px4.eph_m) else 0.0
        speed = float(np.hypot(px4.velocity_ned_m_s[0], px4.velocity_ned_m_s[1]))
        speed_max = limits.rotor_speed_max_m_s if seen.rotor_flight else limits.wing_speed_max_m_s
        if seen.flying is False and seen.armed is not True:
            speed_max = limits.wing_speed_max_m_s  # may be carried or driven
        elif seen.flying is False and seen.rotor_flight:
            speed_max = limits.landed_speed_m_s
        ratios = np.array(
            [unaided_s / limits.unaided_s, claim / limits.eph_valid_max_m, speed / speed_max]
        )
        symptoms = tuple(
            name
            for name, ratio in zip(
                ("dead reckoning", "claim worthless", "impossible speed"), ratios, strict=True
            )
            if not ratio <= 1.0
        )
        return judge(
            SOURCE,
            float(np.max(ratios)),
            1.0,
            f"PX4 calls its position valid: dead reckoning without GNSS for {unaided_s:.0f} s "
            f"({limits.unaided_s:.0f} s allowed), claims {claim:.0f} m "
            f"({limits.eph_valid_max_m:.0f}), {speed:.1f} m/s ({speed_max:.0f})",
            since_ns=since_ns if "dead reckoning" in symptoms else None,
            symptoms=symptoms,
        )

    def _phase(self, seen: Evidence, now_ns: int) -> Finding:
        limits, landed, twin = self._limits, seen.landed, seen.twin
        if landed is None or not seen.current(landed, now_ns):
            return unknown(PHASE, "no land detector")
        if not seen.current(seen.status, now_ns):
            return unknown(PHASE, "no vehicle status")
        says = "landed" if landed.landed else "freefall" if landed.freefall else "flying"
        factors = [
            ContextFactor(
                "flight phase", "physical", landed.stamp_ns, np.empty(0), np.empty(0), "", says
            )
        ]
        if not landed.landed:
            if seen.armed or not self._was_armed:
                self._was_armed = self._was_armed or bool(seen.armed)
                self._disarmed_flying_ns = None
            elif self._disarmed_flying_ns is None:
                self._disarmed_flying_ns = now_ns
            for_s = 0.0
            if self._disarmed_flying_ns is not None:
                for_s = (now_ns - self._disarmed_flying_ns) / _NS
            return judge(
                PHASE,
                for_s,
                limits.disarmed_flying_s,
                f"PX4 says {says}" + (f", disarmed for {for_s:.1f} s" if for_s else ", armed"),
                symptoms=("flying disarmed",),
                factors=tuple(factors),
            )
        self._disarmed_flying_ns = None
        if twin is None or not age_s(twin, now_ns) <= limits.fresh_s or not twin.velocity_valid:
            return unknown(PHASE, "the twin has no velocity")
        velocity = twin.velocity_ned_m_s
        # on a wing "landed" includes the ground roll; disarmed, the aircraft may be carried
        ratios = [abs(float(velocity[2])) / limits.climb_landed_m_s if seen.armed else 0.0]
        if seen.armed and seen.rotor_flight:
            ratios.append(float(np.hypot(velocity[0], velocity[1])) / limits.landed_speed_m_s)
        moves = "moving" if max(ratios) > 1.0 else "resting"
        factors.append(
            ContextFactor(
                "flight phase", "virtual", twin.stamp_ns, np.empty(0), np.empty(0), "", moves
            )
        )
        return judge(
            PHASE,
            float(np.max(ratios)),
            1.0,
            f"PX4 says landed, the twin moves with {np.linalg.norm(velocity[:2]):.1f} m/s, "
            f"climbs with {-velocity[2]:.1f} m/s",
            symptoms=("landed but moving",),
            factors=tuple(factors),
        )

    def _upset(self, seen: Evidence, now_ns: int) -> Finding:
        limits, attitude = self._limits, seen.attitude
        if attitude is None or not age_s(attitude, now_ns) <= limits.fresh_s:
            return unknown(UPSET, "no attitude")
        if not seen.flying:
            return unknown(UPSET, "not flying")
        status = seen.status
        if not seen.rotor_flight or status is None:
            self._upright_ns = attitude.stamp_ns
            return unknown(UPSET, "not carried by rotors alone")
        if status.nav_state == NavState.ACRO:
            return unknown(UPSET, "aerobatics are flown")
        tilt = frames.tilt_from_quat(attitude.q_ned_frd)
        if tilt <= limits.tilt_max_rad:
            self._upright_ns = attitude.stamp_ns
        rate = 0.0 if seen.imu is None else float(np.linalg.norm(seen.imu.rate_frd_rad_s))
        return judge(
            UPSET,
            tilt,
            limits.tilt_max_rad,
            f"tilted by {np.degrees(tilt):.0f} deg in rotor flight "
            f"({np.degrees(limits.tilt_max_rad):.0f} allowed), turning with {rate:.1f} rad/s",
            since_ns=self._upright_ns,
            symptoms=("upset",),
        )

    def _imu(self, seen: Evidence, now_ns: int) -> Finding:
        limits, twin = self._limits, seen.twin
        if twin is None or not age_s(twin, now_ns) <= limits.fresh_s:
            return unknown(IMU, "no state of the twin")
        if not (seen.flying and twin.velocity_valid):
            self._bias_ref = None
            self._bias_since_ns = None
            return unknown(IMU, "biases are only observed in flight with GNSS")
        ratios, since = _bias_ratios(twin, self._bias_ref, limits)
        if self._bias_since_ns is None:
            self._bias_since_ns = now_ns
        if self._bias_ref is None and now_ns - self._bias_since_ns > limits.settle_s * _NS:
            self._bias_ref = (twin.accel_bias_frd_m_s2, twin.gyro_bias_frd_rad_s)
        return judge(
            IMU,
            float(np.max(ratios)),
            1.0,
            f"twin's biases: accelerometer {np.linalg.norm(twin.accel_bias_frd_m_s2):.2f} m/s^2, "
            f"gyroscope {np.linalg.norm(twin.gyro_bias_frd_rad_s):.3f} rad/s{since}",
            symptoms=tuple(
                name
                for name, ratio in zip(("accel bias", "gyro bias") * 2, ratios, strict=False)
                if not ratio <= 1.0
            ),
        )


def _bias_ratios(
    twin: TwinState, reference: tuple[Array, Array] | None, limits: Limits
) -> tuple[list[float], str]:
    accel, gyro = twin.accel_bias_frd_m_s2, twin.gyro_bias_frd_rad_s
    ratios = [
        float(np.linalg.norm(accel)) / limits.accel_bias_max_m_s2,
        float(np.linalg.norm(gyro)) / limits.gyro_bias_max_rad_s,
    ]
    if reference is None:
        return ratios, ""
    accel_step = float(np.linalg.norm(accel - reference[0]))
    gyro_step = float(np.linalg.norm(gyro - reference[1]))
    ratios += [accel_step / limits.accel_bias_step_m_s2, gyro_step / limits.gyro_bias_step_rad_s]
    return (
        ratios,
        f"; since the start of the flight by {accel_step:.2f} m/s^2 and {gyro_step:.3f} rad/s",
    )
