# SPDX-License-Identifier: Apache-2.0
"""The twin over one aircraft's log: estimator and monitor driven as the nodes drive them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from airtwin_consistency.limits import Limits
from airtwin_consistency.monitor import Monitor
from airtwin_core.aircraft import Aircraft
from airtwin_core.intake import Intake
from airtwin_core.types import Deviation, Identification, Report, Sample, TwinState
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.slow import SlowProperties
from airtwin_record.flight import VehicleLog
from airtwin_record.history import History
from airtwin_record.samples import samples

TICK_NS = 100_000_000
"""The monitor decides at 10 Hz of received time, as its node does."""
_PROGRESS_EVERY = 4096
_SILENCE_MAX_NS = 600_000_000_000

Progress = Callable[[float], None]


class Sink(Protocol):
    """Whoever wants what the twin says, as it says it."""

    def on_state(self, state: TwinState) -> None: ...
    def on_identification(self, found: Identification) -> None: ...
    def on_report(self, now_ns: int, report: Report, changed: tuple[Deviation, ...]) -> None: ...


def follow(
    log: VehicleLog,
    sinks: tuple[Sink, ...] = (),
    progress: Progress = lambda done: None,
    *,
    config: EstimatorConfig | None = None,
    limits: Limits | None = None,
    aircraft: Aircraft | None = None,
) -> tuple[History, Intake]:
    """Run the twin over the log; the same log gives the same result to the bit.

    ``aircraft``: None follows an unknown one, of which nothing is identified.
    """
    estimator = Estimator(config or EstimatorConfig(), aircraft)
    slow = None if aircraft is None else SlowProperties(aircraft)
    monitor = Monitor(limits or Limits())
    intake, history = Intake(), History(log.start_ns, aircraft.name if aircraft else "")
    outputs: tuple[Sink, ...] = (history, *sinks)
    epoch = intake.epoch
    total = max(1, sum(len(table) for table in log.tables))
    tick_ns = log.start_ns + TICK_NS
    received_ns = log.start_ns
    for count, (received_ns, _, sample) in enumerate(samples(log, intake)):
        if received_ns - tick_ns > _SILENCE_MAX_NS:
            tick_ns = received_ns - _SILENCE_MAX_NS  # a pause of hours needs no 10 Hz
        while received_ns >= tick_ns:
            report, changed = monitor.tick(tick_ns)
            for sink in outputs:
                sink.on_report(tick_ns, report, changed)
            tick_ns += TICK_NS
        if intake.epoch != epoch:
            epoch = intake.epoch
            estimator.reset("the vehicle's clock restarted")
            monitor.restart()
        monitor.on(sample)
        history.on_sample(sample)
        state = estimator.on(sample)
        if state is not None:
            monitor.on(state)
            for sink in outputs:
                sink.on_state(state)
        if slow is not None:
            _identify(slow, (sample, state), outputs, estimator)
        if count % _PROGRESS_EVERY == 0:
            progress(count / total)
    report, changed = monitor.tick(tick_ns)
    for sink in outputs:
        sink.on_report(tick_ns, report, changed)
    for deviation in monitor.finish(tick_ns):
        history.deviations[deviation.id] = deviation
    progress(1.0)
    return history, intake


def _identify(
    slow: SlowProperties,
    values: tuple[Sample | TwinState | None, ...],
    outputs: tuple[Sink, ...],
    estimator: Estimator,
) -> None:
    for value in values:
        found = None if value is None else slow.on(value)
        if found is not None:
            for sink in outputs:
                sink.on_identification(found)
    if slow.strange:
        estimator.doubt_file(slow.strange)
