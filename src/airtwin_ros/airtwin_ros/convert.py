# SPDX-License-Identifier: Apache-2.0
"""AirTwin's values as airtwin_msgs and back. PX4's messages: see ``px4``."""

from __future__ import annotations

import numpy as np
from airtwin_msgs import msg as wire

from airtwin_core.types import (
    N_ERROR,
    Advisory,
    AdvisoryAction,
    Array,
    Check,
    ContextFactor,
    Deviation,
    Fusion,
    Health,
    Identification,
    MissionBelief,
    Origin,
    Parameter,
    Phase,
    Report,
    SensorHealth,
    TwinState,
    Verdict,
    WindEstimate,
)

_NAN_2, _NAN_2X2 = np.full(2, np.nan), np.full((2, 2), np.nan)
NO_WIND = WindEstimate(_NAN_2, _NAN_2X2, False, _NAN_2, _NAN_2X2)
"""How a state without a wind travels."""


def mean_wind(wind: WindEstimate) -> tuple[Array, Array]:
    """Return mean wind (2,) [m/s] NE and its covariance (2, 2), NaN where nobody told it."""
    if wind.mean_ne_m_s is None or wind.mean_covariance is None:
        return _NAN_2, _NAN_2X2
    return wind.mean_ne_m_s, wind.mean_covariance


