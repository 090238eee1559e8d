# SPDX-License-Identifier: Apache-2.0
"""A recording in whose middle the vehicle's clock is set: the replay goes on, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_logs import RECORDINGS

from airtwin_core.types import Deviation, Identification, Report, TwinState
from airtwin_record import replay
from airtwin_record.flight import Table, VehicleLog
from airtwin_record.follow import follow

SQUARE = RECORDINGS / "px4_1.18_sih_quad_offboard_square.mcap"
SET_S, END_S = 25.0, 35.0  # in the air
pytestmark = pytest.mark.skipif(not SQUARE.exists(), reason="no shared recordings")


class Heard:
    """What the twin said of a log: positions by when they came, notices, requirements broken."""

    def __init__(self, log: VehicleLog) -> None:
        self.came: list[float] = []
        self.positions: list[np.ndarray] = []
        self.notices: set[str] = set()
        self.broken: set[str] = set()
        self._start_ns = log.start_ns
        _, self.intake = follow(log, (self,))

    def on_state(self, state: TwinState) -> None:
        self.came.append((state.received_ns - self._start_ns) * 1e-9)
        self.positions.append(state.position_ned_m)
        self.notices.add(state.notice)

    def on_identification(self, found: Identification) -> None:
        raise AssertionError("no aircraft was named")

    def on_report(self, now_ns: int, report: Report, changed: tuple[Deviation, ...]) -> None:
        self.broken |= {deviation.id.split("/")[0] for deviation in changed}


def _cut(log: VehicleLog, by_s: float = 0.0) -> VehicleLog:
    """Return the log to ``END_S``, all stamps from ``SET_S`` on moved."""

    def cut(table: Table) -> Table:
        came_s = (np.asarray(table.received_ns) - log.start_ns) * 1e-9
        kept, late = came_s < END_S, came_s[came_s < END_S] >= SET_S
        columns = {name: np.asarray(values)[kept] for name, values in table.columns.items()}
        for name in {"timestamp", "timestamp_sample"} & columns.keys():
            moved = columns[name].astype(np.int64)
            moved[late & (moved > 0)] += int(by_s * 1e6)
            columns[name] = moved
        return replace(table, received_ns=table.received_ns[kept], columns=columns)

    return replace(log, tables=type(log.tables)(cut(table) for table in log.tables))


@pytest.fixture(scope="module")
def log() -> VehicleLog:
    (vehicle,) = replay.read(SQUARE).vehicles
    return vehicle


@pytest.fixture(scope="module")
def good(log: VehicleLog) -> Heard:
    return Heard(_cut(log))


@pytest.mark.parametrize("by_s", [-0.9, 5.0])
def test_a_clock_that_is_set_in_the_middle_moves_nothing(
    log: VehicleLog, good: Heard, by_s: float
) -> None:
    heard = Heard(_cut(log, by_s))
    usual = np.array(good.positions)
    there = [np.interp(heard.came, good.came, usual[:, axis]) for axis in range(3)]
    off_m = np.linalg.norm(np.array(heard.positions) - np.transpose(there), axis=1)
    assert len(heard.came) > 0.99 * len(good.came)
    assert float(off_m.max()) < 0.15
    assert (heard.intake.epoch, heard.intake.moves) == (0, 1)
    assert any(f"clock moved by {by_s:+.2f} s" in notice for notice in heard.notices)
    assert not any("lost" in notice for notice in heard.notices)
    assert good.broken == set()
    assert heard.broken == {"CON-CLK-1"}
