# SPDX-License-Identifier: Apache-2.0
"""AirTwin's messages as CDR, without message objects in between.

rclpy leaves whatever was in memory in the bytes between fields, so its output differs from run to
run; replay promises the same bytes for the same flight. It is also quicker: rclpy spends 0.3 ms
on a TwinState (225 floats, each a Python object). The tests have rclpy read these bytes back.
"""

from __future__ import annotations

from functools import lru_cache
from struct import pack

import numpy as np

from airtwin_core.types import (
    Array,
    Check,
    ContextFactor,
    Deviation,
    Fusion,
    Identification,
    Report,
    TwinState,
)
from airtwin_ros.convert import NO_WIND, mean_wind

_HEADER = b"\x00\x01\x00\x00"  # CDR, little endian
_VECTORS = (
    "position_ned_m",
    "velocity_ned_m_s",
    "q_ned_frd",
    "rate_frd_rad_s",
    "acceleration_ned_m_s2",
    "gyro_bias_frd_rad_s",
    "accel_bias_frd_m_s2",
)


_PADDING = tuple(bytes(count) for count in range(8))


@lru_cache(maxsize=4096)
def _encoded(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return pack("<I", len(raw)) + raw


class _Body:
    """Bytes of a CDR body; each value is aligned to its size from the body's start."""

    def __init__(self) -> None:
        self.data = bytearray()

    def pack(self, size: int, code: str, *values: float | int) -> None:
        data = self.data
        data += _PADDING[-len(data) % size]
        data += pack("<" + code, *values)

    def array(self, size: int, values: bytes) -> None:
        data = self.data
        data += _PADDING[-len(data) % size]
        data += values

    def string(self, text: str) -> None:
        data = self.data
        data += _PADDING[-len(data) % 4]
        data += _encoded(text)

    def doubles(self, values: Array) -> None:
        """A sequence of float64."""
        count = len(values)
        data = self.data
        data += _PADDING[-len(data) % 4]
        data += pack("<I", count)
        if count:
            data += _PADDING[-len(data) % 8]
            data += np.asarray(values, dtype="<f8").tobytes()


def _us(stamp_ns: int) -> int:
    return max(0, stamp_ns // 1000)


def twin_state(state: TwinState, vehicle: str) -> bytes:
    """Return what ``serialize_message(convert.twin_state_msg(state, vehicle))`` returns."""
    body = _Body()
    body.pack(8, "QQ", _us(state.received_ns), _us(state.stamp_ns))
    body.string(vehicle)
    body.array(8, np.concatenate([getattr(state, name) for name in _VECTORS]).tobytes())
    body.array(4, state.covariance.astype("<f4").tobytes())
    origin = state.origin
    if origin is None:
        body.pack(8, "3d", np.nan, np.nan, np.nan)
    else:
        body.pack(8, "3d", origin.latitude_deg, origin.longitude_deg, origin.altitude_amsl_m)
    body.pack(
        1,
        "5?",
        state.aligned,
        state.horizontal_valid,
        state.vertical_valid,
        state.velocity_valid,
        state.heading_valid,
    )
    body.pack(4, "I", len(state.fusions))
    for fusion in state.fusions:
        _fusion(body, fusion)
    wind = state.wind or NO_WIND
    body.pack(8, "6d?", *wind.velocity_ne_m_s, *wind.covariance.ravel(), wind.valid)
    mean, covariance = mean_wind(wind)
    body.pack(8, "6d", *mean, *covariance.ravel())
    body.pack(4, "I", len(state.health))
    for health in state.health:
        body.string(health.source)
        body.pack(1, "B", int(health.health))
        body.pack(8, "d", health.noise_factor)
    body.string(state.notice)
    return _HEADER + bytes(body.data)


def _fusion(body: _Body, fusion: Fusion) -> None:
    body.string(fusion.source)
    body.pack(8, "Q", fusion.used)
    body.pack(4, "I", len(fusion.rejected))
    for cause in fusion.rejected:
        body.string(cause)
    body.pack(4, "I", len(fusion.rejected))
    if fusion.rejected:
        body.pack(8, f"{len(fusion.rejected)}Q", *fusion.rejected.values())
    body.pack(8, "dB", fusion.nis, fusion.nis_dof)
    body.doubles(fusion.innovation)
    body.pack(8, "Q", _us(fusion.used_stamp_ns))


def identification(found: Identification, vehicle: str) -> bytes:
    """Return a ParameterEstimates."""
    body = _Body()
    body.pack(8, "QQ", _us(found.received_ns), _us(found.stamp_ns))
    body.string(vehicle)
    body.pack(4, "I", len(found.parameters))
    for one in found.parameters:
        body.string(one.name)
        body.string(one.unit)
        body.pack(8, "3d?", one.value, one.sigma, one.prior, one.known)
        body.string(one.why)
    body.pack(2, "h", found.suspect)
    return _HEADER + bytes(body.data)


def report(report: Report, vehicle: str, *, now_ns: int) -> bytes:
    """Return a ConsistencyReport."""
    body = _Body()
    body.pack(8, "QQ", _us(now_ns), _us(report.stamp_ns))
    body.string(vehicle)
    body.pack(1, "B", int(report.verdict))
    body.pack(4, "I", len(report.checks))
    for check in report.checks:
        _check(body, check)
    body.pack(4, "I", len(report.factors))
    for factor in report.factors:
        _factor(body, factor)
    body.pack(4, "I", len(report.open_deviations))
    for held in report.open_deviations:
        _deviation(body, held, vehicle)
    return _HEADER + bytes(body.data)


def _check(body: _Body, check: Check) -> None:
    body.string(check.requirement)
    body.string(check.factor)
    body.pack(8, "ddB", check.statistic, check.limit, int(check.verdict))
    body.string(check.evidence)


def _factor(body: _Body, factor: ContextFactor) -> None:
    body.string(factor.name)
    body.string(factor.source)
    body.pack(8, "Q", _us(factor.stamp_ns))
    body.doubles(factor.value)
    body.doubles(factor.variance)
    body.string(factor.unit)
    body.string(factor.symbol)


def deviation(deviation: Deviation, vehicle: str) -> bytes:
    """Return a DeviationEvent."""
    body = _Body()
    _deviation(body, deviation, vehicle)
    return _HEADER + bytes(body.data)


def _deviation(body: _Body, deviation: Deviation, vehicle: str) -> None:
    for text in (vehicle, deviation.id, deviation.factor, deviation.requirement):
        body.string(text)
    end_us = 0 if deviation.end_ns is None else _us(deviation.end_ns)
    body.pack(8, "QQ", _us(deviation.start_ns), end_us)
    body.string(deviation.cause)
    body.pack(8, "dd", deviation.statistic, deviation.limit)
    body.string(deviation.evidence)
