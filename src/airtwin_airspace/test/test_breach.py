# SPDX-License-Identifier: Apache-2.0
"""Zones on the local plane, and the time of entry, against geodesy and sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from airtwin_airspace.altitude import Altitude, Datum, Reference
from airtwin_airspace.breach import Prism, Where, ZoneIndex, entry, prisms
from airtwin_airspace.outline import BadOutline, Surroundings
from airtwin_airspace.zones import Circle, Outline, Restriction, Volume, Zone
from airtwin_core.geodesy import LocalFrame
from airtwin_core.types import Array, Origin

ORIGIN = Origin(47.3977419, 8.5455938, 488.0)
GEOD = Geod(ellps="WGS84")


def projected(
    shape: Circle | Outline, origin: Origin = ORIGIN
) -> tuple[shapely.Geometry, list[str]]:
    said: list[str] = []
    return Surroundings(LocalFrame(origin)).project(shape, said.append), said


def box(west: float, south: float, east: float, north: float) -> Outline:
    return Outline(((west, south), (east, south), (east, north), (west, north), (west, south)))


def zone(shape: Circle | Outline, low: float | None = None, high: float | None = None) -> Zone:
    def amsl(value: float | None) -> Altitude | None:
        return None if value is None else Altitude(value, Datum.AMSL)

    return Zone("Z", "", Restriction.PROHIBITED, (Volume((shape,), amsl(low), amsl(high)),))


@pytest.mark.parametrize("radius_m", [20.0, 500.0, 20_000.0])
@pytest.mark.parametrize("latitude", [0.0, 47.4, -70.0])
def test_a_circle_contains_its_circle(radius_m: float, latitude: float) -> None:
    area, said = projected(Circle(latitude, 8.5, radius_m), Origin(latitude, 8.5, 0.0))
    frame = LocalFrame(Origin(latitude, 8.5, 0.0))
    for azimuth in np.linspace(0.0, 360.0, 145):
        for part, inside in ((0.9999, True), (1.002, False)):
            lon, lat, _ = GEOD.fwd(8.5, latitude, azimuth, part * radius_m)
            assert area.covers(shapely.Point(frame.to_ned(lat, lon, 0.0)[:2])) == inside
    assert said == []


def test_area_of_a_box_is_that_of_the_ellipsoid() -> None:
    shape = box(8.5, 47.35, 8.6, 47.42)
    area, _ = projected(shape)
    lon, lat = zip(*shape.shell, strict=True)
    geodesic, _ = GEOD.polygon_area_perimeter(lon, lat)
    assert area.area == pytest.approx(abs(geodesic), rel=2e-4)


def test_a_parallel_is_curved_on_the_plane() -> None:
    """The southern edge of a wide zone bulges: straight in longitude, not on the ground."""
    area, _ = projected(box(8.2, 47.40, 8.9, 47.6))
    frame = LocalFrame(ORIGIN)
    corner = frame.to_ned(47.40, 8.2, 488.0)
    middle = frame.to_ned(47.40, 8.5455938, 488.0)
    assert corner[0] - middle[0] > 40.0
    assert area.distance(shapely.Point(middle[:2])) < 0.2


@pytest.mark.parametrize("side", [179.999, -179.999])
def test_a_zone_over_the_antimeridian_is_small_and_said(side: float) -> None:
    shape = box(179.99, -17.0, -179.99, -16.99)
    area, said = projected(shape, Origin(-16.995, side, 0.0))
    assert area.area == pytest.approx(2130.0 * 1107.0, rel=0.01)
    assert any("antimeridian" in sentence for sentence in said)
    assert area.covers(shapely.Point(0.0, 0.0))
    far, _ = projected(shape, Origin(-16.995, 0.0, 0.0))
    assert far.is_empty


def test_longitudes_beyond_the_map_are_the_same_place() -> None:
    origin = Origin(-16.995, -179.999, 0.0)
    one, _ = projected(box(179.99, -17.0, 180.01, -16.99), origin)
    other, _ = projected(box(179.99, -17.0, -179.99, -16.99), origin)
    third, _ = projected(box(-180.01, -17.0, -179.99, -16.99), origin)
    assert one.area > 0.0
    assert one.symmetric_difference(other).area < 1.0
    assert one.symmetric_difference(third).area < 1.0


def test_the_rest_of_the_world() -> None:
    """Estonia forbids the whole Earth but a hole; from inside the hole it is out of sight."""
    hole = ((22.0, 57.5), (28.0, 57.5), (28.0, 59.7), (22.0, 59.7), (22.0, 57.5))
    world = Outline(box(-180.0, -90.0, 180.0, 90.0).shell, (hole,))
    inside, _ = projected(world, Origin(58.5, 25.0, 0.0))
    assert inside.is_empty
    outside, _ = projected(world, ORIGIN)
    assert outside.covers(shapely.Point(0.0, 0.0))
    edge, _ = projected(world, Origin(58.5, 22.01, 0.0))
    assert not edge.covers(shapely.Point(0.0, 0.0))
    assert edge.distance(shapely.Point(0.0, 0.0)) == pytest.approx(583.0, rel=0.01)


def test_the_other_side_of_the_earth_is_not_here() -> None:
    area, _ = projected(Circle(-ORIGIN.latitude_deg, ORIGIN.longitude_deg - 180.0, 500.0))
    assert area.is_empty


def test_a_bow_tie_counts_as_its_hull_and_is_said() -> None:
    bow = Outline(((8.5, 47.3), (8.6, 47.4), (8.6, 47.3), (8.5, 47.4), (8.5, 47.3)))
    area, said = projected(bow)
    whole, _ = projected(box(8.5, 47.3, 8.6, 47.4))
    assert area.area == pytest.approx(whole.area, rel=1e-3)
    assert any("hull counts" in sentence for sentence in said)


def test_a_hole_outside_its_shell_is_no_hole() -> None:
    shape = Outline(box(8.5, 47.3, 8.6, 47.4).shell, (box(8.7, 47.3, 8.8, 47.4).shell,))
    area, said = projected(shape)
    assert len(said) == 1
    assert area.area == pytest.approx(projected(box(8.5, 47.3, 8.6, 47.4))[0].area, rel=1e-3)


def test_round_a_pole_is_refused() -> None:
    ring = tuple((float(lon), 80.0) for lon in range(-180, 180, 30))
    with pytest.raises(BadOutline, match="pole"):
        projected(Outline((*ring, ring[0])))


def test_far_zones_are_left_out() -> None:
    made = prisms([zone(Circle(10.0, 10.0, 500.0))], LocalFrame(ORIGIN), Reference(), print)
    assert made == ()


def test_heights_without_reference_are_no_limits_and_said() -> None:
    volume = Volume(
        (Circle(47.3977419, 8.5455938, 50.0),),
        Altitude(30.0, Datum.AGL),
        Altitude(600.0, Datum.WGS84),
    )
    said: list[str] = []
    one = Zone("Z", "", Restriction.PROHIBITED, (volume,))
    (prism,) = prisms([one], LocalFrame(ORIGIN), Reference(), said.append)
    assert (prism.bottom_amsl_m, prism.top_amsl_m) == (-math.inf, math.inf)
    assert len(said) == 2
    (prism,) = prisms([one], LocalFrame(ORIGIN), Reference(488.0, 47.0), said.append)
    assert (prism.bottom_amsl_m, prism.top_amsl_m) == (518.0, 553.0)
    # known ground above the known ceiling: one of them is wrong
    (prism,) = prisms([one], LocalFrame(ORIGIN), Reference(1000.0, 47.0), said.append)
    assert (prism.bottom_amsl_m, prism.top_amsl_m) == (-math.inf, math.inf)


# --- entry ---------------------------------------------------------------------------------------

SHAPE = shapely.Polygon([(30, -20), (60, -30), (70, 25), (45, 5), (35, 30)])
PRISM = Prism(zone(Circle(0, 0, 1)), SHAPE, 500.0, 530.0)
LOOK_AHEAD_S = 10.0
places = st.tuples(*[st.floats(-60.0, 120.0)] * 2, st.floats(-70.0, 10.0)).map(np.array)
speeds = st.tuples(*[st.floats(-15.0, 15.0)] * 2, st.floats(-5.0, 5.0)).map(np.array)


def found(position: Array, velocity: Array, margin_m: float) -> tuple[Where, float]:
    breach = entry(
        PRISM,
        position,
        velocity,
        origin_amsl_m=488.0,
        horizontal_m=margin_m,
        vertical_m=2.0,
        look_ahead_s=LOOK_AHEAD_S,
    )
    return breach.where, breach.time_to_s


def sampled(position: Array, velocity: Array, margin_m: float) -> Array:
    """Return the instants within the margins, of 4001."""
    t = np.linspace(0.0, LOOK_AHEAD_S, 4001)
    at = position + velocity * t[:, None]
    altitude = 488.0 - at[:, 2]
    near = shapely.distance(SHAPE, shapely.points(at[:, :2])) <= margin_m
    return t[near & (altitude >= 498.0) & (altitude <= 532.0)]


@settings(max_examples=150, deadline=None)
@given(places, speeds, st.floats(0.0, 12.0))
def test_entry_equals_sampling(position: Array, velocity: Array, margin_m: float) -> None:
    where, time_s = found(position, velocity, margin_m)
    inside = sampled(position, velocity, margin_m)
    step = LOOK_AHEAD_S / 4000
    if len(inside) == 0:
        if where is not Where.OUTSIDE:
            # only a touch between two samples may be missed by them
            wider = sampled(position, velocity, margin_m + 0.05)
            assert len(wider) > 0 or not math.isnan(time_s)
            assume(False)
        return
    assert where is (Where.INSIDE if inside[0] == 0.0 else Where.ENTERING)
    # never later than the truth; earlier by what the chords of the round corners need
    slack = 0.02 * margin_m / max(1.0, float(np.hypot(*velocity[:2]))) + 2 * step + 0.02
    assert time_s <= inside[0] + 1e-9
    if np.hypot(*velocity[:2]) > 1.0 and _square_on(position, velocity, inside[0]):
        assert time_s >= inside[0] - slack


def _square_on(position: Array, velocity: Array, time_s: float) -> bool:
    """Return whether the path meets the outline at more than a grazing angle."""
    a = position[:2] + velocity[:2] * (time_s - 0.05)
    b = position[:2] + velocity[:2] * time_s
    closing = SHAPE.distance(shapely.Point(a)) - SHAPE.distance(shapely.Point(b))
    return bool(closing > 0.3 * float(np.hypot(*(b - a))))


@settings(deadline=None)
@given(places, speeds, st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_rubbish_is_unknown_not_outside(
    position: Array, velocity: Array, which: int, rubbish: float
) -> None:
    numbers = np.concatenate([position, velocity])
    numbers[which] = rubbish
    assert found(numbers[:3], numbers[3:], 5.0)[0] is Where.UNKNOWN


@pytest.mark.parametrize("north", [math.nan, math.inf, 49_990.0, -60_000.0])
def test_beyond_the_reach_of_the_index_is_unknown(north: float) -> None:
    index = ZoneIndex((PRISM,), 488.0, 50_000.0)
    options = {"horizontal_m": 8.0, "vertical_m": 3.0, "look_ahead_s": 12.0, "now_ns": 0}
    ((name, breach),) = index.breaches(np.array([north, 0.0, 0.0]), np.zeros(3) + 5.0, **options)
    assert name == "beyond the known zones"
    assert breach.where is Where.UNKNOWN


def test_the_index_finds_what_all_would() -> None:
    rng = np.random.default_rng(3)
    many = []
    for k in range(60):
        centre = rng.uniform(-500, 500, 2)
        area = shapely.Point(centre).buffer(rng.uniform(10, 60))
        many.append(Prism(Zone(f"Z{k}", "", Restriction.PROHIBITED, ()), area, 400.0, 700.0))
    index = ZoneIndex(tuple(many), 488.0)
    options = {"horizontal_m": 8.0, "vertical_m": 3.0, "look_ahead_s": 12.0}
    hits = 0
    for _ in range(50):
        position = np.append(rng.uniform(-500, 500, 2), -20.0)
        velocity = np.append(rng.uniform(-15, 15, 2), 0.0)
        alone = {
            prism.zone.identifier
            for prism in many
            if entry(prism, position, velocity, origin_amsl_m=488.0, **options).where
            is not Where.OUTSIDE
        }
        listed = index.breaches(position, velocity, now_ns=0, **options)
        assert {name for name, _ in listed} == alone
        times = [breach.time_to_s for _, breach in listed]
        assert times == sorted(times)
        hits += len(alone)
    assert hits > 20
