# SPDX-License-Identifier: Apache-2.0
"""The picture: frames by known points, ellipsoids by their axes, nothing drawn of rubbish."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_console.config import ConsoleConfig
from airtwin_console.markers import Aircraft, advisory_marks, aircraft_marks, pose
from airtwin_console.scene import Scene
from airtwin_core import frames
from airtwin_core.marks import Mark, MarkKind
from airtwin_core.types import (
    Advisory,
    AdvisoryAction,
    Array,
    Check,
    MissionBelief,
    Origin,
    Phase,
    Report,
    TwinState,
    Verdict,
    WindEstimate,
)

ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
SECOND = 1_000_000_000


def twin_state(
    position_ned_m: tuple[float, float, float],
    *,
    yaw_rad: float = 0.0,
    now_ns: int = SECOND,
    origin: Origin | None = ORIGIN,
) -> TwinState:
    return TwinState(
        stamp_ns=now_ns,
        received_ns=now_ns,
        position_ned_m=np.array(position_ned_m, dtype=np.float64),
        velocity_ned_m_s=np.zeros(3),
        q_ned_frd=frames.quat_from_euler(0.0, 0.0, yaw_rad),
        rate_frd_rad_s=np.zeros(3),
        acceleration_ned_m_s2=np.zeros(3),
        gyro_bias_frd_rad_s=np.zeros(3),
        accel_bias_frd_m_s2=np.zeros(3),
        covariance=np.diag([1.0, 4.0, 9.0] + [0.01] * 12),
        origin=origin,
        aligned=True,
        horizontal_valid=True,
        vertical_valid=True,
        velocity_valid=True,
        heading_valid=True,
    )


def drawn(state: TwinState, **more: object) -> Aircraft:
    place = pose(state, ORIGIN)
    assert place is not None
    return Aircraft("px4_1", place, state.covariance[:3, :3], **more)  # type: ignore[arg-type]


def of_kind(marks: tuple[Mark, ...], kind: MarkKind) -> list[Mark]:
    return [mark for mark in marks if mark.kind is kind]


def turned(q: Array, v: tuple[float, float, float]) -> Array:
    return frames.rotation_from_quat(q) @ np.array(v)


def test_north_east_up() -> None:
    """10 m north, 20 m east, 30 m up of the origin is (20, 10, 30) on the map."""
    place = pose(twin_state((10.0, 20.0, -30.0)), ORIGIN)
    assert place is not None
    np.testing.assert_allclose(place.position_enu_m, [20.0, 10.0, 30.0])


@pytest.mark.parametrize(
    ("yaw_rad", "nose_enu"), [(0.0, (0, 1, 0)), (math.pi / 2, (1, 0, 0)), (math.pi, (0, -1, 0))]
)
def test_the_nose_points_where_it_flies(
    yaw_rad: float, nose_enu: tuple[float, float, float]
) -> None:
    place = pose(twin_state((0, 0, 0), yaw_rad=yaw_rad), ORIGIN)
    assert place is not None
    np.testing.assert_allclose(turned(place.q_enu_flu, (1, 0, 0)), nose_enu, atol=1e-12)
    np.testing.assert_allclose(turned(place.q_enu_flu, (0, 0, 1)), (0, 0, 1), atol=1e-12)


def test_a_vehicle_with_another_origin_stands_where_it_is() -> None:
    """0.001 degrees of latitude at 47.4 N are 111.2 m on the ellipsoid."""
    other = Origin(ORIGIN.latitude_deg + 0.001, ORIGIN.longitude_deg, 498.0)
    place = pose(twin_state((0, 0, -5.0), origin=other), ORIGIN)
    assert place is not None
    np.testing.assert_allclose(place.origin_enu_m, [0.0, 111.18, 10.0], atol=0.02)
    np.testing.assert_allclose(place.position_enu_m, [0.0, 111.18, 15.0], atol=0.02)


def test_the_ellipsoid_has_the_axes_of_the_covariance() -> None:
    """One sigma is 1 m north, 2 m east, 3 m down; three sigma is drawn."""
    (cloud,) = of_kind(aircraft_marks(drawn(twin_state((0, 0, 0)))), MarkKind.SPHERE)
    axes = frames.rotation_from_quat(cloud.q_enu_flu) @ np.diag(cloud.scale_m)
    longest = axes[:, np.argmax(cloud.scale_m)]
    shortest = axes[:, np.argmin(cloud.scale_m)]
    np.testing.assert_allclose(np.abs(longest), [0, 0, 18.0], atol=1e-9)
    np.testing.assert_allclose(np.abs(shortest), [0, 6.0, 0], atol=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9))
def test_any_covariance_gives_a_proper_rotation(numbers: list[float]) -> None:
    root = np.array(numbers).reshape(3, 3)
    state = twin_state((0, 0, 0))
    one = dataclasses.replace(drawn(state), covariance_ned_m2=root @ root.T)
    (cloud,) = of_kind(aircraft_marks(one), MarkKind.SPHERE)
    turn = frames.rotation_from_quat(cloud.q_enu_flu)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    # scaled back, the ellipsoid is the covariance, in ENU
    back = turn @ np.diag((np.array(cloud.scale_m) / 6.0) ** 2) @ turn.T
    swap = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
    np.testing.assert_allclose(back, swap @ root @ root.T @ swap.T, atol=1e-4)


def test_a_covariance_that_is_none_is_not_drawn() -> None:
    for bad in (np.full((3, 3), np.nan), -np.eye(3)):
        one = dataclasses.replace(drawn(twin_state((0, 0, 0))), covariance_ned_m2=bad)
        assert of_kind(aircraft_marks(one), MarkKind.SPHERE) == []


def test_front_rotors_are_in_front_and_carry_the_verdict() -> None:
    report = Report(0, Verdict.INCONSISTENT, (_check(Verdict.INCONSISTENT),), ())
    one = drawn(twin_state((0, 0, 0), yaw_rad=math.pi / 2), report=report)
    rotors = of_kind(aircraft_marks(one), MarkKind.CYLINDER)
    red = [mark for mark in rotors if mark.colour[0] > 0.9]
    assert len(rotors) == 4
    assert len(red) == 2
    # heading east: the front ones are the eastern ones
    assert min(m.position_enu_m[0] for m in red) > 0.0


def test_the_label_says_verdict_factors_and_advice() -> None:
    report = Report(0, Verdict.INCONSISTENT, (_check(Verdict.INCONSISTENT),), ())
    advice = Advisory("px4_1", AdvisoryAction.HOLD, "traffic", "px4_2", 1.0, 2.0, "")
    one = drawn(twin_state((0, 0, 0)), report=report, advisory=advice)
    (label,) = of_kind(aircraft_marks(one), MarkKind.TEXT)
    assert label.text == "px4_1 inconsistent: gnss\nHOLD px4_2"


def test_no_report_is_unknown_not_consistent() -> None:
    (label,) = of_kind(aircraft_marks(drawn(twin_state((0, 0, 0)))), MarkKind.TEXT)
    assert label.text == "px4_1 unknown"


def test_the_advisory_line_ends_at_the_other_aircraft() -> None:
    advice = Advisory("px4_1", AdvisoryAction.HOLD, "traffic", "px4_2", 1.0, 2.0, "")
    a = drawn(twin_state((0, 0, -10)), advisory=advice)
    b = dataclasses.replace(drawn(twin_state((30, 40, -10))), vehicle="px4_2")
    (line,) = advisory_marks([a, b])
    np.testing.assert_allclose(line.position_enu_m + line.points_enu_m[1], [40, 30, 10])
    assert advisory_marks([a]) == ()


def test_marks_are_told_apart() -> None:
    belief = MissionBelief(0, 0, Phase.ENROUTE, 0, 1, 0.0, np.array([5.0, 6.0, -7.0]), 0.0, "")
    scene = Scene(ConsoleConfig(("px4_1", "px4_2")), origin=ORIGIN)
    for vehicle in ("px4_1", "px4_2"):
        scene.on_state(vehicle, twin_state((0, 0, 0)))
        scene.seen[vehicle].belief = belief
        scene.on_advisory(Advisory(vehicle, AdvisoryAction.HOLD, "traffic", "px4_2", 1, 2, ""))
    marks = scene.marks(SECOND)
    assert len({(mark.group, mark.id) for mark in marks}) == len(marks)
    targets = [m for m in marks if m.kind is MarkKind.LINE_STRIP and m.id == 8]
    np.testing.assert_allclose(targets[0].points_enu_m[1], [6.0, 5.0, 7.0])


@pytest.mark.parametrize(
    "fault",
    [
        {"position_ned_m": np.array([math.nan, 0, 0])},
        {"q_ned_frd": np.full(4, math.nan)},
        {"q_ned_frd": np.zeros(4)},
        {"aligned": False},
        {"origin": None},
        {"origin": Origin(math.nan, 0.0, 0.0)},
    ],
)
def test_rubbish_has_no_pose(fault: dict[str, object]) -> None:
    state = twin_state((0, 0, 0))._replace(**fault)  # type: ignore[arg-type]
    assert pose(state, ORIGIN) is None
    scene = Scene(ConsoleConfig(("px4_1",)), origin=ORIGIN)
    scene.on_state("px4_1", state)
    assert scene.marks(SECOND) == ()


def test_a_silent_or_frozen_aircraft_leaves_the_picture() -> None:
    scene = Scene(ConsoleConfig(("px4_1",)), origin=ORIGIN)
    state = twin_state((0, 0, 0))
    scene.on_state("px4_1", state)
    assert scene.poses(SECOND + SECOND // 2)
    assert not scene.poses(3 * SECOND)
    scene.on_state("px4_1", state._replace(received_ns=3 * SECOND))
    assert not scene.poses(3 * SECOND)


def test_the_map_is_the_airspaces_and_else_the_first_tracks() -> None:
    scene = Scene(ConsoleConfig(("px4_1",)))
    scene.on_state("px4_1", twin_state((5, 0, 0)))
    assert scene.poses(SECOND) == {}
    scene.on_state("px4_1", twin_state((5, 0, 0), now_ns=5 * SECOND))
    assert scene.origin == ORIGIN
    assert len(scene.seen["px4_1"].path_enu_m) == 1
    moved = Origin(47.4, 8.5, 400.0)
    scene.place(moved)
    assert scene.origin == moved
    assert len(scene.seen["px4_1"].path_enu_m) == 0
    with pytest.raises(ValueError, match="latitude"):
        scene.place(Origin(math.nan, 8.5, 400.0))


def test_the_path_keeps_its_step_and_its_length() -> None:
    scene = Scene(ConsoleConfig(("px4_1",), path_step_m=1.0, path_points=10), origin=ORIGIN)
    for k in range(200):
        scene.on_state("px4_1", twin_state((0.1 * k, 0, 0), now_ns=SECOND + k))
    path = np.array(scene.seen["px4_1"].path_enu_m)
    assert path.shape == (10, 3)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).min() >= 1.0 - 1e-9


def _check(verdict: Verdict) -> Check:
    return Check("CON-GNSS-1", "gnss", 20.0, 16.3, verdict)


def test_the_wind_is_an_arrow_to_where_the_air_goes() -> None:
    """3 m/s to the north and 4 m/s to the west: up and left on the map, 5 m/s long."""
    scene = Scene(ConsoleConfig(vehicles=("px4_1",)), ORIGIN)
    wind = WindEstimate(np.array([3.0, -4.0]), np.eye(2), valid=True)
    scene.on_state("px4_1", twin_state((0, 0, -10.0))._replace(wind=wind))
    (arrow,) = of_kind(scene.marks(SECOND), MarkKind.ARROW)
    assert arrow.points_enu_m == pytest.approx(np.array([[0, 0, 0], [-4.0, 3.0, 0]]))
    assert arrow.position_enu_m == pytest.approx([0.0, 0.0, 14.0])
    assert any(mark.text == "5.0 m/s" for mark in of_kind(scene.marks(SECOND), MarkKind.TEXT))


@pytest.mark.parametrize(
    "wind",
    [
        None,
        WindEstimate(np.array([3.0, -4.0]), np.eye(2), valid=False),
        WindEstimate(np.full(2, np.nan), np.eye(2), valid=True),
        WindEstimate(np.array([0.1, 0.1]), np.eye(2), valid=True),
    ],
)
def test_a_wind_that_is_none_is_not_drawn(wind: WindEstimate | None) -> None:
    scene = Scene(ConsoleConfig(vehicles=("px4_1",)), ORIGIN)
    scene.on_state("px4_1", twin_state((0, 0, -10.0))._replace(wind=wind))
    assert of_kind(scene.marks(SECOND), MarkKind.ARROW) == []
