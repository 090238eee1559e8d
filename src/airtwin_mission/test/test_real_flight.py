# SPDX-License-Identifier: Apache-2.0
"""Shadow mode on a real PX4's flight: the square of 8 m that shared/px4 describes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from airtwin_core.types import MissionBelief, Phase, Sample
from airtwin_mission import mission_file
from airtwin_mission.follower import Follower
from airtwin_mission.limits import Limits

pyulog = pytest.importorskip("pyulog")
px4 = pytest.importorskip("airtwin_ros.px4")

LOG = (
    Path(__file__).resolve().parents[4]
    / "shared/px4/recordings/px4_1.18_sih_quad_offboard_square.ulg"
)
SQUARE = """mission: 1
steps:
  - take_off: {height_m: 5.0}
  - go_to: {ned_m: [8.0, 0.0, -5.0]}
  - go_to: {ned_m: [8.0, 8.0, -5.0]}
  - go_to: {ned_m: [0.0, 8.0, -5.0]}
  - go_to: {ned_m: [0.0, 0.0, -5.0]}
  - land: {}
"""
CONVERT = {
    "vehicle_status": "status",
    "vehicle_local_position": "position",
    "vehicle_land_detected": "land_detected",
    "home_position": "home",
}


def samples() -> list[tuple[float, Sample]]:
    """Return (seconds since the log's first sample, sample) in order of time."""
    if not LOG.exists():
        pytest.skip("../shared/px4/recordings is not here")
    log = pyulog.ULog(str(LOG), list(CONVERT))
    found = []
    for topic in log.data_list:
        convert = px4.reader(CONVERT[topic.name]).convert
        for i, stamp_us in enumerate(topic.data["timestamp"]):
            row = _row(topic.data, i)
            found.append((int(stamp_us), convert(row, int(stamp_us) * 1000)))
    found.sort(key=lambda pair: pair[0])
    begin_us = found[0][0]
    return [((stamp - begin_us) * 1e-6, sample) for stamp, sample in found]


def _row(data: dict, i: int) -> SimpleNamespace:
    names = {name.partition("[")[0] for name in data}
    return SimpleNamespace(
        **{
            name: data[name][i]
            if name in data
            else np.array([data[k][i] for k in data if k.startswith(f"{name}[")])
            for name in names
        }
    )


def test_follows_a_real_flight() -> None:
    """Times from the log: nav_state, and the setpoints at 33.8, 38.2, 43.4, 58.8 s."""
    follower = Follower(mission_file.parse(SQUARE, name="square.yaml"), Limits())
    beliefs: list[tuple[float, MissionBelief]] = []
    due_s = 0.0
    for seconds, sample in samples():
        while seconds >= due_s:
            beliefs.append((due_s, follower.tick(sample.received_ns)))
            due_s += 0.1
        follower.on(sample)

    def first(phase: Phase, leg: int) -> float:
        return next(t for t, b in beliefs if b.phase is phase and b.leg == leg)

    assert first(Phase.ARMING, 0) == pytest.approx(14.9, abs=0.5)
    assert first(Phase.TAKEOFF, 0) == pytest.approx(16.7, abs=0.5)
    # The next leg begins when the waypoint is near: some 2 s after it was commanded.
    for leg, commanded_s in ((2, 33.8), (3, 38.2), (4, 43.4)):
        assert first(Phase.ENROUTE, leg) == pytest.approx(commanded_s + 2.0, abs=0.7)
    assert first(Phase.LAND, 5) == pytest.approx(67.0, abs=0.5)
    assert first(Phase.DONE, 5) == pytest.approx(84.2, abs=0.5)
    assert not {b.reason for _, b in beliefs if b.phase is not Phase.IDLE} - {""}
    progress = np.array([b.progress for _, b in beliefs])
    assert (np.diff(progress) >= 0.0).all()
    assert progress[-1] == 1.0
