# SPDX-License-Identifier: Apache-2.0
"""A recorded flight again, with a receiver that errs as much as it claims.

Simulated receivers claim 0.3 to 1.8 m and err by one to three centimetres, so a filter that
believes them is far too careful, whatever else it does. To judge the filter and not the claim,
errors of the claimed size are drawn and added to each fix: of the place a share that is new each
time and one that wanders (first-order Gauss-Markov), of the velocity one that is new each time,
each as the filter takes them to be (``EstimatorConfig``), but for one thing: what wanders falls
with a claim at once, where the filter takes 40 s. All else stays as it was recorded.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator

import numpy as np

from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import GnssFix, Origin, Sample
from airtwin_physics.config import EstimatorConfig

UP_WORSE = 1.5  # vertical over horizontal speed, as the filter has it


def made_true(
    flown: Iterable[Sample], rng: np.random.Generator, config: EstimatorConfig
) -> Iterator[Sample]:
    """Yield the samples in order, every usable fix with errors of the size that it claims."""
    wander = rng.standard_normal(3)
    last_ns = None
    for sample in flown:
        if not isinstance(sample, GnssFix) or not _has_claim(sample, config):
            yield sample
            continue
        if last_ns is not None:
            left = math.exp(-abs(sample.stamp_ns - last_ns) * 1e-9 / config.gnss_wander_s)
            wander = left * wander + math.sqrt(1.0 - left**2) * rng.standard_normal(3)
        last_ns = sample.stamp_ns
        eph = max(sample.eph_m, config.gnss_eph_min_m)
        claim = np.array([eph, eph, max(sample.epv_m, config.gnss_epv_min_m)])
        share = config.gnss_white_share
        off = share * rng.standard_normal(3) + math.sqrt(1.0 - share**2) * wander
        at = Origin(sample.latitude_deg, sample.longitude_deg, sample.altitude_amsl_m)
        latitude, longitude, altitude = LocalFrame(at).to_geodetic(claim * off)
        velocity = sample.velocity_ned_m_s
        if velocity is not None:
            speed = max(sample.speed_accuracy_m_s, config.gnss_speed_min_m_s)
            velocity = velocity + speed * np.array([1.0, 1.0, UP_WORSE]) * rng.standard_normal(3)
        yield dataclasses.replace(
            sample,
            latitude_deg=latitude,
            longitude_deg=longitude,
            altitude_amsl_m=altitude,
            velocity_ned_m_s=velocity,
        )


def _has_claim(fix: GnssFix, config: EstimatorConfig) -> bool:
    return (
        fix.fix_type >= config.gnss_fix_min
        and fix.eph_m <= config.gnss_eph_max_m
        and fix.epv_m <= config.gnss_epv_max_m
    )
