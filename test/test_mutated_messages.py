# SPDX-License-Identifier: Apache-2.0
"""Ten thousand broken PX4 messages through the twin: nothing crashes, nothing is believed."""

import importlib.util
import random
from pathlib import Path

import numpy as np

from airtwin_consistency.limits import Limits
from airtwin_consistency.monitor import Monitor
from airtwin_core.intake import Intake
from airtwin_core.types import Verdict
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_ros import px4

COUNT = 10_000
STEP_US = 4_000


def border():
    """The mutations of airtwin_ros' own test."""
    path = Path(__file__).parents[1] / "src/airtwin_ros/test/test_px4.py"
    spec = importlib.util.spec_from_file_location("mutations", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_estimator_and_monitor_survive_whatever_passes_the_border():
    mutations = border()
    rng = random.Random(11)
    intake, estimator, monitor = Intake(), Estimator(EstimatorConfig()), Monitor(Limits())
    start_ns = mutations.NOW_NS
    tick_ns = start_ns
    used = refused = 0
    for i in range(COUNT):
        reader = rng.choice(px4.READERS)
        msg = mutations.message(reader.message)
        now_ns = start_ns + i * STEP_US * 1000
        msg.timestamp = now_ns // 1000
        if hasattr(msg, "timestamp_sample"):
            msg.timestamp_sample = msg.timestamp
        for _ in range(rng.randint(0, 3)):
            mutations.mutate(msg, rng)
        try:
            sample = reader.convert(msg, now_ns)
        except px4.BadMessage as error:
            intake.reject(reader.source, error.cause)
            refused += 1
            continue
        if not intake.admit(reader.source, sample):
            refused += 1
            continue
        used += 1
        monitor.on(sample)
        state = estimator.on(sample)
        if state is not None:
            assert np.all(np.isfinite(state.position_ned_m))
            assert np.all(np.isfinite(state.covariance))
            assert np.all(np.diagonal(state.covariance) > 0.0)
            monitor.on(state)
        while tick_ns <= now_ns:
            report, _ = monitor.tick(tick_ns)
            tick_ns += 100_000_000
            for check in report.checks:
                if check.verdict is Verdict.CONSISTENT:
                    assert check.statistic <= check.limit
    counted = sum(n for causes in intake.counts.values() for n in causes.values())
    assert used + refused == counted == COUNT
    assert refused > COUNT // 20
    assert used > COUNT // 2
