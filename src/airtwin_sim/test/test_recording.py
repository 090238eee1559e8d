# SPDX-License-Identifier: Apache-2.0
"""The stand-in flies the scripts of recorded flights of a real PX4 v1.18; the two are compared.

Recordings in ../shared/px4/recordings: an x500 in Gazebo (the same aircraft as here), and another
quad in PX4's SIH, which has a range finder. Commands and setpoints come from their /fmu/in topics.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sim_script import Pilot

from airtwin_ros import px4_out
from airtwin_sim.commander import Command
from airtwin_sim.scenario import Scenario, VehicleSpec
from airtwin_sim.world import World

reader = pytest.importorskip("mcap.reader")
mcap_ros2 = pytest.importorskip("mcap_ros2.decoder")

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "px4" / "recordings"
TOPICS = {
    "command": "/fmu/in/vehicle_command",
    "setpoint": "/fmu/in/trajectory_setpoint",
    "status": "/fmu/out/vehicle_status_v4",
    "ack": "/fmu/out/vehicle_command_ack_v1",
    "land_detected": "/fmu/out/vehicle_land_detected",
    "position": "/fmu/out/vehicle_local_position_v1",
}
EXTRA_S = 20.0  # after the last command: the landing


@dataclass(frozen=True)
class Case:
    """A recording and how near the stand-in must come to it [s]."""

    file: str
    yaw_deg: float
    legs_s: float
    landing_s: tuple[float, float]  # ours minus theirs
    gnss_hz: float


GAZEBO = Case("px4_1.18_gazebo_two_x500_offboard_square.mcap", 96.0, 0.35, (-1.0, 1.0), 30.3)
# SIH: more drag, and a range finder that lets it crawl the last metre at 0.3 m/s
SIH = Case("px4_1.18_sih_quad_offboard_square.mcap", 0.0, 1.1, (-7.0, 0.0), 8.0)


@dataclass
class Flights:
    """Both flights of one script: messages (time [s], message) by source, and our pilot."""

    case: Case
    real: dict[str, list[tuple[float, Any]]]
    counts: dict[str, int]
    types: dict[str, str]
    duration_s: float
    ours: Pilot


@pytest.fixture(scope="module", params=[GAZEBO, SIH], ids=["gazebo_x500", "sih_quad"])
def flights(request: pytest.FixtureRequest) -> Flights:
    case: Case = request.param
    path = FOLDER / case.file
    if not path.is_file():
        pytest.skip(f"no recording {case.file} in shared/ beside the checkout")
    real: dict[str, list[tuple[float, Any]]] = {name: [] for name in TOPICS}
    names = {topic: name for name, topic in TOPICS.items()}
    with path.open("rb") as file:
        source = reader.make_reader(file, decoder_factories=[mcap_ros2.DecoderFactory()])
        summary = source.get_summary()
        stats = summary.statistics
        start = stats.message_start_time
        for _, channel, message, decoded in source.iter_decoded_messages(list(names)):
            real[names[channel.topic]].append(((message.log_time - start) * 1e-9, decoded))
    channels = summary.channels
    return Flights(
        case,
        real,
        {channels[i].topic: n for i, n in stats.channel_message_counts.items()},
        {c.topic: summary.schemas[c.schema_id].name for c in channels.values()},
        (stats.message_end_time - start) * 1e-9,
        _fly(case, real),
    )


def _fly(case: Case, real: dict[str, list[tuple[float, Any]]]) -> Pilot:
    """Return our flight of the recorded script, at the recorded times."""
    world = World(Scenario(vehicles=(VehicleSpec("px4_0", yaw_deg=case.yaw_deg),), seed=3))
    pilot = Pilot(world)
    orders = [
        (t, Command(m.command, tuple(float(getattr(m, f"param{k}")) for k in range(1, 8))))
        for t, m in real["command"]
    ]
    setpoints = [(t, np.array(m.position), m.yaw) for t, m in real["setpoint"]]
    end_s = orders[-1][0] + EXTRA_S
    while pilot.time_s < end_s:
        while setpoints and setpoints[0][0] <= pilot.time_s:
            _, place, yaw = setpoints.pop(0)
            world.offboard_mode("px4_0", position=True)
            world.setpoint("px4_0", place, yaw_rad=yaw)
        while orders and orders[0][0] <= pilot.time_s:
            world.command("px4_0", orders.pop(0)[1])
        pilot.tick()
    return pilot


def _changes(rows: list[tuple[float, Any]], name: str) -> list[tuple[float, Any]]:
    out: list[tuple[float, Any]] = []
    for t, message in rows:
        value = getattr(message, name)
        if not out or out[-1][1] != value:
            out.append((t, value))
    return out


def test_same_acks(flights: Flights) -> None:
    real = [(m.command, m.result) for _, m in flights.real["ack"]]
    acks = flights.ours.log.words["ack"]
    assert [(v["command"], v["result"]) for _, v in acks] == real
    asked = [t for t, _ in flights.real["command"]]
    delays = [t - a for (t, _), a in zip(acks, asked, strict=True)]
    assert all(0.0 <= d <= 0.066 for d in delays)  # real: 7 to 66 ms


def test_same_modes_and_arming(flights: Flights) -> None:
    status, log = flights.real["status"], flights.ours.log
    real, ours = _changes(status, "nav_state"), log.changes("status", "nav_state")
    assert [v for _, v in ours] == [v for _, v in real] == [4, 14, 18, 14]
    real_armed, ours_armed = _changes(status, "arming_state"), log.changes("status", "armed")
    assert [v == 2 for _, v in real_armed] == [v for _, v in ours_armed] == [False, True, False]
    # the real status comes up to 0.19 s after what it tells
    assert ours[1][0] == pytest.approx(real[1][0], abs=0.05)
    assert ours_armed[1][0] == pytest.approx(real_armed[1][0], abs=0.1)
    assert ours[2][0] == pytest.approx(real[2][0], abs=0.2)
    ready = [bool(v) for _, v in log.changes("status", "ready")]
    assert ready[-1] is bool(status[-1][1].pre_flight_checks_pass) is False


def test_same_landing_stages(flights: Flights) -> None:
    land, log = flights.real["land_detected"], flights.ours.log
    ends = {}
    for name in ("ground_contact", "maybe_landed", "landed"):
        real, ours = _changes(land, name), log.changes("land_detected", name)
        assert [bool(v) for _, v in ours] == [bool(v) for _, v in real] == [True, False, True]
        assert ours[1][0] == pytest.approx(real[1][0], abs=0.5)  # lift-off
        ends[name] = ours[2][0]
        late = ours[2][0] - real[2][0]
        assert flights.case.landing_s[0] < late < flights.case.landing_s[1], name
    disarmed = log.changes("status", "armed")[2][0]
    # a third of a second each, then COM_DISARM_LAND
    assert ends["maybe_landed"] - ends["ground_contact"] == pytest.approx(0.35, abs=0.05)
    assert ends["landed"] - ends["maybe_landed"] == pytest.approx(0.34, abs=0.05)
    assert disarmed - ends["landed"] == pytest.approx(2.02, abs=0.05)


def test_same_take_off_and_legs(flights: Flights) -> None:
    rows = flights.real["position"]
    real_t = np.array([t for t, _ in rows])
    real = np.array([(m.x, m.y, m.z) for _, m in rows])
    ours_t, ours = flights.ours.log.column("position", "position")
    armed = flights.real["command"][1][0]

    def reached(t: Any, ok: Any, after: float) -> float:
        return float(t[(t > after) & ok][0] - after)

    climb = reached(ours_t, ours[:, 2] < -4.5, armed)
    assert climb == pytest.approx(reached(real_t, real[:, 2] < -4.5, armed), abs=0.75)
    setpoints = [(t, np.array(m.position)) for t, m in flights.real["setpoint"]]
    legs = [b for a, b in itertools.pairwise(setpoints) if np.any(a[1] != b[1])]
    assert len(legs) == 4
    for start, goal in legs:
        mine, theirs = (
            reached(t, np.linalg.norm(p[:, :2] - goal[:2], axis=1) < 1.0, start)
            for t, p in ((ours_t, ours), (real_t, real))
        )
        assert mine == pytest.approx(theirs, abs=flights.case.legs_s)


def test_same_speed_and_tilt_in_a_leg(flights: Flights) -> None:
    """The second leg: peak speed within 15 %; the vertical kick below half a metre in both."""
    if flights.case is SIH:
        pytest.skip("another aircraft: its drag is not the x500's")
    setpoints = [(t, np.array(m.position)) for t, m in flights.real["setpoint"]]
    legs = [b for a, b in itertools.pairwise(setpoints) if np.any(a[1] != b[1])]
    start, end = legs[1][0], legs[2][0]
    real = [m for t, m in flights.real["position"] if start < t < end]
    t, v = flights.ours.log.column("position", "velocity")
    _, p = flights.ours.log.column("position", "position")
    during = (t > start) & (t < end)
    peak = np.max(np.linalg.norm(v[during, :2], axis=1))
    assert peak == pytest.approx(max(np.hypot(m.vx, m.vy) for m in real), rel=0.15)
    assert np.ptp(p[during, 2]) < 0.5
    assert max(m.z for m in real) - min(m.z for m in real) < 0.5


def test_same_topics_types_and_rates(flights: Flights) -> None:
    unseen = {"/fmu/out/mode_completed", "/fmu/out/position_setpoint_triplet"}
    real = {t: n for t, n in flights.counts.items() if t.startswith("/fmu/out/") and n}
    ours = {f"/{w.full_topic}": w for w in px4_out.WRITERS if not w.extra and not w.aiding}
    assert set(ours) == set(real) - unseen
    for topic, writer in ours.items():
        assert flights.types[topic] == f"px4_msgs/msg/{writer.message}"
        rate = len(flights.ours.log.words[writer.source]) / flights.ours.time_s
        real_rate = real[topic] / flights.duration_s
        if writer.source == "gnss":
            assert rate == pytest.approx(8.0, rel=0.03)
            assert real_rate == pytest.approx(flights.case.gnss_hz, rel=0.03)
        elif real_rate > 7.0:  # the recording machine ran at 0.99 of real time
            assert rate == pytest.approx(real_rate, rel=0.03), topic
        else:
            assert rate == pytest.approx(real_rate, abs=0.6), topic