def _us(stamp_ns: int) -> int:
    return max(0, stamp_ns // 1000)


def twin_state_msg(
    state: TwinState, vehicle: str, before: tuple[TwinState, wire.TwinState] | None = None
) -> wire.TwinState:
    """Return the message; ``origin`` and ``wind`` None travel as NaN.

    before: an earlier state and its message. From one state to the next most sources fused
    nothing: counts and health that both states share are taken over, which halves the work.
    """
    msg = wire.TwinState()
    msg.timestamp = _us(state.received_ns)
    msg.timestamp_sample = _us(state.stamp_ns)
    msg.vehicle = vehicle
    for name in (
        "position_ned_m",
        "velocity_ned_m_s",
        "q_ned_frd",
        "rate_frd_rad_s",
        "acceleration_ned_m_s2",
        "gyro_bias_frd_rad_s",
        "accel_bias_frd_m_s2",
    ):
        setattr(msg, name, getattr(state, name))
    msg.covariance = state.covariance.ravel().astype(np.float32)
    origin = state.origin or Origin(np.nan, np.nan, np.nan)
    msg.origin_latitude_deg = origin.latitude_deg
    msg.origin_longitude_deg = origin.longitude_deg
    msg.origin_altitude_amsl_m = origin.altitude_amsl_m
    msg.aligned = state.aligned
    msg.horizontal_valid = state.horizontal_valid
    msg.vertical_valid = state.vertical_valid
    msg.velocity_valid = state.velocity_valid
    msg.heading_valid = state.heading_valid
    known: dict[int, wire.SensorFusion] = {}
    if before is not None:
        known = dict(zip(map(id, before[0].fusions), before[1].fusions, strict=True))
    msg.fusions = [known.get(id(fusion)) or _fusion_msg(fusion) for fusion in state.fusions]
    wind = state.wind or NO_WIND
    msg.wind_ne_m_s = wind.velocity_ne_m_s
    msg.wind_covariance = wind.covariance.ravel()
    msg.wind_valid = wind.valid
    mean, covariance = mean_wind(wind)
    msg.wind_mean_ne_m_s = mean
    msg.wind_mean_covariance = covariance.ravel()
    if before is not None and state.health is before[0].health:
        msg.health = before[1].health
    else:
        msg.health = [_health_msg(health) for health in state.health]
    msg.notice = state.notice
    return msg


def _health_msg(health: SensorHealth) -> wire.SensorHealth:
    return wire.SensorHealth(
        source=health.source,
        health=int(health.health),
        noise_factor=float(health.noise_factor),
    )


def _fusion_msg(fusion: Fusion) -> wire.SensorFusion:
    msg = wire.SensorFusion()
    msg.source = fusion.source
    msg.used = fusion.used
    msg.cause = list(fusion.rejected)
    msg.rejected = list(fusion.rejected.values())
    msg.nis = float(fusion.nis)
    msg.nis_dof = fusion.nis_dof
    msg.innovation = [float(x) for x in fusion.innovation]
    msg.used_timestamp_sample = _us(fusion.used_stamp_ns)
    return msg


def twin_state(msg: wire.TwinState) -> TwinState:
    """Return the value; inverse of ``twin_state_msg`` to 1 us and float32 covariance.

    Raises:
        ValueError: a health that this version does not know.
    """
    wind_ne_m_s, mean = np.array(msg.wind_ne_m_s), np.array(msg.wind_mean_ne_m_s)
    told = bool(np.isfinite(mean).all())
    wind = WindEstimate(
        wind_ne_m_s,
        np.array(msg.wind_covariance).reshape(2, 2),
        msg.wind_valid,
        mean if told else None,
        np.array(msg.wind_mean_covariance).reshape(2, 2) if told else None,
    )
    origin = Origin(msg.origin_latitude_deg, msg.origin_longitude_deg, msg.origin_altitude_amsl_m)
    return TwinState(
        stamp_ns=msg.timestamp_sample * 1000,
        received_ns=msg.timestamp * 1000,
        position_ned_m=np.array(msg.position_ned_m),
        velocity_ned_m_s=np.array(msg.velocity_ned_m_s),
        q_ned_frd=np.array(msg.q_ned_frd),
        rate_frd_rad_s=np.array(msg.rate_frd_rad_s),
        acceleration_ned_m_s2=np.array(msg.acceleration_ned_m_s2),
        gyro_bias_frd_rad_s=np.array(msg.gyro_bias_frd_rad_s),
        accel_bias_frd_m_s2=np.array(msg.accel_bias_frd_m_s2),
        covariance=np.array(msg.covariance, dtype=np.float64).reshape(N_ERROR, N_ERROR),
        origin=origin if np.isfinite(origin.latitude_deg) else None,
        aligned=msg.aligned,
        horizontal_valid=msg.horizontal_valid,
        vertical_valid=msg.vertical_valid,
        velocity_valid=msg.velocity_valid,
        heading_valid=msg.heading_valid,
        fusions=tuple(
            Fusion(
                f.source,
                f.used,
                dict(zip(f.cause, (int(n) for n in f.rejected), strict=True)),
                f.nis,
                f.nis_dof,
                np.array(f.innovation),
                f.used_timestamp_sample * 1000,
            )
            for f in msg.fusions
        ),
        wind=wind if np.isfinite(wind_ne_m_s).all() else None,
        health=tuple(SensorHealth(h.source, Health(h.health), h.noise_factor) for h in msg.health),
        notice=msg.notice,
    )


def identification_msg(found: Identification, vehicle: str) -> wire.ParameterEstimates:
    """Return the message."""
    return wire.ParameterEstimates(
        timestamp=_us(found.received_ns),
        timestamp_sample=_us(found.stamp_ns),
        vehicle=vehicle,
        parameters=[
            wire.ParameterEstimate(
                name=p.name,
                unit=p.unit,
                value=float(p.value),
                sigma=float(p.sigma),
                prior=float(p.prior),
                known=p.known,
                why=p.why,
            )
            for p in found.parameters
        ],
        suspect_rotor=found.suspect,
    )


def identification(msg: wire.ParameterEstimates) -> Identification:
    """Return the value; inverse of ``identification_msg`` to 1 us."""
    return Identification(
        stamp_ns=msg.timestamp_sample * 1000,
        received_ns=msg.timestamp * 1000,
        parameters=tuple(
            Parameter(p.name, p.unit, p.value, p.sigma, p.prior, p.known, p.why)
            for p in msg.parameters
        ),
        suspect=msg.suspect_rotor,
    )


def report_msg(report: Report, vehicle: str, *, now_ns: int) -> wire.ConsistencyReport:
    """Return the message."""
    msg = wire.ConsistencyReport()
    msg.timestamp = _us(now_ns)
    msg.timestamp_sample = _us(report.stamp_ns)
    msg.vehicle = vehicle
    msg.verdict = int(report.verdict)
    msg.checks = [_check_msg(check) for check in report.checks]
    msg.factors = [_factor_msg(factor) for factor in report.factors]
    msg.open_deviations = [deviation_msg(d, vehicle) for d in report.open_deviations]
    return msg


def _check_msg(check: Check) -> wire.Check:
    return wire.Check(
        requirement=check.requirement,
        factor=check.factor,
        statistic=float(check.statistic),
        limit=float(check.limit),
        verdict=int(check.verdict),
        evidence=check.evidence,
    )


def _factor_msg(factor: ContextFactor) -> wire.ContextFactor:
    return wire.ContextFactor(
        name=factor.name,
        source=factor.source,
        timestamp_sample=_us(factor.stamp_ns),
        value=[float(x) for x in factor.value],
        variance=[float(x) for x in factor.variance],
        unit=factor.unit,
        symbol=factor.symbol,
    )


def report(msg: wire.ConsistencyReport) -> Report:
    """Return the value; inverse of ``report_msg`` to 1 us."""
    return Report(
        stamp_ns=msg.timestamp_sample * 1000,
        verdict=Verdict(msg.verdict),
        checks=tuple(
            Check(c.requirement, c.factor, c.statistic, c.limit, Verdict(c.verdict), c.evidence)
            for c in msg.checks
        ),
        factors=tuple(
            ContextFactor(
                f.name,
                f.source,
                f.timestamp_sample * 1000,
                np.array(f.value),
                np.array(f.variance),
                f.unit,
                f.symbol,
            )
            for f in msg.factors
        ),
        open_deviations=tuple(deviation(d) for d in msg.open_deviations),
    )


def deviation_msg(deviation: Deviation, vehicle: str) -> wire.DeviationEvent:
    """Return the message; a deviation that lasts has ``end`` 0."""
    return wire.DeviationEvent(
        vehicle=vehicle,
        id=deviation.id,
        factor=deviation.factor,
        requirement=deviation.requirement,
        start=_us(deviation.start_ns),
        end=0 if deviation.end_ns is None else _us(deviation.end_ns),
        cause=deviation.cause,
        statistic=float(deviation.statistic),
        limit=float(deviation.limit),
        evidence=deviation.evidence,
    )


def deviation(msg: wire.DeviationEvent) -> Deviation:
    """Return the value; inverse of ``deviation_msg`` to 1 us."""
    return Deviation(
        id=msg.id,
        factor=msg.factor,
        requirement=msg.requirement,
        start_ns=msg.start * 1000,
        end_ns=msg.end * 1000 if msg.end else None,
        cause=msg.cause,
        statistic=msg.statistic,
        limit=msg.limit,
        evidence=msg.evidence,
    )


def belief_msg(belief: MissionBelief, vehicle: str) -> wire.MissionBelief:
    """Return the message; no target travels as NaN."""
    msg = wire.MissionBelief()
    msg.timestamp = _us(belief.received_ns)
    msg.vehicle = vehicle
    msg.phase = belief.phase.value
    msg.leg = belief.leg
    msg.legs = belief.legs
    msg.progress = float(belief.progress)
    target = np.full(3, np.nan) if belief.target_ned_m is None else belief.target_ned_m
    msg.target_ned_m = target
    msg.eta_s = float(belief.eta_s)
    msg.reason = belief.reason
    return msg


def belief(msg: wire.MissionBelief) -> MissionBelief:
    """Return the value; inverse of ``belief_msg`` to 1 us."""
    target = np.array(msg.target_ned_m)
    return MissionBelief(
        stamp_ns=msg.timestamp * 1000,
        received_ns=msg.timestamp * 1000,
        phase=Phase(msg.phase),
        leg=msg.leg,
        legs=msg.legs,
        progress=msg.progress,
        target_ned_m=target if np.isfinite(target).all() else None,
        eta_s=msg.eta_s,
        reason=msg.reason,
    )


def advisory_msg(advisory: Advisory, *, now_ns: int) -> wire.Advisory:
    """Return the message."""
    return wire.Advisory(
        timestamp=_us(now_ns),
        vehicle=advisory.vehicle,
        action=int(advisory.action),
        kind=advisory.kind,
        other=advisory.other,
        time_to_s=float(advisory.time_to_s),
        distance_m=float(advisory.distance_m),
        reason=advisory.reason,
    )


def advisory(msg: wire.Advisory) -> Advisory:
    """Return the value; inverse of ``advisory_msg``."""
    return Advisory(
        vehicle=msg.vehicle,
        action=AdvisoryAction(msg.action),
        kind=msg.kind,
        other=msg.other,
        time_to_s=msg.time_to_s,
        distance_m=msg.distance_m,
        reason=msg.reason,
    )
